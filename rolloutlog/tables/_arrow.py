"""Rows as Arrow: the schemas, columns that are filled row by row, and lazy tables; the only user of pyarrow."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, TypeAlias

from .._reading.lines import Head
from ..exceptions import MissingExtraError
from ._rules import KINDS, Values
from ._wanted import Held

Batch: TypeAlias = Any  # a `pyarrow.RecordBatch`

# How many rows, and about how many bytes of lines, make a batch: enough for engines, and few enough for any memory.
_ROWS = 16_384
_BYTES = 8 * 1024 * 1024

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


class Columns:
    """Takes rows of `entries` and makes batches of them.

    Args:
        columns: the columns, in order.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self.schema = schema_of(columns, ENTRIES)
        self._is_raw = "raw" in columns
        self._path = ""
        self._session_id: str | None = None
        self._model: str | None = None
        self._turn_id: str | None = None
        self._columns_of = {kind: tuple(sorted(names.intersection(columns))) for kind, names in _COLUMNS_OF.items()}
        self._clear()

    def _clear(self) -> None:
        # A list for each column, and no tuple or dict for each row: the garbage collector would look at them again and
        # again, for a tenth of the whole time.
        self._size = 0
        self._lines: list[int | None] = []
        self._stamps: list[str | None] = []
        self._kinds: list[str] = []
        self._types: list[str] = []
        self._inherited: list[bool] = []
        self._raws: list[str] = []
        # The other values, by kind, because rows of one kind have the same columns: the rows, and the values of each.
        self._values: dict[str, tuple[list[int], list[tuple[str, list[Any]]]]] = {
            kind: ([], [(name, []) for name in names]) for kind, names in self._columns_of.items()
        }
        # Values that are the same for many rows: the first row of each run, and the values.
        self._files: list[tuple[Any, ...]] = [(0, self._path, self._session_id)]
        self._turns: list[tuple[Any, ...]] = [(0, self._model, self._turn_id)]

    # -- rows ---------------------------------------------------------------------------------------------------------

    def begin(self, held: Held, session_id: str | None, head: Head | None) -> None:
        self._path, self._session_id = held.name, session_id
        self._files.append((len(self._kinds), held.name, session_id))
        self.context(None, None)

    def context(self, model: str | None, turn_id: str | None) -> None:
        self._model, self._turn_id = model, turn_id
        self._turns.append((len(self._kinds), model, turn_id))

    def add(
        self, kind: str, type: str, line: int | None, stamp: str | None, values: Values, inherited: bool, data: bytes
    ) -> None:
        if values:
            rows, held = self._values[kind]
            rows.append(len(self._kinds))
            get = values.get
            for name, column in held:
                column.append(get(name))
        self._lines.append(line)
        self._stamps.append(stamp)
        self._kinds.append(kind)
        self._types.append(type)
        self._inherited.append(inherited)
        self._size += len(data)
        if self._is_raw:
            self._raws.append(data.rstrip(b"\n").decode("utf-8", "replace"))

    @property
    def is_full(self) -> bool:
        """Whether it is time to make a batch."""
        return len(self._kinds) >= _ROWS or self._size >= _BYTES

    @property
    def is_empty(self) -> bool:
        """Whether there is no row."""
        return not self._kinds

    # -- batches ------------------------------------------------------------------------------------------------------

    def batch(self) -> Batch:
        """Return the rows since the last batch."""
        arrow = pyarrow()
        arrays = [self._array(arrow, field.name, field.type) for field in self.schema]
        made = arrow.RecordBatch.from_arrays(arrays, schema=self.schema)
        self._clear()
        return made

    def _array(self, arrow: Any, name: str, type: Any) -> Any:
        count = len(self._kinds)
        if name == "timestamp":
            return times(arrow, self._stamps, type)
        dense = {"line": self._lines, "kind": self._kinds, "type": self._types, "inherited": self._inherited}
        if name == "raw" or name in dense:
            return arrow.array(dense.get(name, self._raws), type)
        if name in ("session_id", "path"):
            return arrow.array(_spread(self._files, count, 1 if name == "path" else 2), type)
        is_of_turn = name in ("model", "turn_id")
        values = _spread(self._turns, count, 1 if name == "model" else 2) if is_of_turn else [None] * count
        is_null = not is_of_turn
        for rows, held in self._values.values():
            for known, found in held:
                if known == name and rows:
                    is_null = False
                    for row, value in zip(rows, found, strict=True):
                        if value is not None:
                            values[row] = value
        return arrow.nulls(count, type) if is_null else arrow.array(values, type)


_TOKENS = frozenset({"input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "model"})
# Which columns rows of a kind may have, besides those of all rows.
_COLUMNS_OF: dict[str, frozenset[str]] = {
    **dict.fromkeys(KINDS, frozenset({"text"})),
    "message": frozenset({"role", "text"}),
    "tool_call": frozenset({"name", "call_id", "arguments"}),
    "tool_output": frozenset({"name", "call_id", "text", "exit_code", "is_error"}),
    "usage": _TOKENS,
}


def _spread(runs: Sequence[tuple[Any, ...]], count: int, index: int) -> list[Any]:
    """Return the value at *index* of each run, as often as the run has rows."""
    values: list[Any] = []
    for run, after in pairwise([*runs, (count,)]):
        if after[0] > run[0]:
            values += [run[index]] * (after[0] - run[0])
    return values


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
