"""A session as a stream of turns and entries, which the terminal, the page, the notebook and Markdown render alike.

The stream is read line by line and needs little memory, however long the session is.
"""

from __future__ import annotations

from collections.abc import Iterator

from .._entries import SkippedLine
from .._json import MAX_LINE
from .._reading.forks import NO_BASE, history_of
from .._reading.lines import RolloutLine, stream_lines
from .entries import Counts, Part
from .heads import Head, StrPath, read_head
from .turns import Reader


class Transcript:
    """A session, as turns and entries in order. Iterating reads the file, in constant memory; it can be done again.

    Args:
        path: the session's file.
        max_line: how many bytes a line may have; a longer one is skipped.

    Attributes:
        head: the facts about the session that are known at once.

    Raises:
        SessionNotFoundError, InvalidRolloutError, MissingExtraError, OSError: the file cannot be read. A damaged file
            can: lines that are not entries are `Skipped`.
    """

    def __init__(self, path: StrPath, *, max_line: int = MAX_LINE) -> None:
        self.head: Head = read_head(path)
        self._max_line = max_line

    def __iter__(self) -> Iterator[Part]:
        yield from self.read(Reader(self.head))

    def counts(self) -> Counts:
        """Return what the session holds, by one pass through all of it."""
        reader = Reader(self.head)
        for _ in self.read(reader):
            pass
        return reader.counts

    def read(self, reader: Reader) -> Iterator[Part]:
        """Yield the parts that *reader*, a new one, makes of the lines; it counts them."""
        for line in self.lines():
            yield from reader.read(line)
        yield from reader.end()

    def lines(self) -> Iterator[RolloutLine]:
        """Yield the lines of the session, its inherited ones first."""
        yield from self.lines_elsewhere()
        yield from stream_lines(self.head.path, None, self._max_line)

    def lines_elsewhere(self) -> Iterator[RolloutLine]:
        """Yield those of `lines` that are in other files, before those of the session's own file."""
        path, meta = self.head.path, self.head.meta
        if meta is None or "history_base" not in meta.extra:
            return
        parts, is_whole = history_of(path, meta)
        if not is_whole:
            yield RolloutLine(1, 0, None, None, True, SkippedLine(1, 0, NO_BASE))
        for part in parts[:-1]:
            for line in stream_lines(part.path, None, self._max_line, part.end):
                yield line._replace(inherited=True) if part.is_inherited else line
