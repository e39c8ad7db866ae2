"""Real processes, killed, forked, interrupted, or at their end: records are on disk as far as is promised."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

import pytest
from helpers import (
    DEADLINE,
    Disk,
    finish,
    in_fresh_process,
    left_alone,
    lines_in,
    recorder_on,
    run_together,
    start,
    texts_in,
    values_in,
)

from rolloutlog import Message, RolloutRecorder, find_sessions, load_session, session
from rolloutlog._writing import registry
from rolloutlog._writing.file_locks import lock, locked_file
from rolloutlog.exceptions import ForkedRecorderError

pytestmark = pytest.mark.system

NUMBERS = [str(number) for number in range(1_000)]


def say(*words: object) -> None:
    """Tell the parent process a line, at once."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


def message(text: object) -> Message:
    """Return a message that says *text*."""
    return Message.user(str(text))


def sessions() -> list[list[str]]:
    """Return what each session of the home holds, newest first."""
    return [texts_in(found) for found in find_sessions()]


# -- killed ------------------------------------------------------------------------------------------------------------


def record_until_killed() -> None:
    """Record from several threads, and tell of each record that was flushed."""
    recorder = session("killed").recorder

    def work(name: str) -> None:
        for number in count():
            recorder.record(message(f"{name} {number}"))
            if number % 7 == 0:
                recorder.flush()
                say(name, number)

    for name in "abc":
        threading.Thread(target=work, args=(name,), daemon=True).start()
    threading.Event().wait(DEADLINE)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_flushed_survives_a_kill(number):
    """Killed again and again at any moment, a session holds all that was flushed, in order, and at most torn tails."""
    told: list[dict[str, int]] = []
    for _ in range(3):
        process = start(record_until_killed)
        flushed: dict[str, int] = {}
        while len(flushed) < 3 or min(flushed.values()) < 20:
            name, last = process.stdout.readline().split()
            flushed[name] = int(last)
        process.send_signal(number)
        for line in process.communicate(timeout=DEADLINE)[0].splitlines(keepends=True):
            if line.endswith("\n"):
                name, last = line.split()
                flushed[name] = int(last)
        told.append(flushed)
        assert process.returncode == -number

    (found,) = find_sessions()
    saved = load_session(found)
    assert len(saved.skipped) <= len(told)
    for name in "abc":
        numbers = [int(item.text.split()[1]) for item in saved.items if item.text.startswith(name)]
        runs = split_at_zero(numbers)
        assert [run == list(range(len(run))) for run in runs] == [True] * len(told)
        assert [len(run) > flushed[name] for run, flushed in zip(runs, told, strict=True)] == [True] * len(told)


def split_at_zero(numbers: list[int]) -> list[list[int]]:
    """Return the pieces of *numbers*, each beginning with a zero."""
    pieces: list[list[int]] = []
    for number in numbers:
        if number == 0:
            pieces.append([])
        pieces[-1].append(number)
    return pieces


def record_flush_and_exit_at_once() -> None:
    """Leave without any of what an interpreter does at its end."""
    recorder = RolloutRecorder.create()
    recorder.record(*map(message, NUMBERS))
    recorder.flush()
    os._exit(7)


def test_what_was_flushed_survives_an_exit_without_an_end():
    """os._exit() runs no exit hooks."""
    finish(start(record_flush_and_exit_at_once), status=7)

    assert sessions() == [NUMBERS]


# -- at the end, without a close ---------------------------------------------------------------------------------------


def end_normally() -> None:
    """Simply come to the end."""


def end_by_sys_exit() -> None:
    """Ask for the end."""
    sys.exit(3)


def end_by_an_exception() -> None:
    """Come to grief."""
    raise ZeroDivisionError


def end_by_ctrl_c() -> None:
    """Be interrupted."""
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(DEADLINE)


def end_with_daemons() -> None:
    """Leave daemon threads that continue to record."""
    other = RolloutRecorder.create()

    def babble() -> None:
        while True:
            other.record(message("babble"))

    for _ in range(3):
        threading.Thread(target=babble, daemon=True).start()
    _KEPT.append(other)


def end_before_a_thread() -> None:
    """Come to the end while a thread that is not a daemon has yet to record."""
    recorder = _KEPT[-1]

    def late() -> None:
        threading.main_thread().join()
        recorder.record(message("late"))

    threading.Thread(target=late).start()


def end_and_record_at_exit() -> None:
    """Record from a hook that runs after ours, as one does that was registered before rolloutlog was imported."""
    atexit.unregister(registry._at_exit)
    atexit.register(_KEPT[-1].record, message("late"))
    atexit.register(registry._at_exit)


_KEPT: list[RolloutRecorder] = []


def record_and_end(name: str) -> None:
    """Record, keep the recorder open, and end in the way that is named."""
    _KEPT.append(RolloutRecorder.create())
    _KEPT[-1].record(*map(message, NUMBERS))
    globals()[name]()


@pytest.mark.parametrize(
    ("end", "status", "last"),
    [
        (end_normally, 0, []),
        (end_by_sys_exit, 3, []),
        (end_by_an_exception, 1, []),
        (end_by_ctrl_c, -signal.SIGINT, []),
        (end_with_daemons, 0, []),
        (end_before_a_thread, 0, ["late"]),
        (end_and_record_at_exit, 0, ["late"]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_end_of_a_process_brings_all_to_disk(end, status, last):
    """A recorder that was not closed is flushed at the end, however that comes; later records are written at once."""
    process = start(record_and_end, end.__name__)
    errors = process.communicate(timeout=DEADLINE)[1]

    assert process.returncode == status
    assert [*NUMBERS, *last] in sessions()
    assert "Exception ignored" not in errors


class Busy(Disk):
    """A disk on which something else happens at each write, *most* times."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most
        self.meanwhile: Callable[[], None] | None = None

    def write(self, fd: int, lines: Sequence[bytes]) -> int:
        if self.meanwhile is not None and self.left:
            self.left -= 1
            self.meanwhile()
        return super().write(fd, lines)


def at_its_end(disk: Disk) -> RolloutRecorder:
    """Return a recorder without a thread, as all are while the interpreter ends: callers write for themselves."""
    recorder = recorder_on(disk).create()
    recorder._writer.go_inline()
    left_alone(recorder._writer)
    return recorder


def test_the_end_waits_for_nobody_who_goes_on_recording():
    """An inline caller at the end writes earlier records, and leaves to other threads what they record then."""
    disk = Busy(most=50)
    recorder = at_its_end(disk)
    disk.meanwhile = lambda: run_together(lambda: recorder._writer.queue.put([b'{"type":"x"}\n']))
    recorder.record(message("mine"))
    left, disk.meanwhile = disk.left, None
    recorder.close()

    assert left == 49
    assert len(values_in(recorder.path)) == 3


def test_what_a_signal_handler_records_at_the_end_is_written_at_once():
    """Who writes for himself also writes what a signal handler or a finalizer records while he does."""
    disk = Busy(most=1)
    recorder = at_its_end(disk)
    disk.meanwhile = lambda: recorder.record(message("inside"))
    recorder.record(message("mine"))
    texts = texts_in(recorder.path)
    recorder.close()

    assert texts == ["mine", "inside"]


class Last:
    """Something that records when it is taken apart."""

    def __init__(self) -> None:
        self.recorder = RolloutRecorder.create()
        self.message = message("last")

    def __del__(self) -> None:
        self.recorder.record(self.message)


def record_late() -> None:
    """Record, and leave an object that records again when the interpreter ends."""
    sys.modules["__main__"].last = Last()
    sys.modules["__main__"].last.recorder.record(*map(message, NUMBERS))


def test_a_finalizer_at_the_very_end_hangs_nobody():
    """A finalizer that runs that late writes its record itself."""
    finish(start(record_late))

    assert sessions() == [[*NUMBERS, "last"]]


def end_in_a_child(name: str) -> None:
    """Record in children of multiprocessing, which end without the usual hooks on some Pythons."""
    context = multiprocessing.get_context(name)
    children = [context.Process(target=record_and_end, args=("end_normally",)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(DEADLINE)
        assert child.exitcode == 0


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_end_of_a_child_of_multiprocessing_is_an_end(method):
    """Its recorder, which was not closed, is flushed like any other."""
    in_fresh_process(end_in_a_child, method)

    assert sessions() == [NUMBERS, NUMBERS]


# -- interrupted -------------------------------------------------------------------------------------------------------


def record_until_interrupted() -> None:
    """Record until Ctrl-C, and tell how far that came."""
    recorder = RolloutRecorder.create()
    done = 0
    try:
        with recorder:
            while done < 100:
                recorder.record(message(done))
                done += 1
            say("ready")
            # Without an `if` at its end: where that jumps back, Python 3.14 forgets the blocks that are open.
            while True:
                recorder.record(message(done))
                done += 1
    except KeyboardInterrupt:
        say(done)


def test_ctrl_c_loses_nothing_that_was_recorded():
    """Interrupted in the middle of its work, a program leaves its `with` block, and all is on disk."""
    process = start(record_until_interrupted)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    done = int(finish(process))

    ((texts),) = sessions()
    assert texts[:done] == [str(number) for number in range(done)]
    assert len(texts) - done in (0, 1)  # the one that was interrupted may have been taken


# -- forked ------------------------------------------------------------------------------------------------------------


def in_child(action) -> int:
    """Run *action* in a fork of this process and return its exit code: 0 when it returned."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except BaseException as error:
            say(f"{type(error).__name__}: {error}")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork_a_recorder() -> None:
    """Use, in a child, a recorder of its parent, in all ways."""
    recorder = RolloutRecorder.create()
    recorder.record(message("parent"))

    def use() -> None:
        uses = (
            lambda: recorder.record(message("child")),
            lambda: recorder.record_state({"a": 1}),
            lambda: recorder.flush(timeout=10),
        )
        for each in uses:
            with pytest.raises(ForkedRecorderError) as caught:
                each()
            assert caught.value.parent == os.getppid()
        recorder.close()  # of what is the parent's, the child has nothing to bring to disk
        with RolloutRecorder.create() as own:
            own.record(message("child"))

    assert in_child(use) == 0
    recorder.record(message("parent again"))
    recorder.close()


def test_a_recorder_belongs_to_the_process_that_opened_it():
    """A child that uses it hears what to do instead, and can do it; the parent notices nothing."""
    in_fresh_process(fork_a_recorder)

    assert sorted(sessions()) == [["child"], ["parent", "parent again"]]


def fork_and_resume() -> None:
    """Let a child resume a session that its parent has open, and one that it has closed."""
    recorder = RolloutRecorder.create()
    recorder.record(message("parent"))

    def resume() -> None:
        RolloutRecorder.resume(recorder.path, lock_timeout=0)

    def go_on() -> None:
        with RolloutRecorder.resume(recorder.path)[0] as own:
            own.record(message("child"))

    assert in_child(resume) == 1
    recorder.close()
    assert in_child(go_on) == 0


def test_a_child_takes_a_session_up_when_its_parent_has_closed_it():
    """While the parent has it open, a child is another process like any."""
    printed = in_fresh_process(fork_and_resume)

    assert printed.startswith("SessionLockedError")
    assert sessions() == [["parent", "child"]]


def fork_a_shared_recorder() -> None:
    """Use a shared recorder in a parent and its children at once."""
    recorder = RolloutRecorder.create(shared=True)
    recorder.record(message("parent 0"))

    def use(name: str) -> None:
        for number in range(100):
            recorder.record(message(f"{name} {number}"))
        recorder.close()

    children = []
    for name in "ab":
        child = os.fork()
        if child == 0:
            use(name)
            os._exit(0)
        children.append(child)
    for number in range(1, 100):
        recorder.record(message(f"parent {number}"))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    recorder.close()


def test_a_shared_recorder_goes_on_in_a_child():
    """Opened with shared=True, it is of use in every fork: whole lines, in order for each process, none twice."""
    in_fresh_process(fork_a_shared_recorder)

    ((texts),) = sessions()
    for name in ("parent", "a", "b"):
        assert [text for text in texts if text.startswith(name)] == [f"{name} {number}" for number in range(100)]
    assert len(texts) == 300


def fork_while_threads_record() -> None:
    """Fork again and again while threads record; each child records on its own, and ends."""
    recorder = RolloutRecorder.create(queue_size=8)
    stop = threading.Event()
    counts = dict.fromkeys("ab", 0)

    def work(name: str) -> None:
        while not stop.is_set():
            recorder.record(message(f"{name} {counts[name]}"))
            counts[name] += 1

    threads = [threading.Thread(target=work, args=(name,)) for name in counts]
    for thread in threads:
        thread.start()

    def use() -> None:
        with RolloutRecorder.create() as own:
            own.record(message("child"))

    ended = [in_child(use) for _ in range(30)]
    stop.set()
    for thread in threads:
        thread.join()
    recorder.close()
    texts = texts_in(recorder.path)
    for name, number in counts.items():
        assert [text for text in texts if text[0] == name] == [f"{name} {n}" for n in range(number)]
    say(sum(ended))


def test_forks_beside_threads_that_record_hang_nobody():
    """Whatever the threads were at when the process forked, each child comes to its end; the parent loses nothing."""
    printed = in_fresh_process(fork_while_threads_record)

    assert printed == "0\n"
    assert sum(texts == ["child"] for texts in sessions()) == 30


# -- several processes on one session ----------------------------------------------------------------------------------


def share(path: str, name: str) -> None:
    """Record into a session that others record into."""
    recorder, _ = RolloutRecorder.resume(path, shared=True)
    with recorder:
        for number in range(200):
            recorder.record(message(f"{name} {number}"), message(f"{name} {number} and more"))


def test_processes_share_a_session_line_by_line():
    """Each line is whole, records of one call stay together, and each process's own are in order."""
    with RolloutRecorder.create(shared=True) as recorder:
        processes = [start(share, str(recorder.path), name) for name in "abc"]
        for process in processes:
            finish(process)

    texts = texts_in(recorder.path)
    assert len(texts) == 1_200
    assert all(second == f"{first} and more" for first, second in zip(texts[0::2], texts[1::2], strict=True))
    for name in "abc":
        assert [text for text in texts[0::2] if text[0] == name] == [f"{name} {number}" for number in range(200)]


def open_exclusively(path: str) -> None:
    """Try to open a session that others share, exclusively."""
    try:
        RolloutRecorder.resume(path)[0].close()
        say("opened")
    except Exception as error:
        say(type(error).__name__)


def test_a_shared_session_is_not_held():
    """No process holds it between two batches, so an exclusive opener gets it; its users must agree on that."""
    with RolloutRecorder.create(shared=True) as recorder:
        recorder.record(message("shared"))
        recorder.flush()

        assert in_fresh_process(open_exclusively, str(recorder.path)) == "opened\n"


def test_a_line_that_another_process_is_just_writing_is_not_taken_for_a_torn_one(caplog, monkeypatch):
    """It is read when that process lets go of the lock, and is not reported as lost."""
    with RolloutRecorder.create(shared=True) as recorder:
        path = recorder.path
    line = Message.user("Hello").json + b"\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    lock(fd, path, 0.0)
    os.write(fd, line[:20])
    has_read_half = threading.Event()

    def locked(*args: Any) -> AbstractContextManager[None]:
        has_read_half.set()
        return locked_file(*args)

    monkeypatch.setattr("rolloutlog._open.locked_file", locked)
    found: list[Any] = []
    opened = threading.Thread(
        target=lambda: found.append(RolloutRecorder.resume(path, shared=True, lock_timeout=DEADLINE))
    )
    opened.start()
    assert has_read_half.wait(DEADLINE)
    os.write(fd, line[20:])
    os.close(fd)
    opened.join(DEADLINE)

    ((resumed, saved),) = found
    resumed.close()
    assert saved.skipped == []
    assert [item.text for item in saved.items] == ["Hello"]
    assert "could not be read" not in caplog.text


def test_a_torn_line_in_a_shared_session_is_reported(caplog):
    with RolloutRecorder.create(shared=True) as recorder:
        path = recorder.path
    with open(path, "ab") as file:
        file.write(b'{"type":"mess')

    resumed, saved = RolloutRecorder.resume(path, shared=True)
    resumed.close()

    assert len(saved.skipped) == 1
    assert "1 line could not be read" in caplog.text


def test_the_first_line_is_there_whatever_happens():
    """A process that was killed right after create() has left a session that can be resumed."""
    finish(start(create_and_die), status=-signal.SIGKILL)
    (found,) = find_sessions()
    recorder, saved = RolloutRecorder.resume(found)
    recorder.close()

    assert saved.items == []
    assert json.loads(lines_in(found)[0]) == values_in(found)[0]


def create_and_die() -> None:
    """Create a session, and be killed."""
    RolloutRecorder.create()
    os.kill(os.getpid(), signal.SIGKILL)
