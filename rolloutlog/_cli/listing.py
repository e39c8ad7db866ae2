"""`rolloutlog list`: the newest sessions, one line each. Only the files of the lines that are shown are opened."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import click

from .._face.heads import Head, read_head
from .._face.safe import for_terminal, one_line
from .._face.sessions import count_sessions, newest_first, short_path
from .._face.states import STATES, Locks, State, state_of, word_for
from .._face.words import Clock, size_of
from .._lookup import find_named
from .._paths import FoundFile
from ..exceptions import MissingExtraError, RolloutError
from .common import Settings, archived_option, define, json_option, utc_option
from .output import Screen, note, write, write_json
from .tables import Cell, Column, write_table
from .times import NAME_IS_WITHIN, since_option, until_option

# A longer name cannot be a handle: the id is shown in its place, and the name before the first words.
_LONGEST_NAME = 24
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


@attrs.frozen
class Row:
    """One session of a list: its head, its state, and the name by which a person can mean it, if it has one."""

    head: Head
    state: State
    name: str | None

    @property
    def handle(self) -> str:
        """The name, else the end of the id: each command takes it."""
        return self.name or self.head.short_id


@define(
    name="list",
    examples=[
        ("rolloutlog list -n 5 --since 2d", "the five newest of the last two days"),
        ("rolloutlog list --state torn --json", "all torn ones among the newest, for a program"),
    ],
)
@click.option(
    "-n", "count", default=20, show_default=True, metavar="N", type=click.IntRange(0), help="How many; 0: all."
)
@since_option
@until_option
@click.option(
    "--cwd", is_flag=False, flag_value=".", metavar="[DIR]", help="Only of this folder and those in it. Default: here."
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
    program records into it), torn (its last line was not ended), bad (lines cannot be read), empty, fork, sub (an agent
    of another session), zst (compressed).
    """
    homes = settings.homes
    rows = _rows(homes, since, until, None if cwd is None else Path(cwd).expanduser().absolute(), state, archived)
    shown = islice(rows, count or None)
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
    if not listed:
        note(f"no sessions like that in {' and '.join(map(short_path, homes))}")
        return
    _write_list(listed if count == 0 or count > _MOST_ARRANGED else _arranged(listed), screen, Clock(utc))
    total = count_sessions(homes, archived=archived)
    more = "; -n 0 shows all" if len(listed) == count else ""
    write(screen.dim(f"{len(listed):,} of {total:,} in {' and '.join(map(short_path, homes))}{more}") + "\n")


# --- which sessions ---------------------------------------------------------------------------------------------------


def _rows(
    homes: Sequence[Path],
    since: dt.datetime | None,
    until: dt.datetime | None,
    folder: Path | None,
    state: str | None,
    archived: bool,
) -> Iterator[Row]:
    locks = Locks.now()
    names: set[str] = set()
    for found in newest_first(homes, archived=archived):
        if since is not None and found.started < since - NAME_IS_WITHIN:
            return
        if until is not None and found.started > until + NAME_IS_WITHIN:
            continue
        head, is_readable = _head(found)
        if head is None:
            continue
        began = head.began or found.started
        if (since is not None and began < since) or (until is not None and began > until):
            continue
        name = head.name if head.name is not None and _is_handle(head.name) else None
        if name is not None:
            # Later beginnings of a name come first. Only the newest of them is meant by the name.
            is_newest = name not in names if until is None and not archived else _means(name, homes, head)
            names.add(name)
            name = name if is_newest else None
        row = Row(head, state_of(head, locks, is_readable=is_readable), name)
        if state is not None and row.state != state:
            continue
        if folder is not None and not (head.cwd and Path(head.cwd).is_relative_to(folder)):
            continue
        yield row


def _head(found: FoundFile) -> tuple[Head | None, bool]:
    """Return the head of a session, and whether its file could be read; no head if it was removed in the meantime."""
    unread = Head(found.path, found.id, began=found.started, is_compressed=found.path.suffix == ".zst")
    try:
        return read_head(found.path), True
    except MissingExtraError:
        return attrs.evolve(unread, size=os.stat(found.path).st_size), False
    except LookupError:
        return None, False
    except (OSError, RolloutError):
        return unread, False


def _is_handle(name: str) -> bool:
    """Whether *name* can be shown whole, and typed as it is shown."""
    return len(name) <= _LONGEST_NAME and name.isprintable() and for_terminal(name) == name and not name.startswith("-")


def _means(name: str, homes: Iterable[Path], head: Head) -> bool:
    found = [each for home in homes if (each := find_named(home, name)) is not None]
    return bool(found) and max(found, key=lambda each: each.started).id == head.id


def _arranged(rows: list[Row]) -> list[Row]:
    """Return *rows* with each fork after its parent, if that is among them."""
    shown = {row.head.id for row in rows}
    children: dict[str, list[Row]] = {}
    top: list[Row] = []
    for row in rows:
        parent = row.head.parent_id
        if parent is not None and parent in shown and parent != row.head.id:
            children.setdefault(parent, []).append(row)
        else:
            top.append(row)
    arranged: list[Row] = []
    waiting = top[::-1]
    while waiting:
        row = waiting.pop()
        arranged.append(row)
        waiting += children.pop(row.head.id, [])[::-1]
    # Sessions that are each other's parents are damaged, and belong into the list all the same.
    return arranged + [row for left in children.values() for row in left if row not in arranged]


# --- how they are shown -----------------------------------------------------------------------------------------------


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
            Cell(_words(row, handles), "dim" if row.head.is_empty else ""),
        ]
        for row in rows
    ]
    write_table(columns, cells, screen)


def _words(row: Row, handles: dict[str, str]) -> str:
    """Return the first words, after the session that it was forked from and a name that cannot be a handle."""
    head = row.head
    words = one_line(head.title, 300) or ("(nothing was said)" if head.is_empty else "")
    if head.parent_id is not None:
        words = f"↳ of {handles.get(head.parent_id, head.parent_id[-8:])}: {words}"
    if head.name is not None and row.name is None:
        words = f"{one_line(head.name, 60)}: {words}"
    return words


def _as_columns(row: Row, clock: Clock) -> list[str]:
    """Return the columns for a program: nothing is cut, times are ISO 8601, sizes are bytes."""
    head = row.head
    began = "" if head.began is None else clock.local(head.began).isoformat(timespec="seconds")
    words = " ".join(_words(row, {}).split())
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
