"""The wake-up: a bell that threads wait for, and that no signal or interrupt can jam.

The standard library's events and conditions stand on Python-level locks. A signal handler that waits for the event that
the main thread is waiting for deadlocks on one after a few signals, and a Ctrl-C inside ``wait`` can leave it taken, so
that the thread which calls ``set`` hangs for ever. Here each waiter brings a lock of its own and no lock is shared.
"""

from __future__ import annotations

import _thread
from collections import deque
from collections.abc import Callable


class Bell:
    """Wakes whoever waits for it; remembers nothing, so waiters look at what they wait for before and after."""

    # `_waiters` is touched by all, one atomic operation at a time.

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: deque[_thread.LockType] = deque()

    def ring(self) -> None:
        """Wake all who wait now."""
        while self._waiters:
            try:
                self._waiters.pop().release()
            except IndexError:  # another thread, or a signal handler in this one, woke the last waiter
                return

    def wait(self, seconds: float, over: Callable[[], bool]) -> None:
        """Sleep until the bell rings, or for *seconds*; not at all if what is waited for is *over*.

        An interrupt may cut a ring short, and then not all are woken: wait in slices, and look.
        """
        mine = _thread.allocate_lock()
        mine.acquire()
        self._waiters.append(mine)
        try:
            if not over():  # the second look: the bell may have rung before our lock was in the deque
                mine.acquire(timeout=seconds)
        finally:
            try:
                self._waiters.remove(mine)
            except ValueError:  # `ring` took it out
                pass
