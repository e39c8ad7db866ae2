"""The lines of one file, streamed: each with its place, its time and the entry that it holds."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import attrs

from .._entries import Entry, LogEntry, OtherEntry, SessionMeta, SkippedLine
from .._format.envelope import is_wrapped
from .._format.lines import Format, InvalidLine, decode_line, decode_lines, is_envelope, written_when
from .._item import Item
from .._json import MAX_LINE, InvalidJson, loads
from ..exceptions import InvalidRolloutError
from .blocks import BLANK, Block, Source, StrPath, unmarked_blocks
from .kinds import checked_kinds, kind_of, proof_against

# How many bytes are read at once: few enough that the values made of them stay in the processor's caches and seldom
# start the garbage collector, and enough that a system call costs nothing. Half and twice as many are a few percent
# slower.
AT_ONCE = 64 * 1024

# How long after the meta a fork's copies may be written, in seconds.
_COPYING = 2.0
# In the meta of a session that was converted: how many of its items are counted in the one that it was forked from.
INHERITED = "rolloutlog_inherited"

_NUMBERED = re.compile(rb'\s*\{"timestamp":"[^"]*","ordinal":(\d{1,18}),')
_STAMPED = re.compile(rb'\s*\{"timestamp":"([^"\\]*)",(?:"ordinal":(\d{1,18}),)?"type":"[^"\\]*","payload":')


class RolloutLine(NamedTuple):
    """One line of a rollout, and the entry that it holds.

    A named tuple, because it is made in a third of the time of an attrs class, and for each line.

    Attributes:
        number: which line of the file it is, from 1.
        offset: where it begins, in bytes.
        timestamp: when it was written, aware; `None` where the line does not say. Items of the flat format have no
            time, and log entries have one in both formats.
        ordinal: the number that newer Codex gives a line, which not every line has.
        inherited: whether it was copied from the session that this one was forked from.
        entry: what the line holds: a `SessionMeta`, an `Item`, a `SessionStateSnapshot`, a `LogEntry`, an
            ``OtherEntry`` for lines of other kinds, or a ``SkippedLine`` where it cannot be read.

    >>> import rolloutlog
    >>> with rolloutlog.session("greeter") as session:
    ...     session.log("greeted")
    >>> meta, log = rolloutlog.iter_lines(session.path)
    >>> meta.number, meta.offset, log.number, log.entry.message
    (1, 0, 2, 'greeted')
    """

    number: int
    offset: int
    timestamp: dt.datetime | None
    ordinal: int | None
    inherited: bool
    entry: Entry


@attrs.frozen
class Head:
    """The first entry of a file: the session's meta, its bytes with the newline, and the format that it shows."""

    session: SessionMeta
    header: bytes
    format: Format


def iter_lines(
    path: StrPath, *, kinds: Collection[str] | None = None, max_line: int = MAX_LINE
) -> Iterator[RolloutLine]:
    """Yield the lines of *path* that hold an entry, in order and in constant memory.

    Nothing in the file makes it raise: a line that cannot be read has a ``SkippedLine`` as its entry. Blank lines are
    left out. A line that is appended during the iteration may be yielded or not.

    Args:
        path: the file.
        kinds: yield lines of these kinds only: types of items such as ``"message"`` or ``"function_call"``, or
            ``"item"`` (of any type), ``"meta"``, ``"state"``, ``"log"``, ``"event"`` (what Codex shows people),
            ``"turn_context"``, ``"compacted"``, ``"other"`` (every other line that can be read) and ``"skipped"``. A
            line whose first bytes prove that it is of another kind is not parsed, so it is not checked either. With
            ``"skipped"``, every line is parsed.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped without being held.

    Raises:
        ValueError: there is no such kind.
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        OSError: it cannot be read.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("greeter") as session:
        ...     session.record({"role": "user", "content": "Hello"})
        >>> [(line.number, line.entry.text) for line in rolloutlog.iter_lines(session.path, kinds=["message"])]
        [(2, 'Hello')]
    """
    return stream_lines(path, checked_kinds(kinds), max_line)


def iter_entries(path: StrPath, *, max_line: int = MAX_LINE) -> Iterator[Entry]:
    """Yield the entry of each line of *path*, in order and in constant memory.

    Nothing in the file makes it raise: a line that cannot be read is yielded as a ``SkippedLine``, the first line like
    any other. Blank lines are left out. A line that is appended during the iteration may be yielded or not.

    Args:
        path: the file.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped without being held.

    Raises:
        SessionNotFoundError, InvalidRolloutError, MissingExtraError, OSError: as for `iter_lines`.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("greeter") as session:
        ...     session.record({"role": "user", "content": "Hello"})
        ...     session.log("greeted")
        >>> [entry.type for entry in rolloutlog.iter_entries(session.path)]
        ['session_meta', 'message', 'log']
    """
    return stream_entries(path, max_line)


def stream_entries(path: StrPath, max_line: int, end: int | None = None) -> Iterator[Entry]:
    """Yield the entries of *path* as far as *end*."""
    with Source(path, end) as source:
        for block in unmarked_blocks(source, max_line, AT_ONCE):
            for index, entry in enumerate(decode_lines(block.lines)):
                if not isinstance(entry, InvalidLine):
                    yield entry
                elif (skipped := skipped_line(block, index, entry)) is not None:
                    yield skipped


def stream_lines(
    path: StrPath, kinds: frozenset[str] | None, max_line: int, end: int | None = None
) -> Iterator[RolloutLine]:
    """Yield the lines of *path* as far as *end*; otherwise as `iter_lines`, with *kinds* that were checked."""
    is_unwanted = None if kinds is None or "skipped" in kinds else proof_against(kinds)
    copies = Copies(path, end)
    with Source(path, end) as source:
        for block in unmarked_blocks(source, max_line, AT_ONCE):
            offset, length = block.offset, 0
            for number, line in enumerate(block.lines, block.number):
                offset, length = offset + length, len(line)
                if copies.are_over and is_unwanted is not None and is_unwanted(line):
                    continue
                try:
                    entry = decode_line(line)
                except InvalidLine as error:
                    skipped = skipped_line(block, number - block.number, error)
                    if skipped is None:
                        continue
                    entry = skipped
                is_inherited = not copies.are_over and copies.hold(number, line, entry)
                if kinds is None or kind_of(entry) in kinds or ("item" in kinds and isinstance(entry, Item)):
                    timestamp, ordinal = _stamp(line, entry)
                    yield RolloutLine(number, offset, timestamp, ordinal, is_inherited, entry)


def single_line(number: int, offset: int, line: bytes) -> RolloutLine:
    """Return *line*, the one of this *number* at this *offset*, with the entry that it holds."""
    try:
        entry = decode_line(line)
    except InvalidLine as error:
        entry = SkippedLine(number, offset, str(error))
    return RolloutLine(number, offset, *_stamp(line, entry), False, entry)


def skipped_line(block: Block, index: int, error: InvalidLine) -> SkippedLine | None:
    """Return the report of the line at *index* of *block*, which could not be decoded; `None` for a blank one."""
    line = block.lines[index]
    if block.problem is None and not line.strip(BLANK):
        return None
    return SkippedLine(*block.place(index), block.problem or str(error))


def read_head(path: StrPath, end: int | None = None) -> Head:
    """Return the head of the file at *path*, whose first line may end at *end*; errors as for `load_session`."""
    with Source(path, end) as source:
        for block in unmarked_blocks(source, MAX_LINE, AT_ONCE):
            if (begun := begin(path, block)) is not None:
                return begun[0]
    raise InvalidRolloutError(path, "empty session file")


def begin(path: StrPath, block: Block) -> tuple[Head, int] | None:
    """Return the head that *block* begins with, and the index of the line after it; `None` if all lines are blank."""
    for index, line in enumerate(block.lines):
        try:
            entry: Entry | None = decode_line(line)
        except InvalidLine as error:
            entry = skipped_line(block, index, error)
        if entry is None:
            continue
        if not isinstance(entry, SessionMeta):
            reason = entry.reason if isinstance(entry, SkippedLine) else "it is an entry of another kind"
            raise InvalidRolloutError(path, f"no session meta in the first line: {reason}")
        wrapped = is_envelope(line)
        if not wrapped and block.place(index)[0] > 1:
            # Real readers of the flat format give up the whole file for that; those of the other one do not.
            raise InvalidRolloutError(path, "no session meta in the first line: it is blank")
        return Head(entry, line.lstrip(b" ").rstrip(b"\n") + b"\n", "envelope" if wrapped else "flat"), index + 1
    return None


# --- the line around an entry -----------------------------------------------------------------------------------------


def _stamp(line: bytes, entry: Entry) -> tuple[dt.datetime | None, int | None]:
    """Return the time of *line*, which holds *entry*, and its ordinal."""
    if type(entry) is OtherEntry:
        raw = entry.raw
        return _time(raw.get("timestamp")), _whole(raw["ordinal"]) if "ordinal" in raw else None
    if (match := _STAMPED.match(line)) is not None:
        stamp, ordinal = match.groups()
        return _time(stamp.decode()), None if ordinal is None else int(ordinal)
    if isinstance(entry, SkippedLine):
        return None, None
    if b'"payload"' in line:  # a wrapped line with other spaces, or its keys in another order
        value = _object(line)
        if "type" in value and is_wrapped(value):
            return _time(value["timestamp"]), _whole(value.get("ordinal"))
    return (_time(entry.timestamp) if isinstance(entry, LogEntry | SessionMeta) else None), None


def _whole(ordinal: Any) -> int | None:
    return ordinal if type(ordinal) is int else None


def _time(text: Any) -> dt.datetime | None:
    """Return the time that *text* says, aware, in UTC if it names no zone; `None` for anything else."""
    try:
        time = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = loads(line)
    except InvalidJson:
        return {}
    return value if type(value) is dict else {}


def ordinal_of(line: bytes) -> int | None:
    """Return the ordinal of *line*, if it has one."""
    match = _NUMBERED.match(line)
    if match is not None:
        return int(match[1])
    if b'"ordinal"' not in line:
        return None
    value = _object(line)  # other programs write other spaces, or the keys in another order
    return _whole(value.get("ordinal")) if is_wrapped(value) else None


# --- copies of another session's lines --------------------------------------------------------------------------------


class Copies:
    """Says of the lines of one file, in their order, which were copied from another session.

    Args:
        path: the file.
        end: how far it is read.

    Attributes:
        are_over: all lines that follow are the session's own, so they need not be asked for, nor parsed.
    """

    def __init__(self, path: StrPath, end: int | None = None) -> None:
        self.are_over = False
        self._path = path
        self._end = end
        self._session: SessionMeta | None = None
        self._own: int | None = None  # the number of the first line that was not copied, once that is known
        self._counted = 0  # how many of the next items are inherited, in a session that was converted
        self._ends = False  # the last of these was read; the events after it, such as its tokens, belong to it

    def stop(self, number: int, line: bytes) -> int | None:
        """Return the number of the first line from *line* on that was not copied; *number* is that of *line*.

        `None` if the entries of lines must be looked at to know. Lines before it need not be asked for. The first line
        that is asked for is the one after the meta.
        """
        if self._session is None or self._counted or self._ends:
            return None
        if self._own is None:
            self._own = own_begins(self._path, self._session, line, self._end)
        self.are_over = number >= self._own
        return max(number, self._own)

    def hold(self, number: int, line: bytes, entry: Entry) -> bool:
        """Whether *line*, of that *number* and with that *entry*, was copied. Every line until then was asked for."""
        if self._session is not None:
            if self._own is None:
                self._own = own_begins(self._path, self._session, line, self._end)
            self._ends = self._ends and isinstance(entry, OtherEntry) and entry.type == "event_msg"
            is_inherited = self._counted > 0 or self._ends or number < self._own
            if self._counted and isinstance(entry, Item):
                self._counted -= 1
                self._ends = self._counted == 0
            self.are_over = not is_inherited
            return is_inherited
        if isinstance(entry, SessionMeta):
            self._session, self._own = entry, None if is_envelope(line) else 0
            counted = entry.extra.get(INHERITED)
            self._counted = counted if type(counted) is int else 0
        else:
            self.are_over = True  # this file is not a session
        return False


def own_begins(path: StrPath, session: SessionMeta, second: bytes, end: int | None = None) -> int:
    """Return the number of the first line of *path* that was not copied when the session was forked.

    The copies were written at once with the meta, and the meta of the other session is among them. They end where the
    meta of a sub-agent says so, by the ordinal of the line; else at the first line that names the session itself, as
    newer Codex does, or that was written later.

    Args:
        path: the file.
        session: its meta.
        second: the line after the meta. Old forks are known by it alone: it is the meta of the other session.
        end: how far the file is read.
    """
    if session.parent_id is None and b'"session_meta"' not in second:
        return 0
    first = session.extra.get("subagent_history_start_ordinal")
    began: float | None = None
    metas = number = 0
    with Source(path, end) as source:
        for block in unmarked_blocks(source, MAX_LINE, AT_ONCE):
            for number, line in enumerate(block.lines, block.number):
                if type(first) is int:
                    is_own = (ordinal := ordinal_of(line)) is not None and ordinal >= first
                else:
                    seconds, names_itself = written_when(line, session.id)
                    began = seconds if began is None else began
                    late = seconds is not None and began is not None and seconds - began > _COPYING
                    is_own = names_itself or late
                if is_own:
                    return number if metas > 1 else 0
                metas += b'"session_meta"' in line
    return number + 1 if metas > 1 else 0
