"""`RolloutHandler`: a logging handler that records into a session, which it starts at the first record."""

from __future__ import annotations

import copy
import logging
import os
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, Self, Unpack

from ._binding import bound
from ._format.redact import INSIDE
from ._locks import fork_safe_lock, named_lock
from ._logged import entry_of, item_of
from ._options import RecorderOptions, checked
from ._paths import resolve_home
from ._recorder import RolloutRecorder
from ._reports import is_our_own, last_resort, report, tell
from ._session import Session
from ._writing.ack import Ack
from .exceptions import (
    ForkedRecorderError,
    InvalidItemError,
    RecorderClosedError,
    RedactionError,
    SessionNotFoundError,
)

# Seconds that flush and close of a handler wait: `logging.shutdown` calls both when the interpreter exits.
_TIMEOUT = 10.0

# Levels of records inside records on one thread, such as from a `to_dict` that logs. More than this is an endless loop.
_MOST_NESTED = 8

_nested = threading.local()


class RolloutHandler(logging.Handler):
    """Records log records into a rollout: items as items, everything else as log entries.

    ``logger.info(item)`` and ``logger.info("text", extra={"rollout_item": item})`` record the item. As a message, a
    dict is an item if it has a known ``type``, or a ``role`` and a ``content``. Any other record becomes a log entry
    with its message, exception and extras. Log entries are not part of the model's input. If an item is invalid, the
    record becomes a log entry, too, and the error is reported.

    The handler starts its own session at the first record (or at once, with ``delay=False``), unless it gets a
    recorder. Inside `RolloutRecorder.bound` it writes to that recorder instead. In a forked child it starts a new
    session whose meta line names the parent's session as ``parent_id``.

    Items pass through a `logging.handlers.QueueHandler` as items. If a formatter there changes the text of an item, the
    log entry holds the whole item instead. Dicts become text there: a message that is a dict, and an item among the
    keys of a structlog event that reaches the queue as a dict. Pass these as ``extra`` (``render_to_log_kwargs``).

    Like any handler, it never raises: errors go to `logging.Handler.handleError`. If the `redact` hook fails, the file
    has a line in place of the record, and `handleError` gets a record without the text.

    A record after `close` resumes the session: `logging.shutdown`, `logging.config.dictConfig` and `fileConfig` close
    every handler of the process, and a logger may keep this one. Records after `shutdown`, or in a fork of the process
    that owns the given recorder, are not recorded. `late` counts them, and the first is reported to the logger
    ``rolloutlog``. Where that logger is disabled, as `dictConfig` does, losses are reported on stderr.

    Example:
        >>> import logging, rolloutlog
        >>> logger = logging.getLogger("agent")
        >>> logger.setLevel(logging.INFO)
        >>> with rolloutlog.RolloutHandler() as handler:
        ...     logger.addHandler(handler)
        ...     logger.info(rolloutlog.Message.user("Hello"))
        ...     logger.info("answered in %d ms", 40)
        ...     logger.removeHandler(handler)
        >>> saved = rolloutlog.load_session(handler.recorder.path)
        >>> [item.text for item in saved.items], [entry.message for entry in saved.logs]
        (['Hello'], ['answered in 40 ms'])

    Attributes:
        late: number of records that came too late to be recorded.
        unstarted: number of records that were lost because the session could not be started, or resumed after `close`,
            as in a home that cannot be written. The first is reported, and `close` reports the count. Each further
            record tries again.
    """

    # Guarded by `_beginning`: _recorder (None until the session starts, and after `close`; replaced in a fork), _owner
    # (the process that started it), _begun_by (the frame of the call that is starting it), _early (records logged
    # inside that call), _untold (the error of a start, if `handleError` must get it). Any thread sets `_ended`, and
    # adds to `_reported` (what the logger knows). The lock "handlers", which all handlers share, is held for a few
    # instructions: by those who count `late`, `unstarted` and `_silent` (how many of the unstarted were not reported
    # yet), and by `close`, which sets `_last` (the recorder that it closed) before `_recorder`.

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        recorder: RolloutRecorder | Session | None = None,
        session_id: str | uuid.UUID | None = None,
        instructions: str | None = None,
        meta: Mapping[str, Any] | None = None,
        delay: bool = True,
        level: int | str = logging.NOTSET,
        **options: Unpack[RecorderOptions],
    ) -> None:
        """Make a handler; it works with ``class`` in `logging.config.dictConfig`.

        Args:
            home: as for `RolloutRecorder.create`; likewise *session_id*, *instructions*, *meta* and *options*.
            recorder: write to this recorder, or to that of this `Session`. The caller still owns it: closing the
                handler only flushes it.
            delay: start the session at the first record, so that a process that logs nothing leaves no file.
            level: as for any handler, a number or a name.

        Raises:
            TypeError, ValueError: unknown option or invalid value.
            OSError: with ``delay=False``, as for `RolloutRecorder.create`.
        """
        checked(options, "home", "recorder", "session_id", "instructions", "meta", "delay", "level")
        given = recorder_of(recorder)
        own = [home, session_id, instructions, meta]
        if recorder is not None and (options or any(value is not None for value in own)):
            raise TypeError(
                "recorder= excludes home, session_id, instructions, meta and options; pass them to the recorder instead"
            )
        super().__init__(level)
        # Like the file of a FileHandler, the home is resolved now and does not follow a later chdir.
        self._home = None if home is None else resolve_home(home).absolute()
        self._session_id, self._instructions = session_id, instructions
        self._meta, self._options = dict(meta or {}), options
        self._recorder = given
        self._last: RolloutRecorder | None = None
        self._owner = os.getpid()
        self._owns = given is None
        self._beginning = fork_safe_lock()
        self._begun_by: FrameType | None = None
        self._untold: Exception | None = None
        self._early: list[logging.LogRecord] = []
        self._ended = False
        self._reported: set[tuple[str, str]] = set()
        self.late = 0
        self.unstarted = self._silent = 0
        if not delay:
            self._begin()

    @property
    def recorder(self) -> RolloutRecorder | None:
        """The recorder that this handler writes to, or the one that `close` closed; `None` before the first record."""
        return self._recorder or self._last

    # -- emitting -----------------------------------------------------------------------------------------------------

    def handle(self, record: logging.LogRecord) -> bool:
        """Filter *record* and emit it, without the handler's lock.

        The lock leaks when Ctrl-C comes at the wrong moment (Python 3.11 and 3.12). It would also make all threads wait
        for one that waits for the disk. Nothing here needs it.
        """
        if is_our_own(record):
            # Records about writing cannot be written: each would cause the next, without an end.
            if record.levelno >= logging.WARNING and self._is_alone_with(record):
                last_resort(record)
            return False
        passed: Any = self.filter(record)
        if not passed:
            return False
        if isinstance(passed, logging.LogRecord):  # since Python 3.12, a filter may return another record
            record = passed
        self.emit(record)
        return True

    def _is_alone_with(self, record: logging.LogRecord) -> bool:
        """Return whether only rollout handlers get *record*, and this one is the first of them."""
        hearing: list[logging.Handler] = []
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            hearing += logger.handlers
            logger = logger.parent if logger.propagate else None
        return hearing[:1] == [self] and all(isinstance(handler, RolloutHandler) for handler in hearing)

    def emit(self, record: logging.LogRecord) -> None:
        """Record *record*. Never raises: errors go to `handleError`."""
        depth = getattr(_nested, "depth", 0)
        if depth >= _MOST_NESTED:
            # An interrupt at the wrong moment leaves the count too high, so count the frames.
            depth = sum(frame.f_code is RolloutHandler.emit.__code__ for frame in _stack()) - 1
            if depth >= _MOST_NESTED:
                return  # the record that led to this one, some levels up, is being recorded
        _nested.depth = depth + 1
        try:
            self._record(record)
        except RecorderClosedError as error:
            self._count_late(error)
        except Exception:
            self.handleError(record)
        finally:
            _nested.depth = depth

    def _record(self, record: logging.LogRecord) -> None:
        """Record *record* with the recorder of this context."""
        if self._ended:
            raise RecorderClosedError(self._where(), "the handler was shut down")
        chosen: RolloutRecorder | None = bound()
        recorder = chosen or self._recorder
        while True:
            if recorder is not None:
                try:
                    self._hand_over(record, recorder)
                    return
                except RecorderClosedError as error:
                    is_closed_here = recorder is not self._recorder  # by `close`, in another thread
                    if chosen or not self._owns or not (is_closed_here or isinstance(error, ForkedRecorderError)):
                        raise
            try:
                recorder = self._begin(instead_of=recorder)
            except Exception as error:  # such as a home that cannot be written: every record would report it
                if error is self._untold:
                    self._untold = None
                    self.handleError(record)
                return
            if recorder is None:
                self._early.append(record)
                return

    def _where(self) -> Path:
        """Return the file of the session, or the home that it would be in."""
        recorder = self.recorder
        return recorder.path if recorder is not None else resolve_home(self._home)

    def _hand_over(self, record: logging.LogRecord, recorder: RolloutRecorder) -> None:
        """Pass *record* to *recorder*."""
        try:
            if (item := item_of(record)) is None:
                recorder.record_log(entry_of(record, self.formatter))
                return
            try:
                recorder.record(item)
            except InvalidItemError:
                recorder.record_log(entry_of(record, self.formatter))  # so that the text of the call is not lost
                raise
        except RedactionError as error:
            # No caller hears of it, so the file says that a record is missing.
            recorder.hand_over(recorder.encode_withheld(error))
            self._report_redaction(record, error)

    def _report_redaction(self, record: logging.LogRecord, error: RedactionError) -> None:
        """Report *error* to `handleError`, and to the logger ``rolloutlog`` unless it was reported there before."""
        reason = (error.hook, error.problem)
        if reason not in self._reported:
            self._reported.add(reason)
            tell(logging.ERROR, "%s", error)
        if error.problem != INSIDE:  # a hook may log
            hidden = copy.copy(record)  # `handleError` prints the message and its arguments
            hidden.msg, hidden.args = f"(withheld: {error.kind})", None
            self.handleError(hidden)

    def _begin(self, *, instead_of: RolloutRecorder | None = None) -> RolloutRecorder | None:
        """Start the handler's session, once, or resume it after `close`.

        Args:
            instead_of: a recorder that takes no more records.

        Returns:
            The session's recorder; `None` inside the call that starts it, where a `redact` hook or a signal handler
            logs.
        """
        with self._beginning:
            if self._recorder is not None and self._recorder is not instead_of:
                return self._recorder
            if self._begun_by is not None and self._begun_by in _stack():
                return None
            self._begun_by = sys._getframe()
            try:
                begun = self._new_recorder(self._recorder or self._last)
                self._recorder, self._owner = begun, os.getpid()
            except BaseException as error:
                lost = len(self._early) + 1
                with named_lock("handlers"):
                    if not self._silent and isinstance(error, Exception):
                        self._untold = error
                    self.unstarted += lost
                    self._silent += lost
                raise
            finally:
                self._begun_by, early, self._early = None, self._early, []
        self._report_unstarted()
        for record in early:
            self.emit(record)
        if self._ended:  # `shutdown` was called during the start and found no recorder
            begun.shutdown()
        return begun

    def _new_recorder(self, last: RolloutRecorder | None) -> RolloutRecorder:
        """Resume the session of *last*. If there is none, or if it is the parent process's, create a new one."""
        meta, session_id = self._meta, self._session_id
        if last is not None:
            if self._owner == os.getpid() or self._options.get("shared"):
                with suppress(SessionNotFoundError):  # the file was removed in the meantime
                    return RolloutRecorder.resume(last.path, **self._options)[0]
            else:
                meta, session_id = {**meta, "parent_id": last.session.id}, None
        return RolloutRecorder.create(
            self._home, session_id=session_id, instructions=self._instructions, meta=meta, **self._options
        )

    def _report_unstarted(self) -> None:
        """Report how many records were lost since the one that `handleError` got, if there were any."""
        with named_lock("handlers"):
            count, self._silent = self._silent, 0
        if count > 1:
            last = self._last
            why = f"{last.path} could not be resumed" if last else f"no session could be started in {self._where()}"
            tell(logging.ERROR, "%d records were not recorded, because %s", count, why)

    def _count_late(self, error: RecorderClosedError) -> None:
        """Count a record that came too late, and report the first: no other code does."""
        with named_lock("handlers"):
            self.late += 1
            is_first = self.late == 1
        if is_first:
            tell(logging.WARNING, "%s; a record was not recorded; the handler's `late` counts further ones", error)

    # -- flushing and closing -----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Wait up to 10 seconds until all records so far are on disk; errors go to the logger ``rolloutlog``."""
        recorder = self._recorder  # another thread may close it
        if recorder is None or self._ended:
            return
        try:
            recorder.flush(timeout=_TIMEOUT)
        except Exception as error:
            report(error)

    def shutdown(self) -> Ack:
        """Accept no more records, ask the session to close, and return at once with the acknowledgement.

        A recorder that was passed in is only flushed: the caller who made it closes it.
        """
        self._ended = True
        recorder = self._recorder
        if recorder is not None:
            return recorder.shutdown() if self._owns else recorder.request_flush()
        ack = Ack()
        ack.set()
        return ack

    def close(self) -> None:
        """Wait up to 10 seconds until all records are on disk, and close the session, unless a recorder was passed in.

        A record that comes later resumes the session. If not all could be written, the session stays open, and the
        records are tried again; the error goes to the logger ``rolloutlog``.
        """
        self._report_unstarted()
        recorder = self._recorder
        try:
            if recorder is not None:
                recorder.flush(timeout=_TIMEOUT)
                if self._owns:
                    with named_lock("handlers"):
                        if self._recorder is recorder:  # else another thread closed it, and a record has resumed it
                            self._last, self._recorder = recorder, None
                    recorder.close(timeout=_TIMEOUT)
        except Exception as error:
            report(error)
        finally:
            super().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a handler cannot be copied or pickled, because its copy would close the session")

    def _repr_html_(self) -> str:
        from ._face import notebook

        return notebook.handler(logging.getLevelName(self.level), self.recorder)

    def __repr__(self) -> str:
        where = "no session yet" if self.recorder is None else self.recorder.path
        return f"<RolloutHandler {where} ({logging.getLevelName(self.level)})>"


def recorder_of(value: RolloutRecorder | Session | None) -> RolloutRecorder | None:
    """Return the recorder that a caller passed as ``recorder``.

    Raises:
        TypeError: it is neither a recorder nor a session.
    """
    if isinstance(value, Session):
        return value.recorder
    if value is not None and not isinstance(value, RolloutRecorder):
        raise TypeError(
            f"recorder must be a RolloutRecorder or a Session, as session(name) returns; got {type(value).__name__}"
        )
    return value


def _stack() -> Iterator[FrameType]:
    """Yield the frames of this thread, starting with the caller's."""
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]
