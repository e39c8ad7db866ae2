"""Finds text in sessions without an index: bytes are scanned, and only lines that may hold the text are parsed.

A line that was found is decoded, and the text is looked for in what people and the model said: not in events, which
repeat items, nor in instructions, pictures and encrypted reasoning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import attrs

from .._entries import LogEntry
from .._format.lines import InvalidLine, decode_line
from .._item import Item
from .._json import MAX_LINE
from .._reading.blocks import Source
from .._responses.calls import answer_keys
from .calls import read_call
from .outputs import read_output
from .titles import typed_text

Part: TypeAlias = Literal["user", "assistant", "reasoning", "call", "output", "log"]
PARTS: tuple[Part, ...] = get_args(Part)
"""The parts of a session, the most telling first."""

# A character that JSON writes in one way only, and that is the same in JSON within JSON.
_SAFE = re.compile(r"[ !#-.0-\[\]-~]+")
_ODD = re.compile(r"[^\x00-\x7f]+")
_AT_ONCE = 64 * 1024 * 1024
_NEAR = 120  # within how many bytes of a line its type is


@attrs.frozen
class Hit:
    """A place where the text is.

    Attributes:
        line: the line of the file, which `show --line` takes.
        part: who said it, or what it is.
        text: all text of the item.
        start, end: where in it the first match is.
    """

    line: int
    part: Part
    text: str = attrs.field(repr=False)
    start: int
    end: int


class Query:
    """A text, or a regular expression, that sessions are searched for.

    Args:
        text: the text.
        is_regex: whether it is a regular expression, which is tried on the text of every item.
        case: whether capitals count; `None`: if there are any in *text*.
        parts: where to look.

    Raises:
        ValueError: *text* is empty, or not a regular expression.
    """

    def __init__(
        self, text: str, *, is_regex: bool = False, case: bool | None = None, parts: frozenset[Part] = frozenset(PARTS)
    ) -> None:
        if not text:
            raise ValueError("there is no text to search for")
        self.parts = parts
        self._case = any(map(str.isupper, text)) if case is None else case
        flags = 0 if self._case else re.IGNORECASE
        try:
            self._pattern = re.compile(text if is_regex else re.escape(text), flags)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        self._folded = None if is_regex or self._case else text.casefold()
        self._needles = [b"\n"] if is_regex else _needles(text, self._case)

    def search(self, path: Path) -> tuple[list[Hit], int]:
        """Return the hits in the session at *path*, in the order of its lines, and how many bytes were read.

        Raises:
            SessionNotFoundError, InvalidRolloutError, MissingExtraError, OSError: it cannot be read.
        """
        hits: list[Hit] = []
        size = number = 0
        with Source(path) as source:
            rest = b""
            # Not more than the file has: a buffer of the full size would be made for each small file.
            most = min(_AT_ONCE, source.status().st_size + 1) if source.can_reread else _AT_ONCE
            while True:
                chunk = _read(source.read, most)
                size += len(chunk)
                data = rest + chunk if rest else chunk
                end = len(data) if not chunk else data.rfind(b"\n") + 1
                rest = data[end:]
                whole = data if end == len(data) else data[:end]
                hits.extend(self._hits(whole, number))
                if not chunk:
                    return hits, size
                number += whole.count(b"\n") if rest or len(chunk) == most else 0
                if len(rest) > MAX_LINE:  # skipped by every reader
                    rest = b""

    def _hits(self, data: bytes, number: int) -> Iterator[Hit]:
        """Yield the hits in *data*, whole lines after line *number*."""
        place = counted = 0
        for begin, end in self._candidates(data):
            if data.find(b'"type":"event_msg"', begin, min(end, begin + _NEAR)) >= 0:
                continue
            number += data.count(b"\n", place, begin)
            place = begin
            counted += 1
            found = self._verified(data[begin:end])
            if found is not None:
                part, text, start, stop = found
                yield Hit(number + 1, part, text, start, stop)

    def _candidates(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield begin and end of each line that may hold the text, in order."""
        if self._needles == [b"\n"]:
            begin = 0
            while begin < len(data):
                end = data.find(b"\n", begin)
                end = len(data) if end < 0 else end
                yield begin, end
                begin = end + 1
            return
        hay = data if self._case else data.lower()
        finds = [hay.find(needle) for needle in self._needles]
        while any(place >= 0 for place in finds):
            place = min(place for place in finds if place >= 0)
            begin = data.rfind(b"\n", 0, place) + 1
            end = data.find(b"\n", place)
            end = len(data) if end < 0 else end
            yield begin, end
            finds = [
                hay.find(needle, end) if 0 <= old < end else old
                for needle, old in zip(self._needles, finds, strict=True)
            ]

    def _verified(self, line: bytes) -> tuple[Part, str, int, int] | None:
        """Return the part, the text and the first match in it, if what *line* says holds the text."""
        try:
            entry = decode_line(line)
        except InvalidLine:
            return None
        if isinstance(entry, LogEntry):
            found: list[tuple[Part, str]] = [("log", entry.message)]
        elif isinstance(entry, Item):
            found = texts_of(entry)
        else:
            return None
        for part, text in found:
            if part not in self.parts:
                continue
            match = self._pattern.search(text)
            if match is not None:
                return part, text, match.start(), match.end()
            if self._folded is not None and self._folded in text.casefold():
                return part, text, 0, 0  # capitals that are longer than the small letter, as of ß
        return None


def _read(read: Callable[[int], bytes], most: int) -> bytes:
    """Return the next *most* bytes, fewer at the end."""
    chunk = read(most)
    if not chunk or len(chunk) >= most:
        return chunk
    pieces = [chunk]
    size = len(chunk)
    while size < most and (more := read(most - size)):
        pieces.append(more)
        size += len(more)
    return b"".join(pieces) if len(pieces) > 1 else chunk


def _needles(text: str, case: bool) -> list[bytes]:
    """Return bytes of which one is in every line that holds *text*, also where that is escaped."""
    pieces = _SAFE.findall(text if case else text.lower())
    safe = max(pieces, key=len, default="")
    odd = max(_ODD.findall(text), key=len, default="")
    if safe and (len(safe) > 2 or not odd):
        return [safe.encode()]
    if not odd:
        return [b"\n"]  # only quotes, backslashes and control characters: every line may hold it
    if not case and any(char.lower() != char.upper() for char in odd):
        spellings = {odd[0], odd[0].lower(), odd[0].upper()}
    else:
        spellings = {odd}
    found: set[bytes] = set()
    for each in spellings:
        escaped = "".join(f"\\u{unit:04x}" for unit in _units(each))
        found |= {each.encode("utf-8", "surrogatepass"), escaped.encode()}
        if case:
            found.add("".join(f"\\u{unit:04X}" for unit in _units(each)).encode())
    return sorted(found)


def _units(text: str) -> list[int]:
    """Return *text* as the numbers that JSON's escapes have: a pair for a character beyond 16 bits."""
    data = text.encode("utf-16-be", "surrogatepass")
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]


def texts_of(item: Item) -> list[tuple[Part, str]]:
    """Return what *item* says, and which part of the session that is; nothing for instructions and other items."""
    value = item._read()
    kind = item.type
    if kind == "message":
        if value["role"] == "user":
            return [("user", typed_text(value))]
        return [("assistant", item.text)] if value["role"] == "assistant" else []
    if kind == "agent_message":
        return [("assistant", _parts(value.get("content")))]
    if kind == "reasoning":
        return [("reasoning", "\n\n".join(filter(None, (_parts(value.get("summary")), _parts(value.get("content"))))))]
    if answer_keys(value) is not None:
        return [("output", read_output(value).text)]
    if kind.endswith("_call") or kind in ("mcp_approval_request", "program"):
        call = read_call(value)
        text = call.command if call.diff is None or call.diff in call.command else f"{call.command}\n{call.diff}"
        said: list[tuple[Part, str]] = [("call", text)]
        return [*said, ("output", read_output(value).text)] if "output" in value or "result" in value else said
    return []


def _parts(parts: Any) -> str:
    if not isinstance(parts, list):
        return ""
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n\n".join(text for text in texts if isinstance(text, str))


def ranked(hits: list[Hit]) -> list[Hit]:
    """Return *hits* with the most telling first: what a person said, then the model's words, calls and outputs."""
    return sorted(hits, key=lambda hit: (PARTS.index(hit.part), hit.line))
