"""The names in a folder, read again only after the folder has changed."""

from __future__ import annotations

import os
import time
from typing import TypeAlias

from ._locks import fork_safe_lock

# A folder's stamp: device, inode, modification time and change time in nanoseconds, size. The change time is there
# because programs such as rsync and tar set the modification time back; the inode, because a folder can be replaced.
_Stamp: TypeAlias = tuple[int, int, int, int, int]

# File systems keep times in steps, up to two seconds long (FAT). A change in the same step as the last one leaves the
# folder's times as they were, so a listing counts as complete only if the folder was older than this, in nanoseconds.
_GRAIN = 3_000_000_000
# How many characters are remembered at most: the names of 470,000 sessions.
_BUDGET = 32 * 1024 * 1024

# By folder: its stamp when it was listed, and its names; and how many characters these names have. `_lock` is held for
# the few instructions that change both, never while a folder is read.
_remembered: dict[str, tuple[_Stamp, str]] = {}
_size = 0
_lock = fork_safe_lock()


def names_in(folder: str) -> str:
    """Return the names in *folder*, joined by slashes, in no order; an empty string if there is no such folder.

    One string takes a tenth of the memory of a list, and one ``in`` tells whether any name has a given part. A slash is
    the one printable character that no name can hold.

    Raises:
        OSError: the folder cannot be read.
    """
    now = time.time_ns()  # before the look at the folder, so that its age is never overestimated
    try:
        stamp = _stamp(folder)
        known = _remembered.get(folder)
        if known is not None and known[0] == stamp:
            return known[1]
        # Listed after the stamp was taken: a change in between makes the next stamp another one.
        names = "/".join(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if max(stamp[2], stamp[3]) < now - _GRAIN:
        _remember(folder, stamp, names)
    return names


def _stamp(folder: str) -> _Stamp:
    status = os.stat(folder)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _remember(folder: str, stamp: _Stamp, names: str) -> None:
    """Keep the names of *folder*, and forget others if there is no room.

    The youngest entries go first. A search reads all folders in the same order each time; if the oldest entries went,
    each one would be gone just before it is needed.
    """
    global _size
    with _lock:
        _size -= len(_remembered.pop(folder, (stamp, ""))[1])
        while _remembered and _size + len(names) > _BUDGET:
            _size -= len(_remembered.popitem()[1][1])
        if len(names) <= _BUDGET:
            _remembered[folder] = (stamp, names)
            _size += len(names)
