"""Items to the input of a model's API, which refuses calls without an output and reasoning without what follows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from .._format.lines import ItemLike, to_item, wire
from ..exceptions import OrphanCallError
from ..items import Message, Other, Reasoning, ResponseItem
from .calls import Orphans as Found
from .calls import find_orphans, key, marked_answer
from .rules import accepted, without_id

Orphans: TypeAlias = Literal["close", "keep", "raise"]

# What is said to the model, beside outputs and messages: no reasoning led to it.
_TO_THE_MODEL = frozenset({"additional_tools", "compaction_trigger", "configuration_update"})


def to_input(items: Iterable[ItemLike], *, orphans: Orphans = "close", ids: bool = True) -> list[Any]:
    """Return *items* as the dicts that a model's API takes as its input.

    Keys that the API refuses are left out: those that hold `None` (but for the few that it wants to see), and those
    that only its answers have. Lists stay, also empty ones. To type checkers they may be anything, so that every SDK's
    own type for its input takes them.

    Args:
        items: items, or what can be recorded as one; empty `Other` are left out.
        orphans: what to do about calls without an output, outputs without a call, and reasoning that is not followed by
            what came of it, as a killed session leaves them. ``"close"``: answer each such call, right behind it, with
            an output that says that there was none, and leave out the others, the calls that no text can answer, and
            those that the API would have answered itself. ``"keep"``: nothing. ``"raise"``: raise.
        ids: whether items keep the ids that an API gave them. Without, they go to one that does not know them: another
            provider's, another account's, or the same that kept nothing (``store=False``) or no longer. Reasoning whose
            text is known by its id alone is left out. `call_id` stays, and the ids that the API requires.

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
        return _closed(made, ids)
    return [_wire(item, ids) for item in made if ids or _says_something(item)]


def orphan_calls(items: Iterable[ResponseItem]) -> list[ResponseItem]:
    """Return the calls among *items* that wait for an answer of the caller's, in order."""
    made = list(items)
    return [made[index] for index in sorted(find_orphans(made).calls)]


def _closed(items: list[ResponseItem], ids: bool) -> list[Any]:
    """Return *items* for the API, with nothing left hanging."""
    found = find_orphans(items)
    last = len(items) - 1
    answers = {index: marked_answer(items[index]) for index in found.calls}
    dropped = found.torn.union(index for index, answer in answers.items() if answer is None)
    loose = _loose_reasoning(items, found, dropped)
    taken = []
    is_known = True  # whether the API, by an item's id, would not miss reasoning that is left out
    for index, item in enumerate(items):
        if index in found.outputs:
            continue
        if index in loose:
            is_known = False
        elif index not in dropped and (index == last or item.type != "compaction_trigger"):  # taken as the last alone
            if not is_known:
                is_known = isinstance(item, Reasoning) or not _is_models(item)
            if ids or _says_something(item):
                taken.append(_wire(item, ids and is_known))
            if (answer := answers.get(index)) is not None:
                taken.append(_wire(answer, ids))
    return taken


def _wire(item: ResponseItem, ids: bool) -> dict[str, Any]:
    return accepted(wire(item)) if ids else without_id(accepted(wire(item)))


def _says_something(item: ResponseItem) -> bool:
    """Whether *item* says anything to an API that does not know its id."""
    return not isinstance(item, Reasoning) or bool(item.encrypted_content or item.summary or item.content)


def _loose_reasoning(items: list[ResponseItem], found: Found, dropped: frozenset[int] = frozenset()) -> set[int]:
    """Return where the reasoning stands that nothing came of: no message of the model's, and no call that is kept."""
    loose: set[int] = set()
    followed = False
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if index in found.outputs:
            continue
        if not isinstance(item, Reasoning):
            followed = _is_models(item) and index not in dropped
        elif not followed:
            loose.add(index)
    return loose


def _is_models(item: ResponseItem) -> bool:
    """Whether *item* came from the model: an output, an approval and what people say do not."""
    if isinstance(item, Message):
        return item.role == "assistant"
    return not item.type.endswith(("_output", "_response")) and item.type not in _TO_THE_MODEL


def _refuse_orphans(items: list[ResponseItem]) -> None:
    found = find_orphans(items)
    wrong = sorted(found.calls | found.torn | found.outputs | _loose_reasoning(items, found))
    if wrong:
        raise OrphanCallError([key(items[at], "call_id") or key(items[at], "id") or items[at].type for at in wrong])
