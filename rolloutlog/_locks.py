"""Locks for the few places where threads must take turns. None of them is on the way of a record."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_locks: weakref.WeakSet[Any] = weakref.WeakSet()


def fork_safe_lock() -> Any:
    """Return a new re-entrant lock that is free in a forked child, whoever held it in the parent.

    The child has only the thread that forked: what another one had locked would stay locked there for ever. The lock is
    written in C, so that an interrupt cannot slip in between ``with`` and the body, and leak it.
    """
    lock = threading.RLock()
    _locks.add(lock)
    return lock


def _free_all() -> None:
    for lock in tuple(_locks):
        lock._at_fork_reinit()


os.register_at_fork(after_in_child=_free_all)
