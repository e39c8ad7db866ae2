"""Which item answers which call, who is to answer it, and the answer that is made up where there is none.

Items are wire dicts here: a list of them is parsed once, by the caller.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence, Set
from typing import Any

import attrs

from .._shapes import Wire
from .ids import REQUIRED

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
    """Outputs without a call before them that still waited for one."""
    pairs: Mapping[int, int]
    """Where the call of each other output is."""


def find_orphans(items: Sequence[Wire]) -> OrphanReport:
    """Return the calls among *items* that no later item answers, and the outputs that answer none."""
    waiting: dict[tuple[str, str], list[int]] = {}  # by answering type and id
    calls: set[int] = set()
    outputs: set[int] = set()
    pairs: dict[int, int] = {}
    for index, item in enumerate(items):
        kind = item["type"]
        if kind in _ANSWERS:
            calls.add(index)
            for key in _keys(item):
                waiting.setdefault(key, []).append(index)
        elif kind in _OUTPUTS and (ids := _ids(item)):
            # Ids are not unique in real files: of two calls with one id, the later is answered first.
            queues = [waiting.get((kind, name), []) for name in ids]
            for queue in queues:
                while queue and queue[-1] not in calls:  # answered by another of its ids
                    queue.pop()
            if queue := next(filter(None, queues), []):
                pairs[index] = queue.pop()
                calls.discard(pairs[index])
            elif ids != [_NAMELESS]:
                outputs.add(index)
    of_api = {index for index in calls if is_answered_by_api(items[index])}
    torn = of_api - _running(items, of_api) if of_api else of_api
    return OrphanReport(frozenset(calls - of_api), frozenset(torn), frozenset(outputs), pairs)


@attrs.frozen
class Arrangement:
    """How the items of a list follow each other as the API takes them."""

    order: Sequence[int]
    """Where each item was, without those that are there twice; an output is after its call."""
    repeated: Set[int]
    """Items of other content whose id occurs before."""


def arrange(items: Sequence[Wire]) -> Arrangement:
    """Return an order of *items* with each waiting call once, one output a call, and each output after its call."""
    order, repeated = _once(items)
    kept = [items[index] for index in order]
    found = find_orphans(kept)
    if not found.outputs:
        return Arrangement(order, repeated)
    answered = {key for call in found.pairs.values() for key in _keys(kept[call])}
    waiting: dict[tuple[str, str], deque[int]] = {}
    for call in sorted(found.calls | found.torn):
        for key in _keys(kept[call]):
            waiting.setdefault(key, deque()).append(call)
    left_out: set[int] = set()
    moved: dict[int, int] = {}  # from a call to the output that is before it
    for index in sorted(found.outputs):
        keys = {(kept[index]["type"], name) for name in _ids(kept[index])}
        queues = [waiting.get(key, deque()) for key in keys]
        for queue in queues:
            while queue and (queue[0] < index or queue[0] in moved):
                queue.popleft()
        if queue := next(filter(None, queues), deque()):
            moved[queue.popleft()] = index
            answered |= keys
        elif keys.isdisjoint(answered):
            continue  # its call is missing
        left_out.add(index)
    ordered: list[int] = []
    for index, place in enumerate(order):
        if index not in left_out:
            ordered.append(place)
        if index in moved:
            ordered.append(order[moved[index]])
    return Arrangement(ordered, repeated)


def _once(items: Sequence[Wire]) -> tuple[list[int], set[int]]:
    """Return which of *items* to keep, each once: by its id, or as a call that waits; and whose id occurs before."""
    by_id: dict[str, Wire] = {}
    waiting: dict[str, Wire] = {}
    kept: list[int] = []
    repeated: set[int] = set()
    for index, item in enumerate(items):
        kind = item["type"]
        call_id = text_at(item, "call_id")
        if kind in _ANSWERS and call_id is not None:
            first = waiting.get(call_id)
            # Two ids are two calls, each with reasoning of its own: the model made the call again after a kill.
            if first is not None and _is_same(first, item) and not _differ(first.get("id"), item.get("id")):
                continue
            waiting[call_id] = item
        elif kind in _OUTPUTS and call_id is not None:
            waiting.pop(call_id, None)
        item_id = text_at(item, "id")
        if item_id is not None and kind != "local_shell_call_output":  # whose id is that of its call
            first = by_id.setdefault(item_id, item)
            if first is not item:
                if _is_same(first, item) or kind in REQUIRED:
                    continue
                repeated.add(index)
        kept.append(index)
    return kept, repeated


def _is_same(one: Wire, other: Wire) -> bool:
    """Whether two items say the same, whatever id and status they have."""
    keys = (one.keys() | other.keys()) - {"id", "status"}
    return all(key in one and key in other and one[key] == other[key] for key in keys)


def _differ(one: object, other: object) -> bool:
    return None not in (one, other) and one != other


def _keys(call: Wire) -> list[tuple[str, str]]:
    """Return the answering types and ids by which *call* can be answered."""
    return [(answer, name) for name in _ids(call) for answer in _ANSWERS[call["type"]]]


def call_keys(item: Wire) -> list[tuple[str, str]] | None:
    """Return the answering types and ids by which *item* can be answered; `None` if no other item answers it."""
    return _keys(item) if item["type"] in _ANSWERS else None


def answer_keys(item: Wire) -> list[tuple[str, str]] | None:
    """Return the keys of the call that *item* answers, of `call_keys`; `None` if it is not an output."""
    kind = item["type"]
    return [(kind, name) for name in _ids(item)] if kind in _OUTPUTS else None


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


def is_answered_by_api(call: Wire) -> bool:
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
