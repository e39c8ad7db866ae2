"""Names the tests that no run of CI has passed: ``python tools/ran.py FILE``.

A test can fall out of every run without a failure: by its marks, or because each environment that chooses it lacks a
package and skips it. With ROLLOUTLOG_RAN set, each run adds the tests that passed to the file of that name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Root reads every file and folder, so these run only where CI is another user.
NOT_AS_ROOT = {
    "tests/test_cli_view.py::test_a_session_that_cannot_be_read_is_said_to_be",
    "tests/test_tables_copy.py::test_a_folder_that_cannot_be_read_removes_no_day",
}


def main(ran: Path) -> int:
    """Compare all tests with those in the file *ran*; print the others and return 1 if there are any."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    tests = [line for line in listed.splitlines() if "::" in line]
    known = set(ran.read_text(encoding="utf-8").splitlines()) | (NOT_AS_ROOT if os.geteuid() == 0 else set())
    missing = [test for test in tests if test not in known]
    for test in missing:
        print(test)
    print(f"{len(tests)} tests, of which {len(missing)} passed in no run")
    return 1 if missing or not tests else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
