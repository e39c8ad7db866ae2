"""`session.show()` and `saved.show()`: what the command shows, from Python."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tide
from commands import run
from helpers import DEADLINE

import rolloutlog

pytestmark = pytest.mark.extras


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, and times in UTC."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    return tmp_path


@pytest.mark.parametrize("depth", ["user", "talk", "tools", "full", "all"])
def test_a_saved_session_shows_what_the_command_shows(tmp_path, capsys, depth):
    """At each depth."""
    path = tmp_path / tide.FILE_NAME
    path.write_bytes(tide.session())

    rolloutlog.load_session(path).show(depth)

    assert capsys.readouterr().out == run("show", path, "--depth", depth).out


def test_an_open_session_shows_all_that_was_recorded(capsys):
    """Also what nothing waited for."""
    with rolloutlog.session("trip") as session:
        session.record({"role": "user", "content": "go"}, wait=False)
        session.show()

    assert capsys.readouterr().out.endswith("  go\n")


def test_a_depth_that_does_not_exist_is_an_error():
    """The message names those that do."""
    with (
        rolloutlog.session("trip") as session,
        pytest.raises(ValueError, match="user, talk, tools, full, all; got 'x'"),
    ):
        session.show("x")


def test_without_the_extra_the_same_is_printed(tmp_path):
    """Nothing of it is needed to print a session."""
    path = tmp_path / tide.FILE_NAME
    path.write_bytes(tide.session())
    code = (
        "import sys\n"
        "for name in ('click', 'rich', 'jinja2', 'markdown_it', 'pygments', 'nh3'): sys.modules[name] = None\n"
        f"import rolloutlog; rolloutlog.load_session({str(path)!r}).show()"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=DEADLINE)

    assert done.stdout.decode() == run("show", path).out, done.stderr.decode()
