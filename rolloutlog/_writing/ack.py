"""The acknowledgement: an event that also carries the outcome, and that no signal or interrupt can jam."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Generator
from time import monotonic
from typing import Any

from ..exceptions import ForkedRecorderError
from .loops import wait_in_loop
from .wakeup import Waiters

# How long a waiter sleeps between two checks, in seconds. The checks cover a `set` that an interrupt cut short, and a
# writer that no thread serves any more.
_SLICE = 0.25


class Ack(threading.Event):
    """The answer to a flush or a shutdown: set once it is done or has failed. It can be awaited.

    Attributes:
        error: why it failed, or `None`. It is set before the event is. During a shutdown that is still retrying it is
            set as soon as a write fails, and `None` again once the records are written.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     recorder.record({"role": "user", "content": "Hello"})
    ...     ack = recorder.request_flush()
    ...     ack.wait(30.0), ack.error
    (True, None)
    """

    # `_is_set` only goes from false to true. The base class guards its state with locks that can jam, so its
    # constructor is not called, and each method that uses that state is overridden.

    def __init__(self, check: Callable[[float], float] | None = None) -> None:
        """Make an ack that is not set.

        Args:
            check: called by waiters from time to time, with the moment at which their wait ends, to make sure that a
                thread is serving the writer; returns that moment, or an earlier one; raises `ForkedRecorderError` if
                the ack belongs to the parent process.
        """
        self.error: Exception | None = None
        self._check = check
        self._is_set = False
        self._waiters = Waiters()

    def is_set(self) -> bool:
        """Return whether it is done or has failed."""
        return self._is_set

    def set(self) -> None:
        """Wake all waiters; later calls change nothing."""
        self._is_set = True
        self._waiters.wake_all()

    def clear(self) -> None:
        """Raise `TypeError`: an acknowledgement cannot be withdrawn."""
        raise TypeError("an Ack cannot be cleared: ask for a new one with request_flush()")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most *timeout* seconds (`None`: no limit); return whether it is set."""
        deadline = math.inf if timeout is None else monotonic() + timeout
        while not self._is_set:
            rest = min(_SLICE, deadline - monotonic())
            if rest <= 0:
                return False
            self._waiters.wait(rest, self.is_set)
            if self._check is not None and not self._is_set:
                try:
                    deadline = self._check(deadline)
                except ForkedRecorderError as error:
                    self.error = error.with_traceback(None)
                    self.set()
        return True

    def result(self, timeout: float | None = None) -> None:
        """Wait until everything that was recorded before is written.

        Args:
            timeout: seconds; `None` waits without a limit.

        Raises:
            WriteError: not everything could be written; the records are kept and tried again.
            TimeoutError: there was no answer in time, and no error so far.
        """
        self._raise_error(self.wait(timeout), timeout)

    async def aresult(self, timeout: float | None = None) -> None:
        """Wait as `result` does, in an event loop of asyncio that is not blocked; ``await ack`` waits without a limit.

        Any number of tasks, of any loops, may wait. A cancelled wait changes nothing: the records are written.

        Args:
            timeout: seconds; `None` waits without a limit.

        Raises:
            WriteError, TimeoutError: as for `result`.
        """
        is_over = self._is_set or await wait_in_loop(self._waiters, self.is_set, self._check, timeout)
        self._raise_error(is_over, timeout)

    def __await__(self) -> Generator[Any, None, None]:
        return self.aresult().__await__()

    def _raise_error(self, is_over: bool, timeout: float | None) -> None:
        """Raise the error, if there is one, or `TimeoutError` if it is not over."""
        if self.error is not None:
            raised = _copied(self.error)  # its traceback would hold the frames of the caller, which hold this ack
            try:
                raise raised
            finally:
                del raised  # the error and this frame would refer to each other
        if not is_over:
            raise TimeoutError(f"no acknowledgement within {timeout:.3g} s; the writer is still at work")

    def _at_fork_reinit(self) -> None:
        """Forget the waiters of the parent process; `threading` calls this on events that it keeps."""
        self._waiters = Waiters()

    def __repr__(self) -> str:
        status = "failed" if self.error is not None else "set" if self._is_set else "unset"
        return f"<Ack {status}>"


def _copied(error: Exception) -> Exception:
    """Return a copy of *error* without a traceback; itself if its class cannot be copied, as some cannot."""
    try:
        copied = copy.copy(error)
    except Exception:
        return error.with_traceback(None)
    copied.__cause__ = error.__cause__
    return copied
