"""Rules about imports that import-linter cannot check; its contracts are in pyproject.toml."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import DEADLINE

import rolloutlog

PACKAGE = Path(rolloutlog.__file__).parent

# Each third party is imported by one module, or in one folder. Only attrs is imported everywhere, because all values
# use it.
HOMES: dict[str, frozenset[str]] = {
    "cattrs": frozenset({"_checks"}),
    "filelock": frozenset({"_systems"}),
    "orjson": frozenset({"_json"}),
    # The standard library's, only where `_json` is not enough: a call's arguments are JSON in JSON (items), and a
    # comparison shows JSON to people. Damaged lines are read piece by piece, and where `_json` refuses a value.
    "json": frozenset({"_json", "items", "_comparison", "_care.pieces", "_care.damage"}),
    "agents": frozenset({"adapters.agents"}),
    "click": frozenset({"__main__", "_cli"}),
    "rich": frozenset({"_cli", "_face.widths"}),
    "jinja2": frozenset({"_face.html"}),
    "markdown_it": frozenset({"_face.markup"}),
    "markupsafe": frozenset({"_face.html", "_face.page", "_face.blocks", "_face.facts", "_face.overview"}),
    "nh3": frozenset({"_face.markup"}),
    "starlette": frozenset({"_cli.server"}),
    "uvicorn": frozenset({"_cli.view"}),
    "pygments": frozenset({"_face.markup"}),
}

# Path by name, such as ``_format.lines``. An ``__init__`` of a folder holds only a docstring, see below.
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" or path.parent == PACKAGE
}
MODULES = sorted(FILES)
# `tables` is a door itself, as `rolloutlog` is.
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py") if path.parent.name != "tables")


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line number and dotted name of everything that *module* imports from other packages, also for types."""
    for node in ast.walk(ast.parse(FILES[module].read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module


def run_fresh(code: str) -> str:
    """Return what *code* prints in a fresh interpreter that finds the package where this one does."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_third_party_is_imported_only_at_its_home(module):
    """Only its home imports filelock, cattrs, orjson or json; no module imports another third party, except attrs."""
    allowed = sys.stdlib_module_names | {"attrs", "rolloutlog"}

    wrong = [
        f"{module}.py:{line} imports {name}"
        for line, name in imports(module)
        if (top := name.partition(".")[0]) not in allowed or top in HOMES
        if not {module, module.partition(".")[0]} & HOMES.get(top, frozenset())
    ]

    assert not wrong


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_no_door(folder):
    """The ``__init__`` of a folder holds only a docstring, so importing the folder runs no code."""
    body = ast.parse((PACKAGE / folder / "__init__.py").read_bytes()).body

    assert [type(node) for node in body] == [ast.Expr]


ABSENT = [
    "filelock",
    "asyncio",
    "rolloutlog.adapters",
    "rolloutlog.testing",
    "rolloutlog.tables",
    "pyarrow",
    "starlette",
    "uvicorn",
]


@pytest.mark.parametrize("absent", ABSENT)
def test_the_front_door_is_light(absent):
    """Importing rolloutlog imports neither filelock, which readers do not need, nor modules that few users need."""
    loaded = run_fresh("import rolloutlog, sys; print(rolloutlog.__all__, *sys.modules, sep='\\n')").splitlines()

    assert absent not in loaded


def test_the_modules_of_the_package_are_there_when_they_are_used():
    """`import rolloutlog` is enough, and imports none of them."""
    printed = run_fresh(
        "import rolloutlog\n"
        "names = ['adapters', 'otel', 'redaction', 'tables', 'testing']\n"
        "print([getattr(rolloutlog, name).__name__ for name in names], set(names) <= set(dir(rolloutlog)))"
    )

    assert printed.startswith("['rolloutlog.adapters', 'rolloutlog.otel', 'rolloutlog.redaction', 'rolloutlog.tables',")
    assert printed.rstrip().endswith("True")


def test_importing_the_package_adds_no_hooks():
    """A program that only reads gets no fork hook and no exit hook of ours; the first session adds them."""
    printed = run_fresh(
        "import atexit, os\n"
        "import attrs, cattrs, logging, contextvars\n"
        "added = []\n"
        "os.register_at_fork = lambda **hooks: added.append(hooks)\n"
        "atexit.register = lambda *hook: added.append(hook)\n"
        "import rolloutlog, rolloutlog.adapters._conversation\n"
        "print([hook for hook in added if 'rolloutlog' in repr(hook)])"
    )

    assert printed == "[]\n"
