"""Rows of the table: how a promise is declared, tried, counted and printed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import attrs

# In the order of the table.
MODULES = (
    "kill",
    "power",
    "failing",
    "moved",
    "descriptors",
    "many",
    "hangs",
    "waits",
    "anybytes",
    "leak",
    "private",
    "accounting",
    "care",
    "keep",
)

SIZES = ("quick", "full", "long")

# A row stops after this many violations: the first few tell what is wrong, and a broken promise can take for ever.
_MOST_VIOLATIONS = 5


class Skip(Exception):
    """This row cannot run here; the text says what is missing."""


class _Enough(Exception):
    """Signals that a row has seen enough violations."""


class Report:
    """The results of one row."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.trials = 0
        self.violations: list[str] = []
        self.figures: Counter[str] = Counter()
        self.skipped: str | None = None
        self.seconds = 0.0

    def trial(self, count: int = 1) -> None:
        """Count *count* trials more."""
        self.trials += count

    def expect(self, holds: object, otherwise: str) -> None:
        """Note a violation, said by *otherwise*, unless *holds*."""
        if holds:
            return
        self.violations.append(otherwise)
        if len(self.violations) >= _MOST_VIOLATIONS:
            raise _Enough

    def expect_none(self, problems: Iterable[str], where: str) -> None:
        """Note each of *problems* as a violation that happened at *where*."""
        for problem in problems:
            self.expect(False, f"{where}: {problem}")

    def count(self, figure: str, count: int = 1) -> None:
        """Add to a figure that the table shows beside the trials."""
        self.figures[figure] += count

    def most(self, figure: str, value: int) -> None:
        """Raise a figure to *value* if it is lower."""
        self.figures[figure] = max(self.figures[figure], value)


Run = Callable[[Report, int, random.Random], None]


@attrs.frozen
class Row:
    """One promise and how it is tried: ``run(report, size, dice)``, with a size for each occasion."""

    name: str
    promise: str
    run: Run
    sizes: tuple[int, int, int]

    @property
    def module(self) -> str:
        """The module that declares the row."""
        return self.name.partition(".")[0]


ROWS: dict[str, Row] = {}


def row(name: str, promise: str, *, quick: int, full: int, long: int) -> Callable[[Run], Run]:
    """Declare the decorated function as the row *name*; the sizes are trials, or whatever the row counts."""

    def declare(run: Run) -> Run:
        ROWS[name] = Row(name, promise, run, (quick, full, long))
        return run

    return declare


def load() -> dict[str, Row]:
    """Import every module that declares rows, and return the rows in the order of the table."""
    for module in MODULES:
        importlib.import_module(f"{__package__}.{module}")
    return ROWS


def chosen(names: Iterable[str]) -> list[Row]:
    """Return the rows with these *names*, or whose modules have them; without names, all."""
    rows = list(load().values())
    names = list(names)
    for name in names:
        if not any(name in (each.name, each.module) for each in rows):
            raise SystemExit(f"no row is called {name!r}; --list shows them")
    return [each for each in rows if not names or {each.name, each.module} & set(names)]


def run(each: Row, size: int, seed: int) -> Report:
    """Run *each* and return its report; an error of the row itself, or of one of its threads, is a violation, too."""
    report = Report(seed)
    begin = time.monotonic()
    with uncaught_noted() as uncaught:
        try:
            each.run(report, size, random.Random(f"{each.name} {seed}"))
        except Skip as reason:
            report.skipped = str(reason)
        except _Enough:
            pass  # the violations are in the report
        except Exception:
            report.violations.append(f"the row itself failed:\n{traceback.format_exc()}")
    report.violations += uncaught[:_MOST_VIOLATIONS]
    report.seconds = time.monotonic() - begin
    return report


def table(reports: list[tuple[Row, Report]]) -> str:
    """Return the table: promise, trials, violations."""
    widest = max(len(each.name) for each, _ in reports)
    rule = "-" * 120
    lines = [
        f"{'row':{widest}}  {'trials':>10}  {'violations':>10}  {'seconds':>7}  promise, and what was counted",
        rule,
    ]
    for each, report in reports:
        if report.skipped is not None:
            lines.append(f"{each.name:{widest}}  {'skipped':>10}  {'':>10}  {'':>7}  {report.skipped}")
            continue
        numbers = f"{report.trials:>10,}  {len(report.violations):>10,}  {report.seconds:>7.1f}"
        lines.append(f"{each.name:{widest}}  {numbers}  {each.promise}")
        figures = ", ".join(f"{name} {count:,}" for name, count in report.figures.items())
        if figures:
            lines.append(f"{'':{widest}}  {'':>10}  {'':>10}  {'':>7}  [{figures}]")
        lines += [f"    VIOLATION (seed {report.seed}): {violation}" for violation in report.violations]
    lines.append(rule)
    lines.append(f"Python {sys.version.split()[0]}, {sys.platform}")
    return "\n".join(lines)


# -- helpers for rows ---------------------------------------------------------------------------------

# Exceptions that no code of this process caught; a forked child begins with a copy.
_uncaught: list[str] = []


@contextmanager
def uncaught_noted() -> Iterator[list[str]]:
    """Note each exception that ends a thread, or that comes where none can be raised, such as in a finalizer."""

    def note(where: str, kind: type[BaseException], value: BaseException | None, trace: TracebackType | None) -> None:
        said = traceback.format_exception(kind, value, trace)  # only text, which holds no frames
        _uncaught.append(f"not caught, {where}:\n{''.join(said)}")

    def in_thread(what: threading.ExceptHookArgs) -> None:
        note(f"in {what.thread.name if what.thread else 'a thread'}", what.exc_type, what.exc_value, what.exc_traceback)

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        where = f"{what.err_msg or 'in'} {what.object!r}"
        note(where, what.exc_type, what.exc_value, what.exc_traceback)

    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = in_thread, unraisable
    _uncaught.clear()
    try:
        yield _uncaught
    finally:
        threading.excepthook, sys.unraisablehook = hooks


def uncaught_in(stderr: bytes | str, *, interrupted: bool = False) -> list[str]:
    """Return the exceptions that a program's *stderr* shows and no code of it caught.

    Args:
        stderr: what the program wrote there.
        interrupted: signal handlers of the program raise, also in finalizers, where an exception is ignored.
    """
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr
    signs = ["Exception in thread"] if interrupted else ["Exception in thread", "Exception ignored"]
    return [f"not caught:\n{text[text.index(sign) :][:3_000]}" for sign in signs if sign in text]


@contextmanager
def scratch(where: str | None = None) -> Iterator[Path]:
    """Give a new folder, and remove it and what is in it."""
    folder = Path(tempfile.mkdtemp(prefix="rolloutlog-faults-", dir=where))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fork(child: Callable[[], object]) -> int:
    """Run *child* in a forked process, which ends without any clean-up, and return its pid.

    Its status is 1 if *child* raises, or if one of its threads does.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status, before = 1, len(_uncaught)
    try:
        child()
        sys.stderr.writelines(_uncaught[before:])
        status = 0 if len(_uncaught) == before else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def reap(pid: int, seconds: float) -> int | None:
    """Wait at most *seconds* for process *pid* and return its wait status, or `None` if it still runs."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.001)


def until(holds: Callable[[], object], seconds: float = 20.0) -> bool:
    """Wait at most *seconds* until *holds* returns true; return whether it did."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.002)
    return True


def python_path() -> dict[str, str]:
    """Return the environment for a child interpreter that finds the package and these modules where this one does."""
    package = importlib.util.find_spec("rolloutlog")
    assert package is not None
    assert package.origin is not None
    roots = [str(Path(package.origin).parents[1]), str(Path(__file__).parents[1])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
