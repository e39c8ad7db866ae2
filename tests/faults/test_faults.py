"""Every row of the fault harness, at its quick size (``ROLLOUTLOG_FAULTS=full`` or ``long`` for more)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from . import harness

SIZE = os.environ.get("ROLLOUTLOG_FAULTS", "quick")

pytestmark = [pytest.mark.system] + [pytest.mark.timeout(0)] * (SIZE != "quick")


# In `make test-all` these run on no other Python: what a file holds when calls fail, when it is moved or its power is
# cut, is said by our calls, their order and their arguments.
ONCE = {"power", "failing", "moved", "private"}
MODULES = [pytest.param(name, marks=[pytest.mark.once] * (name in ONCE)) for name in harness.MODULES]


def reports(module: str) -> list[dict[str, Any]]:
    """Return what the rows of *module* reported, run in a process of their own: they fork, interrupt and kill."""
    command = [sys.executable, "-m", f"{__package__}", module, "--size", SIZE, "--json", "--seed", "1"]
    # No limit here: the test's own is the one that tells where it hangs.
    done = subprocess.run(command, env=harness.python_path(), capture_output=True, text=True, check=False)
    found = list(map(json.loads, done.stdout.splitlines()))
    assert found, done.stderr
    return found


# The rows of a module are one test, because they share a process, and tests of a module may run in several.
@pytest.mark.parametrize("module", MODULES)
@pytest.mark.slow
def test_the_promises_hold_under_their_faults(module, subtests):
    """No trial of a row shows a violation, and there were trials."""
    found = reports(module)

    assert {report["row"] for report in found} == {row.name for row in harness.load().values() if row.module == module}
    for report in found:
        with subtests.test(report["row"]):
            if report["skipped"] is not None:
                pytest.skip(report["skipped"])

            assert report["violations"] == []
            assert report["trials"] > 0
