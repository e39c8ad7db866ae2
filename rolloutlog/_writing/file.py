"""The file of a session, from its creation to its closing: its name, its lock, and a new one when it was moved.

A journal belongs to one writer, which calls it from one thread at a time. It moves lines of bytes and does not know
what they mean, except for the header: the line that a file must begin with.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from .._compression import compressed_path
from ..exceptions import InvalidRolloutError, MissingExtraError, SessionLockedError
from .append import AppendFile, Fsync, Numbering
from .descriptors import APPENDING, Identity, close_file, identity_of, is_lost, open_file
from .file_locks import lock
from .os_calls import REAL_SYSTEM, System, give_name, make_folders, sync_folder
from .owners import refuse_foreign
from .unpack import unpack


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
        header: as above. If the header is known only after the file was read, set it before the first append.
        has_appended: set to true when the lines of an append are in the file; an interrupt may come after that. The
            caller sets it to false before.
        moves: how often another file was found at the path. Each time, what was appended to the old file was synced, if
            a sync was due.
    """

    # All of this belongs to the thread that holds the writer's commit lock.
    #   _fd, _identity   the open file and its (device, inode); -1 and None when none is open
    #   _owner           the user whom the last open file belonged to; None before the first
    #   _file            the end of the open file; None when none is open
    #   _lost            the end of the file whose descriptor another part of the program closed; else None
    #   _lock_by         when to stop waiting for the lock: one moment for all of a call
    #   _place           where the file is: at its path, except while it is created
    #   _doubt           why appended lines could not be synced when their file was left; `sync` raises it

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
        self._identity: Identity | None = None
        self._owner: int | None = None
        self._file: AppendFile | None = None
        self._lost: AppendFile | None = None
        self._lock_by = 0.0
        self._doubt: OSError | None = None
        self.moves = 0
        self.has_appended = False

    @property
    def identity(self) -> Identity | None:
        """Device and inode of the open file, or `None`."""
        return self._identity

    # -- opening and closing ------------------------------------------------------------------------------------------

    def create(self, rest: Iterable[Sequence[bytes]] = ()) -> None:
        """Create the file, which must not exist, with its folders, and write the header and *rest*.

        The file gets its name when all of that is in it. So a process that is killed before leaves no session that is
        not whole.

        Args:
            rest: batches of whole lines that follow the header.

        Raises:
            FileExistsError: the file exists already.
            OSError: the file could not be created or written; nothing is left.
        """
        self._lock_by = monotonic() + self.lock_timeout
        self._create(rest)

    def _create(self, rest: Iterable[Sequence[bytes]] = ()) -> None:
        make_folders(self.path.parent, self._system)
        # Never the same name twice: a file that a killed process left under it must not be in the way.
        self._place = self.path.with_name(f".{self.path.name}.{os.urandom(4).hex()}")
        is_named = False
        try:
            try:
                with named_in_errors(self.path):
                    file = self._open(os.O_CREAT | os.O_EXCL)
                    self._append([])
                for lines in rest:
                    with named_in_errors(self.path):
                        self._append(lines)
                if self.fsync == "flush":
                    with named_in_errors(self.path):
                        file.sync()
                give_name(self._place, self.path, self._system)
                is_named = True
            finally:
                with suppress(OSError):  # a hidden file at worst; and gone already if it was renamed
                    self._system.unlink(self._place)
                self._place = self.path
            if self.fsync != "never":
                self._sync_folders()
        except BaseException:
            if is_named:
                with suppress(OSError):  # a session without records at worst
                    self._remove_unless_used(file.end)
            self.close()
            raise

    def open(self, deadline: float = math.inf) -> None:
        """Open the file, which must exist.

        Args:
            deadline: when to stop waiting for the lock, if that is before `lock_timeout` has passed (`time.monotonic`).

        Raises:
            SessionLockedError: another process has held the lock until then.
            OSError: it cannot be opened for reading and appending, or is not a regular file.
        """
        self._lock_by = min(deadline, monotonic() + self.lock_timeout)
        self._open(0)

    def close(self) -> None:
        """Release the lock and close the file; closing again does nothing."""
        fd, self._fd, self._file, self._lost = self._fd, -1, None, None
        if fd >= 0:
            close_file(fd, self._identity, self._system, unlock=not self.shared)
        self._identity = None  # last: a thread of this process that opens the file again waits until this is None

    def abandon(self) -> None:
        """Forget what a forked child inherited; the descriptor is closed already."""
        self._fd, self._identity, self._file, self._lost = -1, None, None, None
        self._place, self._doubt = self.path, None

    def _remove_unless_used(self, size: int) -> None:
        """Remove a new file that could not be finished, unless another process has written to its *size* bytes."""
        if self.shared:
            self._take_lock()
        try:
            if self._system.fstat(self._fd).st_size == size:
                self._system.unlink(self.path)
        finally:
            if self.shared:
                self._release_lock()

    def _open(self, flags: int) -> AppendFile:
        """Open the file at the path, check what it is, and lock it unless it is shared."""
        while True:
            fd, status = open_file(self._place, APPENDING | flags, self._system)
            identity = identity_of(status)
            try:
                if not stat.S_ISREG(status.st_mode):
                    raise OSError(errno.EINVAL, "not a regular file", str(self.path))
                if not flags & os.O_CREAT:
                    refuse_foreign(self.path, status.st_uid, self._owner, self._system)
                if flags & os.O_CREAT and stat.S_IMODE(status.st_mode) != 0o600:
                    self._system.chmod(fd, 0o600)  # an umask that takes rights even from the owner
                if not self.shared:
                    lock(fd, self.path, self._lock_by, self._system)
                is_there = identity_of(self._system.lstat(self._place)) == identity
                file = AppendFile(fd, identity, self.path, self.fsync, self._system)
                if self._lost is not None and not file.resume(self._lost):
                    self._doubt = OSError(errno.EBADF, "another part of the program closed its descriptor")
            except BaseException:
                close_file(fd, identity, self._system)
                raise
            if is_there:  # no call: an interrupt in it would lose the open file
                break
            close_file(fd, identity, self._system)  # replaced while we waited for its lock: open the one there now
        # No call before this: an interrupt in it would lose the open file.
        self._owner = status.st_uid
        self._fd, self._identity, self._file, self._lost = fd, identity, file, None
        return file

    # -- appending and syncing ----------------------------------------------------------------------------------------

    def append(
        self,
        lines: Sequence[bytes],
        before_write: Callable[[], object] | None = None,
        deadline: float = math.inf,
        numbering: Numbering | None = None,
    ) -> None:
        """Append all of *lines*, or none.

        Args:
            lines: bytes that hold one or more whole lines each.
            before_write: called when nothing but the writing is left to do, during which other threads run.
            deadline: when to stop waiting for a lock, if that is before `lock_timeout` has passed (`time.monotonic`).
            numbering: numbers the lines, as the lines before them in the file are numbered.

        Raises:
            OSError: the lines could not be appended. The bytes that reached the file are cut off: now, or by the next
                append before it writes. If they cannot be cut off, because another program wrote after them or the
                system never cuts this file, they stay, also if the lines are appended again.
        """
        self._lock_by = min(deadline, monotonic() + self.lock_timeout)
        self._append(lines, before_write, numbering)

    def _append(
        self,
        lines: Sequence[bytes],
        before_write: Callable[[], object] | None = None,
        numbering: Numbering | None = None,
    ) -> None:
        if not self.shared:
            file, size = self._ready()
            file.append(size, self.header, lines, before_write, numbering)
            self.has_appended = True
            return
        try:
            self._take_lock()
            file, size = self._ready()
            file.append(size, self.header, lines, before_write, numbering)
            self.has_appended = True
        finally:
            try:
                self._release_lock()
            except BaseException:  # an interrupt must not leave the lock taken
                self._release_lock()
                raise

    def sync(self) -> None:
        """Bring to the medium what was appended since the last sync.

        Raises:
            OSError: the sync failed. A failed fsync is never just repeated, because kernels drop the pages and report
                success the next time. The lines since the last sync are cut off as in `append`, and must be appended
                again.
        """
        if self._file is not None and not self._file.is_synced:
            self._notice_loss()
        if self._lost is not None and not self._lost.is_synced:
            try:
                self._lock_by = monotonic()
                self._ready()
            except OSError:
                self._lost.cut_unsynced()
                raise
        doubt, self._doubt = self._doubt, None
        if self._file is not None:
            self._file.sync(doubt)
        elif doubt is not None:
            raise doubt

    def _sync_folders(self) -> None:
        """Sync the folders above the file, so that its name is as durable as its content."""
        for folder in list(self.path.parents)[:6]:  # day, month, year, sessions, home, and the home's parent
            with suppress(PermissionError):  # not ours, such as the home's parent: its owner sees to our entry there
                sync_folder(folder, self._system)

    # -- whether the file is still the same, and its lock -------------------------------------------------------------

    def _notice_loss(self) -> None:
        """Forget a descriptor that another part of the program closed; the number may be another file's by now."""
        if self._fd >= 0 and is_lost(self._fd, self._identity, self._system):
            # The identity stays: this process still has the session open, and must not open it a second time.
            self._fd, self._file, self._lost = -1, None, self._file

    def _ready(self) -> tuple[AppendFile, int]:
        """Return the file at the path, and its size; if it is not the one that is open, open it."""
        here = None
        with suppress(FileNotFoundError):
            here = self._system.lstat(self._place)
        self._notice_loss()
        if self._file is not None:
            if here is not None and identity_of(here) == self._identity:
                return self._file, here.st_size
            if self._place != self.path:
                raise OSError(errno.ESTALE, "the file was removed while it was created", str(self.path))
            is_unpacked = here is None and self._unpack()
            self._leave_moved_file(is_unpacked)
            if is_unpacked:
                return self._ready()
        try:
            if here is None and not self._unpack():
                with suppress(FileExistsError):  # another process created it a moment ago
                    self._create()
            if self._fd < 0:
                if self.fsync != "never":
                    self._sync_folders()  # the process that created it may not have done so yet
                self._open(0)
        except SessionLockedError as error:
            why = f"its file was replaced, or its descriptor closed, and it is in use: {error}"
            raise OSError(errno.EWOULDBLOCK, why, str(self.path)) from error
        if self.shared:
            self._take_lock()
        return self._ready()  # it was not locked until now, and may have been replaced again

    def _unpack(self) -> bool:
        """Unpack the session, if another program compressed it; return whether there is a file at the path.

        The lock on the file that was compressed is still held, if one is open: no other process of ours appends to it.
        """
        compressed = compressed_path(self.path)
        try:
            status = self._system.lstat(compressed)
            if not stat.S_ISREG(status.st_mode):
                return False
            refuse_foreign(self.path, status.st_uid, self._owner, self._system)
            end = None if self._file is None else self._file.end_of_lines
            unpack(compressed, self.path, self._system, open_fd=self._fd, end=end)
        except FileNotFoundError:
            return False
        except FileExistsError:  # another process unpacked it a moment ago
            return True
        except (InvalidRolloutError, MissingExtraError) as error:
            raise OSError(errno.EBADMSG, f"another program compressed it: {error}", str(self.path)) from error
        return True

    def _leave_moved_file(self, is_unpacked: bool) -> None:
        """Close a file that was deleted, renamed, replaced or compressed.

        Args:
            is_unpacked: the file at the path has all of its lines, and was synced.
        """
        try:
            if not is_unpacked:
                self._sync_before_leaving()
            if self._doubt is None:
                self.moves += 1
        finally:
            if self.shared:
                self._release_lock()
            self.close()

    def _sync_before_leaving(self) -> None:
        """Sync what no sync has covered yet, unless the file is deleted; if that fails, the next `sync` raises it.

        It is not raised here, because an append that fails takes back its own lines only, and these came before.
        """
        if self._file is None or self._file.is_synced:
            return
        try:
            if self._system.fstat(self._fd).st_nlink:
                self._system.fsync(self._fd)
        except OSError as error:
            self._doubt = error

    def _take_lock(self) -> None:
        """Lock a shared file for one append."""
        self._notice_loss()
        if self._fd < 0:
            return  # `_ready` opens it, and locks it then
        begun = monotonic()
        try:
            lock(self._fd, self.path, self._lock_by, self._system)
        except SessionLockedError as error:
            why = f"no lock within {max(0.0, self._lock_by - begun):.1f} s: {error}"
            raise TimeoutError(errno.ETIMEDOUT, why, str(self.path)) from error

    def _release_lock(self) -> None:
        """Let other processes append; if unlocking fails, close the file, which unlocks it, too."""
        if self._fd < 0:
            return
        try:
            self._notice_loss()
            if self._fd >= 0:
                self._system.unlock(self._fd)
        except OSError:  # the next append opens the file again
            self._sync_before_leaving()
            self.close()


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Have an error of the system name the file at *path*, also where it comes from a descriptor."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise
