"""`Imported`: the result of the import of one session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import attrs

from .._checks import EMPTY, read_only
from .._entries import SkippedLine
from .._repr import sized

State: TypeAlias = Literal["new", "known", "changed", "empty"]


@attrs.frozen(repr=False)
class Imported:
    """The result of an import: one session of another program, and what was not carried into its rollout.

    Attributes:
        source: the file, and after a ``#`` the session in it, where a file can hold several.
        state: ``"new"``: a rollout was made. ``"known"``: the home has one from an earlier import. ``"changed"``: so it
            does, and the source has changed since. ``"empty"``: the source holds no session. Only for ``"new"`` was
            anything written.
        session_id: the id of the rollout's session; `None` if it is empty.
        path: the rollout; `None` if it is empty.
        problem: why it is empty, or `None`.
        items: how many items the new rollout has.
        responses: of how many responses of a model it keeps the model and the usage.
        logged: values that are not items and are kept as log entries: how many of which kind.
        left_out: values that are not in the rollout: how many of which kind.
        skipped: lines of a file, rows of a table or elements of a list that could not be read, by number, and why;
            also if the state is not ``"new"``. Of a session of Claude Code that was imported before, these are the
            lines that are not JSON objects: its messages are not converted again.
    """

    source: str
    state: State
    session_id: str | None = None
    path: Path | None = None
    problem: str | None = None
    items: int = 0
    responses: int = 0
    logged: Mapping[str, int] = attrs.field(default=EMPTY, converter=read_only)
    left_out: Mapping[str, int] = attrs.field(default=EMPTY, converter=read_only)
    skipped: tuple[SkippedLine, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the values as plain JSON, a new dict."""
        return {
            "source": self.source,
            "state": self.state,
            "session_id": self.session_id,
            "path": None if self.path is None else str(self.path),
            "problem": self.problem,
            "items": self.items,
            "responses": self.responses,
            "logged": dict(self.logged),
            "left_out": dict(self.left_out),
            "skipped": [{"number": line.number, "reason": line.reason} for line in self.skipped],
        }

    def __repr__(self) -> str:
        counts = [self.state, sized(self.items, "item")]
        counts += [f"{sum(self.logged.values()):,} logged"] * bool(self.logged)
        counts += [f"{sum(self.left_out.values()):,} left out"] * bool(self.left_out)
        counts += [f"{len(self.skipped):,} skipped"] * bool(self.skipped)
        return f"Imported({self.source!r}, {', '.join(counts)})"
