from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from codex import Codex
from other_releases import OTHERS
from releases import FLAT, NEWEST, RELEASES, REQUIRED, Release

# The releases to run instead of the two that CI runs: versions separated by commas, or "all".
CHOSEN = "ROLLOUTLOG_INTEROP_RELEASES"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "interop: needs a real Codex, which `make interop` fetches")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with `codex` or `writable` for every release, one with another fixture for its releases."""
    chosen = chosen_releases()
    about = {
        "codex": chosen,
        "writable": chosen,
        "flat": [release for release in chosen if release is FLAT],
        "newest": [release for release in chosen if release is NEWEST],
        "whole": [release for release in chosen if release.habits.whole],
        "in_place": [release for release in chosen if release.habits.whole and not release.habits.copies],
        "envelope": [release for release in chosen if release.writes == "envelope"],
        "summing": [release for release in chosen if release.habits.sums_up],
        "rewriting": [release for release in chosen if release.habits.rewrites],
        "listing": [release for release in chosen if release.habits.lists],
    }
    for name in [name for name in about if name in metafunc.fixturenames]:
        metafunc.parametrize(name, about[name], ids=str, indirect=True)


def chosen_releases() -> list[Release]:
    """Return the releases to run: those that CI runs, unless the environment names others."""
    names = os.environ.get(CHOSEN)
    if not names:
        return list(RELEASES)
    pinned = {release.version: release for release in (*RELEASES, *OTHERS)}
    wanted = list(pinned) if names == "all" else names.split(",")
    if unknown := set(wanted) - set(pinned):
        raise pytest.UsageError(f"{CHOSEN}: not pinned: {', '.join(sorted(unknown))}")
    return [pinned[version] for version in wanted]


def _codex(what: str) -> Any:
    """Return a fixture: *what*, with a home of its own. `pytest_generate_tests` chooses the releases."""

    @pytest.fixture
    def codex(request: pytest.FixtureRequest, tmp_path: Path) -> Codex:
        return real(request.param, tmp_path)

    codex.__doc__ = what
    return codex


codex = _codex("A real Codex of each release.")
writable = _codex("A real Codex of each release, which goes on with what we wrote.")
flat = _codex("The real Codex of the flat format.")
newest = _codex("The newest real Codex.")
whole = _codex("A real Codex of each release that has written all of a session when it ends.")
in_place = _codex("A real Codex of each release that goes on in the very file that it resumed, and writes all of it.")
envelope = _codex("A real Codex of each release that writes the envelope format.")
summing = _codex("A real Codex of each release that takes a summary for what was said before it.")
rewriting = _codex("A real Codex of each release that can be made to compact a session, and takes turns back.")
listing = _codex("A real Codex of each release whose server can be asked for the sessions in a home.")


def real(release: Release, folder: Path) -> Codex:
    """Return *release* with its home below *folder*; if it is missing, skip the test, or fail if it is required."""
    missing = release.missing()
    if missing and REQUIRED:
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)
    return Codex(release, folder / str(release))
