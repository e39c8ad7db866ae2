"""`prune`: moves sessions to the trash folder of their home, and brings them back."""

from __future__ import annotations

import datetime as dt
import os
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

import attrs

from .._care.held import Writers
from .._care.hold import hold, release
from .._lookup import find_session
from .._paths import FoundFile, home_of, parse_file_name, resolve_home
from .._writing.os_calls import REAL_SYSTEM, System, make_folders, sync_folder
from .archive import age_of
from .family import Family, families_in, parents_of, size_of
from .values import Keeping, KeptSession, Left

StrPath: TypeAlias = str | os.PathLike[str]
SessionName: TypeAlias = StrPath | uuid.UUID

TRASH = "trash"


@attrs.frozen
class Criteria:
    """Which sessions `prune` chooses, where none are named. All that are given must hold."""

    older_than: dt.timedelta | None = None
    larger_than: int | None = None
    keep_last: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is given, so that all sessions would be chosen."""
        return self.older_than is None and self.larger_than is None and self.keep_last is None


def prune(
    *sessions: SessionName,
    home: StrPath | None = None,
    older_than: dt.timedelta | None = None,
    larger_than: int | None = None,
    keep_last: int | None = None,
    restore: bool = False,
) -> Keeping:
    """Plan to move sessions to the trash; the plan's `apply` does it. It is never done by itself.

    The trash is the folder ``trash`` in the home, which nothing looks into: not `find_sessions`, not `session`, no
    table. A session that is begun under the name of one in the trash begins empty, with the same id. The trash has the
    folders of a home, so ``home=".../trash"`` lists and reads it. Remove the folder to free the space.

    The parent of a fork or a sub-agent that remains is never moved, nor a session that a process has open. A move is a
    rename, so a session is in one of the two places at any moment.

    Args:
        sessions: paths, ids or names; if there are none, all sessions in *home* that fit all other arguments, of which
            there must be at least one.
        home: the folder that holds all sessions; else as for `RolloutRecorder.create`.
        older_than: only sessions that were last changed so long ago.
        larger_than: only sessions of more bytes.
        keep_last: not the newest so many sessions.
        restore: plan to move sessions out of the trash again, with the parents that they need. Without *sessions*, all.

    Raises:
        ValueError: neither *sessions* nor another argument says which ones.
        SessionNotFoundError, AmbiguousSessionError: no session, or more than one, has such an id or name.
        MissingExtraError: a session is compressed, and the extra "zstd" is not installed; it could be a fork.
        OSError: the folder that holds all the others cannot be read.

    >>> import rolloutlog
    >>> for name in ("paris", "rome", "oslo"):
    ...     rolloutlog.session(name).close()
    >>> done = rolloutlog.prune("rome").apply()
    >>> len(list(rolloutlog.find_sessions()))
    2
    >>> done = rolloutlog.prune("rome", restore=True).apply()
    >>> len(list(rolloutlog.find_sessions()))
    3
    """
    where = resolve_home(home)
    if restore:
        named = [find_session(each, where / TRASH) for each in sessions]
        return restoring(named if sessions else None, [where], REAL_SYSTEM)
    named = [find_session(each, where) for each in sessions]
    return planned(named if sessions else None, [where], Criteria(older_than, larger_than, keep_last), REAL_SYSTEM)


def planned(named: Sequence[Path] | None, homes: Iterable[Path], criteria: Criteria, system: System) -> Keeping:
    """Return the plan of `prune` of the files *named*, or of those in *homes* if it is `None`."""
    if named is None and criteria.is_empty:
        raise ValueError("expected sessions, or at least one of older_than, larger_than and keep_last")
    chosen: list[KeptSession] = []
    left: list[KeptSession] = []
    writers = Writers(".jsonl")
    if named is not None:
        left += [KeptSession(path, 0, "is in no home, so there is no trash") for path in named if not _is_in_home(path)]
        homes = _homes_of(named)
    homes = list(homes)
    for home in homes:
        families = families_in(home)
        wanted = _fitting(families, criteria) if named is None else _named(families, home, named)
        refused = {each: why for each in wanted if (why := _why_held(families[each], writers)) is not None}
        ordered = _without_parents(families, wanted.keys() - refused.keys(), refused)
        chosen += [_kept(families[each], wanted[each], ordered[each]) for each in ordered]
        left += [_kept(families[each], why) for each, why in refused.items()]
    again = partial(planned, named, homes, criteria, system)
    return Keeping("prune", False, tuple(chosen), tuple(left), partial(_moved, system=system), again)


def _is_in_home(path: Path) -> bool:
    return home_of(path) is not None and parse_file_name(path) is not None


def _kept(family: Family, reason: str, after: Iterable[Family] = ()) -> KeptSession:
    paths = tuple(each.path for each in after)
    with suppress(OSError):
        return KeptSession(family.path, size_of(family)[0], reason, files=tuple(family.all_paths()), after=paths)
    return KeptSession(family.path, 0, reason)


def _homes_of(named: Iterable[Path]) -> list[Path]:
    """Return the homes of the files *named*, each once."""
    return list(dict.fromkeys(home for path in named if _is_in_home(path) and (home := home_of(path)) is not None))


def _named(families: dict[str, Family], home: Path, named: Iterable[Path]) -> dict[str, str]:
    """Return the ids of the sessions whose files are *named* and in *home*, each with the reason."""
    ids = [found.id for path in named if home_of(path) == home and (found := parse_file_name(path)) is not None]
    return {each: "was named" for each in ids if each in families}


def _fitting(families: dict[str, Family], criteria: Criteria) -> dict[str, str]:
    """Return the ids of the sessions that fit *criteria*, oldest last, each with the reason."""
    newest = sorted(families.values(), key=lambda each: each.files[0].started, reverse=True)
    found: dict[str, str] = {}
    for family in newest[criteria.keep_last or 0 :]:
        try:
            size, changed = size_of(family)
        except OSError:  # removed since the folder was listed
            continue
        if criteria.older_than is not None and changed > time.time() - criteria.older_than.total_seconds():
            continue
        if criteria.larger_than is not None and size <= criteria.larger_than:
            continue
        found[family.id] = _reason(criteria, changed)
    return found


def _reason(criteria: Criteria, changed: float) -> str:
    """Return the reason for which a session fits *criteria* that was last changed then."""
    reasons = [age_of(changed)] * (criteria.older_than is not None)
    if criteria.larger_than is not None:
        reasons.append(f"is larger than {criteria.larger_than:,} bytes")
    if criteria.keep_last is not None:
        reasons.append(f"is not among the newest {criteria.keep_last:,}")
    return " and ".join(reasons)


def _why_held(family: Family, writers: Writers) -> str | None:
    for file in family.files:
        with suppress(OSError):
            if pids := writers.of(file.path):
                return f"process {pids[0]} has it open"
    return None


def _without_parents(
    families: dict[str, Family], wanted: Iterable[str], refused: dict[str, str]
) -> dict[str, list[Family]]:
    """Return *wanted* without the parents of sessions that remain, each with its forks, which come before it.

    So a killed process leaves no fork without its parent. The reasons of the others are noted in *refused*.
    """
    chosen = set(wanted)
    if not chosen:
        return {}
    parents = _by_id(parents_of(families.values()), families)
    remaining = [each for each in families if each not in chosen]
    while remaining:
        child = remaining.pop()
        for parent in parents[child] & chosen:
            chosen.discard(parent)
            refused[parent] = f"session {child} was forked from it, or is an agent of it, and remains"
            remaining.append(parent)
    forks: dict[str, list[Family]] = {each: [] for each in chosen}
    for each in chosen:
        for parent in parents[each] & chosen:
            forks[parent].append(families[each])
    oldest_first = _parents_first(sorted(chosen), {each: parents[each] & chosen for each in chosen})
    return {each: forks[each] for each in reversed(oldest_first)}


def _by_id(parents: dict[str, set[str]], families: dict[str, Family]) -> dict[str, set[str]]:
    """Return *parents* with the ids of sessions in the place of those of revisions."""
    owner = {file.revision: family.id for family in families.values() for file in family.files if file.revision}
    return {each: {owner.get(name, name) for name in names} - {each} for each, names in parents.items()}


def _moved(kept: KeptSession, system: System) -> KeptSession:
    """Move a session to the trash."""
    home = home_of(kept.path)
    assert home is not None
    return _renamed(kept, lambda path: home / TRASH / path.relative_to(home), system)


def _renamed(kept: KeptSession, target: Callable[[Path], Path], system: System) -> KeptSession:
    """Rename all files of a session; first what refers to others, so that nothing is found without its base."""
    with ExitStack() as stack:
        for path in kept.files:
            fd, status = hold(path, system)
            stack.callback(release, fd, status, system)
        for path in kept.files:
            if os.path.lexists(target(path)):
                raise Left(f"{target(path)} is there already")
        for path in kept.files:
            new = target(path)
            make_folders(new.parent, system)
            system.rename(path, new)
            for folder in (new.parent, path.parent):
                with suppress(OSError):  # after a power cut it may be where it was
                    sync_folder(folder, system)
    return attrs.evolve(kept, new_path=target(kept.path), new_size=kept.size)


# -- the way back ------------------------------------------------------------------------------------------------------


def restoring(named: Sequence[Path] | None, homes: Iterable[Path], system: System) -> Keeping:
    """Return the plan to move the files *named* back, or all in the trash of *homes* if it is `None`."""
    chosen: list[KeptSession] = []
    left: list[KeptSession] = []
    for trash in [home / TRASH for home in homes] if named is None else _homes_of(named):
        families, living = families_in(trash), families_in(trash.parent)
        wanted = dict.fromkeys(families, "is in the trash") if named is None else _named(families, trash, named)
        for each, family in families.items():
            families[each], others = _of_one_session(family, set(named or ()))
            if each in wanted:
                why = f"another session of this id is in the trash, and comes first: {families[each].path.name}"
                left += [_kept(Family(each, (file,)), why) for file in others]
        parents = _by_id(parents_of(families.values()), families)
        for each in _parents_first(wanted, parents):
            family = families[each]
            # A killed call leaves some files of one session in each place; they belong together.
            here = living[each].files if each in living else ()
            if {file.revision for file in here} & {file.revision for file in family.files}:
                left.append(_kept(family, f"a session of this id is in the home again: {here[0].path.name}"))
            else:
                reason = wanted.get(each, "a session that was named refers to it")
                chosen.append(_kept(family, reason, [families[name] for name in parents[each] if name in families]))
    return Keeping("restore", False, tuple(chosen), tuple(left), partial(_restored, system=system))


def _of_one_session(family: Family, named: set[Path]) -> tuple[Family, list[FoundFile]]:
    """Return *family* without the files of other sessions that had its id, and these files.

    A session that is begun under the name of one in the trash has the same id, and may follow it there. Those that were
    *named* come first, then the newest.
    """
    chosen: dict[str | None, FoundFile] = {}
    for file in sorted(family.files, key=lambda each: each.path not in named):
        chosen.setdefault(file.revision, file)
    files = tuple(file for file in family.files if chosen[file.revision] is file)
    return Family(family.id, files), [file for file in family.files if chosen[file.revision] is not file]


def _parents_first(wanted: Iterable[str], parents: dict[str, set[str]]) -> list[str]:
    """Return *wanted*, and what they refer to, so that each comes after those; in a circle, one of them is first."""
    ordered: list[str] = []
    seen: set[str] = set()
    # No recursion: a chain of forks may be longer than Python's stack.
    left = [(each, False) for each in wanted][::-1]
    while left:
        each, are_parents_in = left.pop()
        if are_parents_in:
            ordered.append(each)
        elif each in parents and each not in seen:
            seen.add(each)
            left.append((each, True))
            left += [(parent, False) for parent in sorted(parents[each], reverse=True)]
    return ordered


def _restored(kept: KeptSession, system: System) -> KeptSession:
    """Move a session out of the trash, its oldest file first."""
    trash = home_of(kept.path)
    assert trash is not None
    backwards = attrs.evolve(kept, files=kept.files[::-1])
    return _renamed(backwards, lambda path: trash.parent / path.relative_to(trash), system)
