"""Waiters: one call wakes all, and neither an early wake-up nor a late one is missed."""

from __future__ import annotations

import threading

import pytest
from helpers import DEADLINE

from rolloutlog._writing.wakeup import Waiters

pytestmark = pytest.mark.system


def test_nobody_waits_for_what_is_over():
    """No time is spent waiting for a thing that was over when the lock was in place: a wake-up may have come before."""
    bell, looks = Waiters(), []

    def over() -> bool:
        looks.append(len(bell._locks))
        return True

    waiter = threading.Thread(target=bell.wait, args=(threading.TIMEOUT_MAX, over))
    waiter.start()
    waiter.join(DEADLINE)

    assert not waiter.is_alive()
    assert looks == [1]  # it looked after its lock was there to be rung


def test_a_ring_wakes_everybody_who_waits():
    """One ring ends ten waits that have no end of their own."""
    bell = Waiters()
    waiters = [threading.Thread(target=bell.wait, args=(threading.TIMEOUT_MAX, lambda: False)) for _ in range(10)]
    for waiter in waiters:
        waiter.start()

    while len(bell._locks) < 10:
        assert all(waiter.is_alive() for waiter in waiters)
    bell.wake_all()
    for waiter in waiters:
        waiter.join(DEADLINE)

    assert not any(waiter.is_alive() for waiter in waiters)


def test_a_ring_is_not_remembered():
    """Who comes after the ring sleeps its time; nothing is left behind then."""
    bell = Waiters()
    bell.wake_all()
    bell.wait(0.001, lambda: False)

    assert not bell._locks


def test_an_interrupted_wait_leaves_nothing_behind():
    """Whatever is raised while it looks, the waiter takes its lock back."""
    bell = Waiters()

    def over() -> bool:
        raise KeyboardInterrupt

    try:
        bell.wait(1, over)
    except KeyboardInterrupt:
        left = len(bell._locks)

    assert left == 0
