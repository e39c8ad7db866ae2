"""`rolloutlog show`: one session, as a conversation that a person can read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click

from .._face.entries import DEPTHS, Call, Depth, Entry, Part, Said, Turn, TurnEnd, is_shown
from .._face.line import Line, line
from .._face.lines import Lines, count_facts
from .._face.printing import COUNTED_FIRST
from .._face.safe import for_terminal
from .._face.terminal import Writer
from .._face.transcript import Transcript
from .._face.turns import Reader
from .._face.words import Clock, counted
from .._reading.blocks import Source
from .common import Count, define, handle_to_type, json_option, session_argument, utc_option
from .entries import as_object
from .output import Screen, note, write_document, write_json
from .pager import page

_CHUNK = 1 << 20
# Pairs of options of which one would have no effect.
_CONFLICTS = [
    *(("--last-answer", other) for other in ("--raw", "--line", "--from", "--to")),
    *(("--raw", other) for other in ("--json", "--from", "--to")),
    *(("--line", other) for other in ("--from", "--to")),
]

depth_option = click.option(
    "--depth",
    type=click.Choice(DEPTHS),
    default="tools",
    show_default=True,
    help="How much: what people said; the answers, too; calls; whole outputs and reasoning; all lines of the file.",
)


@define(
    name="show",
    examples=[
        ("rolloutlog show trip-to-rome --depth talk", "what was said, without the calls"),
        ("rolloutlog show --last --last-answer", "the last answer alone, for a pipe"),
    ],
)
@session_argument
@depth_option
@click.option("--from", "first", type=Count(), metavar="N", help="Begin at turn N.")
@click.option("--to", "last_turn", type=Count(), metavar="N", help="End with turn N.")
@click.option("--line", "number", type=Count(1), metavar="N", help="Only the item of line N, whole.")
@click.option("--last-answer", is_flag=True, help="Only the text of the last answer, as it was given.")
@click.option("--raw", is_flag=True, help="The bytes of the file, or of one line of it, as they are.")
@click.option("--force", is_flag=True, help="Print raw bytes to a terminal, too: it may obey them.")
@click.option("--no-pager", is_flag=True, help="Print all at once.")
@json_option
@utc_option
def command(
    path: Path,
    depth: Depth,
    first: int | None,
    last_turn: int | None,
    number: int | None,
    last_answer: bool,
    raw: bool,
    force: bool,
    no_pager: bool,
    as_json: bool,
    utc: bool,
) -> int:
    """Show a session as a conversation.

    A call is shown with its exit code, its time, and the first lines of its output; --line shows all of it. In a pipe,
    lines are not cut or folded, and messages keep the marks of Markdown.
    """
    given = {"--last-answer": last_answer, "--raw": raw, "--line": number is not None, "--json": as_json}
    given |= {"--from": first is not None, "--to": last_turn is not None}
    for one, other in _CONFLICTS:
        if given[one] and given[other]:
            raise click.UsageError(f"expected {one} or {other}, not both", click.get_current_context())
    if first is not None and last_turn is not None and first > last_turn:
        raise click.UsageError(
            f"expected a turn that is not after --to {last_turn}; got --from {first}", click.get_current_context()
        )
    if raw:
        return _raw(path, number, force)
    transcript = Transcript(path)
    if last_answer:
        return _last_answer(transcript, as_json)
    reader = Reader(transcript.head)
    whole = transcript.read(reader)
    parts = _of_line(whole, number) if number is not None else _between(whole, first, last_turn)
    if as_json:
        return _json(parts, depth) if number is None else _json_of_line(parts, transcript, number)
    screen = Screen.of_stdout()
    writer = Writer(screen.width if screen.is_terminal else None, screen.has_colours)
    shown = "all" if number is not None else depth
    handle = handle_to_type(transcript.head)
    lines = Lines(shown, Clock(utc), handle, marks=not screen.is_terminal, single=number is not None)
    if number is not None:
        found = list(parts)
        if not found:
            return _nothing_on(transcript, number)
        page(_texts((one for part in found if isinstance(part, Entry) for one in lines.entry(part)), writer), screen)
        return 0
    shown_lines = _conversation(transcript, reader, parts, lines, is_to_end=last_turn is None)
    page(_texts(shown_lines, writer), screen, is_wanted=not no_pager)
    return 0


def _conversation(
    transcript: Transcript, reader: Reader, parts: Iterator[Part], lines: Lines, *, is_to_end: bool
) -> Iterator[Line]:
    """Yield the lines of *parts*, which *reader* makes: the whole session, or some turns of it."""
    is_counted = transcript.head.size <= COUNTED_FIRST
    yield from lines.head(transcript.head, transcript.counts() if is_counted else None)
    for part in parts:
        yield from lines.of(part)
    yield from lines.end()
    if not is_counted and is_to_end:
        yield Line()
        yield line(" · ".join(count_facts(reader.counts)), "dim")


def _between(parts: Iterator[Part], first: int | None, last_turn: int | None) -> Iterator[Part]:
    """Return the parts from turn *first* to *last_turn*. It reads up to turn *first*.

    Raises:
        click.ClickException: there is no turn *first*.
    """
    found = _turns(parts, first, last_turn)
    if first is None or (one := next(found, None)) is None:
        return found
    return chain([one], found)


def _turns(parts: Iterator[Part], first: int | None, last_turn: int | None) -> Iterator[Part]:
    number = 0
    for part in parts:
        if isinstance(part, Turn):
            number = part.number
            if last_turn is not None and number > last_turn:
                return
        if first is None or number >= first:
            yield part
    if first is not None and number < first:
        raise click.ClickException(f"there is no turn {first:,}; the session has {counted(number, 'turn')}")


def _of_line(parts: Iterator[Part], number: int) -> Iterator[Part]:
    """Yield the entries of *parts* that line *number* of the session's own file holds, or whose output it holds."""
    for part in parts:
        if isinstance(part, Entry) and not part.inherited:
            result = part.result_line if isinstance(part, Call) else None
            if number in (part.line, result):
                yield part


def _nothing_on(transcript: Transcript, number: int) -> int:
    """Say why nothing of line *number* is shown; return the exit code."""
    with Source(transcript.head.path) as source:
        count, last = 0, b"\n"
        while chunk := source.read(_CHUNK):
            count, last = count + chunk.count(b"\n"), chunk
    count += not last.endswith(b"\n")
    if number > count:
        return _no_line(number, count)
    handle = handle_to_type(transcript.head)
    note(
        f"line {number} holds nothing to show"
        + (f"; rolloutlog show {handle} --raw --line {number} prints its bytes" if handle else "")
    )
    return 1


def _no_line(number: int, count: int) -> int:
    note(f"there is no line {number:,}; the file has {counted(count, 'line')}")
    return 1


def _json(parts: Iterator[Part], depth: Depth) -> int:
    for part in parts:
        if isinstance(part, Turn | TurnEnd) or is_shown(part, depth):
            write_json(as_object(part))
    return 0


def _json_of_line(parts: Iterator[Part], transcript: Transcript, number: int) -> int:
    found = list(parts)
    for part in found:
        write_json(as_object(part))
    return 0 if found else _nothing_on(transcript, number)


def _texts(lines: Iterator[Line], writer: Writer) -> Iterator[str]:
    for one in lines:
        yield from writer.text(one)


def _last_answer(transcript: Transcript, as_json: bool) -> int:
    """Print the last message of the model; on a terminal neutralised, else as it is, or as `--json` prints it."""
    answer = None
    for part in transcript:
        if isinstance(part, Said) and part.role == "assistant" and part.text:
            answer = part
    if answer is None:
        note("there is no answer in this session")
        return 1
    if as_json:
        write_json(as_object(answer))
    else:
        text = for_terminal(answer.text) if sys.stdout.isatty() else answer.text
        write_document(text.removesuffix("\n") + "\n")
    return 0


def _raw(path: Path, number: int | None, force: bool) -> int:
    if sys.stdout.isatty() and not force:
        raise click.UsageError(
            "raw bytes can control a terminal; pass --force to print them all the same, or use a pipe"
        )
    sys.stdout.flush()
    with Source(path) as source:
        if number is None:
            while chunk := source.read(_CHUNK):
                sys.stdout.buffer.write(chunk)
            return 0
        left, rest = number, b""
        while chunk := source.read(_CHUNK):
            *ended, rest = (rest + chunk).split(b"\n")
            if left <= len(ended):
                sys.stdout.buffer.write(ended[left - 1] + b"\n")
                return 0
            left -= len(ended)
    if left == 1 and rest:
        sys.stdout.buffer.write(rest)
        return 0
    return _no_line(number, number - left + bool(rest))
