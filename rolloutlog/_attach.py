"""attach(): a handler on a logger in one call, which a notebook cell may run twice."""

from __future__ import annotations

import logging
import os
from types import FunctionType
from typing import Any, Unpack

from ._handler import RolloutHandler
from ._options import RecorderOptions
from ._recorder import RolloutRecorder


class _AttachedHandler(RolloutHandler):
    """A handler that takes itself off its logger, and puts the logger's level back, when it is closed."""

    # _lowered: the level that the logger had, and the one that we gave it; `None` if we gave it none. Set by `attach`
    # and `close`, from whatever thread calls them.

    def __init__(self, logger: logging.Logger, how: dict[str, Any]) -> None:
        super().__init__(**how)
        self._logger = logger
        self._lowered: tuple[int, int] | None = None
        self._how = how

    def differing(self, how: dict[str, Any]) -> list[str]:
        """Return the names of the arguments in *how* that are others than this handler was attached with."""
        return [name for name in {**how, **self._how} if not _is_same(self._how.get(name), how.get(name))]

    def join(self) -> _AttachedHandler:
        """Go onto the logger; return the handler that is on it now."""
        self._logger.addHandler(self)
        first = _attached_to(self._logger)
        if first is not None and first is not self:  # another thread attached at the same moment
            self.close()
            return first
        return self

    def let_pass(self) -> None:
        """Let the logger pass on the records of the handler's level."""
        if self._logger.getEffectiveLevel() > self.level:
            self._lowered = (self._logger.level, self.level)
            self._logger.setLevel(self.level)

    def close(self) -> None:
        """Leave the logger, and end as every handler."""
        self._logger.removeHandler(self)
        lowered, self._lowered = self._lowered, None
        if lowered is not None and self._logger.level == lowered[1]:  # nobody else has set it meanwhile
            self._logger.setLevel(lowered[0])
        super().close()


def attach(
    logger: logging.Logger | str | None = None,
    *,
    home: str | os.PathLike[str] | None = None,
    recorder: RolloutRecorder | None = None,
    level: int | str = logging.INFO,
    **options: Unpack[RecorderOptions],
) -> RolloutHandler:
    """Record what is logged to *logger*, and return the handler that does.

    Called again with the same arguments it returns the same handler, so a notebook cell that runs twice doubles
    nothing. The handler is a context manager; closing it takes it off the logger.

    Args:
        logger: a logger or its name; by default the root logger, which hears of everything.
        home: as for `RolloutRecorder.create`, and so *options*.
        recorder: write to this recorder instead of beginning a session.
        level: records from this level on. If the logger would not let them pass it is made to, until the handler is
            closed.

    Raises:
        ValueError: the logger has such a handler already, with other arguments: close that one first.
        TypeError: an option that does not exist.
    """
    if not isinstance(logger, logging.Logger):
        logger = logging.getLogger(logger)
    if isinstance(level, str):
        level = logging.getLevelNamesMapping().get(level, level)
    how: dict[str, Any] = {"home": home, "recorder": recorder, "level": level, **options}
    attached = _attached_to(logger) or _AttachedHandler(logger, how).join()
    differing = attached.differing(how)
    if differing:
        raise ValueError(
            f"logger {logger.name!r} has a rollout handler with another {', '.join(differing)}; close() it first"
        )
    attached.let_pass()  # also on a second call: the first may have been interrupted, or the level raised since
    return attached


def _attached_to(logger: logging.Logger) -> _AttachedHandler | None:
    """Return the handler that `attach` put onto *logger*, the first if two threads are about to put one there."""
    return next((handler for handler in logger.handlers if isinstance(handler, _AttachedHandler)), None)


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two arguments are the same, also where a notebook cell that ran again defined a function anew."""
    if not isinstance(one, FunctionType) or not isinstance(other, FunctionType):
        return bool(one == other)
    parts = ("__code__", "__defaults__", "__kwdefaults__", "__closure__")
    return one.__globals__ is other.__globals__ and all(getattr(one, part) == getattr(other, part) for part in parts)
