"""Who may import whom: the table of floors, read against the import statements of every module."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rolloutlog

PACKAGE = Path(rolloutlog.__file__).parent

# Lowest first. A module imports only from floors below its own. Every module stands here, once.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"exceptions", "_api", "_bell", "_carrier", "_lines", "_locks", "_version"}),
    frozenset({"_ack", "_blocks", "_checks", "_layout", "_queue", "_system"}),
    frozenset({"_json", "_kinds", "_parts", "_tail"}),
    frozenset({"_commands", "_journal", "items"}),
    frozenset({"_calls", "_models", "_turn"}),
    frozenset({"_encode", "_envelope", "_structure", "_writer"}),
    frozenset({"_decode", "_process", "_templates"}),
    frozenset({"_accept"}),
    frozenset({"_codec"}),
    frozenset({"_history", "_input", "_logged", "_options"}),
    frozenset({"_saved"}),
    frozenset({"_reader"}),
    frozenset({"_lineage"}),
    frozenset({"_convert", "_following", "_opening"}),
    frozenset({"_recorder"}),
    frozenset({"_handler", "_session"}),
    frozenset({"_attach"}),
    frozenset({"__init__"}),
    frozenset({"adapters", "adapters._conversation", "testing"}),
    frozenset({"adapters.agents"}),
)

# Third parties have one home each. attrs is the language in which values are written, and lives everywhere.
HOMES: dict[str, frozenset[str]] = {
    "cattrs": frozenset({"_structure"}),
    "filelock": frozenset({"_system"}),
    "orjson": frozenset({"_json"}),
    # not third, but as telling; items: a call's arguments are JSON inside JSON; the others: for people and loggers
    "json": frozenset({"_json", "items", "_carrier", "testing"}),
    "agents": frozenset({"adapters.agents"}),
}

# Beyond the hand-off there are only bytes: what these do must not depend on what a line means.
BYTES_ONLY = frozenset(
    {"_bell", "_lines", "_queue", "_ack", "_system", "_tail", "_journal", "_commands", "_turn", "_writer", "_process"}
)
MEANING = frozenset(
    {
        "items",
        "_checks",
        "_parts",
        "_models",
        "_json",
        "_structure",
        "_encode",
        "_templates",
        "_decode",
        "_accept",
        "_codec",
    }
)


def _name(path: Path) -> str:
    """Return the module in the file at *path*, such as ``_codec`` or ``adapters.agents``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


FILES = {_name(path): path for path in PACKAGE.rglob("*.py")}
MODULES = sorted(FILES)


def imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line number and dotted name of all that *module* imports, anywhere in its text, also for types only.

    Of our own modules the name is as in ``rolloutlog._codec``; ``rolloutlog`` alone is the front door.
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
            if source != "rolloutlog":
                yield node.lineno, source
                continue
            for alias in node.names:  # a module of ours, or a name that only the front door has
                yield node.lineno, f"rolloutlog.{alias.name}" if alias.name in MODULES else "rolloutlog"


def own_imports(module: str) -> Iterator[tuple[int, str]]:
    """Yield line number and name of the modules of ours that *module* imports; the front door is ``__init__``."""
    for line, name in imports(module):
        top, _, rest = name.partition(".")
        if top == "rolloutlog":
            yield line, rest if rest in FILES else rest.partition(".")[0] or "__init__"


def floor_of(module: str) -> int:
    """Return the floor of *module*, or fail the test with where to add it."""
    for number, floor in enumerate(FLOORS):
        if module in floor:
            return number
    pytest.fail(f"rolloutlog/{module}.py is on no floor: add it to FLOORS in {__file__}, and to docs/architecture.md")


def run_fresh(code: str) -> str:
    """Return what *code* prints in a fresh interpreter that finds the package where this one does."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_floors_below(module):
    """No room knows a room on its own floor or above."""
    own = floor_of(module)

    wrong = [f"{module}.py:{line} imports {name}" for line, name in own_imports(module) if floor_of(name) >= own]

    assert not wrong


def test_every_module_on_a_floor_exists():
    """The table names no room that was pulled down, and none twice."""
    listed = [module for floor in FLOORS for module in floor]

    assert not set(listed).difference(MODULES)
    assert len(listed) == len(set(listed))


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


@pytest.mark.parametrize("module", sorted(BYTES_ONLY))
def test_the_writer_and_what_it_stands_on_know_bytes_only(module):
    """Neither a value nor its encoding is known to the rooms that write."""
    wrong = [f"{module}.py:{line} imports {name}" for line, name in own_imports(module) if name in MEANING]

    assert not wrong


@pytest.mark.parametrize("absent", ["filelock", "asyncio", "rolloutlog.adapters", "rolloutlog.testing"])
def test_the_front_door_is_light(absent):
    """Importing rolloutlog imports neither filelock, which readers need not pay for, nor what few people need."""
    loaded = run_fresh("import rolloutlog, sys; print(rolloutlog.__all__, *sys.modules, sep='\\n')").splitlines()

    assert absent not in loaded
