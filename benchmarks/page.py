"""docs/benchmarks.md: the tables with what was measured, how, on what, and the two plots."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks import plots, tables
from benchmarks.rounds import Results

_HOW = """\
# Benchmarks

`make bench` measures rolloutlog side by side with its peers and writes this page; nothing on it is typed by hand. It
takes about a quarter of an hour; `make bench ARGS="writing --small"` runs one table in a small size.

Figures of two variants are comparable only where they were measured together, on one machine, in one run: read the
ratios, and measure on your own machine what matters to you.

## How it is measured

- Every measurement runs in a fresh process. In each round all variants of a scene run one after the other, in an order
  that is shuffled anew; a ratio is taken within a round; what is shown is the median of {rounds} rounds or more, with
  the least and the greatest behind it.
- *small*: messages with a text of 120 to 280 bytes. *mix*: messages, calls, their outputs and reasoning; the sizes are
  log-normal, 2 kB in the mean and up to 100 kB. *big*: tool outputs of 1 MB. Records are made before the clock starts,
  our items too, but what a variant makes of a record in order to write it is part of what it costs.
- *Saturated*: as fast as the loop goes. Throughput counts until the last byte is in the file, which is checked to hold
  every record; the caller's time is taken in a run of its own. *Bursts*: 32 records (4 big ones), then 3 ms of rest.
- p50, p99 and p99.9 are those of a single call; CPU is the time of all threads by the number of records; the peak of
  memory is above what the process held before.
- Nothing here waits for the medium: no variant syncs.
- Reading: the file is in the cache of the system. *kept*: all lines stay in memory, as in `load_session`; the others
  keep none, as `iter_entries` does.
"""


@dataclass
class Report:
    """One run: what was measured, on what, with which versions, what is absent, and in how many rounds at least."""

    results: Results
    facts: dict[str, str]
    versions: dict[str, str]
    absent: list[str]
    rounds: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON can hold it."""
        return {**asdict(self), "results": self.results.figures}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return the report that `to_json` was asked of."""
        return cls(**{**kept, "results": Results(kept["results"])})


def text(report: Report, folder: str) -> str:
    """Return the page; *folder* is where its plots lie, as seen from it."""
    results = report.results
    parts = [
        _HOW.format(rounds=report.rounds),
        "## Goals\n",
        "Each is a ratio to a peer or a limit within one run, unless it has a unit.\n",
        tables.goals(results),
        "## Noise\n",
        "One variant, measured twice under two names. A difference that is smaller than this is no finding.\n",
        tables.noise(results),
        "## Writing\n",
        f"![Throughput]({folder}/throughput.svg)\n",
        f"![What a record costs its caller]({folder}/latency.svg)\n",
        *_sections(tables.all_writing(results)),
        "## Reading\n",
        *_sections(tables.all_reading(results)),
        "## Starting\n",
        *_sections(tables.all_starting(results)),
        "## On what\n",
        tables.table(["", ""], report.facts.items()),
        tables.table(["package", "version"], report.versions.items()),
    ]
    if report.absent:
        parts += ["Absent, for a package is not installed, or has no wheel for this Python:\n"]
        parts += ["\n".join(f"- {name}" for name in report.absent) + "\n"]
    return "\n".join(parts)


def write(path: Path, report: Report) -> None:
    """Write the page to *path*, and its plots to a folder beside it that is called like it."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "throughput.svg").write_text(plots.throughput(report.results, "small"), encoding="utf-8")
    (folder / "latency.svg").write_text(plots.latency(report.results, "small"), encoding="utf-8")
    path.write_text(text(report, folder.name), encoding="utf-8")


def _sections(parts: Iterable[tuple[str, str]]) -> list[str]:
    return [line for title, body in parts for line in (f"### {title[0].upper()}{title[1:]}\n", body)]
