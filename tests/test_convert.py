"""convert() writes a session in the other format and loses nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import uuid
from pathlib import Path

import pytest
from helpers import DEADLINE, values_in
from hypothesis import given
from hypothesis import strategies as st
from strategies import entries, metas

import rolloutlog
from rolloutlog import LogEntry, Message, RolloutRecorder, SessionMeta, SessionStateSnapshot, convert, load_session
from rolloutlog._format.lines import LineEncoder
from rolloutlog._json import MAX_RECORDED
from rolloutlog._paths import rollout_path
from rolloutlog.exceptions import InvalidItemError, InvalidRolloutError, SessionNotFoundError
from rolloutlog.items import ResponseItem

DATA = Path(__file__).parent / "data"
REAL = sorted(DATA.rglob("*.jsonl"))


def recorded(home, *recorded_entries, **options):
    """Record *recorded_entries* into a session of its own and return its file."""
    with RolloutRecorder.create(home, **options) as recorder:
        for entry in recorded_entries:
            if isinstance(entry, SessionStateSnapshot):
                recorder.record_state(entry)
            elif isinstance(entry, LogEntry):
                recorder.record_log(entry)
            else:
                recorder.record(entry)
    return recorder.path


def left_in(home):
    """Return the files in *home*, hidden ones too, but not the one whose bytes are locked for ids."""
    return [path for path in home.rglob("*") if path.is_file() and path != home / "sessions" / ".lock"]


def content(path):
    """Return items, state and logs of a session, without its meta."""
    saved = load_session(path)
    assert not saved.skipped
    return saved.items, saved.state, saved.logs


@given(st.lists(entries, max_size=6))
def test_flat_to_envelope_to_flat_gives_the_same_items_state_and_logs(values):
    """Both new sessions equal the old one, and the flat lines are the same bytes, except for one null."""
    with tempfile.TemporaryDirectory() as folder:
        first = recorded(os.path.join(folder, "a"), *values)

        there = convert(first, format="envelope", home=os.path.join(folder, "b"))
        back = convert(there, format="flat", home=os.path.join(folder, "c"))

        assert content(first) == content(there) == content(back)
        # Reasoning without an id has a null in its place in the flat format alone.
        nothing, null = b'{"type":"reasoning",', b'{"type":"reasoning","id":null,'
        assert back.read_bytes().split(b"\n")[1:] == first.read_bytes().replace(null, nothing).split(b"\n")[1:]


# --- any session ------------------------------------------------------------------------------------------------------

TIME = "2025-07-23T15:03:26.000Z"


def line(value: object) -> bytes:
    """Return the line of *value*, as another program may write it."""
    return json.dumps(value).encode() + b"\n"


def wrapped(kind: str, payload: object, **keys: object) -> bytes:
    """Return a line of the envelope format, which a flat file may hold, too."""
    return line({"timestamp": TIME, "type": kind, "payload": payload, **keys})


SAID = [{"type": "message", "role": role, "content": [{"type": "input_text", "text": role}]} for role in ("user", "x")]
COMPACTED = [SAID, [], None, [{"type": "gesture", "at": [1]}], [{"type": "compacted", "payload": {}}], [5], "text"]
ODD_LINES = [
    *(b"\n", b" \r\n", b"garbage\n", b"\xff\n", b"[]\n", b'{"text":1}\n'),
    *(wrapped("compacted", {"message": "in short", "replacement_history": instead}) for instead in COMPACTED),
    *(wrapped("compacted", payload) for payload in ({"message": "in short"}, {}, None)),
    *(wrapped("event_msg", {"type": "thread_rolled_back", "num_turns": count}) for count in (1, 99, "x")),
    wrapped("turn_context", {"cwd": "/"}, ordinal=7, metadata={"a": 1}),
    *(wrapped("unknown", payload) for payload in ("text", None, [1])),
    *(wrapped("rolloutlog", payload) for payload in ({"type": "strange"}, 3)),
    *(wrapped("response_item", payload) for payload in (*SAID, {"type": "message"}, 3)),
    *map(line, SAID),
    line({"type": "mcp_call", "id": "m1", "name": "x", "arguments": "{}", "server_label": "s"}),
    line({"type": "gesture", "call_id": "c1"}),
    *(
        line({"type": "log", "timestamp": when, "level": "INFO", "logger": "rolloutlog", "message": "", "extra": extra})
        for when in (TIME, "once", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")
        for extra in ({"taken_back": 1}, {"taken_back": "all"}, {"taken_back": None}, {})
    ),
]
ODD_METAS = [
    SessionMeta(str(uuid.UUID(int=7)), when, extra=extra)
    for when in (TIME, "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0101-01-01")
    for extra in ({}, {"payload": {}}, {"history_mode": "paginated"}, {"cwd": "/", "git": {"branch": "main"}})
]


def written(path: Path, format: str, meta: SessionMeta, values: list[object], torn: bytes) -> None:
    """Write a session of *values* (entries, or lines as they are) to *path*, and *torn* at its end."""
    encoder = LineEncoder(format=format)
    lines = [encoder.meta(meta)]
    for value in values:
        if isinstance(value, bytes):
            lines.append(value)
        elif isinstance(value, LogEntry):
            lines.append(encoder.log(value))
        elif isinstance(value, SessionStateSnapshot):
            lines.append(encoder.state(value))
        else:
            lines += encoder.items([value])[0]
    path.write_bytes(b"".join([*lines, torn]))


def without_null_id(item: ResponseItem) -> dict[str, object]:
    """Return *item* as it is written, without the null that only the flat format has for the id of reasoning."""
    return {key: value for key, value in item.to_dict().items() if (item.type, key, value) != ("reasoning", "id", None)}


def all_of(path: Path) -> dict[str, object]:
    """Return all that a session holds, and its input for a model, without the events that show text."""
    saved = load_session(path)
    others = [{key: value for key, value in entry.raw.items() if key != "ordinal"} for entry in saved.others]
    return {
        "items": list(map(without_null_id, saved.items)),
        "context": list(map(without_null_id, saved.context)),
        "input": saved.to_input(),
        "state": dict(saved.state),
        "logs": saved.logs,
        "others": [raw for raw in others if not (raw["type"] == "event_msg" and "message" in raw["payload"])],
    }


@pytest.mark.parametrize("format", ["flat", "envelope"])
@given(
    metas | st.sampled_from(ODD_METAS),
    st.lists(entries | st.sampled_from(ODD_LINES), max_size=8),
    st.sampled_from([b"", b'{"type":"mess', b"\xe6"]),
)
def test_any_session_is_the_same_there_and_back(format, meta, values, torn):
    """This holds for any lines. The old file is not touched, and the new ones have no line that is skipped."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder, "old.jsonl")
        written(old, format, meta, values, torn)
        os.utime(old, ns=(10**18, 10**18))
        before = old.read_bytes()

        there = convert(old, format="envelope" if format == "flat" else "flat", home=Path(folder, "there"))
        back = convert(there, format=format, home=Path(folder, "back"))

        assert (old.read_bytes(), old.stat().st_mtime_ns) == (before, 10**18)
        assert all_of(there) == all_of(old)
        assert all_of(back) == all_of(old)
        assert load_session(there).skipped == load_session(back).skipped == []
        found = [list(rolloutlog.find_sessions(Path(folder, home))) for home in ("there", "back")]
        assert [[session.path for session in sessions] for sessions in found] == [[there], [back]]


# --- real sessions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_real_file_keeps_its_items_in_the_other_format_and_back(path, tmp_path):
    """Lines that real Codex wrote keep all their keys."""
    before = load_session(path)
    other = "envelope" if before.format == "flat" else "flat"

    there = convert(path, format=other, home=tmp_path / "there")
    back = convert(there, format=before.format, home=tmp_path / "back")

    for saved in load_session(there), load_session(back):
        assert [item.to_dict() for item in saved.items] == [item.to_dict() for item in before.items]
        assert (saved.state, saved.logs, saved.context) == (before.state, before.logs, before.context)
        assert saved.skipped == []
        assert saved.session.instructions == before.session.instructions
    assert load_session(there).format == other


def test_the_old_file_stays_as_it_is(tmp_path):
    """It has the same bytes at the same path."""
    old = recorded(tmp_path, Message.user("hi"))
    before = old.read_bytes()

    convert(old, format="envelope", home=tmp_path)

    assert old.read_bytes() == before


def test_in_another_home_the_session_keeps_its_id(tmp_path):
    """So it is found there by its id and by its name."""
    with rolloutlog.session("trip", home=tmp_path / "mine") as session:
        session.record(Message.user("hi"))

    convert(session.path, format="envelope", home=tmp_path / "codex")

    with rolloutlog.session("trip", home=tmp_path / "codex") as again:
        assert [item.text for item in again.items] == ["hi"]
        assert again.saved.format == "envelope"


def test_in_the_same_home_it_has_a_new_id_and_says_from_which(tmp_path):
    """No two sessions of one home have the same id."""
    old = recorded(tmp_path, Message.user("hi"))

    new = convert(old, format="envelope", home=tmp_path)

    was, now = load_session(old).session, load_session(new).session
    assert now.id != was.id
    assert now.extra["converted_from"] == was.id
    assert now.timestamp == was.timestamp


def test_wrapped_lines_have_the_last_time_that_the_session_contains(tmp_path):
    """They do not get the time of the call, when nothing was recorded."""
    entry = LogEntry("2031-01-01T00:00:00.000Z", "INFO", "l", "m")
    old = recorded(tmp_path, Message.user("a"), entry, Message.user("b"))
    began = load_session(old).session.timestamp

    new = convert(old, format="envelope", home=tmp_path)

    times = [value["timestamp"] for value in values_in(new) if value["type"] in ("response_item", "rolloutlog")]
    assert times == [began, "2031-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"]


def test_events_and_compactions_are_kept_in_both_formats(tmp_path):
    """They are not items, and they decide what the model sees."""
    golden = DATA / "golden" / "envelope.jsonl"

    flat = load_session(convert(golden, format="flat", home=tmp_path / "flat"))

    before = load_session(golden)
    assert [entry.type for entry in flat.others] == [entry.type for entry in before.others]
    assert flat.context == before.context != before.items


def test_the_new_file_is_private(tmp_path):
    """It has the mode of every session, and no hidden file is left beside it."""
    new = convert(recorded(tmp_path, Message.user("hi")), format="envelope", home=tmp_path)

    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert [path for path in new.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_a_session_in_that_format_is_refused(tmp_path, format):
    """The result would only be a copy."""
    path = recorded(tmp_path, format=format)

    with pytest.raises(ValueError, match="already"):
        convert(path, format=format, home=tmp_path)


def test_a_file_that_is_not_a_session_is_refused(tmp_path):
    """No file is created for it."""
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")

    with pytest.raises(InvalidRolloutError):
        convert(path, format="flat", home=tmp_path)
    with pytest.raises(SessionNotFoundError):
        convert(tmp_path / "y.jsonl", format="flat", home=tmp_path)

    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_when_the_envelope_cannot_hold_an_item(tmp_path):
    """An item of 127 levels can be read from a flat file, but not from an envelope."""
    old = recorded(tmp_path / "old")
    deep = {"type": "web_search_call", "results": json.loads("[" * 126 + "]" * 126)}
    old.write_text(old.read_text() + json.dumps(deep) + "\n")

    with pytest.raises(rolloutlog.exceptions.InvalidItemError):
        convert(old, format="envelope", home=tmp_path / "new")

    assert left_in(tmp_path / "new") == []


def test_an_id_that_is_not_a_uuid_is_replaced(tmp_path):
    """Some programs write ids that are not UUIDs, which a file name needs."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"id":"mine","timestamp":"yesterday","instructions":null}\n')

    new = load_session(convert(path, format="envelope", home=tmp_path))

    assert uuid.UUID(new.session_id)
    assert new.session.extra["converted_from"] == "mine"


def shown(path: Path) -> list[str]:
    """Return the texts that Codex shows of the session at *path*."""
    events = [value["payload"] for value in values_in(path) if value.get("type") == "event_msg"]
    return [event["message"] for event in events if event["type"] in ("user_message", "agent_message")]


@pytest.mark.parametrize("first", ["event", "item"])
def test_a_text_that_was_shown_is_shown_once(tmp_path, first):
    """Older Codex wrote the event of an answer before its line, and that of a question after it."""
    old = tmp_path / "old.jsonl"
    parts = []
    for text in ("yes", "yes", "no"):
        message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        pair = [wrapped("event_msg", {"type": "agent_message", "message": text}), wrapped("response_item", message)]
        parts += pair if first == "event" else reversed(pair)
    written(old, "envelope", ODD_METAS[0], parts, b"")

    back = convert(convert(old, format="flat", home=tmp_path / "a"), format="envelope", home=tmp_path / "b")

    assert shown(back) == shown(old) == ["yes", "yes", "no"]


@pytest.mark.slow
def test_a_line_that_would_be_too_long_to_be_read_is_refused(tmp_path):
    """The envelope makes it longer than a reader takes: an error is better than a session without it."""
    old = tmp_path / "old.jsonl"
    most = Message.user("x" * (MAX_RECORDED - len(LineEncoder().items([Message.user("")])[0][0]) + 1))
    written(old, "flat", ODD_METAS[0], [most, Message.user("hi")], b"")
    assert len(load_session(old).items) == 2

    with pytest.raises(InvalidItemError, match="longer than a line may be"):
        convert(old, format="envelope", home=tmp_path / "new")

    assert left_in(tmp_path / "new") == []


def test_a_fork_without_the_history_that_it_refers_to_is_refused(tmp_path):
    """Without the history and the reference, the new file would look like the whole session."""
    old = tmp_path / "home" / "sessions" / "old.jsonl"
    old.parent.mkdir(parents=True)
    base = {"thread_id": str(uuid.UUID(int=9)), "end_byte_offset": 100}
    meta = SessionMeta(str(uuid.UUID(int=7)), TIME, extra={"history_base": base})
    written(old, "envelope", meta, [Message.user("hi")], b"")

    with pytest.raises(InvalidRolloutError, match="history"):
        convert(old, format="flat", home=tmp_path / "new")

    assert left_in(tmp_path / "new") == []


@pytest.mark.parametrize("copied", [True, False])
def test_an_inherited_history_is_counted_once_after_it_is_converted(tmp_path, copied):
    """This holds for a history in the file itself and for one in another file."""
    ids = [str(uuid.UUID(int=number)) for number in (1, 2)]
    home = tmp_path / "home"
    parent = rollout_path(home, 1753283006, ids[0])
    parent.parent.mkdir(parents=True)
    written(parent, "envelope", SessionMeta(ids[0], TIME), [Message.user("a"), Message.assistant("b")], b"")
    with parent.open("ab") as file:
        file.write(line({"timestamp": TIME, "type": "event_msg", "payload": {"type": "token_count", "info": {}}}))
    history = parent.read_bytes()
    base = {} if copied else {"history_base": {"thread_id": ids[0], "end_byte_offset": len(history)}}
    fork = rollout_path(home, 1753283007, ids[1])
    own = SessionMeta(ids[1], TIME, extra={"forked_from_id": ids[0], **base})
    late = line(
        {"timestamp": "2099-01-01T00:00:00.000Z", "type": "response_item", "payload": Message.user("c").to_dict()}
    )
    written(fork, "envelope", own, [*([history] if copied else []), late], b"")

    flat = convert(fork, format="flat", home=tmp_path / "flat")
    back = convert(flat, format="envelope", home=tmp_path / "back")

    for path in (fork, flat, back):
        saved = load_session(path)
        assert [item.text for item in saved.items[: saved.inherited]] == ["a", "b"]
        assert [item.text for item in saved.items[saved.inherited :]] == ["c"]
        assert saved.session.parent_id == ids[0]
        tokens = [number for number, other in enumerate(saved.others) if "token_count" in str(other.raw)]
        assert all(number < saved.inherited_others for number in tokens), "the tokens are not the fork's own"


FULL = """
import resource, sys, rolloutlog
path, home, limit = sys.argv[1:]
sys.dont_write_bytecode = True  # half of a module's bytecode would stay beside the source
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), limits[1]))
try:
    rolloutlog.convert(path, format="envelope", home=home)
except OSError as error:
    sys.exit(error.errno)
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)  # coverage writes its data at the end
"""


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_full_disk_leaves_nothing(tmp_path, part):
    """At any point the system's error is raised, and no file is left, partial or hidden."""
    old = recorded(tmp_path, *[Message.user("x" * 1000)] * 9000)
    limit = str(int(part * old.stat().st_size))

    done = subprocess.run([sys.executable, "-c", FULL, old, tmp_path / "new", limit], timeout=DEADLINE)

    assert done.returncode == errno.EFBIG
    assert left_in(tmp_path / "new") == []


def test_a_session_that_begins_at_the_same_time_is_the_converted_one(tmp_path, monkeypatch):
    """convert() holds the lock of the id, so there are never two files of one session in a home."""
    new = tmp_path / "new"
    with rolloutlog.session("trip", home=tmp_path) as trip:
        trip.record(Message.user("hi"))
    begun = threading.Thread(target=lambda: rolloutlog.session("trip", home=new).close())
    look = rolloutlog._convert.find_by_id

    def look_and_let_it_begin(home, session_id):
        found = look(home, session_id)
        begun.start()
        begun.join(0.5)  # it waits for the lock; without one it would be done by then
        return found

    monkeypatch.setattr(rolloutlog._convert, "find_by_id", look_and_let_it_begin)
    made = convert(trip.path, format="envelope", home=new)
    begun.join(DEADLINE)

    assert [found.path for found in rolloutlog.find_sessions(new)] == [made]
    assert [item.text for item in load_session(made).items] == ["hi"]


KILLED = """
import os, signal, sys, rolloutlog
from rolloutlog._writing.os_calls import REAL_SYSTEM
REAL_SYSTEM.link = lambda hidden, final: os.kill(os.getpid(), signal.SIGKILL)
rolloutlog.convert(sys.argv[1], format="envelope", home=sys.argv[2])
"""


def test_a_kill_leaves_no_partial_session(tmp_path):
    """Just before the end, only a hidden file is left, and the next call creates the session."""
    old = recorded(tmp_path, Message.user("hi"))
    done = subprocess.run([sys.executable, "-c", KILLED, old, tmp_path / "new"], timeout=DEADLINE)

    assert done.returncode == -signal.SIGKILL
    assert list(rolloutlog.find_sessions(tmp_path / "new")) == []
    again = convert(old, format="envelope", home=tmp_path / "new")
    assert load_session(again).items == load_session(old).items
    assert load_session(again).session_id == load_session(old).session_id
