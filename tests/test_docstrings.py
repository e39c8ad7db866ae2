"""The examples in docstrings: each runs, and prints what its docstring shows."""

from __future__ import annotations

import doctest
import importlib
import inspect
from pathlib import Path

import pages
import public_names
import pytest
from helpers import needs_zstd

import rolloutlog
from rolloutlog import items

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


# Values that functions return; the examples of those functions show them.
RETURNED = {"Copied", "Finding", "Imported", "KeptSession", "Secret"}
# Parts that are made and read like `InputText` and `OtherPart`, which have an example.
PARTS = {"OtherAction", "OutputText", "ReasoningText", "SummaryText"}


def needs_example(value: type) -> bool:
    """Whether a public class or function must have an example.

    Errors need none: the functions that raise them name them. Nor do the kinds of `items.Other`, which all are made and
    read as the examples of `Other` and `CustomToolCall` show.
    """
    is_like_another = inspect.isclass(value) and issubclass(value, Exception | items.Other) and value is not items.Other
    return not is_like_another and value.__name__ not in RETURNED | PARTS


def has_example(value: type) -> bool:
    """Whether the docstring of *value*, or that of one of its own methods, has an example."""
    found = doctest.DocTestFinder().find(value, value.__name__, module=False)
    return any(each.examples for each in found)


def test_public_classes_and_functions_have_an_example():
    """In their own docstring or in that of a method; `needs_example` says which need none, and why."""
    named = {
        getattr(module, name)
        for module in map(importlib.import_module, public_names.MODULES)
        for name in public_names.names_of(module)
    }
    values = [each for each in named if inspect.isclass(each) or inspect.isfunction(each)]

    lacking = [
        f"{each.__module__}.{each.__qualname__}" for each in filter(needs_example, values) if not has_example(each)
    ]

    assert len(values) > 80
    assert not lacking
