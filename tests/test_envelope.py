"""The envelope format as we write it: lines that wrap records, the keys that real readers require, and numbers."""

from __future__ import annotations

import itertools
import json

import pytest
from helpers import Disk, finish, recorder_on, start, values_in
from hypothesis import given
from strategies import entries, items

import rolloutlog
from rolloutlog import (
    LogEntry,
    Message,
    Other,
    RolloutRecorder,
    SessionMeta,
    SessionStateSnapshot,
    iter_lines,
    load_session,
)
from rolloutlog._format.envelope import Numbering
from rolloutlog._format.lines import LineEncoder, decode_line
from rolloutlog._reading.lines import ordinal_of
from rolloutlog.exceptions import InvalidItemError, RedactionError, WriteError

ID = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"
NOW = 1753283006.5
WHEN = "2025-07-23T15:03:26.500Z"
ENCODER = LineEncoder(format="envelope", clock=lambda: NOW)
REQUIRED = {"cwd", "originator", "cli_version"}


def values(lines):
    """Return the values of the lines in *lines*, parsed without our code."""
    return list(map(json.loads, lines.splitlines()))


# --- lines ------------------------------------------------------------------------------------------------------------


def test_an_item_is_the_payload_of_a_line_with_its_time():
    """A line holds time, type and payload, in the order of the real Codex."""
    item = {"type": "function_call_output", "call_id": "c", "output": "x"}

    (lines,), _ = ENCODER.items([item])

    expected = f'{{"timestamp":"{WHEN}","type":"response_item","payload":{json.dumps(item, separators=(",", ":"))}}}\n'
    assert lines == expected.encode()


def test_reasoning_without_an_id_has_no_key_for_it():
    """Codex from 0.34 to 0.135 skips reasoning with a null id; other kinds may have one."""
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "c2Vh"}
    given = [thought, {**thought, "id": None}, {**thought, "id": "rs_1"}, Message.developer("hi")]

    lines, _ = ENCODER.items(given)

    payloads = [values(line)[0]["payload"] for line in lines]
    assert [payload.get("id", "no key") for payload in payloads] == ["no key", "no key", "rs_1", None]
    assert payloads[0] == thought


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (Message.user("hi"), {"type": "user_message", "message": "hi"}),
        (Message.assistant("ho"), {"type": "agent_message", "message": "ho"}),
        (Message.system("be brief"), None),
        (Message.user(""), None),
        (Message.user("<environment_context>\n  <cwd>/</cwd>\n</environment_context>"), None),  # not a title
    ],
)
def test_a_message_that_people_see_is_followed_by_its_event(message, event):
    """Codex needs these events to list a session and to show its messages."""
    (lines,), _ = ENCODER.items([message])

    item, *events = values(lines)
    assert item["payload"] == message.to_dict()
    assert [line["payload"] for line in events] == ([] if event is None else [event])
    assert {line["type"] for line in events} <= {"event_msg"}


@given(entries)
def test_an_entry_comes_back_out_of_its_envelope(entry):
    """decode(encode(x)) == x for items, states and log entries, wrapped."""
    if isinstance(entry, SessionStateSnapshot):
        lines = ENCODER.state(entry)
    elif isinstance(entry, LogEntry):
        lines = ENCODER.log(entry)
    else:
        (lines,), _ = ENCODER.items([entry])

    assert decode_line(lines.split(b"\n")[0]) == entry


@given(items)
def test_the_payload_is_the_line_of_the_flat_format(item):
    """The formats differ only in the envelope, and in the null id of reasoning."""
    (flat,), _ = LineEncoder().items([item])
    expected = json.loads(flat)
    if expected["type"] == "reasoning" and expected["id"] is None:
        del expected["id"]

    (lines,), _ = ENCODER.items([item])

    assert values(lines)[0]["payload"] == expected


def test_states_and_log_entries_are_of_a_type_of_our_own():
    """No real reader knows or will know that type, so it skips the line."""
    lines = ENCODER.state({"step": 1, "type": "message"}) + ENCODER.log(LogEntry("t", "INFO", "agent", "hm"))

    assert [line["type"] for line in values(lines)] == ["rolloutlog", "rolloutlog"]


def test_gaps_and_withheld_records_are_wrapped_too():
    """Every line of the file is an envelope, also those that the recorder adds."""

    def fails(record):
        raise RuntimeError

    encoder = LineEncoder(format="envelope", redact=fails, clock=lambda: NOW)

    with pytest.raises(RedactionError) as caught:
        encoder.items([Message.user("secret")])
    lines = [encoder.gap(3, "the queue was full"), encoder.withheld(caught.value)]

    assert [decode_line(line).level for line in lines] == ["WARNING", "ERROR"]
    assert [json.loads(line)["type"] for line in lines] == ["rolloutlog", "rolloutlog"]


def test_redaction_sees_the_record_and_not_its_envelope():
    """The hook gets the same dict in both formats, and the event shows the result."""
    seen = []

    def redact(record):
        seen.append(record)
        return {**record, "content": [{"type": "input_text", "text": "***"}]}

    (lines,), _ = LineEncoder(format="envelope", redact=redact).items([Message.user("secret")])

    assert [record["type"] for record in seen] == ["message"]
    assert b"secret" not in lines
    assert values(lines)[1]["payload"]["message"] == "***"


def test_an_item_that_is_too_deep_in_its_envelope_is_refused():
    """Real readers skip a line of more than 127 levels. The envelope is one level, and the item another."""
    deep = json.loads("[" * 125 + "]" * 125)
    item = Other({"type": "web_search_call", "results": deep})

    (line,), _ = ENCODER.items([item])
    with pytest.raises(InvalidItemError, match="nested"):
        ENCODER.items([Other({"type": "web_search_call", "results": [deep]})])

    assert decode_line(line) == item


# --- the meta ---------------------------------------------------------------------------------------------------------


def test_the_meta_holds_what_every_real_reader_requires(tmp_path, monkeypatch):
    """Folder, originator and version have defaults, which `recorder.session` has too."""
    monkeypatch.chdir(tmp_path)
    with RolloutRecorder.create(tmp_path, format="envelope", instructions="be kind", meta={"x": 1}) as recorder:
        pass

    payload = values_in(recorder.path)[0]["payload"]

    assert payload["cwd"] == str(tmp_path)
    assert (payload["originator"], payload["cli_version"]) == ("rolloutlog", rolloutlog.__version__)
    assert (payload["id"], payload["instructions"], payload["x"]) == (recorder.session.id, "be kind", 1)
    assert load_session(recorder.path).session == recorder.session


def test_a_callers_own_folder_and_originator_stay(tmp_path):
    """Values in ``meta=`` win."""
    with RolloutRecorder.create(tmp_path, format="envelope", meta={"cwd": "/x", "originator": "mine"}) as recorder:
        pass

    assert recorder.session.extra["cwd"] == "/x"
    assert recorder.session.extra["originator"] == "mine"


@pytest.mark.parametrize("key", sorted(REQUIRED))
def test_a_required_key_that_is_not_a_string_is_refused(tmp_path, key):
    """A real reader could not read the file. No file is created."""
    with pytest.raises(InvalidItemError, match=f"session_meta.{key}"):
        RolloutRecorder.create(tmp_path, format="envelope", meta={key: None})

    assert not list(tmp_path.rglob("rollout-*"))


@pytest.mark.parametrize("redacted", [{}, {"cwd": None}, {"cwd": 3, "instructions": "x"}, None])
def test_redaction_cannot_take_the_required_keys_away(redacted):
    """A real reader accepts the line, whatever the hook returns for the meta."""
    line = LineEncoder(format="envelope", redact=lambda record: redacted).meta(SessionMeta(ID, WHEN))

    payload = json.loads(line)["payload"]
    assert (payload["id"], payload["timestamp"]) == (ID, WHEN)
    assert all(type(payload[key]) is str for key in REQUIRED)


def test_the_version_is_the_one_of_the_package():
    """It equals the version in setup.cfg."""
    assert rolloutlog.__version__ in LineEncoder(format="envelope").meta(SessionMeta(ID, WHEN)).decode()


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_resumed_session_keeps_its_format(tmp_path):
    """Resuming needs no ``format``, and ignores one that is passed."""
    with rolloutlog.session("trip", home=tmp_path, format="envelope") as session:
        session.record(Message.user("one"))
        session.state = {"step": 1}
    with rolloutlog.session("trip", home=tmp_path, format="flat") as session:
        assert (len(session.items), session.state) == (1, {"step": 1})
        session.record(Message.assistant("two"))
        assert session.items == [Message.user("one"), Message.assistant("two")]

    saved = load_session(session.path)

    assert saved.format == "envelope"
    assert [item.text for item in saved.items] == ["one", "two"]
    assert all("payload" in value for value in values_in(session.path))


def test_a_record_counts_once_with_its_event(tmp_path):
    """The counters count records, not lines."""
    with RolloutRecorder.create(tmp_path, format="envelope") as recorder:
        recorder.record(Message.user("one"))
        recorder.record(Message.user("two"), Message.assistant("three"))
        recorder.flush()

        assert recorder.stats.written == recorder.stats.accepted == 3


# --- numbers ----------------------------------------------------------------------------------------------------------


def paginated(folder, *lines):
    """Write a rollout like those of the newest Codex, whose lines are numbered, and return its path."""
    payload = {"id": ID, "timestamp": WHEN, "cwd": "/x", "originator": "codex", "cli_version": "1"}
    payload["history_mode"] = "paginated"
    meta = {"timestamp": WHEN, "ordinal": 0, "type": "session_meta", "payload": payload}
    path = folder / f"rollout-2025-07-23T15-03-26-{ID}.jsonl"
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in [meta, *lines]))
    return path


def numbers(path):
    """Return the number of each line of a type that real readers know."""
    return [value.get("ordinal") for value in values_in(path) if value["type"] != "rolloutlog"]


def test_lines_after_numbered_ones_have_the_next_numbers(tmp_path):
    """In the order of the file, whichever recorder wrote them; lines of our own type have none."""
    path = paginated(tmp_path, {"timestamp": WHEN, "ordinal": 1, "type": "event_msg", "payload": {"type": "x"}})
    recorder, _ = RolloutRecorder.resume(path)
    with recorder:
        for number in range(5):
            recorder.record(Message.user(str(number)), Message.assistant("ho"))
            recorder.record_state({"step": number})
    recorder, _ = RolloutRecorder.resume(path)
    with recorder:
        recorder.record(Message.user("again"))

    assert numbers(path) == list(range(2 + 5 * 4 + 2))
    assert len(load_session(path).items) == 11


@pytest.mark.parametrize("rewritten", [{}, {"sort_keys": True}, {"indent": None, "separators": (" , ", " : ")}])
def test_numbers_follow_lines_that_another_program_wrote_again(tmp_path, rewritten):
    """With other spaces, or with the keys in another order."""
    lines = ({"timestamp": WHEN, "ordinal": n, "type": "event_msg", "payload": {"type": "x"}} for n in (1, 2))
    path = paginated(tmp_path, *lines)
    path.write_text("".join(json.dumps(value, **rewritten) + "\n" for value in values_in(path)))
    recorder, saved = RolloutRecorder.resume(path)
    with recorder:
        recorder.record(Message.user("hi"))

    assert numbers(path) == [0, 1, 2, 3, 4]
    assert not saved.skipped
    assert [line.ordinal for line in iter_lines(path)] == [0, 1, 2, 3, 4]


def test_lines_after_lines_without_numbers_have_none(tmp_path):
    """Also if some other line has a number, because the meta decides."""
    with RolloutRecorder.create(tmp_path, format="envelope") as recorder:
        recorder.record(Message.user("hi"))
    recorder, _ = RolloutRecorder.resume(recorder.path)
    with recorder:
        recorder.record(Message.user("ho"))

    assert set(numbers(recorder.path)) == {None}


def test_what_has_its_number_keeps_it():
    """Lines that could not be written are numbered again."""
    numbering = Numbering(ordinal_of, 7)
    lines = ENCODER.items([Message.user("hi")])[0][0] + ENCODER.state({})

    once = numbering(lines)

    assert [value.get("ordinal") for value in values(once)] == [7, 8, None]
    assert numbering(once) is once
    assert numbering.following == 9


def test_numbers_are_given_in_the_order_of_the_lines():
    """The numbers are consecutive, however the lines are split into pieces."""
    lines = [ENCODER.items([Message.user(str(number))])[0][0] for number in range(4)]
    pieces = [lines[0], b"".join(lines[1:3]), lines[3]]

    numbered = b"".join(map(Numbering(ordinal_of), pieces))

    assert [value["ordinal"] for value in values(numbered)] == list(itertools.islice(itertools.count(), 8))


def in_turn(path, number):
    """Record in another process; see `test_processes_that_share_a_numbered_session_number_it_together`."""
    recorder, _ = RolloutRecorder.resume(path, shared=True)
    for _ in range(number):
        recorder.record(Message.user("hi"))
        recorder.flush()
    recorder.close()


def test_processes_that_share_a_numbered_session_number_it_together(tmp_path):
    """The numbers are given under the lock of the file, after its last line: none is missing or there twice."""
    path = paginated(tmp_path)
    recorder, _ = RolloutRecorder.resume(path, shared=True)
    recorder.record(Message.user("first"))
    recorder.flush()
    others = [start(in_turn, str(path), 20) for _ in range(2)]
    for _ in range(20):
        recorder.record(Message.user("hi"))
        recorder.flush()
    for other in others:
        finish(other)
    recorder.record(Message.user("last"))
    recorder.close()

    assert numbers(path) == list(range(1 + 2 * 62))


def test_numbers_continue_after_the_end_of_a_long_file(tmp_path):
    """The last numbered line may be far from the end of the file, before lines of our own and a torn one."""
    path = paginated(tmp_path, {"timestamp": WHEN, "ordinal": 41, "type": "event_msg", "payload": {"type": "x"}})
    recorder, _ = RolloutRecorder.resume(path)
    with recorder:
        for _ in range(4):
            recorder.record_state({"large": "x" * 50_000})
    with path.open("ab") as file:
        file.write(b'{"timestamp":"')
    recorder, _ = RolloutRecorder.resume(path)
    with recorder:
        recorder.record(Message.user("hi"))

    assert [line.ordinal for line in iter_lines(path) if line.ordinal is not None] == [0, 41, 42, 43]


def test_a_numbered_line_that_was_not_written_gives_its_number_back(tmp_path):
    """After a failed write, another process may have taken it."""
    disk = Disk()
    path = paginated(tmp_path)
    recorder, _ = recorder_on(disk).resume(path, shared=True)
    disk.is_full = True
    recorder.record(Message.user("waits"))
    with pytest.raises(WriteError):
        recorder.flush()
    other = start(in_turn, str(path), 2)
    finish(other)
    disk.is_full = False
    recorder.close()

    assert numbers(path) == list(range(1 + 2 * 3))
    assert load_session(path).items[-1].text == "waits"


def test_a_numbered_session_that_is_made_anew_begins_with_its_first_number(tmp_path):
    """Its file was deleted: the new one begins with the meta, which has the number 0."""
    path = paginated(tmp_path)
    recorder, _ = RolloutRecorder.resume(path)
    recorder.record(Message.user("lost"))
    recorder.flush()
    path.unlink()
    recorder.record(Message.user("hi"))
    recorder.close()

    assert numbers(path) == [0, 1, 2]
