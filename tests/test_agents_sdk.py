"""A rollout as a session of the Agents SDK: it works like the SDK's SQLite session, through kills, append-only."""

# ruff: noqa: E402 - the imports below need the SDK
from __future__ import annotations

import asyncio
import itertools
import json
import signal
from itertools import pairwise
from typing import Any

import pytest

agents = pytest.importorskip("agents", reason="the extra `agents` is not installed")

import sdk_agent
import sdk_conversation
from agents.memory import Session, SessionSettings, SQLiteSession
from api_server import ResponsesServer
from helpers import DEADLINE, finish, lines_in, start
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage
from sdk_conversation import ANSWER, OUTPUT, SAID, THOUGHT, ask, guide, reply
from test_layering import run_fresh

import rolloutlog
from rolloutlog.adapters import _conversation
from rolloutlog.adapters.agents import RolloutSession
from rolloutlog.exceptions import InvalidItemError, RecorderClosedError, SessionLockedError

HELLO = {"role": "user", "content": "Hello ☀"}
CALL = sdk_conversation.CALL | {"id": "fc_1"}


@pytest.fixture(autouse=True)
def no_tracing(monkeypatch):
    """Keep the SDK from sending traces to its vendor."""
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    agents.set_tracing_disabled(True)


# --- as the SDK's own session -----------------------------------------------------------------------------------------

NUMBERS = itertools.count()  # for names: each example has a session of its own
TEXT = st.text(max_size=8)
ID = st.sampled_from(["a", "b", "c"])
FREE = st.dictionaries(
    TEXT, st.none() | st.booleans() | TEXT | st.lists(st.none() | st.integers(0, 9), max_size=2), max_size=2
)
ITEMS = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "assistant"]), "content": TEXT}),
    st.fixed_dictionaries({"type": st.just("message"), "role": st.just("user"), "content": TEXT}),
    st.builds(lambda text: {"role": "user", "content": [{"type": "input_text", "text": text}]}, TEXT),
    st.builds(lambda text: SAID | {"content": [{"type": "refusal", "refusal": text}]}, TEXT),
    st.builds(lambda call_id: CALL | {"call_id": call_id}, ID),
    st.builds(lambda call_id, text: OUTPUT | {"call_id": call_id, "output": text}, ID, TEXT),
    st.builds(lambda call_id, text: OUTPUT | {"output": [{"type": "input_text", "text": text}]}, ID, TEXT),
    st.builds(lambda item_id, text: THOUGHT | {"id": item_id, "encrypted_content": text}, ID, TEXT),
    st.builds(lambda free: {"type": "tool_search_call", "id": "ts_1", "arguments": free}, FREE),
    st.builds(lambda item_id: {"id": item_id}, ID),
    st.just({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": None}),
)
CALLS = st.one_of(
    st.tuples(st.just("add_items"), st.lists(ITEMS, max_size=3)),
    st.just(("pop_item",)),
    st.just(("clear_session",)),
    st.tuples(st.just("get_items"), st.none() | st.integers(-1, 4)),
)


@settings(max_examples=100)
@given(calls=st.lists(CALLS, max_size=8), limit=st.none() | st.integers(0, 3))
def test_any_calls_answer_as_a_sqlite_session_does(calls, limit):
    """For any sequence of adds, pops, clears and reads, the results equal those of the SDK's SQLite session."""

    async def compare() -> None:
        theirs = SQLiteSession("model", session_settings=SessionSettings(limit=limit))
        ours = RolloutSession(f"calls {next(NUMBERS)}", session_settings=SessionSettings(limit=limit))
        try:
            for method, *arguments in [*calls, ("get_items",), ("get_items", -1)]:
                expected = await getattr(theirs, method)(*arguments)

                assert await getattr(ours, method)(*arguments) == expected
        finally:
            theirs.close()
            ours.close()

    asyncio.run(compare())


@settings(max_examples=40)
@given(added=st.lists(ITEMS, max_size=5).map(lambda added: [*added, OUTPUT]))
def test_any_items_come_back_from_a_later_process_as_they_were_given(added):
    """The file alone holds all of it, except reasoning at the very end, which another test covers."""
    name = f"items {next(NUMBERS)}"

    async def fill() -> None:
        async with RolloutSession(name) as session:
            await session.add_items(added)

    async def look() -> list[Any]:
        async with RolloutSession(name) as session:
            return await session.get_items()

    asyncio.run(fill())

    assert asyncio.run(look()) == added


def test_it_is_a_session_to_the_sdk():
    """It matches the SDK's protocol, which the SDK checks at run time in places."""
    assert isinstance(RolloutSession("protocol"), Session)


def test_settings_may_be_a_dict(home):
    """Like those of the SDK's own sessions; unknown settings are refused at once."""

    async def use() -> Any:
        async with RolloutSession("settings", session_settings={"limit": 1}) as session:
            await session.add_items([HELLO, SAID])
            first = await session.get_items()
            session.session_settings = {"limit": 2}
            return first, await session.get_items(), session.session_settings

    assert asyncio.run(use()) == ([SAID], [HELLO, SAID], SessionSettings(limit=2))
    with pytest.raises(TypeError):
        RolloutSession("settings", session_settings={"most": 1})


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_what_is_popped_and_cleared_stays_in_the_file(home):
    """The file only grows: a pop and a clear are recorded as lines."""

    async def use() -> list[bytes]:
        async with RolloutSession("append only") as session:
            states = []
            for step in (session.add_items([HELLO, SAID]), session.pop_item(), session.clear_session()):
                await step
                states.append(session.path.read_bytes())
            return states

    states = asyncio.run(use())

    assert all(later.startswith(earlier) for earlier, later in pairwise(states))
    added = [json.loads(line) for line in states[-1].splitlines()[3:]]
    assert [(line["type"], line["logger"], line["message"], line["extra"]) for line in added] == [
        ("log", "rolloutlog", "the last item was taken back", {"taken_back": 1}),
        ("log", "rolloutlog", "all items were taken back", {"taken_back": "all"}),
    ]


def test_an_empty_session_has_nothing_to_take_back(home):
    """Popping and clearing an empty session return nothing and write nothing."""

    async def use() -> Any:
        async with RolloutSession("empty") as session:
            await session.clear_session()
            return await session.pop_item(), session.path

    popped, path = asyncio.run(use())

    assert popped is None
    assert len(lines_in(path)) == 1


def test_the_rollout_is_one_like_any_other(home):
    """Every reader gets the items in the form that the API accepts, without the adapter's key."""

    async def use() -> Any:
        async with RolloutSession("readable") as session:
            await session.add_items([HELLO, THOUGHT, CALL, OUTPUT, SAID])
            return session.path

    saved = rolloutlog.load_session(asyncio.run(use()))

    assert saved.session.extra["name"] == "readable"
    assert saved.skipped == []
    long = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello ☀"}]}
    # The last answer has no reasoning of its own, so its id could name reasoning that is missing: it goes without.
    said = {key: value for key, value in SAID.items() if key != "id"}
    assert saved.to_input() == [long, THOUGHT, CALL, OUTPUT, said]


def test_redaction_does_not_bring_back_what_was_taken_back(home):
    """A hook that drops log entries and masks text gets the items, and not the lines that take some back."""

    def redact(record: dict[str, Any]) -> dict[str, Any] | None:
        if record.get("type") == "log":
            return None
        for part in record.get("content", ()):
            part["text"] = "█"
        return record

    async def use() -> Any:
        async with RolloutSession("secret", redact=redact) as session:
            await session.add_items([HELLO, SAID])
            await session.pop_item()
            return await session.get_items()

    assert asyncio.run(use()) == [{"role": "user", "content": "█"}]


def test_reasoning_torn_from_what_it_led_to_is_taken_back(home):
    """A kill within a batch may leave reasoning at the end; it must not seem to lead to the next item."""

    async def use(items: list[Any]) -> Any:
        async with RolloutSession("torn") as session:
            await session.add_items(items)
            return await session.get_items()

    asyncio.run(use([HELLO, THOUGHT]))

    assert asyncio.run(use([SAID])) == [HELLO, SAID]
    assert asyncio.run(use([])) == [HELLO, SAID]


def test_an_item_that_would_not_come_back_is_refused(home):
    """If one of several items is not valid, none is added, and the error names the place."""

    async def use() -> Any:
        async with RolloutSession("broken") as session:
            with pytest.raises(InvalidItemError, match=r"function_call\.name"):
                await session.add_items([HELLO, {"type": "function_call", "call_id": "c", "arguments": "{}"}])
            return await session.get_items()

    assert asyncio.run(use()) == []


# --- who may use it ---------------------------------------------------------------------------------------------------


def test_objects_of_one_process_see_the_same_items(home):
    """A server that makes an object for each request loses nothing, and sees nothing twice."""

    async def use() -> Any:
        async with RolloutSession("shared") as first, RolloutSession("shared") as second:
            await first.add_items([HELLO])
            await second.add_items([SAID])
            popped = await first.pop_item()
            return popped, await second.get_items()

    assert asyncio.run(use()) == (SAID, [HELLO])


def test_another_process_is_refused(home):
    """Two processes cannot use one conversation; the first use raises the error."""
    holder = start(sdk_agent.hold, "taken")
    assert holder.stdout.readline() == "open\n"

    with pytest.raises(SessionLockedError):
        asyncio.run(RolloutSession("taken").get_items())
    finish(holder, said="\n")


def test_a_session_is_not_shared_between_processes():
    """A pop could take back an item of another process, so ``shared=True`` is refused."""
    with pytest.raises(ValueError, match="shared=True"):
        RolloutSession("x", shared=True)


def test_a_session_needs_an_id():
    """An empty id raises an error at once."""
    with pytest.raises(ValueError, match="not empty"):
        RolloutSession("")


def test_a_session_that_was_never_used_leaves_no_file(home):
    """Creating and closing an object creates no file; using it after that raises an error."""
    with RolloutSession("unused") as session:
        assert session.path is None

    with pytest.raises(RecorderClosedError):
        asyncio.run(session.get_items())
    assert not home.exists()


def test_importing_the_adapter_imports_no_sdk():
    """Neither the Agents SDK nor the OpenAI SDK is imported."""
    code = "import sys, rolloutlog.adapters.agents; print(*sys.modules, sep='\\n')"

    assert not {"agents", "openai"} & set(run_fresh(code).splitlines())


# --- the event loop ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get_items", "pop_item", "clear_session"])
def test_nothing_waits_on_the_event_loop(home, method):
    """While a call waits for access to the file, other tasks run."""

    async def use() -> None:
        async with RolloutSession("patient") as session:
            await session.add_items([HELLO])
            went_on = asyncio.Event()
            with _conversation._files[session.path].turn:
                call = asyncio.create_task(getattr(session, method)())
                asyncio.get_running_loop().call_soon(went_on.set)
                await asyncio.wait_for(went_on.wait(), DEADLINE)

                assert not call.done()
            await asyncio.wait_for(call, DEADLINE)

    asyncio.run(use())


def test_a_cancelled_call_ends_when_it_is_done(home):
    """Cancelled during the write, `add_items` raises only after it, so no items appear later."""

    async def use() -> Any:
        async with RolloutSession("cancelled") as session:
            with _conversation._files[session.path].turn:
                call = asyncio.create_task(session.add_items([HELLO]))
                await asyncio.sleep(0)  # lets it begin
                call.cancel()
                done, _ = await asyncio.wait({call}, timeout=0)
                assert not done
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(call, DEADLINE)
            return await session.get_items()

    assert asyncio.run(use()) == [HELLO]


# --- with the SDK's runner --------------------------------------------------------------------------------------------


class StubModel(agents.Model):
    """A model that returns one reply after the other, and keeps its inputs."""

    def __init__(self, *replies: list[Any]) -> None:
        self.replies = list(replies)
        self.inputs: list[list[Any]] = []

    async def get_response(self, system_instructions: str | None, input: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the next reply."""
        self.inputs.append(list(input))
        return agents.ModelResponse(output=self.replies.pop(0), usage=agents.Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse to stream."""
        raise NotImplementedError


def test_a_later_run_is_shown_what_an_earlier_one_said(home):
    """The model of a second process gets the first question, call, output and answer before the second question."""
    said, call = ResponseOutputMessage(**SAID), ResponseFunctionToolCall(**CALL)

    async def run(question: str, model: StubModel) -> Any:
        async with RolloutSession("runs") as session:
            return (await agents.Runner.run(guide(model), question, session=session)).final_output

    asyncio.run(run("Is it open?", StubModel([call], [said])))
    second = StubModel([said])
    answer = asyncio.run(run("And now?", second))

    assert answer == ANSWER
    asked = {"role": "user", "content": "Is it open?"}, {"role": "user", "content": "And now?"}
    assert second.inputs == [[asked[0], CALL, OUTPUT, SAID, asked[1]]]


@pytest.mark.parametrize("stream", [False, True])
def test_a_run_against_the_api_keeps_its_history(home, stream):
    """Streamed or not, the second question is sent with the whole history, and the API accepts it."""
    with ResponsesServer(reply) as server:
        answers = [asyncio.run(ask(server.url, question, stream=stream)) for question in ("Is it open?", "Now?")]

    assert answers == [ANSWER, ANSWER]
    assert not server.refusals
    said = [item.get("type", item.get("role")) for item in server.accepted[-1]]
    called = ["user", "reasoning", "function_call", "function_call_output"]
    assert said == [*called, "reasoning", "message", *called]


@pytest.mark.slow
def test_the_api_takes_the_history_after_a_cut_anywhere(home, tmp_path, monkeypatch):
    """From a rollout cut at or within any line, the next question is answered; the API refuses no request."""
    with ResponsesServer(reply) as server:
        asyncio.run(ask(server.url, "Is it open?"))
        path = next(rolloutlog.find_sessions(home)).path
        rollout = path.read_bytes()
        ends = [place + 1 for place, byte in enumerate(rollout) if byte == 0x0A]
        cuts = sorted({cut for begin, end in pairwise(ends) for cut in (begin, (begin + end) // 2, end - 1)})
        for cut in cuts:
            left = tmp_path / str(cut) / path.relative_to(home)
            left.parent.mkdir(parents=True)
            left.write_bytes(rollout[:cut])
            monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path / str(cut)))

            assert asyncio.run(ask(server.url, "Is it open?")) == ANSWER
            assert left.read_bytes().startswith(rollout[:cut])

    assert len(cuts) > 12
    assert not server.refusals


@pytest.mark.slow
def test_a_conversation_resumes_after_its_process_was_killed(home):
    """Killed with SIGKILL while the model works on a tool's output, the program asks again and is answered."""
    processes: list[Any] = []

    def deadly_reply(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(processes) == 1 and history[-1].get("type") == "function_call_output":
            processes[0].kill()
        return reply(history)

    with ResponsesServer(deadly_reply) as server:
        for _ in range(2):
            processes.append(start(sdk_conversation.main, server.url))
            printed, errors = processes[-1].communicate(timeout=DEADLINE)

    assert [process.returncode for process in processes] == [-signal.SIGKILL, 0], errors
    assert printed == ANSWER
    assert not server.refusals
    assert [item["type"] for item in server.accepted[-1][1:4]] == ["reasoning", "function_call", "function_call_output"]
