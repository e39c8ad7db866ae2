"""We record and the real Codex resumes: its request to the model holds our items, in order."""

from __future__ import annotations

import logging
import uuid

import pytest
from codex import Codex, says
from expected import expected_history, history, items_in, plain, said, text_of
from ours import create, run_until_killed
from samples import AWKWARD, EVERY_KIND, MEGABYTE, assistant, call, line, output, reasoning, user

import rolloutlog
from rolloutlog import Message, RolloutRecorder, load_session

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"


def test_every_kind_is_sent_in_order(writable: Codex) -> None:
    """Every kind of item with every key, and text of all sorts, recorded as dicts, is sent to the model in order."""
    with create(writable, instructions=AWKWARD, meta={"cwd": "/somewhere", "tags": ["a", "b"]}) as recorder:
        recorder.record(*EVERY_KIND)

    outcome = writable.resume(recorder.path, PROMPT)

    assert outcome.returncode == 0, outcome.stderr
    assert history(writable.release, outcome.requests[0], PROMPT) == expected_history(writable.release, EVERY_KIND)
    assert writable.goes_on(recorder.path) in writable.rollouts()
    assert len(writable.rollouts()) == 1 + writable.release.habits.copies, "Codex began a session of its own instead"


def test_items_of_our_classes_are_sent_in_order(writable: Codex) -> None:
    """The same items as values of our classes, taken from a session, are sent to the model unchanged."""
    with create(writable) as first:
        first.record(*EVERY_KIND)
    with create(writable) as second:
        second.record(*load_session(first.path).items)

    outcome = writable.resume(second.path, PROMPT)

    assert history(writable.release, outcome.requests[0], PROMPT) == expected_history(writable.release, EVERY_KIND)


def test_reasoning_without_an_id_is_sent(envelope: Codex) -> None:
    """Reasoning without an id, as some releases write it, is sent; flat releases need one."""
    items = [user("hi"), {**reasoning("", "hm", encrypted_content="c2Vh"), "id": None}, assistant("ho")]
    with create(envelope) as recorder:
        recorder.record(*items)

    outcome = envelope.resume(recorder.path, PROMPT)

    sent = history(envelope.release, outcome.requests[0], PROMPT)
    assert [item["type"] for item in sent] == ["message", "reasoning", "message"]
    assert sent == expected_history(envelope.release, items)


def test_the_short_forms_are_sent(writable: Codex) -> None:
    """The short message dict and the constructors for messages are messages for the real Codex too."""
    with create(writable) as recorder:
        recorder.record({"role": "user", "content": "one"}, Message.assistant("two"), Message.user("three"))

    outcome = writable.resume(recorder.path, PROMPT)

    sent = history(writable.release, outcome.requests[0], PROMPT)
    assert [(item["role"], text_of(item)) for item in sent] == [
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]


def test_keys_and_kinds_that_only_the_api_knows_disturb_nothing(writable: Codex) -> None:
    """Output of today's API, with keys and kinds that the flat format does not have, costs no other item."""
    of_the_api = [
        user("search"),
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2Vh", "status": "completed"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {**says("found"), "phase": "final_answer"},
        {**call("call_1"), "status": "completed", "namespace": "tools"},
        {**output("call_1", "x"), "status": "completed"},
    ]
    with create(writable) as recorder:
        recorder.record(*of_the_api)

    outcome = writable.resume(recorder.path, PROMPT)

    assert history(writable.release, outcome.requests[0], PROMPT) == expected_history(writable.release, of_the_api)


def test_a_megabyte_of_output_is_sent_whole(flat: Codex) -> None:
    """A tool's output of a megabyte is sent in full."""
    printed = ("0123456789abcdé\n" * MEGABYTE)[:MEGABYTE]
    with create(flat) as recorder:
        recorder.record(user("print"), call("call_1"), output("call_1", printed))

    outcome = flat.resume(recorder.path, PROMPT)

    assert history(flat.release, outcome.requests[0], PROMPT)[-1]["output"] == printed


def test_states_and_log_entries_between_the_items_are_passed_over(writable: Codex) -> None:
    """State lines and records of a plain logger, with tracebacks and extras, are not sent."""
    logger = logging.getLogger("interop.agent")
    with create(writable) as recorder, rolloutlog.attach(logger, recorder=recorder):
        recorder.record_state({"step": 1, "type": "message", "role": "user"})
        logger.info("starting %s", AWKWARD, extra={"run": {"id": 7}})
        logger.info(Message.user("hi"))
        try:
            raise ValueError(AWKWARD)
        except ValueError:
            logger.exception("failed")
        logger.warning("said something", extra={"rollout_item": Message.assistant("ho")})
        recorder.record_state({"step": 2})

    outcome = writable.resume(recorder.path, PROMPT)

    assert [text_of(item) for item in history(writable.release, outcome.requests[0], PROMPT)] == ["hi", "ho"]


def test_a_healed_tail_costs_no_item(writable: Codex) -> None:
    """A session with a torn last line that we resumed is sent without that line and with all others."""
    with create(writable) as recorder:
        recorder.record(user("before"))
    with recorder.path.open("ab") as stream:
        stream.write(line(writable, user("torn"))[:-20])
    resumed, _ = RolloutRecorder.resume(recorder.path)
    with resumed:
        resumed.record(user("after"))

    outcome = writable.resume(recorder.path, PROMPT)

    assert [text_of(item) for item in history(writable.release, outcome.requests[0], PROMPT)] == ["before", "after"]


def test_a_tail_torn_within_a_character_costs_no_item(writable: Codex) -> None:
    """A last line torn within a character is repaired to UTF-8; otherwise Codex could not read the file."""
    with create(writable) as recorder:
        recorder.record(user("before"))
    whole = line(writable, user("日"))
    with recorder.path.open("ab") as stream:
        stream.write(whole[: whole.index("日".encode()) + 1])
    resumed, _ = RolloutRecorder.resume(recorder.path)
    with resumed:
        resumed.record(user("after"))

    outcome = writable.resume(recorder.path, PROMPT)

    assert [text_of(item) for item in history(writable.release, outcome.requests[0], PROMPT)] == ["before", "after"]


def test_a_killed_writer_loses_nothing_that_was_acknowledged(writable: Codex) -> None:
    """After three kills in the middle of long writes, each followed by a resume, every acknowledged item is sent."""
    session_id = str(uuid.uuid4())
    acknowledged = [text for _ in range(3) for text in run_until_killed(writable, session_id, 2)]
    recorder, _ = RolloutRecorder.resume(session_id, home=writable.home)
    with recorder:
        recorder.record(user("after the kills"))
    items = items_in(recorder.path, writable.release)

    outcome = writable.resume(recorder.path, PROMPT)

    sent = history(writable.release, outcome.requests[0], PROMPT)
    assert sent == expected_history(writable.release, items)
    texts = [text_of(item) for item in sent]
    assert [text for text in texts if text in acknowledged] == acknowledged
    assert texts[-1] == "after the kills"


def test_calls_that_a_kill_left_unanswered_are_sent(writable: Codex) -> None:
    """A session that ends in a call, as when a tool kills the agent, is resumed, and its call answered as aborted."""
    items = [user("go"), reasoning("rs_1", "hm"), call("call_1"), output("call_1", "x"), call("call_2")]
    with create(writable) as recorder:
        recorder.record(*items)

    outcome = writable.resume(recorder.path, PROMPT)

    assert history(writable.release, outcome.requests[0], PROMPT) == expected_history(writable.release, items)


def test_a_session_by_name_continues_in_codex_and_comes_back(in_place: Codex) -> None:
    """Items that Codex adds to a session of `rolloutlog.session` are there when the program runs again."""
    with rolloutlog.session("trip", home=in_place.home, format=in_place.release.writes) as session:
        session.record({"role": "user", "content": "Plan a day in Rome"}, assistant("The Forum."))
    (rollout,) = in_place.rollouts()

    in_place.resume(rollout, PROMPT, [[says("Then the Pantheon.")]])
    with rolloutlog.session("trip", home=in_place.home, format=in_place.release.writes) as session:
        texts = said([item.to_dict() for item in session.items])

    assert texts == ["Plan a day in Rome", "The Forum.", PROMPT, "Then the Pantheon."]


def test_codex_may_append_while_we_have_the_session_open(in_place: Codex) -> None:
    """Codex takes no lock. The lines that it appends while we have the file open are between ours."""
    with create(in_place) as recorder:
        recorder.record(user("before"))
        recorder.flush()
        in_place.resume(recorder.path, PROMPT, [[says("meanwhile")]])
        recorder.record(user("after"))

    saved = load_session(recorder.path)
    assert said([item.to_dict() for item in saved.items]) == ["before", PROMPT, "meanwhile", "after"]
    assert saved.skipped == []


def test_a_session_is_among_those_that_the_newest_lists(newest: Codex) -> None:
    """Told to resume the last session in its home, the newest release resumes ours."""
    with create(newest) as recorder:
        recorder.record(user("before"), assistant("said"))

    outcome = newest.run(["resume", "--last", "--all"], PROMPT, [[says("on")]])

    assert history(newest.release, outcome.requests[0], PROMPT) == [plain(user("before")), plain(assistant("said"))]
    assert newest.rollouts() == [recorder.path]


def test_the_newest_shows_what_was_said_in_a_session_of_ours(newest: Codex) -> None:
    """Codex's own programs, which use its server, get our session with the messages of user and model."""
    with create(newest) as recorder:
        recorder.record(user("before"), call("call_1"), output("call_1", "x"), assistant("said"))

    thread = newest.ask("thread/read", {"threadId": recorder.session.id, "includeTurns": True})["thread"]

    assert thread["preview"] == "before"
    assert [item["type"] for turn in thread["turns"] for item in turn["items"]] == ["userMessage", "agentMessage"]


def test_a_session_of_ours_is_listed(listing: Codex) -> None:
    """Codex's own programs, which use its server, list our session by its first message."""
    logger = logging.getLogger("interop.listed")
    with create(listing) as recorder, rolloutlog.attach(logger, recorder=recorder):
        for number in range(20):
            logger.info("starting %d", number)
        recorder.record(user("before"), assistant("said"))

    answer = listing.ask(str(listing.release.habits.lists), {})

    assert [listed["preview"] for listed in answer.get("data") or answer["items"]] == ["before"]
