"""`repair`: writes a file again without what hides its records, and keeps the original beside it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import attrs

from .._json import MAX_LINE
from .._reading.blocks import StrPath, is_compressed
from .._writing.os_calls import REAL_SYSTEM, System
from ..exceptions import InvalidRolloutError
from .check import check_copy
from .children import Child, children_of
from .diagnose import OURS, Diagnosis, described
from .findings import Edit, Finding, moved
from .held import writers_of
from .rewrite import Rewriting
from .scan import Scan, scan

_REFUSED = "left: it would move bytes, and the history of {forks} ends after it; `--move` sets them, too"


@attrs.frozen
class Repair:
    """The changes that a repair makes to the file of a session, or would make.

    Attributes:
        path: the file.
        is_written: whether it was done; otherwise it was only planned.
        done: the findings that it repairs, in the order of the file.
        left: the findings that it leaves as they are, notes not included.
        before: how many items a resume sees without it.
        after: how many with it.
        forks: the files of sessions whose history ends at a byte of this file.
        moves: whether the place of any byte of a record changes.
        original: where the file as it was is now; `None` if nothing was written.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     recorder.record({"role": "user", "content": "Hello"})
    >>> with recorder.path.open("r+b") as file:
    ...     size = file.truncate(recorder.path.stat().st_size - 1)
    >>> done = rolloutlog.repair(recorder.path, write=True)
    >>> [finding.remedy for finding in done.done], done.original.name.endswith(".before-repair-1")
    (['ends the line'], True)
    """

    path: Path
    is_written: bool
    done: tuple[Finding, ...]
    left: tuple[Finding, ...]
    before: int
    after: int
    forks: tuple[Path, ...] = ()
    moves: bool = False
    original: Path | None = None


@attrs.frozen
class _Plan:
    """The findings to repair, the changes of the file itself, and those of its forks."""

    done: tuple[Finding, ...]
    left: tuple[Finding, ...]
    edits: tuple[Edit, ...]
    renumbers: bool
    children: tuple[Child, ...]
    of_children: tuple[tuple[Child, Edit], ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.edits and not self.renumbers


def repair(
    path: StrPath, *, write: bool = False, move: bool = False, renumber: bool = False, max_line: int = MAX_LINE
) -> Repair:
    """Make every whole record of a damaged file readable, for every reader. Without *write*, only say how.

    Half records become spaces, so that all others keep their place: forks of Codex refer to their parent by a byte.
    Nothing is ever lost. The new file is written beside the old one, synced, and read again; it gets the name only if
    each record that was read before is read again, byte for byte. The old one is kept as ``NAME.before-repair-1``,
    which no reader lists. A file without damage is not written, nor one without a meta whose name
    does not say which session it is: it may be another text.

    Args:
        path: the file.
        write: whether to do it.
        move: also make repairs that move bytes although the history of a fork ends after them. The forks are changed
            with it.
        renumber: also give the lines new numbers, where numbers are missing, repeated or out of order; never if the
            session has forks, because they refer to the numbers.
        max_line: how many bytes a line may have; a longer one is left as it is.

    Raises:
        SessionLockedError: a process has the session open, and the file was not changed.
        RepairError: a check failed, and the file was not changed.
        InvalidRolloutError: it is not a regular file, or it is compressed.
        SessionNotFoundError: there is no such file.
        OSError: it cannot be read or written; the file is as it was.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("torn") as session:
        ...     session.log("before the power cut")
        >>> with session.path.open("ab") as file:
        ...     _ = file.write(b'{"type":"mess')
        >>> plan = rolloutlog.repair(session.path)  # writes nothing
        >>> [(finding.kind, finding.remedy) for finding in plan.done], plan.is_written
        ([('torn-tail', 'blanks them and ends the line')], False)
    """
    return repaired(Path(path), write, move, renumber, max_line, REAL_SYSTEM)


def repaired(path: Path, write: bool, move: bool, renumber: bool, max_line: int, system: System) -> Repair:
    """Do the work of `repair` with this *system*."""
    if is_compressed(path):
        raise InvalidRolloutError(path, "is compressed and cannot be repaired; unpack it with `zstd -d --rm`")
    if not write:
        found = scan(path, max_line)
        diagnosis = described(found, writers_of(path))
        plan = _planned(path, diagnosis, found, move, renumber)
        return _report(path, diagnosis, found, plan, None)
    with Rewriting(path, system) as rewriting:
        found = scan(path, max_line)
        diagnosis = described(found, ())
        plan = _planned(path, diagnosis, found, move, renumber)
        if plan.is_empty:
            return _report(path, diagnosis, found, plan, None)
        rewriting.write(plan.edits)
        if plan.renumbers:
            rewriting.write(scan(rewriting.copy, max_line).ordinals.edits)
        check_copy(path, rewriting.copy, found, plan.done, max_line)
        with ExitStack() as stack:
            others = []
            for child, edit in plan.of_children:
                other = stack.enter_context(Rewriting(child.path, system))
                other.write([edit])
                others.append(other)
            original = rewriting.publish()
            published = [(rewriting, original)]
            try:
                for other in others:
                    published += [(other, other.publish())]
            except BaseException:
                # All or none: forks would refer to bytes that are elsewhere. The locks are still held.
                for each, kept in reversed(published):
                    each.take_back(kept)
                raise
        return _report(path, diagnosis, found, plan, original)


def _planned(path: Path, diagnosis: Diagnosis, found: Scan, move: bool, renumber: bool) -> _Plan:
    """Return what is to do about the findings of *diagnosis*."""
    children = tuple(children_of(path, None if found.meta is None else found.meta.id))
    done: list[Finding] = []
    left: list[Finding] = []
    edits: list[Edit] = []
    for finding in diagnosis.findings:
        if not finding.edits:
            can = renumber and finding.kind.startswith("ordinal") and not children
            if can:
                done.append(attrs.evolve(finding, action="renumber", remedy="gives the lines new numbers"))
            elif finding.severity != "note":
                left.append(finding)
            continue
        after = [*edits, *finding.edits]
        hindered = [child for child in children if moved(child.end, after) != moved(child.end, edits)]
        if hindered and (not move or any(_has_own(child, moved(child.end, after)) for child in hindered)):
            forks = f"{len(hindered)} other session{'' if len(hindered) == 1 else 's'}"
            left.append(attrs.evolve(finding, action="leave", remedy=_REFUSED.format(forks=forks), gains=0, _edits=()))
            continue
        done.append(finding)
        edits = after
    of_children = [(child, child.edit(end)) for child in children if (end := moved(child.end, edits)) != child.end]
    renumbers = any(finding.action == "renumber" for finding in done)
    return _Plan(tuple(done), tuple(left), tuple(edits), renumbers, children, tuple(of_children))


def _has_own(child: Child, end: int) -> bool:
    """Whether a change of the number in *child* to *end* would move its bytes, and it has forks of its own."""
    return child.edit(end).growth != 0 and bool(children_of(child.path, None))


def _report(path: Path, diagnosis: Diagnosis, found: Scan, plan: _Plan, original: Path | None) -> Repair:
    is_readable = found.is_meta_read or not any(finding.kind in ("no-meta", "late-meta") for finding in plan.left)
    return Repair(
        path,
        original is not None,
        plan.done,
        plan.left,
        diagnosis.sees[OURS],
        found.sees + sum(finding.gains for finding in plan.done) if is_readable else 0,
        tuple(child.path for child in plan.children),
        plan.renumbers or any(edit.growth and edit.offset + edit.length < diagnosis.size for edit in plan.edits),
        original,
    )
