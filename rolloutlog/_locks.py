"""Locks for the few places where threads must take turns, which recording does not need; and files that are leased."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from time import monotonic, sleep
from typing import Any

# How long another program may keep a lease on a file, in seconds: Linux takes it away after 45, by default.
_LEASE_TIMEOUT = 60.0

_locks: weakref.WeakSet[Any] = weakref.WeakSet()
_named: dict[str, Any] = {}
_has_hook = False


def fork_safe_lock() -> Any:
    """Return a new re-entrant lock that is free in a forked child, even if another thread held it in the parent.

    The child has only the thread that forked: a lock that another thread held would stay locked there forever. The lock
    is written in C, so an interrupt cannot come between ``with`` and the body and leave it locked.
    """
    global _has_hook
    if not _has_hook:
        os.register_at_fork(after_in_child=_free_all)
        _has_hook = True  # last: two threads, or an interrupt, may add the hook twice, which does no harm
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def named_lock(name: str) -> Any:
    """Return the lock of the process called *name*, made by `fork_safe_lock` at its first use.

    For modules: importing one that makes its lock at once would add a hook to every program that imports the package.
    """
    return _named.get(name) or _named.setdefault(name, fork_safe_lock())


def _free_all() -> None:
    for lock in tuple(_locks):
        lock._at_fork_reinit()


def open_leased(path: str | Path, flags: int, mode: int = 0o777) -> int:
    """Open a file as `os.open` does, and wait for a program that has a lease on it, such as Samba.

    With O_NONBLOCK, without which a FIFO would make us wait forever, the system asks for the lease and fails at once.
    """
    deadline = monotonic() + _LEASE_TIMEOUT
    while True:
        try:
            return os.open(path, flags, mode)
        except BlockingIOError:
            if monotonic() >= deadline:
                raise
        sleep(0.005)
