"""The items of a session as a list that can be shortened, each as it was given; all who have it open see the same.

Synchronous; whoever must not wait for the disk calls it on a thread.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._api import GIVEN
from .._codec import ItemLike, wire
from .._layout import resolve_home
from .._locks import fork_safe_lock
from .._reader import load_session
from .._session import Session, session
from ..exceptions import RecorderClosedError
from ..items import ExecAction, LocalShellCall, Other, Reasoning, ResponseItem

Wire = dict[str, Any]

# What differs between an item as it was given and as it stands in the file, kept beside it under the key `GIVEN`.
_AS_TEXT = "text"  # a message's content was a string
_UNTYPED = "untyped"  # there was no type

# By file: whoever changes the list, or reads it to say what is in it, takes turns with all others of this process.
_turns: weakref.WeakValueDictionary[Path, Any] = weakref.WeakValueDictionary()
_turns_lock = fork_safe_lock()


class Conversation:
    """The items of a named session that count, read from its file each time.

    Args:
        name: as for `rolloutlog.session`, and so *home* and *options*; ``shared=True`` is refused, for what another
            process adds between a look at the last item and the line that takes it back would be taken back instead.
    """

    # `_session` goes from None to the open session, once, and `_closed` to true, both under `_opening`.

    def __init__(self, name: str, home: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> None:
        if options.get("shared"):
            raise ValueError("a conversation belongs to one process at a time: shared=True is not for it")
        self._name = name
        self._home = home
        self._options = options
        self._session: Session | None = None
        self._closed = False
        self._opening = fork_safe_lock()

    @property
    def path(self) -> Path | None:
        """The rollout; `None` until it is opened."""
        return self._session.path if self._session is not None else None

    def open(self) -> Session:
        """Open the session, or return it if it is open.

        Raises:
            RecorderClosedError: `close` was called.
            SessionLockedError, OSError: as for `rolloutlog.session`.
        """
        with self._opening:
            if self._closed:
                raise RecorderClosedError(self.path or resolve_home(self._home))
            if self._session is None:
                opened = session(self._name, home=self._home, **self._options)
                try:
                    _take_back_loose_reasoning(opened)
                except BaseException:
                    opened.close()
                    raise
                self._session = opened
            return self._session

    def items(self) -> list[Wire]:
        """Return the items that count, each as it was given; keys that held `None` may be missing."""
        opened = self.open()
        with _turn(opened.path):
            return [_as_given(item) for item in _counting(opened)]

    def add(self, items: Iterable[ItemLike]) -> None:
        """Append *items*; they are on disk when this returns."""
        opened = self.open()
        noted = [_noted(item) for item in items]
        with _turn(opened.path):
            opened.recorder.record(*noted)
            opened.recorder.flush()

    def pop(self) -> Wire | None:
        """Take back the last item and return it; `None` if there is none."""
        opened = self.open()
        with _turn(opened.path):
            counting = _counting(opened)
            if not counting:
                return None
            _take_back(opened, 1)
            return _as_given(counting[-1])

    def clear(self) -> None:
        """Take back all items."""
        opened = self.open()
        with _turn(opened.path):
            if _counting(opened):
                _take_back(opened, None)

    def close(self, timeout: float = 30.0) -> None:
        """Close the file; closing again does nothing more."""
        with self._opening:
            self._closed = True
            if self._session is not None:
                self._session.close(timeout=timeout)


def _turn(path: Path) -> Any:
    with _turns_lock:
        lock = _turns.get(path)
        if lock is None:
            lock = _turns[path] = fork_safe_lock()
        return lock


def _counting(opened: Session) -> list[ResponseItem]:
    """Return what the file holds: others of this process may have the session open, too."""
    opened.recorder.flush()
    return load_session(opened.path).context


def _take_back(opened: Session, count: int | None) -> None:
    opened.recorder.take_back(count)
    opened.recorder.flush()


def _take_back_loose_reasoning(opened: Session) -> None:
    """Take back reasoning at the end, which a kill tore from what it led to: an API refuses it."""
    with _turn(opened.path):
        counting = _counting(opened)
        loose = 0
        while loose < len(counting) and isinstance(counting[-1 - loose], Reasoning):
            loose += 1
        if loose:
            _take_back(opened, loose)


# --- items as they were given -----------------------------------------------------------------------------------------


def _noted(item: ItemLike) -> ItemLike:
    """Return *item* as it is recorded, with a note of what is lost by that."""
    if not isinstance(item, Mapping):
        return item
    lost = []
    noted = dict(item)
    if item.get("type") is None:
        noted.pop("type", None)
        lost.append(_UNTYPED)
        if "role" not in item:
            noted["type"] = "item_reference"
    if isinstance(item.get("content"), str) and noted.get("type", "message") == "message":
        lost.append(_AS_TEXT)
    return {**noted, GIVEN: lost} if lost else item


def _as_given(item: ResponseItem) -> Wire:
    """Return *item* as it was given to `Conversation.add`."""
    given = wire(item)
    if not isinstance(item, Other):
        given = {key: value for key, value in given.items() if value is not None or key not in item.KEYS}
    if isinstance(item, LocalShellCall) and isinstance(item.action, ExecAction):
        given["action"] = {key: value for key, value in given["action"].items() if value is not None}
    lost = given.pop(GIVEN, ())
    if _AS_TEXT in lost and all("text" in part for part in given["content"]):  # redaction may have put in another part
        given["content"] = "".join(part["text"] for part in given["content"])
    if _UNTYPED in lost:
        del given["type"]
    return given
