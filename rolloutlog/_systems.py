"""The differences between operating systems; no other module asks on which one it runs. The only user of filelock.

Linux is where the tests run. macOS differs in how it syncs, and Windows in most of what is here: see `_windows`.
"""

from __future__ import annotations

import errno
import functools
import os
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType

# Flags for `open_file`; each is 0 where the system has nothing like it.
CLOEXEC = getattr(os, "O_CLOEXEC", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
DIRECTORY = getattr(os, "O_DIRECTORY", 0)

HAS_MODES = sys.platform != "win32"
"""Whether the mode of a file says who may read it; on Windows the lists of its folder do."""

SYNCS_FOLDERS = sys.platform != "win32"
"""Whether the entry of a new file in its folder is synced by itself; a journal of the file system does it there."""

# The system gives its list of locks a page at a time, so a list that other processes change in between lacks some. A
# list of several pages is read so often: with four processes that did nothing but lock, a lock that was held all the
# time was missing in 1 of 100 lists instead of 1 of 7.
_LOOKS = 8
_AT_ONCE = 1 << 16

# The errors of F_FULLFSYNC on file systems that do not have it, such as those of a network.
_NO_FULL_SYNC = frozenset({errno.ENOTSUP, errno.EINVAL, errno.ENOTTY, errno.ENODEV})


if sys.platform == "win32":
    from . import _windows

    NOFOLLOW = _windows.NOFOLLOW
    MOST_PIECES = 1024
    open_file = _windows.open_file
    lock = _windows.lock
    unlock = _windows.unlock
    is_alive = _windows.is_alive

    def write(fd: int, lines: Sequence[bytes], /) -> int:
        """Write *lines*; return how many bytes were written. Windows writes one piece at a time, so they are joined."""
        return os.write(fd, b"".join(lines))

    def pread(fd: int, size: int, offset: int) -> bytes:
        """Read at *offset* and leave the position of the file as it was; one thread at a time uses a descriptor."""
        position = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, size)
        finally:
            os.lseek(fd, position, os.SEEK_SET)

    def set_byte_lock(fd: int, offset: int, *, locked: bool) -> bool:
        """Lock or unlock one byte of a file; the lock belongs to the descriptor.

        Raises:
            BlockingIOError: it is taken.
        """
        if not locked:
            _windows.unlock(fd, offset)
        elif not _windows.lock(fd, offset):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return True

    def chmod(path: int | str | Path, mode: int) -> None:
        """Do nothing: there a mode can only forbid to write."""

    def chown(fd: int, user: int, group: int) -> None:
        """Do nothing: a new file belongs to the user who makes it."""

    def user() -> int:
        """Return the user of this process, as `os.stat_result.st_uid` does there: always 0."""
        return 0

    def at_fork(*, before: Callable[[], object] | None = None, in_child: Callable[[], object]) -> None:
        """Do nothing: no process is forked there."""

else:
    NOFOLLOW = os.O_NOFOLLOW
    MOST_PIECES = max(16, os.sysconf("SC_IOV_MAX"))  # what POSIX asks of each system, where it does not tell
    open_file = os.open
    write = os.writev
    pread = os.pread
    chmod = os.chmod
    chown = os.fchown
    user = os.geteuid

    @functools.cache
    def _filelock() -> ModuleType:
        """Return filelock, imported at the first lock: it costs 50 ms and a fork audit hook, which readers do not pay.

        Kept, because at the very end of the interpreter, when the last files are closed, nothing can be imported.
        """
        import filelock

        return filelock

    def lock(fd: int) -> bool:
        """Try to lock the file; return whether that worked."""
        return bool(_filelock().lock_descriptor(fd, blocking=False))

    def unlock(fd: int) -> None:
        """Release the lock."""
        _filelock().unlock_descriptor(fd)

    def set_byte_lock(fd: int, offset: int, *, locked: bool) -> bool:
        """Lock or unlock one byte of a file; return false if the system has no such locks.

        The lock belongs to the open file, not to the process as the older POSIX locks do. So threads exclude each
        other, and closing another descriptor of the same file releases nothing.

        Raises:
            BlockingIOError, PermissionError: it is taken.
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

    def at_fork(*, before: Callable[[], object] | None = None, in_child: Callable[[], object]) -> None:
        """Have *before* called before each fork of this process, and *in_child* after it in the child."""
        if before is None:
            os.register_at_fork(after_in_child=in_child)
        else:
            os.register_at_fork(before=before, after_in_child=in_child)

    def is_alive(process: int) -> bool:
        """Return whether there is a process with this id, of any user."""
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            return True
        return True


def sync(fd: int) -> None:
    """Bring the file to the medium; on macOS `os.fsync` stops at the drive's cache."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        except OSError as error:
            if error.errno not in _NO_FULL_SYNC:
                raise
        else:
            return
    os.fsync(fd)


def file_locks() -> dict[tuple[int, int], int]:
    """Return the process that locked each file as a whole, by device and inode; none where the system does not tell."""
    found: dict[tuple[int, int], int] = {}
    if sys.platform == "linux":
        with suppress(OSError):
            for _ in range(_LOOKS):
                with open("/proc/locks", "rb", buffering=0) as locks:
                    pieces = list(iter(lambda file=locks: file.read(_AT_ONCE), b""))  # type: ignore[misc]
                found.update(_owners(b"".join(pieces)))
                if len(pieces) < 2:
                    break
    return found


def _owners(locks: bytes) -> dict[tuple[int, int], int]:
    found: dict[tuple[int, int], int] = {}
    if sys.platform == "linux":
        for line in locks.decode("ascii", "replace").splitlines():
            match line.split():
                case [_, "FLOCK", _, _, process, file, *_]:
                    with suppress(ValueError):  # a line that was cut
                        major, minor, inode = file.split(":")
                        found[os.makedev(int(major, 16), int(minor, 16)), int(inode)] = int(process)
    return found
