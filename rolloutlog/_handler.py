"""The logging handler: log records in, items and log entries out, to the recorder of a session that begins when needed."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import uuid
from collections.abc import Mapping
from typing import Any, Self, Unpack

from ._ack import Ack
from ._codec import ItemLike
from ._models import LogEntry, utc_timestamp
from ._options import RecorderOptions, checked
from ._recorder import RolloutRecorder, bound_recorder
from .exceptions import ForkedRecorderError, RecorderClosedError
from .items import FunctionCall, FunctionCallOutput, LocalShellCall, Message, Other, Reasoning

# How long a handler's flush and close wait, in seconds: `logging.shutdown` calls both while the interpreter ends.
_TIMEOUT = 10.0

# Records within records on one thread, such as those of a `to_dict` that logs. A few are honest; endless ones are cut.
_MOST_NESTED = 8

# What every LogRecord has, and is therefore no `extra`. `taskName` came with Python 3.12, `message` and `asctime` with
# a formatter that saw the record before.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "rollout_item"}

_log = logging.getLogger("rolloutlog")
_nested = threading.local()


class RolloutHandler(logging.Handler):
    """Records what is logged into a rollout: items as items, everything else as log entries.

    ``logger.info(item)`` and ``logger.info("text", extra={"rollout_item": item})`` record the item; any other record
    becomes a log entry with its message, its exception and its extras, which is no part of the model's input.

    The handler begins a session of its own at its first record (or at once, with ``delay=False``), unless it is given
    a recorder. Within `RolloutRecorder.bound` it writes to that recorder instead. In a forked child it begins a new
    session whose meta line names the parent's session as ``parent_id``.

    Logging never raises into the agent: errors go to `logging.Handler.handleError`.
    """

    # Set under `_beginning`: _recorder (from None to the session's own; anew in a fork). `_closed` and `late` are set by
    # any thread; a count that two threads raise at the same instant may miss one of them.

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        recorder: RolloutRecorder | None = None,
        session_id: str | uuid.UUID | None = None,
        instructions: str | None = None,
        meta: Mapping[str, Any] | None = None,
        delay: bool = True,
        level: int | str = logging.NOTSET,
        **options: Unpack[RecorderOptions],
    ) -> None:
        """Make a handler; usable with ``class`` in `logging.config.dictConfig`.

        Args:
            home: as for `RolloutRecorder.create`, and so *session_id*, *instructions*, *meta* and *options*.
            recorder: write to this one, which stays its owner's: closing the handler only flushes it.
            delay: begin the session at the first record, so that a process that logs nothing leaves no file.
            level: as for every handler.

        Raises:
            TypeError, ValueError: an option that does not exist, or a value that it does not take.
            OSError: with ``delay=False``, as for `RolloutRecorder.create`.
        """
        checked(options)
        own = [home, session_id, instructions, meta]
        if recorder is not None and (options or any(value is not None for value in own)):
            raise TypeError("with recorder= the session is begun already: give its home, id and options to the recorder")
        super().__init__(level)
        self._home, self._session_id, self._instructions = home, session_id, instructions
        self._meta, self._options = dict(meta or {}), options
        self._recorder = recorder
        self._owns = recorder is None
        self._beginning = threading.RLock()
        self._closed = False
        self.late = 0
        if not delay:
            self._begin()

    @property
    def recorder(self) -> RolloutRecorder | None:
        """The recorder that is written to, or `None` before the first record."""
        return self._recorder

    # -- a record comes in --------------------------------------------------------------------------------------------

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter *record* and emit it; without the handler's lock.

        The lock leaks when Ctrl-C comes at the wrong moment (Python 3.11 and 3.12), and would make all threads wait
        for one that waits for the disk. Nothing here needs it.
        """
        if record.name.partition(".")[0] in _OURS:
            return False  # what is logged about writing cannot be written: one record would become thousands
        passed: Any = self.filter(record)
        if not passed:
            return False
        if isinstance(passed, logging.LogRecord):  # from Python 3.12 on, a filter may put another in its place
            record = passed
        self.emit(record)
        return bool(passed)

    def emit(self, record: logging.LogRecord) -> None:
        """Record *record*; never raises, see `handleError`."""
        depth = getattr(_nested, "depth", 0)
        if depth >= _MOST_NESTED:
            return  # its like, a few levels up, is being recorded
        _nested.depth = depth + 1
        try:
            self._record(record)
        except RecorderClosedError:
            self._count_late()
        except Exception:
            self.handleError(record)
        finally:
            _nested.depth = depth

    def _record(self, record: logging.LogRecord) -> None:
        """Record *record* with the recorder of this context."""
        if self._closed:
            self._count_late()
            return
        recorder = bound_recorder.get() or self._recorder or self._begin()
        item = _item_of(record)
        entry = None if item is not None else self._entry_of(record)
        try:
            _put(recorder, item, entry)
        except ForkedRecorderError:
            if recorder is not self._recorder or not self._owns:
                raise
            _put(self._begin(instead_of=recorder), item, entry)

    def _begin(self, *, instead_of: RolloutRecorder | None = None) -> RolloutRecorder:
        """Begin the handler's session, once; or, in a forked child, one of its own in place of the parent's."""
        with self._beginning:
            if self._recorder is not None and self._recorder is not instead_of:
                return self._recorder
            meta, session_id = self._meta, self._session_id
            if instead_of is not None:
                meta, session_id = {**meta, "parent_id": instead_of.session.id}, None
            self._recorder = RolloutRecorder.create(
                self._home, session_id=session_id, instructions=self._instructions, meta=meta, **self._options
            )
            return self._recorder

    def _entry_of(self, record: logging.LogRecord) -> LogEntry:
        """Return the log entry for a plain record."""
        message, extra, exc_info = record.getMessage(), _extra_of(record), record.exc_info
        if isinstance(record.msg, Mapping) and isinstance(record.msg.get("event"), str) and not record.args:
            # structlog hands its event over as a dict, for a formatter to render.
            message = record.msg["event"]
            extra |= {str(key): value for key, value in record.msg.items() if key not in ("event", "rollout_item")}
            exc_info = exc_info or _exc_info(extra.pop("exc_info", None))
        exception = record.exc_text
        if exc_info and not exception:
            formatter = self.formatter or _plain
            exception = formatter.formatException(exc_info) if exc_info[0] is not None else None
        stack = record.stack_info
        if stack and self.formatter is not None:
            stack = self.formatter.formatStack(stack)
        return LogEntry(
            timestamp=utc_timestamp(record.created),
            level=record.levelname,
            logger=record.name,
            message=message,
            exception=exception or None,
            stack=stack or None,
            extra=extra,
        )

    def _count_late(self) -> None:
        """Count a record that came after the end, and tell of the first: nobody else will."""
        self.late += 1
        if self.late == 1:
            where = self._recorder.path if self._recorder is not None else "no session"
            _log.warning("%s: a record came after the end and was not recorded; `late` counts them", where)

    # -- the end ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Wait until everything so far is on disk; what goes wrong is told to the logger ``rolloutlog``."""
        if self._recorder is None or self._closed:
            return
        try:
            self._recorder.flush(timeout=_TIMEOUT)
        except Exception as error:
            _tell(error)

    def shutdown(self) -> Ack:
        """Take nothing more, ask for the end of the handler's session, and return at once.

        A recorder that was handed in is only flushed: it is closed by whoever made it.
        """
        self._closed = True
        recorder = self._recorder
        if recorder is not None:
            return recorder.shutdown() if self._owns else recorder.request_flush()
        ack = Ack()
        ack.set()
        return ack

    def close(self) -> None:
        """Shut down and wait for it; what could not be written is told to the logger ``rolloutlog``."""
        try:
            self.shutdown().result(_TIMEOUT)
        except ForkedRecorderError:  # a child that ends without having logged: the session is its parent's
            pass
        except Exception as error:
            _tell(error)
        finally:
            super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = self._recorder.path if self._recorder is not None else "no session yet"
        return f"<RolloutHandler {where} ({logging.getLevelName(self.level)})>"


_ITEMS = (Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput, Other)
_OURS = frozenset({"rolloutlog", "filelock"})
_plain = logging.Formatter()


def _put(recorder: RolloutRecorder, item: ItemLike | None, entry: LogEntry | None) -> None:
    """Record the one of the two that there is."""
    if entry is not None:
        recorder.record_log(entry)
    elif item is not None:
        recorder.record(item)


def _item_of(record: logging.LogRecord) -> ItemLike | None:
    """Return the item that *record* carries, if it carries one."""
    item = getattr(record, "rollout_item", None)
    if item is not None:
        return item  # type: ignore[no-any-return]
    message = record.msg
    if isinstance(message, _ITEMS):
        return message
    if isinstance(message, Mapping) and "event" in message:
        return message.get("rollout_item")
    return None


def _extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return what the caller passed as ``extra``: attributes that no record has by itself."""
    return {key: value for key, value in vars(record).items() if key not in _STANDARD and not key.startswith("_")}


def _exc_info(value: Any) -> Any:
    """Return what structlog's ``exc_info`` means: an exception, a triple, or true for the one being handled."""
    if isinstance(value, BaseException):
        return (type(value), value, value.__traceback__)
    if isinstance(value, tuple):
        return value
    return sys.exc_info() if value else None


def _tell(error: Exception) -> None:
    """Tell the logger, for `logging.shutdown` swallows what handlers raise while the interpreter ends."""
    _log.error("%s", "".join(traceback.format_exception_only(error)).strip())
