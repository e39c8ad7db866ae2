"""The commands that cross the queue, and the values that say how a writer works and how it fares.

One record's command is a list that holds its line, and nothing else: whoever pops it owns it, for popping is atomic.
The other commands carry such a list as their claim.
"""

from __future__ import annotations

import enum
from typing import Literal

import attrs

from .ack import Ack
from .append import Fsync

OnFull = Literal["block", "raise", "drop"]


class State(enum.IntEnum):
    """Where a recorder is in its life; it only ever moves upward, but in the child of a fork."""

    NEW = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3
    FAILED = 4


# How many records may wait, by default. Where a caller is faster than the writer, each call that finds the queue full
# waits for a turn, 0.1 to 0.3 ms. With 256, as in the original, that is one call in 256; with these, less than one in a
# thousand. Many more would not fit into the processor's caches, which costs more than waiting.
QUEUE_SIZE = 1_280


@attrs.frozen
class WriterOptions:
    """How a file is written: one set for each file in a process, for it has one writer."""

    queue_size: int = QUEUE_SIZE
    on_full: OnFull = "block"
    fsync: Fsync = "never"
    shared: bool = False
    lock_timeout: float = 0.0


@attrs.frozen
class RecorderStats:
    """What became of the records, as the writer counted them; exact at each acknowledgement.

    `accepted` is then `written` + `pending` + `dropped`. Records that wait in the queue are not counted yet.

    Attributes:
        accepted: records that the writer has taken, and those that were dropped.
        written: records on disk (synced, too, if ``fsync="always"``).
        pending: records that could not be written so far; they are kept and tried again.
        dropped: records that did not fit into the queue, with ``on_full="drop"``; the file says where.
        filtered: items that were not to be recorded; not among the accepted.
        error: what keeps the writer from writing now, or `None`.
        failures: how many tries to write have failed, ever.
    """

    accepted: int = 0
    written: int = 0
    pending: int = 0
    dropped: int = 0
    filtered: int = 0
    error: Exception | None = None
    failures: int = 0


class Several:
    """Records that stay together, one line each, with nothing of other threads between them."""

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


class Gap:
    """Records were dropped here; they are counted until the writer comes by and claims this."""

    __slots__ = ("claim", "counts")

    def __init__(self, count: int) -> None:
        self.claim = [None]
        self.counts = [count]


class Filtered:
    """So many items were not to be recorded; told by a command because the writer owns the counters."""

    __slots__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count
