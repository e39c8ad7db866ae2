"""A session without its secrets: the lines of a transcript, with a note in place of each secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from .._entries import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, other_entry
from .._item import Item, make_item
from .._reading.lines import RolloutLine
from ..exceptions import InvalidItemError
from ..redaction import redacted, redacted_value
from .heads import StrPath
from .transcript import Transcript


class RedactedTranscript(Transcript):
    """A transcript whose lines hold no secret that `rolloutlog.redaction` finds.

    Attributes:
        found: how many secrets of each kind were replaced in the lines read so far.
    """

    def __init__(self, path: StrPath) -> None:
        super().__init__(path)
        names = ("title", "name", "cwd", "model", "program")
        texts: dict[str, Any] = {name: redacted(text) for name in names if (text := getattr(self.head, name))}
        self.head = attrs.evolve(self.head, **texts)
        self.found: Counter[str] = Counter()

    def lines(self) -> Iterator[RolloutLine]:
        self.found.clear()
        for line in super().lines():
            yield line._replace(entry=redacted_entry(line.entry, self.found))


def redacted_entry(entry: Entry, counts: Counter[str]) -> Entry:
    """Return *entry* with a note in place of each secret, and itself if it holds none; count them in *counts*."""
    value: Any
    if isinstance(entry, Item):
        value = entry.to_dict()
    elif isinstance(entry, OtherEntry):
        value = dict(entry.raw)
    elif isinstance(entry, LogEntry | SessionMeta | SessionStateSnapshot):
        value = entry.to_dict()
    else:
        return entry
    before = counts.total()
    value = redacted_value(value, counts)
    if counts.total() == before:
        return entry
    if isinstance(entry, Item):
        try:
            return make_item(value)
        except InvalidItemError:  # the name of a role or a type was a secret
            return make_item({"type": "message", "role": "user", "content": str(value)})
    if isinstance(entry, LogEntry):
        value.pop("type")
        return LogEntry(**{**value, "extra": value.get("extra") or {}})
    if isinstance(entry, SessionMeta):
        extra = {key: held for key, held in value.items() if key not in SessionMeta.KEYS}
        return SessionMeta(entry.id, entry.timestamp, value["instructions"], extra)
    if isinstance(entry, SessionStateSnapshot):
        value.pop("record_type")
        return SessionStateSnapshot(value)
    return other_entry(value)
