"""`SavedSession`: the contents of a session, as it was said and as the model sees it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from .._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine
from .._format.lines import Format
from .._json import MAX_LINE
from .._responses.input import OrphanPolicy, ReasoningPolicy, orphan_calls, session_input
from .._responses.recorded import RecordedResponse, responses_of
from .._responses.view import Rewrite, context
from ..exceptions import NotCarriedWarning
from ..items import Call, ResponseItem
from .blocks import Source
from .forks import stream_history
from .kinds import checked_kinds
from .lines import RolloutLine, stream_lines

if TYPE_CHECKING:
    from .._chat.outgoing import MessageApi

# How many of the last bytes that were read are compared before the bytes after them are read as appended ones.
_COMPARED = 128


@attrs.frozen
class Mark:
    """How far a file was read.

    Attributes:
        status: the file's status then.
        end: how many of its bytes were read.
        last: the last of these.
    """

    status: os.stat_result
    end: int
    last: bytes

    @classmethod
    def at(cls, source: Source, status: os.stat_result, end: int) -> Self:
        """Return the mark at *end* of *source*."""
        begin = max(0, end - _COMPARED)
        return cls(status, end, source.reread(begin, end - begin))

    @classmethod
    def of(cls, status: os.stat_result, data: bytes, offset: int) -> Self:
        """Return the mark at the end of *data*, which begins at *offset* in the file."""
        return cls(status, offset + len(data), data[-_COMPARED:])


@attrs.frozen(repr=False, eq=False)
class SavedSession:
    """The contents of a rollout.

    Attributes:
        session: the first line, the session's meta.
        items: the items, in the order in which they were recorded.
        state: the last state; empty when there is none.
        logs: log entries.
        others: whole lines that are not an item, a state or a log entry (newer rollouts hold events, ...).
        skipped: the lines that could not be read, and why.
        path: the file.
        format: which of the two formats the file has.
        inherited: how many of the items, the first ones, were said in the session that this was forked from, and are
            counted there.
        parents: the metas of the sessions whose history was copied into this file.
        inherited_others: how many of `others`, the first ones, were copied from there. Sums over several sessions, of
            tokens for example, leave them out.

    >>> import rolloutlog
    >>> with rolloutlog.session("greeter") as session:
    ...     session.record({"role": "user", "content": "Hello"})
    ...     session.state = {"turn": 1}
    >>> saved = rolloutlog.load_session("greeter")
    >>> saved.items, saved.state["turn"], saved.skipped, saved.format
    ([Message(role='user', 'Hello')], 1, [], 'flat')
    """

    session: SessionMeta
    items: list[ResponseItem]
    state: SessionStateSnapshot
    logs: list[LogEntry]
    others: list[OtherEntry]
    skipped: list[SkippedLine]
    path: Path
    format: Format = "flat"
    inherited: int = 0
    parents: list[SessionMeta] = attrs.field(factory=list)
    inherited_others: int = 0

    # The first line of the file, with its newline; the lines that change the model's view of the items before them; the
    # ordinal of the next line, where lines are numbered (those of newer Codex are); and how far the file was read.
    _header: bytes = b""
    _rewrites: list[Rewrite] = attrs.field(factory=list)
    _next_number: int | None = None
    _mark: Mark | None = None
    _max_line: int = MAX_LINE

    @property
    def session_id(self) -> str:
        """The session's UUID, as text."""
        return self.session.id

    @property
    def name(self) -> str | None:
        """The name that the session was begun under, or `None`; see `rolloutlog.session`."""
        return self.session.name

    @property
    def context(self) -> list[ResponseItem]:
        """The items as the model sees them, without those that were compacted or taken back; a new list each time."""
        return context(self.items, self._rewrites)

    @property
    def responses(self) -> list[RecordedResponse]:
        """Id, model, usage and time of each response of the model that the file tells of, in order; a new list.

        They are those of `Session.record_response`, and those that newer Codex notes (``token_usage_record``).
        """
        return responses_of(self.session_id, self.logs, self.others).found

    @property
    def orphan_calls(self) -> list[Call]:
        """The calls that the model sees and that have no output, in order."""
        return orphan_calls(self.context)  # type: ignore[return-value]

    def to_input(
        self, *, orphans: OrphanPolicy = "close", ids: bool = True, reasoning: ReasoningPolicy = "encrypted"
    ) -> list[Any]:
        """Return `context` as an API accepts it for ``input=``; see `rolloutlog.to_input`.

        Items that no reasoning leads have no ids here, because a `redact` hook or a damaged line may have taken it.

        >>> import rolloutlog
        >>> with rolloutlog.session("killed") as session:
        ...     session.record(rolloutlog.Message.user("Rain?"), rolloutlog.FunctionCall("sky", "{}", "call_1"))
        >>> [item["type"] for item in rolloutlog.load_session("killed").to_input()]  # the call got an output
        ['message', 'function_call', 'function_call_output']
        """
        return session_input(self.context, orphans, ids, reasoning)

    def to_messages(
        self,
        *,
        api: MessageApi = "chat",
        orphans: OrphanPolicy = "close",
        reasoning: bool = False,
        inherited: bool = True,
    ) -> list[Any]:
        """Return `context` as messages of the Chat Completions API or of Anthropic's; see `rolloutlog.to_messages`.

        Values that the API has no place for are left out, with a `NotCarriedWarning` for each. The instructions are not
        among the messages; they are ``saved.session.instructions``.

        Args:
            api: as for `rolloutlog.to_messages`.
            orphans: as for `rolloutlog.to_messages`.
            reasoning: as for `rolloutlog.to_messages`.
            inherited: whether the messages begin with those of the session that this was forked from.

        Raises:
            OrphanCallError, ValueError: as for `rolloutlog.to_messages`.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("weather") as session:
            ...     session.record({"role": "user", "content": "Will it rain?"})
            >>> rolloutlog.load_session("weather").to_messages()
            [{'role': 'user', 'content': 'Will it rain?'}]
        """
        from .._chat.outgoing import converted

        items = self.context if inherited else self._own_context()
        messages, told = converted(items, api, orphans, reasoning)
        for place, what in told:
            warnings.warn(NotCarriedWarning(place, what), stacklevel=2)
        return messages

    def _own_context(self) -> list[ResponseItem]:
        """Return `context` without what was said in the session that this was forked from.

        A compaction right after the inherited items is left out, because it can only sum up these.
        """
        first = self.inherited
        own = [attrs.evolve(each, place=each.place - first) for each in self._rewrites if each.place > first]
        return context(self.items[first:], own)

    def to_atif(self) -> dict[str, Any]:
        """Return the session as a trajectory of the Agent Trajectory Interchange Format (ATIF 1.8), as plain JSON.

        A step is a message to the model, or all that the model said at once, with its calls and their outputs. All
        items are in it, also those that were taken back or compacted. Steps that were copied from another session are
        marked with ``is_copied_context``. The tokens are those of the session's own requests. The ``notes`` count the
        values that are not carried: reasoning without a text, files, and items of other types.

        The files are read again, because they have the time of each line.

        Raises:
            ValueError, SessionNotFoundError, InvalidRolloutError, OSError: as for `lines`.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("atif") as session:
            ...     session.record({"role": "user", "content": "Will it rain?"})
            >>> rolloutlog.load_session("atif").to_atif()["steps"]
            [{'step_id': 1, 'source': 'user', 'message': 'Will it rain?'}]
        """
        from .._chat.trajectory import trajectory

        return trajectory(self.session, self.lines())

    def lines(self, *, kinds: Collection[str] | None = None) -> Iterator[RolloutLine]:
        """Yield the session's lines, each with its place and its time, from all files that hold its history.

        The files are read again, as `iter_lines` does, instead of keeping the place and the time of each line: few
        callers need them, and they would make each load slower and larger. The lines of the kind ``"item"`` are those
        of `items`, in the same order, and after them those that were appended since.

        Args:
            kinds: as for `iter_lines`.

        Raises:
            ValueError, SessionNotFoundError, InvalidRolloutError, OSError: as for `iter_lines`.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("greeter") as session:
            ...     session.record({"role": "user", "content": "Hello"})
            >>> [(line.number, line.entry) for line in rolloutlog.load_session("greeter").lines(kinds=["item"])]
            [(2, Message(role='user', 'Hello'))]
        """
        wanted = checked_kinds(kinds)
        if self.parents:
            return stream_lines(self.path, wanted, self._max_line)
        return stream_history(self.path, self.session, wanted, self._max_line)

    def _repr_html_(self) -> str:
        from .._face import notebook

        return notebook.saved_session(self)

    def show(self, depth: str = "tools") -> None:
        """Print the session as the command ``rolloutlog show`` does, from its file.

        Args:
            depth: ``"user"`` prints what people said, ``"talk"`` the answers, too, ``"tools"`` calls, ``"full"`` whole
                outputs and reasoning, ``"all"`` every line of the file.

        Raises:
            ValueError: there is no such depth.
            SessionNotFoundError, InvalidRolloutError, OSError: the file cannot be read.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("shown") as session:
            ...     session.record({"role": "user", "content": "Hello"})
            >>> rolloutlog.load_session("shown").show("user")
            Hello
            shown · …
            <BLANKLINE>
            1 · You ────…
              Hello
        """
        from .._face import printing

        printing.show(self.path, depth)

    def __repr__(self) -> str:
        counts = [f"{len(self.items):,} item{'' if len(self.items) == 1 else 's'}"]
        counts += [f"{len(self.logs):,} logged"] * bool(self.logs)
        counts += [f"{len(self.skipped):,} skipped"] * bool(self.skipped)
        return f"SavedSession({self.session_id[:48]!r}, {', '.join(counts)})"
