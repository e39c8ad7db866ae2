"""Prints a session to stdout as `rolloutlog show` does, without a pager: for a prompt of Python and for scripts."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator

from .._lookup import is_surely_path
from .._paths import home_of
from .encodings import writable
from .entries import DEPTHS, Depth
from .heads import Head, StrPath
from .line import Line
from .lines import Lines
from .safe import for_terminal
from .screen import Screen
from .sessions import default_homes
from .terminal import Writer
from .transcript import Transcript

# A file that is not larger is counted before it is shown, which takes 50 ms. A larger one is counted while it is shown.
COUNTED_FIRST = 4_000_000


def handle_of(head: Head) -> str:
    """Return how a person names the session in the next command: by its name, if that can be typed as it is shown."""
    name = head.name
    if name is None or is_surely_path(name) or not name.isprintable() or for_terminal(name) != name:
        return head.short_id
    return head.short_id if set(name) & set(" '\"$`\\!*?()") else name


def _handle_anywhere(head: Head) -> str:
    """Return how a shell names the session: as `handle_of`, or by its path if that is in no home."""
    path = str(head.path)
    if home_of(path) in default_homes():
        return handle_of(head)
    return shlex.quote(path) if path.isprintable() and for_terminal(path) == path else ""


def show(path: StrPath, depth: str = "tools") -> None:
    """Print the session at *path*.

    Raises:
        ValueError: there is no such *depth*.
        RolloutError, OSError: the file cannot be read.
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(DEPTHS)}; got {depth!r}")
    if sys.stdout is None:  # closed, or a program with windows only; `print` prints nothing, either
        return
    screen = Screen.of_stdout()
    writer = Writer(screen.width if screen.is_terminal else None, screen.has_colours)
    for line in _lines(Transcript(path), depth, not screen.is_terminal):
        for text in writer.text(line):
            sys.stdout.write(writable(text, sys.stdout) + "\n")


def _lines(transcript: Transcript, depth: Depth, marks: bool) -> Iterator[Line]:
    lines = Lines(depth, handle=_handle_anywhere(transcript.head), marks=marks)
    yield from lines.head(transcript.head, transcript.counts() if transcript.head.size <= COUNTED_FIRST else None)
    for part in transcript:
        yield from lines.of(part)
    yield from lines.end()
