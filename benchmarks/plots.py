"""Two plots as SVG, made by hand: throughput, and what a record costs its caller. The axes are logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from benchmarks import variants, writing
from benchmarks.rounds import Results

_WIDTH, _LEFT, _RIGHT, _TOP, _ROW = 860, 250, 70, 64, 26
_OURS, _THEIRS, _LIMIT, _INK, _GRID = "#0b6e4f", "#8a94a6", "#c9b458", "#20242c", "#e3e6ec"


class _Mark(NamedTuple):
    """One row: a name, the figures on it (one is drawn as a bar, more as dots on a line), and its colour."""

    name: str
    figures: Sequence[float]
    colour: str


def throughput(results: Results, workload: str) -> str:
    """Return a plot of records a second, one thread, saturated; what needs more than a glance is in the tables."""
    scene = writing.scene(workload, writing.SATURATED, 1)
    marks = [
        _Mark(variant, [figure.median], _colour(variant))
        for variant in _shown(results, scene)
        if (figure := results.spread(scene, variant, "throughput"))
    ]
    marks.sort(key=lambda mark: -mark.figures[0])
    return _svg(f"Records a second to the last byte on disk ({workload}, one thread, saturated)", marks)


def latency(results: Results, workload: str) -> str:
    """Return a plot of the caller's p50, p99 and p99.9 in bursts."""
    scene = writing.scene(workload, writing.BURSTS, 1)
    marks = []
    for variant in _shown(results, scene):
        spreads = [results.spread(scene, variant, measure) for measure in ("p50", "p99", "p99.9")]
        figures = [spread.median for spread in spreads if spread]
        if len(figures) == 3:
            marks.append(_Mark(variant, figures, _colour(variant)))
    marks.sort(key=lambda mark: mark.figures[0])
    return _svg(f"What a record costs its caller in µs: p50, p99, p99.9 ({workload}, one thread, bursts)", marks)


def _shown(results: Results, scene: str) -> list[str]:
    measured = results.figures.get(scene, {})
    return [known.name for known in variants.VARIANTS if known.name in measured and known.name != variants.AGAIN]


def _colour(variant: str) -> str:
    if variant.startswith("recorder"):
        return _OURS
    return _LIMIT if "limit" in variant or variant in (variants.LIMIT, variants.ONE_WRITE) else _THEIRS


def _short(figure: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if figure >= size:
            return f"{figure / size:.3g}{unit}"
    return f"{figure:.3g}"


def _svg(title: str, marks: Sequence[_Mark]) -> str:
    """Return the plot: one row a mark, on an axis of powers of ten."""
    figures = [figure for mark in marks for figure in mark.figures]
    if not figures:
        return ""
    first, last = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
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
        parts.append(_text(at, _TOP - 14, _short(10.0**power), _THEIRS, "middle"))
    for row, mark in enumerate(marks):
        y = _TOP + _ROW * row + _ROW / 2
        parts.append(_text(_LEFT - 10, y + 4, mark.name, _INK, "end"))
        parts += _row(mark, [x(figure) for figure in mark.figures], y)
    return "\n".join([*parts, "</svg>", ""])


def _row(mark: _Mark, at: list[float], y: float) -> list[str]:
    text = _text(at[-1] + 8, y + 4, _short(mark.figures[-1]), _INK)
    if len(at) == 1:
        return [f'<rect x="{_LEFT}" y="{y - 8}" width="{at[0] - _LEFT:.1f}" height="16" fill="{mark.colour}"/>', text]
    line = f'<line x1="{at[0]:.1f}" x2="{at[-1]:.1f}" y1="{y}" y2="{y}" stroke="{mark.colour}" stroke-width="2"/>'
    return [line, *(f'<circle cx="{one:.1f}" cy="{y}" r="4.5" fill="{mark.colour}"/>' for one in at), text]


def _text(x: float, y: float, text: str, colour: str, anchor: str = "start", size: int = 12) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'
