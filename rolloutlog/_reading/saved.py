"""`SavedSession`: what a session holds, as it was said and as the model sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs

from .._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._format.lines import Format
from .._responses.input import OrphanPolicy, orphan_calls, to_input
from .._responses.view import Rewrite, context
from ..items import ResponseItem


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

    def to_input(self, *, orphans: OrphanPolicy = "close", ids: bool = True) -> list[Any]:
        """Return `context` as an API accepts it for ``input=``; see `rolloutlog.to_input`."""
        return to_input(self.context, orphans=orphans, ids=ids)

    def __repr__(self) -> str:
        counts = [f"{len(self.items):,} item{'' if len(self.items) == 1 else 's'}"]
        counts += [f"{len(self.logs):,} logged"] * bool(self.logs)
        counts += [f"{len(self.skipped):,} skipped"] * bool(self.skipped)
        return f"SavedSession({self.session_id[:48]!r}, {', '.join(counts)})"
