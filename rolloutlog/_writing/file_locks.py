"""Locks on files: waited for until a deadline, and named by their file where one cannot be had."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from .._systems import CLOEXEC, NOFOLLOW, NONBLOCK, file_locks, is_alive
from ..exceptions import SessionLockedError
from .descriptors import close_file, identity_of, open_file
from .os_calls import REAL_SYSTEM, System, make_folders

# In seconds. With the 50 ms of filelock itself, six processes waited up to 3.2 s for their turn; with 1 ms, 0.4 s.
_LOCK_PAUSE = 0.001


@contextmanager
def locked_byte(
    path: Path, offset: int, timeout: float, protects: Path, system: System = REAL_SYSTEM
) -> Iterator[None]:
    """Exclude other processes and threads that lock the same byte of the file at *path*, which is made if missing.

    One file serves any number of keys: the byte at *offset* need not exist, and locks on different bytes do not wait
    for each other. The file is never removed, because a lock on a removed file excludes nothing. The lock ends with the
    process, so a killed one leaves neither a lock nor a file of its own.

    Raises:
        SessionLockedError: another process or thread held the lock for *timeout* seconds; it names *protects*.
        OSError: the file cannot be opened or locked.
    """
    make_folders(path.parent, system)
    fd, status = open_file(path, os.O_RDWR | os.O_CREAT | CLOEXEC | NOFOLLOW, system)
    try:
        if stat.S_IMODE(status.st_mode) != 0o600:
            system.chmod(fd, 0o600)  # the umask took rights even from the owner
        if not _locked_within(monotonic() + timeout, lambda: system.lock_byte(fd, offset), path):
            raise SessionLockedError(protects)
        try:
            yield
        finally:
            system.unlock_byte(fd, offset)  # closing is not enough while a forked child has a copy of the descriptor
    finally:
        close_file(fd, identity_of(status), system)


def lock(fd: int, path: Path, deadline: float, system: System = REAL_SYSTEM) -> None:
    """Lock *fd*, trying again until *deadline* (`time.monotonic`).

    Raises:
        SessionLockedError: another process held the lock until then.
    """
    if not _locked_within(deadline, lambda: system.lock(fd), path):
        raise SessionLockedError(path, holder(system.fstat(fd)))


@contextmanager
def locked_file(path: Path, deadline: float, system: System = REAL_SYSTEM) -> Iterator[None]:
    """Lock the file at *path* by a descriptor of its own, so that no other writer is in the middle of an append.

    Raises:
        SessionLockedError: another writer held the lock until *deadline*.
        OSError: the file cannot be opened or locked.
    """
    fd, status = open_file(path, os.O_RDWR | CLOEXEC | NOFOLLOW | NONBLOCK, system)
    try:
        lock(fd, path, deadline, system)
        try:
            yield
        finally:
            system.unlock(fd)
    finally:
        close_file(fd, identity_of(status), system)


def _locked_within(deadline: float, attempt: Callable[[], bool], path: Path) -> bool:
    """Repeat *attempt* until it succeeds or *deadline* has passed. A call that blocks could not be given up."""
    while not _locked(attempt, path):
        if monotonic() >= deadline:
            return False
        sleep(_LOCK_PAUSE)
    return True


def _locked(attempt: Callable[[], bool], path: Path) -> bool:
    """Return the result of *attempt*; an error gets the name of the file, which the system's own does not say."""
    try:
        return attempt()
    except OSError as error:
        raise OSError(error.errno, f"cannot be locked: {error.strerror or error}", str(path)) from error


def holder(status: os.stat_result) -> int | None:
    """Return the living process that holds the lock on the file with this *status*, where the system tells."""
    process = file_locks().get(identity_of(status))
    return process if process is not None and is_alive(process) else None
