"""docs/benchmarks.md: three figures and a plot, how it was measured, and all tables and goals as an appendix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks import plots, reading, tables, variants, writing
from benchmarks.rounds import Results
from benchmarks.workloads import SDK, SDK_CALL, SDK_MESSAGE

_PLOT = "caller.svg"
_PLOTTED = writing.scene(SDK, writing.AT_ONCE, 1)

_LEAD = """\
# Benchmarks

rolloutlog side by side with its peers: `make bench` measures all of this and writes this page. The *naive* writer is
`json.dumps` + write + flush of the same values as dicts, which is what a program does without a library.
"""

_READ = """\
## What the figures mean for you

- An object of the SDK costs more than a dict, because its own `to_dict()` makes a dict of it first.
- The caller encodes a record and hands it over, and a thread writes it. So a program that records now and then pays
  only the caller's time. It waits for the disk only where it asks to, or where the queue is full.
- A file that is loaded takes little more memory than its size. `iter_entries` takes the same few MB for any file.
- {met} of the {goals} goals that were set are met. [The last appendix](#appendix-goals) lists all of them, and says
  which are missed.
"""

_CALLER = """\
Microseconds until `record` returns. *At once*: 1,000 records that the recorder's queue takes, in the mean, in turn with
the naive writer in the same process. *Saturated*: as fast as the loop goes, so that the caller also waits for the
writer. *SDK* records are what the OpenAI SDK returns, as its objects or as their `to_dict()`, with the outputs that a
caller adds. *Loaded items* come from `load_session`, *items* from the constructors of rolloutlog.
"""

_HOW = """\
## How it is measured

- Figures of two variants are comparable only if they were measured together, on one machine, in one run. Read the
  ratios, and measure on your own machine what matters to you.
- Every measurement runs in a fresh process. In each round all variants of a scene run one after the other, in an order
  that is shuffled each time. A ratio is taken within a round. The tables show the median of {rounds} rounds or more, or
  of three for many threads and for 1,000 MB, with the least and the greatest in brackets.
- *SDK mix*: reasoning with encrypted content, two function calls with their outputs, and a message with `status`,
  `annotations` and `logprobs`; 240 bytes a line. *SDK mix of 2 kB*: the same with log-normal sizes. *small*: messages
  with a text of 120 to 280 bytes. *mix*: messages, calls, outputs and reasoning without the keys that only an SDK
  knows; 2 kB in the mean, up to 100 kB. *big*: tool outputs of 1 MB. *Codex session*: items in their envelope, with
  the events, turn contexts and token counts that Codex writes between them.
- Records are made before the clock starts. The time that a variant takes to encode a record counts.
- *Saturated*: throughput counts until the last byte is in the file, which is checked to hold every record. The time of
  single calls is taken in a run of its own. *Bursts*: 32 records (4 big ones), then 3 ms of rest.
- p50, p99 and p99.9 are those of a single call. CPU is the time of all threads, divided by the number of records. Peak
  memory is above what the process held before.
- No variant syncs, so nothing waits for the medium.
- Reading: the file is in the system's cache. *kept*: all lines stay in memory, as in `load_session`; the others keep
  none, as `iter_entries` does.
- Opening by name: the first open of a process includes its imports on demand. The row of ten sessions shows them.
"""


@dataclass
class Report:
    """One run: the figures, the machine, the versions, the absent variants, and the number of rounds."""

    results: Results
    facts: dict[str, str]
    versions: dict[str, str]
    absent: list[str]
    rounds: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {**asdict(self), "results": self.results.figures}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """Return the report whose `to_json` returned *kept*."""
        return cls(**{**kept, "results": Results(kept["results"])})


def text(report: Report, folder: str) -> str:
    """Return the page; *folder* holds its plot, and is beside it."""
    results = report.results
    parts = [
        _LEAD,
        "\n".join(_three_figures(results)) + "\n",
        f"![The cost of a record to its caller]({folder}/{_PLOT})\n",
        _READ.format(**tables.reached(results)),
        _HOW.format(rounds=report.rounds),
        "## The machine\n",
        tables.table(["", ""], report.facts.items()),
        tables.table(["package", "version"], report.versions.items()),
    ]
    if report.absent:
        parts += ["Absent, because something that they need is not there:\n"]
        parts += ["\n".join(f"- {name}" for name in report.absent) + "\n"]
    parts += [
        "## Appendix: what a record costs its caller\n",
        _CALLER,
        *_sections(tables.all_callers(results)),
        "## Appendix: writing\n",
        *_sections(tables.all_writing(results)),
        "## Appendix: reading\n",
        *_sections(tables.all_reading(results)),
        "## Appendix: starting\n",
        *_sections(tables.all_starting(results)),
        "## Appendix: noise\n",
        "One variant, measured twice under two names. A smaller difference than this means nothing.\n",
        tables.noise(results),
        "## Appendix: goals\n",
        "Each is a ratio within one run, unless it has a unit. The caller's time is that at once.\n",
        tables.goals(results),
    ]
    return "\n".join(parts)


def write(path: Path, report: Report) -> None:
    """Write the page to *path*, and its plot to a folder of the same name beside it."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    title = "What a record costs its caller in µs (SDK mix, 1,000 at once)"
    (folder / _PLOT).write_text(plots.caller(report.results, _PLOTTED, title), encoding="utf-8")
    path.write_text(text(report, folder.name), encoding="utf-8")


def _three_figures(results: Results) -> Iterable[str]:
    """Yield the three figures that a user wants first, each with what it is compared to."""
    message, call = (writing.scene(workload, writing.AT_ONCE, 1) for workload in (SDK_MESSAGE, SDK_CALL))
    yield (
        f"- **A record costs its caller {_caller(results, message, variants.DICT)}** if it is a message of the OpenAI"
        f" SDK as a dict, and {_caller(results, call, variants.DICT)} if it is a function call. As the SDK's objects,"
        f" they cost {_caller(results, message, variants.OBJECT)} and {_caller(results, call, variants.OBJECT)}."
    )
    mix = writing.scene(SDK, writing.SATURATED, 1)
    yield (
        f"- **{_figure(results, mix, variants.DICT, 'throughput', ' records a second')} reach the file**,"
        f" {_ratio(results, mix, 'throughput', variants.DICT, variants.NAIVE)} as many as with the naive writer (SDK"
        " mix as dicts, one thread)."
    )
    read = next((scene for scene in results.figures if scene.startswith(f"reading/{SDK}/")), "")
    yield (
        f"- **`load_session` reads {_figure(results, read, reading.LOAD, 'speed', ' MB a second')}**,"
        f" {_ratio(results, read, 'speed', reading.LOAD, reading.JSON_KEPT)} the speed of `json.loads` on each line,"
        f" and holds {_figure(results, read, reading.LOAD, 'share', ' times')} the file's size."
    )


def _caller(results: Results, scene: str, variant: str) -> str:
    taken = _figure(results, scene, variant, "caller / naive", "×")
    return f"{_figure(results, scene, variant, 'caller', ' µs')} ({taken} naive)"


def _figure(results: Results, scene: str, variant: str, measure: str, unit: str) -> str:
    spread = results.spread(scene, variant, measure)
    return tables.number(spread.median) + unit if spread else "(not measured)"


def _ratio(results: Results, scene: str, measure: str, variant: str, base: str) -> str:
    spread = results.ratio(scene, measure, variant, base)
    return f"{tables.number(spread.median)}×" if spread else "(not measured)"


def _sections(parts: Iterable[tuple[str, str]]) -> list[str]:
    return [line for title, body in parts for line in (f"### {title[0].upper()}{title[1:]}\n", body)]
