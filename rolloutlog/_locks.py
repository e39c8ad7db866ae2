"""Locks for the few places where threads must take turns; recording takes none of them."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

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
