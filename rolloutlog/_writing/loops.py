"""Waiting in an event loop of asyncio, without a thread for each wait."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from .wakeup import Waiters

if TYPE_CHECKING:
    import asyncio

# How long a task sleeps between two checks, in seconds; for the same reasons as a thread that waits for an `Ack`.
_SLICE = 0.25


class _Task:
    """A task that waits. It is woken like the lock of a thread that waits, by `release`, from any thread."""

    __slots__ = ("future", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.future = loop.create_future()

    def release(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self.wake)  # takes no lock
        except RuntimeError:  # the loop was closed, so nothing waits
            return

    def wake(self) -> None:
        """Wake the task, in the thread of its loop."""
        if not self.future.done():
            self.future.set_result(None)


async def wait_in_loop(
    waiters: Waiters, is_over: Callable[[], bool], check: Callable[[float], object] | None, timeout: float | None
) -> bool:
    """Wait until *is_over* returns true, at most *timeout* seconds; return whether it does.

    Args:
        waiters: will be woken when it may be over.
        is_over: says whether it is.
        check: called from time to time, with the moment at which it must return: at once.
        timeout: seconds; `None` means no limit.
    """
    import asyncio  # here, because a program that awaits something has imported it already

    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    while not is_over():
        rest = _SLICE if deadline is None else min(_SLICE, deadline - loop.time())
        if rest <= 0:
            return False
        task = _Task(loop)
        timer = loop.call_later(rest, task.wake)
        waiters.add(task)
        try:
            if not is_over():  # the second check: `wake_all` may have come before
                await task.future
        finally:
            timer.cancel()
            waiters.remove(task)
        if check is not None and not is_over():
            check(monotonic())
    return True
