"""Tables on a terminal: columns as wide as their cells, of which the last is cut to fit."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from .._face.safe import for_terminal
from .._face.widths import cells, fitted
from .output import Screen, write

# How many cells the last column wants. Where it has less, columns without a text are left out.
_LAST = 20


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


def _line(columns: Sequence[Column], row: Sequence[Cell], widths: Sequence[int], screen: Screen) -> str:
    left = screen.width
    pieces: list[str] = []
    for column, cell, width in zip(columns, row, widths, strict=True):
        if left <= 0:
            break
        text = fitted(cell.text, left)
        missing = min(width, left) - cells(text)
        before = " " * max(0, missing) if column.right else ""
        after = "" if column.right or column.is_last else " " * max(0, missing)
        pieces.append(f"{before}{screen.styled(text, cell.style)}{after}")
        left -= min(width, left) + 2
    return "  ".join(pieces).rstrip()
