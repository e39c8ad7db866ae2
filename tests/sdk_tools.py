"""An agent on the OpenAI SDK that answers every kind of call, with each of the SDK's ways to ask; and its model.

It is killed at every point of its loop. Like in `sdk_agent`, none of its code handles crashes, except the code that
causes one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import openai
import sdk_agent

import rolloutlog
from rolloutlog import FunctionCallOutput
from rolloutlog.items import ResponseItem

Item = dict[str, Any]

FINAL = "All tools work."
_BY_PROGRAM = {"type": "program", "caller_id": "call_p"}
_CALL = {"type": "function_call", "name": "f", "arguments": "{}", "caller": _BY_PROGRAM}
_THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAB0"}
_COMPLETED = {"status": "completed"}

TURNS: list[list[Item]] = [
    [
        _THOUGHT,
        {
            "type": "local_shell_call",
            "call_id": "call_1",
            "action": {"type": "exec", "command": ["ls"], "env": {}},
            **_COMPLETED,
        },
        _THOUGHT,
        {"type": "shell_call", "call_id": "call_2", "action": {"commands": ["ls"]}, **_COMPLETED},
    ],
    [
        _THOUGHT,
        {
            "type": "computer_call",
            "call_id": "call_3",
            "actions": [{"type": "screenshot"}],
            "pending_safety_checks": [],
            **_COMPLETED,
        },
        {
            "type": "apply_patch_call",
            "call_id": "call_4",
            "operation": {"type": "delete_file", "path": "a.txt"},
            **_COMPLETED,
        },
        {"type": "custom_tool_call", "call_id": "call_5", "name": "note", "input": "x"},
    ],
    [
        _THOUGHT,
        {
            "type": "tool_search_call",
            "call_id": "call_6",
            "execution": "client",
            "arguments": {"query": "maps"},
            **_COMPLETED,
        },
    ],
    [
        {
            "type": "tool_search_call",
            "call_id": None,
            "execution": "server",
            "arguments": {"paths": ["maps"]},
            **_COMPLETED,
        },
        {"type": "tool_search_output", "call_id": None, "execution": "server", "tools": [], **_COMPLETED},
        _THOUGHT,
        {"type": "mcp_approval_request", "server_label": "maps", "name": "find", "arguments": "{}"},
    ],
    [
        {
            "type": "mcp_call",
            "server_label": "maps",
            "name": "find",
            "arguments": "{}",
            "output": "found",
            **_COMPLETED,
        },
        _THOUGHT,
        {"type": "program", "call_id": "call_p", "code": "await Promise.all([f(), f()])", "fingerprint": "x"},
        {**_CALL, "call_id": "call_7"},
        {**_CALL, "call_id": "call_8"},
    ],
    [
        {"type": "program_output", "call_id": "call_p", "result": "twice f", **_COMPLETED},
        _THOUGHT,
        {
            "type": "message",
            "role": "assistant",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": FINAL, "annotations": [], "logprobs": []}],
            **_COMPLETED,
        },
    ],
]


def model(first: int = 1) -> sdk_agent.Model:
    """Return a model that calls each kind of tool; *first* is the number of its first answer."""
    return sdk_agent.Model(first, TURNS)


# --- the agent --------------------------------------------------------------------------------------------------------


def answer(call: ResponseItem) -> Any:
    """Run *call*, of any kind, and return its output."""
    if isinstance(call, rolloutlog.FunctionCall | rolloutlog.LocalShellCall):
        return FunctionCallOutput.of(call, "done")
    if call.type == "mcp_approval_request":
        return {"type": "mcp_approval_response", "approval_request_id": call.id, "approve": True}
    screen = {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    given: dict[str, Item] = {
        "custom_tool_call": {"output": [{"type": "input_text", "text": "noted"}]},
        "shell_call": {"output": [{"stdout": "a", "stderr": "", "outcome": {"type": "timeout"}}]},
        "apply_patch_call": {"status": "completed"},
        "computer_call": {"output": screen},
        "tool_search_call": {"type": "tool_search_output", "execution": "client", "tools": [], "status": "completed"},
    }
    return {"type": f"{call.type}_output", "call_id": call.call_id, **given[call.type]}


Record = Callable[..., None]
Ask = Callable[[openai.OpenAI, list[Item], Record], None]


def whole(client: openai.OpenAI, given: list[Item], record: Record) -> None:
    """Ask for an answer that is not streamed."""
    record(*client.responses.create(model="m", input=given, store=False).output)


def item_by_item(client: openai.OpenAI, given: list[Item], record: Record) -> None:
    """Ask for a stream, and record each item when it is done."""
    for event in client.responses.create(model="m", input=given, store=False, stream=True):
        if event.type == "response.output_item.done":
            record(event.item)


def asynchronous(client: openai.OpenAI, given: list[Item], record: Record) -> None:
    """Ask for a stream with the asynchronous client."""

    async def ask() -> None:
        async with openai.AsyncOpenAI(max_retries=0, timeout=240) as asynchronously:
            stream = await asynchronously.responses.create(model="m", input=given, store=False, stream=True)
            async for event in stream:
                if event.type == "response.output_item.done":
                    record(event.item)

    asyncio.run(ask())


WAYS: dict[str, Ask] = {way.__name__: way for way in (whole, item_by_item, asynchronous)}


def run(way: str, answers_first: bool = True, deadly: Callable[[], None] = lambda: None) -> str:
    """Continue the session to its end, from any point, and return the model's final text.

    Args:
        way: how to ask the model.
        answers_first: whether calls that are open at the start are answered, or left to `Session.to_input`.
        deadly: called after each record.
    """
    with openai.OpenAI(max_retries=0, timeout=240) as client, rolloutlog.session("tools") as session:

        def record(*items: Any) -> None:
            session.record(*items)
            deadly()

        if not session.items:
            record({"role": "user", "content": "Try all tools"})
        while not sdk_agent.is_done(session.items):
            for call in session.orphan_calls if answers_first else ():
                record(answer(call))
            answers_first = True
            WAYS[way](client, session.to_input(), record)
        return session.items[-1].text


def die_again_and_again(url: str, way: str, answers_first: bool) -> None:
    """Run the agent in a process that kills itself after its first record, its second, and so on.

    Repeat until one run finishes; print how many were killed before, and the last one's text.
    """
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
    for killed in itertools.count():
        child = os.fork()
        if not child:
            _run_until(killed + 1, way, answers_first)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            sys.stdout.write(f"{killed}\n")
            sys.exit(os.waitstatus_to_exitcode(status))


def _run_until(records: int, way: str, answers_first: bool) -> None:
    """Run the agent, and kill this process after that many *records*."""
    left: Iterator[int] = iter(range(records - 1, -1, -1))

    def deadly() -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    status = 1
    try:
        status = int(run(way, answers_first, deadly) != FINAL)
    finally:
        os._exit(status)
