"""The acknowledgement: an event that also tells how it went, and that no signal or interrupt can jam.

`threading.Event` stands on a Python-level lock. A signal handler that waits for the event which the main thread is
waiting for deadlocks on it after a few signals, and a Ctrl-C inside ``wait`` can leave the lock taken, so that the
thread which calls ``set`` hangs for ever. Here each waiter brings a lock of its own and no lock is shared.
"""

from __future__ import annotations

import _thread
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

# How long a waiter sleeps before it looks again, in seconds: it covers a `set` that an interrupt cut short, and a
# writer that is no longer there.
_SLICE = 0.25


class Ack(threading.Event):
    """The answer to a flush or a shutdown: set once it is done or has failed; `error` says which.

    Attributes:
        error: what went wrong, or `None`. It stands before the event is set, and for a shutdown that is still being
            tried it stands as soon as something has gone wrong.
    """

    # Owned by whoever calls `set` first: `_is_set` only ever goes up. `_waiters` is touched by all, one atomic
    # operation at a time. The base class's own state is left out on purpose, since every method that uses it is here.

    def __init__(self, look: Callable[[], object] | None = None) -> None:
        """Make an ack that is not set; *look* is called by a waiter from time to time, to see that somebody works."""
        self.error: Exception | None = None
        self._look = look
        self._is_set = False
        self._waiters: deque[_thread.LockType] = deque()

    def is_set(self) -> bool:
        """Return whether it is over, well or badly."""
        return self._is_set

    def set(self) -> None:
        """Tell every waiter that it is over; later calls change nothing."""
        self._is_set = True
        while self._waiters:
            try:
                self._waiters.pop().release()
            except IndexError:  # another thread, or a signal handler in this one, woke the last waiter
                return

    def clear(self) -> None:
        """Raise `TypeError`: what was acknowledged cannot be taken back."""
        raise TypeError("an Ack cannot be cleared: ask for a new one with request_flush()")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait at most *timeout* seconds (`None`: as long as it takes) and return whether it is over."""
        deadline = None if timeout is None else monotonic() + timeout
        while not self._is_set:
            rest = _SLICE if deadline is None else min(_SLICE, deadline - monotonic())
            if rest <= 0:
                return False
            self._doze(rest)
            if self._look is not None and not self._is_set:
                self._look()
        return True

    def result(self, timeout: float | None = None) -> None:
        """Wait until everything that came before is on disk.

        Args:
            timeout: seconds; `None` waits as long as it takes.

        Raises:
            WriteError: not everything could be written; it is kept and tried again.
            TimeoutError: it is not over yet, and nothing has gone wrong so far.
        """
        over = self.wait(timeout)
        if self.error is not None:
            raise self.error
        if not over:
            raise TimeoutError(f"no acknowledgement within {timeout} s; the writer is still at work")

    def _doze(self, seconds: float) -> None:
        """Sleep until `set` or for *seconds*, on a lock that nobody else ever takes."""
        mine = _thread.allocate_lock()
        mine.acquire()
        self._waiters.append(mine)
        try:
            if not self._is_set:  # the second look: `set` may have run before our lock was in the deque
                mine.acquire(timeout=seconds)
        finally:
            try:
                self._waiters.remove(mine)
            except ValueError:  # `set` took it out
                pass

    def _at_fork_reinit(self) -> None:
        """Forget the waiters of the parent process; `threading` calls this on events that it keeps."""
        self._waiters = deque()

    def __repr__(self) -> str:
        status = "failed" if self.error is not None else "set" if self._is_set else "unset"
        return f"<Ack {status}>"
