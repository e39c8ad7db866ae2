"""Lines as bytes: split into writes, measured, and completed where a tear cut them; pure functions."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence


def chunks(prefix: bytes, lines: Sequence[bytes], most: int) -> Iterator[Sequence[bytes]]:
    """Yield *prefix* and *lines* in portions for one write each: at most *most* lines."""
    pieces = [prefix + b"".join(lines[:1]), *lines[1:]] if prefix else lines  # these two must stay together
    for begin in range(0, len(pieces), most):
        yield pieces[begin : begin + most]


def first_line(lines: Sequence[bytes]) -> bytes:
    """Return the bytes of *lines* up to the first newline."""
    return lines[0][: lines[0].find(b"\n") + 1]


def longest(lines: bytes) -> int:
    """Return how many bytes the longest of *lines*, whole ones, has without its newline."""
    most = begin = 0
    while end := lines.find(b"\n", begin) + 1:  # not by splitting: these may be as large as memory
        most, begin = max(most, end - 1 - begin), end
    return most


def skip_bytes(lines: Sequence[bytes], size: int) -> Sequence[bytes]:
    """Return *lines* without their first *size* bytes."""
    for index, line in enumerate(lines):
        if size < len(line):
            return [line[size:], *lines[index + 1 :]]
        size -= len(line)
    return []


# Bytes that complete a character that was cut off. After E0 and F0 the next byte must be more than 80.
_RESTS = (b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80")


def rest_of_character(tail: bytes) -> bytes:
    """Return the bytes after which *tail* ends in a whole UTF-8 character; nothing if it does already.

    A kill tears a long write at the end of a page, often within a character, and the real Codex refuses a whole file
    for one byte that is not UTF-8. It does not matter which character it becomes: the line is not JSON anyway.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    decoder.decode(tail)
    begun = decoder.getstate()[0]
    return next((rest for rest in _RESTS if begun and _is_utf8(begun + rest)), b"")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
