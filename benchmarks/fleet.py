"""The cost of a query over many sessions, by our reader and by an engine's own, in CPU time and memory.

    python -m tests.fleet_corpus HOME --sessions 20000
    python -m benchmarks.fleet HOME

Each measurement runs in a process of its own. CPU time is that of the whole process without its start, because the
machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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


MEASUREMENTS: dict[str, Callable[[Path], int]] = {
    "JSON parsed, nothing else": _orjson,
    "all columns without raw": _read,
    "all columns": lambda home: _read(home, columns=list(_columns())),
    "kinds={'tool_output'}": lambda home: _read(home, kinds={"tool_output"}),
    "kinds={'usage'}": lambda home: _read(home, kinds={"usage"}),
    "calls and failures by tool, DuckDB over ours": _duckdb,
    "calls by tool, DuckDB's read_json": _own_json,
    "copy, cold": _copy,
    "copy, nothing changed": _copy,
    "calls and failures by tool, from the copy": _copied,
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


def main() -> None:
    """Measure all, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--only", help="one measurement, by its name, in this process")
    options = parser.parse_args()
    if options.only:
        measure(options.home, options.only)
        return
    size = json.loads((options.home / "truth.json").read_text(encoding="utf-8"))["size"]
    for name in MEASUREMENTS:
        command = [sys.executable, "-m", "benchmarks.fleet", str(options.home), "--only", name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{name}: {done.stderr.strip().splitlines()[-1]}")
            continue
        found = json.loads(done.stdout)
        rate = size / found["cpu"] / 1e6
        print(
            f"{name:46} {found['cpu']:8.2f} CPU s {found['wall']:8.2f} s {rate:7.0f} MB/s {found['peak']:6.0f} MB "
            f"{found['count']:,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
