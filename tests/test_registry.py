"""What one process has open: a writer for each file, who shares it, and what a fork and an exit make of it."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSystem
from helpers import DEADLINE, Disk, in_fresh_process, lines_in

from rolloutlog._writing import registry
from rolloutlog._writing.commands import State, WriterOptions
from rolloutlog._writing.file import Journal
from rolloutlog._writing.writer import Writer
from rolloutlog.exceptions import (
    ForkedRecorderError,
    RecorderClosedError,
    SessionLockedError,
    SessionOptionsError,
    WriteError,
)

pytestmark = pytest.mark.system

HEADER = b"header\n"


def begun(path: Path, user: object, system: Any = None, **options: Any) -> Writer:
    """Return the writer of a new file, or of one that is there and that this process has not open."""
    given = WriterOptions(**options)
    kind = {} if system is None else {"system": system}
    journal = Journal(path, header=HEADER, shared=given.shared, fsync=given.fsync, **kind)
    journal.open() if path.exists() else journal.create()
    return registry.begin(journal, given, b"%d dropped\n".__mod__, user)


def joined(path: Path, user: object, **options: Any) -> Writer | None:
    return registry.join(path, WriterOptions(**options), user, timeout=DEADLINE)


def put(writer: Writer, *texts: object) -> None:
    for text in texts:
        writer.put(f"{text}\n".encode(), DEADLINE)


def written(path: Path) -> list[str]:
    """Return the lines in the file behind its header."""
    header, *lines = lines_in(path)
    assert header + b"\n" == HEADER
    return [line.decode() for line in lines]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    """The writer of a new file, whose user is "one"."""
    writer = begun(path, "one")
    yield writer
    writer.shutdown().wait(DEADLINE)


# -- one writer a file -------------------------------------------------------------------------------------------------


def test_whoever_opens_a_file_again_shares_its_writer(writer, path):
    """A second user gets the same writer, and so a common order."""
    assert joined(path, "two") is writer


def test_a_file_is_known_by_what_it_is_and_not_by_its_name(writer, path):
    """By another name of the same file one gets the same writer."""
    other = path.with_name("other")
    other.symlink_to(path)

    assert joined(other, "two") is writer


def test_a_file_that_nobody_has_open_has_no_writer(writer, path):
    """There is nothing to share, and the caller opens it himself."""
    other = path.with_name("other")
    other.write_bytes(HEADER)

    assert joined(other, "two") is None


def test_who_joins_finds_on_disk_what_was_recorded_before(writer, path):
    """Joining flushes first, for whoever joins reads the file next."""
    put(writer, *range(300))
    joined(path, "two")

    assert written(path) == list(map(str, range(300)))


def test_who_joins_hears_that_something_could_not_be_written(path):
    """It is not the whole session that he would read; and he has no share then."""
    disk = Disk()
    writer = begun(path, "one", disk)
    disk.is_full = True
    put(writer, "a")

    with pytest.raises(WriteError):
        joined(path, "two")
    disk.is_full = False
    assert writer.users == ["one"]
    registry.leave(writer, "one").result(DEADLINE)


def test_other_options_are_refused(writer, path):
    """One file has one set of options: the error names those that differ; the first user notices nothing."""
    with pytest.raises(SessionOptionsError) as caught:
        joined(path, "two", fsync="always", queue_size=3)

    assert sorted(caught.value.differing) == ["fsync", "queue_size"]
    assert writer.users == ["one"]
    assert writer.state is State.OPEN


def test_the_last_to_leave_closes(writer, path):
    """As long as one user is left the writer goes on; each one's ack tells that what he recorded is on disk."""
    joined(path, "two")
    put(writer, "a")
    registry.leave(writer, "one").result(DEADLINE)
    between = written(path), writer.state
    put(writer, "b")
    registry.leave(writer, "two").result(DEADLINE)

    assert between == (["a"], State.OPEN)
    assert written(path) == ["a", "b"]
    assert writer.state is State.CLOSED


def test_who_left_can_leave_again(writer, path):
    """It changes nothing for those who stay."""
    joined(path, "two")
    for _ in range(3):
        registry.leave(writer, "one").result(DEADLINE)

    assert writer.state is State.OPEN
    assert writer.users == ["two"]


def test_a_closed_file_can_be_opened_anew(writer, path):
    """After the last one left there is nothing to join, and the lock is free."""
    put(writer, "a")
    registry.leave(writer, "one").result(DEADLINE)
    nothing = joined(path, "two")
    anew = begun(path, "two")
    put(anew, "b")
    registry.leave(anew, "two").result(DEADLINE)

    assert nothing is None
    assert written(path) == ["a", "b"]


def test_a_writer_that_is_ending_is_waited_for(path):
    """Who comes while the last one leaves waits for the end, and finds nothing to join."""
    disk = Disk()
    writer = begun(path, "one", disk)
    disk.hold()
    put(writer, "a")
    assert disk.reached.wait(DEADLINE)
    registry.leave(writer, "one")
    found: list[Writer | None] = []
    joiner = threading.Thread(target=lambda: found.append(joined(path, "two")))
    joiner.start()
    disk.go_on()
    joiner.join(DEADLINE)

    assert found == [None]
    assert writer.state is State.CLOSED


def test_a_failed_writer_is_not_joined(path):
    """A writer that failed has let go of the file, which can be opened anew."""
    system = FakeSystem()
    writer = begun(path, "one", system)
    system.fail("write", ZeroDivisionError())
    put(writer, "a")
    writer.request_flush().wait(DEADLINE)
    writer._thread.join(DEADLINE)
    nothing = joined(path, "two")
    anew = begun(path, "two")
    registry.leave(anew, "two").result(DEADLINE)

    assert nothing is None
    assert writer.state is State.FAILED


def test_a_failed_writer_can_be_left(path):
    """Leaving it tells what happened, also when others are left."""
    system = FakeSystem()
    writer = begun(path, "one", system)
    joined(path, "two")
    system.fail("write", ZeroDivisionError())
    put(writer, "a")
    writer.request_flush().wait(DEADLINE)
    writer._thread.join(DEADLINE)

    with pytest.raises(RecorderClosedError, match="ZeroDivisionError"):
        registry.leave(writer, "one").result(DEADLINE)
    with pytest.raises(ZeroDivisionError):
        registry.leave(writer, "two").result(DEADLINE)


def test_users_who_come_and_go_lose_nothing(path):
    """Six threads join or open, record and leave, again and again: every line is there, and nobody hears an error."""
    opening = threading.Lock()  # as whoever opens holds one: see the recorder

    def come_and_go(name: int) -> None:
        for number in range(25):
            user = object()
            with opening:
                writer = joined(path, user) or begun(path, user)
            put(writer, f"{name} {number}")
            registry.leave(writer, user).result(DEADLINE)

    first = begun(path, "first")
    errors: list[object] = []
    before, threading.excepthook = threading.excepthook, errors.append
    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    registry.leave(first, "first").result(DEADLINE)
    for thread in threads:
        thread.join(DEADLINE)
    threading.excepthook = before
    lines = written(path)

    assert errors == []
    assert [[line for line in lines if line[0] == str(name)] for name in range(6)] == [
        [f"{name} {number}" for number in range(25)] for name in range(6)
    ]


def test_a_writer_that_nobody_holds_is_forgotten(path):
    """The list of writers keeps none alive, and does not grow."""
    for number in range(20):
        writer = begun(path.with_name(str(number)), "one")
        registry.leave(writer, "one").result(DEADLINE)
        writer._thread.join(DEADLINE)
    del writer
    gc.collect()
    last = begun(path, "one")
    known = len(registry._writers)
    registry.leave(last, "one").result(DEADLINE)

    assert known < 20


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


def test_a_child_is_refused(writer):
    """In a child, a record, a flush and a count are refused by an error that names the parent."""

    def act() -> object:
        with pytest.raises(ForkedRecorderError) as caught:
            put(writer, "from the child")
        assert (caught.value.parent, caught.value.path) == (os.getppid(), writer.journal.path)
        return [outcome(put, writer, "x"), outcome(writer.request_flush().result, 1), outcome(writer.filtered, 1)]

    assert in_fork(act) == str(["ForkedRecorderError"] * 3)


def test_a_child_can_leave(writer):
    """Closing what it inherited is no error in a child, and touches nothing of the parent's."""
    said = in_fork(lambda: (registry.leave(writer, "one").result(DEADLINE), writer.state.name))
    put(writer, "a")
    registry.leave(writer, "one").result(DEADLINE)

    assert said == "(None, 'CLOSED')"
    assert written(writer.journal.path) == ["a"]


def test_the_parent_notices_nothing_of_a_child(path):
    """What waited in the parent's queue is written by the parent alone, once, and the parent goes on."""
    disk = Disk()
    writer = begun(path, "one", disk)
    disk.hold()
    put(writer, "first", *range(10))
    assert disk.reached.wait(DEADLINE)
    said = [in_fork(lambda: outcome(put, writer, "x")) for _ in range(5)]
    disk.go_on()
    put(writer, "last")
    registry.leave(writer, "one").result(DEADLINE)

    assert said == ["ForkedRecorderError"] * 5
    assert written(path) == ["first", *map(str, range(10)), "last"]


def test_the_parents_lock_stays_when_a_child_ends(writer, path):
    """Neither what a child does with its copy, nor its end, frees the parent's lock."""

    def act() -> object:
        registry.leave(writer, "one").result(DEADLINE)
        return outcome(Journal(path).open)

    said = in_fork(act)

    assert said == "SessionLockedError"
    with pytest.raises(SessionLockedError):
        Journal(path).open()


def test_a_child_that_lives_on_does_not_keep_the_lock(writer, path):
    """When the parent closes, the session is free, though a child that inherited it still runs."""
    reader, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.read(reader, 1)
        os._exit(0)
    registry.leave(writer, "one").result(DEADLINE)
    other = Journal(path)
    other.open()
    other.close()
    os.close(end)
    os.close(reader)

    assert os.waitpid(child, 0)[1] == 0


def test_a_parents_acks_are_answered_in_a_child(path):
    """Who waits in a child for what the parent's writer was to do hears that at once; in the parent it comes true."""
    disk = Disk()
    writer = begun(path, "one", disk)
    disk.hold()
    put(writer, "a")
    assert disk.reached.wait(DEADLINE)
    acks = [writer.request_flush(), writer.request_flush(), writer.shutdown()]
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
    writer = begun(path, "one", shared=True, lock_timeout=DEADLINE)
    put(writer, "parent")

    def act() -> object:
        state = writer.state.name
        put(writer, "child")
        registry.leave(writer, "one").result(DEADLINE)
        return state, writer.state.name, writer.stats.written

    said = in_fork(act)
    put(writer, "parent again")
    registry.leave(writer, "one").result(DEADLINE)

    assert said == "('NEW', 'CLOSED', 1)"
    assert sorted(written(path)) == ["child", "parent", "parent again"]


def test_a_childs_child_goes_on_too(path):
    """However deep, each process writes its own."""
    writer = begun(path, "one", shared=True, lock_timeout=DEADLINE)

    def act() -> object:
        said = in_fork(lambda: (put(writer, "grandchild"), writer.request_flush().result(DEADLINE)))
        put(writer, "child")
        writer.request_flush().result(DEADLINE)
        return said

    said = in_fork(act)
    registry.leave(writer, "one").result(DEADLINE)

    assert said == "(None, None)"
    assert written(path) == ["grandchild", "child"]


def test_many_threads_of_a_child_open_what_is_shared_once(path):
    """The first record of a child opens the file anew, whichever thread it comes from."""
    writer = begun(path, "one", shared=True, lock_timeout=DEADLINE)

    def act() -> object:
        threads = [threading.Thread(target=put, args=(writer, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)
        registry.leave(writer, "one").result(DEADLINE)
        return threading.active_count()

    said = in_fork(act)
    registry.leave(writer, "one").result(DEADLINE)

    assert int(said) <= 2  # the writer's own may be about to end
    assert sorted(written(path)) == list("01234567")


def test_a_child_of_an_ended_writer_is_refused(path):
    """What was closed, or about to be, before the fork does not open again in a child."""
    writer = begun(path, "one", shared=True)
    writer.shutdown().result(DEADLINE)

    assert in_fork(lambda: outcome(put, writer, "x")) == "ForkedRecorderError"


def test_a_shared_writer_that_a_child_never_used_ends_without_a_word(path):
    """Leaving it opens no file."""
    writer = begun(path, "one", shared=True)
    said = in_fork(lambda: (registry.leave(writer, "one").result(DEADLINE), writer.journal.identity))
    registry.leave(writer, "one").result(DEADLINE)

    assert said == "(None, None)"


def test_a_lock_that_another_thread_held_at_the_fork_hinders_no_child(path):
    """Whatever the threads of the parent were doing: in the child it is as if they had never been."""
    held, end = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock:
            held.set()
            end.wait(DEADLINE)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(DEADLINE)

    def act() -> object:
        writer = begun(path, "one")
        put(writer, "a")
        return registry.leave(writer, "one").result(DEADLINE)

    said = in_fork(act)
    end.set()
    holder.join(DEADLINE)

    assert said == "None"
    assert written(path) == ["a"]


def test_a_child_may_begin_what_its_parent_has_not(writer, path):
    """A child's own sessions are its own, and its parent's go on."""
    other = path.with_name("other")

    def act() -> object:
        mine = begun(other, "child")
        put(mine, "a")
        return registry.leave(mine, "child").result(DEADLINE)

    said = in_fork(act)
    put(writer, "b")
    writer.request_flush().result(DEADLINE)

    assert said == "None"
    assert (written(other), written(path)) == (["a"], ["b"])


# -- exit --------------------------------------------------------------------------------------------------------------


def leave_open(folder: str, failing: bool = False) -> None:
    """Record into three files, close none of them, and come to the end."""
    for number in range(3):
        system = FakeSystem()
        writer = begun(Path(folder) / str(number), "one", system, fsync="flush" if number else "never")
        if failing and number == 1:
            system.fail("write", errno.ENOSPC, times=None)
        put(writer, *range(200))
        KEPT.append(writer)


KEPT: list[Writer] = []


def test_the_exit_brings_to_disk_what_was_left_open(tmp_path):
    """Whoever forgets to close loses nothing."""
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
    writer = begun(Path(path), "one", disk)
    disk.hold()
    put(writer, "a")
    assert disk.reached.wait(DEADLINE)
    KEPT.append(writer)


def test_a_stuck_disk_does_not_prevent_the_exit(path):
    """The exit is bounded in time, whatever the disk does."""
    in_fresh_process(stuck_at_the_end, str(path))

    assert written(path) == []


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
    writer = begun(Path(folder) / str(number), "one")
    put(writer, *range(200))
    KEPT.append(writer)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_end_of_a_multiprocessing_child_is_an_exit_too(tmp_path, method):
    """On Pythons where such a child skips atexit, nothing is lost either."""
    in_fresh_process(in_multiprocessing, str(tmp_path), method)

    assert [written(tmp_path / str(number)) for number in range(2)] == [list(map(str, range(200)))] * 2


def record_late(path: str) -> None:
    """Record in an exit hook that runs after ours, for it was registered first."""
    writer = KEPT[0]
    put(writer, "late")
    assert written(Path(path))[-1] == "late"
    os.write(1, b"written\n")


def test_what_is_recorded_after_our_exit_hook_is_on_disk_at_once(path):
    """Nobody flushes any more then, so that put writes."""
    code = (
        "import atexit, sys; from pathlib import Path; hooks = []; atexit.register(lambda: hooks[0](sys.argv[1]));"
        "import test_registry as t; hooks.append(t.record_late);"
        "t.KEPT.append(t.begun(Path(sys.argv[1]), 'one')); t.put(t.KEPT[0], 'early')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment, capture_output=True, timeout=DEADLINE, check=True
    )

    assert done.stdout == b"written\n", done.stderr
    assert written(path) == ["early", "late"]
