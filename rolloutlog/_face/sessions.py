"""Which session a person means: by its path, its name, its id, or the beginning or the end of its id."""

from __future__ import annotations

import errno
import heapq
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .._lookup import (
    PATH_ENDINGS,
    count_files,
    find_by_id,
    find_ending,
    find_files,
    find_named,
    find_with,
    is_surely_path,
)
from .._paths import FoundFile, resolve_home
from ..exceptions import AmbiguousSessionError, SessionNotFoundError

SHORTEST = 4
"""How many characters of an id name a session, at least."""

_MOST_CANDIDATES = 20
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PIECE = re.compile(rf"[0-9a-f-]{{{SHORTEST},36}}")


class NotUniqueError(AmbiguousSessionError):
    """Several sessions are meant by what a person wrote. `found` are their files."""

    def __init__(self, wanted: str, homes: Sequence[Path], found: Sequence[FoundFile]) -> None:
        super().__init__(wanted, _named(homes), [each.id for each in found])
        self.found = tuple(found)


def default_homes() -> list[Path]:
    """Return the homes that are looked through: ``ROLLOUTLOG_HOME``, else ours and the one of Codex, where they exist.

    Ours is in the list even if it does not exist, so that an error can name it.
    """
    ours, codex = resolve_home(), Path(os.environ.get("CODEX_HOME") or "~/.codex").expanduser()
    if os.environ.get("ROLLOUTLOG_HOME"):
        return [ours]
    return [home for home in (ours, codex) if home.is_dir()] or [ours]


def newest_first(homes: Iterable[Path], *, archived: bool = False) -> Iterator[FoundFile]:
    """Yield the sessions in all *homes*, newest first by the time in their names. No file is opened.

    Codex names its files in local time, so sessions of different homes may be in another order by some hours.
    """
    each = [find_files(home, archived=archived) for home in homes]
    return heapq.merge(*each, key=lambda found: found.started, reverse=True) if len(each) > 1 else each[0]


def count_sessions(homes: Iterable[Path], *, archived: bool = False) -> int:
    """Return how many files of sessions there are in all *homes*, by their names."""
    return sum(count_files(home, archived=archived) for home in homes)


def none_yet(homes: Sequence[Path], *, archived: bool = False) -> str:
    """Return the sentence that there is no session in *homes*, or no folder where ``ROLLOUTLOG_HOME`` says."""
    named = os.environ.get("ROLLOUTLOG_HOME")
    if named and list(homes) == [resolve_home()] and not homes[0].is_dir():
        return f"ROLLOUTLOG_HOME: there is no folder {named}"
    if archived:
        return f"there is no archived session in {_named(homes)}"
    return f"there is no session yet in {_named(homes)}"


def find_session(wanted: str, homes: Sequence[Path]) -> Path:
    """Return the file of the session that *wanted* means in any of *homes*.

    In this order: a path; a whole id; a name, the newest session of that name; the beginning or the end of an id, from
    four characters. A text with a separator is a path, or else a name, unless it can only be a path.

    Raises:
        SessionNotFoundError: there is none.
        NotUniqueError: there are several.
        OSError: a folder that may hold it cannot be read, and it is nowhere else.
    """
    if os.sep in wanted or wanted.endswith(PATH_ENDINGS):
        return _find_path(wanted, homes)
    if _UUID.fullmatch(wanted.lower()):
        for home in homes:
            if (exact := find_by_id(home, wanted)) is not None:
                return exact
        raise SessionNotFoundError(wanted, _named(homes))
    if (named := _newest_named(wanted, homes)) is not None:
        return named
    matches = _with_piece(wanted.lower(), homes)
    if len(matches) > 1:
        raise NotUniqueError(wanted, homes, matches)
    if not matches:
        raise SessionNotFoundError(wanted, _named(homes))
    return matches[0].path


def _find_path(wanted: str, homes: Sequence[Path]) -> Path:
    try:
        path = Path(wanted).expanduser()
    except RuntimeError as error:  # "~someone/": there is no such user
        raise SessionNotFoundError(wanted, Path(wanted).parent) from error
    try:
        if path.is_file():
            return path
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    if is_surely_path(wanted):
        raise SessionNotFoundError(wanted, path.parent)
    if (named := _newest_named(wanted, homes)) is not None:
        return named
    raise SessionNotFoundError(wanted, f"{path.parent}, nor as a name in {_named(homes)}")


def _newest_named(name: str, homes: Sequence[Path]) -> Path | None:
    try:
        named = [found for home in homes if (found := find_named(home, name)) is not None]
    except ValueError:  # half of a surrogate pair: bytes of the command line that are not text
        return None
    return max(named, key=lambda found: found.started).path if named else None


def _with_piece(piece: str, homes: Sequence[Path]) -> list[FoundFile]:
    """Return the sessions whose ids begin or end with *piece*, one file each, newest first."""
    if not _PIECE.fullmatch(piece):
        return []
    found: dict[str, FoundFile] = {}
    for home in homes:
        # The names are searched as text, and only those that hold the piece at such a place are looked at.
        beginning = (each for each in find_with(home, f"-{piece}") if each.id.startswith(piece))
        for each in (*beginning, *find_ending(home, piece)):
            found.setdefault(each.id, each)
    return sorted(found.values(), key=lambda each: each.started, reverse=True)[:_MOST_CANDIDATES]


def _named(homes: Sequence[Path]) -> str:
    return " and ".join(map(short_path, homes))


def short_path(path: str | os.PathLike[str]) -> str:
    """Return *path* with ``~`` in place of the user's own folder."""
    text, own = os.fspath(path), os.path.expanduser("~")
    return f"~{text[len(own) :]}" if own != "/" and (text == own or text.startswith(own + os.sep)) else text
