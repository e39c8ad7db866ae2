"""The examples in docstrings: each runs, and prints what its docstring shows."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pages
import pytest
from helpers import needs_zstd

import rolloutlog

PACKAGE = Path(rolloutlog.__file__).parent
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)
EXAMPLES = [
    pytest.param(example, id=example.name)
    for name in MODULES
    for example in doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_of_a_docstring_runs_and_prints_what_it_shows(example, tmp_path, monkeypatch):
    """Its output is as shown, where ``…`` matches anything to the end of the line. It may write where it runs."""
    monkeypatch.chdir(tmp_path)
    if example.name.startswith("rolloutlog.tables"):
        pytest.importorskip("pyarrow")
    if example.name.startswith("rolloutlog.otel"):
        pytest.importorskip("opentelemetry.sdk")
    if example.name == "rolloutlog._keep.archive.archive":
        needs_zstd()
    report: list[str] = []
    runner = doctest.DocTestRunner(checker=pages.Checker())

    runner.run(example, out=report.append)

    assert not report, "".join(report)
