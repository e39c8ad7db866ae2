"""Recorder options and their validation: a wrong name or value raises at once and names the right one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict, get_args

from ._format.lines import Format
from ._writing.append import Fsync
from ._writing.commands import QUEUE_SIZE, OnFull, WriterOptions

# Seconds that an append to a shared file waits for the lock: other processes hold it for one batch.
_SHARED_LOCK_TIMEOUT = 10.0


class RecorderOptions(TypedDict, total=False):
    """Options of a recorder, all optional; a handler and a session take the same ones.

    Attributes:
        queue_size: how many records may wait for the writer (default 1,280).
        on_full: with a full queue, wait ("block", the default), raise `QueueFullError` ("raise"), or drop the record
            and write a line that says how many were dropped ("drop").
        fsync: when lines are synced to disk. "never" (the default): they survive the death of the process, but not a
            power cut. "flush": at each flush and at close. "always": with each batch.
        shared: let several processes append to the session; by default one process at a time owns it.
        lock_timeout: seconds to wait for the lock of the file. By default 0 when opening an unshared session, and 10
            for each batch of a shared one.
        redact: called with each item, state, log entry and meta as a dict, in the thread that records. It returns
            the dict to write instead, or `None` to write nothing. If it fails, the record is not written, and the call
            raises `RedactionError`; of a meta, only the id and the time are written.
        only_known: skip items of kinds that this library does not know; they are counted in `RecorderStats.filtered`.
        format: format of a new session: "flat" (the default; Codex up to 0.29 resumes it) or "envelope" (Codex 0.34
            and later). A resumed session keeps its format.

    >>> import rolloutlog
    >>> with rolloutlog.session("careful", fsync="flush", redact=rolloutlog.redaction.secrets) as session:
    ...     session.record({"role": "user", "content": "key: AKIAIOSFODNN7EXAMPLE"})
    ...     session.items[0].text
    'key: [redacted: AWS access key]'
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
    """Validate *options*; return those for the writer and those for the encoder.

    Args:
        options: options that a caller passed by name.
        others: names of the called function's other parameters, which a misspelt option could mean as well.

    Raises:
        TypeError: unknown option, or a value of the wrong type.
        ValueError: a value that the option does not accept.
    """
    _refuse_unknown(options, others + _NAMES)
    queue_size = options.get("queue_size", QUEUE_SIZE)
    if not isinstance(queue_size, int) or isinstance(queue_size, bool):
        raise TypeError(f"queue_size must be an integer (a number of records), got {type(queue_size).__name__}")
    if queue_size < 1:
        raise ValueError(f"queue_size must be at least 1, got {queue_size}")
    shared = _flag(options, "shared")
    fsync = _choice(options, "fsync", Fsync)
    if shared and fsync == "flush":
        raise ValueError("fsync='flush' is not available with shared=True; use fsync='never' or fsync='always'")
    lock_timeout = options.get("lock_timeout")
    if lock_timeout is None:
        lock_timeout = _SHARED_LOCK_TIMEOUT if shared else 0.0
    if not isinstance(lock_timeout, int | float) or isinstance(lock_timeout, bool):
        raise TypeError(f"lock_timeout must be a number of seconds, got {type(lock_timeout).__name__}")
    if not lock_timeout >= 0:
        raise ValueError(f"lock_timeout must be zero or more seconds, got {lock_timeout}")
    redact = options.get("redact")
    if redact is not None and not callable(redact):
        raise TypeError(f"redact must be a function, got {type(redact).__name__}")
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
    """Raise `TypeError` for an unknown option; the message names the most similar one."""
    for name in options:
        if name not in _NAMES:
            import difflib  # here, because only this message needs it

            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(known)}"
            raise TypeError(f"unknown option {name!r}; {hint}")


def _flag(options: Mapping[str, Any], name: str) -> bool:
    value = options.get(name, False)
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {type(value).__name__}")
    return value


def _choice(options: Mapping[str, Any], name: str, choices: Any, *, default: Any = "never") -> Any:
    value = options.get(name, default)
    if value not in get_args(choices):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(choices)))}; got {value!r}")
    return value
