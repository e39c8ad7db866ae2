"""The items that the model sees: compactions, turns taken back, forks; and archived and compressed sessions."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from helpers import DEADLINE

from rolloutlog import Message, RolloutRecorder, find_sessions, iter_entries, load_session
from rolloutlog._entries import OtherEntry
from rolloutlog._format.envelope import is_surroundings
from rolloutlog._lookup import find_session
from rolloutlog._reading.blocks import _zstd
from rolloutlog._responses import history, view
from rolloutlog.exceptions import InvalidRolloutError, MissingExtraError, SessionExistsError
from rolloutlog.items import InputText

PARENT = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"
CHILD = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4b"
OTHER = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4c"
EARLIER = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b3c"
WHEN = "2025-07-23T15:03:26.000Z"
LATER = "2025-07-23T15:04:26.000Z"
ENVIRONMENT = "<environment_context>\n  <cwd>/x</cwd>\n</environment_context>"
zstd = _zstd()
needs_zstd = pytest.mark.skipif(zstd is None, reason="needs the extra zstd")


def line(kind, payload, timestamp=WHEN):
    """Return a line of the envelope format."""
    return json.dumps({"timestamp": timestamp, "type": kind, "payload": payload}).encode() + b"\n"


def meta(session_id, **keys):
    """Return a session meta."""
    known = {"id": session_id, "timestamp": WHEN, "cwd": "/x", "originator": "codex", "cli_version": "1"}
    return line("session_meta", {**known, **keys})


def user(text, timestamp=WHEN):
    return line("response_item", Message.user(text).to_dict(), timestamp)


def model(text, timestamp=WHEN):
    return line("response_item", Message.assistant(text).to_dict(), timestamp)


def logged(message):
    """Return a log entry as a line of our own."""
    entry = {"type": "log", "timestamp": WHEN, "level": "INFO", "logger": "x", "message": message}
    return line("rolloutlog", entry)


# How each summary begins that Codex has made since 0.60.
SUMMARY = "Another language model started to solve this problem and produced a summary of its thinking process."


def compacted(summary, *instead, **keys):
    """Return the line of a compaction with the items that replace everything before."""
    return line("compacted", {"message": summary, "replacement_history": [item.to_dict() for item in instead], **keys})


def taken_back(turns):
    """Return the line that takes so many turns back."""
    return line("event_msg", {"type": "thread_rolled_back", "num_turns": turns})


@pytest.fixture
def rollout(tmp_path):
    """Return a function that puts lines into the file of a session in the home `tmp_path`."""

    def write(session_id, *lines, folder="sessions/2025/07/23"):
        path = tmp_path / folder / f"rollout-2025-07-23T15-03-26-{session_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(lines))
        return path

    return write


def texts(items):
    """Return the text of each item."""
    return [item.text for item in items]


# --- compacted --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ([user("a"), model("b")], ["a", "b"]),
        ([user("a"), model("b"), compacted("s", Message.user("S")), user("c")], ["S", "c"]),
        ([user("a"), compacted("s"), user("c")], ["c"]),
        ([user("a"), compacted("s", Message.user("S")), compacted("t", Message.user("T")), user("c")], ["T", "c"]),
        ([user("a"), model("b"), line("compacted", {"message": "s"}), user("c")], ["a", "s", "c"]),
        ([user("a"), line("compacted", {"message": "s", "replacement_history": None}), user("c")], ["a", "s", "c"]),
        ([user(ENVIRONMENT), user("a"), line("compacted", {"message": "s"})], ["a", "s"]),
        ([user("a"), line("compacted", {"message": ""}), user("c")], ["a", "(no summary available)", "c"]),
        (
            [user("a"), *(line("compacted", {"message": f"{SUMMARY}\n{text}"}) for text in "st"), user("c")],
            ["a", f"{SUMMARY}\nt", "c"],
        ),
        (
            [user("a"), compacted("s", Message.user("S")), user("b"), line("compacted", {"message": "t"})],
            ["S", "b", "t"],
        ),
        # what a real reader skips as a whole
        ([user("a"), line("compacted", {"replacement_history": []}), user("c")], ["a", "c"]),
        ([user("a"), line("compacted", {"message": "s", "replacement_history": [{"type": "message"}]})], ["a"]),
        ([user("a"), line("compacted", "s"), user("c")], ["a", "c"]),
        ([user("a"), line("compacted", {"message": "s", "replacement_history": [3]})], ["a"]),
    ],
)
def test_a_compaction_changes_what_the_model_sees_and_not_what_was_said(rollout, lines, seen):
    """The expectations are what the newest Codex was seen to send for the same lines."""
    saved = load_session(rollout(PARENT, meta(PARENT), *lines))

    assert texts(saved.context) == seen
    assert [item["content"][0]["text"] for item in saved.to_input()] == seen
    assert len(saved.items) == sum(b"response_item" in each for each in lines)
    assert not saved.skipped


def test_the_items_of_a_compaction_are_parsed_once(rollout, monkeypatch):
    """However often the caller looks; and each look gives a list of its own."""
    saved = load_session(rollout(PARENT, meta(PARENT), user("a"), compacted("s", Message.user("S"))))
    parsed = []
    monkeypatch.setattr(view, "from_value", lambda value: parsed.append(value) or Message.user("S"))

    saved.context.clear()

    assert texts(saved.context) == ["S"]
    assert len(parsed) == 1


def test_a_compaction_does_not_look_again_at_what_earlier_ones_kept(monkeypatch):
    """So many compactions take linear time: each message of the user is looked at where it is new."""
    seen = view.ModelView()
    looks = []
    is_added = history.is_added_by_codex
    monkeypatch.setattr(history, "is_added_by_codex", lambda item: looks.append(item) or is_added(item))
    for index in range(100):
        seen.append([Message.user(f"a{index}")])
        seen.apply(view.Rewrite(0, OtherEntry({"type": "compacted", "payload": {"message": f"s{index}"}})))

    assert texts(seen.items) == [f"{kind}{index}" for index in range(100) for kind in "as"]
    assert len(looks) < 1_000


def test_a_copy_of_a_view_is_changed_alone():
    """Items, turns and compactions that are added to it are not added to the first one, and the other way round."""
    roll_back = view.Rewrite(
        0, OtherEntry({"type": "event_msg", "payload": {"type": "thread_rolled_back", "num_turns": 1}})
    )
    first = view.ModelView()
    first.append([Message.user("a"), Message.assistant("b")])
    first.apply(view.Rewrite(2, OtherEntry({"type": "compacted", "payload": {"message": "s"}})))
    second = first.copy()
    second.append([Message.user("c")])
    second.apply(roll_back)
    second.apply(roll_back)
    first.append([Message.user("d")])

    assert texts(first.items) == ["a", "s", "d"]
    assert texts(second.items) == []


def test_a_compaction_is_kept_as_an_entry(rollout):
    """In order, whole, and as what it is."""
    path = rollout(PARENT, meta(PARENT), user("a"), compacted("s", Message.user("S")))

    kinds = [entry.type for entry in iter_entries(path)]

    assert kinds == ["session_meta", "message", "compacted"]
    assert load_session(path).others[0].raw["payload"]["message"] == "s"


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        ([user("a"), model("b"), user("c"), model("d"), taken_back(1), user("z")], ["a", "b", "z"]),
        ([user("a"), model("b"), user("c"), model("d"), taken_back(5), user("z")], ["z"]),
        ([user("a"), user("c"), user("d"), taken_back(1), user("z")], ["a", "c", "z"]),
        ([user("a"), taken_back(0), user("z")], ["a", "z"]),
        ([user("a"), taken_back(1), taken_back(1), user("z")], ["z"]),
        ([taken_back(1), user("z")], ["z"]),
        ([user("a"), taken_back("1"), user("z")], ["a", "z"]),
        ([user(ENVIRONMENT), user("a"), taken_back(1), user("z")], [ENVIRONMENT, "z"]),
        ([user("a"), model("b"), user(ENVIRONMENT), user("c"), taken_back(1), user("z")], ["a", "b", "z"]),
        ([user("a"), compacted("s", Message.user("S")), user("c"), taken_back(1), user("z")], ["S", "z"]),
        ([user("a"), compacted("s", Message.user("S")), user("c"), taken_back(2), user("z")], ["z"]),
    ],
)
def test_a_turn_that_was_taken_back_is_not_seen_any_more(rollout, lines, seen):
    """It was said all the same."""
    saved = load_session(rollout(PARENT, meta(PARENT), *lines))

    assert texts(saved.context) == seen
    assert len(saved.items) == sum(b"response_item" in each for each in lines)


@pytest.mark.parametrize(
    "text",
    [
        ENVIRONMENT,
        "# AGENTS.md instructions for /x\n\n<INSTRUCTIONS>\nx\n</INSTRUCTIONS>",
        "<skill>\n<name>x</name>\n</skill>",
        "<user_shell_command>\n<command>\nls\n</command>\n</user_shell_command>",
        "  <Turn_Aborted>\nx\n</turn_aborted>\n",
        "<subagent_notification>\n{}\n</subagent_notification>",
        "<goal_context>x</goal_context>",
        "<recommended_plugins>x</recommended_plugins>",
        '<codex_internal_context source="user_goal">x</codex_internal_context>',
        '<hook_prompt hook_run_id="1">x</hook_prompt>',
        "Warning: apply_patch was requested via shell. Use the apply_patch tool instead of exec_command.",
        "Warning: The maximum number of unified exec processes you can keep open is 60",
        "Warning: Your account was flagged for potentially high-risk cyber activity",
    ],
)
def test_what_codex_says_in_the_name_of_the_user_is_no_turn(rollout, text):
    """It belongs to its turn, and is not one of the questions that older Codex keeps when it compacts."""
    before = [user("a"), model("b")]
    taken = rollout(PARENT, meta(PARENT), *before, user("c"), user(text), model("d"), taken_back(1), user("z"))
    path = rollout(CHILD, meta(CHILD), *before, user(text), line("compacted", {"message": "s"}), user("z"))

    assert texts(load_session(taken).context) == ["a", "b", "z"]
    assert texts(load_session(path).context) == ["a", "s", "z"]


@pytest.mark.parametrize(
    "text",
    [
        "<environment_context> is a tag",
        "<turn_aborted>x</turn_aborted> and more",
        "more <turn_aborted>x</turn_aborted>",
        "<user_instructions>x</user_instructions>",
        "# AGENTS.md instructions are what I want",
        "<codex_internal_context>x</codex_internal_context>",
        "<hook_prompt>x</hook_prompt>",
        "Warning: it rains",
    ],
)
def test_what_only_looks_like_it_is_a_turn_of_the_user(rollout, text):
    """The expectations, here and above, are what the newest Codex was seen to send for the same lines."""
    lines = [user("a"), model("b"), user(text), model("d"), taken_back(1), user("z")]

    assert texts(load_session(rollout(PARENT, meta(PARENT), *lines)).context) == ["a", "b", "z"]


@pytest.mark.parametrize(
    "text",
    [
        "<hook_prompt " + "hook_run_id='" * 100_000,
        "<hook_prompt " + "hook_run_id='x " * 100_000 + "><",
        "<hook_prompt hook_run_id='1'>" * 50_000,
        "<skill>" + "</skill> " * 100_000 + "x",
        " " * 1_000_000 + "<skill>" + " " * 1_000_000,
        "<codex_internal_context source=" + '"a' * 500_000,
        "# AGENTS.md instructions" + "</INSTRUCTIONS>\n" * 100_000 + "x",
        "Warning: apply_patch was requested via " * 50_000,
    ],
    ids=lambda text: text.strip()[:20],
)
def test_no_text_is_slow_to_tell_from_those_of_codex(text):
    """Where the time grew with the square of the length, these would take minutes. A test that hangs fails."""
    assert not is_surroundings(text)


def test_one_part_is_enough_for_a_message_to_be_no_turn(rollout):
    """Codex puts several into one message."""
    both = Message("user", [InputText("hello"), InputText(ENVIRONMENT)])
    lines = [user("a"), user("c"), line("response_item", both.to_dict()), taken_back(1), user("z")]

    assert texts(load_session(rollout(PARENT, meta(PARENT), *lines)).context) == ["a", "z"]


def test_what_an_agent_is_told_begins_a_turn(rollout):
    """As what a user says does."""
    told = {"type": "agent_message", "author": "/root", "recipient": "/root/a", "content": []}
    lines = [user("a"), line("response_item", told), model("d"), taken_back(1), user("z")]

    assert texts(load_session(rollout(PARENT, meta(PARENT), *lines)).context) == ["a", "z"]


def test_what_one_agent_told_another_is_seen_from_its_line(rollout):
    """Older versions gave it a line of its own, which today's Codex sends as an item."""
    told = {"author": "/root", "recipient": "/root/a", "other_recipients": [], "content": "go", "trigger_turn": True}
    path = rollout(PARENT, meta(PARENT), line("inter_agent_communication", told), model("b"))

    saved = load_session(path)

    assert texts(saved.items) == ["b"]
    assert saved.to_input()[0] == {
        "type": "agent_message",
        "author": "/root",
        "recipient": "/root/a",
        "content": [{"type": "input_text", "text": "go"}],
    }


@pytest.mark.parametrize("told", ["go", {"author": "/root", "content": "go"}, {"author": 1, "recipient": 2}, None])
def test_what_is_no_message_between_agents_is_not_seen(rollout, told):
    """Nor is it an error."""
    saved = load_session(rollout(PARENT, meta(PARENT), line("inter_agent_communication", told), model("b")))

    assert (texts(saved.context), saved.skipped) == (["b"], [])


def test_a_resumed_session_goes_on_from_what_the_model_sees(rollout, tmp_path):
    """Also in the live list of `session`, whose items are what was said."""
    path = rollout(PARENT, meta(PARENT), user("a"), compacted("s", Message.user("S")))
    recorder, saved = RolloutRecorder.resume(path)
    with recorder:
        recorder.record(Message.user("c"))

    assert texts(saved.items) == ["a"]
    assert texts(load_session(path).context) == ["S", "c"]


# --- forks ------------------------------------------------------------------------------------------------------------


def test_copied_history_is_told_from_what_was_said_here(rollout):
    """A fork begins with its parent's meta and lines, written at once; so no line is counted twice."""
    path = rollout(
        CHILD,
        meta(CHILD, forked_from_id=PARENT),
        meta(PARENT),
        user("a"),
        model("b"),
        user("c", LATER),
        model("d", LATER),
    )

    saved = load_session(path)

    assert texts(saved.items) == ["a", "b", "c", "d"]
    assert texts(saved.items[saved.inherited :]) == ["c", "d"]
    assert [parent.id for parent in saved.parents] == [PARENT]
    assert saved.session.parent_id == PARENT
    assert (saved.session_id, saved.skipped) == (CHILD, [])


def test_copies_end_where_a_line_names_the_session_itself(rollout):
    """A program that forks and continues at once leaves no time between."""
    own = line("event_msg", {"type": "thread_settings_applied", "thread_id": CHILD})
    path = rollout(CHILD, meta(CHILD, forked_from_id=PARENT), meta(PARENT), user("a"), own, user("c"))

    saved = load_session(path)

    assert saved.inherited == 1


def base(lines):
    """Return what a fork's meta says of the file that holds its history."""
    return {"thread_id": PARENT, "end_ordinal_exclusive": 3, "end_byte_offset": len(b"".join(lines))}


def test_history_in_the_parents_file_is_read_from_there(rollout):
    """The newest copies nothing: the fork says how much of which file comes before it."""
    shared = [meta(PARENT), user("a"), compacted("s", Message.user("S")), model("b")]
    rollout(PARENT, *shared, user("not of the fork"))
    path = rollout(CHILD, meta(CHILD, forked_from_id=PARENT, history_base=base(shared)), user("c"))

    saved = load_session(path)

    assert texts(saved.items) == ["a", "b", "c"]
    assert saved.inherited == 2
    assert texts(saved.context) == ["S", "b", "c"]
    assert [entry.text for entry in iter_entries(path) if isinstance(entry, Message)] == ["c"]


def test_a_fork_of_a_fork_has_the_history_of_both(rollout):
    """As far back as it goes."""
    first = [meta(PARENT), user("a")]
    rollout(PARENT, *first, folder="archived_sessions")
    second = [meta(CHILD, history_base=base(first)), user("b")]
    rollout(CHILD, *second)
    third = {**base(second), "thread_id": CHILD}

    saved = load_session(rollout(OTHER, meta(OTHER, history_base=third), user("c")))

    assert texts(saved.items) == ["a", "b", "c"]
    assert saved.inherited == 2


def revised(revision, **keys):
    """Return the name by which a session continues in a new file, and the meta of that file."""
    return f"{PARENT}_{revision}", meta(PARENT, **keys)


def test_a_session_goes_on_in_the_file_that_was_begun_when_turns_were_taken_back(rollout, tmp_path):
    """It is one session, found by its id, and all that is left of the older file is its own."""
    kept = [meta(PARENT), user("a"), model("b"), logged("before")]
    older = rollout(PARENT, *kept, user("taken back"))
    name, first = revised(OTHER, history_base=base(kept))
    path = rollout(name, first, user("c"), logged("after"))

    saved = load_session(path)

    assert texts(saved.items) == ["a", "b", "c"]
    assert (saved.inherited, saved.skipped) == (0, [])
    assert [entry.message for entry in saved.logs] == ["before", "after"]
    assert [(found.path, found.id, found.revision) for found in find_sessions(tmp_path)] == [(path, PARENT, OTHER)]
    assert find_session(PARENT, tmp_path) == find_session(PARENT[:30], tmp_path) == path
    assert texts(load_session(older).items) == ["a", "b", "taken back"]


def test_what_is_recorded_by_id_goes_where_the_session_goes_on(rollout, tmp_path):
    """Codex does not look into the older file any more."""
    kept = [meta(PARENT), user("a")]
    older = rollout(PARENT, *kept, user("taken back"))
    name, first = revised(OTHER, history_base=base(kept))
    path = rollout(name, first)
    size = older.stat().st_size

    recorder, _ = RolloutRecorder.resume(PARENT, home=tmp_path)
    with recorder:
        recorder.record(Message.user("c"))

    assert texts(load_session(path).items) == ["a", "c"]
    assert older.stat().st_size == size


def test_turns_can_be_taken_back_again_and_forked_from_there(rollout, tmp_path):
    """Other files refer to a revision by its own id; the fork has the history, and has said none of it."""
    kept = [meta(PARENT), user("a")]
    rollout(PARENT, *kept, user("taken back"))
    name, first = revised(EARLIER, history_base=base(kept))
    second = [first, user("b")]
    rollout(name, *second, user("taken back too"))
    name, third = revised(OTHER, history_base={**base(second), "thread_id": EARLIER})
    newest = [third, user("c")]
    path = rollout(name, *newest)
    from_there = {**base(newest), "thread_id": OTHER}
    fork = rollout(CHILD, meta(CHILD, forked_from_id=PARENT, history_base=from_there), user("d"))

    saved = load_session(fork)

    assert texts(load_session(path).items) == ["a", "b", "c"]
    assert texts(saved.items) == ["a", "b", "c", "d"]
    assert (saved.inherited, saved.skipped) == (3, [])
    assert sorted(found.path for found in find_sessions(tmp_path)) == sorted([path, fork])


def test_a_fork_that_takes_its_turns_back_keeps_what_it_inherited(rollout):
    """Items of the parent's session are counted there, however often the fork begins a new file."""
    kept = [meta(OTHER), user("a")]
    rollout(OTHER, *kept)
    forked = [meta(PARENT, forked_from_id=OTHER, history_base={**base(kept), "thread_id": OTHER}), user("b")]
    rollout(PARENT, *forked, user("taken back"))
    name, first = revised(CHILD, forked_from_id=OTHER, history_base=base(forked))

    saved = load_session(rollout(name, first, user("c")))

    assert texts(saved.items) == ["a", "b", "c"]
    assert saved.inherited == 1


def numbered(line, number):
    """Return *line* with a number, as the newest Codex writes it."""
    value = json.loads(line)
    value = {"timestamp": value.pop("timestamp"), "ordinal": number, **value}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def test_a_sub_agent_says_where_its_own_history_begins(rollout):
    """By the number of a line: to copy a long history may take longer than to ask something."""
    lines = [meta(PARENT), user("a"), user("b", LATER), user("c", LATER)]
    own = meta(CHILD, forked_from_id=PARENT, subagent_history_start_ordinal=4)
    path = rollout(CHILD, own, *map(numbered, lines, range(1, 5)))

    saved = load_session(path)

    assert texts(saved.items[: saved.inherited]) == ["a", "b"]
    assert texts(saved.items[saved.inherited :]) == ["c"]


@pytest.mark.parametrize(
    "history_base",
    [
        {"thread_id": OTHER, "end_byte_offset": 10},
        {"thread_id": CHILD, "end_byte_offset": 10},
        {"thread_id": "../../x", "end_byte_offset": 10},
        {"thread_id": PARENT},
        {"thread_id": PARENT, "end_byte_offset": "x"},
        {},
        None,
        3,
    ],
    ids=str,
)
def test_history_that_is_not_there_is_reported(rollout, history_base):
    """The lines of the session itself are read, and the report says what is missing."""
    saved = load_session(rollout(CHILD, meta(CHILD, history_base=history_base), user("c")))

    assert texts(saved.items) == ["c"]
    assert [skipped.reason for skipped in saved.skipped] == [
        "the history that the session was forked from is not there"
    ]


@pytest.mark.parametrize("end", [0, -5, 20])
def test_a_reference_into_the_first_line_of_a_file_is_to_no_history(rollout, end):
    """The session itself is whole: no line of another file makes reading it raise."""
    rollout(PARENT, meta(PARENT), user("a"))
    path = rollout(CHILD, meta(CHILD, history_base={"thread_id": PARENT, "end_byte_offset": end}), user("c"))

    saved = load_session(path)

    assert texts(saved.items) == ["c"]
    assert len(saved.skipped) == 1


@pytest.mark.parametrize("missing", [CHILD, OTHER])
def test_history_that_is_not_there_further_back_is_reported_too(rollout, missing):
    """A fork of a fork whose own history is gone, or leads back to where it began, has not all of it."""
    second = [meta(PARENT, history_base={"thread_id": missing, "end_byte_offset": 1000}), user("b")]
    rollout(PARENT, *second)
    path = rollout(CHILD, meta(CHILD, history_base=base(second)), user("c"))

    saved = load_session(path)

    assert texts(saved.items) == ["b", "c"]
    assert [skipped.reason for skipped in saved.skipped] == [
        "the history that the session was forked from is not there"
    ]


@pytest.mark.parametrize(
    "keys",
    [
        {"forked_from_id": PARENT},
        {"parent_thread_id": PARENT},
        {"parent_id": PARENT},
        {"source": {"subagent": {"thread_spawn": {"parent_thread_id": PARENT, "depth": 1}}}},
    ],
    ids=str,
)
def test_a_session_tells_whose_it_is(rollout, keys):
    """Forks, sub-agents and the sessions of forked processes name their parents, each in its way."""
    assert load_session(rollout(CHILD, meta(CHILD, **keys))).session.parent_id == PARENT


@pytest.mark.parametrize("source", ["cli", {"subagent": "review"}, {"subagent": {"other": "x"}}, None, 3], ids=str)
def test_a_session_without_a_parent_has_none(rollout, source):
    """Whatever its source says."""
    assert load_session(rollout(CHILD, meta(CHILD, source=source))).session.parent_id is None


# --- archived ---------------------------------------------------------------------------------------------------------


def test_archived_sessions_are_listed_when_asked_for_and_found_by_id(rollout, tmp_path):
    """They lie in one folder beside the others; a new session cannot take their id."""
    path = rollout(PARENT, meta(PARENT), folder="archived_sessions")
    other = rollout(CHILD, meta(CHILD))

    assert [found.path for found in find_sessions(tmp_path)] == [other]
    assert [found.path for found in find_sessions(tmp_path, archived=True)] == [path]
    assert find_session(PARENT, tmp_path) == path
    with pytest.raises(SessionExistsError):
        RolloutRecorder.create(tmp_path, session_id=PARENT)


# --- compressed -------------------------------------------------------------------------------------------------------


def packed(path):
    """Compress the file at *path* as Codex does, and return the new one."""
    compressed = path.with_name(path.name + ".zst")
    compressed.write_bytes(zstd.compress(path.read_bytes()))
    path.unlink()
    return compressed


@needs_zstd
def test_a_compressed_session_reads_as_the_same(rollout, tmp_path):
    """Loaded, streamed, listed and found by id."""
    path = rollout(PARENT, meta(PARENT), *[user(f"{number} " * 50) for number in range(5_000)])
    plain, entries = load_session(path), list(iter_entries(path))

    compressed = packed(path)

    saved = load_session(compressed)
    assert (saved.items, saved.session, saved.skipped) == (plain.items, plain.session, [])
    assert list(iter_entries(compressed)) == entries
    assert [found.path for found in find_sessions(tmp_path)] == [compressed]
    assert find_session(PARENT[:13], tmp_path) == compressed


@needs_zstd
def test_the_plain_file_beside_a_compressed_one_is_the_session(rollout, tmp_path):
    """Both are there for a moment while one is made of the other."""
    path = rollout(PARENT, meta(PARENT))
    compressed = packed(path)
    path.write_bytes(meta(PARENT))

    assert [found.path for found in find_sessions(tmp_path)] == [path]
    assert compressed.exists()


@needs_zstd
def test_several_frames_are_one_session(rollout):
    """A program may compress what it appends."""
    path = rollout(PARENT, meta(PARENT))
    compressed = packed(path)
    with compressed.open("ab") as stream:
        stream.write(zstd.compress(user("a")))

    assert texts(load_session(compressed).items) == ["a"]


@needs_zstd
@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: data[:-200] + b"\x00" * 50 + data[-150:]])
def test_a_damaged_compressed_session_reads_as_far_as_it_is_whole(rollout, damage):
    """The report says that there was more; nothing raises."""
    lines = [user(f"{number} {number * 7919}") for number in range(5_000)]
    path = packed(rollout(PARENT, meta(PARENT), *lines))
    path.write_bytes(damage(path.read_bytes()))

    saved = load_session(path)

    assert 0 < len(saved.items) < 5_000
    assert "damaged" in saved.skipped[-1].reason


@needs_zstd
@pytest.mark.parametrize("rest", [b"junk", None], ids=["junk", "half a frame"])
def test_frames_before_a_damage_are_whole(rollout, rest):
    """However few lines they hold."""
    path = packed(rollout(PARENT, meta(PARENT), user("a")))
    with path.open("ab") as stream:
        stream.write(rest or zstd.compress(user("b"))[:-9])

    saved = load_session(path)

    assert texts(saved.items) == ["a"]
    assert "damaged" in saved.skipped[-1].reason


def test_without_the_extra_the_error_names_it(rollout):
    """It is an ImportError, too."""
    path = rollout(PARENT, meta(PARENT))
    path = path.rename(path.with_name(path.name + ".zst"))
    code = (
        "import sys\n"
        "sys.modules['compression'] = sys.modules['backports'] = None\n"
        "import rolloutlog\n"
        "try:\n"
        f"    rolloutlog.load_session({str(path)!r})\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert done.stdout.startswith(MissingExtraError.__name__)
    assert "pip install 'rolloutlog[zstd]'" in done.stdout


@needs_zstd
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak from /proc")
def test_a_small_file_that_unpacks_to_very_much_is_read_in_little_memory(rollout):
    """A line bomb of half a gigabyte is skipped, and never held."""
    path = rollout(PARENT, meta(PARENT), user("a"))
    compressed = path.with_name(path.name + ".zst")
    with zstd.ZstdFile(compressed, "wb") as stream:
        stream.write(path.read_bytes())
        for _ in range(512):
            stream.write(b" " * 2**20)
        stream.write(b"\n" + user("b"))
    path.unlink()
    code = (
        "import rolloutlog\n"
        f"saved = rolloutlog.load_session({str(compressed)!r})\n"
        "print(len(saved.items), len(saved.skipped))\n"
        # Not getrusage: what that tells as the peak may be that of the process which started this one.
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(int(peak.split()[1]) < 300 * 1024)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert done.stdout.split() == ["2", "1", "True"]


@needs_zstd
def test_a_compressed_file_with_a_window_too_large_says_so(rollout):
    """It is not damaged, and the message says what decompresses it."""
    path = rollout(PARENT, meta(PARENT), user("a"))
    compressed = path.with_name(path.name + ".zst")
    with zstd.ZstdFile(compressed, "wb", options={zstd.CompressionParameter.window_log: 28}) as stream:
        stream.write(path.read_bytes())
        stream.write(b"\n" * 2**20)
    path.unlink()

    with pytest.raises(InvalidRolloutError, match=r"window of more than 128 MiB.*zstd -d --long=31"):
        load_session(compressed)
