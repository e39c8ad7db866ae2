"""Run rows of the fault harness and print the table; see ``python -m tests.faults --help``."""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys

from . import harness


def main() -> int:
    """Run what the command line asks for; 0: no promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=harness.__doc__)
    parser.add_argument("rows", nargs="*", help="modules or rows, such as: kill, failing.each_call; all by default")
    parser.add_argument("--size", choices=harness.SIZES, default="full")
    parser.add_argument("--trials", type=int, help="a size of your own, in whatever the row counts")
    parser.add_argument("--seed", type=int, help="repeat a run; by default a new one, which is printed")
    parser.add_argument("--first", action="store_true", help="stop at the first row that is violated")
    parser.add_argument("--list", action="store_true", help="show the rows and their three sizes, and run nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object a row instead of the table")
    asked = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    rows = harness.chosen(asked.rows)
    if asked.list:
        for each in rows:
            say(f"{each.name:28} {each.sizes!s:28} {each.promise}")
        return 0
    # Rows resume thousands of torn files, and a warning of each would hide the rows.
    logging.getLogger("rolloutlog").addHandler(logging.NullHandler())
    reports = []
    for each in rows:
        size = each.sizes[harness.SIZES.index(asked.size)] if asked.trials is None else asked.trials
        report = harness.run(each, size, seed)
        reports.append((each, report))
        if asked.json:
            say(json.dumps({"row": each.name, **vars(report)}))
        else:
            state = "skipped" if report.skipped else f"{len(report.violations)} violations"
            sys.stderr.write(f"{each.name}: {report.trials:,} trials, {state}, {report.seconds:.1f} s\n")
        if asked.first and report.violations:
            break
    if not asked.json:
        say(harness.table(reports))
    return 1 if any(report.violations for _, report in reports) else 0


def say(text: str) -> None:
    """Print *text*."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
