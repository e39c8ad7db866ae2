"""The recorder: items in, a rollout on disk; and a session taken up again where it was.

Adapted from the rollout recorder of the Codex CLI (`RolloutRecorder`, July 2025, Apache-2.0), whose parts keep their names here:
`create`, `record_items`, `record_state`, `resume`, `shutdown`. Its faults are not kept; the README lists both.
"""

from __future__ import annotations

import os
import time
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Self, Unpack

from . import _process
from ._ack import Ack
from ._codec import ItemLike, LineEncoder
from ._journal import Journal
from ._layout import find_by_id, find_session, parse_session_id, resolve_home, rollout_path
from ._models import LogEntry, SessionMeta, SessionStateSnapshot, utc_timestamp
from ._options import RecorderOptions, checked
from ._reader import SavedSession, load_session
from ._system import locked_folder
from ._commands import RecorderStats, State, WriterOptions
from ._writer import Writer
from .exceptions import RecorderClosedError, SessionExistsError

# Where records of this context go, if not to their handler's own recorder: see `RolloutRecorder.bound`.
bound_recorder: ContextVar[RolloutRecorder | None] = ContextVar("rolloutlog_bound_recorder", default=None)

# How long the look for a session and its making may hold up others who do the same, in seconds.
_HOME_TIMEOUT = 10.0
# How long taking up a session waits for what this process recorded into it before, in seconds.
_JOIN_TIMEOUT = 30.0


class RolloutRecorder:
    """Records one session into its rollout, from any number of threads; made by `create` or `resume`.

    `record` and its kin return as soon as the record is handed over, after about a microsecond; a daemon thread writes
    it. `flush` waits until everything is on disk. A context manager: leaving it closes the recorder.
    """

    # Set once at construction: path, session, _writer, _encoder. `_left` goes from None to the ack of `shutdown`, once.

    def __init__(self, writer: Writer, encoder: LineEncoder, session: SessionMeta, user: object) -> None:
        """Use `create` or `resume` instead."""
        self._writer = writer
        self._encoder = encoder
        self._user = user
        self._left: Ack | None = None
        self.path: Path = writer.journal.path
        self.session: SessionMeta = session

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
            InvalidItemError: *meta* cannot be written as JSON.
            TypeError, ValueError: an option that does not exist, or a value that it does not take.
            OSError: the file cannot be made; nothing is left behind.
        """
        writing, encoding = checked(options)
        where = resolve_home(home)
        now = time.time()
        given = session_id is not None
        name = parse_session_id(session_id if session_id is not None else uuid.uuid4())
        session = SessionMeta(name, utc_timestamp(now), instructions, dict(meta or {}))
        encoder = LineEncoder(**encoding)
        journal = Journal(
            rollout_path(where, now, name),
            header=encoder.meta(session),
            shared=writing.shared,
            fsync=writing.fsync,
            lock_timeout=writing.lock_timeout,
        )
        # Or two processes that begin at once would each make a session with this id.
        with locked_folder(where / "sessions", _HOME_TIMEOUT) if given else nullcontext():
            existing = find_by_id(where, name) if given else None
            if existing is not None:
                raise SessionExistsError(name, existing)
            try:
                journal.create()
            except FileExistsError:
                raise SessionExistsError(name, journal.path) from None
            except OSError as error:
                raise _named(error, journal.path) from error
        return cls._begin(journal, writing, encoder, session)

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
            InvalidRolloutError: the file is empty, or does not begin with a session meta; it is left untouched.
            SessionLockedError: another process has the session open.
            SessionOptionsError: this process has it open with other options.
            TypeError, ValueError: an option that does not exist, or a value that it does not take.
            OSError: the file cannot be read and appended to.
        """
        writing, encoding = checked(options)
        path = find_session(session, home)
        user = object()
        writer = _process.join(path, writing, user, timeout=_JOIN_TIMEOUT)
        if writer is not None:
            try:
                saved = load_session(path)
            except BaseException:
                _process.leave(writer, user)
                raise
            return cls(writer, LineEncoder(format=saved.format, **encoding), saved.session, user), saved
        journal = Journal(path, shared=writing.shared, fsync=writing.fsync, lock_timeout=writing.lock_timeout)
        journal.open()
        try:
            saved = load_session(path)
            encoder = LineEncoder(format=saved.format, **encoding)
        except BaseException:
            journal.close()
            raise
        journal.header = saved.header
        return cls._begin(journal, writing, encoder, saved.session), saved

    @classmethod
    def _begin(cls, journal: Journal, writing: WriterOptions, encoder: LineEncoder, session: SessionMeta) -> Self:
        """Start a writer on *journal* and return its first recorder."""
        user = object()

        def gap_line(count: int) -> bytes:
            return encoder.gap(count, "the queue was full")

        return cls(_process.begin(journal, writing, gap_line, user), encoder, session, user)

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
        self.record_items(items, timeout=timeout)

    def record_items(self, items: Iterable[ItemLike], *, timeout: float = 30.0) -> None:
        """Record *items* as `record` does; no items, nothing happens."""
        self._hand_over(items, timeout)

    def _hand_over(self, items: Iterable[ItemLike], timeout: float) -> list[bytes]:
        """Record *items* and return the lines that will be written."""
        if self._left is not None:
            raise RecorderClosedError(self.path)
        lines, filtered = self._encoder.items(items)
        if len(lines) == 1:
            self._writer.put(lines[0], timeout)
        elif lines:
            self._writer.put_several(b"".join(lines), len(lines), timeout)
        if filtered:
            self._writer.filtered(filtered)
        return lines

    def record_state(
        self, state: SessionStateSnapshot | Mapping[str, Any] | None = None, *, timeout: float = 30.0
    ) -> None:
        """Record a snapshot of the session's state; when the session is resumed, the last one counts.

        Raises:
            InvalidItemError, RecorderClosedError, QueueFullError: as for `record`.
        """
        self._put(self._encoder.state({} if state is None else state), timeout)

    def record_log(self, entry: LogEntry, *, timeout: float = 30.0) -> None:
        """Record a log entry, which is no part of the model's input.

        Raises:
            RecorderClosedError, QueueFullError: as for `record`.
        """
        self._put(self._encoder.log(entry), timeout)

    def _put(self, line: bytes, timeout: float) -> None:
        """Hand over one line; an empty one was withheld by the `redact` hook."""
        if self._left is not None:
            raise RecorderClosedError(self.path)
        if line:
            self._writer.put(line, timeout)
        else:
            self._writer.filtered(1)

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
            self._left = _process.leave(self._writer, self._user)
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

    def __del__(self) -> None:
        """End the writer of a recorder that nobody can close any more, and say so."""
        if getattr(self, "_left", True) is not None:  # closed, or never finished
            return
        if self.state is State.OPEN:
            warnings.warn(f"unclosed rollout recorder {self.path}", ResourceWarning, source=self, stacklevel=2)
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


def _named(error: OSError, path: Path) -> OSError:
    """Return *error* with the path in it."""
    if error.filename is not None or error.errno is None:
        return error
    return type(error)(error.errno, error.strerror, str(path))
