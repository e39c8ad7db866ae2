"""Rows as Arrow: the schemas, times, and lazy tables; the only user of pyarrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, TypeAlias

from ..exceptions import MissingExtraError

Batch: TypeAlias = Any  # a `pyarrow.RecordBatch`

_STRING, _INTEGER, _BOOLEAN, _TIME, _STRINGS = "string", "int64", "bool", "time", "strings"

ENTRIES: dict[str, str] = {
    "session_id": _STRING,
    "path": _STRING,
    "line": _INTEGER,
    "timestamp": _TIME,
    "kind": _STRING,
    "type": _STRING,
    "role": _STRING,
    "text": _STRING,
    "name": _STRING,
    "call_id": _STRING,
    "arguments": _STRING,
    "exit_code": _INTEGER,
    "is_error": _BOOLEAN,
    "model": _STRING,
    "turn_id": _STRING,
    "input_tokens": _INTEGER,
    "cached_tokens": _INTEGER,
    "output_tokens": _INTEGER,
    "reasoning_tokens": _INTEGER,
    "inherited": _BOOLEAN,
    "raw": _STRING,
}
"""The columns of `entries` and their types; the last only where it is asked for."""

SESSIONS: dict[str, str] = {
    "session_id": _STRING,
    "path": _STRING,
    "format": _STRING,
    "started": _TIME,
    "ended": _TIME,
    "parent_id": _STRING,
    "kind": _STRING,
    "agent_path": _STRING,
    "title": _STRING,
    "cwd": _STRING,
    "git_branch": _STRING,
    "originator": _STRING,
    "cli_version": _STRING,
    "provider": _STRING,
    "models": _STRINGS,
    "instructions_hash": _STRING,
    "items": _INTEGER,
    "turns": _INTEGER,
    "calls": _INTEGER,
    "failures": _INTEGER,
    "input_tokens": _INTEGER,
    "cached_tokens": _INTEGER,
    "output_tokens": _INTEGER,
    "reasoning_tokens": _INTEGER,
    "skipped": _INTEGER,
    "bytes": _INTEGER,
    "mtime": _TIME,
}
"""The columns of `sessions` and their types."""


def pyarrow(part: str = "") -> Any:
    """Return the module, or a *part* of it such as ``parquet``; raise `MissingExtraError` where it is not installed."""
    try:
        return import_module(f"pyarrow.{part}" if part else "pyarrow")
    except ImportError as error:
        raise MissingExtraError("rolloutlog.tables", "arrow") from error


def schema_of(columns: Sequence[str], types: dict[str, str]) -> Any:
    """Return the Arrow schema of *columns*."""
    arrow = pyarrow()
    made = {
        _STRING: arrow.string(),
        _INTEGER: arrow.int64(),
        _BOOLEAN: arrow.bool_(),
        _TIME: arrow.timestamp("ms", "UTC"),
        _STRINGS: arrow.list_(arrow.string()),
    }
    return arrow.schema([(name, made[types[name]]) for name in columns])


def times(arrow: Any, texts: Sequence[str | None], type: Any) -> Any:
    """Return *texts*, ISO 8601, as an array of times; null for a text that is not a time."""
    try:
        return arrow.array(texts, arrow.string()).cast(type)
    except arrow.ArrowInvalid:
        return arrow.array([None if text is None else time_of(text) for text in texts], type)


def time_of(text: str) -> dt.datetime | None:
    """Return the time that *text* says, in UTC if it names no zone, cut to milliseconds; `None` for other text."""
    try:
        time = dt.datetime.fromisoformat(text)
        time = time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


class Table:
    """A table that is read when an engine asks for it, and read again each time it asks.

    DuckDB, Polars, pandas and pyarrow take it as it is. It holds no rows.

    Attributes:
        schema: its columns, as a `pyarrow.Schema`.

    >>> from rolloutlog import tables
    >>> table = tables.sessions()
    >>> "path" in table.schema.names, sum(batch.num_rows for batch in table.batches())
    (True, 0)
    """

    def __init__(self, schema: Any, begin: Callable[[], Iterable[Batch]], name: str) -> None:
        self.schema = schema
        self._begin = begin
        self._name = name

    def batches(self) -> Iterator[Batch]:
        """Yield its rows as `pyarrow.RecordBatch`, from the start."""
        yield from self._begin()

    def __arrow_c_schema__(self) -> object:
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        reader = pyarrow().RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        return f"<the table {self._name}, {len(self.schema)} columns>"
