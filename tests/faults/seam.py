"""Recorders on a fake operating system, and the messages of the logger ``rolloutlog``, for the rows."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rolloutlog import RolloutRecorder, SessionMeta
from rolloutlog._format.lines import LineEncoder
from rolloutlog._open import start_writer
from rolloutlog._options import checked
from rolloutlog._paths import rollout_path
from rolloutlog._writing.file import Journal

from .fakes import FakeSystem
from .harness import until

SESSION = uuid.UUID(int=7)
STARTED = 1_750_000_000.0


def path_in(home: Path) -> Path:
    """Return the path of the session of `open_recorder`."""
    return rollout_path(home, STARTED, SESSION)


def open_recorder(home: Path, system: FakeSystem, *, inline: bool = False, **options: Any) -> RolloutRecorder:
    """Return a recorder on *system* of a new session, or of the same one if its file exists.

    Args:
        home: the folder of all sessions.
        system: the system that its journal calls.
        inline: let callers write for themselves, as at the end of the interpreter. Then only calls do something, and a
            run can be repeated exactly.
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
        until(lambda: recorder._writer._commit_lock.attempt(lambda: None))  # a thread is about to leave it
    return recorder


def resume_recorder(path: Path, system: FakeSystem, **options: Any) -> RolloutRecorder:
    """Return a recorder that resumed the session at *path*, as a new process does, and whose journal uses *system*."""

    class Recorder(RolloutRecorder):
        _system = system  # type: ignore[assignment]

    return Recorder.resume(path, **options)[0]


@contextmanager
def one_turn(recorder: RolloutRecorder) -> Iterator[None]:
    """Write what an inline recorder gets in the block in one turn, as the thread writes a burst."""
    writer = recorder._writer
    writer._inline, writer._unattended = False, []  # as if a thread attended to it
    try:
        yield
    finally:
        writer._inline, writer._unattended = True, [True]
    writer._serve_inline(writer._deadline(None))


@contextmanager
def heard() -> Iterator[list[str]]:
    """Give the list of messages of the logger ``rolloutlog`` in the block."""
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
