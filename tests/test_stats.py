"""Sessions in numbers: each request and each call once, over forks, copies and files, in any order."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import pytest
from commands import run
from damaged import ANSWERED, ASKED, FLAT_META, OTHER_SESSION, SESSION, meta, packed, written
from fleet_corpus import build

import rolloutlog
from rolloutlog._face.sessions import newest_first
from rolloutlog._face.stats import Stats
from rolloutlog._usage import Tokens

pytestmark = pytest.mark.once


def at(minute: int, item: dict, kind: str = "response_item") -> bytes:
    """Return a line of the envelope format that was written at that minute of the 23rd of July 2025."""
    stamp = f"2025-07-23T15:{minute:02}:00.000Z"
    return packed({"timestamp": stamp, "type": kind, "payload": item}) + b"\n"


def usage(read: int, out: int = 10) -> dict:
    return {"input_tokens": read, "cached_input_tokens": 5, "output_tokens": out, "reasoning_output_tokens": 2}


def record(number: int, thread: str = SESSION) -> dict:
    """Return the payload of a request's record."""
    total = usage(100 * number)
    return {
        "thread_id": thread,
        "turn_id": "t",
        "response_id": f"r{number}",
        "usage": usage(100),
        "thread_token_usage": total,
    }


def call(number: int, command: str = "ls", **keys) -> dict:
    script = f"text(await tools.exec_command({json.dumps({'cmd': command})}));"
    return {"type": "custom_tool_call", "call_id": f"c{number}", "name": "exec", "input": script, **keys}


def output(number: int, code: int, seconds: float) -> dict:
    inner = {"exit_code": code, "wall_time_seconds": seconds, "output": "x"}
    texts = (f"Script completed\nWall time {seconds} seconds\nOutput:\n", json.dumps(inner))
    parts = [{"type": "input_text", "text": text} for text in texts]
    return {"type": "custom_tool_call_output", "call_id": f"c{number}", "output": parts}


CONTEXT = {"model": "gpt-6.1-sol", "cwd": "/work"}
LINES = [
    at(0, meta(), "session_meta"),
    at(1, CONTEXT, "turn_context"),
    at(1, ASKED),
    at(2, call(1)),
    at(2, record(1), "token_usage_record"),
    at(3, output(1, 0, 0.5)),
    at(4, call(2)),
    at(4, record(2), "token_usage_record"),
    at(5, output(2, 1, 0.25)),
    at(6, call(3)),
    at(7, ANSWERED),
    at(7, {"type": "task_complete", "duration_ms": 3400}, "event_msg"),
]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with one session."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ROLLOUTLOG_PAGER", "")
    monkeypatch.setenv("NO_COLOR", "1")
    written(tmp_path, b"".join(LINES))
    return tmp_path


def stats(*paths: Path, by=None, **options):
    """Return the numbers of the sessions in *paths*, by group."""
    found = Stats(by, zone=dt.UTC, **options)
    for path in paths:
        found.add(path)
    return found.groups


def sessions_in(home: Path) -> list[Path]:
    """Return the files of all sessions, newest first."""
    return [found.path for archived in (False, True) for found in newest_first([home], archived=archived)]


# --- a home whose numbers are known -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A home of all kinds of sessions, and what they add up to."""
    pytest.importorskip("backports.zstd")
    home = tmp_path_factory.mktemp("fleet")
    return home, build(home, 150, mean=100)


@pytest.mark.parametrize("order", [list, reversed], ids=["newest first", "oldest first"])
def test_a_home_of_all_kinds_of_sessions_is_counted_exactly(order, fleet):
    """Three generations of Codex, with forks, copies, turns taken back, compactions and damages: in either order."""
    home, truth = fleet
    paths = [path for path in order(sessions_in(home)) if path.stat().st_size]  # an empty one is none

    days = stats(*paths, by="day")
    tools = stats(*paths, by="tool")

    tokens = {
        day: [sum(column) for column in zip(*models.values(), strict=True)] for day, models in truth.tokens.items()
    }
    assert {day: [*found.tokens, found.requests] for day, found in days.items() if found.requests} == tokens
    counted = {name: [found.calls.calls, found.calls.failed] for name, found in tools.items() if found.tools}
    assert counted == truth.calls


# --- one session ------------------------------------------------------------------------------------------------------


def test_a_session_in_numbers(home):
    """Items by kind, the tool without its wrapping, tokens, and times."""
    (found,) = stats(*sessions_in(home)).values()

    assert (found.sessions, found.items, found.inherited) == (1, 7, 0)
    assert found.kinds == {"custom_tool_call": 3, "custom_tool_call_output": 2, "user": 1, "assistant": 1}
    assert {name: (tool.calls, tool.failed, tool.unanswered) for name, tool in found.tools.items()} == {
        "exec_command": (3, 1, 1)
    }
    assert (found.calls.seconds, found.calls.longest) == (0.75, 0.5)
    assert (found.tokens, found.requests) == (Tokens(200, 10, 20, 4), 2)
    assert (found.first.minute, found.last.minute, found.turns) == (0, 7, [3.4])


def test_only_lines_since_then_are_counted(home):
    """A call from before is not, though its output came later."""
    since = dt.datetime(2025, 7, 23, 15, 3, tzinfo=dt.UTC)

    (found,) = stats(*sessions_in(home), since=since).values()

    assert (found.items, found.requests, found.calls.calls) == (5, 1, 2)


def test_a_fork_is_counted_without_what_it_inherited(home):
    """Its history is in its parent's file; together they are as long as both."""
    parent = sessions_in(home)[0]
    base = {"thread_id": SESSION, "end_byte_offset": parent.stat().st_size}
    lines = [at(8, meta(id=OTHER_SESSION, history_base=base), "session_meta"), at(9, ASKED)]
    lines.append(at(9, record(3, OTHER_SESSION), "token_usage_record"))
    fork = written(home, b"".join(lines), name=f"rollout-2025-07-23T15-08-00-{OTHER_SESSION}.jsonl")

    (alone,) = stats(fork).values()
    assert (alone.items, alone.inherited, alone.requests, alone.calls.calls) == (1, 7, 1, 0)
    for paths in ((parent, fork), (fork, parent)):
        (both,) = stats(*paths).values()
        assert (both.items, both.requests, both.tokens.input, both.calls.calls) == (8, 3, 300, 3)


def test_the_same_request_in_two_files_is_counted_once(home):
    """By its thread, turn and response."""
    parent = sessions_in(home)[0]
    copy = written(home / "copy", parent.read_bytes())

    (both,) = stats(parent, copy).values()

    assert both.requests == 2


def test_responses_that_we_recorded_are_counted(home):
    """In a flat file, the usage is in log entries."""
    answer = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    used = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
    with rolloutlog.session("ours") as session:
        session.record_response(
            {"id": "resp_1", "model": "m", "status": "completed", "output": [answer], "usage": used}
        )
        path = session.path

    (found,) = stats(path).values()

    assert (found.tokens, found.requests) == (Tokens(12, 0, 3, 0), 1)


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("day", {"2025-07-23"}),
        ("model", {"gpt-6.1-sol"}),
        ("cwd", {"/work"}),
        ("tool", {"", "exec_command"}),
        ("session", {SESSION}),
    ],
)
def test_numbers_are_grouped(by, names, home):
    """The sum over the groups is the same."""
    found = stats(*sessions_in(home), by=by)

    assert set(found) == names
    assert sum(group.requests for group in found.values()) == 2
    assert sum(group.calls.calls for group in found.values()) == 3


# --- the command ------------------------------------------------------------------------------------------------------

SHOWN = """\
items               7  3 calls, 2 outputs, 1 message of the user, 1 message of …
tools  exec_command 3  1 failed; 1 without an output; 0.8 s in all, longest 0.5…
tokens            220  200 read (10 cached) + 20 written (4 reasoning)
           2 requests  each counted once
time            7 min  15:00:00 to 15:07:00 UTC; 1 turn: 3 s
"""
BY_DAY = """\
DAY         SESSIONS  REQUESTS  READ  CACHED  WRITTEN  TOTAL
2025-07-23         1         2   200      10       20    220
"""
BY_TOOL = """\
TOOL          CALLS  FAILED  NO OUTPUT   TIME  LONGEST
exec_command      3       1          1  0.8 s    0.5 s
"""


@pytest.mark.parametrize("arguments", [[SESSION[-8:]], ["--last"], []])
def test_the_command_shows_the_numbers(arguments):
    """Of a session, of the newest, or of all."""
    assert run("stats", *arguments, "--utc", terminal=True) == (0, SHOWN, "")


@pytest.mark.parametrize(("by", "shown"), [("day", BY_DAY), ("tool", BY_TOOL)])
def test_the_command_shows_groups(by, shown):
    """One line each."""
    assert run("stats", "--by", by, "--utc", terminal=True) == (0, shown, "")


def test_numbers_are_never_cut(home, monkeypatch):
    """On a narrow terminal the name gets what is left."""
    monkeypatch.setenv("COLUMNS", "60")
    written(home, b"".join(LINES).replace(b'"/work"', b'"/a/very/long/folder/that/cannot/be/shown"'))

    out = run("stats", "--by", "cwd", terminal=True).out

    assert all(line.endswith(("TOTAL", "220", " 1")) for line in out.splitlines())


def test_in_a_pipe_and_as_json_nothing_is_cut(home):
    """Numbers are numbers there."""
    assert run("stats", "--by", "day", "--utc").out == "2025-07-23\t1\t2\t200\t10\t20\t220\n"
    value = json.loads(run("stats", "--json").out)
    assert value["tokens"] == {"input": 200, "cached": 10, "output": 20, "reasoning": 4, "total": 220}
    assert value["tools"] == {
        "exec_command": {"calls": 3, "failed": 1, "unanswered": 1, "seconds": 0.75, "longest": 0.5}
    }
    assert (value["first"], value["turns"]) == ("2025-07-23T15:00:00.000Z", [3.4])
    assert json.loads(run("stats", "--by", "model", "--json").out)["model"] == "gpt-6.1-sol"


def test_tokens_that_are_not_in_the_file_are_not_guessed(home):
    """Neither shown as 0."""
    path = written(home / "flat", FLAT_META + b"\n" + packed(ASKED) + b"\n")

    out = run("stats", path, terminal=True).out
    assert "tokens                 not in this file\n" in out
    assert json.loads(run("stats", path, "--json").out)["tokens"] is None


def test_sessions_that_were_not_written_since_are_not_opened(home):
    """By the time of the last change."""
    path = sessions_in(home)[0]
    os.utime(path, (10**9, 10**9))

    assert json.loads(run("stats", "--since", "1d", "--json").out or "{}").get("items", 0) == 0


def test_a_session_that_cannot_be_read_is_counted_as_such(home):
    """When all are asked for; a named one is an error."""
    sessions = run("stats", "--by", "session").out
    path = written(home, b"", name=f"rollout-2025-07-23T15-08-00-{OTHER_SESSION}.jsonl")
    path.unlink()
    path.mkdir()

    code, _, err = run("stats", terminal=True)

    assert (code, err) == (0, "rolloutlog: 1 session could not be read\n")
    assert run("stats", path).code == 1
    assert run("stats", "--by", "session").out == sessions


@pytest.mark.parametrize("data", [b"", b"garbage\n", b"\xff\n[]\n", b'{"torn'])
def test_a_file_without_a_line_that_can_be_read_is_no_session(home, data):
    """It is not counted as one, and a named one is an error."""
    total = run("stats", terminal=True).out
    path = written(home, data, name=f"rollout-2025-07-23T15-08-00-{OTHER_SESSION}.jsonl")

    done = run("stats", terminal=True)

    assert done == (0, total, "rolloutlog: 1 session could not be read\n")
    assert run("stats", path) == (1, "", f"rolloutlog: {path}: no line of it can be read\n")


def test_names_of_tools_are_safe(home):
    """They are text of the file."""
    path = written(
        home / "x", LINES[0] + at(1, {"type": "function_call", "name": "\x1b[2J", "arguments": "", "call_id": "c"})
    )

    assert "\x1b" not in run("stats", path, terminal=True).out + run("stats", path, "--by", "tool").out
