"""Redaction: a caller's hook sees each record before it is encoded, and returns what is written in its place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from .._entries import Entry, LogEntry, SessionMeta, SessionStateSnapshot
from .._item import Item, make_item
from .._plain import plain
from .._shapes import Wire
from ..exceptions import RedactionError
from .coerce import canonical
from .envelope import is_wrapped

Redact: TypeAlias = Callable[[dict[str, Any]], dict[str, Any] | None]

_logger = logging.getLogger("rolloutlog")

INSIDE = "was running when it was recorded, and cannot redact it before it returns"
"""The problem of a `RedactionError` for a record that the hook itself makes."""


class Redaction:
    """Runs a hook. Immutable, and safe from any thread.

    Args:
        redact: the hook, as `LineEncoder` documents it.
        read: returns the entry that an object which is not an item is.
    """

    def __init__(self, redact: Redact, read: Callable[[Wire], Entry]) -> None:
        self._redact = redact
        self._read = read
        self._hook = threading.local()  # of each thread: whether it runs `redact` just now

    def of(self, entry: Item | SessionStateSnapshot | LogEntry) -> Entry | None:
        """Return what *redact* makes of *entry*: an entry of its kind, or `None`. Raises `RedactionError`."""
        record = plain(canonical(entry.to_dict()) if isinstance(entry, Item) else entry.to_dict(), entry.type)
        redacted = self._call_redact(record, entry.type)
        if redacted is None:
            return None
        with suppress(Exception):  # it may hold the text of the record, so it must not become the context of ours
            again: Any = plain(redacted, entry.type)
            if isinstance(entry, Item) and type(again.get("type")) is str and again.get("record_type") != "state":
                if again["type"] != "log" and not is_wrapped(again):
                    again.pop("record_type", None)
                    return make_item(canonical(again))
            elif not isinstance(entry, Item) and type(other := self._read(again)) is type(entry):
                return other
        raise self._redaction_error(entry.type, f"returned a dict that is not a valid {_sort_of(entry)}") from None

    def of_meta(
        self, record: Wire, meta: SessionMeta, required: Wire, complete: Callable[[SessionMeta], SessionMeta]
    ) -> Wire:
        """Return what *redact* makes of *record*, the dict of *meta*; a bare meta where it fails or returns `None`."""
        bare = {"id": meta.id, "timestamp": meta.timestamp, "instructions": None, **required}
        problem = "returned a dict that is not a valid meta"
        try:
            redacted = self._call_redact(record, meta.type) or {}
        except RedactionError as error:
            problem = error.problem
        else:
            with suppress(Exception):
                again = self._read(plain({**bare, **redacted, "id": meta.id, "timestamp": meta.timestamp}, meta.type))
                if type(again) is SessionMeta:
                    written: Wire = plain(complete(again).to_dict(), meta.type)
                    return written
        # A rollout needs its first line, and a bare meta is all of it that it needs.
        _logger.error(
            "the meta of session %s is written without instructions and free keys, because the redact hook %s %s",
            meta.id,
            self._hook_name,
            problem,
        )
        return bare

    def _call_redact(self, record: Wire, kind: str) -> Mapping[str, Any] | None:
        """Return what *redact* returns for *record*, a dict or `None`; raise `RedactionError` for anything else."""
        if getattr(self._hook, "runs", False):
            raise self._redaction_error(kind, INSIDE) from None
        self._hook.runs = True
        try:
            redacted: Any = self._redact(record)
            problem = f"returned {type(redacted).__name__}"
        except Exception as error:
            redacted, problem = False, f"raised {type(error).__name__}{_line_in_hook(error)}"
        finally:
            self._hook.runs = False
        if redacted is None or isinstance(redacted, Mapping):
            return redacted
        # After the handler, so that the hook's error is not its context; a caller's exception is not shown with it.
        raise self._redaction_error(kind, problem) from None

    def _redaction_error(self, kind: str, problem: str) -> RedactionError:
        return RedactionError(kind if len(kind) <= 48 else kind[:45] + "...", self._hook_name, problem)

    @property
    def _hook_name(self) -> str:
        return str(getattr(self._redact, "__qualname__", type(self._redact).__name__))


def _line_in_hook(error: Exception) -> str:
    """Return the line of the hook that *error* came through, as in `` at agent.py:12``."""
    hook = error.__traceback__.tb_next if error.__traceback__ is not None else None
    return "" if hook is None else f" at {Path(hook.tb_frame.f_code.co_filename).name}:{hook.tb_lineno}"


def _sort_of(entry: Entry) -> str:
    return "item" if isinstance(entry, Item) else "state" if isinstance(entry, SessionStateSnapshot) else "log entry"
