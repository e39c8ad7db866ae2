"""Lists the tests that no run of CI has passed: ``python tools/ran.py FILE``.

A test can fall out of every run without a failure, because each environment that chooses it lacks a package and skips
it. With ROLLOUTLOG_RAN set, each run adds the tests that passed to the file of that name. This is a list to look at and
not a check, because a machine may lack a Python, a program or a right that a test needs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main(ran: Path) -> None:
    """Compare all tests with those in the file *ran*, and print the others."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tests = [line for line in listed.splitlines() if "::" in line]
    known = set(ran.read_text(encoding="utf-8").splitlines())
    missing = [test for test in tests if test not in known]
    print(f"{len(tests)} tests, of which {len(missing)} passed in no run", *missing, sep="\n    ")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
