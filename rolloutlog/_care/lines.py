"""The lines of a file as they are, whatever they hold; and an object that was written on several of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from .._format.lines import InvalidLine, decode_line
from .._reading.blocks import Source, StrPath, blocks
from .._reading.lines import AT_ONCE
from .pieces import Nesting

# How far one object is looked for on the lines after its first, and how many bytes of a file are read for that in vain.
_LINES_JOINED = 10_000
_BYTES_JOINED = 8 * 1024 * 1024
_VAIN = 16 * 1024 * 1024
# A short line costs about as much as so many bytes.
_COST_OF_LINE = 1024


class Line(NamedTuple):
    """One line of a file.

    Attributes:
        number: which line of the file it is, from 1.
        offset: where it begins, in bytes.
        data: its bytes, without the newline.
        ends: whether a newline ends it; the last one may have none.
        lost: why its bytes are not in *data*: it is too long, or the rest of a compressed file is damaged.
    """

    number: int
    offset: int
    data: bytes
    ends: bool
    lost: str | None


def physical_lines(path: StrPath, max_line: int) -> Iterator[Line]:
    """Yield the lines of *path*, blank ones included; errors as for `rolloutlog.iter_lines`."""
    with Source(path) as source:
        for block in blocks(source, max_line, AT_ONCE):
            offset = block.offset
            lost = block.problem if block.problem is not None and (source.problem or block.lines == [b""]) else None
            for number, data in enumerate(block.lines, block.number):
                ends = data.endswith(b"\n") or (lost is not None and source.problem is None)
                yield Line(number, offset, data.removesuffix(b"\n"), ends, lost)
                offset += len(data)


class Lines:
    """The lines of a file, one after the other, with a look at those that follow.

    Args:
        path: the file.
        max_line: how many bytes a line may have.
    """

    def __init__(self, path: StrPath, max_line: int) -> None:
        self._lines = physical_lines(path, max_line)
        self._ahead: deque[Line] = deque()
        self._vain = 0

    def __iter__(self) -> Iterator[Line]:
        while True:
            line = self._ahead.popleft() if self._ahead else next(self._lines, None)
            if line is None:
                return
            yield line

    def joined(self, first: Line) -> tuple[list[Line], bytes] | None:
        """Return the lines after *first* that continue its object, and the object with spaces for the newlines.

        `None` if there is no such object. The lines that are returned are not yielded again.
        """
        if not first.data.lstrip().startswith(b"{") or self._vain > _VAIN:
            return None
        nesting = Nesting()
        nesting.feed(first.data.decode("latin-1") + " ")
        held = [first.data]
        size = cost = len(first.data)
        for count in range(_LINES_JOINED):
            following = self._peek(count)
            if following is None or following.lost is not None or size > _BYTES_JOINED:
                break
            if _is_record(following.data):
                break
            held.append(following.data)
            size += len(following.data) + 1
            cost += len(following.data) + _COST_OF_LINE
            nesting.feed(following.data.decode("latin-1") + " ")
            if nesting.depth <= 0 and not nesting.in_text:
                whole = b" ".join(held)
                if not _is_record(whole):
                    break
                return [self._ahead.popleft() for _ in range(count + 1)], whole
        self._vain += cost
        return None

    def _peek(self, index: int) -> Line | None:
        while len(self._ahead) <= index:
            following = next(self._lines, None)
            if following is None:
                return None
            self._ahead.append(following)
        return self._ahead[index]


def _is_record(data: bytes) -> bool:
    try:
        decode_line(data)
    except InvalidLine:
        return False
    return True
