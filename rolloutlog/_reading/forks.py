"""Sessions whose history began in another file: forks, sub-agents, and those that Codex took turns back of."""

from __future__ import annotations

from collections.abc import Iterator
from operator import length_hint
from pathlib import Path

import attrs

from .._entries import Entry, SkippedLine
from .._format.lines import written_when
from .._json import MAX_LINE
from .._paths import find_base, home_of, parse_file_name, parse_session_id
from ..exceptions import SessionNotFoundError
from ..items import is_item
from .blocks import Source, StrPath, blocks
from .reader import AT_ONCE, decoded, load_file, load_head, number_of, streamed
from .saved import SavedSession

# How long after the meta a fork's copies may be written, in seconds.
_COPYING = 2.0
# In the meta of a session that was converted: how many of its items are counted in the one that it was forked from.
INHERITED = "rolloutlog_inherited"
NO_BASE = "the history that the session was forked from is not there"


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
    saved = load_file(path, end, max_line)
    if saved.parents:
        return attrs.evolve(saved, inherited=_copied(saved, max_line))
    if type(inherited := saved.session.extra.get(INHERITED)) is int:
        return attrs.evolve(saved, inherited=max(0, min(inherited, len(saved.items))))
    return saved if "history_base" not in saved.session.extra else _with_base(saved, max_line)


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
        yield from streamed(source, MAX_LINE, end)


def _with_base(saved: SavedSession, max_line: int) -> SavedSession:
    """Return *saved* with the history that it refers to, which ends at an offset in another session's file."""
    files, seen = [saved], set[str]()  # each refers to the next
    while "history_base" in files[-1].session.extra:
        seen.add(_name_of(files[-1]))
        base = _base_of(files[-1], seen)
        if base is None:
            saved.skipped.insert(0, SkippedLine(1, 0, NO_BASE))
            break
        before = load_file(*base, max_line)
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


def _copied(saved: SavedSession, max_line: int) -> int:
    """Return how many items of *saved* were copied into its file when it was forked.

    The copies were written at once with the meta. They end where the meta of a sub-agent says so, by the number of the
    line; else at the first line that names the session itself, as newer Codex does, or that was written later.
    """
    first = saved.session.extra.get("subagent_history_start_ordinal")
    began: float | None = None
    count = 0
    with Source(saved.path) as source:
        for block in blocks(source, max_line, AT_ONCE):
            lines = iter(block.lines)
            for line in lines:
                if type(first) is int:
                    ends = (number := number_of(line)) is not None and number >= first
                else:
                    stamp, names_itself = written_when(line, saved.session_id)
                    began = stamp if began is None else began
                    late = stamp is not None and began is not None and stamp - began > _COPYING
                    ends = names_itself or late
                if ends:
                    return count
                entry = decoded(block, length_hint(lines))
                count += entry is not None and is_item(entry)
    return count
