"""The page on interoperability names the tests, and its instructions work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from codex import Codex
from expected import history, text_of
from other_releases import OTHERS
from releases import RELEASES

import rolloutlog

PAGE = Path(__file__).parents[2] / "docs" / "interop.md"


def test_the_page_names_tests_that_exist() -> None:
    """Each test that the page names is in this folder."""
    here = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))

    named = re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8"))

    assert named
    assert [name for name in named if f"def {name}(" not in here] == []


def test_the_page_names_the_releases_that_are_pinned() -> None:
    """The columns of the table are the releases that `make interop` runs."""
    columns = " | ".join(release.version for release in RELEASES)

    assert f"| | {columns} | by |" in PAGE.read_text(encoding="utf-8")


def test_the_page_names_every_other_release() -> None:
    """The rows of the second table are the other releases that `make interop-all` runs, with their formats."""
    rows = re.findall(
        r"^\| (0\.[\d., ]+) \| (flat|envelope) \| the (?:path|id) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )

    named = [(version, format) for versions, format in rows for version in versions.split(", ")]

    assert named == [(release.version, release.writes) for release in OTHERS]


@pytest.mark.interop
def test_codex_resumes_what_the_program_of_the_page_recorded(flat: Codex) -> None:
    """The program on the page, run with a Codex home, prints the path of a session that Codex resumes."""
    program = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[0]
    package = str(Path(rolloutlog.__file__).parents[1])
    env = {**os.environ, "ROLLOUTLOG_HOME": str(flat.home), "PYTHONPATH": package}
    done = subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True)

    outcome = flat.resume(Path(done.stdout.strip()), "And then?")

    sent = history(flat.release, outcome.requests[0], "And then?")
    assert [text_of(item) for item in sent] == ["Plan a day in Rome"]
