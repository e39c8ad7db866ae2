"""One value to one line of bytes and back: what is written, what is left out, and what redaction may do to it.

The keys of each kind are spelled in `_encode` (values to wire dicts) and `_decode` (wire dicts to values).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from rolloutlog._decode import HOT, SLOWER, Inexact, decode_entry, decode_item, is_wrapped
from rolloutlog._encode import WIRE, Wire, wire, wire_log, wire_meta, wire_state
from rolloutlog._json import JSON, InvalidJson, Json, plain
from rolloutlog._models import Entry, LogEntry, SessionMeta, SessionStateSnapshot, utc_timestamp
from rolloutlog.exceptions import InvalidItemError
from rolloutlog.items import ExecAction, LocalShellCall, Other, ResponseItem

__all__ = [
    "InvalidLine",
    "ItemLike",
    "LineDecoder",
    "LineEncoder",
    "Redact",
    "SupportsToDict",
    "decode_items",
    "decode_line",
    "is_envelope",
    "to_item",
    "wire",
]

OWN_LOGGER = "rolloutlog"


@runtime_checkable
class SupportsToDict(Protocol):
    """An object of some SDK that knows its own wire form."""

    def to_dict(self) -> Mapping[str, Any]:
        """Return the object as the API sends and takes it."""
        ...


ItemLike: TypeAlias = ResponseItem | Mapping[str, Any] | SupportsToDict
Redact: TypeAlias = Callable[[dict[str, Any]], dict[str, Any] | None]


class InvalidLine(ValueError):
    """A line that stands for no entry; says why, without its text."""


# --- bytes to values --------------------------------------------------------------------------------------------------


_UNCOMMON = (ValueError, Inexact, *SLOWER)


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

    def items(self, lines: Iterator[bytes], keep: list[Any]) -> bytes | None:
        """Append the items on *lines* to *keep*, up to the first line that holds anything else or an uncommon item.

        Most lines of a session pass through this one loop, at twice the speed of `decode` for each.

        Returns:
            The line that it stopped at, taken from *lines* already, for `decode` to say what it is; `None` at the end.
        """
        parse, hot, append = self._json.parse, HOT, keep.append
        for line in lines:
            try:
                raw = parse(line)
                append(hot[raw["type"]](raw, False))
            except _UNCOMMON:
                return line
        return None

    def is_envelope(self, line: bytes) -> bool:
        """Whether *line*, which holds an entry, is of the envelope format."""
        raw = self._json.loads(line)
        return type(raw) is dict and is_wrapped(raw)


_DECODER = LineDecoder()
is_envelope = _DECODER.is_envelope
decode_items = _DECODER.items
decode_line = _DECODER.decode
"""Return the entry that a line holds; raise `InvalidLine` if it holds none."""


# --- what callers pass ------------------------------------------------------------------------------------------------


def to_item(value: ItemLike) -> ResponseItem:
    """Return *value* as an item.

    Args:
        value: an item, which is returned itself; a wire dict; the short ``{"role": …, "content": "text"}``; or an object
            with a `to_dict` method. The item shares nothing with what it was made of.

    Raises:
        InvalidItemError: *value* is none of these, or would not come back as it went in.
    """
    if type(value) in WIRE:
        return value  # type: ignore[return-value]
    if isinstance(value, Mapping):
        return _from_mapping(value)
    convert = getattr(value, "to_dict", None)
    if not callable(convert) or isinstance(value, type):
        problem = f"is no item, no dict and has no to_dict(), but {type(value).__name__}"
        raise InvalidItemError("item", problem)
    try:
        converted = convert()
    except Exception as error:
        raise InvalidItemError(type(value).__name__, f"its to_dict() raised {type(error).__name__}") from error
    if not isinstance(converted, Mapping):
        raise InvalidItemError(type(value).__name__, f"its to_dict() returned no dict, but {type(converted).__name__}")
    return _from_mapping(converted)


def _from_mapping(mapping: Mapping[str, Any]) -> ResponseItem:
    kind = mapping.get("type", "message" if "role" in mapping else None)
    if not isinstance(kind, str):
        raise InvalidItemError("item", "is a dict without a 'type' that is a string")
    raw: Wire = plain(mapping, kind)
    raw["type"] = kind
    if kind == "message" and isinstance(raw.get("content"), str):
        part = "output_text" if raw.get("role") == "assistant" else "input_text"
        raw["content"] = [{"type": part, "text": raw["content"]}]
    if "record_type" in raw:
        raise InvalidItemError(kind, "may not hold 'record_type', which marks lines that are no items")
    try:
        item = decode_item(raw, True)
    except InvalidJson as error:
        raise InvalidItemError(kind, str(error)) from None
    return Other(raw) if isinstance(item, Other) else _unshaped(item)


def _unshaped(item: ResponseItem) -> ResponseItem:
    """Forget which keys a caller's dict had: what is written has those that real Codex writes."""
    if getattr(item, "_shape", None) is not None:
        object.__setattr__(item, "_shape", None)
    if isinstance(item, LocalShellCall) and isinstance(item.action, ExecAction):
        object.__setattr__(item.action, "_shape", None)
    return item


# --- values to bytes --------------------------------------------------------------------------------------------------


class LineEncoder:
    """Turns what callers record into lines. Immutable after construction, and safe from any thread.

    Args:
        redact: called with the wire dict of each item, state, log entry and meta before it is encoded; returns the dict to
            write, or `None` to write nothing. It may change and return the dict that it was given.
        only_known: leave out items of kinds that no class knows, as the original does.
        format: how lines are wrapped; ``"flat"`` is the only way so far.
        clock: gives the time of the lines that the encoder writes of its own accord, in seconds since the epoch.
        json: how JSON is written.
    """

    def __init__(
        self,
        *,
        redact: Redact | None = None,
        only_known: bool = False,
        format: Literal["flat"] = "flat",
        clock: Callable[[], float] = time.time,
        json: Json = JSON,
    ) -> None:
        if format != "flat":
            raise ValueError(f"unknown format {format!r}; known is 'flat'")
        self._redact = redact
        self._only_known = only_known
        self._clock = clock
        # The one place that knows how a record becomes a line: another format wraps the dict here.
        self._line = json.line
        self._running = threading.local()

    def items(self, values: Iterable[ItemLike]) -> tuple[bytes, int]:
        """Encode *values*, all or none of them.

        Returns:
            The lines, each with its newline, and how many values were left out: empty `Other`, unknown kinds under
            *only_known*, and those for which *redact* returned `None`.

        Raises:
            InvalidItemError: one of them cannot be recorded.
        """
        lines = []
        filtered = 0
        for value in values:
            item = value if type(value) in WIRE else to_item(value)
            if type(item) is Other and (not item.raw or self._only_known):
                filtered += 1
                continue
            line = self._encode(WIRE[type(item)](item), item.type, _is_item)
            if line:
                lines.append(line)
            else:
                filtered += 1
        return (lines[0] if len(lines) == 1 else b"".join(lines)), filtered

    def state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> bytes:
        """Encode *state*; ``b""`` when *redact* returned `None`."""
        snapshot = state if isinstance(state, SessionStateSnapshot) else SessionStateSnapshot(state)
        return self._encode(wire_state(snapshot), "state", _is_state)

    def log(self, entry: LogEntry) -> bytes:
        """Encode *entry*; ``b""`` when *redact* returned `None`. Never raises for what its extras hold."""
        return self._encode(wire_log(entry), "log", _is_log)

    def meta(self, meta: SessionMeta) -> bytes:
        """Encode *meta*, the first line. Its id and timestamp stay, whatever *redact* does; it is never left out."""
        if self._redact is None:
            return self._checked(wire_meta(meta), "meta")
        bare = SessionMeta(meta.id, meta.timestamp)
        try:
            redacted = self._redacted(wire_meta(meta))
            kept = dict(bare.extra) if redacted is None else {**redacted, "id": meta.id, "timestamp": meta.timestamp}
            known = decode_entry({**wire_meta(bare), **plain(kept, "meta")}, True)
            return self._checked(wire_meta(known if isinstance(known, SessionMeta) else bare), "meta")
        except Exception:  # the hook failed: what it should have looked at is left out
            return self._checked(wire_meta(bare), "meta")

    def gap(self, count: int, reason: str) -> bytes:
        """Return a log line that says that *count* records were dropped here, and why."""
        records = "record was" if count == 1 else "records were"
        return self._own_line("WARNING", f"{count} {records} dropped here: {reason}", {"dropped": count})

    def dropped(self, count: int) -> bytes:
        """Return the `gap` of a queue that was full."""
        return self.gap(count, "the queue was full")

    def _encode(self, record: Wire, kind: str, is_same: Callable[[Any], bool]) -> bytes:
        if self._redact is None:
            return self._checked(record, kind)
        try:
            redacted = self._redacted(record)
            if redacted is None:
                return b""
            redacted = plain(redacted, kind)
            if not is_same(decode_entry(redacted, True)):
                raise InvalidItemError(kind, "became something else")
            return self._line(redacted)
        except Exception as error:  # told in the file: what the hook should have looked at stays out of it
            reason = type(error).__name__
            return self._own_line("ERROR", f"a record of type {kind} was withheld: redaction failed with {reason}", {})

    def _redacted(self, record: Wire) -> Wire | None:
        assert self._redact is not None
        if getattr(self._running, "hook", False):
            raise RecursionError  # made inside the hook: it cannot be redacted by a hook that has not returned
        self._running.hook = True
        try:
            return self._redact(record)
        finally:
            self._running.hook = False

    def _checked(self, record: Wire, kind: str) -> bytes:
        try:
            return self._line(record)
        except (TypeError, ValueError, RecursionError):
            raise InvalidItemError(kind, "holds something that is not plain JSON") from None

    def _own_line(self, level: str, message: str, extra: Wire) -> bytes:
        return self._line(wire_log(LogEntry(utc_timestamp(self._clock()), level, OWN_LOGGER, message, extra=extra)))


def _is_item(entry: Any) -> bool:
    return type(entry) in WIRE


def _is_state(entry: Any) -> bool:
    return isinstance(entry, SessionStateSnapshot)


def _is_log(entry: Any) -> bool:
    return isinstance(entry, LogEntry)
