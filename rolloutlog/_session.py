"""session(): an agent's input list that survives ``kill -9``; created or resumed by name."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any, Self, Unpack

from ._checks import shortened, sized
from ._entries import LogEntry, SessionStateSnapshot
from ._format.coerce import ItemLike
from ._locks import fork_safe_lock
from ._options import RecorderOptions
from ._reading.saved import SavedSession
from ._recorder import Encoded, RolloutRecorder
from ._responses.input import OrphanPolicy, orphan_calls, to_input
from ._responses.view import Rewrite, context
from .exceptions import InvalidItemError
from .items import Reasoning, ResponseItem, is_item

# The names of sessions become ids in this namespace (RFC 9562, version 5): the same name, the same session. Never to be
# changed: every named session would be lost from sight.
NAMESPACE = uuid.UUID("9b6f1c9e-6d0b-5b0e-8f0a-3c4f7d0c2a11")


class Session:
    """What an agent has said and heard, kept in a rollout and in a list at once; made by `session`.

    A context manager: leaving it closes the file. What was recorded before stays on disk whatever happens.

    Attributes:
        name: what it was opened by.
        recorder: what writes it.
        saved: what the file held when it was opened, with a report of each line that could not be read; of a new
            session, nothing.
        items: the items of the session, saved ones and recorded ones, in order: what a reload gives, unless somebody
            else records into the session too (another process, another `Session` of it, a handler within `bound`).
    """

    # Under `_order`: the appends to `items` and `_rewrites`, and the hand-over of their lines, so that both stand in
    # the same order; and `_is_torn`, whether reasoning stands at the end since a kill, until the first record. `_state`
    # is set by whoever sets the state.

    def __init__(self, name: str, recorder: RolloutRecorder, saved: SavedSession) -> None:
        """Use `session` instead."""
        self.name = name
        self.recorder = recorder
        self.saved = saved
        self.items: list[ResponseItem] = list(saved.items)
        self._state = saved.state
        self._rewrites = list(saved._rewrites)
        self._is_torn = bool(saved.context) and isinstance(saved.context[-1], Reasoning)  # never a model's last word
        self._order = fork_safe_lock()

    def record(self, *items: ItemLike, wait: bool = True, timeout: float = 30.0) -> None:
        """Record *items* and append them to `items`; they are on disk when this returns.

        Args:
            items: as for `RolloutRecorder.record`.
            wait: false returns as soon as they are handed over.
            timeout: seconds to wait, for room and for the disk.

        Raises:
            InvalidItemError: an item that would not come back as it is; none of them was recorded.
            WriteError: they could not be written so far; they are kept, and tried again.
            RecorderClosedError, QueueFullError, TimeoutError: as for the recorder.
        """
        deadline = monotonic() + timeout
        encoded = self.recorder.encode(items)
        recorded = list(filter(is_item, encoded.entries))
        with self._order:
            if self._is_torn and encoded.lines:
                # Reasoning that a kill cut off from its result must not seem to lead to these items.
                cut = self.recorder.encode_taken_back("reasoning")
                self.recorder.hand_over(cut + encoded, timeout=timeout)
                self._note_rewrites(cut)
            else:
                self.recorder.hand_over(encoded, timeout=timeout)
            self.items += recorded
        if wait:
            self.recorder.flush(timeout=max(0.0, deadline - monotonic()))

    def take_back(self, count: int | None = 1) -> None:
        """Show the last *count* items to the model no more, or none at all; it is on disk when this returns.

        They stay in `items`, and in the file; see `RolloutRecorder.take_back`, also for the errors.
        """
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1, or None for all items; got {count}")
        encoded = self.recorder.encode_taken_back("all" if count is None else count)
        with self._order:
            self.recorder.hand_over(encoded)
            self._note_rewrites(encoded)
        self.recorder.flush()

    def _note_rewrites(self, encoded: Encoded) -> None:
        """Keep the lines that were handed over and take back items."""
        for entry in encoded.entries:
            if isinstance(entry, LogEntry):
                self._rewrites.append(Rewrite(len(self.items), entry))
                self._is_torn = False

    @property
    def context(self) -> list[ResponseItem]:
        """What the model sees of the items; see `SavedSession.context`."""
        return context(self.items, self._rewrites)

    def to_input(self, *, orphans: OrphanPolicy = "close", ids: bool = True) -> list[Any]:
        """Return `context`, as an API takes it for ``input=``; see `rolloutlog.to_input`."""
        return to_input(self.context, orphans=orphans, ids=ids)

    @property
    def orphan_calls(self) -> list[ResponseItem]:
        """The calls that the model waits for an output of, in order: the ones to carry out, after a kill once more."""
        return orphan_calls(self.context)

    @property
    def state(self) -> SessionStateSnapshot:
        """The session's state as it was last set: a mapping of free keys. Set as a whole, it is on disk at once."""
        return self._state

    @state.setter
    def state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> None:
        encoded = self.recorder.encode_state(state)
        with self._order:
            self.recorder.hand_over(encoded)
            for entry in encoded.entries:
                if isinstance(entry, SessionStateSnapshot):  # and not a line that says that redaction withheld it
                    self._state = entry
        self.recorder.flush()

    @property
    def path(self) -> Path:
        """The rollout."""
        return self.recorder.path

    @property
    def id(self) -> str:
        """The session's id."""
        return self.recorder.session.id

    def bound(self) -> AbstractContextManager[RolloutRecorder]:
        """Let every `RolloutHandler` write this context's log records here; see `RolloutRecorder.bound`."""
        return self.recorder.bound()

    def close(self, *, timeout: float = 30.0) -> None:
        """Close the file; see `RolloutRecorder.close`."""
        self.recorder.close(timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"{shortened(self.name)}: {sized(len(self.items), 'item')}"
        return f"<Session {what}, {self.recorder.lifecycle.name}, {self.path}>"


def session(
    name: str,
    *,
    home: str | os.PathLike[str] | None = None,
    instructions: str | None = None,
    meta: Mapping[str, Any] | None = None,
    **options: Unpack[RecorderOptions],
) -> Session:
    """Open the session called *name*: the one that an earlier run left, wherever it was killed, or a new one.

    Args:
        name: any string that is not empty; it determines the session's id (a UUID5), and is kept in the meta line.
        home: the folder that holds ``sessions/``; else ``$ROLLOUTLOG_HOME``, else ``~/.rolloutlog``.
        instructions: the system prompt, for a new session.
        meta: free keys for the meta line of a new session, besides its name.
        options: see `RecorderOptions`; not ``on_full="drop"``, because a session keeps everything that is recorded.

    Raises:
        InvalidItemError: *meta* cannot be written as JSON, or holds a name.
        SessionLockedError: another process has the session open.
        InvalidRolloutError, SessionOptionsError, TypeError, ValueError: as for `RolloutRecorder.resume`.
        OSError: the file cannot be made, or not read and appended to; or the session was not found, and a folder that
            may hold it cannot be read.
    """
    if not name or type(name) is not str:
        raise ValueError("a session's name must be a non-empty string")
    if options.get("on_full") == "drop":
        raise ValueError("a session drops nothing: its on_full must be 'block' or 'raise'")
    if meta is not None and "name" in meta:
        raise InvalidItemError("meta", "may not hold 'name', which is set from the session's name")
    session_id = str(uuid.uuid5(NAMESPACE, name))
    recorder, saved = RolloutRecorder._open_named(
        session_id, home=home, instructions=instructions, meta={"name": name, **(meta or {})}, **options
    )
    return Session(name, recorder, saved)
