"""The journal's seam, held by the harness: a system whose calls fail when told to, and a recorder that stands on it."""

from __future__ import annotations

import errno
import logging
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from rolloutlog import RolloutRecorder, SessionMeta
from rolloutlog._format.lines import LineEncoder
from rolloutlog._open import start_writer
from rolloutlog._options import checked
from rolloutlog._paths import rollout_path
from rolloutlog._writing.file import Journal
from rolloutlog._writing.os_calls import REAL_SYSTEM

ERRNOS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EINTR, errno.EFBIG, errno.ENOENT)

# What a write can do besides failing with a number.
SHORT = "short"  # half of the bytes, and the caller is told so
ZERO = "zero"  # nothing, and no reason given

SESSION = uuid.UUID(int=7)
STARTED = 1_750_000_000.0


@attrs.frozen
class Fault:
    """The *at*-th call named *call* (from 1, since it was armed) goes wrong; with *forever*, all later ones too."""

    call: str
    at: int
    how: int | str
    forever: bool = False

    def __str__(self) -> str:
        how = errno.errorcode[self.how] if isinstance(self.how, int) else self.how
        return f"{self.call} #{self.at}{' and on' if self.forever else ''}: {how}"


class FaultySystem:
    """The real system, whose calls fail as the armed faults say.

    A failed fsync does what Linux does: the dirty pages are dropped, and the next fsync says yes. Which bytes that hit
    is remembered, and `lose_dropped_pages` makes them what they will be once the page cache is gone: NULs.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.most_pieces = 2  # in one write: what happens between two writes is to be met, too
        self.calls: Counter[str] = Counter()
        self.hits = 0
        self.before: Callable[[str, tuple[Any, ...]], None] | None = None  # called before each call, faulty or not
        self._synced: dict[int, int] = {}  # by inode: bytes that a sync brought to the medium
        self._dropped: dict[int, list[tuple[int, int]]] = {}

    def arm(self, *faults: Fault) -> None:
        """Count calls from now on, and let them fail as *faults* say."""
        self.faults, self.hits = list(faults), 0
        self.calls.clear()

    def heal(self) -> None:
        """Let nothing fail any more."""
        self.faults = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(REAL_SYSTEM, name)

        def call(*args: Any) -> Any:
            if self.before is not None:
                self.before(name, args)
            self.calls[name] += 1
            for fault in self.faults:
                number = self.calls[name]
                if fault.call == name and (number == fault.at or (fault.forever and number > fault.at)):
                    self.hits += 1
                    return self._fail(fault, real, args)
            result = real(*args)
            self._note(name, args)
            return result

        return call

    def _fail(self, fault: Fault, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if fault.how == ZERO:
            return 0
        if fault.how == SHORT:
            fd, lines = args
            data = b"".join(lines)
            return real(fd, [data[: max(1, len(data) // 2)]])
        assert isinstance(fault.how, int)
        if fault.call == "fsync":
            status = os.fstat(args[0])
            begin = self._synced.get(status.st_ino, 0)
            self._dropped.setdefault(status.st_ino, []).append((begin, status.st_size))
            self._synced[status.st_ino] = status.st_size
        raise OSError(fault.how, os.strerror(fault.how))

    def _note(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "fsync":
            status = os.fstat(args[0])
            self._synced[status.st_ino] = status.st_size
        elif name == "ftruncate":
            fd, size = args
            inode = os.fstat(fd).st_ino
            self._synced[inode] = min(self._synced.get(inode, 0), size)
            cut = [(begin, min(end, size)) for begin, end in self._dropped.get(inode, [])]
            self._dropped[inode] = [(begin, end) for begin, end in cut if begin < end]

    def brought_to_medium(self, path: Path) -> None:
        """Take note that somebody else synced *path*."""
        status = os.stat(path)
        self._synced[status.st_ino] = status.st_size

    def lose_dropped_pages(self, path: Path) -> None:
        """Turn to NULs what a failed fsync dropped and nobody has written again."""
        with open(path, "r+b") as file:
            for begin, end in self._dropped.get(os.fstat(file.fileno()).st_ino, []):
                file.seek(begin)
                file.write(bytes(end - begin))


def path_in(home: Path) -> Path:
    """Return where the recorder of `open_recorder` writes."""
    return rollout_path(home, STARTED, SESSION)


def open_recorder(home: Path, system: FaultySystem, *, inline: bool = False, **options: Any) -> RolloutRecorder:
    """Return a recorder of a new session (or the same one, when its file is there) that stands on *system*.

    Args:
        home: the folder of all sessions.
        system: what its journal calls.
        inline: let callers write for themselves, as at the end of the interpreter: nothing happens then but what a call
            makes happen, and a run can be repeated exactly.
        options: as for every recorder.
    """
    writing, encoding = checked(options)
    encoder = LineEncoder(**encoding)
    session = SessionMeta(str(SESSION), "2025-06-15T15:06:40.000Z")
    path = path_in(home)
    journal = Journal(
        path,
        header=encoder.meta(session),
        shared=writing.shared,
        fsync=writing.fsync,
        lock_timeout=writing.lock_timeout,
        system=system,  # type: ignore[arg-type]
    )
    journal.open() if path.exists() else journal.create()
    recorder = RolloutRecorder(start_writer(journal, writing, encoder), encoder, session)
    if inline:
        recorder._writer.go_inline()
        thread = recorder._writer._thread
        assert thread is not None
        thread.join(10)
        assert not thread.is_alive(), "the writer's thread did not end"
    return recorder


def resume_recorder(path: Path, system: FaultySystem, **options: Any) -> RolloutRecorder:
    """Return a recorder that resumed the session at *path*, as a new process does, and whose journal uses *system*."""

    class Recorder(RolloutRecorder):
        _system = system  # type: ignore[assignment]

    return Recorder.resume(path, **options)[0]


@contextmanager
def one_turn(recorder: RolloutRecorder) -> Iterator[None]:
    """Let what an inline recorder is given meanwhile wait, and be written in one turn, as a burst is by the thread."""
    writer = recorder._writer
    writer._inline = False
    try:
        yield
    finally:
        writer._inline = True
    writer._serve_inline()


@contextmanager
def heard() -> Iterator[list[str]]:
    """Give the list of what the logger ``rolloutlog`` says meanwhile."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, ear = logging.getLogger("rolloutlog"), Ear()
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagates
