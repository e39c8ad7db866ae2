"""Sessions whose history began in another file: forks, and those of which Codex took turns back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from .._entries import Entry, SessionMeta, SkippedLine
from .._json import MAX_LINE
from .._lookup import find_base
from .._paths import home_of, parse_file_name, parse_session_id
from ..exceptions import SessionNotFoundError
from .blocks import StrPath
from .lines import RolloutLine, read_head, stream_entries, stream_lines

NO_BASE = "the history that the session was forked from is not there"


@attrs.frozen
class Part:
    """A file that holds a part of a session's history.

    Attributes:
        path: the file.
        end: how many of its bytes belong to the history; `None`: all.
        is_inherited: whether it is the file of another session.
    """

    path: Path
    end: int | None = None
    is_inherited: bool = False


def history_of(path: StrPath, session: SessionMeta) -> tuple[list[Part], bool]:
    """Return the files that hold the history of the *session* in *path*, oldest first, and whether none is missing."""
    parts, seen = [Part(Path(path))], set[str]()
    older = session
    while "history_base" in older.extra:
        newer = parts[0].path
        seen.add(_name_of(newer, older))
        base = _base_of(newer, older, seen)
        if base is None:
            return parts, False
        older = read_head(base[0]).session
        # A file of the same session is not inherited. Codex took turns back, and continues in a new file.
        is_inherited = parts[0].is_inherited or older.id != session.id
        parts.insert(0, Part(*base, is_inherited))
    return parts, True


def iter_history(path: StrPath) -> Iterator[Entry]:
    """Yield the entries of a session as `iter_entries` does, and before them its history that is in other files."""
    parts, is_whole = history_of(path, read_head(path).session)
    if not is_whole:
        yield SkippedLine(1, 0, NO_BASE)
    for part in parts:
        yield from stream_entries(part.path, MAX_LINE, part.end)


def stream_history(
    path: StrPath, session: SessionMeta, kinds: frozenset[str] | None, max_line: int
) -> Iterator[RolloutLine]:
    """Yield the lines of a session as `iter_lines` does, and before them its history that is in other files."""
    for part in history_of(path, session)[0]:
        for line in stream_lines(part.path, kinds, max_line, part.end):
            yield line._replace(inherited=True) if part.is_inherited else line


def _name_of(path: Path, session: SessionMeta) -> str:
    """Return the id by which other files refer to *path*, which holds *session*."""
    named = parse_file_name(path)
    return session.id if named is None else named.revision or named.id


def _base_of(path: Path, session: SessionMeta, seen: set[str]) -> tuple[Path, int] | None:
    """Return the file in which the history of *session* begins, and where in it that ends; `None` if it is missing."""
    base, home = session.extra["history_base"], home_of(path)
    try:
        name, end = parse_session_id(base["thread_id"]), max(0, int(base["end_byte_offset"]))
        found = find_base(home, name) if home is not None and name not in seen else None
        if found is not None:
            read_head(found, end)
    except (TypeError, KeyError, ValueError, SessionNotFoundError):
        return None
    return None if found is None else (found, end)
