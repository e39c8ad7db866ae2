"""bound() in generators, tasks, threads and executors: it never raises, and each record lands in the right file."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import logging
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers import DEADLINE, run_together, start, texts_in

from rolloutlog import RolloutHandler, RolloutRecorder, session
from rolloutlog._binding import _of_generators


@pytest.fixture
def handler():
    """A handler that begins its session at the first record, closed at the end."""
    handler = RolloutHandler()
    yield handler
    handler.close()


@pytest.fixture
def log(handler):
    """The log function of a logger with the handler on it."""
    logger = logging.Logger("app")
    logger.addHandler(handler)
    return logger.info


@pytest.fixture
def one():
    """The session of a conversation."""
    with session("one") as opened:
        yield opened


@pytest.fixture
def two():
    """The session of another conversation."""
    with session("two") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """After each test no generator is known."""
    yield
    if _of_generators:
        gc.collect()
    assert _of_generators == {}


def recorded(*places: object) -> list[list[str]]:
    """Return what is in each of *places*, sessions or the handler; nothing if a handler began no session."""
    texts = []
    for place in places:
        recorder = place.recorder
        if recorder is not None:
            recorder.flush()
        texts.append([] if recorder is None else texts_in(recorder.path))
    return texts


# -- generators that are iterated --------------------------------------------------------------------------------------


def stream(session, log, name: str, count: int = 3) -> Iterator[int]:
    """Log within a session, between the parts of an answer."""
    with session.bound():
        for part in range(count):
            log(f"{name} {part}")
            yield part
        log(f"{name} ends")


async def answer(session, log, name: str, count: int = 3) -> AsyncIterator[int]:
    """Log within a session, between the parts of an answer, and let other tasks run."""
    with session.bound():
        for part in range(count):
            log(f"{name} {part}")
            await asyncio.sleep(0)
            log(f"{name} {part} again")
            yield part


def test_a_stream_binds_itself_and_not_its_reader(handler, log, one):
    """A record of the loop, between two parts, is not part of the stream."""
    for part in stream(one, log, "a", 2):
        log(f"read {part}")
    log("after")

    assert recorded(one, handler) == [["a 0", "a 1", "a ends"], ["read 0", "read 1", "after"]]


def test_the_reader_of_a_stream_may_be_bound_itself(log, one, two):
    """Each of both logs to its own session."""
    with two.bound():
        for part in stream(one, log, "a", 2):
            log(f"read {part}")
        log("after")

    assert recorded(one, two) == [["a 0", "a 1", "a ends"], ["read 0", "read 1", "after"]]


def test_streams_that_are_read_by_turns_do_not_mix(log, handler, one, two):
    """Both are open in the same context, and one ends before the other."""
    for _ in zip(stream(one, log, "a", 2), stream(two, log, "b", 3), strict=False):
        log("read")
    log("after")

    assert recorded(one, two) == [["a 0", "a 1", "a ends"], ["b 0", "b 1"]]
    assert recorded(handler) == [["read", "read", "after"]]


def test_a_generator_around_a_stream_is_its_reader(log, handler, one):
    """With a loop or with `yield from`."""

    def looping() -> Iterator[int]:
        for part in stream(one, log, "a", 1):
            log("looping")
            yield part

    def delegating() -> Iterator[int]:
        yield from stream(one, log, "b", 1)

    for _ in looping():
        log("read")
    for _ in delegating():
        log("read")

    assert recorded(one, handler) == [["a 0", "a ends", "b 0", "b ends"], ["looping", "read", "read"]]


def test_a_stream_within_a_stream_is_the_inner_one(log, one, two):
    """Also if the inner one began first."""
    inner = stream(two, log, "b", 3)
    next(inner)

    def outer() -> Iterator[int]:
        with one.bound():
            for _ in inner:
                log("outer")
                yield 1

    for _ in outer():
        pass

    assert recorded(one, two) == [["outer", "outer"], ["b 0", "b 1", "b 2", "b ends"]]


def test_a_block_within_a_stream_counts(log, one, two):
    """In the generator, in what it calls, and in a block that is open around the next step of it."""

    def nested() -> Iterator[int]:
        with one.bound():
            with two.bound():
                log("nested")
            called()
            yield 1
            log("again")

    def called() -> None:
        with two.bound():
            log("called")

    parts = nested()
    next(parts)
    with two.bound():
        next(parts, None)

    assert recorded(one, two) == [["again"], ["nested", "called"]]


def test_a_stream_that_is_left_half_way_binds_nothing_else(log, handler, one):
    """Neither while it is kept nor when it is closed."""
    parts = stream(one, log, "a")
    for _ in parts:
        break
    log("left")
    parts.close()
    log("closed")

    assert recorded(one, handler) == [["a 0"], ["left", "closed"]]


def test_a_stream_may_be_closed_by_another_thread(log, handler, one):
    """Which has another context; and the first one is no longer bound."""
    parts = [stream(one, log, "a")]
    next(parts[0])
    run_together(parts.clear)
    log("after")

    assert recorded(one, handler) == [["a 0"], ["after"]]


def test_the_garbage_collector_may_close_a_stream(log, handler, one):
    """In the context of any code, here of a thread."""
    cycle: list[object] = []
    parts = stream(one, log, "a")
    next(parts)
    cycle += [cycle, parts]
    del cycle, parts
    run_together(gc.collect)
    log("after")

    assert recorded(one, handler) == [["a 0"], ["after"]]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "in another context"])
def test_the_error_of_the_program_is_raised(log, one, elsewhere):
    """Nothing of ours covers it."""
    parts = stream(one, log, "a")
    next(parts)
    run = contextvars.copy_context().run if elsewhere else (lambda call, *arguments: call(*arguments))

    with pytest.raises(KeyError, match="mine"):
        run(parts.throw, KeyError("mine"))


def test_each_step_may_run_in_another_thread(log, handler, one, two):
    """As web frameworks read a generator: each step in a thread of a pool, with a copy of the context."""
    readers = stream(one, log, "a", 4), stream(two, log, "b", 4)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            steps = [pool.submit(contextvars.copy_context().run, next, parts, None) for parts in readers]
            for step in steps:
                step.result(DEADLINE)
            log("read")

    assert recorded(one, two) == [[f"{name} {part}" for part in (0, 1, 2, 3, "ends")] for name in "ab"]
    assert recorded(handler) == [["read"] * 5]


# -- asynchronous generators and tasks ---------------------------------------------------------------------------------


def test_a_stream_that_another_task_closes_raises_nothing(log, handler, one):
    """And the task that left it is not bound any more."""

    async def main() -> None:
        parts = answer(one, log, "a")
        await anext(parts)
        await asyncio.create_task(parts.aclose())
        log("after")

    asyncio.run(main())

    assert recorded(one, handler) == [["a 0", "a 0 again"], ["after"]]


def test_a_stream_that_is_left_is_closed_by_the_loop(log, handler, one):
    """Its reader has left; the loop closes it in a task of its own, without an error."""
    failed: list[object] = []

    async def leave() -> None:
        async for _ in answer(one, log, "a"):
            break

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))
        await leave()
        log("left")
        for _ in range(3):
            await asyncio.sleep(0)
        log("closed")

    asyncio.run(main())

    assert failed == []
    assert recorded(one, handler) == [["a 0", "a 0 again"], ["left", "closed"]]


def test_the_error_of_the_program_is_raised_from_another_task(log, one):
    """Not one about contexts."""

    async def main() -> None:
        parts = answer(one, log, "a")
        await anext(parts)
        await asyncio.create_task(parts.athrow(KeyError("mine")))

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(main())


def test_streams_of_one_task_do_not_mix(log, handler, one, two):
    """Read by turns, within a binding of the reader or without one."""

    async def read(first: AsyncIterator[int], second: AsyncIterator[int]) -> None:
        async for _ in first:
            log("read")
            await anext(second, None)
            log("read")

    async def main() -> None:
        await read(answer(one, log, "a", 2), answer(two, log, "b", 3))

    asyncio.run(main())

    assert recorded(handler) == [["read"] * 4]
    for place, name in ((one, "a"), (two, "b")):
        assert recorded(place) == [[f"{name} {part}{more}" for part in range(2) for more in ("", " again")]]


def test_tasks_that_a_stream_starts_belong_to_it(log, handler, one):
    """Also while it waits for its reader."""

    async def tool(ready: asyncio.Event) -> None:
        log("tool begins")
        await ready.wait()
        log("tool ends")

    async def working(ready: asyncio.Event) -> AsyncIterator[int]:
        with one.bound():
            task = asyncio.create_task(tool(ready))
            await asyncio.sleep(0)
            yield 1
            await task

    async def main() -> None:
        ready = asyncio.Event()
        async for _ in working(ready):
            ready.set()
            for _ in range(3):
                await asyncio.sleep(0)
            log("read")

    asyncio.run(main())

    assert recorded(one, handler) == [["tool begins", "tool ends"], ["read"]]


def test_a_task_counts_more_than_the_block_around_the_loop(log, one, two):
    """A program is bound as a whole, each of its tasks to a session of its own."""

    async def main() -> None:
        with two.bound():
            task = asyncio.create_task(conversation())  # outlives the block
        await task
        log("main")

    async def conversation() -> None:
        await asyncio.sleep(0)
        log("conversation")

    with one.bound():
        asyncio.run(main())

    assert recorded(one, two) == [["main"], ["conversation"]]


def test_a_task_that_a_stream_starts_may_be_bound_again(log, one, two):
    """The loop of the tasks may even run inside a generator."""

    async def conversation() -> None:
        with two.bound():
            await asyncio.sleep(0)
            log("conversation")

    def running() -> Iterator[int]:
        with one.bound():
            asyncio.run(conversation())
            log("running")
            yield 1

    for _ in running():
        pass

    assert recorded(one, two) == [["running"], ["conversation"]]


def test_a_loop_runs_what_a_thread_binds(log, handler, one):
    """to_thread() copies the context, an executor does not."""

    async def main() -> None:
        with one.bound():
            await asyncio.to_thread(log, "to_thread")
            await asyncio.get_running_loop().run_in_executor(None, contextvars.Context().run, log, "executor")

    asyncio.run(main())

    assert recorded(one, handler) == [["to_thread"], ["executor"]]


# -- generators that are context managers ------------------------------------------------------------------------------


@contextlib.contextmanager
def conversation(session) -> Iterator[None]:
    """A context manager of the program's, as contextlib makes it."""
    with session.bound():
        yield


@contextlib.asynccontextmanager
async def asynchronous(session) -> AsyncIterator[None]:
    """The same for `async with`."""
    await asyncio.sleep(0)
    with session.bound():
        yield
    await asyncio.sleep(0)


def test_a_context_manager_made_of_a_generator_binds_its_block(log, handler, one, two):
    """Also within another binding, in a stream, and on an exit stack."""

    def reading() -> Iterator[int]:
        with conversation(one):
            log("stream")
            yield 1

    with two.bound(), conversation(one):
        log("with")
    with contextlib.ExitStack() as stack:
        stack.enter_context(conversation(one))
        stack.enter_context(one.bound())
        log("stack")
    for _ in reading():
        log("read")

    assert recorded(one, two, handler) == [["with", "stack", "stream"], [], ["read"]]


def test_an_asynchronous_one_does_so_too(log, handler, one, two):
    """And in an asynchronous stream it binds the stream."""

    async def reading() -> AsyncIterator[int]:
        async with asynchronous(one):
            log("stream")
            yield 1

    async def main() -> None:
        with two.bound():
            async with asynchronous(one), contextlib.AsyncExitStack() as stack:
                log("with")
                await stack.enter_async_context(asynchronous(two))
                log("stack")
        async for _ in reading():
            log("read")

    asyncio.run(main())

    assert recorded(one, two, handler) == [["with", "stream"], ["stack"], ["read"]]


def test_a_generator_that_is_continued_by_hand_binds_what_follows(log, handler, one):
    """So do fixtures of pytest, and what frameworks provide: one call begins the block, another one ends it."""

    def provided() -> Iterator[None]:
        with one.bound():
            yield

    def setup(generator: Iterator[None]) -> None:
        next(generator)

    block = provided()
    setup(block)
    log("inside")
    next(block, None)
    log("after")

    assert recorded(one, handler) == [["inside"], ["after"]]


# -- the object itself -------------------------------------------------------------------------------------------------


def test_blocks_may_end_in_any_order(log, handler, one, two):
    """The one that is still open counts."""
    first, second = one.bound(), two.bound()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    log("second")
    second.__exit__(None, None, None)
    second.__exit__(None, None, None)
    log("after")

    assert recorded(one, two, handler) == [[], ["second"], ["after"]]


def test_it_is_entered_once(one):
    """Like every context manager that a generator makes."""
    block = one.bound()
    with block:
        pass

    with pytest.raises(RuntimeError, match="call it again for each `with`"):
        block.__enter__()


def test_it_is_a_decorator(log, one):
    """For a function that may be called any number of times."""

    @one.bound()
    def work() -> None:
        log("work")

    work()
    work()

    assert recorded(one) == [["work", "work"]]


def test_it_gives_the_recorder(one):
    """As before: the recorder of the session."""
    with one.bound() as bound:
        assert bound is one.recorder


def test_what_was_bound_is_not_kept(log):
    """After the block nothing holds the recorder, also if it ended in another context and another block followed."""
    recorder = RolloutRecorder.create()
    parts = stream(recorder, log, "a")
    next(parts)
    contextvars.copy_context().run(parts.close)
    recorder.close()
    gone = weakref.ref(recorder)
    del parts, recorder
    with RolloutRecorder.create() as other, other.bound():
        log("other")
    gc.collect()

    assert gone() is None


def test_a_block_that_is_never_left_ends_with_its_object(log, handler, one):
    """A generator that entered it by hand may be gone, and its frame be another one's."""

    def careless() -> Iterator[int]:
        block = one.bound()
        block.__enter__()
        yield 1

    for _ in careless():
        pass
    log("after")

    assert recorded(one, handler) == [[], ["after"]]


# -- threads -----------------------------------------------------------------------------------------------------------


def log_in_a_thread() -> None:
    """Start a thread within bound(), and print where its record is."""
    handler = RolloutHandler()
    logger = logging.Logger("app")
    logger.addHandler(handler)
    with session("one") as one, one.bound():
        thread = threading.Thread(target=logger.info, args=("threaded",))
        thread.start()
        thread.join()
    handler.close()
    sys.stdout.write("bound" if texts_in(one.path) == ["threaded"] else "unbound")


@pytest.mark.parametrize("inherits", [None, 0, 1])
def test_a_thread_is_bound_where_threads_inherit_contexts(inherits, monkeypatch):
    """That is a flag of the interpreter since Python 3.14; free-threaded Python sets it."""
    if inherits is not None:
        monkeypatch.setenv("PYTHON_THREAD_INHERIT_CONTEXT", str(inherits))  # older Pythons ignore it
    if sys.version_info < (3, 14):
        expected = "unbound"
    else:
        is_set = sys.flags.thread_inherit_context if inherits is None else inherits
        expected = "bound" if is_set else "unbound"
    process = start(log_in_a_thread)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, expected, "")


def log_in_a_pool() -> None:
    """Log from one thread of a pool for two sessions, the second of which hands over its context."""
    handler = RolloutHandler()
    logger = logging.Logger("app")
    logger.addHandler(handler)
    with session("one") as one, session("two") as two, ThreadPoolExecutor(1) as pool:
        with one.bound():
            pool.submit(logger.info, "from one").result()
        with two.bound():
            pool.submit(logger.info, "from two").result()
            pool.submit(contextvars.copy_context().run, logger.info, "handed over").result()
    handler.close()
    own = [] if handler.recorder is None else texts_in(handler.recorder.path)
    sys.stdout.write(repr([texts_in(one.path), texts_in(two.path), own]))


@pytest.mark.parametrize("inherits", [0, 1])
def test_a_thread_of_a_pool_is_bound_as_it_was_started(inherits, monkeypatch):
    """Not as it got its work, unless that brings its context: a pool that is started outside is bound to nothing."""
    if inherits and sys.version_info < (3, 14):
        pytest.skip("threads of older Pythons inherit no context")
    monkeypatch.setenv("PYTHON_THREAD_INHERIT_CONTEXT", str(inherits))
    process = start(log_in_a_pool)
    printed, errors = process.communicate(timeout=DEADLINE)

    logged = ["from one", "from two"]
    expected = [logged, ["handed over"], []] if inherits else [[], ["handed over"], logged]
    assert (process.returncode, printed, errors) == (0, repr(expected), "")


def leave_a_stream_open() -> None:
    """End the program with streams that were not read to their end."""
    logging.getLogger().addHandler(RolloutHandler())
    one = session("one")
    parts = stream(one, logging.warning, "a")
    next(parts)
    kept = stream(one, logging.warning, "b")
    for _ in kept:
        break
    cycle: list[object] = [kept]
    cycle.append(cycle)
    globals().update(parts=parts, cycle=cycle)


def test_the_end_of_the_program_closes_streams_in_silence():
    """Nothing is left by then that could complain."""
    process = start(leave_a_stream_open)
    printed, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, printed, errors) == (0, "", "")


def test_many_streams_in_many_threads_do_not_mix(log, one, two):
    """Threads that iterate streams of two sessions at the same time."""

    def read(session, name: str) -> None:
        with warnings.catch_warnings():
            for _ in stream(session, log, name, 50):
                log("read")

    run_together(*(lambda place=place, name=name: read(place, name) for place, name in [(one, "a"), (two, "b")] * 2))

    texts = recorded(one, two)
    assert [len(each) for each in texts] == [102, 102]
    assert [{text.split()[0] for text in each} for each in texts] == [{"a"}, {"b"}]
