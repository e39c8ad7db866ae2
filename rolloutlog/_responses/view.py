"""What the model sees, where that is no longer what was said: compacted history, turns and items that were taken back.

The rules are those that the newest Codex was seen to follow when it resumes a session. Items that were taken back are
an addition of ours; Codex does not know of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from .._entries import OWN, LogEntry, OtherEntry
from .._format.envelope import is_surroundings
from .._format.lines import from_value
from .._item import Item, Other
from ..exceptions import InvalidItemError
from ..items import Message, Reasoning

# After how many items a line stands that rewrites what the model has seen so far, and that line.
Rewrite: TypeAlias = tuple[int, OtherEntry | LogEntry]

# With this begins, in a file of 0.60 or later, the summary of a compaction; one that was made before is not seen again.
_SUMMARY = "Another language model started to solve this problem and produced a summary of its thinking process."
_NO_SUMMARY = "(no summary available)"

# The type of the line with which older versions said what one agent told another; today that is an item.
_BETWEEN_AGENTS = "inter_agent_communication"


def is_rewrite(entry: OtherEntry | LogEntry) -> bool:
    """Whether the line *entry* changes what the model sees of what was said before."""
    if isinstance(entry, LogEntry):
        return entry.logger == OWN and "taken_back" in entry.extra
    if entry.type in ("compacted", _BETWEEN_AGENTS):
        return True
    return entry.type == "event_msg" and _payload(entry).get("type") == "thread_rolled_back"


class Seen:
    """What the model sees of a session, as its items and the lines that rewrite them come in, one after the other.

    Attributes:
        items: what is seen; for reading only.
        settled: how many of them, the first ones, are still those that they were when somebody last set this.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.settled = 0
        # For each turn of the user's: in which list it began, and after how many items. It is another list than `items`
        # for what was said before a compaction.
        self._turns: list[tuple[list[Item], int]] = []

    def say(self, items: Iterable[Item]) -> None:
        """Append *items* to what is seen, and remember where each turn of the user's begins."""
        seen = self.items
        for item in items:
            if _begins_turn(item):
                length = len(seen)
                while self._turns and length and _is_surroundings(seen[length - 1]):
                    length -= 1  # what Codex said of its own accord before a turn goes with it, but for the first
                self._turns.append((seen, length))
            seen.append(item)

    def rewrite(self, entry: OtherEntry | LogEntry) -> None:
        """Change what is seen so far, as the line *entry* says."""
        if isinstance(entry, LogEntry):
            self._take_back(entry.extra["taken_back"])
            return
        payload = _payload(entry)
        count = payload.get("num_turns")
        if entry.type == _BETWEEN_AGENTS:
            self.say(_between_agents(payload))
        elif entry.type == "compacted":
            self._begin_anew(_compacted(self.items, payload))
        elif isinstance(count, int) and count > 0 and self._turns:
            earlier, length = self._turns[-min(count, len(self._turns))]
            del self._turns[-count:]
            self._begin_anew(earlier)
            self._shorten(length)

    def _take_back(self, what: object) -> None:
        """Forget so many of the last items, or all, or the reasoning at the end; and each turn that began in them."""
        seen = self.items
        left = len(seen)
        if what == "all":
            left = 0
        elif what == "reasoning":
            while left and isinstance(seen[left - 1], Reasoning):
                left -= 1
        elif type(what) is int and what > 0:
            left = max(0, left - what)
        self._turns[:] = [(began, length) for began, length in self._turns if began is not seen or length < left]
        self._shorten(left)

    def _begin_anew(self, items: list[Item]) -> None:
        if items is not self.items:
            self.items = items
            self.settled = 0

    def _shorten(self, length: int) -> None:
        del self.items[length:]
        self.settled = min(self.settled, length)


def context(items: Sequence[Item], rewrites: Sequence[Rewrite]) -> list[Item]:
    """Return what the model sees of *items*, in order; a new list."""
    if not rewrites:
        return list(items)
    return seen_of(items, rewrites).items


def seen_of(items: Sequence[Item], rewrites: Sequence[Rewrite]) -> Seen:
    """Return what the model sees of *items*, so that more can be added."""
    seen = Seen()
    done = 0
    for place, entry in rewrites:
        seen.say(items[done:place])
        seen.rewrite(entry)
        done = place
    seen.say(items[done:])
    return seen


def _payload(entry: OtherEntry) -> dict[str, Any]:
    payload = entry.raw.get("payload")
    return payload if isinstance(payload, dict) else {}


def _begins_turn(item: Item) -> bool:
    """Whether *item* is what a user said, or another agent."""
    if not isinstance(item, Message):
        return item.type == "agent_message"
    return item._read()["role"] == "user" and not _is_surroundings(item)


def _is_surroundings(item: Item) -> bool:
    """Whether Codex said *item* of its own accord; one part of that kind is enough."""
    if not isinstance(item, Message):
        return False
    value = item._read()
    if value["role"] == "user":
        texts = [part.get("text") for part in value["content"]]
        return any(is_surroundings(text) for text in texts if isinstance(text, str))
    return bool(value["role"] == "developer")


def _between_agents(payload: dict[str, Any]) -> list[Item]:
    """Return the item as which the model sees what one agent told another, where a line of its own says so."""
    author, recipient, text = (payload.get(key) for key in ("author", "recipient", "content"))
    if not (isinstance(author, str) and isinstance(recipient, str) and isinstance(text, str)):
        return []
    said = {"type": "agent_message", "author": author, "recipient": recipient}
    return [Other({**said, "content": [{"type": "input_text", "text": text}]})]


def _compacted(seen: list[Item], payload: dict[str, Any]) -> list[Item]:
    """Return what is seen after a compaction: the list in it; in older files, what the user said and a summary."""
    summary, instead = payload.get("message"), payload.get("replacement_history")
    if not isinstance(summary, str):
        return seen
    if isinstance(instead, list):
        try:
            return [from_value(item) for item in instead]
        except InvalidItemError:
            return seen  # Codex skips such a line as a whole
    asked = [
        Message.user(item.text)
        for item in seen
        if isinstance(item, Message) and item._read()["role"] == "user" and not _is_surroundings(item)
    ]
    asked = [message for message in asked if not message.text.startswith(_SUMMARY)]
    return [*asked, Message.user(summary or _NO_SUMMARY)]
