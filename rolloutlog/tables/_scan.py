"""Reads one file and gives its rows: each line while copies of another session last, then the lines that are needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .._entries import Entry
from .._format.lines import InvalidLine, decode_line
from .._json import MAX_LINE
from .._paths import parse_file_name
from .._reading.blocks import COMPRESSED, Block, Source, StrPath, blocks
from .._reading.lines import AT_ONCE, Copies, begin, skipped_line
from ..exceptions import InvalidRolloutError, SessionNotFoundError
from ._rows import FileRows
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
        other = _renamed(held.path)
        if other is None:
            problem = str(error)
        else:
            yield from scan(other, wanted, sink, max_line)
    except InvalidRolloutError as error:
        problem = error.problem
    except OSError as error:
        problem = error.strerror or str(error)
    if problem is not None and "skipped" in wanted.kinds:
        named = parse_file_name(held.name)
        sink.begin(held, None if named is None else named.id, None)
        sink.add("skipped", "file", None, None, {"text": problem}, False, b"")


def _renamed(path: Path) -> Path | None:
    """Return where a file is that Codex compressed or decompressed since it was listed, if it did."""
    name = str(path)
    other = Path(name.removesuffix(COMPRESSED) if name.endswith(COMPRESSED) else name + COMPRESSED)
    return other if other.exists() else None


def _scan(held: Held, wanted: Wanted, sink: Sink, max_line: int) -> Iterator[None]:
    file: FileRows | None = None
    path = held.path
    unneeded = wanted.unneeded
    copies = Copies(path)
    with Source(path) as source:
        for block in blocks(source, max_line, AT_ONCE):
            lines, start = block.lines, 0
            if file is None:
                begun = begin(path, block)
                if begun is None:
                    continue
                head, start = begun
                file = FileRows(held, head, wanted, sink)
                plain = file.plain
                number, line = block.number + start - 1, lines[start - 1]
                file.entry(head.session, number, line, copies.hold(number, line, head.session))
            while start < len(lines) and not copies.are_over:
                _copied_or_first(block, start, copies, file, unneeded)
                start += 1
            # Nearly all lines: so there is no call for each of them but one.
            if unneeded is None:
                for number, line in enumerate(lines[start:] if start else lines, block.number + start):
                    if not plain(line, number, False) and (entry := _entry(block, number - block.number)) is not None:
                        file.entry(entry, number, line, False)
            else:
                for index in [index for index in range(start, len(lines)) if not unneeded(lines[index])]:
                    line, number = lines[index], block.number + index
                    if not plain(line, number, False) and (entry := _entry(block, index)) is not None:
                        file.entry(entry, number, line, False)
            yield
    if file is None:
        raise InvalidRolloutError(path, "empty session file")


def _copied_or_first(
    block: Block, index: int, copies: Copies, file: FileRows, unneeded: Callable[[bytes], object] | None
) -> None:
    """Make the row of a line of which it is not known yet that it is the session's own."""
    line, number = block.lines[index], block.number + index
    inherited = copies.hold_number(number)
    if inherited is not None and ((unneeded is not None and unneeded(line)) or file.plain(line, number, inherited)):
        return
    if (entry := _entry(block, index)) is not None:
        file.entry(entry, number, line, copies.hold(number, line, entry) if inherited is None else inherited)


def _entry(block: Block, index: int) -> Entry | None:
    try:
        return decode_line(block.lines[index])
    except InvalidLine as error:
        return skipped_line(block, index, error)
