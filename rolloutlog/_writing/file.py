"""The file of a session, from its making to its closing: under its name, under a lock, and noticed when it is moved.

A journal belongs to one writer, which calls it from one thread at a time; it knows lines of bytes and nothing of what
they mean, but for the header: the line that a file must begin with. What happens at the end of the open file, it leaves
to `Tail`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from ..exceptions import SessionLockedError
from .append import Fsync, Tail
from .os_calls import REAL_SYSTEM, System, lock, make_folders

# What file systems without hard links answer.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Journal:
    """The file of one session, to which whole lines are appended.

    Args:
        path: the rollout.
        header: the line that the file begins with; written first whenever the file is found empty.
        shared: other processes append too: take the lock for each append instead of holding it.
        fsync: "always" syncs within `append`; "flush" leaves it to `sync`; "never" to the system.
        lock_timeout: seconds to wait for the lock.
        system: the operating system.

    Attributes:
        header: as above; for a file whose header only reading tells, set it before the first append.
        moves: how often another file was found at the path; what had been appended until then was synced if need be.
    """

    # All of this is owned by whoever has the writer's turn.
    #   _fd, _identity   the open file and its (device, inode); -1 and None when none is open
    #   _tail            what is known of its end; None when none is open
    #   _place           where the file is: at its path, but for one that is being made
    #   _doubt           why lines that were appended could not be synced when their file was left; `sync` tells it

    def __init__(
        self,
        path: Path,
        *,
        header: bytes = b"",
        shared: bool = False,
        fsync: Fsync = "never",
        lock_timeout: float = 0.0,
        system: System = REAL_SYSTEM,
    ) -> None:
        self.path = self._place = path
        self.header = header
        self.shared = shared
        self.fsync = fsync
        self.lock_timeout = lock_timeout
        self._system = system
        self._fd = -1
        self._identity: tuple[int, int] | None = None
        self._tail: Tail | None = None
        self._doubt: OSError | None = None
        self.moves = 0

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the open file, or `None`."""
        return self._identity

    @property
    def holds_a_part(self) -> bool:
        """Return whether the file holds part of what the next `append` must begin with."""
        return self._tail is not None and self._tail.holds_a_part

    # -- opening and closing ------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the file, which must not exist, with its folders, and write the header.

        The file gets its name when the header is in it, so that whoever is killed in between leaves no session that
        cannot be read.

        Raises:
            FileExistsError: it is there already.
            OSError: it could not be made, or not begun; nothing is left behind.
        """
        make_folders(self.path.parent, self._system)
        # Never the same name twice: what was left behind under it, by a killed process, must not be in the way.
        self._place = self.path.with_name(f".{self.path.name}.{os.urandom(4).hex()}")
        is_named = False
        try:
            try:
                tail = self._open(os.O_CREAT | os.O_EXCL)
                self.append([])
                if self.fsync == "flush":
                    tail.sync()
                self._name()
                is_named = True
            finally:
                with suppress(OSError):  # litter at worst; and gone already if it was renamed
                    self._system.unlink(self._place)
                self._place = self.path
            if self.fsync != "never":
                self._sync_folders()
        except BaseException:
            if is_named:
                with suppress(OSError):  # litter at worst: a session with nothing in it
                    self._take_name_back()
            self.close()
            raise

    def open(self) -> None:
        """Open the file, which must exist.

        Raises:
            SessionLockedError: another process has it, and kept it for `lock_timeout` seconds.
            OSError: it cannot be opened for reading and appending, or is no regular file.
        """
        self._open(0)

    def close(self) -> None:
        """Give up the lock and close the file; closing again does nothing."""
        fd, self._fd, self._tail = self._fd, -1, None
        if fd >= 0:
            # A child that was forked before, and has not closed its copy yet, would keep the lock alive.
            if not self.shared:
                with suppress(OSError):  # closing frees it too, but for that child
                    self._system.unlock(fd)
            with suppress(OSError):  # every line was written, and synced if asked: there is nothing left to fail
                self._system.close(fd)
        self._identity = None  # last: whoever opens the file again in this process waits for us as long as it stands

    def abandon(self) -> None:
        """Close what a forked child inherited, without unlocking: that would free the parent's lock."""
        fd, self._fd, self._identity, self._tail = self._fd, -1, None, None
        if fd >= 0:
            with suppress(OSError):  # nobody in the child uses it
                self._system.close(fd)
        self._place, self._doubt = self.path, None

    def _name(self) -> None:
        """Give the new file its name, unless there is such a file."""
        try:
            self._system.link(self._place, self.path)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            with suppress(FileNotFoundError):
                self._system.lstat(self.path)
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path)) from None
            self._system.rename(self._place, self.path)

    def _take_name_back(self) -> None:
        """Remove a new file whose making could not be finished; but not what another process wrote to it meanwhile."""
        if self.shared:
            self._take_lock()
        try:
            if self._system.fstat(self._fd).st_size == len(self.header):
                self._system.unlink(self.path)
        finally:
            if self.shared:
                self._release_lock()

    def _open(self, flags: int) -> Tail:
        """Open the file at the path, check what it is, and lock it unless it is shared; return its end."""
        deadline = monotonic() + self.lock_timeout
        while True:
            fd = self._system.open(self._place, _FLAGS | flags, 0o600)
            try:
                status = self._system.fstat(fd)
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "not a regular file", str(self.path))
                if flags & os.O_CREAT and stat.S_IMODE(status.st_mode) != 0o600:
                    self._system.chmod(fd, 0o600)  # an umask that takes rights even from the owner
                if not self.shared:
                    lock(fd, self.path, deadline, self._system)
                here = self._system.lstat(self._place)
                tail = Tail(fd, self.path, self.fsync, self._system)
            except BaseException:
                self._system.close(fd)
                raise
            if (here.st_dev, here.st_ino) == (status.st_dev, status.st_ino):
                break
            self._system.close(fd)  # replaced while we waited for its lock: open what is there now
        # No call before this: an interrupt in it would lose the open file.
        self._fd, self._identity, self._tail = fd, (status.st_dev, status.st_ino), tail
        return tail

    # -- appending and syncing ----------------------------------------------------------------------------------------

    def append(self, lines: Sequence[bytes], before_write: Callable[[], object] | None = None) -> None:
        """Append all of *lines*, or nothing.

        Args:
            lines: bytes that hold one or more whole lines each. After an error, the next call must begin with the same
                ones: where the file could not be cut back, that call goes on from the byte that was reached.
            before_write: called when nothing but the writing is left to do, during which other threads run.

        Raises:
            OSError: it could not be done; the file ends where it ended before, if the system let us cut it back.
        """
        if not self.shared:
            tail, size = self._ready()
            tail.append(size, self.header, lines, before_write)
            return
        self._take_lock()
        try:
            tail, size = self._ready()
            tail.append(size, self.header, lines, before_write)
        finally:
            self._release_lock()

    def sync(self) -> None:
        """Bring to the medium what was appended since the last sync.

        Raises:
            OSError: it failed. A failed fsync is never simply repeated, for kernels drop the pages and then say yes:
                the lines since the last sync are cut off again, where that is possible, and must be appended anew.
        """
        doubt, self._doubt = self._doubt, None
        if self._tail is not None:
            self._tail.sync(doubt)
        elif doubt is not None:
            raise doubt

    def _sync_folders(self) -> None:
        """Sync the folders above the file, so that its name is as durable as its content."""
        for folder in list(self.path.parents)[:6]:  # day, month, year, sessions, home, and what holds the home
            try:
                fd = self._system.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except PermissionError:  # not ours, such as what holds the home: its entry for us is its owner's care
                continue
            try:
                self._system.fsync(fd)
            finally:
                self._system.close(fd)

    # -- the same file still, and whose -------------------------------------------------------------------------------

    def _ready(self) -> tuple[Tail, int]:
        """Return the end of the file at the path, and its size; if it is another file than before, open that one."""
        here = None
        with suppress(FileNotFoundError):
            here = self._system.lstat(self._place)
        if self._tail is not None:
            if here is not None and (here.st_dev, here.st_ino) == self._identity:
                return self._tail, here.st_size
            if self._place != self.path:
                raise OSError(errno.ESTALE, "the file was taken away while it was being made", str(self.path))
            self._leave_moved_file()
        try:
            if here is None:
                with suppress(FileExistsError):  # another process made it, a moment ago
                    self.create()
            if self._fd < 0:
                if self.fsync != "never":
                    self._sync_folders()  # whoever made it may not have come to that
                self._open(0)
        except SessionLockedError as error:
            raise OSError(errno.EWOULDBLOCK, f"replaced by a file that is in use: {error}", str(self.path)) from error
        if self.shared:
            self._take_lock()
        return self._ready()  # locked only now: it may have been replaced once more

    def _leave_moved_file(self) -> None:
        """Close a file that was deleted, renamed or replaced."""
        try:
            self._sync_before_leaving()
            if self._doubt is None:
                self.moves += 1
        finally:
            if self.shared:
                self._release_lock()
            self.close()

    def _sync_before_leaving(self) -> None:
        """Sync what the file holds and no sync covered, unless it is deleted; if that fails, the next `sync` says so.

        Not at once: an append that fails gives back its own lines alone, and these came before.
        """
        if self._tail is None or self._tail.is_synced:
            return
        try:
            if self._system.fstat(self._fd).st_nlink:
                self._system.fsync(self._fd)
        except OSError as error:
            self._doubt = error

    def _take_lock(self) -> None:
        """Lock a shared file for one append."""
        if self._fd < 0:
            return  # `_ready` opens it, and locks it then
        try:
            lock(self._fd, self.path, monotonic() + self.lock_timeout, self._system)
        except SessionLockedError as error:
            why = f"no lock within {self.lock_timeout} s: {error}"
            raise TimeoutError(errno.ETIMEDOUT, why, str(self.path)) from error

    def _release_lock(self) -> None:
        """Let other processes append; closing the file does it when unlocking fails."""
        if self._fd < 0:
            return
        try:
            self._system.unlock(self._fd)
        except OSError:  # the file is opened anew by the next append; what was written is written
            self._sync_before_leaving()
            self.close()
