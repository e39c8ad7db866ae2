"""The values of a session besides its items: its meta, its states, log entries, other lines, and skipped lines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

from ._checks import EMPTY, Extra, has_free_keys, is_line_or_none, is_text, is_text_or_none, is_whole_object, read_only
from ._item import Item
from ._plain import stringified
from ._repr import shortened, shown, sized
from ._shapes import Wire
from .exceptions import InvalidItemError

_UTC = dt.UTC

OWN = "rolloutlog"
"""The name in entries of our own: log entries, and wrapped lines of a type that no real reader knows."""


def utc_timestamp(seconds: float) -> str:
    """Return *seconds* since the epoch as ``YYYY-MM-DDThh:mm:ss.mmmZ``, in UTC, cut (not rounded) to milliseconds."""
    return dt.datetime.fromtimestamp(seconds, _UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


@attrs.frozen(repr=False)
class SessionMeta:
    """The first line of a rollout: the session's id, when it began, and its instructions.

    Args:
        id: the session's UUID, as text.
        timestamp: when it began, ISO 8601.
        instructions: the system prompt, if one was given.
        extra: free keys (working directory, git, the parent's id, ...), written after the others.

    >>> SessionMeta("0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a", "2025-07-23T15:03:26.123Z").started.year
    2025
    """

    type: ClassVar[str] = "session_meta"
    KEYS: ClassVar[tuple[str, ...]] = ("id", "timestamp", "instructions")

    id: str = attrs.field(validator=is_text)
    timestamp: str = attrs.field(validator=is_text)
    instructions: str | None = attrs.field(default=None, validator=is_text_or_none)
    # A line with a `type` is an item, and one with a `record_type` may be a state.
    extra: Mapping[str, Any] = attrs.field(
        default=EMPTY, converter=read_only, validator=has_free_keys("type", "record_type")
    )

    @property
    def name(self) -> str | None:
        """The name that the session was begun under, or `None`."""
        name = self.extra.get("name")
        return name if isinstance(name, str) else None

    @property
    def parent_id(self) -> str | None:
        """The id of the session that this one was forked from, or whose agent began it, or `None`."""
        return self._parent(self.extra) or self._spawned_by(self.extra.get("source"))

    @staticmethod
    def _parent(extra: Mapping[str, Any]) -> str | None:
        found = (extra.get(key) for key in ("forked_from_id", "parent_thread_id", "parent_id"))
        return next((value for value in found if isinstance(value, str)), None)

    @classmethod
    def _spawned_by(cls, source: Any) -> str | None:
        """Return who began a sub-agent: Codex says so deep inside of what it says of the source."""
        for key in ("subagent", "thread_spawn"):
            source = source.get(key) if isinstance(source, Mapping) else None
        return cls._parent(source) if isinstance(source, Mapping) else None

    @property
    def started(self) -> dt.datetime:
        """The timestamp as an aware `datetime`, in UTC.

        Raises:
            ValueError: the timestamp is not ISO 8601.
        """
        try:
            started = dt.datetime.fromisoformat(self.timestamp)
        except ValueError:
            raise InvalidItemError("session_meta.timestamp", "is not an ISO 8601 time") from None
        return started.replace(tzinfo=_UTC) if started.tzinfo is None else started.astimezone(_UTC)

    def to_dict(self) -> Wire:
        """Return the meta as the JSON object that is written, a new dict."""
        return {"id": self.id, "timestamp": self.timestamp, "instructions": self.instructions, **self.extra}

    def __repr__(self) -> str:
        return f"SessionMeta(id={shortened(self.id)}, timestamp={shortened(self.timestamp)})"


@attrs.frozen(repr=False, eq=False)
class SessionStateSnapshot(Mapping[str, Any]):
    """The state that an agent keeps besides its items: free keys, read like a `dict`, replaced as a whole.

    >>> state = SessionStateSnapshot({"turn": 3})
    >>> state["turn"], state.get("city", "Oslo")
    (3, 'Oslo')
    """

    type: ClassVar[str] = "state"
    KEYS: ClassVar[tuple[str, ...]] = ()

    _values: Mapping[str, Any] = attrs.field(default=EMPTY, converter=read_only, validator=has_free_keys("record_type"))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def to_dict(self) -> Wire:
        """Return the state as the JSON object that is written, a new dict: its keys beside the one that marks it."""
        return {"record_type": "state", **self._values}

    def __repr__(self) -> str:
        return f"SessionStateSnapshot({sized(len(self), 'key')})"


def _plain(value: Any) -> Any:
    """Return *value* as plain JSON; most are plain, which is cheap to see."""
    return value if type(value) is int or (type(value) is str and value.isascii()) else stringified(value)


@attrs.frozen(repr=False)
class LogEntry:
    """One log record without an item: text for people, which real readers skip.

    Args:
        timestamp: when it was logged, ISO 8601.
        level: the name of its level, such as ``"INFO"``.
        logger: the name of its logger.
        message: its text, with the arguments in it.
        exception: the text of its traceback.
        stack: the text of its stack.
        extra: further keys. They may hold anything; a value that is not plain JSON is written as its string.
        file: the path of the source file that logged it.
        line: the line in that file, from 1.
        function: the name of the function there.
        thread: the name of the thread.

    >>> LogEntry("2025-07-23T15:03:26.123Z", "INFO", "agent", "asking", thread="MainThread").thread
    'MainThread'
    """

    type: ClassVar[str] = "log"
    KEYS: ClassVar[tuple[str, ...]] = (
        *("timestamp", "level", "logger", "message"),
        *("file", "line", "function", "thread"),
        *("exception", "stack"),
    )

    timestamp: str = attrs.field(validator=is_text)
    level: str = attrs.field(validator=is_text)
    logger: str = attrs.field(validator=is_text)
    message: str = attrs.field(validator=is_text)
    exception: str | None = attrs.field(default=None, validator=is_text_or_none)
    stack: str | None = attrs.field(default=None, validator=is_text_or_none)
    extra: Mapping[str, Any] = attrs.field(default=EMPTY, converter=read_only)
    file: str | None = attrs.field(default=None, validator=is_text_or_none, kw_only=True)
    line: int | None = attrs.field(default=None, validator=is_line_or_none, kw_only=True)
    function: str | None = attrs.field(default=None, validator=is_text_or_none, kw_only=True)
    thread: str | None = attrs.field(default=None, validator=is_text_or_none, kw_only=True)

    def to_dict(self) -> Wire:
        """Return the entry as the JSON object that is written, a new dict."""
        known: Wire = {"type": "log", **{key: getattr(self, key) for key in self.KEYS}}
        known["extra"] = stringified(self.extra, 1) if self.extra else None
        return {key: _plain(value) for key, value in known.items() if value is not None}

    def __repr__(self) -> str:
        message = shown(self.message)
        return f"LogEntry(level={shortened(self.level)}, logger={shortened(self.logger)}, {message})"


@attrs.frozen(repr=False)
class OtherEntry:
    """A whole line of another kind: newer rollouts hold events, turn contexts, ...

    >>> entry = OtherEntry({"type": "turn_context", "payload": {"model": "gpt-5"}})
    >>> entry.type, entry.raw["payload"]["model"]
    ('turn_context', 'gpt-5')
    """

    raw: Mapping[str, Any] = attrs.field(converter=read_only, validator=is_whole_object)

    @property
    def type(self) -> str:
        """The line's type name."""
        return str(self.raw["type"])

    def __repr__(self) -> str:
        return f"OtherEntry(type={shortened(self.type)}, {sized(len(self.raw), 'key')})"


_set_raw: Callable[[OtherEntry, Extra], None] = OtherEntry.__dict__["raw"].__set__


def other_entry(raw: Wire) -> OtherEntry:
    """Return the entry for *raw*, a line that was read and has a type, without the checks for values of callers."""
    entry = object.__new__(OtherEntry)
    _set_raw(entry, Extra(raw))
    return entry


@attrs.frozen
class SkippedLine:
    """A line that could not be read.

    Attributes:
        number: which line of the file, from 1.
        offset: where it begins, in bytes.
        reason: what is wrong with it, without its text.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     pass
    >>> with recorder.path.open("a") as file:
    ...     print("not JSON", file=file)
    >>> [(line.number, line.reason) for line in rolloutlog.load_session(recorder.path).skipped]
    [(2, 'is not JSON')]
    """

    type: ClassVar[str] = "skipped"

    number: int
    offset: int
    reason: str


Entry: TypeAlias = SessionMeta | Item | SessionStateSnapshot | LogEntry | OtherEntry | SkippedLine
