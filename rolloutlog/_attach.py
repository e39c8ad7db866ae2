"""`attach()`: puts a handler on a logger in one call; a notebook cell may run it twice."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from types import FunctionType
from typing import Any, Unpack

from ._handler import RolloutHandler, recorder_of
from ._options import RecorderOptions
from ._recorder import RolloutRecorder
from ._reports import is_our_own, last_resort
from ._session import Session


class _LoweredLevel(int):
    """A logger's level that `attach` set, and the level before it. A level that other code sets is a plain `int`."""

    before: int


class _AttachedHandler(RolloutHandler):
    """A handler that removes itself from its logger and restores the logger's level when it is closed.

    The output of other handlers does not change, nor that of stderr where there are none.
    """

    def __init__(self, logger: logging.Logger, how: dict[str, Any]) -> None:
        super().__init__(**how)
        self._logger = logger
        self._how = how
        self.setLevel(self.level)

    def setLevel(self, level: int | str) -> None:
        """Set the lowest level that is recorded.

        The handler's own level is never above WARNING: logging shows warnings that no handler gets on stderr, but it
        asks only whether there is a handler. So this one must get them, to show them.
        """
        super().setLevel(level)
        self._lowest = self.level
        super().setLevel(min(self._lowest, logging.WARNING))

    def differing(self, how: dict[str, Any]) -> list[str]:
        """Return the names of the arguments that differ between *how* and those this handler was attached with."""
        return [name for name in {**how, **self._how} if not _is_same(self._how.get(name), how.get(name))]

    def join(self) -> _AttachedHandler:
        """Add this handler to the logger; return the attached handler that the logger has now."""
        self._logger.addHandler(self)
        first = _attached_to(self._logger)
        if first is not None and first is not self:  # another thread attached at the same moment
            self.close()
            return first
        return self

    def let_pass(self) -> None:
        """Lower the logger's level, if needed, so that records of the handler's level reach it."""
        if self._logger.getEffectiveLevel() > self._lowest:
            lowered = _LoweredLevel(self._lowest)
            lowered.before = _level_before(self._logger)
            for logger in (self._logger, *_loggers()):
                _hide_from(logger.handlers)
            self._logger.setLevel(lowered)

    def handle(self, record: logging.LogRecord) -> bool:
        """Record *record*, and keep what `attach` lets pass from handlers that were added after it."""
        is_ours = is_our_own(record)
        if not is_ours and not _passed_before(record):
            for logger in _ancestors(record):
                _hide_from(logger.handlers)
        handled = record.levelno >= self._lowest and super().handle(record)
        if not is_ours and record.levelno >= logging.WARNING and self._is_alone_with(record):
            last_resort(record)  # as if this handler were not there
        return handled

    def close(self) -> None:
        """Remove the handler from its logger, restore the logger's level, and close.

        `logging.shutdown` only closes it, because `dictConfig` and `fileConfig` call that for every handler of the
        process: the next record resumes the session.
        """
        if sys._getframe(1).f_code is logging.shutdown.__code__:
            super().close()
            return
        self._logger.removeHandler(self)
        if isinstance(self._logger.level, _LoweredLevel):  # no other code has set it since
            self._logger.setLevel(self._logger.level.before)
        loggers = (self._logger, *_loggers())
        if not any(isinstance(logger.level, _LoweredLevel) for logger in loggers):
            for logger in loggers:
                for handler in logger.handlers:
                    handler.removeFilter(_passed_before)
        super().close()


def attach(
    logger: logging.Logger | str | None = None,
    *,
    home: str | os.PathLike[str] | None = None,
    recorder: RolloutRecorder | Session | None = None,
    level: int | str = logging.INFO,
    **options: Unpack[RecorderOptions],
) -> RolloutHandler:
    """Record everything logged to *logger*; return the handler that does so.

    A second call with the same arguments returns the same handler, so a notebook cell that runs twice does not record
    twice. The handler is a context manager; closing it removes it from the logger.

    Args:
        logger: a logger or its name; by default the root logger, which gets the records of all loggers.
        home: as for `RolloutRecorder.create`; likewise *options*.
        recorder: write to this recorder, or to that of this `Session`, instead of starting a session.
        level: lowest level to record, a number or a name. If the logger's own level is higher, it is lowered to this
            until the handler is closed. Other handlers get the same records as before.

    Raises:
        ValueError: the logger already has an attached handler with other arguments: close that one first.
        TypeError: unknown option, or *recorder* is neither a recorder nor a session.

    Example:
        >>> import logging, rolloutlog
        >>> with rolloutlog.attach("agent") as handler:
        ...     logging.getLogger("agent").info(rolloutlog.Message.user("Hello"))
        >>> [item.text for item in rolloutlog.load_session(handler.recorder.path).items]
        ['Hello']
    """
    if not isinstance(logger, logging.Logger):
        logger = logging.getLogger(logger)
    if isinstance(level, str):
        level = logging.getLevelNamesMapping().get(level, level)
    how: dict[str, Any] = {"home": home, "recorder": recorder_of(recorder), "level": level, **options}
    attached = _attached_to(logger) or _AttachedHandler(logger, how).join()
    differing = attached.differing(how)
    if differing:
        raise ValueError(
            f"logger {logger.name!r} already has a rollout handler with a different {', '.join(differing)};"
            " close() that handler first"
        )
    attached.let_pass()  # also on a second call: the first may have been interrupted, or the level raised since then
    return attached


def _attached_to(logger: logging.Logger) -> _AttachedHandler | None:
    """Return the handler that `attach` added to *logger*, the first one if two threads have just added one."""
    return next((handler for handler in logger.handlers if isinstance(handler, _AttachedHandler)), None)


# --- what other handlers get ------------------------------------------------------------------------------------------


def _loggers() -> list[logging.Logger]:
    """Return the root logger and all others that have a name."""
    named = list(logging.root.manager.loggerDict.values())
    return [logging.root, *(logger for logger in named if isinstance(logger, logging.Logger))]


def _ancestors(record: logging.LogRecord) -> Iterator[logging.Logger]:
    """Yield the logger of *record* and those above it; none if no logger has that name."""
    found = logging.root if record.name == "root" else logging.root.manager.loggerDict.get(record.name)
    logger = found if isinstance(found, logging.Logger) else None
    while logger is not None:
        yield logger
        logger = logger.parent


def _level_before(logger: logging.Logger) -> int:
    """Return the logger's own level as it would be if `attach` had lowered none."""
    return logger.level.before if isinstance(logger.level, _LoweredLevel) else logger.level


def _passed_before(record: logging.LogRecord) -> bool:
    """Return whether *record* would exist if `attach` had lowered no level; a filter for other handlers."""
    level = next(filter(None, map(_level_before, _ancestors(record))), logging.NOTSET)
    return record.levelno >= level


def _hide_from(handlers: list[logging.Handler]) -> None:
    """Keep the records that exist only because `attach` lowered a level from *handlers*."""
    for handler in handlers[:]:
        if not isinstance(handler, _AttachedHandler):
            handler.addFilter(_passed_before)  # once: a filter that is there is not added again


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two arguments are the same; a function that a notebook cell defined again counts as the same."""
    if not isinstance(one, FunctionType) or not isinstance(other, FunctionType):
        return bool(one == other)
    parts = ("__code__", "__defaults__", "__kwdefaults__", "__closure__")
    return one.__globals__ is other.__globals__ and all(getattr(one, part) == getattr(other, part) for part in parts)
