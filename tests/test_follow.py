"""A file that is looked at again and again shows what it would show if all of it were read each time."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_taken_back import texts

from rolloutlog import Message, Reasoning, RolloutRecorder, SessionMeta, load_session
from rolloutlog._format.lines import LineEncoder
from rolloutlog._reading import follow
from rolloutlog._reading.follow import Follower
from rolloutlog.exceptions import SessionNotFoundError


def lines_of(encoder: LineEncoder) -> list[bytes]:
    """Return lines of every kind that matters to what is seen, and of some that do not."""
    said, _ = encoder.items([Message.user("one"), Message.assistant("zwei ☀"), Reasoning("rs_1")])
    events = [
        {"type": "event_msg", "payload": {"type": "thread_rolled_back", "num_turns": 1}},
        {"type": "compacted", "payload": {"message": "in short"}},
        {"type": "compacted", "payload": {"message": "", "replacement_history": [Message.user("kept").to_dict()]}},
        {"type": "event_msg", "payload": {"type": "token_count"}},
    ]
    stamped = [json.dumps({"timestamp": "2026-01-01T00:00:00.000Z", **event}).encode() + b"\n" for event in events]
    return [
        *said,
        *said,
        encoder.taken_back(1),
        encoder.taken_back(2),
        encoder.taken_back("all"),
        encoder.state({"n": 1}),
        *stamped,
        b"no JSON\n",
        b"\n",
        b"[1]\n",
    ]


META = SessionMeta("11111111-2222-4333-8444-555555555555", "2026-01-01T00:00:00.000Z")
ENCODERS = {"flat": LineEncoder(), "envelope": LineEncoder(format="envelope")}
HEADERS = {name: encoder.meta(encoder.completed(META)) for name, encoder in ENCODERS.items()}
LINES = {name: lines_of(encoder) for name, encoder in ENCODERS.items()}

# The steps that change the file: bytes are appended (whole lines, and pieces of them), or it is shortened, replaced by
# a copy, touched, or another file takes its place; the numbers say which lines, and where they are cut.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.lists(st.integers(0, 16), min_size=1, max_size=4)),
        st.tuples(st.just("append the beginning of"), st.tuples(st.integers(0, 16), st.just(1) | st.integers(2, 300))),
        st.tuples(st.just("shorten by"), st.integers(1, 300)),
        st.sampled_from([("copy", 0), ("touch", 0), ("begin anew", 0), ("end the line", 0)]),
    ),
    max_size=12,
)


@given(format=st.sampled_from(["flat", "envelope"]), steps=STEPS)
def test_whatever_befalls_the_file_it_shows_what_reading_all_of_it_shows(tmp_path_factory, format, steps):
    """After each step a look sees what `load_session` sees, and so does a second look without a step."""
    path = tmp_path_factory.mktemp("followed") / "rollout.jsonl"
    path.write_bytes(HEADERS[format])
    follower = Follower(path)
    follower.look()
    for step, argument in steps:
        befall(path, format, step, argument)
        expected = load_session(path).context

        assert follower.look().view.items == expected
        assert follower.look().view.items == expected


def befall(path: Path, format: str, step: str, argument: object) -> None:
    """Do to the file at *path* what *step* says."""
    was, lines = path.read_bytes(), LINES[format]
    match step, argument:
        case "append", list() as numbers:
            append(path, b"".join(lines[number] for number in numbers))
        case "append the beginning of", (int() as number, int() as cut):
            append(path, lines[number][:-cut])
        case "shorten by", int() as count:
            os.truncate(path, max(len(HEADERS[format]), len(was) - count))
        case "end the line", _:
            append(path, b"\n")
        case "touch", _:
            os.utime(path)
        case _:
            other = path.with_suffix(".new")
            other.write_bytes(was if step == "copy" else HEADERS[format] + lines[0])
            other.replace(path)


def append(path: Path, data: bytes) -> None:
    """Append *data* to *path*."""
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def path(tmp_path):
    """A session with one item."""
    path = tmp_path / "rollout.jsonl"
    path.write_bytes(HEADERS["flat"] + LINES["flat"][0])
    return path


def test_what_was_read_is_not_read_again(path, monkeypatch):
    """A look at a file that has grown, or not, reads no more than what was appended."""
    follower = Follower(path)
    follower.look()
    monkeypatch.setattr(follow, "load_session", lambda *_: pytest.fail("all is read again"))
    append(path, LINES["flat"][1])

    assert texts(follower.look().view.items) == texts(follower.look().view.items) == ["one", "zwei ☀"]


def test_a_line_that_comes_in_two_pieces_is_read_once(path, monkeypatch):
    """Half of a line, seen while it is being written, is waited for."""
    follower = Follower(path)
    follower.look()
    monkeypatch.setattr(follow, "load_session", lambda *_: pytest.fail("all is read again"))
    line = LINES["flat"][1]
    append(path, line[:60])
    before = texts(follower.look().view.items)
    append(path, line[60:])

    assert before == ["one"]
    assert texts(follower.look().view.items) == ["one", "zwei ☀"]


def test_another_file_in_its_place_is_read(path):
    """A file that is put in its place is another one, also where it looks as if the old one had grown."""
    follower = Follower(path)
    append(path, LINES["flat"][0] * 2)
    follower.look()
    other = path.with_suffix(".other")
    other.write_bytes(path.read_bytes().replace(b"one", b"two", 1) + LINES["flat"][0])
    other.replace(path)

    assert texts(follower.look().view.items) == ["two", "one", "one", "one"]


def test_an_edit_of_what_was_read_is_seen(path):
    """An editor that writes into the file, without making it longer, is noticed by the time of its writing."""
    follower = Follower(path)
    follower.look()
    path.write_bytes(path.read_bytes().replace(b"one", b"two"))
    os.utime(path, ns=(0, 0))  # the clock of files may not move between two writes

    assert texts(follower.look().view.items) == ["two"]


def test_an_edit_that_an_append_follows_is_seen_where_the_file_ended(path):
    """A file that was cut and is longer again by the next look is read from its beginning."""
    follower = Follower(path)
    follower.look()
    path.write_bytes(HEADERS["flat"] + LINES["flat"][1] * 2)

    assert texts(follower.look().view.items) == ["zwei ☀", "zwei ☀"]


def test_the_next_look_after_one_that_failed_is_whole(path, monkeypatch):
    """A look that fails half-way through what was appended does not show that half twice."""
    follower = Follower(path)
    follower.look()
    append(path, LINES["flat"][1] * 2)
    with monkeypatch.context() as patched:
        patched.setattr(follow, "is_rewrite", None)
        patched.setattr(follow, "is_item", fails_at_the_second())
        with pytest.raises(MemoryError):
            follower.look()

    assert texts(follower.look().view.items) == ["one", "zwei ☀", "zwei ☀"]


def fails_at_the_second():
    """Return a function that says yes, once."""
    left = [True]

    def answer(_entry):
        if left:
            return left.pop()
        raise MemoryError

    return answer


def test_a_file_that_was_removed_is_not_there(path):
    """The look raises, and does not show the old items; when the file is back, it is read."""
    follower = Follower(path)
    follower.look()
    was = path.read_bytes()
    path.unlink()
    with pytest.raises(SessionNotFoundError):
        follower.look()
    path.write_bytes(was)

    assert texts(follower.look().view.items) == ["one"]


def test_a_line_that_is_too_long_is_skipped_as_by_a_reader(path, monkeypatch):
    """A line that the reader of the whole file leaves out is left out here."""
    monkeypatch.setattr(follow, "MAX_LINE", len(LINES["flat"][0]))
    follower = Follower(path)
    follower.look()
    append(path, LINES["flat"][1] * 2 + LINES["flat"][0])

    assert texts(follower.look().view.items) == ["one", "one"]


def test_the_items_of_a_fork_are_those_of_its_base_and_its_own(home):
    """A session that refers to the history in another file shows that, too, and what is appended to its own."""
    with RolloutRecorder.create(home, format="envelope") as base:
        base.record(Message.user("before"))
    size = base.path.stat().st_size
    reference = {"thread_id": base.session.id, "end_byte_offset": size}
    with RolloutRecorder.create(home, format="envelope", meta={"history_base": reference}) as fork:
        follower = Follower(fork.path)
        fork.record(Message.user("after"))
        fork.flush()
        first = texts(follower.look().view.items)
        fork.record(Message.user("later"))
        fork.flush()

        assert first == ["before", "after"]
        assert texts(follower.look().view.items) == ["before", "after", "later"]
