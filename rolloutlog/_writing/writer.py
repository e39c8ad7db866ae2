"""The writer of one file: takes what callers put and writes it, from its opening to its end. It knows bytes, not items.

Callers put commands into a queue. A thread takes all that wait and commits them to the journal while it holds the
writer's commit lock; if no thread can be started, the caller does so itself. No caller waits for a lock. The order of
the checks makes this safe:

- A caller puts first and then checks whether the writer has closed, and whether a thread attends to the queue. If the
  writer has closed and the command can still be claimed, it will not be written, and the caller raises. If no thread
  attends to the queue, the caller has one come.
- The writer says first that it has closed, or that no thread attends to the queue, and then checks the queue again.
"""

from __future__ import annotations

import functools
import logging
import math
import operator
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from threading import get_ident
from time import monotonic, sleep
from typing import Any, NoReturn

from .._json import MAX_RECORDED
from ..exceptions import ForkedRecorderError, InvalidItemError, QueueFullError, RecorderClosedError, WriteError
from .ack import Ack
from .commands import Barrier, Batch, Filtered, Gap, LineRules, RecorderStats, State, WriterOptions
from .commit import Committer, describe
from .commit_lock import CommitLock
from .file import Journal
from .lines import longest
from .queue import HEAVY, WriterQueue
from .workers import Workers

# How long an inline commit waits for locks if its caller gave no time, in seconds. A thread that holds the commit lock
# may be stuck in a system call.
_LOCK_TIMEOUT = 2.0

# How often an inline commit is tried in all, after an exception. One out of a signal handler does not come again.
_MOST_ATTEMPTS = 10

# To look it up on the enumeration would cost the hot path more than the rest of its checks.
_OPEN = State.OPEN

_log = logging.getLogger("rolloutlog")


class Writer:
    """Writes lines to one journal, in the order in which they were put.

    Args:
        journal: is open; from `start` on it belongs to the thread that holds the commit lock.
        options: how to write.
        rules: how to make and change lines.
        reopen_in_child: opens the journal and starts the writer in a forked child that shares the file, at its first
            use.
        workers: the threads that serve it.
    """

    # Set by callers, one way:         _asked (OPEN to CLOSING), _gap
    # Set by the holder of the lock:   _reached (only rises), _unattended, everything in `_committer`
    # Set once:                        _inline, when no thread will serve this writer any more; with it, at the end of
    #                                  the interpreter, _last_moment, when all waits end
    # Set by the registry:             leases, the ids of the leases that are not released
    # Set by the fork hook, in a child before anything else runs there: all of it
    #
    # `_unattended` is true while no thread is sure to see a command that is put now: it is a list with something in it.
    # A caller that has had a thread come empties it. The holder makes a new list each time it leaves, so that a caller
    # that is slow empties an old one.

    def __init__(
        self,
        journal: Journal,
        options: WriterOptions,
        rules: LineRules,
        reopen_in_child: Callable[[Writer], None],
        workers: Workers[Writer],
    ) -> None:
        self.journal = journal
        self.options = options
        self.leases: set[int] = set()
        self._rules = rules
        self._reopen_in_child = reopen_in_child
        self._workers = workers
        self._asked = self._reached = State.NEW
        self._forked_from: int | None = None
        self._parent = 0
        self._begin_empty()

    def _begin_empty(self) -> None:
        """Begin with an empty queue and no waiting callers."""
        self.queue = WriterQueue(self.options.queue_size)
        self._qsize = self.queue.raw_qsize
        self._put = self.queue.put_unbounded
        self._end = Ack(self._check_served)
        self._committer = Committer(self.queue, self.journal, self.options, self._rules, self._end)
        self._commit_lock = CommitLock()
        self._unattended = [True]
        self._inline = False
        self._last_moment = math.inf
        self._gap: Gap | None = None

    @property
    def state(self) -> State:
        """Return the higher of the requested and the reached state."""
        return max(self._asked, self._reached)

    @property
    def stats(self) -> RecorderStats:
        """Return the counters as they are now."""
        return self._committer.stats

    def start(self) -> None:
        """Begin to take commands, served by a thread if there can be one."""
        self._asked = self._reached = State.OPEN
        try:
            self._workers.begin(self)
        except RuntimeError:  # no more threads, or the interpreter is about to end: callers write for themselves
            self._inline = True

    # -- callers put, and check again ---------------------------------------------------------------------------------

    def put(self, line: bytes, timeout: float) -> None:
        """Hand over one whole *line*; wait at most *timeout* seconds for room.

        Raises:
            InvalidItemError: it is longer than a reader reads.
            RecorderClosedError: the writer is closing or closed.
            QueueFullError: there was no room.
        """
        if self._asked is not _OPEN or len(line) >= HEAVY or self._qsize() >= self.queue.limit:
            self.put_several(line, 1, timeout)
            return
        if self._gap is not None:
            self._gap = None  # records that are dropped from now on are missing after this one
        claim = [line]
        self._put(claim)
        if self._reached is not _OPEN or self._unattended:
            self._recheck_closed(claim, timeout)

    def put_several(self, lines: bytes, count: int, timeout: float, note: Callable[[], object] | None = None) -> None:
        """Hand over *count* whole *lines* that stay together, or one that `put` cannot hand over; see `put`.

        Args:
            lines, count, timeout: as above.
            note: written in C, and called just before the lines go into the queue. No signal handler can record in
                between, so the notes have the order of the file.
        """
        deadline = monotonic() + timeout
        self._check_open()
        if len(lines) > MAX_RECORDED and (size := longest(lines)) > MAX_RECORDED:
            raise InvalidItemError(
                "record", f"is longer than a line may be: {size:,} bytes; at most {MAX_RECORDED:,} can be read"
            )
        if not self._find_room(len(lines), timeout, deadline):
            self._drop(count)
            return
        self._gap = None
        claim = [lines]
        command = claim if count == 1 else Batch(claim, count)
        if count > 1:
            self.queue.surplus.append(count - 1)
        put = self._put if note is None else functools.partial(_put_noted, self._put, note)
        if len(lines) >= HEAVY:
            self.queue.put_heavy(command, claim, put)
        else:
            put(command)
        self._recheck_closed(claim, deadline - monotonic())

    def _recheck_closed(self, claim: list[Any], timeout: float) -> None:
        """Make sure that a command which was put will be served, or take it back and raise."""
        if self._reached >= State.CLOSED:
            try:
                claim.pop()
            except IndexError:  # the writer found it when it checked the queue again
                return
            self._refuse()
        self._have_served(timeout)

    def _have_served(self, timeout: float | None = None) -> None:
        """Have the commands that wait served; here, if need be, with at most *timeout* seconds for its locks."""
        unattended = self._unattended
        if self._inline:
            self._serve_inline(self._deadline(timeout))
        elif unattended:
            self._workers.wake(self)  # first: an interrupt after this costs a second wake-up, and not the only one
            unattended.clear()

    def _find_room(self, size: int, timeout: float, deadline: float) -> bool:
        """Wait until there is room for *size* bytes; return false if the record must be dropped."""
        while not self.queue.has_room(size):
            if self.options.on_full == "drop":
                return False
            if self.options.on_full == "raise":
                raise QueueFullError(self.journal.path, "on_full is 'raise'")
            self._check_open()
            if self._committer.error is not None:
                raise QueueFullError(self.journal.path, f"the writer cannot write: {describe(self._committer.error)}")
            if self._commit_lock.is_mine:  # a finalizer that records, run in the middle of a commit
                raise QueueFullError(self.journal.path, "the thread that would make room is the one that records")
            if monotonic() >= deadline:
                raise QueueFullError(self.journal.path, f"no room within {timeout} s")
            self._check_served(deadline)
            self.queue.wait_for_room(size)
        return True

    def _drop(self, count: int) -> None:
        """Count *count* records as dropped, at this place in the order of records."""
        gap = self._gap
        if gap is None or not gap.claim:
            self._gap = gap = Gap(count)
            self._put(gap)
            self._recheck_closed(gap.claim, 0.0)
            return
        gap.counts.append(count)
        if gap.claim:
            return
        try:
            gap.counts.remove(count)  # the writer has claimed the gap: did it see our count?
        except ValueError:
            return
        self._gap = None
        self._drop(count)

    def filtered(self, count: int) -> None:
        """Count *count* items that were filtered out."""
        self._check_open()
        self.queue.surplus.append(-1)
        self._put(Filtered(count))
        self._have_served(0.0)

    def request_flush(self, timeout: float | None = None) -> Ack:
        """Ask for everything so far to be written; return at once.

        Args:
            timeout: seconds to wait for locks, if this caller must write for itself.
        """
        self._check_started()
        ack = Ack(functools.partial(self._check_queue, self.queue))
        self._submit(Barrier(ack), timeout)
        return ack

    def refuse_more(self) -> None:
        """Accept no more records; `shutdown` must follow. Takes no lock, and waits for nothing."""
        if self._reached is State.NEW:  # shared, inherited by a fork, and never used there
            self._asked = self._reached = State.CLOSED
            self._end.set()
        if self._asked is State.OPEN:
            self._asked = State.CLOSING

    def shutdown(self, timeout: float | None = None) -> Ack:
        """Ask the writer to write everything and end; return at once, each time with the same ack.

        Args:
            timeout: as for `request_flush`.
        """
        self.refuse_more()
        if not self._end.is_set():
            self._submit(Barrier(self._end, last=True), timeout)
        return self._end

    def _submit(self, barrier: Barrier, timeout: float | None = None) -> None:
        """Put a barrier, which needs no room, and check again; for *timeout* see `_have_served`."""
        self.queue.surplus.append(-1)
        self._put(barrier)
        if self._reached >= State.CLOSED and not barrier.last:
            with suppress(IndexError):  # the writer found it when it checked the queue again, and answers
                barrier.claim.pop()
                barrier.ack.error = self._why_closed()
                barrier.ack.set()
        else:
            self._have_served(timeout)

    def _check_open(self) -> None:
        """Raise unless records are taken."""
        self._check_started()
        if self.state is not State.OPEN:
            self._refuse()

    def _check_started(self) -> None:
        """Open the file again if this process is a fork of the one that shared it."""
        if self._reached is State.NEW:
            self._reopen_in_child(self)

    def _refuse(self) -> NoReturn:
        raise self._why_closed()

    def _why_closed(self) -> RecorderClosedError:
        """Return the error that says why no more records are taken."""
        if self._forked_from is not None:
            return ForkedRecorderError(self.journal.path, self._forked_from)
        if self._reached is State.FAILED:
            return RecorderClosedError(self.journal.path, f"the writer failed: {type(self._end.error).__name__}")
        return RecorderClosedError(self.journal.path)

    # -- a thread serves ----------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Write what waits, and what comes soon after, in one of the threads that serve all writers."""
        if not self._commit_lock.attempt(self._attend):
            return  # the thread that holds the lock has the rest served
        self._log()
        if self._inline:
            # Commands from before the lock was released; from now on callers write for themselves.
            self._serve_inline(self._deadline(None))
        else:
            self._have_rest_served()

    def _have_rest_served(self) -> None:
        """Have a thread serve what came too late for the last commit, or could not be written in it.

        Every thread must call this after it has released the lock, because `serve` leaves it to the holder.
        """
        if self._end.is_set():
            return
        if not self.queue.empty():
            self._workers.wake(self)
        elif self._committer.has_work:
            self._workers.wake_at(self._committer.retry_at, self)

    def _attend(self) -> None:
        """Commit until no command has come for a while, or until other writers need the thread; it holds the lock."""
        self._unattended = []
        try:
            while not self._inline:
                self._commit()
                committer = self._committer
                if self._end.is_set() or committer.has_work or committer.log_message is not None:
                    return
                if not self._workers.may_stay():
                    return
                if self.queue.empty():
                    # The wait needs the lock: no other thread may see a state with a command taken and not served.
                    committer.take(self._workers.stay(self.queue))
        except Empty:
            return
        except BaseException as error:
            self._fail(error)
        finally:
            self._unattended = [True]

    def _commit(self, deadline: float = math.inf) -> None:
        """Commit what waits, and end if that was requested and nothing is left; the caller holds the lock."""
        self._commit_lock.count(self._committer.commit, deadline)
        if not self._committer.closing or not self._committer.is_empty:
            return
        self._reached = State.CLOSED
        # The second check: a caller may have put before it could see that we have closed.
        self._committer.commit(deadline)
        if self._committer.is_empty:
            self.journal.close()
            self._workers.end(self)
            self._end.set()

    def _fail(self, error: BaseException) -> None:
        """End because of an unexpected error, and answer all acks with it; the caller holds the lock."""
        failure = error if isinstance(error, Exception) else RuntimeError(f"the writer was ended by {error!r}")
        self._reached = State.FAILED
        self._committer.fail_all(failure)
        self.journal.close()
        self._workers.end(self)
        self._committer.log_message = f"the writer failed, and its records are lost: {type(error).__name__}"

    def _log(self) -> None:
        """Log the message of the last commits to the logger ``rolloutlog``.

        Not while the lock is held: a handler of the program may wait for a lock whose owner waits for us.
        """
        message, self._committer.log_message = self._committer.log_message, None
        if message is None:
            return
        try:
            _log.warning("%s: %s", self.journal.path, message)
        except Exception:  # a broken handler of the program; `stats` and every ack carry the error as well
            return

    # -- callers serve ------------------------------------------------------------------------------------------------

    def _deadline(self, timeout: float | None) -> float:
        """Return the moment at which a caller that may take *timeout* seconds stops waiting."""
        return min(self._last_moment, monotonic() + (_LOCK_TIMEOUT if timeout is None else timeout))

    def _check_served(self, deadline: float) -> float:
        """Make sure that a thread serves the queue, or serve it here; callers that wait do this from time to time.

        Args:
            deadline: when the wait of the caller ends.

        Returns:
            The same, or an earlier moment, at which the end of the interpreter stops waiting.
        """
        deadline = min(deadline, self._last_moment)
        if self._inline or self._workers.are_gone or self._workers.is_one:
            self._serve_inline(deadline)
        elif self._unattended:
            self._workers.wake(self)  # an interrupt may have come between a put and its wake-up
        return deadline

    def _check_queue(self, queue: WriterQueue, deadline: float) -> float:
        """Call `_check_served` for an ack in *queue*; raise if that queue is the parent process's."""
        if queue is not self.queue:
            raise ForkedRecorderError(self.journal.path, self._parent)
        return self._check_served(deadline)

    def lost(self) -> WriteError | None:
        """Return the error that says how many records are not on disk, if any; the interpreter ends without them."""
        error = self._committer.unwritten(self._committer.count_waiting())
        return error if error.unwritten else None

    def go_inline(self, timeout: float | None = None) -> Ack:
        """Flush, and have every caller write for itself from now on: the interpreter is about to end.

        Args:
            timeout: seconds after which no caller waits any more. A thread that holds the commit lock may be stuck in a
                system call, and another process may hold the lock of the file.
        """
        deadline = self._deadline(timeout)
        self._inline = True
        if timeout is not None:
            self._last_moment = deadline
        self._unattended = [True]
        ack = Ack(functools.partial(self._check_queue, self.queue))
        self._submit(Barrier(ack), timeout)
        # A thread that held the lock when the interpreter ends would hold it forever, and a record of a finalizer that
        # comes later would be lost.
        lock = self._commit_lock
        commit = functools.partial(self._commit_here, deadline)
        try:
            lock.first = get_ident()
            while not lock.is_mine and not lock.attempt(commit) and monotonic() < deadline:
                sleep(0.001)
        finally:
            lock.first = None
        return ack

    def _serve_inline(self, deadline: float) -> None:
        """Write everything that waits, here and now; wait for locks until *deadline*.

        Commands that others put in the meantime are theirs to serve: else a process would not end while its daemon
        threads record.
        """
        lock = self._commit_lock
        if lock.is_mine:
            lock.owe_commit()  # this is a signal handler or a finalizer inside a commit: another one follows it
            return
        begun = lock.begun
        commit = functools.partial(self._commit_here, deadline)
        while not self._end.is_set() and (self._committer.has_work or not self.queue.empty()):
            if lock.ended > begun and not lock.owes_commit:
                break  # a whole commit, ours or another thread's, has come after what there was
            if lock.attempt(commit):
                self._log()
                if self._committer.error is not None:
                    break
            elif monotonic() < deadline:
                sleep(0.001)
            else:
                break  # stuck in a system call: callers that wait get no answer in time
        if not self._inline:
            self._have_rest_served()

    def _commit_here(self, deadline: float) -> None:
        """Commit in the thread of a caller, who gets no error of this writer's but an interrupt.

        An exception of a signal handler is an interrupt, too. It does not come again when the commit is tried again.
        """
        first: Exception | None = None
        for _ in range(_MOST_ATTEMPTS):
            try:
                self._commit(deadline)
                break
            except Exception as error:
                first = first or error
        else:
            self._fail(first or RuntimeError("not committed"))
            return
        if first is not None:
            try:
                raise first
            finally:
                del first  # the error and this frame would refer to each other

    def look_at_file(self, deadline: float) -> None:
        """Have the journal open the file at its path, if that is another one now, or was compressed.

        Raises:
            OSError: it cannot be opened.
        """
        lock = self._commit_lock
        look = functools.partial(self._look_at_file, deadline)
        try:
            while not lock.is_mine and not lock.attempt(look) and monotonic() < deadline:
                sleep(0.001)
        finally:
            self._have_rest_served()

    def _look_at_file(self, deadline: float) -> None:
        if self.state is _OPEN:  # else the journal is closed, or will be
            self.journal.append([], deadline=deadline)

    # -- fork ---------------------------------------------------------------------------------------------------------

    def after_fork(self, parent: int) -> None:
        """Drop, in a child, what belongs to process *parent*; a shared file is opened again at its first use."""
        self.journal.abandon()
        # Without the interpreter's lock, the queue has one of its own. A thread of the parent may have had it, and will
        # never release it here: each waiter notices by itself that its ack is in the parent's queue.
        has_lock: bool = getattr(sys, "_is_gil_enabled", lambda: True)()
        self._parent = parent
        self._committer.fail_all(ForkedRecorderError(self.journal.path, parent), takes=has_lock)
        is_shared = self.options.shared and self.state < State.CLOSING
        self._begin_empty()
        self._asked = self._reached = State.NEW if is_shared else State.CLOSED
        if not is_shared:
            self._forked_from = parent
            self._end.set()


def _put_noted(put: Callable[[Any], object], note: Callable[[], object], command: Any) -> None:
    """Call *note*, and *put* with *command*; in C, so that no signal handler can run in between."""
    steps: tuple[Callable[[], object], ...] = note, functools.partial(put, command)
    deque(map(operator.call, steps), maxlen=0)
