"""Each request of a session is counted once, whatever repeats it."""

from __future__ import annotations

import pytest

from rolloutlog._usage import Requests, Tokens, of_log

OWN, OTHER = "0199a2c4-5a6b-7c8d-9e0f-112233445566", "0199a2c4-5a6b-7c8d-9e0f-112233445577"


def usage(tokens: int) -> dict[str, int]:
    return {"input_tokens": tokens, "cached_input_tokens": 3, "output_tokens": 2, "reasoning_output_tokens": 1}


def count(total: int, last: int) -> dict[str, object]:
    return {"type": "token_count", "info": {"total_token_usage": usage(total), "last_token_usage": usage(last)}}


def record(tokens: int, thread: str = OWN) -> dict[str, object]:
    return {"thread_id": thread, "usage": usage(tokens), "thread_token_usage": usage(1000)}


def counted(*lines: tuple[str, object]) -> list[int]:
    """Return the input tokens of each line that is a request."""
    requests = Requests(OWN)
    return [found.input for kind, payload in lines if (found := requests.of(kind, payload)) is not None]


def test_an_event_with_the_total_of_the_one_before_is_not_a_request():
    """Codex sends the same total again with new limits."""
    assert counted(("event_msg", count(5, 5)), ("event_msg", count(5, 5)), ("event_msg", count(9, 4))) == [5, 4]


def test_an_event_counts_with_its_last_usage_and_not_with_the_total():
    """The totals of a fork begin with those of its parent."""
    assert counted(("event_msg", count(1_000, 7))) == [7]


def test_records_count_instead_of_the_events_that_repeat_them():
    """A new Codex writes both for each request."""
    lines = [("token_usage_record", record(5)), ("event_msg", count(5, 5))]
    assert counted(*lines, ("token_usage_record", record(6)), ("event_msg", count(11, 6))) == [5, 6]


def test_what_an_older_codex_counted_in_the_same_file_remains():
    """A session that a newer release continues has events first, and records later."""
    assert counted(("event_msg", count(5, 5)), ("token_usage_record", record(6)), ("event_msg", count(11, 6))) == [5, 6]


def test_a_record_of_another_thread_is_not_a_request_of_this_session():
    """Nor does it make the session's own events repetitions."""
    assert counted(("token_usage_record", record(5, OTHER)), ("event_msg", count(7, 7))) == [7]


def test_a_response_that_we_recorded_is_a_request():
    """Its usage has the shape of the API."""
    details = {"input_tokens_details": {"cached_tokens": 3}, "output_tokens_details": {"reasoning_tokens": 1}}
    kept = {"response": {"id": "resp_1", "usage": {"input_tokens": 9, "output_tokens": 2, **details}}}
    assert of_log("rolloutlog", kept) == Tokens(9, 3, 2, 1)
    assert of_log("another", kept) is None


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("event_msg", {"type": "token_count", "info": None}),
        ("event_msg", {"type": "agent_message"}),
        ("event_msg", "text"),
        ("token_usage_record", {"thread_id": OWN, "usage": 1}),
        ("turn_context", {"type": "token_count", "info": {"last_token_usage": usage(1)}}),
    ],
)
def test_other_lines_tell_no_tokens(kind, payload):
    """Whatever they hold."""
    assert counted((kind, payload)) == []


def named(tokens: int, turn: str, response: str) -> tuple[str, object]:
    return "token_usage_record", {**record(tokens), "turn_id": turn, "response_id": response}


def test_a_response_is_counted_once_in_its_turn():
    """A retried write can leave its line twice. The ids of responses may repeat in another turn."""
    assert counted(named(5, "t1", "r1"), named(5, "t1", "r1"), named(6, "t1", "r2"), named(7, "t2", "r1")) == [5, 6, 7]


def test_responses_of_a_server_that_gives_all_one_id_are_counted_each():
    """The total of the session tells them apart."""
    first, second = named(5, "t1", "r1"), named(5, "t1", "r1")
    assert isinstance(second[1], dict)
    second[1]["thread_token_usage"] = usage(2000)

    assert counted(first, second, second) == [5, 5]


def test_a_response_is_counted_once_in_all_files():
    """Files that share the ids that were seen share the count."""
    seen: set[tuple[str, str, str]] = set()
    first, second = Requests(OWN, seen), Requests(OWN, seen)

    assert first.of(*named(5, "t1", "r1")) is not None
    assert second.of(*named(5, "t1", "r1")) is None
    assert second.of(*named(5, "t2", "r1")) is not None
