"""`archive`: compresses sessions that are not used any more where they are, and brings them back."""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

import attrs

from .._care.held import Writers
from .._care.hold import hold, release
from .._compression import compressed_path, is_compressed, plain_path, required_zstd
from .._lookup import every_file, find_session
from .._paths import resolve_home
from .._reading.lines import read_head
from .._writing.os_calls import REAL_SYSTEM, System
from .._writing.unpack import unpack
from ..exceptions import InvalidRolloutError
from .pack import matching, pack
from .values import Keeping, KeptSession, Left

StrPath: TypeAlias = str | os.PathLike[str]
SessionName: TypeAlias = StrPath | uuid.UUID

_A_DAY = dt.timedelta(days=1)
DEFAULT_AGE = dt.timedelta(days=30)


def archive(
    *sessions: SessionName,
    home: StrPath | None = None,
    older_than: dt.timedelta | None = None,
    larger_than: int = 0,
    restore: bool = False,
) -> Keeping:
    """Plan to compress sessions that are not used any more; the plan's `apply` does it.

    A session stays where it is and gets the name ``rollout-….jsonl.zst``. It is found, read, forked and resumed as
    before; a resume unpacks it. It is compressed with zstd and a long window (``--long=27``), so pictures and texts
    that were recorded again within 128 MiB take hardly any space. The new file is synced, read back and compared byte
    by byte before the original is removed, and has its mode, owner and time. The newest Codex reads such files, older
    releases do not.

    A session that a process has open is never touched, nor one that was changed on the last day.

    Args:
        sessions: paths, ids or names; if there are none, all sessions in *home* that fit the other arguments.
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`.
        older_than: only sessions that were last changed so long ago, at least a day. Without *sessions*, 30 days.
        larger_than: only sessions of more bytes.
        restore: plan to unpack compressed sessions instead.

    Raises:
        ValueError: *older_than* is less than a day.
        SessionNotFoundError, AmbiguousSessionError: no session, or more than one, has such an id or name.
        MissingExtraError: the extra "zstd" is not installed.
        OSError: the folder that holds all the others cannot be read.

    >>> import datetime, os, time, rolloutlog
    >>> with rolloutlog.session("trip-to-rome") as session:
    ...     session.record(*({"role": "user", "content": "Plan a day in Rome"} for _ in range(1000)))
    >>> long_ago = time.time() - 90 * 86400
    >>> os.utime(session.path, (long_ago, long_ago))
    >>> plan = rolloutlog.archive(older_than=datetime.timedelta(days=60))
    >>> [each.reason for each in plan.chosen]
    ['was not changed for 90 days']
    >>> done = plan.apply()
    >>> done.size > 20 * done.new_size, done.chosen[0].new_path.suffix
    (True, '.zst')
    >>> len(rolloutlog.load_session("trip-to-rome").items)
    1000
    """
    named = [find_session(each, home) for each in sessions]
    return planned(named if sessions else None, [resolve_home(home)], older_than, larger_than, restore, REAL_SYSTEM)


def planned(
    named: Sequence[Path] | None,
    homes: Iterable[Path],
    older_than: dt.timedelta | None,
    larger_than: int,
    restore: bool,
    system: System,
) -> Keeping:
    """Return the plan of `archive` of the files *named*, or of those in *homes* if it is `None`."""
    if older_than is not None and older_than < _A_DAY:
        raise ValueError(f"older_than must be at least a day, because a program may use it yet; got {older_than}")
    required_zstd("archiving sessions")
    if restore:
        return _restoring(named, homes, larger_than, system)
    age = older_than or (DEFAULT_AGE if named is None else _A_DAY)
    before = time.time() - age.total_seconds()
    chosen: list[KeptSession] = []
    left: list[KeptSession] = []
    writers = Writers(".jsonl")
    for path in _files(homes) if named is None else named:
        try:
            status = path.stat()
        except FileNotFoundError:  # removed, or resumed, since the folder was listed
            continue
        kept = KeptSession(path, status.st_size, "was named" if named is not None else age_of(status.st_mtime))
        fits = not is_compressed(path) and status.st_mtime < before and status.st_size > larger_than
        if not fits:
            if named is not None:
                left.append(attrs.evolve(kept, reason=_why_not(path, status, before, larger_than)))
        elif pids := writers.of(path):
            left.append(attrs.evolve(kept, reason=f"process {pids[0]} has it open"))
        else:
            chosen.append(kept)
    return Keeping("archive", False, tuple(chosen), tuple(left), partial(_archived, before=before, system=system))


def _files(homes: Iterable[Path]) -> Iterator[Path]:
    return (found.path for home in homes for found in every_file(home))


def age_of(changed: float) -> str:
    """Return the reason for which a session that was last changed then is chosen, in seconds since the epoch."""
    days = int((time.time() - changed) // 86400)
    return f"was not changed for {days:,} day{'' if days == 1 else 's'}"


def _why_not(path: Path, status: os.stat_result, before: float, larger_than: int) -> str:
    if is_compressed(path):
        return "is compressed already"
    if status.st_mtime >= before:
        return f"was changed {dt.datetime.fromtimestamp(status.st_mtime):%Y-%m-%d %H:%M}, which is too new"
    return f"has no more than {larger_than:,} bytes"


def _archived(kept: KeptSession, before: float, system: System) -> KeptSession:
    try:
        new, size = pack(kept.path, before, system)
    except OSError as error:
        error.filename = error.filename or str(kept.path)
        raise
    return attrs.evolve(kept, new_path=new, new_size=size)


# -- the way back ------------------------------------------------------------------------------------------------------


def _restoring(named: Sequence[Path] | None, homes: Iterable[Path], larger_than: int, system: System) -> Keeping:
    chosen: list[KeptSession] = []
    left: list[KeptSession] = []
    for path in _files(homes) if named is None else named:
        packed = path if is_compressed(path) else compressed_path(path)  # both are there after a kill
        try:
            size = packed.stat().st_size
        except FileNotFoundError:
            if named is not None:
                left.append(KeptSession(path, path.stat().st_size, "is not compressed"))
            continue
        if size > larger_than:
            chosen.append(KeptSession(packed, size, "was named" if named is not None else "is compressed"))
    return Keeping("restore", False, tuple(chosen), tuple(left), partial(_unpacked, system=system))


def _unpacked(kept: KeptSession, system: System) -> KeptSession:
    plain = plain_path(kept.path)
    fd, status = hold(kept.path, system)
    try:
        try:
            read_head(kept.path)  # raises if it is not a session
        except InvalidRolloutError as error:
            raise Left(error.problem) from error
        if plain.exists():
            _remove_older(kept.path, plain, system)
        else:
            unpack(kept.path, plain, system)
    finally:
        release(fd, status, system)
    return attrs.evolve(kept, new_path=plain, new_size=plain.stat().st_size)


def _remove_older(packed: Path, plain: Path, system: System) -> None:
    """Remove the compressed file beside the plain one, which begins with all of its content.

    Raises:
        Left: it does not.
    """
    problems: list[str] = []
    fd, status = hold(plain, system)
    try:
        if matching(packed, fd, system, problems) is None or problems:
            raise Left(f"{plain.name} is there, too, and holds something else")
        system.unlink(packed)
    finally:
        release(fd, status, system)
