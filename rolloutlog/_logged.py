"""Turns a `logging.LogRecord` into the item that it carries, or into a log entry.

Nothing here changes the record, because other handlers get it too.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import attrs

from ._entries import LogEntry, utc_timestamp
from ._format.coerce import ItemLike
from ._item import CLASSES, Item, ItemText

# Attributes of every LogRecord, which are therefore not `extra`. Python 3.12 added `taskName`; a formatter that saw the
# record before adds `message` and `asctime`. `rollout_item` is ours, and `event` is structlog's name for the message.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "rollout_item"}
_IN_EVENT = frozenset({"event", "rollout_item"})

_plain = logging.Formatter()


def item_of(record: logging.LogRecord) -> ItemLike | None:
    """Return the item that *record* carries, or `None`."""
    item = getattr(record, "rollout_item", None)
    if item is not None:
        return item  # type: ignore[no-any-return]
    message: Any = record.msg
    if isinstance(message, Item):
        return message
    if isinstance(message, ItemText):  # a QueueHandler replaced the item by this text
        return message.item
    if _is_event(record):
        return message.get("rollout_item")  # type: ignore[no-any-return]
    return message if isinstance(message, dict) and _is_item_like(message) else None


def entry_of(record: logging.LogRecord, formatter: logging.Formatter | None) -> LogEntry:
    """Return the log entry for a plain record; *formatter* formats only its exception and its stack."""
    formatter = formatter or _plain
    message, extra = record.getMessage(), _extra(vars(record), _STANDARD)
    exc_info, exception, stack = record.exc_info, record.exc_text, record.stack_info
    if _is_event(record):
        event: Any = record.msg
        message = event["event"]
        extra |= _extra(event, _IN_EVENT)
        exc_info = extra.pop("exc_info", None) or exc_info
        exception = exception or _popped_text(extra, "exception")
        stack = stack or _popped_text(extra, "stack")
    if not exception and (info := _exc_info(exc_info)) is not None:
        exception = formatter.formatException(info)
    if (tracing := sys.modules.get("opentelemetry.trace")) is not None:
        extra = {**_span_ids(tracing), **extra}
    return LogEntry(
        timestamp=utc_timestamp(record.created),
        level=str(record.levelname),
        logger=str(record.name),
        message=message,
        exception=exception or None,
        stack=formatter.formatStack(stack) if stack else None,
        extra=extra,
        file=_named(record.pathname),
        line=record.lineno if type(record.lineno) is int and record.lineno > 0 else None,
        function=_named(record.funcName),
        thread=_named(record.threadName),
    )


def entry_for(
    message: object,
    args: tuple[object, ...],
    level: int | str,
    exc_info: bool | BaseException,
    extra: Mapping[str, Any],
    frame: FrameType,
) -> LogEntry:
    """Return the log entry for the call in *frame*, whose arguments are those of `Session.log`; likewise the errors."""
    if not isinstance(message, str):
        hint = "; record() records an item" if isinstance(message, Item | Mapping) else ""
        raise TypeError(f"a message must be a text; got {type(message).__name__}{hint}")
    number = logging.getLevelNamesMapping().get(level.upper()) if isinstance(level, str) else level
    if type(number) is not int:
        raise ValueError(f"there is no level {level!r}; the levels are {', '.join(logging.getLevelNamesMapping())}")
    code, name = frame.f_code, str(frame.f_globals.get("__name__", "?"))
    record = logging.LogRecord(
        name, number, code.co_filename, frame.f_lineno, message, args, _exc_info(exc_info), code.co_name
    )
    entry = entry_of(record, None)
    return attrs.evolve(entry, extra={**entry.extra, **extra})


def _span_ids(tracing: Any) -> dict[str, str]:
    """Return the ids of the trace and the span that are current; none outside of a span.

    Args:
        tracing: the module ``opentelemetry.trace``, which is never imported here: without it, there is no span.
    """
    try:
        span = tracing.get_current_span().get_span_context()
        return {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"} if span.is_valid else {}
    except Exception:  # another thread is still importing it; a log record must never raise
        return {}


def _named(value: object) -> str | None:
    """Return a name that a log record has; `None` where it has none, as a record that was not made by a logger."""
    return value if isinstance(value, str) and value else None


def _is_item_like(message: dict[Any, Any]) -> bool:
    """Return whether *message* is meant as an item: of a kind that is known, or a role with a content."""
    if "type" not in message:
        return "role" in message and "content" in message
    kind = message["type"]
    return isinstance(kind, str) and kind in CLASSES


def _is_event(record: logging.LogRecord) -> bool:
    """Return whether the message is a structlog event as a dict, which a formatter would render."""
    message: object = record.msg
    return isinstance(message, Mapping) and isinstance(message.get("event"), str)


def _extra(fields: Mapping[Any, Any], without: frozenset[str]) -> dict[Any, Any]:
    """Return the *fields* that the caller passed: those not in *without* and not private."""
    return {
        key: value
        for key, value in fields.items()
        if key not in without and not (isinstance(key, str) and key.startswith("_"))
    }


def _popped_text(extra: dict[Any, Any], key: str) -> str | None:
    """Remove from *extra* a string that a structlog processor rendered, and return it."""
    return extra.pop(key) if isinstance(extra.get(key), str) else None


def _exc_info(value: Any) -> Any:
    """Return the ``exc_info`` triple for *value*: an exception, a triple, or true for the exception being handled."""
    if isinstance(value, BaseException):
        return (type(value), value, value.__traceback__)
    info = value if isinstance(value, tuple) else sys.exc_info() if value else None
    return info if info and info[0] is not None else None
