"""The items that a model sees from one compaction to the next, so that many compactions take linear time."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import attrs

from .._format.envelope import is_surroundings
from .._item import Item
from ..items import Message

# The summary of a compaction begins with this in a file of 0.60 or later. At the next compaction it is left out.
_SUMMARY = "Another language model started to solve this problem and produced a summary of its thinking process."


@attrs.frozen(eq=False)
class _Kept:
    """A message of the user that a compaction kept, and those before it; histories share them.

    Attributes:
        before: the message before it.
        item: the message, in the shape that a compaction gives it.
        count: how many there are, with this one.
    """

    before: _Kept | None
    item: Item
    count: int


class History:
    """The items that the model sees, from one compaction to the next.

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

    def copy(self) -> History:
        """Return a history of the same items that can be changed without changing this one."""
        return History(self._kept, self._added[:])

    def last_of(self, is_one: Callable[[Item], bool]) -> int:
        """Return how many of the last items *is_one* accepts, of those that no compaction kept."""
        return sum(1 for _ in itertools.takewhile(is_one, reversed(self._added)))

    def compacted(self, summary: str) -> History:
        """Return what is seen after a compaction that keeps what the user said, and adds a summary."""
        kept, rest = self._kept, list[Item]()
        for item in self._added:
            if not isinstance(item, Message) or item._read()["role"] != "user" or is_added_by_codex(item):
                continue
            message = Message.user(item.text)
            if message.text.startswith(_SUMMARY):
                continue
            # Parts that are one text now can begin like what Codex adds by itself: the next compaction looks again.
            if rest or is_added_by_codex(message):
                rest.append(message)
            else:
                kept = _Kept(kept, message, kept.count + 1 if kept else 1)
        return History(kept, [*rest, Message.user(summary)])


def is_added_by_codex(item: Item) -> bool:
    """Whether Codex added *item* by itself; one part of that kind is enough."""
    if not isinstance(item, Message):
        return False
    value = item._read()
    if value["role"] == "user":
        texts = [part.get("text") for part in value["content"]]
        return any(is_surroundings(text) for text in texts if isinstance(text, str))
    return bool(value["role"] == "developer")
