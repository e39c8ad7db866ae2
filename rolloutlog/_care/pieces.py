"""Splits a line that holds more or less than one record: which of its bytes are whole records, and which are halves."""

from __future__ import annotations

import json
import re

import attrs

from .._entries import Entry
from .._format.lines import Format, InvalidLine, decode_line, is_envelope
from .._item import CLASSES, Item
from .._shapes import SHAPES

# The first key of a record as Codex or this package writes it. Another record may begin only like this inside a line.
_BEGINS = re.compile(r'\{[ \t\r\n]*"(?:timestamp|ordinal|type|record_type|id)"[ \t\r\n]*:')
# The halves that hold no object that looks like a record of the flat format: these kinds have parts of other types.
_HOLDS_NO_RECORD = re.compile(rf'\{{"type":"(?:{"|".join(sorted(SHAPES))})"')
_BLANK = re.compile(r"[ \t\r\n\0]*")
_MARKS = re.compile(r'\\.|["\[\]{}]', re.DOTALL)
# How many characters the parser may read in vain, beside so many times the length of the line.
_VAIN = 1_000_000
_VAIN_TIMES = 16

# Integers and floats stay text: their size is not looked at here, and Python limits how many digits it converts.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str)


class _Text(str):
    """A text in which the parser does not look for the line of an error.

    It would read all text before the error, for each error, and so need hours for some lines.
    """

    __slots__ = ()

    def count(self, *_: object) -> int:
        """Return 0: how many lines are before the error."""
        return 0

    def rfind(self, *_: object) -> int:
        """Return -1: where the line before the error ends."""
        return -1


@attrs.frozen
class Piece:
    """Some bytes of a line.

    Attributes:
        begin: where they begin in the line.
        end: where they end.
        entry: the record that they are; `None` if they are not a whole one.
    """

    begin: int
    end: int
    entry: Entry | None


def split(line: bytes, format: Format) -> list[Piece]:
    """Return the whole records in *line*, in order, and the bytes between them that are not blank.

    Every byte of the line is in a piece or blank. A whole record is found wherever it begins: after half a record,
    after another whole one, or after NULs. An object that is a part of half a record is not taken for a record.

    Args:
        line: a line that holds no single entry, without its newline.
        format: the format of its file.

    >>> [(piece.begin, piece.end, piece.entry) for piece in split(b'{"type":"mess{"record_type":"state"}', "flat")]
    [(0, 13, None), (13, 36, SessionStateSnapshot(0 keys))]
    """
    # One character for each byte, so that places in the text are places in the line, also in a character that was cut.
    text = _Text(line, "latin-1")
    pieces: list[Piece] = []
    half = position = 0  # where the bytes begin that are in no piece yet; where to look for the next record
    around = _Around(text, 0)
    left = _VAIN + _VAIN_TIMES * len(text)
    while left > 0 and (match := _BEGINS.search(text, position)) is not None:
        begin = match.start()
        position = begin + 1
        end, read = _end_of_object(text, begin)
        left -= read
        if end is None:
            continue
        entry = _record(line[begin:end], format)
        if entry is None or not _is_own(text, half, begin, end, entry, around, format == "envelope"):
            continue
        _add_half(pieces, text, half, begin)
        pieces.append(Piece(begin, end, entry))
        half = position = end
        around = _Around(text, end)
    _add_half(pieces, text, half, len(text))
    return pieces


def _add_half(pieces: list[Piece], text: str, begin: int, end: int) -> None:
    if text[begin:end].strip(" \t\r\n"):
        pieces.append(Piece(begin, end, None))


def _end_of_object(text: str, begin: int) -> tuple[int | None, int]:
    """Return where the object at *begin* ends, `None` if it does not, and how many characters were read in vain."""
    try:
        return _decoder.raw_decode(text, begin)[1], 0
    except json.JSONDecodeError as error:
        return None, max(1, error.pos - begin)
    except (RecursionError, ValueError):
        return None, len(text) - begin


def _record(data: bytes, format: Format) -> Entry | None:
    """Return the record of a file of *format* that *data* is, if it is one."""
    try:
        entry = decode_line(data)
    except InvalidLine:
        return None
    return entry if format == "flat" or is_envelope(data) else None


def _is_own(text: str, half: int, begin: int, end: int, entry: Entry, around: _Around, is_wrapped: bool) -> bool:
    """Whether *entry*, from *begin* to *end*, is a record of its own, and not a part of the half record before it."""
    blank = _BLANK.match(text, half)
    is_first = blank is not None and blank.end() >= begin
    after = text[end : end + 1]
    if isinstance(entry, Item) and entry.type not in CLASSES and not is_wrapped:
        # Parts of an item have types, too, so one of an unknown type must have a place of its own.
        return is_first and after in ("", "{", "\0", " ", "\r")
    if is_first or _HOLDS_NO_RECORD.match(text, half):
        return True
    return after not in (",", "]", "}") or not around.may_hold_value_at(begin)


class _Around:
    """The text of half a record, read up to the places where another one may begin.

    Args:
        text: the whole line.
        begin: where the half begins.
    """

    def __init__(self, text: str, begin: int) -> None:
        self._text = text
        self._begin = self._read = begin
        self._nesting = Nesting()

    def may_hold_value_at(self, place: int) -> bool:
        """Whether a value may begin at *place*, if the half is the beginning of a record."""
        self._nesting.feed(self._text[self._read : place])
        self._read = place
        return not self._nesting.in_text and self._text[self._begin : place].rstrip()[-1:] in ("[", ":", ",")


class Nesting:
    """How deep a text of JSON is nested at its end, and whether it ends inside a string.

    >>> nesting = Nesting()
    >>> nesting.feed('{"a": ["b')
    >>> nesting.depth, nesting.in_text
    (2, True)
    """

    def __init__(self) -> None:
        self.depth = 0
        self.in_text = False

    def feed(self, text: str) -> None:
        """Read *text*, which follows all text before."""
        for match in _MARKS.finditer(text):
            mark = match[0]
            if mark == '"':
                self.in_text = not self.in_text
            elif not self.in_text and len(mark) == 1:
                self.depth += 1 if mark in "[{" else -1
