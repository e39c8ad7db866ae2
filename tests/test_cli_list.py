"""`rolloutlog list`: which sessions it shows, in which order and state, on a terminal, in a pipe, and as JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys

import hostile
import pytest
import snapshots
from commands import run, run_apart
from helpers import DEADLINE
from test_view import meta, model, user

import rolloutlog
from rolloutlog._cli.times import parse_moment
from rolloutlog._face import heads
from rolloutlog._face.states import STATES

pytestmark = pytest.mark.extras

NOW = dt.datetime.now(dt.UTC)


def an_id(number):
    """Return an id whose end is *number*."""
    return f"0198d7f2-3c4b-7e3a-9a61-{number:012}"


@pytest.fixture(autouse=True)
def put(tmp_path, monkeypatch):
    """Return a function that puts a session into the home, by its number and how many hours ago it began."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    for variable in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)

    def write(number, hours, *lines, folder="sessions/{:%Y/%m/%d}", **keys):
        began = NOW - dt.timedelta(hours=hours)
        known = {"timestamp": began.isoformat(), "cwd": "/home/ana/tides", **keys}
        path = tmp_path / folder.format(began) / f"rollout-{began:%Y-%m-%dT%H-%M-%S}-{an_id(number)}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join([meta(an_id(number), **known), *lines]))
        return path

    return write


def ids(*arguments):
    """Return the numbers of the sessions that are listed, in order."""
    code, out, err = run("list", "--json", *arguments)
    assert code == 0, err
    return [int(json.loads(line)["id"][-12:]) for line in out.splitlines()]


def test_the_newest_are_listed_first(put):
    """Twenty, unless the option says how many."""
    for number in range(25):
        put(number, number, user("x"))

    assert ids() == list(range(20))
    assert ids("-n", "3") == [0, 1, 2]
    assert ids("-n", "0") == list(range(25))


def test_sessions_of_one_second_are_listed_newest_first(put):
    """By the time in their first lines, because the names of their files have no fractions."""
    order = [3, 1, 4, 2]
    for position, number in enumerate(order):
        put(number, 1, user("x"), timestamp=f"2026-11-30T11:00:00.{900 - position}Z")
    put(5, 2, user("x"))

    assert ids() == [*order, 5]
    assert [ids("-n", str(count)) for count in range(1, 5)] == [order[:count] for count in range(1, 5)]
    assert order[0] == int(run("path", "--last").out[-18:-7])


def test_of_many_sessions_of_one_second_few_are_opened(put, monkeypatch):
    """The order of the rest is that of their names; none is listed twice."""
    monkeypatch.setattr(heads, "_MOST_ORDERED", 2)
    for number in range(5):
        put(number, 1, user("x"), timestamp=f"2026-11-30T11:00:00.{900 - number}Z")
    opened = []
    read = heads.read_head
    monkeypatch.setattr(heads, "read_head", lambda path: opened.append(path) or read(path))

    assert ids("-n", "1") == [3]
    assert len(opened) == 2
    assert ids() == [3, 4, 1, 2, 0]


def test_sessions_of_several_homes_are_listed_together(put, tmp_path):
    """In one order."""
    put(1, 1, user("x"))
    put(2, 3, user("x"))
    other = tmp_path / "other"
    began = NOW - dt.timedelta(hours=2)
    path = other / f"sessions/{began:%Y/%m/%d}/rollout-{began:%Y-%m-%dT%H-%M-%S}-{an_id(3)}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(meta(an_id(3), timestamp=began.isoformat()))

    assert ids("--home", tmp_path, "--home", other) == [1, 3, 2]


@pytest.mark.parametrize(
    ("arguments", "numbers"),
    [
        (["--since", "2h"], [0, 1]),
        (["--until", "3h"], [4, 50]),
        (["--since", "5h", "--until", "3h"], [4]),
        (["--since", (NOW - dt.timedelta(hours=2)).isoformat()], [0, 1]),
        (["--cwd", "/home/ana"], [0, 1, 4, 50]),
        (["--cwd", "/home/an"], []),
        (["--state", "fork"], [4]),
        (["--archived"], [7]),
    ],
)
def test_a_list_can_be_narrowed(put, arguments, numbers):
    """By time, by folder, by state; archived sessions are a list of their own."""
    for number in (0, 1, 50):
        put(number, number, user("x"))
    put(4, 4, user("x"), forked_from_id=an_id(9))
    put(7, 1, user("x"), folder="archived_sessions")

    assert ids(*arguments) == numbers


def test_a_list_of_here_needs_no_folder(put, monkeypatch, tmp_path):
    """`--cwd` alone means the current one, as a terminal shows it."""
    put(1, 1, user("x"), cwd=str(tmp_path / "sub"))
    put(2, 2, user("x"))
    monkeypatch.chdir(tmp_path)

    assert ids("--cwd") == [1]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_looks_as_it_was_looked_at(tmp_path, monkeypatch, columns):
    """On terminals of two widths, and as JSON."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    texts = [
        "The tide table skips a high water at the end of March. Find out why and fix it.",
        "日本語のログも " * 9,
        "# Fix",
    ]
    folder = tmp_path / "home/sessions/2020/11/27"
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        time = f"2020-11-27T09:12:{number:02}.000Z"
        parent = {"forked_from_id": an_id(0)} if number == 2 else {}
        path = folder / f"rollout-2020-11-27T09-12-{number:02}-{an_id(number)}.jsonl"
        path.write_bytes(meta(an_id(number), timestamp=time, **parent) + user(text) + b'{"torn' * (number == 1))

    listed = run("list", "--home", "home", terminal=True).out
    objects = run("list", "--home", "home", "--json").out

    snapshots.check(f"list-{columns}.txt", listed)
    snapshots.check("list-json.txt", objects)


def test_a_session_of_ours_has_its_name_first(put, tmp_path):
    """Later beginnings of the same name are meant by it; the earlier one has its id, and tells the name."""
    for text in ("one", "two"):
        with rolloutlog.session("trip", fresh=True) as session:
            session.record({"role": "user", "content": text})
    lines = run("list").out.splitlines()

    assert [line.split("\t")[0] for line in lines][:1] == ["trip"]
    assert [line.split("\t")[-1] for line in lines] == ["two", "trip: one"]


def test_each_state_has_its_word(put):
    """The one that matters most."""
    put(1, 1, user("x"), b'{"torn')
    put(2, 2, user("x"), b"{bad\n", b"{worse\n")
    put(3, 3)
    put(4, 4, user("x"), forked_from_id=an_id(9))
    put(5, 5, user("x"), source={"subagent": {"other": 1}})
    put(6, 6, user("x"))

    code, out, _ = run("list", terminal=True)

    assert code == 0
    for number, word in ((1, "torn"), (2, "2 bad"), (3, "empty"), (4, "fork"), (5, "sub")):
        (line,) = [line for line in out.splitlines() if f"{number:08}" in line]
        assert word in line


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the system does not tell who holds a lock")
def test_a_session_that_a_program_has_open_says_so(put):
    """By its lock, which is looked at and not tried."""
    with rolloutlog.session("busy") as session:
        session.record({"role": "user", "content": "x"})
        opened = json.loads(run("list", "--json").out)["state"]
    closed = json.loads(run("list", "--json").out)["state"]

    assert (opened, closed) == ("open", None)


def test_a_file_of_other_bytes_is_bad(put):
    """Its last line was not ended either, but the file is not a session that lacks one."""
    put(1, 1).write_bytes(b"\xff\x00\n\x80junk\n\xfe")
    put(2, 2).write_bytes(b"\xff\x00junk")

    assert [json.loads(line)["state"] for line in run("list", "--json").out.splitlines()] == ["bad", "bad"]
    assert "3 bad" in run("list", terminal=True).out


@pytest.mark.parametrize("options", [{"terminal": True}, {"terminal": False}])
def test_an_empty_home_has_no_session_yet(tmp_path, monkeypatch, options):
    """Only where options chose among sessions, none is like that. The sentence is on stderr."""
    assert run("list", **options) == (0, "", f"rolloutlog: there is no session yet in {tmp_path}\n")
    assert run("list", "--archived", **options).err == f"rolloutlog: there is no archived session in {tmp_path}\n"
    assert run("list", "--since", "1d", **options).err == f"rolloutlog: no sessions like that in {tmp_path}\n"
    assert run("stats", **options) == (0, "", f"rolloutlog: there is no session yet in {tmp_path}\n")

    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path / "nope"))
    expected = f"rolloutlog: ROLLOUTLOG_HOME: there is no folder {tmp_path / 'nope'}\n"
    assert run("list", **options) == run("stats", **options) == (0, "", expected)
    assert run("show", "--last") == (1, "", expected)


def test_an_empty_list_of_a_folder_says_which_sessions_have_none():
    """Sessions of ours are in the flat format unless a caller asks for the other."""
    with rolloutlog.session("trip") as session:
        session.record({"role": "user", "content": "x"})

    assert run("list", "--cwd").err.endswith("; those in the flat format do not record their folder for --cwd\n")
    assert "Sessions in the flat format do not record their folder." in " ".join(run("list", "--help").out.split())


def test_the_help_explains_each_state():
    """All that `--state` takes."""
    words = " ".join(run("list", "--help").out.partition("STATE is one word:")[2].partition("\n\n")[0].split())

    assert [state for state in STATES if state not in words] == []


def test_a_fork_is_put_under_its_parent(put):
    """On a terminal, where a person reads from line to line; a program gets them by time."""
    put(1, 1, user("newest"))
    put(2, 2, user("the same"), forked_from_id=an_id(4))
    put(3, 3, user("between"))
    put(4, 4, user("parent"))

    lines = run("list", terminal=True).out.splitlines()

    assert [line.split()[0] for line in lines[1:5]] == [f"\x1b[36m{number:08}\x1b[0m" for number in (1, 3, 4, 2)]
    assert "↳ of 00000004: the same" in lines[4]
    assert ids() == [1, 2, 3, 4]


def test_sessions_that_are_each_others_parents_are_listed(put):
    """Only damage can make them so."""
    put(1, 1, user("a"), forked_from_id=an_id(2))
    put(2, 2, user("b"), forked_from_id=an_id(1))

    assert len(run("list", terminal=True).out.splitlines()) == 4


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_no_line_is_wider_than_the_terminal(put, monkeypatch, columns):
    """Wide characters count as two."""
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    put(1, 1, user("日本語のログも" * 20))
    put(2, 2, user("x" * 300))

    lines = run("list", terminal=True).out.splitlines()

    assert max(map(cell_len, lines[:-1])) <= columns


@pytest.mark.parametrize(("columns", "has_states"), [(40, False), (80, True)])
def test_a_narrow_terminal_spends_no_column_on_states_that_no_session_has(put, monkeypatch, columns, has_states):
    monkeypatch.setenv("COLUMNS", str(columns))
    put(1, 24 * 400, user("Plan a day"))  # so long ago that its date is as wide at each hour of the day

    heading, line, *_ = run("list", terminal=True).out.splitlines()

    assert ("STATE" in heading) is has_states
    assert line.endswith("Plan a day")


def test_a_pipe_gets_whole_values_between_tabs(put):
    """Nothing is cut, and there is no heading."""
    put(1, 1, user("x" * 250))

    code, out, err = run("list")

    handle, began, size, state, words = out.rstrip("\n").split("\t")
    assert (code, err, handle, state, words) == (0, "", an_id(1), "", "x" * 250)
    assert dt.datetime.fromisoformat(began).tzinfo is not None
    assert int(size) > 250


def test_json_has_the_promised_keys(put):
    """One object a line."""
    path = put(1, 1, user("# Fix it"), model("y"))

    value = json.loads(run("list", "--json").out)

    assert value == {
        "id": an_id(1),
        "name": None,
        "path": str(path),
        "started": value["started"],
        "size": path.stat().st_size,
        "state": None,
        "title": "Fix it",
        "cwd": "/home/ana/tides",
        "model": None,
        "format": "envelope",
        "parent_id": None,
        "archived": False,
    }
    assert value["started"].endswith("Z")


def test_colours_are_left_out_where_they_are_not_wanted(put, monkeypatch):
    """With NO_COLOR, and on a dumb terminal."""
    put(1, 1, user("x"))

    coloured = run("list", terminal=True).out
    monkeypatch.setenv("TERM", "dumb")
    dumb = run("list", terminal=True).out
    monkeypatch.delenv("TERM")
    monkeypatch.setenv("NO_COLOR", "1")

    assert "\x1b[36m" in coloured
    assert "\x1b" not in dumb
    assert "\x1b" not in run("list", terminal=True).out


@pytest.mark.parametrize("command", ["list", "search x", "stats", "stats --by session", "list --json"])
def test_columns_for_programs_never_have_colours(put, monkeypatch, command):
    """A program would read them as a part of a value. A person sets FORCE_COLOR for all programs."""
    put(1, 1, user("x"))
    monkeypatch.setenv("FORCE_COLOR", "1")

    code, out, _ = run(*command.split())

    assert code == 0
    assert out
    assert "\x1b" not in out


def test_an_unreadable_file_does_not_end_the_list(put, monkeypatch):
    """It has a line of its own, which says so; a file that was removed in the meantime has none."""
    put(1, 1, user("x"))
    bad = put(2, 2, user("x"))
    gone = put(3, 3, user("x"))
    read = heads.read_head

    def read_head(path):
        if path == bad:
            raise PermissionError(13, "Permission denied", str(path))
        if path == gone:
            path.unlink()
        return read(path)

    monkeypatch.setattr(heads, "read_head", read_head)
    found = [json.loads(line) for line in run("list", "--json").out.splitlines()]

    assert [value["state"] for value in found] == [None, "unreadable"]


def test_without_a_command_the_ten_newest_are_listed(put):
    """With one line of hints, which a program that reads the list does not get."""
    for number in range(12):
        put(number, number, user("x"))

    code, out, err = run()

    assert (code, len(out.splitlines())) == (0, 10)
    assert err == "rolloutlog: rolloutlog show SESSION shows one, rolloutlog --help all commands\n"


def test_no_session_at_all_is_no_error(tmp_path):
    """A new user sees where they would be."""
    code, out, err = run("list", terminal=True)

    assert (code, out) == (0, "")
    assert str(tmp_path) in err


def test_only_the_files_that_are_shown_are_opened(put, monkeypatch):
    """However many there are."""
    for number in range(30):
        put(number, number, user("x"))
    opened = []
    read = heads.read_head
    monkeypatch.setattr(heads, "read_head", lambda path: opened.append(path) or read(path))

    run("list", "-n", "5", terminal=True)

    assert len(opened) == 5


def test_a_closed_pipe_ends_quietly(put):
    """As in `rolloutlog list -n 0 | head -n 1`."""
    for number in range(300):
        put(number, number, user("x" * 280))
    command = [sys.executable, "-m", "rolloutlog", "list", "-n", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()

        assert process.wait(DEADLINE) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("format", ["flat", "envelope"])
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_nothing_of_a_hostile_session_reaches_the_output(tmp_path, format, arguments):
    """Neither from the file nor from its name."""
    folder = tmp_path / "sessions/2026/11/30"
    folder.mkdir(parents=True)
    (folder / hostile.FILE_NAME).write_bytes(hostile.session_file(format, with_long=False))

    for terminal in (False, True):
        code, out, _ = run("list", *arguments, terminal=terminal)
        plain = out.replace("\x1b[", "") if terminal else out
        assert code == 0
        assert hostile.harm_in(plain) == []


def test_the_command_runs_in_a_process_of_its_own(put):
    """As a user runs it."""
    put(1, 1, user("hello"))

    assert run_apart("list").out.endswith("\thello\n")


@pytest.mark.parametrize("text", ["2x", "", "tomorrow?", "2026-13-01", "99999999d"])
def test_a_time_that_means_nothing_is_wrong_use(text):
    """With the forms that there are."""
    code, _, err = run("list", "--since", text)

    assert code == 2
    assert "expected 2h, 3d, today, yesterday, 2026-11-28 or ISO 8601" in err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", "2026-11-30T11:59:30"),
        ("5m", "2026-11-30T11:55:00"),
        ("2w", "2026-11-16T12:00:00"),
        ("today", "2026-11-30T00:00:00"),
        ("2026-11-28 10:30", "2026-11-28T10:30:00"),
        ("2026-11-28T10:30:00+02:00", "2026-11-28T08:30:00"),
        ("2026-11-28t10:30z", "2026-11-28T10:30:00"),
    ],
)
def test_a_time_is_told_in_many_ways(text, expected):
    """How long ago, a word, a date, or ISO 8601."""
    found = parse_moment(text, dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC))

    assert found == dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC)
