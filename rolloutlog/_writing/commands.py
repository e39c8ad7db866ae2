"""The commands that cross the queue, and a writer's state, options and counters.

The command for one record is a list that holds its line, and nothing else. The thread that pops the line owns it,
because popping is atomic. The other commands carry such a list as their claim.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Literal

import attrs

from .ack import Ack
from .append import Fsync, Numbering

OnFull = Literal["block", "raise", "drop"]


class State(enum.IntEnum):
    """Where a recorder is in its life; it only rises, except in a forked child."""

    NEW = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3
    FAILED = 4


# How many records may wait, by default. A caller that is faster than the writer waits at each full queue for a commit,
# 0.1 to 0.3 ms. With 256, as in the original, that is one call in 256; with this number, less than one in a thousand.
# Many more would not fit into the processor's caches, which costs more than the waiting.
QUEUE_SIZE = 1_280


@attrs.frozen
class WriterOptions:
    """How a file is written: one set for each file in a process, because it has one writer."""

    queue_size: int = QUEUE_SIZE
    on_full: OnFull = "block"
    fsync: Fsync = "never"
    shared: bool = False
    lock_timeout: float = 0.0


@attrs.frozen
class LineRules:
    """How a writer makes and changes lines, although it does not know what they mean.

    Attributes:
        gap: makes the line that says how many records were dropped.
        numbering: numbers the lines as they are written, or `None`.
    """

    gap: Callable[[int], bytes]
    numbering: Numbering | None = None


@attrs.define
class Counters:
    """The counts of `RecorderStats`, as the thread that commits keeps them."""

    accepted: int = 0
    written: int = 0
    pending: int = 0
    dropped: int = 0
    filtered: int = 0
    failures: int = 0


@attrs.frozen
class RecorderStats:
    """How many records were written, are pending or were dropped; exact at each acknowledgement.

    `accepted` is then `written` + `pending` + `dropped`. Records that wait in the queue are not counted yet.

    Attributes:
        accepted: records that the writer has taken, and those that were dropped.
        written: records on disk (also synced, if ``fsync="always"``).
        pending: records that could not be written so far; they are kept and tried again.
        dropped: records that did not fit into the queue, with ``on_full="drop"``; the file says where.
        filtered: items that were filtered out; not among the accepted.
        error: why the writer cannot write now, or `None`.
        failures: how many attempts to write have failed so far.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     recorder.record({"role": "user", "content": "Hello"})
    ...     recorder.flush()
    ...     recorder.stats
    RecorderStats(accepted=1, written=1, pending=0, dropped=0, filtered=0, error=None, failures=0)
    """

    accepted: int = 0
    written: int = 0
    pending: int = 0
    dropped: int = 0
    filtered: int = 0
    error: Exception | None = None
    failures: int = 0


class Batch:
    """Records that stay together, one line each, with no record of another thread between them."""

    __slots__ = ("claim", "count")

    def __init__(self, claim: list[bytes], count: int) -> None:
        self.claim = claim
        self.count = count


class Barrier:
    """Answer *ack* once everything before this is on disk; with *last*, end after it."""

    __slots__ = ("ack", "claim", "last")

    def __init__(self, ack: Ack, *, last: bool = False) -> None:
        self.ack = ack
        self.claim = [ack]
        self.last = last


def surplus_of(command: object) -> int:
    """Return how many records *command* holds, less one; the record of a gap is the line that tells of it."""
    if type(command) is Batch:
        return command.count - 1
    return -1 if type(command) in (Barrier, Filtered) else 0


class Gap:
    """Records were dropped here; callers add to the counts until the writer claims this."""

    __slots__ = ("claim", "counts")

    def __init__(self, count: int) -> None:
        self.claim = [None]
        self.counts = [count]


class Filtered:
    """The number of items that were filtered out, sent as a command because only the writer updates the counters."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count
