"""Reads one file and gives its rows: each line while copies of another session last, then the lines that are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from .._json import MAX_LINE
from .._paths import parse_file_name
from .._reading.blocks import BLANK, Block, Source, StrPath, unmarked_blocks
from .._reading.lines import AT_ONCE, Copies, begin
from ..exceptions import InvalidRolloutError, SessionNotFoundError
from ._rows import FileRows, entry_at
from ._wanted import Held, Sink, Wanted


def scan(file: StrPath | Held, wanted: Wanted, sink: Sink, max_line: int = MAX_LINE) -> Iterator[None]:
    """Give the rows of *file* to *sink*, some at a time: yields whenever the sink may be emptied.

    A file that holds no session, or that cannot be read, becomes one row of the kind ``skipped``.

    Raises:
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
    """
    held = file if isinstance(file, Held) else Held(Path(file), os.fspath(file))
    problem = held.problem
    try:
        if problem is None:
            yield from _scan(held, wanted, sink, max_line)
    except SessionNotFoundError as error:
        problem = str(error)
    except InvalidRolloutError as error:
        problem = error.problem
    except OSError as error:
        problem = error.strerror or str(error)
    if problem is not None and wanted.unread is not None:
        wanted.unread(held.name)
    if problem is not None and "skipped" in wanted.kinds:
        named = parse_file_name(held.name)
        sink.begin(held, None if named is None else named.id, None)
        sink.add("skipped", "file", None, None, {"text": problem}, False, b"")


def _scan(held: Held, wanted: Wanted, sink: Sink, max_line: int) -> Iterator[None]:
    file: FileRows | None = None
    path = held.path
    copies = Copies(path)
    with Source(path) as source:
        for block in unmarked_blocks(source, max_line, AT_ONCE):
            lines, start = block.lines, 0
            if file is None:
                begun = begin(path, block)
                if begun is None:
                    continue
                head, start = begun
                file = FileRows(held, head, wanted, sink)
                number, line = block.number + start - 1, lines[start - 1]
                file.entry(head.session, number, line, copies.hold(number, line, head.session))
            while start < len(lines) and not copies.are_over:
                line = lines[start]
                if block.problem is None and not line.strip(BLANK):
                    start += 1
                elif (stop := copies.stop(block.number + start, line)) is None:
                    _undecided(block, start, copies, file)
                    start += 1
                else:
                    stop = min(stop - block.number, len(lines))
                    file.lines(block, _needed(lines, start, stop, wanted.unneeded_copy), True)
                    start = stop
            file.lines(block, _needed(lines, start, len(lines), wanted.unneeded), False)
            yield
    if file is None:
        raise InvalidRolloutError(path, "empty session file")


def _needed(lines: list[bytes], start: int, stop: int, unneeded: Callable[[bytes], object] | None) -> Iterable[int]:
    if unneeded is None:
        return range(start, stop)
    return [index for index in range(start, stop) if not unneeded(lines[index])]


def _undecided(block: Block, index: int, copies: Copies, file: FileRows) -> None:
    """Make the row of a line of which its number alone does not say whether it was copied."""
    line, number = block.lines[index], block.number + index
    if (entry := entry_at(block, index)) is not None:
        file.entry(entry, number, line, copies.hold(number, line, entry))
