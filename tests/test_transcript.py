"""Transcripts: a session as turns and entries, calls with their outputs, instructions apart, in constant memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import hostile
import pytest
from test_reader import GOLDEN, REAL
from test_view import CHILD, ENVIRONMENT, LATER, PARENT, WHEN, compacted, line, logged, meta, model, taken_back, user

from rolloutlog import Message
from rolloutlog._face.entries import (
    Call,
    Instruction,
    Logged,
    Note,
    Other,
    Output,
    Picture,
    Said,
    Skipped,
    Thought,
    Turn,
    TurnEnd,
    is_shown,
)
from rolloutlog._face.transcript import Transcript
from rolloutlog._face.turns import Reader
from rolloutlog._reading.lines import iter_lines
from rolloutlog.items import InputText

pytestmark = pytest.mark.once


@pytest.fixture
def transcript(tmp_path):
    """Return a function that makes the transcript of lines."""

    def make(*lines):
        path = tmp_path / "rollout.jsonl"
        path.write_bytes(b"".join(lines))
        return Transcript(path)

    return make


def item(value, timestamp=WHEN):
    """Return the line of the item *value*."""
    return line("response_item", value, timestamp)


def call(name, call_id, timestamp=WHEN):
    """Return the line of a call."""
    return item({"type": "function_call", "name": name, "arguments": "{}", "call_id": call_id}, timestamp)


def output(text, call_id, timestamp=WHEN):
    """Return the line of an output."""
    return item({"type": "function_call_output", "call_id": call_id, "output": text}, timestamp)


def names(parts):
    """Return the class of each part."""
    return [type(part).__name__ for part in parts]


def event(name, **keys):
    """Return the line of an event."""
    return line("event_msg", {"type": name, **keys})


# --- turns ------------------------------------------------------------------------------------------------------------


def test_each_message_of_a_person_begins_a_turn(transcript):
    """The message is the first entry of its turn, and the end of the turn follows its last entry."""
    parts = list(transcript(meta(PARENT), user("a"), model("b"), user("c", LATER)))

    assert names(parts) == ["Turn", "Said", "Said", "TurnEnd", "Turn", "Said", "TurnEnd"]
    assert [(part.number, part.who, part.line) for part in parts if isinstance(part, Turn)] == [
        (1, "user", 2),
        (2, "user", 4),
    ]
    assert [(part.role, part.text) for part in parts if isinstance(part, Said)] == [
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
    ]


def test_entries_before_the_first_message_belong_to_the_turn_of_no_one(transcript):
    """A session may begin with an answer."""
    first, *_ = transcript(meta(PARENT), model("b"), user("c"))

    assert (first.number, first.who) == (0, "none")


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([event("task_started"), user("a"), model("b"), event("task_complete", duration_ms=2042)], [2.042]),
        ([user("a"), model("b", LATER)], [60.0]),
        ([event("task_started"), user("a"), user("b", LATER), event("task_complete", duration_ms=9)], [0.0, 0.0]),
    ],
    ids=["as Codex says", "by its lines", "two in one task"],
)
def test_a_turn_says_how_long_it_took(transcript, lines, seconds):
    """As Codex says, unless that is the time of several turns; else from its first line to its last."""
    parts = transcript(meta(PARENT), *lines)

    assert [part.seconds for part in parts if isinstance(part, TurnEnd)] == seconds


def test_a_turn_counts_its_calls(transcript):
    """All, those that failed, and those without an output."""
    failed = '{"output":"","metadata":{"exit_code":1}}'
    lines = [call("a", "1"), call("b", "2"), call("c", "3"), output(failed, "1"), output("ok", "2")]

    *_, end = transcript(meta(PARENT), user("go"), *lines)

    assert (end.calls, end.failed, end.unanswered) == (3, 1, 1)


# --- instructions -----------------------------------------------------------------------------------------------------


def test_what_programs_told_the_model_is_not_shown_as_a_persons_words(transcript):
    """Instructions, context and tools, in a developer's name or in the user's, are entries of their own."""
    lines = [
        meta(PARENT, instructions="be kind"),
        item({"type": "additional_tools", "role": "developer", "tools": []}),
        item({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]}),
        user("# AGENTS.md instructions for /x\n\n<INSTRUCTIONS>\nbe quick\n</INSTRUCTIONS>"),
        user(ENVIRONMENT),
        user("<user_instructions>\nx\n</user_instructions>"),
        user("hello"),
    ]

    found = transcript(*lines)

    assert names(found) == ["Instruction"] * 6 + ["Turn", "Said", "TurnEnd"]
    assert found.counts().instructions == 6
    assert found.head.title == "hello"


def test_context_and_words_in_one_message_are_told_apart(transcript):
    """Some programs put both into one message."""
    both = Message("user", [InputText(ENVIRONMENT), InputText("hello")])

    added, _, said, _ = transcript(meta(PARENT), item(both.to_dict()))

    assert (added.text, said.text) == (ENVIRONMENT, "hello")


# --- calls ------------------------------------------------------------------------------------------------------------


def test_a_call_comes_with_its_output(transcript):
    """Also where another call is between them; entries remain in the order of their lines."""
    lines = [call("a", "1"), call("b", "2"), output("of b", "2"), model("hm"), output("of a", "1")]

    found = [part for part in transcript(meta(PARENT), user("go"), *lines) if isinstance(part, Call | Said)]

    assert [part.line for part in found] == [2, 3, 4, 6]
    assert [(one.call.tool, one.result.text, one.result_line) for one in found[1:3]] == [
        ("a", "of a", 7),
        ("b", "of b", 5),
    ]


def test_of_two_calls_with_one_id_the_later_is_answered_first(transcript):
    """Ids are not unique in real files; `to_input` pairs them likewise."""
    lines = [call("a", "1"), call("b", "1"), output("x", "1"), output("y", "1")]

    found = [part for part in transcript(meta(PARENT), user("go"), *lines) if isinstance(part, Call)]

    assert [(one.call.tool, one.result.text) for one in found] == [("a", "y"), ("b", "x")]


def test_an_output_in_a_later_turn_names_its_call(transcript):
    """The call was shown without it, because nothing waits longer than a turn."""
    found = list(transcript(meta(PARENT), user("go"), call("a", "1"), user("and?"), output("late", "1")))

    (first,) = [part for part in found if isinstance(part, Call)]
    (late,) = [part for part in found if isinstance(part, Output)]
    assert first.result is None
    assert (late.call, late.call_line, late.result.text) == (first.call, 3, "late")


def test_an_output_without_a_call_is_shown_alone(transcript):
    """Its call was lost, or never made."""
    *_, found, _ = transcript(meta(PARENT), user("go"), output("alone", "9"))

    assert (found.kind, found.call, found.result.text) == ("output", None, "alone")


def test_a_call_that_the_api_ran_holds_its_output(transcript):
    """No other item answers it, so nothing waits."""
    search = {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "tides"}}

    *_, found, end = transcript(meta(PARENT), user("go"), item(search))

    assert found.call.command == "search the web: tides"
    assert end.unanswered == 0


def test_a_session_that_is_followed_does_not_wait_for_outputs(tmp_path):
    """A person who looks on sees the call at once, and its output when it comes."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"".join([meta(PARENT), user("go"), call("a", "1"), output("done", "1")]))
    reader = Reader(Transcript(path).head, waits=False)

    found = [names(reader.read(one)) for one in iter_lines(path)]

    assert found == [[], ["Turn", "Said"], ["Call"], ["Output"]]
    assert (reader.counts.calls, reader.counts.unanswered) == (1, 0)


def test_memory_does_not_grow_with_the_session(transcript):
    """Not even where no call of very many is ever answered, all in one turn."""
    peaks = []
    for count in (3_000, 9_000):
        session = transcript(meta(PARENT), user("go"), *(call("a" * 1000, str(number)) for number in range(count)))
        tracemalloc.start()
        assert sum(isinstance(part, Call) for part in session) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


# --- other entries ----------------------------------------------------------------------------------------------------


def test_each_kind_of_line_has_its_entry(transcript):
    """Reasoning with its heading, log entries, pictures, notes about the session, damaged lines, and all others."""
    lines = [
        item({"type": "reasoning", "summary": [{"type": "summary_text", "text": "**Looking**\n\nI look."}]}),
        item({"type": "reasoning", "summary": [{"type": "summary_text", "text": "one thing\nand another"}]}),
        item({"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}),
        logged("noted"),
        item({"type": "image_generation_call", "result": "aGk=", "revised_prompt": "a boat"}),
        compacted("so far"),
        taken_back(2),
        b"{damaged\n",
        event("token_count"),
        item({"type": "new_kind", "x": 1}),
    ]

    found = list(transcript(meta(PARENT), user("go"), *lines))[2:-1]

    assert [type(part) for part in found] == [Thought] * 3 + [Logged, Picture, Note, Note, Skipped, Other, Other]
    assert [(one.title, one.text) for one in found[:3]] == [
        ("Looking", "I look."),
        ("one thing", "one thing\nand another"),
        ("", ""),
    ]
    assert (found[3].level, found[3].text) == ("INFO", "noted")
    assert found[4].prompt == "a boat"
    assert found[5].detail == "so far"
    assert found[6].text == "The last 2 turns were taken back"
    assert (found[7].line, found[7].reason) == (10, "is not JSON")
    assert [one.name for one in found[8:]] == ["event_msg token_count", "new_kind"]


def test_the_depths_form_one_scale(transcript):
    """Each shows all that the one before shows, and more."""
    reasoning = item({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]})
    lines = [user(ENVIRONMENT), user("a"), reasoning, call("x", "1"), output("y", "1"), model("b"), event("other")]
    entries = [part for part in transcript(meta(PARENT), *lines) if not isinstance(part, Turn | TurnEnd)]

    shown = {
        depth: names(entry for entry in entries if is_shown(entry, depth))
        for depth in ("user", "talk", "tools", "full", "all")
    }

    assert shown == {
        "user": ["Said"],
        "talk": ["Said", "Said"],
        "tools": ["Said", "Thought", "Call", "Said"],
        "full": ["Said", "Thought", "Call", "Said"],
        "all": ["Instruction", "Said", "Thought", "Call", "Said", "Other"],
    }


# --- forks ------------------------------------------------------------------------------------------------------------


def test_a_fork_has_the_turns_that_it_inherits(tmp_path):
    """From the parent's file, as far as the fork says; they are marked, and not counted as its own."""
    folder = tmp_path / "sessions/2025/07/23"
    folder.mkdir(parents=True)
    before = meta(PARENT) + user("a") + model("b")
    (folder / f"rollout-2025-07-23T15-03-26-{PARENT}.jsonl").write_bytes(before + user("not in the fork"))
    base = {"thread_id": PARENT, "end_byte_offset": len(before)}
    path = folder / f"rollout-2025-07-23T15-03-27-{CHILD}.jsonl"
    path.write_bytes(meta(CHILD, forked_from_id=PARENT, history_base=base) + user("c"))

    fork = Transcript(path)

    assert fork.head.parent_id == PARENT
    assert [(part.number, part.inherited) for part in fork if isinstance(part, Turn)] == [(1, True), (2, False)]
    assert [part.text for part in fork if isinstance(part, Said)] == ["a", "b", "c"]
    assert (fork.counts().turns, fork.counts().items, fork.counts().inherited) == (1, 1, 2)


def test_a_fork_without_its_parent_says_so(tmp_path):
    """The rest is shown."""
    path = tmp_path / "x.jsonl"
    path.write_bytes(meta(CHILD, history_base={"thread_id": PARENT, "end_byte_offset": 9}) + user("c"))

    first, _, said, _ = Transcript(path)

    assert isinstance(first, Skipped)
    assert said.text == "c"


# --- every file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_item_of_a_real_session_is_in_its_transcript(path: Path):
    """Each line with an item is the line of an entry, or of a call's output."""
    found = list(Transcript(path))
    seen = {part.line for part in found if not isinstance(part, Turn | TurnEnd)}
    seen |= {part.result_line for part in found if isinstance(part, Call)}

    assert {one.number for one in iter_lines(path, kinds=["item"])} <= seen


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_a_hostile_session_has_a_transcript(tmp_path, format):
    """No value in it makes the transcript raise."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file(format))

    found = list(Transcript(path))

    assert len(found) > 100
    assert any(isinstance(part, Instruction) for part in found)


def test_noted_commands_are_shown_in_words(transcript):
    """A command of Claude Code begins a turn without its tags, and its output is an instruction."""
    command, printed = "<command-name>/compact</command-name>", "<local-command-stdout>Done</local-command-stdout>"

    parts = list(transcript(meta(PARENT), user(command), user(printed), user("Go on")))

    assert [part.text for part in parts if isinstance(part, Said)] == ["/compact", "Go on"]
    assert [part.text for part in parts if isinstance(part, Instruction)] == [printed]
