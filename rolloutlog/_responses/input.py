"""Items to the input of a model's API, which refuses calls without an output and reasoning that led to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

from .._checks import Wire
from .._format.coerce import ItemLike, to_item
from .._item import Item
from ..exceptions import OrphanCallError
from .calls import OrphanReport, find_orphans, marked_answer, text_at
from .rules import strip_for_input, without_id

OrphanPolicy: TypeAlias = Literal["close", "keep", "raise"]

# Items that go to the model, beside outputs and messages: no reasoning led to them.
_TO_THE_MODEL = frozenset({"additional_tools", "compaction_trigger", "configuration_update"})


def to_input(items: Iterable[ItemLike], *, orphans: OrphanPolicy = "close", ids: bool = True) -> list[Any]:
    """Return *items* as the dicts that a model's API takes as its input.

    Keys that the API refuses are left out: keys that hold `None` (except the few that it requires), and keys that only
    its answers have. Lists stay, also empty ones. Type checkers see a list of `Any`, so that every SDK's own type for
    its input accepts it.

    Args:
        items: items, or values that can be recorded as one; empty `Other` are left out.
        orphans: what to do about calls without an output, outputs without a call, and reasoning without the item that
            it led to. A killed session leaves such items. ``"close"``: answer each such call, right after it, with an
            output that says that there was none, and leave out the others, the calls that no text can answer, and those
            that the API would have answered itself. ``"keep"``: change nothing. ``"raise"``: raise.
        ids: whether items keep the ids that an API gave them. Without ids, they can go to an API that does not know
            them: another provider's, another account's, or one that stored nothing (``store=False``). Reasoning whose
            text is known by its id alone is left out. `call_id` stays, and the ids that the API requires.

    Raises:
        OrphanCallError: there are such items, with ``orphans="raise"``.
        InvalidItemError: one of *items* is not an item.

    >>> from rolloutlog import Message
    >>> to_input([Message.user("hi")])
    [{'type': 'message', 'role': 'user', 'content': [{'type': 'input_text', 'text': 'hi'}]}]
    """
    if orphans not in ("close", "keep", "raise"):
        raise ValueError(f"orphans must be 'close', 'keep' or 'raise'; got {orphans!r}")
    values = [item._read() for item in map(to_item, items) if item.json]
    if orphans == "raise":
        _refuse_orphans(values)
    if orphans == "close":
        return _closed(values, ids)
    return [_stripped(value, ids) for value in values if ids or _says_something(value)]


def orphan_calls(items: Iterable[Item]) -> list[Item]:
    """Return the calls among *items* that wait for an answer of the caller's, in order."""
    made = [item for item in items if item.json]
    return [made[index] for index in sorted(find_orphans([item._read() for item in made]).calls)]


def _closed(items: Sequence[Wire], ids: bool) -> list[Any]:
    """Return *items* for the API, without orphans."""
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
        elif index not in dropped and (
            index == last or item["type"] != "compaction_trigger"
        ):  # accepted only as the last
            if not is_known:
                is_known = item["type"] == "reasoning" or not _is_models(item)
            if ids or _says_something(item):
                taken.append(_stripped(item, ids and is_known))
            if (answer := answers.get(index)) is not None:
                taken.append(_stripped(answer, ids))
    return taken


def _stripped(item: Wire, ids: bool) -> Wire:
    return strip_for_input(item) if ids else without_id(strip_for_input(item))


def _says_something(item: Wire) -> bool:
    """Whether *item* says anything to an API that does not know its id."""
    if item["type"] != "reasoning":
        return True
    return bool(item.get("encrypted_content") or item["summary"] or item.get("content"))


def _loose_reasoning(items: Sequence[Wire], found: OrphanReport, dropped: frozenset[int] = frozenset()) -> set[int]:
    """Return where reasoning is that led to nothing: no message of the model's, and no call that is kept."""
    loose: set[int] = set()
    followed = False
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if index in found.outputs:
            continue
        if item["type"] != "reasoning":
            followed = _is_models(item) and index not in dropped
        elif not followed:
            loose.add(index)
    return loose


def _is_models(item: Wire) -> bool:
    """Whether *item* came from the model: outputs, approvals and messages of people did not."""
    kind: str = item["type"]
    if kind == "message":
        return bool(item["role"] == "assistant")
    return not kind.endswith(("_output", "_response")) and kind not in _TO_THE_MODEL


def _refuse_orphans(items: Sequence[Wire]) -> None:
    found = find_orphans(items)
    wrong = sorted(found.calls | found.torn | found.outputs | _loose_reasoning(items, found))
    if wrong:
        raise OrphanCallError(
            [text_at(items[at], "call_id") or text_at(items[at], "id") or items[at]["type"] for at in wrong]
        )
