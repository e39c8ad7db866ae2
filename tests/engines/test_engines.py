"""The programs in examples/fleets: what Ray, Spark, Daft and DataFusion answer over a home is the truth, exactly."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fleet_corpus import build
from helpers import DEADLINE

import rolloutlog
from rolloutlog import tables
from rolloutlog._reading.blocks import _zstd

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[2] / "examples" / "fleets"
# As in CI: an engine that is not there is a failure, and not a reason to skip.
REQUIRED = os.environ.get("ROLLOUTLOG_REQUIRE_ENGINES") == "1"
PROGRAMS = {
    ("with_datafusion.py",): "datafusion",
    ("with_daft.py",): "daft",
    ("with_ray.py",): "ray",
    ("with_spark.py", "arrow"): "pyspark",
    ("with_spark.py", "source"): "pyspark",
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A home of two hundred sessions in all shapes, and its sums."""
    pytest.importorskip("pyarrow")
    home = tmp_path_factory.mktemp("fleet")
    build(home, 200, mean=300, seed=6, compressed=_zstd() is not None)
    return home, json.loads((home / "truth.json").read_text(encoding="utf-8"))


def missing(what):
    """Skip, or fail where all engines are required."""
    if REQUIRED:
        pytest.fail(f"{what} is not there; `make engines` installs the engines, and Spark needs Java 17 or later")
    pytest.skip(f"{what} is not there; `make engines` runs this")


@pytest.mark.parametrize("program", PROGRAMS, ids=" ".join)
def test_an_engine_answers_exactly(program, fleet):
    """Calls and failures by tool, tokens by day and model, sessions that contain a text: in local mode."""
    script, *way = program
    if importlib.util.find_spec(PROGRAMS[program]) is None:
        missing(PROGRAMS[program])
    if script == "with_spark.py" and shutil.which("java") is None:
        missing("java")
    home, truth = fleet
    paths = [str(Path(rolloutlog.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "RAY_DISABLE_METRICS": "1"}
    command = [sys.executable, str(EXAMPLES / script), str(home), *way]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=3 * DEADLINE)

    assert done.returncode == 0, done.stderr[-5000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {name: truth[name] for name in ("calls", "tokens", "found")}


@pytest.mark.parametrize("engine", ["datafusion", "daft"])
def test_an_engine_takes_the_same_table_twice(engine, fleet):
    """A stream could be read only once."""
    if importlib.util.find_spec(engine) is None:
        missing(engine)
    module = importlib.import_module(engine)
    entries = tables.entries(fleet[0])

    def count():
        if engine == "datafusion":
            return module.SessionContext().from_arrow(entries).count()
        return module.from_arrow(entries).count_rows()

    first = count()

    assert first > 100
    assert count() == first
