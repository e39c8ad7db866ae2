"""Measure some tables, print them, and write the page: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import machine, page
from benchmarks.plan import FULL, SMALL, Plan
from benchmarks.rounds import Group, Results, run

TABLES = ("writing", "reading", "starting")


def main() -> int:
    """Measure, or read figures that were kept; print and write them; return 1 if a variant failed."""
    asked = _arguments()
    failures: list[str] = []
    if asked.again:
        report = page.Report.from_json(json.loads(asked.again.read_text(encoding="utf-8")))
    else:
        report, failures = _measured(asked)
    if asked.page:
        page.write(asked.page, report)
    print(page.text(report, asked.page.stem if asked.page else "benchmarks"))
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _measured(asked: argparse.Namespace) -> tuple[page.Report, list[str]]:
    """Return the report of a run, and its failures."""
    size = SMALL if asked.small else FULL
    if asked.rounds:
        fewer, starts = min(asked.rounds, size.fewer_rounds), min(3 * asked.rounds, size.starts)
        size = dataclasses.replace(size, rounds=asked.rounds, fewer_rounds=fewer, starts=starts)
    begin = time.monotonic()
    results, absent = Results(), list[str]()
    folder = Path(tempfile.mkdtemp(prefix="rolloutlog-benchmarks-", dir=asked.folder))
    try:
        report = page.Report(results, machine.facts(folder), machine.versions(), absent, size.rounds)
        plan = Plan(size, folder, absent)
        groups = [group for table in asked.tables or TABLES for group in plan.groups(table)]
        groups = list(_chosen(groups, asked.only, asked.variant))

        def tell(line: str) -> None:
            print(line, file=sys.stderr, flush=True)
            report.facts |= {
                "load after": machine.load(),
                "time taken": f"{(time.monotonic() - begin) / 60:.0f} minutes",
            }
            if asked.keep:  # each time, so that a run that is cut off is not lost
                asked.keep.write_text(json.dumps(report.to_json()), encoding="utf-8")

        failures = run(groups, results, tell)
    finally:
        shutil.rmtree(folder)
    return report, failures


def _chosen(groups: Iterable[Group], only: list[str] | None, variants: list[str] | None) -> Iterable[Group]:
    """Yield the groups whose name has one of the texts *only*, with the jobs of the chosen variants."""
    for group in groups:
        if only is None or any(part in group.name for part in only):
            jobs = [job for job in group.jobs if variants is None or any(part in job.variant for part in variants)]
            yield dataclasses.replace(group, jobs=tuple(jobs))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="rolloutlog side by side with its peers")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; all of them by default")
    parser.add_argument(
        "--only", action="append", metavar="TEXT", help="only scenes whose name has this text; may be given repeatedly"
    )
    parser.add_argument(
        "--variant", action="append", metavar="TEXT", help="only variants whose name has this text; likewise"
    )
    parser.add_argument("--rounds", type=int, help="how often each variant is measured")
    parser.add_argument("--small", action="store_true", help="a size that takes a minute, whose figures mean nothing")
    parser.add_argument("--folder", type=Path, help="where to write what is measured; a temporary folder by default")
    parser.add_argument("--page", type=Path, help="the Markdown page to write, with its plots beside it")
    parser.add_argument("--keep", type=Path, help="where to keep the figures, as JSON")
    parser.add_argument("--again", type=Path, help="measure nothing: show figures that were kept")
    asked = parser.parse_args()
    for table in asked.tables:
        if table not in TABLES:
            parser.error(f"there is no table {table!r}; there are {', '.join(TABLES)}")
    return asked


if __name__ == "__main__":
    sys.exit(main())
