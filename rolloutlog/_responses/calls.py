"""Which item answers which call, who is to answer it, and what is said where nobody did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from .._values.kinds import Other, ShellCall, ToolSearchCall
from ..items import FunctionCall, FunctionCallOutput, LocalShellCall, ResponseItem

NO_OUTPUT = "[no output: the session ended before this call was answered]"
"""What an orphaned call is answered with: marked, so that a model (and a person) sees that no tool said it."""

# The calls that come with no answer of their own, and what answers them. Local shell calls are answered by function
# call outputs too: real Codex does so, and the API takes it.
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

# What the API searches tools for by itself has no call id. An output belongs to the search next before it: had that one
# been lost, its own output would have been lost with it.
_NAMELESS = ""


@attrs.frozen
class Orphans:
    """Where in a list of items something stands that misses its other half."""

    calls: frozenset[int]
    """Calls without an output that the caller is to give."""
    torn: frozenset[int]
    """Calls without an output that the API gives by itself, in the same answer: the end of that answer was lost."""
    outputs: frozenset[int]
    """Outputs without a call before them."""


def find_orphans(items: list[ResponseItem]) -> Orphans:
    """Return the calls among *items* that none behind them answers, and the outputs that answer none."""
    waiting: dict[tuple[str, str], list[int]] = {}  # by answering type and id
    calls: set[int] = set()
    outputs: set[int] = set()
    for index, item in enumerate(items):
        kind = item.type
        if kind in _ANSWERS:
            calls.add(index)
            for call_id in _ids(item):
                for answer in _ANSWERS[kind]:
                    # Ids are not unique in the wild: of two calls with one id, the later is answered.
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
    return Orphans(frozenset(calls - of_api), frozenset(torn), frozenset(outputs))


def _ids(item: ResponseItem) -> list[str]:
    """Return by what a call can be answered, or which call an output answers: the call's id; failing that, its own.

    Of an output that answers no call there is none: some tool spoke that no model had called.
    """
    kind = item.type
    call_id = key(item, "approval_request_id" if kind == "mcp_approval_response" else "call_id")
    if call_id is not None and kind != "local_shell_call":
        return [call_id]
    if kind in ("tool_search_call", "tool_search_output"):
        return [_NAMELESS]
    return [found for found in (call_id, key(item, "id")) if found is not None]


def key(item: ResponseItem, name: str) -> str | None:
    """Return the text that *item* has at *name*, if it has one there."""
    value = (item.raw or {}).get(name) if isinstance(item, Other) else getattr(item, name, None)
    return value if isinstance(value, str) else None


def _is_answered_by_api(call: ResponseItem) -> bool:
    """Whether the API itself carries out *call*, of a kind that has its answer in another item."""
    if isinstance(call, ToolSearchCall):
        return call.call_id is None or call.execution == "server"
    if isinstance(call, ShellCall):
        return isinstance(call.environment, Mapping) and call.environment.get("type") == "container_reference"
    return call.type == "program"


def _running(items: list[ResponseItem], of_api: set[int]) -> set[int]:
    """Return which of the calls *of_api* go on in a later answer: programs that call tools, and what these call."""
    callers = {caller for item in items if (caller := _program(item)) is not None}
    return {index for index in of_api if _program(items[index]) is not None or key(items[index], "call_id") in callers}


def _program(item: ResponseItem) -> str | None:
    """Return the call id of the program that made *item*, if it was one that did."""
    caller = _caller(item)
    found = caller.get("caller_id") if isinstance(caller, Mapping) and caller.get("type") == "program" else None
    return found if isinstance(found, str) else None


def _caller(item: ResponseItem) -> Any:
    """Return what *item* says of who called a tool: the model, or a program of it. Its output says the same."""
    return ((item.raw or {}) if isinstance(item, Other) else item.extra).get("caller")


# What the made up answers hold, beside the call's id.
_MARKED: Mapping[str, Mapping[str, Any]] = {
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


def marked_answer(call: ResponseItem) -> ResponseItem | None:
    """Return an answer to *call* that says that there was none, or `None` if nothing can be made up."""
    call_id = key(call, "call_id")
    if call_id is None:
        return _answer_by_own_id(call, key(call, "id"))
    caller = _caller(call)
    extra = {} if caller is None else {"caller": caller}
    if isinstance(call, FunctionCall | LocalShellCall):
        return FunctionCallOutput(call_id, NO_OUTPUT, extra=extra)
    marked = _MARKED.get(call.type)
    return None if marked is None else Other({**marked, "call_id": call_id, **extra})


def _answer_by_own_id(call: ResponseItem, item_id: str | None) -> ResponseItem | None:
    """Return such an answer to a call that is known by its own id, which is *item_id*."""
    if item_id is None:
        return None
    if isinstance(call, LocalShellCall):
        return Other({"type": "local_shell_call_output", "id": item_id, "output": NO_OUTPUT})
    if call.type == "mcp_approval_request":  # and so nobody agreed
        said = {"approval_request_id": item_id, "approve": False, "reason": NO_OUTPUT}
        return Other({"type": "mcp_approval_response", **said})
    return None
