"""Sessions that the newest release begins by itself, and those with turns taken back: their parents and views."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cage import Outcome
from codex import Codex, in_custom_tool, in_function, says, session_id, thinks
from expected import as_input, expected_history, history, items_in, plain, said
from model_server import Item, agent_of
from samples import assistant, user

from rolloutlog import RolloutRecorder, find_sessions, load_session

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"
ROOT, ALONE, HEIR = "/root", "/root/alone", "/root/heir"


def calls(name: str, call_id: str, **arguments: Any) -> Item:
    """Return the model's call of a tool for communication between agents."""
    return {**in_function(name, arguments, call_id), "namespace": "collaboration"}


# In one reply with the message to the other agent, so that the wait begins before that agent is done.
def waits(call_id: str) -> Item:
    """Return the model's call that waits until another agent is done."""
    return calls("wait_agent", call_id, timeout_ms=10_000)


@pytest.fixture
def team(newest: Codex) -> dict[str, Path]:
    """The rollouts of an agent and of the two that it spawned: one with its history, and one without."""
    alone = calls("spawn_agent", "call_alone", task_name="alone", message="count", fork_turns="none")
    more = calls("send_message", "call_more", target="alone", message="more")
    heir = calls("spawn_agent", "call_heir", task_name="heir", message="name them")
    script = "text(await tools.exec_command({cmd: 'echo hi'}));"
    newest.run(
        [],
        "use agents",
        {
            ROOT: [[thinks("they help"), alone, more, waits("call_w1")], [heir, waits("call_w2")], [says("done")]],
            ALONE: [[thinks("hm"), in_custom_tool("exec", script, "call_a")], [says("seven")], [says("eight")]],
            HEIR: [[thinks("hm"), in_custom_tool("exec", script, "call_h")], [says("a and b")]],
        },
    )
    return {load_session(path).session.extra.get("agent_path", ROOT): path for path in newest.rollouts()}


def test_each_agent_has_a_session_that_names_its_parent(newest: Codex, team: dict[str, Path]) -> None:
    """Every line of each is read, all are listed, and a program can tell which of them people began."""
    found = {session.path: load_session(session).session for session in find_sessions(newest.home)}

    assert {name: found[path].parent_id for name, path in team.items()} == {
        ROOT: None,
        ALONE: session_id(team[ROOT]),
        HEIR: session_id(team[ROOT]),
    }
    assert [name for name, path in team.items() if "subagent" in found[path].extra["source"]] == [ALONE, HEIR]
    for path in team.values():
        saved = load_session(path)
        assert saved.skipped == []
        assert [item.to_dict() for item in saved.items] == items_in(path, newest.release)


def test_a_sub_agent_that_has_its_parents_history_counts_it_once(newest: Codex, team: dict[str, Path]) -> None:
    """Codex marks the end of the copied history by the number of a line, and we by the number of items."""
    lines = list(map(json.loads, team[HEIR].read_bytes().splitlines()))
    first = lines[0]["payload"]["subagent_history_start_ordinal"]

    saved = load_session(team[HEIR])

    assert saved.inherited == sum(line["type"] == "response_item" for line in lines if line["ordinal"] < first)
    assert said([item.to_dict() for item in saved.items[: saved.inherited]]) == ["use agents"]
    assert said([item.to_dict() for item in saved.items[saved.inherited :]]) == ["a and b"]
    assert [parent.id for parent in saved.parents] == [session_id(team[ROOT])]
    assert load_session(team[ALONE]).inherited == 0


@pytest.mark.parametrize("ours", [[], [user("of ours"), assistant("noted")]], ids=["theirs", "ours"])
def test_we_see_each_agent_as_it_is_sent_when_its_parent_continues(
    newest: Codex, team: dict[str, Path], ours: list[Item]
) -> None:
    """A sub-agent is resumed through its parent only; items that we record in its session are sent too."""
    for path in team.values():
        recorder, _ = RolloutRecorder.resume(path)
        with recorder:
            recorder.record(*ours)
    seen = {name: inputs(newest, path) for name, path in team.items()}
    alone, heir = (calls("followup_task", f"call_{name}", target=name, message="again") for name in ("alone", "heir"))

    outcome = newest.resume(
        team[ROOT],
        PROMPT,
        {
            ROOT: [[alone, waits("call_w3")], [heir, waits("call_w4")], [says("done")]],
            ALONE: [[says("nine")]],
            HEIR: [[says("c")]],
        },
    )

    sent = first_of_each(outcome)
    assert sorted(sent) == sorted(seen)
    for name, items in seen.items():
        assert sent[name][: len(items)] == items
    for path in team.values():
        assert load_session(path).skipped == []


def test_a_sub_agent_is_not_resumed_by_itself(newest: Codex, team: dict[str, Path]) -> None:
    """As docs/interop.md says."""
    outcome = newest.resume(team[ALONE], PROMPT)

    assert "resume the parent first" in outcome.stderr
    assert outcome.requests == []


def test_a_review_is_a_session_of_its_own(newest: Codex) -> None:
    """Its parent holds the result; both are read, and both can be resumed."""
    newest.run(["review"], "look at it", [[thinks("hm"), says("it is fine")]])
    sessions = {load_session(path).session.parent_id: path for path in newest.rollouts()}
    parent = sessions.pop(None)

    ((of, review),) = sessions.items()

    assert of == session_id(parent)
    assert load_session(review).session.extra["source"] == {"subagent": "review"}
    assert (load_session(parent).skipped, load_session(review).skipped) == ([], [])
    for path in (parent, review):
        assert inputs(newest, path) == sent(newest, path)


# --- turns taken back -------------------------------------------------------------------------------------------------


def revert(codex: Codex, rollout: Path, turn: int) -> Path:
    """Have *codex* take back *turn* and all later ones in the session in *rollout*; return the new file."""
    begun = [json.loads(line)["payload"] for line in rollout.read_bytes().splitlines() if b'"task_started"' in line]
    before, session = set(codex.rollouts()), {"threadId": session_id(rollout)}
    codex.ask("thread/revert", {**session, "beforeTurnId": begun[turn]["turn_id"]}, first=[("thread/resume", session)])
    (made,) = set(codex.rollouts()) - before
    return made


def three_turns(codex: Codex) -> Path:
    """Return a session with three questions."""
    rollout, _ = codex.begin("one", [[says("first", "msg_1")]])
    codex.resume(rollout, "two", [[says("second", "msg_2")]])
    codex.resume(rollout, "three", [[says("third", "msg_3")]])
    return rollout


def test_we_see_a_session_that_continues_in_another_file_as_it_is_sent(newest: Codex) -> None:
    """When the newest release takes turns back, it begins another file that refers to the first."""
    older = three_turns(newest)
    made = revert(newest, older, 2)
    recorder, before = RolloutRecorder.resume(session_id(older), home=newest.home)
    with recorder:
        recorder.record(user("instead"))

    ours = inputs(newest, made)

    assert [(found.path, found.id) for found in find_sessions(newest.home)] == [(made, session_id(older))]
    assert (recorder.path, before.inherited, before.skipped) == (made, 0, [])
    assert said(ours) == ["one", "first", "two", "second", "instead"]
    assert ours == sent(newest, made)


def test_turns_are_taken_back_twice_and_forked_from_there(newest: Codex) -> None:
    """A file may refer to one that refers to another."""
    once = revert(newest, three_turns(newest), 2)
    newest.resume(once, "four", [[says("fourth", "msg_4")]])
    twice = revert(newest, once, 0)
    newest.resume(twice, "five", [[says("fifth", "msg_5")]])
    forked = newest.ask("thread/fork", {"threadId": session_id(twice)})["thread"]["id"]
    (fork,) = [path for path in newest.rollouts() if session_id(path) == forked]

    saved = load_session(fork)

    assert said([item.to_dict() for item in saved.items]) == ["one", "first", "two", "second", "five", "fifth"]
    assert (saved.inherited, saved.skipped) == (len(saved.items), [])
    assert inputs(newest, twice) == sent(newest, twice)
    assert inputs(newest, fork) == sent(newest, fork)


def inputs(codex: Codex, rollout: Path) -> list[Item]:
    """Return the input that the model gets, according to our reader."""
    items = load_session(rollout).to_input(orphans="keep")
    return expected_history(codex.release, list(map(as_input, items)))


def sent(codex: Codex, rollout: Path) -> list[Item]:
    """Resume *rollout* and return the history that the model gets, in the form that an API accepts."""
    outcome = codex.resume(rollout, PROMPT)
    assert outcome.returncode == 0, outcome.stderr
    return list(map(as_input, history(codex.release, outcome.requests[0], PROMPT)))


def first_of_each(outcome: Outcome) -> dict[str, list[Item]]:
    """Return the first input that each agent sent, in the form that an API accepts."""
    found: dict[str, list[Item]] = {}
    for request in outcome.requests:
        found.setdefault(agent_of(request), [as_input(plain(item)) for item in request["input"]])
    return found
