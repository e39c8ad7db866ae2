"""convert(): a session in the other format, with nothing lost."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import uuid
from pathlib import Path

import pytest
from helpers import values_in
from hypothesis import given
from hypothesis import strategies as st
from strategies import entries

import rolloutlog
from rolloutlog import LogEntry, Message, RolloutRecorder, SessionStateSnapshot, convert, load_session
from rolloutlog._codec import wire
from rolloutlog.exceptions import InvalidRolloutError, SessionNotFoundError

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


def content(path):
    """Return what a session holds, but for its meta."""
    saved = load_session(path)
    assert not saved.skipped
    return saved.items, saved.state, saved.logs


@given(st.lists(entries, max_size=6))
def test_flat_to_envelope_to_flat_gives_the_same_items_state_and_logs(values):
    """back(there(session)) == session, and there it is the same too; the flat lines are the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        first = recorded(os.path.join(folder, "a"), *values)

        there = convert(first, format="envelope", home=os.path.join(folder, "b"))
        back = convert(there, format="flat", home=os.path.join(folder, "c"))

        assert content(first) == content(there) == content(back)
        assert back.read_bytes().split(b"\n")[1:] == first.read_bytes().split(b"\n")[1:]


@pytest.mark.parametrize("path", REAL, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_real_file_keeps_its_items_in_the_other_format_and_back(path, tmp_path):
    """Lines that real Codex wrote keep their keys, too, whatever stands around them."""
    before = load_session(path)
    other = "envelope" if before.format == "flat" else "flat"

    there = convert(path, format=other, home=tmp_path / "there")
    back = convert(there, format=before.format, home=tmp_path / "back")

    for saved in load_session(there), load_session(back):
        assert [wire(item) for item in saved.items] == [wire(item) for item in before.items]
        assert (saved.state, saved.logs, saved.context) == (before.state, before.logs, before.context)
        assert saved.skipped == []
        assert saved.session.instructions == before.session.instructions
    assert load_session(there).format == other


def test_the_old_file_stays_as_it_is(tmp_path):
    """Byte for byte, and where it was."""
    old = recorded(tmp_path, Message.user("hi"))
    before = old.read_bytes()

    convert(old, format="envelope", home=tmp_path)

    assert old.read_bytes() == before


def test_in_another_home_the_session_keeps_its_id(tmp_path):
    """So that it is found there by its id, and by its name."""
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


def test_wrapped_lines_are_stamped_with_the_last_time_that_the_session_told(tmp_path):
    """Not with now, when nothing of it was said."""
    entry = LogEntry("2031-01-01T00:00:00.000Z", "INFO", "l", "m")
    old = recorded(tmp_path, Message.user("a"), entry, Message.user("b"))
    began = load_session(old).session.timestamp

    new = convert(old, format="envelope", home=tmp_path)

    times = [value["timestamp"] for value in values_in(new) if value["type"] in ("response_item", "rolloutlog")]
    assert times == [began, "2031-01-01T00:00:00.000Z", "2031-01-01T00:00:00.000Z"]


def test_events_and_compactions_are_kept_in_both_formats(tmp_path):
    """They are no items, and say what the model sees."""
    golden = DATA / "golden" / "envelope.jsonl"

    flat = load_session(convert(golden, format="flat", home=tmp_path / "flat"))

    before = load_session(golden)
    assert [entry.type for entry in flat.others] == [entry.type for entry in before.others]
    assert flat.context == before.context != before.items


def test_the_new_file_is_private(tmp_path):
    """Like every session."""
    new = convert(recorded(tmp_path, Message.user("hi")), format="envelope", home=tmp_path)

    assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert [path for path in new.parent.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_what_has_the_format_already_is_refused(tmp_path, format):
    """It would be a copy, for which there are other programs."""
    path = recorded(tmp_path, format=format)

    with pytest.raises(ValueError, match="already"):
        convert(path, format=format, home=tmp_path)


def test_what_is_no_session_is_refused(tmp_path):
    """And nothing is made of it."""
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n")

    with pytest.raises(InvalidRolloutError):
        convert(path, format="flat", home=tmp_path)
    with pytest.raises(SessionNotFoundError):
        convert(tmp_path / "y.jsonl", format="flat", home=tmp_path)

    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_behind_when_an_item_has_no_place_in_the_envelope(tmp_path):
    """An item of 127 levels is read by the flat readers, and by nobody in an envelope."""
    old = recorded(tmp_path / "old")
    deep = {"type": "web_search_call", "results": json.loads("[" * 126 + "]" * 126)}
    old.write_text(old.read_text() + json.dumps(deep) + "\n")

    with pytest.raises(rolloutlog.exceptions.InvalidItemError):
        convert(old, format="envelope", home=tmp_path / "new")

    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []


def test_an_id_that_is_none_is_replaced(tmp_path):
    """Some programs write what they like; a file name needs a UUID."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"id":"mine","timestamp":"yesterday","instructions":null}\n')

    new = load_session(convert(path, format="envelope", home=tmp_path))

    assert uuid.UUID(new.session_id)
    assert new.session.extra["converted_from"] == "mine"
