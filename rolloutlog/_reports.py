"""Reports of records that are not written: to the logger ``rolloutlog``, or on stderr where that is disabled."""

from __future__ import annotations

import logging
import traceback

from .exceptions import ForkedRecorderError

_OURS = frozenset({"rolloutlog", "filelock"})

_log = logging.getLogger("rolloutlog")


def is_our_own(record: logging.LogRecord) -> bool:
    """Return whether *record* comes from writing itself."""
    return str(record.name).partition(".")[0] in _OURS


def last_resort(record: logging.LogRecord) -> None:
    """Show *record* on stderr, as logging does where there is no handler."""
    if logging.lastResort is not None:
        logging.lastResort.handle(record)


def tell(level: int, message: str, *arguments: object) -> None:
    """Log *message*, or show it on stderr if other code has disabled the logger: records may be lost."""
    if _log.disabled or logging.root.manager.disable >= level:
        last_resort(_log.makeRecord(_log.name, level, __file__, 0, message, arguments, None))
    else:
        _log.log(level, message, *arguments)


def report(error: Exception) -> None:
    """Log *error*, because `logging.shutdown` swallows exceptions of handlers when the interpreter exits."""
    if isinstance(error, ForkedRecorderError):
        return  # a child that exits and never logged: the parent still has the session, and gets its errors
    tell(logging.ERROR, "%s", "".join(traceback.format_exception_only(error)).strip())
