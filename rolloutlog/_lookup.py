"""Finding the files of sessions in a home: all of them, or one by path, id, name, or the beginning or end of an id.

Opens no file: it looks at the names in folders.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import TypeGuard

from ._listing import Listing, names_in
from ._paths import UUID, FoundFile, StrPath, beginning_of, named_id, parse_session_id, parsed, resolve_home
from .exceptions import AmbiguousSessionError, SessionNotFoundError

_ID_LENGTH = 36
_PIECE = re.compile(rf"[0-9a-f-]{{1,{_ID_LENGTH}}}")
_YEAR = re.compile(r"\d{4}", re.ASCII)
_MONTH = _DAY = re.compile(r"\d\d", re.ASCII)
_MAX_CANDIDATES = 8
# So many characters of the end of an id are looked for, at least: as many as lists show.
_SHORTEST_END = 8

PATH_ENDINGS = (".jsonl", ".jsonl.zst")
"""A text that ends like this is a path, also without a separator."""

_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})

# Errors that come from the state of this process, not from the folder that it wanted to list.
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})

_log = logging.getLogger("rolloutlog")
# The unreadable folders that were reported, so that each is reported once; emptied when there are more than so many.
_reported: set[str] = set()
_MAX_REPORTED = 1_000


def find_files(home: StrPath | None = None, *, archived: bool = False) -> Iterator[FoundFile]:
    """Yield the files of the sessions in *home*; as `rolloutlog.find_sessions`, likewise the errors."""
    revised = set[str]()
    for found in newest_first(home, archived):
        if found.id in revised:
            continue
        if found.revision is not None:  # the names of the earlier files come after it
            revised.add(found.id)
        yield found


def newest_first(
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
    """Yield the files of sessions among the names in *folder*; see `newest_first`."""
    if key not in listing.keys or part not in listing.names:
        return  # the usual case in a search, so nothing was split, sorted or made for it
    names = sorted(_names_with(part, listing.names), reverse=True)
    plain = set(names) if any(map(str.endswith, names, repeat(".zst"))) else ()
    for name in names:
        if name.endswith(".zst") and name.removesuffix(".zst") in plain:
            continue  # it is being compressed or decompressed right now: records are appended to the plain file
        found = parsed(f"{folder}/{name}", name)
        if found is not None:
            yield found


def _names_with(part: str, names: str) -> list[str]:
    """Return those of *names*, joined by slashes, that contain *part*.

    They are cut out, because splitting the names of 100,000 sessions takes 20 ms, and a search wants one of them.
    """
    if not part:
        return names.split("/")
    if "/" in part:
        return []
    found = []
    at = names.find(part)
    while at >= 0:
        end = names.find("/", at)
        end = len(names) if end < 0 else end
        found.append(names[names.rfind("/", 0, at) + 1 : end])
        at = names.find(part, end)
    return found


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
        for files in (newest_first(home, False, part, key, unreadable), newest_first(home, True, part, key))
    ]
    return max(filter(None, newest), key=lambda found: beginning_of(found.id, name) or 0, default=None)


def find_with(home: StrPath, part: str) -> Iterator[FoundFile]:
    """Yield the files of the sessions in *home*, archived ones too, that have *part* in their names."""
    return _all_files(home, part)


def find_ending(home: StrPath | None, end: str, unreadable: list[OSError] | None = None) -> Iterator[FoundFile]:
    """Yield the files of the sessions in *home*, archived ones too, whose ids end with *end*."""
    for part in (f"{end}.jsonl", f"{end}_"):  # the second: a revision comes after the id
        yield from (found for found in _all_files(home, part, "", unreadable) if found.id.endswith(end))


def find_base(home: StrPath, name: str) -> Path | None:
    """Return the file that others refer to as *name*: its revision, or the id of the session whose first file it is."""
    return next((found.path for found in _all_files(home, name) if (found.revision or found.id) == name), None)


def every_file(home: StrPath) -> Iterator[FoundFile]:
    """Yield every file of a session in *home*, archived ones and those that another file continues included."""
    return _all_files(home, "")


def _all_files(
    home: StrPath | None, part: str, key: str = "", unreadable: list[OSError] | None = None
) -> Iterator[FoundFile]:
    """Yield files as `newest_first` does: first those that are not archived, then those that are."""
    yield from newest_first(home, False, part, key, unreadable)
    yield from newest_first(home, True, part, key)


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
            a name, the beginning of an id, or the end of one, from eight characters; in this order. A string with a
            separator that leads to no file is a name, except one that can only be a path: it is absolute, begins with
            ``~``, or ends in ``.jsonl`` or ``.zst``.
        home: the folder that holds all sessions, for an id or a name.

    Raises:
        SessionNotFoundError: there is no such session.
        AmbiguousSessionError: more than one id begins like that, or none begins and more than one ends like that.
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
        except (OSError, ValueError) as error:  # the last one: it holds a null character
            if isinstance(error, OSError) and error.errno not in _NO_SUCH_FILE:
                raise
            compressed = path.with_name(f"{path.name}.zst")  # as Codex leaves a session that is not used
            if isinstance(error, FileNotFoundError) and compressed.exists():
                return compressed
            if isinstance(session, str) and (like := _named_like_path(session, home)) is not None:
                return like
            raise SessionNotFoundError(str(path), path.parent) from error
        return path
    wanted = str(session).lower()
    searched = resolve_home(home) / "sessions"
    unreadable: list[OSError] = []
    matches: dict[str, Path] = {}
    if not re.fullmatch(UUID, wanted) and (named := _newest_named(home, str(session), unreadable)) is not None:
        return named.path
    if _PIECE.fullmatch(wanted):
        for found in _all_files(home, f"-{wanted}", wanted[:8], unreadable):
            if found.id.startswith(wanted):
                matches.setdefault(found.id, found.path)
                if found.id == wanted:
                    return found.path
        if not matches and _SHORTEST_END <= len(wanted) < _ID_LENGTH:
            for found in find_ending(home, wanted, unreadable):
                matches.setdefault(found.id, found.path)
    if len(matches) > 1:
        raise AmbiguousSessionError(str(session), searched, list(matches)[:_MAX_CANDIDATES])
    if not matches:
        if os.path.isfile(str(session)):
            return Path(str(session))  # in the current folder
        _refuse_if_hidden(wanted, unreadable)
        raise SessionNotFoundError(str(session), searched)
    return next(iter(matches.values()))


def _named_like_path(name: str, home: StrPath | None) -> Path | None:
    """Return the file of the session called *name*, which has a separator and leads to no file."""
    if is_surely_path(name):
        return None
    with suppress(ValueError):  # half of a surrogate pair
        if (found := find_named(home, name)) is not None:
            return found.path
    return None


def _is_path(session: object) -> TypeGuard[StrPath]:
    if isinstance(session, os.PathLike):
        return True
    return isinstance(session, str) and (os.sep in session or session.endswith(PATH_ENDINGS))


def is_surely_path(text: str) -> bool:
    """Whether *text* is a path even where no file is found: no home is searched for a session of that name."""
    if text.endswith(PATH_ENDINGS):
        return True
    return os.sep in text and (text.endswith(".zst") or text.startswith("~") or os.path.isabs(text))
