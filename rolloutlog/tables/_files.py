"""Which files a home has, oldest first, and their division among workers."""

from __future__ import annotations

import datetime as dt
import heapq
import os
from collections.abc import Iterator

from .._lookup import newest_first
from .._paths import FoundFile
from .._reading.blocks import COMPRESSED, StrPath, is_compressed
from ._remote import Remote, Store, is_remote

# How many times larger a compressed file is than its name's size says, about.
_UNPACKED = 4


def files_in(
    home: StrPath | None, since: dt.datetime | None = None, unreadable: list[OSError] | None = None
) -> list[FoundFile]:
    """Return the files of all sessions in *home*, oldest first by name: archived ones and earlier revisions as well.

    Args:
        home: the folder that holds all sessions.
        since: only those that were begun then or later.
        unreadable: the errors of dated folders that cannot be read are appended to it, besides being reported.

    Raises:
        OSError: the folder that holds all the others cannot be read.
    """
    found: dict[str, FoundFile] = {}  # by name, because a file can be moved to the archive between both listings
    for archived in (False, True):
        for file in newest_first(home, archived, unreadable=unreadable):
            if since is not None and file.started < since:
                break  # they come newest first
            found[file.path.name.removesuffix(COMPRESSED)] = file
    return sorted(found.values(), key=lambda file: (file.started, file.path.name))


def paths_in(home: StrPath | None, since: dt.datetime | None = None) -> Iterator[str]:
    """Yield the paths of `files_in`."""
    for file in files_in(home, since):
        yield str(file.path)


def groups_in(
    home: StrPath | None, since: dt.datetime | None = None, unreadable: list[OSError] | None = None
) -> list[list[FoundFile]]:
    """Return the files of each session in *home*: more than one where turns were taken back."""
    groups: dict[str, list[FoundFile]] = {}
    for file in files_in(home, since, unreadable):
        groups.setdefault(file.id, []).append(file)
    return list(groups.values())


def plan(
    home: StrPath | Store | None = None, *, bytes: int = 64 * 1024 * 1024, since: dt.date | None = None
) -> list[list[str]]:
    """Return the files in *home* as lists of paths, each for one call of `batches`.

    The lists are about equally large. Files of one session are in one list.

    Args:
        home: the folder that holds all sessions, or its place on object storage, as for `entries`. The paths are URLs
            if it is one, and names in the store if it is a store.
        bytes: about how many bytes of lines one list has, unless a single session has more.
        since: as for `entries`.

    Raises:
        ValueError: *bytes* is less than 1.
        OSError: the folder that holds all the others cannot be read.

    Example:
        >>> from rolloutlog import Message, RolloutRecorder, tables
        >>> with RolloutRecorder.create() as recorder:
        ...     recorder.record(Message.user("hello"))
        >>> [len(share) for share in tables.plan()]
        [1]
    """
    if bytes < 1:
        raise ValueError(f"bytes must be at least 1; got {bytes}")
    if is_remote(home):
        remote = Remote(home)
        sized = [
            (sum(_unpacked(file.name, file.size) for file in group), [remote.full(file.name) for file in group])
            for group in remote.groups(moment(since))
        ]
    else:
        groups = groups_in(home, moment(since))
        sized = [(sum(map(_size, group)), [str(file.path) for file in group]) for group in groups]
    total = sum(size for size, _ in sized)
    count = max(1, min(len(sized), -(-total // bytes)))
    shares: list[list[str]] = [[] for _ in range(count)]
    loads = [(0, index) for index in range(count)]
    for size, paths in sorted(sized, key=lambda one: -one[0]):
        load, index = heapq.heappop(loads)
        shares[index] += paths
        heapq.heappush(loads, (load + size, index))
    return [share for share in shares if share]


def moment(since: dt.date | None) -> dt.datetime | None:
    """Return *since* as an aware time, in UTC if it names no zone; a date is its first moment."""
    if since is None:
        return None
    if not isinstance(since, dt.datetime):
        since = dt.datetime(since.year, since.month, since.day)
    return since.replace(tzinfo=dt.UTC) if since.tzinfo is None else since.astimezone(dt.UTC)


def _size(file: FoundFile) -> int:
    try:
        size = os.stat(file.path).st_size
    except OSError:
        return 0  # `batches` says why
    return _unpacked(file.path, size)


def _unpacked(path: StrPath, size: int) -> int:
    return size * _UNPACKED if is_compressed(path) else size
