"""Whole lines on disk: open, heal, append all or nothing, sync.

A journal belongs to one writer, which calls it from one thread at a time; it knows lines of bytes and nothing of what
they mean, but for the header: the line that a file must begin with.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Literal

from ._lines import after, chunks, first_line, rest_of_character, standing
from ._system import REAL_SYSTEM, System, lock, make_folders
from .exceptions import SessionLockedError

Fsync = Literal["never", "flush", "always"]

# What file systems without hard links answer.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class _Run:
    """The bytes of one append as they reached the file: where the unbroken run of them that ends the file began."""

    __slots__ = ("attempt", "before", "begin", "end", "in_line", "is_torn", "unplaced", "written")

    def __init__(self, size: int, *, in_line: bool) -> None:
        self.begin = self.end = size  # the file's, and where the run begins unless somebody else writes first
        self.before = 0  # bytes of ours that stand before the run, because somebody else wrote in between
        self.written = 0
        self.unplaced = 0  # bytes that were written, and it is not known yet where they end
        self.attempt: Sequence[bytes] = ()
        self.in_line = in_line  # what is written next goes on in a line of ours
        self.is_torn = False  # somebody else wrote into the middle of a line

    def add(self, end: int, size: int) -> None:
        """Take note that *size* bytes were written and that they end at offset *end*."""
        self.unplaced = 0
        if end - size != self.end:
            self.begin = end - size
            self.before = self.written
        self.end = end
        self.written += size

    def tear(self, written: int) -> None:
        """Take note that somebody else's bytes stand in a line: only the first *written* bytes are whole lines."""
        self.written = self.before = written
        self.is_torn = True


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
        moves: how often another file was found at the path; what had been appended until then was synced if need be.
    """

    # All of this is owned by whoever has the writer's turn.
    #   _fd, _identity   the open file and its (device, inode); -1 and None when none is open
    #   _place           where the file is: at its path, but for one that is being made
    #   _end             where our last append ended, with a newline; -1 when the file's tail must be looked at
    #   _kept, _kept_end bytes of the coming append that a failed one left in the file, and where they end
    #   _kept_begin      where the unbroken run of them begins, and
    #   _kept_before     how many of them stand before that run
    #   _kept_from       where the file ended before the first of them
    #   _cut_to          where to cut, before anything else, bytes whose sync failed and which could not be cut then
    #   _unsynced_from   where the bytes begin that no sync has covered yet; -1 when there are none
    #   _unsynced_to     where they end

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
        self.moves = 0
        self._forget()

    @property
    def identity(self) -> tuple[int, int] | None:
        """Device and inode of the open file, or `None`."""
        return self._identity

    @property
    def holds_a_part(self) -> bool:
        """Return whether the file holds part of what the next `append` must begin with."""
        return self._kept > 0

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
                self._open(os.O_CREAT | os.O_EXCL)
                self.append([])
                if self.fsync == "flush":
                    self.sync()
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
        fd, self._fd = self._fd, -1
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
        fd, self._fd, self._identity = self._fd, -1, None
        if fd >= 0:
            with suppress(OSError):  # nobody in the child uses it
                self._system.close(fd)
        self._place = self.path
        self._forget()

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

    def _open(self, flags: int) -> None:
        """Open the file at the path, check what it is, and lock it unless it is shared."""
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
            except BaseException:
                self._system.close(fd)
                raise
            if (here.st_dev, here.st_ino) == (status.st_dev, status.st_ino):
                break
            self._system.close(fd)  # replaced while we waited for its lock: open what is there now
        # No call before this: an interrupt in it would lose the open file.
        self._fd, self._identity = fd, (status.st_dev, status.st_ino)
        self._forget()

    def _forget(self) -> None:
        """Know nothing of the file's tail."""
        self._end = self._kept_begin = self._kept_end = self._cut_to = self._unsynced_from = self._unsynced_to = -1
        self._kept = self._kept_before = self._kept_from = 0

    # -- appending ----------------------------------------------------------------------------------------------------

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
            self._append(self._size(), lines, before_write)
            return
        self._take_lock()
        try:
            self._append(self._size(), lines, before_write)
        finally:
            self._release_lock()

    def _append(self, size: int, lines: Sequence[bytes], before_write: Callable[[], object] | None) -> None:
        """Append to the file, which is *size* bytes long and ours alone for as long as others take the lock."""
        size = self._cut_failed_sync(size)
        prefix, skip = self._beginning(size, lines)
        run, syncing = _Run(size, in_line=skip > 0 and size == self._kept_end), False
        kept = skip
        if not skip:
            self._kept_from = size
        if run.in_line:  # what a failed append left is part of this one: cut off with it, and synced with it
            run.begin, run.before, run.written, kept = self._kept_begin, self._kept_before, skip, 0
        try:
            if before_write is not None:
                before_write()
            for chunk in chunks(prefix, after(lines, skip), self._system.most_pieces):
                self._write(chunk, run)
            if self.fsync == "always":
                syncing = True
                self._system.fsync(self._fd)
                syncing = False
            if run.written and self._system.fstat(self._fd).st_nlink == 0:
                raise OSError(errno.ESTALE, "the file was removed while it was being written", str(self.path))
        except BaseException:
            self._cut_back(run, len(prefix), kept, sync_failed=syncing)
            raise
        if run.written:
            if self.fsync == "flush" and (self._unsynced_from < 0 or run.begin != self._unsynced_to):
                self._unsynced_from = run.begin  # what stands before somebody else's lines cannot be cut off again
            self._end = self._unsynced_to = run.end
        elif skip and self.fsync == "flush" and self._unsynced_from < 0:
            self._unsynced_from = size  # what stands before somebody else's lines is to be synced nevertheless
        self._kept, self._kept_end = 0, -1

    def _write(self, chunk: Sequence[bytes], run: _Run) -> None:
        """Write all of *chunk*, which begins a line, at the end of the file.

        The lines are not joined: that would have them read with the interpreter's lock held, out of the memory of the
        caller's processor. The system reads them without it, so that callers run meanwhile (a tenth of a record's cost
        with 2 kB of text, and half of the wait where the queue is full), and large ones need not be written alone.
        """
        left = chunk
        before = run.written
        while True:
            # The rest of a line that a short write tore goes alone. If somebody wrote in between it is lost, and whole
            # lines behind it would stand before it for good where they cannot be cut off.
            run.attempt = part = [first_line(left)] if run.in_line else left
            run.unplaced = size = self._system.write(self._fd, part)
            end = self._system.lseek(self._fd, 0, os.SEEK_CUR)
            is_next, in_line = end - size == run.end, run.in_line
            run.add(end, size)
            run.in_line = size < sum(map(len, part))
            if not is_next and (in_line or not self._begins_line(part[0], run.begin)):  # after somebody else
                joined = b"".join(chunk)
                run.tear(before + joined.rfind(b"\n", 0, len(joined) - sum(map(len, left))) + 1)
                raise OSError(errno.EAGAIN, "another program wrote into the middle of a line", str(self.path))
            if not run.in_line and part is left:
                return
            if size == 0:
                raise OSError(errno.EIO, "the system wrote nothing and gave no reason", str(self.path))
            if run.in_line and self._system.fstat(self._fd).st_size != end:
                raise OSError(errno.EAGAIN, "another program wrote into the middle of a line", str(self.path))
            left = after(left, size)
            if not left:
                return

    def _holds(self, data: bytes, offset: int) -> bool:
        """Return whether *data* stands at *offset*."""
        return self._system.pread(self._fd, len(data), offset) == data

    def _begins_line(self, data: bytes, offset: int) -> bool:
        """Return whether *data*, which stands at *offset*, begins a line there, or ends the one before."""
        return data[:1] == b"\n" or (offset > 0 and self._holds(b"\n", offset - 1))

    def _cut_back(self, run: _Run, prefix: int, skip: int, *, sync_failed: bool) -> None:
        """Take back what a failed append wrote, while it still ends the file; else remember what stays."""
        try:
            try:
                end = self._system.lseek(self._fd, 0, os.SEEK_CUR)
            except OSError:
                end = run.end + run.unplaced  # unless somebody else wrote in between, which the size below shows
            unnoted = end - run.end  # an interrupt between a write and its note
            if run.unplaced:
                run.add(end, run.unplaced)
            elif 0 < unnoted <= sum(map(len, run.attempt)) and self._holds(
                b"".join(run.attempt)[:unnoted], end - unnoted
            ):
                run.add(end, unnoted)
            if run.begin == run.end:
                return
            ours = self._system.fstat(self._fd).st_size == run.end
            if ours:
                self._system.ftruncate(self._fd, run.begin)
        except OSError:  # the caller raises the error that came first; what stays is dealt with by the next append
            ours = False
        self._end = -1
        self._kept_begin, self._kept_before = run.begin, max(0, run.before - prefix) + skip
        if sync_failed:  # what stands before somebody else's lines is written once more: twice is better than never
            self._kept, self._kept_end = 0, run.end
            self._cut_to = -1 if ours else run.begin
        elif ours:
            # Only where nothing of this append stays does the file end in the middle of the line it ended in before.
            self._kept = self._kept_before
            self._kept_end = run.begin if not (prefix or run.before or run.is_torn) else -1
        else:
            self._kept, self._kept_end = max(0, run.written - prefix) + skip, -1 if run.is_torn else run.end

    def _cut_failed_sync(self, size: int) -> int:
        """Cut off bytes whose sync failed earlier; return the file's size then."""
        if self._cut_to < 0:
            return size
        if size == self._kept_end:
            self._system.ftruncate(self._fd, self._cut_to)
            size = self._cut_to
        # Else somebody wrote behind them: they stay, and are written once more, for twice is better than never.
        self._cut_to = self._kept_end = self._end = -1
        return size

    def _beginning(self, size: int, lines: Sequence[bytes]) -> tuple[bytes, int]:
        """Return what must stand before *lines*, and how many bytes of them are in the file already."""
        if size == self._end:
            return b"", 0
        header = self.header
        if size < len(header) and self._system.pread(self._fd, size, 0) == header[:size]:
            return header[size:], 0
        skip = self._kept
        if skip:  # what is there may be more than that, or less, for others may write behind it or cut it off
            region = self._system.pread(self._fd, max(0, size - self._kept_from), self._kept_from)
            if size == self._kept_end and region.endswith(b"".join(lines)[self._kept_before : skip]):
                return b"", skip
            self._kept_end = -1
            skip = standing(lines, skip, region)  # whole lines count, a torn one is written again
        tail = self._system.pread(self._fd, 4, max(0, size - 4)) if size else b"\n"
        return b"" if tail.endswith(b"\n") else rest_of_character(tail) + b"\n", skip

    # -- syncing ------------------------------------------------------------------------------------------------------

    def sync(self) -> None:
        """Bring to the medium what was appended since the last sync.

        Raises:
            OSError: it failed. A failed fsync is never simply repeated, for kernels drop the pages and then say yes:
                the lines since the last sync are cut off again, where that is possible, and must be appended anew.
        """
        begin = self._unsynced_from
        if begin < 0:
            return
        self._unsynced_from = -1
        try:
            self._system.fsync(self._fd)
        except OSError:
            self._cut_to, self._kept, self._kept_end = begin, 0, self._end
            with suppress(OSError):  # the failed sync is the error to hear; the next append cuts before it writes
                self._cut_failed_sync(self._system.fstat(self._fd).st_size)
            raise

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

    def _size(self) -> int:
        """Return the size of the file at the path; if it is another file than before, that is the one from now on."""
        here = None
        with suppress(FileNotFoundError):
            here = self._system.lstat(self._place)
        if self._fd >= 0:
            if here is not None and (here.st_dev, here.st_ino) == self._identity:
                return here.st_size
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
        if not self.shared:
            return self._system.fstat(self._fd).st_size
        self._take_lock()
        return self._size()  # locked only now: it may have been replaced once more

    def _leave_moved_file(self) -> None:
        """Close a file that was deleted, renamed or replaced; what it holds and no sync covered is synced first."""
        try:
            if self._unsynced_from >= 0 and self._system.fstat(self._fd).st_nlink:
                self._system.fsync(self._fd)
            self.moves += 1
        finally:
            if self.shared:
                self._release_lock()
            self.close()
            self._forget()

    def _take_lock(self) -> None:
        """Lock a shared file for one append."""
        if self._fd < 0:
            return  # `_size` opens it, and locks it then
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
            self.close()
            self._forget()
