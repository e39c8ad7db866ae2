"""`rolloutlog sql`: answers a query over all lines, sessions and calls."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import io
from collections.abc import Iterable, Sequence
from itertools import chain, count
from typing import Any

import click

from .._face.safe import for_terminal, one_line
from .._face.sessions import default_homes
from .._face.words import counted
from ..exceptions import MissingExtraError
from .common import Settings, define, json_option
from .output import Screen, note, write, write_document, write_json
from .progress import progress
from .tables import Cell, Column, write_even_table

_UNCUT = 1 << 40


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
    names, screen = result.schema.names, Screen.of_stdout()
    # By column, not as dicts: two columns may have one name.
    batches = (
        list(zip(*(map(_plain, column.to_pylist()) for column in batch.columns), strict=True))
        for batch in result.to_batches()
    )
    if as_csv:
        _write_csv([names])
        for rows in batches:
            _write_csv(rows)
    elif as_json:
        keys = _distinct(names)
        for row in chain.from_iterable(batches):
            write_json(dict(zip(keys, row, strict=True)))
    elif screen.is_terminal:
        _write_table(names, list(chain.from_iterable(batches)), screen)
    else:
        for row in chain([names], chain.from_iterable(batches)):
            write("\t".join(_cell(value, _UNCUT) for value in row) + "\n")
    if not as_json and not as_csv and result.num_rows == 0:
        note("no rows")
    if unread:
        note(f"{counted(len(unread), 'file')} could not be read; the entries of the type 'file' say why")


def _distinct(names: Sequence[str]) -> list[str]:
    """Return *names* as keys of one object: of two that are alike, the second has a number.

    >>> _distinct(["a", "a", "b", "a"])
    ['a', 'a_1', 'b', 'a_2']
    """
    keys: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        keys.append(name if name not in keys else next(key for key in numbered if key not in keys and key not in names))
    return keys


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


def _write_table(names: Sequence[str], rows: Sequence[Sequence[Any]], screen: Screen) -> None:
    """Print *rows* in aligned columns, cut to the width of the terminal."""
    columns = [
        Column(_cell(name, screen.width), right=_are_numbers(row[index] for row in rows))
        for index, name in enumerate(names)
    ]
    hidden = write_even_table(columns, [[Cell(_cell(value, screen.width)) for value in row] for row in rows], screen)
    if hidden:
        note(f"{counted(hidden, 'more column')} did not fit; --json and --csv print all, and so does a pipe")


def _are_numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values if value is not None)


def _cell(value: Any, longest: int) -> str:
    """Return *value* on one line, cut to *longest* characters, without any character that a terminal obeys."""
    return "" if value is None else for_terminal(one_line(str(value), longest))


def _write_csv(rows: Any) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    written = text.getvalue()
    write_document(for_terminal(written) if Screen.of_stdout().is_terminal else written)
