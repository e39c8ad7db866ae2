"""One entry to one line of bytes and back: which values are written, and which are left out."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias

import attrs

from .._checks import structure
from .._entries import OWN, Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, other_entry, utc_timestamp
from .._item import CLASSES, Item, read_item, unsettled
from .._json import MAX_RECORDED, InvalidJson, dumps, exactly, loads, parse
from .._plain import plain, snapshot
from .._shapes import SHAPES, Wire, is_simple, named_type
from ..exceptions import InvalidItemError, RedactionError
from .coerce import ItemLike, item_line, to_item
from .envelope import TYPE_AT, Envelope, is_wrapped, required_meta
from .redact import Redact, Redaction
from .response import message_of

Format: TypeAlias = Literal["flat", "envelope"]
# Which items a line takes back: so many of the last, all, or reasoning at the end. The reader works out the last of
# these, so that no other item goes with it if one is recorded just before.
TakenBack: TypeAlias = int | Literal["all", "reasoning"]


class InvalidLine(ValueError):
    """A line that is not an entry; says why, without its text."""


# --- bytes to values --------------------------------------------------------------------------------------------------

# The line that wraps an item, as real Codex and we write it: the item is a slice of it.
_WRAPPED = re.compile(rb'\{"timestamp":"[0-9T:.Z+-]*",(?:"ordinal":[0-9]+,)?"type":"response_item","payload":(?=\{)')

_STAMPED = b'{"timestamp":'
_EVENT = b'"type":"event_msg"'
# How every line is wrapped, with its time, and how the meta is.
_TIMED = re.compile(rb'\s*\{"timestamp":"([0-9T:.Z+-]*)",(?:"ordinal":[0-9]+,)?"type":"[^"\\]*","payload":')
_ENVELOPE = re.compile(rb'\s*\{"timestamp":"[0-9T:.Z+-]*",(?:"ordinal":[0-9]+,)?"type":"session_meta","payload":\{')


def decode_line(line: bytes) -> Entry:
    """Return the entry that *line* holds, in either format; white space around it does no harm.

    Raises:
        InvalidLine: it holds none.
    """
    entry = _attempt(line)
    if not isinstance(entry, InvalidLine):
        return entry
    try:
        raise entry
    finally:
        del entry  # else the error and this frame refer to each other, and all frames above live until a collection


def decode_lines(lines: list[bytes]) -> Iterator[Entry | InvalidLine]:
    """Yield for each of *lines*, in order, the entry that `decode_line` returns, or the error that it raises."""
    values: list[Any] = []
    if lines and not lines[0].startswith(_STAMPED):
        with suppress(ValueError):
            values = list(map(parse, lines))  # all at once takes a sixth less than one by one, for short lines
    if not values:
        yield from map(_attempt, lines)
    for line, value in zip(lines, values, strict=False):
        try:
            kind = value["type"]
            if is_simple(value, SHAPES[kind]):  # nearly always
                yield unsettled(CLASSES[kind], line)
                continue
        except (KeyError, TypeError):
            pass
        yield _attempt(line)


def _attempt(line: bytes) -> Entry | InvalidLine:
    try:
        return _decoded(line)
    except (InvalidJson, InvalidItemError) as error:
        return InvalidLine(str(error))


def _decoded(line: bytes) -> Entry:
    data = _payload(line) if line.startswith(_STAMPED) else line
    try:
        value = parse(data)
    except ValueError:
        data, value = line, loads(line)  # which says why
    if data is line:
        return _entry(value, line)
    return read_item(value, data) if type(value.get("type")) is str else _entry(parse(line), line)


def _payload(line: bytes) -> bytes:
    """Return the slice of *line* that must be the JSON of an item, if it is JSON at all; else the whole line."""
    head = None if line.startswith(_EVENT, TYPE_AT) else _WRAPPED.match(line)
    if head is None:
        return line
    if line.endswith(b"}\n"):
        return line[head.end() : -2]
    end = line.rstrip()
    return end[head.end() : -1] if end.endswith(b"}") else line


def _entry(value: Any, line: bytes) -> Entry:
    """Return the entry that *line*, whose fast parse is *value*, holds."""
    if type(value) is not dict:
        raise InvalidItemError("line", f"must be a JSON object; got {named_type(value)}")
    kind = value.get("type")
    if kind == "event_msg" and "payload" in value and "timestamp" in value and "record_type" not in value:
        return other_entry(exactly(value, line))  # half of the lines of today's Codex
    if type(kind) is str and kind != "log" and value.get("record_type") != "state" and not is_wrapped(value):
        return read_item(value, line)
    return _other_entry(exactly(value, line))


def _other_entry(value: Wire) -> Entry:
    """Return the entry that *value*, the exact object of a line, is; for a line that wraps an item, the item."""
    if value.get("record_type") == "state":
        return SessionStateSnapshot({key: value[key] for key in value if key != "record_type"})
    if "type" not in value and "id" in value and "timestamp" in value:
        return structure(value, SessionMeta, SessionMeta.type, "record_type")
    kind = value.get("type")
    if type(kind) is not str:
        raise InvalidItemError("line", "has no type, and is neither a session meta nor a state")
    if not is_wrapped(value):
        return _log(value)
    payload = value["payload"]
    if kind == OWN and type(payload) is dict and payload.get("record_type") == "state":
        return _other_entry(payload)
    if kind == OWN and type(payload) is dict and payload.get("type") == "log":
        return _log(payload)
    if kind not in ("response_item", "session_meta"):
        return other_entry(value)
    if type(payload) is not dict:
        raise InvalidItemError("payload", f"must be a JSON object; got {named_type(payload)}")
    if kind == "session_meta":
        return structure(payload, SessionMeta, SessionMeta.type, "record_type")
    if type(payload.get("type")) is not str:
        raise InvalidItemError("payload", "is not an item: it has no type")
    return from_value(payload)


# The keys of a log entry that say where it was logged, and their types. No line is skipped because of them.
_WHERE = (("file", str), ("line", int), ("function", str), ("thread", str))


def _log(value: Wire) -> LogEntry:
    extra = value.get("extra", {})
    if type(extra) is not dict:
        raise InvalidItemError("log.extra", f"must be a JSON object; got {named_type(extra)}")
    odd = {key: value[key] for key, kind in _WHERE if key in value and type(value[key]) is not kind}
    entry = structure({key: held for key, held in value.items() if key not in odd}, LogEntry, LogEntry.type)
    # A key that another version may have put beside ours is shown with the extras, rather than dropped.
    beside = odd | {key: held for key, held in entry.extra.items() if key != "extra"}
    return attrs.evolve(entry, extra=beside | extra)


def from_value(value: Any) -> Item:
    """Return the item that *value*, an exact value from inside a line, is.

    Raises:
        InvalidItemError: it is not an item.
    """
    if type(value) is not dict or type(value.get("type")) is not str:
        raise InvalidItemError("item", "must be a JSON object with a type")
    try:
        return read_item(value, dumps(value))
    except InvalidJson as error:
        raise InvalidItemError(value["type"], str(error)) from None


def is_envelope(line: bytes) -> bool:
    """Whether *line*, which holds an entry, is of the envelope format."""
    if _ENVELOPE.match(line) is not None:
        return True
    value = loads(line)
    return type(value) is dict and "type" in value and is_wrapped(value)  # a flat meta may have a key "payload"


def written_when(line: bytes, session_id: str) -> tuple[float | None, bool]:
    """Return when *line*, of the envelope format, was written, and whether it is an event of that session's own."""
    stamped = _TIMED.match(line)
    try:
        if stamped is not None and session_id and session_id.encode() not in line:  # most lines need no parse
            return dt.datetime.fromisoformat(stamped[1].decode()).timestamp(), False
        value = loads(line)
        seconds = dt.datetime.fromisoformat(value["timestamp"]).timestamp()
        payload = value["payload"]
    except (InvalidJson, TypeError, KeyError, ValueError):
        return None, False
    return seconds, type(payload) is dict and payload.get("thread_id") == session_id


# --- values to bytes --------------------------------------------------------------------------------------------------


class LineEncoder:
    """Turns values that callers record into entries, and entries into lines. Immutable, and safe from any thread.

    Args:
        redact: called with the wire dict of each item, state, log entry and meta before it is encoded; returns the dict
            to write, or `None` to write nothing. It may change and return the dict that it was given.
        only_known: leave out items of kinds that no class knows, as the original does.
        format: whether lines are wrapped.
        clock: gives the time of lines that wrap a record and of lines of our own, in seconds since the epoch.

    Attributes:
        line_of: returns the line for a value, as `entry` and `line` together do; ``b""`` if it is left out.
    """

    def __init__(
        self,
        *,
        redact: Redact | None = None,
        only_known: bool = False,
        format: Format = "flat",
        clock: Callable[[], float] = time.time,
    ) -> None:
        if format not in ("flat", "envelope"):
            raise ValueError(f"format must be 'flat' or 'envelope'; got {format!r}")
        self._redaction = None if redact is None else Redaction(redact, _other_entry)
        self._only_known = only_known
        self._clock = clock
        self._envelope = None if format == "flat" else Envelope(clock)
        self._required = {} if format == "flat" else required_meta()
        is_bare = format == "flat" and redact is None and not only_known
        self.line_of: Callable[[ItemLike], bytes] = item_line if is_bare else self._line_of

    # -- items --------------------------------------------------------------------------------------------------------

    def entry(self, value: ItemLike) -> Entry | None:
        """Return the entry that will be in the file for *value*; `None` if it is left out.

        Left out are: empty `Other`, unknown kinds under *only_known*, and items for which *redact* returned `None`.

        Raises:
            InvalidItemError: it cannot be recorded.
            RedactionError: *redact* failed.
        """
        item = value if isinstance(value, Item) else to_item(value)
        if not item.json or (self._only_known and item.type not in SHAPES):
            return None
        return item if self._redaction is None else self._redaction.of(item)

    def _line_of(self, value: ItemLike) -> bytes:
        entry = self.entry(value)
        return b"" if entry is None else self.line(entry)

    def line(self, entry: Entry) -> bytes:
        """Return the line of *entry*, with its newline. Where lines are wrapped, the line of an event may follow it."""
        if isinstance(entry, Item):
            return entry.json + b"\n" if self._envelope is None else self._envelope.item(entry)
        return self._line(entry.to_dict(), entry.type)  # type: ignore[union-attr]

    def items(self, values: Iterable[ItemLike]) -> tuple[list[bytes], int]:
        """Encode *values*, all or none of them.

        Returns:
            The lines, one for each value, and how many values were left out.

        Raises:
            InvalidItemError: one of them cannot be recorded.
            RedactionError: *redact* failed for one of them.
        """
        lines = list(map(self.line_of, values))
        kept = list(filter(None, lines))
        return kept, len(lines) - len(kept)

    # -- other entries ------------------------------------------------------------------------------------------------

    def state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> bytes:
        """Encode *state*; ``b""`` when *redact* returned `None`.

        Raises:
            InvalidItemError: it holds something that is not plain JSON.
            RedactionError: *redact* failed.
        """
        given = state if isinstance(state, SessionStateSnapshot) else SessionStateSnapshot(state)
        return self._seen_by_hook(given)

    def log(self, entry: LogEntry) -> bytes:
        """Encode *entry*; ``b""`` when *redact* returned `None`. Never raises for what its extras hold.

        Raises:
            RedactionError: *redact* failed.
        """
        return self._seen_by_hook(entry)

    def other(self, entry: OtherEntry) -> bytes:
        """Encode *entry*, a whole line that was read, without its number."""
        return dumps({key: value for key, value in entry.raw.items() if key != "ordinal"}) + b"\n"

    def completed(self, meta: SessionMeta) -> SessionMeta:
        """Return *meta* with the keys that the format requires.

        Raises:
            InvalidItemError: one of them has a value that real readers refuse.
        """
        required = {key: meta.extra.get(key, own) for key, own in self._required.items()}
        for key, value in required.items():
            if not isinstance(value, str):
                raise InvalidItemError(f"{meta.type}.{key}", f"must be a string; got {named_type(value)}")
        return attrs.evolve(meta, extra={**meta.extra, **required}) if required else meta

    def meta(self, meta: SessionMeta) -> bytes:
        """Encode *meta*, the first line. Its id and timestamp stay, whatever *redact* does, and it is never left out.

        Raises:
            InvalidItemError: it holds something that is not plain JSON, it is too long, or as for `completed`.
        """
        record = plain(self.completed(meta).to_dict(), meta.type)
        if self._redaction is not None:
            record = self._redaction.of_meta(record, meta, self._required, self.completed)
        line = self._line(record, meta.type)
        if len(line) > MAX_RECORDED:
            raise InvalidItemError(meta.type, f"must not be longer than {MAX_RECORDED:,} bytes; it has {len(line):,}")
        return line

    def withheld(self, error: RedactionError) -> bytes:
        """Return a log line that says that a record was withheld here, because its redaction failed with *error*."""
        message = f"a record of type {error.kind!r} was withheld, because the redact hook {error.hook} {error.problem}"
        return self.line(self._own("ERROR", message, {}))

    def gap(self, count: int, reason: str) -> bytes:
        """Return a log line that says that *count* records were dropped here, and why."""
        records = "record was" if count == 1 else "records were"
        return self.line(self._own("WARNING", f"{count} {records} dropped here: {reason}", {"dropped": count}))

    def response(self, kept: Wire) -> bytes:
        """Return a log line that keeps what was known of a response beside its output; no hook can withhold it."""
        return self.line(self._own("INFO", message_of(kept), {"response": kept}))

    def taken_back(self, what: TakenBack) -> bytes:
        """Return a log line that takes so many of the last items back, or the others; no hook can withhold it."""
        if what == "all":
            items = "all items were"
        elif what == "reasoning":
            items = "reasoning at the end was"
        else:
            items = "the last item was" if what == 1 else f"the last {what:,} items were"
        return self.line(self._own("INFO", f"{items} taken back", {"taken_back": what}))

    def _seen_by_hook(self, entry: SessionStateSnapshot | LogEntry) -> bytes:
        written = entry if self._redaction is None else self._redaction.of(entry)
        return b"" if written is None else self.line(written)

    def _own(self, level: str, message: str, extra: Wire) -> LogEntry:
        return LogEntry(utc_timestamp(self._clock()), level, OWN, message, extra=extra)

    def _line(self, record: Wire, where: str) -> bytes:
        data = snapshot(record, where)[0]
        return data + b"\n" if self._envelope is None else self._envelope.record(record, data)


def decode_first(lines: bytes) -> Entry:
    """Return the entry on the first of *lines*, which `LineEncoder` made: the record, not the event after it."""
    end = lines.index(b"\n") + 1
    return decode_line(lines if end == len(lines) else lines[:end])
