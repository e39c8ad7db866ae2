"""The operating system as the journal sees it: each call that can fail, private folders, locks.

The only user of filelock. A journal is given a `System`; tests give it one in which each call fails in turn.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Protocol

from ..exceptions import SessionLockedError

# In seconds. With the 50 ms of filelock itself, six processes waited up to 3.2 s for their turn; with 1 ms, 0.4 s.
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
    def lock_byte(self, fd: int, offset: int) -> bool: ...
    def unlock_byte(self, fd: int, offset: int) -> None: ...


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
        """Release the lock."""
        _filelock().unlock_descriptor(fd)

    @staticmethod
    def lock_byte(fd: int, offset: int) -> bool:
        """Try to lock one byte, or the whole file where the system cannot; return whether that worked."""
        try:
            return _set_byte_lock(fd, offset, locked=True) or _OperatingSystem.lock(fd)
        except (BlockingIOError, PermissionError):  # POSIX allows either error for a lock that is taken
            return False

    @staticmethod
    def unlock_byte(fd: int, offset: int) -> None:
        """Release the lock of `lock_byte`."""
        if not _set_byte_lock(fd, offset, locked=False):
            _OperatingSystem.unlock(fd)


def _set_byte_lock(fd: int, offset: int, *, locked: bool) -> bool:
    """Lock or unlock one byte of a file; return false if the system has no such locks.

    The lock belongs to the open file, not to the process as the older POSIX locks do. So threads exclude each other,
    and closing another descriptor of the same file releases nothing.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    # struct flock: type, origin, start, length, and a process id that has to be zero
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK if locked else fcntl.F_UNLCK, os.SEEK_SET, offset, 1, 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, wanted)
    except OSError as error:
        if error.errno != errno.EINVAL:  # from kernels that do not know the command, such as that of some sandboxes
            raise
        return False
    return True


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
    fd = system.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if stat.S_IMODE(system.fstat(fd).st_mode) != 0o600:
            system.chmod(fd, 0o600)  # the umask took rights even from the owner
        if not _locked_within(monotonic() + timeout, lambda: system.lock_byte(fd, offset)):
            raise SessionLockedError(protects)
        try:
            yield
        finally:
            system.unlock_byte(fd, offset)  # closing is not enough while a forked child has a copy of the descriptor
    finally:
        system.close(fd)


def lock(fd: int, path: Path, deadline: float, system: System = REAL_SYSTEM) -> None:
    """Lock *fd*, trying again until *deadline* (`time.monotonic`).

    Raises:
        SessionLockedError: another process held the lock until then.
    """
    if not _locked_within(deadline, lambda: system.lock(fd)):
        raise SessionLockedError(path, _holder(system.fstat(fd)))


def _locked_within(deadline: float, attempt: Callable[[], bool]) -> bool:
    """Repeat *attempt* until it succeeds or *deadline* has passed. A call that blocks could not be given up."""
    while not attempt():
        if monotonic() >= deadline:
            return False
        sleep(_LOCK_PAUSE)
    return True


def _holder(status: os.stat_result) -> int | None:
    """Return the living process that holds the lock on a file, where ``/proc/locks`` tells."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            fields = [line.split() for line in locks]
        pid = next(int(field[4]) for field in fields if field[1:2] == ["FLOCK"] and field[5:6] == [device])
        with suppress(PermissionError):  # the process belongs to another user, and it lives
            os.kill(pid, 0)
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    return pid
