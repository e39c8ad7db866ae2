"""Tests of agents: what the code under test logs and records, in a rollout of its own; and sessions compared.

With pytest there is nothing to set up: where rolloutlog is installed there is the fixture `rollout`, a `Rollout`.
"""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

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
    to_input,
)
from .exceptions import RolloutError

SessionLike: TypeAlias = (
    "Rollout | SavedSession | Session | RolloutRecorder | str | os.PathLike[str] | Iterable[ItemLike]"
)

_HOME = "ROLLOUTLOG_HOME"

# How long a look at what was logged waits for the disk, in seconds.
_TIMEOUT = 10.0

# Keys that hold ids, and keys that hold times. An id is replaced by a number, the same for the same id, so that a call
# and its output still belong together; a time is left out.
_IDS = re.compile(r"(.*_)?id")
_TIMES = re.compile(r"(.*_)?(at|time|timestamp)")


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
        """What was logged up to now, read from the file."""
        self.recorder.request_flush().wait(_TIMEOUT)
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
        """The sessions that the code under test recorded by itself, oldest first, as far as they are on disk."""
        return sorted(map(load_session, self.paths[1:]), key=lambda saved: saved.session.timestamp)

    def report(self) -> str:
        """Return the paths of all rollouts and how much is in each, for a person whose test has failed."""
        lines = []
        for path in self.paths:
            try:
                found: object = self.saved if path == self.path else load_session(path)
            except (RolloutError, OSError) as error:  # said where the contents would be
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
    records of *level* pass. Both are put back at the end.
    """
    where = Path(home)
    root = logging.getLogger()
    with ExitStack() as stack:
        stack.callback(_restore, os.environ.get(_HOME))
        os.environ[_HOME] = str(where)
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
        AssertionError: they differ; its message holds what `differences` returns.
    """
    found = differences(got, expected, logs=logs, ignore=ignore)
    if found:
        raise AssertionError("\n".join(["the sessions differ:", *found]))


def differences(
    got: SessionLike, expected: SessionLike, *, logs: bool = False, ignore: Iterable[str] = ()
) -> list[str]:
    """Return how *got* differs from *expected*, as lines of a unified diff; none if it does not.

    An id counts by where it comes again: another id is no difference, an output that answers another call is one. The
    arguments are those of `assert_same_session`.
    """
    opened = [_opened(session) for session in (expected, got)]
    bare = not all(isinstance(session, SavedSession) for session in opened)
    before, after = (_lines(_contents(session, logs=logs, bare=bare), frozenset(ignore)) for session in opened)
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


def _contents(session: SavedSession | list[ItemLike], *, logs: bool, bare: bool) -> Iterator[Mapping[str, Any]]:
    """Yield what is compared of *session*: its items, and unless it is *bare* its state and what it logged."""
    items = session.items if isinstance(session, SavedSession) else session
    yield from to_input(items, orphans="keep")
    if bare or not isinstance(session, SavedSession):
        return
    if session.state:
        yield {"state": dict(session.state)}
    if logs:
        yield from ({"level": entry.level, "logger": entry.logger, "message": entry.message} for entry in session.logs)


def _lines(contents: Iterable[Mapping[str, Any]], ignore: frozenset[str]) -> list[str]:
    numbers: dict[str, str] = {}
    neutral = [_neutral(content, numbers, ignore) for content in contents]
    return [line for content in neutral for line in json.dumps(content, indent=1, ensure_ascii=False).splitlines()]


def _neutral(value: Any, numbers: dict[str, str], ignore: frozenset[str]) -> Any:
    """Return *value* with its keys in order, without times, and with its ids numbered as they come."""
    if isinstance(value, list):
        return [_neutral(part, numbers, ignore) for part in value]
    if not isinstance(value, Mapping):
        return value
    neutral = {}
    for key in sorted(value):
        if key in ignore or _TIMES.fullmatch(key):
            continue
        held = value[key]
        is_id = isinstance(held, str) and _IDS.fullmatch(key)
        neutral[key] = numbers.setdefault(held, f"#{len(numbers) + 1}") if is_id else _neutral(held, numbers, ignore)
    return neutral
