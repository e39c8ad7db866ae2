"""One file to entries, or to a `SavedSession`: streaming, each line on its own, what could not be read and why."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from operator import length_hint
from pathlib import Path

import attrs

from .._entries import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._format.lines import InvalidLine, decode_line, is_envelope, read_items
from .._item import Item
from .._json import MAX_LINE
from .._responses.view import is_rewrite
from ..exceptions import InvalidRolloutError
from .blocks import BLANK, Block, Source, StrPath, blocks
from .saved import SavedSession

# How many bytes are read at once: so few that what is made of them stays in the processor's caches and seldom calls the
# garbage collector, so many that a call of the system is nothing. Half and twice as many are a few percent slower.
AT_ONCE = 64 * 1024
_NUMBERED = re.compile(rb'\s*\{"timestamp":"[^"]*","ordinal":(\d{1,18}),')


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
    return streamed(path, max_line)


def streamed(path: StrPath, max_line: int, end: int | None = None) -> Iterator[Entry]:
    with Source(path, end) as source:
        for block in blocks(source, max_line, AT_ONCE):
            lines = iter(block.lines)
            for _ in lines:
                # Each is yielded as it is made: a list of them would call the garbage collector, time and again.
                if (entry := decoded(block, length_hint(lines))) is not None:
                    yield entry


def load_head(path: StrPath, end: int | None = None) -> SavedSession:
    """Return the session that *path* holds as far as its first line, which may end at *end*; errors: `load_session`."""
    with Source(path, end) as source:
        for block in blocks(source, MAX_LINE, AT_ONCE):
            if (saved := _begun(path, block, iter(block.lines))) is not None:
                return saved
    raise InvalidRolloutError(path, "empty session file")


def load_file(path: StrPath, end: int | None, max_line: int) -> SavedSession:
    """Return what stands in the file at *path* itself, as far as *end*."""
    saved: SavedSession | None = None
    with Source(path, end) as source:
        for block in blocks(source, max_line, AT_ONCE):
            lines = iter(block.lines)
            saved = saved or _begun(path, block, lines)
            if saved is None:
                continue
            with _gc_paused():
                saved = _filled(saved, block, lines)
            if saved.session.extra.get("history_mode") == "paginated":
                saved = attrs.evolve(saved, next_number=_next_number(block.lines, saved.next_number))
    if saved is None:
        raise InvalidRolloutError(path, "empty session file")
    return saved


def _begun(path: StrPath, block: Block, lines: Iterator[bytes]) -> SavedSession | None:
    """Take the session meta from *lines* and return a session without items; `None` if there are only blank lines."""
    for line in lines:
        entry = decoded(block, length_hint(lines))
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


def _filled(saved: SavedSession, block: Block, lines: Iterator[bytes]) -> SavedSession:
    """Add the entries on *lines*, the last ones of *block*, to the lists of *saved*; return it with its state."""
    state, append = saved.state, saved.items.append
    while (line := read_items(lines, append)) is not None:
        try:
            entry: Entry | None = decode_line(line)
        except InvalidLine:
            entry = decoded(block, length_hint(lines))
        if isinstance(entry, Item):
            append(entry)
        elif isinstance(entry, SessionStateSnapshot):
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
            saved.skipped.append(SkippedLine(*block.place(length_hint(lines)), "a second session meta"))
    return saved if state is saved.state else attrs.evolve(saved, state=state)


def _next_number(lines: list[bytes], known: int | None) -> int:
    """Return the number that comes after the last numbered one of *lines*; *known* if none of them is."""
    for line in reversed(lines):
        if (number := number_of(line)) is not None:
            return number + 1
    return known or 0


def number_of(line: bytes) -> int | None:
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


def decoded(block: Block, after: int) -> Entry | None:
    """Return what the line holds that *after* lines of *block* come after, or what is wrong; `None` for a blank one."""
    line = block.lines[-after - 1]
    if block.problem is None and not line.strip(BLANK):
        return None  # first of all: to find that it is no JSON takes 14 µs, and a file can hold millions of them
    try:
        return decode_line(line)
    except InvalidLine as error:
        return SkippedLine(*block.place(after), block.problem or str(error))
