"""Which processes have a file open to write to it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from .._reading.blocks import StrPath
from .._systems import file_locks, is_alive

_PROCESSES = "/proc"
_Identity: TypeAlias = tuple[int, int]  # device and inode


def writers_of(path: StrPath) -> list[int]:
    """Return the ids of the processes that hold the lock on the file at *path*, or have it open for writing.

    Codex takes no lock, so only its open file shows that it is at work. Where the system does not show the files of
    other processes, only the lock does, or nothing at all.

    Raises:
        OSError: there is no such file.
    """
    return Writers(os.path.basename(os.path.realpath(path))).of(path)


class Writers:
    """The files that other processes have open for writing, or locked, at one moment.

    Args:
        ending: look only at files whose names end like this.
    """

    def __init__(self, ending: str) -> None:
        self._by_file: dict[_Identity, set[int]] = {}
        self._locks = file_locks()
        own = str(os.getpid())
        with suppress(OSError):  # the system does not show processes here
            for name in os.listdir(_PROCESSES):
                if name.isdigit() and name != own:
                    self._look_at(name, ending)

    def of(self, path: StrPath) -> list[int]:
        """Return the processes that write to the file at *path*; the one that has its lock may be this one."""
        status = os.stat(path)
        identity = status.st_dev, status.st_ino
        found = set(self._by_file.get(identity, ()))
        if (pid := self._locks.get(identity)) is not None and is_alive(pid):
            found.add(pid)
        return sorted(found)

    def _look_at(self, process: str, ending: str) -> None:
        """Note which files *process* has open for writing, as far as the system tells."""
        folder = f"{_PROCESSES}/{process}"
        with suppress(OSError):  # it has ended since, or belongs to another user
            for name in os.listdir(f"{folder}/fd"):
                with suppress(OSError):  # closed since
                    if os.readlink(f"{folder}/fd/{name}").endswith(ending) and _is_writable(folder, name):
                        here = os.stat(f"{folder}/fd/{name}")
                        self._by_file.setdefault((here.st_dev, here.st_ino), set()).add(int(process))


def _is_writable(folder: str, name: str) -> bool:
    for line in Path(folder, "fdinfo", name).read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == "flags":
            return bool(int(value, 8) & (os.O_WRONLY | os.O_RDWR))
    return False
