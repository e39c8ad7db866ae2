"""Locks that are free in a forked child, and after an interrupt."""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import count

from helpers import DEADLINE, in_fresh_process, interrupted, storm

from rolloutlog._locks import SafeLock, fork_safe_lock


def test_a_lock_is_one_threads_at_a_time_and_reentrant():
    """The thread that holds it can acquire it again; another thread cannot."""
    lock, taken = fork_safe_lock(), []
    with lock, lock:
        other = threading.Thread(target=lambda: taken.append(lock.acquire(blocking=False)))
        other.start()
        other.join(DEADLINE)

    assert taken == [False]


def fork_while_locked() -> None:
    """Fork while another thread holds a lock, and acquire it in the child."""
    lock, locked, done = fork_safe_lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            locked.set()
            done.wait(DEADLINE)

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(DEADLINE)
    child = os.fork()
    if child == 0:
        with lock:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    sys.stdout.write(f"{lock.acquire(blocking=False)}\n")
    done.set()
    thread.join()


def test_a_forked_child_finds_a_lock_free():
    """The child has only the thread that forked. In the parent, the thread that holds the lock keeps it."""
    printed = in_fresh_process(fork_while_locked)

    assert printed == "False\n"


# -- interrupts --------------------------------------------------------------------------------------------------------


def is_free(lock: SafeLock) -> bool:
    """Return whether another thread gets *lock*."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(lock.acquire(blocking=False)))
    thread.start()
    thread.join(DEADLINE)
    return results[0]


def hold(lock: SafeLock) -> None:
    with lock:
        pass


def hold_within(lock: SafeLock) -> None:
    lock.within(time.monotonic() + DEADLINE, lambda: None)


def test_an_interrupt_at_any_step_leaves_the_lock_free():
    """Wherever a Ctrl-C hits a thread that takes the lock, another thread gets it afterwards."""
    for act in (hold, hold_within):
        for step in count(1):
            lock = SafeLock()
            reached_step = interrupted(step, lambda act=act, lock=lock: act(lock))

            assert is_free(lock), (act, step)
            if not reached_step:
                break


def hold_in_a_storm() -> None:
    """Take a lock in every way while interrupts come at random instants, and say whether it is free at the end."""
    lock = SafeLock()

    def interrupt() -> None:
        raise KeyboardInterrupt

    for act in (hold, hold_within):
        storm(lambda act=act: act(lock), handler=interrupt, signals=2_000)
    sys.stdout.write(f"{is_free(lock)}\n")


def test_a_storm_of_interrupts_leaves_the_lock_free():
    """Real signals come at all instants at which the interpreter looks for them; from Python 3.14 on, at more."""
    assert in_fresh_process(hold_in_a_storm) == "True\n"


def test_a_lock_is_waited_for_until_a_deadline():
    """If another thread holds it longer, the action is not called."""
    lock, locked, done, called = SafeLock(), threading.Event(), threading.Event(), []

    def hold_on() -> None:
        with lock:
            locked.set()
            done.wait(DEADLINE)

    thread = threading.Thread(target=hold_on)
    thread.start()
    assert locked.wait(DEADLINE)
    refused = lock.within(time.monotonic() + 0.01, lambda: called.append("too early"))
    done.set()
    taken = lock.within(time.monotonic() + DEADLINE, lambda: called.append("in time"))
    thread.join(DEADLINE)

    assert (refused, taken, called) == (False, True, ["in time"])
