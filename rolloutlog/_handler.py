"""The logging handler: log records in, to the recorder of a session that begins when it is needed."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
import uuid
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any, Self, Unpack

from ._locks import fork_safe_lock
from ._logged import entry_of, item_of
from ._options import RecorderOptions, checked
from ._paths import resolve_home
from ._recorder import RolloutRecorder, bound_recorder
from ._writing.ack import Ack
from .exceptions import ForkedRecorderError, RecorderClosedError

# How long a handler's flush and close wait, in seconds: `logging.shutdown` calls both while the interpreter ends.
_TIMEOUT = 10.0

# Records within records on one thread, such as those of a `to_dict` that logs. A few are honest; endless ones are cut.
_MOST_NESTED = 8

_OURS = frozenset({"rolloutlog", "filelock"})

_log = logging.getLogger("rolloutlog")
_nested = threading.local()


class RolloutHandler(logging.Handler):
    """Records what is logged into a rollout: items as items, everything else as log entries.

    ``logger.info(item)`` and ``logger.info("text", extra={"rollout_item": item})`` record the item; any other record
    becomes a log entry with its message, its exception and its extras, which is no part of the model's input.

    The handler begins a session of its own at its first record (or at once, with ``delay=False``), unless it is given
    a recorder. Within `RolloutRecorder.bound` it writes to that recorder instead. In a forked child it begins a new
    session whose meta line names the parent's session as ``parent_id``.

    Behind a `logging.handlers.QueueHandler` items stay items, unless a formatter there makes another text of them: then
    the log entry holds all of the item. Not so an item among the keys of a structlog event that is a dict as it reaches
    the queue, for that becomes its `repr`; let structlog pass it as ``extra`` (``render_to_log_kwargs``).

    Logging never raises into the agent: errors go to `logging.Handler.handleError`. What comes after the end, or in
    the fork of a process whose recorder was handed in, is counted in `late`, and told once.
    """

    # Under `_beginning`: _recorder (from None to the session's own; anew in a fork), _begun_by (the call that is about
    # to begin it), _early (what was logged inside that call). `_ended` and `late` are set by any thread; a count that
    # two threads raise at the same instant may miss one of them.

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
        checked(options, "home", "recorder", "session_id", "instructions", "meta", "delay", "level")
        own = [home, session_id, instructions, meta]
        if recorder is not None and (options or any(value is not None for value in own)):
            raise TypeError("with recorder= the session is there already: its home, id and options go to the recorder")
        super().__init__(level)
        # Like the file of a FileHandler, the home stays where it was when the handler was made.
        self._home = None if home is None else resolve_home(home).absolute()
        self._session_id, self._instructions = session_id, instructions
        self._meta, self._options = dict(meta or {}), options
        self._recorder = recorder
        self._owns = recorder is None
        self._beginning = fork_safe_lock()
        self._begun_by: FrameType | None = None
        self._early: list[logging.LogRecord] = []
        self._ended = False
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
        if str(record.name).partition(".")[0] in _OURS:
            # What is logged about writing cannot be written: one record would become thousands.
            if record.levelno >= logging.WARNING and self._is_alone_with(record):
                _last_resort(record)
            return False
        passed: Any = self.filter(record)
        if not passed:
            return False
        if isinstance(passed, logging.LogRecord):  # from Python 3.12 on, a filter may put another in its place
            record = passed
        self.emit(record)
        return True

    def _is_alone_with(self, record: logging.LogRecord) -> bool:
        """Return whether nobody but rollout handlers hears of *record*, of which this is the first."""
        hearing: list[logging.Handler] = []
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            hearing += logger.handlers
            logger = logger.parent if logger.propagate else None
        return hearing[:1] == [self] and all(isinstance(handler, RolloutHandler) for handler in hearing)

    def emit(self, record: logging.LogRecord) -> None:
        """Record *record*; never raises, see `handleError`."""
        depth = getattr(_nested, "depth", 0)
        if depth >= _MOST_NESTED:
            # An interrupt at the wrong moment leaves the count too high, and so it is counted anew.
            depth = sum(frame.f_code is RolloutHandler.emit.__code__ for frame in _stack()) - 1
            if depth >= _MOST_NESTED:
                return  # its like, a few levels up, is being recorded
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
            where = self._recorder.path if self._recorder is not None else resolve_home(self._home)
            raise RecorderClosedError(where, "the handler is closed")
        recorder = bound_recorder.get() or self._recorder or self._begin()
        try:
            self._hand_over(record, recorder)
        except ForkedRecorderError:
            if recorder is not self._recorder or not self._owns:
                raise
            self._hand_over(record, self._begin(instead_of=recorder))

    def _hand_over(self, record: logging.LogRecord, recorder: RolloutRecorder | None) -> None:
        """Let *recorder* record *record*, or keep it until there is a recorder."""
        if recorder is None:
            self._early.append(record)
        elif (item := item_of(record)) is not None:
            recorder.record(item)
        else:
            recorder.record_log(entry_of(record, self.formatter))

    def _begin(self, *, instead_of: RolloutRecorder | None = None) -> RolloutRecorder | None:
        """Begin the handler's session, once; or, in a forked child, one of its own in place of the parent's.

        Returns:
            Its recorder; `None` within the call that begins it, where a `redact` hook or a signal handler logs.
        """
        with self._beginning:
            if self._recorder is not None and self._recorder is not instead_of:
                return self._recorder
            if self._begun_by is not None and self._begun_by in _stack():
                return None
            self._begun_by = sys._getframe()
            meta, session_id = self._meta, self._session_id
            if instead_of is not None:
                meta, session_id = {**meta, "parent_id": instead_of.session.id}, None
            try:
                self._recorder = begun = RolloutRecorder.create(
                    self._home, session_id=session_id, instructions=self._instructions, meta=meta, **self._options
                )
            finally:  # of an error, the record that should have begun the session will tell
                self._begun_by, early, self._early = None, self._early, []
        for record in early:
            self.emit(record)
        if self._ended:  # meanwhile, and `shutdown` found nothing to end
            begun.shutdown()
        return begun

    def _count_late(self, error: RecorderClosedError) -> None:
        """Count a record that nobody takes, and tell of the first: else nobody would hear of it."""
        self.late += 1
        if self.late == 1:
            _log.warning("%s; a record was not recorded, and `late` counts them", error)

    # -- the end ------------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Wait until everything so far is on disk; what goes wrong is told to the logger ``rolloutlog``."""
        if self._recorder is None or self._ended:
            return
        try:
            self._recorder.flush(timeout=_TIMEOUT)
        except Exception as error:
            _tell(error)

    def shutdown(self) -> Ack:
        """Take nothing more, ask for the end of the handler's session, and return at once.

        A recorder that was handed in is only flushed: it is closed by whoever made it.
        """
        self._ended = True
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


def _stack() -> Iterator[FrameType]:
    """Yield the frames of this thread, the caller's first."""
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


def _last_resort(record: logging.LogRecord) -> None:
    """Do with *record* what logging does where there is no handler: show it on stderr."""
    if logging.lastResort is not None:
        logging.lastResort.handle(record)


def _tell(error: Exception) -> None:
    """Tell the logger, for `logging.shutdown` swallows what handlers raise while the interpreter ends."""
    if isinstance(error, ForkedRecorderError):
        return  # a child that ends without having logged: the session is its parent's, who hears of it
    _log.error("%s", "".join(traceback.format_exception_only(error)).strip())
