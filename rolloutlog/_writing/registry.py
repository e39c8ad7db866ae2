"""The files that this process has open: one writer for each, and what happens to them at a fork and at exit.

Any number of recorders of one process may have a session open, such as those of a notebook cell that runs twice. They
share one writer, found by the file's device and inode, so that all records have one order.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic

import attrs

from .._locks import SafeLock
from .._systems import at_fork
from ..exceptions import RecorderClosedError, SessionOptionsError
from .ack import Ack
from .commands import LineRules, State, WriterOptions
from .descriptors import identity_of, may_be_open
from .file import Journal
from .workers import Workers
from .writer import Writer

# How long the exit of the interpreter may wait for what is left to be written, in seconds, for all writers together.
_EXIT_TIMEOUT = 10.0

# How many interrupts the exit survives; a timer that raises again and again must not keep the process from ending.
_MOST_INTERRUPTS = 100


# Guards what follows, and each writer's `leases`, for a few instructions at a time. Re-entrant, because a signal
# handler or a finalizer may open and close sessions as well.
_lock = SafeLock()
_workers: Workers[Writer] = Workers()
_has_hooks = _is_over = False
# The modules of `multiprocessing`, and of libraries like it, whose children we end with.
_ends: set[str] = set()
# All writers, also those that have ended and those that a forked child has not used yet.
_writers: weakref.WeakSet[Writer] = weakref.WeakSet()


class Lease:
    """One recorder's share in the writer of a file; the writer ends when its last lease is released.

    A lease that is garbage-collected is released, so an interrupt between the opening of a session and its close leaves
    nothing open.

    Attributes:
        writer: writes the file.
    """

    __slots__ = ("__weakref__", "writer")

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        writer.leases.add(id(self))

    def release(self, timeout: float | None = None) -> Ack:
        """End this share; releasing it again changes nothing.

        Args:
            timeout: as for `Writer.request_flush`.

        Returns:
            An ack that is set once everything recorded so far is on disk; for the last lease of a file, once the file
            is closed.
        """
        with _lock:
            self.writer.leases.discard(id(self))
            is_last = not self.writer.leases
            if is_last:
                self.writer.refuse_more()  # from here on, other threads do not share it
        return self.writer.shutdown(timeout) if is_last else self.writer.request_flush(timeout)

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # While the interpreter takes modules apart everything is on disk already.
        if hasattr(self, "writer") and not _is_finalizing():
            self.release()


def register(journal: Journal, options: WriterOptions, rules: LineRules) -> Lease:
    """Start a writer on *journal*, which is open, and return its first lease."""
    _add_hooks()
    lease = Lease(Writer(journal, options, rules, _reopen_in_child, _workers))
    with _lock:
        _writers.add(lease.writer)
    lease.writer.start()
    return lease


def share(path: Path, options: WriterOptions, *, timeout: float) -> Lease | None:
    """Flush the writer that this process has on a file and return a lease of it; `None` if there is no such writer.

    Args:
        path: the rollout.
        options: must be those of the writer.
        timeout: seconds to wait for the flush, or for the end of a writer that is closing.

    Raises:
        SessionOptionsError: the writer has other options.
        WriteError: earlier records could not be written.
        TimeoutError: the writer did not answer in time.
    """
    deadline = monotonic() + timeout
    key = identity_of(os.stat(path))
    if not may_be_open(key):
        return None  # without a look at each of thousands of writers
    for writer in [each for each in _workers.all_open() if each.journal.identity == key]:
        with _lock:
            lease = Lease(writer) if writer.state is State.OPEN else None
        if lease is None:
            _wait_for_end(writer, deadline)  # then open the file again
            continue
        try:
            _refuse_other_options(writer, options)
            writer.request_flush(max(0.0, deadline - monotonic())).result(max(0.0, deadline - monotonic()))
        except RecorderClosedError:  # it has failed in the meantime, and its file is closed
            lease.release()
            continue
        except BaseException:
            lease.release()  # not left to the collector: the traceback of the error holds this frame
            raise
        return lease
    return None


def look_at_file(path: Path, *, timeout: float) -> None:
    """Have the writer of this process that had the file at *path* open notice that another program compressed it.

    It unpacks the file and continues in it. Otherwise a second writer would open the unpacked file, and lock it.

    Raises:
        OSError: it cannot be unpacked or opened.
    """
    for writer in _workers.all_open():
        own = writer.journal.path
        if own.name == path.name and os.path.realpath(own) == os.path.realpath(path):
            writer.look_at_file(monotonic() + timeout)


def _wait_for_end(writer: Writer, deadline: float) -> None:
    """Wait until a writer that is closing has ended; raise at once if it cannot write what it still has."""
    try:
        writer.request_flush(deadline - monotonic()).result(max(0.0, deadline - monotonic()))
    except RecorderClosedError:  # it has ended in the meantime
        pass
    writer.shutdown(deadline - monotonic()).result(max(0.0, deadline - monotonic()))


def writer_of(journal: Journal) -> Writer | None:
    """Return the writer that was started on *journal*; `None` if there is none."""
    return next((each for each in _workers.all_open() if each.journal is journal), None)


def flushes(folder: Path) -> list[Ack]:
    """Request a flush of each file below *folder* that this process has open, and return the acks."""
    return [writer.request_flush() for writer in _workers.all_open() if writer.journal.path.is_relative_to(folder)]


def _refuse_other_options(writer: Writer, options: WriterOptions) -> None:
    """Raise unless *options* are those of the writer."""
    ours, theirs = attrs.asdict(writer.options), attrs.asdict(options)
    differing = [name for name, value in ours.items() if theirs[name] != value]
    if differing:
        raise SessionOptionsError(writer.journal.path, differing)


def _add_hooks() -> None:
    """Have forks and the exit of this process handled, from its first writer on; a mere reader needs no hooks."""
    global _has_hooks
    with _lock:
        if not _has_hooks:
            at_fork(in_child=_in_child)
            # Twice: a Ctrl-C that comes as the first one begins ends it before it could notice.
            atexit.register(_at_exit)
            atexit.register(_at_exit)
            _has_hooks = True  # last: after an interrupt they are added again, which does no harm
    _end_with_child()


def _at_exit() -> None:
    """Write what the writers of this process still have; from now on callers write for themselves.

    An interrupt is raised when that is done: a Ctrl-C while a program ends must not cost its records. A second one ends
    all waits.
    """
    global _is_over
    deadline = monotonic() + _EXIT_TIMEOUT
    interrupts: list[BaseException] = []
    while not _is_over and len(interrupts) < _MOST_INTERRUPTS:
        try:
            _write_all(deadline)
            _is_over = True
        except BaseException as error:
            interrupts.append(error)
            if len(interrupts) > 1:
                deadline = min(deadline, monotonic())
    if interrupts:
        raise interrupts[0]


def _write_all(deadline: float) -> None:
    """Write what all writers have, and say on stderr which records could not be written until *deadline*."""
    writers = _workers.all_open()
    # First by the threads: several at once, because disks may be slow; and not here, because one may not answer at all.
    for ack in [writer.request_flush(max(0.0, deadline - monotonic())) for writer in writers]:
        ack.wait(max(0.0, deadline - monotonic()))
    for writer in writers:
        writer.go_inline(max(0.0, deadline - monotonic()))
    with _lock:
        started = list(_writers)
    for lost in filter(None, [writer.lost() for writer in started]):
        # Not by a logger: it may be disabled, or its handlers closed.
        with suppress(Exception):  # stderr may be closed
            sys.stderr.write(f"rolloutlog: {lost}; the process ends without them\n")
            sys.stderr.flush()


def _end_with_child() -> None:
    """Have the end of a child that skips `atexit` handled like the end of any process.

    Such are the children of `multiprocessing`, and of libraries that began as copies of it, as billiard and
    multiprocess did: each ends by `os._exit` after the finalizers of its module ``util``. A child forgets the
    finalizers of its parent when it begins, and then calls the functions that the parent registered for that.
    """
    for name in [name for name in list(sys.modules) if name.endswith(".util") and name not in _ends]:
        util, process = sys.modules.get(name), sys.modules.get(f"{name.rpartition('.')[0]}.process")
        register, finalize = getattr(util, "register_after_fork", None), getattr(util, "Finalize", None)
        if process is None or register is None or finalize is None:
            continue
        _ends.add(name)
        register(_workers, functools.partial(_add_finalizer, finalize))
        if type(process.current_process()).__name__ != "_MainProcess":
            _add_finalizer(finalize)


def _add_finalizer(finalize: Callable[..., object], workers: object = None) -> None:
    finalize(None, _at_exit, exitpriority=-100)  # last of all: other finalizers may record


def _in_child() -> None:
    """Forget, in the child of a fork, the threads and locks of the parent."""
    global _lock, _is_over
    _lock = SafeLock()
    _is_over = False
    _ends.clear()
    parent = os.getppid()
    _workers.forget()
    for writer in list(_writers):
        writer.after_fork(parent)


def _reopen_in_child(writer: Writer) -> None:
    """Open the file of a shared writer again, in the child of a fork, once."""
    _end_with_child()
    with _lock:
        if writer.state is State.NEW:
            writer.journal.open()
            writer.start()
