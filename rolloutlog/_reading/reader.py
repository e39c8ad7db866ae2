"""`load_session`: the lines of a session's files, read into one `SavedSession`."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from .._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._format.lines import InvalidLine, decode_lines
from .._item import Item
from .._json import MAX_LINE
from .._responses.view import Rewrite, is_rewrite
from ..exceptions import InvalidRolloutError
from ..items import is_item
from .blocks import Block, Source, StrPath, unmarked_blocks
from .forks import NO_BASE, Part, history_of
from .lines import AT_ONCE, INHERITED, Head, begin, ordinal_of, skipped_line, stream_lines
from .saved import Mark, SavedSession

_MARKED = "begins with a byte order mark, which is skipped here; the Codex CLI refuses the file until it is removed"


def load_session(path: StrPath, *, max_line: int = MAX_LINE) -> SavedSession:
    """Return the session that *path* holds. Takes no lock and changes nothing.

    A session that Codex forked may refer to the history in the file of another one, in the same home; that is read too.
    So is the rest of the earlier file, where Codex took turns back and continued in a new one.

    Args:
        path: the file.
        max_line: how many bytes a line may have, its newline not counted; a longer one is skipped.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file, it is empty, or its first line is not a session meta.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        OSError: it cannot be read.
    """
    saved = _load_file(path, None, max_line)
    if saved.parents:
        return _with_copies_counted(saved, max_line)
    if type(inherited := saved.session.extra.get(INHERITED)) is int:
        counted = _with_copies_counted(saved, max_line) if saved.others else saved
        return attrs.evolve(counted, inherited=max(0, min(inherited, len(saved.items))))
    return saved if "history_base" not in saved.session.extra else _with_history(saved, max_line)


def _load_file(path: StrPath, end: int | None, max_line: int) -> SavedSession:
    """Return the contents of the file at *path* itself, as far as *end*."""
    saved: SavedSession | None = None
    start = 0
    with Source(path, end) as source:
        status = source.status()
        for block in unmarked_blocks(source, max_line, AT_ONCE):
            if saved is None:
                begun = begin(path, block)
                if begun is None:
                    continue
                saved, start = _empty(begun[0], path, max_line), begun[1]
                if source.is_marked:
                    saved.skipped.append(SkippedLine(1, 0, _MARKED))
            with _gc_paused():
                saved = _filled(saved, block, start)
            start = 0
            if saved.session.extra.get("history_mode") == "paginated":
                saved = attrs.evolve(saved, next_number=_next_number(block.lines, saved._next_number))
        if saved is None:
            raise InvalidRolloutError(path, "empty session file")
        if not source.can_reread:
            return saved
        return attrs.evolve(saved, mark=Mark.at(source, status, _read_until(saved, block)))


def _empty(head: Head, path: StrPath, max_line: int) -> SavedSession:
    state = SessionStateSnapshot()
    return SavedSession(
        head.session, [], state, [], [], [], Path(path), head.format, header=head.header, max_line=max_line
    )


def _read_until(saved: SavedSession, last: Block) -> int:
    """Return where the last line that was read ends: *last* is half a line where it is reported as incomplete."""
    is_half = last.problem is not None and saved.skipped and saved.skipped[-1].offset == last.offset
    return last.offset if is_half else last.offset + sum(map(len, last.lines))


def _filled(saved: SavedSession, block: Block, start: int) -> SavedSession:
    """Add the entries of *block*, from the line at *start* on, to the lists of *saved*; return it with its state."""
    state, append = saved.state, saved.items.append
    for index, entry in enumerate(decode_lines(block.lines[start:]), start):
        if isinstance(entry, Item):
            append(entry)
        elif isinstance(entry, InvalidLine):
            if (skipped := skipped_line(block, index, entry)) is not None:
                saved.skipped.append(skipped)
        elif isinstance(entry, SessionStateSnapshot):
            state = entry
        elif isinstance(entry, LogEntry):
            saved.logs.append(entry)
            if is_rewrite(entry):
                saved._rewrites.append(Rewrite(len(saved.items), entry))
        elif isinstance(entry, OtherEntry):
            saved.others.append(entry)
            if is_rewrite(entry):
                saved._rewrites.append(Rewrite(len(saved.items), entry))
        elif isinstance(entry, SessionMeta) and saved.format == "envelope":
            saved.parents.append(entry)
        elif isinstance(entry, SessionMeta):
            saved.skipped.append(SkippedLine(*block.place(index), "a second session meta"))
    return saved if state is saved.state else attrs.evolve(saved, state=state)


def _next_number(lines: list[bytes], known: int | None) -> int:
    """Return the number that comes after the last numbered one of *lines*; *known* if none of them is numbered."""
    for line in reversed(lines):
        if (number := ordinal_of(line)) is not None:
            return number + 1
    return known or 0


def _with_copies_counted(saved: SavedSession, max_line: int, end: int | None = None) -> SavedSession:
    """Return *saved* with the number of items and other lines that were copied into its file when it was forked."""
    items = others = 0
    for line in stream_lines(saved.path, None, max_line, end):
        if not line.inherited and not isinstance(line.entry, SessionMeta):
            break
        items += is_item(line.entry)
        others += isinstance(line.entry, OtherEntry)
    return attrs.evolve(saved, inherited=min(items, len(saved.items)), inherited_others=min(others, len(saved.others)))


def _with_history(saved: SavedSession, max_line: int) -> SavedSession:
    """Return *saved* with the history that it refers to, which ends at an offset in another session's file."""
    parts, is_whole = history_of(saved.path, saved.session)
    if not is_whole:
        saved.skipped.insert(0, SkippedLine(1, 0, NO_BASE))
    older = load_parts(parts[:-1], max_line)
    return saved if older is None else _joined(older, saved)


def load_parts(parts: Sequence[Part], max_line: int) -> SavedSession | None:
    """Return the history that *parts*, which follow each other, hold together; `None` for no part."""
    whole: SavedSession | None = None
    for part in parts:
        older = _load_file(part.path, part.end, max_line)
        if older.parents:
            older = _with_copies_counted(older, max_line, part.end)
        whole = older if whole is None else _joined(whole, older)
    return whole


def _joined(before: SavedSession, saved: SavedSession) -> SavedSession:
    """Return *saved* with the history in *before*, to which it refers."""
    count = len(before.items)
    joined = attrs.evolve(
        saved,
        items=before.items + saved.items,
        rewrites=before._rewrites + [Rewrite(each.place + count, each.entry) for each in saved._rewrites],
        state=saved.state or before.state,
        inherited=count,
    )
    if before.session_id != saved.session_id:
        return joined
    # This is not a fork. Codex took turns back, and continues in a new file.
    logs, others = before.logs + saved.logs, before.others + saved.others
    return attrs.evolve(
        joined,
        inherited=before.inherited,
        inherited_others=before.inherited_others,
        logs=logs,
        others=others,
    )


@contextmanager
def _gc_paused() -> Iterator[None]:
    """Keep the garbage collector from looking through values that are all kept, again and again: a quarter of the time.

    The switch belongs to the whole process, so it is off for one block at a time, some milliseconds. A collector that
    was off stays off.
    """
    if not gc.isenabled():  # so is one that another thread pauses now: it may be on again before this thread is through
        yield
        return
    try:
        gc.disable()
        yield
    finally:
        gc.enable()
