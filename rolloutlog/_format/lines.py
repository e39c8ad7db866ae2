"""One value to one line of bytes and back: what is written, what is left out, and what redaction may do to it.

The keys of each kind are spelled in `encode` (values to wire dicts) and `decode` (wire dicts to values); what callers
may pass for an item, in `accept`.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from .._entries import OWN, Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, utc_timestamp
from .._json import JSON, InvalidJson, Json, plain
from .._values.checks import shortened
from .._writing.lines import MAX_RECORDED
from ..exceptions import InvalidItemError
from ..items import ResponseItem, is_item
from .coerce import ItemLike, SupportsToDict, to_item
from .decode import HOT_LINES, SLOWER, decode_entry, decode_item, is_wrapped
from .encode import WIRE, Wire, wire, wire_log, wire_meta, wire_other, wire_state
from .envelope import Envelope, required_meta
from .structure import Inexact
from .templates import templates

__all__ = [
    "HOT_LINES",
    "UNCOMMON",
    "Format",
    "InvalidLine",
    "ItemLike",
    "LineDecoder",
    "LineEncoder",
    "Redact",
    "SupportsToDict",
    "decode_first",
    "decode_line",
    "decode_values",
    "from_line",
    "is_envelope",
    "to_item",
    "wire",
    "written_when",
]

Format: TypeAlias = Literal["flat", "envelope"]
# Which items a line takes back: so many of the last, all, or reasoning at the end. The last is worked out where it is
# read, so that nothing else goes with it if somebody says more just before.
TakenBack: TypeAlias = int | Literal["all", "reasoning"]
Redact: TypeAlias = Callable[[dict[str, Any]], dict[str, Any] | None]


class InvalidLine(ValueError):
    """A line that stands for no entry; says why, without its text."""


# --- bytes to values --------------------------------------------------------------------------------------------------


UNCOMMON = (ValueError, Inexact, *SLOWER)
"""What the functions of `HOT_LINES` raise for a value that is no item or an uncommon one: `decode_line` reads those."""


class LineDecoder:
    """Turns lines into entries. Immutable, and safe from any thread."""

    def __init__(self, json: Json = JSON) -> None:
        self._json = json

    def decode(self, line: bytes) -> Entry:
        """Return the entry that *line* holds, in either format; a newline at its end does no harm.

        Raises:
            InvalidLine: it holds none.
        """
        try:
            try:
                return decode_entry(self._json.loads(line), False)
            except Inexact:
                return decode_entry(self._json.loads_exactly(line), True)
        except (InvalidJson, InvalidItemError) as error:
            raise InvalidLine(str(error)) from None

    def values(self, lines: list[bytes]) -> list[Any]:
        """Return what JSON stands on each of *lines*; `None` for one without any, of which `decode` says why.

        All lines before any item is made of them: the parser's code and ours each find the processor's caches warm,
        which is a tenth of the time of short lines.
        """
        try:
            return list(map(self._json.parse, lines))
        except ValueError:
            return [self._value(line) for line in lines]

    def _value(self, line: bytes) -> Any:
        try:
            return self._json.parse(line)
        except ValueError:
            return None

    def is_envelope(self, line: bytes) -> bool:
        """Whether *line*, which holds an entry, is of the envelope format."""
        raw = self._json.loads(line)
        return type(raw) is dict and "type" in raw and is_wrapped(raw)  # a flat meta may have a key "payload"

    def written_when(self, line: bytes, session_id: str) -> tuple[float | None, bool]:
        """Return when *line*, of the envelope format, was written, and whether it is an event of that session's own."""
        try:
            raw = self._json.loads(line)
            seconds = dt.datetime.fromisoformat(raw["timestamp"]).timestamp()
            payload = raw["payload"]
        except (InvalidJson, TypeError, KeyError, ValueError):
            return None, False
        return seconds, type(payload) is dict and payload.get("thread_id") == session_id


_DECODER = LineDecoder()
is_envelope = _DECODER.is_envelope
written_when = _DECODER.written_when
decode_values = _DECODER.values
decode_line = _DECODER.decode
"""Return the entry that a line holds; raise `InvalidLine` if it holds none."""


def from_line(raw: Any) -> ResponseItem:
    """Return the item that *raw*, a value from within a line that was read exactly, stands for.

    Raises:
        InvalidItemError: it stands for none.
    """
    if type(raw) is not dict or type(raw.get("type")) is not str:
        raise InvalidItemError("item", "is no JSON object with a type")
    try:
        return decode_item(raw, True)
    except InvalidJson as error:
        raise InvalidItemError(raw["type"], str(error)) from None


def decode_first(lines: bytes) -> Entry:
    """Return the entry on the first of *lines*, which `LineEncoder` made: the record, not the event behind it."""
    end = lines.index(b"\n") + 1
    return decode_line(lines if end == len(lines) else lines[:end])


# --- values to bytes --------------------------------------------------------------------------------------------------


class LineEncoder:
    """Turns what callers record into lines. Immutable after construction, and safe from any thread.

    Args:
        redact: called with the wire dict of each item, state, log entry and meta before it is encoded; returns the dict
            to write, or `None` to write nothing. It may change and return the dict that it was given.
        only_known: leave out items of kinds that no class knows, as the original does.
        format: whether lines are wrapped.
        clock: gives the time of lines that wrap a record or that nobody asked for, in seconds since the epoch.
        json: how JSON is written.

    Attributes:
        templates: the fast way for an item, by its class; what raises there, or has none, goes the general way.
    """

    def __init__(
        self,
        *,
        redact: Redact | None = None,
        only_known: bool = False,
        format: Format = "flat",
        clock: Callable[[], float] = time.time,
        json: Json = JSON,
    ) -> None:
        if format not in ("flat", "envelope"):
            raise ValueError(f"format is 'flat' or 'envelope', not {format!r}")
        self._json = json
        self._redact = redact
        self._only_known = only_known
        self._clock = clock
        # The one place that knows how a record becomes a line.
        self._line = json.line if format == "flat" else Envelope(json.line, clock).line
        self._required = {} if format == "flat" else required_meta()
        # The same, faster, for items that nobody needs to see and nothing stands around.
        self.templates = templates(json) if redact is None and format == "flat" else {}
        self._hook = threading.local()  # of each thread: whether it runs `redact` just now

    def items(self, values: Iterable[ItemLike]) -> tuple[list[bytes], int]:
        """Encode *values*, all or none of them.

        Returns:
            The lines, one for each value, with their newlines (where they are wrapped, that of an event may follow in
            the same bytes), and how many values were left out: empty `Other`, unknown kinds under *only_known*, and
            those for which *redact* returned `None`.

        Raises:
            InvalidItemError: one of them cannot be recorded.
        """
        lines: list[bytes] = []
        filtered = 0
        for value in values:
            item: Any = value
            to_wire = WIRE.get(type(item))
            if to_wire is None:
                item = to_item(value)
                to_wire = WIRE[type(item)]
            if to_wire is wire_other and (not item.raw or self._only_known):
                filtered += 1
                continue
            template = self.templates.get(type(item))
            if template is not None:
                try:
                    lines.append(template(item))
                    continue
                except (TypeError, ValueError, RecursionError):
                    pass  # for the general way, which knows what to do or what to say
            record = to_wire(item)
            if self._redact is None:
                lines.append(self._encoded(item, record))
            elif line := self._redacted(item, record):
                lines.append(line)
            else:
                filtered += 1
        return lines, filtered

    def state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> bytes:
        """Encode *state*; ``b""`` when *redact* returned `None`.

        Raises:
            InvalidItemError: it holds something that is not plain JSON.
        """
        snapshot = state if isinstance(state, SessionStateSnapshot) else SessionStateSnapshot(state)
        encode = self._encoded if self._redact is None else self._redacted
        return encode(snapshot, wire_state(snapshot))

    def log(self, entry: LogEntry) -> bytes:
        """Encode *entry*; ``b""`` when *redact* returned `None`. Never raises for what its extras hold."""
        encode = self._encoded if self._redact is None else self._redacted
        return encode(entry, wire_log(entry))

    def other(self, entry: OtherEntry) -> bytes:
        """Encode *entry*, a line that is neither wrapped nor redacted, for it was read so; but without its number."""
        return self._json.line({key: value for key, value in entry.raw.items() if key != "ordinal"})

    def completed(self, meta: SessionMeta) -> SessionMeta:
        """Return *meta* with what the format wants to stand in it.

        Raises:
            InvalidItemError: it has something there that real readers do not take.
        """
        required = {key: meta.extra.get(key, own) for key, own in self._required.items()}
        for key, value in required.items():
            if not isinstance(value, str):
                raise InvalidItemError(f"{meta.type}.{key}", "is not a string")
        return attrs.evolve(meta, extra={**meta.extra, **required}) if required else meta

    def meta(self, meta: SessionMeta) -> bytes:
        """Encode *meta*, the first line. Its id and timestamp stay, whatever *redact* does, and it is never left out.

        Raises:
            InvalidItemError: it holds something that is not plain JSON, it is too long, or as for `completed`.
        """
        record = wire_meta(self.completed(meta))
        if self._redact is not None:
            bare = {"id": meta.id, "timestamp": meta.timestamp, "instructions": None, **self._required}
            try:
                redacted = {**bare, **(self._call_redact(record) or {}), "id": meta.id, "timestamp": meta.timestamp}
                again = decode_entry(plain(redacted, meta.type), True)
                record = wire_meta(self.completed(again)) if isinstance(again, SessionMeta) else bare
            except Exception:  # as below; but a rollout needs its first line, and this is all of it that it needs
                record = bare
        line = self._encoded(meta, record)
        if len(line) > MAX_RECORDED:
            raise InvalidItemError(meta.type, f"is longer than a line may be: {len(line):,} bytes")
        return line

    def gap(self, count: int, reason: str) -> bytes:
        """Return a log line that says that *count* records were dropped here, and why."""
        records = "record was" if count == 1 else "records were"
        return self._own_line("WARNING", f"{count} {records} dropped here: {reason}", {"dropped": count})

    def taken_back(self, what: TakenBack) -> bytes:
        """Return a log line that takes so many of the last items back, or the others; no hook can withhold it."""
        if what == "all":
            items = "all items were"
        elif what == "reasoning":
            items = "reasoning at the end was"
        else:
            items = "the last item was" if what == 1 else f"the last {what:,} items were"
        return self._own_line("INFO", f"{items} taken back", {"taken_back": what})

    def _encoded(self, value: Entry, record: Wire) -> bytes:
        try:
            return self._line(record)
        except InvalidItemError:
            raise
        except (TypeError, ValueError, RecursionError):
            # Only what was smuggled past the checks comes here. Not from the cause: that may carry the text.
            raise InvalidItemError(value.type, "holds something that is not plain JSON") from None

    def _redacted(self, value: Entry, record: Wire) -> bytes:
        """Return the line for what *redact* makes of *record*: an entry as *value* is one, or nothing at all."""
        try:
            redacted = self._call_redact(record)
            if redacted is None:
                return b""
            again = decode_entry(plain(redacted, value.type), True)
            if is_item(again) and is_item(value):
                return self._line(wire(again))
            if isinstance(again, SessionStateSnapshot) and isinstance(value, SessionStateSnapshot):
                return self._line(wire_state(again))
            if isinstance(again, LogEntry) and isinstance(value, LogEntry):
                return self._line(wire_log(again))
            raise InvalidItemError(value.type, "has become something else")
        except Exception as error:
            # What the hook should have looked at must not be written: the file says so in its place.
            reason = type(error).__name__
            message = f"a record of type {shortened(value.type)} was withheld, for its redaction failed with {reason}"
            return self._own_line("ERROR", message, {})

    def _call_redact(self, record: Wire) -> Mapping[str, Any] | None:
        if getattr(self._hook, "runs", False):
            raise RecursionError  # made inside the hook, which cannot redact it before it has returned
        self._hook.runs = True
        try:
            return self._redact(record) if self._redact is not None else record
        finally:
            self._hook.runs = False

    def _own_line(self, level: str, message: str, extra: Wire) -> bytes:
        return self._line(wire_log(LogEntry(utc_timestamp(self._clock()), level, OWN, message, extra=extra)))
