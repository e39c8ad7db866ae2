"""Every line a row, every session a row: the sessions of a home as tables, for engines that exist.

    from rolloutlog import tables

    entries = tables.entries(kinds={"tool_output"})
    duckdb.sql("SELECT name, count(*), count_if(is_error) FROM entries GROUP BY name")
    polars.DataFrame(entries)

`entries`, `sessions`, `training` and `copy` need the extra "arrow", `sql` needs "duckdb". See ``docs/fleets.md``.
"""

from ._arrow import Table
from ._copy import Copied, copy
from ._entries import batches, entries
from ._files import plan
from ._sessions import sessions
from ._sql import sql
from ._training import training

__all__ = ["Copied", "Table", "batches", "copy", "entries", "plan", "sessions", "sql", "training"]
