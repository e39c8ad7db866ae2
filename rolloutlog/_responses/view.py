"""The model's view of a session, where it is not the recorded items: compacted history, turns and items taken back.

The rules are those that the newest Codex was seen to follow when it resumes a session. Items that were taken back are
an addition of this package; Codex does not know them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
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


@attrs.frozen(eq=False)
class _Kept:
    """A message of the user that a compaction kept, and those before it; histories share them.

    Attributes:
        before: the message before it.
        item: the message, as a compaction makes it anew.
        count: how many there are, with this one.
    """

    before: _Kept | None
    item: Item
    count: int


class _History:
    """What the model sees, from one compaction to the next.

    A compaction of older files keeps all that the user said. A list for each of them would take quadratic time and
    memory, so a history refers to what earlier compactions kept, and a list is made when a caller looks.
    """

    def __init__(self, kept: _Kept | None, added: list[Item]) -> None:
        self._kept = kept
        self._added = added
        self._all: list[Item] | None = None

    def __len__(self) -> int:
        return (self._kept.count if self._kept else 0) + len(self._added)

    @property
    def items(self) -> list[Item]:
        """The items; for reading only."""
        if self._kept is None:
            return self._added
        if self._all is None:
            self._all = []
            kept: _Kept | None = self._kept
            while kept:
                self._all.append(kept.item)
                kept = kept.before
            self._all.reverse()
            self._all += self._added
        return self._all

    def append(self, item: Item) -> None:
        self._added.append(item)
        if self._all is not None:
            self._all.append(item)

    def shorten(self, length: int) -> None:
        """Remove the items after the first *length*."""
        kept = self._kept
        while kept and kept.count > length:
            kept = kept.before
        self._kept = kept
        del self._added[max(0, length - (kept.count if kept else 0)) :]
        if self._all is not None:
            del self._all[length:]

    def settle(self) -> None:
        """Free what only a caller's look needs."""
        self._all = None

    def copy(self) -> _History:
        """Return a history of the same items that can be changed without changing this one."""
        return _History(self._kept, self._added[:])

    def last_of(self, is_one: Callable[[Item], bool]) -> int:
        """Return how many of the last items *is_one* accepts, of those that no compaction kept."""
        return sum(1 for _ in itertools.takewhile(is_one, reversed(self._added)))

    def compacted(self, summary: str) -> _History:
        """Return what is seen after a compaction that keeps what the user said, and adds a summary."""
        kept, rest = self._kept, list[Item]()
        for item in self._added:
            if not isinstance(item, Message) or item._read()["role"] != "user" or _is_surroundings(item):
                continue
            message = Message.user(item.text)
            if message.text.startswith(_SUMMARY):
                continue
            # Parts that are one text now can begin like what Codex adds by itself: the next compaction looks again.
            if rest or _is_surroundings(message):
                rest.append(message)
            else:
                kept = _Kept(kept, message, kept.count + 1 if kept else 1)
        return _History(kept, [*rest, Message.user(summary)])


class ModelView:
    """The items that the model sees, as the items of a session and the lines that rewrite them are added in order.

    Attributes:
        unchanged_prefix: how many of `items`, the first ones, are still the same as when the caller last set this.
    """

    def __init__(self) -> None:
        self.unchanged_prefix = 0
        self._history = _History(None, [])
        # For each turn of the user: the history in which it began, and after how many items. That is another history
        # than the present one for turns before a compaction. Turns in the present one are the last ones, and in the
        # order of their places.
        self._turns: list[tuple[_History, int]] = []

    @property
    def items(self) -> list[Item]:
        """The items that the model sees; for reading only."""
        return self._history.items

    def copy(self) -> ModelView:
        """Return a view of the same items that can be changed without changing this one."""
        copies: dict[int, _History] = {}

        def copied(history: _History) -> _History:
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
                # What Codex adds by itself before a turn belongs to the turn, except before the first.
                around = history.last_of(_is_surroundings) if self._turns else 0
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

    def _compacted(self, payload: dict[str, Any], rewrite: Rewrite) -> _History:
        """Return what is seen after a compaction: its list; in older files, what the user said and a summary."""
        summary = payload.get("message")
        if not isinstance(summary, str):
            return self._history
        if isinstance(payload.get("replacement_history"), list):
            instead = rewrite.replacement()
            return self._history if instead is None else _History(None, instead[:])  # Codex skips one with a bad item
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

    def _replace(self, history: _History) -> None:
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


def _items_of(values: object) -> list[Item] | None:
    """Return the items that *values* are; `None` where that is not a list of items."""
    try:
        return [from_value(value) for value in values] if isinstance(values, list) else None
    except InvalidItemError:
        return None
