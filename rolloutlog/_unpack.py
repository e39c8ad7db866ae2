"""Unpacks a session that was compressed, so that it can be appended to."""

from __future__ import annotations

import errno
import logging
from pathlib import Path

from ._compression import plain_path
from ._reading.lines import read_head
from ._writing.os_calls import System
from ._writing.unpack import unpack
from .exceptions import SessionNotFoundError

_log = logging.getLogger("rolloutlog")


def unpacked(path: Path, system: System) -> Path:
    """Unpack the session at *path* beside it, remove the compressed file, and return the new one.

    If another thread or process unpacks the session at the same time, its file is returned.

    Raises:
        InvalidRolloutError: it is not a session, or is damaged; it is left as it is.
        MissingExtraError: the extra "zstd" is not installed.
        OSError: the file is a link or cannot be read, or the new one cannot be written; then nothing of it is left.
    """
    plain = plain_path(path)
    if plain.exists():
        return plain
    if path.is_symlink():
        raise OSError(errno.ELOOP, "a session is not opened through a link", str(path))
    try:
        read_head(path)  # raises if it is not a session
        kept = unpack(path, plain, system)
    except (SessionNotFoundError, FileNotFoundError, FileExistsError):
        if not plain.exists():
            raise
        return plain
    if kept is not None:
        _log.warning("%s was compressed; it is unpacked, and the compressed file stays beside it: %s", plain, kept)
        return plain
    _log.info("%s was compressed; it is unpacked, and the compressed file removed", plain)
    return plain
