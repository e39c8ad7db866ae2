"""The results as Markdown tables, which read well in a terminal too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import reading, starting, variants, writing
from benchmarks.goals import GOALS
from benchmarks.rounds import Results, Spread
from benchmarks.workloads import NAMES

_MEASURES = ("p50", "p99", "p99.9", "cpu", "memory")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose columns are aligned; all but the first hold figures."""
    cells = [list(header), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]]) + "\n"


def goals(results: Results) -> str:
    """Return the goals beside what was reached, or a note that it was not measured."""
    rows = []
    for goal in GOALS:
        bound = f"{'≤' if goal.most else '≥'} {number(goal.bound)}{goal.unit}"
        reached = goal.measured(results)
        if reached is None:
            rows.append([goal.what, bound, "not measured", ""])
        else:
            verdict = "met" if goal.is_met(reached) else "missed"
            rows.append([goal.what, bound, f"{spread(reached)}{goal.unit}", verdict])
    return table(["", "goal", "reached", ""], rows)


def reached(results: Results) -> dict[str, int]:
    """Return how many of the goals that were measured are met, and how many were measured."""
    measured = [(goal, spread) for goal in GOALS if (spread := goal.measured(results)) is not None]
    return {"met": sum(goal.is_met(spread) for goal, spread in measured), "goals": len(measured)}


def all_callers(results: Results) -> Iterable[tuple[str, str]]:
    """Yield title and text of the tables of what a record costs its caller."""
    for workload in NAMES:
        at_once = writing.scene(workload, writing.AT_ONCE, 1)
        saturated = writing.scene(workload, writing.SATURATED, 1)
        if at_once in results.figures:
            rows = [
                [
                    variant,
                    _median(results, at_once, variant, "caller"),
                    spread(results.spread(at_once, variant, "caller / naive")),
                    _median(results, at_once, variant, "own"),
                    spread(results.spread(at_once, variant, "own / naive")),
                    _median(results, saturated, variant, "caller"),
                    spread(results.ratio(saturated, "caller", variant, variants.NAIVE)),
                ]
                for variant in _in_order(results, at_once, [known.name for known in variants.VARIANTS])
            ]
            header = ["", "at once µs", "× naive", "CPU of its thread µs", "× naive", "saturated µs", "× naive"]
            yield workload, table(header, rows)


def all_writing(results: Results) -> Iterable[tuple[str, str]]:
    """Yield title and text of the tables of writing."""
    for workload in NAMES:
        for pacing in (writing.SATURATED, writing.BURSTS):
            scenes = [scene for scene in results.figures if scene.startswith(f"writing/{workload}/{pacing}/")]
            for scene in sorted(scenes, key=lambda scene: int(scene.rpartition("/")[2])):
                threads = int(scene.rpartition("/")[2])
                yield f"{workload}, {pacing}, {threads} thread{'s' * (threads > 1)}", _one_writing(results, scene)


def _one_writing(results: Results, scene: str) -> str:
    rows = []
    for variant in _in_order(results, scene, [known.name for known in variants.VARIANTS]):
        figures = [_median(results, scene, variant, measure) for measure in _MEASURES]
        speed = results.spread(scene, variant, "throughput")
        thousands = number(speed.median / 1e3) if speed else ""
        rows.append([variant, thousands, spread(results.ratio(scene, "throughput", variant, variants.NAIVE)), *figures])
    header = ["", "1,000 records/s", "× naive", "p50 µs", "p99 µs", "p99.9 µs", "CPU µs", "peak MB"]
    return table(header, rows)


def all_reading(results: Results) -> Iterable[tuple[str, str]]:
    """Yield title and text of the tables of reading."""
    order = [known.name for known in reading.READERS]
    for workload in (*NAMES, reading.ENVELOPE):
        scenes = [scene for scene in results.figures if scene.startswith(f"reading/{workload}/")]
        sizes = sorted(int(scene.rpartition("/")[2]) for scene in scenes)
        for size in sizes:
            scene = reading.scene(workload, size)
            if len(results.figures[scene]) > len(_growing(results, workload, sizes)):
                rows = [_one_reading(results, scene, variant) for variant in _in_order(results, scene, order)]
                yield f"{workload}, {size:,} MB", table(["", "MB/s", "× json.loads", "peak MB", "peak / size"], rows)
        if len(sizes) > 1:
            header = ["", *(f"{size:,} MB: MB/s (peak MB)" for size in sizes)]
            rows = [[name, *_growth(results, workload, sizes, name)] for name in _growing(results, workload, sizes)]
            yield f"{workload}, as it grows", table(header, rows)


def _growing(results: Results, workload: str, sizes: list[int]) -> list[str]:
    """Return the readers that were measured at every size."""
    measured = [set(results.figures[reading.scene(workload, size)]) for size in sizes]
    return [known.name for known in reading.READERS if all(known.name in some for some in measured)]


def _growth(results: Results, workload: str, sizes: list[int], variant: str) -> list[str]:
    scenes = [reading.scene(workload, size) for size in sizes]
    return [f"{_median(results, at, variant, 'speed')} ({_median(results, at, variant, 'memory')})" for at in scenes]


def _one_reading(results: Results, scene: str, variant: str) -> list[str]:
    ratio = results.ratio(scene, "speed", variant, reading.JSON_KEPT)
    return [variant, _median(results, scene, variant, "speed"), spread(ratio)] + [
        _median(results, scene, variant, measure) for measure in ("memory", "share")
    ]


def all_starting(results: Results) -> Iterable[tuple[str, str]]:
    """Yield title and text of the tables of starting."""
    opened = [scene for scene in results.figures if scene.startswith(starting.OPENING)]
    if opened:
        columns = ("first", "again", "new")
        rows = [
            [scene.rpartition("/")[2], *(spread(results.spread(scene, starting.OPEN, column)) for column in columns)]
            for scene in sorted(opened)
        ]
        header = [starting.OPEN, "known, first in a process, ms", "again, ms", "new, ms"]
        yield "a session by name, among very many", table(header, rows)
    bases = {starting.IMPORT: starting.BASE, starting.FIRST: variants.NAIVE}
    for scene in sorted(scene for scene in results.figures if scene.startswith("starting/") and scene not in opened):
        base = bases.get(scene, starting.WALK)
        rows = [
            [variant, spread(results.spread(scene, variant, "ms")), spread(results.ratio(scene, "ms", variant, base))]
            for variant in sorted(results.figures[scene])
        ]
        yield scene.partition("/")[2].replace("/", ", "), table(["", "ms", f"× {base}"], rows)


def noise(results: Results) -> str:
    """Return how far apart two measurements of the same variant were."""
    pairs = (
        ("writing", variants.ITEMS, variants.AGAIN),
        ("reading", reading.LOAD, reading.LOAD_AGAIN),
        ("starting", starting.OURS, starting.OURS_AGAIN),
    )
    rows = []
    for kind, variant, again in pairs:
        scenes = [scene for scene in results.figures if scene.startswith(kind)]
        for measure in ("throughput", "caller", "p50", "p99", "p99.9", "cpu", "speed", "ms"):
            apart = [found for scene in scenes if (found := results.ratio(scene, measure, again, variant))]
            if apart:
                medians = sorted(max(found.median, 1 / found.median) for found in apart)
                furthest = max(max(found.high, 1 / found.low) for found in apart)
                middle = medians[len(medians) // 2]
                rows.append([f"{kind}, {measure}", f"×{middle:.2f}", f"×{medians[-1]:.2f}", f"×{furthest:.2f}"])
    return table(["", "medians apart, usually", "at most", "single rounds apart, at most"], rows)


def spread(figure: Spread | None) -> str:
    """Return the median with the least and the greatest, or nothing."""
    if figure is None:
        return ""
    return f"{number(figure.median)} ({number(figure.low)}–{number(figure.high)})"


def _median(results: Results, scene: str, variant: str, measure: str) -> str:
    figure = results.spread(scene, variant, measure)
    return number(figure.median) if figure else ""


def _in_order(results: Results, scene: str, order: list[str]) -> list[str]:
    return [variant for variant in order if variant in results.figures[scene]]


def number(figure: float) -> str:
    """Return *figure* with about three significant digits."""
    size = abs(figure)
    if size >= 100 or figure == int(figure):
        return f"{figure:,.0f}"
    return f"{figure:.1f}" if size >= 10 else f"{figure:.2f}"


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]
