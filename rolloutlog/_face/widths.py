"""How many columns of a terminal a text takes; texts cut or broken to fit. A span is a piece of text and its style."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

_HANGING = re.compile(r" *(?:(?:[-*+•]|\d{1,3}[.)]) +)?")

Spans: TypeAlias = Sequence[tuple[str, str]]


def text_of(spans: Spans) -> str:
    return "".join(text for text, _ in spans)


def cells(text: str) -> int:
    """Return how many columns *text* takes."""
    return len(text) if text.isascii() else _cell_len()(text)


def _cell_len() -> Callable[[str], int]:
    """Return the function that knows the width of each character: of rich, else of a rough rule."""
    global _measure
    if _measure is None:
        try:
            from rich.cells import cell_len
        except ImportError:
            import unicodedata

            def cell_len(text: str, unicode_version: str = "") -> int:
                return sum(
                    0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
                    for char in text
                )

        _measure = cell_len
    return _measure


_measure: Callable[[str], int] | None = None


def cut(spans: Spans, width: int) -> Spans:
    """Return *spans* cut to *width* columns, with an ellipsis where something is missing."""
    if cells(text_of(spans)) <= width:
        return spans
    left = max(0, width - 1)
    kept: list[tuple[str, str]] = []
    for text, style in spans:
        piece = _prefix(text, left)
        kept.append((piece, style))
        left -= cells(piece)
        if len(piece) < len(text):
            kept.append(("…", style))
            break
    return tuple(kept)


def fitted(text: str, width: int) -> str:
    """Return *text* cut to *width* columns, with an ellipsis if it was longer."""
    return text_of(cut(((text, ""),), width))


def around(before: str, match: str, after: str, width: int) -> tuple[str, str, str]:
    """Return the three pieces of one line cut to *width* columns: *match* is whole if it fits, and in the middle.

    >>> around("one two three ", "four", " five six seven", 18)
    ('…three ', 'four', ' five …')
    """
    spare = width - cells(match)
    if cells(before) + cells(after) <= spare:
        return before, match, after
    if spare < 2:  # no room for an ellipsis on both sides
        if spare < 1:
            return "", fitted(match, width), ""
        return ("", match, "…") if after else ("…", match, "")
    left = min(cells(before), max(spare // 2, spare - cells(after)))
    if cells(before) > left:
        kept = _suffix(before, left - 1)
        before = f"…{kept.partition(' ')[2] or kept}"  # from the beginning of a word
    return before, match, fitted(after, spare - cells(before))


def _suffix(text: str, width: int) -> str:
    """Return as much of the end of *text* as *width* columns hold."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        if cells(text[middle:]) <= width:
            high = middle
        else:
            low = middle + 1
    return text[low:]


def _prefix(text: str, width: int) -> str:
    """Return as much of the beginning of *text* as *width* columns hold."""
    if text.isascii():
        return text[:width]
    low, high = 0, min(len(text), max(0, width) * 4)
    while low < high:
        middle = (low + high + 1) // 2
        if cells(text[:middle]) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low]


def wrapped(spans: Spans, width: int, breaks: str = " ") -> Iterator[Spans]:
    """Yield the lines into which *spans* are broken, at *breaks* if possible.

    Later lines begin under the first word, after the spaces, the hyphen or the number of an item in a list.
    """
    text = text_of(spans)
    if cells(text) <= width:
        yield spans
        return
    first = len(_HANGING.match(text)[0])  # type: ignore[index]
    indent = min(first, width // 2)
    begin = 0
    while begin < len(text):
        margin = indent if begin else 0
        piece = _prefix(text[begin : begin + width * 4], width - margin)
        end = begin + max(1, len(piece))
        if end < len(text) and not text.startswith(breaks, end):
            place = text.rfind(breaks, begin + (first if not begin else 0), end)
            end = place if place > begin else end
        yield ((" " * margin, ""), *_part(spans, begin, end)) if margin else _part(spans, begin, end)
        begin = end
        while breaks.strip() == "" and text.startswith(" ", begin):
            begin += 1
        begin += len(breaks) if text.startswith(breaks, begin) else 0


def _part(spans: Spans, begin: int, end: int) -> Spans:
    """Return the spans of the characters from *begin* to *end*."""
    found: list[tuple[str, str]] = []
    place = 0
    for text, style in spans:
        piece = text[max(0, begin - place) : max(0, end - place)]
        if piece:
            found.append((piece, style))
        place += len(text)
        if place >= end:
            break
    return tuple(found)
