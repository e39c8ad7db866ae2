"""Put small faults into ``rolloutlog/_writing`` with mutmut; fail if too few of them are noticed.

The unit tests try each mutant, and rows of ``tests/faults`` try those that the unit tests let live.
``python tools/mutants.py [--size N] [--seed N] [MODULE ...]`` takes a random sample of the mutants, of all modules or
of those named, such as ``commit``. The settings, the tests and the lines without mutants are in pyproject.toml.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

# Share of the mutants that the unit tests must notice. A sample of 50 is off by 6 percent or so.
FLOOR = 0.75
SIZE = 50  # about a quarter of an hour on two busy cores
PACKAGE = "rolloutlog._writing"
LIVE = {"survived", "no tests"}
# At their quick sizes: about a minute in all, on a busy machine.
ROWS = (
    "failing",
    "moved.between",
    "moved.within",
    "moved.stranger",
    "descriptors.reused",
    "many.exclusive",
    "many.lock",
    "many.same_process",
    "many.numbered",
    "hangs.forks",
    "hangs.stuck",
    "hangs.exits",
    "waits.timeouts",
    "waits.ends",
    "accounting",
)
# In a collection of garbage that begins inside `ContextVar.set`, a wrapped function crashes Python 3.11.
MUTMUT = "import gc; gc.disable(); from mutmut.__main__ import cli; cli()"
_WHEELS = ("Generating mutants", "Running stats", "Running clean tests", "Running forced fail test")


def mutmut(*arguments: str) -> str:
    """Run mutmut with *arguments*; return its output."""
    done = subprocess.run([sys.executable, "-c", MUTMUT, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if not line.endswith(_WHEELS)]
        sys.exit(f"mutmut {arguments[0]} failed:\n" + "\n".join(said[-60:]))
    return str(done.stdout)


def statuses() -> dict[str, str]:
    """Return the status of each mutant, by its name."""
    lines = (line.strip() for line in mutmut("results", "--all", "true").splitlines())
    return {name: status for name, _, status in (line.partition(": ") for line in lines) if "__mutmut_" in name}


def rows(mutant: str, limit: float | None = None) -> str | None:
    """Run the rows with *mutant*, or without one if it is empty; return the violation that they found, or `None`.

    Args:
        mutant: its name.
        limit: seconds after which rows that do not end are a violation, too.
    """
    command = [sys.executable, "-m", "tests.faults", *ROWS, "--size", "quick", "--seed", "1", "--first"]
    process = subprocess.Popen(
        command,
        cwd="mutants",
        env={**os.environ, "MUTANT_UNDER_TEST": mutant},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,  # so that what the rows started ends with them
    )
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return f"no end within {limit:.0f} s"
    if not process.returncode:
        return None
    return next((line.strip() for line in output.splitlines() if "VIOLATION" in line), output[-1000:])


def noticed_by_rows(mutants: Iterable[str]) -> dict[str, str]:
    """Try *mutants* with the rows; return the violations that they found, by the name of the mutant."""
    begin = time.monotonic()
    if wrong := rows(""):
        sys.exit(f"The rows fail without a mutant: {wrong}")
    limit = 60 + 10 * (time.monotonic() - begin)  # two run at once, and the machine may be busy
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = {mutant: pool.submit(rows, mutant, limit) for mutant in mutants}
    return {mutant: wrong for mutant, future in found.items() if (wrong := future.result())}


def main() -> int:
    """Try the mutants, print those that live and a table; return 1 if fewer than `FLOOR` were noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", help="modules of rolloutlog/_writing; all by default")
    parser.add_argument("--size", type=int, default=SIZE, help=f"number of mutants, 0 for all (default {SIZE})")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample (default 1)")
    options = parser.parse_args()
    prefixes = [f"{PACKAGE}.{module}." for module in options.modules] or [f"{PACKAGE}."]
    begin = time.monotonic()
    shutil.rmtree("mutants", ignore_errors=True)  # a run that was interrupted leaves empty modules there
    mutmut("run", f"{PACKAGE}.lines.*is_utf8*")  # few mutants and tests; writes the names of all mutants
    names = sorted(name for name in statuses() if name.startswith(tuple(prefixes)))
    chosen = sorted(random.Random(options.seed).sample(names, min(options.size or len(names), len(names))))
    print(f"{len(chosen)} of {len(names)} mutants; {time.monotonic() - begin:.0f} s to make them", flush=True)
    mutmut("run", *chosen)
    found = statuses()
    if untried := [name for name in chosen if found[name] == "not checked"]:
        sys.exit(f"mutmut did not try {', '.join(untried)}")
    live = [name for name in chosen if found[name] in LIVE]
    print(f"{len(live)} live after the unit tests; {time.monotonic() - begin:.0f} s", flush=True)
    by_rows = noticed_by_rows(live)
    for name in live:
        print(f"{mutmut('show', name)}# the rows: {by_rows.get(name, 'nothing noticed')}\n", flush=True)
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for name in chosen:
        by = "rows" if name in by_rows else "none" if name in live else "tests"
        counts[name.split(".")[2]][by] += 1
    counts["all"] = sum(counts.values(), collections.Counter())
    for module, count in counts.items():
        noticed = f"the unit tests noticed {count['tests']}, the rows {count['rows']} more"
        print(f"{module:12} {count.total():4} mutants: {noticed}")
    share = counts["all"]["tests"] / len(chosen)
    print(f"The unit tests noticed {share:.1%}, floor {FLOOR:.0%}; {(time.monotonic() - begin) / 60:.1f} minutes")
    return 1 if share < FLOOR else 0


if __name__ == "__main__":
    sys.exit(main())
