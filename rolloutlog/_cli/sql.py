"""`rolloutlog sql`: answers a query over all lines, sessions and calls."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
from typing import Any

import click

from .._face.safe import for_terminal, one_line
from .._face.sessions import default_homes
from .._face.words import counted
from ..exceptions import MissingExtraError
from .common import Settings, define, json_option
from .output import Screen, note, write, write_document, write_json
from .progress import progress

# The longest cell on a terminal; elsewhere nothing is cut.
_LONGEST, _UNCUT = 60, 1 << 40


@define(
    name="sql",
    examples=[
        ('rolloutlog sql "SELECT kind, count(*) FROM entries GROUP BY kind"', "count the lines of each kind"),
        ('rolloutlog sql --json "SELECT name, exit_code FROM calls WHERE is_error"', "which calls failed"),
    ],
)
@click.argument("query", metavar="QUERY")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values, with the names in the first line.")
@click.pass_context
def command(ctx: click.Context, query: str, as_json: bool, as_csv: bool) -> None:
    """Answer QUERY, in SQL, over the views entries, sessions and calls.

    It can read nothing else and change nothing. Needs the extra "duckdb".
    """
    from ..tables import sql

    if as_json and as_csv:
        raise click.UsageError("expected --json or --csv, not both", ctx)
    settings: Settings = ctx.obj
    unread: set[str] = set()  # a query may read a file more than once
    try:
        with progress("reading", "rows") as show:
            result = sql(query, settings.named or default_homes(), progress=show, unread=unread.add)
    except MissingExtraError as error:
        raise click.ClickException("queries need duckdb and pyarrow: pip install 'rolloutlog[cli,duckdb]'") from error
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    names = result.schema.names
    if as_csv:
        _write_csv([names])
    elif not as_json:
        _write_row(names)
    for batch in result.to_batches():
        rows = ([_plain(value) for value in row.values()] for row in batch.to_pylist())
        if as_csv:
            _write_csv(rows)
            continue
        for row in rows:
            if as_json:
                write_json(dict(zip(names, row, strict=True)))
            else:
                _write_row(row)
    if not as_json and not as_csv and result.num_rows == 0:
        note("no rows")
    if unread:
        note(f"{counted(len(unread), 'file')} could not be read; the entries of the type 'file' say why")


def _plain(value: Any) -> Any:
    """Return *value* as JSON can hold it: a time as ISO 8601, a sum of integers as an integer."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _plain(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_plain(held) for held in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _write_row(values: list[Any]) -> None:
    """Print *values*, separated by tabs, without any character that a terminal obeys."""
    longest = _LONGEST if Screen.of_stdout().is_terminal else _UNCUT
    cells = ["" if value is None else for_terminal(one_line(str(value), longest)) for value in values]
    write("\t".join(cells) + "\n")


def _write_csv(rows: Any) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    written = text.getvalue()
    write_document(for_terminal(written) if Screen.of_stdout().is_terminal else written)
