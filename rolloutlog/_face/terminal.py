"""Writes lines for a terminal, folded to its width, or whole for a pipe; in the sixteen colours of a theme, or plain.

The colours never tell something alone: a word says it, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from .line import Line
from .widths import Spans, cells, cut, text_of, wrapped

# The code of each style.
_CODES = {
    "title": "1",
    "bold": "1",
    "dim": "2",
    "hint": "2",
    "thought": "2;3",
    "you": "1;36",
    "agent": "1;35",
    "code": "36",
    "prompt": "33",
    "failed": "31",
    "warning": "33",
    "added": "32",
    "removed": "31",
}
# The signs in place of characters that were neutralised.
_SIGN = re.compile(r"[\u2400-\u2421]|\\x[89][0-9a-f]|<U\+[0-9A-F]{4,6}>|<\+\d+ marks>")
_WIDTH_OF_PIPES = 80
_NARROWEST = 20


@attrs.frozen
class Writer:
    """Makes text of lines.

    Args:
        width: the columns of the terminal; `None` for a pipe, where nothing is folded or cut.
        has_colours: whether colours are used.
    """

    width: int | None = None
    has_colours: bool = False

    def text(self, line: Line) -> Iterator[str]:
        """Yield the lines of text, without newlines, that *line* becomes."""
        if self.width is None:
            yield self._whole(line)
        else:
            yield from self._folded(line, max(_NARROWEST, self.width))

    def _folded(self, line: Line, width: int) -> Iterator[str]:
        spans = tuple((text.expandtabs(4) if "\t" in text else text, style) for text, style in line.spans)
        before = line.indent + cells(line.mark)
        room = width - before
        right = line.right if not line.right or cells(line.right) + 8 < room else ""
        if line.is_rule:
            fill = room - cells(text_of(spans)) - cells(right)
            yield self._coloured((*cut(spans, room - cells(right)), ("─" * max(0, fill), "dim"), (right, "dim")))
            return
        start = " " * line.indent
        mark = self._styled(line.mark, line.mark_style)
        if line.wraps:
            pieces = list(wrapped(spans, max(8, room), line.breaks))
            if right and cells(text_of(pieces[-1])) + cells(right) + 2 > room:
                pieces.append(())
            for number, piece in enumerate(pieces, 1):
                shown = start + (mark if number == 1 else " " * cells(line.mark)) + self._coloured(piece)
                if right and number == len(pieces):
                    gap = " " * (room - cells(text_of(piece)) - cells(right))
                    shown += gap + self._styled(right, line.right_style)
                yield shown.rstrip()
            return
        suffix = f"  {line.suffix}" if line.suffix else ""
        kept = (*cut(spans, room - cells(suffix) - (cells(right) + 2 if right else 0)), (suffix, "dim"))
        gap = " " * (room - cells(text_of(kept)) - cells(right)) if right else ""
        yield (start + mark + self._coloured(kept) + gap + self._styled(right, line.right_style)).rstrip()

    def _whole(self, line: Line) -> str:
        suffix = f"  {line.suffix}" if line.suffix else ""
        text = " " * line.indent + self._styled(line.mark, line.mark_style) + self._coloured(line.spans)
        text += self._styled(suffix, "dim")
        if not (line.right or line.is_rule):
            return text.rstrip()
        taken = line.indent + cells(line.mark + line.text + suffix) + cells(line.right)
        fill, style = ("─", "dim") if line.is_rule else (" ", line.right_style)
        return text + self._styled(fill * max(2, _WIDTH_OF_PIPES - taken) + line.right, style)

    def _coloured(self, spans: Spans) -> str:
        return "".join(self._styled(text, style) for text, style in spans)

    def _styled(self, text: str, style: str) -> str:
        if not (self.has_colours and text):
            return text
        code = _CODES.get(style, "")
        if not text.isascii() or "\\x" in text or "<" in text:
            text = _SIGN.sub(lambda match: f"\x1b[7m{match[0]}\x1b[27m", text)
        return f"\x1b[{code}m{text}\x1b[0m" if code else text
