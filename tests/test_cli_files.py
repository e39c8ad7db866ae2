"""Each command on each file of `tests/data` and on hostile texts: it ends as it should, and prints nothing harmful."""

from __future__ import annotations

import json
from pathlib import Path

import hostile
import pytest
from commands import run
from damaged import packed, said

pytestmark = [pytest.mark.extras, pytest.mark.usefixtures("alone")]

FILES = sorted(path for path in (Path(__file__).parent / "data").rglob("*") if path.is_file())
OF_A_SESSION = [
    "show",
    "show --depth all",
    "tail",
    "export --format html -o -",
    "export --format markdown -o -",
    "export --format json -o -",
    "doctor",
    "repair",
    "scan",
    "path",
    "stats",
]
OF_A_HOME = ["list", "list -n 0 --json", "search a", "search -e . --all", "stats", "stats --by session", "doctor --all"]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, whose name holds what a terminal could obey."""
    path = tmp_path / "\x1b]0;owned\x07\u202e<b>"
    path.mkdir()
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ROLLOUTLOG_PAGER", "")
    monkeypatch.setenv("NO_COLOR", "1")
    return path


def put(home, number, content):
    """Write *content* as session *number* of *home*; return its file."""
    name = f"rollout-2026-11-30T08-{number // 60:02}-{number % 60:02}-0198d7f2-3c4b-7e3a-9a61-{number:012}.jsonl"
    path = home / "sessions/2026/11/30" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def check(*arguments):
    """Assert that the command ends with 0 or 1, says how, and prints nothing harmful, on a terminal and in a pipe."""
    for terminal in (True, False):
        if arguments[0] == "path" and not terminal:  # a program gets the name exactly
            continue
        code, out, err = run(*arguments, terminal=terminal)
        assert code in (0, 1), (arguments, err)
        assert out or err, arguments
        assert "Traceback" not in err, (arguments, err)
        assert hostile.harm_in(out) == hostile.harm_in(err) == [], arguments


@pytest.mark.parametrize("command", OF_A_SESSION)
def test_a_command_takes_each_file(command):
    """Sessions of Codex and of ours, and texts that are not sessions: those say so, or show nothing."""
    name, *options = command.split()
    for path in FILES:
        check(name, path, *options)


@pytest.mark.parametrize("command", OF_A_HOME)
def test_a_command_takes_a_home_with_each_file(home, command):
    """Also with a text in the place of a session."""
    for number, path in enumerate(FILES):
        put(home, number, path.read_bytes())

    check(*command.split())


@pytest.mark.parametrize("command", OF_A_SESSION)
def test_a_command_takes_a_hostile_session(home, command):
    """Each text is in a message, a call, an output and an answer, and one is in the name of the file."""
    lines = [about(0, hostile.TEXTS["terminal: title"])]
    for number, text in enumerate(hostile.TEXTS.values()):
        call = {"type": "function_call", "name": "shell", "arguments": text, "call_id": f"call_{number}"}
        output = {"type": "function_call_output", "call_id": f"call_{number}", "output": text}
        lines += [said(text), call, output, said(text, "assistant")]
    path = home / hostile.HOSTILE_FILE_NAME.replace("/", "")
    path.write_bytes(b"".join(map(line_of, lines)))
    name, *options = command.split()

    check(name, path, *options)


@pytest.mark.parametrize("command", OF_A_HOME)
def test_a_command_takes_a_home_of_hostile_sessions(home, command):
    """Each text is the name, the folder, the model and the first words of a session of its own."""
    for number, text in enumerate(hostile.TEXTS.values()):
        lines = [about(number, text), said(text), said(text, "assistant")]
        put(home, number, b"".join(map(line_of, lines)))

    check(*command.split())


def about(number, text):
    """Return the meta of session *number*, with *text* in each of its texts."""
    texts = {"instructions": text, "name": text, "cwd": f"/{text}", "model": text, "git": {"branch": text}}
    return {"id": f"0198d7f2-3c4b-7e3a-9a61-{number:012}", "timestamp": hostile.TIME, **texts}


def line_of(value):
    """Return *value* as a line of the flat format, with halves of surrogate pairs as escapes."""
    try:
        return packed(value) + b"\n"
    except UnicodeEncodeError:
        return json.dumps(value).encode() + b"\n"
