"""`entries` and `batches`: the rows of a home's files."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from .._json import MAX_LINE
from .._reading.blocks import StrPath
from .._repr import shortened
from ._arrow import ENTRIES, Batch, Table, pyarrow, schema_of
from ._columns import Columns
from ._files import moment, paths_in
from ._remote import Remote, Store, is_remote, remote_files
from ._rules import KINDS
from ._scan import scan
from ._wanted import Held, Wanted


def entries(
    home: StrPath | Store | None = None,
    *,
    kinds: Collection[str] | None = None,
    columns: Collection[str] | None = None,
    since: dt.date | None = None,
    inherited: bool = False,
) -> Table:
    """Return the table of the lines of all sessions in *home*, also of archived ones: one row for each line.

    Nothing is read before an engine asks for rows; each time one does, all files are read again.

    Args:
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`. On object storage, a URL such as
            ``s3://bucket/prefix``, a store of obstore, or a file system of fsspec that begins at the home.
        kinds: rows of these kinds only, see ``docs/fleets.md``. Lines of other kinds are not parsed, which is faster;
            with ``"skipped"``, all are.
        columns: these columns only; all except ``raw``, the line itself, if not given.
        since: only files that were begun at that time or later, by their names, in UTC if it names no zone.
        inherited: whether lines that were copied from another session are rows, too. They are rows of that session, so
            sums count them twice then.

    Raises:
        ValueError: there is no such kind or column.
        MissingExtraError: the extra "arrow" is not installed, or "remote" for a home on object storage.
        OSError: the object storage cannot be opened; when rows are asked for: it cannot be listed.

    >>> from rolloutlog import Message, RolloutRecorder, tables
    >>> with RolloutRecorder.create() as recorder:
    ...     recorder.record(Message.user("hello"))
    >>> for batch in tables.entries(columns=["kind", "text"]).batches():
    ...     print(batch.to_pylist())
    [{'kind': 'session', 'text': None}, {'kind': 'message', 'text': 'hello'}]
    """
    return entries_of(home, *checked(kinds, columns, inherited), since)


def entries_of(home: StrPath | Store | None, wanted: Wanted, names: Sequence[str], since: dt.date | None) -> Table:
    """Return the table of the *wanted* rows of *home* with the columns *names*."""
    after = moment(since)
    if is_remote(home):
        remote = Remote(home)

        def paths() -> Iterable[StrPath | Held]:
            return remote.held(file.name for file in remote.files(after))
    else:

        def paths() -> Iterable[StrPath | Held]:
            return paths_in(home, after)

    return Table(schema_of(names, ENTRIES), lambda: row_batches(paths(), wanted, names, MAX_LINE), "entries")


def batches(
    paths: Iterable[StrPath],
    *,
    kinds: Collection[str] | None = None,
    columns: Collection[str] | None = None,
    inherited: bool = False,
    max_line: int = MAX_LINE,
    store: Store | None = None,
) -> Iterator[Batch]:
    """Yield the rows of *paths* as `pyarrow.RecordBatch`: one worker's share of `entries`.

    All arguments can be pickled, so this can run in another process or on another machine. A file that cannot be read
    becomes a row of the kind ``skipped`` and the type ``file``, whose text says why.

    Args:
        paths: the files; URLs of objects are fetched, many at once.
        kinds, columns, inherited: as for `entries`.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped.
        store: the store in which *paths* are names, as `plan` gives them for a store.

    Raises:
        ValueError, MissingExtraError: as for `entries`; also where a file is compressed, and the extra "zstd" is not
            installed.

    Example:
        >>> from rolloutlog import Message, RolloutRecorder, tables
        >>> with RolloutRecorder.create() as recorder:
        ...     recorder.record(Message.user("hello"))
        >>> for batch in tables.batches([recorder.path], kinds={"message"}, columns=["role", "text"]):
        ...     print(batch.to_pylist())
        [{'role': 'user', 'text': 'hello'}]
    """
    wanted, names = checked(kinds, columns, inherited)
    return row_batches(remote_files(paths, store), wanted, names, max_line)


def row_batches(
    paths: Iterable[StrPath | Held], wanted: Wanted, names: Sequence[str], max_line: int
) -> Iterator[Batch]:
    """Yield the *wanted* rows of *paths* with the columns *names*."""
    rows = Columns(names)
    for path in paths:
        for _ in scan(path, wanted, rows, max_line):
            if rows.is_full:
                yield rows.batch()
    if not rows.is_empty:
        yield rows.batch()


def checked(
    kinds: Collection[str] | None,
    columns: Collection[str] | None,
    inherited: bool = False,
    unread: Callable[[str], object] | None = None,
) -> tuple[Wanted, tuple[str, ...]]:
    """Return the rows that a caller wants, and the names of their columns."""
    pyarrow()
    names = _names("column", columns, ENTRIES) if columns is not None else [name for name in ENTRIES if name != "raw"]
    chosen = frozenset(KINDS if kinds is None else _names("kind", kinds, KINDS))
    return Wanted(chosen, frozenset(names), inherited, unread), tuple(names)


def _names(what: str, given: Collection[str], known: Collection[str]) -> list[str]:
    if isinstance(given, str):
        raise ValueError(f"{what}s must be a list of names; got the string {shortened(given)}")
    for name in given:
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}; there are {', '.join(known)}")
    return list(dict.fromkeys(given))
