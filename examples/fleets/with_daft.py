"""The entries of a home in Daft: python with_daft.py [HOME]."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import daft
from daft.io.pushdowns import Pushdowns
from daft.io.source import DataSource, DataSourceTask
from daft.recordbatch import RecordBatch
from questions import CALLS, FOUND, TOKENS, show

from rolloutlog import tables


class Share(DataSourceTask):
    """The files that one task reads."""

    def __init__(self, paths: list[str], schema: daft.Schema) -> None:
        self._paths, self._schema = paths, schema

    @property
    def schema(self) -> daft.Schema:
        return self._schema

    async def read(self) -> AsyncIterator[RecordBatch]:
        for batch in tables.batches(self._paths):
            yield RecordBatch.from_arrow_record_batches([batch], batch.schema)


class Rollouts(DataSource):
    """A home: ``Rollouts(home).read()`` is a data frame."""

    def __init__(self, home: str | None) -> None:
        self._home = home
        self._schema = daft.Schema.from_pyarrow_schema(tables.entries(home).schema)

    @property
    def name(self) -> str:
        return "rollouts"

    @property
    def schema(self) -> daft.Schema:
        return self._schema

    async def get_tasks(self, pushdowns: Pushdowns) -> AsyncIterator[DataSourceTask]:
        for paths in tables.plan(self._home):
            yield Share(paths, self._schema)


def main(home: str | None) -> None:
    """Ask the three questions; each reads the home, because a data frame holds no rows."""
    entries = Rollouts(home).read()

    def rows(query: str) -> list[list[object]]:
        return [list(row.values()) for row in daft.sql(query, entries=entries).to_pylist()]

    show(rows(CALLS), rows(TOKENS), rows(FOUND))


if __name__ == "__main__":
    main(*sys.argv[1:2] or [None])
