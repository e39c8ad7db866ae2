"""What the model sees of a session whose file grows: read once, and after that only what was appended.

Nothing is fed in from the side: the file alone says what is seen, whoever wrote it. So what is recorded here, what
others of this process record, and what a program appends that takes no lock are all the same.
"""

from __future__ import annotations

import os
from typing import Self

import attrs

from .._entries import Entry, LogEntry, OtherEntry
from .._format.lines import InvalidLine, decode_line
from .._json import MAX_LINE
from .._responses.view import Seen, is_rewrite, seen_of
from ..items import is_item
from .blocks import BLANK, Source, StrPath
from .forks import load_until

# How much of what was read is compared before what follows it is taken for what was appended to it, in bytes.
_COMPARED = 128


class Following:
    """One rollout that is looked at again and again; whoever has it sees to it that threads take turns.

    What stands in a rollout is not changed but by accident or force. It is all read again when the file is another one,
    shorter, as long as before and yet written to, or when what stood at its end does not stand there any more. A change
    further up that comes together with an append is not noticed; nor would it be by a recorder.

    Args:
        path: the rollout.
    """

    def __init__(self, path: StrPath) -> None:
        self._path = path
        self._known: _Known | None = None

    def seen(self) -> Seen:
        """Return what is seen now: the same object as before, unless all had to be read again.

        Raises:
            SessionNotFoundError, InvalidRolloutError, OSError: as for `load_session`.
        """
        known, self._known = self._known, None  # whatever goes wrong on the way, the next look begins anew
        with Source(self._path) as source:
            status = os.stat(self._path)
            if known is None or not known.goes_on(source, status):
                known = _Known.read(self._path, source, status)
        self._known = known
        return known.seen


@attrs.define
class _Known:
    """What was read of a file.

    Attributes:
        seen: what is seen of it.
        status: what the file was like.
        end: how many bytes of it were read.
        last: the last of these.
    """

    seen: Seen
    status: os.stat_result
    end: int
    last: bytes

    @classmethod
    def read(cls, path: StrPath, source: Source, status: os.stat_result) -> Self:
        """Read the file from its beginning, as far as it reached when it had *status*."""
        saved = load_until(path, status.st_size)
        begin = max(0, status.st_size - _COMPARED)
        last = source.reread(begin, status.st_size - begin)
        return cls(seen_of(saved.items, saved.rewrites), status, status.st_size, last)

    def goes_on(self, source: Source, status: os.stat_result) -> bool:
        """Read what was appended; return false where the file is not what was read with something behind it."""
        before, self.status = self.status, status
        if (status.st_dev, status.st_ino) != (before.st_dev, before.st_ino):
            return False
        if status.st_size == before.st_size:
            return status.st_mtime_ns == before.st_mtime_ns
        begin = self.end - len(self.last)
        read = source.reread(begin, status.st_size - begin)  # of a file that was cut: less than `last`, or nothing
        lines = read[len(self.last) :].split(b"\n")
        if not read.startswith(self.last) or (lines[0] and not self.last.endswith(b"\n")):
            return False
        rest = lines.pop()
        for line in lines:
            self._take(line)
        # An end without a newline may be half of a line that is being written now, or all of one that a kill cut there.
        left = 0 if self._take(rest) else len(rest)
        self.end = begin + len(read) - left
        self.last = read[: len(read) - left][-_COMPARED:]
        return True

    def _take(self, line: bytes) -> bool:
        """Add what is seen of *line*; return whether it holds an entry."""
        entry = _entry(line)
        if entry is None:
            return False
        if is_item(entry):
            self.seen.say([entry])
        elif isinstance(entry, LogEntry | OtherEntry) and is_rewrite(entry):
            self.seen.rewrite(entry)
        return True


def _entry(line: bytes) -> Entry | None:
    """Return what *line* holds; `None` for what readers skip."""
    if len(line) > MAX_LINE or not line.strip(BLANK):
        return None
    try:
        return decode_line(line)
    except InvalidLine:
        return None
