"""Turns the lines of one file into rows: what each of them is, and what a row tells that another line said.

`iter_lines` would give the same lines, and tests compare both. But it checks each item and keeps its bytes, so that
each would be parsed twice. Here a line is parsed once, and whatever is not plainly a line as Codex or this package
writes it is left to the reader of `iter_lines`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._entries import OWN, Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._format.lines import InvalidLine, decode_line
from .._item import Item
from .._json import MAX_DEPTH, MAX_LINE, InvalidJson, check_nesting, loads, parse
from .._reading.blocks import Block
from .._reading.forks import history_of
from .._reading.lines import Head, skipped_line, stream_lines
from .._shapes import NOT_ITEMS, SHAPES, Wire, fits, is_simple
from .._usage import Requests, Tokens, of_log
from ._rules import ITEMS, LINES, VALUES, Values, item_row, kind_of_item, line_values
from ._typed import call_id_of, reader
from ._wanted import Held, Sink, Wanted

_STAMPED = re.compile(rb'\{"timestamp":"([^"\\]*)",(?:"ordinal":\d+,)?"type":"[^"\\]*","payload":')

_NOT_PLAIN = frozenset({*SHAPES, "session_meta", OWN})
_NOTHING: Values = {}
# Of copied lines that make no row, these items tell something that rows of others need.
_OF_COPIES = frozenset({"tool_call"})
_NONE: frozenset[str] = frozenset()


class FileRows:
    """Turns the lines of one file into rows."""

    def __init__(self, held: Held, head: Head, wanted: Wanted, sink: Sink) -> None:
        self._held = held
        self._session = head.session
        self._kinds = wanted.kinds
        self._parsed = wanted.parsed
        self._has_inherited = wanted.inherited
        self._add = sink.add
        self._take = sink.take
        self._context = sink.context
        self._requests = Requests(head.session.id)
        self._names: dict[str | None, str] = {}  # of calls, by their ids
        self._is_base_read = "history_base" not in head.session.extra
        self._is_begun = False
        self._reader = reader()
        sink.begin(held, head.session.id, head)

    # -- lines --------------------------------------------------------------------------------------------------------

    def lines(self, block: Block, indices: Iterable[int], inherited: bool) -> None:
        """Make the rows of the lines at *indices* of *block*, all of them copied from another session or none."""
        if self._reader is None:
            for index in indices:
                self.line(block, index, inherited)
            return
        decode, faults, items, others, wrapped = self._reader
        lines, first = block.lines, block.number
        names, take, add, other = self._names, self._take, self._add, self._other
        is_row = self._has_inherited or not inherited
        kinds = self._kinds if is_row else _NONE
        parsed = self._parsed if is_row else _OF_COPIES
        for index in indices:
            line = lines[index]
            try:
                item = decode(line)
            except faults:
                self.line(block, index, inherited)
                continue
            found, stamp = type(item), None
            if found is wrapped:
                stamp = item.timestamp
                item = item.payload
                found = type(item)
            elif found in others:
                payload, line_type = item.payload, others[found]
                if line_type == "event_msg" and (of_event := payload.get("type")) != "token_count":
                    if "event" in kinds:
                        add("event", str(of_event), first + index, item.timestamp, _NOTHING, inherited, line)
                else:
                    other(line_type, payload, item.timestamp, first + index, inherited, line)
                continue
            known = items[found]
            kind = known.kind
            if kind not in parsed:
                continue
            name: str | None = None
            if kind == "tool_call":
                if (call_id := call_id_of(item)) is not None:
                    names[call_id] = item.name
            elif kind == "tool_output":
                call_id = call_id_of(item)
                name = names.get(call_id) or self._name_in_base(call_id)
            if kind in kinds:
                take(known, item, name, first + index, stamp, inherited, line)

    def line(self, block: Block, index: int, inherited: bool) -> None:
        """Make the row of the line at *index* of *block*, whatever it holds."""
        line, number = block.lines[index], block.number + index
        if not self.plain(line, number, inherited) and (entry := entry_at(block, index)) is not None:
            self.entry(entry, number, line, inherited)

    def plain(self, line: bytes, number: int, inherited: bool) -> bool:
        """Make the row of *line*; return false where it is not plainly a whole entry, or a meta or log entry."""
        try:
            value = parse(line)
        except ValueError:
            return False
        if type(value) is not dict:
            return False
        get = value.get
        name, payload = get("type"), get("payload")
        if payload is not None:
            stamp = get("timestamp")
            if type(stamp) is not str or type(name) is not str or "record_type" in value:
                return False
            if name != "response_item":
                if name in _NOT_PLAIN or not _is_shallow(value, line):
                    return False
                self._other(name, payload, stamp, number, inherited, line)
                return True
            if type(payload) is not dict:
                return False
            value, name = payload, payload.get("type")
        else:
            stamp = None
            if "payload" in value:
                return False
            if get("record_type") == "state" and _is_shallow(value, line):
                self._row("state", "state", number, None, _NOTHING, inherited, line)
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
        kind = ITEMS.get(name) or kind_of_item(name)
        if kind not in self._parsed:
            return
        if inherited and not self._has_inherited and kind not in _OF_COPIES:
            return
        values = VALUES[kind](item)
        if kind == "tool_call":
            if (call_id := values["call_id"]) is not None:
                self._names[call_id] = values["name"]
        elif kind == "tool_output":
            call_id = values["call_id"]
            values["name"] = self._names.get(call_id) or self._name_in_base(call_id)
        if kind in self._kinds and (self._has_inherited or not inherited):
            self._add(kind, name, number, stamp, values, inherited, line)

    def _other(self, name: str, payload: Any, stamp: str | None, number: int, inherited: bool, line: bytes) -> None:
        kind = LINES.get(name, "event")
        values = _NOTHING
        if kind == "event":
            if (tokens := self._requests.of(name, payload)) is not None:
                kind, values = "usage", _tokens(tokens)
            if name == "event_msg" and type(payload) is dict:
                name = str(payload.get("type"))
        elif kind == "turn":
            if type(payload) is dict:
                self._context(_text(payload, "model"), _text(payload, "turn_id"))
        elif kind in self._kinds:
            values = line_values(name, payload)
        if kind in self._kinds and (not inherited or self._has_inherited):
            self._add(kind, name, number, stamp, values, inherited, line)

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
        if self._held.bases is not None:
            self._held.bases(self._session)
        for part in history_of(self._held.path, self._session)[0][:-1]:
            for line in stream_lines(part.path, None, MAX_LINE, part.end):
                if isinstance(line.entry, Item) and kind_of_item(line.entry.type) == "tool_call":
                    values = item_row(line.entry.to_dict())[1]
                    self._names.setdefault(values["call_id"], values["name"])
        return self._names.get(call_id)


def entry_at(block: Block, index: int) -> Entry | None:
    """Return the entry of the line at *index* of *block*; `None` for a blank line."""
    try:
        return decode_line(block.lines[index])
    except InvalidLine as error:
        return skipped_line(block, index, error)


def _is_item(value: Wire, name: str, line: bytes) -> bool:
    """Whether *value*, which *line* holds, surely is an item of the type *name*."""
    shape = SHAPES.get(name)
    if shape is not None:
        return is_simple(value, shape) or (fits(value, shape) and _is_shallow(value, line))
    return name not in NOT_ITEMS and not ("payload" in value and "timestamp" in value) and _is_shallow(value, line)


def _is_shallow(value: Any, line: bytes) -> bool:
    if line.count(b"{") + line.count(b"[") <= MAX_DEPTH:
        return True
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
