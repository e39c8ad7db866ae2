"""Settings for every test: the report names the dependencies, each test has its own home, examples are repeatable."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

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


def _version(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {name}"


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
