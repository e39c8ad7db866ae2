"""Every error that rolloutlog raises on purpose, each carrying what a program needs to act on it.

Messages say what, where and what to do; they never hold the text of a record. All of them pickle, because agents run
in worker processes.
"""

from __future__ import annotations

import errno
import os
import queue
from collections.abc import Sequence
from pathlib import Path


class RolloutError(Exception):
    """The base of every error here: catch it to catch them all."""


class InvalidItemError(RolloutError, ValueError):
    """A value that cannot be recorded, because it would not come back as it went in.

    Attributes:
        where: the place inside the value, such as ``message.content[0].text``.
        problem: what is wrong there, without the value itself.
    """

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


class InvalidRolloutError(RolloutError, ValueError):
    """A file that is no session: empty, or its first line is not a session meta. The file is left untouched.

    Attributes:
        path: the file.
        problem: which of the two, and how to see it.
    """

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        super().__init__(path, problem)
        self.path = Path(path)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


class SessionNotFoundError(RolloutError, LookupError):
    """No session goes by that path, id or prefix.

    Attributes:
        wanted: what was asked for.
        searched: the file or folder that was looked at.
    """

    def __init__(self, wanted: str, searched: str | os.PathLike[str]) -> None:
        super().__init__(wanted, searched)
        self.wanted = wanted
        self.searched = Path(searched)

    def __str__(self) -> str:
        return f"no session {self.wanted!r} in {self.searched}"


class AmbiguousSessionError(SessionNotFoundError):
    """More than one session begins with that prefix; give more of the id.

    Attributes:
        candidates: the ids that match, newest first (at most eight).
    """

    def __init__(self, wanted: str, searched: str | os.PathLike[str], candidates: Sequence[str]) -> None:
        super().__init__(wanted, searched)
        self.args = (wanted, searched, tuple(candidates))
        self.candidates = tuple(candidates)

    def __str__(self) -> str:
        ids = ", ".join(self.candidates)
        return f"{self.wanted!r} fits several sessions in {self.searched}: {ids}; give more of the id"


class SessionExistsError(RolloutError, FileExistsError):
    """A session with this id is there already: resume it, or choose another id.

    Attributes:
        session_id: the id.
        path: its file.
    """

    def __init__(self, session_id: str, path: str | os.PathLike[str]) -> None:
        super().__init__(session_id, path)
        # Or they would be what an OSError takes its two arguments for: the id and the path.
        self.errno, self.strerror = errno.EEXIST, os.strerror(errno.EEXIST)
        self.session_id = session_id
        self.path = Path(path)

    def __str__(self) -> str:
        return f"session {self.session_id} exists already: {self.path}; resume it, or choose another id"


class SessionLockedError(RolloutError):
    """Another process has this session open.

    Attributes:
        path: the session's file.
        pid: the process that holds it, or `None` where the system does not tell.
    """

    def __init__(self, path: str | os.PathLike[str], pid: int | None = None) -> None:
        super().__init__(path, pid)
        self.path = Path(path)
        self.pid = pid

    def __str__(self) -> str:
        owner = "another process" if self.pid is None else f"process {self.pid}"
        return f"{self.path} is in use by {owner}; end it, or open the session with shared=True in both"


class SessionOptionsError(RolloutError, ValueError):
    """This process has the session open already, with other options; one file has one writer and one set of options.

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
        return f"{self.path} is open in this process with another {names}; close it first, or pass the same options"


class RecorderClosedError(RolloutError):
    """The recorder takes nothing more, and this record was not taken.

    Attributes:
        path: the session's file.
        reason: why: closed, failed, or inherited by a forked process.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str = "the recorder is closed") -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class ForkedRecorderError(RecorderClosedError):
    """The recorder belongs to the process that opened it, and this is a child that was forked from it."""

    def __init__(self, path: str | os.PathLike[str], parent: int) -> None:
        super().__init__(path)
        self.args = (path, parent)
        self.parent = parent
        self.reason = (
            f"opened by process {parent}, and this is its fork; create a recorder here, or open the session with"
            " shared=True before forking"
        )


class QueueFullError(RolloutError, queue.Full):
    """The writer does not keep up, and this record was not taken.

    Attributes:
        path: the session's file.
        reason: how long there was no room, or what keeps the writer from writing.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: the queue is full: {self.reason}"


class WriteError(RolloutError):
    """Records that were accepted are not on disk. They are kept, and written as soon as that is possible.

    The cause (``__cause__``) is the `OSError`.

    Attributes:
        path: the session's file.
        unwritten: how many records wait.
        reason: what the system said.
        errno: its number, or `None`.
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


class OrphanCallError(RolloutError, ValueError):
    """A call without its output, or reasoning without what follows it: an API would refuse this input.

    Attributes:
        call_ids: the calls (or the ids of the reasoning items), in order.
    """

    def __init__(self, call_ids: Sequence[str]) -> None:
        super().__init__(tuple(call_ids))
        self.call_ids = tuple(call_ids)

    def __str__(self) -> str:
        ids = ", ".join(self.call_ids)
        return f"without what must follow: {ids}; to_input(orphans='close') answers or leaves them out"


class MissingExtraError(RolloutError, ImportError):
    """What was asked for takes a package that is not installed; one of our extras names it.

    Attributes:
        purpose: what it is needed for.
        extra: the extra.
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(purpose, extra)
        self.purpose = purpose
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.purpose} takes one more package: pip install 'rolloutlog[{self.extra}]'"
