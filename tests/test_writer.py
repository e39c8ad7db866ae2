"""The writer: any number of callers, one file; accepted records are written, others are refused with an error."""

from __future__ import annotations

import errno
import gc
import logging
import os
import re
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, Disk, in_fresh_process, interrupted, join_threads, left_alone, lines_in, storm

from rolloutlog._json import MAX_RECORDED
from rolloutlog._writing.ack import Ack
from rolloutlog._writing.commands import LineRules, State, WriterOptions
from rolloutlog._writing.file import Journal
from rolloutlog._writing.os_calls import REAL_SYSTEM
from rolloutlog._writing.queue import HEAVY
from rolloutlog._writing.workers import Workers
from rolloutlog._writing.writer import Writer
from rolloutlog.exceptions import InvalidItemError, QueueFullError, RecorderClosedError, RolloutError, WriteError

pytestmark = pytest.mark.system

HEADER = b"header\n"


def begun(path: Path, system: Any = None, **options: Any) -> Writer:
    """Return a writer on a new file that has been started."""
    given = WriterOptions(**options)
    journal = Journal(
        path,
        header=HEADER,
        shared=given.shared,
        fsync=given.fsync,
        lock_timeout=given.lock_timeout,
        system=FakeSystem() if system is None else system,
    )
    journal.create()
    writer = Writer(
        journal, given, LineRules(b"%d dropped\n".__mod__), lambda writer: pytest.fail("reopened"), Workers()
    )
    writer.start()
    return writer


def put(writer: Writer, *texts: Any, timeout: float = DEADLINE) -> None:
    """Put each of *texts* as a record."""
    for text in texts:
        writer.put(f"{text}\n".encode(), timeout)


def flushed(writer: Writer) -> list[str]:
    """Return the lines in the file after its header, after a flush without an error."""
    writer.request_flush().result(DEADLINE)
    return written(writer)


def written(writer: Writer) -> list[str]:
    """Return the lines in the file after its header."""
    header, *lines = lines_in(writer.journal.path)
    assert header + b"\n" == HEADER
    return [line.decode() for line in lines]


def numbers(*arguments: int) -> list[str]:
    return [str(number) for number in range(*arguments)]


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem()


@pytest.fixture
def disk() -> Iterator[Disk]:
    """A disk that can be held up; at the end it continues."""
    disk = Disk()
    yield disk
    disk.is_full = False
    disk.go_on()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Writer]]:
    """Makes writers, each on a file of its own; they are shut down at the end."""
    made: list[Writer] = []

    def make(system: Any = None, **options: Any) -> Writer:
        made.append(begun(tmp_path / f"{len(made)}.jsonl", system, **options))
        return made[-1]

    yield make
    for writer in made:
        writer.shutdown().wait(DEADLINE)


@pytest.fixture
def writer(make: Callable[..., Writer], system: FakeSystem) -> Writer:
    return make(system)


@pytest.fixture
def held(make: Callable[..., Writer], disk: Disk) -> Callable[..., Writer]:
    """Makes writers whose thread is in the middle of a write, on *disk*, with the record "first"."""

    def held(**options: Any) -> Writer:
        writer = make(disk, **options)
        disk.hold()
        put(writer, "first")
        assert disk.reached.wait(DEADLINE)
        return writer

    return held


# -- a life ------------------------------------------------------------------------------------------------------------


def test_a_writer_is_open_from_its_start(tmp_path):
    """New before it is started, open then."""
    journal = Journal(tmp_path / "file", header=HEADER)
    journal.create()
    writer = Writer(journal, WriterOptions(), LineRules(b"%d dropped\n".__mod__), lambda writer: None, Workers())
    states = [writer.state]
    writer.start()
    states.append(writer.state)
    writer.shutdown().result(DEADLINE)

    assert states == [State.NEW, State.OPEN]


def test_what_is_put_is_written_in_order(writer):
    """A flush answers when all that came before is on disk."""
    put(writer, *range(1_000))
    writer.put_several(b"a\nb\nc\n", 3, DEADLINE)

    assert flushed(writer) == [*numbers(1_000), "a", "b", "c"]
    assert writer.stats.written == 1_003


def test_what_is_put_is_written_without_being_asked(writer, system):
    """No flush is needed for a record to come to disk."""
    reached = threading.Event()
    system.before("lseek", reached.set, nth=1)  # after the write
    put(writer, "a")

    assert reached.wait(DEADLINE)
    assert written(writer) == ["a"]


def test_large_records_are_written_too(make):
    """As large as a record may be, it comes through, and in its place."""
    writer = make()
    texts = ["a", "x" * HEAVY, "b", "y" * MAX_RECORDED, "z" * HEAVY, "c"]
    put(writer, *texts)

    assert flushed(writer) == texts


def test_what_is_too_long_to_be_read_again_is_refused(make):
    """Nothing of it is written, nor of the records put together with it; the next record is written."""
    writer = make()
    long = b"y" * MAX_RECORDED + b"y\n"

    with pytest.raises(InvalidItemError, match=r"record: is longer than a line may be: 67,108,801 bytes"):
        writer.put(long, DEADLINE)
    with pytest.raises(InvalidItemError):
        writer.put_several(b"a\n" + long, 2, DEADLINE)
    put(writer, "b")

    assert flushed(writer) == ["b"]
    assert writer.stats.accepted == 1


def test_several_records_may_be_longer_together_than_one_may_be(make):
    """Each of them can be read."""
    writer = make()
    half = "y" * (MAX_RECORDED // 2 + 1)
    writer.put_several(f"{half}\n{half}\n".encode(), 2, DEADLINE)

    assert flushed(writer) == [half, half]


def test_shutdown_writes_everything_and_ends(writer):
    """The ack is set when all is on disk and the file is closed; the threads end as well."""
    put(writer, *range(500))
    writer.shutdown().result(DEADLINE)
    join_threads(writer)

    assert written(writer) == numbers(500)
    assert writer.state is State.CLOSED
    assert writer.journal.identity is None


def test_the_session_is_free_when_the_shutdown_is_acknowledged(writer):
    """A caller that waited for the ack can open the file at once."""
    writer.shutdown().result(DEADLINE)
    other = Journal(writer.journal.path)
    other.open()
    other.close()

    assert writer.shutdown().is_set()


def test_the_file_is_closed_before_the_end_is_acknowledged(writer):
    """At the instant when the ack is set nothing is open any more."""
    open_then = []

    def set_and_see() -> None:
        open_then.append(writer.journal.identity)
        Ack.set(writer._end)

    writer._end.set = set_and_see
    writer.shutdown().result(DEADLINE)

    assert open_then == [None]


def test_shutdown_is_always_the_same_ack(writer):
    """However often and from how many threads it is asked for, there is one end."""
    acks = [writer.shutdown()]
    threads = [threading.Thread(target=lambda: acks.append(writer.shutdown())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    acks[0].result(DEADLINE)
    acks.append(writer.shutdown())

    assert len(acks) == 10
    assert len(set(map(id, acks))) == 1


def test_shutdown_returns_at_once(held, disk):
    """Asking does not wait for the disk; the state says that the end is near."""
    writer = held()
    ack = writer.shutdown()
    state = writer.state, ack.is_set()
    disk.go_on()
    ack.result(DEADLINE)

    assert state == (State.CLOSING, False)


@pytest.mark.parametrize("act", [lambda writer: put(writer, "late"), lambda writer: writer.filtered(1)])
def test_a_closed_writer_takes_nothing(writer, act):
    """Later records are refused, and the error has the path."""
    writer.shutdown().result(DEADLINE)

    with pytest.raises(RecorderClosedError) as caught:
        act(writer)
    assert caught.value.path == writer.journal.path
    assert written(writer) == []


def test_a_closing_writer_takes_nothing_more(held):
    """From the moment that the end is asked for."""
    writer = held()
    writer.shutdown()

    with pytest.raises(RecorderClosedError):
        put(writer, "late")


def test_a_flush_of_a_closed_writer_is_answered(writer):
    """No caller waits for an answer that does not come."""
    writer.shutdown().result(DEADLINE)
    ack = writer.request_flush()

    with pytest.raises(RecorderClosedError):
        ack.result(DEADLINE)


def test_acks_come_in_the_order_of_their_barriers(held, disk):
    """Who flushed first hears first."""
    order = deque()
    writer = held()

    def waiter(ack: Ack, number: int) -> threading.Thread:
        def note() -> None:
            order.append(number)
            Ack.set(ack)

        ack.set = note
        return ack

    acks = [waiter(writer.request_flush(), number) for number in range(20)]
    disk.go_on()
    acks[-1].result(DEADLINE)

    assert list(order) == list(range(20))


def test_a_record_that_was_put_before_the_last_look_is_written(writer):
    """A caller who looks only after the writer has ended, and put before, finds that its record was taken."""
    really = writer._put

    def put_then_end(command: object) -> None:
        really(command)
        writer._put = really
        writer.shutdown().result(DEADLINE)

    writer._put = put_then_end
    put(writer, "in time")

    assert written(writer) == ["in time"]


def test_a_record_that_was_put_after_the_last_look_is_refused(writer):
    """A caller that was held up between its checks gets an error: its record will not be written."""
    really = writer._put

    def end_then_put(command: object) -> None:
        writer._put = really
        writer.shutdown().result(DEADLINE)
        really(command)

    writer._put = end_then_put

    with pytest.raises(RecorderClosedError):
        put(writer, "too late")
    assert written(writer) == []


def test_a_caller_who_was_held_up_is_written_or_refused(writer):
    """Whenever the rest of a put comes that began in time: if it is not refused, the record is in the file."""
    accepted = []
    really = writer.queue.count_unfinished

    def hold_then_put(commands: int, size: int) -> None:
        """Put right after the end of a commit."""
        really(commands, size)
        if not writer._committer.closing:
            return
        claim = [b"held up\n"]
        writer._put(claim)
        try:
            writer._recheck_closed(claim, DEADLINE)
        except RecorderClosedError:
            return
        accepted.append("held up")

    writer.queue.count_unfinished = hold_then_put
    writer.shutdown().result(DEADLINE)

    assert accepted
    assert written(writer) == accepted


def test_records_that_race_with_a_shutdown_are_written_or_refused(tmp_path):
    """Many rounds of six threads against a shutdown: the file holds the accepted records and nothing else."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for turn in range(60):
            writer = begun(tmp_path / str(turn))
            accepted: deque[str] = deque()
            begin = threading.Barrier(7)

            def record(name: int, writer: Writer = writer, accepted: deque[str] = accepted, begin: Any = begin) -> None:
                begin.wait(DEADLINE)
                for number in count():
                    try:
                        put(writer, f"{name} {number}")
                    except RecorderClosedError:
                        return
                    accepted.append(f"{name} {number}")

            threads = [threading.Thread(target=record, args=(name,)) for name in range(6)]
            for thread in threads:
                thread.start()
            begin.wait(DEADLINE)
            put(writer, "the main thread")
            writer.shutdown().result(DEADLINE)
            for thread in threads:
                thread.join(DEADLINE)
            lines = written(writer)
            lines.remove("the main thread")

            assert sorted(lines) == sorted(accepted)
            assert writer.stats.written == len(lines) + 1
    finally:
        sys.setswitchinterval(before)


# -- a full queue ------------------------------------------------------------------------------------------------------


def test_a_full_queue_blocks_until_there_is_room(held, disk):
    """With on_full="block", a caller waits, and its record is written."""
    writer = held(queue_size=2)
    put(writer, "a", "b")
    putter = threading.Thread(target=put, args=(writer, "c"))
    putter.start()
    disk.go_on()
    putter.join(DEADLINE)

    assert not putter.is_alive()
    assert flushed(writer) == ["first", "a", "b", "c"]


def test_a_full_queue_blocks_no_longer_than_it_may(held, disk):
    """After the timeout the record is refused, which its caller hears, and nothing else is lost."""
    writer = held(queue_size=2)
    put(writer, "a", "b")

    with pytest.raises(QueueFullError, match=r"no room within 0\.01 s"):
        put(writer, "c", timeout=0.01)
    disk.go_on()
    assert flushed(writer) == ["first", "a", "b"]
    assert writer.stats.accepted == 3


def test_a_full_queue_raises_at_once_if_told_so(held, disk):
    """With on_full="raise" no caller waits."""
    writer = held(queue_size=1, on_full="raise")
    put(writer, "a")

    with pytest.raises(QueueFullError, match="on_full"):
        put(writer, "b")
    disk.go_on()
    assert flushed(writer) == ["first", "a"]


def test_what_a_full_queue_drops_leaves_a_gap(held, disk):
    """With on_full="drop", a line is in the place of dropped records, one for all that are missing there."""
    writer = held(queue_size=2, on_full="drop")
    put(writer, "a", "b", "lost", "lost")
    writer.put_several(b"lost\nlost\n", 2, DEADLINE)
    disk.go_on()
    writer.request_flush().result(DEADLINE)
    put(writer, "c")

    assert flushed(writer) == ["first", "a", "b", "4 dropped", "c"]
    assert (writer.stats.accepted, writer.stats.written, writer.stats.dropped) == (9, 5, 4)


def test_drops_at_two_places_are_two_gaps(held, disk):
    """Records that came between the drops are between the two lines."""
    writer = held(queue_size=1, on_full="drop")
    put(writer, "a", "lost")
    disk.go_on()
    writer.request_flush().result(DEADLINE)
    disk.hold()
    put(writer, "b")
    assert disk.reached.wait(DEADLINE)
    put(writer, "c", "lost", "lost")
    disk.go_on()

    assert flushed(writer) == ["first", "a", "1 dropped", "b", "c", "2 dropped"]


def test_what_is_dropped_behind_a_record_is_missing_there(make, system):
    """Also while the gap before it is taken and not yet written: a record closes it, and the next gap is another."""
    writer = make(system, queue_size=1, on_full="drop")
    gates = [(threading.Event(), threading.Event()) for _ in range(2)]
    for number, (reached, go_on) in enumerate(gates):
        system.before(
            "write", lambda reached=reached, go_on=go_on: (reached.set(), go_on.wait(DEADLINE)), nth=number + 1
        )
    put(writer, "first")
    assert gates[0][0].wait(DEADLINE)
    put(writer, "a")
    writer.request_flush()  # so that "a" is written before the gap after it is claimed
    put(writer, "lost")
    gates[0][1].set()
    assert gates[1][0].wait(DEADLINE)
    put(writer, "b", "lost", "lost")
    gates[1][1].set()

    assert flushed(writer) == ["first", "a", "1 dropped", "b", "2 dropped"]


def test_every_drop_is_counted_once(make):
    """Whatever threads drop while the writer comes by: what is in the file and what is missing make the whole."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    writer = make(queue_size=4, on_full="drop")
    threads = [threading.Thread(target=put, args=(writer, *["x"] * 3_000)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    sys.setswitchinterval(before)
    lines = flushed(writer)
    gaps = [int(line.split()[0]) for line in lines if line.endswith("dropped")]
    stats = writer.stats

    assert lines.count("x") + sum(gaps) == 18_000
    assert stats.dropped == sum(gaps)
    assert stats.accepted == stats.written + stats.dropped == 18_000 + len(gaps)


def test_bytes_are_bounded_too(held, disk):
    """Large records wait for room when many of them wait, however few they are."""
    writer = held()
    put(writer, "x" * 40 * 1024 * 1024)

    with pytest.raises(QueueFullError):
        put(writer, "y" * 40 * 1024 * 1024, timeout=0.01)
    put(writer, "small")
    disk.go_on()
    assert len(flushed(writer)) == 3


def test_a_shutdown_ends_the_wait_for_room(held):
    """Who waits for room when the writer closes hears of that, and not of a time-out."""
    writer = held(queue_size=1)
    put(writer, "a")
    errors: list[Exception] = []

    def putting() -> None:
        try:
            put(writer, "b")
        except RolloutError as error:
            errors.append(error)

    putter = threading.Thread(target=putting)
    putter.start()
    writer.shutdown()
    putter.join(DEADLINE)

    assert [type(error) for error in errors] == [RecorderClosedError]


def test_who_writes_may_record(make, disk):
    """A record that is made within the turn, as by a finalizer, is taken if there is room, else refused at once."""
    writer = make(disk, queue_size=1, on_full="block")
    errors: list[Exception] = []

    class Recording(Ack):
        def set(self) -> None:
            try:
                put(writer, "from within", "one too many")
            except QueueFullError as error:
                errors.append(error)
            super().set()

    from rolloutlog._writing.commands import Barrier

    ack = Recording()
    writer._submit(Barrier(ack))
    ack.result(DEADLINE)

    assert flushed(writer) == ["from within"]
    assert ["the one that records" in str(error) for error in errors] == [True]


# -- errors ------------------------------------------------------------------------------------------------------------


def test_a_failure_is_heard_everywhere_at_once(make, disk, caplog):
    """After the first failed try: the ack, the stats and the logger tell of it."""
    writer = make(disk)
    disk.is_full = True
    put(writer, "a")
    ack = writer.request_flush()
    ack.wait(DEADLINE)
    stats = writer.stats

    assert isinstance(ack.error, WriteError)
    assert ack.error.errno == errno.ENOSPC
    assert stats.error is not None
    assert stats.pending == 1
    logged = heard(caplog)
    assert "cannot write" in logged
    assert str(writer.journal.path) in logged
    assert "ENOSPC" in logged


def heard(caplog: pytest.LogCaptureFixture) -> str:
    """Return the first message to the logger, waiting for it: the writer logs after it has answered."""
    told = threading.Event()
    while not caplog.messages:
        told.wait(0.001)
    return caplog.messages[0]


def test_what_is_kept_is_written_by_itself(writer, system):
    """When the fault is gone no call is needed: the writer tries again after a pause."""
    again = threading.Event()
    system.fail("write", errno.EIO, times=2)
    system.before("lseek", again.set, nth=3)  # the first one after a write without an error; two undo the others
    put(writer, "a")

    assert again.wait(DEADLINE)
    assert flushed(writer) == ["a"]


def test_after_the_fault_all_is_there_in_order(make, disk, caplog):
    """Records that had to wait are before later ones; the logger gets the end of the fault as well."""
    caplog.set_level(logging.WARNING, "rolloutlog")
    writer = make(disk)
    put(writer, *range(10))
    writer.request_flush().result(DEADLINE)
    disk.is_full = True
    put(writer, *range(10, 20))
    failed = writer.request_flush()
    failed.wait(DEADLINE)
    put(writer, *range(20, 30))
    disk.is_full = False
    put(writer, *range(30, 40))

    assert isinstance(failed.error, WriteError)
    assert flushed(writer) == numbers(40)
    assert writer.stats.error is None
    writer.shutdown().result(DEADLINE)
    join_threads(writer)
    assert re.findall("cannot write|writes again", "\n".join(caplog.messages)) == ["cannot write", "writes again"]


def test_a_full_queue_raises_at_once_while_nothing_can_be_written(make, disk):
    """No caller waits for room that does not come: the error says why the writer cannot write."""
    writer = make(disk, queue_size=2)
    disk.is_full = True
    put(writer, "a")
    writer.request_flush().wait(DEADLINE)
    put(writer, "b")
    writer.request_flush().wait(DEADLINE)

    with pytest.raises(QueueFullError, match="ENOSPC"):
        put(writer, *["c"] * 10)  # the bound is soft: the first may come through while it is being drawn
    disk.is_full = False
    assert flushed(writer)[:2] == ["a", "b"]


def test_a_shutdown_that_cannot_write_says_so_and_tries_on(make, disk):
    """Waiting for the end raises what is in its way; when that is gone the end comes by itself."""
    writer = make(disk)
    disk.is_full = True
    put(writer, "a", "b")
    ack = writer.shutdown()
    writer.request_flush().wait(DEADLINE)

    with pytest.raises(WriteError, match="2 records are not on disk"):
        ack.result(0.01)
    disk.is_full = False
    ack.result(DEADLINE)
    assert written(writer) == ["a", "b"]
    assert writer.state is State.CLOSED


def test_a_sync_that_fails_is_heard_and_mended(make, system):
    """With fsync="flush" a failed sync is the flush's error; at the next flush everything is durable."""
    writer = make(system, fsync="flush")
    system.fail("fsync", errno.EIO, times=2)
    put(writer, "a")
    ack = writer.request_flush()
    ack.wait(DEADLINE)

    assert isinstance(ack.error, WriteError)
    put(writer, "b")
    assert flushed(writer) == ["a", "b"]
    assert system.after_power_cut(writer.journal.path) == HEADER + b"a\nb\n"


def test_a_broken_handler_of_the_logger_harms_nobody(make, disk):
    """Who raises when the logger tells him something does not end the writer."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    handler = Broken()
    logger = logging.getLogger("rolloutlog")
    logger.addHandler(handler)
    try:
        writer = make(disk)
        disk.is_full = True
        put(writer, "a")
        writer.request_flush().wait(DEADLINE)
        disk.is_full = False
        lines = flushed(writer)
    finally:
        logger.removeHandler(handler)

    assert lines == ["a"]


def fail(writer: Writer, system: FakeSystem) -> None:
    """Let *writer* fail because of an unexpected error."""
    system.fail("write", ZeroDivisionError("unexpected"))
    put(writer, "a")


def test_an_unexpected_exception_is_everybodys_answer(writer, system):
    """Each ack that waits gets it, also that of a shutdown, and also those that are asked for later."""
    reached, go_on = threading.Event(), threading.Event()
    system.before("write", lambda: (reached.set(), go_on.wait(DEADLINE)))
    put(writer, "first")
    assert reached.wait(DEADLINE)
    fail(writer, system)
    acks = [writer.request_flush(), writer.request_flush(), writer.shutdown()]
    go_on.set()
    for ack in acks:
        assert ack.wait(DEADLINE)

    assert [type(ack.error) for ack in acks] == [ZeroDivisionError] * 3
    assert writer.state is State.FAILED
    assert writer.shutdown() is acks[2]


def test_a_failed_writer_takes_nothing_more(writer, system, caplog):
    """Records and flushes are refused with the reason; the file is free, the error is logged, the loss is counted."""
    fail(writer, system)
    writer.request_flush().wait(DEADLINE)
    join_threads(writer)

    with pytest.raises(RecorderClosedError, match="failed: ZeroDivisionError"):
        put(writer, "b")
    with pytest.raises(RecorderClosedError, match="failed: ZeroDivisionError"):
        writer.request_flush().result(DEADLINE)
    other = Journal(writer.journal.path)
    other.open()
    other.close()
    assert (writer.stats.accepted, writer.stats.pending) == (1, 1)
    assert "the writer failed" in caplog.messages[0]


def test_who_waits_for_room_hears_that_the_writer_failed(make, system):
    """A caller that waits when the writer fails is refused, and does not wait for its time-out."""
    writer = make(system, queue_size=1)
    reached, go_on = threading.Event(), threading.Event()
    system.before("write", lambda: (reached.set(), go_on.wait(DEADLINE)))
    system.fail("write", ZeroDivisionError(), nth=2)
    put(writer, "first")
    assert reached.wait(DEADLINE)
    put(writer, "a")
    errors: list[Exception] = []

    def putting() -> None:
        try:
            put(writer, *["b"] * 10)  # the first may find room before the writer fails
        except RolloutError as error:
            errors.append(error)

    putter = threading.Thread(target=putting)
    putter.start()
    go_on.set()
    putter.join(DEADLINE)

    assert [type(error) for error in errors] == [RecorderClosedError]


# -- no thread ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def inline(make: Callable[..., Writer], system: FakeSystem) -> Writer:
    """A writer for which no thread could be started: the system has not that much memory for its stack."""
    threading.stack_size(1 << 47)
    try:
        return make(system, queue_size=4)
    finally:
        threading.stack_size(0)


def test_the_end_waits_until_no_thread_holds_the_commit_lock(writer, monkeypatch):
    """A thread that held it when the interpreter stops would hold it forever, and later records would be lost."""
    lock, freed = writer._commit_lock._lock, []

    def free() -> None:
        freed.append(True)
        lock.release()

    assert lock.acquire(timeout=DEADLINE)
    timer = threading.Timer(0.1, free)
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_submit", lambda *arguments: None)  # as if a thread had taken its command already
        timer.start()
        writer.go_inline(DEADLINE)
        was_free = bool(freed)
    timer.join(DEADLINE)

    assert was_free


def test_without_a_thread_a_record_is_on_disk_when_put_returns(inline):
    """Where no thread can be started, callers write for themselves."""
    seen = []
    for number in range(6):
        put(inline, number)
        seen.append(written(inline))

    assert inline._workers.are_gone
    assert seen == [numbers(number + 1) for number in range(6)]


def test_without_a_thread_acks_are_answered_at_once(inline):
    """A flush and a shutdown are over when they return."""
    put(inline, "a")
    flush = inline.request_flush()
    end = inline.shutdown()

    assert (flush.is_set(), flush.error, end.is_set(), end.error) == (True, None, True, None)
    assert inline.state is State.CLOSED
    assert inline.journal.identity is None


def test_without_a_thread_a_failure_is_heard_and_mended(inline, system):
    """Records that could not be written are kept, reported, and written with the next record."""
    system.fail("write", errno.ENOSPC, times=3)  # at the record, at the barrier, at the end of that turn
    put(inline, "a")
    flush = inline.request_flush()
    error = inline.stats.error
    put(inline, "b")

    assert isinstance(flush.error, WriteError)
    assert error is not None
    assert written(inline) == ["a", "b"]
    assert inline.stats.error is None


def test_without_a_thread_an_unexpected_exception_fails_the_writer(inline, system):
    """All acks carry one that comes again and again, and the caller that happened to record does not get it."""
    system.fail("write", ZeroDivisionError("unexpected"), times=None)
    put(inline, "a")
    flush = inline.request_flush()

    assert inline.state is State.FAILED
    assert isinstance(flush.error, RecorderClosedError)
    with pytest.raises(ZeroDivisionError):
        inline.shutdown().result(DEADLINE)


def test_an_exception_out_of_a_signal_handler_is_the_callers(inline, system):
    """It does not come again: the caller gets it, as it gets a Ctrl-C, and the writer continues."""
    system.fail("write", LookupError("out of a signal handler"))
    with pytest.raises(LookupError):
        put(inline, "a")
    put(inline, "b")

    assert flushed(inline) == ["a", "b"]
    assert inline.state is State.OPEN


def held_by_another_process(path: Path) -> int:
    """Lock a shared file as another process does; closing the descriptor unlocks it."""
    import fcntl

    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def in_time(act: Callable[[], object]) -> BaseException | None:
    """Return what *act* raises; it must end long before the timeout of the lock."""
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            act()
        except Exception as error:
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(DEADLINE)

    assert ended, "still waits"
    return ended[0]


def test_without_a_thread_every_wait_ends_in_time(tmp_path):
    """The caller's timeout bounds the wait for the lock of the file, too."""
    writer = begun(tmp_path / "file", shared=True, lock_timeout=10 * DEADLINE, queue_size=2)
    writer.go_inline()
    left_alone(writer)
    fd = held_by_another_process(tmp_path / "file")
    recorded = in_time(lambda: writer.put(b"a\n", 0.05))
    several = in_time(lambda: writer.put_several(b"b\nc\n", 2, 0.05))
    counted = in_time(lambda: writer.filtered(1))
    flushed_at_once = in_time(lambda: writer.request_flush().result(0.05))
    flushed_in_time = in_time(lambda: writer.request_flush(0.05).result(0.05))
    full = in_time(lambda: writer.put(b"d\n", 0.05))
    ended = in_time(lambda: writer.shutdown(0.05).result(0.05))
    os.close(fd)
    writer.shutdown().result(DEADLINE)

    assert [recorded, several, counted] == [None] * 3
    assert [type(error) for error in (flushed_at_once, flushed_in_time, full, ended)] == [
        WriteError,
        WriteError,
        QueueFullError,
        WriteError,
    ]
    assert written(writer) == ["a", "b", "c"]


def test_without_a_thread_many_callers_write_in_turn(inline):
    """Eight threads record at once: every line is there once, each thread's in its order."""

    def record(name: int) -> None:
        for number in range(100):
            put(inline, f"{name} {number}")

    threads = [threading.Thread(target=record, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    lines = flushed(inline)

    assert [[line for line in lines if line[0] == str(name)] for name in range(8)] == [
        [f"{name} {number}" for number in range(100)] for name in range(8)
    ]


def test_at_the_end_of_the_interpreter_callers_write_for_themselves(writer):
    """From then on the thread is over, nothing that waited is lost, and a record is on disk when put returns."""
    put(writer, *range(500))
    writer.go_inline().result(DEADLINE)
    lines = written(writer)
    put(writer, 500)

    assert lines == numbers(500)
    assert written(writer) == numbers(501)


def test_threads_that_record_without_a_pause_do_not_delay_the_end(writer):
    """Else a process with daemon threads would end only when its time is up; and nothing of theirs is lost."""
    enough = threading.Event()
    counts = [0, 0, 0]

    def babble(name: int) -> None:
        while not enough.is_set():
            put(writer, f"{name} {counts[name]}")
            counts[name] += 1

    threads = [threading.Thread(target=babble, args=(name,)) for name in range(3)]
    for thread in threads:
        thread.start()
    writer.go_inline(DEADLINE)
    assert writer._commit_lock.first is None
    enough.set()
    for thread in threads:
        thread.join(DEADLINE)

    assert sorted(flushed(writer)) == sorted(f"{name} {n}" for name in range(3) for n in range(counts[name]))


def test_a_thread_that_is_stuck_delays_the_end_but_does_not_prevent_it(held, disk, monkeypatch):
    """An inline caller waits for the thread, but not forever; when the thread continues, all is there in order."""
    monkeypatch.setattr("rolloutlog._writing.writer._LOCK_TIMEOUT", 0.01)
    writer = held()
    put(writer, "a")
    writer.go_inline()
    put_meanwhile = written(writer)
    disk.go_on()

    assert put_meanwhile == []
    assert flushed(writer) == ["first", "a"]


def test_an_interrupt_at_any_step_of_an_inline_record_loses_no_other(tmp_path):
    """Wherever a Ctrl-C hits a record, it is in the file once or not at all, and the next ones are written."""
    for step in count(1):
        writer = begun(tmp_path / str(step))
        writer.go_inline()
        left_alone(writer)
        put(writer, "before")
        came_so_far = interrupted(step, lambda writer=writer: put(writer, "interrupted"))
        put(writer, "after")
        lines = flushed(writer)
        writer.shutdown().result(DEADLINE)

        assert lines in (["before", "interrupted", "after"], ["before", "after"]), step
        if not came_so_far:
            break


@pytest.mark.parametrize("act", [Writer.request_flush, Writer.shutdown])
def test_an_interrupt_at_any_step_of_an_inline_barrier_can_be_asked_again(tmp_path, act):
    """Wherever a Ctrl-C hits a flush or a shutdown, the next one is answered and everything is in the file."""
    for step in count(1):
        system = FakeSystem()
        writer = begun(tmp_path / str(step), system)
        writer.go_inline()
        left_alone(writer)
        system.fail("write", errno.EIO)
        put(writer, "a")
        came_so_far = interrupted(step, lambda writer=writer: act(writer))
        again = act(writer)
        writer.shutdown().result(DEADLINE)

        assert again.is_set()
        assert again.error is None
        assert written(writer) == ["a"]
        if not came_so_far:
            break


# -- signals and interrupts --------------------------------------------------------------------------------------------


def storm_of_records(handler: Callable[[Writer], object], signals: int, *, inline: bool) -> None:
    """Record numbers while *handler* runs within it, then look at the file."""
    sys.setswitchinterval(1e-5)
    with tempfile.TemporaryDirectory() as folder:
        writer = begun(Path(folder) / "file", REAL_SYSTEM, queue_size=16)
        if inline:
            writer.go_inline()
            left_alone(writer)
        sure: deque[int] = deque()
        number = count()

        def action() -> None:
            mine = next(number)
            put(writer, mine)
            sure.append(mine)
            if mine % 100 == 0:
                writer.request_flush().result(DEADLINE)

        storm(action, handler=lambda: handler(writer), signals=signals)
        put(writer, "last")
        writer.shutdown().result(DEADLINE)
        lines = written(writer)
        came = [int(line) for line in lines if re.fullmatch(r"\d+", line)]

        assert lines[-1] == "last"
        assert came == sorted(set(came)), "out of order, or doubled"
        assert set(sure) <= set(came), "lost"


def record_and_flush(writer: Writer) -> None:
    put(writer, "from a handler")
    if not writer._inline:  # else the handler would wait for what its own thread is doing
        writer.request_flush().result(DEADLINE)


def ctrl_c(writer: Writer) -> None:
    raise KeyboardInterrupt


def handlers_that_record(inline: bool) -> None:
    storm_of_records(record_and_flush, 500, inline=inline)


def interrupts(inline: bool) -> None:
    storm_of_records(ctrl_c, 1_000, inline=inline)


@pytest.mark.parametrize("inline", [False, True], ids=["with a thread", "inline"])
@pytest.mark.parametrize("attack", [handlers_that_record, interrupts])
def test_a_storm_within_records_and_flushes_jams_and_loses_nothing(attack, inline):
    """Thousands of signals whose handlers record and flush, or raise as Ctrl-C does, inside the same calls."""
    in_fresh_process(attack, inline)


# -- garbage ----------------------------------------------------------------------------------------------------------


def test_a_closed_writer_is_collected(tmp_path):
    """Neither threads nor acks keep a closed writer that is not referenced any more."""
    writer = begun(tmp_path / "file")
    writer.shutdown().result(DEADLINE)
    join_threads(writer)
    identity = id(writer)
    del writer
    gc.collect()

    assert [one for one in gc.get_objects() if id(one) == identity and isinstance(one, Writer)] == []


def test_many_writers_leave_no_threads(tmp_path):
    """A hundred lives leave as many threads as there were before."""
    before = threading.active_count()
    for number in range(100):
        writer = begun(tmp_path / str(number))
        put(writer, "a")
        writer.shutdown().result(DEADLINE)
        join_threads(writer)

    assert threading.active_count() == before


# -- what is lost ------------------------------------------------------------------------------------------------------


def test_records_that_stay_together_are_counted_one_by_one(held):
    """While a write is stuck, each record of a batch in the queue counts, and a flush and what was filtered do not."""
    writer = held()
    writer.put_several(b"a\nb\nc\n", 3, DEADLINE)
    writer.filtered(7)
    writer.request_flush()
    put(writer, "d")
    lost = writer.lost()

    assert lost is not None
    assert lost.unwritten == 5


class StuckAfterFirst(Disk):
    """Ends the write of the record "first" when `go_on` is called, and makes the next write wait again."""

    def __init__(self) -> None:
        super().__init__()
        self.reached_next = threading.Event()

    def write(self, fd: int, lines: Sequence[bytes]) -> int:
        is_first = b"first\n" in lines
        if not is_first:
            self.reached_next.set()
        size = super().write(fd, lines)
        if is_first:
            self.hold()
        return size


def test_records_that_a_thread_has_taken_are_counted(make):
    """A thread takes all commands at once, and can be stuck in the write of those before a flush."""
    disk = StuckAfterFirst()
    writer = make(disk)
    disk.reached_next.clear()
    disk.hold()
    put(writer, "first")
    assert disk.reached.wait(DEADLINE)
    writer.put_several(b"a\nb\nc\n", 3, DEADLINE)
    ack = writer.request_flush()
    put(writer, "d", "e")
    disk.go_on()
    assert disk.reached_next.wait(DEADLINE)
    lost = writer.lost()
    disk.go_on()
    ack.result(DEADLINE)
    writer.request_flush().result(DEADLINE)

    assert lost is not None
    assert lost.unwritten == 5
    assert writer.lost() is None
