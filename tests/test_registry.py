"""The registry: one writer for each file, leases that share it, and what a fork and an exit do to them."""

from __future__ import annotations

import atexit
import errno
import gc
import logging
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, Disk, in_fresh_process, left_alone, lines_in, recorder_on, start, tell

import rolloutlog
from rolloutlog._writing import registry
from rolloutlog._writing.commands import LineRules, State, WriterOptions
from rolloutlog._writing.file import Journal
from rolloutlog._writing.registry import Lease
from rolloutlog.exceptions import (
    ForkedRecorderError,
    RecorderClosedError,
    SessionLockedError,
    SessionOptionsError,
    WriteError,
)

pytestmark = pytest.mark.system

HEADER = b"header\n"


def begun(path: Path, system: Any = None, **options: Any) -> Lease:
    """Return the first lease on a new file, or on an existing one that this process does not have open."""
    given = WriterOptions(**options)
    kind = {} if system is None else {"system": system}
    journal = Journal(path, header=HEADER, shared=given.shared, fsync=given.fsync, **kind)
    journal.open() if path.exists() else journal.create()
    return registry.register(journal, given, LineRules(b"%d dropped\n".__mod__))


def shared(path: Path, **options: Any) -> Lease | None:
    return registry.share(path, WriterOptions(**options), timeout=DEADLINE)


def put(lease: Lease, *texts: object) -> None:
    for text in texts:
        lease.writer.put(f"{text}\n".encode(), DEADLINE)


def written(path: Path) -> list[str]:
    """Return the lines in the file after its header."""
    header, *lines = lines_in(path)
    assert header + b"\n" == HEADER
    return [line.decode() for line in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def lease(path: Path) -> Iterator[Lease]:
    """The first lease on a new file."""
    lease = begun(path)
    yield lease
    lease.writer.shutdown().wait(DEADLINE)


# -- one writer a file -------------------------------------------------------------------------------------------------


def test_opening_a_file_again_shares_its_writer(lease, path):
    """A second lease has the same writer, so all records of the file have one order."""
    assert shared(path).writer is lease.writer


def test_a_file_is_known_by_its_inode_and_not_by_its_name(lease, path):
    """Another name of the same file gives the same writer."""
    other = path.with_name("other")
    other.symlink_to(path)

    assert shared(other).writer is lease.writer


def test_a_file_that_is_not_open_has_no_writer(lease, path):
    """There is nothing to share: the caller opens the file itself."""
    other = path.with_name("other")
    other.write_bytes(HEADER)

    assert shared(other) is None


def test_sharing_flushes_what_was_recorded_before(lease, path):
    """The caller reads the file next, and finds all earlier records there."""
    put(lease, *range(300))
    second = shared(path)

    assert written(path) == list(map(str, range(300)))
    second.release()


def test_sharing_fails_when_earlier_records_cannot_be_written(path):
    """The caller would not read the whole session; it gets the error and no lease."""
    disk = Disk()
    lease = begun(path, disk)
    disk.is_full = True
    put(lease, "a")

    with pytest.raises(WriteError):
        shared(path)
    disk.is_full = False
    assert len(lease.writer.leases) == 1
    lease.release().result(DEADLINE)


def test_sharing_says_at_once_that_a_closing_writer_cannot_write(path):
    """After a close that failed on a full disk, the session is not waited for; when there is room it is opened."""
    disk = Disk()
    lease = begun(path, disk)
    disk.is_full = True
    put(lease, "a")
    lease.release().wait(0.05)
    errors: list[Exception] = []

    def share() -> None:
        try:
            registry.share(path, WriterOptions(), timeout=10 * DEADLINE)
        except WriteError as error:
            errors.append(error)

    sharer = threading.Thread(target=share, daemon=True)
    sharer.start()
    sharer.join(DEADLINE)
    disk.is_full = False

    assert [error.unwritten for error in errors] == [1]
    assert shared(path) is None
    assert written(path) == ["a"]


def test_other_options_are_refused(lease, path):
    """One file has one set of options: the error names those that differ, and the first lease is not affected."""
    with pytest.raises(SessionOptionsError) as caught:
        shared(path, fsync="always", queue_size=3)

    assert sorted(caught.value.differing) == ["fsync", "queue_size"]
    assert len(lease.writer.leases) == 1
    assert lease.writer.state is State.OPEN


def test_the_last_release_closes_the_file(lease, path):
    """The writer stays open while one lease is left; each ack says that the records before it are on disk."""
    second = shared(path)
    put(lease, "a")
    lease.release().result(DEADLINE)
    between = written(path), lease.writer.state
    put(second, "b")
    second.release().result(DEADLINE)

    assert between == (["a"], State.OPEN)
    assert written(path) == ["a", "b"]
    assert second.writer.state is State.CLOSED


def test_a_lease_can_be_released_again(lease, path):
    """The second release ends no other share."""
    second = shared(path)
    for _ in range(3):
        lease.release().result(DEADLINE)

    assert lease.writer.state is State.OPEN
    second.release().result(DEADLINE)
    assert lease.writer.state is State.CLOSED


def test_a_release_that_waits_for_a_disk_delays_no_other_file(path, monkeypatch):
    """Callers write for themselves, and a disk does not answer: other files are opened and closed all the same."""
    disk = Disk()
    lease = begun(path, disk)
    lease.writer.go_inline().wait(DEADLINE)
    disk.hold()
    writes = threading.Thread(target=put, args=(lease, "a"))
    writes.start()
    assert disk.reached.wait(DEADLINE)
    waits = threading.Event()

    def pause(seconds: float) -> None:
        waits.set()
        time.sleep(seconds)

    monkeypatch.setattr("rolloutlog._writing.writer.sleep", pause)
    releases = threading.Thread(target=lease.release, args=(DEADLINE,))
    releases.start()
    assert waits.wait(DEADLINE)
    begun(path.with_name("other")).release().result(DEADLINE)
    was_first = releases.is_alive()
    disk.go_on()
    writes.join(DEADLINE)
    releases.join(DEADLINE)

    assert was_first
    assert written(path) == ["a"]


@pytest.mark.parametrize("is_last", [True, False])
def test_a_release_waits_for_a_stuck_disk_no_longer_than_it_may(path, monkeypatch, is_last):
    """Callers write for themselves; the release of one of several leases is bounded like that of the last."""
    disk = Disk()
    lease = begun(path, disk)
    other = None if is_last else shared(path)
    lease.writer.go_inline().wait(DEADLINE)
    disk.hold()
    writes = threading.Thread(target=put, args=(lease, "a"))
    writes.start()
    assert disk.reached.wait(DEADLINE)
    waits: list[float] = []
    monkeypatch.setattr("rolloutlog._writing.writer.sleep", waits.append)
    ack = lease.release(0.0)
    was_set = ack.is_set()
    disk.go_on()
    writes.join(DEADLINE)

    assert waits == []
    assert not was_set
    ack.result(DEADLINE)
    if other is not None:
        other.release().result(DEADLINE)
    assert written(path) == ["a"]


def test_a_lease_that_is_garbage_collected_is_released(path):
    """The writer of a forgotten lease writes its records and ends."""
    lease = begun(path)
    put(lease, "a")
    writer = lease.writer
    del lease
    gc.collect()
    writer.shutdown().result(DEADLINE)

    assert writer.leases == set()
    assert written(path) == ["a"]


def test_a_lease_that_was_never_finished_is_collected_without_an_error(monkeypatch):
    """An interrupt can end the making of a lease before it has a writer."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    unfinished = Lease.__new__(Lease)
    del unfinished

    assert unraisable == []


def test_a_closed_file_can_be_opened_again(lease, path):
    """After the last release there is nothing to share, and the lock is free."""
    put(lease, "a")
    lease.release().result(DEADLINE)
    nothing = shared(path)
    again = begun(path)
    put(again, "b")
    again.release().result(DEADLINE)

    assert nothing is None
    assert written(path) == ["a", "b"]


def test_sharing_waits_for_a_writer_that_is_ending(path):
    """A caller that comes while the last lease is released waits for the end, and finds nothing to share."""
    disk = Disk()
    lease = begun(path, disk)
    disk.hold()
    put(lease, "a")
    assert disk.reached.wait(DEADLINE)
    lease.release()
    found: list[Lease | None] = []
    sharer = threading.Thread(target=lambda: found.append(shared(path)))
    sharer.start()
    disk.go_on()
    sharer.join(DEADLINE)

    assert found == [None]
    assert lease.writer.state is State.CLOSED


def test_a_failed_writer_is_not_shared(path):
    """A writer that failed has closed its file, which can be opened again."""
    system = FakeSystem()
    lease = begun(path, system)
    system.fail("write", ZeroDivisionError())
    put(lease, "a")
    lease.writer.request_flush().wait(DEADLINE)
    left_alone(lease.writer)
    nothing = shared(path)
    again = begun(path)
    again.release().result(DEADLINE)

    assert nothing is None
    assert lease.writer.state is State.FAILED


def test_a_lease_on_a_failed_writer_can_be_released(path):
    """Its ack carries the error, also when other leases are left."""
    system = FakeSystem()
    first = begun(path, system)
    second = shared(path)
    system.fail("write", ZeroDivisionError())
    put(first, "a")
    first.writer.request_flush().wait(DEADLINE)
    left_alone(first.writer)

    with pytest.raises(RecorderClosedError, match="ZeroDivisionError"):
        first.release().result(DEADLINE)
    with pytest.raises(ZeroDivisionError):
        second.release().result(DEADLINE)


def test_leases_that_come_and_go_lose_nothing(path):
    """Six threads share or open, record and release, again and again: each line is there, and no call raises."""
    opening = threading.Lock()  # as in the opening of a session

    def come_and_go(name: int) -> None:
        for number in range(25):
            with opening:
                lease = shared(path) or begun(path)
            put(lease, f"{name} {number}")
            lease.release().result(DEADLINE)

    first = begun(path)
    errors: list[object] = []
    before, threading.excepthook = threading.excepthook, errors.append
    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    first.release().result(DEADLINE)
    for thread in threads:
        thread.join(DEADLINE)
    threading.excepthook = before
    lines = written(path)

    assert errors == []
    assert [[line for line in lines if line[0] == str(name)] for name in range(6)] == [
        [f"{name} {number}" for number in range(25)] for name in range(6)
    ]


def test_the_registry_keeps_no_closed_writer(path):
    """The registry does not grow with the number of files that were closed."""
    leases = [begun(path.with_name(str(number))) for number in range(20)]
    while_open = len(registry._workers.all_open())
    for lease in leases:
        lease.release().result(DEADLINE)

    assert while_open == 20
    assert not registry._workers.all_open()


# -- fork --------------------------------------------------------------------------------------------------------------


def in_fork(action: Callable[[], object]) -> str:
    """Return what *action* returns in a fork of this process, as text; a child that hangs is killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(int(DEADLINE))
        try:
            said = str(action())
        except BaseException as error:
            said = f"raised {error!r}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def outcome(act: Callable[..., object], *arguments: object) -> str:
    """Return the type of what *act* raises, or what it returns."""
    try:
        return str(act(*arguments))
    except Exception as error:
        return type(error).__name__


def test_a_child_is_refused(lease):
    """In a child, a record, a flush and a count are refused by an error that names the parent."""

    def act() -> object:
        with pytest.raises(ForkedRecorderError) as caught:
            put(lease, "from the child")
        assert (caught.value.parent, caught.value.path) == (os.getppid(), lease.writer.journal.path)
        return [
            outcome(put, lease, "x"),
            outcome(lease.writer.request_flush().result, 1),
            outcome(lease.writer.filtered, 1),
        ]

    assert in_fork(act) == str(["ForkedRecorderError"] * 3)


def test_a_child_can_leave(lease):
    """A child can release an inherited lease; this changes nothing in the parent."""
    said = in_fork(lambda: (lease.release().result(DEADLINE), lease.writer.state.name))
    put(lease, "a")
    lease.release().result(DEADLINE)

    assert said == "(None, 'CLOSED')"
    assert written(lease.writer.journal.path) == ["a"]


def test_the_parent_notices_nothing_of_a_child(path):
    """Records in the parent's queue are written by the parent alone, once, and the parent continues."""
    disk = Disk()
    lease = begun(path, disk)
    disk.hold()
    put(lease, "first", *range(10))
    assert disk.reached.wait(DEADLINE)
    said = [in_fork(lambda: outcome(put, lease, "x")) for _ in range(5)]
    disk.go_on()
    put(lease, "last")
    lease.release().result(DEADLINE)

    assert said == ["ForkedRecorderError"] * 5
    assert written(path) == ["first", *map(str, range(10)), "last"]


def test_the_parents_lock_stays_when_a_child_ends(lease, path):
    """Neither what a child does with its copy, nor its end, frees the parent's lock."""

    def act() -> object:
        lease.release().result(DEADLINE)
        return outcome(Journal(path).open)

    said = in_fork(act)

    assert said == "SessionLockedError"
    with pytest.raises(SessionLockedError):
        Journal(path).open()


def test_a_child_that_lives_on_does_not_keep_the_lock(lease, path):
    """When the parent closes, the session is free, though a child that inherited it still runs."""
    reader, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.read(reader, 1)
        os._exit(0)
    lease.release().result(DEADLINE)
    other = Journal(path)
    other.open()
    other.close()
    os.close(end)
    os.close(reader)

    assert os.waitpid(child, 0)[1] == 0


def test_a_parents_acks_are_answered_in_a_child(path):
    """Who waits in a child for what the parent's writer was to do hears that at once; in the parent it comes true."""
    disk = Disk()
    lease = begun(path, disk)
    disk.hold()
    put(lease, "a")
    assert disk.reached.wait(DEADLINE)
    acks = [lease.writer.request_flush(), lease.writer.request_flush(), lease.writer.shutdown()]
    said = in_fork(lambda: [outcome(ack.result, DEADLINE) for ack in acks])
    states = [ack.is_set() for ack in acks]
    disk.go_on()
    for ack in acks:
        ack.result(DEADLINE)

    assert said == str(["ForkedRecorderError"] * 3)
    assert states == [False] * 3
    assert written(path) == ["a"]


def test_a_child_goes_on_with_what_is_shared(path):
    """With shared=True a child writes to the same file, with what it recorded itself and nothing of its parent's."""
    lease = begun(path, shared=True, lock_timeout=DEADLINE)
    put(lease, "parent")

    def act() -> object:
        state = lease.writer.state.name
        put(lease, "child")
        lease.release().result(DEADLINE)
        return state, lease.writer.state.name, lease.writer.stats.written

    said = in_fork(act)
    put(lease, "parent again")
    lease.release().result(DEADLINE)

    assert said == "('NEW', 'CLOSED', 1)"
    assert sorted(written(path)) == ["child", "parent", "parent again"]


def test_a_childs_child_goes_on_too(path):
    """However deep, each process writes its own."""
    lease = begun(path, shared=True, lock_timeout=DEADLINE)

    def act() -> object:
        said = in_fork(lambda: (put(lease, "grandchild"), lease.writer.request_flush().result(DEADLINE)))
        put(lease, "child")
        lease.writer.request_flush().result(DEADLINE)
        return said

    said = in_fork(act)
    lease.release().result(DEADLINE)

    assert said == "(None, None)"
    assert written(path) == ["grandchild", "child"]


def test_many_threads_of_a_child_open_what_is_shared_once(path):
    """The first record of a child opens the file again, whichever thread it comes from."""
    lease = begun(path, shared=True, lock_timeout=DEADLINE)

    def act() -> object:
        threads = [threading.Thread(target=put, args=(lease, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        lease.release().result(DEADLINE)
        return threading.active_count()

    said = in_fork(act)
    lease.release().result(DEADLINE)

    assert int(said) <= 2  # the writer's own may be about to end
    assert sorted(written(path)) == list("01234567")


def test_a_child_of_an_ended_writer_is_refused(path):
    """A writer that was closing or closed before the fork does not open again in a child."""
    lease = begun(path, shared=True)
    lease.writer.shutdown().result(DEADLINE)

    assert in_fork(lambda: outcome(put, lease, "x")) == "ForkedRecorderError"


def test_a_shared_writer_that_a_child_never_used_ends_without_a_word(path):
    """Leaving it opens no file."""
    lease = begun(path, shared=True)
    said = in_fork(lambda: (lease.release().result(DEADLINE), lease.writer.journal.identity))
    lease.release().result(DEADLINE)

    assert said == "(None, None)"


def test_a_lock_that_another_thread_held_at_the_fork_hinders_no_child(path):
    """Whatever the threads of the parent were doing: in the child it is as if they had never been."""
    begun(path.with_name("first")).release().result(DEADLINE)  # adds the hook for forks
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock:
            held.set()
            end.wait(DEADLINE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(DEADLINE)

    def act() -> object:
        lease = begun(path)
        put(lease, "a")
        return lease.release().result(DEADLINE)

    said = in_fork(act)
    end.set()
    holder.join(DEADLINE)

    assert said == "None"
    assert written(path) == ["a"]


def test_a_child_may_begin_what_its_parent_has_not(lease, path):
    """A child's own sessions work, and so do its parent's."""
    other = path.with_name("other")

    def act() -> object:
        mine = begun(other)
        put(mine, "a")
        return mine.release().result(DEADLINE)

    said = in_fork(act)
    put(lease, "b")
    lease.writer.request_flush().result(DEADLINE)

    assert said == "None"
    assert (written(other), written(path)) == (["a"], ["b"])


# -- exit --------------------------------------------------------------------------------------------------------------


def leave_open(folder: str, failing: bool = False) -> None:
    """Record into three files, close none of them, and come to the end."""
    for number in range(3):
        system = FakeSystem()
        lease = begun(Path(folder) / str(number), system, fsync="flush" if number else "never")
        if failing and number == 1:
            system.fail("write", errno.ENOSPC, times=None)
        put(lease, *range(200))
        KEPT.append(lease)


KEPT: list[Lease] = []


def test_the_exit_brings_to_disk_what_was_left_open(tmp_path):
    """A program that forgets to close loses nothing."""
    in_fresh_process(leave_open, str(tmp_path))

    assert [written(tmp_path / str(number)) for number in range(3)] == [list(map(str, range(200)))] * 3


def test_one_file_that_cannot_be_written_hinders_no_other_at_the_exit(tmp_path):
    """The exit does not wait for what does not go, and brings the rest to disk."""
    in_fresh_process(leave_open, str(tmp_path), True)

    assert [len(written(tmp_path / str(number))) for number in range(3)] == [200, 0, 200]


def stuck_at_the_end(path: str) -> None:
    """Come to the end while the writer is stuck in a call."""
    registry._EXIT_TIMEOUT = 0.1
    disk = Disk()
    lease = begun(Path(path), disk)
    disk.hold()
    put(lease, "a")
    assert disk.reached.wait(DEADLINE)
    KEPT.append(lease)


def test_a_stuck_disk_does_not_prevent_the_exit(path):
    """The exit is bounded in time, whatever the disk does."""
    in_fresh_process(stuck_at_the_end, str(path))

    assert written(path) == []


def fill_and_delete(path: str) -> None:
    """Come to the end after the file was deleted while the disk was full; there is room again."""
    disk = Disk()
    lease = begun(Path(path), disk)
    disk.is_full = True
    os.unlink(path)
    put(lease, *range(5))
    lease.writer.request_flush().wait(DEADLINE)
    disk.is_full = False
    KEPT.append(lease)


def test_the_exit_makes_a_deleted_file_anew(path):
    """Records that had to wait are in the new file."""
    in_fresh_process(fill_and_delete, str(path))

    assert written(path) == list(map(str, range(5)))


def interrupt_the_end(folder: str) -> None:
    """Come to the end, and get a Ctrl-C in the first write there."""
    ends = threading.Event()

    def write(name: str, arguments: object) -> None:
        if name != "write":
            return
        assert ends.wait(DEADLINE)
        if not interrupted:
            interrupted.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # as long as a disk takes: the main thread has been interrupted

    interrupted: list[bool] = []
    for number in range(3):
        system = FakeSystem(most_pieces=1_000)
        lease = begun(Path(folder) / str(number), system)
        system.watch = write
        put(lease, *range(200))
        KEPT.append(lease)
    atexit.register(ends.set)  # runs first


def test_an_interrupt_of_the_exit_costs_no_record(tmp_path):
    """One Ctrl-C while the program ends by itself: every writer finishes."""
    in_fresh_process(interrupt_the_end, str(tmp_path))

    assert [written(tmp_path / str(number)) for number in range(3)] == [list(map(str, range(200)))] * 3


def interrupt_the_hook(path: str) -> None:
    """Come to the end, and get a Ctrl-C as the exit hook begins, before it can notice."""
    disk = Disk()
    lease = begun(Path(path), disk)
    disk.hold()
    put(lease, *range(5))
    assert disk.reached.wait(DEADLINE)
    KEPT.append(lease)
    done: list[bool] = []

    def look(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code is registry._at_exit.__code__ and not done:
            done.append(True)
            disk.go_on()
            raise KeyboardInterrupt

    atexit.register(sys.setprofile, look)


def test_an_interrupt_as_the_exit_begins_costs_no_record(path):
    """The hook is called a second time."""
    in_fresh_process(interrupt_the_hook, str(path))

    assert written(path) == list(map(str, range(5)))


def end_without_lock(folder: str, count: int, timeout: float = 10 * DEADLINE) -> None:
    """Come to the end while another program holds the locks of *count* shared files, and no logger tells anything."""
    import fcntl

    registry._EXIT_TIMEOUT = 0.2
    logging.disable(logging.CRITICAL)
    for number in range(count):
        path = Path(folder) / str(number)
        options = WriterOptions(shared=True, lock_timeout=timeout)
        journal = Journal(path, header=HEADER, shared=True, lock_timeout=timeout)
        journal.create()
        lease = registry.register(journal, options, LineRules(b"%d dropped\n".__mod__))
        fcntl.flock(os.open(path, os.O_RDWR), fcntl.LOCK_EX)
        put(lease, *range(5))
        KEPT.append(lease)


def test_what_is_lost_at_the_exit_is_told_on_stderr(tmp_path):
    """The message names the file and the number of records, also if all loggers are disabled; nothing waits longer."""
    process = start(end_without_lock, str(tmp_path), 6)
    _, errors = process.communicate(timeout=DEADLINE)

    assert [f"{tmp_path / str(number)}: 5 records are not on disk" in errors for number in range(6)] == [True] * 6


def handlers_without_lock(folder: str) -> None:
    """Come to the end with handlers, which `logging.shutdown` flushes and closes, while the locks are held."""
    import fcntl

    registry._EXIT_TIMEOUT = 0.2
    logger = logging.getLogger("agent")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for number in range(8):
        handler = rolloutlog.RolloutHandler(Path(folder) / str(number), shared=True, lock_timeout=10 * DEADLINE)
        handler.setLevel(logging.INFO)
        logger.addHandler(handler)
    logger.info("first")
    for handler in logger.handlers:
        handler.flush()
        fcntl.flock(os.open(handler.recorder.path, os.O_RDWR), fcntl.LOCK_EX)
    logger.info("later")


def test_all_handlers_together_end_in_the_time_of_one_exit(tmp_path):
    """Each would wait ten seconds for a flush and ten for its close."""
    process = start(handlers_without_lock, str(tmp_path))
    _, errors = process.communicate(timeout=DEADLINE)

    assert errors.count("1 record is not on disk") >= 8


def in_other_library(folder: str, source: str) -> None:
    """Let a child of a library like billiard, which began as a copy of multiprocessing, record and end."""
    copy = Path(folder) / "otherprocessing"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for file in copy.glob("*.py"):
        file.write_text(re.sub(r"\bmultiprocessing", "otherprocessing", file.read_text(encoding="utf-8")))
    sys.path.insert(0, folder)
    import otherprocessing

    child = otherprocessing.get_context("fork").Process(target=record_in_child, args=(folder, 0))
    child.start()
    child.join(DEADLINE)
    assert child.exitcode == 0


def test_the_end_of_a_child_of_a_library_like_multiprocessing_is_an_exit_too(tmp_path):
    """It ends by `os._exit`, after finalizers of its own."""
    in_fresh_process(in_other_library, str(tmp_path), str(Path(multiprocessing.__file__).parent))

    assert written(tmp_path / "0") == list(map(str, range(200)))


def open_at_import(folder: str) -> None:
    """Let a child of a forkserver import a module that opens a session, before the child's own part begins."""
    program = Path(folder) / "program.py"
    program.write_text(
        "import multiprocessing, sys\nimport test_registry as t\nfrom pathlib import Path\n"
        f"FOLDER = {folder!r}\n"
        "if __name__ != '__main__':\n"
        "    t.record_in_child(FOLDER, 0)\n"
        "def nothing(): pass\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context(sys.argv[1]).Process(target=nothing)\n"
        "    child.start(); child.join(240); sys.exit(child.exitcode)\n"
    )


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_child_that_opened_a_session_before_its_own_part_began_loses_nothing(tmp_path, method):
    """A session of a module that the child imports, such as the program itself."""
    open_at_import(str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, tmp_path / "program.py", method], env=environment, timeout=DEADLINE, check=True)

    assert written(tmp_path / "0") == list(map(str, range(200)))


def in_multiprocessing(folder: str, method: str) -> None:
    """Let children of each kind record, close nothing, and end."""
    context = multiprocessing.get_context(method)
    children = [context.Process(target=record_in_child, args=(folder, number)) for number in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(DEADLINE)
    assert [child.exitcode for child in children] == [0, 0]


def record_in_child(folder: str, number: int) -> None:
    lease = begun(Path(folder) / str(number))
    put(lease, *range(200))
    KEPT.append(lease)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_end_of_a_multiprocessing_child_is_an_exit_too(tmp_path, method):
    """On Pythons where such a child skips atexit, nothing is lost either."""
    in_fresh_process(in_multiprocessing, str(tmp_path), method)

    assert [written(tmp_path / str(number)) for number in range(2)] == [list(map(str, range(200)))] * 2


def record_late(path: str) -> None:
    """Record in an exit hook that runs after ours, because it was registered before."""
    lease = KEPT[0]
    put(lease, "late")
    assert written(Path(path))[-1] == "late"
    os.write(1, b"written\n")


def test_what_is_recorded_after_our_exit_hook_is_on_disk_at_once(path):
    """No flush comes after that, so put itself writes."""
    code = (
        "import atexit, sys; from pathlib import Path; hooks = []; atexit.register(lambda: hooks[0](sys.argv[1]));"
        "import test_registry as t; hooks.append(t.record_late);"
        "t.KEPT.append(t.begun(Path(sys.argv[1]))); t.put(t.KEPT[0], 'early')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, timeout=DEADLINE, check=True
    )

    assert done.stdout == b"written\n", done.stderr
    assert written(path) == ["early", "late"]


def ask_in_a_child_for_the_flush_of_the_parent(folder: str) -> None:
    """Fork while a flush waits in the queue, as where the interpreter has no lock."""
    sys._is_gil_enabled = lambda: False  # type: ignore[attr-defined]
    disk = Disk()
    recorder = recorder_on(disk).create(folder)
    disk.hold()
    recorder.record(rolloutlog.Message.user("hello"))
    assert disk.reached.wait(DEADLINE)
    ack = recorder.request_flush()
    recorder._writer.queue.take_all = lambda into: os._exit(3)  # as if a thread of the parent had its lock for good
    child = os.fork()
    if child == 0:
        try:
            ack.result(DEADLINE)
        except rolloutlog.exceptions.ForkedRecorderError:
            os._exit(0)
        finally:
            os._exit(1)
    tell(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    del recorder._writer.queue.take_all
    disk.go_on()
    recorder.close()


def test_a_child_does_not_wait_for_the_queue_of_its_parent(tmp_path):
    """A lock inside it may have been taken at the fork; the waiter of a flush notices that it is the parent's."""
    assert in_fresh_process(ask_in_a_child_for_the_flush_of_the_parent, str(tmp_path)) == "0\n"
