"""Items to the input of a model's API, which refuses calls without an output and reasoning that led to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from typing import Any, Literal, TypeAlias

from .._format.coerce import ItemLike, to_item
from .._item import Item
from .._shapes import Wire
from ..exceptions import OrphanCallError
from .calls import OrphanReport, arrange, find_orphans, is_answered_by_api, marked_answer, text_at
from .ids import WELL_KNOWN
from .rules import sendable, without_id

OrphanPolicy: TypeAlias = Literal["close", "keep", "raise"]
ReasoningPolicy: TypeAlias = Literal["encrypted", "text"]

# Items that go to the model, beside outputs and messages: no reasoning led to them.
_TO_THE_MODEL = frozenset({"additional_tools", "compaction_trigger", "configuration_update"})


def to_input(
    items: Iterable[ItemLike],
    *,
    orphans: OrphanPolicy = "close",
    ids: bool = True,
    reasoning: ReasoningPolicy = "encrypted",
) -> list[Any]:
    """Return *items* as the dicts that a model's API takes as its input.

    Values that the API refuses are left out: keys that hold `None` (except the few that it requires), keys that
    only its answers have or that Codex keeps for itself, ids that no Responses API gave, and items that it requires
    an id for and that have none. A call id of more than 64 characters is shortened, in the call and in its output.
    Lists stay, also empty ones. Type checkers see a list of `Any`, so that every SDK's own type for its input
    accepts it.

    Args:
        items: items, or values that can be recorded as one; empty `Other` are left out.
        orphans: what to do about calls without an output, outputs without a call, and reasoning without the item that
            it led to. A killed session leaves such items. ``"close"``: answer each such call, right after it, with an
            output that says that there was none, and leave out the others, the calls that no text can answer, and those
            that the API would have answered itself. ``"raise"``: raise. Both send an item once that is there twice,
            one output a call, and each output after its call; and where the reasoning before an item may be lost, the
            item has no id. ``"keep"``: change nothing of all this.
        ids: whether items keep the ids that an API gave them. Without ids, they can go to an API that does not know
            them: another provider's, another account's, or one that stored nothing (``store=False``). Reasoning whose
            text is known by its id alone is left out. `call_id` stays, and the ids that the API requires.
        reasoning: in which form reasoning is sent. ``"encrypted"``: without `content`, which OpenAI's API refuses;
            reasoning that has only that is left out. ``"text"``: with `content`, for providers that take it.

    Raises:
        OrphanCallError: there are such items, with ``orphans="raise"``.
        InvalidItemError: one of *items* is not an item.

    >>> from rolloutlog import Message
    >>> to_input([Message.user("hi")])
    [{'type': 'message', 'role': 'user', 'content': [{'type': 'input_text', 'text': 'hi'}]}]
    """
    return _to_input(items, orphans, ids, reasoning, is_session=False)


def session_input(items: Iterable[ItemLike], orphans: OrphanPolicy, ids: bool, reasoning: ReasoningPolicy) -> list[Any]:
    """Return `to_input` of the *items* of a session, from which all reasoning may be missing.

    A `redact` hook or damaged lines may have taken it. So items that no reasoning leads have no ids, even if there is
    no reasoning at all.
    """
    return _to_input(items, orphans, ids, reasoning, is_session=True)


def _to_input(
    items: Iterable[ItemLike], orphans: OrphanPolicy, ids: bool, reasoning: ReasoningPolicy, *, is_session: bool
) -> list[Any]:
    if orphans not in ("close", "keep", "raise"):
        raise ValueError(f"orphans must be 'close', 'keep' or 'raise'; got {orphans!r}")
    if reasoning not in ("encrypted", "text"):
        raise ValueError(f"reasoning must be 'encrypted' or 'text'; got {reasoning!r}")
    given = [item._read() for item in map(to_item, items) if item._bytes()]
    had_reasoning = is_session or any(value["type"] == "reasoning" for value in given)
    values = [taken for value in given if (taken := sendable(value, text=reasoning == "text")) is not None]
    if orphans != "keep":
        values = _arranged(values)
        if orphans == "raise":
            _refuse_orphans(values)
        values = _closed(values, had_reasoning)
    if not ids:
        values = [without_id(value) for value in values]
    return [value for value in values if _says_something(value)]


def orphan_calls(items: Iterable[Item]) -> list[Item]:
    """Return the calls among *items* that wait for an answer of the caller's, in order."""
    made = [item for item in items if item._bytes()]
    values = [item._read() for item in made]
    order = arrange(values).order
    return [made[order[at]] for at in sorted(find_orphans([values[index] for index in order]).calls)]


def _arranged(items: Sequence[Wire]) -> list[Wire]:
    """Return *items* with each id once, one output a call, and each output after its call."""
    found = arrange(items)
    return [
        {key: held for key, held in items[at].items() if key != "id"} if at in found.repeated else items[at]
        for at in found.order
    ]


def _closed(items: Sequence[Wire], had_reasoning: bool) -> list[Wire]:
    """Return *items* without orphans and, if there was reasoning, without the ids by which the API would miss some."""
    found = find_orphans(items)
    last = len(items) - 1
    answers = {index: marked_answer(items[index]) for index in found.calls}
    dropped = found.torn.union(index for index, answer in answers.items() if answer is None)
    loose = _loose_reasoning(items, found, dropped)
    unled = _unled(items, found, loose) if had_reasoning else frozenset()
    named = {call for at, call in found.pairs.items() if items[at]["type"] == "local_shell_call_output"}
    taken = []
    for index, item in enumerate(items):
        if index in found.outputs or index in loose or found.pairs.get(index, index) in dropped:
            continue
        if index != last and item["type"] == "compaction_trigger":
            continue  # accepted only as the last
        taken.append(without_id(item, is_named=index in named) if index in unled else item)
        if (answer := answers.get(index)) is not None:
            taken.append(answer)
    return taken


def _says_something(item: Wire) -> bool:
    """Whether *item* says anything to an API that does not know its id."""
    if item["type"] != "reasoning" or "id" in item:
        return True
    return bool(item.get("encrypted_content") or item["summary"] or item.get("content"))


def _loose_reasoning(items: Sequence[Wire], found: OrphanReport, dropped: Set[int] = frozenset()) -> set[int]:
    """Return where reasoning is that led to nothing, or whose answer is not whole.

    It leads to a message of the model's, or a call that is kept. Where an output has no call, that call is missing from
    the answer before it.
    """
    loose: set[int] = set()
    is_followed = is_torn = is_inside = False
    for index in range(len(items) - 1, -1, -1):
        item = items[index]
        if index in found.outputs:
            is_torn, is_followed, is_inside = True, False, False
        elif item["type"] == "reasoning":
            is_inside = True
            if is_torn or not is_followed:
                loose.add(index)
        elif _is_models(item):
            is_followed, is_inside = index not in dropped, True
        elif not _is_of_api(items, found, index):
            is_torn, is_followed = is_torn and not is_inside, False
            is_inside = False
    return loose


def _unled(items: Sequence[Wire], found: OrphanReport, loose: Set[int]) -> Set[int]:
    """Return where items of the model's are that have no reasoning before them in their answer: it may be lost."""
    unled = set()
    is_led = False
    for index, item in enumerate(items):
        if item["type"] == "reasoning":
            is_led = index not in loose
        elif _is_models(item):
            if not is_led and item["type"] in WELL_KNOWN:
                unled.add(index)
        elif not _is_of_api(items, found, index):
            is_led = False
    return unled


def _is_of_api(items: Sequence[Wire], found: OrphanReport, index: int) -> bool:
    """Whether the item at *index* is an output that the API gave, in the same answer as its call."""
    call = found.pairs.get(index)
    return call is not None and is_answered_by_api(items[call])


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
