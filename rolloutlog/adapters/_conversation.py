"""The items of a session as a list that can be shortened, each as it was given.

All objects of a process that have the session open see the same list. The calls wait for the disk, so a caller on an
event loop runs them on a thread.
"""

from __future__ import annotations

import marshal
import os
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .._format.coerce import ItemLike, to_item
from .._format.lines import TakenBack
from .._locks import fork_safe_lock, named_lock
from .._paths import resolve_home
from .._reading.follow import Follower
from .._reading.saved import SavedSession
from .._recorder import RolloutRecorder
from .._responses.rules import GIVEN
from .._session import session
from ..exceptions import RecorderClosedError
from ..items import Reasoning, ResponseItem

Wire = dict[str, Any]

# The differences between an item as it was given and as it is in the file, kept in the item under the key `GIVEN`.
_AS_TEXT = "text"  # a message's content was a string
_UNTYPED = "untyped"  # there was no type
_NULL = "null:"  # and the name of a key that held null, where the file has no such key
_NULL_ACTION = "null:action."  # the same of a local shell call's action


class Conversation:
    """The items of a named session that were not taken back. Its file is read once, and then only the appended lines.

    Args:
        name: as for `rolloutlog.session`, and so *home* and *options*. ``shared=True`` is refused: an item that another
            process adds between a look at the last item and the line that takes it back would be taken back instead.
    """

    # Guarded by `_opening`: `_recorder` and `_kept` are set when the session is opened; `_kept` is None again, and
    # `_closed` true, once it is closed.

    def __init__(self, name: str, home: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> None:
        if options.get("shared"):
            raise ValueError("a conversation belongs to one process at a time: shared=True is not for it")
        self._name = name
        self._home = home
        self._options = options
        self._recorder: RolloutRecorder | None = None
        self._kept: _Kept | None = None
        self._closed = False
        self._opening = fork_safe_lock()

    @property
    def path(self) -> Path | None:
        """The rollout; `None` until it is opened."""
        return self._recorder.path if self._recorder is not None else None

    def open(self) -> None:
        """Open the session, unless it is open.

        Raises:
            RecorderClosedError: `close` was called.
            SessionLockedError, OSError: as for `rolloutlog.session`.
        """
        self._open()

    def items(self, limit: int | None = None) -> list[Wire]:
        """Return the items, each as it was given, or the last *limit* of them; the caller may change them."""
        recorder, kept = self._open()
        with kept.turn:
            given = kept.given(recorder)
            wanted = given[:] if limit is None else given[max(0, len(given) - limit) :]
        return [marshal.loads(item) for item in wanted]

    def add(self, items: Iterable[ItemLike]) -> None:
        """Append *items*; they are on disk when this returns."""
        recorder, kept = self._open()
        noted = [_noted(item) for item in items]
        with kept.turn:
            recorder.record_items(noted)
            recorder.flush()

    def pop(self) -> Wire | None:
        """Take back the last item and return it; `None` if there is none."""
        recorder, kept = self._open()
        with kept.turn:
            given = kept.given(recorder)
            if not given:
                return None
            last: Wire = marshal.loads(given[-1])
            _take_back(recorder, 1)
            return last

    def clear(self) -> None:
        """Take back all items."""
        recorder, kept = self._open()
        with kept.turn:
            if kept.given(recorder):
                _take_back(recorder, "all")

    def close(self, timeout: float = 30.0) -> None:
        """Close the file; closing again does nothing more."""
        with self._opening:
            self._closed = True
            self._kept = None
            if self._recorder is not None:
                self._recorder.close(timeout=timeout)

    def _open(self) -> tuple[RolloutRecorder, _Kept]:
        with self._opening:
            if self._closed:
                raise RecorderClosedError(self.path or resolve_home(self._home))
            if self._recorder is None or self._kept is None:
                opened = session(self._name, home=self._home, **self._options)
                try:
                    self._kept = _kept_of(opened.recorder, opened.saved)
                except BaseException:
                    opened.recorder.close()
                    raise
                self._recorder = opened.recorder
            return self._recorder, self._kept


class _Kept:
    """The items of one file as they were given, for all objects of this process that have it open.

    Attributes:
        turn: the lock that is held to change the list, and to read it.
        writer: writes the file. A file that is closed by all and opened again has another one.
    """

    # `_follower`, `_given` and `_begun` belong to the thread that holds `turn`. An interrupt or a fork between any two
    # steps costs a look at the whole file, or at the same items again, and nothing else. Each item is kept marshalled:
    # callers may change the items that they get, and this copies an item four times as fast as `deepcopy`.

    def __init__(self, recorder: RolloutRecorder, saved: SavedSession) -> None:
        self.turn = fork_safe_lock()
        self.writer = recorder._writer
        self._follower = Follower(recorder.path, saved)
        self._given: list[bytes] = []
        self._begun = False

    def begin(self, recorder: RolloutRecorder) -> None:
        """Take back reasoning at the end, once: a kill cut it off from its result, and an API refuses it."""
        with self.turn:
            if self._begun:
                return
            recorder.flush()
            items = self._follower.look().view.items
            if items and isinstance(items[-1], Reasoning):
                _take_back(recorder, "reasoning")
            self._begun = True

    def given(self, recorder: RolloutRecorder) -> list[bytes]:
        """Return the items in the file, after all records so far are in it."""
        recorder.flush()
        seen = self._follower.look().view
        del self._given[seen.unchanged_prefix :]
        self._given += [marshal.dumps(_as_given(item)) for item in seen.items[seen.unchanged_prefix :]]
        seen.unchanged_prefix = len(self._given)
        return self._given


def _take_back(recorder: RolloutRecorder, what: TakenBack) -> None:
    recorder.hand_over(recorder.encode_taken_back(what))
    recorder.flush()


_files: weakref.WeakValueDictionary[Path, _Kept] = weakref.WeakValueDictionary()


def _kept_of(recorder: RolloutRecorder, saved: SavedSession) -> _Kept:
    """Return the list of the recorder's file; all recorders of this process that share a writer have one path."""
    with named_lock("conversations"):
        kept = _files.get(recorder.path)
        if kept is None or kept.writer is not recorder._writer:  # something may keep the former list alive
            kept = _files[recorder.path] = _Kept(recorder, saved)
    kept.begin(recorder)
    return kept


# --- items as they were given -----------------------------------------------------------------------------------------


def _noted(item: ItemLike) -> ItemLike:
    """Return *item* as it is recorded, with notes of the differences."""
    if not isinstance(item, Mapping):
        return item
    lost = []
    noted = dict(item)
    if item.get("type") is None:
        lost += [_UNTYPED] if noted.pop("type", _UNTYPED) else [_UNTYPED, f"{_NULL}type"]
        if "role" not in item:
            noted["type"] = "item_reference"
    if isinstance(item.get("content"), str) and noted.get("type", "message") == "message":
        lost.append(_AS_TEXT)
    lost += _lost_nulls(item, noted)
    return {**noted, GIVEN: lost} if lost else item


def _lost_nulls(item: Mapping[str, Any], noted: ItemLike) -> list[str]:
    """Return notes of the keys of *item* that hold `None` and are missing where it is recorded as *noted*."""
    action = item.get("action")
    inside = action if item.get("type") == "local_shell_call" and isinstance(action, Mapping) else {}
    if None not in item.values() and None not in inside.values():
        return []
    back = _as_given(to_item(noted))
    lost = [f"{_NULL}{key}" for key, value in item.items() if value is None and key not in back]
    return lost + [
        f"{_NULL_ACTION}{key}" for key, value in inside.items() if value is None and key not in back["action"]
    ]


def _as_given(item: ResponseItem) -> Wire:
    """Return *item* as it was given to `Conversation.add`."""
    given = {key: value for key, value in item.to_dict().items() if value is not None or key not in item.KEYS}
    if item.type == "local_shell_call" and given["action"]["type"] == "exec":
        given["action"] = {key: value for key, value in given["action"].items() if value is not None}
    lost = given.pop(GIVEN, ())
    if _AS_TEXT in lost and all("text" in part for part in given["content"]):  # redaction may have put in another part
        given["content"] = "".join(part["text"] for part in given["content"])
    if _UNTYPED in lost:
        del given["type"]
    for note in lost:
        if note.startswith(_NULL_ACTION):
            given["action"].setdefault(note.removeprefix(_NULL_ACTION), None)
        elif note.startswith(_NULL):
            given.setdefault(note.removeprefix(_NULL), None)
    return given
