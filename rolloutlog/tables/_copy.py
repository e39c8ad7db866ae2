"""`copy`: the tables of a home as Parquet, one file for each day, of which only those are written that changed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import attrs

from .._json import MAX_LINE
from .._paths import FoundFile, resolve_home
from .._reading.blocks import StrPath
from .._systems import CLOEXEC, is_alive, open_file
from ._arrow import ENTRIES, SESSIONS, Batch, pyarrow, schema_of
from ._entries import row_batches
from ._files import groups_in
from ._remote import is_remote
from ._rules import KINDS
from ._sessions import session_batches
from ._wanted import Wanted

TABLES = ("entries", "sessions")
# A part of each mark: raised when a row would be made in another way, so that all days are written again.
_VERSION = 3
_DAY = re.compile(r"\d{4}-\d\d-\d\d\.parquet")
_UNFINISHED = re.compile(r"\.\d{4}-\d\d-\d\d\.parquet\.(\d+)\.tmp")
# In the footer of each file, quoted and in braces: its home, its mark, and in that of sessions the paths of files that
# could not be read, one on each line.
_HOME, _MARK, _UNREAD = b"rolloutlog.home", b"rolloutlog.mark", b"rolloutlog.unread"
_FOOTER = 16 * 1024  # bytes, as many as nearly all footers have
COLUMNS = tuple(name for name in ENTRIES if name != "raw")


@attrs.frozen
class Copied:
    """The result of `copy`.

    Attributes:
        dest: the folder of the copy.
        written: the days that were new or had changed, such as ``"2025-07-23"``.
        kept: how many days had not changed.
        removed: the days of which no session is left in the home.
    """

    dest: Path
    written: list[str]
    kept: int
    removed: list[str]


@attrs.frozen
class Day:
    """The sessions that began on one day, by the names of their first files.

    Attributes:
        name: the day, as in ``2025-07-23``.
        groups: the files of each session, oldest first.
        mark: digits that change when one of the files does.
    """

    name: str
    groups: list[list[FoundFile]]
    mark: str

    @property
    def paths(self) -> list[Path]:
        """All files of the day."""
        return [file.path for group in self.groups for file in group]


def copy(
    home: StrPath | None = None, dest: StrPath | None = None, *, progress: Callable[[int, int], object] | None = None
) -> Copied:
    """Copy the tables of *home* to Parquet files, one for each day and table; later, only the days that changed.

    The files are ``dest/entries/2025-07-23.parquet`` and ``dest/sessions/2025-07-23.parquet``, which every engine reads
    without this package; the day is that of a session's first file. They have the columns of `entries`, except ``raw``,
    and of `sessions`. Each is replaced as a whole by renaming, so a reader never sees a part of one, and a copy that is
    killed is completed by the next. Nothing is synced to the disk: after a power cut, call `copy` again. Only the owner
    may read the files, because they hold what was said.

    Args:
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`.
        dest: the folder of the copy; else ``tables`` in *home*, where `sql` looks for it.
        progress: called with how many days of those that changed are written, and how many there are.

    Raises:
        ValueError: *dest* holds the copy of another home, or a place is on object storage and no folder.
        MissingExtraError: the extra "arrow" is not installed.
        OSError: a folder of the home cannot be read, or a file cannot be written, for example on a full disk; the days
            that were not reached are as they were before.

    >>> from rolloutlog import Message, RolloutRecorder, tables
    >>> with RolloutRecorder.create() as recorder:
    ...     recorder.record(Message.user("hello"))
    >>> [len(tables.copy().written), tables.copy().kept]
    [1, 1]
    """
    pyarrow()
    for folder in (home, dest):
        if is_remote(folder):
            raise ValueError(f"copy takes folders; got {folder!r}")
    home, target = resolve_home(home), copy_folder(home, dest)
    unreadable: list[OSError] = []
    days = days_of(home, unreadable)
    if unreadable:
        raise unreadable[0]
    for table in TABLES:
        os.makedirs(target / table, mode=0o700, exist_ok=True)
        _remove_unfinished(target / table)
    found = marks(target)
    _check_home(target, home, found)
    changed = [day for day in days if any(found[table].get(day.name) != day.mark for table in TABLES)]
    for number, day in enumerate(changed, 1):
        facts = {_HOME: _named(home), _MARK: day.mark}
        unread: list[str] = []
        rows = _entries(day, unread.append)
        _write(target / "entries" / f"{day.name}.parquet", rows, schema_of(COLUMNS, ENTRIES), facts)
        facts[_UNREAD] = "\n".join(unread)
        rows = session_batches(day.groups)
        _write(target / "sessions" / f"{day.name}.parquet", rows, schema_of(list(SESSIONS), SESSIONS), facts)
        if progress is not None:
            progress(number, len(changed))
    names = {day.name for day in days}
    removed = sorted((found["entries"].keys() | found["sessions"].keys()) - names)
    for name in removed:
        for table in TABLES:
            (target / table / f"{name}.parquet").unlink(missing_ok=True)
    return Copied(target, [day.name for day in changed], len(days) - len(changed), removed)


def copy_folder(home: StrPath | None, dest: StrPath | None = None) -> Path:
    """Return the folder of the copy of *home*."""
    return resolve_home(home) / "tables" if dest is None else Path(dest).expanduser()


def days_of(home: StrPath | None, unreadable: list[OSError] | None = None) -> list[Day]:
    """Return the days of *home* on which sessions began; errors of folders are appended to *unreadable*."""
    days: dict[str, list[list[FoundFile]]] = {}
    for group in groups_in(home, unreadable=unreadable):
        days.setdefault(f"{group[0].started:%Y-%m-%d}", []).append(group)
    return [Day(name, groups, _mark_of(groups)) for name, groups in sorted(days.items())]


def _mark_of(groups: Sequence[Sequence[FoundFile]]) -> str:
    """Return a hash of name, size and modification time of each file."""
    hashed = hashlib.sha256(f"{_VERSION}\n".encode())
    for group in groups:
        for file in group:
            try:
                status = os.stat(file.path)
                known = f"{status.st_size} {status.st_mtime_ns}"
            except OSError:
                known = "gone"  # since the folder was listed
            hashed.update(f"{file.path.name} {known}\n".encode())
    return hashed.hexdigest()[:32]


def marks(target: Path) -> dict[str, dict[str, str]]:
    """Return the marks of the days that were copied to *target*, by table; empty for a file that cannot be read."""
    return {table: {name: _read(target, table, name, _MARK) for name in _copied(target / table)} for table in TABLES}


def unread_of(target: Path, day: str) -> list[str]:
    """Return the paths of the files of *day* that could not be read when it was copied to *target*."""
    return _read(target, "sessions", day, _UNREAD).splitlines()


def _copied(folder: Path) -> list[str]:
    """Return the days of which *folder* has a file."""
    try:
        return sorted(name.removesuffix(".parquet") for name in os.listdir(folder) if _DAY.fullmatch(name))
    except FileNotFoundError:
        return []


def _read(target: Path, table: str, day: str, key: bytes) -> str:
    """Return the value of *key* in a file's footer, in a tenth of the time of a parse; "" where it is damaged."""
    try:
        with open(target / table / f"{day}.parquet", "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _FOOTER))
            footer = file.read()
    except OSError:
        return ""
    length = int.from_bytes(footer[-8:-4], "little") + 8
    if not footer.endswith(b"PAR1") or length > size:
        return ""
    if length > len(footer):
        with open(target / table / f"{day}.parquet", "rb") as file:
            file.seek(size - length)
            footer = file.read()
    found = re.search(re.escape(key) + rb"[^{]{1,4}\{([^}]*)\}", footer[-length:])
    return "" if found is None else unquote(found[1].decode("ascii", "replace"), errors="surrogateescape")


def _check_home(target: Path, home: Path, found: dict[str, dict[str, str]]) -> None:
    for table in TABLES:
        for day in list(found[table])[:1]:
            of = _read(target, table, day, _HOME)
            if of and of != _named(home):
                raise ValueError(f"{target} holds the copy of {of}, not of {_named(home)}; choose another folder")


def _named(home: Path) -> str:
    return str(home.absolute())


def _braced(text: str) -> bytes:
    return f"{{{quote(text, errors='surrogateescape')}}}".encode()


def _entries(day: Day, unread: Callable[[str], object]) -> Iterable[Batch]:
    return row_batches(day.paths, Wanted(frozenset(KINDS), frozenset(COLUMNS), unread=unread), COLUMNS, MAX_LINE)


def _write(path: Path, batches: Iterable[Batch], schema: Any, facts: Mapping[bytes, str]) -> None:
    """Write *batches* to the file at *path*, with *facts* in its footer; it appears only when it is whole."""
    parquet = pyarrow("parquet")
    marked = schema.with_metadata({key: _braced(fact) for key, fact in facts.items()})
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = open_file(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | CLOEXEC, 0o600)
        with open(descriptor, "wb") as file, parquet.ParquetWriter(file, marked, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch.replace_schema_metadata(marked.metadata))
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _remove_unfinished(folder: Path) -> None:
    """Remove files that a process left that was killed."""
    for name in os.listdir(folder):
        match = _UNFINISHED.fullmatch(name)
        if match is not None and (int(match[1]) == os.getpid() or not is_alive(int(match[1]))):
            (folder / name).unlink(missing_ok=True)
