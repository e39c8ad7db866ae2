"""Locks for the few places where threads must take turns, which recording does not need; and files that are leased."""

from __future__ import annotations

import _thread
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from ._systems import at_fork, open_file

# How long another program may keep a lease on a file, in seconds: Linux takes it away after 45, by default.
_LEASE_TIMEOUT = 60.0

_locks: weakref.WeakSet[SafeLock] = weakref.WeakSet()
_named: dict[str, SafeLock] = {}
_has_hook = False


class SafeLock(_thread.RLock):  # type: ignore[misc]  # final in typeshed alone
    """A re-entrant lock that no interrupt leaves taken. Use it by ``with``, or by `within`.

    From Python 3.14 on, the interpreter looks for signals between the ``__enter__`` of a lock that is written in C and
    the body of the ``with``. An exception of a signal handler there would leave the lock taken forever. The interpreter
    does not look there after a method that is written in Python, which is the reason for this one; and never between
    the body and an ``__exit__`` that is written in C, as the inherited one is.
    """

    def __enter__(self) -> bool:  # type: ignore[override]
        acquired: list[bool] = []
        try:
            acquired.extend(map(self.acquire, (True,)))  # in C: no interrupt between the lock and the note
        except BaseException:
            if acquired:
                self.release()
            raise
        return True

    def within(self, deadline: float, action: Callable[[], object]) -> bool:
        """Call *action* while holding the lock; return whether the lock was free until *deadline* (`monotonic`)."""
        acquired: list[bool] = []
        seconds = min(max(0.0, deadline - monotonic()), _thread.TIMEOUT_MAX)
        try:
            acquired.extend(map(self.acquire, (True,), (seconds,)))
            if acquired[0]:
                action()
        finally:
            if True in acquired:
                self.release()
        return acquired[0]


def fork_safe_lock() -> SafeLock:
    """Return a new re-entrant lock that is free in a forked child, even if another thread held it in the parent.

    The child has only the thread that forked: a lock that another thread held would stay locked there forever.
    """
    global _has_hook
    if not _has_hook:
        at_fork(in_child=_free_all)
        _has_hook = True  # last: two threads, or an interrupt, may add the hook twice, which does no harm
    lock = SafeLock()
    _locks.add(lock)
    return lock


def named_lock(name: str) -> SafeLock:
    """Return the lock of the process called *name*, made by `fork_safe_lock` at its first use.

    For modules: importing one that makes its lock at once would add a hook to every program that imports the package.
    """
    return _named.get(name) or _named.setdefault(name, fork_safe_lock())


# By process and real path: the lock of the threads that are opening that file, and how many they are. Changed under the
# lock "openers". A forked child does not see the entries of its parent, whose threads it does not have.
_openers: dict[tuple[int, str], tuple[SafeLock, int]] = {}


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Let one thread of this process at a time open the file at *path*.

    The first one opens it; the others wait, find its writer and share it. Otherwise they would find the file locked, by
    their own process.
    """
    key = os.getpid(), os.path.realpath(path)
    with named_lock("openers"):
        lock, openers = _openers.get(key) or (fork_safe_lock(), 0)
        _openers[key] = (lock, openers + 1)
    try:
        with lock:
            yield
    finally:
        with named_lock("openers"):
            lock, openers = _openers.pop(key)
            if openers > 1:
                _openers[key] = (lock, openers - 1)


def _free_all() -> None:
    for lock in tuple(_locks):
        lock._at_fork_reinit()  # type: ignore[attr-defined]


def open_leased(path: str | Path, flags: int, mode: int = 0o777) -> int:
    """Open a file as `os.open` does, and wait for a program that has a lease on it, such as Samba.

    With O_NONBLOCK, without which a FIFO would make us wait forever, the system asks for the lease and fails at once.
    """
    deadline = monotonic() + _LEASE_TIMEOUT
    while True:
        try:
            return open_file(path, flags, mode)
        except BlockingIOError:
            if monotonic() >= deadline:
                raise
        sleep(0.005)
