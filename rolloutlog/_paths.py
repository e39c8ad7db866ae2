"""Where a session is: the home, the path of its file, file name <-> (time, id), name -> id. Looks into no folder."""

from __future__ import annotations

import datetime as dt
import errno
import os
import re
import uuid
from pathlib import Path
from typing import TypeAlias

import attrs

StrPath: TypeAlias = str | os.PathLike[str]

_UTC = dt.UTC
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FILE_NAME = re.compile(
    rf"rollout-(\d{{4}}-\d\d-\d\dT(?:[01]\d|2[0-3]))-(\d\d)-(\d\d)-({UUID})(?:_({UUID}))?\.jsonl(?:\.zst)?", re.ASCII
)

# The names of sessions become ids in this namespace (RFC 9562, version 5): the same name, the same session. Never to be
# changed: every named session would be lost from sight.
NAMESPACE = uuid.UUID("9b6f1c9e-6d0b-5b0e-8f0a-3c4f7d0c2a11")
# How many later beginnings a name may have. An id that is farther from the first one belongs to another name.
_MAX_BEGINNINGS = 2**32


@attrs.frozen
class FoundFile:
    """A session's file, described by its name alone; its attributes are those of `rolloutlog.SessionFile`."""

    path: Path
    id: str
    started: dt.datetime
    revision: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)


def resolve_home(home: StrPath | None = None) -> Path:
    """Return the folder that holds all sessions: *home*, else ``ROLLOUTLOG_HOME``, else ``~/.rolloutlog``.

    Raises:
        TypeError, ValueError: *home* is not a path, or cannot be one.
        FileNotFoundError: there is no such user, or this one has no home directory.
    """
    if home is not None and not isinstance(home, str | os.PathLike):
        raise TypeError(f"home must be a path, as a string or a Path; got {type(home).__name__}")
    given = home if home is not None else os.environ.get("ROLLOUTLOG_HOME") or "~/.rolloutlog"
    text: object = os.fspath(given)
    if not isinstance(text, str) or not text or "\0" in text:
        problem = "is empty" if not text else "holds a null character" if isinstance(text, str) else "is not a string"
        raise ValueError(f"home must be the path of a folder; it {problem}")
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        hint = "no such user, or no home directory; set ROLLOUTLOG_HOME, or pass home="
        raise FileNotFoundError(errno.ENOENT, hint, str(given)) from error


def parse_session_id(value: str | uuid.UUID) -> str:
    """Return *value* as a canonical UUID, in lower case and with dashes.

    Raises:
        ValueError: *value* is not a UUID. So no id can lead out of the home.
    """
    text = str(value).lower()
    if not re.fullmatch(UUID, text):
        shown = repr(value) if len(text) <= 64 else f"{len(text)} characters"
        raise ValueError(f"a session id is a UUID such as {uuid.UUID(int=0)}, not {shown}")
    return text


def named_id(name: str, beginning: int = 0) -> str:
    """Return the id of the session called *name*: of the first one, or of a later *beginning* under that name.

    The first is a UUID of version 5. The later ones, of version 8, have the same digits up to the last group, to which
    the number of the beginning is added. So the file names of all of them have a common part, and of those that begin
    within one second, the later one is the last in the alphabet.

    Raises:
        ValueError: *name* holds half of a surrogate pair.
    """
    try:
        first = str(uuid.uuid5(NAMESPACE, name))
    except UnicodeEncodeError as error:
        raise ValueError(f"a session's name must be whole text; character {error.start} is half of a pair") from None
    if not beginning:
        return first
    return f"{first[:14]}8{first[15:24]}{(int(first[24:], 16) + beginning) % 2**48:012x}"


def beginning_of(session_id: str, name: str) -> int | None:
    """Return which beginning under *name* has this id, from 0; `None` if it is not of that name."""
    first = named_id(name)
    if session_id == first:
        return 0
    if session_id[:24] != f"{first[:14]}8{first[15:24]}":
        return None
    beginning = (int(session_id[24:], 16) - int(first[24:], 16)) % 2**48
    return beginning if 0 < beginning < _MAX_BEGINNINGS else None


def home_of(path: StrPath) -> Path | None:
    """Return the home that holds the rollout at *path*, or `None` if the path has no folder of sessions in it."""
    folders = Path(path).absolute().parents
    return next((folder.parent for folder in folders if folder.name in ("sessions", "archived_sessions")), None)


def rollout_path(home: StrPath, started: float | dt.datetime, session_id: str | uuid.UUID) -> Path:
    """Return where the session's file belongs: ``HOME/sessions/YYYY/MM/DD/rollout-TIME-ID.jsonl``.

    Args:
        home: the folder that holds all sessions.
        started: seconds since the epoch, or an aware `datetime`; folder and name use the same instant, in UTC.
        session_id: the session's UUID.
    """
    if isinstance(started, dt.datetime):
        if started.tzinfo is None:
            raise ValueError("the start of a session needs a time zone; got a naive datetime")
        instant = started.astimezone(_UTC)
    else:
        instant = dt.datetime.fromtimestamp(started, _UTC)
    name = f"rollout-{instant:%Y-%m-%dT%H-%M-%S}-{parse_session_id(session_id)}.jsonl"
    return Path(home, "sessions", f"{instant:%Y}", f"{instant:%m}", f"{instant:%d}", name)


def parse_file_name(path: StrPath) -> FoundFile | None:
    """Return what the name of *path* says about its session, or `None` if it is not named like a rollout."""
    return parsed(path, os.path.basename(path))


def parsed(path: StrPath, name: str) -> FoundFile | None:
    """Return what `parse_file_name` does, of a *path* whose last part is *name*."""
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        return None
    hour, minute, second, session_id, revision = match.groups()
    try:
        started = dt.datetime.fromisoformat(f"{hour}:{minute}:{second}+00:00")
    except ValueError:
        return None  # the 31st of February
    return FoundFile(Path(path), session_id, started, revision)
