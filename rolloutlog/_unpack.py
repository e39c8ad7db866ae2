"""Unpacks a session that Codex compressed, so that it can be appended to; Codex does the same when it resumes one."""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import suppress
from pathlib import Path

from ._reading.blocks import COMPRESSED, Source
from ._reading.lines import read_head
from ._systems import CLOEXEC, NOFOLLOW
from ._writing.os_calls import System, give_name, sync_folder
from .exceptions import InvalidRolloutError, SessionNotFoundError

# How many bytes are unpacked at once.
_CHUNK = 1024 * 1024

_log = logging.getLogger("rolloutlog")


def unpacked(path: Path, system: System) -> Path:
    """Unpack the session at *path* beside it, remove the compressed file, and return the new one.

    The new file has the same mode, and its content and its name are on the medium before the compressed one is removed.
    A process that is killed in between leaves both, of which every reader prefers the new one. If another thread or
    process unpacks the session at the same time, its file is returned.

    Raises:
        InvalidRolloutError: it is not a session, or is damaged; it is left as it is.
        MissingExtraError: the extra "zstd" is not installed.
        OSError: the file is a link or cannot be read, or the new one cannot be written; then nothing of it is left.
    """
    plain = path.with_name(path.name.removesuffix(COMPRESSED))
    if plain.exists():
        return plain
    if path.is_symlink():
        raise OSError(errno.ELOOP, "a session is not opened through a link", str(path))
    place = plain.with_name(f".{plain.name}.{os.urandom(4).hex()}")
    try:
        read_head(path)  # raises if it is not a session
        try:
            _write(path, place, system)
            give_name(place, plain, system)
        finally:
            with suppress(OSError):  # it has its name by now, or was never made
                system.unlink(place)
    except (SessionNotFoundError, FileExistsError):
        if not plain.exists():
            raise
        return plain
    try:
        sync_folder(plain.parent, system)  # first, or a power cut could leave neither file
    except OSError as error:
        _log.warning("%s was compressed; it is unpacked, and the compressed file stays beside it: %s", plain, error)
        return plain
    with suppress(FileNotFoundError):
        system.unlink(path)
    _log.info("%s was compressed; it is unpacked, and the compressed file removed", plain)
    return plain


def _write(path: Path, place: Path, system: System) -> None:
    """Write the content of the compressed file at *path* to a new file at *place*, and bring it to the medium."""
    with Source(path) as source:
        fd = system.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CLOEXEC | NOFOLLOW, 0o600)
        try:
            while chunk := source.read(_CHUNK):
                while chunk:
                    chunk = chunk[system.write(fd, [chunk]) :]
            if source.problem is not None:
                raise InvalidRolloutError(path, f"{source.problem}; load_session reads the lines before that")
            system.chmod(fd, stat.S_IMODE(source.status().st_mode))
            system.fsync(fd)
        finally:
            system.close(fd)
