"""The other values: meta, state, log entry, and the lines that are not values."""

from __future__ import annotations

import datetime as dt
import pickle

import pytest

from rolloutlog._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot, SkippedLine, utc_timestamp
from rolloutlog.exceptions import InvalidItemError

ID = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (0.25, "1970-01-01T00:00:00.250Z"),
        (1_753_283_006.9999, "2025-07-23T15:03:26.999Z"),
    ],
)
def test_a_timestamp_is_utc_and_cut_to_milliseconds(seconds, text):
    """A record is never dated later than its creation."""
    assert utc_timestamp(seconds) == text


@pytest.mark.parametrize(
    "text", ["2025-07-23T15:03:26.123Z", "2025-07-23T17:03:26.123+02:00", "2025-07-23T15:03:26.123"]
)
def test_started_is_aware_and_in_utc(text):
    """`started` can be compared, in whichever form a meta writes its time."""
    started = SessionMeta(ID, text).started

    assert started == dt.datetime(2025, 7, 23, 15, 3, 26, 123_000, tzinfo=dt.UTC)
    assert started.utcoffset() == dt.timedelta(0)


def test_an_invalid_time_is_an_error_without_its_text():
    """The meta of another program may hold any string as its timestamp; `started` raises, not reading."""
    with pytest.raises(ValueError, match="timestamp: is not an ISO 8601 time") as caught:
        _ = SessionMeta(ID, "yesterday").started

    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize("key", ["id", "timestamp", "instructions", "type", "record_type"])
def test_a_meta_refuses_extras_that_would_change_what_the_line_is(key):
    """A meta with a type would be read as an item."""
    with pytest.raises(InvalidItemError, match=f"must not hold '{key}'"):
        SessionMeta(ID, "t", extra={key: "x"})


def test_a_state_is_read_like_a_dict():
    """It is a mapping with free keys."""
    state = SessionStateSnapshot({"step": 3, "values": [1]})

    assert state["step"] == 3
    assert dict(state) == {"step": 3, "values": [1]} == state
    assert list(state.values()) == [3, [1]]
    assert state.get("nothing") is None
    assert len(state) == 2


def test_an_empty_state_is_false():
    """`if saved.state` is true if it has a key."""
    assert not SessionStateSnapshot()


def test_a_state_refuses_the_key_that_marks_it():
    """`record_type` marks the line as a state."""
    with pytest.raises(InvalidItemError, match="record_type"):
        SessionStateSnapshot({"record_type": "x"})


@pytest.mark.parametrize("values", [None, 3, [("a", 1)], {1: 2}])
def test_a_state_is_a_mapping_with_string_keys(values):
    """Anything else could not be flattened into the line."""
    with pytest.raises(InvalidItemError, match=r"^state\.values: "):
        SessionStateSnapshot(values)


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: SessionMeta(3, "t"), "session_meta.id"),
        (lambda: SessionMeta(ID, None), "session_meta.timestamp"),
        (lambda: SessionMeta(ID, "t", 3), "session_meta.instructions"),
        (lambda: LogEntry("t", "INFO", "a", None), "log.message"),
        (lambda: LogEntry("t", "INFO", "a", "m", exception=ValueError()), "log.exception"),
        (lambda: OtherEntry({}), "OtherEntry.raw"),
    ],
)
def test_fields_are_checked(make, place):
    """Every value that exists can be written."""
    with pytest.raises(InvalidItemError, match=f"^{place}: "):
        make()


@pytest.mark.parametrize(
    "value",
    [
        SessionMeta(ID, "t", "xyzzy", {"a": "xyzzy"}),
        SessionStateSnapshot({"a": "xyzzy"}),
        LogEntry("t", "INFO", "agent", f"{'a' * 40}xyzzy", "xyzzy", "xyzzy", {"a": "xyzzy"}),
        OtherEntry({"type": "event_msg", "payload": "xyzzy"}),
    ],
)
def test_reprs_show_no_more_than_the_beginning_of_a_text(value):
    """Like those of items. A meta and a state show none of their values."""
    assert "xyzzy" not in repr(value) + str(value)


@pytest.mark.parametrize(
    "value",
    [
        SessionMeta(ID, "t", "x", {"a": 1}),
        SessionStateSnapshot({"a": 1}),
        LogEntry("t", "INFO", "agent", "m", extra={"a": 1}),
        OtherEntry({"type": "event_msg"}),
        SkippedLine(1, 0, "is not JSON"),
    ],
)
def test_values_pickle(value):
    """They can be sent to other processes."""
    assert pickle.loads(pickle.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (SessionMeta(ID, "t"), "session_meta"),
        (SessionStateSnapshot(), "state"),
        (LogEntry("t", "INFO", "agent", "m"), "log"),
        (OtherEntry({"type": "event_msg"}), "event_msg"),
        (SkippedLine(1, 0, "is not JSON"), "skipped"),
    ],
)
def test_every_entry_knows_its_type(value, name):
    """A loop over entries can read ``type`` of each."""
    assert value.type == name
