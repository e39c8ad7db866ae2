"""The recorder: writes items to a rollout, and resumes a session where it ended.

Adapted from the rollout recorder of the Codex CLI (`RolloutRecorder`, July 2025, Apache-2.0), whose parts keep their
names here: `create`, `record_items`, `record_state`, `resume`, `shutdown`. Its faults are not kept; the README lists
them.
"""

from __future__ import annotations

import os
import sys
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, Self, Unpack

import attrs

from . import _open
from ._awaiting import handed_over
from ._binding import Bound
from ._entries import LogEntry, SessionMeta, SessionStateSnapshot
from ._format.coerce import ItemLike
from ._format.lines import LineEncoder, TakenBack
from ._lookup import find_session
from ._options import RecorderOptions, checked
from ._reading.saved import SavedSession
from ._writing.ack import Ack
from ._writing.commands import RecorderStats, State
from ._writing.os_calls import REAL_SYSTEM, System
from ._writing.registry import Lease
from .exceptions import RecorderClosedError, RedactionError


@attrs.frozen
class Encoded:
    """Lines that are ready for the writer.

    Attributes:
        lines: whole lines, one for each record.
        filtered: how many items were filtered out.
    """

    lines: list[bytes]
    filtered: int = 0

    def __add__(self, other: Encoded) -> Encoded:
        return Encoded(self.lines + other.lines, self.filtered + other.filtered)


class RolloutRecorder:
    """Records one session into its rollout, from any number of threads; made by `create` or `resume`.

    `record` and its kin return as soon as the record is handed over, after about a microsecond; a daemon thread writes
    it. `flush` waits until everything is written. A context manager: leaving it closes the recorder.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     recorder.record({"role": "user", "content": "Hello"})
    >>> rolloutlog.load_session(recorder.path).items
    [Message(role='user', 'Hello')]
    """

    # Set once at construction: path, session, _lease, _writer, _encoder, _line_of. `_left` goes once from None to the
    # ack of `shutdown`.

    # The system calls of its journal; a subclass in a test has others, which fail.
    _system: System = REAL_SYSTEM

    def __new__(cls, *parts: object) -> Self:
        if not parts or not isinstance(parts[0], Lease):
            name = cls.__name__
            raise TypeError(f"a {name} is made by {name}.create(home), {name}.resume(session) or session(name)")
        return super().__new__(cls)

    def __init__(self, lease: Lease, encoder: LineEncoder, session: SessionMeta) -> None:
        """Use `create` or `resume` instead."""
        self._lease = lease
        self._writer, self._encoder, self._line_of = lease.writer, encoder, encoder.line_of
        self._left: Ack | None = None
        self.path: Path = lease.writer.journal.path
        self.session = session

    @classmethod
    def create(
        cls,
        home: str | os.PathLike[str] | None = None,
        *,
        session_id: str | uuid.UUID | None = None,
        instructions: str | None = None,
        meta: Mapping[str, Any] | None = None,
        **options: Unpack[RecorderOptions],
    ) -> Self:
        """Begin a new session; its file exists, with the meta line in it, when this returns.

        Args:
            home: the folder that holds ``sessions/``; else ``$ROLLOUTLOG_HOME``, else ``~/.rolloutlog``.
            session_id: a UUID; by default a new random one.
            instructions: the system prompt, kept in the meta line.
            meta: free keys for the meta line (``cwd``, ``git``, a parent's id …).
            options: see `RecorderOptions`.

        Raises:
            SessionExistsError: the home holds a session with this id.
            InvalidItemError: *meta* cannot be written as JSON, or is too long.
            TypeError, ValueError: an unknown option, or a value that it does not accept.
            OSError: the file cannot be made; nothing is left behind. Or the home has a folder that cannot be read and
                may hold a session with this id.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.RolloutRecorder.create(instructions="Be brief.", meta={"cwd": "/srv"}) as recorder:
            ...     recorder.path.exists(), recorder.session.instructions, recorder.session.extra["cwd"]
            (True, 'Be brief.', '/srv')
        """
        writing, encoding = checked(options, "home", "session_id", "instructions", "meta")
        return cls(
            *_open.create(home, session_id, instructions, meta, writing=writing, encoding=encoding, system=cls._system)
        )

    @classmethod
    def resume(
        cls,
        session: str | os.PathLike[str] | uuid.UUID,
        *,
        home: str | os.PathLike[str] | None = None,
        **options: Unpack[RecorderOptions],
    ) -> tuple[Self, SavedSession]:
        """Resume a session: read it, and return a recorder that continues in the same file.

        A session that Codex compressed is unpacked beside, and the compressed file is removed, as Codex does itself.

        Args:
            session: the path of a rollout, a session's name, its id, or the beginning or the end of an id, as for
                `load_session`.
            home: where to look for an id or a name, as for `create`.
            options: see `RecorderOptions`; if this process has the session open already, the same ones.

        Returns:
            The recorder, and everything that could be read, with a report of each line that could not.

        Raises:
            SessionNotFoundError, AmbiguousSessionError: no session, or more than one, has that id or name.
            InvalidRolloutError: the file is empty, does not begin with a session meta, or is compressed and damaged; it
                is left untouched.
            MissingExtraError: it is compressed, and the extra "zstd" is not installed.
            SessionLockedError: another process has the session open.
            SessionOptionsError: this process has it open with other options.
            TypeError, ValueError: an unknown option, or a value that it does not accept.
            OSError: the file cannot be read and appended to; or the session was not found, and a folder that may hold
                it cannot be read.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.RolloutRecorder.create() as recorder:
            ...     recorder.record({"role": "user", "content": "Hello"})
            >>> recorder, saved = rolloutlog.RolloutRecorder.resume(recorder.path)
            >>> recorder.record({"role": "assistant", "content": "Hi"})
            >>> recorder.close()
            >>> len(saved.items), len(rolloutlog.load_session(recorder.path).items)
            (1, 2)
        """
        writing, encoding = checked(options, "session", "home")
        path = find_session(session, home).absolute()
        lease, encoder, saved = _open.resume(path, writing=writing, encoding=encoding, system=cls._system)
        return cls(lease, encoder, saved.session), saved

    @classmethod
    def _open_named(
        cls,
        name: str,
        *,
        fresh: bool,
        home: str | os.PathLike[str] | None,
        instructions: str | None,
        meta: Mapping[str, Any],
        **options: Unpack[RecorderOptions],
    ) -> tuple[Self, SavedSession]:
        """Resume the session called *name*, or create it; arguments and errors as for `session`."""
        writing, encoding = checked(options, "fresh", "home", "instructions", "meta")
        lease, encoder, saved = _open.open_named(
            home, name, instructions, meta, fresh=fresh, writing=writing, encoding=encoding, system=cls._system
        )
        return cls(lease, encoder, saved.session), saved

    # -- recording ----------------------------------------------------------------------------------------------------

    def record(self, *items: ItemLike, timeout: float = 30.0) -> None:
        """Record *items*, in order and with no record of another thread between them.

        Args:
            items: items, wire dicts, ``{"role": …, "content": …}``, or objects with a ``to_dict()``.
            timeout: seconds to wait for room in the queue, with ``on_full="block"``.

        Raises:
            InvalidItemError: an item that would not come back as it is; none of them was recorded.
            RedactionError: the `redact` hook failed; none of them was recorded.
            RecorderClosedError: the recorder is closed.
            QueueFullError: there was no room in time, or the writer cannot write.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.RolloutRecorder.create() as recorder:
            ...     recorder.record({"role": "user", "content": "Rain?"}, rolloutlog.FunctionCall("sky", "{}", "c1"))
            >>> [item.type for item in rolloutlog.load_session(recorder.path).items]
            ['message', 'function_call']
        """
        if len(items) == 1 and self._left is None:
            line = self._line_of(items[0])
            if line:
                self._writer.put(line, timeout)
            else:
                self._put([], 1, timeout)
            return
        self.record_items(items, timeout=timeout)

    def record_items(self, items: Iterable[ItemLike], *, timeout: float = 30.0) -> None:
        """Record *items* as `record` does; without items nothing happens."""
        self._put(*self._encoder.items(items), timeout)

    def record_state(
        self, state: SessionStateSnapshot | Mapping[str, Any] | None = None, *, timeout: float = 30.0
    ) -> None:
        """Record a snapshot of the session's state; when the session is resumed, the last one counts.

        Raises:
            InvalidItemError, RedactionError, RecorderClosedError, QueueFullError: as for `record`.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.RolloutRecorder.create() as recorder:
            ...     recorder.record_state({"turn": 1})
            ...     recorder.record_state({"turn": 2})
            >>> rolloutlog.load_session(recorder.path).state["turn"]
            2
        """
        self.hand_over(self.encode_state({} if state is None else state), timeout=timeout)

    def record_log(self, entry: LogEntry, *, timeout: float = 30.0) -> None:
        """Record a log entry, which is not part of the model's input.

        Raises:
            InvalidItemError: its line would be longer than a reader reads.
            RedactionError, RecorderClosedError, QueueFullError: as for `record`.
        """
        line = self._encoder.log(entry)
        self._put([line], 0, timeout) if line else self._put([], 1, timeout)  # withheld by the `redact` hook

    def take_back(self, count: int | None = 1, *, timeout: float = 30.0) -> None:
        """Record that the model will no longer see the last *count* items; `None` means all of them.

        They stay in the file, and in `SavedSession.items`; `SavedSession.context` and `to_input` leave them out. Real
        Codex does not know this record, and shows them.

        Raises:
            ValueError: *count* is less than one.
            RecorderClosedError, QueueFullError: as for `record`.
        """
        if count is not None and count < 1:
            raise ValueError(f"count must be at least 1, or None for all items; got {count}")
        self.hand_over(self.encode_taken_back("all" if count is None else count), timeout=timeout)

    async def arecord(self, *items: ItemLike, timeout: float = 30.0) -> None:
        """Record *items* as `record` does; a full queue does not block the event loop.

        A cancelled call has recorded all of them, or nothing.

        Raises:
            InvalidItemError, RedactionError, RecorderClosedError, QueueFullError: as for `record`.
        """
        encoded = self.encode(items)
        await handed_over(lambda: self.hand_over(encoded, timeout=0.0), self._writer, timeout)

    # The classes of this package that keep a session in memory do this in two steps. Encoding runs code of the program,
    # such as the `redact` hook, so they must not hold a lock while it runs; they hold one during the second step.

    def encode(self, items: Iterable[ItemLike]) -> Encoded:
        """Return *items*, ready for `hand_over`; raise as `record` does for an invalid item."""
        return Encoded(*self._encoder.items(items))

    def encode_state(self, state: SessionStateSnapshot | Mapping[str, Any]) -> Encoded:
        """Return a state, ready for `hand_over`; raise as `record_state` does for an invalid one."""
        line = self._encoder.state(state)
        return Encoded([line]) if line else Encoded([], 1)  # withheld by the `redact` hook

    def encode_response(self, kept: dict[str, Any]) -> Encoded:
        """Return the line that keeps *kept* of a response, ready for `hand_over`."""
        return Encoded([self._encoder.response(kept)])

    def encode_taken_back(self, what: TakenBack) -> Encoded:
        """Return the line that takes back *what*, ready for `hand_over`."""
        return Encoded([self._encoder.taken_back(what)])

    def encode_withheld(self, error: RedactionError) -> Encoded:
        """Return the line that says that a record was withheld because of *error*, ready for `hand_over`."""
        return Encoded([self._encoder.withheld(error)])

    def hand_over(self, encoded: Encoded, *, timeout: float = 30.0, note: Callable[[], object] | None = None) -> None:
        """Record lines that were encoded, in one piece; for *note* see `Writer.put_several`.

        Raises:
            RecorderClosedError, QueueFullError: as for `record`.
        """
        self._put(encoded.lines, encoded.filtered, timeout, note)

    def _put(self, lines: list[bytes], filtered: int, timeout: float, note: Callable[[], object] | None = None) -> None:
        """Hand over *lines*, and count *filtered* records as filtered out."""
        if self._left is not None:
            raise RecorderClosedError(self.path)
        if len(lines) == 1 and note is None:
            self._writer.put(lines[0], timeout)
        elif lines:
            self._writer.put_several(b"".join(lines), len(lines), timeout, note)
        if not filtered:
            return
        try:
            self._writer.filtered(filtered)
        except RecorderClosedError:
            if not lines:  # the lines were accepted just before the writer ended, so the call must not raise
                raise

    # -- flushing and ending ------------------------------------------------------------------------------------------

    def flush(self, *, timeout: float = 30.0) -> None:
        """Wait until everything recorded so far is written, and synced if ``fsync`` is not "never".

        Args:
            timeout: seconds.

        Raises:
            WriteError: it is not, and why; the records are kept and tried again.
            TimeoutError: the writer did not answer in time.
            RecorderClosedError: the writer failed, or belongs to another process.

        Example:
            >>> import rolloutlog
            >>> with rolloutlog.RolloutRecorder.create() as recorder:
            ...     recorder.record({"role": "user", "content": "Hello"})
            ...     recorder.flush()
            ...     recorder.stats.written
            1
        """
        deadline = monotonic() + timeout
        self._request_flush(timeout).result(max(0.0, deadline - monotonic()))

    async def aflush(self, *, timeout: float = 30.0) -> None:
        """Wait as `flush` does, in an event loop that is not blocked; likewise the errors."""
        await self._request_flush(0.0).aresult(timeout)

    def request_flush(self) -> Ack:
        """Request a flush and return its ack at once, which can be awaited; for a closed recorder, that of its end."""
        return self._request_flush(None)

    def _request_flush(self, timeout: float | None) -> Ack:
        """Request a flush; for *timeout* see `Writer.request_flush`."""
        if self._left is not None:
            return self._left
        return self._writer.request_flush(timeout)

    def shutdown(self) -> Ack:
        """Accept no more records, request that everything is written and the file is closed, and return at once.

        Called again it returns the same ack. The file stays open as long as other recorders of this process have the
        session open; the ack then means that everything recorded through this one is on disk.

        >>> import rolloutlog
        >>> recorder = rolloutlog.RolloutRecorder.create()
        >>> ack = recorder.shutdown()  # the program can do other things now
        >>> ack.result(timeout=30.0)
        """
        return self._shutdown(None)

    def _shutdown(self, timeout: float | None) -> Ack:
        """Shut down; for *timeout* see `Writer.request_flush`."""
        if self._left is None:
            self._left = self._lease.release(timeout)
        return self._left

    def close(self, *, timeout: float = 30.0) -> None:
        """Shut down and wait for it; closing again does nothing.

        Args:
            timeout: seconds; records that cannot be written are tried again until then.

        Raises:
            WriteError: how many records are not on disk, and why.
            TimeoutError: the writer did not answer in time.
        """
        deadline = monotonic() + timeout
        self._shutdown(timeout).result(max(0.0, deadline - monotonic()))

    async def aclose(self, *, timeout: float = 30.0) -> None:
        """Shut down and wait as `close` does, in an event loop that is not blocked; likewise the errors.

        If it is cancelled, the recorder still closes.
        """
        await self._shutdown(0.0).aresult(timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # Closed; or never finished; or left open until the interpreter ends, when everything is on disk.
        if getattr(self, "_left", True) is not None or _is_finalizing():
            return
        try:
            if self.lifecycle is State.OPEN:
                warnings.warn(f"unclosed rollout recorder {self.path}", ResourceWarning, source=self, stacklevel=2)
        finally:  # where warnings are errors; and a warning that is kept would keep the lease
            self.shutdown()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a recorder cannot be copied or pickled, because its copy would close the session")

    # -- looking ------------------------------------------------------------------------------------------------------

    def bound(self) -> AbstractContextManager[Self]:
        """Let every `RolloutHandler` write the log records of this context to this recorder.

        A context is a thread, an asyncio task, or another context of `contextvars`. So each conversation of a program
        can have its own file with one logger. A task that is started inside is bound, too. A thread is not, except
        where threads inherit contexts (`sys.flags.thread_inherit_context`), as they do on free-threaded Python; one
        of a pool keeps the binding that it was started with.

        In a generator, the binding holds for the generator and not for the loop that iterates it. It ends with the
        block, wherever that is: a generator that is left half-way may end in another task or thread. Leaving the block
        never raises.

        Example:
            >>> import logging, rolloutlog
            >>> with rolloutlog.session("Mr. Miller") as session, rolloutlog.attach("shop"):
            ...     with session.bound():
            ...         logging.getLogger("shop").info("for Mr. Miller")
            >>> [entry.message for entry in rolloutlog.load_session(session.path).logs]
            ['for Mr. Miller']
        """
        return Bound(self)

    @property
    def stats(self) -> RecorderStats:
        """The counts of records; shared by all recorders that this process has on the session."""
        return self._writer.stats

    @property
    def lifecycle(self) -> State:
        """Whether the recorder is open, closing, closed or failed."""
        if self._left is None:
            return self._writer.state
        return max(State.CLOSED if self._left.is_set() else State.CLOSING, min(self._writer.state, State.CLOSED))

    def _repr_html_(self) -> str:
        from ._face import notebook

        return notebook.recorder(self)

    def __repr__(self) -> str:
        return f"<RolloutRecorder {self.session.id} {self.lifecycle.name} {self.path}>"
