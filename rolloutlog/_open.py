"""How the file of a session is opened: created, resumed, or shared within the process."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from ._compression import compressed_path, is_compressed, plain_path
from ._entries import SessionMeta, utc_timestamp
from ._format.envelope import Numbering
from ._format.lines import LineEncoder
from ._locks import one_at_a_time
from ._lookup import find_by_id, find_named
from ._paths import StrPath, beginning_of, named_id, parse_session_id, resolve_home, rollout_path
from ._reading.blocks import TORN
from ._reading.lines import ordinal_of
from ._reading.reader import load_session
from ._reading.saved import SavedSession
from ._repr import sized
from ._unpack import unpacked
from ._writing import registry
from ._writing.commands import LineRules, WriterOptions
from ._writing.file import Journal, named_in_errors
from ._writing.file_locks import locked_byte, locked_file
from ._writing.os_calls import REAL_SYSTEM, System
from ._writing.registry import Lease
from .exceptions import InvalidRolloutError, SessionExistsError, SessionLockedError

_log = logging.getLogger("rolloutlog")

# How long the creation of a session waits for another process that creates a session of the same id, in seconds.
_CREATE_TIMEOUT = 30.0
# How long resuming a session waits until the records that this process passed to it before are written, in seconds. For
# a shared file, whose lock another process may hold: so much longer than the caller waits for locks.
_SHARE_TIMEOUT, _SHARE_GRACE = 30.0, 2.0
# How long resuming a session pauses between two attempts, while another process has it, in seconds.
_PAUSE = 0.002
# How often a session is looked for that is not where it was found: some systems show names of files that are gone.
_MOST_LOOKS = 5
# How many bytes of a file can be locked: its offsets have 63 bits.
_OFFSETS = 2**63 - 1
# How long an interrupted opening waits for the writer to close the file that it has just got, in seconds.
_ABORT_TIMEOUT = 2.0


def open_named(
    home: StrPath | None,
    name: str,
    instructions: str | None,
    meta: Mapping[str, Any] | None,
    *,
    fresh: bool,
    writing: WriterOptions,
    encoding: dict[str, Any],
    system: System,
) -> tuple[Lease, LineEncoder, SavedSession]:
    """Resume the newest session of this name, or create one; arguments and errors are those of `create` and `resume`.

    A session that exists is opened without the lock of its id, however many processes share it. A new one is looked for
    twice, because another process may create it in between; the second look, under the lock, reads only folders that
    have changed since the first.

    Args:
        fresh: create a new session although there is one of this name.
    """
    where = resolve_home(home).absolute()
    looks = 0
    while True:
        found = find_named(where, name)
        looks += 1
        if found is not None and not fresh:
            try:
                return resume(found.path, writing=writing, encoding=encoding, system=system)
            except FileNotFoundError:  # another process has moved it since, to the trash for example
                if looks == _MOST_LOOKS:
                    raise
                continue
        beginning = 0 if found is None else (beginning_of(found.id, name) or 0) + 1
        # Of two files of one name, the later one must have the later time, even where the clock was set back.
        not_before = 0.0 if found is None else found.started.timestamp()
        try:
            lease, encoder, _ = create(
                where,
                named_id(name, beginning),
                instructions,
                meta,
                not_before=not_before,
                writing=writing,
                encoding=encoding,
                system=system,
            )
        except SessionExistsError as error:  # another thread or process was faster
            if fresh:
                continue
            return resume(error.path, writing=writing, encoding=encoding, system=system)
        with _released_on_error(lease):
            return lease, encoder, load_session(lease.writer.journal.path)


def create(
    home: StrPath | None,
    session_id: str | uuid.UUID | None,
    instructions: str | None,
    meta: Mapping[str, Any] | None,
    *,
    not_before: float = 0.0,
    writing: WriterOptions,
    encoding: dict[str, Any],
    system: System,
) -> tuple[Lease, LineEncoder, SessionMeta]:
    """Create a session; the arguments and errors are those of `RolloutRecorder.create`, the options checked.

    Args:
        not_before: it begins at this time if the clock says an earlier one, in seconds since the epoch.
    """
    where = resolve_home(home).absolute()  # the file stays where it is when the program changes its folder
    now = max(time.time(), not_before)
    name = parse_session_id(uuid.uuid4() if session_id is None else session_id)
    encoder = LineEncoder(**encoding)
    session = encoder.completed(SessionMeta(name, utc_timestamp(now), instructions, dict(meta or {})))
    journal = _journal(rollout_path(where, now, name), writing, system, header=encoder.meta(session))
    with one_at_a_time(journal.path), _closed_on_error(journal):
        # A random id is unique. A given one may be created by two processes at once, in two files with different times.
        with nullcontext() if session_id is None else id_lock(where, name, journal.path, system):
            existing = None if session_id is None else find_by_id(where, name)
            if existing is not None:
                raise SessionExistsError(name, existing)
            try:
                journal.create()
            except FileExistsError:
                raise SessionExistsError(name, journal.path) from None
        return start_writer(journal, writing, encoder), encoder, session


def id_lock(home: Path, session_id: str, path: Path, system: System = REAL_SYSTEM) -> AbstractContextManager[None]:
    """Return the lock under which the session *session_id* is created at *path*.

    Each id has a byte of its own in the one file of locks, so creating a session never waits for another session. A
    lock file for each id would remain after each kill. A lock on a folder, or on one of a few files, would make
    sessions wait that have nothing in common.
    """
    offset = uuid.UUID(session_id).int % _OFFSETS
    return locked_byte(home / "sessions" / ".lock", offset, _CREATE_TIMEOUT, path, system)


def resume(
    path: Path, *, writing: WriterOptions, encoding: dict[str, Any], system: System
) -> tuple[Lease, LineEncoder, SavedSession]:
    """Resume the session at *path*; the errors are those of `RolloutRecorder.resume`."""
    try:
        return _resume(path, writing, encoding, system)
    except FileNotFoundError:
        packed = compressed_path(path)
        if is_compressed(path) or not packed.exists():
            raise
        return _resume(packed, writing, encoding, system)  # another process has archived it since it was found


def _resume(
    path: Path, writing: WriterOptions, encoding: dict[str, Any], system: System
) -> tuple[Lease, LineEncoder, SavedSession]:
    if is_compressed(path):
        registry.look_at_file(plain_path(path), timeout=writing.lock_timeout + _SHARE_GRACE)
        path = unpacked(path, system)
    if path.is_dir():
        raise InvalidRolloutError(path, "is not a regular file")
    deadline = monotonic() + writing.lock_timeout
    _log.info("%s: resuming the session", path)  # with no lock held: handlers of the program see it
    while True:
        try:
            with one_at_a_time(path):
                found = _shared(path, deadline, writing, encoding) or _opened(path, writing, encoding, system)
            with _released_on_error(found[0]):
                _report(path, found[2])
            return found
        except SessionLockedError:
            # Not waited for in there: another thread of this process may be willing to wait longer than this one.
            if monotonic() >= deadline:
                raise
        sleep(_PAUSE)


def _report(path: Path, saved: SavedSession) -> None:
    """Log that the session was resumed, and how many of its lines could not be read."""
    if saved.skipped:
        first, count = saved.skipped[0], len(saved.skipped)
        lines = sized(count, "line")
        _log.warning(
            "%s: %s could not be read and will be skipped; the first is line %d, at byte %d: %s",
            path,
            lines,
            first.number,
            first.offset,
            first.reason,
        )
    _log.info("%s: resumed the session, with %s", path, sized(len(saved.items), "item"))


def _shared(
    path: Path, deadline: float, writing: WriterOptions, encoding: dict[str, Any]
) -> tuple[Lease, LineEncoder, SavedSession] | None:
    """Share the writer that this process has on the file, if it has one; wait for locks until *deadline*."""
    timeout = max(0.0, deadline - monotonic()) + _SHARE_GRACE if writing.shared else _SHARE_TIMEOUT
    lease = registry.share(path, writing, timeout=timeout)
    if lease is None:
        return None
    with _released_on_error(lease):
        saved = _loaded(path, writing, deadline)
        return lease, _encoder_for(saved, encoding), saved


def _opened(
    path: Path, writing: WriterOptions, encoding: dict[str, Any], system: System
) -> tuple[Lease, LineEncoder, SavedSession]:
    """Open the file and start a writer on it."""
    journal = _journal(path, writing, system)
    with _closed_on_error(journal):
        journal.open(0.0)
        saved = _loaded(path, writing, monotonic() + writing.lock_timeout, system)
        journal.header = saved._header
        encoder = _encoder_for(saved, encoding)
        numbering = None if saved._next_number is None else Numbering(ordinal_of)
        return start_writer(journal, writing, encoder, numbering), encoder, saved


def _loaded(path: Path, writing: WriterOptions, deadline: float, system: System = REAL_SYSTEM) -> SavedSession:
    """Return the session in the file.

    The last line of a shared file may be half written because another process is writing it. So it is read again under
    the lock, before it is reported as torn.
    """
    saved = load_session(path)
    if writing.shared and saved.skipped and saved.skipped[-1].reason == TORN:
        with suppress(SessionLockedError), locked_file(path, deadline, system):
            saved = load_session(path)
    return saved


def _encoder_for(saved: SavedSession, encoding: dict[str, Any]) -> LineEncoder:
    """Return an encoder for the format that *saved* has, whatever the options say."""
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
def _closed_on_error(journal: Journal) -> Iterator[None]:
    """Close *journal* if the body raises, an interrupt included; if a writer has it by then, shut down the writer."""
    try:
        with named_in_errors(journal.path):
            yield
    except BaseException:
        writer = registry.writer_of(journal)
        if writer is None:
            journal.close()
        else:
            writer.shutdown().wait(_ABORT_TIMEOUT)
        raise


@contextmanager
def _released_on_error(lease: Lease) -> Iterator[None]:
    """Release *lease* if the body raises; the garbage collector would not, because the traceback holds the frame."""
    try:
        yield
    except BaseException:
        lease.release()
        raise


def start_writer(
    journal: Journal, writing: WriterOptions, encoder: LineEncoder, numbering: Numbering | None = None
) -> Lease:
    """Start a writer on *journal*, which is open, and return its first lease."""

    def gap_line(count: int) -> bytes:
        return encoder.gap(count, "the queue was full")

    return registry.register(journal, writing, LineRules(gap_line, numbering))
