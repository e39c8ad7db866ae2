"""`rolloutlog tail`: the end of a session, and with -f what is recorded from now on."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click

from .._face.entries import Depth, Entry, Part, Turn, TurnEnd, is_shown
from .._face.heads import read_head
from .._face.line import line
from .._face.lines import Lines
from .._face.tail import Happening, Tail
from .._face.terminal import Writer
from .._face.transcript import Transcript
from .._face.turns import Reader
from .._face.words import Clock
from .._reading.blocks import is_compressed
from .common import Count, define, handle_to_type, json_option, session_argument, utc_option
from .entries import as_object
from .output import Screen, write, write_json
from .show import depth_option

INTERVAL = 0.25
"""How often a file is looked at, in seconds."""

# Only so many of the last bytes are read for the entries before now.
_LAST_BYTES = 4_000_000


@define(
    name="tail",
    examples=[
        ("rolloutlog tail trip-to-rome -n 3", "its last three entries"),
        ("rolloutlog tail --last --json", "the last entries of the newest session, for a program"),
    ],
)
@session_argument
@click.option("-f", "--follow", is_flag=True, help="Show each entry as it is recorded, until Ctrl-C.")
@click.option("-n", "count", default=10, show_default=True, metavar="N", type=Count(), help="How many entries first.")
@depth_option
@click.option("--raw", is_flag=True, help="The bytes of the lines, as they are.")
@click.option("--force", is_flag=True, help="Print raw bytes to a terminal, too: it may obey them.")
@json_option
@utc_option
def command(
    path: Path, follow: bool, count: int, depth: Depth, raw: bool, force: bool, as_json: bool, utc: bool
) -> None:
    """Show the end of a session.

    With -f it is followed: through a rename, a repair and a cut, until it is archived. A line is shown once it is
    ended; one whose writer died is reported as torn.
    """
    if raw and as_json:
        raise click.UsageError("expected --raw or --json, not both", click.get_current_context())
    if raw and sys.stdout.isatty() and not force:
        raise click.UsageError(
            "raw bytes can control a terminal; pass --force to print them all the same, or use a pipe"
        )
    if is_compressed(path):
        if follow or raw:
            raise click.UsageError(f"{path} is compressed: nothing is appended to it; rolloutlog show shows it")
        _last_of_compressed(path, count, _printer(path, depth, as_json, utc), depth)
        return
    with closing(Tail(path, _LAST_BYTES)) as tail:
        if raw:
            _raw(tail, count, follow)
            return
        show = _printer(path, depth, as_json, utc)
        reader = Reader(read_head(path), is_partial=tail.is_partial)
        latest: deque[Part] = deque(maxlen=count)
        for part in _parts(tail, reader, lambda _: None):
            if _counts(part, depth):
                latest.append(part)
        for part in reader.follow() if follow else reader.end():
            if _counts(part, depth):
                latest.append(part)
        for part in latest:
            show(part)
        sys.stdout.flush()
        if follow:
            _follow(tail, reader, show)


def _follow(tail: Tail, reader: Reader, show: Callable[[Part | Happening], None]) -> None:
    is_over = False

    def happened(happening: Happening) -> None:
        nonlocal is_over
        show(happening)
        is_over = is_over or happening.is_end

    while True:
        for part in _parts(tail, reader, happened):
            show(part)
        sys.stdout.flush()
        if is_over:
            return
        time.sleep(INTERVAL)


def _parts(tail: Tail, reader: Reader, happened: Callable[[Happening], None]) -> Iterator[Part]:
    """Yield the parts of the lines that are new."""
    for news in tail.poll():
        if isinstance(news, Happening):
            happened(news)
        else:
            yield from reader.read(news)


def _counts(part: Part, depth: Depth) -> bool:
    """Whether *part* is one of those that -n counts."""
    return isinstance(part, Turn) or (isinstance(part, Entry) and is_shown(part, depth))


def _printer(path: Path, depth: Depth, as_json: bool, utc: bool) -> Callable[[Part | Happening], None]:
    """Return the function that prints a part, and what happened to the file."""
    if as_json:

        def write_object(part: Part | Happening) -> None:
            if isinstance(part, Happening):
                write_json({"kind": "file", "what": part.kind, "text": part.text})
            elif isinstance(part, Turn | TurnEnd) or is_shown(part, depth):
                write_json(as_object(part))

        return write_object
    screen = Screen.of_stdout()
    writer = Writer(screen.width if screen.is_terminal else None, screen.has_colours)
    lines = Lines(depth, Clock(utc), handle_to_type(read_head(path)), marks=not screen.is_terminal, live=True)

    def write_lines(part: Part | Happening) -> None:
        made = [line(f"--- {part.text}", "warning", wraps=True)] if isinstance(part, Happening) else lines.of(part)
        for one in made:
            for text in writer.text(one):
                write(text + "\n")

    return write_lines


def _last_of_compressed(path: Path, count: int, show: Callable[[Part], None], depth: Depth) -> None:
    latest: deque[Part] = deque((part for part in Transcript(path) if _counts(part, depth)), maxlen=count)
    for part in latest:
        show(part)


def _raw(tail: Tail, count: int, follow: bool) -> None:
    """Print the bytes of the last lines, and of the new ones."""
    sys.stdout.flush()
    out = sys.stdout.buffer
    latest: deque[bytes] = deque(maxlen=count)
    for news in tail.poll():
        if not isinstance(news, Happening):
            latest.append(tail.raw)
    out.writelines(latest)
    out.flush()
    while follow:
        for news in tail.poll():
            if not isinstance(news, Happening):
                out.write(tail.raw)
            elif news.is_end:
                follow = False
        out.flush()
        if follow:
            time.sleep(INTERVAL)
