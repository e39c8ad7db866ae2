"""Settings for every test: the report names the dependencies, each test has its own home, examples are repeatable."""

from __future__ import annotations

import gc
import importlib.metadata
import importlib.util
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

# No deadline, because no test asserts on time. The same examples each time, so that a failure is about the change at
# hand; `make test ARGS=--hypothesis-profile=search` tries more.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
# For `make test`, and all environments of `make test-all` except one. The examples run the same code on each Python, so
# the first few show whether the Python makes a difference.
hypothesis.settings.register_profile("brief", deadline=None, derandomize=True, max_examples=25)
hypothesis.settings.register_profile(
    "search", deadline=None, max_examples=2_000, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


def pytest_configure() -> None:
    """Obey Ctrl-C, also in processes that tests start: what a shell runs in its background ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Name the package and the dependencies under test: environments of the matrix differ in these."""
    package = importlib.util.find_spec("rolloutlog")
    found = package.origin if package else "not found"
    return f"rolloutlog: {found}; with " + ", ".join(map(_version, ("attrs", "cattrs", "filelock", "orjson")))


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the tests, which live as long as the process: a sixth of the suite's time."""
    _draw_nothing()
    gc.collect()
    gc.freeze()


@hypothesis.settings(max_examples=1, database=None)
@hypothesis.given(st.none())
def _draw_nothing(_: None) -> None:
    """Let Hypothesis make its random numbers now: later, it would look for who holds them, and not find the frozen."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a test that passed to the file that ROLLOUTLOG_RAN names: `tools/ran.py` finds those that no run passed."""
    path = os.environ.get("ROLLOUTLOG_RAN")
    if path and report.when == "call" and report.passed and "PYTEST_XDIST_WORKER" not in os.environ:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\n")


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process has a file open: a look at those of a busy machine takes longer than the rest of such a test."""
    monkeypatch.setattr("rolloutlog._care.held._PROCESSES", str(tmp_path / "no processes"))


@pytest.fixture(autouse=True)
def _no_forced_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests read what a pipe gets; CI sets FORCE_COLOR for the report of pytest."""
    monkeypatch.delenv("FORCE_COLOR", raising=False)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the home for this test and for the processes that it starts. The folder does not exist yet."""
    path = tmp_path / "home"
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(path))
    return path


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """Messages of the logger ``rolloutlog`` during the test."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear = Ear()
    logging.getLogger("rolloutlog").addHandler(ear)
    yield said
    logging.getLogger("rolloutlog").removeHandler(ear)
