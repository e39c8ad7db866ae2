"""The goals of rolloutlog against its peers, and how each is read off the results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import reading, starting, variants, writing
from benchmarks.rounds import Results, Spread
from benchmarks.workloads import SDK, SDK_CALL, SDK_LARGE, SDK_MESSAGE

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


def _caller(workload: str, variant: str) -> Measured:
    scene = writing.scene(workload, writing.AT_ONCE, 1)
    return lambda results: results.spread(scene, variant, "caller / naive")


def _reading(workload: str, variant: str, base: str) -> Measured:
    return lambda results: results.ratio(_usual(results, workload), "speed", variant, base)


def _usual(results: Results, workload: str) -> str:
    """Return the scene in which all readers read *workload*."""
    scenes = [scene for scene in results.figures if scene.startswith(f"reading/{workload}/")]
    return max(scenes, key=lambda scene: len(results.figures[scene]), default="")


def _most(variant: str, measure: str) -> Measured:
    """Return a function that finds the greatest median of *measure*, over all workloads and sizes."""

    def measured(results: Results) -> Spread | None:
        scenes = [scene for scene in results.figures if scene.startswith("reading/")]
        spreads = [spread for scene in scenes if (spread := results.spread(scene, variant, measure))]
        return max(spreads, default=None)

    return measured


def _load_share(workload: str) -> Measured:
    return lambda results: results.spread(_usual(results, workload), reading.LOAD, "share")


def _listing(shape: str) -> Measured:
    return lambda results: results.ratio(starting.listing(shape), "ms", starting.FIND, starting.WALK)


def _opening(shape: str, measure: str) -> Measured:
    return lambda results: results.spread(starting.opening(shape), starting.OPEN, measure)


_DICT, _ITEMS, _LOADED = variants.DICT, variants.ITEMS, variants.LOADED
_NAIVE, _QUEUE = variants.NAIVE, variants.QUEUE_HANDLER
_BIG = writing.scene("big", writing.SATURATED, 1)

GOALS = (
    Goal("caller's time, SDK message as a dict, against the naive writer", 0.45, _caller(SDK_MESSAGE, _DICT), True),
    Goal("the same, as an object", 0.9, _caller(SDK_MESSAGE, variants.OBJECT), True),
    Goal("caller's time, SDK function call as a dict, against the naive writer", 0.3, _caller(SDK_CALL, _DICT), True),
    Goal("the same, as an object", 0.6, _caller(SDK_CALL, variants.OBJECT), True),
    Goal(
        "caller's time, an item that exists: loaded, SDK mix, against the naive writer",
        0.15,
        _caller(SDK, _LOADED),
        True,
    ),
    Goal("the same, small, made by its class", 0.15, _caller("small", _ITEMS), True),
    Goal("throughput, SDK mix as dicts, against the naive writer", 2.5, _throughput(SDK, _DICT, _NAIVE)),
    Goal("throughput, loaded items, small, against the naive writer", 3.5, _throughput("small", _LOADED, _NAIVE)),
    Goal("the same, mix", 3, _throughput("mix", _LOADED, _NAIVE)),
    Goal(
        "`load_session` against orjson.loads a line, kept, collector off in both; SDK mix",
        0.45,
        _reading(SDK, reading.LOAD_UNCOLLECTED, reading.ORJSON_UNCOLLECTED),
    ),
    Goal("memory of `load_session` against the file's size, SDK mix", 1.45, _load_share(SDK), True),
    Goal("the same, SDK mix of 2 kB", 1.1, _load_share(SDK_LARGE), True),
    Goal(
        "`iter_lines(kinds={'event'})` against orjson.loads a line; Codex session",
        1,
        _reading(reading.ENVELOPE, reading.EVENTS, reading.ORJSON_STREAMED),
    ),
    Goal(
        "`session(name)`, known, very many sessions, 100 a day: first in a process",
        150,
        _opening(starting.A_DAY, "first"),
        True,
        " ms",
    ),
    Goal("the same again", 5, _opening(starting.A_DAY, "again"), True, " ms"),
    Goal("all in one day: first in a process", 150, _opening(starting.ONE_DAY, "first"), True, " ms"),
    Goal("the same again", 5, _opening(starting.ONE_DAY, "again"), True, " ms"),
    Goal("throughput, items, small, against the naive writer", 3.5, _throughput("small", _ITEMS, _NAIVE)),
    Goal("the same, mix", 3.5, _throughput("mix", _ITEMS, _NAIVE)),
    Goal(
        "throughput, items, small, against the limit: orjson, one `os.write` for 64",
        0.5,
        _throughput("small", _ITEMS, variants.LIMIT),
    ),
    Goal("the same, mix", 0.7, _throughput("mix", _ITEMS, variants.LIMIT)),
    Goal("throughput, items, small, against QueueHandler + QueueListener", 11, _throughput("small", _ITEMS, _QUEUE)),
    Goal("the same, mix", 8, _throughput("mix", _ITEMS, _QUEUE)),
    Goal(
        "throughput, items of 1 MB, against orjson, one `os.write` each",
        0.9,
        _throughput("big", _ITEMS, variants.ONE_WRITE),
    ),
    Goal(
        "peak memory, items of 1 MB, above orjson, one `os.write` each",
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
        "caller's p99.9, saturated, small: the naive writer's against ours",
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
        "processor time a record, bursts, small, against the naive writer",
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
    Goal("`iter_entries` against json.loads a line; mix", 2, _reading("mix", reading.ITERATE, reading.JSON_STREAMED)),
    Goal("the same, small", 2.5, _reading("small", reading.ITERATE, reading.JSON_STREAMED)),
    # These two bounds were set against a peer that keeps the lines. The one that keeps none, above, is fairer.
    Goal("`iter_entries` against json.loads a line, kept; mix", 2, _reading("mix", reading.ITERATE, reading.JSON_KEPT)),
    Goal("the same, small", 2.5, _reading("small", reading.ITERATE, reading.JSON_KEPT)),
    Goal("memory of `iter_entries`, any file", 5, _most(reading.ITERATE, "memory"), True, " MB"),
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
