"""Whose a session's file may be: a file of another user, put in the place of ours, would show what is recorded."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from .._systems import user
from .descriptors import APPENDING, close_file, identity_of, open_file
from .os_calls import System


def refuse_foreign(path: Path, owner: int, last: int | None, system: System) -> None:
    """Raise if another user could have put the file at *path* there, to read what is recorded.

    The superuser opens the sessions of any user, as the owner of a container does. But a file that replaces the one
    that was open must belong to the same user.

    Args:
        path: the session.
        owner: the user whom its file belongs to.
        last: the user whom the file belonged to that was open before; `None` if there was none.
        system: the operating system.

    Raises:
        PermissionError: it belongs to another user.
    """
    me = user()
    if owner in (0, me, last) or (me == 0 and last is None) or owner == _owner_of_new(path, system):
        return
    problem = f"belongs to another user ({owner}) than this process ({me}), who could read what is recorded"
    raise OSError(errno.EPERM, problem, str(path))


def _owner_of_new(path: Path, system: System) -> int | None:
    """Return the user that a file gets which is made beside *path*: some file systems replace each owner."""
    place = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        fd, status = open_file(place, APPENDING | os.O_CREAT | os.O_EXCL, system)
    except OSError:
        return None
    try:
        return status.st_uid
    finally:
        close_file(fd, identity_of(status), system)
        with suppress(OSError):  # an empty hidden file at worst
            system.unlink(place)
