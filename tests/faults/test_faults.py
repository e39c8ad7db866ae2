"""Every row of the fault harness, at its quick size (``ROLLOUTLOG_FAULTS=full`` or ``long`` for more)."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from . import harness

pytestmark = pytest.mark.system

SIZE = os.environ.get("ROLLOUTLOG_FAULTS", "quick")


@functools.cache
def reports(module: str) -> dict[str, dict[str, Any]]:
    """Return what the rows of *module* reported, run in a process of their own: they fork, interrupt and kill."""
    command = [sys.executable, "-m", f"{__package__}", module, "--size", SIZE, "--json", "--seed", "1"]
    # No limit here: the test's own is the one that tells where it hangs.
    done = subprocess.run(command, env=harness.python_path(), capture_output=True, text=True, check=False)
    found = {report["row"]: report for report in map(json.loads, done.stdout.splitlines())}
    assert found, done.stderr
    return found


# In `make test` these run on one Python: what a file holds when calls fail, when it is moved or its power is cut, is
# said by our calls, their order and their arguments.
ONCE = {"power", "failing", "moved", "private"}
ROWS = [pytest.param(name, marks=[pytest.mark.once] * (row.module in ONCE)) for name, row in harness.load().items()]


@pytest.mark.timeout(0 if SIZE != "quick" else 300)
@pytest.mark.parametrize("name", ROWS)
def test_a_promise_holds_under_its_faults(name):
    """No trial of the row shows a violation, and there were trials."""
    report = reports(name.partition(".")[0])[name]

    if report["skipped"] is not None:
        pytest.skip(report["skipped"])

    assert report["violations"] == []
    assert report["trials"] > 0
