"""Sessions in numbers: items, calls of tools, tokens and time; by day, model, folder, tool or session.

Lines that were inherited from another session are counted there, and told apart here.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import attrs

from .._entries import LogEntry, OtherEntry, SkippedLine
from .._item import Item
from .._json import MAX_LINE
from .._reading.forks import stream_history
from .._reading.lines import RolloutLine, stream_lines
from .._responses.calls import answer_keys, call_keys
from .._usage import Requests, Tokens, of_log
from ..exceptions import InvalidRolloutError
from .calls import read_call
from .heads import Head, read_head
from .outputs import Result, read_output

By: TypeAlias = Literal["day", "model", "cwd", "tool", "session"]
GROUPINGS: tuple[By, ...] = get_args(By)

NO_TOKENS = Tokens(0, 0, 0, 0)


@attrs.define
class Tool:
    """The calls of one tool.

    Attributes:
        calls: how many there were.
        failed: how many of these failed: with an exit code that is not 0, or an error.
        unanswered: how many of these got no output.
        seconds: how long they took, those of which it is known.
        longest: the longest of them; `None` if no time is known.
    """

    calls: int = 0
    failed: int = 0
    unanswered: int = 0
    seconds: float = 0.0
    longest: float | None = None

    def add(self, result: Result) -> None:
        """Count the output of a call."""
        self.failed += result.is_failed
        if result.seconds is not None:
            self.seconds += result.seconds
            self.longest = max(self.longest or 0.0, result.seconds)


@attrs.define
class Totals:
    """The numbers of one session, or of several together.

    Attributes:
        sessions: how many sessions have a part in it.
        items: items of their own; inherited ones are not among them.
        inherited: items that they inherited.
        kinds: how many of the items are of each kind: a type, or the role of a message.
        tools: the calls, by the tool's name.
        tokens: the tokens of all requests.
        requests: how many requests to a model there were; with none, the tokens are not in the files.
        first, last: the first and the last time that lines of their own tell.
        turns: how long each turn took, in seconds, where Codex says so.
    """

    sessions: int = 0
    items: int = 0
    inherited: int = 0
    kinds: Counter[str] = attrs.Factory(Counter)
    tools: dict[str, Tool] = attrs.Factory(dict)
    tokens: Tokens = NO_TOKENS
    requests: int = 0
    first: dt.datetime | None = None
    last: dt.datetime | None = None
    turns: list[float] = attrs.Factory(list)

    @property
    def calls(self) -> Tool:
        """All calls together."""
        tools = self.tools.values()
        longest = [tool.longest for tool in tools if tool.longest is not None]
        return Tool(
            sum(tool.calls for tool in tools),
            sum(tool.failed for tool in tools),
            sum(tool.unanswered for tool in tools),
            sum(tool.seconds for tool in tools),
            max(longest, default=None),
        )


class Stats:
    """Counts sessions, one after the other, in any order.

    Args:
        by: what to group them by; `None`: all together, under the empty name.
        since: count only lines that were written from then on, aware; a line without a time has that of the one before.
        zone: the zone in which days begin; `None`: local.

    Attributes:
        groups: the numbers of each group, by its name.
    """

    def __init__(self, by: By | None = None, since: dt.datetime | None = None, zone: dt.tzinfo | None = None) -> None:
        self.groups: dict[str, Totals] = {}
        self._by = by
        self._since = since
        self._zone = zone
        self._seen: set[tuple[str, str, str]] = set()

    def add(self, path: Path, *, max_line: int = MAX_LINE) -> None:
        """Count the session in the file at *path*.

        Raises:
            SessionNotFoundError, InvalidRolloutError, MissingExtraError, OSError: it cannot be read.
        """
        head = read_head(path)
        session = _Session(head, self._seen, self._group, self._since)
        lines = _lines(head, max_line)
        for line in lines:
            session.read(line)
            if not isinstance(line.entry, SkippedLine):
                break
        else:
            raise InvalidRolloutError(path, "no line of it can be read")
        for line in lines:
            session.read(line)
        session.end()

    def _group(self, time: dt.datetime | None, model: str, cwd: str, session: str, tool: str) -> Totals:
        """Return the totals to which something with these facts belongs."""
        name = ""
        if self._by == "day":
            name = "" if time is None else f"{time.astimezone(self._zone):%Y-%m-%d}"
        elif self._by is not None:
            name = {"model": model, "cwd": cwd, "session": session, "tool": tool}[self._by]
        found = self.groups.get(name)
        if found is None:
            found = self.groups[name] = Totals()
        return found


@attrs.define(eq=False)
class _Call:
    """A call that may wait for its output, the tool in whose numbers it is, and whether it is counted elsewhere."""

    tool: Tool
    is_inherited: bool
    is_waiting: bool = True


class _Session:
    """Counts the lines of one session.

    Args:
        head: its head.
        seen: the ids of the requests that were counted before.
        group: returns the totals for a time, a model, a folder, a session, and a tool.
        since: lines from before are not counted.
    """

    def __init__(
        self,
        head: Head,
        seen: set[tuple[str, str, str]],
        group: Callable[[dt.datetime | None, str, str, str, str], Totals],
        since: dt.datetime | None,
    ) -> None:
        self._id = head.id
        self._time = head.began
        self._model, self._cwd = head.model or "", head.cwd or ""
        self._group = group
        self._since = since
        self._requests = Requests(head.id, seen)
        self._waiting: dict[tuple[str, str], list[_Call]] = {}
        self._calls: list[_Call] = []
        self._counted: set[int] = set()  # the groups in which this session is counted, by identity
        # The totals to which the present line belongs, and the hour for which they were looked up.
        self._totals: Totals | None = None
        self._hour: tuple[int, int, int] | None = None

    def read(self, line: RolloutLine) -> None:
        """Count *line*, the next one."""
        time, entry = line.timestamp, line.entry
        if time is not None and not line.inherited:
            self._time, hour = time, (time.month, time.day, time.hour)
            if hour != self._hour:
                self._hour, self._totals = hour, None
        is_counted = not line.inherited and not self._is_before()
        if isinstance(entry, Item):
            self._item(entry, line.inherited, is_counted)
        elif isinstance(entry, OtherEntry):
            self._other(entry, is_counted)
        elif isinstance(entry, LogEntry) and is_counted and (tokens := of_log(entry.logger, entry.extra)) is not None:
            self._request(tokens)
        if is_counted and time is not None:
            totals = self._here()
            if totals.first is None or time < totals.first:
                totals.first = time
            if totals.last is None or time > totals.last:
                totals.last = time

    def end(self) -> None:
        """Count the calls that got no output."""
        for call in self._calls:
            call.tool.unanswered += call.is_waiting and not call.is_inherited

    def _is_before(self) -> bool:
        return self._since is not None and (self._time is None or self._time < self._since)

    def _here(self) -> Totals:
        """Return the totals to which the present line belongs."""
        if self._totals is None:
            self._totals = self._with("")
        return self._totals

    def _with(self, tool: str) -> Totals:
        totals = self._group(self._time, self._model, self._cwd, self._id, tool)
        if id(totals) not in self._counted:
            self._counted.add(id(totals))
            totals.sessions += 1
        return totals

    def _tool(self, value: Mapping[str, Any]) -> Tool:
        name = read_call(dict(value)).tool
        return self._with(name).tools.setdefault(name, Tool())

    def _item(self, item: Item, inherited: bool, is_counted: bool) -> None:
        kind = item.type
        if inherited:
            self._here().inherited += self._since is None
        elif is_counted:
            totals = self._here()
            totals.items += 1
            totals.kinds[str(item._read().get("role")) if kind == "message" else kind] += 1
        if kind in ("message", "reasoning") or not (inherited or is_counted):
            return
        value = item._read()
        if (keys := answer_keys(value)) is not None:
            if is_counted:
                self._answer(keys, value)
        elif (keys := call_keys(value)) is not None:
            call = _Call(self._tool(value), inherited)
            call.tool.calls += not inherited
            self._calls.append(call)
            for key in keys:
                self._waiting.setdefault(key, []).append(call)
        elif kind.endswith("_call") and is_counted:  # the API ran it, and its output is in it
            tool = self._tool(value)
            tool.calls += 1
            tool.add(read_output(dict(value)))

    def _answer(self, keys: list[tuple[str, str]], value: Mapping[str, Any]) -> None:
        """Count the output *value*, which answers the last call with one of *keys* that still waits."""
        for key in keys:
            calls = self._waiting.get(key, [])
            while calls:
                call = calls.pop()
                if call.is_waiting:
                    call.is_waiting = False
                    call.tool.add(read_output(dict(value)))
                    return

    def _other(self, entry: OtherEntry, is_counted: bool) -> None:
        payload = entry.raw.get("payload")
        tokens = self._requests.of(entry.type, payload)
        if tokens is not None and is_counted:
            self._request(tokens)
        if not isinstance(payload, Mapping):
            return
        if entry.type == "turn_context":
            model, cwd = payload.get("model"), payload.get("cwd")
            self._model = model if isinstance(model, str) else self._model
            self._cwd = cwd if isinstance(cwd, str) else self._cwd
            self._totals = None
        elif entry.type == "event_msg" and payload.get("type") == "task_complete" and is_counted:
            duration = payload.get("duration_ms")
            if isinstance(duration, int | float):
                self._here().turns.append(duration / 1000)

    def _request(self, tokens: Tokens) -> None:
        totals = self._here()
        totals.requests += 1
        totals.tokens = Tokens(*(one + other for one, other in zip(totals.tokens, tokens, strict=True)))


def _lines(head: Head, max_line: int) -> Iterator[RolloutLine]:
    """Yield the lines of the session, those of its history in other files first."""
    if head.meta is None or "history_base" not in head.meta.extra:
        return stream_lines(head.path, None, max_line)
    return stream_history(head.path, head.meta, None, max_line)
