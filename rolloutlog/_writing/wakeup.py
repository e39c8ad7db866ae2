"""Waking waiting threads in a way that no signal or interrupt can jam.

The standard library's events and conditions use Python-level locks. A signal handler that waits for the event that the
main thread is waiting for deadlocks on such a lock after a few signals. A Ctrl-C inside ``wait`` can leave the lock
taken, so that the thread that calls ``set`` hangs forever. Here each waiter brings its own lock, and no lock is shared.
"""

from __future__ import annotations

import _thread
from collections import deque
from collections.abc import Callable
from typing import Protocol


class Waiter(Protocol):
    """One that waits: the lock of a thread, or a task of an event loop."""

    def release(self) -> None:
        """Wake it, from any thread."""


class Waiters:
    """The threads that wait for one thing. A wake-up is not remembered: check the thing before and after each wait."""

    # All threads use `_locks`, one atomic operation at a time.

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: deque[Waiter] = deque()

    def add(self, waiter: Waiter) -> None:
        """Have *waiter* woken by the next `wake_all`."""
        self._locks.append(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Forget *waiter*, if it was not woken."""
        try:
            self._locks.remove(waiter)
        except ValueError:  # `wake_all` removed it
            pass

    def wake_all(self) -> None:
        """Wake all threads that wait now."""
        while self._locks:
            try:
                self._locks.pop().release()
            except IndexError:  # another thread, or a signal handler in this one, woke the last waiter
                return

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Sleep until `wake_all` or for *seconds*; not at all if *is_over* returns true.

        An interrupt may end `wake_all` before it has woken all: wait in slices, and check after each.
        """
        mine = _thread.allocate_lock()
        mine.acquire()
        self.add(mine)
        try:
            if not is_over():  # the second check: `wake_all` may have come before our lock was in the deque
                mine.acquire(timeout=seconds)
        finally:
            self.remove(mine)
