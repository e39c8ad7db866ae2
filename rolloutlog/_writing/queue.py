"""The hand-off: a `queue.Queue` that cannot deadlock, between the agent's threads and the writer.

The stock queue guards itself with locks that are written in Python. A signal handler or a ``__del__`` that logs while
the same thread is inside ``put`` waits for itself for ever, and a Ctrl-C at the wrong instruction leaves the lock
taken. `queue.SimpleQueue` is written in C and may be entered again at any point, so this class keeps the interface of
`queue.Queue` and stands on that one. What it gives up is said where it is given up: `join`, `shutdown`, a hard bound.
"""

from __future__ import annotations

import queue
import sys
from collections import deque
from collections.abc import Callable
from itertools import repeat
from time import monotonic
from typing import Any

from .wakeup import Bell

# How long whoever waits for room sleeps before it looks again, in seconds: at whether the writer still lives, too.
LOOK_AGAIN = 2e-3

# What large commands may hold while they wait, by default. Records of 1 MB then run at 1.1 of the speed of a plain
# write; with 4 MiB at 0.5 to 1.3 of it, and with 64 MiB, which took 130 MB of memory, at two thirds: each was written
# out of pages that had never been touched before.
MAX_BYTES = 2 * 1024 * 1024

# What is smaller is bounded by the number of commands alone, which spares the common record the bookkeeping.
HEAVY = 32 * 1024


class HandoffQueue(queue.Queue[Any]):
    """A queue of commands, bounded softly in number and in bytes.

    Any number of threads put; one takes. The bounds are looked at before the command goes in, without a lock, so each
    thread can go over them by one command.

    Args:
        maxsize: commands that may wait; zero or less: no bound.
        max_bytes: bytes that large commands may hold together while they wait. A single larger one still passes when
            nothing else waits.

    Attributes:
        limit: commands that may wait now: `maxsize` less what the taker has taken and could not finish. Owned by the
            taker, see `hold`.
    """

    def __init__(self, maxsize: int = 0, *, max_bytes: int = MAX_BYTES) -> None:
        self.maxsize = maxsize
        self.max_bytes = max_bytes
        self.limit = maxsize if maxsize > 0 else sys.maxsize
        self._held_bytes = 0
        self._commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._heavy: deque[list[bytes]] = deque()
        self._room = Bell()
        # Straight to C, for the hot path: how many wait, and a put that asks for no room (a barrier, or a record for
        # which there is room).
        self.waiting: Callable[[], int] = self._commands.qsize
        self.put_anyway: Callable[[Any], None] = self._commands.put

    # -- what waits ---------------------------------------------------------------------------------------------------

    def qsize(self) -> int:
        """Return how many commands wait to be taken."""
        return self._commands.qsize()

    def empty(self) -> bool:
        """Return whether nothing waits to be taken."""
        return self._commands.empty()

    def full(self) -> bool:
        """Return whether the bound on the number of commands is reached."""
        return self._commands.qsize() >= self.limit

    def has_room(self, size: int = 0) -> bool:
        """Return whether a command that holds *size* bytes may go in now."""
        if self._commands.qsize() >= self.limit:
            return False
        if size < HEAVY:
            return True
        waiting = self._held_bytes + sum(len(lines) for claim in self._heavy.copy() for lines in claim)
        return waiting == 0 or waiting + size <= self.max_bytes

    # -- putting ------------------------------------------------------------------------------------------------------

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put *item* in, waiting for room for at most *timeout* seconds (`None`: as long as it takes).

        Raises:
            queue.Full: there was no room in time, or at once if *block* is false.
        """
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        if self.full():
            if not block:
                raise queue.Full
            deadline = None if timeout is None else monotonic() + timeout
            while self.full():
                if deadline is not None and monotonic() >= deadline:
                    raise queue.Full
                self.wait_for_room(0)
        self._commands.put(item)

    def put_nowait(self, item: Any) -> None:
        """Put *item* in, or raise `queue.Full` at once."""
        self.put(item, block=False)

    def wait_for_room(self, size: int) -> None:
        """Wait until a command that holds *size* bytes may go in, but no longer than `LOOK_AGAIN`.

        Woken by the taker: a sleep of 50 µs takes 120 where timers are coarse, at each full queue.
        """
        self._room.wait(LOOK_AGAIN, lambda: self.has_room(size))

    def put_heavy(self, command: Any, claim: list[bytes]) -> None:
        """Put in a command whose *claim* holds `HEAVY` bytes or more; they count against *max_bytes* until claimed."""
        self._commands.put(command)
        self._heavy.append(claim)  # last: what an interrupted put counted and did not put in would count for ever

    # -- taking -------------------------------------------------------------------------------------------------------

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the next command, waiting at most *timeout* seconds (`None`: as long as it takes).

        Raises:
            queue.Empty: nothing came in time, or nothing waits and *block* is false.
        """
        return self._commands.get(block, timeout)

    def get_nowait(self) -> Any:
        """Take the next command, or raise `queue.Empty` at once."""
        return self._commands.get(False)

    def take_all(self, into: deque[Any]) -> None:
        """Append everything that waits to *into*, in order, without waiting.

        Taking all at once is what makes the writer fast: one by one is two to six times slower. The loop runs in C, so
        that neither a signal handler nor an interrupt can come between a command's leaving here and its being there.
        """
        into.extend(map(self._commands.get, repeat(False, self._commands.qsize())))
        # Claimed commands leave the tally of bytes. An interrupt can make it forget one, never count one for ever.
        for _ in range(len(self._heavy)):
            claim = self._heavy.popleft()
            if claim:
                self._heavy.append(claim)

    def tell_of_room(self) -> None:
        """Wake whoever waits for room, which `take_all` has made; the taker does it when it lets other threads run.

        Woken earlier, they take the interpreter from the taker at its next system call, and what it has taken is
        written when they have filled the queue again, while they wait.
        """
        self._room.ring()

    def hold(self, commands: int, size: int) -> None:
        """Count *commands* of *size* bytes together as waiting, for the taker has them and could not finish them."""
        self.limit = self.maxsize - commands if self.maxsize > 0 else sys.maxsize
        self._held_bytes = size

    # -- what this queue does not do ----------------------------------------------------------------------------------

    def task_done(self) -> None:
        """Do nothing: barriers tell what is done, see `Ack`."""

    def join(self) -> None:
        """Raise `TypeError`: nobody counts finished tasks here, so there is no honest answer."""
        raise TypeError("HandoffQueue.join() is not available: put a barrier and wait for its Ack")

    def shutdown(self, immediate: bool = False) -> None:
        """Raise `TypeError`: the recorder ends its queue with a command, in order with the records."""
        raise TypeError("HandoffQueue.shutdown() is not available: shut the recorder down")

    def __repr__(self) -> str:
        return f"<HandoffQueue {self.qsize()} of {self.maxsize}>"
