"""A session whose file grows: read once, and after that only what was appended.

The file alone says what the session holds, whichever thread, process or program wrote it. So the records of this
process, and those of a program that takes no lock, are seen in the same way.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

import attrs

from .._entries import OWN, Entry, LogEntry, OtherEntry, SessionStateSnapshot
from .._format.lines import InvalidLine, decode_line
from .._json import MAX_LINE
from .._responses.recorded import Responses, responses_of
from .._responses.view import ModelView, Rewrite, is_rewrite, view_of
from ..exceptions import SessionNotFoundError
from ..items import ResponseItem, is_item
from .blocks import BLANK, Source, StrPath
from .reader import load_session
from .saved import Mark, SavedSession


class Follower:
    """One rollout that is looked at again and again. The caller lets one thread at a time look.

    A look costs a call of `os.stat`, and the reading of what was appended since the last one.

    The lines of a rollout change only by accident or force. The whole file is read again when it is another file,
    shorter, as long as before and yet written to, or when the bytes at its end have changed. A change further up that
    comes together with an append is not noticed; a recorder would not notice it either.

    Args:
        path: the rollout.
        saved: its contents as they were read just now, so that they are not read again.

    Attributes:
        live: the result of the last look, or what was left of it by one that failed; `None` before the first one.
    """

    def __init__(self, path: StrPath, saved: SavedSession | None = None) -> None:
        self._path = path
        self.live = None if saved is None else Live.of(saved, [])
        self._is_whole = saved is not None  # false during a look, so after one that fails the whole file is read

    def look(self) -> Live:
        """Return what the session holds now: the same object as before, unless the whole file was read again.

        Raises:
            SessionNotFoundError, InvalidRolloutError, OSError: as for `load_session`.
        """
        is_whole, self._is_whole = self._is_whole, False
        live = self.live
        if live is None or not is_whole or not live.catch_up(self._path):
            saved = load_session(self._path)
            logs = [entry for entry in saved.logs if entry.logger == OWN]
            live = Live.of(saved, [*saved.items, *logs, saved.state])
        self.live, self._is_whole = live, True
        return live

    def distrust(self) -> None:
        """Let the next look read the whole file, and have all entries in `Live.latest`."""
        self._is_whole = False


@attrs.define(eq=False)
class Live:
    """The contents of a session, as far as its file was read.

    Attributes:
        items: the items.
        state: its last state.
        view: what the model sees of the items.
        responses: what is kept of the model's responses.
        latest: the entries that the last look read.
    """

    items: list[ResponseItem]
    state: SessionStateSnapshot
    view: ModelView
    responses: Responses
    latest: list[Entry]
    _mark: Mark | None

    @classmethod
    def of(cls, saved: SavedSession, latest: list[Entry]) -> Self:
        """Return the contents of *saved*, of which the entries *latest* are new to the caller."""
        responses = responses_of(saved.session_id, saved.logs, saved.others)
        return cls(saved.items[:], saved.state, view_of(saved.items, saved._rewrites), responses, latest, saved._mark)

    def catch_up(self, path: StrPath) -> bool:
        """Read what was appended to the file; return false where it is not the file that was read, grown longer."""
        self.latest = []
        mark = self._mark
        if mark is None:
            return False
        try:
            status = os.stat(path)
        except FileNotFoundError as error:
            raise SessionNotFoundError(os.fspath(path), Path(path).parent) from error
        if _identity(status) == _identity(mark.status):
            return True
        with Source(path) as source:
            return self._read_on(source, mark)

    def _read_on(self, source: Source, mark: Mark) -> bool:
        status, before = source.status(), mark.status
        if (status.st_dev, status.st_ino) != (before.st_dev, before.st_ino) or status.st_size == before.st_size:
            return False
        begin = mark.end - len(mark.last)
        read = source.reread(begin, status.st_size - begin)  # of a file that was cut: less than `last`, or nothing
        lines = read[len(mark.last) :].split(b"\n")
        if not read.startswith(mark.last) or (lines[0] and not mark.last.endswith(b"\n")):
            return False
        rest = lines.pop()
        for line in lines:
            self._take(line)
        # An end without a newline may be half of a line that is being written now, or a whole line that a kill cut.
        left = 0 if self._take(rest) else len(rest)
        self._mark = Mark.of(status, read[: len(read) - left], begin)
        return True

    def _take(self, line: bytes) -> bool:
        """Add the entry of *line*; return whether it holds one."""
        entry = _entry(line)
        if entry is None:
            return False
        self.latest.append(entry)
        self._add(entry)
        return True

    def and_then(self, entries: Iterable[Entry]) -> Live:
        """Return a copy that also holds *entries*, after all others."""
        live = Live(self.items[:], self.state, self.view.copy(), self.responses.copy(), [], None)
        for entry in entries:
            live._add(entry)
        return live

    def _add(self, entry: Entry) -> None:
        if is_item(entry):
            self.items.append(entry)
            self.view.append([entry])
        elif isinstance(entry, SessionStateSnapshot):
            self.state = entry
        elif isinstance(entry, LogEntry | OtherEntry):
            self.responses.add(entry)
            if is_rewrite(entry):
                self.view.apply(Rewrite(len(self.items), entry))


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _entry(line: bytes) -> Entry | None:
    """Return the entry of *line*; `None` for a line that readers skip."""
    if len(line) > MAX_LINE or not line.strip(BLANK):
        return None
    try:
        return decode_line(line)
    except InvalidLine:
        return None
