"""Where sessions are: the home, the dated folders, file name <-> (time, id), name -> id, finding one. Opens no file."""

from __future__ import annotations

import datetime as dt
import errno
import logging
import os
import re
import uuid
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import TypeAlias, TypeGuard

import attrs

from ._listing import Listing, names_in
from .exceptions import AmbiguousSessionError, SessionNotFoundError

StrPath: TypeAlias = str | os.PathLike[str]

_UTC = dt.UTC
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FILE_NAME = re.compile(
    rf"rollout-(\d{{4}}-\d\d-\d\dT(?:[01]\d|2[0-3]))-(\d\d)-(\d\d)-({_UUID})(?:_({_UUID}))?\.jsonl(?:\.zst)?", re.ASCII
)
_PREFIX = re.compile(r"[0-9a-f-]{1,36}")
_YEAR = re.compile(r"\d{4}", re.ASCII)
_MONTH = _DAY = re.compile(r"\d\d", re.ASCII)
_MAX_CANDIDATES = 8

# The names of sessions become ids in this namespace (RFC 9562, version 5): the same name, the same session. Never to be
# changed: every named session would be lost from sight.
NAMESPACE = uuid.UUID("9b6f1c9e-6d0b-5b0e-8f0a-3c4f7d0c2a11")
# How many later beginnings a name may have. An id that is farther from the first one belongs to another name.
_MAX_BEGINNINGS = 2**32

# Errors that come from the state of this process, not from the folder that it wanted to list.
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_log = logging.getLogger("rolloutlog")
# The unreadable folders that were reported, so that each is reported once; emptied when there are more than so many.
_reported: set[str] = set()
_MAX_REPORTED = 1_000


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
    if not re.fullmatch(_UUID, text):
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
    return _parsed(path, os.path.basename(path))


def _parsed(path: StrPath, name: str) -> FoundFile | None:
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        return None
    hour, minute, second, session_id, revision = match.groups()
    try:
        started = dt.datetime.fromisoformat(f"{hour}:{minute}:{second}+00:00")
    except ValueError:
        return None  # the 31st of February
    return FoundFile(Path(path), session_id, started, revision)


def find_files(home: StrPath | None = None, *, archived: bool = False) -> Iterator[FoundFile]:
    """Yield the files of the sessions in *home*; as `rolloutlog.find_sessions`, likewise the errors."""
    revised = set[str]()
    for found in _files(home, archived):
        if found.id in revised:
            continue
        if found.revision is not None:  # the names of the earlier files come after it
            revised.add(found.id)
        yield found


def _files(
    home: StrPath | None, archived: bool, part: str = "", key: str = "", unreadable: list[OSError] | None = None
) -> Iterator[FoundFile]:
    """Yield the files of sessions in *home*, newest first by name.

    Args:
        home: the folder that holds all sessions.
        archived: whether to yield the archived ones, instead of the others.
        part: only files that have this in their names.
        key: at most the first eight digits of the id: folders that have no such session are passed over.
        unreadable: the errors of dated folders that cannot be read are appended to it, besides being reported.
    """
    if archived:
        folder = str(resolve_home(home) / "archived_sessions")
        yield from _files_among(names_in(folder), folder, part, key)
        return
    sessions = str(resolve_home(home) / "sessions")
    failed = [] if unreadable is None else unreadable
    for year in _subfolders(sessions, names_in(sessions), _YEAR):
        for month in _subfolders(year, _readable_names(year, failed), _MONTH):
            for day in _subfolders(month, _readable_names(month, failed), _DAY):
                yield from _files_among(_readable_names(day, failed), day, part, key)


def count_files(home: StrPath | None = None, *, archived: bool = False) -> int:
    """Return how many files of sessions are in *home*; no name is looked at, so this takes 50 ms for 100,000."""
    if archived:
        return _count_in(names_in(str(resolve_home(home) / "archived_sessions")))
    sessions = str(resolve_home(home) / "sessions")
    unreadable: list[OSError] = []
    return sum(
        _count_in(_readable_names(day, unreadable))
        for year in _subfolders(sessions, names_in(sessions), _YEAR)
        for month in _subfolders(year, _readable_names(year, unreadable), _MONTH)
        for day in _subfolders(month, _readable_names(month, unreadable), _DAY)
    )


def _count_in(listing: Listing) -> int:
    return listing.names.count(".jsonl/") + listing.names.endswith(".jsonl") + listing.names.count(".zst")


def _subfolders(folder: str, listing: Listing, pattern: re.Pattern[str]) -> list[str]:
    """Return the paths of the names in *folder* that fit *pattern*, last in the alphabet first."""
    return [f"{folder}/{name}" for name in sorted(filter(pattern.fullmatch, listing.names.split("/")), reverse=True)]


def _files_among(listing: Listing, folder: str, part: str, key: str) -> Iterator[FoundFile]:
    """Yield the files of sessions among the names in *folder*; see `_files`."""
    if key not in listing.keys or part not in listing.names:
        return  # the usual case in a search, so nothing was split, sorted or made for it
    names = sorted((name for name in listing.names.split("/") if part in name), reverse=True)
    plain = set(names) if any(map(str.endswith, names, repeat(".zst"))) else ()
    for name in names:
        if name.endswith(".zst") and name.removesuffix(".zst") in plain:
            continue  # it is being compressed or decompressed right now: records are appended to the plain file
        found = _parsed(f"{folder}/{name}", name)
        if found is not None:
            yield found


def _readable_names(folder: str, unreadable: list[OSError]) -> Listing:
    """Return the names in *folder*; if it cannot be read, report that and return none."""
    try:
        listing = names_in(folder)
    except OSError as error:
        if error.errno in _OUT_OF_RESOURCES:
            raise
        unreadable.append(error)
        _report(folder, error)
        return Listing("", "")
    _reported.discard(folder)
    return listing


def _report(folder: str, error: OSError) -> None:
    """Warn that *folder* cannot be read, unless that was said before."""
    if folder in _reported:
        return
    if len(_reported) >= _MAX_REPORTED:
        _reported.clear()
    _reported.add(folder)
    _log.warning("%s cannot be read, so its sessions are left out: %s", folder, error.strerror)


def find_by_id(home: StrPath | None, session_id: str | uuid.UUID) -> Path | None:
    """Return the file of the session that has this id, the newest if there are several, or `None`.

    Raises:
        OSError: a folder that may hold it cannot be read, and no other folder holds it. To say that there is no such
            session would invite the caller to create a second one.
    """
    wanted = parse_session_id(session_id)
    unreadable: list[OSError] = []
    found = next((found for found in _all_files(home, wanted, wanted[:8], unreadable) if found.id == wanted), None)
    if found is not None:
        return found.path
    _refuse_if_hidden(wanted, unreadable)
    return None


def find_named(home: StrPath | None, name: str) -> FoundFile | None:
    """Return the newest session called *name*, or `None`.

    Newest is the one that began last under that name. So a session whose earlier ones were deleted is still found.

    Raises:
        OSError: as for `find_by_id`.
    """
    unreadable: list[OSError] = []
    found = _newest_named(home, name, unreadable)
    if found is None:
        _refuse_if_hidden(repr(name), unreadable)
    return found


def _newest_named(home: StrPath | None, name: str, unreadable: list[OSError]) -> FoundFile | None:
    first = named_id(name)
    part, key = f"-{first[:14]}", first[:8]
    # Later beginnings have later times, so the first match is the newest; but archived files are in another folder.
    newest = [
        next((found for found in files if beginning_of(found.id, name) is not None), None)
        for files in (_files(home, False, part, key, unreadable), _files(home, True, part, key))
    ]
    return max(filter(None, newest), key=lambda found: beginning_of(found.id, name) or 0, default=None)


def find_with(home: StrPath, part: str) -> Iterator[FoundFile]:
    """Yield the files of the sessions in *home*, archived ones too, that have *part* in their names."""
    return _all_files(home, part)


def find_base(home: StrPath, name: str) -> Path | None:
    """Return the file that others refer to as *name*: its revision, or the id of the session whose first file it is."""
    return next((found.path for found in _all_files(home, name) if (found.revision or found.id) == name), None)


def every_file(home: StrPath) -> Iterator[FoundFile]:
    """Yield every file of a session in *home*, archived ones and those that another file continues included."""
    return _all_files(home, "")


def _all_files(
    home: StrPath | None, part: str, key: str = "", unreadable: list[OSError] | None = None
) -> Iterator[FoundFile]:
    """Yield files as `_files` does: first those that are not archived, then those that are."""
    yield from _files(home, False, part, key, unreadable)
    yield from _files(home, True, part, key)


def _refuse_if_hidden(wanted: str, unreadable: list[OSError]) -> None:
    """Raise the first error of *unreadable* folders, any of which may hold the session *wanted*."""
    if unreadable:
        error = unreadable[0]
        problem = f"{error.strerror}; session {wanted} was found nowhere else and may be in this folder"
        raise OSError(error.errno, problem, error.filename) from error


def find_session(session: StrPath | uuid.UUID, home: StrPath | None = None) -> Path:
    """Return the file of *session*.

    Args:
        session: a path (a `PathLike`, or a string that has a separator or ends in ``.jsonl`` or ``.jsonl.zst``), an id,
            a name, or the beginning of an id; in this order.
        home: the folder that holds all sessions, for an id or a name.

    Raises:
        SessionNotFoundError: there is no such session.
        AmbiguousSessionError: more than one id begins like that.
        TypeError: *session* is none of these.
        OSError: a folder that may hold it cannot be read, and no other folder holds it.
    """
    if not isinstance(session, str | os.PathLike | uuid.UUID):
        raise TypeError(
            f"expected a session's path, id or name; got {type(session).__name__}; find_sessions() yields all of a home"
        )
    if _is_path(session):
        try:
            path = Path(session).expanduser()
        except RuntimeError as error:  # "~someone/": there is no such user
            raise SessionNotFoundError(str(session), Path(session).parent) from error
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # the last one: it holds a null character
            compressed = path.with_name(f"{path.name}.zst")  # as Codex leaves a session that is not used
            if isinstance(error, FileNotFoundError) and compressed.exists():
                return compressed
            raise SessionNotFoundError(str(path), path.parent) from error
        return path
    wanted = str(session).lower()
    searched = resolve_home(home) / "sessions"
    unreadable: list[OSError] = []
    matches: dict[str, Path] = {}
    if not re.fullmatch(_UUID, wanted) and (named := _newest_named(home, str(session), unreadable)) is not None:
        return named.path
    if _PREFIX.fullmatch(wanted):
        for found in _all_files(home, f"-{wanted}", wanted[:8], unreadable):
            if found.id.startswith(wanted):
                matches.setdefault(found.id, found.path)
                if found.id == wanted:
                    return found.path
    if len(matches) > 1:
        raise AmbiguousSessionError(str(session), searched, list(matches)[:_MAX_CANDIDATES])
    if not matches:
        if os.path.isfile(str(session)):
            return Path(str(session))  # in the current folder
        _refuse_if_hidden(wanted, unreadable)
        raise SessionNotFoundError(str(session), searched)
    return next(iter(matches.values()))


def _is_path(session: object) -> TypeGuard[StrPath]:
    if isinstance(session, os.PathLike):
        return True
    return isinstance(session, str) and (os.sep in session or session.endswith((".jsonl", ".jsonl.zst")))
