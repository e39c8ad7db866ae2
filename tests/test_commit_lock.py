"""The commit lock: one thread at a time, and a note if a thread that holds it must commit again."""

from __future__ import annotations

import threading
from itertools import count

import pytest
from helpers import DEADLINE, interrupted

from rolloutlog._writing.commit_lock import CommitLock

pytestmark = pytest.mark.system


def in_thread(lock: CommitLock) -> bool:
    """Return whether another thread gets the lock."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(lock.attempt(lambda: None)))
    thread.start()
    thread.join(DEADLINE)
    return results[0]


def test_the_action_runs_while_the_lock_is_held():
    """No other thread gets the lock until the action has returned."""
    lock, during = CommitLock(), []

    assert lock.attempt(lambda: during.append(in_thread(lock)))
    assert during == [False]
    assert in_thread(lock)


def test_the_first_thread_gets_the_lock_before_all_others():
    """Once; then the others get it again."""
    lock = CommitLock()
    lock.first = threading.get_ident()

    assert not in_thread(lock)
    assert lock.attempt(lambda: None)
    assert in_thread(lock)


def test_an_error_of_the_action_frees_the_lock():
    """The caller gets the error, and the next thread gets the lock."""
    lock = CommitLock()

    with pytest.raises(ZeroDivisionError):
        lock.attempt(lambda: 1 / 0)
    assert in_thread(lock)
    assert not lock.is_mine


def test_a_thread_inside_a_commit_knows_it():
    """A finalizer that runs inside the action sees that its own thread holds the lock."""
    lock, seen = CommitLock(), []
    lock.attempt(lambda: seen.append(lock.is_mine))

    assert seen == [True]
    assert not lock.is_mine


def test_a_commit_that_is_owed_is_noted_until_the_next_attempt():
    """The note outlives the commit that it was made in, and the next commit clears it."""
    lock = CommitLock()
    lock.attempt(lock.owe_commit)
    owed = lock.owes_commit
    lock.attempt(lambda: None)

    assert owed
    assert not lock.owes_commit


def test_another_threads_debt_is_not_ours():
    """Each thread owes only what was recorded inside its own commits."""
    lock = CommitLock()
    thread = threading.Thread(target=lambda: lock.attempt(lock.owe_commit))
    thread.start()
    thread.join(DEADLINE)

    assert not lock.owes_commit


def test_a_commit_is_counted_when_it_begins_and_when_it_ends():
    """In the middle of a commit more have begun than ended; one that raised never ended."""
    lock, during = CommitLock(), []
    lock.count(lambda: during.append((lock.begun, lock.ended)))
    with pytest.raises(ZeroDivisionError):
        lock.count(lambda: 1 / 0)

    assert during == [(1, 0)]
    assert (lock.begun, lock.ended) == (2, 1)


def test_an_interrupt_at_any_step_leaves_the_lock_free():
    """Wherever a Ctrl-C hits an attempt, the next one gets the lock."""
    for step in count(1):
        lock = CommitLock()
        reached_step = interrupted(step, lambda lock=lock: lock.attempt(lambda: None))

        assert not lock.is_mine, step
        assert in_thread(lock), step
        if not reached_step:
            break
