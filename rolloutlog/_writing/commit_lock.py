"""Who may commit: one thread at a time, and never twice at once in the same thread."""

from __future__ import annotations

import _thread
from collections.abc import Callable


class CommitLock:
    """The lock that a thread holds while it writes to one file, with a count of the commits.

    Nothing waits for this lock: `attempt` returns false when another thread holds it.

    A signal handler or a finalizer can run inside a commit, in the same thread, and record something itself. It cannot
    commit that: the outer commit is in the middle of its work. So it notes that its thread *owes* another commit.

    Attributes:
        begun: how many commits have begun.
        ended: the number of the last commit that was completed; less than `begun` during a commit.
        first: the thread that gets the lock before all others, if one does: others that record without a pause could
            keep it from the lock for any time.
    """

    # The holder sets `begun` and `ended`. Each thread adds itself to `_inside` and `_owing`, and removes itself: a
    # thread is in `_inside` while it holds the lock or tries to, so that a handler can tell that it runs inside.

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._inside: set[int] = set()
        self._owing: set[int] = set()
        self.begun = self.ended = 0
        self.first: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether this thread holds the lock, or is about to: a handler or finalizer that asks runs inside a commit."""
        return _thread.get_ident() in self._inside

    @property
    def owes_commit(self) -> bool:
        """Whether a handler or finalizer recorded something inside a commit of this thread."""
        return _thread.get_ident() in self._owing

    def owe_commit(self) -> None:
        """Note that this thread must commit again after it has released the lock."""
        self._owing.add(_thread.get_ident())

    def attempt(self, action: Callable[[], object]) -> bool:
        """Call *action* while holding the lock; return whether that was so: not if another thread has it or is `first`.

        An interrupt or an error at any point leaves the lock free.
        """
        me = _thread.get_ident()
        if self.first not in (None, me):
            return False
        acquired: list[bool] = []
        try:
            self._inside.add(me)  # within the `try`: an interrupt after it would leave us in there forever
            try:
                acquired.extend(map(self._lock.acquire, (False,)))  # in C: no interrupt between the lock and the note
                if acquired[0]:
                    if self.first == me:
                        self.first = None
                    self._owing.discard(me)
                    action()
            finally:
                if True in acquired:
                    self._lock.release()
        finally:
            self._inside.discard(me)
        return acquired[0]

    def count(self, commit: Callable[..., object], *arguments: object) -> None:
        """Call *commit* with *arguments*, counted as one; the caller holds the lock."""
        self.begun += 1
        commit(*arguments)
        self.ended = self.begun
