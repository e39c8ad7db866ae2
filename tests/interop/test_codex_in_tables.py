"""The tables of homes that a real Codex filled: tokens as its model's server counted them, calls and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cage
import pytest
from codex import Codex, in_function, says, session_id, thinks
from model_server import usage
from ours import create
from samples import assistant, user
from test_histories import compacted, fork
from test_sub_agents import ALONE, HEIR, ROOT, calls, revert, three_turns, waits

from rolloutlog import RolloutRecorder, tables

pytestmark = [pytest.mark.interop, pytest.mark.once]
arrow = pytest.importorskip("pyarrow")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """All requests that arrive at the model's server during the test, each with the tokens that it says they cost."""
    arrived: list[dict[str, Any]] = []
    run = cage.run

    def counted(order: cage.Order) -> cage.Outcome:
        outcome = run(order)
        arrived.extend({**request, "cost": usage(number)} for number, request in enumerate(outcome.requests))
        return outcome

    monkeypatch.setattr(cage, "run", counted)
    return arrived


def rows(home: Path, **options: Any) -> list[dict[str, Any]]:
    """Return the rows of all sessions in *home*."""
    return [row for batch in tables.entries(home, **options).batches() for row in batch.to_pylist()]


def is_counted(codex: Codex, requests: list[dict[str, Any]]) -> None:
    """Assert that each of *requests* is one row of the home, and that sessions add up to the same."""
    told = rows(codex.home, kinds={"usage"})
    sessions = arrow.table(tables.sessions(codex.home)).to_pylist()

    assert requests
    costs = sorted((request["cost"]["input_tokens"], request["cost"]["output_tokens"]) for request in requests)
    assert sorted((row["input_tokens"], row["output_tokens"]) for row in told) == costs
    assert sum(row["input_tokens"] for row in sessions) == sum(read for read, _ in costs)
    # The first releases with envelopes do not write which model a turn has, so no row says it.
    is_told = any(b'"turn_context"' in path.read_bytes() for path in codex.rollouts())
    assert {row["model"] for row in told} == ({request["model"] for request in requests} if is_told else {None})


def test_tokens_of_a_session(envelope: Codex, requests: list[dict[str, Any]]) -> None:
    """Of two turns, of which the first has a call; each release that writes envelopes counts them in its way."""
    call = envelope.shell_calls("echo yes", "call_w")[:1]
    rollout, _ = envelope.begin("hi", [call, [says("ho")]])
    envelope.resume(rollout, "more")

    is_counted(envelope, requests)


def test_files_without_tokens_have_no_row_of_them(flat: Codex, requests: list[dict[str, Any]]) -> None:
    """The flat format has no place for what a request cost, so nothing is guessed."""
    flat.begin("hi", [[says("ho")]])

    assert requests
    assert rows(flat.home, kinds={"usage"}) == []


def test_tokens_and_calls_of_a_session_and_its_sub_agents(newest: Codex, requests: list[dict[str, Any]]) -> None:
    """One sub-agent has a copy of its parent's history, and one has none."""
    alone = calls("spawn_agent", "call_alone", task_name="alone", message="count", fork_turns="none")
    heir = calls("spawn_agent", "call_heir", task_name="heir", message="name them")
    replies = {
        ROOT: [[thinks("they help"), alone, waits("call_w1")], [heir, waits("call_w2")], [says("done")]],
        ALONE: [[in_function("exec_command", {"cmd": "exit 4"}, "call_a")], [says("seven")]],
        HEIR: [[in_function("exec_command", {"cmd": "exit 0"}, "call_h")], [says("a and b")]],
    }

    newest.run([], "use agents", replies)

    is_counted(newest, requests)
    found = [row["call_id"] for row in rows(newest.home, kinds={"tool_call"})]
    assert sorted(found) == ["call_a", "call_alone", "call_h", "call_heir", "call_w1", "call_w2"]
    kinds = [row["kind"] for row in arrow.table(tables.sessions(newest.home)).to_pylist()]
    assert sorted(kinds) == ["subagent", "subagent", "user"]


def test_tokens_of_a_fork_that_refers_to_its_parent(newest: Codex, requests: list[dict[str, Any]]) -> None:
    """Its totals begin with those of its parent."""
    parent, _ = newest.begin("hi", [[says("ho")]])
    child = fork(newest, parent)
    newest.resume(parent, "not in the fork")
    newest.resume(child, "in the fork")

    is_counted(newest, requests)


def test_tokens_of_a_fork_with_a_copy_of_its_parent(newest: Codex, requests: list[dict[str, Any]]) -> None:
    """The copy holds what the parent's requests cost, as events and as records."""
    with create(newest) as recorder:
        recorder.record(user("before"), assistant("said"))
    newest.resume(recorder.path, "more")
    child = fork(newest, recorder.path)
    newest.resume(child, "in the fork")

    assert b'"token_count"' in recorder.path.read_bytes()
    assert child.read_bytes().count(b'"token_count"') > recorder.path.read_bytes().count(b'"token_count"')
    is_counted(newest, requests)
    assert len(rows(newest.home, kinds={"usage"}, inherited=True)) >= len(requests)


def test_tokens_of_turns_that_were_taken_back(newest: Codex, requests: list[dict[str, Any]]) -> None:
    """They were spent, though the session continues in another file without them; it is one session."""
    made = revert(newest, three_turns(newest), 1)
    newest.resume(made, "instead")

    is_counted(newest, requests)
    (session,) = arrow.table(tables.sessions(newest.home)).to_pylist()
    assert (session["session_id"], session["path"]) == (session_id(made), str(made))


def test_tokens_of_a_review(rewriting: Codex, requests: list[dict[str, Any]]) -> None:
    """It is a session of its own, in each release that has the command."""
    rewriting.run(["review"], "look at it", [[thinks("hm"), says("it is fine")]])

    is_counted(rewriting, requests)
    kinds = [row["kind"] for row in arrow.table(tables.sessions(rewriting.home)).to_pylist()]
    assert sorted(kinds) == ["review", "user"]


def test_tokens_of_a_session_that_was_compacted(rewriting: Codex, requests: list[dict[str, Any]]) -> None:
    """The request for the summary counts."""
    compacted(rewriting)

    is_counted(rewriting, requests)
    assert len(rows(rewriting.home, kinds={"compaction"})) == 1


def test_an_exit_code_is_that_of_the_command(codex: Codex) -> None:
    """In every way in which a release lets its model run a command, and in which it records the output."""
    fails, works = codex.shell_calls("echo no; exit 3", "call_f"), codex.shell_calls("echo yes", "call_w")
    codex.begin("hi", [fails, works, [says("ho")]])

    told = [(row["exit_code"], row["is_error"]) for row in rows(codex.home, kinds={"tool_output"})]

    assert told[: len(fails)] == [(3, True)] * len(fails)
    assert told[len(fails) :] == [(0, False)] * len(works)


def test_a_call_that_is_not_known_failed(codex: Codex) -> None:
    """Each release says so in its words."""
    codex.begin("hi", [[in_function("no_such_tool", {}, "call_1")], [says("ho")]])

    (row,) = rows(codex.home, kinds={"tool_output"})

    assert (row["name"], row["exit_code"], row["is_error"]) == ("no_such_tool", None, True)


def test_the_name_of_a_call_that_a_fork_answers(newest: Codex) -> None:
    """The call is in the parent's file, at which the fork's history ends."""
    parent, _ = newest.begin("hi", [[says("ho")]])
    recorder, _ = RolloutRecorder.resume(parent)
    with recorder:
        recorder.record({"type": "function_call", "name": "tides", "arguments": "{}", "call_id": "call_1"})
    child = fork(newest, parent)
    recorder, _ = RolloutRecorder.resume(child)
    with recorder:
        recorder.record({"type": "function_call_output", "call_id": "call_1", "output": "high"})

    found = [row for row in rows(newest.home, kinds={"tool_output"}) if row["path"] == str(child)]

    assert "tides" in [row["name"] for row in found], json.dumps(found, default=str)
