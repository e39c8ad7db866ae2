"""Tests of agents: what the code under test logs and records, in a rollout of its own; and sessions compared.

With pytest there is nothing to set up: where rolloutlog is installed there is the fixture `rollout`, a `Rollout`.
"""

from __future__ import annotations

import difflib
import logging
import os
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
from ._comparison import comparable
from ._writing.registry import flushes
from .exceptions import RecorderClosedError, RolloutError, SessionNotFoundError

SessionLike: TypeAlias = (
    "Rollout | SavedSession | Session | RolloutRecorder | str | os.PathLike[str] | Iterable[ItemLike]"
)

_HOME = "ROLLOUTLOG_HOME"

# How long a look at what was logged waits for the disk, in seconds.
_TIMEOUT = 10.0


class Rollout:
    """What the code under test left: the session of what it logged, and the sessions that it recorded by itself.

    Attributes:
        home: where its sessions live.
        recorder: records what is logged.
        handler: hands it over, from the root logger.
    """

    def __init__(self, home: Path, recorder: RolloutRecorder, handler: RolloutHandler, stack: ExitStack) -> None:
        """Use `recording`, or the fixture `rollout`, instead."""
        self.home = home
        self.recorder = recorder
        self.handler = handler
        self._stack = stack

    @property
    def path(self) -> Path:
        """The rollout of what was logged; the file exists from the start."""
        return self.recorder.path

    @property
    def paths(self) -> list[Path]:
        """All rollouts in the home: that of what was logged first, then those of the code under test."""
        others = [found.path for found in find_sessions(self.home) if found.path != self.path]
        return [self.path, *reversed(others)]

    @property
    def saved(self) -> SavedSession:
        """What was logged up to now, read from the file.

        Raises:
            WriteError, TimeoutError: not all of it is there.
        """
        with suppress(RecorderClosedError):  # by the code under test: nothing more comes, and what came is there
            self.recorder.request_flush().result(_TIMEOUT)
        return load_session(self.path)

    @property
    def items(self) -> list[ResponseItem]:
        """The items that were logged up to now."""
        return self.saved.items

    @property
    def logs(self) -> list[LogEntry]:
        """What was logged without an item, up to now."""
        return self.saved.logs

    @property
    def sessions(self) -> list[SavedSession]:
        """The sessions that the code under test recorded by itself up to now, oldest first.

        Of what another process records, there is what is on disk.

        Raises:
            WriteError, TimeoutError: not all of it is there.
        """
        for ack in flushes(self.home):
            with suppress(RecorderClosedError):
                ack.result(_TIMEOUT)
        return sorted(map(load_session, self.paths[1:]), key=lambda saved: saved.session.timestamp)

    def report(self) -> str:
        """Return the paths of all rollouts and how much is in each, for a person whose test has failed."""
        found: object  # or what is wrong with it, said where it would be
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
        """Record from *level* on, until the end of the test.

        Args:
            level: such as ``logging.DEBUG``.
            logger: which logger is to let that through, by name; by default the root logger.
        """
        for leveled in (logging.getLogger(logger), self.handler):
            self._stack.callback(leveled.setLevel, leveled.level)
            leveled.setLevel(level)

    def __repr__(self) -> str:
        return f"<Rollout {self.path}>"


@contextmanager
def recording(home: str | os.PathLike[str], *, level: int | str = logging.INFO) -> Iterator[Rollout]:
    """Record what is logged meanwhile into a session in *home*, and let all sessions that are made live there, too.

    Within, ``$ROLLOUTLOG_HOME`` is *home*, also for child processes, and a handler is on the root logger, which lets
    records of *level* pass. Both are put back at the end, and rollout handlers that were put on any logger meanwhile,
    by `attach` for one, are closed and taken off: the next test's records are not theirs. Code that configures logging
    anew (`dictConfig`, ``basicConfig(force=True)``) takes ours off, too, and what it logs from then on is not recorded.
    """
    where = Path(home).expanduser().absolute()  # wherever the code under test goes
    root = logging.getLogger()
    with ExitStack() as stack:
        stack.callback(_restore, os.environ.get(_HOME))
        os.environ[_HOME] = str(where)
        stack.callback(_take_off, _handlers())
        recorder = stack.enter_context(RolloutRecorder.create(where))
        # Not by attach(), which the code under test may call itself, and which knows one handler a logger.
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
    """Return the rollout handlers that there are, each with its logger."""
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    return {
        (logger, handler)
        for logger in loggers
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, RolloutHandler)
    }


def _take_off(before: set[tuple[logging.Logger, RolloutHandler]]) -> None:
    """Close the rollout handlers that are not among those *before*, and take them off their loggers."""
    for logger, handler in _handlers() - before:
        logger.removeHandler(handler)
        handler.close()


# --- sessions compared ------------------------------------------------------------------------------------------------


def assert_same_session(
    got: SessionLike, expected: SessionLike, *, logs: bool = False, ignore: Iterable[str] = ()
) -> None:
    """Fail with the difference unless both sessions hold the same items and state, whatever their ids and times.

    Args:
        got: a session in any form: a `Rollout`, `SavedSession`, `Session` or recorder, the path of a rollout, or items.
        expected: the same; a rollout that lies beside the tests will do. Where one of the two is items, only items are
            compared.
        logs: compare what was logged without items as well: level, logger and text.
        ignore: keys to leave out wherever they are, such as ``encrypted_content``.

    Raises:
        AssertionError: they differ; its message holds what `differences` returns. Where *expected* is the path of a
            rollout, which may not be there yet, it also holds the command that puts there what was got.
    """
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
        lines.append(f"if what was got is right: {copy}")
    raise AssertionError("\n".join(lines))


def differences(
    got: SessionLike, expected: SessionLike, *, logs: bool = False, ignore: Iterable[str] = ()
) -> list[str]:
    """Return how *got* differs from *expected*, as lines of a unified diff; none if it does not.

    An id counts by where it comes again: another id, or none, is no difference, an output that answers another call is
    one. Sessions that a model sees otherwise, because items were compacted or taken back, differ. The arguments are
    those of `assert_same_session`.
    """
    opened = [_opened(session) for session in (expected, got)]
    bare = not all(isinstance(session, SavedSession) for session in opened)
    before, after = (comparable(session, logs=logs, bare=bare, ignore=frozenset(ignore)) for session in opened)
    return list(difflib.unified_diff(before, after, "expected", "got", n=2, lineterm=""))


def _opened(session: SessionLike) -> SavedSession | list[ItemLike]:
    """Return *session* as what is on disk of it now, or as its items."""
    if isinstance(session, Rollout):
        return session.saved
    recorder = session.recorder if isinstance(session, Session) else session
    if isinstance(recorder, RolloutRecorder):
        recorder.request_flush().result(_TIMEOUT)
        return load_session(recorder.path)
    if isinstance(session, str | os.PathLike):
        return load_session(session)
    return session if isinstance(session, SavedSession) else list(session)  # type: ignore[arg-type]
