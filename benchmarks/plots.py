"""One plot as SVG, made by hand: the time that a record costs its caller, by variant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from benchmarks import variants
from benchmarks.rounds import Results

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 860, 270, 70, 64, 26
_OURS, _THEIRS, _LIMIT, _INK, _GRID = "#0b6e4f", "#8a94a6", "#c9b458", "#20242c", "#e3e6ec"


class _Mark(NamedTuple):
    """One row: a name, the figure of its bar, and its colour."""

    name: str
    figure: float
    colour: str


def caller(results: Results, scene: str, title: str) -> str:
    """Return a plot of the caller's time in *scene*, in microseconds a record, on a logarithmic axis."""
    marks = [
        _Mark(variant, spread.median, _colour(variant))
        for variant in _shown(results, scene)
        if (spread := results.spread(scene, variant, "caller"))
    ]
    return _svg(title, sorted(marks, key=lambda mark: mark.figure))


def _shown(results: Results, scene: str) -> list[str]:
    measured = results.figures.get(scene, {})
    return [known.name for known in variants.VARIANTS if known.name in measured and known.name != variants.AGAIN]


def _colour(variant: str) -> str:
    if variant.startswith("recorder"):
        return _OURS
    return _LIMIT if "limit" in variant or variant in (variants.LIMIT, variants.ONE_WRITE) else _THEIRS


def _short(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.2g}"


def _svg(title: str, marks: Sequence[_Mark]) -> str:
    """Return the plot: one row a mark, on an axis of powers of ten."""
    if not marks:
        return ""
    first, last = (round_(math.log10(mark.figure)) for round_, mark in ((math.floor, marks[0]), (math.ceil, marks[-1])))
    last = max(last, first + 1)
    height = _TOP + _ROW * len(marks) + 16

    def x(figure: float) -> float:
        return _LEFT + (math.log10(figure) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 24, title, _INK, size=15),
    ]
    for power in range(first, last + 1):
        at = x(10.0**power)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 8}" y2="{height - 12}" stroke="{_GRID}"/>')
        parts.append(_text(at, _TOP - 14, f"{10.0**power:g}", _THEIRS, "middle"))
    for row, mark in enumerate(marks):
        y, end = _TOP + _ROW * row + _ROW / 2, x(mark.figure)
        parts.append(_text(_LEFT - 10, y + 4, mark.name, _INK, "end"))
        parts.append(f'<rect x="{_LEFT}" y="{y - 8}" width="{end - _LEFT:.1f}" height="16" fill="{mark.colour}"/>')
        parts.append(_text(end + 8, y + 4, _short(mark.figure), _INK))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'
