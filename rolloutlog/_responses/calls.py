"""Which item answers which call, who is to answer it, and the answer that is made up where there is none.

Items are wire dicts here: a list of them is parsed once, by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .._checks import Wire

NO_OUTPUT = "[no output: the session ended before this call was answered]"
"""The output of an orphaned call: marked, so that a model (and a person) sees that it is not from a tool."""

# The calls that come without an answer of their own, and the kinds that answer them. Local shell calls are answered by
# function call outputs, too: real Codex does so, and the API accepts it.
_ANSWERS: Mapping[str, frozenset[str]] = {
    "function_call": frozenset({"function_call_output"}),
    "local_shell_call": frozenset({"function_call_output", "local_shell_call_output"}),
    "custom_tool_call": frozenset({"custom_tool_call_output"}),
    "shell_call": frozenset({"shell_call_output"}),
    "apply_patch_call": frozenset({"apply_patch_call_output"}),
    "computer_call": frozenset({"computer_call_output"}),
    "tool_search_call": frozenset({"tool_search_output"}),
    "mcp_approval_request": frozenset({"mcp_approval_response"}),
    "program": frozenset({"program_output"}),
}
_OUTPUTS: frozenset[str] = frozenset().union(*_ANSWERS.values())

# A search for tools that the API runs by itself has no call id. An output belongs to the search next before it: had
# that search been lost, its own output would have been lost with it.
_NAMELESS = ""


@attrs.frozen
class OrphanReport:
    """Where in a list of items one misses its other half, by index."""

    calls: frozenset[int]
    """Calls without an output that the caller is to give."""
    torn: frozenset[int]
    """Calls without an output that the API gives by itself, in the same answer: the end of that answer was lost."""
    outputs: frozenset[int]
    """Outputs without a call before them."""


def find_orphans(items: Sequence[Wire]) -> OrphanReport:
    """Return the calls among *items* that no later item answers, and the outputs that answer none."""
    waiting: dict[tuple[str, str], list[int]] = {}  # by answering type and id
    calls: set[int] = set()
    outputs: set[int] = set()
    for index, item in enumerate(items):
        kind = item["type"]
        if kind in _ANSWERS:
            calls.add(index)
            for call_id in _ids(item):
                for answer in _ANSWERS[kind]:
                    # Ids are not unique in real files: of two calls with one id, the later is answered.
                    if call_id == _NAMELESS:
                        waiting.setdefault((answer, call_id), []).append(index)
                    else:
                        waiting[answer, call_id] = [index]
        elif kind in _OUTPUTS and (ids := _ids(item)):
            queue = next((waiting[kind, call_id] for call_id in ids if waiting.get((kind, call_id))), [])
            if queue:
                calls.discard(queue.pop() if ids == [_NAMELESS] else queue[0])
            elif ids != [_NAMELESS]:
                outputs.add(index)
    of_api = {index for index in calls if _is_answered_by_api(items[index])}
    torn = of_api - _running(items, of_api) if of_api else of_api
    return OrphanReport(frozenset(calls - of_api), frozenset(torn), frozenset(outputs))


def _ids(item: Wire) -> list[str]:
    """Return the ids by which a call can be answered, or that an output answers: the call's id, else the item's own.

    An output that answers no call has none: it came from a tool that no model had called.
    """
    kind = item["type"]
    call_id = text_at(item, "approval_request_id" if kind == "mcp_approval_response" else "call_id")
    if call_id is not None and kind != "local_shell_call":
        return [call_id]
    if kind in ("tool_search_call", "tool_search_output"):
        return [_NAMELESS]
    if kind == "function_call_output":
        return []
    return [found for found in (call_id, text_at(item, "id")) if found is not None]


def text_at(item: Wire, key: str) -> str | None:
    """Return the text that *item* has at *key*, if it has one there."""
    value = item.get(key)
    return value if isinstance(value, str) else None


def _is_answered_by_api(call: Wire) -> bool:
    """Whether the API itself carries out *call*, of a kind that has its answer in another item."""
    kind = call["type"]
    if kind == "tool_search_call":
        return call.get("call_id") is None or call.get("execution") == "server"
    if kind == "shell_call":
        environment = call.get("environment")
        return isinstance(environment, dict) and environment.get("type") == "container_reference"
    return kind == "program"  # type: ignore[no-any-return]


def _running(items: Sequence[Wire], of_api: set[int]) -> set[int]:
    """Return which of the calls *of_api* continue in a later answer: programs that call tools, and their calls."""
    callers = {caller for item in items if (caller := _program(item)) is not None}
    return {
        index for index in of_api if _program(items[index]) is not None or text_at(items[index], "call_id") in callers
    }


def _program(item: Wire) -> str | None:
    """Return the call id of the program that made *item*, if a program did."""
    caller = item.get("caller")
    return text_at(caller, "caller_id") if isinstance(caller, dict) and caller.get("type") == "program" else None


# The keys of made up answers, beside the call's id.
_MARKED: Mapping[str, Mapping[str, Any]] = {
    "function_call": {"type": "function_call_output", "output": NO_OUTPUT},
    "local_shell_call": {"type": "function_call_output", "output": NO_OUTPUT},
    "custom_tool_call": {"type": "custom_tool_call_output", "output": NO_OUTPUT},
    "apply_patch_call": {"type": "apply_patch_call_output", "status": "failed", "output": NO_OUTPUT},
    "shell_call": {
        "type": "shell_call_output",
        "output": [{"stdout": "", "stderr": NO_OUTPUT, "outcome": {"type": "exit", "exit_code": 1}}],
    },
    "tool_search_call": {
        "type": "tool_search_output",
        "execution": "client",
        "status": "incomplete",
        "tools": [],
    },
}


def marked_answer(call: Wire) -> Wire | None:
    """Return an answer to *call* that says that there was none, or `None` if none can be made up."""
    call_id = text_at(call, "call_id")
    if call_id is None:
        return _answer_by_own_id(call)
    marked = _MARKED.get(call["type"])
    if marked is None:
        return None
    caller = {} if call.get("caller") is None else {"caller": call["caller"]}
    return {"type": marked["type"], "call_id": call_id, **marked, **caller}


def _answer_by_own_id(call: Wire) -> Wire | None:
    """Return such an answer to a call that is known by its own id."""
    item_id = text_at(call, "id")
    if item_id is None:
        return None
    if call["type"] == "local_shell_call":
        return {"type": "local_shell_call_output", "id": item_id, "output": NO_OUTPUT}
    if call["type"] == "mcp_approval_request":  # without an answer, it is not approved
        refused = {"approval_request_id": item_id, "approve": False, "reason": NO_OUTPUT}
        return {"type": "mcp_approval_response", **refused}
    return None
