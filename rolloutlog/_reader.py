"""Bytes to entries to a `SavedSession`: streaming, each line on its own, with what could not be read and why."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from operator import length_hint
from pathlib import Path
from typing import Any

import attrs

from ._blocks import BLANK, Block, Source, StrPath, blocks
from ._codec import (
    HOT_LINES,
    UNCOMMON,
    Format,
    InvalidLine,
    decode_line,
    decode_values,
    is_envelope,
    written_when,
)
from ._history import Rewrite, context, is_rewrite
from ._input import Orphans, orphan_calls, to_input
from ._layout import find_base, home_of, parse_file_name, parse_session_id
from ._lines import MAX_LINE
from ._models import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .exceptions import InvalidRolloutError, SessionNotFoundError
from .items import ResponseItem, is_item

# How many bytes are read at once: so few that what is made of them stays in the processor's caches and seldom calls the
# garbage collector, so many that a call of the system is nothing. Half and twice as many are a few percent slower.
_AT_ONCE = 64 * 1024
# How long after the meta a fork's copies may be written, in seconds.
_COPYING = 2.0
# In the meta of a session that was converted: how many of its items are counted in the one that it was forked from.
INHERITED = "rolloutlog_inherited"
NO_BASE = "the history that the session was forked from is not there"
_NUMBERED = re.compile(rb'\s*\{"timestamp":"[^"]*","ordinal":(\d{1,18}),')


@attrs.frozen(repr=False, eq=False)
class SavedSession:
    """What a rollout holds.

    Attributes:
        session: the first line, the session's meta.
        items: the items, in the order in which they were recorded: what was said.
        state: the last state; empty when there is none.
        logs: log entries.
        others: whole lines that are no item, no state and no log entry (newer rollouts hold events, ...).
        skipped: the lines that could not be read, and why.
        path: the file.
        header: the first line as it stands, with its newline.
        format: which of the two formats the file has.
        inherited: how many of the items, the first ones, were said in the session that this was forked from, and are
            counted there.
        parents: the metas of the sessions whose history was copied into this file.
        rewrites: lines that change what the model sees of the items before them, and how many these are.
        next_number: the number of the next line, where lines are numbered (those of newer Codex are).
    """

    session: SessionMeta
    items: list[ResponseItem]
    state: SessionStateSnapshot
    logs: list[LogEntry]
    others: list[OtherEntry]
    skipped: list[SkippedLine]
    path: Path
    header: bytes
    format: Format = "flat"
    inherited: int = 0
    parents: list[SessionMeta] = attrs.field(factory=list)
    rewrites: list[Rewrite] = attrs.field(factory=list)
    next_number: int | None = None

    @property
    def session_id(self) -> str:
        """The session's UUID, as text."""
        return self.session.id

    @property
    def context(self) -> list[ResponseItem]:
        """What the model sees: the items, unless some were compacted or taken back; a new list each time."""
        return context(self.items, self.rewrites)

    @property
    def orphan_calls(self) -> list[ResponseItem]:
        """The calls that the model sees and that have no output, in order."""
        return orphan_calls(self.context)

    def to_input(self, *, orphans: Orphans = "close") -> list[Any]:
        """Return `context` as an API accepts it for ``input=``; see `rolloutlog.to_input`."""
        return to_input(self.context, orphans=orphans)

    def __repr__(self) -> str:
        counts = [f"{len(self.items):,} item{'' if len(self.items) == 1 else 's'}"]
        counts += [f"{len(self.logs):,} logged"] * bool(self.logs)
        counts += [f"{len(self.skipped):,} skipped"] * bool(self.skipped)
        return f"SavedSession({self.session_id[:48]!r}, {', '.join(counts)})"


def iter_entries(path: StrPath, *, max_line: int = MAX_LINE) -> Iterator[Entry]:
    """Yield what stands on each line of *path*, in order and in constant memory.

    Nothing in the file makes it raise: a line that cannot be read is yielded as a `SkippedLine`, the first line like
    any other. Blank lines are no entries. What is appended meanwhile may be yielded or not.

    Args:
        path: the file.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped without being held.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is no regular file.
        OSError: it cannot be read.
    """
    return _streamed(path, max_line)


def _streamed(path: StrPath, max_line: int, end: int | None = None) -> Iterator[Entry]:
    with Source(path, end) as source:
        for block in blocks(source, max_line, _AT_ONCE):
            values = iter(decode_values(block.lines))
            for value in values:
                # Each is yielded as it is made: a list of them would call the garbage collector, time and again.
                entry: Entry | None
                try:
                    entry = HOT_LINES[value["type"]](value, False)
                except UNCOMMON:
                    entry = _decoded(block, length_hint(values))
                if entry is not None:
                    yield entry


def load_session(path: StrPath, *, max_line: int = MAX_LINE) -> SavedSession:
    """Return the session that *path* holds. Takes no lock and changes nothing.

    A session that Codex forked may refer to the history in the file of another one, in the same home: that is read too.
    So is what is left of the earlier file where Codex took turns back and went on in a new one.

    Args:
        path: the file.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is no regular file, it is empty, or its first line is no session meta.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        OSError: it cannot be read.
    """
    return load_until(path, None, max_line)


def load_until(path: StrPath, end: int | None, max_line: int = MAX_LINE) -> SavedSession:
    """Return the session as it was when its file had *end* bytes; otherwise as `load_session`."""
    saved = _loaded(path, end, max_line)
    if saved.parents:
        return attrs.evolve(saved, inherited=_copied(saved, max_line))
    if type(inherited := saved.session.extra.get(INHERITED)) is int:
        return attrs.evolve(saved, inherited=max(0, min(inherited, len(saved.items))))
    return saved if "history_base" not in saved.session.extra else _with_base(saved, max_line)


def _with_base(saved: SavedSession, max_line: int) -> SavedSession:
    """Return *saved* with the history that it refers to, which ends at an offset in another session's file."""
    files, seen = [saved], set[str]()  # each refers to the next
    while "history_base" in files[-1].session.extra:
        seen.add(_name_of(files[-1]))
        base = _base_of(files[-1], seen)
        if base is None:
            saved.skipped.insert(0, SkippedLine(1, 0, NO_BASE))
            break
        before = _loaded(*base, max_line)
        if before.parents:
            before = attrs.evolve(before, inherited=min(_copied(before, max_line), len(before.items)))
        files.append(before)
    whole = files.pop()
    while files:
        whole = _joined(whole, files.pop())
    return whole


def _joined(before: SavedSession, saved: SavedSession) -> SavedSession:
    """Return *saved* with the history in *before*, to which it refers."""
    count = len(before.items)
    joined = attrs.evolve(
        saved,
        items=before.items + saved.items,
        rewrites=before.rewrites + [(place + count, entry) for place, entry in saved.rewrites],
        state=saved.state or before.state,
        inherited=count,
    )
    if before.session_id != saved.session_id:
        return joined
    # No fork: Codex took turns back, and goes on in a new file from where the older one stands for the session.
    logs, others = before.logs + saved.logs, before.others + saved.others
    return attrs.evolve(joined, inherited=before.inherited, logs=logs, others=others)


def _name_of(saved: SavedSession) -> str:
    """Return the id by which other files refer to that of *saved*."""
    named = parse_file_name(saved.path)
    return saved.session_id if named is None else named.revision or named.id


def _base_of(saved: SavedSession, seen: set[str]) -> tuple[Path, int] | None:
    """Return the file in which the history of *saved* begins, and where in it that ends; `None` if it is not there."""
    base, home = saved.session.extra["history_base"], home_of(saved.path)
    try:
        name, end = parse_session_id(base["thread_id"]), max(0, int(base["end_byte_offset"]))
        path = find_base(home, name) if home is not None and name not in seen else None
        if path is not None:
            load_head(path, end)
    except (TypeError, KeyError, ValueError, SessionNotFoundError):
        return None
    return None if path is None else (path, end)


def load_head(path: StrPath, end: int | None = None) -> SavedSession:
    """Return the session that *path* holds as far as its first line, which may end at *end*; errors: `load_session`."""
    with Source(path, end) as source:
        for block in blocks(source, MAX_LINE, _AT_ONCE):
            if (saved := _begun(path, block, iter(block.lines))) is not None:
                return saved
    raise InvalidRolloutError(path, "empty session file")


def iter_history(path: StrPath) -> Iterator[Entry]:
    """Yield the entries of a session as `iter_entries` does, those that it refers to in other files before them."""
    saved, seen = load_head(path), set[str]()
    sources: list[tuple[Path, int | None]] = [(saved.path, None)]
    while "history_base" in saved.session.extra:
        seen.add(_name_of(saved))
        base = _base_of(saved, seen)
        if base is None:
            yield SkippedLine(1, 0, NO_BASE)
            break
        sources.insert(0, base)
        saved = load_head(base[0])
    for source, end in sources:
        yield from _streamed(source, MAX_LINE, end)


def _copied(saved: SavedSession, max_line: int) -> int:
    """Return how many items of *saved* were copied into its file when it was forked.

    The copies were written at once with the meta. They end where the meta of a sub-agent says so, by the number of the
    line; else at the first line that names the session itself, as newer Codex does, or that was written later.
    """
    first = saved.session.extra.get("subagent_history_start_ordinal")
    began: float | None = None
    count = 0
    with Source(saved.path) as source:
        for block in blocks(source, max_line, _AT_ONCE):
            lines = iter(block.lines)
            for line in lines:
                if type(first) is int:
                    ends = (number := _number(line)) is not None and number >= first
                else:
                    stamp, names_itself = written_when(line, saved.session_id)
                    began = stamp if began is None else began
                    late = stamp is not None and began is not None and stamp - began > _COPYING
                    ends = names_itself or late
                if ends:
                    return count
                entry = _decoded(block, length_hint(lines))
                count += entry is not None and is_item(entry)
    return count


def _loaded(path: StrPath, end: int | None, max_line: int) -> SavedSession:
    """Return what stands in the file at *path* itself, as far as *end*."""
    saved: SavedSession | None = None
    with Source(path, end) as source:
        for block in blocks(source, max_line, _AT_ONCE):
            lines = iter(block.lines)
            saved = saved or _begun(path, block, lines)
            if saved is None:
                continue
            with _gc_paused():
                saved = _filled(saved, block, decode_values(list(lines)))
            if saved.session.extra.get("history_mode") == "paginated":
                saved = attrs.evolve(saved, next_number=_next_number(block.lines, saved.next_number))
    if saved is None:
        raise InvalidRolloutError(path, "empty session file")
    return saved


def _begun(path: StrPath, block: Block, lines: Iterator[bytes]) -> SavedSession | None:
    """Take the session meta from *lines* and return a session without items; `None` if there are only blank lines."""
    for line in lines:
        entry = _decoded(block, length_hint(lines))
        if entry is None:
            continue
        if not isinstance(entry, SessionMeta):
            reason = entry.reason if isinstance(entry, SkippedLine) else "it is an entry of another kind"
            raise InvalidRolloutError(path, f"no session meta in the first line: {reason}")
        wrapped = is_envelope(line)
        if not wrapped and block.place(length_hint(lines))[0] > 1:
            # Real readers of the flat format give up the whole file for that; those of the other one do not.
            raise InvalidRolloutError(path, "no session meta in the first line: it is blank")
        header = line.rstrip(b"\n") + b"\n"
        no_state = SessionStateSnapshot()
        return SavedSession(entry, [], no_state, [], [], [], Path(path), header, "envelope" if wrapped else "flat")
    return None


def _filled(saved: SavedSession, block: Block, found: list[Any]) -> SavedSession:
    """Add what the last lines of *block* hold, *found* on them, to the lists of *saved*; return it with its state."""
    state, append = saved.state, saved.items.append
    values = iter(found)
    for value in values:
        try:
            append(HOT_LINES[value["type"]](value, False))
            continue
        except UNCOMMON:
            entry = _decoded(block, length_hint(values))
        if isinstance(entry, SessionStateSnapshot):
            state = entry
        elif isinstance(entry, LogEntry):
            saved.logs.append(entry)
            if is_rewrite(entry):
                saved.rewrites.append((len(saved.items), entry))
        elif isinstance(entry, OtherEntry):
            saved.others.append(entry)
            if is_rewrite(entry):
                saved.rewrites.append((len(saved.items), entry))
        elif isinstance(entry, SkippedLine):
            saved.skipped.append(entry)
        elif isinstance(entry, SessionMeta) and saved.format == "envelope":
            saved.parents.append(entry)
        elif isinstance(entry, SessionMeta):
            saved.skipped.append(SkippedLine(*block.place(length_hint(values)), "a second session meta"))
        elif entry is not None:
            saved.items.append(entry)
    return saved if state is saved.state else attrs.evolve(saved, state=state)


def _next_number(lines: list[bytes], known: int | None) -> int:
    """Return the number that comes after the last numbered one of *lines*; *known* if none of them is."""
    for line in reversed(lines):
        if (number := _number(line)) is not None:
            return number + 1
    return known or 0


def _number(line: bytes) -> int | None:
    """Return the number of *line*, if it has one."""
    match = _NUMBERED.match(line)
    return None if match is None else int(match[1])


@contextmanager
def _gc_paused() -> Iterator[None]:
    """Keep the garbage collector from looking through values that are all kept, again and again: a quarter of the time.

    The switch is the whole process's, so it is thrown for one block at a time, some milliseconds. A collector that was
    off stays off.
    """
    if not gc.isenabled():  # nor does one that another thread pauses now: it may be on again before we would be through
        yield
        return
    try:
        gc.disable()
        yield
    finally:
        gc.enable()


def _decoded(block: Block, after: int) -> Entry | None:
    """Return what the line holds that *after* lines of *block* come after, or what is wrong; `None` for a blank one."""
    line = block.lines[-after - 1]
    if block.problem is None and not line.strip(BLANK):
        return None  # first of all: to find that it is no JSON takes 14 µs, and a file can hold millions of them
    try:
        return decode_line(line)
    except InvalidLine as error:
        return SkippedLine(*block.place(after), block.problem or str(error))
