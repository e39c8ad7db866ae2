"""What the model sees, where that is no longer what was said: compacted history, turns and items that were taken back.

The rules are those that the newest Codex was seen to follow when it resumes a session. Items that were taken back are
an addition of ours; Codex does not know of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from ._codec import from_line
from ._envelope import SURROUNDINGS
from ._models import OWN, LogEntry, OtherEntry
from .exceptions import InvalidItemError
from .items import Message, Other, ResponseItem

# After how many items a line stands that rewrites what the model has seen so far, and that line.
Rewrite: TypeAlias = tuple[int, OtherEntry | LogEntry]

# The type of the line with which older versions said what one agent told another; today that is an item.
_BETWEEN_AGENTS = "inter_agent_communication"


def is_rewrite(entry: OtherEntry | LogEntry) -> bool:
    """Whether the line *entry* changes what the model sees of what was said before."""
    if isinstance(entry, LogEntry):
        return entry.logger == OWN and "taken_back" in entry.extra
    if entry.type in ("compacted", _BETWEEN_AGENTS):
        return True
    return entry.type == "event_msg" and _payload(entry).get("type") == "thread_rolled_back"


def context(items: Sequence[ResponseItem], rewrites: Sequence[Rewrite]) -> list[ResponseItem]:
    """Return what the model sees of *items*, in order; a new list."""
    if not rewrites:
        return list(items)
    seen: list[ResponseItem] = []
    turns: list[tuple[list[ResponseItem], int]] = []  # for each turn of the user's: what was seen before it
    done = 0
    for place, entry in rewrites:
        seen = _said(seen, items[done:place], turns)
        done = place
        if isinstance(entry, LogEntry):
            seen = _taken_back(seen, entry.extra["taken_back"], turns)
            continue
        payload = _payload(entry)
        count = payload.get("num_turns")
        if entry.type == _BETWEEN_AGENTS:
            seen = _said(seen, _between_agents(payload), turns)
        elif entry.type == "compacted":
            seen = _compacted(seen, payload)
        elif isinstance(count, int) and count > 0 and turns:
            earlier, length = turns[-min(count, len(turns))]
            del turns[-count:]
            seen = earlier[:length]
    return _said(seen, items[done:], turns)


def _payload(entry: OtherEntry) -> dict[str, Any]:
    payload = entry.raw.get("payload")
    return payload if isinstance(payload, dict) else {}


def _said(
    seen: list[ResponseItem], items: Sequence[ResponseItem], turns: list[tuple[list[ResponseItem], int]]
) -> list[ResponseItem]:
    """Append *items* to what is seen, and to *turns* where each turn of the user's begins."""
    for item in items:
        if _begins_turn(item):
            length = len(seen)
            while turns and length and _is_surroundings(seen[length - 1]):
                length -= 1  # what Codex said of its own accord before a turn goes with it, but for the first
            turns.append((seen, length))
        seen.append(item)
    return seen


def _taken_back(
    seen: list[ResponseItem], count: object, turns: list[tuple[list[ResponseItem], int]]
) -> list[ResponseItem]:
    """Return what is left of *seen* without its last *count* items, and leave in *turns* what began in that."""
    if count != "all" and not (type(count) is int and count > 0):
        return seen
    left = max(0, len(seen) - count) if isinstance(count, int) else 0
    turns[:] = [(earlier, length) for earlier, length in turns if earlier is not seen or length < left]
    return seen[:left]


def _begins_turn(item: ResponseItem) -> bool:
    """Whether *item* is what a user said, or another agent."""
    asked = isinstance(item, Message) and item.role == "user" and not _is_surroundings(item)
    return asked or item.type == "agent_message"


def _is_surroundings(item: ResponseItem) -> bool:
    """Whether Codex said *item* of its own accord; one part of that kind is enough."""
    if not isinstance(item, Message):
        return False
    if item.role == "user":
        return any(SURROUNDINGS.fullmatch(getattr(part, "text", None) or "") for part in item.content)
    return item.role == "developer"


def _between_agents(payload: dict[str, Any]) -> list[ResponseItem]:
    """Return the item as which the model sees what one agent told another, where a line of its own says so."""
    author, recipient, text = (payload.get(key) for key in ("author", "recipient", "content"))
    if not (isinstance(author, str) and isinstance(recipient, str) and isinstance(text, str)):
        return []
    said = {"type": "agent_message", "author": author, "recipient": recipient}
    return [Other({**said, "content": [{"type": "input_text", "text": text}]})]


def _compacted(seen: list[ResponseItem], payload: dict[str, Any]) -> list[ResponseItem]:
    """Return what is seen after a compaction: the list in it; in older files, what the user said and a summary."""
    summary, instead = payload.get("message"), payload.get("replacement_history")
    if not isinstance(summary, str):
        return seen
    if isinstance(instead, list):
        try:
            return [from_line(item) for item in instead]
        except InvalidItemError:
            return seen  # Codex skips such a line as a whole
    asked = [
        Message.user(item.text)
        for item in seen
        if isinstance(item, Message) and item.role == "user" and not _is_surroundings(item)
    ]
    return [*asked, Message.user(summary)]
