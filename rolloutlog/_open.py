"""How the file of a session comes to be open: made, taken up again, or shared within the process."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from ._entries import SessionMeta, utc_timestamp
from ._format.envelope import Numbering
from ._format.lines import LineEncoder
from ._locks import fork_safe_lock
from ._paths import StrPath, find_by_id, parse_session_id, resolve_home, rollout_path
from ._reading.blocks import is_compressed
from ._reading.forks import load_session
from ._reading.saved import SavedSession
from ._writing import registry
from ._writing.commands import WriterOptions
from ._writing.file import Journal
from ._writing.os_calls import System, locked_folder
from ._writing.registry import Lease
from .exceptions import InvalidRolloutError, SessionExistsError

# How long the look for a session and its making may hold up others who do the same, in seconds.
_HOME_TIMEOUT = 10.0
# How long taking up a session waits for what this process recorded into it before, in seconds.
_JOIN_TIMEOUT = 30.0
# How long an interrupt of the opening waits for the writer to close what it has just begun, in seconds.
_ABORT_TIMEOUT = 2.0


def make(
    home: StrPath | None,
    session_id: str | uuid.UUID | None,
    instructions: str | None,
    meta: Mapping[str, Any] | None,
    *,
    writing: WriterOptions,
    encoding: dict[str, Any],
    system: System,
) -> tuple[Lease, LineEncoder, SessionMeta]:
    """Make a new session; the arguments and errors are those of `RolloutRecorder.create`, the options checked."""
    where = resolve_home(home).absolute()  # wherever the program goes, the file stays where it is
    now = time.time()
    name = parse_session_id(uuid.uuid4() if session_id is None else session_id)
    encoder = LineEncoder(**encoding)
    session = encoder.completed(SessionMeta(name, utc_timestamp(now), instructions, dict(meta or {})))
    journal = _journal(rollout_path(where, now, name), writing, system, header=encoder.meta(session))
    with _taking_turns(journal.path), _closing_if_it_fails(journal):
        # A random id is nobody else's. With a given one, two processes that begin at once would make a session each.
        with nullcontext() if session_id is None else locked_folder(where / "sessions", _HOME_TIMEOUT):
            existing = None if session_id is None else find_by_id(where, name)
            if existing is not None:
                raise SessionExistsError(name, existing)
            try:
                journal.create()
            except FileExistsError:
                raise SessionExistsError(name, journal.path) from None
        return start_writer(journal, writing, encoder), encoder, session


def take_up(
    path: Path, *, writing: WriterOptions, encoding: dict[str, Any], system: System
) -> tuple[Lease, LineEncoder, SavedSession]:
    """Open the session at *path* again; the errors are those of `RolloutRecorder.resume`."""
    if is_compressed(path):
        raise InvalidRolloutError(path, "is compressed, and nothing can be appended to it; `zstd -d --rm` unpacks it")
    with _taking_turns(path):
        return _shared(path, writing, encoding) or _opened(path, writing, encoding, system)


def _shared(
    path: Path, writing: WriterOptions, encoding: dict[str, Any]
) -> tuple[Lease, LineEncoder, SavedSession] | None:
    """Share the writer that this process has on the file, if it has one."""
    lease = registry.share(path, writing, timeout=_JOIN_TIMEOUT)
    if lease is None:
        return None
    try:
        saved = load_session(path)
        return lease, _encoder_for(saved, encoding), saved
    except BaseException:
        lease.release()  # not left to the collector: the traceback of the error holds this frame
        raise


def _opened(
    path: Path, writing: WriterOptions, encoding: dict[str, Any], system: System
) -> tuple[Lease, LineEncoder, SavedSession]:
    """Open the file and start a writer on it."""
    journal = _journal(path, writing, system)
    with _closing_if_it_fails(journal):
        journal.open()
        saved = load_session(path)
        journal.header = saved.header
        encoder = _encoder_for(saved, encoding)
        numbering = None if saved.next_number is None else Numbering(saved.next_number)
        return start_writer(journal, writing, encoder, numbering), encoder, saved


def _encoder_for(saved: SavedSession, encoding: dict[str, Any]) -> LineEncoder:
    """Return what makes lines like those that *saved* has."""
    return LineEncoder(**{**encoding, "format": saved.format})


def _journal(path: Path, writing: WriterOptions, system: System, header: bytes = b"") -> Journal:
    return Journal(
        path,
        header=header,
        shared=writing.shared,
        fsync=writing.fsync,
        lock_timeout=writing.lock_timeout,
        system=system,
    )


@contextmanager
def _closing_if_it_fails(journal: Journal) -> Iterator[None]:
    """Close *journal* when the body fails, by an interrupt, too; where a writer has it already, let that do it."""
    try:
        yield
    except BaseException:
        writer = registry.writer_of(journal)
        if writer is None:
            journal.close()
        else:
            writer.shutdown().wait(_ABORT_TIMEOUT)
        raise


def start_writer(
    journal: Journal, writing: WriterOptions, encoder: LineEncoder, numbering: Numbering | None = None
) -> Lease:
    """Start a writer on *journal*, which is open, and return its first lease."""

    def gap_line(count: int) -> bytes:
        return encoder.gap(count, "the queue was full")

    return registry.register(journal, writing, gap_line, numbering)


_guard = fork_safe_lock()
# By real path: the lock of those who open that file now, and how many they are. Only touched under `_guard`.
_openers: dict[str, tuple[Any, int]] = {}


@contextmanager
def _taking_turns(path: Path) -> Iterator[None]:
    """Let other threads of this process that open the file at *path* wait until this one has.

    The first opens it, and the others find its writer and share it. Without this they would find the file locked: by
    this very process.
    """
    key = os.path.realpath(path)
    with _guard:
        lock, openers = _openers.get(key) or (fork_safe_lock(), 0)
        _openers[key] = (lock, openers + 1)
    try:
        with lock:
            yield
    finally:
        with _guard:
            lock, openers = _openers.pop(key)
            if openers > 1:
                _openers[key] = (lock, openers - 1)


def _forget_openers() -> None:
    _openers.clear()


os.register_at_fork(after_in_child=_forget_openers)
