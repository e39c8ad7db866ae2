"""A session keeps the id, model, usage and time of a response beside its output."""

from __future__ import annotations

import threading

import pytest
from helpers import DEADLINE

import rolloutlog
from rolloutlog import Message, RecordedResponse, load_session, session
from rolloutlog._entries import other_entry
from rolloutlog._responses.recorded import responses_of
from rolloutlog.exceptions import InvalidItemError

NAME = "trip-to-rome"
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]}
USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 15,
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-5",
    "status": "completed",
    "output": [THOUGHT, SAID],
    "usage": USAGE,
}


class Sdk:
    """An object as an SDK returns it: attributes, and `to_dict` of itself and of what is in it."""

    def __init__(self, values):
        for key, value in values.items():
            setattr(self, key, [Sdk(each) for each in value] if isinstance(value, list) else value)
        self._values = values

    def to_dict(self):
        return self._values


EVENT = {"type": "response.completed", "sequence_number": 9, "response": RESPONSE}


@pytest.mark.parametrize("format", ["flat", "envelope"])
@pytest.mark.parametrize("response", [RESPONSE, Sdk(RESPONSE), EVENT], ids=["dict", "object", "event"])
def test_the_output_and_what_is_beside_it_are_recorded(response, format):
    """The items as by `record`, and id, model, status and usage as the API gave them."""
    with session(NAME, format=format) as opened:
        opened.record_response(response)
        live = opened.responses
    saved = load_session(NAME)
    (kept,) = saved.responses

    assert [item.type for item in saved.items] == ["reasoning", "message"]
    assert (kept.id, kept.model, kept.status, kept.usage) == ("resp_1", "gpt-5", "completed", USAGE)
    assert (kept.input_tokens, kept.cached_tokens, kept.output_tokens, kept.reasoning_tokens) == (12, 4, 3, 1)
    assert kept.time.tzinfo is not None
    assert live == [kept]
    assert [each["type"] for each in saved.to_input()] == ["reasoning", "message"]


def test_a_response_that_says_little_is_recorded_with_that():
    """Other providers leave out much."""
    with session(NAME) as opened:
        opened.record_response({"output": [{"role": "assistant", "content": "hi"}]})
        (kept,) = opened.responses

    assert (kept.id, kept.model, kept.usage, kept.input_tokens) == (None, None, {}, 0)
    assert len(opened.items) == 1


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_a_response_that_is_recorded_twice_is_there_once(format):
    """In one run, and in the next one."""
    for _ in range(2):
        with session(NAME, format=format) as opened:
            opened.record_response(RESPONSE)
            opened.record_response(EVENT)

    saved = load_session(NAME)
    assert len(saved.items) == 2
    assert len(saved.responses) == 1


def test_items_that_are_there_are_not_recorded_again():
    """After a kill between the items and the line after them, or where the caller recorded them one by one."""
    with session(NAME) as opened:
        opened.record(THOUGHT)
        opened.record({"role": "user", "content": "and?"})
        opened.record_response(RESPONSE)
        opened.record_response({"id": "resp_2", "output": [{**SAID, "id": "msg_2"}]})

    saved = load_session(NAME)
    assert [item.to_dict().get("id") for item in saved.items] == ["rs_1", None, "msg_1", "msg_2"]
    assert [kept.id for kept in saved.responses] == ["resp_1", "resp_2"]


def test_threads_that_record_one_response_record_it_once():
    """Whichever comes first."""
    with session(NAME) as opened:
        threads = [threading.Thread(target=opened.record_response, args=(RESPONSE,)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE)

    assert (len(opened.items), len(opened.responses)) == (2, 1)


def test_responses_without_ids_are_all_recorded():
    """Nothing says that they are the same."""
    with session(NAME) as opened:
        for _ in range(2):
            opened.record_response({"output": [{"role": "assistant", "content": "hi"}], "usage": USAGE})

    assert len(load_session(NAME).responses) == 2


def test_one_bad_item_keeps_the_whole_response_out():
    """As with `record`."""
    with session(NAME) as opened:
        with pytest.raises(InvalidItemError):
            opened.record_response({**RESPONSE, "output": [SAID, {"type": "message", "role": 1}]})

        assert (opened.items, opened.responses) == ([], [])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"choices": [{"message": {}}]}, r"Chat Completions API; record\(\*rolloutlog.from_messages\("),
        ({"type": "message", "stop_reason": "end_turn", "content": []}, r"Anthropic API; record\(\*rolloutlog"),
        ({"type": "response.created", "response": RESPONSE}, "has not ended with the event 'response.created'"),
        ({**RESPONSE, "status": "in_progress"}, "has the status 'in_progress'"),
        (SAID, "got dict; record"),
        ([SAID], "got list"),
        (None, "got NoneType"),
        (Message.assistant("hi"), "got Message"),
    ],
)
def test_what_is_no_response_that_has_ended_is_refused(value, problem):
    """The error says what came, and what to do."""
    with session(NAME) as opened, pytest.raises(InvalidItemError, match=problem):
        opened.record_response(value)


def test_no_redact_hook_withholds_the_usage():
    """It holds no text. The items are redacted as ever."""
    with session(NAME, redact=lambda record: None if record.get("type") == "log" else record) as opened:
        opened.record_response({**RESPONSE, "error": {"code": "rate_limit", "message": "xyzzy"}})
    saved = load_session(NAME)

    assert saved.responses[0].extra == {"error": "rate_limit"}
    assert b"xyzzy" not in saved.path.read_bytes()


def test_what_another_session_of_the_process_records_is_there():
    """As its items are."""
    with session(NAME) as one, session(NAME) as other:
        one.record_response(RESPONSE)

        assert [kept.id for kept in other.responses] == ["resp_1"]
        other.record_response(RESPONSE)
        assert len(one.items) == 2


def test_the_responses_of_real_codex_are_there():
    """Its usage in the names of the API, with the model of the turn; not that of a session that was copied."""
    usage = {"input_tokens": 100, "cached_input_tokens": 7, "output_tokens": 10, "reasoning_output_tokens": 2}
    own = {"thread_id": "me", "response_id": "resp_1", "usage": usage}
    lines = [
        {"timestamp": "2026-11-30T09:27:33.986Z", "type": "turn_context", "payload": {"model": "gpt-6"}},
        {"timestamp": "2026-11-30T09:27:34.075Z", "type": "token_usage_record", "payload": own},
        {"timestamp": "2026-11-30T09:27:35Z", "type": "token_usage_record", "payload": {**own, "thread_id": "other"}},
        {"timestamp": "2026-11-30T09:27:35Z", "type": "token_usage_record", "payload": {"total": 5}},
    ]
    (kept,) = responses_of("me", [], map(other_entry, lines)).found

    assert (kept.id, kept.model, kept.input_tokens, kept.cached_tokens) == ("resp_1", "gpt-6", 100, 7)
    assert (kept.output_tokens, kept.reasoning_tokens) == (10, 2)
    assert repr(kept) == "RecordedResponse(id='resp_1', model='gpt-6', 100 in, 10 tokens out)"


def test_a_converted_session_keeps_its_responses(tmp_path):
    """In both directions."""
    with session(NAME) as opened:
        opened.record_response(RESPONSE)
    envelope = rolloutlog.convert(opened.path, format="envelope", home=tmp_path / "e")
    flat = rolloutlog.convert(envelope, format="flat", home=tmp_path / "f")

    assert load_session(flat).responses == load_session(envelope).responses == opened.responses


def test_a_text_that_is_not_a_time_has_no_time():
    """A line of another program may hold anything."""
    assert RecordedResponse(None, None, {}, None, "some day").time is None


def test_the_instructions_are_those_of_the_file():
    """Those of the first run: a later one does not change them."""
    with session(NAME, instructions="Be brief.") as opened:
        first = opened.instructions
    with session(NAME, instructions="Be long.") as opened:
        assert (first, opened.instructions) == ("Be brief.", "Be brief.")
    with session("another") as opened:
        assert opened.instructions is None


# -- texts for people --------------------------------------------------------------------------------------------------


def test_a_text_is_logged_with_its_place():
    """As by a logger: level, arguments, extras, and where it was logged."""
    with session(NAME) as opened:
        opened.log("asking %s", "the model", level="warning", attempt=2, message="m")
        opened.log("100 %")
    entry, plain = load_session(NAME).logs

    assert (entry.message, entry.level, entry.logger) == ("asking the model", "WARNING", __name__)
    assert entry.extra == {"attempt": 2, "message": "m"}
    assert (entry.file, entry.function) == (__file__, "test_a_text_is_logged_with_its_place")
    assert (entry.thread, type(entry.line)) == (threading.current_thread().name, int)
    assert (plain.message, plain.level) == ("100 %", "INFO")
    assert opened.items == []


def test_an_exception_is_logged_with_its_traceback():
    """The one that is being handled, or one that is passed."""
    with session(NAME) as opened:
        try:
            raise KeyError("k")
        except KeyError as error:
            opened.log("failed", exc_info=True)
            opened.log("failed", exc_info=error)
    logs = load_session(NAME).logs

    assert all("KeyError: 'k'" in entry.exception for entry in logs)
    assert len(logs) == 2


@pytest.mark.parametrize(
    ("call", "error", "problem"),
    [
        (lambda opened: opened.log(Message.user("hi")), TypeError, r"must be a text; got Message; record\(\) records"),
        (lambda opened: opened.log({"role": "user"}), TypeError, r"got dict; record\(\) records an item"),
        (lambda opened: opened.log("x", level="loud"), ValueError, "there is no level 'loud'; the levels are"),
        (lambda opened: opened.log("%d", "x"), TypeError, "%d"),
    ],
)
def test_what_cannot_be_logged_raises(call, error, problem):
    """In the call itself, because no logger reports it."""
    with session(NAME) as opened, pytest.raises(error, match=problem):
        call(opened)
