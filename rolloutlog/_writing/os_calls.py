"""The operating system as the journal sees it: each call that can fail; private folders, and names of new files.

A journal is given a `System`; tests give it one in which each call fails in turn.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .. import _systems
from .._locks import open_leased


class System(Protocol):
    """The calls that a journal makes, with the meaning that they have in `os`; `write` is `os.writev`.

    `rename` is `os.replace`.

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
    def lock_byte(self, fd: int, offset: int) -> bool: ...
    def unlock_byte(self, fd: int, offset: int) -> None: ...


class _OperatingSystem:
    """The real one."""

    most_pieces = _systems.MOST_PIECES

    close = staticmethod(os.close)
    write = staticmethod(_systems.write)
    pread = staticmethod(_systems.pread)
    lseek = staticmethod(os.lseek)
    ftruncate = staticmethod(os.ftruncate)
    fstat = staticmethod(os.fstat)
    lstat = staticmethod(os.lstat)
    fsync = staticmethod(_systems.sync)
    mkdir = staticmethod(os.mkdir)
    chmod = staticmethod(_systems.chmod)
    unlink = staticmethod(os.unlink)
    link = staticmethod(os.link)
    rename = staticmethod(
        os.replace
    )  # which is `os.rename` where that replaces a file, and replaces it on Windows, too
    lock = staticmethod(_systems.lock)
    unlock = staticmethod(_systems.unlock)

    @staticmethod
    def open(path: str | Path, flags: int, mode: int = 0o777) -> int:
        """Open a file; never as a standard stream, if those are closed: what the program prints would go into it."""
        fd = open_leased(path, flags, mode)
        low: list[int] = []
        try:
            while fd <= 2:
                low.append(fd)
                fd = os.dup(fd)
        finally:
            for stream in low:
                os.close(stream)
        return fd

    @staticmethod
    def lock_byte(fd: int, offset: int) -> bool:
        """Try to lock one byte, or the whole file where the system cannot; return whether that worked."""
        try:
            return _systems.set_byte_lock(fd, offset, locked=True) or _systems.lock(fd)
        except (BlockingIOError, PermissionError):  # POSIX allows either error for a lock that is taken
            return False

    @staticmethod
    def unlock_byte(fd: int, offset: int) -> None:
        """Release the lock of `lock_byte`."""
        if not _systems.set_byte_lock(fd, offset, locked=False):
            _systems.unlock(fd)


REAL_SYSTEM: System = _OperatingSystem()


def sync_folder(folder: Path, system: System = REAL_SYSTEM) -> None:
    """Bring the names in *folder* to the medium, where that is not done by the system."""
    if not _systems.SYNCS_FOLDERS:
        return
    fd = system.open(folder, os.O_RDONLY | _systems.DIRECTORY | _systems.CLOEXEC)
    try:
        system.fsync(fd)
    finally:
        system.close(fd)


def make_folders(folder: Path, system: System = REAL_SYSTEM) -> None:
    """Make *folder* and what is missing above it, each with mode 0700; `os.makedirs` leaves that to the umask."""
    missing: list[Path] = []
    while True:
        try:
            status = system.lstat(folder)
        except FileNotFoundError:
            if folder == folder.parent:
                raise  # not even the root is there
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


def give_name(place: Path, path: Path, system: System) -> None:
    """Give the new file at *place* its name, *path*; the file may keep its other name, too.

    Raises:
        FileExistsError: there is such a file.
        OSError: the system refuses.
    """
    try:
        system.link(place, path)
    except FileExistsError:
        raise
    except OSError:  # there are no hard links here: systems have many errors for that
        with suppress(FileNotFoundError):
            system.lstat(path)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        system.rename(place, path)


def keep_attributes(fd: int, status: os.stat_result, system: System) -> None:
    """Give the open file the mode, the owner and the time of the file that had *status*.

    Raises:
        OSError: it cannot have the mode. The others are kept where the system lets us.
    """
    system.chmod(fd, stat.S_IMODE(status.st_mode))
    with suppress(OSError):  # the superuser acts on another user's file
        _systems.chown(fd, status.st_uid, status.st_gid)
    with suppress(OSError):  # a new form is not an activity of the session: lists sort by this time
        os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
