"""Recording in an event loop: each wait can be awaited, and does not block the loop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading

import pytest
from helpers import DEADLINE, Disk, in_fresh_process, recorder_on, start, texts_in

import rolloutlog
from rolloutlog import Ack, Message, RolloutRecorder, load_session, session
from rolloutlog.exceptions import InvalidItemError, QueueFullError, RecorderClosedError, WriteError

NAME = "trip-to-rome"
USER = Message.user


@pytest.fixture
def disk(monkeypatch):
    """The disk on which sessions are made."""
    disk = Disk()
    monkeypatch.setattr(rolloutlog._session, "RolloutRecorder", recorder_on(disk))
    yield disk
    disk.is_full = False
    disk.go_on()


async def ticks(number: int) -> None:
    """Return after the loop has gone round *number* times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def waiting_for(ack: Ack, number: int) -> None:
    """Return when *number* tasks wait for *ack*."""
    while len(ack._waiters._locks) < number:
        await asyncio.sleep(0)


# -- an ack ------------------------------------------------------------------------------------------------------------


def test_an_ack_is_awaited_until_it_is_set():
    """It is set by another thread; nothing is left waiting."""

    async def main():
        ack = Ack()
        task = asyncio.ensure_future(ack)
        await waiting_for(ack, 1)
        before = task.done()
        threading.Thread(target=ack.set).start()
        await task
        return before, len(ack._waiters._locks)

    assert asyncio.run(main()) == (False, 0)


def test_an_ack_that_is_set_is_awaited_at_once():
    """Without going round the loop."""
    ack = Ack()
    ack.set()
    with pytest.raises(StopIteration):
        ack.__await__().send(None)


def test_an_awaited_ack_raises_its_error():
    """As `result` does."""
    ack = Ack()
    ack.error = WriteError("/x", 1, "no space")
    ack.set()

    with pytest.raises(WriteError):
        asyncio.run(ack.aresult())


@pytest.mark.parametrize("timeout", [0, 0.01, -1])
def test_a_wait_ends_at_its_timeout(timeout):
    """With the error of `result`."""
    ack = Ack()

    with pytest.raises(TimeoutError, match="no acknowledgement within"):
        asyncio.run(ack.aresult(timeout))
    assert not ack._waiters._locks


def test_a_wait_may_be_cancelled():
    """The ack forgets the task, other tasks still wait, and `wait_for` works as with everything else."""

    async def main():
        ack = Ack()
        tasks = [asyncio.ensure_future(ack) for _ in range(2)]
        await waiting_for(ack, 2)
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        left = len(ack._waiters._locks)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ack, 0.01)
        ack.set()
        await tasks[1]
        return left, tasks[0].cancelled()

    assert asyncio.run(main()) == (1, True)


def test_tasks_of_several_loops_wait_for_one_ack():
    """Each in its own thread."""
    ack, done = Ack(), []

    async def wait():
        await asyncio.gather(*[ack.aresult(DEADLINE) for _ in range(3)])
        done.append(True)

    threads = [threading.Thread(target=asyncio.run, args=(wait(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(ack._waiters._locks) < 12:
        assert all(thread.is_alive() for thread in threads)
    ack.set()
    for thread in threads:
        thread.join(DEADLINE)

    assert len(done) == 4


def test_a_loop_that_was_closed_before_the_ack_harms_no_other():
    """The thread that sets it wakes the others, and raises nothing."""
    ack = Ack()
    loop = asyncio.new_event_loop()
    task = loop.create_task(ack.aresult())
    loop.run_until_complete(waiting_for(ack, 1))
    loop.close()
    waiter = threading.Thread(target=ack.wait, args=(DEADLINE,))
    waiter.start()
    while len(ack._waiters._locks) < 2:
        assert waiter.is_alive()

    ack.set()
    waiter.join(DEADLINE)

    assert not waiter.is_alive()
    task._log_destroy_pending = False  # it is meant to be lost here
    del task
    gc.collect()


def test_a_wake_up_that_an_interrupt_cut_short_is_noticed():
    """The task looks from time to time."""
    ack = Ack()

    async def main():
        task = asyncio.ensure_future(ack.aresult(DEADLINE))
        await waiting_for(ack, 1)
        ack._is_set = True  # and an interrupt came before the wake-up
        await task

    asyncio.run(main())


def test_many_acks_need_no_threads():
    """A thousand records on their way, each awaited by a task of its own."""

    async def main():
        async with session(NAME) as opened:
            threads = threading.active_count()
            await asyncio.gather(*[opened.arecord(USER(str(number))) for number in range(1_000)])
            return threading.active_count() - threads

    assert asyncio.run(main()) <= 0
    assert sorted(texts_in(load_session(NAME).path), key=int) == [str(number) for number in range(1_000)]


def signals_while_it_waits() -> None:
    """Await acks in a loop while a signal handler records and waits, too."""
    with RolloutRecorder.create() as recorder:

        def handler(*_):
            recorder.record(USER("signal"))
            recorder.flush()
            signal.setitimer(signal.ITIMER_REAL, 0.0005)  # one at a time, however long it takes

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)

        async def main():
            for number in range(300):
                await recorder.arecord(USER(str(number)))
                await recorder.aflush()

        asyncio.run(main())
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
    sys.stdout.write(f"{len([text for text in texts_in(recorder.path) if text != 'signal'])}\n")


@pytest.mark.system
def test_a_signal_handler_may_record_while_a_task_waits():
    """Neither jams the other."""
    assert in_fresh_process(signals_while_it_waits) == "300\n"


# -- recording ---------------------------------------------------------------------------------------------------------


def test_a_session_is_recorded_in_a_loop():
    """As outside of one: an awaited record is in the file."""

    async def main():
        async with session(NAME) as opened:
            await opened.arecord({"role": "user", "content": "hello"})
            on_disk = texts_in(opened.path)
            call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"}
            await opened.arecord_response({"id": "resp_1", "output": [call]})
            await opened.aanswer(opened.orphan_calls[0], {"sky": "clear"})
            return on_disk, opened

    on_disk, opened = asyncio.run(main())

    assert on_disk == ["hello"]
    assert [item.type for item in opened.items] == ["message", "function_call", "function_call_output"]
    assert opened.items == load_session(NAME).items
    assert opened.recorder.lifecycle.name == "CLOSED"
    assert opened.responses[0].id == "resp_1"


def test_a_recorder_is_used_in_a_loop():
    """Handed over, flushed, closed."""

    async def main():
        async with RolloutRecorder.create() as recorder:
            await recorder.arecord(USER("hello"), USER("again"))
            await recorder.request_flush()
            await recorder.aflush()
            return recorder, texts_in(recorder.path)

    recorder, on_disk = asyncio.run(main())

    assert on_disk == ["hello", "again"]
    with pytest.raises(RecorderClosedError):
        asyncio.run(recorder.arecord(USER("late")))


def test_the_loop_runs_while_the_disk_is_busy(disk):
    """A task that waits for the disk holds up no other task."""

    async def main():
        async with session(NAME) as opened:
            disk.hold()
            task = asyncio.ensure_future(opened.arecord(USER("hello")))
            assert await asyncio.to_thread(disk.reached.wait, DEADLINE)
            await ticks(100)
            seen = task.done(), [item.text for item in opened.items]
            disk.go_on()
            await task
            return seen

    assert asyncio.run(main()) == (False, ["hello"])


def test_the_loop_runs_while_the_queue_is_full(disk):
    """Tasks wait until there is room; nothing is lost."""

    async def main():
        async with session(NAME, queue_size=1) as opened:
            disk.hold()
            tasks = [asyncio.ensure_future(opened.arecord(USER(str(number)))) for number in range(8)]
            assert await asyncio.to_thread(disk.reached.wait, DEADLINE)
            await ticks(100)
            on_their_way = len(opened.items)
            disk.go_on()
            await asyncio.gather(*tasks)
            return on_their_way, opened.path

    on_their_way, path = asyncio.run(main())

    assert on_their_way < 8
    assert sorted(texts_in(path)) == [str(number) for number in range(8)]


def test_a_full_queue_is_told_at_the_timeout(disk):
    """The record is not in the list then, nor in the file."""

    async def main():
        async with session(NAME, queue_size=1) as opened:
            disk.hold()
            refused = 0
            for number in range(6):
                try:
                    await opened.arecord(USER(str(number)), wait=False, timeout=0.02)
                except QueueFullError as error:
                    refused += 1
                    problem = str(error)
            shown = len(opened.items)
            disk.go_on()
        return refused, shown, problem, texts_in(opened.path)

    refused, shown, problem, texts = asyncio.run(main())

    assert refused > 0
    assert len(texts) == shown == 6 - refused
    assert "no room within 0.02 s" in problem


def test_a_thread_that_waits_for_room_does_not_block_the_loop(disk):
    """It holds the order of the session; a task waits for it asleep."""

    async def main():
        async with session(NAME, queue_size=1) as opened:
            disk.hold()
            thread = threading.Thread(target=lambda: [opened.record(USER("thread"), wait=False) for _ in range(6)])
            thread.start()
            assert await asyncio.to_thread(disk.reached.wait, DEADLINE)
            with pytest.raises(QueueFullError):
                await opened.arecord(USER("task"), timeout=0.05)
            disk.go_on()
            await opened.arecord(USER("task"))
            thread.join(DEADLINE)
        return texts_in(opened.path)

    texts = asyncio.run(main())

    assert sorted(texts) == ["task"] + ["thread"] * 6


def test_a_cancelled_record_is_in_the_file_or_not_in_the_list(disk):
    """Cancelled while it waits for the disk, it is recorded; while it waits for room, it is not."""

    async def main():
        async with session(NAME, queue_size=1) as opened:
            disk.hold()
            tasks = [asyncio.ensure_future(opened.arecord(USER(str(number)))) for number in range(5)]
            assert await asyncio.to_thread(disk.reached.wait, DEADLINE)
            await ticks(20)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            shown = [item.text for item in opened.items]
            disk.go_on()
        return shown, texts_in(opened.path)

    shown, texts = asyncio.run(main())

    assert 0 < len(shown) < 5
    assert texts == shown


def test_a_full_disk_is_told_and_nothing_is_lost(disk):
    """By the call that awaited it. With room again, the record is written."""

    async def main():
        async with session(NAME) as opened:
            disk.is_full = True
            with pytest.raises(WriteError):
                await opened.arecord(USER("hello"))
            disk.is_full = False
            await opened.recorder.aflush()
        return texts_in(opened.path)

    assert asyncio.run(main()) == ["hello"]


def test_a_close_that_is_cancelled_still_closes(disk):
    """Records that were handed over are written, by the threads that write."""

    async def main():
        opened = session(NAME)
        disk.hold()
        await opened.arecord(USER("hello"), wait=False)
        task = asyncio.ensure_future(opened.aclose())
        await ticks(20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        disk.go_on()
        await opened.recorder.shutdown()
        return opened

    opened = asyncio.run(main())

    assert opened.recorder.lifecycle.name == "CLOSED"
    assert texts_in(opened.path) == ["hello"]


def test_a_bad_item_raises_where_it_is_awaited():
    """Nothing of that call is recorded."""

    async def main():
        async with session(NAME) as opened:
            with pytest.raises(InvalidItemError):
                await opened.arecord(USER("hello"), {"role": "user"})
            return opened.items

    assert asyncio.run(main()) == []


def test_a_program_without_a_loop_does_not_import_asyncio():
    """It would double the time of the import."""
    assert in_fresh_process(imported) == "False\n"


def imported() -> None:
    """Say whether recording imports asyncio."""
    sys.modules.pop("asyncio", None)
    with RolloutRecorder.create() as recorder:
        recorder.record(USER("hello"))
        recorder.flush()
    sys.stdout.write(f"{'asyncio' in sys.modules}\n")


# -- killed ------------------------------------------------------------------------------------------------------------


def agents() -> None:
    """Record with ten tasks at once, and say which records were acknowledged, until this process is killed."""

    async def agent(opened, name):
        for number in range(1_000_000):
            await opened.arecord(USER(f"{name} {number}"))
            os.write(1, f"{name} {number}\n".encode())

    async def main():
        async with session(NAME) as opened:
            await asyncio.gather(*[agent(opened, name) for name in range(10)])

    asyncio.run(main())


@pytest.mark.system
def test_what_was_awaited_survives_a_kill():
    """Each acknowledged record is in the file, once, and those of one task are in their order."""
    process = start(agents)
    said = [process.stdout.readline() for _ in range(500)]
    process.kill()
    said += process.communicate(timeout=DEADLINE)[0].splitlines(keepends=True)
    acknowledged = [line.strip() for line in said if line.endswith("\n")]
    texts = texts_in(load_session(NAME).path) if load_session(NAME).skipped == [] else []

    assert set(acknowledged) <= set(texts)
    assert len(set(texts)) == len(texts)
    for name in range(10):
        of_one = [text for text in texts if text.startswith(f"{name} ")]
        assert of_one == [f"{name} {number}" for number in range(len(of_one))]
