"""The files of each session in a home, and which sessions refer to others: forks and sub-agents to their parents."""

from __future__ import annotations

import functools
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from .._lookup import every_file
from .._paths import FoundFile
from .._reading.lines import read_head
from ..exceptions import InvalidRolloutError, SessionNotFoundError


def _names_in(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@attrs.frozen
class Family:
    """The files of one session: more than one where Codex took turns back.

    Attributes:
        id: the session's id.
        files: its files, newest first.
    """

    id: str
    files: tuple[FoundFile, ...]
    _names_in: Callable[[Path], list[str]] = attrs.field(default=_names_in, eq=False, repr=False)

    @property
    def path(self) -> Path:
        """The newest file."""
        return self.files[0].path

    def all_paths(self) -> Iterator[Path]:
        """Yield its files, newest first, each after what repairs and killed programs left beside it."""
        for file in self.files:
            name, names = file.path.name, self._names_in(file.path.parent)
            beside = names[bisect_left(names, f"{name}.") : bisect_left(names, f"{name}/")]  # "/" comes after "."
            yield from map(file.path.with_name, beside)
            yield file.path


def families_in(home: Path) -> dict[str, Family]:
    """Return the sessions in *home*, archived ones too, by id.

    Raises:
        OSError: the folder that holds all the others cannot be read.
    """
    files: dict[str, list[FoundFile]] = {}
    for file in every_file(home):
        files.setdefault(file.id, []).append(file)
    names_in = functools.cache(_names_in)  # as of this moment, and for all sessions
    return {name: Family(name, tuple(sorted(each, key=_age, reverse=True)), names_in) for name, each in files.items()}


def _age(file: FoundFile) -> tuple[object, str]:
    return file.started, file.path.name


def parents_of(families: Iterable[Family]) -> dict[str, set[str]]:
    """Return for each session the ids of others to which its files refer. One that cannot be read refers to none.

    Raises:
        MissingExtraError: one is compressed, and the extra "zstd" is not installed.
    """
    found: dict[str, set[str]] = {}
    for family in families:
        found[family.id] = set()
        for file in family.files:
            try:
                meta = read_head(file.path).session
            except (OSError, InvalidRolloutError, SessionNotFoundError):  # no program can resume it
                continue
            base = meta.extra.get("history_base")
            names = {meta.parent_id, base.get("thread_id") if isinstance(base, Mapping) else None}
            found[family.id] |= {name for name in names if isinstance(name, str)} - {family.id}
    return found


def size_of(family: Family) -> tuple[int, float]:
    """Return the bytes of all files of a session, and when the last of them was changed, in seconds since the epoch.

    Raises:
        OSError: one is not there any more.
    """
    statuses = [os.stat(file.path) for file in family.files]
    return sum(each.st_size for each in statuses), max(each.st_mtime for each in statuses)
