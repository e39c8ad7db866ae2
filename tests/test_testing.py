"""Tests of agents: the fixture `rollout`, what it shows when a test fails, and sessions compared."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from strategies import items as any_items

import rolloutlog
from rolloutlog import FunctionCall, FunctionCallOutput, Message, RolloutRecorder
from rolloutlog.testing import Rollout, assert_same_session, differences, recording

PLUGIN = "rolloutlog_pytest"
SOURCE = Path(rolloutlog.__file__).parents[1]
HELLO = Message.user("hi")
log = logging.getLogger("agent")


def run_pytest(folder: Path, test: str) -> str:
    """Return what a pytest of its own says of *test*, the text of a test module, in *folder*."""
    (folder / "test_inner.py").write_text(test)
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-q", "--rootdir", str(folder), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.stdout


# --- the fixture ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rollout(tmp_path):
    """What the plugin's fixture of this name gives, also where the plugin is not installed."""
    with recording(tmp_path / "rollouts") as rollout:
        yield rollout


def test_what_is_logged_is_in_the_rollout(rollout):
    """Items and log entries of any logger from INFO on are there at once, in order."""
    log.info(HELLO)
    log.warning("asking %s", "the model")
    log.debug("not this")

    assert rollout.items == [HELLO]
    assert [entry.message for entry in rollout.logs] == ["asking the model"]


def test_what_the_code_records_itself_stays_in_the_tests_home(rollout):
    """Sessions that the code under test opens by name or by a recorder live in the temporary home."""
    with rolloutlog.session("trip") as session, RolloutRecorder.create() as recorder:
        session.record(HELLO)
        recorder.record(HELLO, HELLO)
        recorder.flush()

        assert sorted(len(saved.items) for saved in rollout.sessions) == [1, 2]
        assert {session.path, recorder.path} == set(rollout.paths[1:])
    assert rollout.items == []


def test_the_level_can_be_lowered_for_one_logger(rollout):
    """After `set_level`, debug records are there too, and no others than asked for."""
    rollout.set_level(logging.DEBUG, "agent")
    log.debug("this")
    logging.getLogger("other").debug("not this")

    assert [entry.message for entry in rollout.logs] == ["this"]


def test_everything_is_as_before_when_it_is_over(tmp_path, home):
    """Level and handlers of the root logger and the place of sessions are what they were."""
    root = logging.getLogger()
    before = root.level, list(root.handlers), log.level
    with recording(tmp_path / "rollouts") as rollout:
        rollout.set_level(logging.DEBUG, "agent")

        assert os.environ["ROLLOUTLOG_HOME"] == str(tmp_path / "rollouts")
    assert (root.level, list(root.handlers), log.level) == before
    assert os.environ["ROLLOUTLOG_HOME"] == str(home)


def test_code_that_attaches_a_handler_of_its_own_is_not_disturbed(rollout):
    """`attach()` in the code under test begins its own session beside that of the fixture."""
    with rolloutlog.attach():
        log.info(HELLO)

    assert rollout.items == [HELLO]
    assert [saved.items for saved in rollout.sessions] == [[HELLO]]


# --- the plugin -------------------------------------------------------------------------------------------------------


def test_a_failed_test_shows_where_its_rollouts_are(tmp_path):
    """The report of a failure names each file and how much is in it, and the files are still there."""
    said = run_pytest(
        tmp_path,
        "import logging, rolloutlog\n"
        "def test_agent(rollout):\n"
        "    logging.info(rolloutlog.Message.user('hi'))\n"
        "    with rolloutlog.session('trip') as session:\n"
        "        session.record({'role': 'user', 'content': 'hi'})\n"
        "    assert False\n",
    )

    shown = [line for line in said.splitlines() if ".jsonl: SavedSession(" in line]
    assert "Rollouts" in said
    assert [line.endswith(", 1 item)") for line in shown] == [True, True]
    assert all(Path(line.partition(": ")[0]).exists() for line in shown)


def test_a_test_that_passes_shows_nothing(tmp_path):
    """Nobody is told of files that nobody needs."""
    code = "import logging\ndef test_agent(rollout):\n    logging.info('hi')\n    assert len(rollout.logs) == 1\n"

    said = run_pytest(tmp_path, code)

    assert "1 passed" in said
    assert "Rollouts" not in said


def test_a_run_without_the_fixture_does_not_import_rolloutlog(tmp_path):
    """The plugin costs the import of one small module; the package is imported for the fixture alone."""
    said = run_pytest(tmp_path, "import sys\ndef test_it(): assert 'rolloutlog' not in sys.modules\n")

    assert "1 passed" in said


# --- sessions compared ------------------------------------------------------------------------------------------------


def told(call_id: str, answered: str) -> list[rolloutlog.ResponseItem]:
    """Return a session in which *call_id* is called, and *answered* is answered."""
    call = FunctionCall("hours", '{"of": "Pantheon"}', call_id, id=f"fc_{call_id}")
    return [HELLO, FunctionCall("wait", "{}", "w"), call, FunctionCallOutput(answered, "09:00")]


def test_other_ids_are_no_difference():
    """Two runs of an agent, which never have the same ids, are the same session."""
    assert differences(told("a", "a"), told("b", "b")) == []


def test_an_output_of_another_call_is_a_difference():
    """Ids count by where they come again: an answer to the wrong call is found."""
    assert differences(told("a", "a"), told("a", "w")) != []


def test_times_are_no_difference():
    """Keys that say when are left out, wherever they are."""
    early = {"type": "note", "created_at": 1, "parts": [{"timestamp": "2026-01-01"}], "text": "x"}
    late = early | {"created_at": 2, "parts": [{"timestamp": "2026-01-02"}]}

    assert differences([early], [late]) == []


def test_keys_can_be_ignored():
    """What differs in each run, such as encrypted reasoning, is left out on request only."""
    one, two = ([{"type": "reasoning", "summary": [], "encrypted_content": text}] for text in "ab")

    assert differences(one, two) != []
    assert differences(one, two, ignore=["encrypted_content"]) == []


def test_a_difference_is_shown_as_lines():
    """The error of the assertion tells what was expected and what was there, with what stands around it."""
    with pytest.raises(AssertionError) as caught:
        assert_same_session([HELLO, Message.user("one")], [HELLO, Message.user("two")])

    lines = str(caught.value).splitlines()
    assert lines[:3] == ["the sessions differ:", "--- expected", "+++ got"]
    assert [line for line in lines[3:] if line[0] in "+-"] == ['-   "text": "two",', '+   "text": "one",']


def test_a_session_can_be_given_in_any_form(rollout):
    """The rollout of a test, a live session, a recorder, a path, a saved session and items: each with each."""
    log.info(HELLO)
    with rolloutlog.session("trip") as session:
        session.record(HELLO)
        saved = rolloutlog.load_session(session.path)
        forms = [rollout, session, session.recorder, session.path, str(session.path), saved, [HELLO]]

        assert [differences(one, other) for one in forms for other in forms] == [[]] * len(forms) ** 2


def test_states_and_logs_count_between_sessions(rollout):
    """Two sessions with the same items differ in their state, and on request in what was logged."""
    log.info(HELLO)
    with rolloutlog.session("trip") as session:
        session.record(HELLO)
        log.info("a word")

        assert differences(rollout, session) == []
        assert differences(rollout, session, logs=True) != []
        session.state = {"step": 1}
        assert differences(rollout, session) != []
        assert differences([HELLO], session) == []


@given(any_items)
def test_any_item_is_like_itself_and_unlike_none(item):
    """Whatever an item is, it makes no difference to itself, and it makes one where it is missing."""
    assert differences([item], [item]) == []
    assert differences([item], []) != []


def test_a_rollout_tells_where_it_is(rollout):
    """Its `repr` is the path, which is all that a failed assertion on it needs to show."""
    assert isinstance(rollout, Rollout)
    assert repr(rollout) == f"<Rollout {rollout.path}>"
