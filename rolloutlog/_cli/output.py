"""Where output goes: results to stdout, all else to stderr; JSON that no terminal obeys."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Mapping
from typing import Any

from .._face.safe import for_terminal
from .._face.screen import Screen as Screen
from .._json import dumps

_NOT_ASCII = re.compile("[^\x00-\x7e]")


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
