"""Tools for testing agents: record what the code under test logs and records, and compare sessions.

With pytest, no setup is needed: the fixture `rollout`, a `Rollout`, exists wherever rolloutlog is installed.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import shlex
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from . import (
    ItemLike,
    LogEntry,
    ResponseItem,
    RolloutHandler,
    RolloutRecorder,
    SavedSession,
    Session,
    find_sessions,
    load_session,
)
from ._comparison import normalized_lines
from ._writing.registry import flushes
from .exceptions import RecorderClosedError, RolloutError, SessionNotFoundError

__all__ = ["Rollout", "SessionLike", "assert_same_session", "differences", "recording"]

SessionLike: TypeAlias = (
    "Rollout | SavedSession | Session | RolloutRecorder | str | os.PathLike[str] | Iterable[ItemLike]"
)

_HOME = "ROLLOUTLOG_HOME"

# Seconds to wait until records are on disk, before they are read.
_TIMEOUT = 10.0


class Rollout:
    """Everything the code under test logged, in one session, and the sessions that it recorded itself.

    Attributes:
        home: folder of the sessions.
        recorder: the recorder of the session with everything logged.
        handler: the handler on the root logger that writes to it.

    >>> import tempfile, rolloutlog
    >>> from rolloutlog.testing import recording
    >>> with tempfile.TemporaryDirectory() as folder, recording(folder) as rollout:
    ...     with rolloutlog.session("greeter") as session:  # in the code under test
    ...         session.record({"role": "user", "content": "Hello"})
    ...     [saved.name for saved in rollout.sessions]
    ['greeter']
    """

    def __init__(self, home: Path, recorder: RolloutRecorder, handler: RolloutHandler, stack: ExitStack) -> None:
        """Use `recording`, or the fixture `rollout`, instead."""
        self.home = home
        self.recorder = recorder
        self.handler = handler
        self._stack = stack

    @property
    def path(self) -> Path:
        """File of the session with everything logged; it exists from the start."""
        return self.recorder.path

    @property
    def paths(self) -> list[Path]:
        """Files of all sessions in the home, first the logged one, then those of the code under test, oldest first."""
        others = [found.path for found in find_sessions(self.home) if found.path != self.path]
        return [self.path, *reversed(others)]

    @property
    def saved(self) -> SavedSession:
        """Everything logged so far, read from the file.

        Raises:
            WriteError, TimeoutError: not all of it is in the file.
        """
        with suppress(RecorderClosedError):  # closed by the code under test: everything is in the file
            self.recorder.request_flush().result(_TIMEOUT)
        return load_session(self.path)

    @property
    def items(self) -> list[ResponseItem]:
        """The items logged so far."""
        return self.saved.items

    @property
    def logs(self) -> list[LogEntry]:
        """The log entries so far, which are everything logged without an item."""
        return self.saved.logs

    @property
    def sessions(self) -> list[SavedSession]:
        """The sessions that the code under test recorded itself so far, oldest first.

        A session that another process records has the items that are on disk.

        Raises:
            WriteError, TimeoutError: not all items of this process are on disk.
        """
        for ack in flushes(self.home):
            with suppress(RecorderClosedError):
                ack.result(_TIMEOUT)
        return sorted(map(load_session, self.paths[1:]), key=lambda saved: saved.session.timestamp)

    def report(self) -> str:
        """Return the path and a summary of each session, for the report of a failed test."""
        found: object  # the session, or the error of reading it
        lines = []
        try:
            paths = self.paths
        except OSError as error:
            paths = [self.path]
            lines.append(f"{self.home}: {error}")
        for path in paths:
            try:
                found = self.saved if path == self.path else load_session(path)
            except (RolloutError, OSError) as error:
                found = error
            lines.append(f"{path}: {found}")
        return "\n".join(lines)

    def set_level(self, level: int | str, logger: str | None = None) -> None:
        """Record from *level* up, until the end of the test.

        Args:
            level: a number or a name, such as ``logging.DEBUG``.
            logger: name of the logger whose level to set; by default the root logger.
        """
        for leveled in (logging.getLogger(logger), self.handler):
            self._stack.callback(leveled.setLevel, leveled.level)
            leveled.setLevel(level)

    def __repr__(self) -> str:
        return f"<Rollout {self.path}>"


@contextmanager
def recording(home: str | os.PathLike[str], *, level: int | str = logging.INFO) -> Iterator[Rollout]:
    """Record everything logged inside the ``with`` block into a session in *home*; other sessions go there as well.

    Inside the block ``$ROLLOUTLOG_HOME`` is *home*, also for child processes, and the root logger has a handler and
    passes records of *level*. At the end both are restored. Rollout handlers that were added to any logger inside the
    block, for example by `attach`, are closed and removed, so that they do not get the records of the next test. Code
    that configures logging again (`dictConfig`, ``basicConfig(force=True)``) removes our handler, and later records are
    lost.

    Args:
        home: folder for the sessions; it is made when needed.
        level: lowest level to record, a number or a name.

    Example:
        >>> import logging, tempfile, rolloutlog
        >>> from rolloutlog.testing import recording
        >>> with tempfile.TemporaryDirectory() as folder, recording(folder) as rollout:
        ...     logging.getLogger("agent").info(rolloutlog.Message.user("Hello"))
        ...     print([item.text for item in rollout.items])
        ['Hello']
    """
    where = Path(home).expanduser().absolute()  # so that it stays the same when the code under test changes directory
    root = logging.getLogger()
    with ExitStack() as stack:
        stack.callback(_restore, os.environ.get(_HOME))
        os.environ[_HOME] = str(where)
        stack.callback(_take_off, _handlers())
        recorder = stack.enter_context(RolloutRecorder.create(where))
        # Not attach(): the code under test may call it, and it allows one handler per logger.
        handler = RolloutHandler(recorder=recorder, level=level)
        stack.callback(root.setLevel, root.level)
        root.setLevel(min(root.level, handler.level))
        root.addHandler(handler)
        stack.callback(root.removeHandler, handler)
        yield Rollout(where, recorder, handler, stack)


def _restore(home: str | None) -> None:
    os.environ.pop(_HOME, None)
    if home is not None:
        os.environ[_HOME] = home


def _handlers() -> set[tuple[logging.Logger, RolloutHandler]]:
    """Return all rollout handlers, each with its logger."""
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    return {
        (logger, handler)
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, RolloutHandler)
    }


def _take_off(before: set[tuple[logging.Logger, RolloutHandler]]) -> None:
    """Close the rollout handlers that are not in *before*, and remove them from their loggers."""
    for logger, handler in _handlers() - before:
        logger.removeHandler(handler)
        handler.close()


# --- comparing sessions -----------------------------------------------------------------------------------------------


def assert_same_session(
    got: SessionLike, expected: SessionLike, *, logs: bool = False, ignore: Iterable[str] = ()
) -> None:
    """Raise unless both sessions have the same items and state; ids and times may differ.

    Args:
        got: a session in any form: a `Rollout`, `SavedSession`, `Session` or recorder, the path of a rollout, or items.
        expected: a session in any form, for example the path of a rollout next to the tests. If one of the two is only
            items, only items are compared.
        logs: also compare the log entries: level, logger and text.
        ignore: keys to leave out everywhere, such as ``encrypted_content``.

    Raises:
        AssertionError: the sessions differ; the message has the lines of `differences`. If *expected* is a path, which
            need not exist yet, the message also has the command that copies the file of *got* to that path.

    Example:
        >>> from rolloutlog.testing import assert_same_session
        >>> assert_same_session([{"role": "user", "content": "Hello"}], [{"role": "user", "content": "Hello"}])
    """
    __tracebackhide__ = True  # pytest shows the line of the test instead
    opened = _opened(got)
    try:
        found = differences(opened, expected, logs=logs, ignore=ignore)
    except SessionNotFoundError as error:
        found = [str(error)]
        if not isinstance(opened, SavedSession):
            raise
    if not found:
        return
    lines = ["the sessions differ:", *found]
    if isinstance(opened, SavedSession) and isinstance(expected, str | os.PathLike):
        copy = shlex.join(["cp", str(opened.path), os.fspath(expected)])
        lines.append(f"to accept the new session as expected: {copy}")
    raise AssertionError("\n".join(lines))


def differences(
    got: SessionLike, expected: SessionLike, *, logs: bool = False, ignore: Iterable[str] = ()
) -> list[str]:
    """Return the differences between two sessions as lines of a unified diff; an empty list if there are none.

    The first line of each piece names the item in which the first difference of that piece is.

    Ids are compared by where they occur again: a different or missing id alone is not a difference, but an output that
    answers another call is one. Sessions that a model sees differently, because items were compacted or taken back,
    differ. The arguments are those of `assert_same_session`.

    >>> from rolloutlog.testing import differences
    >>> found = differences([{"role": "user", "content": "Hello"}], [{"role": "user", "content": "Hi"}])
    >>> print(*found[5:7], sep="; ")
    -   "text": "Hi",; +   "text": "Hello",
    """
    opened = [_opened(session) for session in (expected, got)]
    bare = not all(isinstance(session, SavedSession) for session in opened)
    before, after = (normalized_lines(session, logs=logs, bare=bare, ignore=frozenset(ignore)) for session in opened)
    found = list(difflib.unified_diff(before, after, "expected", "got", n=2, lineterm=""))
    for index, line in enumerate(found):
        if line.startswith("@@ "):
            found[index] = f"{line} {_first_difference(found, index, before, after)}"
    return found


def _first_difference(found: list[str], hunk: int, before: list[str], after: list[str]) -> str:
    """Return the name of the item in which the first difference of the piece of a diff at *hunk* is."""
    begins = re.fullmatch(r"@@ -(\d+)\S* \+(\d+)\S* @@", found[hunk])
    assert begins is not None
    same = 0
    while found[hunk + 1 + same].startswith(" "):
        same += 1
    is_gone = found[hunk + 1 + same].startswith("-")
    # A piece without lines is said to begin one line before.
    at = max(0, int(begins[1 if is_gone else 2]) - 1) + same
    lines = before if is_gone else after
    first = max(number for number in range(at + 1) if lines[number] == "{")
    kind = next((line for line in lines[first:] if line.startswith((' "type": ', ' "context": ', ' "state": '))), "")
    name = kind.strip().removeprefix('"type": ').strip(',"[{: ')
    return f"in {'expected' if is_gone else 'got'}[{lines[: at + 1].count('{') - 1}], {name or 'a log entry'}"


def _opened(session: SessionLike) -> SavedSession | list[ItemLike]:
    """Return *session* as it is on disk now, or its items."""
    if isinstance(session, Rollout):
        return session.saved
    recorder = session.recorder if isinstance(session, Session) else session
    if isinstance(recorder, RolloutRecorder):
        recorder.request_flush().result(_TIMEOUT)
        return load_session(recorder.path)
    if isinstance(session, str | os.PathLike):
        return load_session(session)
    return session if isinstance(session, SavedSession) else list(session)  # type: ignore[arg-type]
