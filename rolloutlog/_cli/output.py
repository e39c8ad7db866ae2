"""Where output goes: results to stdout, all else to stderr; JSON that no terminal obeys; the width and the colours."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import attrs

from .._face.safe import for_terminal
from .._json import dumps

_NOT_ASCII = re.compile("[^\x00-\x7e]")
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


def prepare_streams() -> None:
    """Let no character fail that the encoding of the terminal does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def note(text: str) -> None:
    """Print *text*, a hint or an error, to stderr."""
    sys.stdout.flush()
    print(f"rolloutlog: {for_terminal(text)}", file=sys.stderr)  # noqa: T201


def write(text: str) -> None:
    """Print a result to stdout. Text of a file and paths in *text* must have been neutralised."""
    sys.stdout.write(text)


def json_line(value: Mapping[str, Any]) -> str:
    """Return *value* as one line of JSON that is safe to show: what a terminal could obey or hide is escaped."""
    line = dumps(value).decode("utf-8")
    return line if for_terminal(line) == line else _NOT_ASCII.sub(_escaped, line)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def write_json(value: Mapping[str, Any]) -> None:
    """Print *value* to stdout as one line, at once."""
    write(json_line(value) + "\n")
    sys.stdout.flush()


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
        is_terminal = sys.stdout.isatty()
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
