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


def begin(
    journal: Journal,
    options: WriterOptions,
    gap_line: GapLine,
    user: object,
    finish: Callable[[bytes], bytes] | None = None,
) -> Writer:
    """Start a writer on *journal*, which is open, for *user*; for *gap_line* and *finish* see `Writer`."""
    _end_with_child()
    writer = Writer(journal, options, gap_line, _revive, finish)
    writer.users.append(user)
    with _lock:
        _writers[:] = [reference for reference in _writers if reference() is not None]
        _writers.append(weakref.ref(writer))
    writer.start()
    return writer


def join(path: Path, options: WriterOptions, user: object, *, timeout: float) -> Writer | None:
    """Let *user* share the writer that this process has on a file, after a flush; `None` if it has none.

    Args:
        path: the rollout.
        options: must be those of the writer.
        user: who shares it; an object of its own for each.
        timeout: seconds to wait for the flush, or for the end of a writer that is closing.

    Raises:
        SessionOptionsError: the writer has other options.
        WriteError: what was recorded before could not be written.
        TimeoutError: the writer did not answer in time.
    """
    status = os.stat(path)
    deadline = monotonic() + timeout
    for writer in _living():
        if writer.journal.identity != (status.st_dev, status.st_ino):
            continue
        with _lock:
            is_open = writer.state is State.OPEN
            if is_open:
                writer.users.append(user)
        if not is_open:
            writer.shutdown().result(max(0.0, deadline - monotonic()))  # it is ending: let it, then open anew
            continue
        try:
            _refuse_other_options(writer, options)
            writer.request_flush().result(max(0.0, deadline - monotonic()))
        except RecorderClosedError:  # it failed meanwhile, and let go of the file
            leave(writer, user)
            continue
        except BaseException:
            leave(writer, user)
            raise
        return writer
    return None


def writer_of(journal: Journal) -> Writer | None:
    """Return the writer that was started on *journal*; `None` if there is none."""
    return next((each for each in _living() if each.journal is journal and each.state is not State.NEW), None)


def flushes(folder: Path) -> list[Ack]:
    """Ask for what this process has recorded into files below *folder* to be on disk; return an ack for each file."""
    return [writer.request_flush() for writer in _living() if writer.journal.path.is_relative_to(folder)]


def leave(writer: Writer, user: object) -> Ack:
    """End the share of *user*; the last one to leave shuts the writer down. The ack tells when all is on disk."""
    with _lock:
        if user in writer.users:
            writer.users.remove(user)
        if not writer.users:
            return writer.shutdown()
    return writer.request_flush()


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
