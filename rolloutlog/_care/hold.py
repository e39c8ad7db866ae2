"""Holds a file that no program writes to, so that it can be replaced or moved."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from time import monotonic

from .._systems import CLOEXEC, NOFOLLOW, NONBLOCK
from .._writing.descriptors import close_file, identity_of, may_be_open, open_file
from .._writing.file_locks import lock
from .._writing.os_calls import System
from ..exceptions import InvalidRolloutError, SessionLockedError, SessionNotFoundError
from .held import writers_of

FLAGS = os.O_RDWR | CLOEXEC | NOFOLLOW | NONBLOCK


def hold(path: Path, system: System, *, is_looked_for: bool = True) -> tuple[int, os.stat_result]:
    """Open and lock the file at *path*; return its descriptor, which `release` closes, and its status.

    Args:
        path: the file.
        system: the operating system.
        is_looked_for: also look for a process that has it open without a lock. That takes some 20 ms, because it looks
            at all open files; a caller who does not ask for it calls `refuse_if_open` later.

    Raises:
        SessionLockedError: a process has it open for writing.
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file.
        OSError: it cannot be opened.
    """
    try:
        if may_be_open(identity_of(system.lstat(path))):
            raise SessionLockedError(path, os.getpid())  # by a recorder that takes the lock for each batch
        fd, status = open_file(path, FLAGS, system)
    except FileNotFoundError as error:
        raise SessionNotFoundError(str(path), path.parent) from error
    except IsADirectoryError as error:
        raise InvalidRolloutError(path, "is not a regular file") from error
    try:
        if not stat.S_ISREG(status.st_mode):
            raise InvalidRolloutError(path, "is not a regular file")
        lock(fd, path, monotonic(), system)
        if is_looked_for:
            refuse_if_open(path)
    except BaseException:
        release(fd, status, system)
        raise
    return fd, status


def release(fd: int, status: os.stat_result, system: System) -> None:
    """Unlock and close what `hold` returned."""
    close_file(fd, identity_of(status), system, unlock=True)


def refuse_if_open(path: Path) -> None:
    """Raise `SessionLockedError` if another process writes to the file without a lock, as Codex does."""
    others = [pid for pid in writers_of(path) if pid != os.getpid()]
    if others:
        raise SessionLockedError(path, others[0])
