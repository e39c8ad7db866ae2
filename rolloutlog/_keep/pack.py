"""Compresses a file where it is, so that at no moment anything is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .._care.hold import hold, refuse_if_open, release
from .._compression import compressed_path, compressor, decompressed
from .._systems import CLOEXEC, NOFOLLOW
from .._writing.descriptors import identity_of
from .._writing.os_calls import System, keep_attributes, sync_folder
from .._writing.unpack import unpack
from .values import Left

_AT_ONCE = 1024 * 1024
_COPY = ".archive-"
_CHANGED = "another program changed it while it was compressed"


def pack(path: Path, before: float, system: System) -> tuple[Path, int]:
    """Compress the file at *path* beside it, and remove it; return the new file and its size.

    The new file is on the medium, and was read back and compared byte by byte, before the original is removed. A
    process that is killed at any point leaves the original, or the new file, or both: then every reader prefers the
    original, and the next call completes the work. A hidden file may be left over, which the next call removes.

    Args:
        path: the file.
        before: only if it was last changed before this time, in seconds since the epoch.
        system: the operating system.

    Raises:
        Left: it is as it was, and why.
        SessionLockedError: a process has it open for writing.
        SessionNotFoundError, InvalidRolloutError: there is no such file, or it is not a regular one.
        MissingExtraError: the extra "zstd" is not installed.
        OSError: the new file cannot be written, for example because the disk is full; the original is as it was.
    """
    fd, status = hold(path, system, is_looked_for=False)
    try:
        if status.st_mtime >= before:
            raise Left("was changed since it was chosen")
        return _Packing(path, fd, status, system).run()
    finally:
        release(fd, status, system)


def matching(path: Path, fd: int, system: System, problems: list[str]) -> int | None:
    """Return how many bytes the compressed file at *path* holds; `None` if the file *fd* has others there.

    Args:
        path: the compressed file.
        fd: the other file.
        system: the operating system.
        problems: why no more can be read of the compressed file, if so, is appended to it.
    """
    offset = 0
    with open(path, "rb", buffering=0) as file:
        read = decompressed(file, path, problems.append)
        while chunk := read(_AT_ONCE):
            if system.pread(fd, len(chunk), offset) != chunk:
                return None
            offset += len(chunk)
    return offset


class _Packing:
    """The compression of the file at *path*, which is open as *fd* and locked."""

    def __init__(self, path: Path, fd: int, status: os.stat_result, system: System) -> None:
        self._path = path
        self._new = compressed_path(path)
        self._copy = path.with_name(f".{self._new.name}{_COPY}{os.urandom(4).hex()}")
        self._fd = fd
        self._status = status
        self._system = system

    def run(self) -> tuple[Path, int]:
        system = self._system
        self._remove_copies()
        if not self._is_done():
            try:
                self._write()
                self._compare()
                self._refuse_if_changed()
                if os.path.lexists(self._new):
                    raise Left(f"{self._new.name} appeared while it was compressed")
                system.rename(self._copy, self._new)  # no link: a kill would leave the copy beside it
            finally:
                with suppress(OSError):  # it has its name by now, or was never made
                    system.unlink(self._copy)
        size = system.lstat(self._new).st_size
        try:
            sync_folder(self._path.parent, system)
            refuse_if_open(self._path)
            self._refuse_if_changed()
        except BaseException:
            with suppress(OSError):  # the original is there, which every reader prefers
                system.unlink(self._new)
            raise
        system.unlink(self._path)
        self._refuse_if_written_late()
        with suppress(OSError):  # after a power cut, both files may be there
            sync_folder(self._path.parent, system)
        return self._new, size

    def _remove_copies(self) -> None:
        """Remove what killed calls left; nothing of it is in use, because we have the lock."""
        for name in os.listdir(self._path.parent):
            if name.startswith(f".{self._new.name}{_COPY}"):
                with suppress(OSError):  # a hidden file at worst
                    self._system.unlink(self._path.with_name(name))

    def _is_done(self) -> bool:
        """Return whether a killed call made the compressed file; remove one that is older than the original.

        Raises:
            Left: there is a compressed file with something else in it.
        """
        if not os.path.lexists(self._new):
            return False
        problems: list[str] = []
        size = matching(self._new, self._fd, self._system, problems)
        if size is None or problems:
            raise Left(f"{self._new.name} is there, too, and " + (problems[0] if problems else "holds something else"))
        if size == self._status.st_size:
            return True
        self._system.unlink(self._new)
        return False

    def _write(self) -> None:
        """Write the new file, and bring it to the medium."""
        system, size = self._system, 0
        made = compressor(self._status.st_size)
        fd = system.open(self._copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW, 0o600)
        try:
            for chunk in self._chunks():
                size += len(chunk)
                if size > self._status.st_size:
                    raise Left(_CHANGED)
                self._put(fd, made.compress(chunk))
            if size < self._status.st_size:
                raise Left(_CHANGED)
            self._put(fd, made.flush())
            if system.fstat(fd).st_size >= size:
                raise Left("would not become smaller")
            keep_attributes(fd, self._status, system)
            system.fsync(fd)
        finally:
            system.close(fd)

    def _chunks(self) -> Iterator[bytes]:
        offset = 0
        while chunk := self._system.pread(self._fd, _AT_ONCE, offset):
            offset += len(chunk)
            yield chunk

    def _put(self, fd: int, data: bytes) -> None:
        while data:
            data = data[self._system.write(fd, [data]) :]

    def _compare(self) -> None:
        problems: list[str] = []
        if matching(self._copy, self._fd, self._system, problems) != self._status.st_size or problems:
            raise Left("what was written was not what is read back: " + ("; ".join(problems) or "other bytes"))

    def _refuse_if_changed(self) -> None:
        here, named = self._system.fstat(self._fd), self._system.lstat(self._path)
        if identity_of(named) != identity_of(here) or not self._is_as_it_was(here):
            raise Left(_CHANGED)

    def _is_as_it_was(self, here: os.stat_result) -> bool:
        return (here.st_size, here.st_mtime_ns) == (self._status.st_size, self._status.st_mtime_ns)

    def _refuse_if_written_late(self) -> None:
        """Bring the original back if a program that takes no lock wrote to it in the moment before it was removed."""
        if self._is_as_it_was(self._system.fstat(self._fd)):
            return
        with suppress(FileExistsError):  # that program has unpacked it already
            unpack(self._new, self._path, self._system, open_fd=self._fd)
        raise Left(_CHANGED)
