"""Tables on a terminal: columns as wide as their cells, of which the last is cut to fit, or all of text are."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .._face.safe import for_terminal
from .._face.widths import cells, fitted
from .output import Screen, write

# How many cells the last column wants. Where it has less, columns without a text are left out.
_LAST = 20
# How many cells a column of text has at least, where all are cut to fit.
_LEAST = 8


@attrs.frozen
class Column:
    """A column: its title, whether its cells are at its right edge, and whether it is the last and is cut to fit."""

    title: str
    style: str = ""
    right: bool = False
    is_last: bool = False


@attrs.frozen
class Cell:
    """A cell: text of a file or of ours, and its style."""

    text: str
    style: str = ""


def write_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen) -> None:
    """Print *rows* under the titles of *columns*. No line is longer than the screen is wide."""
    titles = [Cell(column.title, "dim") for column in columns]
    lines = [[attrs.evolve(cell, text=for_terminal(cell.text)) for cell in row] for row in [titles, *rows]]
    widths = [max(cells(line[index].text) for line in lines) for index in range(len(columns))]
    if rows and screen.width - sum(widths[:-1]) - 2 * len(widths[:-1]) < _LAST:
        kept = [index for index in range(len(columns)) if any(line[index].text for line in lines[1:])]
        columns, widths = [columns[index] for index in kept], [widths[index] for index in kept]
        lines = [[line[index] for index in kept] for line in lines]
    for line in lines:
        write(_line(columns, line, widths, screen) + "\n")


def write_even_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen: Screen) -> int:
    """Print *rows* under the titles of *columns*, cut so that as many columns as possible fit on the screen.

    Columns at the right edge hold numbers, which are not cut; the others share the space that is left. Returns how many
    columns do not fit; these are left out, from the last one on.
    """
    lines = [[attrs.evolve(cell, text=for_terminal(cell.text)) for cell in row] for row in rows]
    values = [max((cells(line[index].text) for line in lines), default=0) for index in range(len(columns))]
    titles = [cells(for_terminal(column.title)) for column in columns]
    widest = list(map(max, values, titles))
    least = [
        max(value, min(title, _LEAST)) if column.right else min(wide, _LEAST)
        for column, value, title, wide in zip(columns, values, titles, widest, strict=True)
    ]
    shown = 1
    while shown < len(columns) and sum(least[: shown + 1]) + 2 * shown <= screen.width:
        shown += 1
    widths = _shared(widest[:shown], least[:shown], screen.width - 2 * (shown - 1))
    heads = [Cell(for_terminal(column.title), "dim") for column in columns]
    for line in [heads, *lines]:
        write(_line(columns[:shown], line[:shown], widths, screen) + "\n")
    return len(columns) - shown


def _shared(widest: Sequence[int], least: Sequence[int], total: int) -> list[int]:
    """Return the widths of columns that have *total* cells together: the narrow ones are whole, the rest are alike.

    >>> _shared([3, 50, 90, 10], [3, 8, 8, 8], 63)
    [3, 25, 25, 10]
    """
    widths, left = list(least), total - sum(least)
    while left > 0 and (growing := [index for index, width in enumerate(widths) if width < widest[index]]):
        narrowest = min(growing, key=widths.__getitem__)
        widths[narrowest] += 1
        left -= 1
    return widths


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], screen: Screen) -> str:
    left = screen.width
    pieces: list[str] = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        if left <= 0:
            break
        text = fitted(cell.text, min(width, left))
        missing = min(width, left) - cells(text)
        before = " " * max(0, missing) if column.right else ""
        after = "" if column.right or column.is_last else " " * max(0, missing)
        pieces.append(f"{before}{screen.styled(text, cell.style)}{after}")
        left -= min(width, left) + 2
    return "  ".join(pieces).rstrip()
