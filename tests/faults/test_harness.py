"""The harness itself: no exception of a row is missed, whichever thread or process it comes in."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from helpers import DEADLINE

from . import harness

pytestmark = pytest.mark.system


def fails() -> None:
    raise LookupError("not caught")


class Fails:
    def __del__(self) -> None:
        fails()


def in_thread() -> None:
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()


def reported(row) -> harness.Report:
    """Return the report of a run of *row*, a function without arguments."""
    declared = harness.Row("test.row", "for a test", lambda report, size, dice: row(), (1, 1, 1))
    return harness.run(declared, 1, 1)


@pytest.mark.parametrize("row", [fails, in_thread, Fails], ids=["row", "thread", "finalizer"])
def test_an_exception_that_nothing_catches_is_a_violation(row):
    """Wherever it comes: in the row itself, in a thread that it starts, or in a finalizer."""
    report = reported(row)

    assert len(report.violations) == 1
    assert "LookupError: not caught" in report.violations[0]


def test_the_next_row_begins_without_violations():
    """A row is not blamed for the row before it."""
    reported(in_thread)

    assert reported(lambda: None).violations == []


def test_a_forked_process_fails_with_its_threads(capfd):
    """An exception in a thread of a forked process gives that process the status of a failure, and is shown."""
    statuses: list[int | None] = []

    reported(lambda: statuses.append(harness.reap(harness.fork(in_thread), DEADLINE)))

    assert statuses == [1 << 8]
    assert "LookupError: not caught" in capfd.readouterr().err


@pytest.mark.parametrize("row", ["in_thread()", "Fails()"])
def test_an_exception_that_a_program_does_not_catch_is_seen_in_its_stderr(row):
    """Programs of rows end with status 0 although a thread or a finalizer of theirs failed."""
    program = f"from faults.test_harness import Fails, in_thread; {row}"
    done = subprocess.run(
        [sys.executable, "-c", program], env=harness.python_path(), capture_output=True, timeout=DEADLINE, check=False
    )

    assert done.returncode == 0
    assert len(harness.uncaught_in(done.stderr)) == 1
