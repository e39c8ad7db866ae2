"""The committer: claims commands, writes lines, answers acks and keeps the counters, on a system whose calls fail."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, interrupted, lines_in
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from rolloutlog._writing.ack import Ack
from rolloutlog._writing.commands import Barrier, Batch, Filtered, Gap, LineRules, RecorderStats, WriterOptions
from rolloutlog._writing.commit import Committer
from rolloutlog._writing.file import Journal
from rolloutlog._writing.queue import WriterQueue
from rolloutlog.exceptions import WriteError

pytestmark = pytest.mark.system

HEADER = b"header\n"


class Bench:
    """A committer that a test calls itself: a queue, a journal on a fake system, and no thread."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.options = WriterOptions(**options)
        self.system = FakeSystem()
        self.queue = WriterQueue(self.options.queue_size)
        self.journal = Journal(
            path, header=HEADER, fsync=self.options.fsync, shared=self.options.shared, system=self.system
        )
        self.journal.create()
        self.end = Ack()
        self.committer = Committer(self.queue, self.journal, self.options, LineRules(b"%d dropped\n".__mod__), self.end)

    def put(self, *commands: Any) -> None:
        """Put *commands*; text becomes a record."""
        for command in commands:
            self.queue.put_unbounded([command.encode() + b"\n"] if isinstance(command, str) else command)

    def flush(self) -> Ack:
        """Put a barrier and return its ack."""
        barrier = Barrier(Ack())
        self.put(barrier)
        return barrier.ack

    def shut_down(self) -> None:
        """Put the last barrier."""
        self.put(Barrier(self.end, last=True))

    def lines(self) -> list[str]:
        """Return the lines in the file after the header."""
        header, *lines = lines_in(self.path)
        assert header + b"\n" == HEADER
        return [line.decode() for line in lines]

    def counts(self) -> tuple[int, int, int, int]:
        """Return how many were accepted, written, are pending, and were dropped."""
        stats = self.committer.stats
        return stats.accepted, stats.written, stats.pending, stats.dropped


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Makes benches, whose journals are closed at the end."""
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(tmp_path / f"{len(made)}.jsonl", **options))
        return made[-1]

    yield make
    for bench in made:
        bench.journal.close()


@pytest.fixture
def bench(make: Callable[..., Bench]) -> Bench:
    return make()


# -- in order ----------------------------------------------------------------------------------------------------------


def test_records_are_written_in_order(bench):
    """All that waits is on disk after one turn, in the order in which it was put, and counted."""
    bench.put("a", "b", Batch([b"c\nd\n"], 2), "e", "f")
    bench.committer.commit()

    assert bench.lines() == ["a", "b", "c", "d", "e", "f"]
    assert bench.counts() == (6, 6, 0, 0)
    assert not bench.committer.has_work


def test_one_turn_is_one_write(bench):
    """However many records wait, they go out together."""
    bench.system.writes.clear()
    bench.system.most_pieces = 10
    bench.put("a", "b", Batch([b"c\nd\n"], 2), "e")
    bench.committer.commit()

    assert bench.system.writes == [10]


def test_what_was_synced_when_the_file_seemed_to_be_away_is_not_written_again(make):
    """After a failed sync only lines that no other sync has covered are written again."""
    bench = make(fsync="flush")
    bench.put("a")
    bench.committer.commit()
    bench.system.fail("lstat", errno.ENOENT)
    bench.put("b")
    bench.committer.commit()
    bench.system.fail("fsync", errno.EIO)
    bench.flush()
    bench.committer.commit()

    assert bench.lines() == ["a", "b"]
    assert bench.counts() == (2, 2, 0, 0)


def waiting_for_room(bench, monkeypatch):
    """Return a thread that waits until the queue wakes it, however long that takes."""
    monkeypatch.setattr("rolloutlog._writing.queue.CHECK_INTERVAL", DEADLINE)
    waiter = threading.Thread(target=bench.queue.wait_for_room, args=(0,))
    waiter.start()
    while not bench.queue._putters._locks:
        assert waiter.is_alive()
    return waiter


def test_callers_are_told_of_room_before_the_write(make, monkeypatch):
    """They continue while the system writes, and not only after it."""
    bench, still_waits = make(queue_size=1), []
    bench.put("a")
    waiter = waiting_for_room(bench, monkeypatch)
    bench.system.before("write", lambda: (waiter.join(DEADLINE / 2), still_waits.append(waiter.is_alive())))
    bench.committer.commit()

    assert still_waits == [False]


@pytest.mark.parametrize("call", ["lstat", "write"])
def test_callers_are_told_of_room_also_where_nothing_can_be_written(make, monkeypatch, call):
    """They find out then that there is none, and why."""
    bench = make(queue_size=1)
    bench.put("a")
    waiter = waiting_for_room(bench, monkeypatch)
    bench.system.fail(call, errno.EIO)
    bench.committer.commit()
    waiter.join(DEADLINE / 2)

    assert not waiter.is_alive()
    assert bench.committer.error is not None


def test_what_was_taken_already_comes_first(bench):
    """A command that the thread waited for is served before those that still wait."""
    bench.put("a", "b")
    bench.committer.take(bench.queue.get())
    bench.committer.commit()

    assert bench.lines() == ["a", "b"]


@pytest.mark.parametrize("back", [[], Batch([], 3), Barrier(Ack()), Gap(1)], ids=lambda back: type(back).__name__)
def test_what_its_caller_took_back_hinders_nobody(bench, back):
    """A command that its caller claimed is skipped, and the commands after it are processed."""
    if not isinstance(back, list):
        back.claim.clear()
    bench.put("a", back, "b", back, back, "c")
    ack = bench.flush()
    bench.committer.commit()

    assert bench.lines() == ["a", "b", "c"]
    assert ack.is_set()
    assert bench.counts() == (3, 3, 0, 0)


def test_filtered_items_are_counted(bench):
    """They are counted, and no record is written for them."""
    bench.put(Filtered(3), "a", Filtered(2))
    bench.committer.commit()

    assert bench.committer.stats == RecorderStats(accepted=1, written=1, filtered=5)


# -- barriers ----------------------------------------------------------------------------------------------------------


def test_a_barrier_is_answered_when_what_came_before_is_on_disk(bench):
    """At the instant of the answer the file holds what was put before the barrier."""
    seen = []

    class Watching(Ack):
        def set(self) -> None:
            seen.append(bench.lines())
            super().set()

    bench.put("a", Barrier(Watching()), "b", "c", Barrier(Watching()))
    bench.committer.commit()

    assert seen == [["a"], ["a", "b", "c"]]


def test_a_barrier_tells_of_a_failure(bench):
    """The ack carries a WriteError with the number of records, and the system's error as its cause."""
    bench.system.fail("write", errno.ENOSPC)
    bench.put("a", "b")
    ack = bench.flush()
    bench.committer.commit()

    assert ack.is_set()
    assert isinstance(ack.error, WriteError)
    assert (ack.error.path, ack.error.unwritten, ack.error.errno) == (bench.path, 2, errno.ENOSPC)
    assert os.strerror(errno.ENOSPC) in ack.error.reason
    assert ack.error.__cause__ is not None
    assert ack.error.__cause__.errno == errno.ENOSPC


def test_a_barrier_behind_the_recovery_is_well(bench):
    """Records that could be written at the next attempt are not an error for a later flush."""
    bench.system.fail("write", errno.ENOSPC)
    bench.put("a")
    first = bench.flush()
    second = bench.flush()
    bench.committer.commit()

    assert isinstance(first.error, WriteError)
    assert second.is_set()
    assert second.error is None


def test_the_last_barrier_is_left_to_the_writer(bench):
    """The turn takes note of the shutdown; the ack is set when the file is closed, and that is not its business."""
    bench.put("a")
    bench.shut_down()
    bench.committer.commit()

    assert bench.committer.closing
    assert bench.committer.is_empty
    assert not bench.end.is_set()


def test_a_shutdown_that_cannot_write_tells_so_while_it_tries(bench):
    """The end's ack carries the error although it is not set, and loses it when the records are on disk."""
    bench.system.fail("write", errno.ENOSPC, times=3)  # at the barrier, at the end of that turn, in the next
    bench.put("a")
    bench.shut_down()
    errors = []
    for _ in range(3):
        bench.committer.commit()
        errors.append(bench.end.error)

    assert [error and error.unwritten for error in errors] == [1, 1, None]
    assert bench.committer.is_empty


def test_a_failure_behind_the_last_barrier_is_the_ends_error(bench):
    """A record that was put in time, and is after the shutdown in the queue, belongs to it as well."""
    bench.put("a")
    bench.shut_down()
    bench.put("b")
    bench.system.fail("write", errno.ENOSPC, nth=2)
    bench.committer.commit()
    error = bench.end.error
    bench.committer.commit()

    assert isinstance(error, WriteError)
    assert bench.end.error is None
    assert bench.lines() == ["a", "b"]


# -- errors ------------------------------------------------------------------------------------------------------------


def test_a_failure_is_heard_at_once(bench):
    """After the first failed try the stats tell of it, and there is something for the logger."""
    bench.system.fail("write", errno.EDQUOT)
    bench.put("a", "b")
    bench.committer.commit()
    stats = bench.committer.stats

    assert (stats.accepted, stats.written, stats.pending, stats.failures) == (2, 0, 2, 1)
    assert isinstance(stats.error, OSError)
    assert stats.error.errno == errno.EDQUOT
    assert "EDQUOT" in bench.committer.log_message


def test_the_logger_is_told_of_the_first_failure_and_of_the_end(bench):
    """A fault that lasts is logged once, and its end is logged."""
    bench.system.fail("write", errno.EIO, times=3)
    bench.put("a")
    news = []
    for _ in range(5):
        bench.committer.commit()
        news.append(bench.committer.log_message)
        bench.committer.log_message = None

    assert [text and text.split(",")[0].split(":")[0] for text in news] == [
        "cannot write",
        None,
        None,
        "writes again",
        None,
    ]
    assert bench.committer.stats.failures == 3


def test_what_could_not_be_written_comes_first_when_it_can(bench):
    """Records that wait keep their place before those that come later."""
    bench.system.fail("write", errno.ENOSPC, times=2)
    bench.put("a")
    bench.committer.commit()
    bench.put("b")
    bench.committer.commit()
    bench.put("c")
    bench.committer.commit()

    assert bench.lines() == ["a", "b", "c"]
    assert bench.committer.stats == RecorderStats(accepted=3, written=3, failures=2)


def test_what_is_kept_takes_room(bench):
    """Records that could not be written count against the queue's bound until they are."""
    bench.system.fail("write", errno.ENOSPC)
    bench.put("a", "b")
    bench.committer.commit()
    limits = [bench.queue.limit]
    bench.committer.commit()
    limits.append(bench.queue.limit)

    assert limits == [bench.options.queue_size - 2, bench.options.queue_size]


def test_a_turn_with_something_kept_has_work(bench):
    """The thread comes back by itself for what it keeps, and only as long as it keeps it."""
    bench.system.fail("write", errno.ENOSPC)
    bench.put("a")
    bench.committer.commit()
    before = bench.committer.has_work, bench.committer.is_empty
    bench.committer.commit()

    assert before == (True, False)
    assert (bench.committer.has_work, bench.committer.is_empty) == (False, True)


def test_the_pauses_between_tries_grow_to_a_second(bench, monkeypatch):
    """Pauses grow from short ones to a second; a new fault starts from the first pause."""
    monkeypatch.setattr("rolloutlog._writing.commit.monotonic", lambda: 1_000.0)
    bench.system.fail("write", errno.EIO, times=7)
    bench.put("a")
    pauses = []
    for _ in range(7):
        bench.committer.commit()
        pauses.append(bench.committer.retry_at - 1_000)
    bench.committer.commit()
    bench.system.fail("write", errno.EIO)
    bench.put("b")
    bench.committer.commit()
    pauses.append(bench.committer.retry_at - 1_000)

    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 0.05])


def test_no_memory_is_an_error_like_any_other(bench):
    """Records are kept when there is no memory to write them."""
    bench.system.fail("write", MemoryError())
    bench.put("a")
    ack = bench.flush()
    bench.committer.commit()

    assert ack.error.errno == errno.ENOMEM
    assert bench.lines() == ["a"]


def test_the_error_of_a_write_holds_no_frames(bench):
    """It is kept until lines are written again; its frames would keep the acks of the commit, and all who wait."""
    bench.system.fail("write", errno.ENOSPC)
    bench.put("a")
    bench.committer.commit()

    assert bench.committer.error.errno == errno.ENOSPC
    assert bench.committer.error.__traceback__ is None


def test_an_unexpected_exception_comes_through(bench):
    """An error that comes neither from the system nor from a lack of memory is raised."""
    bench.system.fail("write", ZeroDivisionError())
    bench.put("a")

    with pytest.raises(ZeroDivisionError):
        bench.committer.commit()


def test_giving_up_answers_everybody(bench):
    """Each ack that was claimed or waits gets the failure; records are pending for ever; what was answered stays."""
    answered = bench.flush()
    bench.committer.commit()
    bench.system.fail("write", ZeroDivisionError())
    bench.put("a", [], "b", Batch([b"c\nd\n"], 2))
    flushes = [bench.flush(), bench.flush()]
    bench.put(Gap(1), Filtered(1))
    flushes.append(bench.flush())
    bench.shut_down()
    with pytest.raises(ZeroDivisionError) as caught:
        bench.committer.commit()
    failure = caught.value
    bench.committer.fail_all(failure)

    assert failure.__traceback__ is None
    assert [ack.error for ack in (*flushes, bench.end)] == [failure] * 4
    assert all(ack.is_set() for ack in (*flushes, bench.end))
    assert answered.error is None
    assert bench.counts() == (4, 0, 4, 0)


class Accounts(RuleBasedStateMachine):
    """A turn on a failing system; the model is what was put, and how much of it was dropped."""

    @initialize(fsync=st.sampled_from(["never", "flush", "always"]))
    def begin(self, fsync: str) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.bench = Bench(Path(self.folder.name) / "file", fsync=fsync)
        self.numbers = count()
        self.records: list[str] = []
        self.dropped = 0

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.bench.system.heal()
        self.flush()
        lines = self.bench.lines()
        gaps = [int(line.split()[0]) for line in lines if line.endswith("dropped")]
        self.bench.journal.close()
        self.folder.cleanup()
        assert [line for line in lines if line.isdecimal()] == self.records
        assert sum(gaps) == self.dropped
        assert self.bench.counts() == (len(lines) + self.dropped, len(lines), 0, self.dropped)

    @rule(number=st.integers(1, 3))
    def record(self, number: int) -> None:
        lines = [str(next(self.numbers)) for _ in range(number)]
        self.records += lines
        text = "".join(f"{line}\n" for line in lines).encode()
        self.bench.put([text] if number == 1 else Batch([text], number))

    @rule(number=st.integers(1, 3))
    def drop(self, number: int) -> None:
        self.bench.put(Gap(number))
        self.dropped += number

    @rule(call=st.sampled_from(["write", "fsync", "ftruncate"]), times=st.sampled_from([1, 2, None]))
    def fail(self, call: str, times: int | None) -> None:
        self.bench.system.fail(call, errno.ENOSPC, times=times)

    @rule()
    def heal(self) -> None:
        self.bench.system.heal()

    @rule()
    def flush(self) -> None:
        ack = self.bench.flush()
        self.bench.committer.commit()
        accepted, written, pending, dropped = self.bench.counts()
        assert ack.is_set()
        assert accepted == written + pending + dropped
        assert dropped == self.dropped
        assert (pending > 0) == (self.bench.committer.stats.error is not None)


test_at_each_barrier_what_was_accepted_is_written_pending_or_dropped = Accounts.TestCase
test_at_each_barrier_what_was_accepted_is_written_pending_or_dropped.settings = settings(
    max_examples=60, stateful_step_count=25
)


# -- syncing at a flush ------------------------------------------------------------------------------------------------


def test_a_flush_syncs_what_came_before(make):
    """With fsync="flush", what a barrier answers for survives a power cut; nothing else needs to."""
    bench = make(fsync="flush")
    bench.put("a")
    ack = bench.flush()
    bench.committer.commit()

    assert ack.is_set()
    assert bench.system.after_power_cut(bench.path) == HEADER + b"a\n"


def test_without_a_flush_nothing_is_synced(make):
    """With fsync="flush", writing alone calls no fsync, and a flush of nothing neither."""
    bench = make(fsync="flush")
    bench.flush()
    bench.put("a")
    bench.system.calls.clear()
    bench.committer.commit()

    assert "fsync" not in bench.system.calls


def test_a_failed_sync_counts_as_unwritten(make):
    """The ack has the error, and the records are pending again."""
    bench = make(fsync="flush")
    bench.put("a", "b")
    bench.committer.commit()
    bench.system.fail("fsync", errno.EIO)
    ack = bench.flush()
    bench.committer.commit()
    bench.put("c")

    assert ack.error.unwritten == 2
    assert bench.system.hits == ["fsync"]


def test_what_a_sync_failed_on_is_written_again(make):
    """A failed fsync is not repeated: the lines are cut off, written again and synced, and survive then."""
    bench = make(fsync="flush")
    bench.put("a", "b")
    bench.committer.commit()
    bench.system.fail("fsync", errno.EIO)
    first = bench.flush()
    bench.committer.commit()
    bench.put("c")
    second = bench.flush()
    bench.committer.commit()

    assert isinstance(first.error, WriteError)
    assert second.error is None
    assert bench.system.after_power_cut(bench.path) == HEADER + b"a\nb\nc\n"
    assert bench.counts() == (3, 3, 0, 0)


def test_a_recovery_from_a_failed_sync_is_synced(make):
    """Only a sync shows that the disk is well again: until then the error remains."""
    bench = make(fsync="flush")
    bench.system.fail("fsync", errno.EIO, times=4)  # at the barrier, at the end of that turn, in the next two
    bench.put("a")
    bench.flush()
    errors = []
    for _ in range(4):
        bench.committer.commit()
        errors.append(bench.committer.stats.error is not None)

    assert errors == [True, True, True, False]
    assert bench.system.after_power_cut(bench.path) == HEADER + b"a\n"
    assert bench.committer.stats.failures == 4


def test_a_shutdown_syncs(make):
    """Before the end, what was written is synced; if that fails, it is not the end."""
    bench = make(fsync="flush")
    bench.system.fail("fsync", errno.EIO, times=2)
    bench.put("a")
    bench.shut_down()
    bench.committer.commit()
    before = bench.committer.is_empty
    bench.committer.commit()

    assert not before
    assert bench.committer.is_empty
    assert bench.system.after_power_cut(bench.path) == HEADER + b"a\n"


@pytest.mark.parametrize("failed_syncs", [0, 1])
def test_a_file_that_cannot_be_unlocked_is_not_left_unsynced(make, failed_syncs):
    """Closing it is what unlocks it then, and the flush that comes later finds another descriptor."""
    bench = make(fsync="flush", shared=True)
    bench.system.fail("unlock", errno.EIO)
    bench.system.fail("fsync", errno.EIO, times=failed_syncs)
    bench.put("a")
    bench.committer.commit()
    bench.system.heal()
    ack = bench.flush()
    bench.committer.commit()
    bench.committer.commit()

    assert ack.is_set()
    assert (ack.error is None) == (failed_syncs == 0)
    assert b"a\n" in bench.system.after_power_cut(bench.path)
    assert bench.committer.stats.error is None


def test_what_could_not_be_synced_in_a_file_that_was_renamed_is_in_the_next(make):
    """A flush says yes only when each line is on the medium somewhere."""
    bench = make(fsync="flush")
    bench.put("a")
    bench.committer.commit()
    bench.path.rename(bench.path.with_suffix(".1"))
    bench.system.fail("fsync", errno.EIO)
    bench.put("b")
    bench.committer.commit()
    ack = bench.flush()
    bench.committer.commit()
    bench.committer.commit()

    assert isinstance(ack.error, WriteError)
    assert bench.system.after_power_cut(bench.path) == HEADER + b"a\nb\n"
    assert bench.committer.stats.error is None


def test_four_megabytes_are_synced_without_being_asked(make):
    """The lines that are kept in memory until they are synced are bounded."""
    bench = make(fsync="flush")
    for _ in range(4):
        bench.put("x" * 1024 * 1024)
    bench.committer.commit()

    assert b"\0" not in bench.system.after_power_cut(bench.path)
    assert not bench.committer._unsynced


def test_four_megabytes_of_several_commits_are_synced_without_being_asked(make):
    """Lines of earlier commits count as well: the fourth commit reaches the bound."""
    bench = make(fsync="flush")
    unsynced = []
    for _ in range(4):
        bench.put("x" * 1024 * 1024)
        bench.committer.commit()
        unsynced.append(len(bench.committer._unsynced))

    assert unsynced == [1, 2, 3, 0]


# -- gaps --------------------------------------------------------------------------------------------------------------


def test_a_gap_stands_where_the_records_are_missing(bench):
    """The line that says how many were dropped is between the records before and after them, and is counted itself."""
    bench.put("a", Gap(3), "b")
    bench.committer.commit()

    assert bench.lines() == ["a", "3 dropped", "b"]
    assert bench.counts() == (6, 3, 0, 3)


def test_a_gap_collects_what_is_dropped_until_it_is_claimed(bench):
    """All that was dropped at one place is one line."""
    gap = Gap(1)
    gap.counts += [1, 2]
    bench.put("a", gap)
    bench.committer.commit()

    assert bench.lines() == ["a", "4 dropped"]
    assert not gap.claim
    assert not gap.counts


def test_a_gap_of_nothing_is_no_line(bench):
    """If all its drops were counted elsewhere, nothing is written."""
    gap = Gap(1)
    gap.counts.clear()
    bench.put(gap)
    bench.committer.commit()

    assert bench.lines() == []
    assert bench.counts() == (0, 0, 0, 0)


def test_gaps_that_wait_behind_each_other_are_one(bench):
    """While nothing can be written, one line counts on, or it would be lines that fill the memory."""
    bench.system.fail("write", errno.ENOSPC, times=3)
    bench.put("a", Gap(1))
    bench.committer.commit()
    bench.put(Gap(2))
    bench.committer.commit()
    bench.put(Gap(4))
    bench.committer.commit()
    pending = bench.counts()
    bench.put("b", Gap(8))
    bench.committer.commit()

    assert pending == (9, 0, 2, 7)
    assert bench.lines() == ["a", "7 dropped", "b", "8 dropped"]
    assert bench.counts() == (19, 4, 0, 15)


def test_a_gap_of_which_a_part_is_in_the_file_is_joined_with_the_next(bench):
    """The part is cut off before the line that counts both is written."""
    bench.put("a", Gap(1))
    bench.system.write_short(5)
    bench.system.fail("write", errno.ENOSPC, nth=2)
    bench.system.fail("ftruncate", errno.EIO)
    bench.committer.commit()
    bench.put(Gap(2))
    bench.committer.commit()

    assert bench.lines() == ["a", "3 dropped"]
    assert bench.counts() == (5, 2, 0, 3)


def is_unlocked(path: Path) -> bool:
    """Return whether another process gets the lock of the file."""
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


# -- interrupts, which callers that write inline may get ---------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"fsync": "flush"}, {"fsync": "always"}, {"shared": True}], ids=str)
def test_an_interrupt_at_any_step_of_a_turn_loses_nothing(make, options):
    """Wherever a Ctrl-C hits a turn, the next one ends what it began: every line once, in order, every ack answered."""
    for step in count(1):
        bench = make(**options)
        bench.put("a", "b")
        acks = [bench.flush()]
        bench.put(Batch([b"c\nd\n"], 2), "e")
        acks.append(bench.flush())
        bench.put("f")
        bench.shut_down()
        came_so_far = interrupted(step, bench.committer.commit)
        assert not bench.options.shared or is_unlocked(bench.path), step
        acks.append(bench.flush())
        bench.committer.commit()

        assert bench.lines() == ["a", "b", "c", "d", "e", "f"], step
        assert all(ack.is_set() and ack.error is None for ack in acks), step
        assert bench.committer.closing
        assert bench.committer.is_empty
        if not came_so_far:
            break
