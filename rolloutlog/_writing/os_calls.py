"""The operating system as the journal sees it: each call that can fail, private folders, locks.

The only user of filelock. A journal is handed a `System`; tests hand it one in which each call fails in turn.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Protocol

from ..exceptions import SessionLockedError

# filelock's own polling, 50 ms, starves: six processes waited up to 3.2 s for their turn; at 1 ms, 0.4 s.
_LOCK_PAUSE = 0.001


class System(Protocol):
    """The calls that a journal makes, with the meaning that they have in `os`; `write` is `os.writev`.

    Attributes:
        most_pieces: how many lines one write takes.
    """

    most_pieces: int

    def open(self, path: str | Path, flags: int, mode: int = 0o777) -> int: ...
    def close(self, fd: int) -> None: ...
    def write(self, fd: int, lines: Sequence[bytes], /) -> int: ...
    def pread(self, fd: int, size: int, offset: int) -> bytes: ...
    def lseek(self, fd: int, offset: int, whence: int) -> int: ...
    def ftruncate(self, fd: int, size: int) -> None: ...
    def fstat(self, fd: int) -> os.stat_result: ...
    def lstat(self, path: str | Path) -> os.stat_result: ...
    def fsync(self, fd: int) -> None: ...
    def mkdir(self, path: str | Path, mode: int) -> None: ...
    def chmod(self, path: int | str | Path, mode: int) -> None: ...
    def unlink(self, path: str | Path) -> None: ...
    def link(self, path: str | Path, new: str | Path) -> None: ...
    def rename(self, path: str | Path, new: str | Path) -> None: ...
    def lock(self, fd: int) -> bool: ...
    def unlock(self, fd: int) -> None: ...


class _OperatingSystem:
    """The real one."""

    most_pieces = max(16, os.sysconf("SC_IOV_MAX"))  # what POSIX asks of each system, where it does not tell

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    write = staticmethod(os.writev)
    pread = staticmethod(os.pread)
    lseek = staticmethod(os.lseek)
    ftruncate = staticmethod(os.ftruncate)
    fstat = staticmethod(os.fstat)
    lstat = staticmethod(os.lstat)
    mkdir = staticmethod(os.mkdir)
    chmod = staticmethod(os.chmod)
    unlink = staticmethod(os.unlink)
    link = staticmethod(os.link)
    rename = staticmethod(os.rename)

    @staticmethod
    def fsync(fd: int) -> None:
        """Bring the file to the medium; on macOS `os.fsync` stops at the drive's cache."""
        import fcntl

        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is None:
            os.fsync(fd)
        else:
            fcntl.fcntl(fd, full)

    @staticmethod
    def lock(fd: int) -> bool:
        """Try to lock the file; return whether that worked."""
        return bool(_filelock().lock_descriptor(fd, blocking=False))

    @staticmethod
    def unlock(fd: int) -> None:
        """Give up the lock."""
        _filelock().unlock_descriptor(fd)


@functools.cache
def _filelock() -> ModuleType:
    """Return filelock, imported at the first lock: it costs 50 ms and a fork audit hook, which readers need not pay.

    Kept, because at the very end of the interpreter, when the last files are closed, nothing can be imported any more.
    """
    import filelock

    return filelock


REAL_SYSTEM: System = _OperatingSystem()


def make_folders(folder: Path, system: System = REAL_SYSTEM) -> None:
    """Make *folder* and what is missing above it, each with mode 0700; `os.makedirs` leaves that to the umask."""
    missing: list[Path] = []
    while True:
        try:
            status = system.lstat(folder)
        except FileNotFoundError:
            if folder == folder.parent:
                raise  # not even the root is there: nothing to stand on
            missing.append(folder)
            folder = folder.parent
            continue
        if not stat.S_ISDIR(status.st_mode) and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
        break
    for new in reversed(missing):
        try:
            system.mkdir(new, 0o700)
        except FileExistsError:  # another process was faster
            continue
        if stat.S_IMODE(system.lstat(new).st_mode) != 0o700:
            system.chmod(new, 0o700)


@contextmanager
def locked_folder(folder: Path, timeout: float, system: System = REAL_SYSTEM) -> Iterator[None]:
    """Hold *folder* (made if missing) against other processes and threads that lock it here.

    Raises:
        SessionLockedError: somebody held it for *timeout* seconds.
    """
    make_folders(folder, system)
    fd = system.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(fd, folder, monotonic() + timeout, system)
        try:
            yield
        finally:
            system.unlock(fd)
    finally:
        system.close(fd)


def lock(fd: int, path: Path, deadline: float, system: System = REAL_SYSTEM) -> None:
    """Lock *fd*, asking again and again until *deadline* (`time.monotonic`), for a call that blocks cannot be ended.

    Raises:
        SessionLockedError: somebody else has held it until then.
    """
    while not system.lock(fd):
        if monotonic() >= deadline:
            raise SessionLockedError(path, _holder(system.fstat(fd)))
        sleep(_LOCK_PAUSE)


def _holder(status: os.stat_result) -> int | None:
    """Return the living process that holds the lock on a file, where ``/proc/locks`` tells."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            fields = [line.split() for line in locks]
        pid = next(int(field[4]) for field in fields if field[1:2] == ["FLOCK"] and field[5:6] == [device])
        with suppress(PermissionError):  # somebody else's process, and it lives
            os.kill(pid, 0)
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    return pid
