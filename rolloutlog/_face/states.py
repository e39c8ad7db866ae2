"""The state of a session in one word, as lists show it."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

import attrs

from .._systems import file_locks
from .heads import Head

State: TypeAlias = Literal["open", "unreadable", "torn", "bad", "empty", "fork", "sub", "zst", ""]
STATES: tuple[State, ...] = ("open", "unreadable", "torn", "bad", "empty", "fork", "sub", "zst")


@attrs.frozen
class Locks:
    """The files that processes hold a lock on, where the system tells.

    To try the lock instead could let the program fail that opens the session at the same instant.
    """

    held: frozenset[tuple[int, int]]  # device and inode

    @classmethod
    def now(cls) -> Locks:
        """Return the locks that are held now."""
        return cls(frozenset(file_locks()))

    def hold(self, path: str | os.PathLike[str]) -> bool:
        """Whether a process holds the lock on the file at *path*."""
        if not self.held:
            return False
        try:
            status = os.stat(path)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) in self.held


def state_of(head: Head, locks: Locks, *, is_readable: bool = True) -> State:
    """Return the state that matters most: whether it is in use, then damage, then what it is."""
    if not is_readable:
        return "zst" if head.is_compressed else "unreadable"
    if locks.hold(head.path):
        return "open"
    if head.is_torn:
        return "torn"
    if head.faults or (head.meta is None and head.size):
        return "bad"
    if head.is_empty:
        return "empty"
    if head.is_sub_agent:
        return "sub"
    if head.parent_id is not None:
        return "fork"
    return "zst" if head.is_compressed else ""


def word_for(state: State, head: Head) -> str:
    """Return *state* as a list shows it: `3 bad` for faults that are known."""
    return f"{head.faults} bad" if state == "bad" and head.faults else "no meta" if state == "bad" else state
