"""The entries of a home in DataFusion: python with_datafusion.py [HOME]."""

from __future__ import annotations

import sys

from datafusion import SessionContext
from questions import CALLS, FOUND, TOKENS, show

from rolloutlog import tables


def main(home: str | None) -> None:
    """Ask the three questions; the table is taken as it is, and read once into memory."""
    context = SessionContext()
    context.from_arrow(tables.entries(home), name="entries")

    def rows(query: str) -> list[list[object]]:
        return [list(row.values()) for row in context.sql(query.replace("STRING", "VARCHAR")).to_pylist()]

    show(rows(CALLS), rows(TOKENS), rows(FOUND))


if __name__ == "__main__":
    main(*sys.argv[1:2] or [None])
