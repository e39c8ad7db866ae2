"""Lines as bytes, on their way to a file: portioned for writing, counted out, and ended where a tear left them."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence

# How many bytes of a line are read, its newline not counted, unless more is asked for. A picture of 45 MiB fits, in
# base64; beyond, a line is more likely damage than what somebody said.
MAX_LINE = 64 * 1024 * 1024
# How many are recorded, at most: all of them can be read, also with the number that newer Codex's lines are given.
MAX_RECORDED = MAX_LINE - 64


def chunks(prefix: bytes, lines: Sequence[bytes], most: int) -> Iterator[Sequence[bytes]]:
    """Yield *prefix* and *lines*, *most* of them at a time, as what is written in one call each."""
    pieces = [prefix + b"".join(lines[:1]), *lines[1:]] if prefix else lines  # nobody writes between these two
    for begin in range(0, len(pieces), most):
        yield pieces[begin : begin + most]


def first_line(lines: Sequence[bytes]) -> bytes:
    """Return what *lines* begin with, up to the first newline."""
    return lines[0][: lines[0].find(b"\n") + 1]


def longest(lines: bytes) -> int:
    """Return how many bytes the longest of *lines*, whole ones, has without its newline."""
    most = begin = 0
    while end := lines.find(b"\n", begin) + 1:  # not by splitting: these may be as large as memory
        most, begin = max(most, end - 1 - begin), end
    return most


def after(lines: Sequence[bytes], skip: int) -> Sequence[bytes]:
    """Return *lines* without their first *skip* bytes."""
    if not skip:
        return lines
    rest = list(lines)
    while rest and skip >= len(rest[0]):
        skip -= len(rest.pop(0))
    if rest:
        rest[0] = rest[0][skip:]
    return rest


def standing(lines: Sequence[bytes], size: int, text: bytes) -> int:
    """Return how many of the first *size* bytes of *lines* stand in *text* as lines, in order, from the first on."""
    total, place = 0, 0
    for line in b"".join(lines)[:size].split(b"\n")[:-1]:
        line += b"\n"
        place = text.find(line, place)
        while place > 0 and text[place - 1] != 10:
            place = text.find(line, place + 1)
        if place < 0:
            break
        total, place = total + len(line), place + len(line)
    return total


# What a character that was cut off may go on with: E0 and F0 want more than 80 next.
_RESTS = (b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\xa0\x80", b"\x90\x80\x80")


def rest_of_character(tail: bytes) -> bytes:
    """Return what makes *tail* end in a whole UTF-8 character, if one was cut off there, else nothing.

    A kill tears a long write at the end of a page, as likely as not within a character, and the real Codex gives up a
    whole file for one byte that is not UTF-8. Which character it becomes does not matter: the line is no JSON anyway.
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
