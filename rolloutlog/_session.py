"""session(): an agent's input list that survives ``kill -9``; created or resumed by name."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, Self, Unpack

from ._awaiting import handed_over
from ._contents import Contents, Known, Own
from ._entries import SessionStateSnapshot
from ._format.coerce import ItemLike, to_item
from ._format.response import split_response
from ._locks import fork_safe_lock
from ._logged import entry_for
from ._options import RecorderOptions
from ._reading.saved import SavedSession
from ._recorder import Encoded, RolloutRecorder
from ._repr import shortened, sized
from ._responses.input import OrphanPolicy, ReasoningPolicy, orphan_calls, session_input
from ._responses.recorded import RecordedResponse
from .exceptions import InvalidItemError, QueueFullError
from .items import Call, Reasoning, ResponseItem


class Session:
    """The input and the output of an agent, kept in a rollout; made by `session`.

    A context manager: leaving it closes the file. Everything that was recorded before stays in it.

    All that it shows is read from the file, so records of other threads, of another `Session` of the same name, and of
    a handler within `bound` are there as well. The file is read once; after that, a look reads what was appended.
    Records of this object are shown at once, even before they are in the file. While the file cannot be read, the
    entries of the last look are shown; after `close`, those that it held then.

    Attributes:
        name: the name that it was opened by.
        recorder: the recorder that writes it.
        saved: the contents of the file when it was opened, with a report of each line that could not be read; of a new
            session, nothing.

    >>> import rolloutlog
    >>> with rolloutlog.session("trip-to-rome") as session:
    ...     session.record({"role": "user", "content": "Plan a day in Rome"})
    >>> with rolloutlog.session("trip-to-rome") as session:  # a later run
    ...     len(session.items), session.name
    (1, 'trip-to-rome')
    """

    # `_order` is held while lines are handed over, so that their numbers have the order of the file; it also guards
    # `_known`, and `_is_torn`, whether reasoning is at the end since a kill, until the first record. A look never takes
    # `_order`: so it does not wait for room in the queue.

    def __new__(cls, *parts: object) -> Self:
        if len(parts) != 3:
            raise TypeError("a Session is made by rolloutlog.session(name)")
        return super().__new__(cls)

    def __init__(self, name: str, recorder: RolloutRecorder, saved: SavedSession) -> None:
        """Use `session` instead."""
        self.name = name
        self.recorder = recorder
        self.saved = saved
        self._contents = Contents(recorder.path, saved)
        self._known = Known()
        self._order = fork_safe_lock()
        # A model's output does not end with reasoning.
        self._is_torn = isinstance(next(reversed(self._contents.look().view.items), None), Reasoning)

    def record(self, *items: ItemLike, wait: bool = True, timeout: float = 30.0) -> None:
        """Record *items*; they are in `items`, and written, when this returns.

        They survive the end of the process; for a power cut, see ``fsync`` in `RecorderOptions`.

        Args:
            items: as for `RolloutRecorder.record`.
            wait: false returns as soon as they are handed over. They are in `items` at once.
            timeout: seconds to wait, for room and for the disk.

        Raises:
            InvalidItemError: an item that would not come back as it is; none of them was recorded.
            RedactionError: the `redact` hook failed; none of them was recorded.
            WriteError: they could not be written so far; they are kept, and tried again.
            RecorderClosedError, QueueFullError, TimeoutError: as for the recorder.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("greeter") as session:
            ...     session.record(rolloutlog.Message.user("Hello"), {"role": "assistant", "content": "Hi"})
            ...     session.items
            [Message(role='user', 'Hello'), Message(role='assistant', 'Hi')]
        """
        self._carry_out(self._recording(items), wait, timeout)

    async def arecord(self, *items: ItemLike, wait: bool = True, timeout: float = 30.0) -> None:
        """Record *items* as `record` does, without blocking the event loop of asyncio; likewise the errors.

        A call that is cancelled while it waits for the disk has recorded all of them; before that, nothing.

        >>> import asyncio, rolloutlog
        >>> async def main():
        ...     async with rolloutlog.session("async") as session:
        ...         await session.arecord({"role": "user", "content": "Hello"})
        >>> asyncio.run(main())
        """
        await self._acarry_out(self._recording(items), wait, timeout)

    def record_response(self, response: Any, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Record the output of *response*, and beside it the response's id, model, status and usage; see `responses`.

        A response that the session has already is not recorded again: neither it, if its id is known, nor an item of
        its output whose id is known.

        Args:
            response: a response of the Responses API that has ended: an object of the OpenAI SDK, its dict, or the last
                event of a stream (``response.completed``).
            wait, timeout: as for `record`; likewise the errors.

        Raises:
            InvalidItemError: it is not a response, or has not ended, or an item of its output cannot be recorded.

        Example:
            >>> import rolloutlog
            >>> said = {"type": "message", "role": "assistant", "content": "Hello"}
            >>> usage = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}
            >>> with rolloutlog.session("greeter") as session:
            ...     session.record_response({"id": "resp_1", "model": "gpt-5", "output": [said], "usage": usage})
            ...     session.responses
            [RecordedResponse(id='resp_1', model='gpt-5', 12 in, 3 tokens out)]
        """
        self._carry_out(self._recording_response(response), wait, timeout)

    async def arecord_response(self, response: Any, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Record *response* as `record_response` does, without blocking the event loop; see `arecord`."""
        await self._acarry_out(self._recording_response(response), wait, timeout)

    def log(
        self,
        message: str,
        /,
        *args: object,
        level: int | str = logging.INFO,
        exc_info: bool | BaseException = False,
        **extra: Any,
    ) -> None:
        """Record a text for people, as a logger would; it is not part of the model's input. Does not wait for the disk.

        Args:
            message: the text; ``message % args`` if there are *args*.
            args: values for the text.
            level: a number or a name, such as ``logging.WARNING``.
            exc_info: an exception, or true for the one that is being handled: its traceback is kept.
            extra: further keys, as for `LogEntry`.

        Raises:
            TypeError, ValueError: *message* is not a text, does not fit *args*, or there is no such level.
            RedactionError, RecorderClosedError, QueueFullError: as for `record`.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("greeter") as session:
            ...     session.log("asking %s", "the model", attempt=2)
            >>> [entry] = rolloutlog.load_session("greeter").logs
            >>> entry.message, entry.level, dict(entry.extra)
            ('asking the model', 'INFO', {'attempt': 2})
        """
        self.recorder.record_log(entry_for(message, args, level, exc_info, extra, sys._getframe(1)))

    def answer(self, call: ItemLike, output: Any, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Record the answer to *call*, an item of the right kind; it is written when this returns.

        Args:
            call: one of `orphan_calls`, or another call that the model made, as for `record`.
            output: what the tool returned, as for `Item.answer`; likewise the errors.
            wait, timeout: as for `record`; likewise the errors.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.session("weather") as session:
            ...     session.record(rolloutlog.FunctionCall("weather", '{"city": "Oslo"}', "call_1"))
            ...     for call in session.orphan_calls:  # after a crash, those to run again
            ...         session.answer(call, {"sky": "clear"})
            ...     session.items[-1].text
            '{"sky":"clear"}'
        """
        self.record(to_item(call).answer(output), wait=wait, timeout=timeout)

    async def aanswer(self, call: ItemLike, output: Any, *, wait: bool = True, timeout: float = 30.0) -> None:
        """Record the answer to *call* as `answer` does, without blocking the event loop; see `arecord`."""
        await self.arecord(to_item(call).answer(output), wait=wait, timeout=timeout)

    def take_back(self, count: int | None = 1) -> None:
        """Hide the last *count* items, or all of them, from the model; the line is written when this returns.

        They stay in `items`, and in the file; see `RolloutRecorder.take_back`, also for the errors.

        >>> import rolloutlog
        >>> with rolloutlog.session("undone") as session:
        ...     session.record(rolloutlog.Message.user("Hello"), rolloutlog.Message.user("Oops"))
        ...     session.take_back()
        ...     len(session.items), session.context
        (2, [Message(role='user', 'Hello')])
        """
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1, or None for all items; got {count}")
        encoded = self.recorder.encode_taken_back("all" if count is None else count)
        self._carry_out(lambda timeout: self._hand_over(encoded, timeout), True, 30.0)

    @property
    def items(self) -> Sequence[ResponseItem]:
        """All items of the session, in the order of the file; a read-only list as of now."""
        return self._contents.items()

    @property
    def responses(self) -> list[RecordedResponse]:
        """Id, model, usage and time of each response that was recorded by `record_response`, in order; a new list."""
        with self._contents.looking:
            return self._contents.look().responses.found[:]

    @property
    def instructions(self) -> str | None:
        """The instructions that the session was begun with, as its file holds them; `None` if there are none.

        They are not among `items`: pass them to the model beside `to_input()`.
        """
        return self.saved.session.instructions

    @property
    def context(self) -> list[ResponseItem]:
        """The items as the model sees them; see `SavedSession.context`."""
        with self._contents.looking:
            return self._contents.look().view.items[:]

    def to_input(
        self, *, orphans: OrphanPolicy = "close", ids: bool = True, reasoning: ReasoningPolicy = "encrypted"
    ) -> list[Any]:
        """Return `context`, as an API takes it for ``input=``; see `rolloutlog.to_input`.

        Items that no reasoning leads have no ids here, because a `redact` hook or a damaged line may have taken it.

        >>> import rolloutlog
        >>> with rolloutlog.session("asker") as session:
        ...     session.record({"role": "user", "content": "Hello"})
        ...     session.to_input()
        [{'type': 'message', 'role': 'user', 'content': [{'type': 'input_text', 'text': 'Hello'}]}]
        """
        return session_input(self.context, orphans, ids, reasoning)

    @property
    def orphan_calls(self) -> list[Call]:
        """The calls without an output, in order. After a crash, these are the ones to run again; see `answer`."""
        return orphan_calls(self.context)  # type: ignore[return-value]

    @property
    def state(self) -> SessionStateSnapshot:
        """The session's state as it was last set, a mapping of free keys. Set as a whole, it is written at once.

        >>> import rolloutlog
        >>> with rolloutlog.session("counter") as session:
        ...     session.state = {"turn": 3}
        >>> dict(rolloutlog.load_session("counter").state)
        {'turn': 3}
        """
        with self._contents.looking:
            return self._contents.look().state

    @state.setter
    def state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> None:
        encoded = self.recorder.encode_state(state)
        self._carry_out(lambda timeout: self._hand_over(encoded, timeout), True, 30.0)

    def _recording(self, items: tuple[ItemLike, ...]) -> Callable[[float], int]:
        """Return a function that hands over *items* within a timeout, for `_carry_out`."""
        encoded = self.recorder.encode(items)
        return lambda timeout: self._hand_over(self._after_kill(encoded), timeout)

    def _recording_response(self, response: Any) -> Callable[[float], int]:
        """Return a function that hands over what the session has not of *response*, for `_carry_out`."""
        items, kept = split_response(response)
        parts = [self.recorder.encode([item]) for item in items]
        end = self.recorder.encode_response(kept)

        def hand_over(timeout: float) -> int:
            encoded = Encoded([])
            if self._known.is_new(self._contents.look(), kept.get("id")):
                for item, part in zip(items, parts, strict=True):
                    if item._read().get("id") not in self._known.items:
                        encoded += part
                encoded += end
            return self._hand_over(self._after_kill(encoded), timeout)

        return hand_over

    def _carry_out(self, hand_over: Callable[[float], int], wait: bool, timeout: float) -> None:
        """Call *hand_over*, which returns the last number, and wait for the disk if asked to."""
        deadline = monotonic() + timeout
        last: list[int] = []
        if not self._order.within(deadline, lambda: last.append(hand_over(max(0.0, deadline - monotonic())))):
            raise QueueFullError(self.path, f"another thread waits for room, longer than {timeout} s")
        if wait:
            self.recorder.flush(timeout=max(0.0, deadline - monotonic()))
            self._contents.forget(last[0])

    async def _acarry_out(self, hand_over: Callable[[float], int], wait: bool, timeout: float) -> None:
        """Do as `_carry_out` does, without blocking the event loop."""
        deadline = monotonic() + timeout
        last = await handed_over(lambda: hand_over(0.0), self.recorder._writer, timeout, lock=self._order)
        if wait:
            await self.recorder.aflush(timeout=max(0.0, deadline - monotonic()))
            self._contents.forget(last)

    def _after_kill(self, encoded: Encoded) -> Encoded:
        """Return *encoded*, after a line that takes back reasoning at the end that a kill cut off from its result.

        The reasoning must not seem to lead to these items. The caller has `_order`.
        """
        if not self._is_torn or not encoded.lines:
            return encoded
        return self.recorder.encode_taken_back("reasoning") + encoded

    def _hand_over(self, encoded: Encoded, timeout: float = 30.0) -> int:
        """Hand over lines and expect their entries in the file; return the last number. The caller has `_order`."""
        contents = self._contents
        numbers = contents.numbers(len(encoded.lines))
        try:
            # First, because a look may find the lines before this method returns.
            contents.pending.update(zip(numbers, map(Own, encoded.lines), strict=True))
            note = functools.partial(contents.sent.update, dict.fromkeys(numbers))
            self.recorder.hand_over(encoded, timeout=timeout, note=note)
        except BaseException:
            contents.drop(numbers)
            raise
        self._is_torn = self._is_torn and not numbers
        return numbers[-1] if numbers else -1

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

    async def aclose(self, *, timeout: float = 30.0) -> None:
        """Close the file without blocking the event loop; see `RolloutRecorder.aclose`."""
        await self.recorder.aclose(timeout=timeout)
        self._contents.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def show(self, depth: str = "tools") -> None:
        """Print the session as the command ``rolloutlog show`` does, with all that was recorded until now.

        Args:
            depth: as for `SavedSession.show`.

        Raises:
            ValueError: there is no such depth.
            WriteError: records are not on disk yet.
        """
        from ._face import printing

        self.recorder.flush()
        printing.show(self.path, depth)

    def close(self, *, timeout: float = 30.0) -> None:
        """Close the file; see `RolloutRecorder.close`."""
        self.recorder.close(timeout=timeout)
        self._contents.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a session cannot be copied or pickled; session(name) opens it again")

    def _repr_html_(self) -> str:
        from ._face import notebook

        return notebook.session(self.name, self.recorder, self.items)

    def __repr__(self) -> str:
        what = f"{shortened(self.name)}: {sized(len(self.items), 'item')}"
        return f"<Session {what}, {self.recorder.lifecycle.name}, {self.path}>"


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
        options: how the file is written; see `RecorderOptions` for their values. ``queue_size`` and ``on_full`` (not
            "drop", because a session keeps everything that is recorded), ``fsync``, ``shared`` and ``lock_timeout``,
            ``redact``, ``only_known``, and ``format``, that of a new session.

    Raises:
        InvalidItemError: *meta* cannot be written as JSON, or holds a name.
        SessionLockedError: another process has the session open.
        InvalidRolloutError, SessionOptionsError, TypeError, ValueError: as for `RolloutRecorder.resume`.
        OSError: the file cannot be made, or not read and appended to; or the session was not found, and a folder that
            may hold it cannot be read.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("trip-to-rome", instructions="Be brief.", meta={"model": "gpt-5"}) as session:
        ...     session.instructions, session.saved.session.extra["model"], session.items
        ('Be brief.', 'gpt-5', [])
    """
    if not name or type(name) is not str:
        came = "an empty one" if name == "" else type(name).__name__
        raise ValueError(f"a session's name must be a non-empty string; got {came}")
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
