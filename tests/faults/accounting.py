"""Accounting: accepted = written + pending + dropped whatever happens, and the file says where records were dropped."""

from __future__ import annotations

import json
import queue
import random
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from rolloutlog import Ack, RolloutRecorder
from rolloutlog.exceptions import QueueFullError, RecorderClosedError, WriteError

from . import checker
from .fakes import ERRNOS, SHORT, ZERO, FakeSystem, Fault
from .harness import Report, row, scratch
from .seam import heard, open_recorder, path_in

CALLS = ("write", "fsync", "fstat", "lstat", "lseek", "ftruncate", "pread", "lock", "unlock")


def history(path: Path) -> list[tuple[int, int]]:
    """Return the history that the file tells: for each run of records the number expected and the number found.

    A gap entry counts for as many numbers as it says were dropped, so in a complete file both are always equal.
    """
    runs: list[tuple[int, int]] = []
    expected = 0
    for each in path.read_bytes().split(b"\n")[1:-1]:
        try:
            value = json.loads(each)
        except ValueError:
            continue  # torn by another program
        if value["type"] == "log":
            expected += value.get("extra", {}).get("dropped", 0)
            continue
        producer, number = value["content"][0]["text"].split(" ")[:2]
        if producer != "main" or int(number) < expected:
            continue  # another program's, or written twice because another program's line is after it
        if not runs or int(number) != expected:
            runs.append((expected, int(number)))
        expected = int(number) + 1
    return [*runs, (expected, expected)]


class Accounts(RuleBasedStateMachine):
    """Records, faults, drops, flushes and other programs in any order; a list of numbers is the model."""

    report: Report

    @initialize(
        fsync=st.sampled_from(["never", "flush", "always"]),
        shared=st.booleans(),
        on_full=st.sampled_from(["drop", "drop", "raise", "block"]),
        queue_size=st.integers(1, 4),
    )
    def begin(self, **options: Any) -> None:
        """Create a session on a system that can be made to fail."""
        if options["shared"] and options["fsync"] == "flush":
            options["fsync"] = "always"
        self.options = options
        self.scratch = scratch("/dev/shm")
        self.home = self.scratch.__enter__()
        self.ears = heard()
        self.ears.__enter__()
        self.system = FakeSystem(most_pieces=2)
        self.offered = 0  # records that were accepted or dropped, over all recorders on the file
        self.torn = 0
        self.strange = self.faulty = False
        self.open()
        self.report.trial()

    def open(self) -> None:
        """Open a recorder, which counts from nothing."""
        self.before = self.offered
        self.gap_lines_before = self.found().gap_lines
        self.dropped_before = self.found().gaps
        self.recorder: RolloutRecorder = open_recorder(self.home, self.system, inline=True, **self.options)

    def found(self) -> checker.Found:
        """Return what is in the file."""
        return checker.read(path_in(self.home))

    @rule(sizes=st.lists(st.sampled_from([0, 10, 70_000]), min_size=1, max_size=3))
    def record(self, sizes: list[int]) -> None:
        """Record a few at once: all of them are taken, dropped or refused."""
        messages = [checker.message("main", self.offered + index, size) for index, size in enumerate(sizes)]
        try:
            self.recorder.record(*messages, timeout=0.0)
        except QueueFullError:
            assert self.options["on_full"] != "drop", "refused, where it was to be dropped"
            return
        self.offered += len(sizes)

    @rule(call=st.sampled_from(CALLS), at=st.integers(1, 3), how=st.sampled_from(ERRNOS), forever=st.booleans())
    def break_call(self, call: str, at: int, how: int, forever: bool) -> None:
        """Let a call fail from now on, or once."""
        self.system.arm(Fault(call, at, how, forever))
        self.faulty = True

    @rule(at=st.integers(1, 2), how=st.sampled_from([SHORT, ZERO]), behind=st.sampled_from(CALLS[1:6]))
    def break_write(self, at: int, how: str, behind: str) -> None:
        """Let a write end half-way, the next fail, and the repair of that fail as well."""
        self.system.arm(Fault("write", at, how), Fault("write", at + 1, ERRNOS[0], True), Fault(behind, 2, ERRNOS[0]))
        self.faulty = True

    @rule(forever=st.booleans())
    def break_sync(self, forever: bool) -> None:
        """Record something, whose sync fails."""
        self.record([5])
        self.break_call("fsync", 1, ERRNOS[0], forever)
        self.flush()

    @rule(call=st.sampled_from(["write", "lstat"]), count=st.integers(2, 8))
    def overflow(self, call: str, count: int) -> None:
        """Nothing can be written for good, and more comes than fits into the queue."""
        self.break_call(call, 1, ERRNOS[1], True)
        for _ in range(count):
            self.record([5])

    @rule()
    def heal(self) -> None:
        """Let nothing fail any more."""
        self.system.heal()
        self.faulty = False

    @rule(torn=st.booleans())
    def somebody_else_appends(self, torn: bool) -> None:
        """A program that takes no lock appends a line, or part of one, while nothing of ours is on its way."""
        if self.recorder.stats.pending or self.found().tail:
            return
        each = checker.line("other", 0, 20)
        with path_in(self.home).open("ab") as file:
            file.write(each[:-9] if torn else each)
        self.torn += torn
        self.strange = True

    @rule()
    def flush(self) -> None:
        """At a barrier the accounts are exact, and what it says is so."""
        complaint = None
        try:
            self.recorder.flush(timeout=5)
        except WriteError as error:
            complaint = str(error)
        stats = self.recorder.stats
        assert stats.accepted == stats.written + stats.pending + stats.dropped, stats
        if complaint is not None:
            assert self.faulty, f"nothing is wrong, and flush says {complaint}"
            assert stats.failures > 0, stats
            return
        found = self.found()
        ours = len(set(found.numbers["main"]))
        assert stats.pending == 0, stats
        whose = found.tail.partition(b'"text":"')[2]
        # After a failed sync, lines with another program's after them cannot be cut off: twice is better than never.
        assert ours == len(found.numbers["main"]) or self.strange, f"twice: {found.numbers['main']}"
        assert not found.tail or whose.startswith(b"other "), "all is well, and the file ends in a torn line of ours"
        assert len(found.bad) <= self.torn, f"torn lines: {[checker.shown(each) for each in found.bad]}"
        assert ours + found.gaps == self.offered, f"{self.offered} offered; {ours} on disk, {found.gaps} owned up to"
        assert stats.dropped == found.gaps - self.dropped_before, f"{stats}, and the file says {found.gaps}"
        gap_lines = found.gap_lines - self.gap_lines_before
        assert stats.accepted == self.offered - self.before + gap_lines, (
            f"{stats}: {self.offered - self.before} offered"
        )
        assert all(said == is_there for said, is_there in history(path_in(self.home))), history(path_in(self.home))
        self.report.count("barriers")

    @precondition(lambda self: not self.faulty)
    @rule()
    def close_and_open(self) -> None:
        """End the recorder, and open the next one."""
        self.flush()
        self.recorder.close(timeout=5)
        self.open()

    def teardown(self) -> None:
        """Heal, flush and close; then show the losses that a power cut would show after failed syncs."""
        if not hasattr(self, "recorder"):
            return
        try:
            self.heal()
            self.flush()
            self.recorder.close(timeout=5)
            before = self.found()
            self.system.lose_dropped_pages(path_in(self.home))
            after = self.found()
            problem = "what a failed fsync dropped was never written again"
            # Of lines that are in the file twice, with another program's between them, a cut can take the first.
            said = set(before.numbers["main"]), set(after.numbers["main"])
            assert after == before or (self.strange and said[0] == said[1]), problem
            self.report.count("dropped", before.gaps)
            self.report.count("on disk", len(before.numbers["main"]))
        finally:
            self.recorder.shutdown()
            self.ears.__exit__(None, None, None)
            self.scratch.__exit__(None, None, None)


@row("accounting.machine", "accepted = written + pending + dropped, always", quick=60, full=2_000, long=20_000)
def machine(report: Report, size: int, dice: random.Random) -> None:
    """A state machine of records, faults, drops, barriers, closes and other programs."""

    class Seeded(Accounts):
        pass

    Seeded.report = report
    settings = hypothesis.settings(
        max_examples=size,
        stateful_step_count=30,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    hypothesis.seed(dice.randrange(10**9))(Seeded)
    try:
        run_state_machine_as_test(Seeded, settings=settings)
    except Exception as error:  # the shortest story that leads to it is at the end
        report.expect(False, "".join(traceback.format_exception(error)[-60:]))


@row("accounting.shutdown", "shutdown amid records: taken means written", quick=100, full=5_000, long=50_000)
def shutdown(report: Report, size: int, dice: random.Random) -> None:
    """Six threads record and flush while the recorder is shut down: the disk holds all accepted records, no more."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with scratch("/dev/shm") as folder:
            for trial in range(size):
                _race(report, folder / str(trial), dice.uniform(0, 0.002), f"trial {trial}")
    finally:
        sys.setswitchinterval(interval)


def _race(report: Report, home: Path, moment: float, where: str) -> None:
    recorder = RolloutRecorder.create(home)
    taken: dict[str, int] = {}
    acks: list[Ack] = []
    go = threading.Barrier(7)

    def produce(name: str) -> None:
        taken[name] = 0
        go.wait(10)
        while True:
            try:
                recorder.record(checker.message(name, taken[name]))
            except RecorderClosedError:
                return
            taken[name] += 1
            if taken[name] % 7 == 0:
                acks.append(recorder.request_flush())

    threads = [threading.Thread(target=produce, args=(f"t{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    go.wait(10)
    time.sleep(moment)
    recorder.close(timeout=20)
    for thread in threads:
        thread.join(20)
        report.expect(not thread.is_alive(), f"{where}: a producer hangs")
    found = checker.read(recorder.path)
    report.expect_none(checker.problems(found, taken, begun=taken), where)
    answered = all(ack.wait(20) for ack in acks)
    report.expect(answered, f"{where}: a flush was never answered")
    report.expect(recorder.stats.accepted == found.records, f"{where}: {recorder.stats}, on disk {found.records}")
    report.count("records", found.records)
    report.trial()


@row("accounting.acks", "nothing is acknowledged while its write has not returned", quick=2, full=20, long=200)
def acks(report: Report, size: int, dice: random.Random) -> None:
    """The writer is held in two writes, so that the second commit has records and the flush after them."""
    for trial in range(size):
        with scratch("/dev/shm") as home:
            count = dice.randrange(2, 40)
            early, found = _held_ack(home, count)
            report.expect(not early, f"trial {trial}: acknowledged while the write of it was held")
            report.expect_none(checker.problems(found, {"main": count}), f"trial {trial}")
        report.trial()


def _held_ack(home: Path, count: int) -> tuple[bool, checker.Found]:
    """Return whether a flush was answered while the write was held, and what was on disk when it was answered."""
    entered: queue.SimpleQueue[None] = queue.SimpleQueue()
    go: queue.SimpleQueue[None] = queue.SimpleQueue()

    def hold(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write":
            entered.put(None)
            go.get(timeout=20)

    system = FakeSystem(most_pieces=2)
    recorder = open_recorder(home, system)
    system.watch = hold
    recorder.record(checker.message("main", 0))
    entered.get(timeout=20)
    for number in range(1, count):
        recorder.record(checker.message("main", number))
    ack = recorder.request_flush()
    go.put(None)
    entered.get(timeout=20)
    early = ack.is_set()
    system.watch = None
    go.put(None)
    ack.result(20)
    found = checker.read(recorder.path)
    recorder.close(timeout=20)
    return early, found


@row("accounting.looks", "a record put at any moment of a shutdown: taken means written", quick=4, full=40, long=400)
def looks(report: Report, size: int, dice: random.Random) -> None:
    """A caller is held just before its put, and continues after a chosen commit of the writer that ends."""
    for trial in range(size):
        moment = trial % 4 + 1
        with scratch("/dev/shm") as home:
            outcome, path = _put_at(home, moment)
            numbers = checker.read(path).numbers["main"]
            wanted = [0] if outcome == "taken" else []
            report.expect(numbers == wanted, f"put behind turn {moment} of the end: {outcome}, and on disk {numbers}")
        report.trial()


def _put_at(home: Path, moment: int) -> tuple[str, Path]:
    """Let a caller put after the *moment*-th commit since the end was requested; return whether it got an error."""
    recorder = RolloutRecorder.create(home)
    writer = recorder._writer
    held, go, done = threading.Event(), threading.Event(), threading.Event()
    outcome, turns = [], []
    put, commit = writer._put, writer._committer.commit

    def held_put(command: Any) -> None:
        if type(command) is list:
            held.set()
            go.wait(20)
        put(command)

    def call() -> None:
        try:
            recorder.record(checker.message("main", 0))
            outcome.append("taken")
        except RecorderClosedError:
            outcome.append("refused")
        done.set()

    def watched_commit(deadline: float) -> None:
        commit(deadline)
        if writer._committer.closing:
            turns.append(None)
            if len(turns) == moment:
                go.set()
                done.wait(20)

    writer._put = held_put
    thread = threading.Thread(target=call)
    thread.start()
    held.wait(20)
    writer._committer.commit = watched_commit  # type: ignore[method-assign]
    recorder.close(timeout=20)
    go.set()
    thread.join(20)
    return outcome[0], recorder.path
