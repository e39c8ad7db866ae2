"""What a recorder can be told, and the check of it: a wrong name or value is said at once, with the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, get_args

from ._format.lines import Format
from ._writing.append import Fsync
from ._writing.commands import QUEUE_SIZE, OnFull, WriterOptions

# What an append to a shared file waits for the lock, in seconds: others hold it for one batch.
_SHARED_LOCK_TIMEOUT = 10.0


class RecorderOptions(TypedDict, total=False):
    """The options of a recorder, all of them optional; a handler and a session take the same.

    Attributes:
        queue_size: records that may wait for the writer; 1,280.
        on_full: when as many wait, let the caller wait ("block", the default), raise `QueueFullError` ("raise"), or
            drop the record and leave a line in the file that says so ("drop").
        fsync: when lines are brought to the medium, and so survive a power cut: "never" (the default: they survive the
            death of the process, not of the machine), at each "flush" and close, or "always", with each batch.
        shared: several processes append to the session; by default it belongs to one process at a time.
        lock_timeout: seconds to wait for the lock; by default none when opening a session of one's own, and 10 for
            each batch of a shared one.
        redact: called with each record as a dict before it leaves the caller; returns the dict to write instead, or
            `None` to write nothing. If it raises, a line without the content is written.
        only_known: leave out items of kinds that this library does not know; they are counted.
        format: of a new session: "flat" (the default; Codex up to 0.29 resumes it) or "envelope" (from 0.34 on to the
            newest). A session that is taken up again keeps its own.
    """

    queue_size: int
    on_full: OnFull
    fsync: Fsync
    shared: bool
    lock_timeout: float | None
    redact: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    only_known: bool
    format: Format


_NAMES = tuple(RecorderOptions.__annotations__)


def checked(options: Mapping[str, Any], *others: str) -> tuple[WriterOptions, dict[str, Any]]:
    """Return what *options* say to the writer, and what to the encoder.

    Args:
        options: what a caller gave by name.
        others: the names that the caller could have meant besides, because the function that was called takes them.

    Raises:
        TypeError: there is no such option, or its value is of a wrong type.
        ValueError: its value is none that it takes.
    """
    _refuse_unknown(options, others + _NAMES)
    queue_size = options.get("queue_size", QUEUE_SIZE)
    if not isinstance(queue_size, int) or isinstance(queue_size, bool):
        raise TypeError(f"queue_size is a number of records, not {type(queue_size).__name__}")
    if queue_size < 1:
        raise ValueError(f"queue_size is at least 1, not {queue_size}")
    shared = _flag(options, "shared")
    fsync = _choice(options, "fsync", Fsync)
    if shared and fsync == "flush":
        raise ValueError("a shared session knows fsync='never' and fsync='always' only, not 'flush'")
    lock_timeout = options.get("lock_timeout")
    if lock_timeout is None:
        lock_timeout = _SHARED_LOCK_TIMEOUT if shared else 0.0
    if not isinstance(lock_timeout, int | float) or isinstance(lock_timeout, bool):
        raise TypeError(f"lock_timeout is a number of seconds, not {type(lock_timeout).__name__}")
    if not lock_timeout >= 0:
        raise ValueError(f"lock_timeout is zero or more seconds, not {lock_timeout}")
    redact = options.get("redact")
    if redact is not None and not callable(redact):
        raise TypeError(f"redact is a function, not {type(redact).__name__}")
    writing = WriterOptions(
        queue_size=queue_size,
        on_full=_choice(options, "on_full", OnFull, default="block"),
        fsync=fsync,
        shared=shared,
        lock_timeout=float(lock_timeout),
    )
    format = _choice(options, "format", Format, default="flat")
    return writing, {"redact": redact, "only_known": _flag(options, "only_known"), "format": format}


def _refuse_unknown(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raise `TypeError` for an option that does not exist, naming the one that was probably meant."""
    for name in options:
        if name not in _NAMES:
            import difflib  # for this message alone

            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise TypeError(f"no option is called {name!r}; {hint}")


def _flag(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {type(value).__name__}")
    return value


def _choice(options: Mapping[str, Any], name: str, choices: Any, *, default: Any = "never") -> Any:
    value = options.get(name, default)
    if value not in get_args(choices):
        raise ValueError(f"{name} is one of {', '.join(map(repr, get_args(choices)))}, not {value!r}")
    return value
