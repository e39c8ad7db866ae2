"""attach(): a handler on a logger in one call, which a notebook cell may run twice."""

from __future__ import annotations

import logging
import os
from typing import Any, Unpack

from ._handler import RolloutHandler
from ._options import RecorderOptions
from ._recorder import RolloutRecorder


class _AttachedHandler(RolloutHandler):
    """A handler that takes itself off its logger, and puts the logger's level back, when it is closed."""

    def __init__(self, logger: logging.Logger, how: dict[str, Any]) -> None:
        super().__init__(**how)
        self._logger = logger
        self._level_before: int | None = None
        self.how = how

    def join(self) -> None:
        """Go onto the logger, and let records of the handler's level pass it."""
        if self._logger.getEffectiveLevel() > self.level:
            self._level_before = self._logger.level
            self._logger.setLevel(self.level)
        self._logger.addHandler(self)

    def close(self) -> None:
        """Leave the logger, and end as every handler."""
        self._logger.removeHandler(self)
        before, self._level_before = self._level_before, None
        if before is not None and self._logger.level == self.level:  # nobody else has set it meanwhile
            self._logger.setLevel(before)
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
    how: dict[str, Any] = {"home": home, "recorder": recorder, "level": level, **options}
    for handler in logger.handlers:
        if isinstance(handler, _AttachedHandler):
            if handler.how == how:
                return handler
            differing = [name for name in {**how, **handler.how} if handler.how.get(name) != how.get(name)]
            raise ValueError(
                f"logger {logger.name!r} has a rollout handler with another {', '.join(differing)}; close() it first"
            )
    handler = _AttachedHandler(logger, how)
    handler.join()
    return handler
