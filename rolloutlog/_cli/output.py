"""Where output goes: results to stdout, all else to stderr; JSON that no terminal obeys."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Mapping
from typing import Any

import click

from .._face.encodings import ESCAPES
from .._face.safe import for_terminal
from .._face.screen import Screen as Screen
from .._json import dumps

_NOT_ASCII = re.compile("[^\x00-\x7e]")


class _Closed(io.TextIOBase):
    """Takes the place of stdout or stderr where the process was started without it.

    Args:
        drops: whether what is written is lost without a word; else it is an error.
    """

    encoding, errors = "utf-8", "strict"

    def __init__(self, *, drops: bool) -> None:
        self.drops = drops

    @property
    def buffer(self) -> _Closed:
        """The stream for bytes."""
        return self

    def write(self, _: object) -> int:
        if not self.drops:
            raise click.ClickException("stdout is closed, so the result cannot be printed; open it, or use a pipe")
        return 0


def prepare_streams() -> None:
    """Let each character that a stream's encoding does not have be escaped, and no stream be missing."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        # Else the next file that is opened gets the number of the stream, and a child that is started writes to it.
        while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = _Closed(drops=False)
    if sys.stderr is None:
        sys.stderr = _Closed(drops=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ESCAPES)


def note(text: str) -> None:
    """Print *text*, a hint or an error, to stderr."""
    sys.stdout.flush()
    print(f"rolloutlog: {for_terminal(text)}", file=sys.stderr)  # noqa: T201


def write(text: str) -> None:
    """Print a result to stdout. Text of a file and paths in *text* must have been neutralised."""
    sys.stdout.write(text)


def print_if_open() -> None:
    """Let a closed stdout stop nothing from now on, because the result is on disk, and only a report is printed."""
    if isinstance(sys.stdout, _Closed):
        sys.stdout.drops = True


def drop_stdout() -> None:
    """Let all that is printed from now on, also by the interpreter at exit, go nowhere, because its reader has gone."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # a test's stream has no descriptor
        pass


def write_document(text: str) -> None:
    """Print *text*, a piece of a document, to stdout. It is UTF-8 except on a terminal of another encoding."""
    out = getattr(sys.stdout, "buffer", None)
    if out is None or _is_utf8() or sys.stdout.isatty():
        write(text)
        return
    sys.stdout.flush()
    out.write(text.encode("utf-8", "replace"))


def write_json_text(text: str) -> None:
    """Print *text*, a piece of JSON, to stdout: the same value in each encoding."""
    write(text if text.isascii() or _is_utf8() else _NOT_ASCII.sub(_escaped, text))


def _is_utf8() -> bool:
    encoding = getattr(sys.stdout, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"


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
    write_json_text(json_line(value) + "\n")
    sys.stdout.flush()
