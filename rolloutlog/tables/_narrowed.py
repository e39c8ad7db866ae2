"""`entries` for an engine that says which rows and columns its query needs: only these are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from ._arrow import ENTRIES, Batch, pyarrow, schema_of
from ._rules import KINDS

_NAMES = [name for name in ENTRIES if name != "raw"]


def narrowed(read: Callable[[Collection[str], Collection[str]], Iterable[Batch]]) -> Any:
    """Return a `pyarrow.dataset.Dataset` of `entries`, whose rows *read* yields.

    An engine asks a data set for a scanner, and tells it the columns and a filter. Each kind is a file of the data set
    that holds no other kind, so Arrow itself says which kinds a filter needs. There are no such files: an engine that
    opened them would fail, and not answer from nothing.

    Args:
        read: yields the batches of rows of some kinds, with some columns.
    """
    dataset = pyarrow("dataset")
    schema = schema_of(_NAMES, ENTRIES)

    class Entries(dataset.FileSystemDataset):  # type: ignore[misc, name-defined]
        def scanner(self, columns: Collection[str] | None = None, filter: Any = None, **options: Any) -> Any:
            kinds = [part.path for part in self.get_fragments(filter)]
            chosen = _NAMES if columns is None else list(columns)
            # An expression does not tell its columns; a name that is only in one of its texts costs a little time.
            needed = [name for name in _NAMES if name in chosen or name in str(filter)] or ["kind"]
            found = schema_of(needed, ENTRIES)
            batches = read(kinds, needed) if kinds else ()
            return dataset.Scanner.from_batches(
                iter(batches), schema=found, columns=chosen, filter=filter, use_threads=False
            )

    format, system = dataset.ParquetFileFormat(), pyarrow("fs").LocalFileSystem()
    parts = [format.make_fragment(kind, system, dataset.field("kind") == kind) for kind in KINDS]
    return Entries(parts, schema, format, system)
