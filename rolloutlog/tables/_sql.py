"""`sql`: a query over the tables of a home, answered by an embedded DuckDB; the only user of duckdb."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

from .._json import MAX_LINE
from .._reading.blocks import StrPath
from ..exceptions import MissingExtraError
from ._arrow import Batch, Table, pyarrow
from ._copy import TABLES, copy_folder, days_of, marks, unread_of
from ._entries import checked, entries, entries_of, row_batches
from ._narrowed import narrowed
from ._remote import is_remote
from ._sessions import session_batches, sessions_of, wanted_of

Watched: TypeAlias = Callable[[Iterable[Batch]], Iterator[Batch]]

# The n-th call with an id belongs to the n-th output with that id: a session may use an id again.
_CALLS = """
CREATE VIEW calls AS
SELECT call.session_id, call.path, call.line, call.timestamp, call.name, call.call_id, call.arguments,
    call.model, call.turn_id, output.line AS output_line, output.text AS output, output.exit_code, output.is_error,
    epoch(output.timestamp) - epoch(call.timestamp) AS seconds
FROM (
    SELECT *, row_number() OVER (PARTITION BY session_id, call_id ORDER BY timestamp, path, line) AS number
    FROM entries WHERE kind = 'tool_call'
) AS call
LEFT JOIN (
    SELECT *, row_number() OVER (PARTITION BY session_id, call_id ORDER BY timestamp, path, line) AS number
    FROM entries WHERE kind = 'tool_output'
) AS output USING (session_id, call_id, number)
"""
# Days are those of UTC, as in the files. Nothing but the tables can be read, and nothing can be written, whatever the
# query says.
_SETTINGS = (
    "TimeZone = 'UTC'",
    "enable_external_access = false",
    "python_enable_replacements = false",
    "lock_configuration = true",
)


def sql(
    query: str,
    home: StrPath | Sequence[StrPath] | None = None,
    *,
    dest: StrPath | None = None,
    progress: Callable[[int], object] | None = None,
    unread: Callable[[str], object] | None = None,
) -> Any:
    """Return the result of *query* over the sessions of *home*, a `pyarrow.Table`.

    The query sees the views ``entries`` and ``sessions``, as `entries` and `sessions` make them, and ``calls``: each
    call with its output. It cannot reach any other file, variable or network. If `copy` was called before, the days
    that did not change since are read from there, which is much faster; the others are read from the sessions
    themselves, so the result is always that of now.

    Args:
        query: SQL as DuckDB understands it.
        home: the folder that holds all sessions, or a list of such folders; else as for `RolloutRecorder.create`. Also
            a URL, as for `entries`; nothing is read from a copy then.
        dest: the folder of the copy; else ``tables`` in each home.
        progress: called with how many rows were read from the sessions until then, from any thread. Rows of the copy
            are not counted.
        unread: called with the path of each file that the query needs and that holds no session or cannot be read, from
            any thread, and more than once if a file is read more than once. Of copied days, all such files are named.

    Raises:
        ValueError: DuckDB refuses the query; the message says why.
        MissingExtraError: the extra "duckdb" is not installed.

    >>> from rolloutlog import Message, RolloutRecorder, tables
    >>> with RolloutRecorder.create() as recorder:
    ...     recorder.record(Message.user("hello"))
    >>> tables.sql("SELECT kind, count(*) AS rows FROM entries GROUP BY kind ORDER BY kind").to_pylist()
    [{'kind': 'message', 'rows': 1}, {'kind': 'session', 'rows': 1}]
    """
    duckdb = _duckdb()
    connection = duckdb.connect(":memory:")
    try:
        homes = [home] if home is None or isinstance(home, str | os.PathLike) else home
        _define(connection, homes, dest, progress, unread)
        for setting in _SETTINGS:
            connection.execute(f"SET {setting}")
        try:
            result = connection.sql(query)
            return pyarrow().table({}) if result is None else result.to_arrow_table()
        except duckdb.Error as error:
            raise ValueError(str(error)) from error
    finally:
        connection.close()


def _duckdb() -> Any:
    try:
        pyarrow()
        return import_module("duckdb")
    except ImportError as error:
        raise MissingExtraError("rolloutlog.tables.sql", "duckdb") from error


def _define(
    connection: Any,
    homes: Sequence[StrPath | None],
    dest: StrPath | None,
    progress: Callable[[int], object] | None,
    unread: Callable[[str], object] | None,
) -> None:
    """Define the views of *homes*, of which some days may have been copied."""
    watched = _watched(progress)
    parts: dict[str, list[str]] = {table: [] for table in TABLES}
    for home in homes:
        for table, part in _parts(home, None if is_remote(home) else copy_folder(home, dest), watched, unread):
            name = f"_{table}_{len(parts[table])}"
            connection.register(name, part)
            parts[table].append(f"SELECT * FROM {name}")
    for table in TABLES:
        connection.execute(f"CREATE VIEW {table} AS {' UNION ALL '.join(parts[table])}")
    connection.execute(_CALLS)


def _watched(progress: Callable[[int], object] | None) -> Watched:
    """Return a function that yields batches and tells *progress* how many rows all of them had."""
    read = 0

    def watched(found: Iterable[Batch]) -> Iterator[Batch]:
        nonlocal read
        for batch in found:
            read += batch.num_rows
            if progress is not None:
                progress(read)
            yield batch

    return watched


def _parts(
    home: StrPath | None, folder: Path | None, watched: Watched, unread: Callable[[str], object] | None
) -> Iterator[tuple[str, Any]]:
    """Yield the parts of each table of *home*, of which some days may be in the copy in *folder*."""
    counting = wanted_of(unread)
    of_entries, of_sessions = entries(home), sessions_of(home, None, counting)
    if folder is None or not (folder / "sessions").is_dir():

        def of_home(kinds: Collection[str], columns: Collection[str]) -> Iterator[Batch]:
            return watched(entries_of(home, *checked(kinds, columns, unread=unread), None).batches())

        yield "entries", narrowed(of_home)
        yield "sessions", Table(of_sessions.schema, lambda: watched(of_sessions.batches()), "sessions")
        return
    found = marks(folder)
    days = days_of(home)
    fresh = [day for day in days if all(found[table].get(day.name) == day.mark for table in TABLES)]
    kept = {day.name for day in fresh}
    changed = [day for day in days if day.name not in kept]
    if unread is not None:
        for path in [path for day in fresh for path in unread_of(folder, day.name)]:
            unread(path)
    for table, schema in (("entries", of_entries.schema), ("sessions", of_sessions.schema)):
        names = [str(folder / table / f"{day.name}.parquet") for day in fresh]
        yield table, pyarrow("dataset").dataset(names, schema=schema, format="parquet")
    if changed:
        paths = [path for day in changed for path in day.paths]
        groups = [group for day in changed for group in day.groups]

        def of_days(kinds: Collection[str], columns: Collection[str]) -> Iterator[Batch]:
            return watched(row_batches(paths, *checked(kinds, columns, unread=unread), MAX_LINE))

        yield "entries", narrowed(of_days)
        yield "sessions", Table(of_sessions.schema, lambda: watched(session_batches(groups, counting)), "sessions")
