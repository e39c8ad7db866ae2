"""The entries of a home in Ray Data: python with_ray.py [HOME]."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pyarrow
import pyarrow.compute
import ray
from questions import TEXT, show

from rolloutlog import tables


def entries(home: str | None) -> ray.data.Dataset:
    """Return the entries as a dataset: each task reads one share of the home."""

    def read(share: pyarrow.Table) -> Iterator[pyarrow.Table]:
        for paths in share["paths"].to_pylist():
            for batch in tables.batches(paths):
                yield pyarrow.Table.from_batches([batch])

    shares = ray.data.from_items([{"paths": paths} for paths in tables.plan(home)])
    return shares.map_batches(read, batch_size=1, batch_format="pyarrow")


def main(home: str | None) -> None:
    """Ask the three questions, each of a dataset that is read for it."""
    ray.init(num_cpus=2, object_store_memory=200_000_000, include_dashboard=False, log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def counted(found: pyarrow.Table) -> pyarrow.Table:
        calls = pyarrow.compute.equal(found["kind"], "tool_call").cast("int64")
        failures = found["is_error"].fill_null(False).cast("int64")
        return pyarrow.table({"name": found["name"], "calls": calls, "failures": failures})

    def used(found: pyarrow.Table) -> pyarrow.Table:
        found = found.filter(pyarrow.compute.equal(found["kind"], "usage"))
        days = pyarrow.compute.strftime(found["timestamp"], "%Y-%m-%d")
        return pyarrow.table({"day": days, "requests": pyarrow.repeat(1, len(found)), **_columns(found, USED)})

    def said(found: pyarrow.Table) -> pyarrow.Table:
        return found.filter(pyarrow.compute.match_substring(found["text"], TEXT)).select(["session_id"])

    every = entries(home).materialize()
    calls = every.filter(expr="kind in ['tool_call', 'tool_output']").map_batches(counted, batch_format="pyarrow")
    by_tool = calls.groupby("name").sum(["calls", "failures"]).take_all()
    usage = every.map_batches(used, batch_format="pyarrow").groupby(["day", "model"])
    by_day = usage.sum([*USED[1:], "requests"]).take_all()
    sessions = every.map_batches(said, batch_format="pyarrow").unique("session_id")
    show(map(_values, by_tool), map(_values, by_day), [[session] for session in sessions])
    ray.shutdown()


USED = ("model", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")


def _columns(found: pyarrow.Table, names: tuple[str, ...]) -> dict[str, pyarrow.ChunkedArray]:
    return {name: found[name] for name in names}


def _values(row: dict[str, object]) -> list[object]:
    return list(row.values())


if __name__ == "__main__":
    main(*sys.argv[1:2] or [None])
