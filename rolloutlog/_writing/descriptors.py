"""The descriptors of the files that this process writes: closed in each forked child, and known by their files.

A process may fork while one of its threads opens a session. The child would keep a copy of the descriptor, and with it
the lock, after the process has been killed. So each descriptor is noted here as soon as it exists.

Other parts of a program may close descriptors that are not theirs, as daemon libraries do. The number then soon belongs
to another file, which must not be written to, cut, locked or closed by us.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from .._locks import named_lock
from .._systems import CLOEXEC, NOFOLLOW, NONBLOCK, at_fork
from .os_calls import System

Identity: TypeAlias = tuple[int, int]
"""Device and inode of a file."""

APPENDING = os.O_RDWR | os.O_APPEND | CLOEXEC | NOFOLLOW | NONBLOCK
"""How the file of a session is opened."""

# By descriptor, the file that it was opened for, and by file, its descriptors; usually one. The lock "descriptors" is
# held for the few instructions that change them.
_open: dict[int, Identity] = {}
_files: dict[Identity, list[int]] = {}
# Another object after each fork: of a number, one of two forks at the same moment could be missing.
_forks = object()
_has_hooks = False


def identity_of(status: os.stat_result) -> Identity:
    """Return device and inode of a file with this *status*."""
    return status.st_dev, status.st_ino


def open_file(path: Path, flags: int, system: System) -> tuple[int, os.stat_result]:
    """Open a file, privately if it is made, and return its descriptor, which no forked child will keep, and status.

    Raises:
        OSError: the file cannot be opened.
    """
    _add_hooks()
    while True:
        forks = _forks
        fd = system.open(path, flags, 0o600)
        try:
            status = system.fstat(fd)
            _note(fd, identity_of(status))
        except BaseException:
            system.close(fd)
            raise
        if forks is _forks:
            return fd, status
        # A child that was forked in between may have a copy that it does not know of. It shares no lock with a new one.
        close_file(fd, identity_of(status), system)
        flags &= ~(os.O_CREAT | os.O_EXCL)


def may_be_open(identity: Identity) -> bool:
    """Return whether this process may have this file open for writing; if not, none of its writers has it."""
    return identity in _files


def is_lost(fd: int, identity: Identity | None, system: System) -> bool:
    """Return whether other code closed *fd*, which may be another file's now; false if the system does not tell."""
    try:
        return identity_of(system.fstat(fd)) != identity
    except OSError as error:
        return error.errno == errno.EBADF


def close_file(fd: int, identity: Identity | None, system: System, *, unlock: bool = False) -> None:
    """Close *fd*, unless it is not ours any more; errors are ignored, because nothing is left to be written.

    Args:
        unlock: release the lock, too: a child that was forked before, and has not closed its copy yet, would keep it.
    """
    if is_lost(fd, identity, system):
        return
    if unlock:
        with suppress(OSError):
            system.unlock(fd)
    _forget(fd, identity, system)
    with suppress(OSError):
        system.close(fd)


def _note(fd: int, identity: Identity) -> None:
    with named_lock("descriptors"):
        _open[fd] = identity
        _files[identity] = [*_files.get(identity, ()), fd]


def _forget(fd: int, identity: Identity | None, system: System) -> None:
    """Forget *fd*, and those of the same file that other code closed; the file is known as long as one is left."""
    with named_lock("descriptors"):
        _open.pop(fd, None)
        if identity is None:
            return
        known = _files.get(identity, ())
        if others := [each for each in known if each != fd and not is_lost(each, identity, system)]:
            _files[identity] = others
        else:
            _files.pop(identity, None)


def _add_hooks() -> None:
    global _has_hooks
    if not _has_hooks:
        at_fork(before=_count_fork, in_child=_close_all)
        _has_hooks = True  # last: two threads, or an interrupt, may add them twice, which does no harm


def _count_fork() -> None:
    global _forks
    _forks = object()


def _close_all() -> None:
    """Close, in a forked child, what it inherited, without unlocking: that would release the locks of the parent."""
    inherited = dict(_open)
    _open.clear()
    _files.clear()
    for fd, identity in inherited.items():
        with suppress(OSError):
            if identity_of(os.fstat(fd)) == identity:
                os.close(fd)
