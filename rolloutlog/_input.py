"""Items to the input of a model's API, which refuses calls without an output and reasoning without what follows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from ._api import accepted
from ._codec import ItemLike, to_item, wire
from .exceptions import OrphanCallError
from .items import FunctionCall, FunctionCallOutput, LocalShellCall, Message, Other, Reasoning, ResponseItem

Orphans: TypeAlias = Literal["close", "keep", "raise"]

NO_OUTPUT = "[no output: the session ended before this call was answered]"
"""What an orphaned call is answered with: marked, so that a model (and a person) sees that no tool said it."""

# The calls that the model's side does not answer by itself, and what answers them. Local shell calls are answered by
# function call outputs too: real Codex does so, and the API takes it.
_ANSWERS: Mapping[str, frozenset[str]] = {
    "function_call": frozenset({"function_call_output"}),
    "local_shell_call": frozenset({"function_call_output", "local_shell_call_output"}),
    "custom_tool_call": frozenset({"custom_tool_call_output"}),
    "shell_call": frozenset({"shell_call_output"}),
    "apply_patch_call": frozenset({"apply_patch_call_output"}),
    "computer_call": frozenset({"computer_call_output"}),
}
_OUTPUTS: frozenset[str] = frozenset().union(*_ANSWERS.values())


def to_input(items: Iterable[ItemLike], *, orphans: Orphans = "close") -> list[Any]:
    """Return *items* as the dicts that a model's API takes as its input.

    Keys that the API refuses are left out: those that hold `None` (but for the few that it wants to see), and those
    that only its answers have. Lists stay, also empty ones. To type checkers they may be anything, so that every SDK's
    own type for its input takes them.

    Args:
        items: items, or what can be recorded as one; empty `Other` are left out.
        orphans: what to do about calls without an output, outputs without a call, and reasoning that is not followed by
            what came of it, as a killed session leaves them. ``"close"``: answer each such call, right behind it, with
            an output that says that there was none, and leave out the others, and the calls that no text can answer.
            ``"keep"``: nothing. ``"raise"``: raise.

    Raises:
        OrphanCallError: there are such, with ``orphans="raise"``.
        InvalidItemError: one of *items* is no item.
    """
    if orphans not in ("close", "keep", "raise"):
        raise ValueError(f"orphans is 'close', 'keep' or 'raise', not {orphans!r}")
    made = [item for item in map(to_item, items) if not (isinstance(item, Other) and not item.raw)]
    if orphans == "raise":
        _refuse_orphans(made)
    if orphans == "close":
        made = _without_loose_reasoning(_answered(made))
    return [accepted(wire(item)) for item in made]


def orphan_calls(items: Iterable[ResponseItem]) -> list[ResponseItem]:
    """Return the calls among *items* that no later item answers, in order."""
    made = list(items)
    unanswered, _ = _orphans(made)
    return [made[index] for index in sorted(unanswered)]


def _orphans(items: list[ResponseItem]) -> tuple[set[int], set[int]]:
    """Return where in *items* the calls without an output stand, and the outputs without a call before them."""
    waiting: dict[tuple[str, str], int] = {}  # by answering type and id
    calls: set[int] = set()
    outputs: set[int] = set()
    answered: set[int] = set()
    for index, item in enumerate(items):
        kind = item.type
        if kind in _ANSWERS:
            calls.add(index)
            for call_id in _ids(item):
                for answer in _ANSWERS[kind]:
                    waiting[answer, call_id] = index
        elif kind in _OUTPUTS and (ids := _ids(item)):  # one without any is the output of a tool that nobody called
            call = next((waiting[kind, call_id] for call_id in ids if (kind, call_id) in waiting), None)
            if call is None:
                outputs.add(index)
            else:
                answered.add(call)
    return calls - answered, outputs


def _ids(item: ResponseItem) -> list[str]:
    """Return by what a call can be answered, or which call an output answers: the call's id; failing that, its own."""
    call_id = _key(item, "call_id")
    if call_id is not None and item.type != "local_shell_call":
        return [call_id]
    return [found for found in (call_id, _key(item, "id")) if found is not None]


def _key(item: ResponseItem, key: str) -> str | None:
    value = (item.raw or {}).get(key) if isinstance(item, Other) else getattr(item, key, None)
    return value if isinstance(value, str) else None


def _answered(items: list[ResponseItem]) -> list[ResponseItem]:
    unanswered, unasked = _orphans(items)
    kept = []
    for index, item in enumerate(items):
        if index in unasked:
            continue
        answer = _answer(item) if index in unanswered else None
        if index in unanswered and answer is None:
            continue
        kept.append(item)
        if answer is not None:
            kept.append(answer)
    return kept


def _answer(call: ResponseItem) -> ResponseItem | None:
    """Return a marked output for *call*, or `None` if that takes more than text."""
    call_id = _key(call, "call_id")
    if call_id is None:
        item_id = _key(call, "id")
        if isinstance(call, LocalShellCall) and item_id is not None:
            return Other({"type": "local_shell_call_output", "id": item_id, "output": NO_OUTPUT})
        return None
    if isinstance(call, FunctionCall | LocalShellCall):
        return FunctionCallOutput(call_id, NO_OUTPUT)
    if call.type == "custom_tool_call":
        return Other({"type": "custom_tool_call_output", "call_id": call_id, "output": NO_OUTPUT})
    if call.type == "apply_patch_call":
        answer = {"type": "apply_patch_call_output", "call_id": call_id, "status": "failed", "output": NO_OUTPUT}
        return Other(answer)
    return None


def _loose_reasoning(items: list[ResponseItem]) -> set[int]:
    """Return where the reasoning stands that nothing came of: no message of the model's, and no call."""
    loose: set[int] = set()
    followed = False
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if not isinstance(item, Reasoning):
            followed = _is_models(item)
        elif not followed:
            loose.add(index)
    return loose


def _is_models(item: ResponseItem) -> bool:
    """Whether *item* came from the model: an output, an approval and what people say do not."""
    if isinstance(item, Message):
        return item.role == "assistant"
    return not item.type.endswith(("_output", "_response"))


def _without_loose_reasoning(items: list[ResponseItem]) -> list[ResponseItem]:
    loose = _loose_reasoning(items)
    return [item for index, item in enumerate(items) if index not in loose] if loose else items


def _refuse_orphans(items: list[ResponseItem]) -> None:
    unanswered, unasked = _orphans(items)
    wrong = sorted(unanswered | unasked | _loose_reasoning(items))
    if wrong:
        raise OrphanCallError([_key(items[at], "call_id") or _key(items[at], "id") or items[at].type for at in wrong])
