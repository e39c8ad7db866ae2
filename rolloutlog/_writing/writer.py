"""The writer of one file: callers put, a daemon thread takes; a life from open to closed. It knows bytes, not models.

Callers put commands into a queue; whoever has the *turn* (the thread, or at exit the caller itself) takes all that wait
and brings them to the journal. No caller ever takes a lock. What makes that safe is the order of looks:

- A record is put first, and then its caller looks whether the writer has closed meanwhile. If it has, and the command
  is still there to be claimed, nobody will write it, and the caller says so.
- The writer says that it has closed first, and then looks once more what has been put.
"""

from __future__ import annotations

import _thread
import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from time import monotonic, sleep
from typing import Any, NoReturn

from .._json import MAX_RECORDED
from ..exceptions import ForkedRecorderError, InvalidItemError, QueueFullError, RecorderClosedError
from .ack import Ack
from .commands import Barrier, Filtered, Gap, RecorderStats, Several, State, WriterOptions
from .commit import Turn, said
from .file import Journal
from .lines import longest
from .queue import HEAVY, HandoffQueue

# How long an inline turn waits for the thread to leave its own, in seconds: it may be stuck in a system call.
_TURN_TIMEOUT = 2.0

# Looked up on the enumeration, it would cost the hot path more than the rest of its checks.
_OPEN = State.OPEN

_log = logging.getLogger("rolloutlog")


class Writer:
    """Brings lines to one journal, in the order in which they were put.

    Args:
        journal: opened already; from `start` on it belongs to whoever has the turn.
        options: how to write.
        gap_line: makes the line that says how many records were dropped.
        revive: opens the journal and starts the writer in a forked child that shares the file, at its first use.
        finish: given lines in the order in which they are written, returns them as they are written. It is given some
            again, when they could not be written, and returns what it has finished before itself.
    """

    # Set by callers, one way:    _asked (OPEN to CLOSING), _gap
    # Set by whoever has the turn: _reached (only upward), _begun and _ended (which count turns), all that `Turn` holds
    # Set by the thread:           _served_by, which is its own number for as long as it goes on
    # Set once:                    _inline, when there will be no thread any more
    # `_serving` holds the threads that have the turn or are about to, `_deferred` those that owe another one for what
    # came within their own; each puts in and takes out itself.
    # Set by the fork hook, in a child before anything else runs there: all of it
    # Set by the registry:         leases, the ids of the leases that are not released

    def __init__(
        self,
        journal: Journal,
        options: WriterOptions,
        gap_line: Callable[[int], bytes],
        revive: Callable[[Writer], None],
        finish: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self.journal = journal
        self.options = options
        self.leases: set[int] = set()
        self._gap_line = gap_line
        self._revive = revive
        self._finish = finish
        self._asked = self._reached = State.NEW
        self._forked_from: int | None = None
        self._begin_empty()

    def _begin_empty(self) -> None:
        """Begin with nothing in the queue, nothing taken and nobody waiting."""
        self.queue = HandoffQueue(self.options.queue_size)
        self._waiting = self.queue.waiting
        self._put = self.queue.put_anyway
        self._end = Ack(self._watch)
        self._turn = Turn(self.queue, self.journal, self.options, self._gap_line, self._end, self._finish)
        self._turn_lock = _thread.allocate_lock()
        self._serving: set[int] = set()
        self._deferred: set[int] = set()
        self._begun = self._ended = 0
        self._thread: threading.Thread | None = None
        self._served_by: int | None = None
        self._inline = False
        self._gap: Gap | None = None

    @property
    def state(self) -> State:
        """Return the higher of what was asked for and what the writer has reached."""
        return max(self._asked, self._reached)

    @property
    def stats(self) -> RecorderStats:
        """Return the counters as they stand."""
        return self._turn.stats

    def start(self) -> None:
        """Begin to take commands, on a daemon thread if there can be one."""
        self._asked = self._reached = State.OPEN
        if sys.is_finalizing():
            self._inline = True
            return
        # The thread holds the writer and no recorder, so that a recorder that nobody holds is collected.
        self._thread = threading.Thread(target=self._run, name=f"rolloutlog {self.journal.path.name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads, or the interpreter is about to end: callers write for themselves
            self._thread, self._inline = None, True

    # -- callers put, and look again ----------------------------------------------------------------------------------

    def put(self, line: bytes, timeout: float) -> None:
        """Hand over one whole *line*; wait at most *timeout* seconds for room.

        Raises:
            InvalidItemError: it is longer than what is read again.
            RecorderClosedError: the writer takes nothing more.
            QueueFullError: there was no room.
        """
        if self._asked is not _OPEN or len(line) >= HEAVY or self._waiting() >= self.queue.limit:
            self.put_several(line, 1, timeout)
            return
        if self._gap is not None:
            self._gap = None  # what is dropped from now on is missing behind this record
        claim = [line]
        self._put(claim)
        if self._reached is not _OPEN or self._inline:
            self._look_again(claim)

    def put_several(self, lines: bytes, count: int, timeout: float) -> None:
        """Hand over *count* whole *lines* that stay together; or one, where something is in the way. See `put`."""
        self._be_open()
        if len(lines) > MAX_RECORDED and (size := longest(lines)) > MAX_RECORDED:
            raise InvalidItemError("record", f"is longer than a line may be: {size:,} bytes")
        if not self._find_room(len(lines), timeout):
            self._drop(count)
            return
        self._gap = None
        claim = [lines]
        command = claim if count == 1 else Several(claim, count)
        if len(lines) >= HEAVY:
            self.queue.put_heavy(command, claim)
        else:
            self._put(command)
        self._look_again(claim)

    def _look_again(self, claim: list[Any]) -> None:
        """See that somebody will serve what was put, or take it back and say so."""
        if self._reached >= State.CLOSED:
            try:
                claim.pop()
            except IndexError:  # the writer's last look found it
                return
            self._refuse()
        if self._inline:
            self._serve_inline()

    def _find_room(self, size: int, timeout: float) -> bool:
        """Wait until *size* bytes may go in; return false where they are to be dropped instead."""
        deadline = monotonic() + timeout
        while not self.queue.has_room(size):
            if self.options.on_full == "drop":
                return False
            if self.options.on_full == "raise":
                raise QueueFullError(self.journal.path, "on_full is 'raise'")
            self._be_open()
            if self._turn.error is not None:
                raise QueueFullError(self.journal.path, f"the writer cannot write: {said(self._turn.error)}")
            if _thread.get_ident() in self._serving:  # a finalizer that records, run where it happened to be due
                raise QueueFullError(self.journal.path, "the thread that would make room is the one that records")
            if monotonic() >= deadline:
                raise QueueFullError(self.journal.path, f"no room within {timeout} s")
            self._watch()
            self.queue.wait_for_room(size)
        return True

    def _drop(self, count: int) -> None:
        """Count *count* records as dropped, at this place in the order of records."""
        gap = self._gap
        if gap is None or not gap.claim:
            self._gap = gap = Gap(count)
            self._put(gap)
            self._look_again(gap.claim)
            return
        gap.counts.append(count)
        if gap.claim:
            return
        try:
            gap.counts.remove(count)  # the writer came by: did it see our count?
        except ValueError:
            return
        self._gap = None
        self._drop(count)

    def filtered(self, count: int) -> None:
        """Count *count* items that were not to be recorded."""
        self._be_open()
        self._put(Filtered(count))
        if self._inline:
            self._serve_inline()

    def request_flush(self) -> Ack:
        """Ask for everything so far to be on disk; return at once."""
        self._be_started()
        ack = Ack(self._watch)
        self._submit(Barrier(ack))
        return ack

    def shutdown(self) -> Ack:
        """Ask the writer to write everything and end; return at once, each time the same ack."""
        if self._reached is State.NEW:  # shared, inherited by a fork, and never used there
            self._asked = self._reached = State.CLOSED
            self._end.set()
        if self._asked is State.OPEN:
            self._asked = State.CLOSING
        if not self._end.is_set():
            self._submit(Barrier(self._end, last=True))
        return self._end

    def _submit(self, barrier: Barrier, timeout: float | None = None) -> None:
        """Put a barrier, which needs no room, and look again; for *timeout* see `_serve_inline`."""
        self._put(barrier)
        if self._reached >= State.CLOSED and not barrier.last:
            with suppress(IndexError):  # the writer's last look found it, and answers
                barrier.claim.pop()
                barrier.ack.error = self._why_closed()
                barrier.ack.set()
        elif self._inline:
            self._serve_inline(timeout)

    def _be_open(self) -> None:
        """Raise unless records are taken."""
        self._be_started()
        if self.state is not State.OPEN:
            self._refuse()

    def _be_started(self) -> None:
        """Open the file anew if this is the fork of a process that shared it."""
        if self._reached is State.NEW:
            self._revive(self)

    def _refuse(self) -> NoReturn:
        raise self._why_closed()

    def _why_closed(self) -> RecorderClosedError:
        """Return the error that says why nothing more is taken."""
        if self._forked_from is not None:
            return ForkedRecorderError(self.journal.path, self._forked_from)
        if self._reached is State.FAILED:
            return RecorderClosedError(self.journal.path, f"the writer failed: {type(self._end.error).__name__}")
        return RecorderClosedError(self.journal.path)

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Serve the queue until the end; the daemon thread's whole life."""
        self._served_by = me = _thread.get_ident()
        try:
            self._serve(me)
        finally:
            self._served_by = None

    def _serve(self, me: int) -> None:
        """Take turns until the end, in the thread *me*."""
        while not self._inline and not self._end.is_set():
            # The wait is part of the turn: a command that was taken and not yet served must be seen by nobody.
            with self._turn_lock:
                self._serving.add(me)
                try:
                    self._await_command()
                    self._take_turn()
                except BaseException as error:
                    self._fail(error)
            self._serving.discard(me)
            self._tell()
        if me in self._deferred:
            self._serve_inline()  # what a finalizer recorded within our last turn

    def _await_command(self) -> None:
        """Wait until a command comes, or until it is time to try again."""
        if self._inline:
            return  # what was to wake us has been taken by whoever had the turn before us
        timeout = max(0.0, self._turn.retry_at - monotonic()) if self._turn.has_work else None
        with suppress(Empty):  # then it is time to try again
            self._turn.take(self.queue.get(True, timeout))

    def _take_turn(self) -> None:
        """Serve what waits, and end if that was asked for and nothing is left; the caller has the turn."""
        self._begun += 1
        self._turn.serve()
        self._ended = self._begun
        if not self._turn.closing or not self._turn.is_empty:
            return
        self._reached = State.CLOSED
        self._turn.serve()  # the second look, for what was put before its caller could see that we closed
        if self._turn.is_empty:
            self.journal.close()
            self._end.set()

    def _fail(self, error: BaseException) -> None:
        """End because of something that nobody expected, and tell everybody who waits; the caller has the turn."""
        failure = error if isinstance(error, Exception) else RuntimeError(f"the writer was ended by {error!r}")
        self._reached = State.FAILED
        self._turn.give_up(failure)
        self.journal.close()
        self._turn.news = f"the writer failed, and what it held is lost: {type(error).__name__}"

    def _tell(self) -> None:
        """Tell the logger ``rolloutlog`` what happened, once everybody who waits has been answered.

        Not during the turn: a handler of somebody else's may wait for a lock whose owner waits for us.
        """
        news, self._turn.news = self._turn.news, None
        if news is None:
            return
        try:
            _log.warning("%s: %s", self.journal.path, news)
        except Exception:  # a broken handler of somebody else's; `stats` and every ack tell the same
            return

    # -- no thread, or none any more ----------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Serve the queue here if nobody else does; whoever waits calls this from time to time."""
        # Not by `Thread.is_alive`: on Python 3.11 and 3.12 a Ctrl-C within it makes a living thread look dead for ever.
        if self._inline or self._served_by in (None, _thread.get_ident()):
            self._serve_inline()

    def go_inline(self, timeout: float | None = None) -> Ack:
        """Flush, let the thread end, and every caller write for itself from now on: the interpreter is about to end.

        Args:
            timeout: seconds to wait here for the thread, which may be stuck in a system call.
        """
        self._inline = True
        ack = Ack(self._watch)
        self._submit(Barrier(ack), timeout)
        return ack

    def _serve_inline(self, timeout: float | None = None) -> None:
        """Bring everything that waits to disk, here and now; wait at most *timeout* seconds for whoever has the turn.

        What others put meanwhile is theirs to serve: else a process would not end for as long as its daemons record.
        """
        me = _thread.get_ident()
        if me in self._serving:
            self._deferred.add(me)
            return  # a signal handler or a finalizer inside our own turn: once we return, another one follows it
        begun = self._begun
        deadline = monotonic() + (_TURN_TIMEOUT if timeout is None else timeout)
        while not self._end.is_set() and (self._turn.has_work or not self.queue.empty()):
            if self._ended > begun and me not in self._deferred:
                return  # a whole turn, ours or another's, has come after what there was
            if not self._try_turn(me):
                if monotonic() >= deadline:
                    return  # stuck in a system call: whoever waits hears that there is no answer
                sleep(0.001)
                continue
            self._tell()
            if self._turn.error is not None:
                return

    def _try_turn(self, me: int) -> bool:
        """Take a turn, in the thread *me*, unless somebody else has it; return whether it was taken."""
        got: list[bool] = []
        try:
            self._serving.add(me)  # within the `try`: an interrupt behind it would leave us in there for ever
            try:
                got.extend(map(self._turn_lock.acquire, (False,)))  # in C: no interrupt between the lock and the note
                if got[0]:
                    self._deferred.discard(me)
                    try:
                        self._take_turn()
                    except Exception as error:
                        self._fail(error)
            finally:
                if True in got:
                    self._turn_lock.release()
        finally:
            self._serving.discard(me)
        return got[0]

    # -- fork ---------------------------------------------------------------------------------------------------------

    def after_fork(self, parent: int) -> None:
        """Drop, in a child, what belongs to process *parent*; a shared file is opened anew at its first use."""
        self.journal.abandon()
        self._turn.give_up(ForkedRecorderError(self.journal.path, parent))
        goes_on = self.options.shared and self.state < State.CLOSING
        self._begin_empty()
        self._asked = self._reached = State.NEW if goes_on else State.CLOSED
        if not goes_on:
            self._forked_from = parent
            self._end.set()
