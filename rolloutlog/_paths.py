"""Where sessions live: the home, the dated folders, file name <-> (time, id), and finding a session. Opens no file."""

from __future__ import annotations

import datetime as dt
import os
import re
import uuid
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import TypeAlias, TypeGuard

import attrs

from .exceptions import AmbiguousSessionError, SessionNotFoundError

StrPath: TypeAlias = str | os.PathLike[str]

_UTC = dt.UTC
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FILE_NAME = re.compile(
    rf"rollout-(\d{{4}})-(\d\d)-(\d\d)T(\d\d)-(\d\d)-(\d\d)-({_UUID})(?:_({_UUID}))?\.jsonl(?:\.zst)?", re.ASCII
)
_PREFIX = re.compile(r"[0-9a-f-]{1,36}")
_FOLDERS = (re.compile(r"\d{4}", re.ASCII), re.compile(r"\d\d", re.ASCII), re.compile(r"\d\d", re.ASCII))
_MOST_CANDIDATES = 8


@attrs.frozen
class SessionFile:
    """A session's file, as its name tells it. It can be passed wherever a path can.

    Attributes:
        path: the file.
        id: the session's UUID.
        started: when it began, to the second, in UTC (real Codex names its files in local time).
        revision: the id that Codex gave the file, where it took turns of the session back and went on in a new one;
            `started` is when it did so.
    """

    path: Path
    id: str
    started: dt.datetime
    revision: str | None = None

    def __fspath__(self) -> str:
        return str(self.path)


def resolve_home(home: StrPath | None = None) -> Path:
    """Return the folder that holds all sessions: *home*, else ``ROLLOUTLOG_HOME``, else ``~/.rolloutlog``."""
    if home is not None:
        return Path(home).expanduser()
    named = os.environ.get("ROLLOUTLOG_HOME")
    return Path(named or "~/.rolloutlog").expanduser()


def parse_session_id(value: str | uuid.UUID) -> str:
    """Return *value* as a canonical UUID, in lower case and with dashes.

    Raises:
        ValueError: it is none. So nothing that is passed as an id can lead out of the home.
    """
    text = str(value).lower()
    if not re.fullmatch(_UUID, text):
        shown = repr(value) if len(text) <= 64 else "something that long"
        raise ValueError(f"a session id is a UUID such as {uuid.UUID(int=0)}, not {shown}")
    return text


def home_of(path: StrPath) -> Path | None:
    """Return the home in whose folders the rollout at *path* lies, or `None` if it lies elsewhere."""
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
            raise ValueError("the time that a session began needs a time zone")
        instant = started.astimezone(_UTC)
    else:
        instant = dt.datetime.fromtimestamp(started, _UTC)
    name = f"rollout-{instant:%Y-%m-%dT%H-%M-%S}-{parse_session_id(session_id)}.jsonl"
    return Path(home, "sessions", f"{instant:%Y}", f"{instant:%m}", f"{instant:%d}", name)


def parse_file_name(path: StrPath) -> SessionFile | None:
    """Return what the name of *path* tells, or `None` if it is not named like a rollout."""
    match = _FILE_NAME.fullmatch(os.path.basename(path))
    if match is None:
        return None
    try:
        started = dt.datetime(*map(int, match.groups()[:6]), tzinfo=_UTC)  # type: ignore[arg-type, misc]
    except ValueError:
        return None  # the 31st of February
    return SessionFile(Path(path), match[7], started, match[8])


def find_sessions(home: StrPath | None = None, *, archived: bool = False) -> Iterator[SessionFile]:
    """Yield the sessions in *home*, newest first by file name.

    It lists a folder only when it gets there, so the newest few of very many come at once, and opens no file. A session
    that is made or deleted meanwhile may be yielded or not. Of one that Codex took turns of back only the file is
    yielded in which it goes on.

    Args:
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`.
        archived: whether to yield those that Codex has archived, instead of the others.
    """
    revised = set[str]()
    for found in _files(home, archived):
        if found.id in revised:
            continue
        if found.revision is not None:  # the names of the earlier files come after it
            revised.add(found.id)
        yield found


def _files(home: StrPath | None, archived: bool) -> Iterator[SessionFile]:
    """Yield the files of sessions in *home*, newest first by name."""
    if archived:
        yield from _files_in(os.path.join(resolve_home(home), "archived_sessions"))
        return
    sessions = resolve_home(home) / "sessions"
    for year in _names(sessions, _FOLDERS[0]):
        for month in _names(os.path.join(sessions, year), _FOLDERS[1]):
            for day in _names(os.path.join(sessions, year, month), _FOLDERS[2]):
                yield from _files_in(os.path.join(sessions, year, month, day))


def _files_in(folder: str) -> Iterator[SessionFile]:
    """Yield the files of sessions that lie in *folder* itself."""
    names = sorted(_listed(folder), reverse=True)
    plain = set(names) if any(map(str.endswith, names, repeat(".zst"))) else ()
    for name in names:
        if name.endswith(".zst") and name.removesuffix(".zst") in plain:
            continue  # it is being compressed or decompressed just now: the plain file is the one that is appended to
        found = parse_file_name(os.path.join(folder, name))
        if found is not None:
            yield found


def _names(folder: StrPath, pattern: re.Pattern[str]) -> list[str]:
    """Return the names in *folder* that fit, last in the alphabet first."""
    return sorted(filter(pattern.fullmatch, _listed(folder)), reverse=True)


def _listed(folder: StrPath) -> list[str]:
    """Return the names in *folder*; none when there is no such folder."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def find_by_id(home: StrPath | None, session_id: str | uuid.UUID) -> Path | None:
    """Return the file of the session that has this id, the newest if there are several, or `None`."""
    wanted = parse_session_id(session_id)
    return next((found.path for found in _all_sessions(home) if found.id == wanted), None)


def find_base(home: StrPath, name: str) -> Path | None:
    """Return the file that others refer to as *name*: its revision, or the id of the session whose first file it is."""
    files = (found for archived in (False, True) for found in _files(home, archived))
    return next((found.path for found in files if (found.revision or found.id) == name), None)


def _all_sessions(home: StrPath | None) -> Iterator[SessionFile]:
    yield from find_sessions(home)
    yield from find_sessions(home, archived=True)


def find_session(session: StrPath | uuid.UUID, home: StrPath | None = None) -> Path:
    """Return the file of *session*.

    Args:
        session: a path (a `PathLike`, or a string that has a separator or ends in ``.jsonl`` or ``.jsonl.zst``), an id,
            or the beginning of one.
        home: the folder that holds all sessions, for an id.

    Raises:
        SessionNotFoundError: there is none.
        AmbiguousSessionError: more than one id begins so.
    """
    if _is_path(session):
        try:
            path = Path(session).expanduser()
        except RuntimeError as error:  # "~nobody/": there is no such user
            raise SessionNotFoundError(str(session), Path(session).parent) from error
        if not path.exists():
            raise SessionNotFoundError(str(path), path.parent)
        return path
    wanted = str(session).lower()
    searched = resolve_home(home) / "sessions"
    matches: dict[str, Path] = {}
    if _PREFIX.fullmatch(wanted):
        for found in _all_sessions(home):
            if found.id.startswith(wanted):
                matches.setdefault(found.id, found.path)
                if found.id == wanted:
                    return found.path
    if len(matches) > 1:
        raise AmbiguousSessionError(str(session), searched, list(matches)[:_MOST_CANDIDATES])
    if not matches:
        raise SessionNotFoundError(str(session), searched)
    return next(iter(matches.values()))


def _is_path(session: object) -> TypeGuard[StrPath]:
    if isinstance(session, os.PathLike):
        return True
    return isinstance(session, str) and (os.sep in session or session.endswith((".jsonl", ".jsonl.zst")))
