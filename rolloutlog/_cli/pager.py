"""The pager: starts when the output is longer than the screen, and gets it while it is made."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import IO

from .._face.encodings import ESCAPES
from .output import Screen


def page(lines: Iterable[str], screen: Screen, *, is_wanted: bool = True) -> None:
    """Print *lines*, through the pager if stdout is a terminal and they do not fit on it.

    The pager is ``ROLLOUTLOG_PAGER``, else ``PAGER``, else ``less``; an empty one, ``cat`` or a missing one is none.

    Raises:
        BrokenPipeError: the reader of stdout, or the person who left the pager, wants no more.
    """
    command = _command() if is_wanted and screen.is_terminal else []
    if not command:
        for line in lines:
            sys.stdout.write(line + "\n")
        sys.stdout.flush()
        return
    held: list[str] = []
    rest = iter(lines)
    for line in rest:
        held.append(line)
        if len(held) >= screen.height:
            _through(command, held, rest)
            return
    sys.stdout.write("".join(line + "\n" for line in held))
    sys.stdout.flush()


@contextmanager
def paged(screen: Screen, *, is_wanted: bool = True) -> Iterator[None]:
    """Print what is written to stdout within the context as `page` does; where no pager is meant, at once.

    For results that are known whole before a line of them is written.
    """
    if not (is_wanted and screen.is_terminal):
        yield
        return
    written = io.StringIO()
    try:
        with redirect_stdout(written):
            yield
    finally:
        text = written.getvalue().removesuffix("\n")
        if text:
            page(text.split("\n"), screen)


def _command() -> list[str]:
    named = next(
        (found for name in ("ROLLOUTLOG_PAGER", "PAGER") if (found := os.environ.get(name)) is not None), "less"
    )
    try:
        words = shlex.split(named)
    except ValueError:
        return []
    return words if words and words[0] != "cat" and shutil.which(words[0]) else []


def _through(command: list[str], held: list[str], rest: Iterable[str]) -> None:
    sys.stdout.flush()
    environment = {"LESS": "FRX", "LESSCHARSET": "utf-8", **os.environ}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, encoding="utf-8", errors=ESCAPES)
    assert process.stdin is not None
    try:
        process.stdin.write("".join(line + "\n" for line in held))
        process.stdin.flush()
        for line in rest:
            process.stdin.write(line + "\n")
    except KeyboardInterrupt:
        _close(process.stdin, process)
        raise
    except BrokenPipeError:  # the person has seen enough
        pass
    _close(process.stdin, process)


def _close(pipe: IO[str], process: subprocess.Popen[str]) -> None:
    """Wait until the person leaves the pager; Ctrl-C is for the pager until then."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        try:
            pipe.close()
        except BrokenPipeError:
            pass
        process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
