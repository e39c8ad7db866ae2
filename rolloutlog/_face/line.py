"""One line of output, with the style of each of its pieces; and text as such lines, neutralised."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

import attrs

from .safe import for_terminal
from .ticks import code_in

Style: TypeAlias = Literal[
    "",
    "title",
    "dim",
    "you",
    "agent",
    "code",
    "bold",
    "thought",
    "prompt",
    "failed",
    "warning",
    "added",
    "removed",
    "hint",
]

_HEADING = re.compile(r"#{1,6} +(.*)")
_INLINE = re.compile(r"`+|\*\*(?=\S)")
_BOLD_ENDS = re.compile(r"(?<=\S)(?=\*\*)")


@attrs.frozen
class Line:
    """One line of output, without its newline; on a narrow terminal it may become several.

    Attributes:
        spans: its text in pieces, each with its style. All of it is neutralised.
        indent: how many columns it is from the left edge.
        mark: what is before the text, such as ``$`` or ``│``, and `mark_style`.
        suffix: a word after the text, which is never cut.
        right: text at the right edge.
        wraps: whether it is broken where it is too long, at a space or at the text in `breaks`; else it is cut.
        is_rule: whether the space before `right` is filled by a line.
    """

    spans: tuple[tuple[str, Style], ...] = ()
    indent: int = 0
    mark: str = ""
    mark_style: Style = ""
    suffix: str = ""
    right: str = ""
    right_style: Style = "dim"
    wraps: bool = False
    breaks: str = " "
    is_rule: bool = False

    @property
    def text(self) -> str:
        """The text of all pieces."""
        return "".join(text for text, _ in self.spans)


BLANK = Line()


def line(text: str, style: Style = "", **keys: object) -> Line:
    """Return a line of *text*, which is neutralised here."""
    return Line(((for_terminal(text), style),), **keys)  # type: ignore[arg-type]


def lines_in(text: str) -> list[str]:
    """Return the lines of *text*, neutralised; a newline at its end begins no line."""
    lines = for_terminal(text).split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def first_lines(text: str, count: int) -> str:
    """Return the first *count* lines of *text*."""
    end = -1
    for _ in range(count):
        end = text.find("\n", end + 1)
        if end < 0:
            return text
    return text[:end]


def diff_style(text: str) -> Style:
    """Return the style of *text*, a line of a patch."""
    if text.startswith(("+++", "---", "***", "@@", "diff --git")):
        return "bold"
    return "added" if text.startswith("+") else "removed" if text.startswith("-") else ""


def styled(text: str) -> tuple[tuple[str, Style], ...]:
    """Return one line of a message with its code and its bold words styled, and without the marks of Markdown.

    A library that renders Markdown would double the time until the first screen, and reflow what people typed.
    """
    if (heading := _HEADING.match(text)) is not None:
        return ((_heading(heading[1]).replace("**", "").replace("`", ""), "bold"),)
    if "`" not in text and "**" not in text:
        return ((text, ""),)
    spans: list[tuple[str, Style]] = []
    codes = code_in(text)
    bold_ends = (match.start() for match in _BOLD_ENDS.finditer(text))
    bold_end = 0
    end = index = 0
    while (mark := _INLINE.search(text, index)) is not None:
        start, index = mark.span()
        if mark[0] != "**":
            if start in codes:
                inner, stop = codes[start]
                spans += [(text[end:start], ""), (text[inner:stop], "code")]
                end = index = stop + inner - start
        else:
            while bold_end < start + 3:
                bold_end = next(bold_ends, len(text))
            if bold_end < len(text):
                spans += [(text[end:start], ""), (text[start + 2 : bold_end].replace("`", ""), "bold")]
                end = index = bold_end + 2
    spans.append((text[end:], ""))
    return tuple((piece, style) for piece, style in spans if piece)


def _heading(text: str) -> str:
    """Return *text*, the words of a heading, without the marks that may be after them."""
    words = text.rstrip("#")
    return words.rstrip(" ") if words.endswith(" ") else text
