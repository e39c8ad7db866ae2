"""The model's view of a session, where it is not the recorded items: compacted history, turns and items taken back.

The rules are those that the newest Codex was seen to follow when it resumes a session. Items that were taken back are
an addition of this package; Codex does not know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from .._entries import OWN, LogEntry, OtherEntry
from .._format.envelope import is_surroundings
from .._format.lines import from_value
from .._item import Item, Other
from ..exceptions import InvalidItemError
from ..items import Message, Reasoning

# The summary of a compaction begins with this in a file of 0.60 or later. At the next compaction it is left out.
_SUMMARY = "Another language model started to solve this problem and produced a summary of its thinking process."
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
        items: the items that it sees; for reading only.
        unchanged_prefix: how many of them, the first ones, are still the same as when the caller last set this.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.unchanged_prefix = 0
        # For each turn of the user: the list in which it began, and after how many items. That is another list than
        # `items` for turns before a compaction. Turns in `items` are the last ones, and in the order of their places.
        self._turns: list[tuple[list[Item], int]] = []

    def copy(self) -> ModelView:
        """Return a view of the same items that can be changed without changing this one."""
        lists: dict[int, list[Item]] = {}

        def copied(items: list[Item]) -> list[Item]:
            return lists.setdefault(id(items), items[:])

        view = ModelView()
        view.items = copied(self.items)
        view._turns = [(copied(began), length) for began, length in self._turns]
        return view

    def append(self, items: Iterable[Item]) -> None:
        """Append *items*, and note where each turn of the user begins."""
        seen = self.items
        for item in items:
            if _begins_turn(item):
                length = len(seen)
                while self._turns and length and _is_surroundings(seen[length - 1]):
                    length -= 1  # what Codex adds by itself before a turn belongs to the turn, except before the first
                self._turns.append((seen, length))
            seen.append(item)

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
            self._replace(_compacted(self.items, payload, rewrite))
        elif isinstance(count, int) and count > 0 and self._turns:
            earlier, length = self._turns[-min(count, len(self._turns))]
            del self._turns[-count:]
            self._replace(earlier)
            self._shorten(length)

    def _take_back(self, what: object) -> None:
        """Remove so many of the last items, or all, or the reasoning at the end; and each turn that began in them."""
        seen = self.items
        left = len(seen)
        if what == "all":
            left = 0
        elif what == "reasoning":
            while left and isinstance(seen[left - 1], Reasoning):
                left -= 1
        elif type(what) is int and what > 0:
            left = max(0, left - what)
        while self._turns and self._turns[-1][0] is seen and self._turns[-1][1] >= left:
            self._turns.pop()
        self._shorten(left)

    def _replace(self, items: list[Item]) -> None:
        if items is not self.items:
            self.items = items
            self.unchanged_prefix = 0

    def _shorten(self, length: int) -> None:
        del self.items[length:]
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
    if b'"user"' not in item.json and b"\\u" not in item.json:
        return False  # proven without a parse, which a long answer would make slow
    return item._read()["role"] == "user" and not _is_surroundings(item)


def _is_surroundings(item: Item) -> bool:
    """Whether Codex added *item* by itself; one part of that kind is enough."""
    if not isinstance(item, Message):
        return False
    value = item._read()
    if value["role"] == "user":
        texts = [part.get("text") for part in value["content"]]
        return any(is_surroundings(text) for text in texts if isinstance(text, str))
    return bool(value["role"] == "developer")


def _between_agents(payload: dict[str, Any]) -> list[Item]:
    """Return the item that the model sees for a message between agents, where that is a line of its own."""
    author, recipient, text = (payload.get(key) for key in ("author", "recipient", "content"))
    if not (isinstance(author, str) and isinstance(recipient, str) and isinstance(text, str)):
        return []
    said = {"type": "agent_message", "author": author, "recipient": recipient}
    return [Other({**said, "content": [{"type": "input_text", "text": text}]})]


def _compacted(seen: list[Item], payload: dict[str, Any], rewrite: Rewrite) -> list[Item]:
    """Return what is seen after a compaction: its list; in older files, what the user said and a summary."""
    summary = payload.get("message")
    if not isinstance(summary, str):
        return seen
    if isinstance(payload.get("replacement_history"), list):
        instead = rewrite.replacement()
        return seen if instead is None else instead[:]  # Codex skips a line with a bad item as a whole
    asked = [
        Message.user(item.text)
        for item in seen
        if isinstance(item, Message) and item._read()["role"] == "user" and not _is_surroundings(item)
    ]
    asked = [message for message in asked if not message.text.startswith(_SUMMARY)]
    return [*asked, Message.user(summary or _NO_SUMMARY)]


def _items_of(values: object) -> list[Item] | None:
    """Return the items that *values* are; `None` where that is not a list of items."""
    try:
        return [from_value(value) for value in values] if isinstance(values, list) else None
    except InvalidItemError:
        return None
