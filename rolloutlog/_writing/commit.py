"""What is done with commands by whoever has the turn: claim the lines, bring them to the journal, answer, keep count.

All of this belongs to one thread at a time, the one that holds the writer's turn; nothing here waits, starts threads or
knows callers.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from ..exceptions import WriteError
from .ack import Ack
from .commands import Barrier, Filtered, Gap, RecorderStats, Several, WriterOptions
from .file import Journal
from .queue import HandoffQueue

# Pauses between two tries to write what could not be written, in seconds: records are back on disk a second at most
# after the fault is gone.
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0

# With fsync="flush", lines are kept until they are synced; at this many bytes a sync comes by itself.
_MAX_UNSYNCED = 4 * 1024 * 1024


class Turn:
    """The taking side of a queue, and what it holds between two turns.

    Args:
        queue: where commands come from.
        journal: where lines go.
        options: how.
        gap_line: makes the line that says how many records were dropped.
        end: the ack of the shutdown.
        finish: see `Writer`.

    Attributes:
        error: what keeps lines from being written now, or `None`.
        closing: a shutdown was asked for, and everything before it has been taken.
        retry_at: when to try again by itself what is kept (`time.monotonic`).
        news: something that the logger should be told.
    """

    def __init__(
        self,
        queue: HandoffQueue,
        journal: Journal,
        options: WriterOptions,
        gap_line: Callable[[int], bytes],
        end: Ack,
        finish: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._syncs = options.fsync == "flush"
        self._gap_line = gap_line
        self._end = end
        self._finish = finish
        self._taken: deque[Any] = deque()
        self._backlog: list[bytes] = []
        self._pending = 0  # records in the backlog; counted as they come, for a scan would cost most of a turn
        self._unsynced: list[bytes] = []
        self._unsynced_records = self._unsynced_size = 0
        self._moves = journal.moves
        self._answering: list[Ack] = []
        self._last_gap: tuple[bytes, int] = (b"", 0)
        self._accepted = self._written = self._dropped = self._filtered = self._failures = 0
        self._retry_pause = _FIRST_RETRY
        self.error: OSError | None = None
        self.closing = False
        self.retry_at = 0.0
        self.news: str | None = None

    @property
    def stats(self) -> RecorderStats:
        """Return the counters as they stand."""
        return RecorderStats(
            accepted=self._accepted,
            written=self._written,
            pending=self._pending,
            dropped=self._dropped,
            filtered=self._filtered,
            error=self.error,
            failures=self._failures,
        )

    @property
    def has_work(self) -> bool:
        """Return whether something is to be done without waiting for a command."""
        return bool(self._taken or self._backlog or self.closing)

    @property
    def is_empty(self) -> bool:
        """Return whether every line is where it should be."""
        return not (self._taken or self._backlog or (self.closing and self._unsynced))

    def take(self, command: Any) -> None:
        """Take one command that came out of the queue already."""
        self._taken.append(command)

    def serve(self) -> None:
        """Take all that waits and serve it, in order; bring to disk what there is."""
        self._queue.take_all(self._taken)
        taken = self._taken
        while taken:
            self._claim_records()
            if not taken or type(taken[0]) is list:
                continue
            command = taken[0]  # it stays until it is served: what fails or interrupts must not lose an ack
            if type(command) is Several:
                self._claim(command)
            elif type(command) is Barrier:
                self._commit()
                self._answer(command)
            elif type(command) is Gap:
                self._mark(command)
            elif type(command) is Filtered:
                self._filtered += command.count
            taken.popleft()
        self._commit()
        self._queue.tell_of_room()  # also where nothing was to be written, or could be
        if self.closing and not self._backlog:
            self._sync()
        self._queue.hold(len(self._backlog), sum(map(len, self._backlog)))

    def give_up(self, failure: Exception) -> None:
        """Answer everybody who waits with *failure*; records that nobody will write stay pending for ever."""
        self._queue.take_all(self._taken)
        acks = [*self._answering, self._end]
        while self._taken:
            self._claim_records()
            if not self._taken or type(self._taken[0]) is list:
                continue
            command = self._taken.popleft()
            if type(command) is Several:
                self._claim(command)
            elif type(command) is Barrier and command.claim:
                command.claim.clear()
                acks.append(command.ack)
        for ack in acks:
            if not ack.is_set():
                ack.error = failure
                ack.set()

    # -- one command after the other ----------------------------------------------------------------------------------

    def _claim_records(self) -> None:
        """Move the lines of all records, up to the first other command, from the taken ones to the backlog.

        The move runs in C: 30 ns a record, and no interrupt comes between the claim and the backlog.
        """
        taken, backlog = self._taken, self._backlog
        before = len(backlog)
        try:
            backlog.extend(map(list.pop, taken))
        except (IndexError, TypeError):  # a record that its caller took back; or a command of another kind
            pass
        claimed = len(backlog) - before
        self._accepted += claimed
        self._pending += claimed
        if claimed == len(taken):
            taken.clear()
            return
        for _ in range(claimed):
            taken.popleft()
        if type(taken[0]) is list:
            taken.popleft()  # the one that its caller took back

    def _claim(self, several: Several) -> None:
        """Move records that stay together to the backlog, unless their caller took them back."""
        try:
            self._backlog.extend(map(list.pop, (several.claim,)))
        except IndexError:
            return
        self._accepted += several.count
        self._pending += several.count

    def _answer(self, barrier: Barrier) -> None:
        """Answer a flush; take note of a shutdown, which is answered when nothing is left."""
        try:
            self._answering.extend(map(list.pop, (barrier.claim,)))  # in C, as with records
        except IndexError:
            if not self._answering:  # its caller saw that we had ended, and answered it
                return
        ack = self._answering[0]  # also where an interrupt cut the answer short
        if not self._backlog:
            self._sync()
        if self._backlog:
            ack.error = self._unwritten()
        if barrier.last:
            self.closing = True
        else:
            ack.set()
        self._answering.clear()

    def _mark(self, gap: Gap) -> None:
        """Put a line where records were dropped that says how many."""
        try:
            gap.claim.pop()
        except IndexError:  # its caller saw that we had ended, and refused the record
            return
        count = 0
        while gap.counts:
            count += gap.counts.pop()
        if not count:
            return
        self._accepted += count
        self._dropped += count
        line, earlier = self._last_gap
        if self._backlog and self._backlog[-1] is line:
            self._backlog.pop()  # nothing came between: one line for both, or a full disk would fill memory with them
            count += earlier
        else:
            self._accepted += 1  # the line itself
            self._pending += 1
        self._last_gap = (self._gap_line(count), count)
        self._backlog.append(self._last_gap[0])

    # -- to disk ------------------------------------------------------------------------------------------------------

    def _commit(self) -> None:
        """Bring the backlog to the file."""
        backlog = self._backlog
        if not backlog:
            return
        if self._finish is not None:
            backlog = self._backlog = list(map(self._finish, backlog))
        written, size = self._pending, sum(map(len, backlog)) if self._syncs else 0
        try:
            self._journal.append(backlog, self._queue.tell_of_room)
        except (OSError, MemoryError) as error:
            self._stumble(error)
            return
        # No calls up to the end of this block: in them, an interrupt could come, and the lines would be written twice.
        if self._syncs:
            if self._moves != self._journal.moves:  # what was unsynced is in another file, and was synced there
                self._moves = self._journal.moves
                self._unsynced, self._unsynced_records, self._unsynced_size = [], 0, 0
            self._unsynced += backlog
            self._unsynced_records += written
            self._unsynced_size += size
        self._written += written
        self._pending = 0
        self._backlog = []
        if self._unsynced_size >= _MAX_UNSYNCED or self.error is not None:
            self._sync()  # after an error, too: only then it is known that the disk is well again
        if self.error is not None and not self._backlog:
            self.error = self._end.error = None
            self._tell(f"writes again: {written} records that had to wait are on disk")

    def _sync(self) -> None:
        """Sync what `append` left unsynced; if that fails it counts as unwritten again."""
        if not self._unsynced:
            return
        try:
            self._journal.sync()
        except OSError as error:
            self._written -= self._unsynced_records
            self._pending += self._unsynced_records
            self._backlog[:0] = self._unsynced
            self._stumble(error)
        self._unsynced, self._unsynced_records, self._unsynced_size = [], 0, 0

    def _stumble(self, error: OSError | MemoryError) -> None:
        """Keep what could not be written, and see to it that this is heard at once."""
        self._failures += 1
        if self.error is None:
            self._retry_pause = _FIRST_RETRY
            self._tell(f"cannot write, keeps what comes, and tries again: {said(error)}")
        else:
            self._retry_pause = min(2 * self._retry_pause, _LAST_RETRY)
        self.error = error if isinstance(error, OSError) else OSError(errno.ENOMEM, "not enough memory")
        self.retry_at = monotonic() + self._retry_pause
        if self.closing:
            self._end.error = self._unwritten()

    def _tell(self, news: str) -> None:
        """Have *news* for the logger, behind what it has not been told yet: a fault can come and go within a turn."""
        self.news = news if self.news is None else f"{self.news}; {news}"

    def _unwritten(self) -> WriteError:
        """Return the error that tells how many records are not on disk, and why."""
        error = self.error
        reason = "not written yet" if error is None else said(error)
        failed = WriteError(self._journal.path, self._pending, reason, error.errno if error else None)
        failed.__cause__ = error
        return failed


def said(error: Exception) -> str:
    """Return what the system said, without the path, which whoever shows it names already."""
    if not isinstance(error, OSError):
        return type(error).__name__
    name = errno.errorcode.get(error.errno or 0)
    words = error.strerror or str(error) or type(error).__name__
    return f"{words} ({name})" if name else words
