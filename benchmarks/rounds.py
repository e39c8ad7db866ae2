"""One interleaved run: each measurement in a fresh process, everything shuffled, round after round.

Two figures are compared only within one group of one round, whose processes run one after the other. A minute in which
the machine is slow is then slow for both.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

# Much longer than the slowest variant takes. One that hangs is reported, and the others still run.
_DEADLINE = 180.0


@dataclass(frozen=True)
class Job:
    """One measurement of one variant: a command that prints its measures, by scene, as JSON."""

    variant: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Jobs that are compared with each other, and the number of rounds."""

    name: str
    jobs: tuple[Job, ...]
    rounds: int


class Spread(NamedTuple):
    """The median of some figures, the least and the greatest."""

    median: float
    low: float
    high: float


class Results:
    """The figures by scene, variant, measure and round."""

    def __init__(self, figures: dict[str, dict[str, dict[str, dict[str, float]]]] | None = None) -> None:
        self.figures = figures if figures is not None else {}

    def add(self, scene: str, variant: str, number: int, measures: dict[str, float]) -> None:
        """Keep the measures of one round."""
        known = self.figures.setdefault(scene, {}).setdefault(variant, {})
        for measure, figure in measures.items():
            known.setdefault(measure, {})[str(number)] = figure

    def rounds(self, scene: str, variant: str, measure: str) -> dict[str, float]:
        """Return the figure of each round in which it was measured."""
        return self.figures.get(scene, {}).get(variant, {}).get(measure, {})

    def spread(self, scene: str, variant: str, measure: str) -> Spread | None:
        """Return the figure over all rounds, or `None` if it was not measured."""
        return _spread(self.rounds(scene, variant, measure).values())

    def ratio(self, scene: str, measure: str, variant: str, base: str) -> Spread | None:
        """Return the figure of *variant* divided by that of *base*, taken within each round."""
        ours, theirs = self.rounds(scene, variant, measure), self.rounds(scene, base, measure)
        return _spread(figure / theirs[number] for number, figure in ours.items() if theirs.get(number))

    def difference(self, scene: str, measure: str, variant: str, base: str) -> Spread | None:
        """Return the figure of *variant* minus that of *base*, taken within each round."""
        ours, theirs = self.rounds(scene, variant, measure), self.rounds(scene, base, measure)
        return _spread(figure - theirs[number] for number, figure in ours.items() if number in theirs)


def _spread(figures: Iterable[float]) -> Spread | None:
    known = list(figures)
    return Spread(statistics.median(known), min(known), max(known)) if known else None


def child(table: str, variant: str, **asked: object) -> Job:
    """Return the job that measures *variant* of a table in a process of this package."""
    spec = json.dumps({"table": table, "variant": variant, **asked})
    return Job(variant, (sys.executable, "-m", "benchmarks.child", spec))


def run(groups: Iterable[Group], results: Results, tell: Callable[[str], None]) -> list[str]:
    """Run the jobs of all *groups*, add what they measure to *results*, and return what failed.

    *tell* is called after each group of each round, and for each failure.
    """
    remaining = list(groups)
    failures: list[str] = []
    number = 0
    while remaining:
        random.shuffle(remaining)
        for group in remaining:
            begin = time.monotonic()
            for job in random.sample(group.jobs, len(group.jobs)):
                failure = _run(job, number, results)
                if failure is not None:
                    failures.append(f"{group.name}, {job.variant}, round {number + 1}: {failure}")
                    tell(failures[-1])
            tell(f"round {number + 1} of {group.rounds}: {group.name} ({time.monotonic() - begin:.0f} s)")
        number += 1
        remaining = [group for group in remaining if number < group.rounds]
    return failures


def _run(job: Job, number: int, results: Results) -> str | None:
    """Run one job; return what went wrong, or `None`."""
    try:
        done = subprocess.run(
            job.command, cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=_DEADLINE
        )
    except subprocess.TimeoutExpired:
        return f"no end after {_DEADLINE:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    for scene, measures in json.loads(done.stdout.splitlines()[-1]).items():
        results.add(scene, job.variant, number, measures)
    return None


def _environment() -> dict[str, str]:
    # Settings for debugging in a user's shell would change the figures.
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
