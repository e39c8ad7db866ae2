"""Replaces a file by a changed copy of it, so that at no moment anything is lost, and keeps the original."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from .._systems import CLOEXEC, NOFOLLOW
from .._writing.os_calls import System, keep_attributes, sync_folder
from ..exceptions import RepairError
from .findings import Edit
from .hold import FLAGS, hold, refuse_if_open, release

_AT_ONCE = 1024 * 1024
KEPT = ".before-repair-"
_COPY = ".repair-"


class Rewriting:
    """A file that is being replaced. A context manager: inside, the file is locked and the copy exists.

    A process that is killed at any point leaves the file as it was or the new one, and in both cases all bytes of the
    original; a hidden copy may be left over, which the next repair removes.

    Args:
        path: the file.
        system: the operating system.

    Raises:
        SessionLockedError: a process has it open for writing.
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file.
        OSError: it cannot be opened.
    """

    def __init__(self, path: Path, system: System) -> None:
        self.path = path
        self.copy = path.with_name(f".{path.name}{_COPY}{os.urandom(4).hex()}")
        self._system = system
        self._fd = -1
        self._status: os.stat_result | None = None

    def __enter__(self) -> Self:
        self._fd, self._status = hold(self.path, self._system)
        try:
            self._remove_copies()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(OSError):  # it has the file's name by now, or was never made
            self._system.unlink(self.copy)
        fd, self._fd = self._fd, -1
        if self._status is not None and fd >= 0:
            release(fd, self._status, self._system)

    def _remove_copies(self) -> None:
        """Remove the copies of repairs that were killed; none is in use, because we have the lock."""
        for name in os.listdir(self.path.parent):
            if name.startswith(f".{self.path.name}{_COPY}"):
                with suppress(OSError):  # a hidden file at worst
                    self._system.unlink(self.path.with_name(name))

    # -- the copy -----------------------------------------------------------------------------------------------------

    def write(self, edits: Iterable[Edit]) -> None:
        """Write the copy: the file with *edits*, which do not overlap. A second call changes the copy.

        Raises:
            OSError: it cannot be written, for example because the disk is full.
        """
        assert self._status is not None
        source, old = self._fd, self.copy
        is_second = self.copy.exists()
        if is_second:
            source = self._system.open(old, os.O_RDONLY | CLOEXEC)
            self.copy = old.with_name(f"{old.name}-2")
        try:
            fd = self._system.open(self.copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW, 0o600)
            try:
                place = 0
                for edit in sorted(edits, key=lambda edit: (edit.offset, edit.length)):
                    if edit.offset < place:
                        raise RepairError(self.path, f"two repairs want to change byte {edit.offset:,}")
                    self._copy_bytes(source, fd, place, edit.offset)
                    self._put(fd, edit.data)
                    place = edit.offset + edit.length
                self._copy_bytes(source, fd, place, None)
                keep_attributes(fd, self._status, self._system)
                self._system.fsync(fd)
            finally:
                self._system.close(fd)
        finally:
            if is_second:
                self._system.close(source)
                self._system.unlink(old)

    def _copy_bytes(self, source: int, fd: int, begin: int, end: int | None) -> None:
        while end is None or begin < end:
            size = _AT_ONCE if end is None else min(_AT_ONCE, end - begin)
            data = self._system.pread(source, size, begin)
            if not data:
                if end is None:
                    return
                raise RepairError(self.path, "it was cut while it was repaired")
            self._put(fd, data)
            begin += len(data)

    def _put(self, fd: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._system.write(fd, [view]) :]  # type: ignore[list-item]

    # -- the names ----------------------------------------------------------------------------------------------------

    def publish(self) -> Path:
        """Give the copy the file's name; return where the original is.

        Raises:
            RepairError: the file changed since it was locked.
            OSError: the original cannot be kept, or the copy cannot be named.
        """
        assert self._status is not None
        here, size = self._system.fstat(self._fd), self._status.st_size
        named = self._system.lstat(self.path)
        if here.st_size != size or (named.st_dev, named.st_ino) != (here.st_dev, here.st_ino):
            raise RepairError(self.path, "another program changed it in the meantime")
        refuse_if_open(self.path)
        original = self._keep(here)
        self._system.rename(self.copy, self.path)
        try:
            self._add_what_came_late(size)
        except BaseException:
            self.take_back(original)
            raise
        self._sync_folder()
        return original

    def take_back(self, original: Path) -> None:
        """Give *original* the file's name again, which `publish` gave to the copy.

        Raises:
            OSError: it cannot be renamed; the new file keeps the name.
        """
        self._system.rename(original, self.path)

    def _keep(self, here: os.stat_result) -> Path:
        """Give the original a name beside the file's, unless it has one from a killed repair; return that name."""
        number = 0
        while True:
            number += 1
            kept = self.path.with_name(f"{self.path.name}{KEPT}{number}")
            try:
                self._system.link(self.path, kept)
                return kept
            except FileExistsError:
                there = self._system.lstat(kept)
                if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                    return kept
            except OSError:  # there are no hard links here: systems have many errors for that
                with suppress(FileExistsError):
                    self._copy_to(kept)
                    return kept

    def _copy_to(self, kept: Path) -> None:
        """Copy the original to *kept*, for file systems in which a file has one name only."""
        fd = self._system.open(kept, os.O_RDWR | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW, 0o600)
        try:
            self._copy_bytes(self._fd, fd, 0, None)
            self._system.fsync(fd)
        except BaseException:
            with suppress(OSError):  # half a copy, beside the whole file
                self._system.unlink(kept)
            raise
        finally:
            self._system.close(fd)

    def _add_what_came_late(self, size: int) -> None:
        """Append to the new file what a program that takes no lock wrote to the old one in the last moment."""
        late = self._system.pread(self._fd, _AT_ONCE, size)
        if not late:
            return
        fd = self._system.open(self.path, FLAGS | os.O_APPEND)
        try:
            self._put(fd, late)
            self._system.fsync(fd)
        finally:
            self._system.close(fd)

    def _sync_folder(self) -> None:
        """Make the new name durable. If that fails, a power cut can bring back the original, which holds as much."""
        with suppress(OSError):
            sync_folder(self.path.parent, self._system)
