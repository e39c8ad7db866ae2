"""Keeping: killed, or failing, at any call of `archive` and `prune`: each session is there once, whole."""

from __future__ import annotations

import datetime as dt
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from rolloutlog import RolloutRecorder, find_sessions, load_session
from rolloutlog._compression import zstd
from rolloutlog._keep import archive, prune
from rolloutlog._writing.os_calls import REAL_SYSTEM

from .checker import message
from .fakes import ERRNOS, FakeSystem
from .harness import Report, Skip, fork, reap, row, scratch

_OLD = prune.Criteria(older_than=dt.timedelta(days=1))
_WAIT = 240.0

Work = Callable[[Path, FakeSystem], object]


def _archive(home: Path, system: FakeSystem) -> None:
    archive.planned(None, [home], None, 0, False, system).apply()  # type: ignore[arg-type]


def _prune(home: Path, system: FakeSystem) -> None:
    prune.planned(None, [home], _OLD, system).apply()  # type: ignore[arg-type]


def _home(home: Path, dice: random.Random) -> None:
    """Make some sessions in *home*, of which some are forks of others, last changed long ago."""
    ids: list[str] = []
    for number in range(dice.randrange(1, 4)):
        meta = {"parent_id": dice.choice(ids)} if ids and dice.random() < 0.5 else {}
        with RolloutRecorder.create(home, meta=meta) as recorder:
            for index in range(dice.randrange(1, 30)):
                recorder.record(message(f"session {number}", index, dice.choice((5, 50, 5_000, 100_000))))
        ids.append(recorder.session.id)
        when = time.time() - 90 * 86400
        os.utime(recorder.path, (when, when))


def _contents(home: Path) -> dict[str, list[bytes]]:
    return {found.id: [item.json for item in load_session(found).items] for found in find_sessions(home)}


def _check(report: Report, home: Path, before: dict[str, list[bytes]], where: str) -> None:
    """Each session is in the home or in the trash, once and whole; and so is the parent of each in the home."""
    here, trashed = _contents(home), _contents(home / "trash")
    report.expect({**here, **trashed} == before, f"{where}: a session is lost or changed")
    report.expect(not here.keys() & trashed.keys(), f"{where}: a session is in both places")
    for found in find_sessions(home):
        parent = load_session(found).session.parent_id
        report.expect(parent is None or parent in here, f"{where}: a fork is there without its parent")


def _try(report: Report, size: int, dice: random.Random, work: Work, is_done: Callable[[Path], bool]) -> None:
    if zstd() is None:
        raise Skip("needs the extra zstd")
    while report.trials < size:
        with scratch("/dev/shm") as folder:
            home = folder / "home"
            _home(home, dice)
            before = _contents(home)
            for _ in range(dice.randrange(1, 4)):
                at = dice.randrange(1, 40)
                how = dice.choice(("kill", *ERRNOS))
                report.trial()
                report.count("kills" if how == "kill" else "errors")
                _run(home, work, at, how)
                _check(report, home, before, f"{work.__name__}, call {at}, {how}")
            work(home, REAL_SYSTEM)  # type: ignore[arg-type]
            _check(report, home, before, f"{work.__name__}, completed")
            report.expect(is_done(home), f"{work.__name__}: the next call did not complete the work")


def _run(home: Path, work: Work, at: int, how: str | int) -> None:
    """Do *work*, and let its call number *at* fail with the error *how*, or kill the process."""
    system = FakeSystem()
    calls = 0

    def watch(name: str, arguments: object) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            if how == "kill":
                os._exit(9)
            raise OSError(how, os.strerror(int(how)))

    system.watch = watch
    if how == "kill":
        reap(fork(lambda: work(home, system)), _WAIT)
    else:
        work(home, system)


@row("keep.archive", "archive that is killed or fails at any call loses no session", quick=12, full=3_000, long=10**5)
def archived(report: Report, size: int, dice: random.Random) -> None:
    """Any home, any call, several times in a row; then the whole work."""
    _try(report, size, dice, _archive, lambda home: not list(home.rglob("rollout-*.jsonl")))


@row("keep.prune", "prune that is killed or fails at any call loses no session", quick=12, full=3_000, long=10**5)
def pruned(report: Report, size: int, dice: random.Random) -> None:
    """Any home, any call, several times in a row; then the whole work."""
    _try(report, size, dice, _prune, lambda home: not list(find_sessions(home)))
