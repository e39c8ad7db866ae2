"""An open file to whose end lines are appended, all or nothing, and synced.

It lives as long as the file is open. It does not know where the file is or who else has it open: a journal does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, Protocol

from .descriptors import Identity, identity_of
from .lines import chunks, first_line, rest_of_character, skip_bytes
from .os_calls import System

Fsync = Literal["never", "flush", "always"]

# Errors of a file that can never be cut: it has the append-only attribute, or its file system cannot cut files.
_NO_CUTS = frozenset({errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})

# How many of the last bytes of ours are compared with the file before a cut.
_COMPARED = 64


# How many bytes are read first to find the last number.
_BLOCK = 64 * 1024


class Numbering(Protocol):
    """Numbers lines in the order of their file."""

    def continue_after(self, lines: Iterable[bytes]) -> None:
        """Continue after *lines*, which are those of the file, from the last to the first."""

    def __call__(self, lines: bytes) -> bytes:
        """Return *lines*, which are whole, with their numbers."""


class _Run:
    """Bytes of ours from `begin` to `end` of the file, with nothing of other programs between them.

    Attributes:
        begin: the offset of the first byte.
        end: the offset after the last byte.
        ending: the last bytes, up to 64, to recognize them before they are cut off.
        attempt: the lines of a write of which it is not known yet how much reached the file.
    """

    __slots__ = ("attempt", "begin", "end", "ending")

    def __init__(self, size: int) -> None:
        self.begin = self.end = size
        self.ending = b""
        self.attempt: Sequence[bytes] = ()

    def extend(self, size: int) -> bool:
        """Note that *size* bytes of the attempt were written; return whether these are all.

        They are directly after the other bytes, unless `move` says more.
        """
        lines = self.attempt
        whole = size == sum(map(len, lines))
        last = lines[-1][-_COMPARED:] if whole else b"".join(lines)[:size][-_COMPARED:]
        # No calls from here on: an interrupt would come between these two.
        self.ending = (self.ending + last)[-_COMPARED:]
        self.end += size
        self.attempt = ()
        return whole

    def move(self, size: int, end: int) -> None:
        """Note that the last *size* bytes end at *end*, and that other bytes are between them and the ones before."""
        self.begin, self.end, self.ending = end - size, end, self.ending[-size:]


class AppendFile:
    """One open file, and the state of its end.

    Args:
        fd: the file, open for reading and appending; the caller closes it.
        identity: device and inode of the file; *fd* is not used once it belongs to another one.
        path: where it was opened, for errors.
        fsync: "always" syncs within `append`; "flush" leaves it to `sync`; "never" to the system.
        system: the operating system.
    """

    # All of this belongs to the thread that holds the writer's commit lock.
    #   end        where our last append ended, with a newline; -1 when the end must be read
    #   _numbered  the same, if the last append numbered its lines
    #   _cut       what a failed write or sync left: it is cut off before anything else is written
    #   _unsynced  what no sync has covered yet

    def __init__(self, fd: int, identity: Identity, path: Path, fsync: Fsync, system: System) -> None:
        self._fd = fd
        self._identity = identity
        self._path = path
        self._fsync = fsync
        self._system = system
        self.end = self._numbered = -1
        self._cut: _Run | None = None
        self._unsynced: _Run | None = None

    def resume(self, lost: AppendFile) -> bool:
        """Continue where *lost* ended, whose descriptor was closed; return false if its lines can no longer be synced.

        For the same file, what *lost* had to cut off or sync is left to this. Another file has none of its lines.
        """
        if self._identity != lost._identity:
            return lost.is_synced
        self.end, self._cut, self._unsynced = lost.end, lost._cut, lost._unsynced
        return True

    @property
    def end_of_lines(self) -> int | None:
        """Where the part begins that the next append would cut off first; `None` if the whole file counts."""
        return None if self._cut is None else self._cut.begin

    def _status(self) -> os.stat_result:
        """Return the status of the file; raise if another part of the program closed the descriptor."""
        status = self._system.fstat(self._fd)
        if identity_of(status) != self._identity:
            problem = "another part of the program closed the descriptor, which is another file's now"
            raise OSError(errno.EBADF, problem, str(self._path))
        return status

    # -- appending ----------------------------------------------------------------------------------------------------

    def append(
        self,
        size: int,
        header: bytes,
        lines: Sequence[bytes],
        before_write: Callable[[], object] | None,
        numbering: Numbering | None = None,
    ) -> None:
        """Append *lines* to the file, which is *size* bytes long and locked by us.

        If the file is empty, or holds nothing but a part of *header*, the header is written first. The other arguments
        and the errors are those of `Journal.append`.
        """
        if self._cut is not None:
            self._cut_off(self._cut)
            size = self._status().st_size
        prefix = b""
        if size != self.end:
            prefix = self._prefix(size, header)
            self._status()
        run = _Run(size)
        try:
            if numbering is not None:
                # Another program may have written since, so the numbers are given now, and again after an error.
                if not size == self.end == self._numbered:
                    numbering.continue_after([header] if size < len(header) else self._lines_before(size))
                lines = list(map(numbering, lines))
            if before_write is not None:
                before_write()
            for chunk in chunks(prefix, lines, self._system.most_pieces):
                self._write(chunk, run)
            if self._fsync == "always":
                self._system.fsync(self._fd)
            if run.end > run.begin and self._status().st_nlink == 0:
                raise OSError(errno.ESTALE, "the file was removed while it was being written", str(self._path))
        except BaseException:
            self._undo(run)
            raise
        if run.end > run.begin:
            self.end = run.end
            self._numbered = -1 if numbering is None else run.end
            unsynced = self._unsynced
            if self._fsync == "flush" and unsynced is not None and unsynced.end == run.begin:
                unsynced.end, unsynced.ending = run.end, run.ending
            elif self._fsync == "flush":
                self._unsynced = run  # a sync covers earlier bytes, too; but another program's after them stay

    def _prefix(self, size: int, header: bytes) -> bytes:
        """Return the bytes that must be written before the first line: the header, or the end of a torn line."""
        if size < len(header) and self._holds(header[:size], 0):
            return header[size:]
        tail = self._system.pread(self._fd, 4, max(0, size - 4)) if size else b"\n"
        return b"" if tail.endswith(b"\n") else rest_of_character(tail) + b"\n"

    def _write(self, chunk: Sequence[bytes], run: _Run) -> None:
        """Write all of *chunk*, which begins a line, at the end of the file.

        The lines are not joined: a join reads them with the interpreter's lock held, out of the memory of the caller's
        processor. The system reads them without it, so that callers run in the meantime (this saves a tenth of a
        record's cost with 2 kB of text, and half of the wait when the queue is full).
        """
        left, is_torn = chunk, False
        while True:
            # After a short write, the rest of the torn line goes alone. If another program wrote in between, that line
            # is lost, and whole lines after it would keep their wrong place if they cannot be cut off.
            run.attempt = part = [first_line(left)] if is_torn else left
            size = self._system.write(self._fd, part)
            if size == 0:
                raise OSError(errno.EIO, "the system wrote nothing and gave no reason", str(self._path))
            is_rest, is_torn = is_torn, not run.extend(size)
            end = self._system.lseek(self._fd, 0, os.SEEK_CUR)
            if end != run.end:
                self._status()  # the end may be that of another file
                run.move(size, end)
                if is_rest or not self._begins_line(part[0], run.begin):
                    raise OSError(errno.EAGAIN, "another program wrote into the middle of a line", str(self._path))
            if part is left and not is_torn:
                return
            left = skip_bytes(left, size)
            if not left:
                return

    def _holds(self, data: bytes, offset: int) -> bool:
        """Return whether the file holds *data* at *offset*."""
        return self._system.pread(self._fd, len(data), offset) == data

    def _lines_before(self, end: int) -> Iterator[bytes]:
        """Yield the lines before the offset *end*, from the last to the first, without their newlines."""
        rest, size = b"", _BLOCK
        while end > 0:
            begin, size = max(0, end - size), 2 * size  # twice as much: a long line is not joined from many small parts
            first, *whole = (self._system.pread(self._fd, end - begin, begin) + rest).split(b"\n")
            yield from reversed(whole)
            rest, end = first, begin
        yield rest

    def _begins_line(self, data: bytes, offset: int) -> bool:
        """Return whether *data*, which is at *offset*, begins a line there, or ends the line before."""
        return data[:1] == b"\n" or (offset > 0 and self._holds(b"\n", offset - 1))

    # -- undoing ------------------------------------------------------------------------------------------------------

    def _undo(self, run: _Run) -> None:
        """Cut off *run*, which a failed write or sync left; if that fails, the next append does it first.

        The caller raises the error that came first, so no error of the cut is raised here.
        """
        self._cut = run
        with suppress(OSError):
            self._status()
            if run.attempt:  # the write failed; or it was done, and an interrupt came before it was noted
                written = self._system.lseek(self._fd, 0, os.SEEK_CUR) - run.end
                if written > 0 and self._holds(b"".join(run.attempt)[:written], run.end):
                    run.extend(written)
            self._cut_off(run)

    def _cut_off(self, run: _Run) -> None:
        """Cut off *run*, if it still ends the file.

        If another program wrote after it, or if the system never cuts this file, it stays, and its lines are written
        again: twice is better than never.
        """
        is_there = run.begin < run.end and self._holds(run.ending, run.end - len(run.ending))
        # No other call between the next two: what another program appends there is cut off with ours.
        size = self._status().st_size
        if is_there and size == run.end:
            try:
                self._system.ftruncate(self._fd, run.begin)
            except OSError as error:
                if error.errno not in _NO_CUTS:
                    raise
        self._cut, self.end = None, -1

    # -- syncing ------------------------------------------------------------------------------------------------------

    @property
    def is_synced(self) -> bool:
        """Return whether no line is left for `sync`."""
        return self._unsynced is None

    def sync(self, doubt: OSError | None = None) -> None:
        """Sync what was appended since the last sync, or cut it off again: see `Journal.sync`.

        Args:
            doubt: an error to raise instead of trying.
        """
        run = self._unsynced
        if run is None and doubt is None:
            return
        try:
            if doubt is not None:
                raise doubt
            self._system.fsync(self._fd)
            self._status()
        except OSError:
            self._unsynced = None
            if run is not None:
                self._undo(run)
            raise
        self._unsynced = None

    def cut_unsynced(self) -> None:
        """Have what no sync has covered cut off before the next append, because its lines will be written again."""
        self._cut, self._unsynced = self._unsynced, None
