"""`rolloutlog archive` and `rolloutlog prune`: a plan, the report, JSON, and exit codes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from commands import run
from hostile import harm_in
from test_view import needs_zstd

from rolloutlog import find_sessions, load_session, session

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


def recorded(name: str, days: int = 90) -> Path:
    """Return the file of a session of about 10 kB that was last changed so many days ago."""
    with session(name) as made:
        made.record(*({"role": "user", "content": "Plan a day in Rome"} for _ in range(98)))
    when = time.time() - days * 86400
    os.utime(made.path, (when, when))
    return made.path


def handle(path: Path, name: str = "trip") -> str:
    """Return the words for the session in *path*: the end of its id, and its name."""
    return f"{path.name.removesuffix('.jsonl')[-8:]} ({name})"


@needs_zstd
def test_archive_prints_a_plan_and_changes_nothing():
    """Each session with its size and the reason, and how to do it."""
    path = recorded("trip")
    recorded("new", days=2)

    code, out, err = run("archive", terminal=True)

    assert (code, err) == (0, "")
    assert out == (
        f"would archive {handle(path)}, 10 kB: was not changed for 90 days\n"
        "1 session, 10 kB. Nothing was changed: --apply does it.\n"
    )
    assert path.exists()


@needs_zstd
def test_archive_reports_what_it_did():
    """The sizes before and after, and the way back, which works."""
    path = recorded("trip")

    code, out, _ = run("archive", "trip", "--apply", terminal=True)

    done, total, hint = out.splitlines()
    assert code == 0
    assert done.startswith(f"archived {handle(path)}, 10 kB → ")
    assert total.startswith("1 session, 10 kB before, ")
    assert "rolloutlog archive --restore SESSION" in hint
    assert run("archive", "--restore", "trip", "--apply").code == 0
    assert path.exists()


@needs_zstd
def test_a_named_session_that_is_left_is_an_error():
    """For a cron job without names it is none."""
    path = recorded("trip", days=0)

    named, every = run("archive", "trip", "--apply", terminal=True), run("archive", "--apply")

    assert named.code == 1
    assert named.out.startswith(f"left {handle(path)}: was changed 20")
    assert named.out.endswith("Nothing was changed.\n")
    assert every == (0, "Nothing was changed.\n", "")


def test_prune_moves_to_the_trash_and_back():
    """It says where the trash is, and which session to name."""
    path = recorded("trip")

    plan = run("prune", "--older-than", "8w", terminal=True)
    done = run("prune", "--older-than", "8w", "--apply", terminal=True)
    gone = list(find_sessions())
    back = run("prune", "--restore", "trip", "--apply", terminal=True)

    assert plan.out.startswith(f"would move {handle(path)}, 10 kB: was not changed for 90 days\n")
    assert done.out.startswith(
        f"moved {handle(path)}, 10 kB\n1 session, 10 kB.\nRemove {path.parents[4]}/trash to free"
    )
    assert gone == []
    assert back.out.startswith(f"restored {handle(path)}, 10 kB\n")
    assert len(load_session("trip").items) == 98


def test_prune_without_a_criterion_is_wrong_use():
    """Else it would mean all sessions."""
    code, out, err = run("prune", "--apply")

    assert (code, out) == (2, "")
    assert "expected SESSION, --older-than, --larger-than or --keep-last" in err


@needs_zstd
def test_both_print_json():
    """One object for each session: what would be done or was, and those that are left."""
    path = recorded("trip")
    young = recorded("young", days=0)

    done = [json.loads(line) for line in run("archive", "trip", "young", "--apply", "--json").out.splitlines()]
    plan = [json.loads(line) for line in run("prune", "--larger-than", "5kB", "--json").out.splitlines()]

    size = done[0].pop("new_bytes")
    assert 0 < size < 2_000
    assert done[0] == {
        "path": str(path),
        "action": "archive",
        "reason": "was named",
        "applied": True,
        "bytes": done[0]["bytes"],
        "new_path": f"{path}.zst",
    }
    assert [(each["path"], each["action"], each["applied"]) for each in done[1:]] == [(str(young), "leave", False)]
    assert [(each["path"], each["action"], each["applied"]) for each in plan] == [(str(young), "prune", False)]


@needs_zstd
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["archive", "--older-than", "12h"], "--older-than: expected at least a day, such as 1d"),
        (["archive", "--older-than", "soon"], "expected 36h, 30d or 8w; got 'soon'"),
        (["prune", "--larger-than", "much"], "expected 500000, 500kB, 20MB or 1GB; got 'much'"),
        (["prune", "--keep-last", "-1"], "expected a whole number from 0; got '-1'"),
    ],
)
def test_wrong_values_are_explained(arguments, problem):
    """With what was expected, and what came."""
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert problem in err


@needs_zstd
def test_a_pipe_gets_paths():
    """Which a program can use."""
    path = recorded("trip")

    assert run("archive").out.splitlines()[0] == f"would archive {path}, 10 kB: was not changed for 90 days"


def test_a_path_that_harms_a_terminal_is_neutralised(home, monkeypatch):
    """The folder of the home may have any name."""
    odd = home / "od\x1b[31md"
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(odd))
    recorded("trip")

    outputs = [run("prune", "trip").out, run("prune", "trip", "--apply").out]

    assert [reason for output in outputs for reason in harm_in(output)] == []
