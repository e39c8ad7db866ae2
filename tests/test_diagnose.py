"""`diagnose`: each finding of the table, with its severity, its place, and the items that each reader would see."""

from __future__ import annotations

import os

import pytest
from damaged import (
    ANSWERED,
    ASKED,
    CALL,
    ENVELOPE_META,
    FLAT_META,
    OTHER_SESSION,
    cases,
    meta,
    packed,
    wrapped,
    written,
)
from helpers import finish, hear, start, tell

from rolloutlog import RolloutRecorder, diagnose, load_session
from rolloutlog.exceptions import InvalidRolloutError, SessionNotFoundError

pytestmark = pytest.mark.system

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("alone")
def test_a_finding_has_its_severity_its_line_and_its_remedy(case, tmp_path):
    """Each file of the table shows its finding, once."""
    found = diagnose(written(tmp_path, case.content))

    (finding,) = [each for each in found.findings if (each.kind, each.action) == (case.kind, case.action)]
    assert (finding.severity, finding.line) == (case.severity, case.line)
    assert found.format == case.format
    assert finding.line is None or finding.offset == sum(map(len, case.content.splitlines(True)[: finding.line - 1]))
    assert found.is_healthy == (case.severity == "note")


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("alone")
def test_it_counts_the_items_that_readers_see_and_that_are_there(case, tmp_path):
    """The count of our readers is what `load_session` gives, or nothing where it refuses the file."""
    path = written(tmp_path, case.content)
    found = diagnose(path)

    try:
        seen = len(load_session(path).items)
    except InvalidRolloutError:
        seen = 0
    assert (found.items, found.sees["rolloutlog"]) == (case.items[0], case.items[1])
    assert found.sees["rolloutlog"] == seen


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("alone")
def test_no_finding_holds_text_of_a_record(case, tmp_path):
    """Findings go to logs and screens."""
    found = diagnose(written(tmp_path, case.content))

    assert not any(word in repr(found) for word in ("naïve", "long enough"))


def test_a_healthy_session_has_no_findings(tmp_path):
    """A session that was just closed."""
    with RolloutRecorder.create(tmp_path) as recorder:
        recorder.record(ASKED, ANSWERED)

    found = diagnose(recorder.path)

    assert (found.findings, found.is_healthy, found.items) == ((), True, 2)
    assert found.sees == {"rolloutlog": 2, "Codex 0.20.0": 2}


def test_a_line_that_is_too_long_is_reported(tmp_path):
    """It is not held, and the lines after it are read."""
    path = written(tmp_path, b"\n".join([FLAT_META, packed({**ASKED, "x": "y" * 3000}), packed(ASKED), b""]))

    found = diagnose(path, max_line=2000)

    assert [(each.kind, each.severity, each.line) for each in found.findings] == [("too-long", "lost", 2)]
    assert found.items == 1


def test_a_file_that_is_named_after_another_session_is_reported(tmp_path):
    """The id in the name is not that of the meta."""
    path = written(tmp_path, FLAT_META + b"\n", name=f"rollout-2025-07-23T15-03-26-{OTHER_SESSION}.jsonl")

    assert [(each.kind, each.severity) for each in diagnose(path).findings] == [("name-mismatch", "odd")]


def test_a_file_that_others_may_read_is_noted(tmp_path):
    """Real Codex leaves the mode to the umask, so this is a note."""
    path = written(tmp_path, FLAT_META + b"\n")
    path.chmod(0o644)

    (finding,) = diagnose(path).findings
    assert (finding.kind, finding.severity) == ("mode", "note")
    assert "0644" in finding.what


def test_an_open_session_is_noted_with_its_process(tmp_path):
    """A call that waits for its output is not a fault while the session is open."""
    with RolloutRecorder.create(tmp_path) as recorder:
        recorder.record(CALL)
        recorder.flush()

        found = diagnose(recorder.path)

    assert found.held_by == (os.getpid(),)
    assert {each.kind: each.severity for each in found.findings} == {"orphan-call": "note", "held": "note"}


def hold(path):
    """Have *path* open for writing, as Codex does: without a lock."""
    with open(path, "ab"):
        tell("open")
        input()


def test_a_program_that_takes_no_lock_is_noted_too(tmp_path):
    """Codex takes none. Its open file shows that it is at work."""
    path = written(tmp_path, FLAT_META + b"\n")
    process = start(hold, str(path))
    assert hear(process) == "open"

    found = diagnose(path)

    finish(process, said="\n")
    assert found.held_by == (process.pid,)
    assert diagnose(path).held_by == ()


def test_a_session_with_history_elsewhere_is_judged_with_it(tmp_path):
    """An output in a fork may answer a call of its parent."""
    parent = b"\n".join([wrapped(meta(id=OTHER_SESSION), kind="session_meta"), wrapped(CALL), b""])
    written(tmp_path, parent, name=f"rollout-2025-07-23T15-00-00-{OTHER_SESSION}.jsonl")
    base = {"thread_id": OTHER_SESSION, "end_byte_offset": len(parent)}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "done"}
    fork = written(tmp_path, wrapped(meta(history_base=base), kind="session_meta") + b"\n" + wrapped(output) + b"\n")

    assert diagnose(fork).findings == ()


def test_a_parent_that_is_shorter_than_the_fork_says_is_reported(tmp_path):
    """The history in it was cut."""
    parent = wrapped(meta(id=OTHER_SESSION), kind="session_meta") + b"\n"
    written(tmp_path, parent, name=f"rollout-2025-07-23T15-00-00-{OTHER_SESSION}.jsonl")
    base = {"thread_id": OTHER_SESSION, "end_byte_offset": len(parent) + 1}
    fork = written(tmp_path, wrapped(meta(history_base=base), kind="session_meta") + b"\n")

    (finding,) = diagnose(fork).findings

    assert (finding.kind, finding.severity) == ("missing-base", "lost")
    assert OTHER_SESSION in finding.what


def test_the_writer_is_named(tmp_path):
    """As the meta says."""
    assert diagnose(written(tmp_path, ENVELOPE_META + b"\n")).writer == "codex 0.169.0"


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    """As for the other readers."""
    with pytest.raises(SessionNotFoundError):
        diagnose(tmp_path / "none.jsonl")
    with pytest.raises(InvalidRolloutError):
        diagnose(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\0" * 100, b"\xff" * 100, b"{" * 5000, b'{"type":' * 5000])
def test_a_file_that_is_no_session_is_described(content, tmp_path):
    """Nothing in a file makes it raise."""
    found = diagnose(written(tmp_path, content))

    assert "no-meta" in [each.kind for each in found.findings]
    assert found.items == 0
