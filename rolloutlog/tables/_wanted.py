"""The rows that a caller wants, where they go, and which lines need not be parsed for them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs

from .._entries import OWN, SessionMeta
from .._reading.lines import Head
from .._shapes import SHAPES
from ._rules import ITEMS, KINDS, LINES, Values
from ._typed import Known


@attrs.frozen
class Held:
    """A file to read.

    Attributes:
        path: where it is on this disk.
        name: the name that rows have of it.
        problem: why it is not there, if it could not be fetched.
        bases: makes sure that the files in which the history of a session begins are beside it, if they exist.
    """

    path: Path
    name: str
    problem: str | None = None
    bases: Callable[[SessionMeta], None] | None = None


@attrs.frozen
class Wanted:
    """The rows that a caller wants.

    Attributes:
        kinds: of which kinds.
        columns: with which columns.
        inherited: whether lines that were copied from another session are rows, too.
        unread: called with the name of each file that holds no session or cannot be read, whatever the kinds are.
        parsed: the kinds of rows whose lines must be parsed.
        unneeded: finds something in a line whose first bytes prove that it makes no row and tells nothing that a row
            needs; `None`: all must be read. With the kind ``skipped``, every line is parsed, as with `iter_lines`.
        unneeded_copy: the same for lines that were copied from another session.
    """

    kinds: frozenset[str]
    columns: frozenset[str]
    inherited: bool = False
    unread: Callable[[str], object] | None = attrs.field(default=None, eq=False)
    parsed: frozenset[str] = attrs.field(init=False)
    unneeded: Callable[[bytes], object] | None = attrs.field(init=False, eq=False)
    unneeded_copy: Callable[[bytes], object] | None = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        parsed = set(self.kinds)
        if "tool_output" in parsed and "name" in self.columns:
            parsed.add("tool_call")
        if {"model", "turn_id"} & self.columns:
            parsed.add("turn")
        object.__setattr__(self, "parsed", frozenset(parsed))
        object.__setattr__(self, "unneeded", _proof(parsed))
        # Copied lines that make no rows themselves tell this, and rows of other lines need it.
        told = parsed if self.inherited else parsed & {"tool_call", "turn", "usage", "event"}
        object.__setattr__(self, "unneeded_copy", _proof(told))


class Sink(Protocol):
    """Takes the rows of files."""

    def begin(self, held: Held, session_id: str | None, head: Head | None) -> None:
        """A file begins; without a session where it holds none that can be read."""

    def context(self, model: str | None, turn_id: str | None) -> None:
        """The rows that follow are of this turn."""

    def add(
        self, kind: str, type: str, line: int | None, stamp: str | None, values: Values, inherited: bool, data: bytes
    ) -> None:
        """Take a row."""

    def take(
        self, known: Known, item: Any, name: str | None, line: int, stamp: str | None, inherited: bool, data: bytes
    ) -> None:
        """Take the row for *item*, which was decoded as *known* says; *name* is that of the call if it is an output."""


def _proof(kinds: set[str]) -> Callable[[bytes], object] | None:
    """Return the match of an expression for lines that make no row of *kinds*.

    It knows a line as Codex or this package writes it: the type of a wrapped line and of its payload, or the type of a
    flat one. It is one expression, because a function called for each line would take longer than what it saves. A line
    of a type that is not in the tables is parsed.
    """
    if "skipped" in kinds or kinds >= set(KINDS) - {"skipped"}:
        return None
    items = "|".join(sorted(re.escape(name) for name, kind in ITEMS.items() if kind not in kinds))
    wrapped, flat = [], []
    if items:
        wrapped.append(rf'response_item","payload":\{{"type":"(?:{items})"[,}}]')
        flat.append(rf'"type":"(?:{items})",(?!"payload"|"timestamp")')
    wrapped += [rf'{name}","payload":' for name, kind in LINES.items() if kind not in kinds]
    if "event" not in kinds:
        known = "|".join(["response_item", "event_msg", "token_usage_record", OWN, *LINES, *SHAPES])
        wrapped.append(rf'(?!(?:{known})")[a-z_]+","payload":')
        wrapped.append(r'event_msg","payload":\{"type":"(?!token_count")[A-Za-z_]+"[,}]')
        if "usage" not in kinds:
            wrapped += ['event_msg","payload":', 'token_usage_record","payload":']
    if not kinds & {"state", "log", "usage"}:
        wrapped.append(f'{OWN}","payload":')
    if not kinds & {"log", "usage"}:
        flat.append('"type":"log",')
    if "state" not in kinds:
        flat.append(r'"record_type":"state"[,}]')
    if wrapped:
        stamp = r'"timestamp":"[^"\\]*",(?:"ordinal":\d+,)?"type":"'
        flat.append(f"{stamp}(?:{'|'.join(wrapped)})")
    return re.compile(rf"\{{(?:{'|'.join(flat)})".encode()).match if flat else None
