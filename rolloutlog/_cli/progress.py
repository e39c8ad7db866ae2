"""A progress bar on stderr for work that takes longer than a second, only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, TypeVar

_T = TypeVar("_T")

# In seconds: shorter work shows no bar. rich, which draws it, takes a tenth of that to be imported.
_PATIENCE = 1.0


def with_progress(items: Iterable[_T], verb: str) -> Iterator[_T]:
    """Yield *items*, and show how many there were; *verb* says what happens to them, such as ``reading``."""
    if not sys.stderr.isatty():
        yield from items
        return
    begin, bar, task = monotonic(), None, None
    try:
        for count, item in enumerate(items, 1):
            if bar is None and monotonic() - begin > _PATIENCE:
                bar = _bar()
                bar.start()
                task = bar.add_task(verb, total=None)
            if bar is not None:
                bar.update(task, completed=count)
            yield item
    finally:
        if bar is not None:
            bar.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description} {task.completed:,.0f} sessions")
    return Progress(SpinnerColumn(), text, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
