"""The names in a folder, read again only after the folder has changed."""

from __future__ import annotations

import os
import time
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from ._locks import named_lock

# A folder's stamp: device, inode, modification time and change time in nanoseconds, size. The change time is there
# because programs such as rsync and tar set the modification time back; the inode, because a folder can be replaced.
_Stamp: TypeAlias = tuple[int, int, int, int, int]

# File systems keep times in steps, up to two seconds long (FAT). A change in the same step as the last one leaves the
# folder's times as they were, so a listing counts as complete only if the folder was older than this, in nanoseconds.
_GRAIN = 3_000_000_000
# How many characters are remembered at most: the names of 420,000 sessions.
_BUDGET = 32 * 1024 * 1024

# By folder: its stamp when it was listed, and its names; and how many characters these names have. The lock
# "listing" is held for the few instructions that change both, never while a folder is read.
_remembered: dict[str, tuple[_Stamp, Listing]] = {}
_size = 0


class Listing(NamedTuple):
    """The names in a folder, in no order, as text that can be searched as a whole.

    Attributes:
        names: all names, joined by slashes, which no name can hold. One string takes less memory than a list.
        keys: the first eight digits of the ids in the names of rollouts, joined by nothing. An eighth of `names`, so
            a search that finds nothing here, as most do, takes an eighth of the time.
    """

    names: str
    keys: str


_NOTHING = Listing("", "")
_key_of = itemgetter(slice(28, 36))  # "rollout-2025-07-23T15-03-26-" has 28 characters


def names_in(folder: str) -> Listing:
    """Return the names in *folder*; none if there is no such folder.

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
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return _NOTHING
    listing = Listing("/".join(names), "".join(map(_key_of, names)))
    if max(stamp[2], stamp[3]) < now - _GRAIN:
        _remember(folder, stamp, listing)
    return listing


def _stamp(folder: str) -> _Stamp:
    status = os.stat(folder)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _remember(folder: str, stamp: _Stamp, listing: Listing) -> None:
    """Keep the names of *folder*, and forget others if there is no room.

    The youngest entries go first. A search reads all folders in the same order each time; if the oldest entries went,
    each one would be gone just before it is needed.
    """
    global _size
    size = _size_of(listing)
    with named_lock("listing"):
        _size -= _size_of(_remembered.pop(folder, (stamp, _NOTHING))[1])
        while _remembered and _size + size > _BUDGET:
            _size -= _size_of(_remembered.popitem()[1][1])
        if size <= _BUDGET:
            _remembered[folder] = (stamp, listing)
            _size += size


def _size_of(listing: Listing) -> int:
    return len(listing.names) + len(listing.keys)
