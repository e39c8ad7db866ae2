"""The real readers themselves: how they read files written by hand, and whether our rules for them are right."""

from __future__ import annotations

import pytest
from codex import Codex
from expected import expected_history, history, text_of
from samples import (
    AWKWARD,
    EVERY_KIND,
    MEGABYTE,
    assistant,
    call,
    line,
    local_call,
    output,
    packed,
    place,
    reasoning,
    user,
)

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"


def test_every_kind_is_sent_in_order(codex: Codex) -> None:
    """The real reader sends every item of a hand-written rollout, in order, with the changes that `expected` knows."""
    rollout = place(codex, EVERY_KIND)

    outcome = codex.resume(rollout, PROMPT)

    assert outcome.returncode == 0, outcome.stderr
    assert history(codex.release, outcome.requests[0], PROMPT) == expected_history(codex.release, EVERY_KIND)
    assert codex.rollouts() == [rollout] or codex.release.habits.copies


def test_unanswered_calls_are_answered_by_the_reader(codex: Codex) -> None:
    """A call without an output is sent with an output "aborted": before all other items, or after the call."""
    items = [user("hi"), call("call_1"), call("call_2"), output("call_2", "x"), user("well?"), call("call_3")]
    rollout = place(codex, items)

    outcome = codex.resume(rollout, PROMPT)

    assert history(codex.release, outcome.requests[0], PROMPT) == expected_history(codex.release, items)


def test_flat_reader_leaves_an_unanswered_local_shell_call_alone(flat: Codex) -> None:
    """0.20.0 answers only function calls; a local shell call without an output is sent unchanged."""
    items = [user("hi"), local_call("call_1")]
    rollout = place(flat, items)

    outcome = flat.resume(rollout, PROMPT)

    assert [item["type"] for item in history(flat.release, outcome.requests[0], PROMPT)] == [
        "message",
        "local_shell_call",
    ]


def test_flat_reader_skips_reasoning_with_a_plain_text_part(flat: Codex) -> None:
    """0.20.0 skips a reasoning item whose content has a part of type "text", and only that item."""
    strange = reasoning("rs_1", "s", content=[{"type": "text", "text": "t"}])
    rollout = place(flat, [user("hi"), strange, assistant("ho")])

    outcome = flat.resume(rollout, PROMPT)

    assert [text_of(item) for item in history(flat.release, outcome.requests[0], PROMPT)] == ["hi", "ho"]


def test_the_newest_shortens_a_long_output(newest: Codex) -> None:
    """The newest release sends the beginning and the end of a tool's output of a megabyte; the file keeps all of it."""
    printed = "".join(f"{number:09}\n" for number in range(MEGABYTE // 10))
    rollout = place(newest, [user("print"), call("call_1"), output("call_1", printed)])
    before = rollout.read_bytes()

    outcome = newest.resume(rollout, PROMPT)

    sent = history(newest.release, outcome.requests[0], PROMPT)[-1]["output"]
    assert len(sent) < 50_000
    assert printed[:10_000] in sent
    assert printed[-10_000:] in sent
    assert rollout.read_bytes().startswith(before)


def test_the_newest_sends_no_picture_that_it_cannot_open(newest: Codex) -> None:
    """In place of an invalid picture, the newest release sends a text; the message keeps its other parts."""
    broken = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    rollout = place(newest, [user("look", content=[{"type": "input_text", "text": "look"}, broken])])

    outcome = newest.resume(rollout, PROMPT)

    (sent,) = history(newest.release, outcome.requests[0], PROMPT)
    assert [part["type"] for part in sent["content"]] == ["input_text", "input_text"]
    assert sent["content"][0]["text"] == "look"


def test_lines_of_other_kinds_change_nothing(codex: Codex) -> None:
    """State lines, log lines, unknown kinds, blank lines and garbage between the items change no request."""
    others = [
        packed({"record_type": "state", "step": 3, "note": AWKWARD}),
        line(codex, {"type": "log", "timestamp": "x", "level": "INFO", "logger": "agent", "message": AWKWARD}),
        packed({"type": "no_such_kind", "payload": {"type": "no_such_kind"}}),
        b"\n",
        b'{"type":"mess\n',
        b"\x00" * 4096 + b"\n",
    ]
    rollout = place(codex, [user("hi")])
    rollout.write_bytes(rollout.read_bytes() + b"".join(others) + line(codex, assistant("ho")))

    outcome = codex.resume(rollout, PROMPT)

    assert history(codex.release, outcome.requests[0], PROMPT) == expected_history(
        codex.release, [user("hi"), assistant("ho")]
    )


def test_one_byte_that_is_not_utf8_costs_the_whole_session(codex: Codex) -> None:
    """A line torn within a character makes the whole file unreadable for Codex, even if it ends with a newline."""
    rollout = place(codex, [user("hi")])
    torn = line(codex, user("é")).partition("é".encode())[0] + "é".encode()[:1]
    rollout.write_bytes(rollout.read_bytes() + torn + b"\n" + line(codex, assistant("ho")))

    outcome = codex.resume(rollout, PROMPT)

    # Up to 0.28 it silently begins another session; newer ones refuse, and ask the model nothing.
    sent = [text_of(item) for request in outcome.requests for item in history(codex.release, request, PROMPT)]
    assert sent == []
    assert outcome.returncode == (1 if codex.release.habits.refuses else 0)


def test_a_torn_character_that_is_completed_costs_its_line_alone(codex: Codex) -> None:
    """If the missing bytes of the character are added before the newline, Codex reads all other lines."""
    rollout = place(codex, [user("hi")])
    torn = line(codex, user("é")).partition("é".encode())[0] + "é".encode()[:1]
    rollout.write_bytes(rollout.read_bytes() + torn + b"\x80\n" + line(codex, assistant("ho")))

    outcome = codex.resume(rollout, PROMPT)

    assert [text_of(item) for item in history(codex.release, outcome.requests[0], PROMPT)] == ["hi", "ho"]
