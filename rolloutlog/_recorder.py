"""The recorder: items in, a rollout on disk; and a session taken up again where it was.

Adapted from the rollout recorder of the Codex CLI (`RolloutRecorder`, July 2025, Apache-2.0), whose parts keep their
names here: `create`, `record_items`, `record_state`, `resume`, `shutdown`. Its faults are not kept; the README lists
them.
"""

from __future__ import annotations

import os
import sys
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self, Unpack

from . import _open
from ._entries import LogEntry, SessionMeta, SessionStateSnapshot
from ._format.coerce import ItemLike
from ._format.lines import LineEncoder
from ._options import RecorderOptions, checked
from ._paths import find_session
from ._reading.saved import SavedSession
from ._writing.ack import Ack
from ._writing.commands import RecorderStats, State
from ._writing.os_calls import REAL_SYSTEM, System
from ._writing.registry import Lease
from .exceptions import RecorderClosedError

# Where records of this context go, if not to their handler's own recorder: see `RolloutRecorder.bound`.
bound_recorder: ContextVar[RolloutRecorder | None] = ContextVar("rolloutlog_bound_recorder", default=None)


class RolloutRecorder:
    """Records one session into its rollout, from any number of threads; made by `create` or `resume`.

    `record` and its kin return as soon as the record is handed over, after about a microsecond; a daemon thread writes
    it. `flush` waits until everything is on disk. A context manager: leaving it closes the recorder.
    """

    # Set once at construction: path, session, _lease, _writer, _encoder. `_left` goes once from None to the ack of
    # `shutdown`.

    # What its journal calls; a subclass in a test has another one, on which calls fail.
    _system: System = REAL_SYSTEM

    def __init__(self, lease: Lease, encoder: LineEncoder, session: SessionMeta) -> None:
        """Use `create` or `resume` instead."""
        self._lease = lease
        self._writer, self._encoder = lease.writer, encoder
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
            TypeError, ValueError: an option that does not exist, or a value that it does not take.
            OSError: the file cannot be made; nothing is left behind. Or the home has a folder that cannot be read and
                may hold a session with this id.
        """
        writing, encoding = checked(options, "home", "session_id", "instructions", "meta")
        return cls(
            *_open.create(home, session_id, instructions, meta, writing=writing, encoding=encoding, system=cls._system)
        )

    @classmethod
    def resume(
        cls,
        session: str | os.PathLike[str],
        *,
        home: str | os.PathLike[str] | None = None,
        **options: Unpack[RecorderOptions],
    ) -> tuple[Self, SavedSession]:
        """Take up a session again: what is in it, and a recorder that goes on in the same file.

        Args:
            session: the path of a rollout, a session's id, or the beginning of an id that only one session has.
            home: where to look for an id, as for `create`.
            options: see `RecorderOptions`; where this process has the session open already, the same ones.

        Returns:
            The recorder, and everything that could be read, with a report of each line that could not.

        Raises:
            SessionNotFoundError, AmbiguousSessionError: no session, or several, go by that name.
            InvalidRolloutError: the file is empty, does not begin with a session meta, or is compressed; it is left
                untouched.
            SessionLockedError: another process has the session open.
            SessionOptionsError: this process has it open with other options.
            TypeError, ValueError: an option that does not exist, or a value that it does not take.
            OSError: the file cannot be read and appended to; or the session was not found, and a folder that may hold
                it cannot be read.
        """
        writing, encoding = checked(options, "session", "home")
        path = find_session(session, home).absolute()
        lease, encoder, saved = _open.resume(path, writing=writing, encoding=encoding, system=cls._system)
        return cls(lease, encoder, saved.session), saved

    @classmethod
    def _open_named(
        cls,
        session_id: str,
        *,
        home: str | os.PathLike[str] | None,
        instructions: str | None,
        meta: Mapping[str, Any],
        **options: Unpack[RecorderOptions],
    ) -> tuple[Self, SavedSession]:
        """Resume the session that has this id, or create it; arguments and errors as for `create` and `resume`."""
        writing, encoding = checked(options, "home", "instructions", "meta")
        lease, encoder, saved = _open.open_named(
            home, session_id, instructions, meta, writing=writing, encoding=encoding, system=cls._system
        )
        return cls(lease, encoder, saved.session), saved

    # -- recording ----------------------------------------------------------------------------------------------------

    def record(self, *items: ItemLike, timeout: float = 30.0) -> None:
        """Record *items*, in order and with nothing of other threads between them.

        Args:
            items: items, wire dicts, ``{"role": …, "content": …}``, or objects with a ``to_dict()``.
            timeout: seconds to wait for room in the queue, with ``on_full="block"``.

        Raises:
            InvalidItemError: an item that would not come back as it is; none of them was recorded.
            RecorderClosedError: the recorder is closed.
            QueueFullError: there was no room in time, or the writer cannot write.
        """
        if len(items) == 1 and self._left is None:
            line = self._encoder.line_of(items[0])
            if line:
                self._writer.put(line, timeout)
            else:
                self._put([], 1, timeout)
            return
        self.record_items(items, timeout=timeout)

    def record_items(self, items: Iterable[ItemLike], *, timeout: float = 30.0) -> None:
        """Record *items* as `record` does; no items, nothing happens."""
        self._put(*self._encoder.items(items), timeout)

    def record_state(
        self, state: SessionStateSnapshot | Mapping[str, Any] | None = None, *, timeout: float = 30.0
    ) -> None:
        """Record a snapshot of the session's state; when the session is resumed, the last one counts.

        Raises:
            InvalidItemError, RecorderClosedError, QueueFullError: as for `record`.
        """
        self._put_one(self._encoder.state({} if state is None else state), timeout)

    def record_log(self, entry: LogEntry, *, timeout: float = 30.0) -> None:
        """Record a log entry, which is no part of the model's input.

        Raises:
            InvalidItemError: it makes a longer line than is read again.
            RecorderClosedError, QueueFullError: as for `record`.
        """
        self._put_one(self._encoder.log(entry), timeout)

    def take_back(self, count: int | None = 1, *, timeout: float = 30.0) -> None:
        """Record that the last *count* items are not to be shown to the model any more; `None` means all of them.

        They stay in the file, and in `SavedSession.items`; `SavedSession.context` and `to_input` are without them. Real
        Codex does not know of this, and shows them.

        Raises:
            ValueError: *count* is less than one.
            RecorderClosedError, QueueFullError: as for `record`.
        """
        if count is not None and count < 1:
            raise ValueError(f"at least one item is taken back, not {count}")
        self._put_one(self._encoder.taken_back("all" if count is None else count), timeout)

    def _put_one(self, line: bytes, timeout: float) -> None:
        """Hand over one line; an empty one was withheld by the `redact` hook."""
        self._put([line], 0, timeout) if line else self._put([], 1, timeout)

    def _put(self, lines: list[bytes], filtered: int, timeout: float) -> None:
        """Hand over *lines*, and say that *filtered* records were left out."""
        if self._left is not None:
            raise RecorderClosedError(self.path)
        if len(lines) == 1:
            self._writer.put(lines[0], timeout)
        elif lines:
            self._writer.put_several(b"".join(lines), len(lines), timeout)
        if not filtered:
            return
        try:
            self._writer.filtered(filtered)
        except RecorderClosedError:
            if not lines:  # others were taken, just before the writer ended, and this error would say that none was
                raise

    # -- flushing and ending ------------------------------------------------------------------------------------------

    def flush(self, *, timeout: float = 30.0) -> None:
        """Wait until everything recorded so far is on disk, synced if ``fsync`` is not "never".

        Args:
            timeout: seconds.

        Raises:
            WriteError: it is not, and what keeps it from being so; the records are kept and tried again.
            TimeoutError: the writer did not answer in time.
            RecorderClosedError: the writer failed, or belongs to another process.
        """
        self.request_flush().result(timeout)

    def request_flush(self) -> Ack:
        """Ask for what `flush` waits for, and return at once; on a closed recorder, the ack of its end."""
        if self._left is not None:
            return self._left
        return self._writer.request_flush()

    def shutdown(self) -> Ack:
        """Take nothing more, ask for everything to be written and the file to be closed, and return at once.

        Called again it returns the same ack. The writer goes on for as long as other recorders of this process have
        the session open; the ack tells that everything recorded through this one is on disk.
        """
        if self._left is None:
            self._left = self._lease.release()
        return self._left

    def close(self, *, timeout: float = 30.0) -> None:
        """Shut down and wait for it; closing again does nothing more.

        Args:
            timeout: seconds; while something cannot be written, it is tried again and again until then.

        Raises:
            WriteError: how many records are not on disk, and why.
            TimeoutError: the writer did not answer in time.
        """
        self.shutdown().result(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # Closed; or never finished; or left open until the interpreter ends, when everything is on disk.
        if getattr(self, "_left", True) is not None or _is_finalizing():
            return
        try:
            if self.state is State.OPEN:
                warnings.warn(f"unclosed rollout recorder {self.path}", ResourceWarning, source=self, stacklevel=2)
        finally:  # where warnings are errors; and a warning that is kept would keep the lease
            self.shutdown()

    # -- looking ------------------------------------------------------------------------------------------------------

    @contextmanager
    def bound(self) -> Iterator[Self]:
        """Let every `RolloutHandler` write the log records of this context to this recorder.

        A context is a thread, an asyncio task, or what `contextvars` makes one; so each conversation of a program can
        have its own file behind one logger. Threads that are started inside begin without it.
        """
        token = bound_recorder.set(self)
        try:
            yield self
        finally:
            bound_recorder.reset(token)

    @property
    def stats(self) -> RecorderStats:
        """What became of the records; shared by all recorders that this process has on the session."""
        return self._writer.stats

    @property
    def state(self) -> State:
        """Where the recorder is in its life."""
        if self._left is None:
            return self._writer.state
        return max(State.CLOSED if self._left.is_set() else State.CLOSING, min(self._writer.state, State.CLOSED))

    def __repr__(self) -> str:
        return f"<RolloutRecorder {self.session.id} {self.state.name} {self.path}>"
