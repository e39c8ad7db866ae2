"""Items that the model is to see no more: they stay in the file, and a line says that they were taken back."""

from __future__ import annotations

import json

import pytest
from helpers import lines_in
from hypothesis import given
from hypothesis import strategies as st

import rolloutlog
from rolloutlog import Message, Reasoning, RolloutRecorder
from rolloutlog._entries import OtherEntry
from rolloutlog._format.lines import LineEncoder, decode_line
from rolloutlog._responses.view import Rewrite, context

ONE, TWO, THREE = map(Message.user, ["one", "two", "three"])
THOUGHT = Reasoning("rs_1")
ANSWER = Message.assistant("yes")


def texts(items):
    """Return what *items* say."""
    return [item.text for item in items]


@pytest.fixture(params=["flat", "envelope"])
def recorder(request, home):
    """A recorder, in each of the two formats."""
    with RolloutRecorder.create(format=request.param) as recorder:
        yield recorder


def test_items_that_were_taken_back_are_said_and_not_seen(recorder):
    """`items` has them, `context` and the input do not, in both formats."""
    recorder.record(ONE, TWO, THREE)
    recorder.take_back(2)
    recorder.record(ANSWER)
    recorder.flush()

    saved = rolloutlog.load_session(recorder.path)
    assert texts(saved.items) == ["one", "two", "three", "yes"]
    assert texts(saved.context) == ["one", "yes"]
    assert saved.to_input() == rolloutlog.to_input([ONE, ANSWER])


def test_all_items_can_be_taken_back(recorder):
    """`None` leaves nothing, and what is recorded after it counts."""
    recorder.record(ONE, TWO)
    recorder.take_back(None)
    recorder.record(THREE)
    recorder.flush()

    assert rolloutlog.load_session(recorder.path).context == [THREE]


def test_the_line_is_a_log_entry_for_people(home):
    """It says in words what it does, and real readers pass over it as over any log entry."""
    with RolloutRecorder.create() as recorder:
        recorder.record(ONE, TWO)
        recorder.take_back()
        recorder.take_back(1_000)
        recorder.take_back(None)
    lines = [json.loads(line) for line in lines_in(recorder.path)[3:]]

    assert [(line["type"], line["logger"], line["message"], line["extra"]) for line in lines] == [
        ("log", "rolloutlog", "the last item was taken back", {"taken_back": 1}),
        ("log", "rolloutlog", "the last 1,000 items were taken back", {"taken_back": 1000}),
        ("log", "rolloutlog", "all items were taken back", {"taken_back": "all"}),
    ]


@pytest.mark.parametrize("count", [0, -1])
def test_taking_back_less_than_one_item_is_a_mistake(recorder, home, count):
    """The recorder and the session raise at once."""
    with pytest.raises(ValueError, match="count must be at least 1"):
        recorder.take_back(count)
    with rolloutlog.session("x") as session, pytest.raises(ValueError, match="count must be at least 1"):
        session.take_back(count)


@pytest.mark.parametrize("count", [0, -1, "two", None, True, 1.5, [1]])
def test_a_line_that_takes_back_nothing_sensible_takes_back_nothing(count):
    """A line of another program with a strange count shortens nothing, and harms nothing."""
    line = LineEncoder().taken_back(1).replace(b'"taken_back":1', b'"taken_back":' + json.dumps(count).encode())

    assert context([ONE, TWO], [Rewrite(2, decode_line(line))]) == [ONE, TWO]


def test_a_hook_cannot_withhold_it(home):
    """An item that was taken back does not return because a `redact` hook drops log entries."""
    with RolloutRecorder.create(redact=lambda record: None if record.get("type") == "log" else record) as recorder:
        recorder.record(ONE, TWO)
        recorder.take_back()

    assert rolloutlog.load_session(recorder.path).context == [ONE]


STEPS = st.lists(st.one_of(st.integers(1, 3), st.just("all"), st.sampled_from([ONE, TWO, THREE])), max_size=12)


@given(STEPS)
def test_any_steps_leave_what_a_list_has_left(steps):
    """Recording and taking back in any order is appending to a list and deleting from its end."""
    encoder = LineEncoder()
    items, rewrites, left = [], [], []
    for step in steps:
        if isinstance(step, Message):
            items.append(step)
            left.append(step)
        else:
            rewrites.append(Rewrite(len(items), decode_line(encoder.taken_back(step))))
            del left[0 if step == "all" else -step :]

    assert context(items, rewrites) == left


def test_a_turn_that_was_taken_back_is_not_rolled_back_to():
    """After a roll-back of Codex, taking items back forgets the turns that began in them, as it does without one."""
    roll_back = OtherEntry({"type": "event_msg", "payload": {"type": "thread_rolled_back", "num_turns": 1}})
    take_back = decode_line(LineEncoder().taken_back(3))
    items = [ONE, ANSWER, TWO, ANSWER, THREE]

    assert context(items, [Rewrite(5, roll_back), Rewrite(5, take_back)]) == [ONE]
    assert context(items, [Rewrite(5, roll_back), Rewrite(5, take_back), Rewrite(5, roll_back)]) == []


# --- a session --------------------------------------------------------------------------------------------------------


def test_a_session_takes_back_what_a_reload_takes_back(home):
    """The live session and one that is opened later see the same items."""
    with rolloutlog.session("live") as session:
        session.record(ONE, TWO)
        session.take_back()
        session.record(THREE)
        live = session.context, session.to_input()

    with rolloutlog.session("live") as again:
        assert (again.context, again.to_input()) == live
    assert live[0] == [ONE, THREE]
    assert session.items == again.items == [ONE, TWO, THREE]


def test_reasoning_at_the_end_is_taken_back_when_more_is_said(home):
    """A kill cut it off from its result; the items after the resume must not seem to be that result."""
    with rolloutlog.session("torn") as session:
        session.record(ONE, THOUGHT)
    left = session.path.read_bytes()
    with rolloutlog.session("torn") as session:
        opened = session.path.read_bytes()
        session.record(ANSWER)

        assert opened == left
        assert session.context == [ONE, ANSWER]
    assert rolloutlog.load_session(session.path).context == [ONE, ANSWER]


def test_only_reasoning_is_taken_back_for_being_torn(home):
    """Items that another object of the session recorded after the reasoning are not mistaken for it."""
    with rolloutlog.session("torn") as first:
        first.record(ONE, THOUGHT)
        with rolloutlog.session("torn") as second:
            first.record(ANSWER)
            second.record(TWO)

    assert rolloutlog.load_session(first.path).context == [ONE, THOUGHT, ANSWER, TWO]


def test_reasoning_that_two_objects_find_torn_is_taken_back_once(home):
    """Each of them says so at its first record, and no item after it goes with it."""
    with rolloutlog.session("torn") as session:
        session.record(ONE, THOUGHT, THOUGHT)
    with rolloutlog.session("torn") as first, rolloutlog.session("torn") as second:
        first.record(TWO)
        second.record(THREE)

    assert rolloutlog.load_session(first.path).context == [ONE, TWO, THREE]


def test_reasoning_of_this_run_is_not_taken_back(home):
    """Recorded item by item, as a stream brings them, reasoning and what it led to stay together."""
    with rolloutlog.session("stream") as session:
        for item in (ONE, THOUGHT, ANSWER):
            session.record(item)

        assert session.context == [ONE, THOUGHT, ANSWER]


def test_taking_torn_reasoning_back_by_hand_takes_it_back_once(home):
    """After an explicit `take_back` nothing more is taken back at the next record."""
    with rolloutlog.session("twice") as session:
        session.record(ONE, THOUGHT)

    with rolloutlog.session("twice") as session:
        session.take_back()
        session.record(ANSWER)

        assert session.context == [ONE, ANSWER]
