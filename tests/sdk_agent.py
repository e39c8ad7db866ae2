"""An agent that plans a trip with the OpenAI SDK and two tools, and its model; the tests of the SDK run it.

None of its code handles crashes: it looks at the session's items, answers open calls, and asks for more. So it can be
killed and run again at any point.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import Any

import rolloutlog
from rolloutlog import FunctionCall, FunctionCallOutput, Message, Other

FINAL = "Colosseum at 08:30, Pantheon at noon."
Item = dict[str, Any]

# How the API begins the ids of a kind; any of its own will do for the kinds that are missing here.
PREFIXES = {
    "apply_patch_call": "apc",
    "code_interpreter_call": "ci",
    "compaction": "cmp",
    "computer_call": "cu",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "file_search_call": "fs",
    "function_call": "fc",
    "function_call_output": "fco",
    "image_generation_call": "ig",
    "mcp_approval_request": "mcpr",
    "mcp_call": "mcp",
    "mcp_list_tools": "mcpl",
    "message": "msg",
    "reasoning": "rs",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
    "web_search_call": "ws",
}

_THOUGHT = {"type": "reasoning", "id": "rs", "encrypted_content": "gAAAAB0"}

# The model's output, turn by turn. A reply is sent whole if the input has none of it; otherwise only the missing part.
_TURNS: list[list[Item]] = [
    [
        {**_THOUGHT, "summary": []},
        {"type": "function_call", "name": "hours", "arguments": '{"of":"Pantheon"}', "call_id": "call_1"},
        {"type": "function_call", "name": "hours", "arguments": '{"of":"Colosseum"}', "call_id": "call_2"},
    ],
    [
        {**_THOUGHT, "summary": [{"type": "summary_text", "text": "Look at tickets."}]},
        {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "tickets"}},
        {"type": "custom_tool_call", "name": "note", "input": "09:00–19:00 ☀", "call_id": "call_3"},
    ],
    [
        {"type": "code_interpreter_call", "status": "completed", "container_id": "c", "code": None, "outputs": None},
        {**_THOUGHT, "summary": []},
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": FINAL, "annotations": [], "logprobs": []}],
        },
    ],
]


class Model:
    """A model whose output depends only on its input, except for the ids, which are always new.

    Args:
        first: the number of its first answer, for one that continues after another.
        turns: its output, turn by turn; by default it plans a trip.
    """

    def __init__(self, first: int = 1, turns: list[list[Item]] = _TURNS) -> None:
        self._numbers = itertools.count(first)
        self._turns = turns

    def __call__(self, history: list[Item]) -> list[Item]:
        """Return the output items that come next."""
        shown = [_sense(item) for item in history]
        for turn in self._turns:
            missing = [item for item in turn if item["type"] != "reasoning" and _sense(item) not in shown]
            if len(missing) == sum(item["type"] != "reasoning" for item in turn):
                missing = turn
            if missing:
                number = next(self._numbers)
                return [
                    {**item, "id": f"{PREFIXES.get(item['type'], 'own')}_{number}_{place}"}
                    for place, item in enumerate(missing)
                ]
        raise AssertionError("the model is asked for more than it has to say")


def _sense(item: Item) -> tuple[Any, Any]:
    """Return the content of an item without its ids."""
    return item.get("type"), item.get("call_id") or item.get("role")


def run() -> str:
    """Continue the session to its end, from any point, and return the model's final text."""
    import openai

    with openai.OpenAI(max_retries=0, timeout=240) as client, rolloutlog.session("trip") as session:
        if not session.items:
            session.record({"role": "user", "content": "Plan a day in Rome"})
        while not is_done(session.items):
            for call in open_calls(session.items):
                session.record(answer(call))
            response = client.responses.create(model="stand-in", input=session.to_input(), store=False)
            session.record(*response.output)
        return session.items[-1].text


def is_done(items: list[rolloutlog.ResponseItem]) -> bool:
    """Return whether the model has given its final answer."""
    return isinstance(items[-1], Message) and items[-1].role == "assistant"


def open_calls(items: list[rolloutlog.ResponseItem]) -> list[rolloutlog.ResponseItem]:
    """Return the calls that the agent has not answered yet."""
    answered = {_call_id(item) for item in items if item.type.endswith("_output")}
    calls = [item for item in items if item.type in ("function_call", "custom_tool_call")]
    return [call for call in calls if _call_id(call) not in answered]


def _call_id(item: rolloutlog.ResponseItem) -> Any:
    return item.raw["call_id"] if isinstance(item, Other) and item.raw else getattr(item, "call_id", None)


def answer(call: rolloutlog.ResponseItem) -> rolloutlog.ResponseItem | Item:
    """Run the tool that *call* names: one returns a text, the other a list of parts."""
    if isinstance(call, FunctionCall):
        return FunctionCallOutput.of(call, f"{call.args['of']}: open")
    noted = [{"type": "input_text", "text": "noted"}]
    return {"type": "custom_tool_call_output", "call_id": _call_id(call), "output": noted}


def main(url: str) -> None:
    """Run against the server at *url* and print the model's text: for a process of its own."""
    os.environ |= {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
    sys.stdout.write(run())


def hold(name: str) -> None:
    """Open a session, print a line, and keep it open until there is a line to read: for a process of its own."""
    with rolloutlog.session(name):
        sys.stdout.write("open\n")
        sys.stdout.flush()
        sys.stdin.readline()
