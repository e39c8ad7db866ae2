"""convert(): writes a session again in the other format, to a file of its own."""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TypeAlias

import attrs

from ._entries import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine, utc_timestamp
from ._format.envelope import event_of
from ._format.lines import Format, LineEncoder
from ._json import MAX_LINE
from ._lookup import find_by_id
from ._open import id_lock
from ._paths import parse_file_name, parse_session_id, resolve_home, rollout_path
from ._reading.blocks import StrPath
from ._reading.forks import NO_BASE, iter_history
from ._reading.lines import INHERITED, read_head
from ._reading.reader import load_session
from ._writing.file import Journal
from ._writing.lines import longest
from .exceptions import InvalidItemError, InvalidRolloutError, SessionExistsError
from .items import is_item

# The type of an event that shows a text, and that text; or no such event.
_Event: TypeAlias = tuple[object, object] | None

# Keys of a meta that describe its file, and not the session.
_OF_THE_FILE = frozenset({"history_mode", "history_base", "forked_from_ordinal_exclusive"})
# Lines are written in batches of this many bytes; a longer line is a batch of its own.
_BATCH = 4 * 1024 * 1024


def convert(path: StrPath, *, format: Format, home: StrPath | None = None) -> Path:
    """Write the session at *path* again in the other format, and return the new file; the old one is not changed.

    Items, states, log entries and all other readable lines are in the new file, in the same order. These are left out:
    lines that cannot be read, the times of wrapped lines, the events that showed a message (the envelope format gets
    new ones), and the metas of the sessions that a fork has its history from. If Codex let a fork refer to another
    file, the history is copied from there; `SavedSession.inherited` remains the same. Records that are written to the
    old file during the call may be missing in the new one.

    The new session keeps its id, so `session` finds it by its name. Only if *home* has a session with that id already,
    it gets a new id, and its meta the key ``converted_from``.

    Args:
        path: a rollout.
        format: "flat" or "envelope".
        home: the folder for the new file, as for `RolloutRecorder.create`.

    Raises:
        ValueError: the session has that format already, or there is no such format.
        SessionNotFoundError, InvalidRolloutError, MissingExtraError: as for `load_session`; or the session refers to a
            history that cannot be found.
        InvalidItemError: the new format cannot hold something: an item nested 127 deep or of nearly 64 MiB, or a
            ``cwd`` that is not a string.
        SessionExistsError: the file that it would make exists already.
        SessionLockedError: another process creates a session of this id, and takes more than 30 seconds.
        OSError: the old file cannot be read, or the new one cannot be written; then nothing of it is left.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("trip-to-rome") as session:
        ...     session.record({"role": "user", "content": "Plan a day in Rome"})
        >>> path = rolloutlog.convert(session.path, format="envelope", home="for-codex")
        >>> rolloutlog.load_session(path).items
        [Message(role='user', 'Plan a day in Rome')]
    """
    head = read_head(path)
    clock = Clock(head.session.timestamp)
    encoder = LineEncoder(format=format, clock=clock)
    if format == head.format:
        raise ValueError(f"{os.fspath(path)} has the format {format!r} already")
    where, started = resolve_home(home).absolute(), _began(head.session, path)
    with _only_creation(head.session, where, started):
        session = encoder.completed(_counted_once(_moved(head.session, where), path))
        journal = Journal(rollout_path(where, started, session.id), header=encoder.meta(session), fsync="flush")
        try:
            journal.create(batches(_lines(path, encoder, clock)))
        except FileExistsError:
            raise SessionExistsError(session.id, journal.path) from None
        finally:
            journal.close()
    return journal.path


def _only_creation(session: SessionMeta, home: Path, started: dt.datetime) -> AbstractContextManager[None]:
    """Return the lock of the session's id, under which no other thread or process creates such a session in *home*."""
    try:
        session_id = parse_session_id(session.id)
    except ValueError:
        return nullcontext()  # it gets a new id
    return id_lock(home, session_id, rollout_path(home, started, session_id))


class Clock:
    """Gives the time for wrapped lines: the last one that the session itself contains.

    Args:
        timestamp: when the session began, ISO 8601; if that is not a valid time, it began now.
    """

    def __init__(self, timestamp: str) -> None:
        self._now = time.time()
        self.hear(timestamp)

    def __call__(self) -> float:
        return self._now

    def hear(self, timestamp: str) -> None:
        """Set the time to *timestamp*, if that is a valid one."""
        with suppress(ValueError, OverflowError, OSError):  # then the time remains the same
            told = dt.datetime.fromisoformat(timestamp)
            seconds = (told if told.tzinfo else told.replace(tzinfo=dt.UTC)).timestamp()
            utc_timestamp(seconds)  # raises if it is not a time in UTC: the first hours of the year 1 in Asia
            self._now = seconds


def _moved(session: SessionMeta, home: Path) -> SessionMeta:
    """Return the meta for the new file."""
    extra = {key: value for key, value in session.extra.items() if key not in _OF_THE_FILE}
    try:
        session_id = parse_session_id(session.id)
    except ValueError:
        return attrs.evolve(session, id=str(uuid.uuid4()), extra={**extra, "converted_from": session.id})
    if find_by_id(home, session_id) is None:
        return attrs.evolve(session, extra=extra)
    return attrs.evolve(session, id=str(uuid.uuid4()), extra={**extra, "converted_from": session_id})


def _counted_once(session: SessionMeta, path: StrPath) -> SessionMeta:
    """Return the meta with the length of the inherited history: the new lines no longer show it."""
    inherited = 0 if session.parent_id is None else load_session(path).inherited
    return attrs.evolve(session, extra={**session.extra, INHERITED: inherited}) if inherited else session


def _began(session: SessionMeta, path: StrPath) -> dt.datetime:
    """Return when the session began: from its meta, else from the name of its file, else now."""
    with suppress(ValueError, OverflowError):
        if session.started.year >= 1000:  # names of files and folders have four digits for it
            return session.started
    named = parse_file_name(path)
    return named.started if named is not None else dt.datetime.now(dt.UTC)


def _lines(path: StrPath, encoder: LineEncoder, clock: Clock) -> Iterator[bytes]:
    """Yield the lines of the new file after the meta."""
    following: _Event = None  # the event that the envelope format adds after the last item
    before: _Event = None  # the last event since then: older Codex writes that of an answer before its item
    for entry in iter_history(path):
        if is_item(entry):
            event = event_of(entry.to_dict()) if is_item(entry) else None
            shown = None if event is None else (event["type"], event["message"])
            (line,), _ = encoder.items([entry])
            if shown is not None and shown == before:
                line = line[: line.index(b"\n") + 1]  # the file has that event already
                shown = None
            following, before = shown, None
            yield _readable(line, entry)
        elif isinstance(entry, SessionStateSnapshot):
            yield _readable(encoder.state(entry), entry)
        elif isinstance(entry, LogEntry):
            clock.hear(entry.timestamp)
            yield _readable(encoder.log(entry), entry)
        elif isinstance(entry, OtherEntry):
            event_here = _shows(entry)
            if event_here is not None and event_here == following:
                following = None
                continue
            before = event_here or before
            yield _readable(encoder.other(entry), entry)
        elif isinstance(entry, SkippedLine) and entry.reason == NO_BASE:
            raise InvalidRolloutError(path, NO_BASE)


def _readable(line: bytes, entry: Entry) -> bytes:
    """Return *line*, the one of *entry*, if it can be read: a wrapped line is longer than it was."""
    if len(line) > MAX_LINE and (size := longest(line)) > MAX_LINE:
        raise InvalidItemError(
            entry.type, f"is longer than a line may be: {size:,} bytes; at most {MAX_LINE:,} can be read"
        )
    return line


def _shows(entry: OtherEntry) -> _Event:
    """Return type and text of the event on the line of *entry*, if it shows a text."""
    payload = entry.raw.get("payload") if entry.type == "event_msg" else None
    return (payload.get("type"), payload.get("message")) if isinstance(payload, dict) and "message" in payload else None


def batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Yield *lines* in batches, so that memory holds one of them at most."""
    batch, size = list[bytes](), 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch
