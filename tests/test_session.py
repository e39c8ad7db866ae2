"""session(): the list of an agent's items, the same after any end of the process that recorded them."""

from __future__ import annotations

import copy
import fcntl
import itertools
import logging
import os
import pickle
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import FrameType

import pytest
from faults.fakes import FakeSystem
from helpers import (
    DEADLINE,
    Disk,
    eventually,
    finish,
    in_fresh_process,
    interrupted,
    recorder_on,
    run_together,
    slow,
    start,
    texts_in,
    values_in,
)

import rolloutlog
from rolloutlog import (
    FunctionCall,
    FunctionCallOutput,
    Message,
    Other,
    RolloutRecorder,
    Session,
    SessionStateSnapshot,
    _listing,
    session,
)
from rolloutlog._contents import Contents
from rolloutlog._paths import NAMESPACE, beginning_of, named_id
from rolloutlog._reading import follow
from rolloutlog.exceptions import (
    InvalidItemError,
    QueueFullError,
    RecorderClosedError,
    RedactionError,
    SessionLockedError,
    SessionOptionsError,
    WriteError,
)

HELLO = {"role": "user", "content": "hello"}
USER = Message.user
NAME = "trip-to-rome"


def reloaded() -> rolloutlog.SavedSession:
    """Return what the one file of the home says."""
    return rolloutlog.load_session(only_rollout())


def only_rollout() -> os.PathLike[str]:
    """Return the one rollout of the home."""
    (found,) = rolloutlog.find_sessions()
    return found.path


# -- new, or where it was ----------------------------------------------------------------------------------------------


def test_a_new_session_is_empty():
    """It has a name, an id that comes of the name, and nothing else."""
    with session(NAME, instructions="Be brief.", meta={"cwd": "/srv"}) as opened:
        state = opened.state

    assert (opened.name, opened.items, state) == (NAME, [], {})
    assert opened.saved.items == []
    meta = values_in(opened.path)[0]
    assert meta | {"timestamp": ""} == {
        "id": opened.id,
        "timestamp": "",
        "instructions": "Be brief.",
        "name": NAME,
        "cwd": "/srv",
    }


def test_the_same_name_is_the_same_session():
    """The records are there again, and new ones are appended to the same file."""
    with session(NAME) as first:
        first.record(HELLO)
    with session(NAME) as second:
        before = [item.text for item in second.items]
        second.record({"role": "assistant", "content": "hi"})

    assert (second.id, second.path) == (first.id, first.path)
    assert before == ["hello"]
    assert texts_in(first.path) == ["hello", "hi"]


def test_the_id_of_a_name_never_changes():
    """Otherwise existing sessions could not be found. It is a UUID of version 5, so any program can compute it."""
    with session(NAME) as opened:
        assert opened.id == str(uuid.uuid5(NAMESPACE, NAME))
        assert opened.id == "ef266f0a-5901-56b5-9202-4b1a885c3261"


@pytest.mark.parametrize("name", ["a", "Trip to Rome", "../../etc/passwd", "日本", "a" * 5_000, "\n", "a\0b"])
def test_any_text_is_a_name(name, home):
    """A name is not a path: whatever it is, the file is in the home, and the meta line keeps the name."""
    with session(name) as opened:
        opened.record(HELLO)

    assert opened.path.resolve().is_relative_to(home)
    assert values_in(opened.path)[0]["name"] == name
    with session(name) as again:
        assert len(again.items) == 1


def test_names_that_differ_are_different_sessions():
    """Case and blanks count."""
    names = ["a", "A", "a ", "b"]
    ids = set()
    for name in names:
        with session(name) as opened:
            ids.add(opened.id)

    assert len(ids) == len(names)


@pytest.mark.parametrize("name", ["", b"bytes", None, 7])
def test_what_is_no_text_is_no_name(name, home):
    """Nor is the empty one, which is rather a variable that was not set."""
    with pytest.raises(ValueError, match="a session's name must be a non-empty string"):
        session(name)

    assert not home.exists()


def test_a_name_that_is_not_whole_text_is_refused(home):
    """The error says what is wrong with it, and nothing is made."""
    with pytest.raises(ValueError, match="must be whole text; character 1 is half of a pair"):
        session("a\ud800")

    assert not home.exists()


# -- begun afresh ------------------------------------------------------------------------------------------------------


def begin(*texts, fresh=True):
    """Open the session, record *texts* in it, and return its path."""
    with session(NAME, fresh=fresh) as opened:
        opened.record(*map(USER, texts))
    return opened.path


def test_a_fresh_session_is_a_new_file_and_the_old_one_stays():
    """From then on the name means the new one."""
    old = begin("old", fresh=False)
    new = begin("new")

    assert (texts_in(old), texts_in(new)) == (["old"], ["new"])
    assert begin("more", fresh=False) == new
    assert rolloutlog.load_session(NAME).path == new
    assert rolloutlog.load_session(rolloutlog.load_session(old).session_id).path == old


def test_a_name_is_begun_any_number_of_times():
    """Each time it is a session of its own, all of them within a second or not."""
    paths = [begin(str(number)) for number in range(12)]

    assert len(set(paths)) == 12
    assert rolloutlog.load_session(NAME).path == paths[-1]
    assert [found.name for found in rolloutlog.find_sessions()] == [NAME] * 12
    assert [found.path for found in rolloutlog.find_sessions()] == paths[::-1]


def test_the_first_session_of_a_name_may_be_begun_afresh():
    """It has the id that the name has without that."""
    begin("first")

    assert rolloutlog.load_session(NAME).session_id == str(uuid.uuid5(NAMESPACE, NAME))


@pytest.mark.parametrize("deleted", [{0}, {1}, {0, 1}])
def test_a_name_is_found_when_earlier_ones_were_deleted(deleted):
    """Cleaning up old sessions makes no program lose the present one."""
    paths = [begin(str(number)) for number in range(3)]
    for number in deleted:
        paths[number].unlink()

    assert begin("more", fresh=False) == paths[-1]


def test_the_newest_is_meant_although_the_clock_was_set_back(monkeypatch):
    """The later session has a time that is no earlier than that of the one before it."""
    old = begin("old")
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    new = begin("new")

    assert begin("more", fresh=False) == new != old


def test_an_archived_session_is_meant_when_it_is_the_newest(home):
    """Codex moves a session that people archive into another folder."""
    begin("old")
    new = begin("new")
    archived = home / "archived_sessions" / new.name
    archived.parent.mkdir()
    new.rename(archived)

    assert rolloutlog.load_session(NAME).path == archived


def test_a_session_that_another_process_has_open_may_be_begun_afresh():
    """The name is free for a new beginning; the other process keeps its file."""
    holder = start(hold_open)
    assert holder.stdout.readline() == "open\n"

    new = begin("new")

    finish(holder)
    assert texts_in(new) == ["new"]


def hold_open():
    """Open the session until the parent says that it is enough."""
    with session(NAME):
        sys.stdout.write("open\n")
        sys.stdout.flush()
        sys.stdin.read()


def test_threads_that_begin_a_name_afresh_each_get_a_session():
    """None of them gets the file of another."""
    paths = []
    run_together(*[lambda text=str(number): paths.append(begin(text)) for number in range(6)])

    assert sorted(text for path in paths for text in texts_in(path)) == list("012345")
    assert len(set(paths)) == 6


@pytest.mark.parametrize("beginning", [1, 2, 1_000_000])
@pytest.mark.parametrize("name", [NAME, "a", "b"])
def test_the_number_of_a_beginning_is_in_its_id(name, beginning):
    """The ids are UUIDs, and belong to no other name."""
    made = named_id(name, beginning)

    assert beginning_of(made, name) == beginning
    assert beginning_of(made, name + "x") is None
    assert str(uuid.UUID(made)) == made


def test_fresh_is_true_or_false(home):
    """Another value is rather an argument in the wrong place."""
    with pytest.raises(TypeError, match="fresh must be True or False, got str"):
        session(NAME, fresh="yes")

    assert not home.exists()


def test_a_resume_is_logged(caplog):
    """When it begins and when it is done, at the level INFO; a new session logs nothing."""
    caplog.set_level(logging.INFO, "rolloutlog")
    with session(NAME) as opened:
        opened.record(HELLO)
    new = list(caplog.messages)

    session(NAME).close()

    assert new == []
    assert caplog.messages == [
        f"{opened.path}: resuming the session",
        f"{opened.path}: resumed the session, with 1 item",
    ]


def test_lines_that_cannot_be_read_are_warned_of_once_a_resume(caplog):
    """Their number, and the place of the first; none of their text."""
    with session(NAME) as opened:
        opened.record(HELLO)
    size = opened.path.stat().st_size
    with opened.path.open("ab") as file:
        file.write(b"xyzzy\nxyzzy\n")

    session(NAME).close()

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"2 lines could not be read and will be skipped; the first is line 3, at byte {size}" in record.getMessage()
    assert "xyzzy" not in record.getMessage()


def test_a_meta_cannot_take_the_place_of_the_name(home):
    """It is said at once, and not at the first run alone."""
    with pytest.raises(InvalidItemError, match="may not hold 'name'"):
        session(NAME, meta={"name": "x"})

    assert not home.exists()


def test_a_session_drops_nothing(home):
    """on_full="drop" would make `items` say what no reload gives."""
    with pytest.raises(ValueError, match="on_full must be 'block' or 'raise'"):
        session(NAME, on_full="drop")

    assert not home.exists()


def test_misspelt_options_are_named():
    """As by the recorder."""
    with pytest.raises(TypeError, match="did you mean 'fsync'"):
        session(NAME, fsnc="always")


def test_a_session_that_was_emptied_while_it_was_open_begins_with_its_meta():
    """A second opening knows the meta from the file; if another program empties the file, the meta is written again."""
    with session(NAME) as first:
        first.record(HELLO)
    with session(NAME) as again:
        os.truncate(only_rollout(), 0)
        again.record(HELLO)

    with session(NAME) as third:
        assert third.items == [Message.user("hello")]
        assert third.saved.session == first.saved.session


def test_a_session_of_a_relative_home_stays_where_it_was(tmp_path, monkeypatch):
    """A program that changes its folder continues in the same file."""
    monkeypatch.chdir(tmp_path)
    with session(NAME, home="runs") as opened:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        opened.record(HELLO)

    assert opened.path.is_relative_to(tmp_path / "runs")
    assert texts_in(opened.path) == ["hello"]


# -- items are what a reload gives -------------------------------------------------------------------------------------


class FromSdk:
    def to_dict(self):
        return {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1", "status": "completed"}


def test_items_are_what_a_reload_gives():
    """In every form in which they come in, they are at once what they will be when they are read."""
    with session(NAME) as opened:
        opened.record(HELLO, Message.assistant("hi"), FromSdk(), Other())
        opened.record(FunctionCallOutput("c1", "done"), {"type": "web_search_call", "id": "ws"}, wait=False)
        opened.recorder.flush()

    assert opened.items == reloaded().items
    assert [item.type for item in opened.items] == [
        "message",
        "message",
        "function_call",
        "function_call_output",
        "web_search_call",
    ]


def test_items_share_nothing_with_what_was_recorded():
    """Changing what was passed changes neither the file nor the list."""
    item = {"role": "user", "content": [{"type": "input_text", "text": "before", "x": {"y": 1}}]}
    with session(NAME) as opened:
        opened.record(item)
        item["content"][0]["x"]["y"] = 2

    assert opened.items == reloaded().items
    assert opened.items[0].content[0].extra == {"x": {"y": 1}}


def test_items_are_redacted_as_the_file_is():
    """Content that the hook changes or leaves out is not in the list either."""

    def redact(record):
        text = record["content"][0]["text"] if "content" in record else ""
        return None if text == "drop" else record if text != "change" else {**record, "role": "developer"}

    with session(NAME, redact=redact) as opened:
        for text in ("keep", "drop", "change"):
            opened.record(Message.user(text))

    assert opened.items == reloaded().items
    assert [(item.role, item.text) for item in opened.items] == [("user", "keep"), ("developer", "change")]


def test_an_item_whose_redaction_fails_raises():
    """Neither the file nor the list has it, and the session can be used further."""
    with session(NAME, redact=lambda record: record["content"] and record) as opened:
        with pytest.raises(RedactionError, match="raised KeyError at test_session"):
            opened.record({"type": "web_search_call"})
        opened.record(Message.user("hello"))

    assert opened.items == reloaded().items == [Message.user("hello")]


def test_threads_record_in_the_order_of_the_list():
    """Tools that run in threads record into one list, which has the order of the file."""
    with session(NAME) as opened:

        def work(name: str) -> None:
            for number in range(50):
                opened.record(Message.user(f"{name}{number}"), Message.assistant("so"), wait=number % 10 == 0)

        sys.setswitchinterval(1e-5)
        try:
            run_together(*(lambda name=name: work(name) for name in "abcd"))
        finally:
            sys.setswitchinterval(0.005)

    assert len(opened.items) == 400
    assert opened.items == reloaded().items


def test_a_bad_item_takes_its_fellows_along():
    """Nothing of the call is recorded, neither in the file nor in the list."""
    with session(NAME) as opened, pytest.raises(InvalidItemError):
        opened.record(HELLO, {"role": "user"})

    assert opened.items == reloaded().items == []


def test_what_is_recorded_is_on_disk():
    """record() returns when the line is there."""
    with session(NAME) as opened:
        opened.record(HELLO)

        assert texts_in(opened.path) == ["hello"]


@pytest.fixture
def disk(monkeypatch):
    """The disk on which sessions are made."""
    disk = Disk()
    monkeypatch.setattr(rolloutlog._session, "RolloutRecorder", recorder_on(disk))
    yield disk
    disk.is_full = False
    disk.go_on()


def test_who_does_not_wait_is_not_held_up(disk):
    """With wait=False record() returns while the disk is busy, and the list has the item."""
    opened = session(NAME)
    disk.hold()
    opened.record(HELLO, wait=False)
    items = [item.text for item in opened.items]
    on_disk = texts_in(opened.path)
    disk.go_on()
    opened.close()

    assert (items, on_disk, texts_in(opened.path)) == (["hello"], [], ["hello"])


def test_the_list_has_the_order_of_the_file(disk, monkeypatch):
    """No other thread comes between expecting an item in the list and passing its line to the writer."""
    opened = session(NAME)
    other = threading.Thread(target=opened.record, args=(USER("second"),), kwargs={"wait": False})
    hand_over = opened.recorder.hand_over

    def dawdle(encoded, **options):
        if other.ident is None:
            other.start()
            other.join(0.2)
        hand_over(encoded, **options)

    monkeypatch.setattr(opened.recorder, "hand_over", dawdle)
    disk.hold()
    opened.record(USER("first"), wait=False)
    other.join(DEADLINE)
    expected = [item.text for item in opened.items]
    disk.go_on()
    opened.close()

    assert expected == texts_in(opened.path) == ["first", "second"]


def test_an_item_for_which_there_is_no_room_is_not_in_the_list(disk):
    """The call raised, so the item will not be in the file either."""
    opened = session(NAME, queue_size=1, on_full="raise")
    disk.hold()
    taken = []
    for number in range(10):
        try:
            opened.record(USER(str(number)), wait=False)
        except QueueFullError:
            continue
        taken.append(str(number))  # the second of them as soon as the writer has the first, whenever that is
    shown = [item.text for item in opened.items]
    disk.go_on()
    opened.close()

    assert shown == texts_in(opened.path) == taken
    assert 0 < len(taken) < 10


def test_what_is_taken_back_is_hidden_before_it_is_on_disk(disk):
    """As items are shown before; a model's answer need not wait for a slow disk."""
    opened = session(NAME)
    opened.record(USER("one"), USER("two"))
    disk.hold()
    waiting = threading.Thread(target=opened.take_back)
    waiting.start()
    eventually(lambda: len(opened.context) == 1)
    shown = [item.text for item in opened.items]
    disk.go_on()
    waiting.join(DEADLINE)
    opened.close()

    assert shown == ["one", "two"]
    assert opened.context == reloaded().context == [Message.user("one")]


def test_a_full_disk_is_told_and_nothing_is_lost(disk):
    """record() raises; the item is in the list and kept for the file, where it is as soon as there is space."""
    opened = session(NAME)
    disk.is_full = True
    with pytest.raises(WriteError) as caught:
        opened.record(HELLO)
    disk.is_full = False
    opened.close()

    assert caught.value.unwritten == 1
    assert opened.items == reloaded().items
    assert texts_in(opened.path) == ["hello"]


def test_a_session_whose_close_failed_is_refused_at_once_and_opened_when_there_is_room(disk, monkeypatch):
    """It does not wait until the records that are left are written; with room again, they come first."""
    monkeypatch.setattr(rolloutlog._open, "_SHARE_TIMEOUT", 100 * DEADLINE)
    raised: list[Exception] = []

    def open_again() -> None:
        try:
            session(NAME)
        except WriteError as error:
            raised.append(error)

    opened = session(NAME)
    disk.is_full = True
    opened.record(HELLO, wait=False)
    with pytest.raises(WriteError):
        opened.close(timeout=0.1)
    thread = threading.Thread(target=open_again, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    disk.is_full = False

    assert len(raised) == 1
    with session(NAME) as again:
        assert [item.text for item in again.items] == ["hello"]


def test_sharing_a_shared_session_waits_as_long_as_for_its_lock(disk, monkeypatch):
    """While earlier records cannot be written, opening it again ends at its `lock_timeout`, or soon after."""
    monkeypatch.setattr(rolloutlog._open, "_SHARE_TIMEOUT", 100 * DEADLINE)
    raised: list[TimeoutError] = []

    def open_again() -> None:
        try:
            session(NAME, shared=True, lock_timeout=0.1)
        except TimeoutError as error:
            raised.append(error)

    opened = session(NAME, shared=True, lock_timeout=0.1)
    disk.hold()
    opened.record(HELLO, wait=False)
    assert disk.reached.wait(DEADLINE)
    thread = threading.Thread(target=open_again, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    disk.go_on()
    opened.close()

    assert len(raised) == 1


def test_sharing_a_shared_session_waits_for_its_lock_as_long_as_asked(monkeypatch):
    """Another process may hold it longer than the flush of an unshared session could take."""
    monkeypatch.setattr(rolloutlog._open, "_SHARE_TIMEOUT", 0.0)
    monkeypatch.setattr(rolloutlog._open, "_SHARE_GRACE", 0.0)
    opened = session(NAME, shared=True, lock_timeout=DEADLINE)
    other = os.open(opened.path, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    opened.record(HELLO, wait=False)
    release = threading.Timer(0.2, os.close, (other,))
    release.start()
    with session(NAME, shared=True, lock_timeout=DEADLINE) as again:
        texts = [item.text for item in again.items]
    release.join(DEADLINE)
    opened.close()

    assert texts == ["hello"]


def test_a_disk_that_is_full_at_the_start_is_told_with_the_path(disk, home):
    """The error of the system has it, and nothing is left behind."""
    disk.is_full = True

    with pytest.raises(OSError, match=r"No space left on device: '.*rollout-") as caught:
        session(NAME)

    assert caught.value.filename.startswith(str(home))
    assert list(home.rglob("rollout-*")) == []


def test_record_waits_no_longer_than_it_said(disk):
    """The timeout is for room and disk together."""
    opened = session(NAME)
    disk.hold()

    def record() -> None:
        with pytest.raises(TimeoutError):
            opened.record(HELLO, timeout=0.05)

    waiting = threading.Thread(target=record)
    waiting.start()
    waiting.join(DEADLINE)
    in_time = not waiting.is_alive()
    disk.go_on()
    opened.close()

    assert in_time
    assert opened.items == reloaded().items


def test_to_input_is_what_an_api_takes():
    """The list as wire dicts, with an answer for the call that has none."""
    with session(NAME) as opened:
        opened.record(HELLO, FunctionCall("f", "{}", "c1"))
        given = opened.to_input()

    assert given == reloaded().to_input()
    assert given[0] == {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
    assert given[-1]["call_id"] == "c1"
    with pytest.raises(rolloutlog.exceptions.OrphanCallError):
        opened.to_input(orphans="raise")


# -- one live view -----------------------------------------------------------------------------------------------------


def test_items_cannot_be_changed():
    """A change would not be recorded; the error names the calls that are."""
    with session(NAME) as opened:
        opened.record(HELLO)
        items = opened.items
        for change in (
            lambda: items.append(USER("x")),
            lambda: items.extend([]),
            lambda: items.pop(),
            lambda: items.__setitem__(0, USER("x")),
            lambda: items.__iadd__([]),
        ):
            with pytest.raises(TypeError, match=r"read-only; session\.record"):
                change()

        assert items == opened.items == [USER("hello")]
        assert pickle.loads(pickle.dumps(items)) == copy.deepcopy(items) == items
        assert [*items, USER("x")] == items + [USER("x")]  # noqa: RUF005 (a list can be made of it)


def test_a_list_does_not_grow_under_a_loop():
    """It is the items as of a moment; the next look gives the next list, and the same one if nothing was recorded."""
    with session(NAME) as opened:
        opened.record(HELLO)
        before = opened.items
        for _ in before:
            opened.record(HELLO)

        assert len(before) == 1
        assert len(opened.items) == 2
        assert opened.items is opened.items


def test_what_others_record_in_this_process_is_there():
    """Another object of the session, a logger within `bound`, and a recorder: in items, context and state."""
    logger = logging.getLogger("agent.others")
    with session(NAME) as first, session(NAME) as second, rolloutlog.attach(logger):
        first.record(USER("one"), USER("two"))
        with second.bound():
            logger.warning(USER("three"))
        recorder, _ = RolloutRecorder.resume(first.path)
        with recorder:
            recorder.record(USER("four"))
            recorder.take_back(2)
        second.state = {"step": 1}

        assert [item.text for item in first.items] == ["one", "two", "three", "four"]
        assert first.items == second.items == reloaded().items
        assert first.context == second.context == reloaded().context == [USER("one"), USER("two")]
        assert first.state == {"step": 1}


def test_the_file_is_read_once(monkeypatch):
    """By opening the session; a look reads what was appended, and opens nothing where nothing was."""
    with session(NAME) as opened:
        opened.record(HELLO)
    loads = []
    load_session = rolloutlog._open.load_session
    monkeypatch.setattr(rolloutlog._open, "load_session", lambda path: loads.append(path) or load_session(path))
    monkeypatch.setattr(follow, "load_session", lambda path: pytest.fail("all is read again"))

    with session(NAME) as opened:
        opened.record(USER("again"))
        shown = [item.text for item in opened.items]
        monkeypatch.setattr(follow, "Source", lambda path: pytest.fail("the file is opened"))

        assert shown == [item.text for item in opened.items] == ["hello", "again"]
    assert loads == [opened.path]


def test_an_item_on_its_way_is_in_the_list_once():
    """Whether a look finds it in the queue, in the file, or has to read the whole file; others record between."""
    with session(NAME) as opened, session(NAME) as other:
        done = threading.Event()
        wrong = []

        def look() -> None:
            while not done.is_set():
                texts = [item.text for item in opened.items]
                wrong.extend(text for text in set(texts) if texts.count(text) > 1)

        def record() -> None:
            for number in range(300):
                opened.record(USER(f"own {number}"), wait=False)
                if not any(item.text == f"own {number}" for item in opened.items[-50:]):
                    wrong.append(number)
                other.record(USER(f"other {number}"), wait=False)
                if number % 100 == 50:
                    opened._contents._follower.distrust()
            done.set()

        run_together(look, record)
        opened.recorder.flush()

        assert wrong == []
        assert opened.items == other.items == reloaded().items
        assert len(opened.items) == 600


def test_a_look_that_is_interrupted_loses_nothing_and_shows_nothing_twice(disk, monkeypatch):
    """Wherever Ctrl-C comes, the next look is whole."""
    opened = session(NAME)
    disk.hold()
    opened.record(USER("one"), wait=False)
    disk.go_on()
    opened.recorder.flush()
    with monkeypatch.context() as patched:
        patched.setattr(Contents, "_remove_found", interrupt)
        with pytest.raises(KeyboardInterrupt):
            opened.items  # noqa: B018 (the look is what is tested)

    assert opened.items == reloaded().items == [USER("one")]
    opened.close()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_session_whose_file_is_gone_shows_its_last_items():
    """An agent can continue; and a closed session needs no file."""
    with session(NAME) as opened:
        opened.record(HELLO)
        shown = opened.items
        opened.path.unlink()

        assert opened.items == opened.context == shown
    opened.path.unlink(missing_ok=True)
    assert opened.to_input() == rolloutlog.to_input(opened.items)


# -- the state ---------------------------------------------------------------------------------------------------------


def test_a_killed_session_knows_which_calls_to_carry_out():
    """A call is an orphan until an output for it is recorded."""
    first, second = (FunctionCall("look", "{}", f"call_{number}") for number in (1, 2))
    with session(NAME) as opened:
        opened.record(HELLO, first, second, FunctionCallOutput.of(second, "found"))

    with session(NAME) as again:
        before = again.orphan_calls
        again.record(FunctionCallOutput.of(first, "found, too"))

        assert before == [first]
        assert again.orphan_calls == []


@pytest.mark.parametrize("state", [{"step": 1}, SessionStateSnapshot({"step": 1})])
def test_a_state_is_on_disk_when_it_is_set(state):
    """Setting it records it; the next run finds the last one."""
    with session(NAME) as opened:
        opened.state = {"step": 0}
        opened.state = state
        on_disk = reloaded().state
    with session(NAME) as again:
        assert on_disk == opened.state == again.state == {"step": 1}


def test_a_state_is_what_a_reload_gives():
    """Changing what was passed changes nothing, and what redaction did to it is done."""

    def redact(record):
        return {**record, "key": "***"} if "key" in record else record

    state = {"key": "secret", "deep": {"step": 1}}
    with session(NAME, redact=redact) as opened:
        opened.state = state
        state["deep"]["step"] = 2

        assert opened.state == reloaded().state == {"key": "***", "deep": {"step": 1}}


def test_a_state_that_redaction_withholds_is_not_set():
    """Whether the hook left it out or failed, the state before it remains, as in the file."""

    def redact(record):
        if record.get("how") == "fail":
            raise ValueError
        return None if record.get("how") == "leave out" else record

    with session(NAME, redact=redact) as opened:
        opened.state = {"step": 1}
        with pytest.raises(RedactionError):
            opened.state = {"step": 2, "how": "fail"}
        opened.state = {"step": 2, "how": "leave out"}

        assert opened.state == reloaded().state == {"step": 1}


@pytest.mark.parametrize("state", [None, 7, {"record_type": "x"}, {"x": object()}])
def test_what_is_no_state_raises_and_changes_nothing(state):
    """As with items."""
    with session(NAME) as opened:
        opened.state = {"step": 1}
        with pytest.raises(InvalidItemError):
            opened.state = state

        assert opened.state == reloaded().state == {"step": 1}


# -- other users of the session ----------------------------------------------------------------------------------------


def test_a_cell_that_opens_it_twice_has_it_twice():
    """Within a process both are the same session; one that is closed shows the items of that moment."""
    with session(NAME) as first:
        first.record(HELLO)
        with session(NAME) as second:
            second.record({"role": "user", "content": "again"})
        first.record({"role": "user", "content": "and again"})

    assert [item.text for item in second.items] == ["hello", "again"]
    assert [item.text for item in first.items] == texts_in(first.path) == ["hello", "again", "and again"]


def test_other_options_raise():
    """One file, one writer, one set of options."""
    with session(NAME), pytest.raises(SessionOptionsError):
        session(NAME, fsync="always")


def test_threads_that_open_it_at_once_share_it():
    """One makes the file, the others join it."""
    opened: list[Session] = []

    def open_and_record() -> None:
        each = session(NAME)
        each.record(HELLO)
        opened.append(each)

    run_together(*[open_and_record] * 4)
    for each in opened:
        each.close()

    assert texts_in(only_rollout()) == ["hello"] * 4


def test_a_closed_session_takes_nothing():
    """Neither items nor a state; the list stays as it was."""
    opened = session(NAME)
    opened.close()

    with pytest.raises(RecorderClosedError):
        opened.record(HELLO)
    with pytest.raises(RecorderClosedError):
        opened.state = {"step": 1}
    assert (opened.items, opened.state) == ([], {})


def test_a_repr_is_short_and_holds_no_text():
    """Name, how many items, in which state, where."""
    with session(NAME) as opened:
        opened.record({"role": "user", "content": "secret"})

        assert repr(opened) == f"<Session 'trip-to-rome': 1 item, OPEN, {opened.path}>"


def hold() -> None:
    """Open the session, say so, and hold it until told to end."""
    with session(NAME) as opened:
        opened.record({"role": "user", "content": str(os.getpid())})
        sys.stdout.write("held\n")
        sys.stdout.flush()
        sys.stdin.read()


def test_a_second_process_is_refused():
    """Two agents on one list would answer each other's questions; the error names the process that has it."""
    holder = start(hold)
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(SessionLockedError) as caught:
        session(NAME)
    finish(holder)

    assert caught.value.pid == holder.pid


def open_at_once() -> None:
    """Wait for a line, then open the session and record, or print that another process has it."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    try:
        with session(NAME) as opened:
            opened.record({"role": "user", "content": str(os.getpid())})
            sys.stdout.write("got it\n")
            sys.stdout.flush()
            sys.stdin.read()
    except SessionLockedError:
        sys.stdout.write("refused\n")
        sys.stdout.flush()


def test_processes_that_race_for_a_name_make_one_file():
    """One of them gets the session, the others are refused, and there is one file with its one item."""
    racers = [start(open_at_once) for _ in range(3)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.stdout.readline() for racer in racers]
    for racer in racers:
        finish(racer)

    assert sorted(said) == ["got it\n", "refused\n", "refused\n"]
    assert texts_in(only_rollout()) == [str(racers[said.index("got it\n")].pid)]


# -- a home of many sessions -------------------------------------------------------------------------------------------


class MeetingPoint(Disk):
    """A disk on which a new file gets its name only when a number of others are at the same point."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(count)

    def link(self, path: str, new: str) -> None:
        self.barrier.wait(DEADLINE)
        os.link(path, new)


def test_new_names_do_not_wait_for_each_other(monkeypatch, home):
    """All of them can be in the middle of their creation at once, so a slow disk refuses none."""
    monkeypatch.setattr(rolloutlog._session, "RolloutRecorder", recorder_on(MeetingPoint(8)))

    run_together(*[lambda name=f"name {number}": session(name).close() for number in range(8)])

    assert len(list(rolloutlog.find_sessions())) == 8


def test_a_name_that_another_thread_creates_in_between_is_resumed(monkeypatch):
    """It comes after the look for the session, and before the lock of its id."""
    system = FakeSystem()
    system.before("lock_byte", lambda: RolloutRecorder.create(session_id=uuid.uuid5(NAMESPACE, NAME)).close())
    monkeypatch.setattr(rolloutlog._session, "RolloutRecorder", recorder_on(system))

    with session(NAME) as opened:
        assert opened.path == only_rollout()


def test_a_known_name_is_opened_without_the_lock_of_its_id(monkeypatch):
    """So the processes that share a session do not wait for each other to find it."""
    session(NAME).close()
    system = FakeSystem()
    monkeypatch.setattr(rolloutlog._session, "RolloutRecorder", recorder_on(system))

    session(NAME).close()

    assert "lock_byte" not in system.calls


# How old a folder must be here until its listing is remembered, in nanoseconds: more than any step of a local disk.
AGE = 50_000_000


def grow_old(home):
    """Wait until every folder of *home* is old enough."""
    folders = [path for path in home.rglob("*") if path.is_dir()]
    eventually(lambda: all(folder.stat().st_ctime_ns <= time.time_ns() - 2 * AGE for folder in folders))


@pytest.fixture
def old_folders(home, monkeypatch):
    """The folders of three days with one session each, old enough."""
    folders = [home / "sessions" / "2025" / "07" / f"{day}" for day in (21, 22, 23)]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        (folder / f"rollout-2025-07-{folder.name}T15-03-26-{uuid.UUID(int=number)}.jsonl").touch()
    monkeypatch.setattr(_listing, "_GRAIN", AGE)
    grow_old(home)
    return [str(folder) for folder in folders]


@pytest.fixture
def listed(monkeypatch):
    """The folders that were read, in order."""
    read = []
    listdir = os.listdir

    def note(folder):
        read.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", note)
    return read


def test_a_new_name_is_looked_for_once(old_folders, listed):
    """Each folder is read once, although the look is repeated under the lock, and not at all for a second name."""
    session(NAME).close()
    session("another").close()

    assert [folder for folder in listed if folder in old_folders] == old_folders[::-1]


def test_a_known_name_reads_no_folder_again(home, old_folders, listed):
    """However many there are: the second time, each is only asked whether it has changed."""
    session(NAME).close()
    grow_old(home)
    session(NAME).close()
    listed.clear()

    session(NAME).close()

    assert listed == []


def make_unreadable(folder):
    """Replace *folder* by a link to itself, which even root cannot list."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(folder.name)


@pytest.mark.parametrize(
    "begin",
    [lambda: session(NAME), lambda: RolloutRecorder.create(session_id=uuid.uuid5(NAMESPACE, NAME))],
    ids=["session", "create"],
)
def test_a_session_that_may_be_in_a_folder_that_cannot_be_read_is_not_begun_again(home, begin):
    """There would be two sessions of one id when the folder can be read again. The error names it; nothing is made."""
    folder = home / "sessions" / "2025" / "07" / "22"
    make_unreadable(folder)

    with pytest.raises(OSError, match="may be in this folder") as caught:
        begin()

    assert caught.value.filename == str(folder)
    assert list(home.rglob("*.jsonl*")) == []


def test_a_known_name_is_opened_beside_a_folder_that_cannot_be_read(home, caplog):
    """The folder costs its own sessions only; one warning tells of it."""
    session(NAME).close()
    make_unreadable(home / "sessions" / "9999" / "07" / "22")  # a later year: it is looked at first

    for _ in range(2):
        with session(NAME) as opened:
            opened.record(HELLO)

    assert texts_in(only_rollout()) == ["hello", "hello"]
    assert [record.name for record in caplog.records] == ["rolloutlog"]


# -- killed and run again ----------------------------------------------------------------------------------------------

STEPS = 4


def agent(kill_at: int, how: str) -> None:
    """Count to STEPS: a question, then calls and outputs. Killed at a step and run again, it continues where it was."""
    step = 0

    def reached() -> None:
        nonlocal step
        step += 1
        if step == kill_at:
            die(how)

    with session(NAME) as opened:
        if not opened.items:
            opened.record({"role": "user", "content": "Count."})
        reached()
        while (count := sum(item.type == "function_call_output" for item in opened.items)) < STEPS:
            call = opened.items[-1]
            if call.type != "function_call":
                call = FunctionCall("next", f"[{count}]", f"c{count}")
                opened.record(call)
                reached()
            opened.record(FunctionCallOutput(call.call_id, str(count)))
            reached()
            opened.state = {"count": count + 1}
            reached()
    sys.stdout.write("done\n")


def die(how: str) -> None:
    """End as a process may end."""
    if how == "in a write":  # the kill comes when half of the next line is on disk

        def write(fd: int, lines: Sequence[bytes]) -> int:
            data = b"".join(lines)
            os.write(fd, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
            threading.Event().wait(DEADLINE)
            return 0

        rolloutlog._writing.os_calls._OperatingSystem.write = staticmethod(write)
        return
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.system
@pytest.mark.parametrize("how", [slow("between writes"), "in a write"])
def test_an_agent_that_is_killed_at_every_few_steps_goes_on(how):
    """Killed with SIGKILL again and again, run again each time, it ends with the list of one that never was."""
    runs = 0
    while True:
        process = start(agent, 2 + runs % 3, how)
        printed, errors = process.communicate(timeout=DEADLINE)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
        runs += 1
        assert runs < 40

    items = reloaded().items
    assert printed == "done\n"
    assert runs >= 5
    assert items[0].text == "Count."
    assert [item.call_id for item in items[1:]] == [f"c{n}" for n in range(STEPS) for _ in "ab"]
    assert [item.output for item in items[2::2]] == [str(number) for number in range(STEPS)]
    assert reloaded().state == {"count": STEPS}
    assert len(reloaded().skipped) == (runs if how == "in a write" else 0)


def open_and_die() -> None:
    """Open the session, and be killed when its file is about to get its name."""
    rolloutlog._writing.os_calls._OperatingSystem.link = staticmethod(
        lambda path, new: os.kill(os.getpid(), signal.SIGKILL)
    )
    session(NAME)


@pytest.mark.system
def test_a_kill_during_the_creation_blocks_nothing(home):
    """The lock of the name ends with the process, and no lock file is left over for each one that was killed."""
    for _ in range(3):
        finish(start(open_and_die), status=-signal.SIGKILL)

    with session(NAME) as opened:
        assert opened.items == []
    assert [path.name for path in (home / "sessions").iterdir() if path.is_file()] == [".lock"]


# -- interrupted while it is opened ------------------------------------------------------------------------------------


def open_and_interrupt(exists: bool) -> None:
    """Interrupt the opening of a session at each of its steps, and open it with other options afterwards."""
    sys.unraisablehook = lambda unraisable: None  # an interrupt within a generator that is being closed goes nowhere
    step = missed = 0
    while missed < 30:
        step += 1
        home = (
            f"{os.environ['ROLLOUTLOG_HOME']}/{step}"  # a new one each time, or a look at it takes more and more steps
        )
        if exists:
            session(NAME, home=home).close()
        missed = 0 if interrupted(step, lambda home=home: session(NAME, home=home).close()) else missed + 1
        session(NAME, home=home, queue_size=7).close()
    sys.stdout.write(f"{step > 100}\n")


@pytest.mark.system
@pytest.mark.parametrize("exists", [False, True], ids=["new", "old"])
@pytest.mark.slow
def test_an_interrupt_while_it_is_opened_leaves_it_free(exists):
    """Wherever Ctrl-C comes, nothing still holds the session: it can be opened with other options."""
    printed = in_fresh_process(open_and_interrupt, exists)

    assert printed == "True\n"


def record_and_interrupt() -> None:
    """Interrupt records and looks at each of their steps; print how many lists were not those of the file."""
    sys.unraisablehook = lambda unraisable: None
    step = missed = wrong = 0
    opened = other = session(NAME)

    def use() -> None:
        opened.record(USER("x"), wait=False)
        opened.items  # noqa: B018 (the look is what is tested)
        other.record(USER("x"))
        opened.context  # noqa: B018

    while missed < 30:
        if step % 25 == 0:  # a new one: in a long session each step takes long, because it is traced
            opened.close()
            other.close()
            opened, other = session(f"{NAME} {step}"), session(f"{NAME} {step}")
        step += 1
        missed = 0 if interrupted(step, use) else missed + 1
        opened.record(USER("end"))
        wrong += opened.items != rolloutlog.load_session(opened.path).items
    opened.close()
    other.close()
    sys.stdout.write(f"{step > 100} {wrong}\n")


@pytest.mark.system
def test_an_interrupt_of_a_record_or_a_look_leaves_the_list_right():
    """Wherever Ctrl-C comes, after the next record the list is that of the file."""
    printed = in_fresh_process(record_and_interrupt)

    assert printed == "True 0\n"


# -- signal handlers, and other threads that wait --------------------------------------------------------------------


def recording_at(step: int, action: Callable[[], object], handler: Callable[[], object]) -> bool:
    """Run *action*, and *handler* in it at *step*, as a signal handler; return whether it reached that step."""
    steps = 0

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal steps
        if event not in ("call", "c_return") or not frame.f_globals.get("__name__", "").startswith("rolloutlog"):
            return
        steps += 1
        if steps == step:
            sys.setprofile(None)
            handler()

    try:
        sys.setprofile(look)
        action()
    finally:
        sys.setprofile(None)
    return steps >= step


def test_a_signal_handler_that_records_changes_no_order(disk):
    """At whichever step of a record it comes, the items have the order that the file will have."""
    opened = session(NAME, queue_size=10_000)
    disk.hold()
    for step in itertools.count(1):
        reached_step = recording_at(
            step,
            lambda step=step: opened.record(Message.user(f"outer {step}"), wait=False),
            lambda step=step: opened.record(Message.user(f"inner {step}"), wait=False),
        )
        if not reached_step:
            break
    before = [item.text for item in opened.items]
    disk.go_on()
    opened.close()

    assert step > 20
    assert before == [item.text for item in rolloutlog.load_session(opened.path).items]


def test_an_equal_item_that_was_written_before_hides_none_on_its_way(disk):
    """The list has both, before and after the second one is in the file; also when a look comes for the first time."""
    opened = session(NAME)
    opened.record(HELLO)
    disk.hold()
    opened.record(HELLO, wait=False)
    on_its_way = len(opened.items)
    disk.go_on()
    opened.recorder.flush()
    in_file = len(opened.items)
    opened.close()

    assert (on_its_way, in_file) == (2, 2)


def test_equal_items_are_counted_however_they_are_mixed(disk):
    """Some are written and not looked at, some are on their way, and some come in between."""
    opened, counts = session(NAME), []
    for written, waiting in [(3, 1), (0, 2), (2, 0), (50, 2), (1, 1)]:
        for _ in range(written):
            opened.record(HELLO)
        disk.hold()
        for _ in range(waiting):
            opened.record(HELLO, wait=False)
        counts.append(len(opened.items))
        disk.go_on()
        opened.recorder.flush()
        counts.append(len(opened.items))
    opened.close()

    assert counts == [4, 4, 6, 6, 8, 8, 60, 60, 62, 62]


def test_a_signal_handler_that_waits_for_its_record_hides_no_other():
    """Its flush covers what was handed over before it, and not the record that its thread is about to hand over."""
    opened = session(NAME)
    shown = []

    def inner() -> None:
        opened.record(Message.user("inner"))
        shown.append(sorted(item.text for item in opened.items))

    for step in itertools.count(1):
        before = len(opened.items)
        if not recording_at(step, lambda: opened.record(Message.user("outer"), wait=False), inner):
            break
        assert len(opened.items) == before + 2, step
    opened.close()

    assert len(rolloutlog.load_session(opened.path).items) == len(opened.items)


def test_a_record_waits_for_another_thread_no_longer_than_it_may(disk):
    """Another thread may wait for room in the queue much longer."""
    opened = session(NAME, queue_size=1)
    disk.hold()
    opened.record(Message.user("a"), wait=False)
    assert disk.reached.wait(DEADLINE)
    opened.record(Message.user("b"), wait=False)
    other = threading.Thread(
        target=lambda: opened.record(Message.user("c"), wait=False, timeout=10 * DEADLINE), daemon=True
    )
    other.start()
    eventually(lambda: not opened._order.within(0.0, lambda: None))  # the other thread waits
    raised: list[type] = []

    def record() -> None:
        try:
            opened.record(Message.user("d"), timeout=0.05)
        except QueueFullError as error:
            raised.append(type(error))

    thread = threading.Thread(target=record, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    ended = raised[:]
    disk.go_on()
    other.join(DEADLINE)
    opened.close()

    assert ended == [QueueFullError]
    assert [item.text for item in rolloutlog.load_session(opened.path).items] == ["a", "b", "c"]


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_that_would_close_the_session_is_refused(act):
    """By the session, its recorder and a handler; the session continues."""
    opened = session(NAME)
    for value in (opened, opened.recorder, rolloutlog.RolloutHandler(recorder=opened)):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            act(value)
    opened.record(USER("a"))
    opened.close()

    assert texts_in(opened.path) == ["a"]


def test_an_open_that_should_fail_at_once_does_so_while_another_thread_waits(monkeypatch):
    """Another thread of this process waits longer for the process that has the session, and opens it then."""
    session(NAME).close()
    (found,) = rolloutlog.find_sessions()
    fd = os.open(found.path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)  # as another process does
    waits, opened = threading.Event(), []

    def pause(seconds: float) -> None:
        waits.set()
        time.sleep(seconds)

    monkeypatch.setattr("rolloutlog._open.sleep", pause)
    patient = threading.Thread(target=lambda: opened.append(session(NAME, lock_timeout=10 * DEADLINE)), daemon=True)
    patient.start()
    assert waits.wait(DEADLINE)
    with pytest.raises(SessionLockedError):
        session(NAME)
    os.close(fd)
    patient.join(DEADLINE)
    opened[0].close()

    assert not patient.is_alive()
