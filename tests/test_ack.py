"""The acknowledgement: an Event that tells how it went, and that neither a signal handler nor a Ctrl-C can jam."""

from __future__ import annotations

import errno
import gc
import sys
import threading
import time
import weakref
from contextlib import suppress
from itertools import count

import pytest
from helpers import DEADLINE, in_fresh_process, interrupted, storm

from rolloutlog._writing.ack import Ack
from rolloutlog.exceptions import WriteError

pytestmark = pytest.mark.system


def waiting(ack: Ack, number: int) -> list[threading.Thread]:
    """Return *number* threads that wait for *ack*, once all of them do."""
    threads = [threading.Thread(target=ack.wait, args=(10,)) for _ in range(number)]
    for thread in threads:
        thread.start()
    while len(ack._waiters._locks) < number:
        assert all(thread.is_alive() for thread in threads)
    return threads


def test_an_ack_is_an_event():
    """It can be used wherever a threading.Event can."""
    assert isinstance(Ack(), threading.Event)


def test_every_method_of_an_event_is_there_anew():
    """Nothing of the base class's own is left that would reach for the lock that an ack does not have."""
    own = {name for name, value in vars(threading.Event).items() if callable(value)} - {"isSet"}  # calls is_set

    assert own <= set(vars(Ack))


def test_a_new_ack_is_not_set():
    """It is neither set nor failed, and waiting for it ends at the timeout."""
    ack = Ack()

    assert not ack.is_set()
    assert ack.error is None
    assert ack.wait(0.001) is False


def test_no_time_means_no_wait():
    """A timeout of zero, or of less, only looks."""
    ack = Ack()
    before = ack.wait(0), ack.wait(-1)
    ack.set()

    assert before == (False, False)
    assert ack.wait(0) is True


def test_waiting_for_what_is_over_returns_at_once():
    """Once set, wait is true and result says nothing, any number of times."""
    ack = Ack()
    ack.set()
    ack.set()

    assert ack.wait() is True
    assert ack.result() is None
    assert ack.is_set()


def test_set_wakes_every_waiter():
    """Thirty threads that wait all hear of it."""
    ack = Ack()
    threads = waiting(ack, 30)

    ack.set()
    for thread in threads:
        thread.join(DEADLINE)

    assert not any(thread.is_alive() for thread in threads)
    assert not ack._waiters._locks


def test_an_ack_that_was_set_by_half_is_seen():
    """A set that an interrupt cut short after it raised its flag still ends every wait, a look later."""
    ack = Ack()
    threads = waiting(ack, 3)

    ack._is_set = True
    for thread in threads:
        thread.join(DEADLINE)

    assert not any(thread.is_alive() for thread in threads)


def test_whoever_is_woken_finds_it_over():
    """The flag is up before the first waiter is woken, or it would go back to sleep."""
    ack, seen = Ack(), []
    wake_all = ack._waiters.wake_all

    class Watched:
        def wake_all(self) -> None:
            seen.append(ack.is_set())
            wake_all()

    ack._waiters = Watched()
    ack.set()

    assert seen == [True]


def test_waiters_that_gave_up_leave_nothing_behind():
    """A wait that timed out has taken its lock back."""
    ack = Ack()
    ack.wait(0.001)

    assert not ack._waiters._locks


def test_the_error_stands_before_the_event_is_set():
    """A waiter that wakes finds the outcome there."""
    ack, seen = Ack(), []
    waiter = threading.Thread(target=lambda: seen.append((ack.wait(DEADLINE), ack.error)))
    waiter.start()
    error = WriteError("x", 1, "disk full")
    ack.error = error
    ack.set()
    waiter.join(DEADLINE)

    assert seen == [(True, error)]


def test_result_raises_what_went_wrong():
    """The error of a finished ack is raised by result, and by each further call."""
    ack = Ack()
    ack.error = WriteError("x", 1, "disk full")
    ack.set()

    for _ in range(2):
        with pytest.raises(WriteError, match="disk full"):
            ack.result(1)


def test_an_error_that_is_raised_again_holds_no_more_than_before():
    """Who asks again and again while a shutdown is tried does not collect the frames of all who asked before."""
    ack, depths = Ack(), []
    ack.error = WriteError("x", 1, "disk full")
    ack.set()
    for _ in range(3):
        with pytest.raises(WriteError) as caught:
            ack.result()
        depths.append(len(caught.traceback))

    assert depths == depths[:1] * 3


class Kept:
    """An object of a caller."""


def test_an_error_that_was_caught_keeps_nothing_of_its_caller_alive():
    """The ack may live long, and hold the error; the frames that the error was raised through are not part of it."""
    ack = Ack()
    ack.error = WriteError("x", 1, "disk full")
    ack.set()

    def call() -> weakref.ref[Kept]:
        kept = Kept()
        with suppress(WriteError):
            ack.result()
        return weakref.ref(kept)

    gc.disable()
    try:
        kept = call()
        assert kept() is None
    finally:
        gc.enable()


def test_the_error_that_is_raised_has_the_same_attributes_and_cause():
    """A program can act on it, and each caller has its own."""
    ack = Ack()
    ack.error = WriteError("x", 1, "disk full", errno.ENOSPC)
    ack.error.__cause__ = OSError(errno.ENOSPC, "disk full")
    ack.set()
    with pytest.raises(WriteError) as first:
        ack.result()
    with pytest.raises(WriteError) as second:
        ack.result()

    assert vars(first.value) == vars(ack.error)
    assert first.value.__cause__ is ack.error.__cause__
    assert first.value is not second.value


class Uncopied(Exception):
    """An error of another library, whose class takes other arguments than it keeps."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")


def test_an_error_that_cannot_be_copied_is_raised_itself():
    """The writer failed because of it, so the caller must see it."""
    ack = Ack()
    ack.error = Uncopied("writer", "broken")
    ack.set()

    for _ in range(2):
        with pytest.raises(Uncopied, match="writer: broken"):
            ack.result()


def test_result_raises_what_keeps_a_shutdown_from_its_end():
    """While a shutdown is still tried, a time-out tells what is in its way and not only that there is no answer."""
    ack = Ack()
    ack.error = WriteError("x", 1, "disk full")

    with pytest.raises(WriteError, match="disk full"):
        ack.result(0.001)


def test_result_says_that_there_is_no_answer():
    """Without an error a time-out is a TimeoutError, with the seconds in it."""
    with pytest.raises(TimeoutError, match=r"0\.001 s"):
        Ack().result(0.001)


def test_an_ack_cannot_be_taken_back():
    """Clear raises, and says what to do instead."""
    ack = Ack()
    ack.set()

    with pytest.raises(TypeError, match="request_flush"):
        ack.clear()
    assert ack.is_set()


def test_a_waiter_looks_whether_somebody_works():
    """A wait that lasts calls what it was given, and what that does may end it."""
    looks = []

    def look(deadline: float) -> float:
        looks.append(1)
        ack.set()
        return deadline

    ack = Ack(look)

    assert ack.wait(DEADLINE) is True
    assert looks == [1]


def test_a_look_may_end_the_wait():
    """At the end of the interpreter nothing waits longer than it may."""
    ack = Ack(lambda deadline: 0.0)

    assert ack.wait(10 * DEADLINE) is False


def test_a_look_knows_when_the_wait_ends():
    """It must not take longer itself."""
    looks: list[float] = []

    def look(deadline: float) -> float:
        looks.append(deadline)
        ack.set()
        return deadline

    ack = Ack(look)
    begun = time.monotonic()
    ack.wait(DEADLINE)

    assert begun + DEADLINE <= looks[0] <= time.monotonic() + DEADLINE


def test_nobody_looks_after_what_is_over():
    """A finished ack calls nothing."""
    ack = Ack(lambda deadline: pytest.fail("was called"))
    ack.set()

    assert ack.wait(DEADLINE) is True


@pytest.mark.parametrize(("error", "is_set", "text"), [(None, False, "unset"), (None, True, "set")])
def test_the_repr_tells_the_state(error, is_set, text):
    """It says whether the ack is set."""
    ack = Ack()
    if is_set:
        ack.set()

    assert repr(ack) == f"<Ack {text}>"


def test_the_repr_tells_of_an_error():
    """It says that something failed, and shows no text of it."""
    ack = Ack()
    ack.error = WriteError("x", 1, "secret")

    assert repr(ack) == "<Ack failed>"


def test_an_interrupt_at_any_step_of_set_loses_no_waiter():
    """Wherever a Ctrl-C hits set, once the flag is raised every waiter ends; before that, set can be called again."""
    for step in count(1):
        ack = Ack()
        threads = waiting(ack, 2)
        came_so_far = interrupted(step, ack.set)
        ack.set()
        for thread in threads:
            thread.join(DEADLINE)

        assert not any(thread.is_alive() for thread in threads)
        if not came_so_far:
            break


def test_an_interrupt_at_any_step_of_wait_leaves_an_ack_that_works():
    """Wherever a Ctrl-C hits wait, set returns and the next wait ends."""
    for step in count(1):
        ack = Ack()
        came_so_far = interrupted(step, lambda ack=ack: ack.wait(0.001))
        setter = threading.Thread(target=ack.set)
        setter.start()
        setter.join(DEADLINE)

        assert not setter.is_alive()
        assert ack.wait(DEADLINE) is True
        if not came_so_far:
            break


def set_by_others(acks: list[Ack], end: list[bool]) -> threading.Thread:
    """Start a thread that sets each of *acks* as it comes, until there is something in *end*."""

    def work() -> None:
        while not end:
            while acks:
                acks.pop().set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def wait_in_handlers() -> None:
    """Wait for acks in the main thread, and for the same ones in signal handlers that interrupt it."""
    sys.setswitchinterval(1e-5)
    acks: list[Ack] = []
    end: list[bool] = []
    setter = set_by_others(acks, end)
    current = Ack()
    current.set()

    def action() -> None:
        nonlocal current
        ack = Ack()
        acks.append(ack)  # first: the thread that sets it must know it before the handler waits for it
        current = ack
        current.result(DEADLINE)

    storm(action, handler=lambda: current.result(DEADLINE), signals=1_000)
    end.append(True)
    setter.join(DEADLINE)
    assert not setter.is_alive()


def test_a_handler_may_wait_for_the_ack_that_its_thread_waits_for():
    """A thousand handlers that wait for the ack which the main thread is waiting for: none hangs."""
    in_fresh_process(wait_in_handlers)


def interrupt_waits_and_sets() -> None:
    """Interrupt waits in the main thread, and sets that come from there, while another thread does the other half."""
    sys.setswitchinterval(1e-5)
    acks: list[Ack] = []
    end: list[bool] = []
    setter = set_by_others(acks, end)

    def action() -> None:
        theirs, mine = Ack(), Ack()
        acks.append(theirs)
        theirs.result(DEADLINE)
        mine.set()
        mine.result(DEADLINE)

    def ctrl_c() -> None:
        raise KeyboardInterrupt

    storm(action, handler=ctrl_c, signals=1_000)
    end.append(True)
    setter.join(DEADLINE)
    assert not setter.is_alive()


def test_a_storm_of_interrupts_jams_neither_side():
    """A thousand Ctrl-C inside wait and set leave the thread that sets at work, and no wait without its end."""
    in_fresh_process(interrupt_waits_and_sets)
