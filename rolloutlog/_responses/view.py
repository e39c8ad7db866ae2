"""The model's view of a session, where it is not the recorded items: compacted history, turns and items taken back.

The rules are those that the newest Codex was seen to follow when it resumes a session. Items that were taken back are
an addition of this package; Codex does not know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from .._entries import OWN, LogEntry, OtherEntry
from .._format.lines import from_value
from .._item import Item, Other
from ..exceptions import InvalidItemError
from ..items import Message, Reasoning
from .history import History, is_added_by_codex

_NO_SUMMARY = "(no summary available)"

# The type of the line by which older versions recorded a message between agents, which today is an item.
_BETWEEN_AGENTS = "inter_agent_communication"


def is_rewrite(entry: OtherEntry | LogEntry) -> bool:
    """Whether the line *entry* changes what the model sees of the items before it."""
    if isinstance(entry, LogEntry):
        return entry.logger == OWN and "taken_back" in entry.extra
    if entry.type in ("compacted", _BETWEEN_AGENTS):
        return True
    return entry.type == "event_msg" and _payload(entry).get("type") == "thread_rolled_back"


@attrs.define(eq=False)
class Rewrite:
    """A line that changes what the model sees of the items before it.

    Attributes:
        place: how many items are before it.
        entry: the line.
    """

    place: int
    entry: OtherEntry | LogEntry
    # The items that a compaction puts in place of those before it: parsed once, at the first look.
    _instead: list[Item] | None = attrs.field(default=None, init=False)
    _is_parsed: bool = attrs.field(default=False, init=False)

    def replacement(self) -> list[Item] | None:
        """Return the list that a compaction puts in place of the items; `None` if there is no valid one."""
        if not self._is_parsed:
            self._instead = _items_of(_payload(self.entry).get("replacement_history"))
            self._is_parsed = True
        return self._instead


class ModelView:
    """The items that the model sees, as the items of a session and the lines that rewrite them are added in order.

    Attributes:
        unchanged_prefix: how many of `items`, the first ones, are still the same as when the caller last set this.
    """

    def __init__(self) -> None:
        self.unchanged_prefix = 0
        self._history = History(None, [])
        # For each turn of the user: the history in which it began, and after how many items. That is another history
        # than the present one for turns before a compaction. Turns in the present one are the last ones, and in the
        # order of their places.
        self._turns: list[tuple[History, int]] = []

    @property
    def items(self) -> list[Item]:
        """The items that the model sees; for reading only."""
        return self._history.items

    def copy(self) -> ModelView:
        """Return a view of the same items that can be changed without changing this one."""
        copies: dict[int, History] = {}

        def copied(history: History) -> History:
            if id(history) not in copies:
                copies[id(history)] = history.copy()
            return copies[id(history)]

        view = ModelView()
        view._history = copied(self._history)
        view._turns = [(copied(began), length) for began, length in self._turns]
        return view

    def append(self, items: Iterable[Item]) -> None:
        """Append *items*, and note where each turn of the user begins."""
        history = self._history
        for item in items:
            if _begins_turn(item):
                # Codex adds items by itself before a turn; they belong to the turn, except before the first.
                around = history.last_of(is_added_by_codex) if self._turns else 0
                self._turns.append((history, len(history) - around))
            history.append(item)

    def apply(self, rewrite: Rewrite) -> None:
        """Change the items so far as the line of *rewrite* says."""
        entry = rewrite.entry
        if isinstance(entry, LogEntry):
            self._take_back(entry.extra["taken_back"])
            return
        payload = _payload(entry)
        count = payload.get("num_turns")
        if entry.type == _BETWEEN_AGENTS:
            self.append(_between_agents(payload))
        elif entry.type == "compacted":
            self._replace(self._compacted(payload, rewrite))
        elif isinstance(count, int) and count > 0 and self._turns:
            earlier, length = self._turns[-min(count, len(self._turns))]
            del self._turns[-count:]
            self._replace(earlier)
            self._shorten(length)

    def _compacted(self, payload: dict[str, Any], rewrite: Rewrite) -> History:
        """Return the history after a compaction: its list; in older files, the words of the user and a summary."""
        summary = payload.get("message")
        if not isinstance(summary, str):
            return self._history
        if isinstance(payload.get("replacement_history"), list):
            instead = rewrite.replacement()
            return self._history if instead is None else History(None, instead[:])  # Codex skips one with a bad item
        return self._history.compacted(summary or _NO_SUMMARY)

    def _take_back(self, what: object) -> None:
        """Remove so many of the last items, or all, or the reasoning at the end; and each turn that began in them."""
        history = self._history
        left = len(history)
        if what == "all":
            left = 0
        elif what == "reasoning":
            left -= history.last_of(lambda item: isinstance(item, Reasoning))
        elif type(what) is int and what > 0:
            left = max(0, left - what)
        while self._turns and self._turns[-1][0] is history and self._turns[-1][1] >= left:
            self._turns.pop()
        self._shorten(left)

    def _replace(self, history: History) -> None:
        if history is not self._history:
            self._history.settle()
            self._history = history
            self.unchanged_prefix = 0

    def _shorten(self, length: int) -> None:
        self._history.shorten(length)
        self.unchanged_prefix = min(self.unchanged_prefix, length)


def context(items: Sequence[Item], rewrites: Sequence[Rewrite]) -> list[Item]:
    """Return what the model sees of *items*, in order; a new list."""
    return view_of(items, rewrites).items if rewrites else list(items)


def view_of(items: Sequence[Item], rewrites: Sequence[Rewrite]) -> ModelView:
    """Return what the model sees of *items*, so that more can be added."""
    view = ModelView()
    done = 0
    for rewrite in rewrites:
        view.append(items[done : rewrite.place])
        view.apply(rewrite)
        done = rewrite.place
    view.append(items[done:])
    return view


def _payload(entry: OtherEntry | LogEntry) -> dict[str, Any]:
    payload = entry.raw.get("payload") if isinstance(entry, OtherEntry) else None
    return payload if isinstance(payload, dict) else {}


def _begins_turn(item: Item) -> bool:
    """Whether *item* is a message of a user, or of another agent."""
    if not isinstance(item, Message):
        return item.type == "agent_message"
    if b'"user"' not in (line := item._bytes()) and b"\\u" not in line:
        return False  # proven without a parse, which a long answer would make slow
    return item._read()["role"] == "user" and not is_added_by_codex(item)


def _between_agents(payload: dict[str, Any]) -> list[Item]:
    """Return the item that the model sees for a message between agents, where that is a line of its own."""
    author, recipient, text = (payload.get(key) for key in ("author", "recipient", "content"))
    if not (isinstance(author, str) and isinstance(recipient, str) and isinstance(text, str)):
        return []
    said = {"type": "agent_message", "author": author, "recipient": recipient}
    return [Other({**said, "content": [{"type": "input_text", "text": text}]})]


def _items_of(values: object) -> list[Item] | None:
    """Return the items that *values* are; `None` where that is not a list of items."""
    try:
        return [from_value(value) for value in values] if isinstance(values, list) else None
    except InvalidItemError:
        return None
