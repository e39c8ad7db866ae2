"""Threads that act at the same moment: on free-threaded Python they run side by side, and one step becomes many.

With the interpreter's lock most of this holds by itself, so the tests say little there.
"""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
import sys
import sysconfig
import types
from collections.abc import Callable
from contextlib import suppress

import pytest
from helpers import DEADLINE, Disk, in_fresh_process, recorder_on, run_together, texts_in

import rolloutlog
from rolloutlog import Message, RolloutHandler, RolloutRecorder, _listing, session
from rolloutlog._item import unsettled
from rolloutlog._writing import registry
from rolloutlog._writing.workers import Workers
from rolloutlog.items import FunctionCall

pytestmark = pytest.mark.system

THREADS = 6


def import_all() -> None:
    """Import each module, with all that it imports, and say whether the interpreter's lock is on."""
    for module in pkgutil.walk_packages(rolloutlog.__path__, "rolloutlog."):
        with suppress(ImportError, AssertionError):  # of an extra that is not installed, or of another system
            importlib.import_module(module.name)
    sys.stdout.write(str(sys._is_gil_enabled()))  # type: ignore[attr-defined]


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="is about free-threaded Python")
def test_nothing_that_is_imported_turns_the_interpreters_lock_on():
    """An extension that does not support free threading would, and then the other tests would show nothing."""
    assert in_fresh_process(import_all) == str(os.environ.get("PYTHON_GIL") == "1")


def times(count: int, action: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls *action* so many times."""

    def repeat() -> None:
        for _ in range(count):
            action()

    return repeat


class Job:
    """A writer that has nothing to write."""

    def serve(self) -> None:
        """Do nothing."""


def test_writers_are_looked_through_while_others_begin_and_end():
    """Each look finds all that are there for the whole time."""
    workers: Workers[Job] = Workers()
    always = [Job() for _ in range(2_000)]
    looks = []

    def begin_and_end() -> None:
        job = Job()
        workers.begin(job)
        workers.end(job)

    for job in always:
        workers.begin(job)
    run_together(
        *[times(2_000, begin_and_end)] * 2,
        times(300, lambda: looks.append(len(set(workers.all_open()).intersection(always)))),
    )
    for job in always:
        workers.end(job)

    assert set(looks) == {2_000}


def test_a_child_ends_as_any_process_while_modules_are_imported(monkeypatch):
    """The search for libraries like multiprocessing looks through the modules that there are."""
    for number in range(2_000):
        monkeypatch.setitem(sys.modules, f"rolloutlog_tests_{number}", types.ModuleType("old"))

    def import_and_forget() -> None:
        for number in range(200):
            sys.modules[f"rolloutlog_tests_new_{number}"] = types.ModuleType("new")
        for number in range(200):
            del sys.modules[f"rolloutlog_tests_new_{number}"]

    run_together(times(10, import_and_forget), times(100, registry._end_with_child))


def test_what_waits_is_counted_exactly_while_many_threads_hand_over(tmp_path):
    """The report at the end of the interpreter depends on that count; a flush counts as no record."""
    disk = Disk()
    recorder = recorder_on(disk).create(tmp_path, queue_size=1_000_000)

    def hand_over() -> None:
        recorder.record(Message.user("a"), Message.user("b"), Message.user("c"))
        recorder.request_flush()
        recorder.record(Message.user("d"))

    disk.hold()
    try:
        recorder.record(Message.user("first"))
        assert disk.reached.wait(DEADLINE)
        run_together(*[times(150, hand_over)] * THREADS)
        lost = recorder._writer.lost()
    finally:
        disk.go_on()
        recorder.close()

    assert lost is not None
    assert lost.unwritten == 1 + THREADS * 150 * 4
    assert recorder._writer.lost() is None


def test_late_records_of_many_threads_are_all_counted_and_told_once(home, heard):
    """None of the threads finds the count of another one and keeps silent."""
    for _ in range(10):
        handler = RolloutHandler()
        logger = logging.Logger("app")
        logger.addHandler(handler)
        handler.shutdown()
        run_together(*[times(20, lambda logger=logger: logger.info("late"))] * THREADS)

        assert handler.late == THREADS * 20
    assert len(heard) == 10


def test_a_home_that_cannot_be_written_is_reported_once_by_many_threads(home, heard):
    """Each thread tries to start the session; the first failure is reported, and the count at the close."""
    reported = []

    class Handler(RolloutHandler):
        def handleError(self, record):
            reported.append(record)

    home.write_bytes(b"where a folder should be")
    with Handler() as handler:
        logger = logging.Logger("app")
        logger.addHandler(handler)
        run_together(*[times(10, lambda: logger.info("hello"))] * THREADS)

        assert handler.unstarted == THREADS * 10
    assert len(reported) == 1
    assert heard == [f"{THREADS * 10} records were not recorded, because no session could be started in {home}"]


def test_threads_that_close_a_handler_leave_no_session_open(home):
    """A record that resumes the session comes between two of them, which close it once each."""
    handler = RolloutHandler()
    logger = logging.Logger("app")
    logger.addHandler(handler)
    run_together(*[times(15, handler.close)] * 3, *[times(15, lambda name=name: logger.info(name)) for name in "abc"])
    handler.close()

    assert sorted(texts_in(handler.recorder.path)) == sorted("abc" * 15)
    assert not registry._workers.all_open()


def test_the_first_look_at_an_item_may_be_of_many_threads(home):
    """Each gets the same bytes and values; the item keeps one parse."""
    line = Message.user("hello").json + b"\n"
    for _ in range(60):
        item = unsettled(Message, line)
        found = []
        run_together(
            lambda item=item, found=found: found.append(item.json),
            lambda item=item, found=found: found.append(item.replace(role="user").json),
            lambda item=item, found=found: found.append(item.text and item.json),
        )

        assert set(found) == {line.strip()}


def load_in_threads(path: str) -> None:
    """Load a session in several threads, which is the first that this process reads."""
    items: list[list[str]] = []
    run_together(*[lambda: items.append([item.text for item in rolloutlog.load_session(path).items])] * THREADS)
    assert items == [["hello"]] * THREADS


def test_threads_may_be_the_first_that_read_a_session(home):
    """Converters and other values that are made at their first use may be made twice, which does no harm."""
    with session("one") as one:
        one.record(Message.user("hello"))
        one.log("with an entry")
        one.state = {"step": 1}

    in_fresh_process(load_in_threads, str(one.path))


def test_threads_that_list_folders_count_what_they_remember(home, monkeypatch):
    """There is room for half of the folders, and the size that is counted is that of the names that are remembered."""
    monkeypatch.setattr(_listing, "_GRAIN", -(10**12))  # as if the folders were old
    monkeypatch.setattr(_listing, "_BUDGET", 800)
    monkeypatch.setattr(_listing, "_remembered", {})  # without what other tests have listed
    monkeypatch.setattr(_listing, "_size", 0)
    for number in range(20):
        folder = home / str(number)
        folder.mkdir(parents=True)
        (folder / f"rollout-2025-07-23T15-03-26-{number:036}.jsonl").touch()
    folders = [str(home / str(number)) for number in range(20)]
    run_together(*[times(20, lambda: list(map(_listing.names_in, folders)))] * THREADS)

    assert 0 < len(_listing._remembered) < 20
    assert _listing._size == sum(_listing._size_of(listing) for _, listing in _listing._remembered.values())


def test_threads_begin_share_read_and_end_sessions_at_once(home):
    """All that was acknowledged is there, in the order of each thread, whatever the others do."""

    def work(thread: int) -> None:
        for number in range(12):
            with session(f"name {number % 3}", lock_timeout=DEADLINE) as one:
                one.record(Message.user(f"{thread} {number}"))
                assert f"{thread} {number}" in [item.text for item in one.items]
                one.state = {"thread": thread}
                assert isinstance(one.to_input(), list)

    run_together(*[lambda thread=thread: work(thread) for thread in range(THREADS)])

    texts = [item.text for number in range(3) for item in rolloutlog.load_session(f"name {number}").items]
    assert sorted(texts) == sorted(f"{thread} {number}" for thread in range(THREADS) for number in range(12))
    for thread in range(THREADS):
        for name in range(3):
            mine = [item.text for item in rolloutlog.load_session(f"name {name}").items]
            mine = [int(text.split()[1]) for text in mine if text.startswith(f"{thread} ")]
            assert mine == sorted(mine)
    assert not registry._workers.all_open()


def test_calls_are_answered_by_threads_while_others_look(home):
    """Looks at the items, the context and the open calls, while answers are recorded and turns are taken back."""
    with session("one") as one:

        def call(thread: int) -> None:
            for number in range(10):
                asked = FunctionCall("f", "{}", f"{thread}-{number}")
                one.record(asked)
                one.answer(asked, "done")

        def look() -> None:
            one.to_input()
            assert len(one.orphan_calls) <= THREADS
            assert len(one.context) <= len(one.items)

        run_together(*[lambda thread=thread: call(thread) for thread in range(THREADS)], *[times(30, look)] * 2)

        assert one.orphan_calls == []
        assert len(one.items) == THREADS * 20
        assert [item.json for item in one.items] == [item.json for item in rolloutlog.load_session("one").items]


def test_one_recorder_may_be_closed_by_many_threads(home):
    """Each close returns when all is on disk."""
    for _ in range(10):
        recorder = RolloutRecorder.create()
        recorder.record(Message.user("hello"))
        run_together(*[recorder.close] * THREADS)

        assert texts_in(recorder.path) == ["hello"]
    assert not registry._workers.all_open()
