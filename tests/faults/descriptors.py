"""Descriptors that other code closes, and that are another file's soon after: that file stays as it is."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

from rolloutlog import RolloutRecorder

from . import checker
from .failing import MODES, Script
from .fakes import FakeSystem, Fault
from .harness import Report, row, scratch
from .seam import heard, open_recorder, path_in

# Between the look at a descriptor and the next of the other calls, no program can look again.
_CALLS = ("lstat", "fstat", "pread", "lseek", "fsync", "lock")
_PRECIOUS = b"precious" * 1_000


def _take_over(recorder: RolloutRecorder, other: Path) -> int:
    """Close the recorder's descriptor, as daemon libraries do, and return it, open for another file; else -1."""
    fd = recorder._writer.journal._fd
    if fd < 0:
        return -1
    os.close(fd)
    given = os.open(other, os.O_RDWR)
    if given != fd:
        os.dup2(given, fd)
        os.close(given)
    return fd


@row(
    "descriptors.reused",
    "closed by other code, and another file's: that is untouched, and no line lost",
    quick=150,
    full=3_000,
    long=30_000,
)
def reused(report: Report, size: int, dice: random.Random) -> None:
    """The descriptor changes hands between batches, or just before one of our calls; a write may fail besides."""
    for trial in range(size):
        options = dict(MODES[trial % len(MODES)])
        call, at = dice.choice(_CALLS), dice.randrange(1, 6)
        faults = [Fault("write", dice.randrange(1, 4), errno.ENOSPC)] * dice.randrange(2)
        between = dice.random() < 0.3
        where = f"{options}, {'between' if between else f'before {call} #{at}'}, {' + '.join(map(str, faults))}"
        system = FakeSystem(most_pieces=2)
        with scratch("/dev/shm") as folder, heard():
            other = folder / "other"
            other.write_bytes(_PRECIOUS)
            script = Script(folder, system, open_recorder(folder, system, inline=True, **options))
            script.record(5)
            script.flush()
            taken: list[int] = []

            def take_over(script: Script = script, other: Path = other, taken: list[int] = taken) -> None:
                taken.append(_take_over(script.recorder, other))

            system.arm(*faults)
            if between:
                take_over()
            else:
                system.before(call, take_over, nth=at)
            script.burst()
            script.record(5)
            script.flush()
            system.heal()
            script.failed = None
            script.flush()
            report.expect(script.failed is None, f"{where}: healed, and flush says {script.failed}")
            script.recorder.close(timeout=10)
            report.expect(other.read_bytes() == _PRECIOUS, f"{where}: the other file was changed")
            for fd in set(taken) - {-1}:
                try:
                    os.close(fd)
                except OSError:
                    report.expect(False, f"{where}: the other file was closed")
            found = checker.read(path_in(folder))
            numbers = found.numbers["main"]
            seen = list(dict.fromkeys(numbers))
            report.expect(seen == list(range(script.recorded)), f"{where}: {numbers}")
            report.expect(found.meta is not None and not found.bad, f"{where}: {found.meta} {found.bad}")
            report.count("taken over", bool(taken))
            report.count("twice", len(numbers) - len(seen))
        report.trial()
