"""One variant of writing, measured in a process of its own: what a record costs its caller, the processor and memory.

Saturated, as many records are written as fit into a span of time, once without a look at the clock, for the throughput
to the last byte, and once with one around each call. In bursts, which are about the caller, each call is timed.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.memory import Peak
from benchmarks.sinks import Sink
from benchmarks.variants import VARIANTS, Variant
from benchmarks.workloads import records

SATURATED, BURSTS = "saturated", "bursts"

# A burst is what an agent's turn or a chatty tool logs at once; then it waits for a model, here for 3 ms.
BURST = 32
BIG_BURST = 4
REST = 0.003

# Records of 1 MB in one go: more of them would measure how the system writes back what it cached.
_MOST_BIG = 96

_WARM_UP = 8


class _Ran(NamedTuple):
    """What one run took, in records, seconds and bytes; *calls* are the nanoseconds of each call, if it was timed."""

    records: int
    seconds: float
    processor: float
    memory: int
    calls: list[int]


def measure(
    variant: str, workload: str, pacing: str, threads: Sequence[int], seconds: float, folder: str
) -> dict[str, dict[str, float]]:
    """Measure one variant, and return the measures by scene.

    Args:
        variant: its name.
        workload: what it writes.
        pacing: saturated or in bursts.
        threads: how many threads write; one measurement after the other.
        seconds: how long they do, each time.
        folder: where to write; emptied after each run.
    """
    chosen = next(known for known in VARIANTS if known.name == variant)
    prepared = [chosen.prepare(record) for record in records(workload)]
    size = BIG_BURST if workload == "big" else BURST
    bursts = [[prepared[(start + k) % len(prepared)] for k in range(size)] for start in range(0, len(prepared), size)]
    _run(chosen, bursts, 1, folder, seconds=10.0, most=max(1, _WARM_UP // size), timed=True)
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
    return results


def scene(workload: str, pacing: str, threads: int) -> str:
    """Return the name of a scene: what is written, how, and by how many."""
    return f"writing/{workload}/{pacing}/{threads}"


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
    gate = threading.Event()
    end = 0.0

    def work(number: int) -> None:
        gate.wait()
        turned = bursts[number * 7 % len(bursts) :] + bursts[: number * 7 % len(bursts)]
        counts[number] = produce(sink.log, turned, end, rest, most, calls[number])

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
    return _Ran(sum(counts), took, used, growth, [nanoseconds for some in calls for nanoseconds in some])


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
    """Do as `_produce` does, and note what each call took."""
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
    """Raise unless the file holds every record: what was lost was not fast."""
    if sink.file is None:
        return
    lines = 0
    with open(sink.file, "rb") as file:
        while chunk := file.read(1 << 20):
            lines += chunk.count(b"\n")
    if lines != count + sink.headers:
        raise RuntimeError(f"{variant} was given {count} records and wrote {lines - sink.headers}")
