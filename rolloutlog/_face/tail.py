"""Follows the file of a session while it grows: its new lines, and what happens to the file."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

from .._json import MAX_LINE
from .._reading.blocks import BLANK
from .._reading.lines import RolloutLine, single_line
from .._systems import CLOEXEC, NONBLOCK, open_file, pread
from ..exceptions import SessionNotFoundError

# A last line that is not ended for so many seconds is reported as torn: its writer has died, or sleeps.
PATIENCE = 1.0
# How many bytes are read at once.
_CHUNK = 1 << 20


@attrs.frozen
class Happening:
    """Something that happened to the file. After ``archived`` and ``removed``, nothing more comes."""

    kind: Literal["truncated", "replaced", "renamed", "torn", "archived", "removed"]
    text: str

    @property
    def is_end(self) -> bool:
        """Whether the session is not followed any more."""
        return self.kind in ("archived", "removed")


News: TypeAlias = RolloutLine | Happening


class Tail:
    """Reads the lines of a growing file, each once it is ended. The file is known by its descriptor, not by its name.

    Args:
        path: the file.
        start: how many bytes from its end the first line may be; `None`: all lines are read.
        clock: returns the time, in seconds.

    Attributes:
        raw: the last line that was yielded, with its newline.
    """

    def __init__(
        self, path: str | os.PathLike[str], start: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = Path(path)
        self.raw = b""
        self._clock = clock
        self._number = 1
        self._fd = -1
        self._open()
        size = os.fstat(self._fd).st_size
        self._is_partial = start is not None and size > start
        if start is not None and size > start:
            self._skip_to(size - start)

    @property
    def is_partial(self) -> bool:
        """Whether lines before the first one were left out."""
        return self._is_partial

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def poll(self) -> Iterator[News]:
        """Yield the lines that were ended since the last look, and what happened to the file."""
        size = os.fstat(self._fd).st_size
        if size < self._position:
            yield self._truncated(size)
        yield from self._read()
        yield from self._look_at_name()
        yield from self._look_at_rest()

    # -- bytes --------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._fd = open_file(self.path, os.O_RDONLY | CLOEXEC | NONBLOCK)
        except FileNotFoundError as error:
            raise SessionNotFoundError(str(self.path), self.path.parent) from error
        self._position = 0  # up to which the file was read
        self._rest = b""  # the line that was not ended yet
        self._rest_since = self._clock()
        self._has_reported = False
        self._is_named = True

    def _skip_to(self, offset: int) -> None:
        """Continue at the first line that begins after *offset*."""
        while self._position < offset and (
            data := pread(self._fd, min(_CHUNK, offset - self._position), self._position)
        ):
            self._number += data.count(b"\n")
            self._position += len(data)
        while data := pread(self._fd, _CHUNK, self._position):
            end = data.find(b"\n") + 1
            self._position += end or len(data)
            if end:
                self._number += 1
                return

    def _read(self) -> Iterator[RolloutLine]:
        while data := pread(self._fd, _CHUNK, self._position):
            offset = self._position - len(self._rest)
            self._position += len(data)
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._rest_since, self._has_reported = self._clock(), False
            for line in lines:
                found = single_line(self._number, offset, line + b"\n") if line.strip(BLANK) else None
                self._number += 1
                offset += len(line) + 1
                if found is not None:
                    self.raw = line + b"\n"
                    yield found
            if len(self._rest) > MAX_LINE:
                self._rest = self._rest[-1:]

    # -- what happens to the file -------------------------------------------------------------------------------------

    def _truncated(self, size: int) -> Happening:
        self._position, self._rest, self._number = 0, b"", 1
        while self._position < size and (data := pread(self._fd, min(_CHUNK, size - self._position), self._position)):
            self._number += data.count(b"\n")
            self._position += len(data)
        return Happening("truncated", f"the file was cut to {size:,} bytes")

    def _look_at_name(self) -> Iterator[News]:
        mine = os.fstat(self._fd)
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            yield from self._without_name(mine)
            return
        if (named.st_dev, named.st_ino) == (mine.st_dev, mine.st_ino):
            return
        yield from self._read()  # what was written to the old one until then
        number = self._number
        self.close()
        self._open()
        yield Happening("replaced", "the file was replaced by another")
        self._number = 1
        # A repaired file has the same lines, so it continues where the old one ended.
        for line in self._read():
            if line.number >= number:
                yield line

    def _without_name(self, mine: os.stat_result) -> Iterator[News]:
        """Yield what became of a file that is not found under its name any more."""
        archived = self._archived()
        if archived is not None:
            yield from self._read()
            yield Happening("archived", f"the session was archived: {archived}")
        elif mine.st_nlink == 0:
            yield from self._read()
            yield Happening("removed", "the file was removed")
        elif self._is_named:
            self._is_named = False
            yield Happening("renamed", "the file has another name now, and is followed under it")

    def _archived(self) -> Path | None:
        """Return where the session is now: compressed where it was, or among the archived ones in either form."""
        compressed = self.path.with_name(f"{self.path.name}.zst")
        if compressed.exists():
            return compressed
        for folder in self.path.absolute().parents:
            if folder.name == "sessions":
                for name in (self.path.name, f"{self.path.name}.zst"):
                    if (found := folder.parent / "archived_sessions" / name).exists():
                        return found
        return None

    def _look_at_rest(self) -> Iterator[Happening]:
        """Yield that the last line is torn, once, when it was not ended for a while."""
        if not self._rest.strip(BLANK) or self._has_reported or self._clock() - self._rest_since < PATIENCE:
            return
        self._has_reported = True
        yield Happening("torn", f"torn: the last line was not ended, {len(self._rest):,} bytes")
