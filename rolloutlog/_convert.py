"""convert(): a session in the other format, in a file of its own."""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import attrs

from ._entries import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine, utc_timestamp
from ._format.envelope import event_of
from ._format.lines import Format, LineEncoder, wire
from ._paths import find_by_id, parse_file_name, parse_session_id, resolve_home, rollout_path
from ._reading.blocks import StrPath
from ._reading.forks import INHERITED, NO_BASE, iter_history, load_session
from ._reading.reader import load_head
from ._writing.file import Journal
from ._writing.lines import MAX_LINE, longest
from .exceptions import InvalidItemError, InvalidRolloutError, SessionExistsError
from .items import is_item

# Which event shows which text, or none.
_Event: TypeAlias = tuple[object, object] | None

# What a meta says of its own file, and not of the session.
_OF_THE_FILE = frozenset({"history_mode", "history_base", "forked_from_ordinal_exclusive"})
# How many bytes of lines are written at once, or one line that has more.
_BATCH = 4 * 1024 * 1024


def convert(path: StrPath, *, format: Format, home: StrPath | None = None) -> Path:
    """Write the session at *path* again in the other format, and return the new file; the old one stays as it is.

    Items, states, log entries and all other lines that can be read are in the new file, in the same order. What is not:
    lines that cannot be read, the times of wrapped lines, the events that showed a message (the envelope format gets
    them anew), and the metas of the sessions whose history a fork has. Where Codex had a fork refer to another file,
    its history is copied; `SavedSession.inherited` stays what it was. What is recorded meanwhile may be in the new file
    or not.

    The new session keeps its id, so that `session` finds it by its name, unless *home* holds that id already; then it
    has a new one, and its meta says ``converted_from``.

    Args:
        path: a rollout.
        format: "flat" or "envelope".
        home: where the new one goes, as for `RolloutRecorder.create`.

    Raises:
        ValueError: it has that format already, or there is no such format.
        SessionNotFoundError, InvalidRolloutError, MissingExtraError: as for `load_session`; or the history is not there
            that the session refers to.
        InvalidItemError: the new format has no place for something in it: an item nested 127 deep or of nearly 64 MiB,
            a ``cwd`` that is no string.
        SessionExistsError: another call makes the same file just now.
        OSError: the old file cannot be read, or the new one written; nothing of it is left behind then.
    """
    head = load_head(path)
    clock = _Clock(head.session)
    encoder = LineEncoder(format=format, clock=clock)
    if format == head.format:
        raise ValueError(f"{os.fspath(path)} is of the format {format!r} already")
    where = resolve_home(home).absolute()
    session = encoder.completed(_counted_once(_moved(head.session, where), path))
    started = _began(head.session, path)
    final = rollout_path(where, started, session.id)
    hidden = final.with_name(f".{final.name}.{os.urandom(4).hex()}")
    journal = Journal(hidden, header=encoder.meta(session), fsync="flush")
    journal.create()
    try:
        for lines in _batches(_lines(path, encoder, clock)):
            journal.append(lines)
        journal.sync()
        journal.close()
        _name(hidden, final)
    except FileExistsError:
        raise SessionExistsError(session.id, final) from None
    finally:
        journal.close()
        with suppress(OSError):  # litter at worst
            os.unlink(hidden)
    return final


def _name(hidden: Path, final: Path) -> None:
    """Give the file its name, unless something has that already."""
    try:
        os.link(hidden, final)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if final.exists():
            raise FileExistsError(final) from None
        os.rename(hidden, final)


class _Clock:
    """Tells the time for wrapped lines: the last that the session itself has told."""

    def __init__(self, session: SessionMeta) -> None:
        self._now = time.time()
        self.hear(session.timestamp)

    def __call__(self) -> float:
        return self._now

    def hear(self, timestamp: str) -> None:
        """Go to *timestamp*, if that is one."""
        with suppress(ValueError, OverflowError, OSError):  # then the time stays what it was
            told = dt.datetime.fromisoformat(timestamp)
            seconds = (told if told.tzinfo else told.replace(tzinfo=dt.UTC)).timestamp()
            utc_timestamp(seconds)  # raises where it is no time in UTC, such as the first hours of the year 1 in Asia
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
    """Return the meta that says how much of a fork, the session at *path*, was said before it: the lines do no more."""
    inherited = 0 if session.parent_id is None else load_session(path).inherited
    return attrs.evolve(session, extra={**session.extra, INHERITED: inherited}) if inherited else session


def _began(session: SessionMeta, path: StrPath) -> dt.datetime:
    """Return when the session began: by its meta, else by the name of its file, else now."""
    with suppress(ValueError, OverflowError):
        if session.started.year >= 1000:  # the name of a file, and of its folder, has four digits there
            return session.started
    named = parse_file_name(path)
    return named.started if named is not None else dt.datetime.now(dt.UTC)


def _lines(path: StrPath, encoder: LineEncoder, clock: _Clock) -> Iterator[bytes]:
    """Yield the lines of the new file, behind the first."""
    following: _Event = None  # the event that goes without saying behind the last item
    before: _Event = None  # the last event since then, which stands where older Codex puts that of an answer
    for entry in iter_history(path):
        if is_item(entry):
            event = event_of(wire(entry))
            shown = None if event is None else (event["type"], event["message"])
            (line,), _ = encoder.items([entry])
            if shown is not None and shown == before:
                line = line[: line.index(b"\n") + 1]  # it is shown already
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
    """Return *line*, which stands for *entry*, if it can be read again: what is wrapped is longer than it was."""
    if len(line) > MAX_LINE and (size := longest(line)) > MAX_LINE:
        raise InvalidItemError(entry.type, f"is longer than a line may be: {size:,} bytes")
    return line


def _shows(entry: OtherEntry) -> _Event:
    """Return which event shows which text on the line *entry*."""
    payload = entry.raw.get("payload") if entry.type == "event_msg" else None
    return (payload.get("type"), payload.get("message")) if isinstance(payload, dict) and "message" in payload else None


def _batches(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch, size = list[bytes](), 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    yield batch
