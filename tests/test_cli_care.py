"""`rolloutlog doctor` and `rolloutlog repair`: what they print at 80 and 120 columns, in a pipe and as JSON."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import snapshots
from commands import run, run_apart
from damaged import (
    ANSWERED,
    ASKED,
    CALL,
    ENVELOPE_META,
    FLAT_META,
    OTHER_SESSION,
    SESSION,
    cases,
    meta,
    packed,
    said,
    wrapped,
    written,
)
from hostile import HARMFUL

import rolloutlog
from rolloutlog import RolloutRecorder, diagnose

pytestmark = pytest.mark.extras

ID = SESSION[-8:]
DAMAGED = b"\n".join(
    [
        ENVELOPE_META,
        wrapped(CALL),
        wrapped(ANSWERED)[:50] + wrapped(ASKED),
        wrapped(ANSWERED),
        bytes(30),
        wrapped(ASKED)[:70],
    ]
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with one damaged session."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("ROLLOUTLOG_PAGER", "")
    monkeypatch.setenv("NO_COLOR", "1")
    written(tmp_path, DAMAGED)
    return tmp_path


REPORT = """\
920 bytes, 6 lines, envelope of codex 0.169.0, not open
  model line 2  byte 214  call_1 (exec) has no output
                          to_input() answers it; Codex says `aborted`
  lost  line 3  byte 373  half a record, and a whole one after it
                          repair: blanks the half (50 bytes), keeps the whole
  torn  line 5  byte 819  30 bytes, most of them NULs: a record that never
                          reached the disk
                          repair: blanks the 30 bytes
  torn  line 6  byte 850  cut off after 70 bytes, no newline at the end
                          repair: blanks them and ends the line
A resume by rolloutlog sees 2 of 3 items, by Codex 0.169.0 2.
4 findings. To repair what can be repaired: rolloutlog repair 1d2e3b4a
"""
PLAN = """\
would blank line 3, 50 bytes from byte 373: the item on it is seen again
would blank line 5, 30 bytes from byte 819
would blank line 6, 70 bytes from byte 850
would leave line 2, call_1 (exec) has no output; to_input() answers it; Codex
  says `aborted`
2 items before, 3 after; no record moves.
Nothing was written: --write does it, and keeps the original beside the file.
"""


def test_the_doctor_reports_what_each_reader_sees():
    """The path is shortened in its middle, so that its end, with the id, is there."""
    code, out, err = run("doctor", ID, terminal=True)

    path, _, report = out.partition("\n")
    assert (code, report, err) == (1, REPORT, "")
    assert path.endswith("5f0c1d2e3b4a.jsonl")


def test_the_repair_that_is_advised_finds_the_session(home, monkeypatch, tmp_path_factory):
    """It names the home, too. A session from stdin cannot be repaired, so none is advised."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path_factory.mktemp("other")))
    advice = run("doctor", "--home", home, "1d2e3b4a").out.rpartition("repaired: ")[2]

    assert run(*shlex.split(advice)[1:]).out.startswith("would blank line 3")
    (path,) = home.rglob("*.jsonl")
    assert run_apart("doctor", "-", data=path.read_bytes()).out.endswith("4 findings.\n")


def test_the_doctor_looks_as_it_was_looked_at(monkeypatch):
    """At 120 columns, where each finding fits, and without the path of the file, which differs."""
    monkeypatch.setenv("COLUMNS", "120")

    snapshots.check("doctor-120.txt", run("doctor", ID, terminal=True).out.partition("\n")[2])


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_no_finding_is_wider_than_the_screen(columns, monkeypatch):
    """Also on narrow terminals, as long as a place fits."""
    monkeypatch.setenv("COLUMNS", str(columns))

    lines = run("doctor", ID, terminal=True).out.splitlines()
    assert max(len(line) for line in lines if line.startswith("  ")) <= max(columns, 46)


def test_in_a_pipe_findings_are_columns_with_tabs():
    """Nothing is cut there."""
    out = run("doctor", ID).out.splitlines()

    assert out[0].endswith(f"{SESSION}.jsonl")
    assert out[3].split("\t") == [
        "lost",
        "3",
        "373",
        "half a record, and a whole one after it",
        "repair: blanks the half (50 bytes), keeps the whole",
    ]


def test_the_doctor_prints_json(home):
    """All of a diagnosis, one object for each session."""
    found = diagnose(next(home.rglob("*.jsonl")))

    code, out, _ = run("doctor", ID, "--json")
    value = json.loads(out)

    assert code == 1
    keys = "path name size lines format writer held_by items sees findings"
    assert list(value) == keys.split()
    assert (value["items"], value["sees"]) == (3, {"rolloutlog": 2, "Codex 0.169.0": 2})
    assert [each["kind"] for each in value["findings"]] == [finding.kind for finding in found.findings]


def test_a_healthy_session_exits_with_0(home):
    """Notes do not count."""
    with RolloutRecorder.create(home) as recorder:
        recorder.record(ASKED)
    recorder.path.chmod(0o644)

    code, out, _ = run("doctor", recorder.path, terminal=True)

    assert code == 0
    assert "note" in out
    assert out.endswith("A resume by rolloutlog sees 1 of 1 item, by Codex 0.20.0 1.\nNothing is wrong.\n")


def test_without_a_session_the_damaged_ones_are_listed(home):
    """One line each, and how many there are in all."""
    with RolloutRecorder.create(home) as recorder:
        recorder.record(ASKED)

    code, out, _ = run("doctor", terminal=True)

    assert code == 1
    assert out == (
        "SESSION   ITEMS  FINDINGS\n1d2e3b4a      3  1 lost, 2 torn, 1 model\n"
        f"1 of 2 sessions in {home} with findings\n"
    )
    assert "nothing" in run("doctor", "--all", terminal=True).out
    assert run("doctor").out == (f"{SESSION}\t3\t1 lost, 2 torn, 1 model\n1 of 2 sessions in {home} with findings\n")


def test_a_session_is_listed_by_its_name(home):
    """As in `list`; of two that began under one name, the name means the newer one. JSON has both."""
    ids = []
    for fresh in (False, True):
        with rolloutlog.session("trip-to-rome", fresh=fresh) as session:
            session.record({"role": "user", "content": "Plan a day in Rome"})
        with session.path.open("ab") as file:
            file.write(b"torn\n")
        ids.append(session.id)

    shown = [line.split()[0] for line in run("doctor", terminal=True).out.splitlines()[1:4]]
    piped = [line.split("\t")[0] for line in run("doctor").out.splitlines()[:3]]
    objects = [json.loads(line) for line in run("doctor", "--json").out.splitlines()]

    assert sorted(shown) == sorted([ids[0][-8:], "trip-to-rome", ID])
    assert sorted(piped) == sorted([ids[0], "trip-to-rome", SESSION])
    assert sorted(str(each["name"]) for each in objects) == ["None", "trip-to-rome", "trip-to-rome"]
    assert json.loads(run("doctor", "trip-to-rome", "--json").out)["name"] == "trip-to-rome"


def test_where_nothing_is_wrong_the_counts_say_so(home):
    """Also in a pipe, where silence could mean that no session was found; JSON has no closing sentence."""
    next(home.rglob("*.jsonl")).unlink()
    with RolloutRecorder.create(home) as recorder:
        recorder.record(ASKED)

    assert run("doctor") == (0, f"0 of 1 session in {home} with findings\n", "")
    assert run("doctor", "--json") == (0, "", "")


@pytest.mark.parametrize("arguments", [["doctor", ID], ["doctor", "--all"], ["stats"], ["stats", "--by", "session"]])
def test_long_results_go_through_the_pager(arguments, tmp_path, monkeypatch):
    """On a terminal that is shorter than they are; the same text as without a pager, and the same exit code."""
    monkeypatch.setenv("ROLLOUTLOG_PAGER", f"tee {tmp_path / 'paged'}")
    monkeypatch.setenv("LINES", "1000")
    whole = run(*arguments, terminal=True)
    assert not (tmp_path / "paged").exists()

    monkeypatch.setenv("LINES", "2")
    code = run(*arguments, terminal=True).code

    assert (tmp_path / "paged").read_text(encoding="utf-8") == whole.out
    assert code == whole.code


def test_several_sessions_are_reported_one_after_the_other(home):
    """The exit code is that of the worst."""
    with RolloutRecorder.create(home) as recorder:
        recorder.record(ASKED)

    assert run("doctor", recorder.path, ID).code == 1
    assert [json.loads(line)["items"] for line in run("doctor", recorder.path, ID, "--json").out.splitlines()] == [1, 3]


def test_a_repair_says_what_it_would_do(home):
    """Nothing is written, and the exit code says that there is something to do."""
    code, out, err = run("repair", ID, terminal=True)

    assert (code, out, err) == (1, PLAN, "")
    assert next(home.rglob("*.jsonl")).read_bytes() == DAMAGED


def test_a_repair_that_is_written_says_what_it_did(home):
    """And where the original is. A call without its output is left, because the file is not damaged by it."""
    code, out, _ = run("repair", ID, "--write", terminal=True)

    done = PLAN.replace("would blank", "blanked").replace("would leave", "left").splitlines()[:-1]
    assert code == 0
    assert out.replace("\n  ", " ").splitlines()[:-1] == "\n".join(done).replace("\n  ", " ").splitlines()
    assert out.splitlines()[-1].endswith(f"{ID}.jsonl.before-repair-1")
    again = run("repair", ID, "--write", terminal=True)
    assert again.code == 0
    assert again.out.endswith("Nothing to repair.\n")


@pytest.mark.parametrize("text", [b'# Notes\n{"a": 1}\nmore\n', b"no newline", bytes(9), wrapped(ASKED) + b"\nhalf\n"])
def test_a_file_that_may_be_no_session_is_not_changed(tmp_path, text):
    """It has no meta, and its name does not say which session it is, so no reader would gain anything."""
    path = tmp_path / "notes.txt"
    path.write_bytes(text)

    code, out, err = run("repair", path, "--write")

    assert (code, err) == (1, "")
    assert "left line 1, no session meta; readers refuse the file" in out
    assert out.endswith("Nothing that can be repaired.\n")
    assert path.read_bytes() == text
    assert sorted(each.name for each in tmp_path.iterdir() if each.is_file()) == ["notes.txt"]
    assert "rolloutlog repair" not in run("doctor", path, terminal=True).out


def test_a_repair_that_leaves_nothing_exits_with_0(home):
    """Then, and where there is nothing to repair."""
    path = written(home / "other", FLAT_META + b"\nhalf\n")

    assert run("repair", path).code == 1
    assert run("repair", path, "--write").code == 0
    assert run("repair", path, "--write") == (0, "Nothing to repair.\n", "")


def test_a_repair_prints_json(home):
    """With the findings that it repairs and those that it leaves."""
    value = json.loads(run("repair", ID, "--json").out)

    keys = "path written done left items_before items_after moves forks original"
    assert list(value) == keys.split()
    assert (value["items_before"], value["items_after"], value["written"]) == (2, 3, False)
    assert [each["action"] for each in value["done"]] == ["blank"] * 3


def test_forks_are_counted(home):
    """They stay valid, because no record moves; a repair that would move what they refer to is left."""
    base = {"thread_id": SESSION, "end_byte_offset": 800}
    name = f"rollout-2025-07-24T15-00-00-{OTHER_SESSION}.jsonl"
    written(home, wrapped(meta(id=OTHER_SESSION, history_base=base), kind="session_meta") + b"\n", name=name)

    assert "no record moves, so the fork stays valid." in run("repair", ID, terminal=True).out

    glued = wrapped(said("one")) + wrapped(said("two")) + b"\n" + b" " * 900 + b"\n"
    written(home, ENVELOPE_META + b"\n" + glued)
    assert "--move" in run("repair", ID, terminal=True).out
    assert "split line 2" in run("repair", ID, "--write", "--move", terminal=True).out


def test_an_open_session_is_not_repaired(home):
    """One line says which process has it."""
    with RolloutRecorder.create(home) as recorder:
        recorder.record(ASKED)
        recorder.flush()

        code, out, err = run("repair", recorder.path, "--write")

    assert (code, out) == (1, "")
    assert "is in use by process" in err


def test_what_comes_from_stdin_cannot_be_written():
    """It has no file that lasts."""
    assert run_apart("repair", "-", "--write", data=DAMAGED).code == 2
    assert run_apart("doctor", "-", data=DAMAGED).code == 1


@pytest.mark.parametrize("case", cases(), ids=str)
@pytest.mark.usefixtures("alone")
def test_every_finding_is_shown(case, home):
    """By both commands, in all shapes, and without the text of a record."""
    path = written(home / "other", case.content)

    for arguments in (["doctor", path], ["repair", path], ["doctor", path, "--json"], ["repair", path, "--json"]):
        code, out, err = run(*arguments, terminal="--json" not in arguments)
        assert (code in (0, 1), err) == (True, "")
        assert not re.search("naïve|long enough|Traceback", out)


def test_no_text_of_a_file_reaches_the_terminal(home):
    """Ids and names in findings are neutralised, on a terminal, in a pipe and in JSON."""
    call = {**CALL, "call_id": "\x1b]0;owned\x07\u202e", "name": "\x9b2J\u200b"}
    path = written(home / "other", ENVELOPE_META + b"\n" + wrapped(call) + b"\n")

    for arguments in (["doctor", path], ["repair", path], ["doctor", path, "--json"]):
        for terminal in (True, False):
            assert not HARMFUL.search(run(*arguments, terminal=terminal).out)
    assert packed(call) in path.read_bytes()
