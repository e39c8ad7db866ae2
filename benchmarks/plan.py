"""What is measured, at which size: the groups of jobs of each table, and what they need on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import reading, starting, workloads, writing
from benchmarks.reading import READERS
from benchmarks.rounds import Group, Job, child
from benchmarks.variants import VARIANTS

_READ = ("mix", "small")
# What is looked at as it grows: to keep everything, and to keep nothing.
_GROWING = (reading.LOAD, reading.ITERATE)


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        scenes: what is written, and how.
        rounds: how often.
        starts: how often, where it takes a moment only.
        seconds: how long one run of writing produces.
        threads: how many threads write.
        megabytes: the size of the file that all readers read.
        grown: the further sizes that ours read.
        sessions: how many sessions there are to list.
    """

    scenes: tuple[tuple[str, str], ...]
    rounds: int
    starts: int
    seconds: float
    threads: tuple[int, ...]
    megabytes: int
    grown: tuple[int, ...]
    sessions: int


_ALL = tuple((workload, pacing) for workload in workloads.NAMES for pacing in (writing.SATURATED, writing.BURSTS))
_FEW = (("small", writing.SATURATED), ("mix", writing.BURSTS), ("big", writing.SATURATED))

FULL = Size(_ALL, 5, 15, 0.25, (1, 4, 16), 100, (1, 10, 1_000), 100_000)
SMALL = Size(_FEW, 1, 1, 0.02, (1, 4), 2, (1,), 400)

# From this size on a file is read in three rounds, for they take most of the time.
_LARGE = 1_000
_LARGE_ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """Makes the groups of each table; *folder* is where files go, *absent* is told what cannot be measured."""

    size: Size
    folder: Path
    absent: list[str]

    def groups(self, table: str) -> Iterator[Group]:
        """Yield the groups of jobs of *table*, after their files have been made."""
        yield from {"writing": self._writing, "reading": self._reading, "starting": self._starting}[table]()

    def _has(self, name: str, missing: list[str]) -> bool:
        """Return whether nothing is missing; else note that *name* is absent, and why."""
        note = f"{name} ({', '.join(missing)} not installed)"
        if missing and note not in self.absent:
            self.absent.append(note)
        return not missing

    def _writing(self) -> Iterator[Group]:
        here = [known.name for known in VARIANTS if self._has(known.name, known.missing)]
        size, folder = self.size, str(self.folder)
        for workload, pacing in size.scenes:
            asked = {"workload": workload, "pacing": pacing, "threads": size.threads, "seconds": size.seconds}
            jobs = tuple(child("writing", name, **asked, folder=folder) for name in here)
            yield Group(f"writing, {workload}, {pacing}", jobs, size.rounds)

    def _reading(self) -> Iterator[Group]:
        here = [known.name for known in READERS if self._has(known.name, known.missing)]
        for workload in _READ:
            for megabytes in sorted({self.size.megabytes, *self.size.grown}):
                path = self.folder / f"{workload}-{megabytes}.jsonl"
                workloads.write_session(path, workload, megabytes * 1_000_000)
                names = here if megabytes == self.size.megabytes else _GROWING
                asked = {"workload": workload, "megabytes": megabytes, "path": str(path)}
                jobs = tuple(child("reading", name, **asked) for name in names)
                rounds = min(_LARGE_ROUNDS, self.size.rounds) if megabytes >= _LARGE else self.size.rounds
                yield Group(f"reading, {workload}, {megabytes} MB", jobs, rounds)

    def _starting(self) -> Iterator[Group]:
        imports = tuple(
            Job(name, starting.command(starting.IMPORT, code))
            for name, (code, needs) in starting.IMPORTS.items()
            if self._has(name, starting.missing(needs))
        )
        yield Group("import", imports, self.size.starts)
        firsts = tuple(
            Job(name, starting.command(starting.FIRST, code.format(folder=str(self.folder))))
            for name, (code, needs) in starting.FIRST_RECORDS.items()
            if self._has(name, starting.missing(needs))
        )
        yield Group("first record", firsts, self.size.starts)
        for shape in starting.SHAPES:
            home = self.folder / shape
            starting.fill(home, self.size.sessions, shape)
            both = (starting.FIND, starting.WALK)
            jobs = tuple(child("starting", name, home=str(home), shape=shape) for name in both)
            yield Group(f"newest {starting.WANTED}, {shape}", jobs, self.size.rounds)
