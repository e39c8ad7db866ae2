"""The benchmarks still run: every variant that can, in a size that says nothing about speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

# A table starts some dozens of processes, one after the other, and beside four other runs of the suite.
_DEADLINE = 500
pytestmark = [pytest.mark.once, pytest.mark.benchmarks, pytest.mark.timeout(_DEADLINE + 20)]

# Which names a table has, asked of the benchmarks themselves, which are no part of the package.
NAMES = {
    "writing": "from benchmarks.variants import VARIANTS as known; names = [one.name for one in known]",
    "reading": "from benchmarks.reading import READERS as known; names = [one.name for one in known]",
    "starting": "from benchmarks.starting import IMPORTS, FIRST_RECORDS, FIND, WALK; "
    "names = [*IMPORTS, *FIRST_RECORDS, FIND, WALK]",
}


def run(*arguments: str | Path) -> str:
    """Return what ``python ARGUMENTS`` prints in the project's folder; it must succeed."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def known_names(table: str) -> set[str]:
    """Return the names of all variants of *table*."""
    return set(run("-c", f"{NAMES[table]}; print(*names, sep='\\n')").splitlines())


@pytest.fixture(scope="module", params=list(NAMES))
def table(request: pytest.FixtureRequest) -> str:
    """One table after the other."""
    return str(request.param)


@pytest.fixture(scope="module")
def measured(table: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The figures of a small run of *table*, and the page that was written."""
    folder = tmp_path_factory.mktemp("benchmarks")
    figures, page = folder / "figures.json", folder / "page.md"
    run("-m", "benchmarks", table, "--small", "--folder", folder, "--keep", figures, "--page", page)
    return json.loads(figures.read_text(encoding="utf-8")), page


def test_every_variant_is_measured_or_named_as_absent(table, measured):
    """Whose packages are installed has run, in each of its scenes without a failure; the others are named."""
    report, _ = measured

    ran = {variant for scene in report["results"].values() for variant in scene}
    absent = {name.rpartition(" (")[0] for name in report["absent"]}

    assert ran | absent == known_names(table)
    assert not ran & absent


def test_the_page_shows_what_was_measured(measured):
    """The page names each variant that ran, and its two plots lie beside it."""
    report, page = measured
    text = page.read_text(encoding="utf-8")

    assert all(f"| {variant} " in text for scene in report["results"].values() for variant in scene)
    assert sorted(path.name for path in page.with_suffix("").iterdir()) == ["latency.svg", "throughput.svg"]
