"""A progress bar on stderr for work that takes longer than a second, only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

_T = TypeVar("_T")

# In seconds: shorter work shows no bar. rich, which draws it, takes a tenth of that to be imported.
_PATIENCE = 1.0


def with_progress(items: Iterable[_T], verb: str) -> Iterator[_T]:
    """Yield *items*, and show how many there were; *verb* says what happens to them, such as ``reading``."""
    with progress(verb, "sessions") as show:
        for count, item in enumerate(items, 1):
            show(count)
            yield item


@contextmanager
def progress(verb: str, unit: str) -> Iterator[Callable[[int], None]]:
    """Give a function that shows a count of *unit*, such as ``sessions``, and may be called from any thread."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    begin = monotonic()
    bar: Any = None
    task: Any = None

    def show(count: int) -> None:
        nonlocal bar, task
        if bar is None and monotonic() - begin > _PATIENCE:
            bar = _bar(unit)
            bar.start()
            task = bar.add_task(verb, total=None)
        if bar is not None:
            bar.update(task, completed=count)

    try:
        yield show
    finally:
        if bar is not None:
            bar.stop()


def _bar(unit: str) -> Any:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn(f"{{task.description}} {{task.completed:,.0f}} {unit}")
    return Progress(SpinnerColumn(), text, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
