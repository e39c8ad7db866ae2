"""Processes queued commands while holding the commit lock: claims lines, writes them, answers flushes, keeps counters.

All of this belongs to the one thread that holds the commit lock of its writer. Nothing here waits, starts threads or
knows callers.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any

import attrs

from ..exceptions import WriteError
from .ack import Ack
from .commands import Barrier, Batch, Counters, Filtered, Gap, LineRules, RecorderStats, WriterOptions, surplus_of
from .file import Journal
from .queue import WriterQueue

# Pauses between two attempts to write, in seconds: records are on disk a second at most after a fault is gone.
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0

# With fsync="flush", lines are kept until they are synced; at this many bytes they are synced without a flush.
_MAX_UNSYNCED = 4 * 1024 * 1024


class Committer:
    """The taking side of a queue, and what it keeps between two commits.

    Args:
        queue: where commands come from.
        journal: where lines go.
        options: how to write.
        rules: how to make and change lines.
        end: the ack of the shutdown.

    Attributes:
        error: why lines cannot be written now, or `None`.
        closing: a shutdown was requested, and everything before it has been taken.
        retry_at: when to try again to write the backlog (`time.monotonic`).
        log_message: a message for the logger, or `None`.
    """

    def __init__(
        self,
        queue: WriterQueue,
        journal: Journal,
        options: WriterOptions,
        rules: LineRules,
        end: Ack,
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._syncs = options.fsync == "flush"
        self._rules = rules
        self._end = end
        self._taken: deque[Any] = deque()
        self._backlog: list[bytes] = []
        self._unsynced: list[bytes] = []
        self._unsynced_records = self._unsynced_size = 0
        self._moves = journal.moves
        self._answering: list[Ack] = []
        self._last_gap: tuple[bytes, int] = (b"", 0)
        self._counters = Counters()  # `pending`, too, is counted: to scan the backlog would cost most of a commit
        self._retry_pause = _FIRST_RETRY
        self._deadline = math.inf
        self.error: OSError | None = None
        self.closing = False
        self.retry_at = 0.0
        self.log_message: str | None = None

    @property
    def stats(self) -> RecorderStats:
        """Return the counters as they are now."""
        return RecorderStats(**attrs.asdict(self._counters), error=self.error)

    @property
    def has_work(self) -> bool:
        """Return whether there is something to do without waiting for a command."""
        return bool(self._taken or self._backlog or self.closing)

    @property
    def is_empty(self) -> bool:
        """Return whether every line is in the file, and synced if this is the end."""
        return not (self._taken or self._backlog or (self.closing and self._unsynced))

    def count_waiting(self) -> int:
        """Return how many records wait in the queue, or were taken and not processed because a system call is stuck."""
        commands = self._queue.qsize() + len(self._taken)
        return max(0, commands + sum(self._queue.surplus.copy())) if commands else 0

    def take(self, command: Any) -> None:
        """Take a command that was taken out of the queue already."""
        self._taken.append(command)

    def commit(self, deadline: float = math.inf) -> None:
        """Take all commands that wait and process them in order; write all lines.

        Args:
            deadline: when to stop waiting for the lock of the file, if that is before its own timeout.
        """
        self._deadline = deadline
        self._queue.take_all(self._taken)
        taken = self._taken
        while taken:
            self._claim_records()
            if not taken or type(taken[0]) is list:
                continue
            command = taken[0]  # it stays here until it is processed, so that no error and no interrupt loses an ack
            if type(command) is Batch:
                self._claim(command)
            elif type(command) is Barrier:
                self._write()
                self._answer(command)
            elif type(command) is Gap:
                self._write_gap(command)
            elif type(command) is Filtered:
                self._counters.filtered += command.count
            taken.popleft()
            self._forget_surplus(command)
        self._write()
        self._queue.wake_putters()  # also when there was nothing to write, or when it could not be written
        if self.closing and not self._backlog:
            self._sync()
        self._queue.count_unfinished(len(self._backlog), sum(map(len, self._backlog)))

    def fail_all(self, failure: Exception, *, takes: bool = True) -> None:
        """Answer all acks with *failure*; records that are not written stay pending.

        Args:
            failure: the error.
            takes: whether acks that are still in the queue are answered, too.
        """
        failure.__traceback__ = None  # it would hold the frames of the writer that failed, which hold the acks
        if takes:
            self._queue.take_all(self._taken)
        acks = [*self._answering, self._end]
        while self._taken:
            self._claim_records()
            if not self._taken or type(self._taken[0]) is list:
                continue
            command = self._taken.popleft()
            self._forget_surplus(command)
            if type(command) is Batch:
                self._claim(command)
            elif type(command) is Barrier and command.claim:
                command.claim.clear()
                acks.append(command.ack)
        for ack in acks:
            if not ack.is_set():
                ack.error = failure
                ack.set()

    def _forget_surplus(self, command: object) -> None:
        """Stop counting the records of *command*, which is finished."""
        surplus = surplus_of(command)
        if surplus:
            with suppress(ValueError):  # an interrupt came between the end of the command and this
                self._queue.surplus.remove(surplus)

    # -- the commands -------------------------------------------------------------------------------------------------

    def _claim_records(self) -> None:
        """Move the lines of all records, up to the first other command, from the taken commands to the backlog.

        The loop runs in C: 30 ns a record, and no interrupt can come between the claim and the backlog.
        """
        taken, backlog = self._taken, self._backlog
        before = len(backlog)
        try:
            backlog.extend(map(list.pop, taken))
        except (IndexError, TypeError):  # a record that its caller took back; or a command of another kind
            pass
        claimed = len(backlog) - before
        self._counters.accepted += claimed
        self._counters.pending += claimed
        if claimed == len(taken):
            taken.clear()
            return
        for _ in range(claimed):
            taken.popleft()
        if type(taken[0]) is list:
            taken.popleft()  # the one that its caller took back

    def _claim(self, batch: Batch) -> None:
        """Move records that stay together to the backlog, unless their caller took them back."""
        try:
            self._backlog.extend(map(list.pop, (batch.claim,)))
        except IndexError:
            return
        self._counters.accepted += batch.count
        self._counters.pending += batch.count

    def _answer(self, barrier: Barrier) -> None:
        """Answer a flush; note a shutdown, which is answered when nothing is left to write."""
        try:
            self._answering.extend(map(list.pop, (barrier.claim,)))  # in C, as with records
        except IndexError:
            if not self._answering:  # its caller saw that the writer has closed, and answered it
                return
        ack = self._answering[0]  # also when an interrupt cut the answer short
        if not self._backlog:
            self._sync()
        if self._backlog:
            ack.error = self.unwritten()
        if barrier.last:
            self.closing = True
        else:
            ack.set()
        self._answering.clear()

    def _write_gap(self, gap: Gap) -> None:
        """Put a line in the place of dropped records that says how many were dropped."""
        try:
            gap.claim.pop()
        except IndexError:  # its caller saw that the writer has closed, and refused the record
            return
        count = 0
        while gap.counts:
            count += gap.counts.pop()
        if not count:
            return
        counters = self._counters
        counters.accepted += count
        counters.dropped += count
        line, earlier = self._last_gap
        if self._backlog and self._backlog[-1] is line:
            self._backlog.pop()  # no record came between: one line for both, or a full disk would fill memory with them
            count += earlier
        else:
            counters.accepted += 1  # the line itself
            counters.pending += 1
        self._last_gap = (self._rules.gap(count), count)
        self._backlog.append(self._last_gap[0])

    # -- to disk ------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Append the backlog to the file."""
        backlog, counters = self._backlog, self._counters
        if not backlog:
            return
        written, size = counters.pending, sum(map(len, backlog)) if self._syncs else 0
        interrupt: BaseException | None = None
        self._journal.has_appended = False
        try:
            self._journal.append(backlog, self._queue.wake_putters, self._deadline, self._rules.numbering)
        except (OSError, MemoryError) as error:
            self._write_failed(error)
            return
        except BaseException as error:
            if not self._journal.has_appended:
                raise
            interrupt = error
        # No calls up to the end of this block: an interrupt in one would have the lines written twice.
        if self._syncs:
            if self._moves != self._journal.moves:  # the unsynced lines are in another file, and were synced there
                self._moves = self._journal.moves
                self._unsynced, self._unsynced_records, self._unsynced_size = [], 0, 0
            self._unsynced += backlog
            self._unsynced_records += written
            self._unsynced_size += size
        counters.written += written
        counters.pending = 0
        self._backlog = []
        if interrupt is not None:
            try:
                raise interrupt
            finally:
                del interrupt  # the error and this frame would refer to each other
        if self._unsynced_size >= _MAX_UNSYNCED or self.error is not None:
            self._sync()  # after an error, too: only a sync shows that the disk is well again
        if self.error is not None and not self._backlog:
            self.error = self._end.error = None
            self._log(f"writes again: {written} records that had to wait are on disk")

    def _sync(self) -> None:
        """Sync the lines that were appended and not synced; if that fails they count as unwritten again."""
        if not self._unsynced:
            return
        try:
            self._journal.sync()
        except OSError as error:
            self._counters.written -= self._unsynced_records
            self._counters.pending += self._unsynced_records
            self._backlog[:0] = self._unsynced
            self._write_failed(error)
        self._unsynced, self._unsynced_records, self._unsynced_size = [], 0, 0

    def _write_failed(self, error: OSError | MemoryError) -> None:
        """Keep the lines for another attempt, and report the error at once."""
        self._counters.failures += 1
        if self.error is None:
            self._retry_pause = _FIRST_RETRY
            self._log(f"cannot write, keeps the records, and tries again: {describe(error)}")
        else:
            self._retry_pause = min(2 * self._retry_pause, _LAST_RETRY)
        # It is kept until lines are written again; its traceback would hold the frames of the commit, which hold acks.
        self.error = OSError(errno.ENOMEM, "not enough memory") if isinstance(error, MemoryError) else error
        self.error.__traceback__ = None
        self.retry_at = monotonic() + self._retry_pause
        if self.closing:
            self._end.error = self.unwritten()

    def _log(self, message: str) -> None:
        """Add to the message for the logger: a fault can come and go within one commit."""
        self.log_message = message if self.log_message is None else f"{self.log_message}; {message}"

    def unwritten(self, waiting: int = 0) -> WriteError:
        """Return the error that says how many records are not on disk, *waiting* more in the queue, and why."""
        error = self.error
        reason = "not written yet" if error is None else describe(error)
        count = self._counters.pending + waiting
        failed = WriteError(self._journal.path, count, reason, error.errno if error else None)
        failed.__cause__ = error
        return failed


def describe(error: Exception) -> str:
    """Return the system's message, without the path, which the caller names itself."""
    if not isinstance(error, OSError):
        return type(error).__name__
    name = errno.errorcode.get(error.errno or 0)
    message = error.strerror or str(error) or type(error).__name__
    return f"{message} ({name})" if name else message
