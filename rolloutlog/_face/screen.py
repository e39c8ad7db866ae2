"""The terminal that stdout is, if it is one: its width, its height, and whether colours may be used."""

from __future__ import annotations

import os
import shutil
import sys

import attrs

from .safe import for_terminal

# The 16 colours follow the theme of the user's terminal.
_CODES = {
    "bold": "1",
    "dim": "2",
    "italic": "3",
    "reverse": "7",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


@attrs.frozen
class Screen:
    """The terminal that stdout is, if it is one.

    Attributes:
        is_terminal: whether stdout is a terminal. If it is not, nothing is cut, and columns are separated by tabs.
        width: how many columns it has; 80 if it is none.
        height: how many lines.
        has_colours: whether colours may be used.
    """

    is_terminal: bool
    width: int
    height: int
    has_colours: bool

    @classmethod
    def of_stdout(cls) -> Screen:
        """Return what stdout is. ``COLUMNS``, ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb`` are obeyed."""
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        size = shutil.get_terminal_size()
        has_colours = is_terminal and os.environ.get("TERM") != "dumb"
        if os.environ.get("FORCE_COLOR"):
            has_colours = True
        if os.environ.get("NO_COLOR"):
            has_colours = False
        return cls(is_terminal, max(20, size.columns), size.lines, has_colours)

    def styled(self, text: str, style: str) -> str:
        """Return *text*, which was neutralised, in *style*: names of colours, ``bold`` and ``dim``."""
        if not (self.has_colours and style and text):
            return text
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"

    def dim(self, text: str) -> str:
        """Return *text* of ours as an aside."""
        return self.styled(for_terminal(text), "dim")
