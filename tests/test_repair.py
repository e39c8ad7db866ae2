"""`repair`: all whole records are read afterwards, none moves where that can be avoided, and nothing is ever lost."""

from __future__ import annotations

import errno
import os
import random
import stat
from pathlib import Path

import pytest
from damaged import (
    ANSWERED,
    ASKED,
    CALL,
    ENVELOPE_META,
    FLAT_META,
    NAME,
    OTHER_SESSION,
    cases,
    meta,
    packed,
    said,
    wrapped,
    written,
)
from faults.fakes import Failing
from helpers import finish, hear, start, tell

from rolloutlog import RolloutRecorder, diagnose, find_sessions, iter_lines, load_session, repair
from rolloutlog._care.repair import repaired
from rolloutlog._json import MAX_LINE
from rolloutlog._writing.os_calls import REAL_SYSTEM
from rolloutlog.exceptions import InvalidRolloutError, RepairError, SessionLockedError
from rolloutlog.items import Item

pytestmark = pytest.mark.system

CASES = cases()
REPAIRABLE = [case for case in CASES if case.action != "leave"]
GOLDEN = sorted((Path(__file__).parent / "data" / "golden").glob("*.jsonl"))


def items_in(path: Path) -> list[bytes]:
    """Return the items that a reader of lines sees in *path*."""
    return [line.entry.json for line in iter_lines(path) if isinstance(line.entry, Item)]


def kept(path: Path) -> list[Path]:
    """Return what was made beside *path*: originals that are kept, and copies that are left over."""
    return sorted(each for each in path.parent.iterdir() if path.name in each.name and each != path)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("alone")
def test_without_write_nothing_is_changed(case, tmp_path):
    """It says how many items a resume sees before and after."""
    path = written(tmp_path, case.content)

    planned = repair(path)

    assert (planned.is_written, planned.original, planned.before, planned.after) == (False, None, *case.items[1:])
    assert (path.read_bytes(), kept(path)) == (case.content, [])


@pytest.mark.parametrize("case", REPAIRABLE, ids=str)
@pytest.mark.usefixtures("alone")
def test_all_whole_items_are_read_afterwards(case, tmp_path):
    """As many as the plan said, by our reader of sessions; and no fault is left that can be repaired."""
    path = written(tmp_path, case.content)
    planned = repair(path)

    done = repair(path, write=True)

    assert (done.done, done.left, done.is_written) == (planned.done, planned.left, True)
    assert len(load_session(path).items) == done.after == case.items[2]
    assert [finding for finding in diagnose(path).findings if finding.action != "leave"] == []


@pytest.mark.parametrize("case", REPAIRABLE, ids=str)
@pytest.mark.usefixtures("alone")
def test_records_keep_their_places(case, tmp_path):
    """Every record begins at the byte where it began, unless that cannot be avoided."""
    path = written(tmp_path, case.content)
    before = {line.entry.json: line.offset for line in iter_lines(path) if isinstance(line.entry, Item)}

    done = repair(path, write=True)

    lines = {line.entry.json: line for line in iter_lines(path) if isinstance(line.entry, Item)}
    same = all(path.read_bytes().find(each) == case.content.find(each) for each in before)
    assert set(before) <= set(lines)
    assert same or not case.keeps_places
    assert done.moves == (not case.keeps_places)
    grows = case.action == "end" or (not case.keeps_places and case.action != "move")
    assert (len(path.read_bytes()) == len(case.content)) != grows


@pytest.mark.parametrize("case", REPAIRABLE, ids=str)
@pytest.mark.usefixtures("alone")
def test_the_original_is_kept_and_no_reader_lists_it(case, tmp_path):
    """Beside the file, with the same bytes and mode."""
    path = written(tmp_path, case.content)

    done = repair(path, write=True)

    assert done.original == path.with_name(f"{NAME}.before-repair-1")
    assert (kept(path), done.original.read_bytes()) == ([done.original], case.content)
    assert [found.path for found in find_sessions(tmp_path)] == [path]
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(done.original.stat().st_mode) == 0o600


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("alone")
def test_a_second_run_does_nothing(case, tmp_path):
    """Neither to the file nor beside it."""
    path = written(tmp_path, case.content)
    repair(path, write=True)
    content, beside = path.read_bytes(), kept(path)

    again = repair(path, write=True)

    assert (again.done, again.is_written) == ((), False)
    assert (path.read_bytes(), kept(path)) == (content, beside)


@pytest.mark.parametrize("name", [path.name for path in GOLDEN])
@pytest.mark.usefixtures("alone")
def test_golden_files_with_glued_lines_are_repaired(name, tmp_path):
    """Lines and halves glued at random in the whole file: all whole items are read, in order."""
    dice = random.Random(name)
    lines = (GOLDEN[0].parent / name).read_bytes().splitlines()
    expected = items_in(written(tmp_path / "clean", b"\n".join(lines) + b"\n"))
    for number in range(20):
        content = lines[0] + b"\n"
        for line in lines[1:]:
            if dice.random() < 0.2:
                content += line[: dice.randrange(1, len(line))] + dice.choice([b"", b"\n"])
            content += line + dice.choice([b"\n"] * 4 + [b""])
        path = written(tmp_path / str(number), content)

        repair(path, write=True)

        assert items_in(path) == expected
        assert repair(path).done == ()


# --- forks ------------------------------------------------------------------------------------------------------------


def fork_of(parent: Path, end: int, folder: Path, name: str = OTHER_SESSION) -> Path:
    """Write a session whose history ends at byte *end* of *parent*."""
    base = {"thread_id": parent.name[-42:-6], "end_ordinal_exclusive": 3, "end_byte_offset": end}
    line = wrapped(meta(id=name, history_base=base), kind="session_meta")
    return written(folder, line + b"\n", name=f"rollout-2025-07-24T15-00-00-{name}.jsonl")


def test_a_fork_is_as_it_was_after_its_parent_was_repaired(tmp_path):
    """Half a record becomes spaces, so the byte at which the fork's history ends is the same."""
    second = wrapped(ANSWERED)
    content = b"\n".join([ENVELOPE_META, second[:50] + wrapped(ASKED), second, b""])
    parent = written(tmp_path, content)
    fork = fork_of(parent, len(content), tmp_path)

    done = repair(parent, write=True)

    assert (done.forks, done.moves, len(done.done)) == ((fork,), False, 1)
    assert [item.to_dict() for item in load_session(fork).items] == [ASKED, ANSWERED]


def test_a_repair_that_would_move_the_end_of_a_forks_history_is_left(tmp_path):
    """Two whole records without a newline need one byte more. With `move`, the fork is changed with its parent."""
    content = b"\n".join([ENVELOPE_META, wrapped(said("one")) + wrapped(said("two")), wrapped(ASKED), b""])
    parent = written(tmp_path, content)
    fork = fork_of(parent, len(content), tmp_path)

    left = repair(parent, write=True)
    assert (left.is_written, left.done, [each.kind for each in left.left]) == (False, (), ["glued"])
    assert "--move" in left.left[0].remedy
    assert parent.read_bytes() == content

    moved = repair(parent, write=True, move=True)
    assert (moved.moves, len(parent.read_bytes())) == (True, len(content) + 1)
    assert [item.text for item in load_session(fork).items] == ["one", "two", ASKED["content"][0]["text"]]
    assert fork.with_name(f"{fork.name}.before-repair-1").exists()


def test_a_repair_after_the_end_of_a_forks_history_is_made(tmp_path):
    """It moves no byte that the fork refers to."""
    begin = ENVELOPE_META + b"\n" + wrapped(ASKED) + b"\n"
    parent = written(tmp_path, begin + wrapped(said("one")) + wrapped(said("two")) + b"\n")
    fork = fork_of(parent, len(begin), tmp_path)

    done = repair(parent, write=True)

    assert (done.is_written, done.after) == (True, 3)
    assert [item.to_dict() for item in load_session(fork).items] == [ASKED]


def test_a_fork_that_is_open_stops_the_move(tmp_path):
    """Neither file is changed."""
    content = b"\n".join([ENVELOPE_META, wrapped(said("one")) + wrapped(said("two")), b""])
    parent = written(tmp_path, content)
    fork = fork_of(parent, len(content), tmp_path)
    recorder, _ = RolloutRecorder.resume(fork)

    with recorder, pytest.raises(SessionLockedError):
        repair(parent, write=True, move=True)

    assert parent.read_bytes() == content
    assert kept(parent) == []


def test_lines_are_numbered_again_when_asked(tmp_path):
    """Missing, repeated and unordered numbers; the items stay as they are."""
    numbered = [wrapped(meta(history_mode="paginated"), 0, "session_meta")]
    numbered += [wrapped(said(str(number)), number) for number in (1, 2, 9, 4, 100)]
    path = written(tmp_path, b"\n".join([*numbered, wrapped(ASKED), b""]))
    before = items_in(path)

    assert repair(path, write=True).done == ()
    done = repair(path, write=True, renumber=True)

    assert {finding.action for finding in done.done} == {"renumber"}
    assert [line.ordinal for line in iter_lines(path)] == [0, 1, 2, 3, 4, 5, 6]
    assert items_in(path) == before
    assert diagnose(path).findings == ()


def test_lines_of_a_parent_are_not_numbered_again(tmp_path):
    """Its forks refer to the numbers."""
    content = wrapped(meta(history_mode="paginated"), 0, "session_meta") + b"\n" + wrapped(ASKED, 7) + b"\n"
    path = written(tmp_path, content)
    fork_of(path, len(content), tmp_path)

    assert repair(path, write=True, renumber=True).is_written is False


# --- sessions that are open -------------------------------------------------------------------------------------------


def test_an_open_session_is_not_touched(tmp_path):
    """Its process is named."""
    with RolloutRecorder.create(tmp_path) as recorder:
        recorder.record(ASKED)
        recorder.flush()
        with recorder.path.open("ab") as file:
            file.write(b"half")

        with pytest.raises(SessionLockedError, match=str(os.getpid())):
            repair(recorder.path, write=True)

        assert kept(recorder.path) == []


def hold(path):
    """Have *path* open for writing without a lock."""
    with open(path, "ab"):
        tell("open")
        input()


def test_a_session_that_codex_has_open_is_not_touched(tmp_path):
    """Codex takes no lock; its next line would be appended to the file that is kept."""
    content = FLAT_META + b"\nhalf\n"
    path = written(tmp_path, content)
    process = start(hold, str(path))
    assert hear(process) == "open"

    with pytest.raises(SessionLockedError, match=str(process.pid)):
        repair(path, write=True)

    finish(process, said="\n")
    assert (path.read_bytes(), kept(path)) == (content, [])
    assert repair(path, write=True).is_written


def test_a_repaired_session_resumes(tmp_path):
    """A record that is appended afterwards is on a line of its own."""
    path = written(tmp_path, FLAT_META + b"\n" + packed(ASKED) + b"\n" + packed(ANSWERED)[:-9])
    repair(path, write=True)

    recorder, saved = RolloutRecorder.resume(path)
    with recorder:
        recorder.record(CALL)

    assert [item.to_dict() for item in saved.items] == [ASKED]
    assert [item.to_dict() for item in load_session(path).items] == [ASKED, CALL]
    assert load_session(path).skipped == []


# --- faults -----------------------------------------------------------------------------------------------------------

DAMAGED = FLAT_META + b"\n" + packed(ANSWERED)[:40] + packed(ASKED) + b"\n" + packed(CALL)[:-4]


def number_of_calls(folder: Path) -> int:
    """Return how many system calls a repair makes."""
    system = Failing(0, print)
    repaired(written(folder, DAMAGED), True, False, False, MAX_LINE, system)
    return system.calls


def assert_nothing_is_lost(path: Path) -> None:
    """The file is as it was, or repaired, with the original beside it; and the next repair is whole."""
    content = path.read_bytes()
    originals = [each for each in kept(path) if ".before-repair-" in each.name]
    assert content == DAMAGED or [each.read_bytes() for each in originals] == [DAMAGED]
    assert items_in(path) in ([], [packed(ASKED)])
    assert [found.path for found in find_sessions(path.parents[4])] == [path]
    repair(path, write=True)
    assert items_in(path) == [packed(ASKED)]
    (original,) = kept(path)
    assert original.read_bytes() == DAMAGED


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.slow
def test_a_system_call_that_fails_changes_nothing(error, tmp_path):
    """A full disk, for example: the file is as it was, or whole; and the next try succeeds."""

    def fail(name):
        raise OSError(error, os.strerror(error))

    for number in range(1, number_of_calls(tmp_path / "counted") + 1):
        path = written(tmp_path / str(number), DAMAGED)
        try:
            repaired(path, True, False, False, MAX_LINE, Failing(number, fail))
        except OSError:
            assert path.read_bytes() == DAMAGED
        assert_nothing_is_lost(path)


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_call_loses_nothing(tmp_path):
    """Killed before each system call in turn, in a process of its own."""
    for number in range(1, number_of_calls(tmp_path / "counted") + 1):
        path = written(tmp_path / str(number), DAMAGED)
        child = os.fork()
        if child == 0:
            try:
                repaired(path, True, False, False, MAX_LINE, Failing(number, lambda name: os._exit(9)))
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert_nothing_is_lost(path)


def test_without_hard_links_the_original_is_copied(tmp_path):
    """Some file systems have none."""

    class NoLinks:
        def __getattr__(self, name):
            return getattr(REAL_SYSTEM, name)

        def link(self, path, new):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    path = written(tmp_path, DAMAGED)

    done = repaired(path, True, False, False, MAX_LINE, NoLinks())

    assert done.original.read_bytes() == DAMAGED
    assert items_in(path) == [packed(ASKED)]


def test_a_program_that_writes_in_between_stops_the_repair(tmp_path):
    """Its line is in the file."""

    class Busy:
        def __getattr__(self, name):
            return getattr(REAL_SYSTEM, name)

        def fsync(self, fd):
            if not path.read_bytes().endswith(b"late\n"):
                with path.open("ab") as file:
                    file.write(b"late\n")
            REAL_SYSTEM.fsync(fd)

    path = written(tmp_path, DAMAGED)

    with pytest.raises(RepairError, match="in the meantime"):
        repaired(path, True, False, False, MAX_LINE, Busy())

    assert path.read_bytes() == DAMAGED + b"late\n"
    assert kept(path) == []


def test_a_line_that_comes_in_the_last_moment_is_in_the_new_file(tmp_path):
    """A program that takes no lock may write between the last look and the rename."""

    class Busy:
        def __getattr__(self, name):
            return getattr(REAL_SYSTEM, name)

        def rename(self, old, new):
            with path.open("ab") as file:
                file.write(b"\n" + packed(ANSWERED) + b"\n")
            REAL_SYSTEM.rename(old, new)

    path = written(tmp_path, DAMAGED)

    repaired(path, True, False, False, MAX_LINE, Busy())

    assert items_in(path) == [packed(ASKED), packed(ANSWERED)]


def test_a_compressed_file_is_refused(tmp_path):
    """It says what to do."""
    with pytest.raises(InvalidRolloutError, match="zstd"):
        repair(tmp_path / f"{NAME}.zst")


def test_the_time_of_the_last_change_stays(tmp_path):
    """Lists are sorted by it, and a repair is not an activity of the session."""
    path = written(tmp_path, DAMAGED)
    os.utime(path, ns=(10**18, 10**18))

    repair(path, write=True)

    assert path.stat().st_mtime_ns == 10**18
