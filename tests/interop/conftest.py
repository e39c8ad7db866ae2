from __future__ import annotations

import os
from pathlib import Path

import pytest
from codex import Codex
from releases import FLAT, NEWEST, RELEASES, Release

# With this variable set, as in CI, a program that is not there is a failure and not a reason to skip.
REQUIRED = "ROLLOUTLOG_REQUIRE_INTEROP"
# The releases whose format we write, and which can therefore go on with what is ours.
WRITABLE = RELEASES


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "interop: needs a real Codex, which `make interop` fetches")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `codex` with every release, one that takes `writable` with those whose format we write."""
    for name, releases in (("codex", RELEASES), ("writable", WRITABLE), ("flat", (FLAT,)), ("newest", (NEWEST,))):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, releases, ids=str, indirect=True)


@pytest.fixture
def codex(request: pytest.FixtureRequest, tmp_path: Path) -> Codex:
    """A real Codex of each release, with a home of its own."""
    return real(request.param, tmp_path)


@pytest.fixture
def writable(request: pytest.FixtureRequest, tmp_path: Path) -> Codex:
    """A real Codex of each release whose format we write."""
    return real(request.param, tmp_path)


@pytest.fixture
def flat(request: pytest.FixtureRequest, tmp_path: Path) -> Codex:
    """The real Codex of the flat format."""
    return real(request.param, tmp_path)


@pytest.fixture
def newest(request: pytest.FixtureRequest, tmp_path: Path) -> Codex:
    """The newest real Codex."""
    return real(request.param, tmp_path)


def real(release: Release, folder: Path) -> Codex:
    """Return *release* with its home below *folder*; a missing one skips the test, or fails it where it is required."""
    missing = release.missing()
    if missing and os.environ.get(REQUIRED) == "1":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return Codex(release, folder / str(release))
