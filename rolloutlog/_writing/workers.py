"""A few daemon threads that serve the writers of all open sessions.

A writer whose queue is empty needs no thread. A caller that puts a command into such a queue puts the writer into the
queue of ready writers, from which the threads take. While a session is in use one thread stays with it, so that its
records need no such step.

Threads are started by threads, when they take a writer and no other thread is left to take the next one. Up to
`_MOST_BUSY` of them work at once: more would only compete for the interpreter. Beyond that, a new thread joins in only
when all others are stuck, in a system call on a disk that does not answer. So no session waits for another's disk.
"""

from __future__ import annotations

import _thread
import heapq
import queue
import sys
import threading
from contextlib import suppress
from itertools import count
from time import monotonic, sleep
from typing import Generic, Protocol, TypeVar

from .._locks import SafeLock

# How many threads work at once, if none is stuck; and how many more may each stay with a session that is in use.
_MOST_BUSY = 4
_MOST_STAYING = 4

# How long a thread stays with a session after its last record, in seconds.
_STAY = 0.1

# How long no thread may take a writer, while one is ready, before the next thread joins in; in seconds.
_STUCK_AFTER = 0.01

# How long a thread that is not needed waits before it ends, in seconds.
_IDLE = 1.0


class Served(Protocol):
    """A writer, as the threads see it."""

    def serve(self) -> None:
        """Write what waits; must not raise."""


_Writer = TypeVar("_Writer", bound=Served)


class Workers(Generic[_Writer]):
    """The threads of one process."""

    # `_lock` guards all but `_ready` and `_staying`, for a few instructions at a time. Callers that record never take
    # it: they only put writers into `_ready`, which is written in C and may be entered again at any point.
    #   _open       the writers that have been started and have not ended
    #   _threads    the numbers of the threads that take writers
    #   _free       how many of them wait for a writer
    #   _staying    the numbers of those that stay with a writer whose queue is empty; each thread adds and removes
    #               its own, without the lock, which would cost a flush 2 µs
    #   _spare      one more thread was started and has not joined in yet
    #   _taken      how many writers were taken so far
    #   _retries    heap of (time, number, writer): which writers to serve again without a command, and when
    #   _retrying   the writers in that heap

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Start with no threads and no writers, also in a forked child."""
        self._open: set[_Writer] = set()
        self._lock = SafeLock()
        self._ready: queue.SimpleQueue[_Writer | None] = queue.SimpleQueue()
        self._threads: set[int] = set()
        self._staying: set[int] = set()
        self._free = self._taken = 0
        self._spare = False
        self._retries: list[tuple[float, int, _Writer]] = []
        self._retrying: set[_Writer] = set()
        self._numbers = count()

    def all_open(self) -> list[_Writer]:
        """Return the writers that have been started and have not ended."""
        return list(self._open)  # in one step, as a loop or a tuple is not: other threads begin and end writers

    # -- for writers --------------------------------------------------------------------------------------------------

    def begin(self, writer: _Writer) -> None:
        """Serve *writer* until `end`.

        Raises:
            RuntimeError: there is no thread and none can be started, or it would not live long enough.
        """
        with self._lock:
            self._open.add(writer)
        if sys.is_finalizing() or getattr(threading, "_SHUTTING_DOWN", False):
            raise RuntimeError("the interpreter is about to end")  # the exit hook has run, or never will
        try:
            self._start_if_needed()
        except RuntimeError:  # the system has no more threads
            if self.are_gone:
                raise

    def end(self, writer: _Writer) -> None:
        """Stop serving *writer*; the threads end with the last one."""
        with self._lock:
            self._open.discard(writer)
            if not self._open:
                self._ready.put(None)

    def wake(self, writer: _Writer) -> None:
        """Have *writer* served soon; takes no lock."""
        self._ready.put(writer)

    def wake_at(self, moment: float, writer: _Writer) -> None:
        """Have *writer* served at *moment* (`time.monotonic`), unless that is due already."""
        with self._lock:
            if writer in self._retrying:
                return
            self._retrying.add(writer)
            heapq.heappush(self._retries, (moment, next(self._numbers), writer))
            if self._free:
                self._ready.put(None)  # one of the threads that wait must wait no longer than until then

    @property
    def are_gone(self) -> bool:
        """Whether there is no thread, and none is about to come."""
        return not self._threads and not self._spare

    @property
    def is_one(self) -> bool:
        """Whether this thread is one of ours: then it must not wait for another one."""
        return _thread.get_ident() in self._threads

    def may_stay(self) -> bool:
        """Return whether the thread that asks may wait for the next command of the writer that it serves."""
        if not self._ready.empty() or len(self._staying) >= _MOST_STAYING:
            return False
        return self._free > 0 or len(self._open) <= len(self._threads)

    def stay(self, writer_queue: queue.Queue[object]) -> object:
        """Wait for the next command in *writer_queue*; raise `queue.Empty` when none comes."""
        me, staying = _thread.get_ident(), self._staying
        staying.add(me)
        try:
            return writer_queue.get(True, _STAY)
        finally:
            staying.discard(me)

    # -- the threads --------------------------------------------------------------------------------------------------

    def _start_if_needed(self) -> None:
        """Start a thread if none is left to take the next writer."""
        is_mine = False
        try:
            with self._lock:
                if self._free or self._spare or len(self._threads) >= len(self._open):
                    return
                is_mine = self._spare = True
            # Not under the lock: this waits for the new thread, and for locks of `threading`.
            threading.Thread(target=self._run, name="rolloutlog writer", daemon=True).start()
        except BaseException:
            if is_mine:
                self._spare = False
            raise

    def _run(self) -> None:
        """Join in, then take writers and serve them; the whole life of a thread."""
        me = _thread.get_ident()
        try:
            if self._join_in(me):
                while self._serve_next():
                    pass
        finally:
            with self._lock:
                self._threads.discard(me)

    def _join_in(self, me: int) -> bool:
        """Wait until this thread is needed, and count it; return false if it is not needed any more."""
        is_needed, needed_at = False, monotonic()
        try:
            while not (is_needed := len(self._threads) - len(self._staying) < _MOST_BUSY):
                taken = self._taken
                sleep(_STUCK_AFTER)
                if not self._free:
                    needed_at = monotonic()
                    if is_needed := taken == self._taken and self._is_due():  # all others are stuck
                        break
                elif monotonic() - needed_at > _IDLE:
                    break
        finally:
            with self._lock:
                self._spare = False
                if is_needed:
                    self._threads.add(me)
                    self._free += 1
        return is_needed

    def _is_due(self) -> bool:
        """Return whether a writer waits to be served."""
        with self._lock:
            return not self._ready.empty() or bool(self._retries and self._retries[0][0] <= monotonic())

    def _serve_next(self) -> bool:
        """Take a writer and serve it; return false if this thread is not needed any more."""
        writer = self._take()
        if writer is None:
            return False
        writer.serve()
        with self._lock:
            if _thread.get_ident() not in self._threads:
                return False  # this is the child of a fork that was made while we served
            self._free += 1
        return True

    def _take(self) -> _Writer | None:
        """Wait for the next writer that is ready and take it; return `None` if this thread is not needed any more."""
        idle_since = monotonic()
        writer: _Writer | None
        while True:
            with self._lock:
                now = monotonic()
                if self._retries and self._retries[0][0] <= now:
                    writer = heapq.heappop(self._retries)[2]
                    self._retrying.discard(writer)
                    break
                is_idle = self._free > 1 and now - idle_since >= _IDLE
                if (is_idle or not self._open) and self._ready.empty():
                    self._free -= 1
                    if not self._open:
                        self._retries.clear()
                        self._retrying.clear()
                        if self._free:
                            self._ready.put(None)  # the next one ends as well
                    return None
                timeout = self._retries[0][0] - now if self._retries else None
                if self._free > 1:
                    timeout = _IDLE if timeout is None else min(timeout, _IDLE)
            try:
                writer = self._ready.get(True, timeout)
            except queue.Empty:
                continue
            if writer is not None:  # else the retries have changed, or the last writer has ended
                break
        with self._lock:
            self._free -= 1
            self._taken += 1
            if self._free and self._retries:
                self._ready.put(None)  # this thread waited for the next retry: let another one do so
        with suppress(RuntimeError):  # no more threads: the ones that there are must do
            self._start_if_needed()
        return writer
