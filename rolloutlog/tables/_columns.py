"""Rows of `entries`, kept column by column until there are enough for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .._reading.lines import Head
from ._arrow import ENTRIES, Batch, pyarrow, schema_of, times
from ._rules import KINDS, Values
from ._typed import Known
from ._wanted import Held

# How many rows, and about how many bytes of lines, make a batch: enough for engines, and few enough for any memory.
_ROWS = 16_384
_BYTES = 8 * 1024 * 1024


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
        # Items that were decoded to objects, by what they are: the rows, the items, and for outputs the names of their
        # calls. Their values are read when a batch is made, and only those that were asked for.
        self._taken: dict[Known, tuple[list[int], list[Any], list[str | None]]] = {}
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

    def take(
        self, known: Known, item: Any, name: str | None, line: int, stamp: str | None, inherited: bool, data: bytes
    ) -> None:
        taken = self._taken.get(known)
        if taken is None:
            taken = self._taken[known] = ([], [], [])
        kinds = self._kinds
        taken[0].append(len(kinds))
        taken[1].append(item)
        taken[2].append(name)
        kinds.append(known.kind)
        self._lines.append(line)
        self._stamps.append(stamp)
        self._types.append(known.type)
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
        found = self._found()
        arrays = [self._array(arrow, field.name, field.type, found.get(field.name, ())) for field in self.schema]
        made = arrow.RecordBatch.from_arrays(arrays, schema=self.schema)
        self._clear()
        return made

    def _found(self) -> dict[str, list[tuple[list[int], Sequence[Any]]]]:
        """Return the values that rows of some kinds have, by column: the rows and the values of each of these kinds."""
        found: dict[str, list[tuple[list[int], Sequence[Any]]]] = {name: [] for name in self.schema.names}
        for rows, held in self._values.values():
            for name, values in held:
                if rows:
                    found[name].append((rows, values))
        for known, (rows, items, calls) in self._taken.items():
            if known.kind == "tool_output" and "name" in found:
                found["name"].append((rows, calls))
            for columns, value_of in known.columns.items():
                if found.keys().isdisjoint(columns):
                    continue
                made = list(map(value_of, items))
                of_each = zip(*made, strict=True) if len(columns) > 1 else (made,)
                for name, each in zip(columns, of_each, strict=True):
                    if name in found:
                        found[name].append((rows, each))
        return found

    def _array(self, arrow: Any, name: str, type: Any, found: Sequence[tuple[list[int], Sequence[Any]]]) -> Any:
        count = len(self._kinds)
        if name == "timestamp":
            return times(arrow, self._stamps, type)
        dense = {"line": self._lines, "kind": self._kinds, "type": self._types, "inherited": self._inherited}
        if name == "raw" or name in dense:
            return arrow.array(dense.get(name, self._raws), type)
        runs = self._files if name in ("session_id", "path") else self._turns if name in ("model", "turn_id") else None
        if runs is not None:
            index = 1 if name in ("path", "model") else 2
            if not found:
                return _runs(arrow, runs, count, index, type)
            values = _spread(runs, count, index)
        elif not found:
            return arrow.nulls(count, type)
        else:
            values = [None] * count
        for rows, held in found:
            for row, value in zip(rows, held, strict=True):
                if value is not None:
                    values[row] = value
        return arrow.array(values, type)


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


def _runs(arrow: Any, runs: Sequence[tuple[Any, ...]], count: int, index: int, type: Any) -> Any:
    """Return the array of `_spread`, made without a look at each row."""
    ends, values = [], []
    for run, after in pairwise([*runs, (count,)]):
        if after[0] > run[0]:
            ends.append(after[0])
            values.append(run[index])
    encoded = arrow.RunEndEncodedArray.from_arrays(arrow.array(ends, arrow.int32()), arrow.array(values, type))
    return pyarrow("compute").run_end_decode(encoded)
