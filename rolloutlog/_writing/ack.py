"""The acknowledgement: an event that also tells how it went, and that no signal or interrupt can jam."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic

from .wakeup import Bell

# How long a waiter sleeps before it looks again, in seconds: it covers a `set` that an interrupt cut short, and a
# writer that is no longer there.
_SLICE = 0.25


class Ack(threading.Event):
    """The answer to a flush or a shutdown: set once it is done or has failed; `error` says which.

    Attributes:
        error: what went wrong, or `None`. It stands before the event is set, and for a shutdown that is still being
            tried it stands as soon as something has gone wrong.
    """

    # `_is_set` only ever goes up. The base class's own state stands on locks that can jam, and is left out on purpose:
    # every method that uses it is here.

    def __init__(self, look: Callable[[], object] | None = None) -> None:
        """Make an ack that is not set; *look* is called by a waiter from time to time, to see that somebody works."""
        self.error: Exception | None = None
        self._look = look
        self._is_set = False
        self._bell = Bell()

    def is_set(self) -> bool:
        """Return whether it is over, well or badly."""
        return self._is_set

    def set(self) -> None:
        """Tell every waiter that it is over; later calls change nothing."""
        self._is_set = True
        self._bell.ring()

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
            self._bell.wait(rest, self.is_set)
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
            raise self.error.with_traceback(None)  # raised more than once, it would collect frames and all they hold
        if not over:
            raise TimeoutError(f"no acknowledgement within {timeout} s; the writer is still at work")

    def _at_fork_reinit(self) -> None:
        """Forget the waiters of the parent process; `threading` calls this on events that it keeps."""
        self._bell = Bell()

    def __repr__(self) -> str:
        status = "failed" if self.error is not None else "set" if self._is_set else "unset"
        return f"<Ack {status}>"
