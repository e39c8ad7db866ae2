"""The example notebook runs unchanged in a real kernel, and its outputs are those that were committed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from helpers import DEADLINE, values_in

import rolloutlog

nbclient = pytest.importorskip("nbclient", reason="the dependency group `notebook` is not installed")
nbformat = pytest.importorskip("nbformat")

# The outputs come from the library, whose own tests run on each Python.
pytestmark = pytest.mark.once

NOTEBOOK = Path(__file__).parents[1] / "examples" / "notebook.ipynb"
# Parts of the output that differ from run to run: ids, times to the millisecond, and the files that cells are.
CHANGING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|/[^\"]*ipykernel_\d+/\d+\.py"
)


@pytest.fixture
def notebook(monkeypatch, tmp_path):
    """The notebook as it is committed, run by a kernel that writes its files to the test's folder."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    return nbformat.read(NOTEBOOK, as_version=4)


def execute(notebook: Any) -> list[Any]:
    """Run *notebook* in a fresh kernel, kill the kernel, and return the outputs of each cell."""
    client = nbclient.NotebookClient(notebook, timeout=DEADLINE, kernel_name="python3", shutdown_kernel="immediate")
    client.execute()
    return shown(notebook)


def shown(notebook: Any) -> list[Any]:
    """Return the outputs of the cells, without the parts that change from run to run."""
    outputs = [
        [output.get("text") or output["data"]["text/plain"] for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    return [[CHANGING.sub("…", text) for text in cell] for cell in outputs]


def test_the_notebook_shows_what_it_was_committed_with(notebook):
    """A real kernel produces the committed output, cell by cell."""
    committed = shown(notebook)

    assert execute(notebook) == committed


def test_the_notebook_resumes_after_its_kernel_was_killed(notebook, home):
    """If its kernel is killed before the closing cell, the notebook finds its session again, and duplicates nothing."""
    whole = shown(notebook)
    unclosed = notebook.copy()
    unclosed.cells = notebook.cells[:-1]

    first, second = execute(unclosed), execute(notebook)

    assert [first, second] == [whole[:-1], whole]
    files = [found.path for found in rolloutlog.find_sessions(home)]
    named = [values_in(path) for path in files if '"notebook-trip"' in path.read_text(encoding="utf-8")]
    assert [sum(value.get("type") not in (None, "log") for value in values) for values in named] == [1]
