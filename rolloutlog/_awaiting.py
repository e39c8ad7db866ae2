"""Handing over records in an event loop of asyncio: neither a full queue nor another thread blocks the loop."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from ._locks import SafeLock
from ._writing.writer import Writer
from .exceptions import QueueFullError

_T = TypeVar("_T")

# How long a task sleeps between two attempts, in seconds: the first time, and at most.
_FIRST, _LONGEST = 0.001, 0.05


async def handed_over(attempt: Callable[[], _T], writer: Writer, timeout: float, *, lock: SafeLock | None = None) -> _T:
    """Return the result of *attempt*, which is called again and again until there is room in the queue.

    Args:
        attempt: hands records over, and raises `QueueFullError` at once if there is no room.
        writer: gets the records.
        timeout: seconds to wait for room.
        lock: held during each attempt; other threads may hold it for a long time.

    Raises:
        QueueFullError: there was no room in time, or the writer cannot write.
    """
    import asyncio  # here, because a program that awaits something has imported it already

    deadline, pause = monotonic() + timeout, _FIRST
    results: list[_T] = []
    while True:
        is_free = True
        try:
            if lock is None:
                return attempt()
            is_free = lock.within(0.0, lambda: results.append(attempt()))
            if is_free:
                return results[0]
        except QueueFullError as error:
            if writer.options.on_full != "block" or writer.stats.error is not None:
                raise
            if monotonic() >= deadline:
                raise QueueFullError(error.path, f"no room within {timeout} s") from None
        if not is_free and monotonic() >= deadline:
            raise QueueFullError(writer.journal.path, f"another thread waits for room, longer than {timeout} s")
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST)
