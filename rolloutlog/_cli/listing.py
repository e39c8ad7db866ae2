"""`rolloutlog list`: the newest sessions, one line each. Only the files of the lines that are shown are opened."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import attrs
import click

from .._face.rows import Row, arranged, rows_of, words_of
from .._face.safe import for_terminal
from .._face.sessions import count_sessions, none_yet, short_path
from .._face.states import STATES, word_for
from .._face.words import Clock, size_of
from .common import Count, Settings, archived_option, define, json_option, utc_option
from .output import Screen, note, write, write_json
from .tables import Cell, Column, write_table
from .times import since_option, until_option

# Forks are put under their parents in lists that are not longer.
_MOST_ARRANGED = 1_000

_COLUMNS = (
    Column("SESSION", "cyan"),
    Column("BEGAN"),
    Column("SIZE", right=True),
    Column("STATE"),
    Column("FIRST WORDS", is_last=True),
)
_COLOURS = {"open": "green", "torn": "yellow", "bad": "red", "unreadable": "red"}


@define(
    name="list",
    examples=[
        ("rolloutlog list -n 5 --since 2d", "the five newest of the last two days"),
        ("rolloutlog list --state torn --json", "all torn ones among the newest, for a program"),
    ],
)
@click.option("-n", "count", default=20, show_default=True, metavar="N", type=Count(), help="How many; 0: all.")
@since_option
@until_option
@click.option(
    "--cwd",
    is_flag=False,
    flag_value=".",
    metavar="[DIR]",
    help="Only of this folder and those in it. Default: here. Sessions in the flat format do not record their folder.",
)
@click.option("--state", type=click.Choice(STATES), help="Only in this state. Whole files are not read for it.")
@archived_option
@json_option
@utc_option
@click.pass_obj
def command(
    settings: Settings,
    count: int,
    since: dt.datetime | None,
    until: dt.datetime | None,
    cwd: str | None,
    state: str | None,
    archived: bool,
    as_json: bool,
    utc: bool,
) -> None:
    """List sessions, newest first.

    A session of ours has a name, others the end of their id; each command takes either. STATE is one word: open (a
    program records into it), torn (its last line was not ended), bad (lines cannot be read), unreadable (the file
    cannot be opened), empty, fork, sub (an agent of another session), zst (compressed).
    """
    homes = settings.homes
    folder = None if cwd is None else Path(cwd).expanduser().absolute()
    rows = rows_of(homes, since=since, until=until, folder=folder, state=state, archived=archived, is_exact=True)
    first = next(rows, None)
    if first is None:
        is_filtered = any(option is not None for option in (since, until, cwd, state))
        note(_nothing_like_that(homes, cwd) if is_filtered else none_yet(homes, archived=archived))
        return
    shown = islice(chain([first], rows), count or None)
    if as_json:
        for row in shown:
            write_json(_as_json(row))
        return
    screen = Screen.of_stdout()
    if not screen.is_terminal:
        clock = Clock(utc)
        for row in shown:
            write("\t".join(map(for_terminal, _as_columns(row, clock))) + "\n")
        return
    listed = list(shown)
    _write_list(listed if count == 0 or count > _MOST_ARRANGED else arranged(listed), screen, Clock(utc))
    total = count_sessions(homes, archived=archived)
    more = "; -n 0 shows all" if len(listed) == count else ""
    write(screen.dim(f"{len(listed):,} of {total:,} in {' and '.join(map(short_path, homes))}{more}") + "\n")


# --- how they are shown -----------------------------------------------------------------------------------------------


def _nothing_like_that(homes: Sequence[Path], cwd: str | None) -> str:
    text = f"no sessions like that in {' and '.join(map(short_path, homes))}"
    # A session of ours is flat unless it was begun in the other format.
    return text if cwd is None else f"{text}; those in the flat format do not record their folder for --cwd"


def _write_list(rows: Sequence[Row], screen: Screen, clock: Clock) -> None:
    handles = {row.head.id: row.handle for row in rows}
    columns = [
        attrs.evolve(column, title=f"BEGAN ({clock.zone()})" if column.title == "BEGAN" else column.title)
        for column in _COLUMNS
    ]
    cells = [
        [
            Cell(row.handle, "bold cyan" if row.name else "cyan"),
            Cell(clock.moment(row.head.began)),
            Cell(size_of(row.head.size)),
            Cell(word_for(row.state, row.head), _COLOURS.get(row.state, "dim")),
            Cell(words_of(row, handles), "dim" if row.head.is_empty else ""),
        ]
        for row in rows
    ]
    write_table(columns, cells, screen)


def _as_columns(row: Row, clock: Clock) -> list[str]:
    """Return the columns for a program: nothing is cut, times are ISO 8601, sizes are bytes."""
    head = row.head
    began = "" if head.began is None else clock.local(head.began).isoformat(timespec="seconds")
    words = " ".join(words_of(row, {}).split())
    return [row.name or head.id, began, str(head.size), row.state, words]


def _as_json(row: Row) -> dict[str, Any]:
    head = row.head
    return {
        "id": head.id,
        "name": head.name,
        "path": os.fspath(head.path),
        "started": None if head.began is None else iso(head.began),
        "size": head.size,
        "state": row.state or None,
        "title": head.title or None,
        "cwd": head.cwd,
        "model": head.model,
        "format": head.format,
        "parent_id": head.parent_id,
        "archived": head.is_archived,
    }


def iso(time: dt.datetime) -> str:
    """Return *time* as ISO 8601 in UTC."""
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
