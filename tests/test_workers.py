"""The threads that serve all writers: few of them, none for idle sessions, and more only while all are stuck."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from helpers import DEADLINE, eventually

from rolloutlog._writing import workers as module
from rolloutlog._writing.workers import Workers

pytestmark = pytest.mark.system


class Job:
    """A writer that does *action* when it is served, and says how often it was."""

    def __init__(self, action: Callable[[], object] = lambda: None) -> None:
        self.action = action
        self.served = queue.SimpleQueue[int]()

    def serve(self) -> None:
        self.action()
        self.served.put(threading.get_ident())

    def wait(self) -> int:
        """Wait until it was served again; return the number of the thread."""
        return self.served.get(timeout=DEADLINE)


class Stuck(Job):
    """A writer that is stuck when it is served, until it is let go."""

    def __init__(self) -> None:
        self.reached, self.let_go = threading.Event(), threading.Event()
        super().__init__(lambda: (self.reached.set(), self.let_go.wait(DEADLINE)))


@pytest.fixture
def workers() -> Iterator[Workers[Job]]:
    """Threads of this test, which have ended at its end."""
    workers: Workers[Job] = Workers()
    yield workers
    for job in workers.all_open():
        if isinstance(job, Stuck):
            job.let_go.set()
        workers.end(job)
    eventually(lambda: workers.are_gone)


def begun(workers: Workers[Job], *jobs: Job) -> None:
    for job in jobs:
        workers.begin(job)


def test_a_writer_that_is_woken_is_served(workers):
    """It is served by a daemon thread, which does not keep the process alive."""
    job = Job()
    begun(workers, job)
    workers.wake(job)
    ident = job.wait()

    (thread,) = [thread for thread in threading.enumerate() if thread.ident == ident]
    assert thread.daemon
    assert thread.name == "rolloutlog writer"


def test_idle_writers_need_no_threads_of_their_own(workers):
    """Five hundred open writers that wait for nothing have one thread together."""
    before = threading.active_count()
    begun(workers, *(Job() for _ in range(500)))

    assert threading.active_count() <= before + 1


def test_many_ready_writers_are_served_by_few_threads(workers):
    """Each of two hundred writers is served, by no more threads than work at once and a spare one."""
    jobs = [Job() for _ in range(200)]
    begun(workers, *jobs)
    for job in jobs:
        workers.wake(job)
    idents = {job.wait() for job in jobs}

    assert len(idents) <= module._MOST_BUSY + 1


def test_a_stuck_writer_does_not_stall_the_others(workers):
    """With one writer stuck, another is served."""
    stuck, other = Stuck(), Job()
    begun(workers, stuck, other)
    workers.wake(stuck)
    assert stuck.reached.wait(DEADLINE)
    workers.wake(other)

    assert other.wait()


def test_threads_grow_while_all_are_stuck(workers):
    """However many writers are stuck, the next one is served."""
    stuck = [Stuck() for _ in range(3 * module._MOST_BUSY)]
    other = Job()
    begun(workers, *stuck, other)
    for job in stuck:
        workers.wake(job)
    for job in stuck:
        assert job.reached.wait(DEADLINE)
    workers.wake(other)

    assert other.wait()


def test_threads_that_are_not_needed_any_more_end(workers, monkeypatch):
    """After a time in which many were stuck, one is left for all writers that are open."""
    monkeypatch.setattr(module, "_IDLE", 0.01)
    stuck = [Stuck() for _ in range(2 * module._MOST_BUSY)]
    begun(workers, *stuck)
    for job in stuck:
        workers.wake(job)
    for job in stuck:
        assert job.reached.wait(DEADLINE)
    for job in stuck:
        job.let_go.set()

    eventually(lambda: len(workers._threads) == 1 and not workers._spare)


def test_all_threads_end_with_the_last_writer(workers):
    """A process that has closed its sessions has no thread of ours; the next session starts one."""
    first, second = Job(), Job()
    begun(workers, first, second)
    for job in (first, second):
        workers.wake(job)
        job.wait()
        workers.end(job)
    eventually(lambda: workers.are_gone)
    third = Job()
    begun(workers, third)
    workers.wake(third)

    assert third.wait()


def test_a_writer_is_served_again_at_its_time(workers):
    """Without being woken, once for each time that was asked for while none was due."""
    job = Job()
    begun(workers, job)
    moment = time.monotonic() + 0.02
    for _ in range(3):
        workers.wake_at(moment, job)
    job.wait()
    at = time.monotonic()
    workers.wake_at(at, job)
    job.wait()

    assert at >= moment
    assert job.served.empty()


def test_a_retry_that_comes_first_is_not_kept_waiting_by_a_later_one(workers):
    """Also where all threads wait for something else already."""
    late, early = Job(), Job()
    begun(workers, late, early)
    workers.wake_at(time.monotonic() + 10 * DEADLINE, late)
    workers.wake_at(time.monotonic(), early)

    assert early.wait()
    assert late.served.empty()


def test_a_retry_is_not_kept_waiting_by_a_stuck_thread(workers):
    """The thread that waited for the time of the retry was given another writer, which is stuck."""
    stuck, retrying = Stuck(), Job()
    begun(workers, stuck, retrying)
    workers.wake_at(time.monotonic() + 0.05, retrying)
    workers.wake(stuck)
    assert stuck.reached.wait(DEADLINE)

    assert retrying.wait()


def test_without_threads_a_writer_hears_it(workers):
    """Where the system starts no thread, and there is none, the writer must be served by its callers."""
    threading.stack_size(1 << 47)
    try:
        with pytest.raises(RuntimeError):
            workers.begin(Job())
    finally:
        threading.stack_size(0)

    assert workers.are_gone


def test_threads_that_exist_serve_where_no_more_can_be_started(workers):
    """A second writer is served by the first one's thread."""
    first, second = Job(), Job()
    workers.begin(first)
    workers.wake(first)
    first.wait()
    threading.stack_size(1 << 47)
    try:
        workers.begin(second)
        workers.wake(second)
        served = second.wait()
    finally:
        threading.stack_size(0)

    assert served


def test_a_thread_may_stay_until_another_writer_is_ready():
    """The only thread stays with the only writer; when another one is ready it must leave."""
    workers: Workers[Job] = Workers()
    workers._open.add(Job())
    workers._threads.add(1)
    alone = workers.may_stay()
    workers.wake(Job())

    assert (alone, workers.may_stay()) == (True, False)


def test_staying_ends_when_no_command_comes(workers, monkeypatch):
    """The thread is free for others after a short time."""
    monkeypatch.setattr(module, "_STAY", 0.01)

    with pytest.raises(queue.Empty):
        workers.stay(queue.SimpleQueue())
    assert not workers._staying


def test_only_so_many_threads_stay(workers, monkeypatch):
    """While as many threads stay with their writers as may, no other may; once they have left, one may again."""
    monkeypatch.setattr(module, "_MOST_STAYING", 2)
    monkeypatch.setattr(module, "_STAY", DEADLINE)
    begun(workers, Job())
    eventually(workers.may_stay)
    queues = [queue.Queue[object]() for _ in range(2)]
    threads = [threading.Thread(target=workers.stay, args=(commands,), daemon=True) for commands in queues]
    for thread in threads:
        thread.start()
    eventually(lambda: not workers.may_stay())
    for commands, thread in zip(queues, threads, strict=True):
        commands.put(None)
        thread.join(DEADLINE)

    assert workers.may_stay()
