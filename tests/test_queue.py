"""The hand-off queue: a queue.Queue in all that it promises, with two soft bounds, and nothing that can jam."""

from __future__ import annotations

import inspect
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Any

import hypothesis.strategies as st
import pytest
from helpers import DEADLINE, in_fresh_process, interrupted, storm
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rolloutlog._writing.ack import Ack
from rolloutlog._writing.commands import Barrier, Batch, Filtered, Gap, surplus_of
from rolloutlog._writing.queue import HEAVY, WriterQueue

pytestmark = pytest.mark.system

PUBLIC = sorted(name for name, value in vars(queue.Queue).items() if name[0] != "_" and inspect.isfunction(value))


# -- what a queue.Queue does -------------------------------------------------------------------------------------------


def test_it_is_a_queue():
    """It can be used wherever a queue.Queue can."""
    assert isinstance(WriterQueue(), queue.Queue)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_method_is_there_anew(name):
    """No method of this Python's queue.Queue is left that would reach for the locks that this one does not have."""
    assert name in vars(WriterQueue)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "shutdown"])
def test_every_public_method_takes_what_the_original_takes(name):
    """The parameters have the same names, order and defaults."""
    ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (WriterQueue, queue.Queue))

    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


def test_what_goes_in_comes_out_in_order():
    """First in, first out, whichever way it went in."""
    handoff = WriterQueue()
    handoff.put(1)
    handoff.put_nowait(2)
    handoff.put_unbounded(3)
    handoff.put([4], block=True, timeout=0)

    assert [handoff.get(), handoff.get_nowait(), handoff.get(False), handoff.get(timeout=1)] == [1, 2, 3, [4]]


@pytest.mark.parametrize("maxsize", [0, -1])
def test_no_maxsize_is_no_bound(maxsize):
    """With a maxsize of zero or less it is never full."""
    handoff = WriterQueue(maxsize)
    for number in range(10_000):
        handoff.put_nowait(number)

    assert not handoff.full()
    assert handoff.has_room()
    assert handoff.maxsize == maxsize


def test_it_tells_how_much_waits():
    """qsize, empty and full are right while no other thread puts or takes."""
    handoff = WriterQueue(2)
    states = []
    for _ in range(3):
        states.append((handoff.qsize(), handoff.raw_qsize(), handoff.empty(), handoff.full()))
        handoff.put_unbounded(None)

    assert states == [(0, 0, True, False), (1, 1, False, False), (2, 2, False, True)]


@pytest.mark.parametrize("put", [WriterQueue.put_nowait, lambda handoff, item: handoff.put(item, timeout=0.001)])
def test_a_full_queue_refuses(put):
    """queue.Full comes at once, or after the timeout, and the item is not in."""
    handoff = WriterQueue(1)
    handoff.put("first")

    with pytest.raises(queue.Full):
        put(handoff, "second")
    assert handoff.qsize() == 1


@pytest.mark.parametrize("get", [WriterQueue.get_nowait, lambda handoff: handoff.get(timeout=0.001)])
def test_an_empty_queue_has_nothing_to_give(get):
    """queue.Empty comes at once, or after the timeout."""
    with pytest.raises(queue.Empty):
        get(WriterQueue())


@pytest.mark.parametrize("act", [lambda handoff: handoff.put(1, timeout=-1), lambda handoff: handoff.get(timeout=-1)])
def test_a_timeout_below_zero_is_refused(act):
    """As in the original, it is a ValueError and not a time-out."""
    with pytest.raises(ValueError, match="non-negative"):
        act(WriterQueue(1))


@pytest.mark.parametrize("timeout", [None, 10])
def test_a_put_waits_for_room(timeout):
    """A put into a full queue returns as soon as a command is taken."""
    handoff = WriterQueue(1)
    handoff.put("first")
    putter = threading.Thread(target=handoff.put, args=("second",), kwargs={"timeout": timeout})
    putter.start()
    taken = [handoff.get(timeout=DEADLINE), handoff.get(timeout=DEADLINE)]
    putter.join(DEADLINE)

    assert taken == ["first", "second"]
    assert not putter.is_alive()


def test_a_get_waits_for_something():
    """A get from an empty queue returns what is put later."""
    handoff, taken = WriterQueue(), []
    taker = threading.Thread(target=lambda: taken.append(handoff.get(timeout=DEADLINE)))
    taker.start()
    handoff.put("it")
    taker.join(DEADLINE)

    assert taken == ["it"]


def test_nobody_counts_tasks():
    """task_done may be called as often as one likes."""
    handoff = WriterQueue()

    assert handoff.task_done() is None


@pytest.mark.parametrize("act", [WriterQueue.join, WriterQueue.shutdown, lambda handoff: handoff.shutdown(True)])
def test_what_it_cannot_do_honestly_it_refuses(act):
    """Join and shutdown raise a TypeError that says what to do instead."""
    with pytest.raises(TypeError, match="WriterQueue"):
        act(WriterQueue())


def test_the_repr_tells_how_full_it_is():
    """It shows counts, and no command."""
    handoff = WriterQueue(256)
    handoff.put([b"secret"])

    assert repr(handoff) == "<WriterQueue 1 of 256>"


# -- the bounds --------------------------------------------------------------------------------------------------------


def heavy(size: int = HEAVY) -> list[bytes]:
    """Return a command of *size* bytes."""
    return [bytes(size)]


def put_heavy(handoff: WriterQueue, claim: list[bytes] | None = None) -> None:
    """Put a large command in that is its own claim."""
    claim = heavy() if claim is None else claim
    handoff.put_heavy(claim, claim)


def test_heavy_commands_are_bounded_by_their_bytes():
    """There is room for a further large command only while all of them stay below the bound."""
    handoff = WriterQueue(max_bytes=3 * HEAVY)
    rooms = []
    for _ in range(4):
        rooms.append(handoff.has_room(HEAVY))
        put_heavy(handoff)

    assert rooms == [True, True, True, False]
    assert handoff.has_room(HEAVY - 1)


def test_a_command_above_the_bound_passes_alone():
    """A command larger than the bound goes in when no other large one waits, or it never could."""
    handoff = WriterQueue(max_bytes=HEAVY)
    alone = handoff.has_room(5 * HEAVY)
    put_heavy(handoff, heavy(5 * HEAVY))

    assert alone
    assert not handoff.has_room(HEAVY)


def test_claimed_bytes_make_room():
    """A claimed command no longer counts, even before it is taken."""
    handoff = WriterQueue(max_bytes=HEAVY)
    claim = heavy()
    put_heavy(handoff, claim)
    before = handoff.has_room(HEAVY)
    claim.pop()

    assert not before
    assert handoff.has_room(HEAVY)


def test_taken_bytes_count_until_they_are_claimed():
    """A command that was taken and not yet claimed is still in memory, and still counts."""
    handoff, taken = WriterQueue(max_bytes=HEAVY), deque()
    put_heavy(handoff)
    handoff.take_all(taken)
    before = handoff.has_room(HEAVY)
    taken[0].pop()
    handoff.take_all(taken)

    assert not before
    assert handoff.has_room(HEAVY)
    assert not handoff._heavy


def test_who_waits_for_room_is_woken_by_the_taker(monkeypatch):
    """The taker ends the wait, however long the pause between two checks is."""
    monkeypatch.setattr("rolloutlog._writing.queue.CHECK_INTERVAL", DEADLINE)
    handoff = WriterQueue(1)
    handoff.put("first")
    waiter = threading.Thread(target=handoff.wait_for_room, args=(0,))
    waiter.start()
    while not handoff._putters._locks:
        assert waiter.is_alive()
    handoff.take_all(deque())
    handoff.wake_putters()
    waiter.join(DEADLINE / 2)

    assert not waiter.is_alive()


def test_who_waits_for_room_looks_by_itself_too():
    """Room that comes without a wake-up is found soon: bytes that were claimed, or a limit that was raised."""
    handoff, rooms = WriterQueue(max_bytes=HEAVY), []
    put_heavy(handoff)

    def wait() -> None:
        while not handoff.has_room(HEAVY):
            handoff.wait_for_room(HEAVY)
        rooms.append(True)

    waiter = threading.Thread(target=wait)
    waiter.start()
    handoff.get().pop()
    waiter.join(DEADLINE)

    assert rooms == [True]


def test_the_number_bounds_large_commands_too():
    """However few bytes wait, there is no room above the number."""
    handoff = WriterQueue(1)
    handoff.put("it")

    assert not handoff.has_room(HEAVY)


def test_what_the_taker_holds_counts_as_waiting():
    """Commands that were taken and could not be finished take room away, in number and in bytes, and give it back."""
    handoff = WriterQueue(3, max_bytes=2 * HEAVY)
    rooms = [(handoff.has_room(), handoff.full(), handoff.has_room(2 * HEAVY))]
    for commands, size in [(2, HEAVY), (3, 0), (4, 0), (0, 0)]:
        handoff.count_unfinished(commands, size)
        rooms.append((handoff.has_room(), handoff.full(), handoff.has_room(2 * HEAVY)))

    assert rooms == [
        (True, False, True),
        (True, False, False),
        (False, True, False),
        (False, True, False),
        (True, False, True),
    ]


def test_an_unbounded_queue_holds_without_a_bound():
    """A hold does not make a queue full that has no bound."""
    handoff = WriterQueue()
    handoff.count_unfinished(1_000, 0)

    assert not handoff.full()


class QueueAgainstList(RuleBasedStateMachine):
    """A queue and a list, to which the same is done."""

    def __init__(self) -> None:
        super().__init__()
        self.maxsize, self.held = 4, 0
        self.queue = WriterQueue(self.maxsize, max_bytes=3 * HEAVY)
        self.model: list[Any] = []
        self.numbers = count()

    @rule()
    def put_nowait(self) -> None:
        item = next(self.numbers)
        try:
            self.queue.put_nowait(item)
        except queue.Full:
            assert len(self.model) >= self.maxsize - self.held
        else:
            assert len(self.model) < self.maxsize - self.held
            self.model.append(item)

    @rule()
    def put_unbounded(self) -> None:
        item = next(self.numbers)
        self.queue.put_unbounded(item)
        self.model.append(item)

    @rule(size=st.integers(HEAVY, 2 * HEAVY))
    def put_heavy(self, size: int) -> None:
        claim = heavy(size)
        put_heavy(self.queue, claim)
        self.model.append(claim)

    @precondition(lambda self: self.model)
    @rule()
    def get(self) -> None:
        assert self.queue.get_nowait() is self.model.pop(0)

    @precondition(lambda self: not self.model)
    @rule()
    def get_nothing(self) -> None:
        with pytest.raises(queue.Empty):
            self.queue.get(timeout=0)

    @rule()
    def take_all(self) -> None:
        taken: deque[Any] = deque(["before"])
        self.queue.take_all(taken)
        assert list(taken) == ["before", *self.model]
        self.model.clear()

    @rule(number=st.integers(0, 6))
    def hold(self, number: int) -> None:
        self.held = number
        self.queue.count_unfinished(number, 0)

    @invariant()
    def the_same_waits(self) -> None:
        assert self.queue.qsize() == len(self.model)
        assert self.queue.empty() == (not self.model)
        assert self.queue.full() == (len(self.model) >= self.maxsize - self.held)


test_it_does_what_a_list_does = QueueAgainstList.TestCase


# -- many threads, signals and interrupts ------------------------------------------------------------------------------


def test_of_many_putters_each_keeps_its_order():
    """Eight threads put, one takes all at a time: nothing is lost or doubled, and each thread's order holds."""
    handoff, taken = WriterQueue(16), deque()

    def put(name: int) -> None:
        for number in range(400):
            handoff.put((name, number), timeout=DEADLINE)

    threads = [threading.Thread(target=put, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        handoff.take_all(taken)
    handoff.take_all(taken)

    assert [[number for owner, number in taken if owner == name] for name in range(8)] == [list(range(400))] * 8


def test_the_bound_is_over_by_one_a_thread_at_most():
    """Each putter may have looked before the others put, and no more than that."""
    handoff, most = WriterQueue(4), 0
    threads = [
        threading.Thread(target=lambda: [handoff.put(None, timeout=DEADLINE) for _ in range(100)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or not handoff.empty():
        most = max(most, handoff.qsize())
        if not handoff.empty():
            handoff.get()

    assert most <= 4 + 4


@pytest.mark.parametrize(
    "put",
    [
        lambda handoff: handoff.put(heavy()),
        put_heavy,
        lambda handoff: handoff.put(heavy(), timeout=1),
    ],
)
def test_an_interrupt_at_any_step_of_a_put_leaves_a_queue_that_works(put):
    """Wherever a Ctrl-C hits it, what is in is in once, what is taken makes room, and nothing counts for ever."""
    for step in count(1):
        handoff, taken = WriterQueue(2, max_bytes=HEAVY), deque()
        came_so_far = interrupted(step, lambda handoff=handoff: put(handoff))
        handoff.put_unbounded(["next"])
        handoff.take_all(taken)
        taken_sizes = [len(claim.pop()) for claim in taken]

        assert taken_sizes in ([4], [HEAVY, 4])
        assert handoff.has_room(2 * HEAVY)
        if not came_so_far:
            break


def test_an_interrupt_at_any_step_of_a_take_loses_nothing():
    """Wherever a Ctrl-C hits take_all, each command is in the queue or has arrived, in order."""
    for step in count(1):
        handoff, taken = WriterQueue(), deque()
        for number in range(5):
            handoff.put(number)
        put_heavy(handoff)
        came_so_far = interrupted(step, lambda handoff=handoff, taken=taken: handoff.take_all(taken))
        handoff.take_all(taken)

        assert list(taken) == [0, 1, 2, 3, 4, heavy()]
        if not came_so_far:
            break


def consumed(handoff: WriterQueue, taken: deque[Any], end: list[bool]) -> threading.Thread:
    """Start a thread that takes from *handoff*, now and then all at once, until there is something in *end*."""

    def work() -> None:
        while not end:
            try:
                taken.append(handoff.get(timeout=0.01))
            except queue.Empty:
                continue
            handoff.take_all(taken)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def storm_of_puts(handler: Callable[[WriterQueue], object], signals: int) -> None:
    """Put numbers while *handler* is called within put, and look what came out at the other end."""
    sys.setswitchinterval(1e-5)
    handoff, taken = WriterQueue(8), deque[Any]()
    end: list[bool] = []
    consumer = consumed(handoff, taken, end)
    numbers = count()
    sure = deque[int]()

    def action() -> None:
        number = next(numbers)
        handoff.put(number, timeout=DEADLINE)
        sure.append(number)

    storm(action, handler=lambda: handler(handoff), signals=signals)
    end.append(True)
    consumer.join(DEADLINE)
    handoff.take_all(taken)
    came = [number for number in taken if isinstance(number, int)]

    assert not consumer.is_alive()
    assert came == sorted(set(came)), "out of order, or doubled"
    assert set(sure) <= set(came), "lost"


def put_in_handlers() -> None:
    """Put from signal handlers that interrupt a put."""
    storm_of_puts(lambda handoff: handoff.put("from a handler", timeout=DEADLINE), signals=1_000)


def interrupt_puts() -> None:
    """Interrupt puts by Ctrl-C."""

    def ctrl_c(handoff: WriterQueue) -> None:
        raise KeyboardInterrupt

    storm_of_puts(ctrl_c, signals=1_000)


@pytest.mark.parametrize("attack", [put_in_handlers, interrupt_puts])
def test_a_storm_inside_put_neither_jams_nor_loses(attack):
    """A thousand signals whose handlers put, or raise as Ctrl-C does: no deadlock, nothing lost or doubled."""
    in_fresh_process(attack)


def test_a_finalizer_may_put():
    """A finalizer that the garbage collector runs inside a put may put as well."""
    handoff = WriterQueue()

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            handoff.put("from a finalizer")

    for _ in range(5_000):
        Cycle()
        handoff.put("item")

    assert handoff.qsize() >= 5_000


# -- counting what waits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "records"),
    [
        ([b"a line\n"], 1),
        (Batch([b"a\n", b"b\n", b"c\n"], 3), 3),
        (Gap(5), 1),
        (Barrier(Ack()), 0),
        (Barrier(Ack(), last=True), 0),
        (Filtered(4), 0),
    ],
    ids=["record", "batch", "gap", "flush", "shutdown", "filtered"],
)
def test_each_command_counts_as_the_records_that_it_holds(command, records):
    """A number of dropped records is one line; a flush and a number of filtered items are none."""
    assert 1 + surplus_of(command) == records
