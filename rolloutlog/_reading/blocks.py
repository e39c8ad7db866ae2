"""The bytes of a rollout: the file opened, decompressed where it is compressed, and split into blocks of lines."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Self, TypeAlias

import attrs

from .._compression import COMPRESSED as COMPRESSED
from .._compression import decompressed, other_form
from .._compression import is_compressed as is_compressed
from .._compression import zstd as _zstd  # noqa: F401 (tests ask here whether it is installed)
from .._locks import open_leased
from .._systems import CLOEXEC, NONBLOCK, pread
from ..exceptions import InvalidRolloutError, SessionNotFoundError

StrPath: TypeAlias = str | os.PathLike[str]

BLANK = b" \t\r\n"
TORN = "the last line is incomplete"
"""Why a last line without a newline is skipped, if it cannot be read."""
_MARKED = b"\xef\xbb\xbf{"  # a byte order mark, which some editors put there, before an object

# How much of a line is held before its end is known. A longer one is measured first, and read again if it is not too
# long. So a line that will be skipped takes no memory, however long it is, and a line that is read is never in pieces.
_HELD = 4 * 1024 * 1024


class Source:
    """The bytes of one rollout, decompressed where they are compressed. A context manager: leaving it closes the file.

    Args:
        path: the file.
        end: how many bytes to read, if not all.

    Attributes:
        read: returns the next bytes, at most as many as its argument says; none at the end.
        problem: why there are no more bytes, unless the file ends.
        is_marked: whether the file was seen to begin with a byte order mark before an object.
        can_reread: whether `reread` can be called; a compressed file would have to be decompressed from its start.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        OSError: it cannot be read.
    """

    def __init__(self, path: StrPath, end: int | None = None) -> None:
        self.problem: str | None = None
        self.is_marked = False
        self._file, path = _opened_in_any_form(path)
        self.can_reread = not is_compressed(path)
        self.read: Callable[[int], bytes] = self._file.read
        try:
            if not self.can_reread:
                self.read = decompressed(self._file, path, self._note)
        except BaseException:
            self._file.close()
            raise
        if end is not None:
            self._stop_at(end)

    def _note(self, problem: str) -> None:
        self.problem = problem

    def _stop_at(self, end: int) -> None:
        read, left = self.read, end

        def read_before(size: int) -> bytes:
            nonlocal left
            chunk = read(min(size, left))
            left -= len(chunk)
            return chunk

        self.read = read_before

    def reread(self, offset: int, size: int) -> bytes:
        """Return the *size* bytes at *offset* again; fewer if the file was cut in the meantime."""
        got = b""
        while len(got) < size and (more := pread(self._file.fileno(), size - len(got), offset + len(got))):
            got = got + more if got else more  # the system returns up to 2 GiB at once: one piece, nearly always
        return got

    def status(self) -> os.stat_result:
        """Return the status of the file."""
        return os.fstat(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._file.close()


def _opened_in_any_form(path: StrPath) -> tuple[BinaryIO, StrPath]:
    """Open the file at *path*; or, if it was compressed or unpacked since it was found, the other one of the two.

    While that is done, one of them is always there. Returns the file and its path.
    """
    try:
        return _opened(path), path
    except SessionNotFoundError:
        other = other_form(Path(path))
        for each in (other, path, other):  # it may happen again
            with suppress(SessionNotFoundError):
                return _opened(each), each
        raise


def _opened(path: StrPath) -> BinaryIO:
    try:
        file = open(path, "rb", buffering=0, opener=_descriptor)  # noqa: SIM115 (the caller closes it)
    except FileNotFoundError as error:
        raise SessionNotFoundError(os.fspath(path), Path(path).parent) from error
    except IsADirectoryError as error:
        raise InvalidRolloutError(path, "is not a regular file") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InvalidRolloutError(path, "is not a regular file")
    return file


def _descriptor(path: str, flags: int) -> int:
    """Open *path* for `open`, which owns the descriptor from the start: an interrupt could close ours twice."""
    # Without O_NONBLOCK a FIFO would make us wait for a writer.
    return open_leased(path, flags | CLOEXEC | NONBLOCK)


@attrs.frozen
class Block:
    """Some lines that follow each other, with their newlines, and their place in the file."""

    number: int  # of the first of them, from 1
    offset: int  # of the first of them, in bytes
    lines: list[bytes]
    problem: str | None = None  # with the block's only line: too long to be held, or the last one and without newline

    def place(self, index: int) -> tuple[int, int]:
        """Return number and offset of the line at *index* of the block."""
        return self.number + index, self.offset + sum(map(len, self.lines[:index]))


def blocks(source: Source, max_line: int, at_once: int) -> Iterator[Block]:
    """Yield the lines of *source*, about *at_once* bytes at a time, and none of more than *max_line* bytes.

    A whole chunk is split at once, and the place of a line is worked out only when it is asked for. So this is as fast
    as iterating over the file, which has no limit.
    """
    number, offset, position = 1, 0, 0
    most = max_line + 1  # with its newline
    held = min(most, _HELD) if source.can_reread else most
    begun: list[bytes] = []  # of the line whose newline has not come yet, unless that has become too long to be held
    length = 0  # of the same line, with its newline once that has come
    while chunk := source.read(at_once):
        position += len(chunk)
        # `chunk.split(b"\n")` looks at each byte by itself, in Python 3.11 to 3.13. This takes between a third and a
        # tenth of its time, which was an eighth of the whole time of reading lines of 2 kB.
        lines = BytesIO(chunk).readlines()
        if chunk.endswith(b"\n"):
            lines.append(b"")
        length += len(lines[0])
        if length <= held:
            begun.append(lines[0])
        else:
            begun.clear()
        if len(lines) == 1:
            continue
        rest = lines.pop()
        lines[0] = source.reread(offset, length) if held < length <= most else b"".join(begun)
        if length > most or (most <= at_once and max(map(len, lines)) > most):
            yield from _singly(number, offset, lines, [length, *map(len, lines[1:])], most)
        else:
            yield Block(number, offset, lines)
        number += len(lines)
        offset = position - len(rest)
        begun, length = [rest], len(rest)
    last = source.reread(offset, length) if held < length <= max_line else b"".join(begun)
    if length > max_line:
        yield _too_long(number, offset, length)
    elif last.strip(BLANK) or source.problem:
        yield Block(number, offset, [last], source.problem or TORN)


def unmarked_blocks(source: Source, max_line: int, at_once: int) -> Iterator[Block]:
    """Yield the blocks of *source* as `blocks` does, with spaces for a byte order mark before the first object."""
    for block in blocks(source, max_line, at_once):
        if block.offset == 0 and block.lines[0].startswith(_MARKED):
            source.is_marked = True
            first, *others = block.lines
            block = attrs.evolve(block, lines=[b"   " + first[3:], *others])
        yield block


def _singly(number: int, offset: int, lines: list[bytes], lengths: list[int], most: int) -> Iterator[Block]:
    """Yield a block for each line, where one of them is too long; *lengths* and *most* count the newline."""
    for line, length in zip(lines, lengths, strict=True):
        yield _too_long(number, offset, length - 1) if length > most else Block(number, offset, [line])
        number += 1
        offset += length


def _too_long(number: int, offset: int, length: int) -> Block:
    return Block(number, offset, [b""], f"is longer than may be: {length:,} bytes")
