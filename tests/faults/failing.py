"""Failing calls: each call of the journal fails in turn; it is reported at once, and each record is there once."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from rolloutlog import RolloutRecorder
from rolloutlog.exceptions import RolloutError, WriteError

from . import checker
from .fakes import ERRNOS, SHORT, ZERO, FakeSystem, Fault
from .harness import Report, Skip, fork, reap, row, scratch, until
from .seam import heard, one_turn, open_recorder, path_in

MODES: tuple[dict[str, object], ...] = (
    {"fsync": "never"},
    {"fsync": "flush"},
    {"fsync": "always"},
    {"fsync": "never", "shared": True},
    {"fsync": "always", "shared": True},
)
LARGE = 70_000


@attrs.define
class Script:
    """A recorder that is used step by step, so that each run makes the same calls."""

    home: Path
    system: FakeSystem
    recorder: RolloutRecorder
    recorded: int = 0
    first: int = 0  # the record that the file at the path begins with
    torn: int = 0  # torn lines of other programs
    failed: WriteError | None = None

    def steps(self, *, delete: bool) -> Iterator[Callable[[], None]]:
        """Yield the steps, in order; they make every kind of call that a journal makes."""
        yield lambda: self.record(5)
        yield self.burst
        yield self.flush
        if not delete:
            yield self.tear
        yield lambda: self.record(20)
        yield self.flush
        yield lambda: self.record(30, 30)
        yield self.flush

    def record(self, *sizes: int) -> None:
        """Record as many messages in one call."""
        messages = [checker.message("main", self.recorded + index, size) for index, size in enumerate(sizes)]
        self.recorded += len(messages)
        self.recorder.record(*messages)

    def burst(self) -> None:
        """Record several messages, small and large, that are written in one append."""
        with one_turn(self.recorder):
            for size in (5, 5, LARGE, 5, LARGE):
                self.record(size)

    def flush(self) -> None:
        """Flush, and keep the error."""
        try:
            self.recorder.flush(timeout=10)
        except WriteError as error:
            self.failed = error

    def tear(self) -> None:
        """Leave a torn line at the end, as a killed program does."""
        if self.recorder.stats.pending or not path_in(self.home).exists():
            return  # the torn line would not be the last one
        with open(path_in(self.home), "ab") as file:
            file.write(checker.line("other", 0, 50)[:100])
        self.torn += 1

    def found(self) -> checker.Found:
        """Return what is in the file now."""
        return checker.read(path_in(self.home))

    def complete(self) -> bool:
        """Return whether all records are in the file now, each on a whole line, and in order."""
        return self.found().numbers.get("main", []) == list(range(self.first, self.recorded))


def begun(home: Path, system: FakeSystem, options: dict[str, object], *, delete: bool) -> Script:
    """Return a script that has recorded something already; its file is deleted if *delete*."""
    script = Script(home, system, open_recorder(home, system, inline=True, **options))
    script.record(5, 5)
    script.flush()
    if delete:
        path_in(home).unlink()
        script.first = script.recorded
    return script


def counted(options: dict[str, object], *, delete: bool) -> dict[str, int]:
    """Return how often the script makes each call when nothing fails."""
    with scratch("/dev/shm") as home:
        system = FakeSystem(most_pieces=2)
        script = begun(home, system, options, delete=delete)
        system.arm()
        for step in script.steps(delete=delete):
            step()
        calls = dict(system.counts)
        script.recorder.close()
    return calls


def each_fault(calls: dict[str, int]) -> Iterator[tuple[Fault, ...]]:
    """Yield every fault at every call, once and for good, and short writes with the faults that can follow."""
    for call, count in calls.items():
        for at in range(1, count + 1):
            for how in ERRNOS:
                yield (Fault(call, at, how),)
                yield (Fault(call, at, how, forever=True),)
    for at in range(1, calls["write"] + 1):
        yield (Fault("write", at, SHORT),)
        yield (Fault("write", at, SHORT, forever=True),)
        yield (Fault("write", at, ZERO),)
        for how in ERRNOS:
            torn = (Fault("write", at, SHORT), Fault("write", at + 1, how, forever=True))
            yield torn
            for cut in ("ftruncate", "lseek", "fstat", "pread"):
                for behind in range(1, 4):
                    yield (*torn, Fault(cut, behind, errno.EIO))
                yield (*torn, Fault(cut, 1, errno.EIO, forever=True))
    yield from sync_faults(calls)


def sync_faults(calls: dict[str, int]) -> Iterator[tuple[Fault, ...]]:
    """Yield every failing sync together with a failing cut, and with a write that failed before."""
    for at in range(1, calls.get("fsync", 0) + 1):
        for cut in ("ftruncate", "fstat"):
            for forever in (False, True):
                yield (Fault("fsync", at, errno.EIO), Fault(cut, 1, errno.EIO, forever))
                yield (
                    Fault("write", at, SHORT),
                    Fault("write", at + 1, errno.EIO),
                    Fault(cut, 1, errno.EIO, forever),
                    Fault("fsync", at, errno.EIO),
                )


def suffer(report: Report, options: dict[str, object], faults: tuple[Fault, ...], *, delete: bool) -> None:
    """Run the script under *faults*: heal two steps after they hit, and look at the file after each step."""
    where = f"{options}{', file deleted' if delete else ''}, {' + '.join(map(str, faults))}"
    system = FakeSystem(most_pieces=2)
    with scratch("/dev/shm") as home, heard() as said:
        script = begun(home, system, options, delete=delete)
        system.arm(*faults)
        steps_left = 2
        for number, step in enumerate(script.steps(delete=delete)):
            script.failed = None
            try:
                step()
            except RolloutError as error:
                report.expect(False, f"{where}: step {number} raised {error!r}")
            error = script.recorder.stats.error
            complete = script.complete()
            report.expect(complete or error is not None, f"{where}: step {number}: not on disk, and no error")
            if step == script.flush and script.failed is None:
                report.expect(complete, f"{where}: step {number}: flush says all is well, and not all is on disk")
            report.expect(complete or said, f"{where}: step {number}: not on disk, and the logger was not told")
            if script.failed is not None:
                report.expect(script.failed.unwritten > 0, f"{where}: step {number}: an error about nothing")
                failures = script.recorder.stats.failures
                report.expect(failures > 0, f"{where}: step {number}: the ack failed, stats say nothing")
            if system.hits:
                steps_left -= 1
            if steps_left == 0:
                system.heal()
        system.heal()
        script.failed = None
        script.flush()
        report.expect(script.failed is None, f"{where}: healed, and flush still says {script.failed}")
        ended(report, script, where)
        report.count("faults that hit", bool(system.hits))
    report.trial()


def ended(report: Report, script: Script, where: str) -> None:
    """Close the recorder of *script*, and expect everything on disk, once, in order."""
    try:
        script.recorder.close(timeout=10)
    except (RolloutError, TimeoutError) as error:
        report.expect(False, f"{where}: close raised {error!r}")
    script.system.lose_dropped_pages(path_in(script.home))
    first = {"main": script.first}
    found = script.found()
    acked = {"main": script.recorded}
    report.expect_none(checker.problems(found, acked, torn=script.torn, first=first), where)
    report.expect(not found.tail, f"{where}: the file ends in a torn line")
    stats = script.recorder.stats
    report.expect(stats.accepted == stats.written == script.recorded, f"{where}: {stats}")
    report.expect(stats.pending == 0 and stats.error is None, f"{where}: {stats}")


@row(
    "failing.each_call",
    "each call fails with each errno: reported, then written",
    quick=200,
    full=20_000,
    long=10**6,
)
def each_call(report: Report, size: int, dice: random.Random) -> None:
    """Every call of the journal fails, at every place, once and for good; the long size tries all of them."""
    trials = []
    for options in MODES:
        for delete in (False, True):
            calls = counted(options, delete=delete)
            trials += [(options, faults, delete) for faults in each_fault(calls)]
    report.count("different faults", len(trials))
    if size < len(trials):  # each call in its turn: there are many more faults of some than of others
        by_call = [
            [each for each in trials if each[1][0].call == call]
            for call in sorted({each[1][0].call for each in trials})
        ]
        trials = [dice.choice(by_call[number % len(by_call)]) for number in range(size)]
    for options, faults, delete in trials:
        suffer(report, options, faults, delete=delete)


@row("failing.sync", "a sync and the cut after it fail: all is written again", quick=60, full=1_000, long=1_000)
def sync(report: Report, size: int, dice: random.Random) -> None:
    """A failed sync drops the pages, and the next one succeeds: the lines must be written again."""
    trials = [(options, faults) for options in MODES for faults in sync_faults(counted(options, delete=False))]
    for options, faults in trials if size >= len(trials) else dice.sample(trials, size):
        suffer(report, options, faults, delete=False)


@row("failing.create", "a create that fails raises and leaves nothing", quick=60, full=5_000, long=5_000)
def create(report: Report, size: int, dice: random.Random) -> None:
    """Every call that creating a session makes fails with every errno; then the same session is created."""
    trials = []
    for options in MODES:
        with scratch("/dev/shm") as home:
            system = FakeSystem(most_pieces=2)
            open_recorder(home / "home", system, **options).close()
        trials += [(options, faults) for faults in each_fault(dict(system.counts)) if len(faults) == 1]
    if size < len(trials):
        trials = dice.sample(trials, size)
    for options, faults in trials:
        with scratch("/dev/shm") as scratched:
            home = scratched / "home"
            where = f"{options}, {faults[0]}"
            system = FakeSystem(most_pieces=2)
            system.arm(*faults)
            try:
                recorder = open_recorder(home, system, **options)
            except OSError:
                left = [each.name for each in home.rglob("*") if not each.is_dir()]
                # A file that cannot be unlinked stays, but hidden: no listing of sessions shows it.
                if not (faults[0].call == "unlink" and faults[0].forever):
                    report.expect(not left, f"{where}: create failed and left {left}")
                system.heal()
                recorder = open_recorder(home, system, **options)
            else:
                system.heal()
            recorder.record(checker.message("main", 0))
            recorder.close(timeout=10)
            report.expect_none(checker.problems(checker.read(path_in(home)), {"main": 1}), where)
            report.trial()


@row("failing.thread", "with the real thread: flush raises, then writes by itself", quick=8, full=200, long=1_000)
def thread(report: Report, size: int, dice: random.Random) -> None:
    """A call fails for good in the writer's thread; after the fault the test only waits."""
    for _ in range(size):
        options = dict(dice.choice(MODES))
        call = dice.choice(["write", "fstat", "lseek", *(["fsync"] if options["fsync"] != "never" else [])])
        faults = (Fault(call, 1, dice.choice(ERRNOS[:-1]), forever=True),)
        where = f"{options}, {faults[0]}"
        system = FakeSystem(most_pieces=2)
        with scratch("/dev/shm") as home, heard() as said:
            script = Script(home, system, open_recorder(home, system, **options))
            system.arm(*faults)
            script.record(*(dice.randrange(200) for _ in range(dice.randrange(1, 40))))
            script.flush()
            report.expect(script.failed is not None, f"{where}: flush did not raise")
            cause = script.failed.__cause__ if script.failed else None
            report.expect(
                isinstance(cause, OSError) and cause.errno == faults[0].how, f"{where}: flush raised with {cause!r}"
            )
            report.expect(until(lambda said=said: said), f"{where}: the logger was not told")
            system.heal()
            if options["fsync"] != "flush" or call != "fsync":
                report.expect(until(script.complete), f"{where}: not healed by itself")
            script.failed = None
            script.flush()
            report.expect(script.failed is None, f"{where}: healed, and flush says {script.failed}")
            ended(report, script, where)
        report.trial()


def _fill_and_heal(report: Report, home: Path, make_room: Callable[[], None], expected: int, size: int) -> None:
    """Record until the system refuses, make room, and expect all records on disk."""
    system = FakeSystem(most_pieces=2)  # no planned faults: the real calls fail
    script = Script(home, system, open_recorder(home, system, queue_size=size + 10))
    for _ in range(size):
        script.record(100)
    script.flush()
    cause = script.failed.__cause__ if script.failed else None
    report.expect(isinstance(cause, OSError) and cause.errno == expected, f"flush on a full disk raised {cause!r}")

    def is_whole() -> bool:
        """Return whether no line is torn; it may be called between a write of the writer and its cut."""
        found = script.found()
        return not found.tail and not found.bad

    report.expect(until(is_whole, 5), f"a torn line stays on the full disk: {checker.shown(script.found().tail)}")
    make_room()
    script.record(100)
    report.expect(until(script.complete), "not healed by itself within 20 s after there was room again")
    script.failed = None
    script.flush()
    report.expect(script.failed is None, f"there is room, and flush says {script.failed}")
    ended(report, script, "full disk")
    report.trial(script.recorded)


@row("failing.full_disk", "a full disk costs nothing once there is room again", quick=900, full=9_000, long=90_000)
def full_disk(report: Report, size: int, dice: random.Random) -> None:
    """The file is on a small tmpfs that another file fills."""
    if os.geteuid() != 0:
        raise Skip("mounting a small tmpfs needs root")
    with scratch() as folder, heard():
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=False)
        if mounted.returncode:
            raise Skip("tmpfs cannot be mounted here")
        try:
            filler = folder / "filler"
            filler.write_bytes(bytes(200_000))

            def make_room() -> None:
                filler.unlink()
                subprocess.run(["mount", "-o", "remount,size=64m", str(folder)], check=True)

            _fill_and_heal(report, folder / "home", make_room, errno.ENOSPC, size)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@row("failing.size_limit", "a limit on the size of files costs nothing, either", quick=900, full=9_000, long=90_000)
def size_limit(report: Report, size: int, dice: random.Random) -> None:
    """RLIMIT_FSIZE tears a write and then refuses; it needs no root."""

    def child() -> None:
        sys.dont_write_bytecode = True  # half of it would stay beside the source
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_001, hard))
        inner = Report(report.seed)
        with scratch() as home, heard():
            _fill_and_heal(
                inner, home, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)), errno.EFBIG, size
            )
        if inner.violations:
            raise AssertionError(inner.violations)

    status = reap(fork(child), 60)
    report.expect(status == 0, f"the child with the limit ended with status {status}, see above")
    report.trial(size + 1)
