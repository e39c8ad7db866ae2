"""Locks that are free in a forked child."""

from __future__ import annotations

import os
import sys
import threading

from helpers import DEADLINE, in_fresh_process

from rolloutlog._locks import fork_safe_lock


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
