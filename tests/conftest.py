"""What holds for every test: which dependencies it meets, a home of its own, and the same examples each time."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path

import hypothesis
import pytest

# No deadline, for no test asserts on time. The same examples each time, so that a red run is about the change at hand;
# `make test ARGS=--hypothesis-profile=search` looks further.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.register_profile(
    "search", deadline=None, max_examples=2_000, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")


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
