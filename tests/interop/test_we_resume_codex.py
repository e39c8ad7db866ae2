"""The real Codex records, we continue, and it resumes: neither side loses an item, over several rounds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from codex import Codex, says, session_id, thinks
from expected import as_input, as_told, expected_history, history, items_in, our_input, plain, said
from model_server import Item
from ours import create
from samples import AWKWARD, MEGABYTE, assistant, call, output, reasoning, user

from rolloutlog import RolloutRecorder, find_sessions, iter_entries, load_session

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"
# The tool's output: text of several alphabets, an error, and more than fits in one buffer.
SCRIPTS = ("printf 'grüße\\n日本\\t🏔️'", "echo oops >&2; exit 3", "head -c 200000 /dev/zero | tr '\\0' x")


def several_turns(codex: Codex) -> Path:
    """Have *codex* record three turns with reasoning, tool calls of each kind, and adjacent messages."""
    scripted = []
    for number, script in enumerate(SCRIPTS):
        calls = codex.shell_calls(script, f"call_{number}")
        scripted += [[thinks(f"thought {number}", f"rs_{number}_{each['id']}"), each] for each in calls]
    rollout, first = codex.begin(
        AWKWARD.replace("\x00", ""), [*scripted, [says("one", "msg_1"), says("more", "msg_2")]]
    )
    second = codex.resume(rollout, "again", [[*codex.shell_calls("true", "call_again")], [says("two", "msg_3")]])
    rollout = codex.goes_on(rollout)
    third = codex.resume(rollout, "and again", [[says("three", "msg_4")]])
    rollout = codex.goes_on(rollout)
    for outcome in (first, second, third):
        assert outcome.returncode == 0, outcome.stderr
        assert outcome.unexpected == []
    assert codex.rollouts() == [rollout] or codex.release.habits.copies
    return rollout


def test_every_line_is_read(whole: Codex) -> None:
    """Each line that the real Codex wrote is an entry, none is skipped, and the items are those in the file."""
    rollout = several_turns(whole)

    saved = load_session(rollout)

    items = items_in(rollout, whole.release)
    assert len(items) > 10
    assert [item.to_dict() for item in saved.items] == items
    assert saved.skipped == []
    assert len(list(iter_entries(rollout))) == rollout.read_bytes().count(b"\n")
    assert saved.session_id == session_id(rollout)


def test_each_line_is_written_as_the_real_one_wrote_it(flat: Codex) -> None:
    """The items of a real session, recorded into another session, have the same bytes as their lines."""
    rollout = several_turns(flat)

    with create(flat) as recorder:
        recorder.record(*load_session(rollout).items)

    theirs = [line for line in rollout.read_bytes().splitlines()[1:] if b'"record_type"' not in line]
    assert recorder.path.read_bytes().splitlines()[1:] == theirs


def test_our_input_is_what_the_real_one_sends(whole: Codex) -> None:
    """to_input() of a real session equals the request of the resumed Codex, with its known changes."""
    rollout = several_turns(whole)
    ours = load_session(rollout).to_input()

    outcome = whole.resume(rollout, PROMPT)

    sent = history(whole.release, outcome.requests[0], PROMPT)
    assert list(map(as_input, sent)) == expected_history(whole.release, list(map(our_input, ours)))


def test_a_session_is_found_by_its_id(codex: Codex) -> None:
    """In a real home, the list of sessions names each by the id that Codex gave it."""
    rollout, _ = codex.begin("hi", [[says("ho")]])

    found = [(session.id, session.path) for session in find_sessions(codex.home)]

    assert found == [(load_session(rollout).session_id, rollout)]


def test_the_meta_line_keeps_all_that_codex_says(flat: Codex) -> None:
    """The meta has the project's instructions and the state of its repository."""
    (flat.workdir / "AGENTS.md").write_text(AWKWARD.replace("\x00", ""), encoding="utf-8")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(flat.workdir)]
    subprocess.run([*git, "init", "-q", "-b", "trunk"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    rollout, _ = flat.begin("hi", [[says("ho")]])

    meta = load_session(rollout).session

    assert meta.instructions is not None
    assert AWKWARD.replace("\x00", "").strip() in meta.instructions
    assert meta.extra["git"]["branch"] == "trunk"


def test_a_prompt_of_a_megabyte_is_read(whole: Codex) -> None:
    """A line of more than a megabyte by the real Codex is read like any other."""
    prompt = ("word é " * MEGABYTE)[:MEGABYTE].strip()
    rollout, _ = whole.begin(prompt, [[says("long")]])

    saved = load_session(rollout)

    assert prompt in [item.text.strip() for item in saved.items]
    assert saved.skipped == []


def test_a_codex_that_was_killed_while_the_model_thought_is_read(whole: Codex) -> None:
    """If Codex was killed in the middle of a turn, every item that reached the file is read."""
    calls = whole.shell_calls("echo hi", "call_1")
    rollout, _ = whole.begin("hi", [[says("ho")]])
    outcome = whole.resume(rollout, "go on", [[thinks("hm"), calls[0]], None], kill_when_stalled=True)

    rollout = whole.goes_on(rollout)
    saved = load_session(rollout)

    assert outcome.returncode == -9
    # Codex does not wait for its writer, so some items that it had sent to the model may not be in the file yet.
    ours = [as_input(plain(item)) for item in as_told(whole.release, saved.to_input(orphans="keep"))]
    sent = [as_input(plain(item)) for item in outcome.requests[-1]["input"]]
    begun = {"nothing": 0, "surroundings": 1, "instructions": 2}[whole.release.habits.front]
    assert ours == sent[begun : begun + len(ours)]
    assert [item.to_dict() for item in saved.items] == items_in(rollout, whole.release)
    assert "ho" in [item.text for item in saved.items]


def go_on(rollout: Path, *items: Item) -> None:
    """Resume *rollout*, record *items*, and close it."""
    recorder, _ = RolloutRecorder.resume(rollout)
    with recorder:
        recorder.record(*items)
        recorder.record_state({"by": "us"})


def test_we_continue_and_the_real_one_continues_again(whole: Codex) -> None:
    """In each of three rounds the real Codex sends all items of both sides, and earlier lines never change."""
    rollout = several_turns(whole)
    for number in range(3):
        before = rollout.read_bytes()
        go_on(
            rollout,
            user(f"round {number}"),
            reasoning(f"rs_{number}", AWKWARD, encrypted_content="c2Vh"),
            call(f"call_round_{number}"),
            output(f"call_round_{number}", AWKWARD),
            assistant(f"answer {number}"),
        )
        items = items_in(rollout, whole.release)
        outcome = whole.resume(rollout, PROMPT, [whole.shell_calls("true", f"call_b{number}"), [says("on")]])

        assert rollout.read_bytes().startswith(before)
        assert history(whole.release, outcome.requests[0], PROMPT) == expected_history(whole.release, items)
        rollout = whole.goes_on(rollout)
        assert load_session(rollout).skipped == []


def test_our_lines_in_a_session_of_the_newest_continue_its_numbers(newest: Codex) -> None:
    """The newest release numbers its lines, and refuses a file that ends without a number: ours get the next ones."""
    rollout, _ = newest.begin("hi", [[says("ho")]])
    recorder, _ = RolloutRecorder.resume(rollout)
    with recorder:
        recorder.record(user("one"))
        recorder.record_state({"by": "us"})
        recorder.record(assistant("two"), user("three"))
        recorder.record_state({"by": "us"})

    newest.resume(rollout, PROMPT)

    lines = list(map(json.loads, rollout.read_bytes().splitlines()))
    theirs = [line for line in lines if line["type"] != "rolloutlog"]
    assert [line["ordinal"] for line in theirs] == list(range(len(theirs)))
    assert len(lines) == len(theirs) + 2


def test_a_line_that_the_real_one_tore_is_healed_for_both(whole: Codex) -> None:
    """If Codex left its last line without a newline, we continue after it, and both read all whole lines."""
    rollout, _ = whole.begin("hi", [[says("torn")]])
    rollout.write_bytes(rollout.read_bytes()[:-1])
    go_on(rollout, user("still here"))

    outcome = whole.resume(rollout, PROMPT)

    sent = history(whole.release, outcome.requests[0], PROMPT)
    assert said(sent) == ["hi", "torn", "still here"]
    assert load_session(rollout).skipped == []
