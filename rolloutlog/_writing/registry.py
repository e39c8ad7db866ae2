"""What this process has open: one writer for each file, and what becomes of the writers at a fork and at exit.

Within one process any number of recorders may have a session open (a notebook cell that runs twice meets no ghost of
itself); they share one writer, known by the file's device and inode, so that order holds.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import attrs

from ..exceptions import RecorderClosedError, SessionOptionsError
from .ack import Ack
from .commands import State, WriterOptions
from .file import Journal
from .writer import Writer

GapLine = Callable[[int], bytes]

# How long the exit of the interpreter may take to bring what is left to disk, in seconds and for all writers together.
_EXIT_TIMEOUT = 10.0


# Guards the list below and each writer's `users`, for the few instructions that look and change. Re-entrant, for a
# signal handler or a finalizer may open and leave sessions as well.
_lock = threading.RLock()
_writers: list[weakref.ref[Writer]] = []
_finalizing_child = False


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

    def release(self) -> Ack:
        """End this share; releasing it again changes nothing.

        Returns:
            An ack that is set once everything recorded so far is on disk; for the last lease of a file, once the file
            is closed.
        """
        with _lock:
            self.writer.leases.discard(id(self))
            if not self.writer.leases:
                return self.writer.shutdown()
        return self.writer.request_flush()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # While the interpreter takes modules apart everything is on disk already.
        if hasattr(self, "writer") and not _is_finalizing():
            self.release()


def register(
    journal: Journal,
    options: WriterOptions,
    gap_line: GapLine,
    finish: Callable[[bytes], bytes] | None = None,
) -> Lease:
    """Start a writer on *journal*, which is open, and return the first lease; for the other arguments see `Writer`."""
    _end_with_child()
    lease = Lease(Writer(journal, options, gap_line, _revive, finish))
    with _lock:
        _writers[:] = [reference for reference in _writers if reference() is not None]
        _writers.append(weakref.ref(lease.writer))
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
    status = os.stat(path)
    deadline = monotonic() + timeout
    for writer in _living():
        if writer.journal.identity != (status.st_dev, status.st_ino):
            continue
        with _lock:
            lease = Lease(writer) if writer.state is State.OPEN else None
        if lease is None:
            writer.shutdown().result(max(0.0, deadline - monotonic()))  # it is ending: wait, then open the file anew
            continue
        try:
            _refuse_other_options(writer, options)
            writer.request_flush().result(max(0.0, deadline - monotonic()))
        except RecorderClosedError:  # it has failed in the meantime, and its file is closed
            lease.release()
            continue
        except BaseException:
            lease.release()  # not left to the collector: the traceback of the error holds this frame
            raise
        return lease
    return None


def writer_of(journal: Journal) -> Writer | None:
    """Return the writer that was started on *journal*; `None` if there is none."""
    return next((each for each in _living() if each.journal is journal and each.state is not State.NEW), None)


def flushes(folder: Path) -> list[Ack]:
    """Ask for what this process has recorded into files below *folder* to be on disk; return an ack for each file."""
    return [writer.request_flush() for writer in _living() if writer.journal.path.is_relative_to(folder)]


def _refuse_other_options(writer: Writer, options: WriterOptions) -> None:
    """Raise if *options* are not those that the writer has."""
    ours, theirs = attrs.asdict(writer.options), attrs.asdict(options)
    differing = [name for name, value in ours.items() if theirs[name] != value]
    if differing:
        raise SessionOptionsError(writer.journal.path, differing)


def _living() -> list[Writer]:
    """Return the writers that have not ended."""
    return [
        writer
        for reference in tuple(_writers)
        if (writer := reference()) is not None and writer.journal.identity is not None
    ]


def _revive(writer: Writer) -> None:
    """Open the file of a writer that shares it, in the child of a fork, once."""
    _end_with_child()
    with _lock:
        if writer.state is State.NEW:
            writer.journal.open()
            writer.start()


def _at_exit() -> None:
    """Bring to disk what the writers of this process still have; what comes later is written by whoever records it."""
    deadline = monotonic() + _EXIT_TIMEOUT
    writers = _living()
    for writer in writers:
        writer.go_inline(0.0)  # all threads at once, for disks may be slow
    acks = [writer.go_inline(max(0.0, deadline - monotonic())) for writer in writers]
    for ack in acks:
        ack.wait(max(0.0, deadline - monotonic()))  # its error was told when it happened: see `Writer._tell`


def _end_with_child() -> None:
    """See to it that the end of a `multiprocessing` child, which may skip `atexit`, is like the end of any process.

    To be called in the child itself, before its first writer starts: what is registered while forking is forgotten.
    """
    global _finalizing_child
    processes = sys.modules.get("multiprocessing.process")
    if _finalizing_child or processes is None or processes.parent_process() is None:
        return
    from multiprocessing.util import Finalize

    _finalizing_child = True
    Finalize(None, _at_exit, exitpriority=-100)  # last of all: other finalizers may record


def _in_child() -> None:
    """Forget, in the child of a fork, the threads and locks of the parent."""
    global _lock, _finalizing_child
    _lock = threading.RLock()
    _finalizing_child = False
    parent = os.getppid()
    for reference in tuple(_writers):
        writer = reference()
        if writer is not None:
            writer.after_fork(parent)


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_in_child)
