"""One variant of writing, measured in a process of its own: the time of the caller, of the processor, and memory.

*Saturated*, it writes as many records as fit into a span of time: once without a look at the clock, for the throughput
to the last byte, and once with one around each call. *In bursts*, each call is timed, and the writer rests in between.
*At once*, the caller hands over as many records as a queue takes: its time without waiting for the writer, by one look
at the clock for all of them.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import workloads
from benchmarks.memory import Peak
from benchmarks.sinks import Sink, by_hand
from benchmarks.variants import VARIANTS, Variant

SATURATED, BURSTS, AT_ONCE = "saturated", "bursts", "at once"

# A burst is what an agent's turn or a chatty tool logs at once; then it waits for a model, here for 3 ms.
BURST = 32
BIG_BURST = 4
REST = 0.003

# A recorder's queue takes 1,280 records.
HANDED_OVER = 1_000
_FEWEST = 4

# Records of 1 MB in one run: with more, the figure would be how the system writes back its cache.
_MOST_BIG = 96

_WARM_UP = 8

Measures = dict[str, float]


class _Ran(NamedTuple):
    """The cost of one run.

    Attributes:
        records: how many were written.
        seconds: to the last byte.
        calling: seconds until the last call returned, in the mean of the threads.
        processor: seconds of all threads.
        memory: bytes.
        calls: nanoseconds of each call, if it was timed.
    """

    records: int
    seconds: float
    calling: float
    processor: float
    memory: int
    calls: list[int]


def measure(
    variant: str, workload: str, pacing: str, threads: Sequence[int], seconds: float, folder: str
) -> dict[str, Measures]:
    """Measure one variant, and return the measures by scene.

    Args:
        variant: its name.
        workload: what it writes.
        pacing: saturated, in bursts, or at once.
        threads: how many threads write; one measurement after the other.
        seconds: how long they do, each time.
        folder: where the records are stored, and where to write; emptied after each run.
    """
    chosen = next(known for known in VARIANTS if known.name == variant)
    prepared = workloads.load(Path(folder), workload, chosen.form)
    size = BIG_BURST if workload == "big" else BURST
    bursts = _cut(prepared, size)
    _run(chosen, bursts, 1, folder, seconds=10.0, most=max(1, _WARM_UP // size), timed=True)
    if pacing == AT_ONCE:
        dicts = workloads.load(Path(folder), workload, workloads.DICTS)
        return {scene(workload, pacing, 1): _at_once(chosen, prepared, dicts, folder, seconds)}
    results = {}
    for count in threads:
        if count > chosen.most_threads:
            continue
        most = max(1, _MOST_BIG // size // count) if workload == "big" else None
        rest = REST if pacing == BURSTS else 0.0
        # The untimed run comes first: memory that was used before would hide what it needs.
        untimed = _run(chosen, bursts, count, folder, seconds, rest, most, timed=False) if pacing == SATURATED else None
        timed = _run(chosen, bursts, count, folder, seconds, rest, most, timed=True)
        ran = untimed or timed
        results[scene(workload, pacing, count)] = {
            "throughput": ran.records / ran.seconds,
            "p50": _percentile(timed.calls, 0.5),
            "p99": _percentile(timed.calls, 0.99),
            "p99.9": _percentile(timed.calls, 0.999),
            "cpu": ran.processor / ran.records * 1e6,
            "memory": ran.memory / 1e6,
        }
        if untimed:
            results[scene(workload, pacing, count)]["caller"] = untimed.calling / untimed.records * count * 1e6
    return results


def scene(workload: str, pacing: str, threads: int) -> str:
    """Return the name of a scene: a workload, how it is written, and by how many threads."""
    return f"writing/{workload}/{pacing}/{threads}"


def _cut(records: Sequence[Any], size: int) -> list[list[Any]]:
    """Return the records in bursts of one size; the last is filled up from the beginning."""
    count = len(records)
    return [[records[(start + number) % count] for number in range(size)] for start in range(0, count, size)]


def _at_once(variant: Variant, records: Sequence[Any], dicts: Sequence[Any], folder: str, seconds: float) -> Measures:
    """Hand over a thousand records and wait until all are written, in turn with the naive writer, *seconds* each.

    Both take their turns in one process, so that a slow moment of the machine is slow for both.
    """
    here = Path(tempfile.mkdtemp(dir=folder))
    (here / "naive").mkdir()
    sinks = (variant.open(here, 1), by_hand(here / "naive", 1))
    batches = tuple(_cut(some, HANDED_OVER) for some in (records, dicts))
    took: tuple[list[float], list[float]] = ([], [])
    own: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + 2 * seconds
    while len(took[0]) < _FEWEST or time.perf_counter() < end:
        for sink, turns, walls, threads in zip(sinks, batches, took, own, strict=True):
            wall, thread = _hand_over(sink.log, turns[len(walls) % len(turns)])
            walls.append(wall)
            threads.append(thread)
            sink.drain()
    for sink in sinks:
        sink.close()
        _check(sink, len(took[0]) * HANDED_OVER, variant.name)
    shutil.rmtree(here)
    # The first turn finds memory and code cold.
    (caller, naive), (thread, naive_thread) = ([statistics.median(some[1:]) for some in both] for both in (took, own))
    return {
        "caller": caller / HANDED_OVER * 1e6,
        "own": thread / HANDED_OVER * 1e6,
        "caller / naive": caller / naive,
        "own / naive": thread / naive_thread,
    }


def _hand_over(log: Callable[[Any], object], batch: list[Any]) -> tuple[float, float]:
    """Return the seconds that it takes to hand over the batch, and those of this thread on a processor."""
    own_begin, begin = time.thread_time(), time.perf_counter()
    for record in batch:
        log(record)
    end, own_end = time.perf_counter(), time.thread_time()
    return end - begin, own_end - own_begin


def _run(
    variant: Variant,
    bursts: list[list[Any]],
    threads: int,
    folder: str,
    seconds: float,
    rest: float = 0.0,
    most: int | None = None,
    *,
    timed: bool,
) -> _Ran:
    """Write with one newly opened sink from *threads* threads, until *seconds* are over or each wrote *most* bursts."""
    here = Path(tempfile.mkdtemp(dir=folder))
    sink = variant.open(here, threads)
    produce = _produce_timed if timed else _produce
    calls: list[list[int]] = [[] for _ in range(threads)]
    counts = [0] * threads
    spans = [0.0] * threads
    gate = threading.Event()
    end = 0.0

    def work(number: int) -> None:
        gate.wait()
        turned = bursts[number * 7 % len(bursts) :] + bursts[: number * 7 % len(bursts)]
        begin = time.perf_counter()
        counts[number] = produce(sink.log, turned, end, rest, most, calls[number])
        spans[number] = time.perf_counter() - begin

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads if threads > 1 else 0)]
    for worker in workers:
        worker.start()
    memory = Peak()
    processor, begin = time.process_time(), time.perf_counter()
    end = begin + seconds
    gate.set()
    if not workers:
        work(0)
    for worker in workers:
        worker.join()
    sink.close()
    took, used = time.perf_counter() - begin, time.process_time() - processor
    growth = memory.growth
    _check(sink, sum(counts), variant.name)
    shutil.rmtree(here)
    every_call = [nanoseconds for some in calls for nanoseconds in some]
    return _Ran(sum(counts), took, statistics.mean(spans), used, growth, every_call)


def _produce(
    log: Callable[[Any], object], bursts: list[list[Any]], end: float, rest: float, most: int | None, calls: list[int]
) -> int:
    """Record one burst after the other, and return how many records that were."""
    count = done = 0
    while True:
        burst = bursts[done % len(bursts)]
        for record in burst:
            log(record)
        done += 1
        count += len(burst)
        if done == most or time.perf_counter() >= end:
            return count
        if rest:
            time.sleep(rest)


def _produce_timed(
    log: Callable[[Any], object], bursts: list[list[Any]], end: float, rest: float, most: int | None, calls: list[int]
) -> int:
    """Do as `_produce` does, and note how long each call took."""
    clock, note = time.perf_counter_ns, calls.append
    count = done = 0
    while True:
        burst = bursts[done % len(bursts)]
        for record in burst:
            begin = clock()
            log(record)
            note(clock() - begin)
        done += 1
        count += len(burst)
        if done == most or time.perf_counter() >= end:
            return count
        if rest:
            time.sleep(rest)


def _percentile(calls: list[int], share: float) -> float:
    """Return how many microseconds a call took at most, for *share* of the calls."""
    ordered = sorted(calls)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e3


def _check(sink: Sink, count: int, variant: str) -> None:
    """Raise unless the file holds every record: a variant that loses some is not fast."""
    if sink.file is None:
        return
    with open(sink.file, "rb") as file:
        lines = sum(line.endswith(b"\n") and sink.marker in line for line in file)
    if lines != count + sink.headers:
        raise RuntimeError(f"{variant} was given {count} records and wrote {lines - sink.headers}")
