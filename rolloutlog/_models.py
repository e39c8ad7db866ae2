"""The values that a session has besides its items: its meta, its states, log entries, and what could not be read."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

from rolloutlog.exceptions import InvalidItemError
from rolloutlog.items import Extra, ResponseItem

_UTC = dt.timezone.utc
_EMPTY = Extra()


def utc_timestamp(seconds: float) -> str:
    """Return *seconds* since the epoch as ``YYYY-MM-DDThh:mm:ss.mmmZ``, in UTC, cut (not rounded) to milliseconds."""
    return dt.datetime.fromtimestamp(seconds, _UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _read_only(value: Any) -> Any:
    return Extra(value) if isinstance(value, Mapping) and type(value) is not Extra else value


def _text(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise InvalidItemError(f"{instance.KIND}.{attribute.alias}", "is not a string")


def _text_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidItemError(f"{instance.KIND}.{attribute.alias}", "is neither a string nor None")


def _free_keys(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    where = f"{instance.KIND}.{attribute.alias}"
    if not isinstance(value, Extra):
        raise InvalidItemError(where, "is not a mapping")
    for key in value:
        if not isinstance(key, str):
            raise InvalidItemError(where, "has a key that is not a string")
        if key in instance.RESERVED:
            raise InvalidItemError(where, f"may not hold {key!r}, which has a place of its own")


@attrs.frozen(repr=False)
class SessionMeta:
    """What the first line of a rollout says: whose it is, since when, under which instructions.

    Args:
        id: the session's UUID, as text.
        timestamp: when it began, ISO 8601.
        instructions: the system prompt, if one was given.
        extra: free keys (working directory, git, the parent's id, ...), written after the others.
    """

    KIND: ClassVar[str] = "meta"
    # A line with a `type` is an item, one with a `record_type` may be a state.
    RESERVED: ClassVar[frozenset[str]] = frozenset({"id", "timestamp", "instructions", "type", "record_type"})

    id: str = attrs.field(validator=_text)
    timestamp: str = attrs.field(validator=_text)
    instructions: str | None = attrs.field(default=None, validator=_text_or_none)
    extra: Mapping[str, Any] = attrs.field(default=_EMPTY, converter=_read_only, validator=_free_keys)

    @property
    def started(self) -> dt.datetime:
        """The timestamp as an aware `datetime`, in UTC.

        Raises:
            ValueError: the timestamp is not ISO 8601.
        """
        try:
            started = dt.datetime.fromisoformat(self.timestamp)
        except ValueError:
            raise InvalidItemError("meta.timestamp", "is not an ISO 8601 time") from None
        return started.replace(tzinfo=_UTC) if started.tzinfo is None else started.astimezone(_UTC)

    def __repr__(self) -> str:
        return f"SessionMeta(id={self.id[:48]!r}, timestamp={self.timestamp[:48]!r})"


@attrs.frozen(repr=False, eq=False, init=True)
class SessionStateSnapshot(Mapping[str, Any]):
    """What an agent wanted remembered besides its items: free keys, read like a `dict`, replaced as a whole."""

    KIND: ClassVar[str] = "state"
    RESERVED: ClassVar[frozenset[str]] = frozenset({"record_type"})

    _values: Mapping[str, Any] = attrs.field(default=_EMPTY, converter=_read_only, validator=_free_keys)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"SessionStateSnapshot({len(self)} key{'' if len(self) == 1 else 's'})"


@attrs.frozen(repr=False)
class LogEntry:
    """One log record that carried no item: text for people, which real readers skip.

    ``extra`` may hold anything; what is not plain JSON is written as its string.
    """

    KIND: ClassVar[str] = "log"
    RESERVED: ClassVar[frozenset[str]] = frozenset()

    timestamp: str = attrs.field(validator=_text)
    level: str = attrs.field(validator=_text)
    logger: str = attrs.field(validator=_text)
    message: str = attrs.field(validator=_text)
    exception: str | None = attrs.field(default=None, validator=_text_or_none)
    stack: str | None = attrs.field(default=None, validator=_text_or_none)
    extra: Mapping[str, Any] = attrs.field(default=_EMPTY, converter=_read_only)

    def __repr__(self) -> str:
        size = f"{len(self.message):,} character{'' if len(self.message) == 1 else 's'}"
        return f"LogEntry(level={self.level[:48]!r}, logger={self.logger[:48]!r}, {size})"


@attrs.frozen(repr=False)
class OtherEntry:
    """A whole line that is no item, no state and no meta: newer rollouts hold events, turn contexts, ..."""

    raw: Mapping[str, Any] = attrs.field(converter=_read_only)

    @property
    def type(self) -> str:
        """The line's type name."""
        return str(self.raw.get("type"))

    def __repr__(self) -> str:
        return f"OtherEntry(type={self.type[:48]!r}, {len(self.raw)} key{'' if len(self.raw) == 1 else 's'})"


@attrs.frozen
class SkippedLine:
    """A line that could not be read.

    Attributes:
        number: which line of the file, from 1.
        offset: where it begins, in bytes.
        reason: what is wrong with it, without its text.
    """

    number: int
    offset: int
    reason: str


Entry: TypeAlias = SessionMeta | ResponseItem | SessionStateSnapshot | LogEntry | OtherEntry | SkippedLine
