"""A session's head: the facts that its first and last bytes tell, for a row of a list and the top of a page.

Never more than `_MOST` bytes of a file are read, so a list of a few sessions is quick however large they are.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import groupby, islice
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from .._entries import Entry, OtherEntry, SessionMeta
from .._format.lines import Format, InvalidLine, decode_line, is_envelope, written_when
from .._item import Item
from .._json import parse
from .._paths import FoundFile, parse_file_name
from .._reading.blocks import BLANK, Source, is_compressed
from ..exceptions import MissingExtraError, RolloutError
from .titles import is_good_title, title_of, typed_text

StrPath: TypeAlias = str | os.PathLike[str]

# How many bytes are read at once at the beginning, how many at the end; and at most how many in search of a title: the
# newest Codex writes 85 kB of instructions before the first words of a person.
_FIRST, _LAST, _MOST = 64 * 1024, 4 * 1024, 512 * 1024
# So many files of one second are opened to order them.
_MOST_ORDERED = 200


@attrs.frozen
class Head:
    """The facts about a session that are known without reading all of it.

    Attributes:
        path: the file.
        name: the name that the session was begun under, if it has one.
        id: the session's UUID; of a file without a meta the one in its name, else its name.
        title: what a person typed first, as one line; empty if nothing was said.
        began: when the session began, aware.
        ended: the time of its last line, aware; `None` where that line tells no time, as items of the flat format.
        size: how many bytes the file has.
        format: which of the two formats it has; `None` if it has no meta.
        model: the model's name, if the file says one near its beginning.
        cwd: the working directory, if the file says one.
        program: who wrote it, such as ``codex_exec 0.169.0``, if the file says so.
        parent_id: the session that this one was forked from, or whose agent began it.
        is_sub_agent: whether an agent of another session began it.
        is_archived: whether it is among the archived ones.
        is_compressed: whether the file is compressed.
        is_torn: whether the last line was not ended.
        faults: lines in the bytes that were read that are not entries, without the torn one.
        is_empty: whether the file was read to its end, and holds no item.
        meta: the first line; `None` if it cannot be read.
    """

    path: Path
    id: str
    name: str | None = None
    title: str = ""
    began: dt.datetime | None = None
    ended: dt.datetime | None = None
    size: int = 0
    format: Format | None = None
    model: str | None = None
    cwd: str | None = None
    program: str | None = None
    parent_id: str | None = None
    is_sub_agent: bool = False
    is_archived: bool = False
    is_compressed: bool = False
    is_torn: bool = False
    faults: int = 0
    is_empty: bool = False
    meta: SessionMeta | None = attrs.field(default=None, repr=False)

    @property
    def short_id(self) -> str:
        """The last eight characters of the id, by which lists name a session: many begin in the same minute."""
        return self.id[-8:]


def read_head(path: StrPath) -> Head:
    """Return the head of the session at *path*. A damaged file has a head, too.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        OSError: it cannot be read.
    """
    found = _Found()
    with Source(path) as source:
        status = source.status()
        rest, read, is_whole = b"", 0, False
        while not (found.is_done or is_whole) and read < _MOST:
            chunk = source.read(_FIRST)
            read, is_whole = read + len(chunk), not chunk
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                found.add(line)
        if source.can_reread and not is_whole:
            *lines, rest = _tail(source, found, read - len(rest), status.st_size)
            for line in lines:
                found.add(line)
        if source.can_reread or is_whole:
            found.add_last(rest)
    return _head(Path(path), status, found, is_whole)


def head_if_readable(found: FoundFile) -> tuple[Head | None, bool]:
    """Return the head of a session, and whether its file could be read; no head if it was removed in the meantime.

    The head of a file that cannot be read has what its name tells.
    """
    unread = Head(found.path, found.id, began=found.started, is_compressed=found.path.suffix == ".zst")
    try:
        return read_head(found.path), True
    except MissingExtraError:
        return attrs.evolve(unread, size=os.stat(found.path).st_size), False
    except LookupError:
        return None, False
    except (OSError, RolloutError):
        return unread, False


def with_heads(files: Iterable[FoundFile], *, is_exact: bool) -> Iterator[tuple[FoundFile, Head | None, bool]]:
    """Yield *files*, newest first, with their heads, and whether they could be read.

    Args:
        files: in the order of their names, which tell the second.
        is_exact: order those of one second by the time in their first lines. So some more may be opened than are taken.
    """
    for _, together in groupby(files, key=lambda found: found.started):
        while some := [
            (found, *head_if_readable(found)) for found in islice(together, _MOST_ORDERED if is_exact else 1)
        ]:
            yield from sorted(some, key=lambda each: _fraction(each[0], each[1]), reverse=True)


def _fraction(found: FoundFile, head: Head | None) -> int:
    """Return how many microseconds after the second in its name a session began, as its first line says; else 0."""
    if head is None or head.began is None or found.revision is not None:
        return 0
    return head.began.microsecond


def _tail(source: Source, found: _Found, read: int, size: int) -> list[bytes]:
    """Return the last lines of a file of *size* bytes of which *found* has all before *read*, and the bytes after."""
    for length in (_LAST, _FIRST):  # a few lines may be longer than the first
        begin = max(read, size - length)
        pieces = source.reread(begin, max(0, size - begin)).split(b"\n")
        if begin == read:
            return pieces
        found.forget_last()
        if len(pieces) > 2:
            return pieces[1:]
    return pieces[-1:]


def _head(path: Path, status: os.stat_result, found: _Found, is_whole: bool) -> Head:
    meta, named = found.meta, parse_file_name(path)
    extra: Mapping[str, Any] = {} if meta is None else meta.extra
    began = None if named is None else named.started
    if meta is not None:
        with suppress(ValueError):
            began = meta.started
    program = " ".join(text for key in ("originator", "cli_version") if (text := _text(extra.get(key))))
    source = extra.get("source")
    return Head(
        path=path,
        id=meta.id if meta is not None else named.id if named is not None else path.name,
        name=None if meta is None else meta.name,
        title=found.title,
        began=began,
        ended=found.last_time(),
        size=status.st_size,
        format=found.format,
        model=found.model or _text(extra.get("model")),
        cwd=found.cwd or _text(extra.get("cwd")),
        program=program or None,
        parent_id=None if meta is None else meta.parent_id,
        is_sub_agent=isinstance(source, Mapping) and "subagent" in source,
        is_archived=_is_archived(path),
        is_compressed=is_compressed(path),
        is_torn=found.is_torn,
        faults=found.faults,
        is_empty=is_whole and not found.items,
        meta=meta,
    )


class _Found:
    """The facts in some lines of a file: those at its beginning, and then those at its end."""

    def __init__(self) -> None:
        self.meta: SessionMeta | None = None
        self.format: Format | None = None
        self.title = ""
        self.model: str | None = None
        self.cwd: str | None = None
        self.items = 0
        self.faults = 0
        self.is_torn = False
        self.is_done = False  # a good title was found, and before that the rest
        self._last = b""

    def add(self, line: bytes) -> None:
        """Look at one more line, which was ended."""
        if not line.strip(BLANK):
            return
        self._last = line
        try:
            if self.meta is None and not self.items and (meta := _quick_meta(line)) is not None:
                self.meta, self.format = meta
            else:
                self._look(decode_line(line), line)
        except InvalidLine:
            self.faults += 1

    def add_last(self, rest: bytes) -> None:
        """Look at the bytes after the last newline, which may be a whole line all the same."""
        faults = self.faults
        self.add(rest)
        # If no line can be read, the file is not a session that lacks its last line. Half a meta is.
        is_session = self.meta is not None or self.items > 0 or (not faults and rest.lstrip(BLANK).startswith(b"{"))
        if is_session:
            self.is_torn = self.faults > faults
            self.faults = faults

    def forget_last(self) -> None:
        """Forget the last line: those after it were left out."""
        self._last = b""

    def last_time(self) -> dt.datetime | None:
        """Return when the last line was written, if it says so."""
        seconds = written_when(self._last, "")[0] if self._last else None
        return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)

    def _look(self, entry: Entry, line: bytes) -> None:
        if isinstance(entry, SessionMeta):
            if self.meta is None and not self.items:
                self.meta, self.format = entry, "envelope" if is_envelope(line) else "flat"
        elif isinstance(entry, Item):
            self.items += 1
            if entry.type == "message" and not self.is_done:
                self._look_for_title(entry)
        elif isinstance(entry, OtherEntry) and entry.type == "turn_context":
            payload = entry.raw.get("payload")
            if isinstance(payload, Mapping):
                self.model = self.model or _text(payload.get("model"))
                self.cwd = self.cwd or _text(payload.get("cwd"))

    def _look_for_title(self, message: Item) -> None:
        value = message._read()
        if value.get("role") != "user" or not (text := typed_text(value)):
            return
        self.is_done = is_good_title(text)
        if self.is_done or not self.title:
            self.title = title_of(text)


def _quick_meta(line: bytes) -> tuple[SessionMeta, Format] | None:
    """Return the meta that *line* is, without what `decode_line` imports for it: a quarter of the time of a list."""
    try:
        value = parse(line)
        is_flat = "type" not in value
        meta = value if is_flat else value["payload"]
        if not is_flat and (value["type"] != "session_meta" or "timestamp" not in value):
            return None
        extra = {key: held for key, held in meta.items() if key not in SessionMeta.KEYS}
        found = SessionMeta(meta["id"], meta["timestamp"], meta.get("instructions"), extra)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None  # `decode_line` says why
    return found, "flat" if is_flat else "envelope"


def _is_archived(path: Path) -> bool:
    """Whether the nearest folder of sessions that holds *path* is the one for archived ones."""
    folders = os.path.abspath(path).split(os.sep)[-2::-1]
    return next((name == "archived_sessions" for name in folders if name in ("sessions", "archived_sessions")), False)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
