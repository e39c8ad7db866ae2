"""Damaged sessions of the newest release: what it sees of them, and its forks after a repair; tokens over forks."""

from __future__ import annotations

from pathlib import Path

import pytest
from cage import Outcome
from codex import Codex, says, session_id, thinks
from expected import as_input, expected_history, history, said
from model_server import Item, usage

from rolloutlog import diagnose, iter_lines, load_session, repair
from rolloutlog._face.stats import Stats
from rolloutlog.items import Item as OurItem

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"


def parent_and_fork(codex: Codex) -> tuple[Path, Path, list[Outcome]]:
    """Return a session with two turns, a fork of it with one turn more, and the runs of all turns."""
    calls = codex.shell_calls("echo hi", "call_1")
    parent, first = codex.begin("one", [[thinks("hm"), *calls], [says("first", "msg_1")]])
    second = codex.resume(parent, "two", [[says("second", "msg_2")]])
    made = codex.ask("thread/fork", {"threadId": session_id(parent)})["thread"]["id"]
    (fork,) = [path for path in codex.rollouts() if session_id(path) == made]
    third = codex.resume(fork, "three", [[says("third", "msg_3")]])
    for outcome in (first, second, third):
        assert outcome.returncode == 0, outcome.stderr
    return parent, fork, [first, second, third]


def hide(path: Path, text: str) -> None:
    """Damage the line before that of the message *text*, so that both are one line: NULs take its last bytes."""
    content = path.read_bytes()
    (line,) = [line for line in iter_lines(path) if isinstance(line.entry, OurItem) and line.entry.text == text]
    path.write_bytes(content[: line.offset - 40] + bytes(40) + content[line.offset :])


def sent(codex: Codex, rollout: Path) -> list[Item]:
    """Resume *rollout* and return the history that the model gets."""
    outcome = codex.resume(rollout, PROMPT)
    assert outcome.returncode == 0, outcome.stderr
    return list(map(as_input, history(codex.release, outcome.requests[0], PROMPT)))


def test_a_fork_resumes_after_its_parent_was_repaired(newest: Codex) -> None:
    """The item that was hidden in the parent is sent again, and the byte to which the fork refers is the same."""
    parent, fork, _ = parent_and_fork(newest)
    whole = load_session(fork).items
    hide(parent, "second")
    assert len(load_session(fork).items) == len(whole) - 1

    done = repair(parent, write=True)

    assert (done.forks, done.moves, done.after) == ((fork,), False, done.before + 1)
    assert load_session(fork).items == whole
    ours = expected_history(newest.release, list(map(as_input, load_session(fork).to_input(orphans="keep"))))
    assert said(ours) == ["one", "first", "two", "second", "three", "third"]
    assert sent(newest, fork) == ours


@pytest.mark.parametrize(
    "damage", ["hidden", "torn tail", "NULs", "BOM", "not UTF-8", "no meta", "last line without number"]
)
def test_the_newest_release_sees_as_many_items_as_the_diagnosis_says(newest: Codex, damage: str) -> None:
    """And after a repair, all of them."""
    rollout, _ = newest.begin("one", [[says("first", "msg_1")]])
    newest.resume(rollout, "two", [[says("second", "msg_2")]])
    content = rollout.read_bytes()
    if damage == "hidden":
        hide(rollout, "first")
    elif damage == "torn tail":
        rollout.write_bytes(content + content.splitlines()[-1][:60])
    elif damage == "NULs":
        rollout.write_bytes(content + bytes(100) + b"\n")
    elif damage == "BOM":
        rollout.write_bytes(b"\xef\xbb\xbf" + content)
    elif damage == "not UTF-8":
        rollout.write_bytes(content + b"\xff\xfe\n")
    elif damage == "no meta":
        begin = content.index(b"\n")
        rollout.write_bytes(b"x" * begin + content[begin:])
    else:
        line = content.splitlines(True)[-1]
        rollout.write_bytes(content + line.replace(line[line.index(b'"ordinal"') : line.index(b'"type"')], b""))
    copy = rollout.read_bytes()
    found = diagnose(rollout)
    seen = found.sees["Codex 0.169.0"]

    outcome = newest.resume(rollout, PROMPT)

    history_sent = history(newest.release, outcome.requests[0], PROMPT) if outcome.requests else []
    assert len(history_sent) == seen, outcome.stderr
    rollout.write_bytes(copy)
    done = repair(rollout, write=True, renumber=True)
    assert done.after == found.items
    assert len(history(newest.release, newest.resume(rollout, PROMPT).requests[0], PROMPT)) == found.items


def test_tokens_of_a_parent_and_its_fork_add_up_to_what_the_server_counted(newest: Codex) -> None:
    """In either order; the fork's cumulative totals begin with its parent's."""
    parent, fork, runs = parent_and_fork(newest)
    counted = [usage(number) for run in runs for number in range(len(run.requests))]

    for paths in ((parent, fork), (fork, parent)):
        stats = Stats()
        for path in paths:
            stats.add(path)
        totals = stats.groups[""]
        assert totals.requests == len(counted)
        assert totals.tokens.input == sum(each["input_tokens"] for each in counted)
        assert totals.tokens.cached == sum(each["input_tokens_details"]["cached_tokens"] for each in counted)
        assert totals.tokens.output == sum(each["output_tokens"] for each in counted)
        assert totals.tokens.reasoning == sum(each["output_tokens_details"]["reasoning_tokens"] for each in counted)
