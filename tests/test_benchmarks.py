"""The benchmarks still run: every variant that can, in a size whose figures mean nothing."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

# A table starts some dozens of processes, one after the other, while four other runs of the suite are busy.
_DEADLINE = 500
pytestmark = [pytest.mark.once, pytest.mark.slow, pytest.mark.timeout(_DEADLINE + 20)]

# The names of each table. The benchmarks are not part of the package, so another process imports them.
NAMES = {
    "writing": "from benchmarks.variants import VARIANTS as known; names = [one.name for one in known]",
    "reading": "from benchmarks.reading import READERS as known; names = [one.name for one in known]",
    "starting": "from benchmarks.starting import IMPORTS, FIRST_RECORDS, FIND, WALK, OPEN; "
    "names = [*IMPORTS, *FIRST_RECORDS, FIND, WALK, OPEN]",
}
WORKLOADS = "from benchmarks.workloads import NAMES as names"
SDK_LINES = """
import json, sys
from pathlib import Path
from benchmarks import workloads
folder = Path(sys.argv[1])
for name in (workloads.SDK, workloads.SDK_LARGE):
    workloads.store(folder, name)
    records = workloads.load(folder, name, workloads.OBJECTS)
    dicts = [record if isinstance(record, dict) else record.to_dict() for record in records]
    assert dicts == workloads.load(folder, name, workloads.DICTS)
    assert len(workloads.load(folder, name, workloads.LOADED)) == len(dicts)
    keys = {record["type"]: sorted(record) for record in dicts}
    size = sum(len(json.dumps(record, separators=(",", ":"))) for record in dicts) / len(dicts)
    print(json.dumps({"size": size, "keys": keys}))
"""


def run(*arguments: str | Path) -> str:
    """Return what ``python ARGUMENTS`` prints in the project's folder; it must succeed."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def known_names(code: str) -> set[str]:
    """Return the names that *code* imports from the benchmarks."""
    return set(run("-c", f"{code}; print(*names, sep='\\n')").splitlines())


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
    """A variant whose packages are installed runs in each of its scenes; the others are named."""
    report, _ = measured

    ran = {variant for scene in report["results"].values() for variant in scene}
    absent = {name.rpartition(" (")[0] for name in report["absent"]} - known_names(WORKLOADS)

    assert ran | absent == known_names(NAMES[table])
    assert not ran & absent


def test_the_page_shows_every_figure(table, measured):
    """The page names each variant that ran, and its plot is beside it."""
    report, page = measured
    text = page.read_text(encoding="utf-8")

    assert all(f"| {variant} " in text for scene in report["results"].values() for variant in scene)
    assert "### " in text
    assert [path.name for path in page.with_suffix("").iterdir()] == ["caller.svg"]


def test_kept_figures_make_the_same_page(measured, tmp_path):
    """A page that is made again from kept figures is the same, byte by byte."""
    report, page = measured
    figures, again = tmp_path / "figures.json", tmp_path / "page.md"
    figures.write_text(json.dumps(report), encoding="utf-8")

    run("-m", "benchmarks", "--again", figures, "--page", again)

    assert again.read_bytes() == page.read_bytes()


def test_one_scene_can_be_measured_alone(tmp_path):
    """With --only, a run holds the scenes whose name has the text, and no other."""
    figures = tmp_path / "figures.json"

    run("-m", "benchmarks", "reading", "--small", "--only", "Codex session", "--folder", tmp_path, "--keep", figures)

    assert list(json.loads(figures.read_text(encoding="utf-8"))["results"]) == ["reading/Codex session/1"]


def test_the_sdk_mix_has_the_keys_of_the_sdk(tmp_path):
    """The workload that the page begins with has the SDK's keys, and lines of about 240 bytes, or of 2 kB."""
    pytest.importorskip("openai")

    small, large = map(json.loads, run("-c", SDK_LINES, tmp_path).splitlines())

    assert small["keys"] == {
        "message": ["content", "id", "role", "status", "type"],
        "function_call": ["arguments", "call_id", "id", "name", "status", "type"],
        "function_call_output": ["call_id", "output", "type"],
        "reasoning": ["encrypted_content", "id", "summary", "type"],
    }
    assert large["keys"] == small["keys"]
    assert 230 < small["size"] < 250
    assert 1_900 < large["size"] < 2_100


def test_the_benchmark_of_queries_over_many_sessions_runs(tmp_path: Path) -> None:
    """It makes its home, and each measurement prints a line with a figure."""
    pytest.importorskip("duckdb")
    home = str(tmp_path / "home")
    for arguments in (["tests.fleet_corpus", home, "--sessions", "20", "--mean", "100"], ["benchmarks.fleet", home]):
        command = [sys.executable, "-m", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_DEADLINE)
        assert done.returncode == 0, done.stderr

    measured = 12 - (importlib.util.find_spec("polars") is None)
    assert len(done.stdout.splitlines()) == done.stdout.count(" CPU s ") == measured, done.stdout + done.stderr


def test_lines_that_grow_are_plotted_on_logarithmic_axes() -> None:
    """A hundred is as far from ten as ten from one, and each line has its name and its last figure."""
    code = (
        "from benchmarks import plots; print(plots.lines('x', 'y', {'ours': {10.0: 1.0, 100.0: 10.0, 1000.0: 100.0}}))"
    )
    plot = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    points = re.search(r'points="([^"]+)"', plot)
    assert points is not None
    (x1, y1), (x2, y2), (x3, y3) = (map(float, point.split(",")) for point in points[1].split())
    assert x2 - x1 == pytest.approx(x3 - x2, abs=0.2)
    assert y1 - y2 == pytest.approx(y2 - y3, abs=0.2)
    assert "ours: 100" in plot
