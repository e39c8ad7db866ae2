"""The end of an open file: lines appended there, all or nothing; what a failed append left; syncing.

It lives as long as the file is open, and knows neither where that is nor who else has it: a journal does.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from .lines import after, chunks, first_line, rest_of_character, standing
from .os_calls import System

Fsync = Literal["never", "flush", "always"]


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


class Tail:
    """What is known of the end of one open file.

    Args:
        fd: the file, open for reading and appending; whoever opened it closes it.
        path: where it was opened, for errors.
        fsync: "always" syncs within `append`; "flush" leaves it to `sync`; "never" to the system.
        system: the operating system.
    """

    # All of this is owned by whoever has the writer's turn.
    #   _end             where our last append ended, with a newline; -1 when the file must be looked at
    #   _kept, _kept_end bytes of the coming append that a failed one left in the file, and where they end
    #   _kept_begin      where the unbroken run of them begins, and
    #   _kept_before     how many of them stand before that run
    #   _kept_from       where the file ended before the first of them
    #   _cut_to          where to cut, before anything else, bytes whose sync failed and which could not be cut then
    #   _unsynced_from   where the bytes begin that no sync has covered yet; -1 when there are none
    #   _unsynced_to     where they end

    def __init__(self, fd: int, path: Path, fsync: Fsync, system: System) -> None:
        self._fd = fd
        self._path = path
        self._fsync = fsync
        self._system = system
        self._end = self._kept_begin = self._kept_end = self._cut_to = self._unsynced_from = self._unsynced_to = -1
        self._kept = self._kept_before = self._kept_from = 0

    @property
    def holds_a_part(self) -> bool:
        """Return whether the file holds part of what the next `append` must begin with."""
        return self._kept > 0

    # -- appending ----------------------------------------------------------------------------------------------------

    def append(
        self, size: int, header: bytes, lines: Sequence[bytes], before_write: Callable[[], object] | None
    ) -> None:
        """Append *lines* to the file, which is *size* bytes long, and ours alone as far as others take its lock.

        If the file is empty, or holds a part of *header* alone, the header is written first. The other arguments and
        the errors are those of `Journal.append`.
        """
        size = self._cut_failed_sync(size)
        prefix, skip = self._beginning(size, header, lines)
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
            if self._fsync == "always":
                syncing = True
                self._system.fsync(self._fd)
                syncing = False
            if run.written and self._system.fstat(self._fd).st_nlink == 0:
                raise OSError(errno.ESTALE, "the file was removed while it was being written", str(self._path))
        except BaseException:
            self._cut_back(run, len(prefix), kept, sync_failed=syncing)
            raise
        if run.written:
            if self._fsync == "flush" and (self._unsynced_from < 0 or run.begin != self._unsynced_to):
                self._unsynced_from = run.begin  # what stands before somebody else's lines cannot be cut off again
            self._end = self._unsynced_to = run.end
        elif skip and self._fsync == "flush" and self._unsynced_from < 0:
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
                raise OSError(errno.EAGAIN, "another program wrote into the middle of a line", str(self._path))
            if not run.in_line and part is left:
                return
            if size == 0:
                raise OSError(errno.EIO, "the system wrote nothing and gave no reason", str(self._path))
            if run.in_line and self._system.fstat(self._fd).st_size != end:
                raise OSError(errno.EAGAIN, "another program wrote into the middle of a line", str(self._path))
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

    def _beginning(self, size: int, header: bytes, lines: Sequence[bytes]) -> tuple[bytes, int]:
        """Return what must stand before *lines*, and how many bytes of them are in the file already."""
        if size == self._end:
            return b"", 0
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

    @property
    def is_synced(self) -> bool:
        """Return whether no line is left for `sync`."""
        return self._unsynced_from < 0

    def sync(self, doubt: OSError | None = None) -> None:
        """Bring to the medium what was appended since the last sync, or cut it off again: see `Journal.sync`.

        Args:
            doubt: what to raise instead of trying.
        """
        begin = self._unsynced_from
        if begin < 0 and doubt is None:
            return
        self._unsynced_from = -1
        try:
            if doubt is not None:
                raise doubt
            self._system.fsync(self._fd)
        except OSError:
            if begin >= 0:
                self._cut_to, self._kept, self._kept_end = begin, 0, self._end
                with suppress(OSError):  # the failed sync is the error to hear; the next append cuts before it writes
                    self._cut_failed_sync(self._system.fstat(self._fd).st_size)
            raise
