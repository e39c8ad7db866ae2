"""What modules may import from elsewhere, and what importing the package costs."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import rolloutlog

PACKAGE = Path(rolloutlog.__file__).parent

# Third parties have one home each. attrs is the language in which values are written, and lives everywhere.
HOMES: dict[str, frozenset[str]] = {
    "cattrs": frozenset({"_checks"}),
    "filelock": frozenset({"_writing.os_calls"}),
    "orjson": frozenset({"_json"}),
    # not third, but as telling; items: a call's arguments are JSON inside JSON; the others: for people and loggers
    "json": frozenset({"_json", "items", "_comparison"}),
    "agents": frozenset({"adapters.agents"}),
}

# A line's way to disk: what happens there must not depend on what a line means.
BYTES_ONLY = "_writing"
# What it may know beside itself.
OF_ALL = frozenset({"exceptions"})


# By name, such as ``_format.lines``; a folder's ``__init__`` holds a docstring, see below.
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py" or path.parent == PACKAGE
}
MODULES = sorted(FILES)
FOLDERS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line number and dotted name of all that *module* imports, anywhere in its text, also for types only.

    Of our own modules the name is as in ``rolloutlog._format.lines``; ``rolloutlog`` alone is the front door.
    """
    path = FILES[module]
    packages = ("rolloutlog", *path.relative_to(PACKAGE).parts[:-1])
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = packages[: len(packages) - node.level + 1] if node.level else ()
            source = ".".join(filter(None, [*package, node.module]))
            for alias in node.names:  # of a folder of ours: a module; of the front door: that, or a name that it has
                is_module = f"{source}.{alias.name}".removeprefix("rolloutlog.") in FILES
                yield node.lineno, f"{source}.{alias.name}" if is_module else source


def own_imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line number and name of the modules of ours that *module* imports; the front door is ``__init__``."""
    for line, name in imports(module):
        top, _, rest = name.partition(".")
        if top == "rolloutlog":
            yield line, rest or "__init__"


def run_fresh(code: str) -> str:
    """Return what *code* prints in a fresh interpreter that finds the package where this one does."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_third_party_is_imported_only_at_its_home(module):
    """filelock, cattrs, orjson and json are each known to one room; any other third party but attrs to none."""
    allowed = sys.stdlib_module_names | {"attrs", "rolloutlog"}

    wrong = [
        f"{module}.py:{line} imports {name}"
        for line, name in imports(module)
        if (top := name.partition(".")[0]) not in allowed or top in HOMES
        if module not in HOMES.get(top, ())
    ]

    assert not wrong


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(f"{BYTES_ONLY}.")])
def test_the_writer_and_what_it_stands_on_know_bytes_only(module):
    """Neither a value nor its encoding is known to the rooms that write."""
    wrong = [
        f"{module}.py:{line} imports {name}"
        for line, name in own_imports(module)
        if not name.startswith(f"{BYTES_ONLY}.") and name not in OF_ALL
    ]

    assert not wrong


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_no_door(folder):
    """Whoever needs a module in a folder says which; importing the folder runs nothing."""
    body = ast.parse((PACKAGE / folder / "__init__.py").read_bytes()).body

    assert [type(node) for node in body] == [ast.Expr]


def test_of_two_folders_only_one_knows_the_other():
    """Seen from outside, where a folder is one room, there are no circles either."""
    known: dict[str, set[str]] = {}
    for module in MODULES:
        own = module.partition(".")[0]
        known.setdefault(own, set()).update(name.partition(".")[0] for _, name in own_imports(module))
        known[own].discard(own)

    assert {"_writing", "_format", "items"} <= set(TopologicalSorter(known).static_order())  # a circle raises


@pytest.mark.parametrize("absent", ["filelock", "asyncio", "rolloutlog.adapters", "rolloutlog.testing"])
def test_the_front_door_is_light(absent):
    """Importing rolloutlog imports neither filelock, which readers need not pay for, nor what few people need."""
    loaded = run_fresh("import rolloutlog, sys; print(rolloutlog.__all__, *sys.modules, sep='\\n')").splitlines()

    assert absent not in loaded
