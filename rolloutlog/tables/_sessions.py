"""`sessions`: each session as one row, with the sums over all of its files."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import attrs

from .._entries import SessionMeta
from .._face.titles import is_added, is_good_title, title_of, typed_text
from .._format.lines import decode_line
from .._item import Item
from .._json import MAX_LINE
from .._paths import FoundFile
from .._reading.blocks import StrPath
from .._reading.lines import Head
from ._arrow import SESSIONS, Batch, Table, pyarrow, schema_of, times
from ._files import groups_in, moment
from ._remote import Remote, Store, is_remote
from ._rules import KINDS, Values
from ._scan import scan
from ._typed import Known
from ._wanted import Held, Wanted

_ROWS = 2_048
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_WANTED = Wanted(frozenset(KINDS), frozenset({"name", "model"}))
# A user's text that begins otherwise was typed by a person as it is.
_MAY_BE_ADDED = ("<", "#", "A", "W")


def sessions(home: StrPath | Store | None = None, *, since: dt.date | None = None) -> Table:
    """Return the table of all sessions in *home*, also of archived ones: one row for each.

    A session has several files if turns were taken back; its row counts what is in all of them. Lines that were copied
    from another session are not counted. Files that hold no session have no row; they are ``skipped`` rows of
    `entries`.

    Args:
        home: the folder that holds all sessions, or its place on object storage, as for `entries`.
        since: only sessions that began at that time or later, by the names of their files, in UTC if it names no zone.

    Raises:
        MissingExtraError: the extra "arrow" is not installed.

    >>> from rolloutlog import Message, RolloutRecorder, tables
    >>> with RolloutRecorder.create() as recorder:
    ...     recorder.record(Message.user("Plan a day in Rome"))
    >>> for batch in tables.sessions().batches():
    ...     print(batch.select(["title", "items", "kind"]).to_pylist())
    [{'title': 'Plan a day in Rome', 'items': 1, 'kind': 'user'}]
    """
    return sessions_of(home, since, _WANTED)


def sessions_of(home: StrPath | Store | None, since: dt.date | None, wanted: Wanted) -> Table:
    """Return the table of the sessions in *home*, of which *wanted* rows are counted."""
    pyarrow()
    after = moment(since)
    schema = schema_of(list(SESSIONS), SESSIONS)
    if is_remote(home):
        remote = Remote(home)
        return Table(schema, lambda: _batches(_fetched_groups(remote, after), wanted), "sessions")
    return Table(schema, lambda: session_batches(groups_in(home, after), wanted), "sessions")


def session_batches(groups: Iterable[Sequence[FoundFile]], wanted: Wanted = _WANTED) -> Iterator[Batch]:
    """Yield the rows of the sessions whose files are *groups*, each oldest first."""
    yield from _batches(([file.path for file in group] for group in groups), wanted)


def _fetched_groups(remote: Remote, since: dt.datetime | None) -> Iterator[Iterable[Held]]:
    """Yield the files of each session in *remote*, which are fetched ahead of the session that is read."""
    groups = remote.groups(since)
    held = remote.held(file.name for group in groups for file in group)
    for group in groups:
        yield islice(held, len(group))


def wanted_of(unread: Callable[[str], object] | None) -> Wanted:
    """Return the rows that are counted, with a function that hears of files that cannot be read."""
    return attrs.evolve(_WANTED, unread=unread)


def _batches(groups: Iterable[Iterable[StrPath | Held]], wanted: Wanted) -> Iterator[Batch]:
    rows: list[Values] = []
    for group in groups:
        row = session_row(group, wanted)
        if row is not None:
            rows.append(row)
        if len(rows) >= _ROWS:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def session_row(paths: Iterable[StrPath | Held], wanted: Wanted = _WANTED) -> Values | None:
    """Return the row of the session in *paths*, its files from old to new; `None` where none holds a session."""
    summary = _Summary()
    for path in paths:
        for _ in scan(path, wanted, summary, MAX_LINE):
            pass
    return summary.row()


def _batch(rows: Sequence[Values]) -> Batch:
    arrow = pyarrow()
    schema = schema_of(list(SESSIONS), SESSIONS)
    arrays = []
    for field in schema:
        held = [row.get(field.name) for row in rows]
        is_text = SESSIONS[field.name] == "time"
        arrays.append(times(arrow, held, field.type) if is_text else arrow.array(held, field.type))
    return arrow.RecordBatch.from_arrays(arrays, schema=schema)


class _Summary:
    """Takes the rows of the files of one session, and makes one row of them."""

    def __init__(self) -> None:
        self._head: Head | None = None
        self._row: Values = dict.fromkeys(("items", "turns", "calls", "failures", *_TOKENS, "skipped", "bytes"), 0)
        self._models: dict[str, None] = {}
        self._has_title = False
        self._mtime = 0.0

    def begin(self, held: Held, session_id: str | None, head: Head | None) -> None:
        if head is None:
            return
        self._head = self._head or head
        self._row["path"], self._row["format"] = held.name, head.format
        try:
            status = os.stat(held.path)
        except OSError:
            return
        self._row["bytes"] += status.st_size
        self._mtime = max(self._mtime, status.st_mtime)

    def context(self, model: str | None, turn_id: str | None) -> None:
        if model is not None:
            self._models[model] = None

    def add(
        self, kind: str, type: str, line: int | None, stamp: str | None, values: Values, inherited: bool, data: bytes
    ) -> None:
        row = self._row
        if stamp is not None:
            row["ended"] = stamp
        if kind == "usage":
            for name in _TOKENS:
                row[name] += values[name]
            self.context(values.get("model"), None)
        elif kind == "skipped":
            row["skipped"] += 1
        elif kind in _OF_ITEMS and type != "compacted":
            row["items"] += 1
            row["calls"] += kind == "tool_call"
            row["failures"] += values.get("is_error") is True
            if kind == "message" and values["role"] == "user":
                self._asked(values["text"], data)

    def take(
        self, known: Known, item: Any, name: str | None, line: int, stamp: str | None, inherited: bool, data: bytes
    ) -> None:
        self.add(known.kind, known.type, line, stamp, known.values(item), inherited, data)

    def _asked(self, text: str, data: bytes) -> None:
        if text.lstrip().startswith(_MAY_BE_ADDED) and is_added(text):
            return
        self._row["turns"] += 1
        if self._has_title:
            return
        item = decode_line(data)
        typed = typed_text(item.to_dict()) if isinstance(item, Item) else ""
        self._has_title = is_good_title(typed)
        if typed and (self._has_title or "title" not in self._row):
            self._row["title"] = title_of(typed)

    def row(self) -> Values | None:
        """Return the session's row; `None` where no file held one."""
        if self._head is None:
            return None
        session = self._head.session
        self._row["mtime"] = dt.datetime.fromtimestamp(self._mtime, dt.UTC).isoformat(timespec="milliseconds")
        return {**self._row, **_facts(session), "models": list(self._models)}


_OF_ITEMS = frozenset({"message", "reasoning", "tool_call", "tool_output", "compaction", "other_item"})


def _facts(session: SessionMeta) -> Values:
    """Return the columns that the meta tells."""
    extra = session.extra
    source = extra.get("source")
    agent = source.get("subagent") if isinstance(source, Mapping) else None
    parent_id = session.parent_id
    if agent is not None:
        kind = "review" if agent == "review" else "subagent"
    else:
        kind = "user" if parent_id is None else "fork"
    spawned = agent.get("thread_spawn") if isinstance(agent, Mapping) else None
    git = extra.get("git")
    return {
        "session_id": session.id,
        "started": session.timestamp,
        "parent_id": parent_id,
        "kind": kind,
        "agent_path": _text(extra, "agent_path") or _text(spawned, "agent_path"),
        "cwd": _text(extra, "cwd"),
        "git_branch": _text(git, "branch"),
        "originator": _text(extra, "originator"),
        "cli_version": _text(extra, "cli_version"),
        "provider": _text(extra, "model_provider") or _text(extra.get("imported_from"), "provider"),
        "instructions_hash": _hashed(session.instructions or _text(extra.get("base_instructions"), "text")),
    }


def _text(values: Any, key: str) -> str | None:
    value = values.get(key) if isinstance(values, Mapping) else None
    return value if isinstance(value, str) else None


def _hashed(text: str | None) -> str | None:
    """Return 16 digits that are the same for the same instructions."""
    return hashlib.sha256(text.encode()).hexdigest()[:16] if text else None
