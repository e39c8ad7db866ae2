"""`rolloutlog show`: what it shows of a session, how deep, on a terminal, in a pipe, through a pager, and as JSON."""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time

import hostile
import pytest
import snapshots
import tide
from commands import run, run_apart, start
from helpers import DEADLINE
from test_reader import GOLDEN, REAL
from test_transcript import call, output
from test_view import CHILD, PARENT, line, meta, model, user

import rolloutlog
from rolloutlog._cli import pager
from rolloutlog._face.terminal import cells

pytestmark = pytest.mark.extras

FILES = [*REAL, *GOLDEN]
SHORT = tide.ID[-8:]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home; times in UTC, no pager, and 80 columns."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ROLLOUTLOG_PAGER", "")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    return tmp_path / "home"


@pytest.fixture
def session(home):
    """The file of the session in `tide`, in the home."""
    path = home / "sessions/2026/11/30" / tide.FILE_NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(tide.session())
    return path


@pytest.fixture
def write(tmp_path):
    """Return a function that puts lines into a file and returns its path."""

    def put(*lines):
        path = tmp_path / "rollout.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return put


def shown(*arguments, terminal=True):
    """Return what is printed."""
    code, out, err = run("show", *arguments, terminal=terminal)
    assert (code, err) == (0, "")
    return out


# --- how it looks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_session_looks_as_it_was_looked_at(session, monkeypatch, columns):
    """On terminals of several widths. No line is wider."""
    monkeypatch.setenv("COLUMNS", str(columns))

    out = shown(SHORT)

    snapshots.check(f"show-{columns}.txt", out)
    assert max(map(cells, out.splitlines())) <= columns


@pytest.mark.parametrize("depth", ["user", "talk", "full", "all"])
def test_each_depth_looks_as_it_was_looked_at(session, depth):
    """From what a person said to all lines of the file."""
    snapshots.check(f"show-{depth}.txt", shown(SHORT, "--depth", depth))


def test_colours_follow_the_theme_of_the_terminal(session, monkeypatch):
    """Only the sixteen names, and each says something that a word says, too."""
    monkeypatch.delenv("NO_COLOR")

    snapshots.check("show-colours.txt", shown(SHORT, "--to", "1"))


def test_a_pipe_gets_whole_lines(session):
    """Nothing is folded or cut, and messages keep the marks of Markdown."""
    out = shown(SHORT, terminal=False)

    snapshots.check("show-pipe.txt", out)
    assert "`python3 -m unittest` fails since we added 2026. Find out why and fix it, with as small" in out


@pytest.mark.parametrize("command", ["show", "tail"])
def test_a_pipe_gets_colours_if_they_are_forced(session, monkeypatch, command):
    """With FORCE_COLOR, and the same text except blanks at the end of a line. NO_COLOR is stronger."""
    plain = run(command, session).out
    monkeypatch.setenv("FORCE_COLOR", "1")
    stronger = run(command, session).out
    monkeypatch.delenv("NO_COLOR")
    coloured = run(command, session).out

    assert stronger == plain
    assert "\x1b[2m" in coloured
    uncoloured = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [text.rstrip() for text in uncoloured.split("\n")] == plain.split("\n")


@pytest.mark.parametrize("options", ["--last-answer", "--json", "--raw"])
def test_what_programs_read_of_a_session_never_has_colours(session, monkeypatch, options):
    """Where a person set FORCE_COLOR for all programs."""
    plain = run("show", session, options)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert plain.out
    assert run("show", session, options) == plain


def test_json_looks_as_it_was_looked_at(session):
    """One object a line: each turn, each entry, each end of a turn."""
    snapshots.check("show-json.txt", shown(session, "--json", terminal=False))


# --- which part of it -------------------------------------------------------------------------------------------------


def test_some_turns_are_shown(write):
    """From one to another."""
    path = write(meta(PARENT), *[user(f"question {number}") + model(f"answer {number}") for number in range(1, 6)])

    out = shown(path, "--from", "2", "--to", "3")

    assert [number for number in range(1, 6) if f"question {number}" in out.partition("\n\n")[2]] == [2, 3]


def test_one_line_is_shown_whole(session):
    """The number is that of the hint; the line of an output shows its call, too."""
    out = shown(SHORT)
    number = out.partition("more lines: rolloutlog show c29e6aa0 --line ")[2].split()[0]

    whole = shown(session, "--line", number)

    assert whole.count("│") == 48
    assert shown(session, "--line", str(int(number) + 1)) == whole
    assert json.loads(shown(session, "--line", number, "--json", terminal=False))["line"] == int(number)


@pytest.mark.parametrize("option", [[], ["--raw"], ["--json"]])
def test_a_line_that_is_not_there_is_an_error(session, option):
    """As a session that is not there. The message says how many lines there are; a torn one counts."""
    count = len(session.read_bytes().splitlines())
    with open(session, "ab") as file:
        file.write(b"torn")

    expected = f"rolloutlog: there is no line {count + 2}; the file has {count + 1} lines\n"
    assert run("show", session, "--line", str(count + 2), *option) == (1, "", expected)


@pytest.mark.parametrize("options", [[], ["--json"], ["--to", "99"]])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_turn_that_is_not_there_is_an_error(write, options, terminal):
    """As a line that is not there: nothing is printed, also no heading."""
    path = write(meta(PARENT), user("a"), model("b"), user("c"), model("d"))

    expected = "rolloutlog: there is no turn 3; the session has 2 turns\n"
    assert run("show", path, "--from", "3", *options, terminal=terminal) == (1, "", expected)
    assert run("show", path, "--from", "2", *options, terminal=terminal).code == 0


def test_turns_in_the_wrong_order_are_wrong_use(write):
    """It would show nothing."""
    code, out, err = run("show", write(meta(PARENT), user("a")), "--from", "3", "--to", "1")

    assert (code, out) == (2, "")
    assert "expected a turn that is not after --to 1; got --from 3" in err


def test_a_line_that_holds_nothing_is_an_error_with_advice(write):
    """The advice names the session, and works; for stdin there is none."""
    path = write(meta(PARENT), b"\n", user("a"))

    code, out, err = run("show", path, "--line", "2")

    assert (code, out) == (1, "")
    advice = err.partition("holds nothing to show; ")[2].removesuffix(" prints its bytes\n")
    assert run_apart(*shlex.split(advice)[1:]).out == "\n"
    assert run_apart("show", "-", "--line", "2", data=path.read_bytes()).err == (
        "rolloutlog: line 2 holds nothing to show\n"
    )


@pytest.mark.parametrize("name", ["my trip.jsonl", "it's $HOME.jsonl", "rollout.jsonl"])
def test_a_hint_names_a_session_as_it_was_named(tmp_path, name):
    """By its path, as a shell reads it. The end of its id would lead to another file, or to none."""
    path = tmp_path / name
    path.write_bytes(meta(PARENT) + call("f", "1") + output("x\n" * 20, "1") + b"{bad\n")

    out = shown(path, terminal=False)
    hints = re.findall(r": (rolloutlog (?:show|doctor) .*)", out)

    assert [shlex.split(hint)[1:3] for hint in hints] == [["doctor", str(path)], ["show", str(path)]]
    assert shown(*shlex.split(hints[1])[2:]).count("x\n") == 20


def test_a_hint_names_the_older_of_two_sessions_by_what_was_typed(home):
    """A name means the newest session of that name."""
    with rolloutlog.session("trip") as older:
        older.record({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"})
        older.record({"type": "function_call_output", "call_id": "1", "output": "x\n" * 20})
    with rolloutlog.session("trip", fresh=True):
        pass

    assert f"17 more lines: rolloutlog show {older.path.stem[-12:]} --line " in shown(older.path.stem[-12:])


def test_a_hint_names_the_home_that_was_named(tmp_path, monkeypatch):
    """Without it, the next command looks elsewhere."""
    other = tmp_path / "other home"
    with rolloutlog.session("trip", home=other) as recorded:
        recorded.record({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"})
        recorded.record({"type": "function_call_output", "call_id": "1", "output": "x\n" * 20})

    hint = re.search(r": (rolloutlog show .*)", shown("--home", other, "trip", terminal=False))[1]

    assert shown(*shlex.split(hint)[2:]).count("x\n") == 20


def test_the_last_answer_is_printed_alone(write):
    """As it was given, for a pipe; neutralised for a terminal."""
    path = write(meta(PARENT), user("a"), model("first"), model("**last**\x1b[2J\n"), user("b"))

    assert shown(path, "--last-answer", terminal=False) == "**last**\x1b[2J\n"
    assert shown(path, "--last-answer") == "**last**␛[2J\n"
    assert run("show", write(meta(PARENT), user("a")), "--last-answer").code == 1


def test_the_last_answer_as_json_is_one_object(write):
    """The same object that the session as JSON has for it."""
    path = write(meta(PARENT), user("a"), model("first"), model("last"), user("b"))

    code, out, _ = run("show", path, "--last-answer", "--json")

    assert code == 0
    (line,) = out.splitlines()
    assert json.loads(line)["text"] == "last"
    assert line in run("show", path, "--json").out.splitlines()


@pytest.mark.parametrize(
    "options",
    [
        ["--last-answer", "--line", "1"],
        ["--last-answer", "--from", "1"],
        ["--last-answer", "--to", "1"],
        ["--last-answer", "--raw"],
        ["--raw", "--json"],
        ["--raw", "--from", "1"],
        ["--line", "1", "--to", "1"],
    ],
)
def test_options_of_which_one_would_have_no_effect_are_refused(options, session):
    """The error names both."""
    code, out, err = run("show", session, *options)

    first, second = [option for option in options if option.startswith("--")]
    assert (code, out) == (2, "")
    assert f"expected {first} or {second}, not both" in err


def test_raw_bytes_are_printed_as_they_are(session):
    """All, or one line; to a terminal only with --force, because it may obey them."""
    process = start("show", session, "--raw")
    whole, _ = process.communicate(timeout=DEADLINE)
    one, _ = start("show", session, "--raw", "--line", "6").communicate(timeout=DEADLINE)

    assert whole == session.read_bytes()
    assert one == session.read_bytes().splitlines(keepends=True)[5]
    assert run("show", session, "--raw", terminal=True).code == 2
    assert run_apart("show", session, "--raw", "--line", "99").code == 1


def test_a_fork_leaves_out_what_was_said_before_it(home):
    """And says how much that is; all lines show it, too."""
    folder = home / "sessions/2025/07/23"
    folder.mkdir(parents=True)
    before = meta(PARENT) + user("of the parent") + model("b")
    (folder / f"rollout-2025-07-23T15-03-26-{PARENT}.jsonl").write_bytes(before)
    base = {"thread_id": PARENT, "end_byte_offset": len(before)}
    path = folder / f"rollout-2025-07-23T15-03-27-{CHILD}.jsonl"
    path.write_bytes(meta(CHILD, forked_from_id=PARENT, history_base=base) + user("of the fork"))

    out = shown(path)

    assert "1 turn before the fork is left out" in out
    assert "of the parent" not in out
    assert "2 · You" in out
    assert "of the parent" in shown(path, "--depth", "all")


def test_damage_is_said_at_the_top_and_at_its_place(write):
    """With the command that tells more."""
    out = shown(write(meta(PARENT), user("a"), b"{bad\n", b"\xff\n", model("b")))

    assert "2 lines of the file cannot be read: rolloutlog doctor" in out
    assert "! line 3 cannot be read: is not JSON" in out


def test_a_session_of_ours_is_hinted_by_its_name():
    """It is what a person can type."""
    with rolloutlog.session("trip") as recorded:
        recorded.record({"role": "user", "content": "go"})
        recorded.record({"type": "function_call", "name": "f", "arguments": "{}", "call_id": "1"})
        recorded.record({"type": "function_call_output", "call_id": "1", "output": "x\n" * 20})

    assert "17 more lines: rolloutlog show trip --line " in shown("trip")


def test_a_log_entry_shows_its_level_and_the_end_of_its_exception(write):
    """A word, besides the colour."""
    entry = {
        "type": "log",
        "timestamp": "2025-07-23T15:03:26.000Z",
        "level": "ERROR",
        "logger": "agent",
        "message": "failed",
    }
    path = write(meta(PARENT), user("a"), line("rolloutlog", {**entry, "exception": "Traceback\nValueError: x"}))

    out = shown(path)

    assert "  ERROR agent  failed\n  │ Traceback\n  │ ValueError: x\n" in out


# --- every file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("arguments", [[], ["--depth", "all"], ["--json", "--depth", "all"], ["--line", "3"]])
def test_every_real_session_is_shown(path, arguments):
    """On a terminal and in a pipe, without any character that a terminal obeys."""
    for terminal in (True, False):
        code, out, _ = run("show", path, *arguments, terminal=terminal)

        assert code in (0, 1)
        assert (code, out) != (0, "")
        assert hostile.harm_in(out) == []


@pytest.mark.parametrize(("format", "depth"), [("flat", "tools"), ("envelope", "all")])
@pytest.mark.slow
def test_nothing_of_a_hostile_session_reaches_a_terminal(tmp_path, monkeypatch, format, depth):
    """Neither in colours nor without them, nor as JSON."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file(format, with_long=False))

    monkeypatch.delenv("NO_COLOR")
    coloured = shown(path, "--depth", depth)
    plain = shown(path, "--depth", depth, terminal=False)
    objects = shown(path, "--depth", depth, "--json", terminal=False)

    ours = {f"\x1b[{code}m" for code in ("0", "1", "2", "2;3", "7", "27", "31", "32", "33", "36", "1;35", "1;36")}
    for sequence in ours:
        coloured = coloured.replace(sequence, "")
    assert hostile.harm_in(coloured) == []
    assert hostile.harm_in(plain) == []
    assert hostile.harm_in(objects) == []
    assert all(json.loads(one)["kind"] for one in objects.splitlines())


@pytest.mark.slow
def test_nothing_of_a_long_attack_reaches_a_terminal(tmp_path):
    """Megabytes of brackets, marks and half colours, each in one line."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file("envelope"))

    assert hostile.HARMFUL.search(shown(path)) is None


# --- pager and pipes --------------------------------------------------------------------------------------------------


def test_a_long_session_goes_through_the_pager(session, tmp_path, monkeypatch):
    """As it is made; a short one is printed at once."""
    monkeypatch.setenv("ROLLOUTLOG_PAGER", f"tee {tmp_path / 'paged'}")
    monkeypatch.setenv("LINES", "10")

    run("show", session, terminal=True)
    long = (tmp_path / "paged").read_text(encoding="utf-8")
    (tmp_path / "paged").unlink()
    monkeypatch.setenv("LINES", "1000")
    short = shown(session)

    assert long == short
    assert not (tmp_path / "paged").exists()


@pytest.mark.parametrize("named", ["", "cat", "no-such-pager", "'unclosed"])
def test_without_a_pager_all_is_printed(session, monkeypatch, named):
    """Where it is empty, missing, or not a command."""
    monkeypatch.setenv("ROLLOUTLOG_PAGER", named)
    monkeypatch.setenv("LINES", "10")

    assert shown(session).count("\n") > 40


def test_the_users_pager_is_taken_before_less(monkeypatch):
    """Ours before the general one."""
    monkeypatch.delenv("ROLLOUTLOG_PAGER")
    monkeypatch.setenv("PAGER", "tee -a x")
    assert pager._command() == ["tee", "-a", "x"]
    monkeypatch.setenv("ROLLOUTLOG_PAGER", "head")
    assert pager._command() == ["head"]


def test_leaving_the_pager_ends_quietly(write, monkeypatch):
    """The rest is not made."""
    path = write(meta(PARENT), *[user(f"question {number}") for number in range(3000)])
    monkeypatch.setenv("ROLLOUTLOG_PAGER", "head -n 3")
    monkeypatch.setenv("LINES", "10")

    code, _, err = run("show", path, terminal=True)

    assert (code, err) == (0, "")


def test_a_closed_pipe_ends_quietly(write):
    """As in `rolloutlog show x | head -n 1`."""
    path = write(meta(PARENT), *[user("x" * 1000) for _ in range(2000)])
    with start("show", path) as process:
        process.stdout.readline()
        process.stdout.close()

        assert process.wait(DEADLINE) == 0
        assert process.stderr.read() == b""


def test_a_session_is_read_from_stdin(session):
    """As in `zstd -dc x.zst | rolloutlog show -`. No hint names it, because no command finds it."""
    code, out, err = run_apart("show", "-", data=session.read_bytes())

    assert (code, err) == (0, "")
    assert out == re.sub(": (rolloutlog show [0-9a-f]+|…) --line \\d+", "", shown(SHORT, terminal=False))
    assert "--line" not in out


def test_an_interrupt_in_the_middle_exits_with_130(write):
    """Ctrl-C, with a terminal as its output."""
    path = write(meta(PARENT), *[user("x" * 1000) for _ in range(50_000)])
    ours, theirs = pty.openpty()
    with start("show", path, stdout=theirs, env={"ROLLOUTLOG_PAGER": ""}) as process:
        os.close(theirs)
        os.read(ours, 1000)
        process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + DEADLINE
        try:
            while process.poll() is None and time.monotonic() < deadline:
                try:
                    os.read(ours, 65536)
                except OSError:
                    break
            assert process.wait(DEADLINE) == 130
        finally:
            process.kill()  # else a failure would wait for ever for a process that writes to a full terminal
        assert process.stderr.read() == b""
    os.close(ours)


def test_a_real_terminal_gets_colours_and_its_own_width(session):
    """Without COLUMNS, the terminal says how wide it is."""
    ours, theirs = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 60, 0, 0))
    unset = {"COLUMNS": "", "NO_COLOR": "", "TERM": "xterm"}
    with start("show", session, stdout=theirs, env=unset) as process:
        os.close(theirs)
        got = b""
        try:
            while chunk := os.read(ours, 65536):
                got += chunk
        except OSError:  # the other end was closed
            pass
        assert process.wait(DEADLINE) == 0
    os.close(ours)

    assert b"\x1b[1;36m1 " in got
    lines = [hostile.re.sub(r"\x1b\[[0-9;]*m", "", one) for one in got.decode().split("\r\n")]
    assert max(map(cells, lines)) == 60


def test_an_unchanged_interpreter_runs_it():
    """`python -m rolloutlog` is the command."""
    done = subprocess.run([sys.executable, "-m", "rolloutlog", "show", "--help"], capture_output=True, timeout=DEADLINE)

    assert done.returncode == 0
    assert done.stdout.startswith(b"Usage: rolloutlog show")
