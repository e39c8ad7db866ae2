"""The cost of a query over many sessions, by our reader and by an engine's own, in CPU time and memory.

    python -m tests.fleet_corpus HOME --sessions 20000
    python -m benchmarks.fleet HOME
    python -m benchmarks.fleet --plots docs/fleets

Each measurement runs in a process of its own. CPU time is that of the whole process without its start, because the
machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import plots

CALLS = """
    SELECT name, count(*) FILTER (kind = 'tool_call'), count_if(is_error)
    FROM e WHERE kind IN ('tool_call', 'tool_output') GROUP BY name ORDER BY name
"""
# An expert's query for the calls alone: exact types, broken lines passed over; forks count twice, and compressed files
# are read by DuckDB itself.
OWN_JSON = """
    SELECT coalesce(payload.name, name) AS name, count(*) FROM read_json('{files}', format = 'newline_delimited',
        columns = {{type: 'VARCHAR', name: 'VARCHAR', output: 'JSON', call_id: 'VARCHAR', timestamp: 'VARCHAR',
            content: 'JSON', payload: 'STRUCT(type VARCHAR, name VARCHAR, output JSON, call_id VARCHAR, content JSON,
            info JSON, usage JSON, model VARCHAR)'}}, ignore_errors = true, maximum_object_size = 67108864)
    WHERE coalesce(payload.type, type) IN ('function_call', 'custom_tool_call') GROUP BY 1 ORDER BY 1
"""


def _read(home: Path, **options: object) -> int:
    from rolloutlog import tables

    return sum(batch.num_rows for batch in tables.entries(home, **options).batches())  # type: ignore[arg-type]


def _duckdb(home: Path) -> int:
    import duckdb

    from rolloutlog import tables

    e = tables.entries(home, kinds={"tool_call", "tool_output"}, columns=["name", "kind", "is_error"])  # noqa: F841
    return len(duckdb.sql(CALLS).fetchall())


def _polars(home: Path) -> int:
    import polars as pl

    from rolloutlog import tables

    e = tables.entries(home, kinds={"tool_call", "tool_output"}, columns=["name", "kind", "is_error"])
    is_call = pl.col("kind") == "tool_call"
    counted = pl.DataFrame(e).group_by("name").agg(is_call.sum(), pl.col("is_error").sum().alias("failures"))
    return len(counted)


def _own_loop(home: Path) -> int:
    """As one would write it: it reads no compressed file, and counts forks twice."""
    counts: dict[str, int] = {}
    for path in (home / "sessions").rglob("*.jsonl"):
        with open(path, "rb") as file:
            for line in file:
                try:
                    value = json.loads(line)
                    item = value.get("payload", value)
                    if item["type"] in ("function_call", "custom_tool_call"):
                        counts[item["name"]] = counts.get(item["name"], 0) + 1
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue
    return len(counts)


def _own_json(home: Path) -> int:
    import duckdb

    duckdb.sql("SET threads = 1")
    return len(duckdb.sql(OWN_JSON.format(files=home / "sessions/*/*/*/*.jsonl*")).fetchall())


def _copy(home: Path) -> int:
    from rolloutlog import tables

    return len(tables.copy(home).written)


def _copied(home: Path) -> int:
    from rolloutlog import tables

    return int(tables.sql(CALLS.replace("FROM e", "FROM entries"), home).num_rows)


def _orjson(home: Path) -> int:
    from rolloutlog._json import parse
    from rolloutlog._reading.blocks import Source, blocks
    from rolloutlog.tables._files import paths_in

    count = 0
    for path in paths_in(home):
        with Source(path) as source:
            for block in blocks(source, 1 << 26, 1 << 16):
                for line in block.lines:
                    try:
                        parse(line)
                        count += 1
                    except ValueError:
                        continue
    return count


OVER_OURS = "calls and failures by tool, DuckDB over ours"
POLARS_OVER_OURS = "calls and failures by tool, Polars over ours"
FROM_COPY = "calls and failures by tool, from the copy"
DUCKDB_OWN = "calls by tool, DuckDB's own read_json"
STDLIB_OWN = "calls by tool, own loop over json.loads"

MEASUREMENTS: dict[str, Callable[[Path], int]] = {
    "JSON parsed, nothing else": _orjson,
    "all columns without raw": _read,
    "all columns": lambda home: _read(home, columns=list(_columns())),
    "kinds={'tool_output'}": lambda home: _read(home, kinds={"tool_output"}),
    "kinds={'usage'}": lambda home: _read(home, kinds={"usage"}),
    OVER_OURS: _duckdb,
    POLARS_OVER_OURS: _polars,
    DUCKDB_OWN: _own_json,
    STDLIB_OWN: _own_loop,
    "copy, cold": _copy,
    "copy, nothing changed": _copy,
    FROM_COPY: _copied,
}


def _columns() -> list[str]:
    from rolloutlog.tables._arrow import ENTRIES

    return list(ENTRIES)


def measure(home: Path, name: str) -> None:
    """Print the result of one measurement as JSON."""
    import resource

    import duckdb
    import pyarrow
    import pyarrow.dataset
    import pyarrow.parquet

    duckdb.sql("SELECT 1").fetchall()
    pyarrow.array(["x"])  # which imports pandas, where it is
    began, cpu = time.perf_counter(), time.process_time()
    count = MEASUREMENTS[name](home)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"name": name, "cpu": cpu, "wall": wall, "peak": peak, "count": count}))


def plot(folder: Path, sizes: Sequence[int], kept: Path | None) -> None:
    """Measure homes of these *sizes*, in sessions, and write the plots of docs/fleets.md to *folder*."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    if kept is not None and kept.exists():
        figures = json.loads(kept.read_text(encoding="utf-8"))
    for sessions in sizes:
        if str(sessions) in figures:
            continue
        with tempfile.TemporaryDirectory(prefix="rolloutlog-fleet-") as home:
            command = [sys.executable, "-m", "tests.fleet_corpus", home, "--sessions", str(sessions)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            figures[str(sessions)] = dict(_measured(Path(home), PLOTTED))
        if kept is not None:
            kept.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    series = {
        name: {float(size): held[name]["cpu"] for size, held in figures.items() if name in held} for name in GROWING
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = plots.lines("CPU seconds by the number of sessions", "sessions", series)
    (folder / "growth.svg").write_text(text, encoding="utf-8")
    most = max(figures, key=int)
    compared = [(name, figures[most][name]["cpu"], "own" not in name) for name in COMPARED if name in figures[most]]
    title = f"CPU seconds for the calls by tool in {int(most):,} sessions; only ours are exact"
    (folder / "readers.svg").write_text(plots.bars(title, compared), encoding="utf-8")


GROWING = ("all columns without raw", "kinds={'tool_output'}", "copy, nothing changed", FROM_COPY)
COMPARED = (OVER_OURS, POLARS_OVER_OURS, FROM_COPY, DUCKDB_OWN, STDLIB_OWN)
PLOTTED = (*GROWING[:2], OVER_OURS, POLARS_OVER_OURS, DUCKDB_OWN, STDLIB_OWN, "copy, cold", *GROWING[2:])


def _measured(home: Path, names: Iterable[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each name with what was measured, in a process of its own; a failure is reported and left out."""
    for name in names:
        command = [sys.executable, "-m", "benchmarks.fleet", str(home), "--only", name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        else:
            yield name, json.loads(done.stdout)


def main() -> None:
    """Measure all, or the one that is named, or make the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, nargs="?", help="a home that tests.fleet_corpus made")
    parser.add_argument("--only", help="one measurement, by its name, in this process")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="measure homes of --sizes, write plots to FOLDER")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 4_000, 20_000], help="in sessions")
    parser.add_argument("--keep", type=Path, help="a file of figures as JSON; its sizes are not measured again")
    options = parser.parse_args()
    if options.plots:
        plot(options.plots, options.sizes, options.keep)
        return
    if options.home is None:
        parser.error("a home is needed, or --plots")
    if options.only:
        measure(options.home, options.only)
        return
    size = json.loads((options.home / "truth.json").read_text(encoding="utf-8"))["size"]
    for name, found in _measured(options.home, MEASUREMENTS):
        rate = size / found["cpu"] / 1e6
        print(
            f"{name:46} {found['cpu']:8.2f} CPU s {found['wall']:8.2f} s {rate:7.0f} MB/s {found['peak']:6.0f} MB "
            f"{found['count']:,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
