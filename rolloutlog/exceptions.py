"""The errors that rolloutlog raises, with attributes that a program can act on.

A message says what is wrong, where, and what to do. It never contains the text of a record. All errors can be pickled,
because agents run in worker processes.
"""

from __future__ import annotations

import errno
import os
import queue
from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "AmbiguousSessionError",
    "ForkedRecorderError",
    "InvalidItemError",
    "InvalidRolloutError",
    "InvalidSourceError",
    "MissingExtraError",
    "NotCarriedWarning",
    "OrphanCallError",
    "QueueFullError",
    "RecorderClosedError",
    "RedactionError",
    "RepairError",
    "RolloutError",
    "SessionExistsError",
    "SessionLockedError",
    "SessionNotFoundError",
    "SessionOptionsError",
    "WriteError",
]


class RolloutError(Exception):
    """Base class of all errors in this module."""


class InvalidItemError(RolloutError, ValueError):
    """A value cannot be recorded, because reading it back would give a different value.

    Attributes:
        where: the place inside the value, such as ``message.content[0].text``.
        problem: what is wrong there, without the value itself.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.RolloutRecorder.create() as recorder:
        ...     recorder.record({"role": "user", "content": 1})
        Traceback (most recent call last):
        ...
        rolloutlog.exceptions.InvalidItemError: …
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class RedactionError(RolloutError):
    """The `redact` hook failed, so the record that it should have looked at was not recorded.

    The hook's own error is not the cause of this one, because it may hold the text of the record.

    Attributes:
        kind: the type of the record, such as ``"message"``, ``"state"`` or ``"log"``.
        hook: the name of the hook.
        problem: how it failed, without the record: the class of its error and the line in the hook, or its result.
    """

    def __init__(self, kind: str, hook: str, problem: str) -> None:
        super().__init__(kind, hook, problem)
        self.kind = kind
        self.hook = hook
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"a record of type {self.kind!r} was not recorded, because the redact hook {self.hook} {self.problem}; it"
            " gets each item, state, log entry and meta as a dict, and must return a dict, or None to write nothing"
        )


class InvalidRolloutError(RolloutError, ValueError):
    """A file is not a session: it is empty, or its first line is not a session meta. The file is left untouched.

    Attributes:
        path: the file.
        problem: which of the two it is, and what was found.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        super().__init__(path, problem)
        self.path = Path(path)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class InvalidSourceError(RolloutError, ValueError):
    """A file cannot be imported, because it holds no session of the kind that was asked for. Nothing was written.

    Attributes:
        source: the file.
        problem: the shape that was expected, and the one that was found.
    """

    def __init__(self, source: str | os.PathLike[str], problem: str) -> None:
        super().__init__(source, problem)
        self.source = Path(source)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.source}: {self.problem}"


class SessionNotFoundError(RolloutError, LookupError):
    """No session has that path, id or name, nor an id of which that is the beginning or the end.

    Attributes:
        wanted: the path, name, id or piece of an id that was asked for.
        searched: the file or folder where it was looked for.

    >>> import rolloutlog
    >>> try:
    ...     rolloutlog.load_session("no-such-trip")
    ... except rolloutlog.exceptions.SessionNotFoundError as error:
    ...     print(error.wanted)
    no-such-trip
    """

    def __init__(self, wanted: str, searched: str | os.PathLike[str]) -> None:
        super().__init__(wanted, searched)
        self.wanted = wanted
        self.searched = Path(searched)

    def __str__(self) -> str:
        return (
            f"no session {self.wanted!r} in {self.searched}; expected its name, its id, the beginning or the end of its"
            " id, or a path. find_sessions() yields all sessions."
        )


class AmbiguousSessionError(SessionNotFoundError):
    """The ids of several sessions begin like that, or none begins and several end like that.

    Attributes:
        candidates: the ids that match, newest first, eight at most.
    """

    def __init__(self, wanted: str, searched: str | os.PathLike[str], candidates: Sequence[str]) -> None:
        super().__init__(wanted, searched)
        self.args = (wanted, searched, tuple(candidates))
        self.candidates = tuple(candidates)

    def __str__(self) -> str:
        ids = ", ".join(self.candidates)
        return f"{self.wanted!r} matches several sessions in {self.searched}: {ids}; pass more of the id"


class SessionExistsError(RolloutError, FileExistsError):
    """A session with this id already exists.

    Attributes:
        session_id: the id.
        path: its file.
    """

    def __init__(self, session_id: str, path: str | os.PathLike[str]) -> None:
        super().__init__(session_id, path)
        # OSError would read its two arguments, the id and the path, as these two.
        self.errno, self.strerror = errno.EEXIST, os.strerror(errno.EEXIST)
        self.session_id = session_id
        self.path = Path(path)

    def __str__(self) -> str:
        return f"session {self.session_id} already exists: {self.path}; resume it, or choose another id"


class SessionLockedError(RolloutError):
    """Another process has this session open.

    Attributes:
        path: the session's file.
        pid: the process that holds the lock, or `None` where the system does not report it.
    """

    def __init__(self, path: str | os.PathLike[str], pid: int | None = None) -> None:
        super().__init__(path, pid)
        self.path = Path(path)
        self.pid = pid

    def __str__(self) -> str:
        owner = "another process" if self.pid is None else f"process {self.pid}"
        return f"{self.path} is in use by {owner}; end that process, or open the session with shared=True in both"


class SessionOptionsError(RolloutError, ValueError):
    """This process already has the session open with other options: a file has one writer with one set of options.

    Attributes:
        path: the session's file.
        differing: the names of the options that differ.
    """

    def __init__(self, path: str | os.PathLike[str], differing: Sequence[str]) -> None:
        super().__init__(path, tuple(differing))
        self.path = Path(path)
        self.differing = tuple(differing)

    def __str__(self) -> str:
        names = ", ".join(self.differing)
        return (
            f"{self.path} is already open in this process with a different {names}; close it first, or pass the same"
            " options"
        )


class RecorderClosedError(RolloutError):
    """The recorder accepts no more records, and did not accept this one.

    Attributes:
        path: the session's file.
        reason: closed, failed, or inherited by a forked process.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     pass
    >>> try:
    ...     recorder.record({"role": "user", "content": "Hello"})
    ... except rolloutlog.exceptions.RecorderClosedError as error:
    ...     print(error.reason)
    the recorder is closed
    """

    def __init__(self, path: str | os.PathLike[str], reason: str = "the recorder is closed") -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ForkedRecorderError(RecorderClosedError):
    """The recorder belongs to the process that opened it, and this process is a fork of that one.

    Attributes:
        parent: the process that opened it.
    """

    def __init__(self, path: str | os.PathLike[str], parent: int) -> None:
        super().__init__(path)
        self.args = (path, parent)
        self.parent = parent
        self.reason = (
            f"opened by process {parent}, and this process is a fork of it; create a recorder here, or open the session"
            " with shared=True before forking"
        )


class QueueFullError(RolloutError, queue.Full):
    """The queue is full because the writer does not keep up; this record was not accepted.

    Attributes:
        path: the session's file.
        reason: how long the call waited, or the error that stops the writer.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: the queue is full: {self.reason}"


class WriteError(RolloutError):
    """Accepted records are not on disk yet. They are kept, and written as soon as the system allows it.

    The `OSError` is its ``__cause__``.

    Attributes:
        path: the session's file.
        unwritten: number of records that wait.
        reason: the system's message.
        errno: the system's error number, or `None`.
    """

    def __init__(self, path: str | os.PathLike[str], unwritten: int, reason: str, errno: int | None = None) -> None:
        super().__init__(path, unwritten, reason, errno)
        self.path = Path(path)
        self.unwritten = unwritten
        self.reason = reason
        self.errno = errno

    def __str__(self) -> str:
        records = "record is" if self.unwritten == 1 else "records are"
        return f"{self.path}: {self.unwritten} {records} not on disk: {self.reason}"


class RepairError(RolloutError):
    """A repair was given up, because a check before its last step failed. The file is as it was.

    Attributes:
        path: the session's file.
        problem: the check that failed.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        super().__init__(path, problem)
        self.path = Path(path)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path} was not repaired and is as it was: {self.problem}"


class OrphanCallError(RolloutError, ValueError):
    """A call without its output, or reasoning without the item that must follow it: an API rejects this input.

    Attributes:
        call_ids: ids of the calls, or of the reasoning items, in order.

    >>> import rolloutlog
    >>> try:
    ...     rolloutlog.to_input([rolloutlog.FunctionCall("sky", "{}", "call_1")], orphans="raise")
    ... except rolloutlog.exceptions.OrphanCallError as error:
    ...     print(error.call_ids)
    ('call_1',)
    """

    def __init__(self, call_ids: Sequence[str]) -> None:
        super().__init__(tuple(call_ids))
        self.call_ids = tuple(call_ids)

    def __str__(self) -> str:
        ids = ", ".join(self.call_ids)
        return (
            f"calls without an output, or reasoning without its next item: {ids}; use to_input(orphans='close') to add"
            " outputs and leave out such reasoning"
        )


class NotCarriedWarning(UserWarning):
    """Part of a message was left out, because the API that it is converted for has no place for it.

    Attributes:
        where: the place, such as ``messages[3].content[1]``.
        what: the kind of value that was there, without its text.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(where, what)
        self.where = where
        self.what = what

    def __str__(self) -> str:
        return f"{self.where}: {self.what} is not carried over"


class MissingExtraError(RolloutError, ImportError):
    """A feature needs a package that is not installed; one of our extras installs it.

    Attributes:
        purpose: the feature that needs it.
        extra: name of the extra.
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(purpose, extra)
        self.purpose = purpose
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.purpose} needs one more package: pip install 'rolloutlog[{self.extra}]'"
