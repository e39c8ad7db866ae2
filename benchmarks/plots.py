"""Plots as SVG, made by hand: bars of one figure by variant, and lines of figures that grow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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


def bars(title: str, figures: Sequence[tuple[str, float, bool]]) -> str:
    """Return a plot of *figures*, each a name, a figure, and whether it is ours, on a logarithmic axis."""
    marks = [_Mark(name, figure, _OURS if is_ours else _THEIRS) for name, figure, is_ours in figures]
    return _svg(title, sorted(marks, key=lambda mark: mark.figure))


def lines(title: str, x_name: str, series: Mapping[str, Mapping[float, float]]) -> str:
    """Return a plot of *series*, each a name and its figures by place, on two logarithmic axes."""
    places = sorted({place for held in series.values() for place in held})
    figures = [figure for held in series.values() for figure in held.values()]
    if not figures:
        return ""
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    left, right, bottom, height = 60, 330, 60, 420
    span = math.log10(places[-1] / places[0]) or 1.0

    def x(place: float) -> float:
        return left + math.log10(place / places[0]) / span * (_WIDTH - left - right)

    def y(figure: float) -> float:
        return height - bottom - (math.log10(figure) - low) / max(1, high - low) * (height - bottom - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 24, title, _INK, size=15),
        _text(x(places[len(places) // 2]), height - 16, x_name, _THEIRS, "middle"),
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<line x1="{left}" x2="{_WIDTH - right}" y1="{at:.1f}" y2="{at:.1f}" stroke="{_GRID}"/>')
        parts.append(_text(left - 8, at + 4, f"{10.0**power:g}", _THEIRS, "end"))
    parts += [_text(x(place), height - bottom + 20, f"{place:,.0f}", _THEIRS, "middle") for place in places]
    below = 0.0
    for name, held in sorted(series.items(), key=lambda one: one[1][max(one[1])], reverse=True):
        points = sorted(held.items())
        path = " ".join(f"{x(place):.1f},{y(figure):.1f}" for place, figure in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_OURS}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(at):.1f}" cy="{y(figure):.1f}" r="3" fill="{_OURS}"/>' for at, figure in points]
        below = max(below + 16, y(points[-1][1]) + 4)  # names of lines that end close together do not overlap
        parts.append(_text(x(points[-1][0]) + 10, below, f"{name}: {_short(points[-1][1])}", _INK))
    return "\n".join([*parts, "</svg>", ""])


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
