"""`rolloutlog search`: finds a text in all sessions, or in some; the newest first, printed as found."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from time import monotonic

import click

from .._face.found import SearchCount, searched, snippet, snippet_for_terminal, written_since
from .._face.heads import Head, read_head
from .._face.safe import for_terminal, one_line
from .._face.search import PARTS, Hit, Part, Query, ranked
from .._face.widths import cells, fitted
from .._face.words import Clock, counted, size_of
from .common import Count, define, json_option, session_path, utc_option
from .output import Screen, note, write, write_json
from .progress import with_progress
from .times import since_option

_BEST = 3
# Columns: with fewer, the title is left out, and a line begins with less.
_LEAST_TITLE = 8
_LEAST_TEXT = 20


def _chosen(ctx: click.Context, param: click.Parameter, value: str | None) -> frozenset[Part]:
    """Return the parts that *value* names."""
    if value is None:
        return frozenset(PARTS)
    names = [name.strip() for name in value.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PARTS] or not names:
        raise click.BadParameter(f"expected some of {','.join(PARTS)}; got {unknown}", ctx, param)
    return frozenset(part for part in PARTS if part in names)


@define(
    name="search",
    examples=[
        ("rolloutlog search 'day in Rome'", "in words that were said, calls and outputs, in all sessions"),
        ("rolloutlog search -e '(day|night) in' --in user --since 7d", "a regular expression, in a person's words"),
    ],
)
@click.argument("text")
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option("-e", "is_regex", is_flag=True, help="TEXT is a regular expression.")
@click.option("-s", "exact", is_flag=True, help="Capitals count. Without -s and -i, they count if TEXT has any.")
@click.option("-i", "ignore", is_flag=True, help="Capitals do not count.")
@click.option("--in", "parts", callback=_chosen, metavar="PARTS", help=f"Look only in some of {','.join(PARTS)}.")
@click.option("-n", "most", default=0, metavar="N", type=Count(), help="At most N sessions; 0: all.")
@click.option("--all", "show_all", is_flag=True, help=f"Show all matches, not the best {_BEST} of each session.")
@since_option
@json_option
@utc_option
@click.pass_context
def command(
    ctx: click.Context,
    text: str,
    sessions: tuple[str, ...],
    is_regex: bool,
    exact: bool,
    ignore: bool,
    parts: frozenset[Part],
    most: int,
    show_all: bool,
    since: dt.datetime | None,
    as_json: bool,
    utc: bool,
) -> int:
    """Find TEXT in sessions. There is no index: all files are read, about a second for each gigabyte.

    Of each session the best matches are shown: what a person said first, then the model, calls, and outputs. The number
    before a match is its line, for `rolloutlog show SESSION --line`. Exits with 1 if nothing was found.
    """
    if exact and ignore:
        raise click.UsageError("expected -s or -i, not both", ctx)
    try:
        query = Query(text, is_regex=is_regex, case=True if exact else False if ignore else None, parts=parts)
    except ValueError as error:
        raise click.UsageError(str(error), ctx) from None
    begin, count = monotonic(), SearchCount()
    screen, clock = Screen.of_stdout(), Clock(utc)
    paths = (
        iter([session_path(ctx, each, False) for each in sessions]) if sessions else written_since(ctx.obj.homes, since)
    )
    for path, hits in searched(query, with_progress(paths, "reading"), count, note):
        best = ranked(hits)
        shown = best if show_all or as_json else best[:_BEST]
        _show(read_head(path), shown, screen, clock, as_json)
        if count.found == most:
            break
    if screen.is_terminal and not as_json:
        found = f"{count.matches:,} match{'' if count.matches == 1 else 'es'} in {count.found:,} of "
        took = f"{counted(count.sessions, 'session')}, {size_of(count.size)} read in {monotonic() - begin:.1f} s"
        write(screen.dim(fitted(found + took, screen.width)) + "\n")
    if count.unread:
        note(f"{counted(count.unread, 'session')} could not be read")
    return 0 if count.found else 1


# --- how they are shown -----------------------------------------------------------------------------------------------


def _show(head: Head, hits: Sequence[Hit], screen: Screen, clock: Clock, as_json: bool) -> None:
    if as_json:
        for hit in hits:
            before, match, after = snippet(hit, 300)
            where = {"id": head.id, "name": head.name, "path": os.fspath(head.path), "line": hit.line, "in": hit.part}
            write_json({**where, "text": before + match + after, "match": match})
        return
    if not screen.is_terminal:
        for hit in hits:
            columns = (head.id, str(hit.line), hit.part, "".join(snippet(hit, 300)))
            write("\t".join(map(for_terminal, columns)) + "\n")
        return
    handle, moment = fitted(for_terminal(head.name or head.short_id), screen.width), clock.moment(head.began)
    heading, left = screen.styled(handle, "cyan"), screen.width - cells(handle)
    if left >= len(moment) + 2:
        heading, left = f"{heading}  {moment}", left - len(moment) - 2
    if left >= _LEAST_TITLE + 2:
        heading += "  " + screen.dim(fitted(for_terminal(one_line(head.title, 300)), left - 2))
    write(heading.rstrip() + "\n")
    for hit, begin in zip(hits, _beginnings(hits, screen.width), strict=True):
        before, match, after = snippet_for_terminal(hit, max(1, screen.width - len(begin)))
        write(f"{begin}{before}{screen.styled(match, 'bold yellow')}{after}".rstrip() + "\n")


def _beginnings(hits: Sequence[Hit], width: int) -> list[str]:
    """Return how the line of each hit begins: with less of it where a terminal is narrow."""
    wide = max(6, *(len(str(hit.line)) for hit in hits))
    full = [f"{hit.line:>{wide}} {hit.part:9}  " for hit in hits]
    short = [f"{hit.line} {hit.part} " for hit in hits]
    for begins in (full, short):
        if width - max(map(len, begins)) >= _LEAST_TEXT:
            return begins
    return [f"{hit.line} " for hit in hits]
