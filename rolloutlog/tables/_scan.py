"""Reads one file into rows: which lines need to be parsed, what each of them is, and what was copied.

`iter_lines` would give the same lines, and tests compare both. But it checks each item and keeps its bytes, so that
each would be parsed twice. Here a line is parsed once, and whatever is not plainly a line as Codex or this package
writes it is left to the reader of `iter_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import attrs

from .._entries import OWN, Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._format.lines import InvalidLine, decode_line
from .._item import Item
from .._json import MAX_LINE, InvalidJson, check_nesting, loads, parse
from .._paths import parse_file_name
from .._reading.blocks import COMPRESSED, Block, Source, StrPath, blocks
from .._reading.forks import history_of
from .._reading.lines import AT_ONCE, Copies, Head, begin, skipped_line, stream_lines
from .._shapes import NOT_ITEMS, SHAPES, Wire, fits, is_simple
from .._usage import Requests, Tokens, of_log
from ..exceptions import InvalidRolloutError, SessionNotFoundError
from ._rules import KINDS, LINES, VALUES, Values, item_row, kind_of_item, line_values

# The beginning of a line as Codex or this package writes it: the type of a wrapped line and of its payload, or the
# type of a flat one.
_BEGINNING = re.compile(
    rb'\{(?:"timestamp":"[^"\\]*",(?:"ordinal":\d+,)?"type":"([a-z_]+)","payload":\{(?:"type":"([A-Za-z_]+)"[,}])?'
    rb'|"type":"([a-z_]+)",|("record_type":"state")[,}])'
)
_STAMPED = re.compile(rb'\{"timestamp":"([^"\\]*)",(?:"ordinal":\d+,)?"type":"[^"\\]*","payload":')


@attrs.frozen
class Wanted:
    """The rows that a caller wants.

    Attributes:
        kinds: of which kinds.
        columns: with which columns.
        inherited: whether lines that were copied from another session are rows, too.
    """

    kinds: frozenset[str]
    columns: frozenset[str]
    inherited: bool = False

    def parsed(self) -> frozenset[str]:
        """Return the kinds of rows whose lines must be parsed."""
        kinds = set(self.kinds)
        if "tool_output" in kinds and "name" in self.columns:
            kinds.add("tool_call")
        if {"model", "turn_id"} & self.columns:
            kinds.add("turn")
        return frozenset(kinds)


class Sink(Protocol):
    """Takes the rows of files."""

    def begin(self, path: str, session_id: str | None, head: Head | None) -> None:
        """A file begins; without a session where it holds none that can be read."""

    def context(self, model: str | None, turn_id: str | None) -> None:
        """The rows that follow are of this turn."""

    def add(
        self, kind: str, type: str, line: int | None, stamp: str | None, values: Values, inherited: bool, data: bytes
    ) -> None:
        """Take a row."""


def scan(path: StrPath, wanted: Wanted, sink: Sink, max_line: int = MAX_LINE) -> Iterator[None]:
    """Give the rows of the file at *path* to *sink*, some at a time: yields whenever the sink may be emptied.

    A file that holds no session, or that cannot be read, becomes one row of the kind ``skipped``.

    Raises:
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
    """
    problem = None
    try:
        yield from _scan(path, wanted, sink, max_line)
    except SessionNotFoundError as error:
        other = _renamed(path)
        if other is None:
            problem = str(error)
        else:
            yield from scan(other, wanted, sink, max_line)
    except InvalidRolloutError as error:
        problem = error.problem
    except OSError as error:
        problem = error.strerror or str(error)
    if problem is not None and "skipped" in wanted.kinds:
        named = parse_file_name(path)
        sink.begin(str(path), None if named is None else named.id, None)
        sink.add("skipped", "file", None, None, {"text": problem}, False, b"")


def _renamed(path: StrPath) -> Path | None:
    """Return where a file is that Codex compressed or decompressed since it was listed, if it did."""
    name = str(path)
    other = Path(name.removesuffix(COMPRESSED) if name.endswith(COMPRESSED) else name + COMPRESSED)
    return other if other.exists() else None


def _scan(path: StrPath, wanted: Wanted, sink: Sink, max_line: int) -> Iterator[None]:
    file: _File | None = None
    is_unneeded = _proof(wanted)
    copies = Copies(path)
    with Source(path) as source:
        for block in blocks(source, max_line, AT_ONCE):
            start = 0
            if file is None:
                begun = begin(path, block)
                if begun is None:
                    continue
                head, start = begun
                file = _File(path, head, wanted, sink)
                plain = file.plain
                number, line = block.number + start - 1, block.lines[start - 1]
                file.entry(head.session, number, line, copies.hold(number, line, head.session))
            for index in range(start, len(block.lines)):
                line, number = block.lines[index], block.number + index
                inherited = False if copies.are_over else copies.hold_number(number)
                if inherited is not None and (
                    (is_unneeded is not None and is_unneeded(line)) or plain(line, number, inherited)
                ):
                    continue
                if (entry := _entry(block, index)) is not None:
                    if inherited is None:
                        inherited = copies.hold(number, line, entry)
                    file.entry(entry, number, line, inherited)
            yield
    if file is None:
        raise InvalidRolloutError(path, "empty session file")


def _entry(block: Block, index: int) -> Entry | None:
    try:
        return decode_line(block.lines[index])
    except InvalidLine as error:
        return skipped_line(block, index, error)


class _File:
    """Turns the lines of one file into rows."""

    def __init__(self, path: StrPath, head: Head, wanted: Wanted, sink: Sink) -> None:
        self._path = path
        self._session = head.session
        self._kinds = wanted.kinds
        self._parsed = wanted.parsed()
        self._has_inherited = wanted.inherited
        self._add = sink.add
        self._context = sink.context
        self._requests = Requests(head.session.id)
        self._names: dict[str, str] = {}  # of calls, by their ids
        self._is_base_read = "history_base" not in head.session.extra
        self._is_begun = False
        sink.begin(str(path), head.session.id, head)

    # -- lines --------------------------------------------------------------------------------------------------------

    def plain(self, line: bytes, number: int, inherited: bool) -> bool:
        """Make the row of *line*; return false where it is not plainly a whole entry, or a meta or log entry."""
        try:
            value = parse(line)
        except ValueError:
            return False
        if type(value) is not dict:
            return False
        name = value.get("type")
        payload = value.get("payload")
        if payload is not None and type(name) is str and name not in SHAPES and "record_type" not in value:
            stamp = value.get("timestamp")
            if type(stamp) is not str or name in ("session_meta", OWN):
                return False
            if name != "response_item":
                if not _is_shallow(value, line):
                    return False
                self._other(name, payload, stamp, number, inherited, line)
                return True
            if type(payload) is not dict:
                return False
            value, name = payload, payload.get("type")
        else:
            stamp = None
            if payload is not None or "payload" in value:
                return False
            if value.get("record_type") == "state" and _is_shallow(value, line):
                self._row("state", "state", number, None, {}, inherited, line)
                return True
        if type(name) is not str or "record_type" in value or not _is_item(value, name, line):
            return False
        self._item(value, name, stamp, number, inherited, line)
        return True

    def entry(self, entry: Entry, number: int, line: bytes, inherited: bool) -> None:
        """Make the row of *line*, which holds *entry*."""
        if isinstance(entry, Item):
            self._item(entry.to_dict(), entry.type, _stamp(line), number, inherited, line)
        elif isinstance(entry, OtherEntry):
            raw = entry.raw
            stamp = raw.get("timestamp")
            self._other(entry.type, raw.get("payload"), stamp if type(stamp) is str else None, number, inherited, line)
        elif isinstance(entry, SessionMeta):
            self._row("session", "session_meta", number, _stamp(line) or entry.timestamp, {}, self._is_copy, line)
            self._is_begun = True
        elif isinstance(entry, SessionStateSnapshot):
            self._row("state", "state", number, _stamp(line), {}, inherited, line)
        elif isinstance(entry, LogEntry):
            self._log(entry, number, inherited, line)
        elif isinstance(entry, SkippedLine):
            self._row("skipped", "skipped", number, None, {"text": entry.reason}, inherited, line)

    @property
    def _is_copy(self) -> bool:
        """Whether a meta is one of another session: in the file of a fork, all except the first are."""
        return self._is_begun

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _row(
        self, kind: str, name: str, number: int, stamp: str | None, values: Values, inherited: bool, line: bytes
    ) -> None:
        if kind in self._kinds and (self._has_inherited or not inherited):
            self._add(kind, name, number, stamp, values, inherited, line)

    def _item(self, item: Wire, name: str, stamp: str | None, number: int, inherited: bool, line: bytes) -> None:
        kind = kind_of_item(name)
        if kind not in self._parsed:
            return
        if inherited and not self._has_inherited and kind != "tool_call":
            return
        values = VALUES[kind](item)
        if kind == "tool_call":
            if (call_id := values["call_id"]) is not None:
                self._names[call_id] = values["name"]
            if kind not in self._kinds or (inherited and not self._has_inherited):
                return
        elif kind == "tool_output":
            call_id = values["call_id"]
            values["name"] = self._names.get(call_id) or self._name_in_base(call_id)
        self._add(kind, name, number, stamp, values, inherited, line)

    def _other(self, name: str, payload: Any, stamp: str | None, number: int, inherited: bool, line: bytes) -> None:
        kind = LINES.get(name, "event")
        values: Values = {}
        if kind == "turn" and type(payload) is dict:
            self._context(_text(payload, "model"), _text(payload, "turn_id"))
        elif kind == "event":
            if (tokens := self._requests.of(name, payload)) is not None:
                kind, values = "usage", _tokens(tokens)
            if name == "event_msg" and type(payload) is dict:
                name = str(payload.get("type"))
        elif kind in self._kinds:
            values = line_values(name, payload)
        self._row(kind, name, number, stamp, values, inherited, line)

    def _log(self, entry: LogEntry, number: int, inherited: bool, line: bytes) -> None:
        tokens = of_log(entry.logger, entry.extra)
        if tokens is not None:
            values = _tokens(tokens)
            if (model := _text(entry.extra["response"], "model")) is not None:
                values["model"] = model
            self._row("usage", "log", number, entry.timestamp, values, inherited, line)
        else:
            self._row("log", "log", number, entry.timestamp, {"text": entry.message}, inherited, line)

    def _name_in_base(self, call_id: str | None) -> str | None:
        """Return the name of the call with that id, which may be in the file that the history began in."""
        if call_id is None or self._is_base_read:
            return None
        self._is_base_read = True
        for part in history_of(self._path, self._session)[0][:-1]:
            for line in stream_lines(part.path, None, MAX_LINE, part.end):
                if isinstance(line.entry, Item) and kind_of_item(line.entry.type) == "tool_call":
                    values = item_row(line.entry.to_dict())[1]
                    self._names.setdefault(values["call_id"], values["name"])
        return self._names.get(call_id)


def _is_item(value: Wire, name: str, line: bytes) -> bool:
    """Whether *value*, which *line* holds, surely is an item of the type *name*."""
    shape = SHAPES.get(name)
    if shape is not None:
        return is_simple(value, shape) or (fits(value, shape) and _is_shallow(value, line))
    return name not in NOT_ITEMS and not ("payload" in value and "timestamp" in value) and _is_shallow(value, line)


def _is_shallow(value: Any, line: bytes) -> bool:
    try:
        check_nesting(value, line)
    except InvalidJson:
        return False
    return True


def _stamp(line: bytes) -> str | None:
    """Return the time of *line*, if it is a wrapped one."""
    if (found := _STAMPED.match(line)) is not None:
        return found[1].decode()
    try:
        value = loads(line)
    except InvalidJson:
        return None
    stamp = value.get("timestamp") if type(value) is dict and "payload" in value else None
    return stamp if type(stamp) is str else None


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    return value if isinstance(value, str) else None


def _tokens(tokens: Tokens) -> Values:
    return {
        "input_tokens": tokens.input,
        "cached_tokens": tokens.cached,
        "output_tokens": tokens.output,
        "reasoning_tokens": tokens.reasoning,
    }


# --- lines that need not be parsed ------------------------------------------------------------------------------------


def _proof(wanted: Wanted) -> Callable[[bytes], bool] | None:
    """Return a function that is true of a line whose first bytes prove that it makes no row; `None`: all must be read.

    With the kind ``skipped``, every line is parsed, as with `iter_lines`.
    """
    kinds = wanted.parsed()
    if "skipped" in kinds or kinds >= set(KINDS) - {"skipped"}:
        return None
    match = _BEGINNING.match
    known: dict[tuple[bytes | None, ...], bool] = {}

    def is_unneeded(line: bytes) -> bool:
        found = match(line)
        if found is None:
            return False
        names = found.groups()
        needless = known.get(names)
        if needless is None:
            needless = known[names] = not _is_needed([name and name.decode() for name in names], kinds)
        return needless

    return is_unneeded


def _is_needed(names: Sequence[Any], kinds: frozenset[str]) -> bool:
    """Whether lines with these types may make a row of one of *kinds*."""
    wrapped, inside, flat, state = names
    if state is not None:
        return "state" in kinds
    if flat is not None:
        return (flat == "log" and bool(kinds & {"log", "usage"})) or (flat != "log" and kind_of_item(flat) in kinds)
    if wrapped == "response_item":
        return inside is None or kind_of_item(inside) in kinds
    if wrapped == OWN:
        return bool(kinds & {"state", "log", "usage"})
    if wrapped == "token_usage_record" or (wrapped == "event_msg" and inside in (None, "token_count")):
        return bool(kinds & {"event", "usage"})
    return LINES.get(str(wrapped), "event") in kinds
