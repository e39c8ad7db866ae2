"""The plan of `archive` and `prune`, which is also the report of what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import attrs

from ..exceptions import MissingExtraError, RolloutError

Action: TypeAlias = Literal["archive", "prune", "restore"]


class Left(RolloutError):
    """A session is left as it is; the text says why. It is not raised to callers."""


@attrs.frozen
class KeptSession:
    """A session in a plan of `archive` or `prune`.

    Attributes:
        path: its file; if it has several, the newest.
        size: bytes of all of its files.
        reason: why it was chosen, or why it is left as it is.
        new_path: where the file is afterwards; `None` in a plan, and if it is left.
        new_size: bytes afterwards; `None` like the path.
        files: all of its files that are moved, in that order; of `archive`, none but `path`.
    """

    path: Path
    size: int
    reason: str
    new_path: Path | None = None
    new_size: int | None = None
    files: tuple[Path, ...] = ()
    _after: tuple[Path, ...] = attrs.field(default=(), repr=False, eq=False)  # paths of those that must come before it


@attrs.frozen
class Keeping:
    """The plan that `archive` and `prune` return; nothing has been changed. `apply` carries it out.

    Attributes:
        action: ``"archive"``, ``"prune"`` or ``"restore"``.
        is_applied: whether it was carried out.
        chosen: the sessions that it changes.
        left: the sessions that were asked for, or that fit, and are left as they are.

    >>> import rolloutlog
    >>> with rolloutlog.session("trip-to-rome") as session:
    ...     session.record({"role": "user", "content": "Plan a day in Rome"})
    >>> plan = rolloutlog.prune("trip-to-rome")
    >>> plan.action, plan.is_applied, [each.reason for each in plan.chosen]
    ('prune', False, ['was named'])
    >>> done = plan.apply()
    >>> [each.new_path.parts[-6] for each in done.chosen]
    ['trash']
    """

    action: Action
    is_applied: bool
    chosen: tuple[KeptSession, ...]
    left: tuple[KeptSession, ...]
    _change: Callable[[KeptSession], KeptSession] = attrs.field(repr=False, eq=False)
    _again: Callable[[], Keeping] | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def size(self) -> int:
        """Bytes of the chosen sessions, before."""
        return sum(each.size for each in self.chosen)

    @property
    def new_size(self) -> int:
        """Bytes of the chosen sessions afterwards; 0 in a plan."""
        return sum(each.new_size or 0 for each in self.chosen)

    def apply(self, *, progress: Callable[[int, int], object] | None = None) -> Keeping:
        """Carry out the plan, one session after the other, and return the report.

        Each session is checked again, under its lock. One that is open, was changed, or cannot be written is in `left`
        of the report, with the reason, and is as it was. A process that is killed loses nothing: the same call again
        completes the work. A report that is applied again changes nothing.

        Args:
            progress: called after each session with their number so far, and the number of all.

        Raises:
            MissingExtraError: the extra "zstd" is not installed, and is needed.
        """
        if self.is_applied:
            return self
        reports = list[Keeping]()
        for count, report in enumerate(self.steps()):
            reports[:] = [report]
            if progress is not None and count:
                progress(count, len(self.chosen))
        return reports[0]

    def steps(self) -> Iterator[Keeping]:
        """Carry out the plan as `apply` does; yield the report before the first session and after each one."""
        chosen, left = self._checked()
        done: list[KeptSession] = []
        yield attrs.evolve(self, is_applied=True, chosen=(), left=tuple(left))
        failed: set[Path] = set()
        for each in chosen:
            try:
                if hindered := failed.intersection(each._after):
                    raise Left(f"{min(hindered).name} comes before it, and is left")
                done.append(self._change(each))
            except MissingExtraError:
                raise
            except (OSError, RolloutError) as error:
                failed.add(each.path)
                left.append(attrs.evolve(each, reason=_words(error)))
            yield attrs.evolve(self, is_applied=True, chosen=tuple(done), left=tuple(left))

    def _checked(self) -> tuple[list[KeptSession], list[KeptSession]]:
        """Return what is chosen and what is left as things are now: a session may have been forked since the plan."""
        if self._again is None:
            return list(self.chosen), list(self.left)
        planned, now = {each.path for each in self.chosen}, self._again()
        refused = [each for each in now.left if each.path in planned]
        return [each for each in now.chosen if each.path in planned], [*self.left, *refused]


def _words(error: OSError | RolloutError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
