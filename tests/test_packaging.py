"""setup.cfg describes the package, pyproject.toml how it is built and checked; nothing is in both."""

from __future__ import annotations

import configparser
import importlib.metadata
import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import rolloutlog

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    """The content of setup.cfg."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def distribution() -> importlib.metadata.Distribution:
    """The package as it was installed."""
    try:
        return importlib.metadata.distribution("rolloutlog")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("rolloutlog is imported from its source tree, not installed")


def requirements(setup: configparser.ConfigParser) -> list[str]:
    """Return the requirements of the package and of its extras."""
    texts = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    return [line for text in texts for line in text.split("\n") if line]


def supported(setup: configparser.ConfigParser) -> list[str]:
    """Return the Python versions that the classifiers name, such as ``3.11``."""
    return re.findall(r"Python :: (\d+\.\d+)$", setup["metadata"]["classifiers"], re.MULTILINE)


def test_setup_cfg_says_what_the_package_is_and_nothing_else(setup):
    """No tool keeps its settings in setup.cfg."""
    tools = [name for name in setup.sections() if name.partition(".")[0] not in {"metadata", "options"}]

    assert not tools


def test_pyproject_says_nothing_about_what_the_package_is(pyproject):
    """There is no [project] table, and no other table that gives setuptools the same facts."""
    assert sorted(pyproject) == ["build-system", "dependency-groups", "tool"]
    assert "setuptools" not in pyproject["tool"]


def test_no_requirement_is_in_both_files(setup, pyproject):
    """Requirements of the package are in setup.cfg only, those of its checks in pyproject.toml only."""
    runtime = {re.split(r"[^\w-]", text)[0] for text in requirements(setup)}
    groups = [entry for group in pyproject["dependency-groups"].values() for entry in group]
    checks = {re.split(r"[^\w-]", entry)[0] for entry in groups if isinstance(entry, str)}

    assert runtime
    assert not runtime & checks


def test_every_requirement_has_a_lower_bound_and_no_other(setup):
    """The matrix installs exactly the lower bounds; an upper bound would keep users from fixed releases.

    A requirement that a newer Python includes has a marker for the older ones.
    """
    form = re.compile(r'[\w-]+>=\d+(\.\d+)+(; python_version < "3\.\d+")?')

    odd = [text for text in requirements(setup) if not form.fullmatch(text)]

    assert not odd


def test_every_supported_python_is_in_the_matrix(setup, pyproject):
    """A classifier is a promise, so the suite runs on each."""
    assert supported(setup)
    assert set(supported(setup)) <= set(pyproject["tool"]["tox"]["env_list"])


def test_every_combination_of_marks_is_run_by_make_test_or_by_the_matrix(pyproject):
    """So no test falls out of CI by its marks."""
    make = re.search(r'SUITE := .*-m "([^"]+)"', (ROOT / "Makefile").read_text(encoding="utf-8"))
    environments = [pyproject["tool"]["tox"]["env_run_base"], *pyproject["tool"]["tox"]["env"].values()]
    commands = [command for each in environments for command in each.get("commands", []) if "-m" in command]
    chosen = [make[1], *(command[command.index("-m") + 1] for command in commands)]
    marks = [mark.partition(":")[0] for mark in pyproject["tool"]["pytest"]["ini_options"]["markers"]]
    for size in range(len(marks) + 1):
        for names in itertools.combinations(marks, size):
            values = {mark: mark in names for mark in marks}
            assert any(eval(each, {}, values) for each in chosen), names


def test_the_workflow_runs_every_environment_of_the_matrix(pyproject):
    """The workflow gives each environment a machine, and names it as tox does."""
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")

    run = re.findall(r"environment: \"?([\w.]+)", workflow)

    assert sorted(run) == sorted(pyproject["tool"]["tox"]["env_list"])


def test_the_checks_aim_at_the_oldest_supported_python(setup, pyproject):
    """Linter and type checker cannot read setup.cfg, so their settings must match it."""
    oldest = supported(setup)[0]

    assert setup["options"]["python_requires"] == f">={oldest}"
    assert pyproject["tool"]["mypy"]["python_version"] == oldest
    assert pyproject["tool"]["pyright"]["pythonVersion"] == oldest
    assert pyproject["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")


def test_the_package_tells_type_checkers_that_it_is_typed():
    """py.typed is next to the modules, also in the wheel."""
    assert Path(rolloutlog.__file__).with_name("py.typed").exists()


def test_the_installed_package_tells_what_setup_cfg_says(setup, distribution):
    """The build takes name, licence and the oldest Python from setup.cfg, and the version from the package."""
    metadata = distribution.metadata

    assert metadata["Name"] == setup["metadata"]["name"]
    assert metadata["Version"] == rolloutlog.__version__
    assert metadata["License-Expression"] == setup["metadata"]["license_expression"]
    assert metadata["Requires-Python"] == setup["options"]["python_requires"]


def test_the_installed_package_carries_its_licence(distribution):
    """Every copy includes the text of the licence, as the licence requires."""
    carried = [path for path in distribution.files or () if path.name == "LICENSE"]

    assert [path.read_text() for path in carried] == [(ROOT / "LICENSE").read_text(encoding="utf-8")]
