"""Objects of the OpenAI SDK are recorded unchanged, and `to_input` returns what the API accepts."""

# ruff: noqa: E402 - the imports below need the SDK
from __future__ import annotations

import datetime
import itertools
import json
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

openai = pytest.importorskip("openai", reason="the extra `openai` is not installed")

import api_schema
import pydantic
import sdk_agent
from api_schema import Refusal
from api_server import ResponsesServer
from helpers import DEADLINE, start
from hypothesis import HealthCheck, given, settings
from sdk_objects import OUTPUTS, inputs, objects, sdk_object

import rolloutlog


def client(server: ResponsesServer) -> Any:
    """Return the SDK's client, for which *server* is the API."""
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=DEADLINE)


def point_at(server: ResponsesServer, home: Any, patch: pytest.MonkeyPatch) -> None:
    """Let an agent of this process use *server*, and keep its session in *home*."""
    patch.setenv("OPENAI_BASE_URL", server.url)
    patch.setenv("OPENAI_API_KEY", "none")
    patch.setenv("ROLLOUTLOG_HOME", str(home))


def as_input(value: Any, declared: list[Any]) -> Any:
    """Return *value* as the SDK's input types define it: without unknown keys and optional nulls."""
    if isinstance(value, list):
        inside = [part for option in declared for part in api_schema.elements(option) or ()]
        return [as_input(part, inside) for part in value]
    shapes = [option for option in declared if api_schema.is_object(option)]
    meant = api_schema.fitting(value, shapes) if isinstance(value, dict) else []
    if not meant:
        return value
    known = api_schema.keys(max(meant, key=lambda shape: len(api_schema.keys(shape))))
    return {
        key: as_input(held, known[key][0])
        for key, held in value.items()
        if key in known and (value.get("type"), key) not in api_schema.REFUSED
        if held is not None or known[key][1]
    }


@pytest.mark.parametrize("kind", sorted(OUTPUTS))
def test_any_output_comes_out_as_what_the_api_takes(kind, home):
    """An object of each kind is returned as its `to_dict()`, without what the input types refuse."""
    with rolloutlog.session(kind) as session:

        @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
        @given(objects(kind))
        def check(output):
            session.record(output, wait=False)
            (taken,) = rolloutlog.to_input(session.items[-1:], orphans="keep")

            assert taken == as_input(output.to_dict(), api_schema.item_types())
            refusal = api_schema.refused_item(taken, "input[0]")
            # Some outputs have values that the input types do not list. We do not change values.
            assert refusal is None or refusal.code == "invalid_value"

        check()
        recorded = session.items
    assert rolloutlog.load_session(session.path).items == recorded


@pytest.mark.parametrize("shape", api_schema.item_types(), ids=lambda shape: shape.__name__)
def test_any_input_comes_out_as_it_was(shape, home):
    """Input of each type that the SDK has for it can be recorded and sent again."""
    with rolloutlog.session("inputs") as session:

        @settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
        @given(inputs(shape).filter(lambda given: "type" in given or "role" in given))
        def check(given):
            session.record(given, wait=False)
            (taken,) = rolloutlog.to_input(session.items[-1:], orphans="keep")

            assert without_nulls(taken) == without_nulls(in_full(given))

        check()
        recorded = session.items
    assert rolloutlog.load_session(session.path).items == recorded


def in_full(given: dict[str, Any]) -> dict[str, Any]:
    """Return *value*, input of a program, in our form: a short message in full, and without its id."""
    if given.get("type") == "reasoning":
        return {key: held for key, held in given.items() if key not in ("status", "content")}
    if given.get("type", "message") != "message":
        return given
    full = {"type": "message", **given}
    if isinstance(given["content"], str):
        kind = "output_text" if given["role"] == "assistant" else "input_text"
        full["content"] = [{"type": kind, "text": given["content"]}]
    return full


def without_nulls(value: Any) -> Any:
    """Return *value* without the keys that hold null, at any depth: some are required, but mean nothing."""
    if isinstance(value, dict):
        return {key: without_nulls(held) for key, held in value.items() if held is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


# --- what must survive, by name ---------------------------------------------------------------------------------------

NAMED = {
    "async": {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "async": True},
    "namespace": {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "c",
        "name": "f",
        "arguments": "",
        "namespace": "n",
    },
    "phase": {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "phase": "commentary",
        "content": [],
    },
    "encrypted_content": {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB"},
    "refusal": {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "refusal", "refusal": "No."}],
    },
    "list output": {
        "type": "function_call_output",
        "id": "fco_1",
        "call_id": "c",
        "status": "completed",
        "output": [
            {"type": "input_text", "text": "a map"},
            {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,iVBORw0KGgo="},
            {"type": "input_file", "file_id": "file_1"},
        ],
    },
    "output without a call": {
        "type": "function_call_output",
        "id": "fco_1",
        "status": "completed",
        "name": "create_thread",
        "namespace": "threads",
        "output": "created",
    },
    "required nulls": {
        "type": "code_interpreter_call",
        "id": "ci_1",
        "status": "completed",
        "container_id": "cntr_1",
        "code": None,
        "outputs": None,
    },
    "nulls in a schema": {
        "type": "mcp_list_tools",
        "id": "mcpl_1",
        "server_label": "maps",
        "tools": [{"name": "find", "input_schema": {"default": None}}],
    },
}


@pytest.mark.parametrize("sent", NAMED.values(), ids=NAMED)
def test_what_the_api_takes_back_survives(sent, home):
    """A key, a part or a null that the API accepts is there after a reload."""
    with rolloutlog.session("named") as session:
        session.record(sdk_object(sent))

    saved = rolloutlog.load_session(session.path)
    assert saved.skipped == []
    assert rolloutlog.to_input(saved.items, orphans="keep") == [sent]


def test_the_output_of_a_tool_without_a_call_is_not_an_orphan(home):
    """It answers no call, so it is kept although there is no call."""
    sent = NAMED["output without a call"]

    assert rolloutlog.to_input([sdk_object(sent)]) == [sent]


@pytest.mark.parametrize("sent", [{}, {"summary": None}], ids=["missing", "null"])
def test_reasoning_that_came_without_a_summary_has_an_empty_one(sent, home):
    """Some providers send none, but the API requires one in the input."""
    with rolloutlog.session("no summary") as session:
        session.record(sdk_object({"type": "reasoning", "id": "rs_1", **sent}))

    assert rolloutlog.load_session(session.path).to_input(orphans="keep") == [THOUGHT]


def test_what_only_answers_have_is_left_out_of_the_input_alone(home):
    """The rollout keeps the maker of an item and the status of reasoning; the input has neither."""
    output = {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "c", "output": "x"}
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
    with rolloutlog.session("answers") as session:
        session.record({**output, "status": "completed", "created_by": "user_1"}, {**reasoning, "status": "completed"})

    assert rolloutlog.to_input(session.items, orphans="keep") == [output, reasoning]
    assert b'"created_by":"user_1"' in session.path.read_bytes()
    assert session.items[1].extra == {"status": "completed"}


class Trip(pydantic.BaseModel):
    """A type that a program may ask the SDK to parse an answer into."""

    day: datetime.date


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # older SDKs warn about what parse() put there
def test_what_parse_returns_is_recorded_as_what_the_api_sent(home):
    """`parsed` and `parsed_arguments`, of any type, are the SDK's own copies; the rollout has none."""
    said = {"type": "output_text", "text": '{"day": "2026-05-01"}', "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [said]}
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": '{"day": "2026-05-01"}'}
    with ResponsesServer(lambda history: [message, call]) as server, rolloutlog.session("parse") as session:
        tools = [openai.pydantic_function_tool(Trip, name="f")["function"] | {"type": "function"}]
        with client(server) as api:
            parsed = api.responses.parse(model="m", input="When?", text_format=Trip, tools=tools)
        session.record(*parsed.output)

    assert parsed.output_parsed == Trip(day=datetime.date(2026, 5, 1))
    assert rolloutlog.to_input(session.items, orphans="keep") == [message, call]
    assert b"parsed" not in session.path.read_bytes()


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_other_objects_of_the_sdk_are_refused_with_the_right_one_to_record(home):
    """A whole response, its list, its text and the events of a stream are not written to the file."""
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []}
    with (
        ResponsesServer(lambda history: [message]) as server,
        client(server) as api,
        rolloutlog.session("mistakes") as session,
    ):
        response = api.responses.create(model="m", input="Hi")
        for mistake, word in [
            (response, r"record\(\*response.output\)"),
            (response.output, r"record\(\*items\)"),
            ("Hi", "a text needs a role"),
            *((event, r"record\(\*event.response.output\)") for event in api.responses.create(input="Hi", stream=True)),
        ]:
            with pytest.raises(rolloutlog.exceptions.InvalidItemError, match=word):
                session.record(mistake)

    assert session.items == []


def test_an_output_of_a_kind_that_the_sdk_does_not_know_yet_is_kept(home):
    """Whatever class the SDK uses for it."""
    sent = {"type": "hologram_call", "id": "h_1", "beam": {"x": [1, 2.5]}, "role": "assistant"}
    with (
        ResponsesServer(lambda history: [sent]) as server,
        client(server) as api,
        rolloutlog.session("hologram") as session,
    ):
        session.record(*api.responses.create(model="m", input="Hi").output)

    assert session.to_input() == [sent]


# --- streams ----------------------------------------------------------------------------------------------------------


def test_the_final_response_of_a_stream_records_the_same(home):
    """A whole response, an event stream and the SDK's stream helper leave the same lines."""
    history = [{"role": "user", "content": "Plan a day in Rome"}]
    asked = {"model": "m", "input": history}
    for turn in range(3):
        recorded = []
        for way in (at_once, by_events, by_helper):
            with ResponsesServer(sdk_agent.Model(first=turn)) as server, client(server) as api:
                output = way(api.responses, asked)
            with rolloutlog.session(f"{way.__name__} {turn}") as session:
                session.record(*output)
            recorded.append(session.path.read_bytes().split(b"\n")[1:])

        assert recorded[0] == recorded[1] == recorded[2]
        history += session.to_input()


def at_once(responses: Any, asked: dict[str, Any]) -> list[Any]:
    """Return the output of a response that is not streamed."""
    return responses.create(**asked).output


def by_events(responses: Any, asked: dict[str, Any]) -> list[Any]:
    """Return the output of the last event of a stream."""
    return list(responses.create(**asked, stream=True))[-1].response.output


def by_helper(responses: Any, asked: dict[str, Any]) -> list[Any]:
    """Return the output that the SDK's stream helper assembled."""
    with responses.stream(**asked) as stream:
        return stream.get_final_response().output


# --- the loopback server is as strict as the API ----------------------------------------------------------------------

USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([USER | {"colour": "red"}], "Unknown parameter: 'input[0].colour'."),
        ([USER, CALL | {"parsed_arguments": {}}], "Unknown parameter: 'input[1].parsed_arguments'."),
        ([THOUGHT | {"status": "completed"}], "Unknown parameter: 'input[0].status'."),
        ([CALL | {"id": None}], "Invalid type for 'input[0].id': expected a string, but got null instead."),
        ([{"type": "reasoning", "id": "rs_1"}], "Missing required parameter: 'input[0].summary'."),
        ([CALL | {"type": "telepathy"}], "Invalid value: 'telepathy'. Supported values are: "),
        ([USER, CALL], "No tool output found for function call call_1."),
        (
            [{"type": "function_call_output", "call_id": "call_1", "output": "x"}],
            "No tool call found for function call output with call_id call_1.",
        ),
        ([USER, THOUGHT], "Item 'rs_1' of type 'reasoning' was provided without its required following item."),
        ([THOUGHT, USER], "Item 'rs_1' of type 'reasoning' was provided without its required following item."),
        (
            [{"type": "message", "role": "assistant", "content": [{"type": "output_text"}]}],
            "Missing required parameter: 'input[0].content[0].text'.",
        ),
        (
            [{"type": "image_generation_call", "id": "ig_1", "status": "completed"}],
            "Missing required parameter: 'input[0].result'.",
        ),
    ],
)
def test_the_server_refuses_what_the_api_refuses(given, message):
    """A bad request gets status 400, with a message like the API's."""
    server = ResponsesServer(lambda history: [])
    with server, client(server) as api, pytest.raises(openai.BadRequestError) as refused:
        api.responses.create(model="m", input=given)

    assert refused.value.body["message"].startswith(message)


def test_the_server_remembers_what_it_said():
    """It refuses an item without the reasoning that led to it, and reasoning before another item."""
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    with ResponsesServer(lambda history: [THOUGHT, CALL]) as server, client(server) as api:
        api.responses.create(model="m", input=[USER])

        with pytest.raises(openai.BadRequestError, match="without its required 'reasoning' item: 'rs_1'"):
            api.responses.create(model="m", input=[USER, CALL, output])
        with pytest.raises(openai.BadRequestError, match="without its required following item"):
            api.responses.create(model="m", input=[THOUGHT, {"role": "assistant", "content": "Well"}])


def test_what_an_api_did_not_keep_is_refused_by_its_id_and_taken_without(home):
    """With ``store=False`` it can read only encrypted reasoning; it would have to look up an id."""
    thoughts = [THOUGHT, {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAAB"}]
    said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []}
    with (
        ResponsesServer(lambda history: [*thoughts, said]) as server,
        client(server) as api,
        rolloutlog.session("kept") as session,
    ):
        session.record(USER, *api.responses.create(model="m", input=[USER], store=False).output)

        with pytest.raises(openai.NotFoundError, match="Item with id 'rs_1' not found"):
            api.responses.create(model="m", input=session.to_input(), store=False)
        api.responses.create(model="m", input=session.to_input(ids=False), store=False)

    assert [item["type"] for item in server.accepted[-1]] == ["message", "reasoning", "message"]
    assert not any("id" in item for item in server.accepted[-1])
    assert rolloutlog.load_session(session.path).to_input(ids=False) == server.accepted[-1]


# --- killed anywhere --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The rollout of an agent that was not killed, and what the API remembers of it."""
    home = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, ResponsesServer(sdk_agent.Model()) as server:
        point_at(server, home, patch)
        sdk_agent.run()
    assert not server.refusals
    return next(rolloutlog.find_sessions(home)).path, server.followers


def cuts(rollout: bytes) -> list[int]:
    """Return the offsets to cut at: after each line, before its newline, and in its middle."""
    ends = [place + 1 for place, byte in enumerate(rollout) if byte == 0x0A]
    return sorted({cut for begin, end in pairwise(ends) for cut in (begin, (begin + end) // 2, end - 1)})


def ends_in_reasoning(rollout: bytes) -> bool:
    """Return whether the last whole item is reasoning, cut off from the item that it led to."""
    return kind([line for line in rollout.split(b"\n") if kind(line)][-1]) == "reasoning"


def kind(line: bytes) -> str | None:
    """Return the type of the item on *line*; "meta" for the first line, the empty string for a torn one."""
    try:
        return json.loads(line).get("type", "meta")
    except ValueError:
        return None


def go_on(whole: tuple[Path, dict[str, list[str]]], cut: int, home: Path) -> list[Refusal]:
    """Let an agent resume in *home* with the rest of *whole*; return the API's refusals, or check that it finishes."""
    path, followers = whole
    rollout = path.read_bytes()[:cut]
    left = home / path.relative_to(path.parents[4])
    left.parent.mkdir(parents=True)
    left.write_bytes(rollout)
    with pytest.MonkeyPatch.context() as patch, ResponsesServer(sdk_agent.Model(first=10), followers) as server:
        point_at(server, home, patch)
        try:
            assert sdk_agent.run() == sdk_agent.FINAL
        except openai.BadRequestError:
            assert server.refusals
    assert left.read_bytes().startswith(rollout)
    return server.refusals


def test_the_api_takes_the_input_after_a_cut_anywhere(whole, tmp_path):
    """From a rollout cut at or within any line, the agent finishes; the API refuses no request."""
    rollout = whole[0].read_bytes()
    places = [cut for cut in cuts(rollout) if not ends_in_reasoning(rollout[:cut])]

    refused = {cut: refusals for cut in places if (refusals := go_on(whole, cut, tmp_path / str(cut)))}

    assert len(places) > 25
    assert not refused


def test_the_api_takes_the_input_after_a_cut_after_reasoning(whole, tmp_path):
    """Reasoning that lost the item that it led to is not sent before a new item of the model."""
    rollout = whole[0].read_bytes()
    places = [cut for cut in cuts(rollout) if ends_in_reasoning(rollout[:cut])]

    refused = {cut: refusals for cut in places if (refusals := go_on(whole, cut, tmp_path / str(cut)))}

    assert places
    assert not refused


@pytest.mark.slow
def test_an_agent_that_is_killed_again_and_again_comes_to_its_end(home):
    """Killed with SIGKILL while it waits for the model, the agent resumes; the API refuses no request."""
    model, numbers, agents = sdk_agent.Model(), itertools.count(1), []

    def deadly_model(history):
        if next(numbers) in (1, 3):
            agents[-1].kill()
        return model(history)

    with ResponsesServer(deadly_model) as server:
        for _ in range(3):
            agents.append(start(sdk_agent.main, server.url))
            printed, errors = agents[-1].communicate(timeout=DEADLINE)

    assert [agent.returncode for agent in agents] == [-signal.SIGKILL, -signal.SIGKILL, 0], errors
    assert printed == sdk_agent.FINAL
    assert not server.refusals
