"""The hand-off between callers and the writer: a `queue.Queue` that cannot deadlock.

The stock queue guards itself with locks that are written in Python. A signal handler or a ``__del__`` that logs while
the same thread is inside ``put`` waits for itself forever, and a Ctrl-C at the wrong instruction leaves the lock taken.
`queue.SimpleQueue` is written in C and may be entered again at any point, so this class has the interface of
`queue.Queue` and uses a `SimpleQueue`. It does without a hard bound, `join` and `shutdown`.
"""

from __future__ import annotations

import queue
import sys
from collections import deque
from collections.abc import Callable
from itertools import repeat
from time import monotonic
from typing import Any, NoReturn

from .wakeup import Waiters

# How long a caller that waits for room sleeps between two checks, in seconds. It also checks whether the writer is
# still open.
CHECK_INTERVAL = 2e-3

# How many bytes large commands may hold while they wait, by default. Records of 1 MB then run at 1.1 of the speed of a
# plain write; with 4 MiB at 0.5 to 1.3, and with 64 MiB, which took 130 MB of memory, at two thirds: each record was
# written from pages that had never been touched before.
MAX_BYTES = 2 * 1024 * 1024

# Smaller commands are bounded by their number alone, which spares the common record the bookkeeping.
HEAVY = 32 * 1024


class WriterQueue(queue.Queue[Any]):
    """A queue of commands, softly bounded in number and in bytes.

    Any number of threads put, one takes. A put checks the bounds before the command goes in, without a lock, so each
    thread can exceed them by one command.

    Args:
        maxsize: how many commands may wait; zero or less: no bound.
        max_bytes: how many bytes the large commands that wait may hold together. A single larger command passes when no
            other one waits.

    Attributes:
        limit: how many commands may wait now: `maxsize` less those that were taken and are not finished. The taker sets
            it, see `count_unfinished`.
        raw_qsize: `qsize` without a Python call, for the hot path.
        surplus: how many records a command that waits holds, less one, for each command that does not hold exactly one.
            A caller adds the number before it puts the command, and the taker removes it when the command is
            finished. A sum could lose one of two changes that threads make at the same moment.
        put_unbounded: puts a command in without a check for room, for barriers and after a check; also without a Python
            call.
    """

    def __init__(self, maxsize: int = 0, *, max_bytes: int = MAX_BYTES) -> None:
        self.maxsize = maxsize
        self.max_bytes = max_bytes
        self.limit = maxsize if maxsize > 0 else sys.maxsize
        self._unfinished_bytes = 0
        self._commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._heavy: deque[list[bytes]] = deque()
        self._putters = Waiters()
        self.surplus: deque[int] = deque()
        self.raw_qsize: Callable[[], int] = self._commands.qsize
        self.put_unbounded: Callable[[Any], None] = self._commands.put

    # -- putting ------------------------------------------------------------------------------------------------------

    def has_room(self, size: int = 0) -> bool:
        """Return whether a command that holds *size* bytes may go in now."""
        if self._commands.qsize() >= self.limit:
            return False
        if size < HEAVY:
            return True
        waiting = self._unfinished_bytes + sum(len(lines) for claim in self._heavy.copy() for lines in claim)
        return waiting == 0 or waiting + size <= self.max_bytes

    def wait_for_room(self, size: int) -> None:
        """Wait until a command that holds *size* bytes may go in, at most `CHECK_INTERVAL`.

        The taker ends the wait: where timers are coarse, a sleep of 50 µs takes 120, at each full queue.
        """
        self._putters.wait(CHECK_INTERVAL, lambda: self.has_room(size))

    def put_heavy(self, command: Any, claim: list[bytes], put: Callable[[Any], object] | None = None) -> None:
        """Put in a command whose *claim* holds `HEAVY` bytes or more; they count against *max_bytes* until claimed.

        Args:
            command, claim: as above.
            put: puts the command in, instead of `put_unbounded`.
        """
        (put or self.put_unbounded)(command)
        self._heavy.append(claim)  # last: an interrupted put must not count bytes forever that are not in the queue

    # -- taking -------------------------------------------------------------------------------------------------------

    def take_all(self, into: deque[Any]) -> None:
        """Move all commands that wait to the end of *into*, in order, without waiting.

        Taking all at once makes the writer two to six times faster than taking one by one. The loop runs in C, so no
        signal handler and no interrupt can come between the moment when a command leaves and the moment it arrives.
        """
        into.extend(map(self._commands.get, repeat(False, self._commands.qsize())))
        # Claimed commands no longer count. An interrupt can make this forget a claim, but never count one forever.
        for _ in range(len(self._heavy)):
            claim = self._heavy.popleft()
            if claim:
                self._heavy.append(claim)

    def wake_putters(self) -> None:
        """Wake the callers that wait for room. The taker calls this when it is about to let other threads run.

        Woken earlier, at once after `take_all`, they would take the interpreter from the taker at its next system call,
        and it would write only after they have filled the queue again.
        """
        self._putters.wake_all()

    def count_unfinished(self, commands: int, size: int) -> None:
        """Count *commands* of together *size* bytes as waiting: the taker has them and could not finish them."""
        self.limit = self.maxsize - commands if self.maxsize > 0 else sys.maxsize
        self._unfinished_bytes = size

    # -- the rest of `queue.Queue` ------------------------------------------------------------------------------------

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put *item* in, waiting at most *timeout* seconds for room (`None`: no limit).

        Raises:
            queue.Full: there was no room in time, or at once if *block* is false.
        """
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        deadline = None if timeout is None else monotonic() + timeout
        while self.full():
            if not block or (deadline is not None and monotonic() >= deadline):
                raise queue.Full
            self.wait_for_room(0)
        self._commands.put(item)

    def put_nowait(self, item: Any) -> None:
        """Put *item* in, or raise `queue.Full` at once."""
        self.put(item, block=False)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the next command, waiting at most *timeout* seconds (`None`: no limit).

        Raises:
            queue.Empty: no command came in time, or none waits and *block* is false.
        """
        return self._commands.get(block, timeout)

    def get_nowait(self) -> Any:
        """Take the next command, or raise `queue.Empty` at once."""
        return self._commands.get(False)

    def qsize(self) -> int:
        """Return how many commands wait."""
        return self._commands.qsize()

    def empty(self) -> bool:
        """Return whether no command waits."""
        return self._commands.empty()

    def full(self) -> bool:
        """Return whether the bound on the number of commands is reached."""
        return self._commands.qsize() >= self.limit

    def task_done(self) -> None:
        """Do nothing: a barrier answers when commands are done, see `Ack`."""

    def join(self) -> NoReturn:
        """Raise `TypeError`: finished tasks are not counted."""
        raise TypeError("WriterQueue.join() is not available: put a barrier and wait for its Ack")

    def shutdown(self, immediate: bool = False) -> NoReturn:
        """Raise `TypeError`: a command ends the queue, in order with the records."""
        raise TypeError("WriterQueue.shutdown() is not available: shut the recorder down")

    def __repr__(self) -> str:
        return f"<WriterQueue {self.qsize()} of {self.maxsize}>"
