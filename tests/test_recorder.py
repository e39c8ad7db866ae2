"""The recorder: what is recorded is on disk when it is acknowledged, and what cannot be recorded is said at once."""

from __future__ import annotations

import datetime as dt
import errno
import gc
import itertools
import json
import os
import queue
import resource
import sys
import threading
import types
import uuid
import warnings
from pathlib import Path

import pytest
from helpers import (
    DEADLINE,
    Disk,
    finish,
    in_fresh_process,
    lines_in,
    recorder_on,
    run_together,
    start,
    texts_in,
    values_in,
)

import rolloutlog
from rolloutlog import FunctionCall, LogEntry, Message, Other, RolloutRecorder, SessionStateSnapshot, _open
from rolloutlog._json import MAX_RECORDED
from rolloutlog._writing.commands import State
from rolloutlog._writing.writer import Writer
from rolloutlog.exceptions import (
    InvalidItemError,
    QueueFullError,
    RecorderClosedError,
    RedactionError,
    SessionExistsError,
    SessionOptionsError,
    WriteError,
)

HELLO = {"role": "user", "content": "hello"}
SECRET = "sk-0123456789"
ENTRY = LogEntry("2025-06-15T15:06:40.000Z", "INFO", "app", "it rains")
ID = str(uuid.UUID(int=7))


def hello(number: object) -> Message:
    """Return a message whose text is *number*."""
    return Message.user(str(number))


@pytest.fixture
def recorder():
    """A recorder of a new session, closed at the end."""
    with RolloutRecorder.create() as recorder:
        yield recorder


@pytest.fixture
def disk():
    """A disk that continues at the end, so that no writer of this test is left waiting."""
    disk = Disk()
    yield disk
    disk.is_full = False
    disk.go_on()


# -- a new session -----------------------------------------------------------------------------------------------------


def test_a_new_session_has_its_meta_line_at_once(recorder):
    """When create() returns, the file holds the meta line and nothing else."""
    (meta,) = values_in(recorder.path)

    assert meta == {"id": recorder.session.id, "timestamp": recorder.session.timestamp, "instructions": None}


def test_a_meta_that_is_too_long_to_be_read_again_makes_no_session(home):
    """Its error names no text."""
    with pytest.raises(InvalidItemError, match="session_meta: must not be longer than"):
        RolloutRecorder.create(instructions="x" * MAX_RECORDED)

    assert [path for path in home.rglob("*") if path.is_file()] == []


def test_the_file_lies_in_a_folder_of_its_day(recorder, home):
    """Folder and file name tell the time that the meta line tells, in UTC."""
    began = dt.datetime.fromisoformat(recorder.session.timestamp)

    folder = home / "sessions" / f"{began:%Y}" / f"{began:%m}" / f"{began:%d}"
    assert recorder.path == folder / f"rollout-{began:%Y-%m-%dT%H-%M-%S}-{recorder.session.id}.jsonl"


def test_instructions_and_free_keys_stand_in_the_meta_line():
    """The meta line keeps the system prompt, and after it the caller's own keys."""
    with RolloutRecorder.create(instructions="Be brief.", meta={"cwd": "/srv", "git": {"branch": "main"}}) as recorder:
        meta = values_in(recorder.path)[0]

    assert meta["instructions"] == "Be brief."
    assert (meta["cwd"], meta["git"]) == ("/srv", {"branch": "main"})


@pytest.mark.parametrize("meta", [{"when": dt.date(2025, 6, 15)}, {"id": ID}, {"type": "message"}])
def test_a_meta_that_cannot_be_written_leaves_nothing_behind(meta, home):
    """A meta that is not JSON, or would replace the line's own keys, raises before a file is made."""
    with pytest.raises(InvalidItemError):
        RolloutRecorder.create(meta=meta)

    assert not home.exists()


@pytest.mark.parametrize("given", [ID, ID.upper(), uuid.UUID(ID)])
def test_a_session_can_be_given_its_id(given):
    """An id comes as text, in either case, or as a UUID."""
    with RolloutRecorder.create(session_id=given) as recorder:
        assert recorder.session.id == ID


@pytest.mark.parametrize("given", ["", "../../etc/passwd", ID[:-1], f"{ID}\n", "trip-to-rome"])
def test_what_is_no_uuid_is_no_id(given, home):
    """Nothing that a caller passes as an id can lead out of the home."""
    with pytest.raises(ValueError, match="a session id is a UUID"):
        RolloutRecorder.create(session_id=given)

    assert not home.exists()


def test_an_id_is_taken_once():
    """The second session of the same id is refused, and the error tells where the first one is."""
    with RolloutRecorder.create(session_id=ID) as first, pytest.raises(SessionExistsError) as caught:
        RolloutRecorder.create(session_id=ID)

    assert (caught.value.session_id, caught.value.path) == (ID, first.path)


def test_threads_that_create_the_same_session_make_one_file(home):
    """Of those who begin at the same moment, one gets the session, and the others hear that it exists."""
    made = []

    def create() -> None:
        try:
            made.append(RolloutRecorder.create(session_id=ID))
        except SessionExistsError as error:
            made.append(error.path)

    run_together(create, create, create)

    (recorder,) = [each for each in made if isinstance(each, RolloutRecorder)]
    recorder.close()
    assert [each for each in made if each is not recorder] == [recorder.path] * 2
    assert list(home.rglob("*.jsonl")) == [recorder.path]


class Slow(Disk):
    """A disk on which *other* has all the time that it can use, just before a call is made for the first time."""

    def __init__(self, call: str, other: threading.Thread) -> None:
        super().__init__()
        self.call, self.other = call, other

    def __getattr__(self, name: str):
        if name == self.call and self.other.ident is None:
            self.other.start()
            self.other.join(0.2)
        return super().__getattr__(name)


def test_an_id_is_taken_once_also_by_those_who_begin_in_different_seconds(home, monkeypatch):
    """The names of their files differ, so it is not the file system that keeps them apart."""
    seconds = itertools.count(1_750_000_000)
    monkeypatch.setattr(_open, "time", types.SimpleNamespace(time=lambda: next(seconds)))
    raised = []

    def create() -> None:
        with pytest.raises(SessionExistsError) as caught:
            RolloutRecorder.create(session_id=ID)
        raised.append(caught.value)

    other = threading.Thread(target=create)
    recorder = recorder_on(Slow("link", other)).create(session_id=ID)
    other.join(DEADLINE)
    recorder.close()

    assert [error.path for error in raised] == list(home.rglob("*.jsonl")) == [recorder.path]


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o177, 0o777])
def test_files_and_folders_are_private(umask, home):
    """Whatever the umask, only the owner can read the file and enter the folders, at every level that we made."""
    before = os.umask(umask)
    try:
        RolloutRecorder.create().close()
    finally:
        os.umask(before)

    made = [home, *home.rglob("*")]
    assert len(made) == 6
    assert {oct(path.stat().st_mode & 0o777) for path in made} == {oct(0o600), oct(0o700)}
    assert [path.is_file() for path in made if path.stat().st_mode & 0o777 == 0o600] == [True]


def test_a_relative_home_stays_where_it_was(tmp_path, monkeypatch):
    """A program that goes elsewhere writes on in the same file."""
    monkeypatch.chdir(tmp_path)
    with RolloutRecorder.create("runs") as recorder:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        recorder.record(HELLO)

    assert texts_in(recorder.path) == ["hello"]
    assert list(tmp_path.rglob("*.jsonl")) == [recorder.path]


def test_a_session_resumed_by_a_relative_path_stays_where_it_is(recorder, tmp_path, monkeypatch):
    """The same holds for the path of a session that is resumed."""
    recorder.close()
    monkeypatch.chdir(recorder.path.parent)
    resumed, _ = RolloutRecorder.resume(recorder.path.name)
    with resumed:
        monkeypatch.chdir(tmp_path)
        resumed.record(HELLO)

    assert texts_in(recorder.path) == ["hello"]


def test_a_home_that_cannot_be_made_raises(tmp_path):
    """The caller gets the error of the system, and may continue without a record."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(NotADirectoryError):
        RolloutRecorder.create(tmp_path / "file")


def test_a_meta_line_that_cannot_be_written_leaves_no_file(disk, home):
    """On a full disk create() raises, and the file that was begun is gone."""
    disk.is_full = True

    with pytest.raises(OSError, match="No space left on device"):
        recorder_on(disk).create()

    assert [path for path in home.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("call", [RolloutRecorder.create, lambda **options: RolloutRecorder.resume(ID, **options)])
def test_a_misspelt_option_is_named_and_nothing_is_made(call, home):
    """create() and resume() look at their options before they look at the disk."""
    with pytest.raises(TypeError, match="did you mean 'on_full'"):
        call(on_ful="drop")

    assert not home.exists()


# -- recording ---------------------------------------------------------------------------------------------------------


class FromSdk:
    """An object of an SDK, which knows its wire form."""

    def to_dict(self) -> dict[str, object]:
        return {"type": "function_call", "name": "add", "arguments": "{}", "call_id": "c1", "status": "completed"}


def test_an_item_is_taken_in_every_form(recorder):
    """Our classes, wire dicts, the usual short form, and objects of an SDK."""
    wire = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "three"}]}
    recorder.record(Message.user("one"), HELLO, wire, FromSdk())
    recorder.flush()

    _, one, two, three, four = values_in(recorder.path)
    assert one["content"] == [{"type": "input_text", "text": "one"}]
    assert two["content"] == [{"type": "input_text", "text": "hello"}]
    assert three["content"] == wire["content"]
    assert (four["name"], four["status"]) == ("add", "completed")


@pytest.mark.parametrize("bad", [7, {"content": "no role"}, {"role": "user", "content": object()}, FromSdk])
def test_nothing_is_recorded_when_one_item_is_bad(recorder, bad):
    """An item that would not come back as it is raises on the line that recorded it, and takes its fellows along."""
    with pytest.raises(InvalidItemError):
        recorder.record(HELLO, bad, HELLO)
    recorder.flush()

    assert len(lines_in(recorder.path)) == 1


def test_what_is_changed_later_is_not_what_was_recorded(recorder):
    """The item is on its way when record() returns."""
    item = {"role": "user", "content": [{"type": "input_text", "text": "before"}]}
    recorder.record(item)
    item["content"][0]["text"] = "after"
    recorder.flush()

    assert texts_in(recorder.path) == ["before"]


def test_no_items_are_no_record(recorder):
    """Recording nothing, in any way of saying so, does nothing."""
    recorder.record()
    recorder.record_items(item for item in [])
    recorder.flush()

    assert len(lines_in(recorder.path)) == 1
    assert recorder.stats.accepted == 0


def test_items_of_one_call_stay_together(recorder):
    """Threads that record several items at once never find another's between them."""

    def record(name: str) -> None:
        for number in range(100):
            recorder.record_items(hello(f"{name}{number}{part}") for part in "abc")

    run_together(*(lambda name=name: record(name) for name in "xyz"))
    recorder.flush()

    texts = texts_in(recorder.path)
    groups = list(zip(texts[0::3], texts[1::3], texts[2::3], strict=True))
    assert all([text[-1] for text in group] == ["a", "b", "c"] for group in groups)
    assert all(len({text[:-1] for text in group}) == 1 for group in groups)
    assert [first for first, *_ in groups if first[0] == "x"] == [f"x{number}a" for number in range(100)]


def test_the_last_state_counts(recorder):
    """A state is a line of its own, and when the session is resumed the last one counts."""
    recorder.record_state({"step": 1})
    recorder.record_state(SessionStateSnapshot({"step": 2}))
    recorder.close()
    resumed, saved = RolloutRecorder.resume(recorder.path)
    resumed.close()

    assert values_in(recorder.path)[1:] == [{"record_type": "state", "step": 1}, {"record_type": "state", "step": 2}]
    assert saved.state == {"step": 2}


def test_a_state_may_be_empty(recorder):
    """As in the original, whose snapshot had no keys at all."""
    recorder.record_state()
    recorder.flush()

    assert values_in(recorder.path)[1:] == [{"record_type": "state"}]


def test_a_log_entry_is_recorded_beside_the_items(recorder):
    """It comes back as an entry of the log, and not as an item."""
    recorder.record_log(ENTRY)
    recorder.record(HELLO)
    recorder.close()

    saved = rolloutlog.load_session(recorder.path)
    assert saved.logs == [ENTRY]
    assert [item.text for item in saved.items] == ["hello"]


def test_an_other_with_nothing_in_it_is_never_written(recorder):
    """The original's mark that something was there is counted, and a kind that we do not know is written as it came."""
    recorder.record(Other(), {"type": "web_search_call", "id": "ws_1"}, Other({"type": "x", "y": [1]}))
    recorder.flush()

    assert values_in(recorder.path)[1:] == [{"type": "web_search_call", "id": "ws_1"}, {"type": "x", "y": [1]}]
    assert (recorder.stats.written, recorder.stats.filtered) == (2, 1)


def test_only_known_kinds_are_written_when_asked(home):
    """only_known filters what the original would have dropped, and counts it."""
    with RolloutRecorder.create(only_known=True) as recorder:
        recorder.record({"type": "web_search_call"}, HELLO, Other())
        recorder.record({"type": "web_search_call"})
        recorder.flush()

        assert texts_in(recorder.path) == ["hello"]
        assert (recorder.stats.written, recorder.stats.filtered) == (1, 3)


@pytest.mark.parametrize(
    "record",
    [
        lambda recorder: recorder.record(HELLO),
        lambda recorder: recorder.record_items([HELLO]),
        lambda recorder: recorder.record_state({"a": 1}),
        lambda recorder: recorder.record_log(ENTRY),
        lambda recorder: recorder.record(Other()),
    ],
)
def test_a_closed_recorder_takes_nothing(recorder, record):
    """Every way to record raises, and the file stays as it was."""
    recorder.close()

    with pytest.raises(RecorderClosedError) as caught:
        record(recorder)

    assert caught.value.path == recorder.path
    assert len(lines_in(recorder.path)) == 1


# -- acknowledgements --------------------------------------------------------------------------------------------------


def test_what_is_flushed_is_on_disk(recorder):
    """After flush() the file holds everything that was recorded before, without a close."""
    recorder.record(*map(hello, range(50)))
    recorder.flush()

    assert texts_in(recorder.path) == [str(number) for number in range(50)]


def test_a_flush_can_be_asked_for_and_waited_for_elsewhere(recorder):
    """request_flush() returns an event at once; once it is set without an error, the records are on disk."""
    recorder.record(HELLO)
    ack = recorder.request_flush()

    assert isinstance(ack, threading.Event)
    assert ack.wait(DEADLINE)
    assert ack.error is None
    assert texts_in(recorder.path) == ["hello"]


def test_shutdown_returns_an_event_and_always_the_same(recorder):
    """shutdown() asks and returns; the event tells that everything is written and the file is closed."""
    recorder.record(HELLO)
    ack = recorder.shutdown()

    assert isinstance(ack, threading.Event)
    assert recorder.shutdown() is ack
    assert ack.wait(DEADLINE)
    assert ack.error is None
    assert recorder.lifecycle is State.CLOSED
    assert texts_in(recorder.path) == ["hello"]


def test_closing_again_does_nothing(recorder):
    """close() may be called any number of times, and flush() after it says that all is well."""
    recorder.close()
    recorder.close()
    recorder.flush()

    assert recorder.lifecycle is State.CLOSED


def test_a_with_block_closes_the_recorder(recorder):
    """Leaving the block closes, also when it is left by an error."""

    def fail() -> None:
        with recorder:
            recorder.record(HELLO)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert recorder.lifecycle is State.CLOSED
    assert texts_in(recorder.path) == ["hello"]


def test_flush_tells_of_a_full_disk(disk):
    """flush() raises WriteError with the OSError as its cause, and the lines are kept."""
    with recorder_on(disk).create() as recorder:
        disk.is_full = True
        recorder.record(HELLO)

        with pytest.raises(WriteError) as caught:
            recorder.flush(timeout=5)

        assert caught.value.__cause__.errno == errno.ENOSPC
        assert caught.value.unwritten == recorder.stats.pending == 1
        disk.is_full = False


def test_records_are_written_in_order_when_space_comes_back(disk):
    """Nothing is lost by a disk that was full for a while, and `stats` forgets the error and keeps its count."""
    recorder = recorder_on(disk).create()
    disk.is_full = True
    for number in range(20):
        recorder.record(hello(number))
        recorder.request_flush().wait(DEADLINE)
    disk.is_full = False
    recorder.flush()

    assert texts_in(recorder.path) == [str(number) for number in range(20)]
    assert (recorder.stats.written, recorder.stats.pending, recorder.stats.error) == (20, 0, None)
    assert recorder.stats.failures >= 20
    recorder.close()


def test_close_says_what_is_unwritten_and_goes_on_trying(disk):
    """close() tries until its timeout, then raises; once there is space, closing again finds all written."""
    recorder = recorder_on(disk).create()
    disk.is_full = True
    recorder.record(HELLO, HELLO)
    assert recorder.request_flush().wait(DEADLINE)  # it has failed once, however busy the machine is

    with pytest.raises(WriteError) as caught:
        recorder.close(timeout=0.1)
    disk.is_full = False
    recorder.close()

    assert caught.value.unwritten == 2
    assert texts_in(recorder.path) == ["hello", "hello"]


def test_close_gives_up_in_time_when_the_disk_hangs(disk):
    """A write that never ends costs the caller the timeout and a TimeoutError, not its life."""
    recorder = recorder_on(disk).create()
    disk.hold()
    recorder.record(HELLO)

    with pytest.raises(TimeoutError):
        recorder.close(timeout=0.05)
    disk.go_on()
    recorder.close()

    assert texts_in(recorder.path) == ["hello"]


def record_beyond_the_limit() -> None:
    """Record more than the file may hold, raise the limit, and print what was said and what is there."""
    sys.dont_write_bytecode = True  # half of it would stay beside the source
    recorder = RolloutRecorder.create()
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
    recorder.record(*map(hello, range(100)))
    try:
        recorder.flush()
    except WriteError as error:
        sys.stdout.write(f"{errno.errorcode[error.__cause__.errno]} {error.unwritten}\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    recorder.close()
    sys.stdout.write(f"{texts_in(recorder.path) == [str(number) for number in range(100)]}\n")


def test_a_real_limit_is_heard_and_outlived():
    """The system's own refusal, with a write that stopped half-way, is cut back, told, and made good later."""
    printed = in_fresh_process(record_beyond_the_limit)

    assert printed.splitlines() == ["EFBIG 100", "True"]


# -- a full queue ------------------------------------------------------------------------------------------------------


def filled(disk, **options):
    """Return a recorder whose writer is held up on one record, with two more in its queue: there is no room."""
    recorder = recorder_on(disk).create(queue_size=2, **options)
    disk.hold()
    recorder.record(hello("first"))
    assert disk.reached.wait(DEADLINE)
    recorder.record(hello("second"))
    recorder.record(hello("third"))
    return recorder


def test_a_full_queue_raises_when_asked(disk):
    """With on_full="raise" the error is queue.Full too, and the record was not taken."""
    recorder = filled(disk, on_full="raise")

    with pytest.raises(queue.Full) as caught:
        recorder.record(hello("fourth"))
    disk.go_on()
    recorder.close()

    assert isinstance(caught.value, QueueFullError)
    assert texts_in(recorder.path) == ["first", "second", "third"]


def test_a_full_queue_drops_when_asked_and_says_so_in_the_file(disk):
    """With on_full="drop" a line in the place of what is missing says how much that is."""
    recorder = filled(disk, on_full="drop")
    recorder.record(hello("fourth"), hello("fifth"))
    recorder.record(hello("sixth"))
    disk.go_on()
    recorder.flush()
    recorder.record(hello("seventh"))
    recorder.close()

    gap = "3 records were dropped here: the queue was full"
    assert texts_in(recorder.path) == ["first", "second", "third", gap, "seventh"]
    stats = recorder.stats
    assert (stats.dropped, stats.accepted) == (3, stats.written + stats.pending + stats.dropped)


def test_a_full_queue_lets_callers_wait(disk):
    """By default the caller waits, and continues as soon as there is room."""
    recorder = filled(disk)
    waiting = threading.Thread(target=recorder.record, args=(hello("fourth"),))
    waiting.start()
    disk.go_on()
    waiting.join(DEADLINE)
    recorder.close()

    assert not waiting.is_alive()
    assert texts_in(recorder.path) == ["first", "second", "third", "fourth"]


def test_a_caller_waits_no_longer_than_it_said(disk):
    """When there is no room in time, record() raises, and the record was not taken."""
    recorder = filled(disk)

    with pytest.raises(QueueFullError, match="no room within"):
        recorder.record(hello("fourth"), timeout=0.05)
    disk.go_on()
    recorder.close()

    assert texts_in(recorder.path) == ["first", "second", "third"]


def test_nobody_waits_for_a_writer_that_cannot_write(disk):
    """While the writer is in error a full queue raises at once, and says why."""
    recorder = recorder_on(disk).create(queue_size=2)
    disk.is_full = True

    with pytest.raises(QueueFullError, match=r"ENOSPC"):
        fill(recorder, timeout=3600)
    disk.is_full = False
    recorder.close()


def fill(recorder: RolloutRecorder, timeout: float) -> None:
    """Record, and let the writer see it, as often as there is room for more than twice over."""
    for _ in range(10):
        recorder.record(HELLO, timeout=timeout)
        recorder.request_flush().wait(DEADLINE)


# -- forgotten ---------------------------------------------------------------------------------------------------------


def forget() -> Writer:
    """Record, and forget to close; return the writer."""
    recorder = RolloutRecorder.create()
    recorder.record(HELLO)
    return recorder._writer


def test_a_forgotten_recorder_warns_and_its_writer_ends():
    """Collected without a close, a recorder says so, and what it recorded is on disk."""
    with pytest.warns(ResourceWarning, match=r"unclosed rollout recorder .*\.jsonl"):
        writer = forget()
    writer.shutdown().result(DEADLINE)

    assert not writer.leases
    assert texts_in(writer.journal.path) == ["hello"]


def test_a_forgotten_recorder_ends_where_warnings_are_errors(monkeypatch):
    """A warning that is raised out of a finalizer goes nowhere, and the writer ends all the same."""
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        writer = forget()
        gc.collect()

    assert not writer.leases
    assert writer.state is not State.OPEN
    assert [hook.exc_type for hook in unraisable] == [ResourceWarning]


def test_a_closed_recorder_is_collected_without_a_word(recorder):
    """A recorder that is on its way to its end has been taken care of."""
    other = RolloutRecorder.create()
    other.shutdown()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del other
        gc.collect()

    recorder.close()


# -- several recorders on one session ----------------------------------------------------------------------------------


def test_recorders_of_one_process_share_the_session(recorder):
    """A cell that runs twice shares its session: the records of both are in the order in which they came."""
    recorder.record(hello(0))
    second, saved = RolloutRecorder.resume(recorder.path)
    for number in range(1, 7):
        (recorder, second)[number % 2].record(hello(number))
    second.close()
    recorder.flush()

    assert [item.text for item in saved.items] == ["0"]
    assert texts_in(recorder.path) == [str(number) for number in range(7)]


def test_the_session_stays_open_until_the_last_recorder_leaves(recorder):
    """Closing one of two brings its records to disk and leaves the other at work."""
    second, _ = RolloutRecorder.resume(recorder.path)
    second.record(hello("second"))
    second.close()
    after_second = texts_in(recorder.path)
    recorder.record(hello("first"))
    recorder.close()

    assert second.lifecycle is State.CLOSED
    assert after_second == ["second"]
    assert texts_in(recorder.path) == ["second", "first"]
    with pytest.raises(RecorderClosedError):
        second.record(HELLO)


def test_other_options_for_the_same_file_raise(recorder):
    """One file has one writer, and one set of options; the error names what differs."""
    with pytest.raises(SessionOptionsError) as caught:
        RolloutRecorder.resume(recorder.path, fsync="always", queue_size=7)

    recorder.record(HELLO)
    recorder.flush()
    assert caught.value.differing == ("queue_size", "fsync")
    assert texts_in(recorder.path) == ["hello"]


def test_each_recorder_redacts_for_itself(recorder):
    """One recorder may hide a text that another of the same session shows: each has its own hook."""
    second, _ = RolloutRecorder.resume(recorder.path, redact=lambda record: None)
    second.record(HELLO)
    second.close()
    recorder.record(hello("seen"))
    recorder.flush()

    assert texts_in(recorder.path) == ["seen"]


def test_threads_that_resume_the_same_session_share_it(recorder):
    """Of threads that resume it at the same moment, none finds it locked by its own process."""
    recorder.close()

    def resume_and_record() -> None:
        for _ in range(25):
            resumed, _ = RolloutRecorder.resume(recorder.path)
            resumed.record(HELLO)
            resumed.shutdown()  # and does not wait: the next one comes while this one ends

    sys.setswitchinterval(1e-5)
    try:
        run_together(*[resume_and_record] * 4)
    finally:
        sys.setswitchinterval(0.005)
    resumed, saved = RolloutRecorder.resume(recorder.path)
    resumed.close()

    assert len(saved.items) == 100


def test_who_resumes_a_session_that_is_being_closed_waits_for_that():
    """Between two recorders of one process, there is no moment at which the file is locked and has no writer."""
    resumed = []
    other = threading.Thread(target=lambda: resumed.append(RolloutRecorder.resume(recorder.path)[0]))
    recorder = recorder_on(Slow("unlock", other)).create()
    recorder.close()
    other.join(DEADLINE)

    assert len(resumed) == 1
    resumed[0].close()


# -- resuming ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        lambda recorder: recorder.path,
        lambda recorder: str(recorder.path),
        lambda recorder: recorder.session.id,
        lambda recorder: recorder.session.id[:8],
    ],
    ids=["path", "text", "id", "prefix"],
)
def test_a_session_is_resumed_by_what_names_it(recorder, name):
    """Its path, its id, or the beginning of its id: earlier records are read, and new ones are appended."""
    recorder.record(hello("before"))
    recorder.record_state({"step": 1})
    recorder.close()
    resumed, saved = RolloutRecorder.resume(name(recorder))
    with resumed:
        resumed.record(hello("after"))

    assert (saved.session_id, saved.session) == (recorder.session.id, recorder.session)
    assert [item.text for item in saved.items] == ["before"]
    assert saved.state == {"step": 1}
    assert texts_in(recorder.path) == ["before", "after"]
    assert sum("instructions" in value for value in values_in(recorder.path)) == 1


def test_a_session_is_looked_for_in_the_home_that_is_given(tmp_path):
    """An id means a session of that home, and of no other."""
    with RolloutRecorder.create(tmp_path / "there") as recorder:
        recorder.record(HELLO)

    with pytest.raises(rolloutlog.exceptions.SessionNotFoundError) as caught:
        RolloutRecorder.resume(recorder.session.id)
    resumed, saved = RolloutRecorder.resume(recorder.session.id, home=tmp_path / "there")
    resumed.close()

    assert caught.value.wanted == recorder.session.id
    assert len(saved.items) == 1


def test_a_prefix_of_several_sessions_is_ambiguous():
    """The error lists those that fit, the newest first."""
    ids = [str(uuid.UUID(int=number)) for number in (1, 2)]
    for each in ids:
        RolloutRecorder.create(session_id=each).close()

    with pytest.raises(rolloutlog.exceptions.AmbiguousSessionError) as caught:
        RolloutRecorder.resume(ids[0][:8])

    assert sorted(caught.value.candidates) == ids


def test_a_flat_session_whose_meta_has_a_payload_stays_flat(home):
    """The key alone does not make an envelope of a line: that has a type."""
    with RolloutRecorder.create(meta={"payload": 1}) as recorder:
        recorder.record(HELLO)
    resumed, saved = RolloutRecorder.resume(recorder.path)
    with resumed:
        resumed.record(HELLO)

    lines = recorder.path.read_bytes().splitlines()
    assert saved.format == "flat"
    assert lines[1] == lines[2]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty session file"),
        (b"{\n", "no session meta in the first line"),
        (b'{"type":"message","role":"user","content":[]}\n', "no session meta in the first line"),
        (b'{"id":"x","timestamp":"t"', "no session meta in the first line"),
    ],
)
def test_a_file_that_is_no_session_is_left_untouched(recorder, content, problem):
    """The error says which of the two it is; the file keeps its bytes, and is not left locked."""
    recorder.close()
    recorder.path.write_bytes(content)

    for _ in range(2):
        with pytest.raises(rolloutlog.exceptions.InvalidRolloutError, match=problem) as caught:
            RolloutRecorder.resume(recorder.path)

    assert caught.value.path == recorder.path
    assert recorder.path.read_bytes() == content


def test_a_torn_line_stays_a_line_of_its_own(recorder):
    """A torn line of a killed writer is reported, is never removed, and does not run into the next line."""
    recorder.record(hello("whole"))
    recorder.close()
    with open(recorder.path, "ab") as file:
        file.write(b'{"type":"mess')
    resumed, saved = RolloutRecorder.resume(recorder.path)
    with resumed:
        resumed.record(hello("next"))

    assert [item.text for item in saved.items] == ["whole"]
    assert [(skipped.number, "incomplete" in skipped.reason) for skipped in saved.skipped] == [(3, True)]
    _, whole, torn, following = lines_in(recorder.path)
    assert torn == b'{"type":"mess'
    assert (json.loads(whole)["content"], json.loads(following)["content"]) == (
        [{"type": "input_text", "text": "whole"}],
        [{"type": "input_text", "text": "next"}],
    )


def test_a_link_is_not_followed(recorder, tmp_path):
    """A link in a session's place could make us write into any file."""
    recorder.close()
    link = tmp_path / "link.jsonl"
    link.symlink_to(recorder.path)

    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        RolloutRecorder.resume(link)


def test_a_pipe_is_no_session(tmp_path):
    """A path that is not a regular file raises at once, and does not wait for a process at the other end."""
    os.mkfifo(tmp_path / "pipe.jsonl")

    with pytest.raises(OSError, match="not a regular file"):
        RolloutRecorder.resume(tmp_path / "pipe.jsonl")


# -- another process ---------------------------------------------------------------------------------------------------


def hold(path: str) -> None:
    """Hold the session at *path* until told to end."""
    with RolloutRecorder.resume(path)[0]:
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()


def test_another_process_is_refused_at_once(recorder):
    """The error names the file and the process that has it; when that one is gone, so is the lock."""
    recorder.close()
    holder = start(hold, str(recorder.path))
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(rolloutlog.exceptions.SessionLockedError) as caught:
        RolloutRecorder.resume(recorder.path)
    finish(holder)
    RolloutRecorder.resume(recorder.path)[0].close()

    assert (caught.value.path, caught.value.pid) == (recorder.path, holder.pid)


def test_who_has_time_waits_for_the_other_process(recorder):
    """With a lock_timeout the session is resumed as soon as the other process releases it."""
    recorder.close()
    holder = start(hold, str(recorder.path))
    assert holder.stdout.readline() == "held\n"
    resumed = []
    waiting = threading.Thread(
        target=lambda: resumed.append(RolloutRecorder.resume(recorder.path, lock_timeout=240)[0])
    )
    waiting.start()
    finish(holder)
    waiting.join(DEADLINE)
    resumed[0].close()

    assert not waiting.is_alive()


# -- redaction ---------------------------------------------------------------------------------------------------------


def record_everything(**options: object) -> Path:
    """Record a secret in every kind of record, and return the path."""
    with RolloutRecorder.create(instructions=SECRET, meta={"key": SECRET}, **options) as recorder:
        recorder.record(Message.user(SECRET), FunctionCall("login", f'{{"key": "{SECRET}"}}', "c1"))
        recorder.record({"type": "odd", "key": SECRET})
        recorder.record_state({"key": SECRET})
        recorder.record_log(LogEntry(ENTRY.timestamp, "INFO", "app", SECRET, extra={"key": SECRET}))
    return recorder.path


def test_redaction_sees_every_kind_of_record():
    """The hook is called with each record as it would be written, and what it returns is written."""
    kinds = []

    def redact(record):
        kinds.append(record.get("type") or record.get("record_type"))
        return json.loads(json.dumps(record).replace(SECRET, "***"))

    path = record_everything(redact=redact)

    assert kinds == [None, "message", "function_call", "odd", "state", "log"]
    assert SECRET.encode() not in path.read_bytes()
    assert path.read_bytes().count(b"***") == 8


def test_redaction_may_leave_a_record_out():
    """None writes nothing, and is counted; only the meta stays, without what could be secret."""
    path = record_everything(redact=lambda record: None)

    ((meta),) = values_in(path)
    assert meta["instructions"] is None
    assert set(meta) == {"id", "timestamp", "instructions"}


def test_redaction_that_fails_fails_closed():
    """Each call raises when the hook raises, and nothing but a bare meta is in the file."""

    def redact(record):
        raise LookupError(SECRET)

    refused = []
    with RolloutRecorder.create(instructions=SECRET, meta={"key": SECRET}, redact=redact) as recorder:
        for record in (
            lambda: recorder.record(Message.user(SECRET)),
            lambda: recorder.record(Message.user(SECRET), {"type": "odd", "key": SECRET}),
            lambda: recorder.record_items([{"type": "odd", "key": SECRET}]),
            lambda: recorder.record_state({"key": SECRET}),
            lambda: recorder.record_log(LogEntry(ENTRY.timestamp, "INFO", "app", SECRET)),
        ):
            with pytest.raises(RedactionError) as caught:
                record()
            refused.append(caught.value.kind)

    assert refused == ["message", "message", "odd", "state", "log"]
    assert SECRET.encode() not in recorder.path.read_bytes()
    assert len(values_in(recorder.path)) == 1
    assert recorder.stats.accepted == 0


def test_redaction_may_change_what_it_is_given():
    """The dict is the hook's own: the caller's item stays as it is."""
    item = Message.user(SECRET)

    def redact(record):
        if "content" in record:
            record["content"][0]["text"] = "***"
        return record

    with RolloutRecorder.create(redact=redact) as recorder:
        recorder.record(item)

    assert texts_in(recorder.path) == ["***"]
    assert item.text == SECRET


def test_redaction_that_records_does_not_redact_itself():
    """A record that a hook makes is refused, because no hook has seen it; the record that it was given is recorded."""

    def redact(record):
        if recorder is not None:
            with pytest.raises(RedactionError, match="cannot redact it before it returns"):
                recorder.record(hello("inside"))
        return record

    recorder = None
    recorder = RolloutRecorder.create(redact=redact)
    with recorder:
        recorder.record(hello("outside"))

    assert texts_in(recorder.path) == ["outside"]


# -- looking -----------------------------------------------------------------------------------------------------------


def test_stats_account_for_every_record(disk):
    """At an acknowledgement accepted = written + pending + dropped, whatever became of the records."""
    recorder = recorder_on(disk).create(on_full="drop", queue_size=4)
    recorder.record(*map(hello, range(3)))
    recorder.flush()
    disk.is_full = True
    for number in range(20):
        recorder.record(hello(number))
        recorder.request_flush().wait(DEADLINE)
    stats = recorder.stats
    disk.is_full = False
    recorder.close()

    assert stats.dropped > 0
    assert stats.pending > 0
    assert stats.accepted == stats.written + stats.pending + stats.dropped
    assert isinstance(stats.error, OSError)
    assert recorder.stats.accepted == recorder.stats.written + recorder.stats.dropped


def test_the_state_goes_from_open_to_closed(disk):
    """OPEN at first, CLOSING while there is something to write, then CLOSED."""
    recorder = recorder_on(disk).create()
    states = [recorder.lifecycle]
    disk.hold()
    recorder.record(HELLO)
    ack = recorder.shutdown()
    states.append(recorder.lifecycle)
    disk.go_on()
    assert ack.wait(DEADLINE)
    states.append(recorder.lifecycle)

    assert states == [State.OPEN, State.CLOSING, State.CLOSED]


def test_a_repr_is_short_and_holds_no_text(recorder):
    """It tells which session, in which state and where, and nothing of what was recorded."""
    recorder.record(hello(SECRET))
    shown = repr(recorder)

    assert shown == f"<RolloutRecorder {recorder.session.id} OPEN {recorder.path}>"
    assert SECRET not in repr(recorder.stats)
