"""The groups of jobs of each table, at one of two sizes, and the files that they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import reading, starting, variants, workloads
from benchmarks.reading import ENVELOPE, READERS
from benchmarks.rounds import Group, Job, child
from benchmarks.variants import FEW, VARIANTS
from benchmarks.workloads import SDK, SDK_CALL, SDK_LARGE, SDK_MESSAGE
from benchmarks.writing import AT_ONCE, BURSTS, SATURATED

# These are read at several sizes: the one keeps everything, the other nothing.
_GROWING = (reading.LOAD, reading.ITERATE)


@dataclass(frozen=True)
class Scene:
    """A workload, how it is written, by how many threads in turn, and by which variants (`None`: all)."""

    workload: str
    pacing: str
    threads: tuple[int, ...] = (1,)
    variants: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """Its name in the progress."""
        return f"writing, {self.workload}, {self.pacing}, threads {', '.join(map(str, self.threads))}"


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        scenes: the workloads to write, and how.
        rounds: how often.
        fewer_rounds: how often, where it takes long: many threads, and large files.
        starts: how often, where it takes a moment.
        seconds: how long one run of writing produces.
        read: the size of the files that all readers read, in megabytes, by workload.
        grown: the further sizes that a few readers read, by workload.
        sessions: how many sessions there are to list, and to open one of.
    """

    scenes: tuple[Scene, ...]
    rounds: int
    fewer_rounds: int
    starts: int
    seconds: float
    read: dict[str, int]
    grown: dict[str, tuple[int, ...]]
    sessions: int


_SCENES = (
    Scene(SDK, AT_ONCE),
    Scene(SDK, SATURATED),
    Scene(SDK, BURSTS),
    *(Scene(workload, pacing, (1,), FEW) for workload in (SDK_MESSAGE, SDK_CALL) for pacing in (AT_ONCE, SATURATED)),
    Scene(SDK_LARGE, SATURATED, (1,), FEW),
    Scene("small", AT_ONCE, (1,), FEW),
    *(Scene(workload, pacing) for workload in ("small", "mix", "big") for pacing in (SATURATED, BURSTS)),
    # Threads apart from those with one, because their group has fewer rounds.
    *(Scene(workload, SATURATED, (4, 16)) for workload in ("small", "mix")),
    *(Scene(workload, BURSTS, (4,)) for workload in ("small", "mix")),
    Scene("big", SATURATED, (4,)),
)
_FEW_SCENES = (
    Scene(SDK, AT_ONCE, (1,), FEW),
    Scene(SDK_MESSAGE, AT_ONCE, (1,), FEW),
    Scene("small", SATURATED, (1, 4)),
    Scene("mix", BURSTS, (1,), FEW),
    Scene("big", SATURATED, (1,), FEW),
)

FULL = Size(
    _SCENES,
    rounds=5,
    fewer_rounds=3,
    starts=15,
    seconds=0.15,
    read={SDK: 50, SDK_LARGE: 50, ENVELOPE: 100, "small": 100, "mix": 100},
    grown={"small": (1, 10, 1_000), "mix": (1, 10, 1_000)},
    sessions=100_000,
)
SMALL = Size(
    _FEW_SCENES,
    rounds=1,
    fewer_rounds=1,
    starts=1,
    seconds=0.02,
    read={SDK: 1, ENVELOPE: 1, "mix": 1},
    grown={"mix": (2,)},
    sessions=400,
)

# From this size on a file is read in fewer rounds.
_LARGE = 1_000


@dataclass(frozen=True)
class Plan:
    """Makes the groups of each table; files go to *folder*, and notes on what cannot be measured to *absent*."""

    size: Size
    folder: Path
    absent: list[str]

    def groups(self, table: str) -> Iterator[Group]:
        """Yield the groups of jobs of *table*, after their files have been made."""
        yield from {"writing": self._writing, "reading": self._reading, "starting": self._starting}[table]()

    def _has(self, name: str, missing: list[str]) -> bool:
        """Return whether nothing is missing; else note that *name* is absent, and why."""
        note = f"{name} (without {', '.join(missing)})"
        if missing and note not in self.absent:
            self.absent.append(note)
        return not missing

    def _stored(self, workload: str) -> bool:
        """Return whether the workload can be made; then it is stored."""
        if not self._has(workload, workloads.missing(workload)):
            return False
        workloads.store(self.folder, workload)
        return True

    def _writing(self) -> Iterator[Group]:
        here = [known for known in VARIANTS if self._has(known.name, known.missing)]
        size, folder = self.size, str(self.folder)
        for at in size.scenes:
            if not self._stored(at.workload):
                continue
            asked = {"workload": at.workload, "pacing": at.pacing, "threads": at.threads, "seconds": size.seconds}
            jobs = tuple(
                child("writing", known.name, **asked, folder=folder) for known in here if _takes_part(known, at)
            )
            yield Group(at.name, jobs, size.rounds if 1 in at.threads else size.fewer_rounds)

    def _reading(self) -> Iterator[Group]:
        here = [known for known in READERS if self._has(known.name, known.missing)]
        for workload, usual in self.size.read.items():
            if workload != ENVELOPE and not self._stored(workload):
                continue
            for megabytes in sorted({usual, *self.size.grown.get(workload, ())}):
                path = self.folder / f"{workload}-{megabytes}.jsonl"
                if workload == ENVELOPE:
                    workloads.write_envelope(path, megabytes * 1_000_000)
                else:
                    workloads.write_session(self.folder, workload, path, megabytes * 1_000_000)
                asked = {"workload": workload, "megabytes": megabytes, "path": str(path)}
                jobs = tuple(
                    child("reading", known.name, **asked)
                    for known in here
                    if (megabytes == usual or known.name in _GROWING) and (known.envelope or workload != ENVELOPE)
                )
                rounds = self.size.fewer_rounds if megabytes >= _LARGE else self.size.rounds
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
        for shape in (*starting.SHAPES, starting.TEN):
            home = self.folder / shape
            few = shape == starting.TEN
            starting.fill(home, starting.FEW if few else self.size.sessions, shape)
            names = (starting.OPEN,) if few else (starting.FIND, starting.WALK, starting.OPEN)
            jobs = tuple(child("starting", name, home=str(home), shape=shape) for name in names)
            yield Group(f"newest {starting.WANTED} and opening, {shape}", jobs, self.size.rounds)


def _takes_part(variant: variants.Variant, at: Scene) -> bool:
    """Return whether the variant is among those of the scene, and can take its records from so many threads."""
    chosen = at.variants is None or variant.name in at.variants
    return chosen and workloads.has(at.workload, variant.form) and min(at.threads) <= variant.most_threads
