"""What holds for every test: which dependencies it meets, a home of its own, and the same examples each time.

And where in the matrix it runs, if that is not said beside the test itself.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import hypothesis
import pytest

# No deadline, for no test asserts on time. The same examples each time, so that a red run is about the change at hand;
# `make test ARGS=--hypothesis-profile=search` looks further.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
# For all environments of `make test` but one: what the examples go through is the same code on each Python, and the
# first ones, which are these, show whether the Python makes a difference.
hypothesis.settings.register_profile("brief", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.register_profile(
    "search", deadline=None, max_examples=2_000, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

# The tests that no dependency has a part in: those of the modules that know bytes only (see test_layering.py) and lock
# nothing, those about processes, the fault rows, and the longest of their kind among the tests of other modules.
SYSTEM = (
    "faults/",
    "test_ack.py",
    "test_wakeup.py",
    "test_examples.py::test_the_agent",
    "test_handler.py::test_a_fork",
    "test_handler.py::test_a_queue_between_processes",
    "test_handler.py::test_a_storm",
    "test_file_faults.py",
    "test_writing_lines.py",
    "test_registry.py",
    "test_processes.py",
    "test_queue.py",
    "test_session.py::test_an_agent_that_is_killed",
    "test_session.py::test_an_interrupt",
    "test_commit.py",
    "test_writer.py",
)
# More than a thousand tests on a simulated system: which call fails, how, and what follows. No Python changes that.
ONCE = ("test_file_faults.py",)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the system, and what runs once and does not say so itself."""
    for item in items:
        test = item.nodeid.removeprefix("tests/")
        if test.startswith(SYSTEM):
            item.add_marker(pytest.mark.system)
        if test.startswith(ONCE) and "interrupt" not in test:
            item.add_marker(pytest.mark.once)


def pytest_report_header() -> str:
    """Say which package and which dependencies this run tests, for the matrix differs in just that."""
    package = importlib.util.find_spec("rolloutlog")
    found = package.origin if package else "not found"
    return f"rolloutlog: {found}; with " + ", ".join(map(_version, ("attrs", "cattrs", "filelock", "orjson")))


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home where this test's sessions live, also those of the processes that it starts; not made yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(path))
    return path
