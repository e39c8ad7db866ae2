"""README.md and the pages in docs/ are true: their code runs, and prints the output that they show."""

from __future__ import annotations

import ast
import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pages
import public_names
import pytest
from faults import harness
from helpers import DEADLINE, needs_zstd

import rolloutlog
from rolloutlog import RolloutRecorder, SessionStateSnapshot, iter_entries, load_session
from rolloutlog._options import RecorderOptions

ROOT = Path(__file__).parents[1]
PAGES = list(pages.pages(ROOT))
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# The pages in which no code runs.
PROSE = frozenset(
    {
        "docs/architecture.md",
        "docs/benchmarks.md",
        "docs/changelog.md",
        "docs/decisions.md",
        "docs/performance.md",
        "docs/port.md",
        "docs/promises.md",
        *(name for name in NAMES if name.startswith("docs/reference/")),
    }
)

# Blocks that say how the site is built, not code for readers.
DIRECTIVES = {"{eval-rst}", "{include} ../CHANGELOG.md", "{toctree}"}

# Packages of extras that the code of a page imports; not every environment of the matrix has them.
NEEDED = {"docs/fleets.md": ["duckdb"], "docs/ways.md": ["duckdb", "opentelemetry.sdk"]}
COMPRESSING = ("docs/fleets.md",)

# Commands that prepare an environment of their own, and the command that each runs in it.
STAND_INS = {
    "make demo": "python tools/demo.py",
    "rolloutlog show c29e6aa0 --to 1": "python tests/tide.py show c29e6aa0 --to 1",
    "rolloutlog show c29e6aa0 --depth talk": "python tests/tide.py show c29e6aa0 --depth talk",
}


def pages_with(*languages: str) -> list[str]:
    """Return the names of the pages that have a block in one of *languages*."""
    return [name for name in NAMES if pages.blocks(ROOT / name, *languages)]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Give the processes that a test starts a reader's terminal: a home, and this Python as ``python``."""
    package = str(Path(rolloutlog.__file__).parents[1])
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run *command* in the root folder of the project."""
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE)


@pytest.mark.parametrize("name", pages_with("python", "pycon"))
def test_the_python_blocks_of_a_page_run_and_print_what_it_shows(name, reader):
    """They run from top to bottom in one process, with warnings as errors, for example for an open recorder."""
    for package in NEEDED.get(name, ()):
        pytest.importorskip(package)
    if name in COMPRESSING:
        needs_zstd()
    done = run(sys.executable, "-W", "error", str(Path(pages.__file__)), name)

    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr


@pytest.mark.parametrize("name", pages_with("console"))
def test_the_console_blocks_of_a_page_print_what_it_shows(name, reader):
    """Each block is one command, on its first line, and its output."""
    for block in pages.blocks(ROOT / name, "console"):
        prompt, _, shown = block.code.partition("\n")
        command = prompt.removeprefix("$ ")
        done = run(*shlex.split(STAND_INS.get(command, command)))

        assert done.returncode == 0, done.stderr
        assert pages.is_as_shown(shown, done.stdout), f"{name}:{block.line}: {command} printed\n{done.stdout}"


def test_the_pages_without_code_that_runs_are_known():
    """A typing error in a fence could remove all code of a page, and no other test would fail."""
    assert set(NAMES) - set(pages_with("python", "pycon", "console")) == PROSE


def test_every_fence_is_one_that_is_known():
    """No test would check a block in another language."""
    fences = [
        (name, fence)
        for name in NAMES
        for fence in re.findall(r"^```(.*)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert {fence for _, fence in fences} <= {"", "python", "pycon", "console", "jsonl"} | DIRECTIVES


def test_what_a_page_links_to_exists():
    """No link within the project is dead."""
    dead = [
        (name, target)
        for name, page in zip(NAMES, PAGES, strict=True)
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]

    assert not dead


def test_links_to_other_sites_are_whole():
    """Each is https, names a host, and has no blank; `make docs-links` follows them."""
    targets = [target for name in NAMES for target in re.findall(r"\]\((\w+:[^)]*)\)", read(name))]

    assert targets
    assert [target for target in targets if not re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[^\s]*)?", target)] == []


# --- the site ---------------------------------------------------------------------------------------------------------


def test_every_page_is_in_the_navigation():
    """A page that docs/index.md does not list cannot be found."""
    entries = [
        entry
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", read("docs/index.md"), re.DOTALL | re.MULTILINE)
        for entry in tree.splitlines()
        if entry and not entry.startswith(":")
    ]

    assert sorted(["docs/index.md", *(f"docs/{entry}.md" for entry in entries)]) == sorted(set(NAMES) - {"README.md"})


def test_every_public_module_is_known():
    """The list of public modules has each whose path has no underscore, except the one that holds no names."""
    package = Path(rolloutlog.__file__).parent
    modules = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
    }
    public = {name for name in modules if not re.search(r"\._", name)}

    assert public - {"rolloutlog.adapters"} == set(public_names.MODULES)


@pytest.mark.parametrize("module", public_names.MODULES)
def test_every_public_name_is_in_the_reference(module):
    """A directive describes it, or all of its module; an item that is in two modules is described in its own."""
    reference = "".join(read(name) for name in NAMES if name.startswith("docs/reference/"))
    described = set(re.findall(r"^\.\. (?:auto\w+|py:data):: ([\w.]+)$", reference, re.MULTILINE))
    names = getattr(importlib.import_module(module), "__all__", ())
    elsewhere = {name for name in names if f"rolloutlog.items.{name}" in described}

    assert module in described or {name for name in names if f"{module}.{name}" not in described} <= elsewhere
    assert module in described or names


def read(name: str) -> str:
    """Return the text of the page *name*."""
    return (ROOT / name).read_text(encoding="utf-8")


# --- docs/options.md --------------------------------------------------------------------------------------------------


def test_the_page_names_every_option():
    """The table of options lists all options in their order."""
    page = read("docs/options.md")
    table = page[page.index("| option |") :].partition("\n\n")[0]

    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(RecorderOptions.__annotations__)


# --- docs/file-format.md ----------------------------------------------------------------------------------------------


@pytest.fixture
def examples(tmp_path):
    """The two rollouts on the page as files: flat and envelope."""
    files = []
    for number, block in enumerate(pages.blocks(ROOT / "docs" / "file-format.md", "jsonl")):
        files.append(tmp_path / f"{number}.jsonl")
        files[-1].write_text(block.code, encoding="utf-8")
    return files


def record_again(shown: Path, home: Path) -> RolloutRecorder:
    """Record what *shown* holds in a session of the same id and format, and return its recorder, closed."""
    saved = load_session(shown)
    meta = saved.session
    free = {key: value for key, value in meta.extra.items() if key not in ("originator", "cli_version")}
    with RolloutRecorder.create(
        home, session_id=meta.id, instructions=meta.instructions, meta=free, format=saved.format
    ) as recorder:
        for entry in iter_entries(shown):
            if isinstance(entry, SessionStateSnapshot):
                recorder.record_state(entry)
            elif isinstance(entry, rolloutlog.LogEntry):
                recorder.record_log(entry)
            elif isinstance(entry, rolloutlog.ResponseItem):
                recorder.record(entry)
    return recorder


def test_the_rollouts_on_the_page_are_read_without_a_skipped_line(examples):
    """Every line of both is an entry."""
    flat, envelope = map(load_session, examples)

    assert [flat.format, envelope.format] == ["flat", "envelope"]
    assert flat.skipped == envelope.skipped == []
    assert [len(flat.items), len(flat.logs), dict(flat.state), len(flat.others)] == [9, 1, {"step": 3}, 0]
    assert [len(envelope.items), dict(envelope.state), len(envelope.others)] == [4, {"step": 3}, 2]


def test_the_flat_rollout_on_the_page_is_what_we_write(examples, home):
    """Recorded again, entry by entry, it has the same bytes, except for the time at which it began."""
    shown = examples[0].read_bytes()

    recorder = record_again(examples[0], home)

    began = load_session(examples[0]).session.timestamp.encode()
    assert recorder.path.read_bytes().replace(recorder.session.timestamp.encode(), began, 1) == shown


def test_the_envelope_rollout_on_the_page_is_what_we_write(examples, home):
    """Recorded again, entry by entry, it has the same bytes, except for times and our version."""
    shown = examples[1].read_bytes()

    recorder = record_again(examples[1], home)

    changing = rb'(?<="timestamp":")[^"]*|(?<="cli_version":")[^"]*'
    assert re.sub(changing, b"", recorder.path.read_bytes()) == re.sub(changing, b"", shown)


def test_an_item_of_the_page_is_the_same_item_in_both_formats(examples):
    """The message is equal in both."""
    flat, envelope = map(load_session, examples)

    assert envelope.items[0] == flat.items[0]
    assert envelope.to_input()[0] == flat.to_input()[0]


# --- docs/promises.md -------------------------------------------------------------------------------------------------

PROMISES = ROOT / "docs" / "promises.md"


def promised() -> str:
    """Return the part of the page that lists promises."""
    return PROMISES.read_text(encoding="utf-8").partition("## What is not promised")[0]


def test_every_test_that_a_promise_names_exists():
    """A test that was renamed or removed shows nothing."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promised())
    missing = [(file, test) for file, test in named if test not in functions(ROOT / file)]

    assert named
    assert not missing


def test_every_row_of_faults_that_a_promise_names_exists():
    """The same for the rows of the fault harness."""
    named = {row for cell in re.findall(r"faults: (.*?) \|", promised()) for row in re.findall(r"`([\w.]+)`", cell)}

    assert named
    assert named <= set(harness.load())


def test_every_promise_names_a_test_or_row():
    """The last cell of each row names a test or a row of faults."""
    rows = [row for row in re.findall(r"^\|.*\|$", promised(), re.MULTILINE) if not re.match(r"\|(---| promise )", row)]
    shown = [row.split(" | ")[-1] for row in rows]

    assert rows
    assert [cell for cell in shown if not re.match(r"`tests/[\w/]+\.py::\w+`|faults: `", cell)] == []


@functools.cache
def functions(file: Path) -> set[str]:
    """Return the names of all functions and methods in *file*; none if there is no such file."""
    if not file.exists():
        return set()
    return {node.name for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.FunctionDef)}
