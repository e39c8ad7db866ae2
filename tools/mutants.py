"""Put small faults into ``rolloutlog/_writing`` with mutmut; fail if its unit tests notice too few of them.

``python tools/mutants.py [--size N] [--seed N] [MODULE ...]`` tries a random sample of the mutants, of all modules or
of those named, such as ``commit``. The settings, the tests and the lines without mutants are in pyproject.toml.
"""

from __future__ import annotations

import argparse
import collections
import random
import subprocess
import sys
from pathlib import Path

# Share of the mutants that the tests must notice. A sample of 200 is off by 3 percent or so.
FLOOR = 0.75
PACKAGE = "rolloutlog._writing"
_WHEELS = ("Generating mutants", "Running stats", "Running clean tests", "Running forced fail test")
NOTICED = {"killed", "timeout", "segfault"}


def mutmut(*arguments: str) -> str:
    """Run mutmut with *arguments*; return its output."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if not line.endswith(_WHEELS)]
        sys.exit(f"mutmut {arguments[0]} failed:\n" + "\n".join(said[-60:]))
    return str(done.stdout)


def statuses() -> dict[str, str]:
    """Return the status of each mutant, by its name."""
    lines = (line.strip() for line in mutmut("results", "--all", "true").splitlines())
    return {name: status for name, _, status in (line.partition(": ") for line in lines) if "__mutmut_" in name}


def main() -> int:
    """Try the mutants, print the survivors and a table; return 1 if fewer than `FLOOR` were noticed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("modules", nargs="*", help="modules of rolloutlog/_writing; all by default")
    parser.add_argument("--size", type=int, default=200, help="number of mutants to try, 0 for all (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the sample (default 1)")
    options = parser.parse_args()
    prefixes = [f"{PACKAGE}.{module}." for module in options.modules] or [f"{PACKAGE}."]
    mutmut("run", f"{PACKAGE}.wakeup.*")  # few mutants; writes the names of all of them
    names = sorted(name for name in statuses() if name.startswith(tuple(prefixes)))
    chosen = random.Random(options.seed).sample(names, min(options.size or len(names), len(names)))
    print(f"{len(chosen)} of {len(names)} mutants", flush=True)
    mutmut("run", *chosen)
    found = statuses()
    rows: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for name in sorted(chosen):
        rows[name.split(".")[2]]["noticed" if found[name] in NOTICED else "not noticed"] += 1
        if found[name] not in NOTICED:
            print(mutmut("show", name), flush=True)
    for module, counts in rows.items():
        print(f"{module:10} {counts['noticed']:4} of {counts.total():4} noticed")
    noticed = sum(counts["noticed"] for counts in rows.values())
    print(f"{'all':10} {noticed:4} of {len(chosen):4} noticed: {noticed / len(chosen):.1%}, floor {FLOOR:.0%}")
    return 1 if noticed < FLOOR * len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
