"""Tests of agents: the fixture `rollout`, what it shows when a test fails, and sessions compared."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pages
import pytest
from helpers import DEADLINE
from hypothesis import given
from hypothesis import strategies as st
from strategies import accepted_items
from strategies import items as any_items

import rolloutlog
import rolloutlog_pytest
from rolloutlog import FunctionCall, FunctionCallOutput, Message, RolloutRecorder, to_input
from rolloutlog.testing import Rollout, assert_same_session, differences, recording

PLUGIN = "rolloutlog_pytest"
SOURCE = Path(rolloutlog.__file__).parents[1]
ROOT = Path(__file__).parents[1]
HELLO = Message.user("hi")
log = logging.getLogger("agent")


def run_pytest(folder: Path, test: str, *options: str) -> str:
    """Return what a pytest of its own, with *options*, says of *test*, the text of a test module, in *folder*."""
    (folder / "test_inner.py").write_text(test)
    # Without the other plugins of this environment, which take longer than the test.
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", PLUGIN, "-q", "--rootdir", str(folder), *options, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    assert not done.stderr
    return done.stdout


# --- the fixture ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rollout(tmp_path):
    """Same as the plugin's fixture of this name, also where the plugin is not installed."""
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


def test_what_one_test_attached_does_not_record_the_next_one(tmp_path):
    """An agent attaches a handler at its start and does not close it: each test still has its own session."""
    found = []
    for name in "ab":
        with recording(tmp_path / name) as rollout:
            rolloutlog.attach()
            rolloutlog.attach("agent")
            log.info(HELLO)
            found.append([saved.items for saved in rollout.sessions])

    assert found == [[[HELLO], [HELLO]]] * 2
    assert not [handler for handler in log.handlers if isinstance(handler, rolloutlog.RolloutHandler)]


def test_what_the_code_records_without_a_flush_is_there_at_once(rollout):
    """A test looks at a session when the code has returned, and must not depend on when the writer gets to it."""
    with RolloutRecorder.create() as recorder:
        for count in range(1, 200):
            recorder.record(HELLO)

            assert [len(saved.items) for saved in rollout.sessions] == [count]


def test_a_relative_home_is_one_wherever_the_code_goes(tmp_path, monkeypatch):
    """The rollout of what was logged is not taken for a session of the code's own."""
    monkeypatch.chdir(tmp_path)
    with recording("rollouts") as rollout:
        monkeypatch.chdir("/")
        log.info(HELLO)

        assert rollout.items == [HELLO]
        assert rollout.paths == [rollout.path]
        assert rollout.path.is_relative_to(tmp_path)


def test_what_was_attached_before_stays(tmp_path, home):
    """Handlers of the test run itself are none of ours."""
    with rolloutlog.attach(log) as handler:
        with recording(tmp_path / "rollouts"):
            pass
        log.info(HELLO)
        handler.flush()

        assert handler in log.handlers
        assert rolloutlog.load_session(handler.recorder.path).items == [HELLO]


def test_a_recorder_that_the_code_closed_has_what_came_before(rollout):
    """A closed recorder is not an error."""
    log.info(HELLO)
    rollout.recorder.close()

    assert rollout.items == [HELLO]


# --- the plugin -------------------------------------------------------------------------------------------------------

# Each of these starts a pytest, whose ways no Python changes; the first shows on each that the plugin is there.


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


@pytest.mark.once
@pytest.mark.parametrize("option", ["--show-capture=no", "-pno:logging", "--junitxml=x.xml"])
def test_it_is_shown_in_setup_call_and_teardown_alike(tmp_path, option, monkeypatch):
    """Wherever it fails, and whatever becomes of captured output, which the path is not."""
    monkeypatch.chdir(tmp_path)
    said = run_pytest(
        tmp_path,
        "import pytest\n"
        "@pytest.fixture\n"
        "def before(rollout): raise RuntimeError\n"
        "@pytest.fixture\n"
        "def after(rollout):\n"
        "    yield\n"
        "    raise RuntimeError\n"
        "def test_setup(before): pass\n"
        "def test_call(rollout): assert False\n"
        "def test_teardown(after): pass\n",
        option,
    )

    assert said.count(", 0 items)") == 3
    if option.startswith("--junitxml"):
        assert Path("x.xml").read_text().count(", 0 items)") == 3


@pytest.mark.once
def test_an_error_without_a_traceback_shows_it_too(tmp_path):
    """`pytest.fail(pytrace=False)` leaves a mere text."""
    code = "import pytest\ndef test_it(rollout): pytest.fail('no', pytrace=False)\n"

    assert ", 0 items)" in run_pytest(tmp_path, code)


@pytest.mark.once
def test_a_home_that_cannot_be_read_is_told_in_the_report(tmp_path):
    """Code under test may leave anything; the test run continues, and the report has the error."""
    said = run_pytest(
        tmp_path,
        "import os, shutil\n"
        "def test_one(rollout):\n"
        "    folder = rollout.home / 'sessions'\n"
        "    rollout.items\n"
        "    shutil.rmtree(folder)\n"
        "    os.symlink(folder, folder)\n"
        "    assert False\n"
        "def test_two(): pass\n",
    )

    assert "1 failed, 1 passed" in said
    assert said.count("Too many levels of symbolic links") >= 2


@pytest.mark.once
def test_records_that_are_not_on_disk_are_no_empty_session(tmp_path):
    """A full disk is an error of its own, not a list of items that is shorter than it was."""
    said = run_pytest(
        tmp_path,
        "import logging, resource, sys, pytest, rolloutlog\n"
        "sys.dont_write_bytecode = True\n"  # half of it would stay beside the source
        "def test_it(rollout):\n"
        "    size, limits = rollout.path.stat().st_size, resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))\n"
        "    try:\n"
        "        logging.warning('hi')\n"
        "        with pytest.raises(rolloutlog.exceptions.WriteError):\n"
        "            rollout.items\n"
        "    finally:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, limits)\n"
        "    assert len(rollout.logs) == 1\n",
    )

    assert "1 passed" in said


def test_the_plugin_asks_for_no_newer_pytest_than_the_fixture_needs():
    """Pytest 7 refuses a hook that is a `wrapper`, and with it every test run where rolloutlog is installed."""
    options = rolloutlog_pytest.pytest_runtest_makereport.pytest_impl

    assert (options["hookwrapper"], options["wrapper"]) == (True, False)


@pytest.mark.once
def test_the_tests_on_the_page_pass(tmp_path):
    """As a reader would run them: the page's blocks with a test in it, each a file of its own."""
    tests = [block.code for block in pages.blocks(ROOT / "docs" / "testing.md", "python") if "def test_" in block.code]

    assert tests
    assert all("1 passed" in run_pytest(tmp_path, code) for code in tests)


@pytest.mark.once
def test_a_test_that_passes_shows_nothing(tmp_path):
    """The report of a test that passes does not list files."""
    code = "import logging\ndef test_agent(rollout):\n    logging.info('hi')\n    assert len(rollout.logs) == 1\n"

    said = run_pytest(tmp_path, code)

    assert "1 passed" in said
    assert "Rollouts" not in said


@pytest.mark.once
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


def test_an_id_that_only_one_has_is_no_difference():
    """A model gives ids to what it says, its stand-in in a test does not; a call and its output keep theirs."""
    bare = [rolloutlog.Reasoning(None), FunctionCall("wait", "{}", "w"), FunctionCallOutput("w", "09:00")]
    full = [rolloutlog.Reasoning("rs_1"), FunctionCall("wait", "{}", "call_8", id="fc_1")]
    full += [FunctionCallOutput("call_8", "09:00"), Message.assistant("ok")]

    assert differences([*bare, {"role": "assistant", "content": "ok", "id": "msg_1"}], full) == []
    assert differences([*bare[:2], FunctionCallOutput("other", "09:00")], full[:3]) != []


def test_texts_that_differ_in_a_line_separator_differ():
    """A character that some readers treat as the end of a line counts like any other."""
    assert differences([Message.user("a\u2028b")], [Message.user("a\x85b")]) != []


def test_items_that_were_taken_back_make_a_difference(rollout):
    """The model does not see them, though both sessions hold the same items."""
    log.info(HELLO)
    with rolloutlog.session("trip") as session:
        session.record(HELLO)
        session.take_back()

        assert session.items == rollout.items
        assert differences(session, rollout) != []
        assert differences(session, [HELLO]) == []


def test_a_kept_rollout_is_made_and_replaced_by_the_command_that_the_error_names(tmp_path, rollout):
    """As long as there is none, and when the agent has come to do something else on purpose."""
    kept = tmp_path / "kept here.jsonl"
    for item in HELLO, Message.assistant("ho"):
        log.info(item)
        with pytest.raises(AssertionError) as caught:
            assert_same_session(rollout, kept)
        command = str(caught.value).splitlines()[-1].partition("to accept the new session as expected: ")[2]
        subprocess.run(shlex.split(command), check=True, timeout=DEADLINE)

        assert differences(rollout, kept) == []
    with pytest.raises(rolloutlog.exceptions.SessionNotFoundError):
        assert_same_session([HELLO], tmp_path / "none.jsonl")


def test_times_are_no_difference():
    """Keys that say when are left out, wherever they are."""
    early = {"type": "note", "created_at": 1, "parts": [{"timestamp": "2026-01-01"}], "text": "x"}
    late = early | {"created_at": 2, "parts": [{"timestamp": "2026-01-02"}]}

    assert differences([early], [late]) == []


def test_keys_can_be_ignored():
    """Keys that differ in each run, such as encrypted reasoning, are left out only on request."""
    one, two = ([{"type": "reasoning", "summary": [], "encrypted_content": text}] for text in "ab")

    assert differences(one, two) != []
    assert differences(one, two, ignore=["encrypted_content"]) == []


def test_a_difference_is_shown_as_lines():
    """The message of the assertion shows expected and actual lines, with the lines around them."""
    with pytest.raises(AssertionError) as caught:
        assert_same_session([HELLO, Message.user("one")], [HELLO, Message.user("two")])

    lines = str(caught.value).splitlines()
    assert lines[:3] == ["the sessions differ:", "--- expected", "+++ got"]
    assert lines[3].endswith("@@ in expected[1], message")
    assert [line for line in lines[3:] if line[0] in "+-"] == ['-   "text": "two",', '+   "text": "one",']


@pytest.mark.parametrize(
    ("got", "expected", "where"),
    [
        ([HELLO, HELLO], [HELLO], "in got[1], message"),
        ([HELLO], [HELLO, HELLO], "in expected[1], message"),
        ([], [HELLO], "in expected[0], message"),
        ([HELLO], [], "in got[0], message"),
        ([HELLO, FunctionCall("f", "{}", "c")], [HELLO, FunctionCall("g", "{}", "c")], "expected[1], function_call"),
    ],
)
def test_a_difference_names_the_item(got, expected, where):
    """The one in which it is, by its place and type."""
    (head,) = [line for line in differences(got, expected) if line.startswith("@@")]

    assert head.endswith(where)


def test_the_report_of_pytest_shows_the_test_and_not_the_comparison():
    """`__tracebackhide__` is how pytest is asked for that."""
    with pytest.raises(AssertionError) as caught:
        assert_same_session([HELLO], [])

    assert caught.traceback[-1].frame.f_locals["__tracebackhide__"] is True


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


def renamed(value: Any) -> Any:
    """Return *value* with another id wherever there is one, and another time."""
    if isinstance(value, list):
        return list(map(renamed, value))
    if not isinstance(value, dict):
        return value
    return {
        key: f"other {held}" if isinstance(held, str) and re.fullmatch("(.*_)?(id|at)", key) else renamed(held)
        for key, held in value.items()
    }


@given(st.lists(accepted_items, max_size=4))
def test_any_session_is_like_itself_with_other_ids(items):
    """For any items, with ids anywhere, and even if some items are equal."""
    told = to_input(items, orphans="keep")

    assert differences(renamed(told), told) == []


@given(st.lists(any_items, min_size=1, max_size=4), st.data())
def test_any_two_orders_that_differ_are_told_apart(items, data):
    """Except where items that changed places differ only in their ids."""
    other = data.draw(st.permutations(items))

    differ = [bool(differences([one], [two])) for one, two in zip(items, other, strict=True)]
    assert bool(differences(items, other)) >= any(differ)


def test_a_rollout_tells_where_it_is(rollout):
    """Its `repr` is the path, which is all that a failed assertion on it needs to show."""
    assert isinstance(rollout, Rollout)
    assert repr(rollout) == f"<Rollout {rollout.path}>"
