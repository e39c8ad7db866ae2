"""What rolloutlog is meant to reach against its peers, and how that is read off the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import reading, starting, variants, writing
from benchmarks.rounds import Results, Spread

Measured = Callable[[Results], Spread | None]


@dataclass(frozen=True)
class Goal:
    """One line of the table: a figure with a bound, which it must reach (or, with *most*, must not pass)."""

    what: str
    bound: float
    measured: Measured
    most: bool = False
    unit: str = "×"

    def is_met(self, reached: Spread) -> bool:
        """Return whether the median keeps to the bound."""
        return reached.median <= self.bound if self.most else reached.median >= self.bound


def _writing(workload: str, pacing: str, measure: str, variant: str, base: str) -> Measured:
    scene = writing.scene(workload, pacing, 1)
    return lambda results: results.ratio(scene, measure, variant, base)


def _throughput(workload: str, variant: str, base: str) -> Measured:
    return _writing(workload, writing.SATURATED, "throughput", variant, base)


def _reading(workload: str, variant: str, base: str) -> Measured:
    return lambda results: results.ratio(reading.scene(workload, _usual_size(results)), "speed", variant, base)


def _usual_size(results: Results) -> int:
    """Return the size at which all readers were measured, in MB."""
    scenes = [scene for scene, known in results.figures.items() if scene.startswith("reading/") and len(known) > 3]
    return int(scenes[0].rpartition("/")[2]) if scenes else 0


def _most(variant: str, measure: str, workload: str = "") -> Measured:
    """Return how to find the greatest median of *measure*, over all sizes of *workload*."""

    def measured(results: Results) -> Spread | None:
        scenes = [scene for scene in results.figures if scene.startswith(f"reading/{workload}")]
        spreads = [spread for scene in scenes if (spread := results.spread(scene, variant, measure))]
        return max(spreads, default=None)

    return measured


def _load_share(workload: str) -> Measured:
    scene = f"reading/{workload}"
    return lambda results: results.spread(f"{scene}/{_usual_size(results)}", reading.LOAD, "share")


def _listing(shape: str) -> Measured:
    return lambda results: results.ratio(starting.listing(shape), "ms", starting.FIND, starting.WALK)


_ITEMS, _NAIVE, _QUEUE = variants.ITEMS, variants.NAIVE, variants.QUEUE_HANDLER
_BIG = writing.scene("big", writing.SATURATED, 1)

GOALS = (
    Goal("throughput, small, against `json.dumps` + write + flush", 3.5, _throughput("small", _ITEMS, _NAIVE)),
    Goal("the same, mix", 3.5, _throughput("mix", _ITEMS, _NAIVE)),
    Goal(
        "throughput, small, against the limit: orjson, one `os.write` for 64",
        0.5,
        _throughput("small", _ITEMS, variants.LIMIT),
    ),
    Goal("the same, mix", 0.7, _throughput("mix", _ITEMS, variants.LIMIT)),
    Goal("throughput, small, against QueueHandler + QueueListener", 11, _throughput("small", _ITEMS, _QUEUE)),
    Goal("the same, mix", 8, _throughput("mix", _ITEMS, _QUEUE)),
    Goal(
        "throughput, 1 MB records, against orjson, one `os.write` each",
        0.9,
        _throughput("big", _ITEMS, variants.ONE_WRITE),
    ),
    Goal(
        "peak memory, 1 MB records, above orjson, one `os.write` each",
        16,
        lambda results: results.difference(_BIG, "memory", _ITEMS, variants.ONE_WRITE),
        most=True,
        unit=" MB",
    ),
    Goal(
        "caller's p50, bursts, small: QueueHandler's against ours",
        12,
        _writing("small", "bursts", "p50", _QUEUE, _ITEMS),
    ),
    Goal(
        "caller's p99, bursts, small: QueueHandler's against ours",
        5,
        _writing("small", "bursts", "p99", _QUEUE, _ITEMS),
    ),
    Goal(
        "caller's p99.9, saturated, small: `json.dumps` + write + flush against ours",
        1,
        _writing("small", "saturated", "p99.9", _NAIVE, _ITEMS),
    ),
    Goal("the same, mix", 1, _writing("mix", "saturated", "p99.9", _NAIVE, _ITEMS)),
    Goal(
        "through `Logger.info`, small, against QueueHandler + QueueListener",
        4,
        _throughput("small", variants.LOGGER, _QUEUE),
    ),
    Goal(
        "the same against FileHandler + orjson formatter",
        1.5,
        _throughput("small", variants.LOGGER, variants.FILE_HANDLER),
    ),
    Goal("the same against loguru, enqueue", 20, _throughput("small", variants.LOGGER, variants.LOGURU_QUEUED)),
    Goal(
        "CPU a record, bursts, small, against `json.dumps` + write + flush",
        0.6,
        _writing("small", "bursts", "cpu", _ITEMS, _NAIVE),
        most=True,
    ),
    Goal(
        "`load_session` against orjson.loads a line, kept; mix", 0.9, _reading("mix", reading.LOAD, reading.ORJSON_KEPT)
    ),
    Goal("the same, small", 0.75, _reading("small", reading.LOAD, reading.ORJSON_KEPT)),
    Goal("`load_session` against json.loads a line, kept; mix", 1.8, _reading("mix", reading.LOAD, reading.JSON_KEPT)),
    Goal("the same, small", 2.2, _reading("small", reading.LOAD, reading.JSON_KEPT)),
    # The bound was set against lines that are kept; a reader that keeps none is the fairer peer, and is shown beside.
    Goal("`iter_entries` against json.loads a line, kept; mix", 2, _reading("mix", reading.ITERATE, reading.JSON_KEPT)),
    Goal("the same, small", 2.5, _reading("small", reading.ITERATE, reading.JSON_KEPT)),
    Goal("`iter_entries` against json.loads a line; mix", 2, _reading("mix", reading.ITERATE, reading.JSON_STREAMED)),
    Goal("the same, small", 2.5, _reading("small", reading.ITERATE, reading.JSON_STREAMED)),
    Goal(
        "memory of `iter_entries` above the idle process, at any size", 5, _most(reading.ITERATE, "memory"), True, " MB"
    ),
    Goal("memory of `load_session` against the file's size, mix", 1.5, _load_share("mix"), most=True),
    Goal("the same, small", 1.5, _load_share("small"), most=True),
    Goal("`shared=True`, a lock a batch, against none, small", 0.9, _throughput("small", variants.SHARED, _ITEMS)),
    Goal("the same, mix", 0.9, _throughput("mix", variants.SHARED, _ITEMS)),
    Goal(
        "import of rolloutlog against `logging` and `asyncio` together",
        1.5,
        lambda results: results.ratio(starting.IMPORT, "ms", starting.OURS, starting.BASE),
        most=True,
    ),
    Goal("newest 20 of very many sessions, 100 a day, against a walk", 3, _listing(starting.A_DAY), most=True),
    Goal("the same, all in one day", 3, _listing(starting.ONE_DAY), most=True),
)
