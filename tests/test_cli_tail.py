"""`rolloutlog tail`: the end of a session, and a file that is followed through all that can happen to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading

import hostile
import pytest
import snapshots
import tide
from commands import run, start
from helpers import DEADLINE
from test_reader import GOLDEN, REAL
from test_transcript import call, output
from test_view import PARENT, meta, model, needs_zstd, user, zstd

import rolloutlog
from rolloutlog._face.tail import PATIENCE, Happening, Tail

pytestmark = pytest.mark.extras


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home, times in UTC, and 80 columns."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path / "home"


@pytest.fixture
def path(home):
    """The file of a session in the home."""
    path = home / f"sessions/2025/07/23/rollout-2025-07-23T15-03-26-{PARENT}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(meta(PARENT) + user("a"))
    return path


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tail(path, clock):
    """A tail whose first look is done."""
    tail = Tail(path, None, clock)
    list(tail.poll())
    yield tail
    tail.close()


def append(path, data):
    with open(path, "ab") as file:
        file.write(data)


def news(tail):
    """Return the text of each new line, and the kind of each happening."""
    return [one.kind if isinstance(one, Happening) else getattr(one.entry, "text", one.entry) for one in tail.poll()]


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_line_is_yielded_once_it_is_ended(tail, path):
    """Not half of it, and not twice."""
    append(path, user("b")[:20])
    first = news(tail)
    append(path, user("b")[20:] + user("c"))

    assert (first, news(tail), news(tail)) == ([], ["b", "c"], [])


def test_lines_have_their_numbers_and_places(path):
    """As in `iter_lines`."""
    append(path, b"\n" + user("b") + b"{bad\n")
    tail = Tail(path)
    found = list(tail.poll())
    tail.close()

    assert found == list(rolloutlog.iter_lines(path))


def test_a_line_whose_writer_died_is_torn(tail, path, clock):
    """It is said once, after a second; if the rest comes after all, the line is shown."""
    append(path, user("b")[:20])
    early = news(tail)
    clock.now += PATIENCE
    torn, again = news(tail), news(tail)
    append(path, user("b")[20:])

    assert (early, torn, again, news(tail)) == ([], ["torn"], [], ["b"])


def test_a_renamed_file_is_followed(tail, path):
    """By its descriptor, as the program does that writes it."""
    os.rename(path, path.with_name("other.jsonl"))
    renamed = news(tail)
    append(path.with_name("other.jsonl"), user("b"))

    assert (renamed, news(tail)) == (["renamed"], ["b"])


def test_a_replaced_file_continues_at_the_same_line(tail, path):
    """A repair makes a new file with the same lines."""
    append(path, user("before"))
    other = path.with_name("new")
    other.write_bytes(path.read_bytes() + user("after"))
    os.replace(other, path)

    assert news(tail) == ["before", "replaced", "after"]
    append(path, user("more"))
    assert news(tail) == ["more"]


def test_a_cut_file_is_followed_from_its_new_end(tail, path):
    """No line is shown twice."""
    append(path, user("b"))
    list(tail.poll())
    os.truncate(path, len(meta(PARENT)))
    cut = news(tail)
    append(path, user("c"))
    found = list(tail.poll())

    assert cut == ["truncated"]
    assert [(one.number, one.entry.text) for one in found] == [(2, "c")]


@pytest.mark.parametrize("suffix", ["", ".zst"])
def test_an_archived_session_ends(tail, path, home, suffix):
    """Codex moves the file, and may compress it; its last lines are shown before."""
    append(path, user("last"))
    (home / "archived_sessions").mkdir()
    os.rename(path, home / "archived_sessions" / f"{path.name}{suffix}")

    found = list(tail.poll())

    assert found[0].entry.text == "last"
    assert (found[1].kind, found[1].is_end) == ("archived", True)


def test_a_session_that_is_compressed_where_it_is_was_archived(tail, path):
    """As `rolloutlog archive` does it; its last lines are shown before."""
    append(path, user("last"))
    path.with_name(f"{path.name}.zst").write_bytes(b"")
    path.unlink()

    *lines, end = tail.poll()

    assert [line.entry.text for line in lines] == ["last"]
    assert (end.kind, end.text) == ("archived", f"the session was archived: {path}.zst")


def test_a_removed_file_ends(tail, path):
    """Nothing can be appended to it any more that anyone could read."""
    append(path, user("last"))
    path.unlink()

    assert news(tail) == ["last", "removed"]


def test_the_end_of_a_large_file_is_read_alone(path):
    """The numbers of its lines are right all the same."""
    append(path, b"".join(user(str(number)) for number in range(5000)))
    tail = Tail(path, 1000)
    found = list(tail.poll())
    tail.close()

    assert tail.is_partial
    assert 0 < len(found) < 20
    assert [(one.number, one.entry.text) for one in found][-1] == (5002, "4999")


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_last_entries_are_shown(path):
    """Ten, unless the option says how many; a heading counts."""
    append(path, b"".join(model(f"answer {number}") for number in range(20)))

    assert [line.strip() for line in run("tail", path, "-n", "3").out.splitlines() if line] == [
        "answer 17",
        "answer 18",
        "answer 19",
    ]
    assert run("tail", path, "-n", "0").out == ""
    assert run("tail", path).out.count("answer") == 10


def test_the_end_looks_as_it_was_looked_at(tmp_path):
    """As `show` does."""
    path = tmp_path / tide.FILE_NAME
    path.write_bytes(tide.session())

    snapshots.check("tail-80.txt", run("tail", path, "-n", "6", terminal=True).out)


def test_json_is_that_of_show(path):
    """One object a line."""
    objects = [json.loads(one) for one in run("tail", path, "--json").out.splitlines()]

    assert [one["kind"] for one in objects] == ["turn", "message"]


def test_raw_lines_are_printed_as_they_are(path):
    """To a pipe."""
    append(path, b"{bad\n")
    with start("tail", path, "--raw", "-n", "2") as process:
        assert process.stdout.read() == user("a") + b"{bad\n"
    assert run("tail", path, "--raw", terminal=True).code == 2


@needs_zstd
def test_a_compressed_session_is_shown_but_not_followed(tmp_path):
    """Nothing is appended to it."""
    path = tmp_path / "x.jsonl.zst"
    path.write_bytes(zstd.compress(meta(PARENT) + user("hello")))

    assert "hello" in run("tail", path).out
    assert run("tail", path, "-f").code == 2


def test_stdin_is_not_followed():
    """It is copied first, and nothing is appended to the copy. The error comes before anything is read."""
    process = start("tail", "-f", "-", stdin=subprocess.PIPE)
    try:
        code = process.wait(DEADLINE)
        error = process.stderr.read().decode()
    finally:
        process.kill()
        process.communicate()

    assert code == 2
    assert "stdin cannot be followed" in error


def test_the_hints_of_a_file_name_its_path(tmp_path):
    """As those of `show` do."""
    path = tmp_path / "my trip.jsonl"
    path.write_bytes(meta(PARENT) + call("f", "1") + output("x\n" * 20, "1"))

    assert f"rolloutlog show '{path}' --line " in run("tail", path).out


def followed(*arguments):
    """Start the command, and return it with a function that reads until a line holds a text."""
    process = start("tail", "-f", *arguments)
    limit = threading.Timer(60, process.kill)
    limit.start()

    def read_until(text):
        lines = []
        while not lines or text not in lines[-1]:
            one = process.stdout.readline().decode()
            assert one, (lines, process.stderr.read())
            lines.append(one)
        return "".join(lines)

    process.limit = limit
    return process, read_until


def test_a_session_is_followed_as_it_is_recorded():
    """Each entry when it is recorded: a call first, its output later; until Ctrl-C."""
    with rolloutlog.session("trip") as session:
        session.record({"role": "user", "content": "go"})
        process, read_until = followed("trip")
        read_until("go")
        session.record({"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "1"})
        before = read_until("weather")
        session.record({"type": "function_call_output", "call_id": "1", "output": "sunny"})
        after = read_until("sunny")
    process.send_signal(signal.SIGINT)
    with process:
        code = process.wait(DEADLINE)
    process.limit.cancel()

    assert "no output" not in before
    assert after == "  │ sunny\n"
    assert code == 130


def test_following_ends_when_the_session_is_archived(path, home):
    """With a line that says so."""
    process, read_until = followed(path)
    read_until("  a")
    (home / "archived_sessions").mkdir()
    os.rename(path, home / "archived_sessions" / path.name)
    read_until("--- the session was archived")
    with process:
        code = process.wait(DEADLINE)
    process.limit.cancel()

    assert code == 0


def test_an_output_that_comes_after_other_entries_names_its_call(path):
    """So a person who looks on knows what it belongs to."""
    process, read_until = followed(path)
    read_until("  a")
    append(path, call("weather", "1") + call("tides", "2") + output("sunny", "1"))
    seen = read_until("sunny")
    process.send_signal(signal.SIGINT)
    with process:
        process.wait(DEADLINE)
    process.limit.cancel()

    assert "output of weather()" in seen


@pytest.mark.parametrize("path", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("arguments", [[], ["--depth", "all"], ["--json"]])
def test_the_end_of_every_real_session_is_shown(path, arguments):
    """Without any character that a terminal obeys; a session in which nothing was said has none."""
    code, out, err = run("tail", path, *arguments)

    assert (code, err) == (0, "")
    assert out or not rolloutlog.load_session(path).items
    assert hostile.harm_in(out) == []


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_nothing_of_a_hostile_session_reaches_the_output(tmp_path, format):
    """As everywhere."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file(format, with_long=False))

    out = run("tail", path, "-n", "2000", "--depth", "all").out

    assert len(out) > 10_000
    assert hostile.harm_in(out) == []
