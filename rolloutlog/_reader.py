"""Bytes to entries to a `SavedSession`: streaming, each line on its own, with what could not be read and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import attrs

from rolloutlog._codec import WIRE, InvalidLine, decode_line
from rolloutlog._input import Orphans, orphans_of, to_input
from rolloutlog._models import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from rolloutlog.exceptions import InvalidRolloutError, SessionNotFoundError
from rolloutlog.items import ResponseItem

StrPath: TypeAlias = str | os.PathLike[str]

MAX_LINE = 64 * 1024 * 1024
_CHUNK = 256 * 1024


@attrs.frozen(repr=False, eq=False)
class SavedSession:
    """What a rollout holds.

    Attributes:
        session: the first line, the session's meta.
        items: the items, in the order in which they were recorded.
        state: the last state; empty when there is none.
        logs: log entries.
        others: whole lines that are no item, no state and no log entry (newer rollouts hold events, ...).
        skipped: the lines that could not be read, and why.
        path: the file.
        header: the first line as it stands, with its newline.
        format: which of the two formats the file has.
    """

    session: SessionMeta
    items: list[ResponseItem]
    state: SessionStateSnapshot
    logs: list[LogEntry]
    others: list[OtherEntry]
    skipped: list[SkippedLine]
    path: Path
    header: bytes
    format: Literal["flat", "envelope"] = "flat"

    @property
    def session_id(self) -> str:
        """The session's UUID, as text."""
        return self.session.id

    @property
    def orphan_calls(self) -> list[ResponseItem]:
        """The calls that have no output, in order."""
        return orphans_of(self.items)

    def to_input(self, *, orphans: Orphans = "close") -> list[dict[str, Any]]:
        """Return the items as an API accepts them; see `rolloutlog.to_input`."""
        return to_input(self.items, orphans=orphans)

    def __repr__(self) -> str:
        counts = [f"{len(self.items):,} item{'' if len(self.items) == 1 else 's'}"]
        counts += [f"{len(self.logs):,} logged"] * bool(self.logs)
        counts += [f"{len(self.skipped):,} skipped"] * bool(self.skipped)
        return f"SavedSession({self.session_id[:48]!r}, {', '.join(counts)})"


def iter_entries(path: StrPath, *, max_line: int = MAX_LINE) -> Iterator[Entry]:
    """Yield what stands on each line of *path*, in order and in constant memory.

    Nothing in the file makes it raise: a line that cannot be read is yielded as a `SkippedLine`, the first line like any
    other. Blank lines are no entries. What is appended meanwhile may be yielded or not.

    Args:
        path: the file.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped without being held.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is no regular file.
        OSError: it cannot be read.
    """
    with _open(path) as file:
        for block in _blocks(file, max_line):
            for index, line in enumerate(block.lines):
                try:
                    yield decode_line(line)
                except InvalidLine as error:
                    skipped = block.skipped(index, error)
                    if skipped is not None:
                        yield skipped


def load_session(path: StrPath, *, max_line: int = MAX_LINE) -> SavedSession:
    """Return the session that *path* holds. Takes no lock and changes nothing.

    Args:
        path: the file.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is no regular file, it is empty, or its first line is no session meta.
        OSError: it cannot be read.
    """
    meta: SessionMeta | None = None
    header = b""
    items: list[Any] = []
    logs: list[LogEntry] = []
    others: list[OtherEntry] = []
    skipped: list[SkippedLine] = []
    state = SessionStateSnapshot()
    with _open(path) as file:
        for block in _blocks(file, max_line):
            for index, line in enumerate(block.lines):
                try:
                    entry = decode_line(line)
                except InvalidLine as error:
                    bad = block.skipped(index, error)
                    if meta is None and (bad is not None or not _is_blank_start(block, index)):
                        raise InvalidRolloutError(path, f"no session meta in the first line: {error}") from None
                    if bad is not None:
                        skipped.append(bad)
                    continue
                if meta is None:
                    if not isinstance(entry, SessionMeta):
                        raise InvalidRolloutError(path, "no session meta in the first line: it is something else")
                    meta, header = entry, line.rstrip(b"\n") + b"\n"
                elif type(entry) in WIRE:
                    items.append(entry)
                elif isinstance(entry, SessionStateSnapshot):
                    state = entry
                elif isinstance(entry, LogEntry):
                    logs.append(entry)
                elif isinstance(entry, OtherEntry):
                    others.append(entry)
                else:
                    skipped.append(block.line(index, "is a second session meta"))
    if meta is None:
        raise InvalidRolloutError(path, "empty session file")
    return SavedSession(meta, items, state, logs, others, skipped, Path(path), header, "flat")


def _is_blank_start(block: _Block, index: int) -> bool:
    return False


def _open(path: StrPath) -> BinaryIO:
    try:
        # Without O_NONBLOCK a FIFO would make us wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise SessionNotFoundError(os.fspath(path), Path(path).parent) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InvalidRolloutError(path, "is not a regular file")
        return open(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


@attrs.define
class _Block:
    """Some lines that follow each other, without their newlines, and where they stand in the file."""

    number: int  # of the first of them, from 1
    offset: int  # of the first of them, in bytes
    lines: list[bytes]
    is_incomplete: bool = False  # the one line of the block is the file's last and has no newline
    length: int | None = None  # of the one line, when that was too long to be held

    def line(self, index: int, reason: str) -> SkippedLine:
        offset = self.offset + sum(map(len, self.lines[:index])) + index
        return SkippedLine(self.number + index, offset, reason)

    def skipped(self, index: int, error: InvalidLine) -> SkippedLine | None:
        if self.length is not None:
            return self.line(index, f"is longer than may be: {self.length:,} bytes")
        if not self.lines[index].strip(b" \t\r\n"):
            return None
        if self.is_incomplete:
            return self.line(index, f"the last line is incomplete: it {error}")
        return self.line(index, str(error))


def _blocks(file: BinaryIO, max_line: int) -> Iterator[_Block]:
    """Yield the lines of *file*, about `_CHUNK` bytes at a time.

    Splitting whole chunks costs half of what reading line by line does, and the place of a line is worked out only when
    somebody wants to know it.
    """
    number, offset = 1, 0
    pending: list[bytes] = []
    length = 0  # of the line that has begun
    while chunk := file.read(_CHUNK):
        lines = chunk.split(b"\n")
        last = lines.pop()
        if not lines:
            length += len(last)
            if length <= max_line:
                pending.append(last)
            else:
                pending.clear()
            continue
        length += len(lines[0])
        if length > max_line:
            yield _Block(number, offset, [b""], length=length)
            number += 1
            offset += length + 1
            del lines[0]
        else:
            pending.append(lines[0])
            lines[0] = b"".join(pending)
        if lines:
            for block in _without_long(_Block(number, offset, lines), max_line):
                yield block
            number += len(lines)
            offset += sum(map(len, lines)) + len(lines)
        pending = [last]
        length = len(last)
    if length > max_line:
        yield _Block(number, offset, [b""], length=length)
    elif length:
        yield _Block(number, offset, [b"".join(pending)], is_incomplete=True)


def _without_long(block: _Block, max_line: int) -> Iterator[_Block]:
    if max_line >= _CHUNK or max(map(len, block.lines)) <= max_line:
        yield block
        return
    number, offset = block.number, block.offset
    for line in block.lines:
        too_long = len(line) > max_line
        yield _Block(number, offset, [b""], length=len(line)) if too_long else _Block(number, offset, [line])
        number += 1
        offset += len(line) + 1
