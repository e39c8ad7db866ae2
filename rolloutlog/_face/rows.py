"""The rows of a list of sessions, newest first: which sessions are listed, by which name, and in which state."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path

import attrs

from .._lookup import find_named, is_surely_path
from .._paths import FoundFile, beginning_of
from .heads import Head, with_heads
from .safe import for_terminal, one_line
from .sessions import newest_first
from .states import Locks, State, state_of

# A longer name cannot be a handle: the id is shown in its place, and the name before the first words.
_LONGEST_NAME = 24
# Codex names its files in local time, and we name ours in UTC: so far may a name be from the time that it tells.
_NAME_IS_WITHIN = dt.timedelta(hours=15)
# So many characters of the id are the same in all sessions of one name.
_ALIKE = 14


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


def rows_of(
    homes: Sequence[Path],
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    folder: Path | None = None,
    state: str | None = None,
    archived: bool = False,
    skip: int = 0,
    is_exact: bool = False,
) -> Iterator[Row]:
    """Yield the sessions in *homes*, newest first by the time in their names. Each file is opened when it is yielded.

    Args:
        homes: where they are looked for.
        since: leave out those that began before then.
        until: leave out those that began after then.
        folder: only those that worked in this folder, or in one inside of it.
        state: only those in this state.
        archived: the archived ones instead.
        skip: leave out so many of the newest, without a look at them.
        is_exact: order those of one second by the time in their first lines. So at most some more are opened.
    """
    locks = Locks.now()
    names: set[str] = set()
    is_from_newest = until is None and not archived and not skip
    named: Iterator[FoundFile] = islice(newest_first(homes, archived=archived), skip, None)
    if since is not None:
        begin = since - _NAME_IS_WITHIN
        named = takewhile(lambda found: found.started >= begin, named)
    if until is not None:
        end = until + _NAME_IS_WITHIN
        named = filter(lambda found: found.started <= end, named)
    for found, head, is_readable in with_heads(named, is_exact=is_exact):
        if head is None:
            continue
        began = head.began or found.started
        if (since is not None and began < since) or (until is not None and began > until):
            continue
        name = head.name if head.name is not None and _is_handle(head.name) else None
        if name is not None:
            # Later beginnings of a name come first. Only the newest of them is meant by the name.
            is_newest = name not in names if is_from_newest else _means(name, homes, head)
            names.add(name)
            name = name if is_newest else None
        row = Row(head, state_of(head, locks, is_readable=is_readable), name)
        if state is not None and row.state != state:
            continue
        if folder is not None and not (head.cwd and Path(head.cwd).is_relative_to(folder)):
            continue
        yield row


def _is_handle(name: str) -> bool:
    """Whether *name* can be shown whole, and typed as it is shown."""
    if len(name) > _LONGEST_NAME or name.startswith("-") or is_surely_path(name):
        return False
    return name.isprintable() and for_terminal(name) == name


class NamesToShow:
    """The names that a list of all sessions shows. It must see the sessions newest first, each of them.

    No home is looked through for it: a name means the newest of its sessions, which comes first.
    """

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}

    def of(self, found: FoundFile, name: str | None) -> str | None:
        """Return the *name* of the session that was *found*, if it can be typed, and means this one."""
        newest = self._newest.setdefault(found.id[:_ALIKE], found.id)
        if name is None or newest != found.id or not _is_handle(name):
            return None
        return name if beginning_of(found.id, name) is not None else None


def _means(name: str, homes: Iterable[Path], head: Head) -> bool:
    found = [each for home in homes if (each := find_named(home, name)) is not None]
    return bool(found) and max(found, key=lambda each: each.started).id == head.id


def arranged(rows: list[Row]) -> list[Row]:
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


def words_of(row: Row, handles: dict[str, str]) -> str:
    """Return the first words, after the session that it was forked from and a name that cannot be a handle."""
    head = row.head
    words = one_line(head.title, 300) or ("(nothing was said)" if head.is_empty else "")
    if head.parent_id is not None:
        words = f"↳ of {handles.get(head.parent_id, head.parent_id[-8:])}: {words}"
    if head.name is not None and row.name is None:
        words = f"{one_line(head.name, 60)}: {words}"
    return words
