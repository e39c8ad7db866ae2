"""session(): an agent's input list that survives ``kill -9``; created or resumed by name."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, Self, Unpack

from ._checks import shortened, sized
from ._entries import Entry, SessionStateSnapshot
from ._format.coerce import ItemLike, to_item
from ._locks import fork_safe_lock
from ._options import RecorderOptions
from ._reading.follow import Follower, Live
from ._reading.saved import SavedSession
from ._recorder import Encoded, RolloutRecorder
from ._responses.input import OrphanPolicy, ReasoningPolicy, orphan_calls, session_input
from .exceptions import InvalidItemError, RolloutError
from .items import Call, Item, Reasoning, ResponseItem


class Items(list[ResponseItem]):
    """The items of a session at one moment: a list that cannot be changed, because a change would not be recorded."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("the items of a session are read-only; session.record(item) adds one, take_back() hides some")

    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> tuple[type[Items], tuple[list[ResponseItem]]]:
        return Items, (list(self),)


class Session:
    """The input and the output of an agent, kept in a rollout; made by `session`.

    A context manager: leaving it closes the file. Everything that was recorded before stays on disk.

    All that it shows is read from the file, so records of other threads, of another `Session` of the same name, and of
    a handler within `bound` are there as well. The file is read once; after that, a look reads what was appended.
    Records of this object are shown at once, even before they are in the file. While the file cannot be read, the
    entries of the last look are shown; after `close`, those that it held then.

    Attributes:
        name: the name that it was opened by.
        recorder: the recorder that writes it.
        saved: the contents of the file when it was opened, with a report of each line that could not be read; of a new
            session, nothing.
    """

    # `_order` is held while lines are handed over, so that `_pending` has the order of the file; it also guards
    # `_is_torn`, whether reasoning is at the end since a kill, until the first record. `_looking` is held during a
    # look, which never takes `_order`: so a look does not wait for room in the queue.
    #
    # `_pending` has the entries that were handed over, by number, until a look finds them in the file or a flush says
    # that they are there. It is only changed by single operations of `dict`, which a signal handler or a finalizer
    # cannot divide.

    def __init__(self, name: str, recorder: RolloutRecorder, saved: SavedSession) -> None:
        """Use `session` instead."""
        self.name = name
        self.recorder = recorder
        self.saved = saved
        self._follower = Follower(recorder.path, saved)
        self._pending: dict[int, Entry] = {}
        self._numbers = itertools.count()
        self._shown: tuple[Live, Items] | None = None
        self._final: Live | None = None
        self._order, self._looking = fork_safe_lock(), fork_safe_lock()
        # A model's output does not end with reasoning.
        self._is_torn = isinstance(next(reversed(self._look().view.items), None), Reasoning)

    def record(self, *items: ItemLike, wait: bool = True, timeout: float = 30.0) -> None:
        """Record *items*; they are in `items`, and on disk, when this returns.

        Args:
            items: as for `RolloutRecorder.record`.
            wait: false returns as soon as they are handed over. They are in `items` at once.
            timeout: seconds to wait, for room and for the disk.

        Raises:
            InvalidItemError: an item that would not come back as it is; none of them was recorded.
            RedactionError: the `redact` hook failed; none of them was recorded.
            WriteError: they could not be written so far; they are kept, and tried again.
            RecorderClosedError, QueueFullError, TimeoutError: as for the recorder.
        """
        deadline = monotonic() + timeout
        encoded = self.recorder.encode(items)
        with self._order:
            if self._is_torn and encoded.lines:
                # Reasoning that a kill cut off from its result must not seem to lead to these items.
                encoded = self.recorder.encode_taken_back("reasoning") + encoded
            last = self._hand_over(encoded, timeout)
        if wait:
            self._flush(last, max(0.0, deadline - monotonic()))

    def answer(self, call: ItemLike, output: Any, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Record the answer to *call*, an item of the right kind; it is on disk when this returns.

        Args:
            call: one of `orphan_calls`, or another call that the model made, as for `record`.
            output: what the tool returned, as for `Item.answer`; likewise the errors.
            wait, timeout: as for `record`; likewise the errors.
        """
        self.record(to_item(call).answer(output), wait=wait, timeout=timeout)

    def take_back(self, count: int | None = 1) -> None:
        """Hide the last *count* items, or all of them, from the model; the line is on disk when this returns.

        They stay in `items`, and in the file; see `RolloutRecorder.take_back`, also for the errors.
        """
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1, or None for all items; got {count}")
        encoded = self.recorder.encode_taken_back("all" if count is None else count)
        with self._order:
            last = self._hand_over(encoded)
        self._flush(last)

    @property
    def items(self) -> Sequence[ResponseItem]:
        """All items of the session, in the order of the file; a read-only list as of now."""
        with self._looking:
            live = self._look()
            if self._shown is None or self._shown[0] is not live or len(self._shown[1]) != len(live.items):
                self._shown = live, Items(live.items)
            return self._shown[1]

    @property
    def context(self) -> list[ResponseItem]:
        """The items as the model sees them; see `SavedSession.context`."""
        with self._looking:
            return self._look().view.items[:]

    def to_input(
        self, *, orphans: OrphanPolicy = "close", ids: bool = True, reasoning: ReasoningPolicy = "encrypted"
    ) -> list[Any]:
        """Return `context`, as an API takes it for ``input=``; see `rolloutlog.to_input`.

        Items that no reasoning leads have no ids here, because a `redact` hook or a damaged line may have taken it.
        """
        return session_input(self.context, orphans, ids, reasoning)

    @property
    def orphan_calls(self) -> list[Call]:
        """The calls without an output, in order. After a crash, these are the ones to run again; see `answer`."""
        return orphan_calls(self.context)  # type: ignore[return-value]

    @property
    def state(self) -> SessionStateSnapshot:
        """The session's state as it was last set: a mapping of free keys. Set as a whole, it is on disk at once."""
        with self._looking:
            return self._look().state

    @state.setter
    def state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> None:
        encoded = self.recorder.encode_state(state)
        with self._order:
            last = self._hand_over(encoded)
        self._flush(last)

    def _hand_over(self, encoded: Encoded, timeout: float = 30.0) -> int:
        """Hand over lines and expect their entries in the file; return the last number. The caller has `_order`."""
        numbers = [next(self._numbers) for _ in encoded.lines]
        try:
            # First, because a look may find the lines before this method returns.
            self._pending.update(zip(numbers, encoded.entries, strict=True))
            self.recorder.hand_over(encoded, timeout=timeout)
        except BaseException:
            for number in numbers:
                self._pending.pop(number, None)
            raise
        self._is_torn = self._is_torn and not numbers
        return numbers[-1] if numbers else -1

    def _flush(self, last: int, timeout: float = 30.0) -> None:
        """Wait until everything is on disk, the entries up to the number *last* among it."""
        self.recorder.flush(timeout=timeout)
        for number in list(self._pending):
            if number <= last:  # or it was never handed over, because of an interrupt
                self._pending.pop(number, None)

    def _look(self) -> Live:
        """Return the contents of the session: those of its file, and after them the entries that are not in it yet."""
        with self._looking:
            if self._final is not None:
                return self._final
            pending = self._pending.copy()  # a flush during the look may forget some of these
            try:
                live = self._follower.look()
                pending.update(self._pending)
                self._remove_found(pending, live.latest)
            except (OSError, RolloutError):
                live = self._follower.live or Live.of(self.saved, [])
            except BaseException:  # an interrupt, perhaps before all of `latest` was seen
                self._follower.distrust()
                raise
            return live.and_then(entry for _, entry in sorted(pending.items())) if pending else live

    def _remove_found(self, pending: dict[int, Entry], found: list[Entry]) -> None:
        """Remove the entries that were *found* in the file from *pending*, and from `_pending`."""
        for entry in found if pending else ():
            for number, own in pending.items():
                if _is_same(entry, own):
                    del pending[number]
                    self._pending.pop(number, None)
                    break

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
        with self._looking:
            self._final = self._look()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        what = f"{shortened(self.name)}: {sized(len(self.items), 'item')}"
        return f"<Session {what}, {self.recorder.lifecycle.name}, {self.path}>"


def _is_same(entry: Entry, own: Entry) -> bool:
    return entry.json == own.json if isinstance(entry, Item) and isinstance(own, Item) else entry == own


def session(
    name: str,
    *,
    fresh: bool = False,
    home: str | os.PathLike[str] | None = None,
    instructions: str | None = None,
    meta: Mapping[str, Any] | None = None,
    **options: Unpack[RecorderOptions],
) -> Session:
    """Open the session called *name*: the one that an earlier run left, wherever it was killed, or a new one.

    Args:
        name: any string that is not empty; it determines the session's id (a UUID5), and is kept in the meta line.
        fresh: begin a new session under this name, even if there is one. The name then means the new one, also for
            `load_session`. The earlier ones stay as they are, and are found by their ids and by `find_sessions`. Each
            call begins another one, also a call after a kill.
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
        raise ValueError(f"a session's name must be a non-empty string; got {type(name).__name__}")
    if options.get("on_full") == "drop":
        raise ValueError("a session drops nothing: its on_full must be 'block' or 'raise'")
    if meta is not None and "name" in meta:
        raise InvalidItemError("meta", "may not hold 'name', which is set from the session's name")
    if type(fresh) is not bool:
        raise TypeError(f"fresh must be True or False, got {type(fresh).__name__}")
    recorder, saved = RolloutRecorder._open_named(
        name, fresh=fresh, home=home, instructions=instructions, meta={"name": name, **(meta or {})}, **options
    )
    return Session(name, recorder, saved)
