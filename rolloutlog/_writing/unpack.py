"""Unpacks a compressed file beside itself, so that lines can be appended to it; Codex does the same when it resumes.

Codex also compresses a session that has been idle for a week while a recorder has it open. The recorder's descriptor
then leads to the file as it was, which has no name any more.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from .._compression import decompressed
from .._systems import CLOEXEC, NOFOLLOW, NONBLOCK
from ..exceptions import InvalidRolloutError
from .os_calls import System, give_name, keep_attributes, sync_folder

# How many bytes are unpacked at once.
_CHUNK = 1024 * 1024


def unpack(path: Path, plain: Path, system: System, *, open_fd: int = -1, end: int | None = None) -> OSError | None:
    """Unpack the compressed file at *path* to *plain*, which must not exist, and remove the compressed file.

    The new file has the same mode and time, and its content and its name are on the medium before the compressed one is
    removed. A process that is killed in between leaves both, of which every reader prefers the new one.

    Args:
        path: the compressed file.
        plain: the path of the new file.
        system: the operating system.
        open_fd: a descriptor of the file that was compressed. Lines that were appended to it since are in the new file.
        end: how many bytes of that file count, if not all.

    Returns:
        Why the compressed file could not be removed, if so: it stays beside the new one.

    Raises:
        FileExistsError: there is a file at *plain*; or one appeared there in the meantime.
        FileNotFoundError: there is no compressed file.
        InvalidRolloutError: the compressed file is damaged, or its window is too large.
        MissingExtraError: the extra "zstd" is not installed, and is needed.
        OSError: *path* is a link or cannot be read, or the new file cannot be written; then nothing of it is left.
    """
    status = system.lstat(path)
    if not stat.S_ISREG(status.st_mode):
        code = errno.ELOOP if stat.S_ISLNK(status.st_mode) else errno.EINVAL
        raise OSError(code, "a session is not opened through a link", str(path))
    place = plain.with_name(f".{plain.name}.{os.urandom(4).hex()}")
    try:
        _write(place, _content(path, status, system, open_fd, end), status, system)
        give_name(place, plain, system)
    finally:
        with suppress(OSError):  # it has its name by now, or was never made
            system.unlink(place)
    try:
        sync_folder(plain.parent, system)  # first, or a power cut could leave neither file
        system.unlink(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def _content(path: Path, status: os.stat_result, system: System, open_fd: int, end: int | None) -> Iterator[bytes]:
    """Yield the content of the compressed file, and after it the rest of the open one, if that begins with it."""
    before = system.fstat(open_fd) if open_fd >= 0 else None
    size = 0 if before is None else before.st_size if end is None else min(end, before.st_size)
    offset = 0
    # Codex gives the compressed file the time of the file that it compressed. So the open one has the same content, and
    # no library is needed. Otherwise another program may have resumed the session in between, and it has more.
    if before is None or before.st_mtime_ns != status.st_mtime_ns:
        is_same = before is not None
        for chunk in _decompressed(path, system):
            is_same = is_same and system.pread(open_fd, len(chunk), offset) == chunk
            offset += len(chunk)
            yield chunk
        if not is_same:
            return
    while offset < size and (chunk := system.pread(open_fd, min(_CHUNK, size - offset), offset)):
        offset += len(chunk)
        yield chunk


def _decompressed(path: Path, system: System) -> Iterator[bytes]:
    problems: list[str] = []
    flags = CLOEXEC | NOFOLLOW | NONBLOCK
    # Opened for `open`, which owns the descriptor from the start: an interrupt could close ours twice.
    with open(path, "rb", buffering=0, opener=lambda name, mode: system.open(name, mode | flags)) as file:
        read: Callable[[int], bytes] = decompressed(file, path, problems.append)
        while chunk := read(_CHUNK):
            yield chunk
    if problems:
        raise InvalidRolloutError(path, f"{problems[0]}; load_session reads the lines before that")


def _write(place: Path, content: Iterator[bytes], status: os.stat_result, system: System) -> None:
    """Write *content* to a new file at *place*, and bring it to the medium."""
    fd = system.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW, 0o600)
    try:
        for chunk in content:
            while chunk:
                chunk = chunk[system.write(fd, [chunk]) :]
        keep_attributes(fd, status, system)
        system.fsync(fd)
    finally:
        system.close(fd)
