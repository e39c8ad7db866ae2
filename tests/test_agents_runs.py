"""Runs of the Agents SDK leave the same items in a rollout as in the SDK's own SQLite session."""

# ruff: noqa: E402 - the imports below need the SDK
from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

agents = pytest.importorskip("agents", reason="the extra `agents` is not installed")

import openai
from agents import Agent, RunConfig, Runner, RunState
from agents.memory import OpenAIResponsesCompactionSession, SessionSettings, SQLiteSession
from agents.run_internal.session_persistence import rewind_session_items
from api_schema import Refusal
from api_server import Item, ResponsesServer
from sdk_conversation import SAID, hours

from rolloutlog.adapters.agents import RolloutSession


@pytest.fixture(autouse=True)
def no_tracing(monkeypatch):
    """Keep the SDK from sending traces to its vendor."""
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    agents.set_tracing_disabled(True)


@agents.function_tool(needs_approval=True)
def dig() -> str:
    """Dig at a place, which needs an approval."""
    return "a coin"


@agents.function_tool
def fall() -> str:
    """Fail."""
    raise ValueError("it rains")


@agents.input_guardrail
async def no_evil(_context: Any, _agent: Any, asked: Any) -> Any:
    """Stop a run whose question contains evil."""
    last = asked if isinstance(asked, str) else asked[-1]["content"]
    return agents.GuardrailFunctionOutput(output_info=None, tripwire_triggered=last == "evil")


class Replies:
    """A model of *turns*: in each it calls the named tools one after the other, and then answers."""

    def __init__(self, turns: list[str]) -> None:
        self._turns = list(turns)
        self._number = 0

    def __call__(self, _history: list[Item]) -> list[Item]:
        """Return the next reply."""
        self._number += 1
        number = self._number
        thought = {"type": "reasoning", "id": f"rs_{number}", "summary": [], "encrypted_content": "gAAAAB0"}
        names = self._turns.pop(0).split() if self._turns else []
        calls = [
            {"type": "function_call", "id": f"fc_{number}_{place}", "call_id": f"call_{number}_{place}"}
            | {"name": name, "arguments": '{"input":"go"}' if name == "ask" else "{}", "status": "completed"}
            for place, name in enumerate(names)
        ]
        return [thought, *(calls or [SAID | {"id": f"msg_{number}"}])]


class Server(ResponsesServer):
    """The loopback API, which at first refuses a set number of requests because the conversation is locked."""

    locked = 0

    def respond(self, request: dict[str, Any]) -> list[Item] | Refusal:
        """Return the next reply, or the error that the conversation is locked."""
        if self.locked:
            self.locked -= 1
            return Refusal("Another process is operating on this conversation.", "input", "conversation_locked")
        return super().respond(request)


Scenario = Callable[[Any, Any], Awaitable[object]]


def agent(model: Any, **changes: Any) -> Any:
    """Return an agent with all tools."""
    return Agent(**{"name": "Guide", "model": model, "tools": [hours, dig, fall], **changes})


async def stream(*args: Any, **kwargs: Any) -> Any:
    """Run a stream to its end."""
    result = Runner.run_streamed(*args, **kwargs)
    async for _ in result.stream_events():
        pass
    return result


async def two_questions(model: Any, session: Any) -> object:
    """The second question comes with the first and its answer."""
    await Runner.run(agent(model), "one", session=session)
    return (await Runner.run(agent(model), "two", session=session)).final_output


async def two_streams(model: Any, session: Any) -> object:
    """The same, streamed."""
    await stream(agent(model), "one", session=session)
    return (await stream(agent(model), "two", session=session)).final_output


async def a_guardrail(model: Any, session: Any) -> object:
    """A run that a guardrail stops, and one that it lets pass."""
    careful = agent(model, input_guardrails=[no_evil])
    with pytest.raises(agents.InputGuardrailTripwireTriggered):
        await Runner.run(careful, "evil", session=session)
    return (await Runner.run(careful, "good", session=session)).final_output


async def too_many_turns(model: Any, session: Any) -> object:
    """A run that ends before the model does, and one that continues."""
    with pytest.raises(agents.MaxTurnsExceeded):
        await Runner.run(agent(model), "one", session=session, max_turns=1)
    return (await Runner.run(agent(model), "go on", session=session)).final_output


async def an_approval(model: Any, session: Any) -> object:
    """A run that waits for an approval, is serialized as JSON, and is resumed."""
    digger = agent(model)
    waiting = (await Runner.run(digger, "dig", session=session)).to_state().to_json()
    state = await RunState.from_json(digger, json.loads(json.dumps(waiting)))
    state.approve(state.get_interruptions()[0])
    return (await Runner.run(digger, state, session=session)).final_output


async def a_choice_of_history(model: Any, session: Any) -> object:
    """A callback and settings choose the part of the history that the model sees."""
    latest = RunConfig(session_input_callback=lambda history, new: [*history[-2:], *new])
    few = RunConfig(session_settings=SessionSettings(limit=2))
    for number, config in enumerate((None, latest, few)):
        result = await Runner.run(agent(model), str(number), session=session, run_config=config)
    return result.final_output


async def an_agent_as_a_tool(model: Any, session: Any) -> object:
    """An agent and its tool, which is another agent, use one session."""
    tool = agent(model, name="Other").as_tool("ask", "Ask another one.", session=session)
    return (await Runner.run(agent(model, tools=[tool]), "one", session=session)).final_output


async def a_rewind(model: Any, session: Any) -> object:
    """Before it tries again, the SDK pops the items that it added, and expects exactly those."""
    await session.add_items([{"type": "reasoning", "id": "rs_0", "summary": [], "content": None}, SAID])
    await rewind_session_items(session, await session.get_items())
    return len(await session.get_items())


RUNS: list[tuple[Scenario, list[str]]] = [
    (two_questions, ["hours", "", "hours hours fall"]),
    (two_streams, ["hours", "", "hours hours fall"]),
    (a_guardrail, []),
    (too_many_turns, ["hours", "hours"]),
    (an_approval, ["dig"]),
    (a_choice_of_history, ["hours"]),
    (an_agent_as_a_tool, ["ask", "", ""]),
    (a_rewind, []),
]


@pytest.mark.parametrize(("scenario", "turns"), RUNS, ids=[scenario.__name__ for scenario, _ in RUNS])
def test_a_run_leaves_what_it_leaves_in_a_sqlite_session(home, tmp_path, scenario, turns):
    """The same answer, requests and items; and the API refuses no request."""
    theirs = left_by(scenario, turns, SQLiteSession("run", tmp_path / "run.db"))
    ours = left_by(scenario, turns, RolloutSession("run"))

    assert ours == theirs


def test_a_run_that_is_tried_again_leaves_nothing_twice(home, tmp_path):
    """A locked API is asked again; the question is in the file once."""
    theirs = left_by(two_questions, [], SQLiteSession("run", tmp_path / "run.db"), locked=1)
    ours = left_by(two_questions, [], RolloutSession("run"), locked=1)

    assert ours == theirs
    assert [item.get("role") for item in ours[1]].count("user") == 2


def test_a_session_that_compacts_may_stand_around_it(home, tmp_path):
    """The SDK's compaction replaces the items by a summary, and the next question is sent with that."""
    theirs = left_by(two_questions, ["hours"], SQLiteSession("run", tmp_path / "run.db"), around=compacting)
    ours = left_by(two_questions, ["hours"], RolloutSession("run"), around=compacting)

    assert ours == theirs
    assert [item["type"] for item in ours[1]] == ["compaction"]


def compacting(session: Any) -> Any:
    """Return a session around *session* that compacts after each run."""

    async def compact(**_: Any) -> Any:
        return SimpleNamespace(output=[{"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAB0"}])

    client: Any = SimpleNamespace(responses=SimpleNamespace(compact=compact))
    return OpenAIResponsesCompactionSession(
        "run", session, client=client, should_trigger_compaction=lambda _: True, compaction_mode="input"
    )


def test_a_session_that_encrypts_may_stand_around_it(home, tmp_path):
    """It stores items that are neither messages nor calls, and reads them back unchanged."""
    memory = pytest.importorskip("agents.extensions.memory")
    pytest.importorskip("cryptography")

    def encrypting(session: Any) -> Any:
        return memory.EncryptedSession("run", session, "a key", ttl=3600)

    theirs = left_by(two_questions, ["hours"], SQLiteSession("run", tmp_path / "run.db"), around=encrypting)
    ours = left_by(two_questions, ["hours"], RolloutSession("run"), around=encrypting)

    assert ours == theirs


def left_by(
    scenario: Scenario,
    turns: list[str],
    session: Any,
    *,
    locked: int = 0,
    around: Callable[[Any], Any] = lambda session: session,
) -> tuple[object, list[Any], list[list[Item]]]:
    """Return the outcome of *scenario* with *session*: its result, the items, and the requests to the API."""

    async def run(url: str) -> tuple[object, list[Any]]:
        used = around(session)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as api:
            result = await scenario(agents.OpenAIResponsesModel(model="m", openai_client=api), used)
        return result, await used.get_items()

    with closing(session), Server(Replies(turns)) as server:
        server.locked = locked
        result, items = asyncio.run(run(server.url))
    assert not server.refusals
    return result, items, server.accepted
