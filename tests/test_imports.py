"""Sessions of other programs become rollouts: whole, once, and with a report of what was not carried."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import sqlite3
import stat
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from commands import run, start
from helpers import DEADLINE, slow
from hypothesis import given
from hypothesis import strategies as st
from test_convert import left_in

import rolloutlog
from rolloutlog import import_agents, import_claude, import_messages, load_session
from rolloutlog._imports import claude as claude_module
from rolloutlog.exceptions import InvalidItemError, InvalidSourceError, SessionNotFoundError

SESSION = "0b0f7dc2-4d0c-4f57-a2f0-6f9b0d0a4a11"
OTHER = "1c1f7dc2-4d0c-4f57-a2f0-6f9b0d0a4a22"


class Claude:
    """Writes a file as Claude Code does, a line at a time: each names the one before it, unless another is named."""

    def __init__(self, folder: Path, session_id: str = SESSION, name: str | None = None) -> None:
        self.path = folder / f"{name or session_id}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        self.session_id = session_id
        self.last: str | None = None
        self.count = 0

    def raw(self, data: bytes) -> None:
        """Write *data* as it is."""
        with self.path.open("ab") as file:
            file.write(data)

    def line(self, kind: str, **keys: object) -> str:
        """Write a line that is part of the tree; return its uuid."""
        self.count += 1
        one = f"u{self.count}"
        shared = {"cwd": "/trip", "version": "2.1.0", "gitBranch": "main", "sessionId": self.session_id}
        linked = {"parentUuid": self.last, "uuid": one, "isSidechain": False}
        time = {"timestamp": f"2026-01-02T03:04:{self.count:02}.678Z"}
        self.raw(json.dumps({"type": kind, **linked, **shared, **time, **keys}).encode() + b"\n")
        self.last = one
        return one

    def user(self, content: object, **keys: object) -> str:
        """Write a message of the user."""
        return self.line("user", message={"role": "user", "content": content}, **keys)

    def model(self, *blocks: object, response: str = "msg_1", output: int = 5, **keys: object) -> str:
        """Write a line for a part of a response."""
        usage = {"input_tokens": 3, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20}
        message = {"id": response, "role": "assistant", "model": "claude-x", "content": list(blocks)}
        return self.line(
            "assistant", message={**message, "usage": {**usage, "output_tokens": output}, "type": "message"}, **keys
        )


def said(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def called(call_id: str) -> dict[str, object]:
    return {"type": "tool_use", "id": call_id, "name": "sky", "input": {"at": call_id}}


def result(call_id: str, **keys: object) -> list[dict[str, object]]:
    return [{"type": "tool_result", "tool_use_id": call_id, "content": f"of {call_id}", **keys}]


@pytest.fixture
def claude(tmp_path):
    return Claude(tmp_path / "claude")


def texts(items):
    """Return what each item says."""
    return [getattr(item, "call_id", None) or getattr(item, "text", None) or item.type for item in items]


# --- Claude Code ------------------------------------------------------------------------------------------------------


def test_a_session_of_claude_code_keeps_times_models_usage_and_folder(claude):
    """Each line of a response repeats its usage, and the last one is right."""
    claude.user("Plan a day in Rome")
    claude.model({"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, output=1)
    claude.model(said("Gladly."), output=9)

    (done,) = import_claude(claude.path)
    saved = load_session(done.path)

    assert (done.state, done.items, done.responses, done.skipped) == ("new", 3, 1, ())
    assert done.session_id == SESSION == saved.session_id
    assert texts(saved.items) == ["Plan a day in Rome", "Hm.", "Gladly."]
    assert saved.session.extra["cwd"] == "/trip"
    assert saved.session.extra["git"] == {"branch": "main"}
    assert saved.session.extra["cli_version"] == "2.1.0"
    assert saved.session.extra["imported_from"]["provider"] == "anthropic"
    (response,) = saved.responses
    assert (response.id, response.model) == ("msg_1", "claude-x")
    assert (response.input_tokens, response.cached_tokens, response.output_tokens) == (123, 100, 9)
    times = [line.timestamp.isoformat(timespec="milliseconds") for line in saved.lines(kinds={"item"})]
    assert times == [f"2026-01-02T03:04:0{second}.678+00:00" for second in (1, 2, 3)]
    assert saved.session.timestamp == "2026-01-02T03:04:01.678Z"
    assert done.left_out == {"the key 'signature'": 1}


def test_calls_that_were_made_at_once_keep_their_outputs(claude):
    """They are branches of the tree, and only one of them leads to the end."""
    claude.user("Both")
    first = claude.model(called("c1"))
    claude.model(called("c2"))
    claude.user(result("c2"))
    claude.user(result("c1", is_error=True), parentUuid=first)
    claude.model(said("Done."), response="msg_2")

    saved = load_session(import_claude(claude.path)[0].path)

    assert texts(saved.context) == texts(saved.items) == ["Both", "c1", "c2", "c2", "c1", "Done."]
    assert saved.orphan_calls == []
    assert saved.items[4].to_dict()["rolloutlog_is_error"] is True


def test_turns_that_were_taken_back_are_not_in_the_context(claude):
    """They stay among the items."""
    claude.user("Hello")
    before = claude.model(said("Hi."))
    claude.user("Wrong question")
    claude.model(said("Wrong answer."), response="msg_2")
    claude.user("Right question", parentUuid=before)
    claude.model(said("Right answer."), response="msg_3")

    saved = load_session(import_claude(claude.path)[0].path)

    assert texts(saved.context) == ["Hello", "Hi.", "Right question", "Right answer."]
    assert texts(saved.items) == ["Hello", "Hi.", "Wrong question", "Wrong answer.", "Right question", "Right answer."]
    assert len(saved.responses) == 3


def test_a_compaction_is_one(claude):
    """The model sees the summary, what was kept beside it, and what came later."""
    claude.user("Hello")
    kept = claude.model(said("Hi."))
    told = {"preservedMessages": {"uuids": [kept]}}
    claude.line("system", subtype="compact_boundary", parentUuid=None, logicalParentUuid=kept, compactMetadata=told)
    claude.user("In short: they greeted.", isCompactSummary=True, isVisibleInTranscriptOnly=True)
    claude.user("And now?")

    (done,) = import_claude(claude.path)
    saved = load_session(done.path)

    assert texts(saved.context) == ["In short: they greeted.", "Hi.", "And now?"]
    assert texts(saved.items) == ["Hello", "Hi.", "And now?"]
    assert done.logged == {"system/compact_boundary": 1}


def test_lines_that_are_not_messages_are_kept_as_log_entries(claude):
    """Each whole, by its kind; what Claude Code wrote in the model's name is one of them."""
    claude.user("Hello")
    claude.line("attachment", attachment={"type": "date", "date": "2026-01-02"})
    claude.raw(b'{"type":"mode","mode":"normal"}\n')
    claude.model(said("API Error: 500"), isApiErrorMessage=True)
    claude.user("of a sub-agent", isSidechain=True)

    (done,) = import_claude(claude.path)
    logs = [entry for entry in load_session(done.path).logs if entry.logger == "claude"]

    assert done.logged == {
        "attachment/date": 1,
        "mode": 1,
        "assistant/written by Claude Code": 1,
        "user of a sub-agent": 1,
    }
    assert [entry.message for entry in logs] == list(done.logged)
    assert logs[0].extra["attachment"] == {"type": "date", "date": "2026-01-02"}
    assert done.items == 1


def test_the_tokens_of_a_sub_agent_in_the_same_file_are_counted(claude):
    """Older releases write its lines among the others; each response counts once."""
    claude.user("Hello")
    claude.user("Count", isSidechain=True)
    claude.model(said("One"), isSidechain=True, response="msg_7", output=1)
    claude.model(said("two"), isSidechain=True, response="msg_7", output=2)

    (done,) = import_claude(claude.path)

    assert [one.output_tokens for one in load_session(done.path).responses] == [2]
    assert (done.items, done.responses) == (1, 1)


def test_keys_that_are_not_carried_are_counted(claude):
    claude.user("Hello", effort="high")
    claude.user([{"type": "document", "source": {}}, said("Read it.")], effort="high")

    (done,) = import_claude(claude.path)

    assert done.left_out == {"the key effort of a line": 2, "a part of the type 'document'": 1}


def test_the_system_prompt_is_kept(claude):
    claude.user("Hello")
    claude.line("attachment", attachment={"type": "prompt_snapshot", "systemPrompt": ["Be brief.", "\nBe kind."]})

    assert load_session(import_claude(claude.path)[0].path).session.instructions == "Be brief.\n\nBe kind."


def test_a_sub_agent_is_a_session_that_names_its_parent(claude, tmp_path):
    """It comes with its parent."""
    claude.user("Hello")
    agent = Claude(tmp_path / "claude" / SESSION / "subagents", name="agent-a1")
    agent.user("Count", isSidechain=True, agentId="a1")
    agent.path.with_name("agent-a1.meta.json").write_text('{"agentType": "counter", "spawnDepth": 2}')

    _, done = import_claude(claude.path)
    session = load_session(done.path).session

    assert done.session_id not in (None, SESSION)
    assert session.parent_id == SESSION
    assert session.extra["source"]["subagent"]["thread_spawn"]["agent_role"] == "counter"


def test_what_a_fork_copied_is_counted_in_its_parent(claude):
    """The lines say from which session they are."""
    claude.user("Hello")
    claude.model(said("Hi."), requestSessionId=OTHER)
    claude.user("In the fork")
    claude.model(said("Yes."), response="msg_2")

    (done,) = import_claude(claude.path)
    saved = load_session(done.path)

    assert saved.session.parent_id == OTHER
    assert saved.inherited == 2
    assert [response.id for response in saved.responses] == ["msg_2"]
    assert done.left_out == {"the usage of a response of the session that it was forked from, where it is counted": 1}


def test_torn_and_foreign_lines_are_told_and_cost_nothing_else(claude):
    """Not even the lines before one that cannot be read and that the next one names."""
    claude.user("Hello")
    claude.raw(b"garbage\n[1]\n\xff\n\n")
    claude.last = "lost"
    claude.user("Again")
    claude.user("At the end")
    claude.raw(b'{"type":"user","uuid":"u9","mess')

    (done,) = import_claude(claude.path)

    assert [line.number for line in done.skipped] == [2, 3, 4, 8]
    assert done.skipped[1].reason == "is not a JSON object"
    assert texts(load_session(done.path).context) == ["Hello", "Again", "At the end"]


def test_a_message_of_no_known_shape_is_told(claude):
    claude.user("Hello")
    claude.user({"text": "strange"})
    claude.line("user", message={"role": "robot", "content": "strange"})

    (done,) = import_claude(claude.path)

    assert [line.number for line in done.skipped] == [2, 3]
    assert done.items == 1


def test_a_second_import_does_nothing(claude, home):
    """It says whether the source has changed; `again` makes a session of its own."""
    claude.user("Hello")
    (first,) = import_claude(claude.path)
    before = first.path.read_bytes()

    (known,) = import_claude(claude.path)
    claude.user("More")
    (changed,) = import_claude(claude.path)
    (again,) = import_claude(claude.path, again=True)

    assert (known.state, known.path, known.items) == ("known", first.path, 0)
    assert (changed.state, changed.path) == ("changed", first.path)
    assert first.path.read_bytes() == before
    assert again.state == "new"
    assert again.session_id != first.session_id
    assert {found.path for found in rolloutlog.find_sessions(home)} == {first.path, again.path}


def test_a_folder_is_imported_file_by_file(tmp_path):
    """A file without a session is a result, and costs no other."""
    folder = tmp_path / "projects"
    Claude(folder / "a").user("Hello")
    Claude(folder / "b", OTHER).raw(b'{"type":"summary","summary":"x"}\n')
    Claude(folder / "c", str(uuid.UUID(int=5))).user("Hi")

    done = import_claude(folder)

    assert [one.state for one in done] == ["new", "empty", "new"]
    assert "none of its 1 lines" in done[1].problem


def test_a_file_that_is_not_of_claude_code_is_refused(tmp_path, home):
    """So is one that is not there; nothing is written."""
    path = tmp_path / "x.jsonl"
    path.write_text('{"role": "user", "content": "Hi"}\n')

    with pytest.raises(InvalidSourceError, match="expected a session of Claude Code"):
        import_claude(path)
    with pytest.raises(SessionNotFoundError):
        import_claude(tmp_path / "none.jsonl")

    assert left_in(home) == []


def test_a_hook_sees_what_is_imported(claude):
    """Messages and the lines that are kept beside them."""
    claude.user("The key is AKIAIOSFODNN7EXAMPLE")
    claude.line("attachment", attachment={"type": "file", "content": "AKIAIOSFODNN7EXAMPLE"})

    (done,) = import_claude(claude.path, redact=rolloutlog.redaction.secrets)

    assert b"AKIAIOSFODNN7EXAMPLE" not in done.path.read_bytes()
    assert done.items == 1


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00Z", "yesterday", 5, "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_file_can_be_named_by_is_not_used(claude, timestamp):
    claude.user("Hello", timestamp=timestamp)

    (done,) = import_claude(claude.path)

    assert texts(load_session(done.path).items) == ["Hello"]
    assert rolloutlog.load_session(SESSION).session.started.year > 2000


def test_the_rollout_is_private(claude):
    claude.user("Hello")

    (done,) = import_claude(claude.path)

    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600


KEYS = [
    *("type", "uuid", "parentUuid", "logicalParentUuid", "message", "role", "content", "id", "model", "usage", "text"),
    *("subtype", "isSidechain", "isCompactSummary", "compactMetadata", "preservedMessages", "uuids", "attachment"),
    *("shape", "system", "tool_use_id"),
]
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "u1", "u2", "text", "user", "msg_1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)


@given(st.lists(SHAPES, max_size=8))
def test_no_line_makes_an_import_fail(tmp_path_factory, values):
    """Whatever the lines hold: the session has its first message, and each line is an item, a log entry or a report."""
    claude = Claude(tmp_path_factory.mktemp("any"), str(uuid.uuid4()))
    claude.user("Hello")
    for value in values:
        claude.raw(json.dumps(value).encode() + b"\n")
    claude.user("End")

    (done,) = import_claude(claude.path, home=claude.path.parent)

    saved = load_session(done.path)
    assert saved.skipped == []
    assert {"Hello", "End"} <= set(texts(saved.items))
    assert done.items == len(saved.items)


# --- messages ---------------------------------------------------------------------------------------------------------

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def written(tmp_path, name, text):
    """Return a file with *text*."""
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(CHAT),
        json.dumps({"messages": CHAT}),
        "".join(json.dumps(message) + "\n" for message in CHAT),
        json.dumps({"messages": CHAT}) + "\n",
        json.dumps([{"messages": CHAT}]),
    ],
    ids=["list", "request", "lines", "row", "list of rows"],
)
def test_a_file_of_messages_may_have_any_usual_shape(tmp_path, text):
    (done,) = import_messages(written(tmp_path, "chat.json", text))

    assert load_session(done.path).to_messages() == CHAT


def test_each_row_of_a_data_set_is_a_session(tmp_path):
    """With its tools and its system prompt; a second import knows each of them."""
    rows = [{"messages": CHAT, "tools": [{"type": "function"}]}, {"messages": CHAT[:1], "system": "Be brief.", "n": 1}]
    path = written(tmp_path, "rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    one, two = import_messages(path)

    assert load_session(one.path).session.extra["tools"] == [{"type": "function"}]
    assert load_session(two.path).session.instructions == "Be brief."
    assert two.left_out == {"the key n beside the messages": 1}
    assert [done.state for done in import_messages(path)] == ["known", "known"]


def test_a_conversation_is_known_by_what_it_holds(tmp_path):
    """Not by its file: one that has grown is another session, and one that was moved, or is in a list, is the same."""
    path = written(tmp_path, "chat.json", CHAT)
    (first,) = import_messages(path)
    moved = path.rename(tmp_path / "moved.json")
    longer = [*CHAT, {"role": "user", "content": "More"}]

    (grown,) = import_messages(written(tmp_path, "chat.json", longer))
    rows = import_messages(written(tmp_path, "rows.json", [{"messages": CHAT[:1]}, {"messages": CHAT}]))

    assert (grown.state, load_session(grown.path).to_messages()) == ("new", longer)
    assert load_session(first.path).to_messages() == CHAT
    assert [one.state for one in rows] == ["new", "known"]
    assert {import_messages(one)[0].session_id for one in (moved, CHAT)} == {first.session_id, rows[1].session_id}


def test_messages_keep_usage_model_and_time():
    """Of Chat Completions and of Anthropic, where they tell them."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    messages = [
        {"role": "user", "content": "Hi", "timestamp": "2026-01-02T03:04:05Z"},
        {"role": "assistant", "content": "Hello", "model": "gpt-x", "usage": usage, "reasoning_content": "Hm."},
    ]

    (done,) = import_messages(messages)
    saved = load_session(done.path)

    assert saved.session.timestamp == "2026-01-02T03:04:05.000Z"
    assert (saved.responses[0].model, saved.responses[0].input_tokens, saved.responses[0].cached_tokens) == (
        "gpt-x",
        10,
        4,
    )
    assert texts(saved.items) == ["Hi", "Hm.", "Hello"]


def test_messages_that_cannot_be_read_are_told(tmp_path):
    """By the number of the line, and whatever is not carried by its kind."""
    lines = [
        '{"role": "user", "content": [{"type": "text", "text": "Hi"}, {"type": "file"}]}',
        "torn{",
        '{"role": "x"}',
    ]
    path = written(tmp_path, "chat.jsonl", "\n".join(lines) + "\n")

    (done,) = import_messages(path)

    assert sorted(line.number for line in done.skipped) == [2, 3]
    assert done.left_out == {"a part of the type 'file'": 1}


def test_each_bad_line_among_rows_is_a_result_of_its_own(tmp_path):
    """It is known by its number in the file, as the rows are, with its own reason; also in the next import."""
    row = json.dumps({"messages": CHAT})
    other = json.dumps({"messages": CHAT[:1]})
    path = written(tmp_path, "rows.jsonl", f'{row}\ntorn{{\n\n{other}\n{{"foo": 1}}\n')

    first, second = import_messages(path), import_messages(path)

    for done, state in ((first, "new"), (second, "known")):
        assert [one.source for one in done] == [f"{path}#{number}" for number in (1, 2, 4, 5)]
        assert [one.state for one in done] == [state, "empty", state, "empty"]
        assert [one.problem for one in done] == [None, "is not JSON", None, "has no list of messages"]
        told = [[(line.number, line.reason) for line in one.skipped] for one in done]
        assert told == [[], [(2, "is not JSON")], [], [(5, "has no list of messages")]]
    assert [one.path for one in second] == [one.path for one in first]


def test_an_element_that_is_no_row_is_a_result_of_its_own(tmp_path):
    """By its place in the list; a text is not a row either."""
    path = written(tmp_path, "rows.json", [{"messages": CHAT}, "text", {"messages": 5}])

    done = import_messages(path)

    assert [(one.source, one.state) for one in done] == [
        (f"{path}#1", "new"),
        (f"{path}#2", "empty"),
        (f"{path}#3", "empty"),
    ]
    assert [[line.number for line in one.skipped] for one in done] == [[], [2], [3]]


def test_messages_among_rows_are_a_session(tmp_path):
    """It has the number of its first line."""
    lines = [json.dumps({"messages": CHAT[:1]}), *map(json.dumps, CHAT)]
    path = written(tmp_path, "mixed.jsonl", "\n".join(lines) + "\n")

    row, loose = import_messages(path)

    assert (row.source, loose.source) == (f"{path}#1", f"{path}#2")
    assert load_session(loose.path).to_messages() == CHAT


def test_the_error_for_rows_without_messages_names_the_first(tmp_path):
    with pytest.raises(InvalidSourceError, match=r"rows.json: number 1: has no list of messages"):
        import_messages(written(tmp_path, "rows.json", [{"foo": 1}, {"messages": []}]))


@pytest.mark.parametrize("name", ["claude", "messages", "agents"])
def test_each_import_reports_what_cannot_be_read(name, tmp_path):
    """Also where the session was imported before, because no other import would tell of it."""
    if name == "claude":
        source = Claude(tmp_path / "claude")
        source.user("Hello")
        source.raw(b"torn{\n[1]\n")
        read, path = import_claude, source.path
    elif name == "messages":
        text = json.dumps(CHAT[0]) + '\ntorn{\n{"role": "x"}\n'
        read, path = import_messages, written(tmp_path, "chat.jsonl", text)
    else:
        read = import_agents
        path = database(tmp_path, ("a", {"role": "user", "content": "Hi"}), ("a", "torn{"), ("a", "7"))

    (first,), (second,) = read(path), read(path)

    assert (first.state, second.state) == ("new", "known")
    assert sorted(line.number for line in first.skipped) == [2, 3]
    assert second.skipped == first.skipped


@pytest.mark.parametrize("text", ["", "torn{", "[]", "{}", '{"messages": []}', '[{"role": "x"}]', "7"])
def test_a_file_without_messages_is_refused(tmp_path, text, home):
    with pytest.raises(InvalidSourceError):
        import_messages(written(tmp_path, "chat.json", text))

    assert left_in(home) == []


def test_one_message_is_not_a_list_of_messages():
    with pytest.raises(InvalidItemError, match="expected a list of messages or a path"):
        import_messages({"role": "user", "content": "Hi"})


# --- the Agents SDK ---------------------------------------------------------------------------------------------------


def database(tmp_path, *rows):
    """Return a database as `SQLiteSession` writes it; *rows* are sessions and values."""
    path = tmp_path / "sessions.db"
    with sqlite3.connect(path) as made:
        made.executescript(
            "CREATE TABLE agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP);"
            "CREATE TABLE agent_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL,"
            " message_data TEXT NOT NULL, created_at TIMESTAMP);"
            "CREATE TABLE turn_usage (session_id TEXT, total_tokens INTEGER);"
        )
        for number, (session_id, value) in enumerate(rows, 1):
            made.execute(
                "INSERT OR IGNORE INTO agent_sessions VALUES (?, ?)", (session_id, f"2026-01-02 03:04:0{number}")
            )
            data = value if isinstance(value, str) else json.dumps(value)
            made.execute(
                "INSERT INTO agent_messages (session_id, message_data, created_at) VALUES (?, ?, ?)",
                (session_id, data, f"2026-01-02 03:04:0{number}"),
            )
    made.close()
    return path


ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [], "odd": [1]}


def test_sessions_of_the_agents_sdk_keep_every_key_and_time(tmp_path):
    path = database(
        tmp_path, ("a", {"role": "user", "content": "Hi"}), ("b", {"role": "user", "content": "x"}), ("a", ITEM)
    )

    one, two = import_agents(path)
    saved = load_session(one.path)

    assert [one.source, two.source] == [f"{path}#a", f"{path}#b"]
    assert saved.items[1].to_dict() == ITEM
    assert [line.timestamp.second for line in saved.lines(kinds={"item"})] == [1, 3]
    assert [done.state for done in import_agents(path)] == ["known", "known"]
    assert [done.session_id for done in import_agents(path, sessions=["b"])] == [two.session_id]


def test_what_a_database_holds_besides_is_told(tmp_path):
    """Rows that are not items by their id, and those of other tables by their number."""
    path = database(tmp_path, ("a", {"role": "user", "content": "Hi"}), ("a", "torn{"), ("a", "7"))
    with sqlite3.connect(path) as made:
        made.execute("INSERT INTO turn_usage VALUES ('a', 5)")
    made.close()

    (done,) = import_agents(path)

    assert [line.number for line in done.skipped] == [2, 3]
    assert done.left_out == {"a row of the table turn_usage": 1}


def test_what_is_no_such_database_is_refused(tmp_path, home):
    empty, other = database(tmp_path), written(tmp_path, "x.db", "text that is not a database at all, only text")

    with pytest.raises(InvalidSourceError, match="has no session"):
        import_agents(empty)
    with pytest.raises(InvalidSourceError, match="not a database"):
        import_agents(other)
    with pytest.raises(InvalidSourceError, match="has no session 'z'"):
        import_agents(empty, sessions="z")
    with pytest.raises(SessionNotFoundError):
        import_agents(tmp_path / "none.db")

    assert left_in(home) == []


def test_a_real_session_of_the_sdk_is_imported(tmp_path):
    """The SDK itself writes the database, and is still open."""
    agents = pytest.importorskip("agents")
    import asyncio

    session = agents.SQLiteSession("trip", tmp_path / "real.db")
    items = [{"role": "user", "content": "Hi"}, {**ITEM, "content": [{"type": "output_text", "text": "Hello"}]}]
    asyncio.run(session.add_items(items))

    (done,) = import_agents(tmp_path / "real.db")
    session.close()

    assert texts(load_session(done.path).items) == ["Hi", "Hello"]
    assert done.left_out == {}


# --- kills and full disks ---------------------------------------------------------------------------------------------


def source_for(name, tmp_path):
    """Return a source for the importer *name*, of about 3 MB, with 600 items."""
    if name == "import_claude":
        claude = Claude(tmp_path / "claude")
        for number in range(300):
            claude.user("x" * 10_000)
            claude.model(said("y" * 100), response=f"msg_{number}")
        return claude.path
    chat = [{"role": "user", "content": "x" * 10_000}, {"role": "assistant", "content": "y"}] * 300
    if name == "import_messages":
        return written(tmp_path, "chat.json", chat)
    return database(tmp_path, *(("a", message) for message in chat))


FULL = """
import resource, sys, rolloutlog
name, path, limit = sys.argv[1:]
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), limits[1]))
try:
    getattr(rolloutlog, name)(path)
except OSError as error:
    sys.exit(error.errno)
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)  # coverage writes its data at the end
"""
KILLED = """
import os, signal, sys, rolloutlog
from rolloutlog._writing.os_calls import REAL_SYSTEM
name, path, call, count = sys.argv[1:]
real, left = getattr(REAL_SYSTEM, call), int(count)
def kill(*arguments, **keys):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **keys)
setattr(REAL_SYSTEM, call, kill)
getattr(rolloutlog, name)(path)
"""
IMPORTERS = ["import_claude", "import_messages", "import_agents"]


@pytest.mark.system
@pytest.mark.parametrize("limit", [0, slow(100), 1_500_000, slow(3_000_000)])
@pytest.mark.parametrize("name", IMPORTERS)
def test_a_full_disk_leaves_nothing(tmp_path, name, limit, home):
    """At any point the system's error is raised, and no file is left; with space, the import is whole."""
    source = source_for(name, tmp_path)

    # -B, because a module that is imported under the limit would leave half of its bytecode beside the source.
    done = subprocess.run([sys.executable, "-B", "-c", FULL, name, source, str(limit)], timeout=DEADLINE)

    assert done.returncode == errno.EFBIG
    assert left_in(home) == []
    (again,) = getattr(rolloutlog, name)(source)
    assert (again.state, again.items) == ("new", 600)


@pytest.mark.system
@pytest.mark.parametrize(
    ("call", "count"), [("write", 1), slow("write", 2), slow("fsync", 1), ("link", 1), ("unlink", 1)]
)
@pytest.mark.parametrize("name", IMPORTERS)
def test_a_kill_leaves_no_partial_session(tmp_path, name, call, count, home):
    """Before any of these system calls: there is no session, or a whole one; and the next import makes it so."""
    source = source_for(name, tmp_path)

    done = subprocess.run([sys.executable, "-c", KILLED, name, source, call, str(count)], timeout=DEADLINE)
    left = list(rolloutlog.find_sessions(home))
    (again,) = getattr(rolloutlog, name)(source)

    assert done.returncode == -signal.SIGKILL
    assert len(left) == (call == "unlink")
    assert again.state == ("known" if left else "new")
    assert len(load_session(again.path).items) == 600
    assert len(list(rolloutlog.find_sessions(home))) == 1


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_imports_and_tells(claude, monkeypatch):
    """It prints the items, the values that are kept elsewhere or left out, and the lines that cannot be read."""
    claude.user("Hello", effort="high")
    claude.raw(b'{"type":"mode"}\ngarbage\n')

    code, out, _ = run("import", "claude", claude.path)

    assert code == 0
    assert "1 item, 0 responses" in out
    assert "number 3 was skipped" in out
    assert "kept as log entries:\n        1  mode\n" in out
    assert "not carried:\n        1  the key effort of a line\n" in out
    assert "known" in run("import", "claude", claude.path).out


def test_the_command_imports_all_of_claude_code(claude, tmp_path, monkeypatch):
    """From its own folder; as JSON, one line for each."""
    claude.user("Hello")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "none"))
    assert run("import", "claude", "--all").code == 1
    (tmp_path / "config").mkdir()
    os.rename(tmp_path / "claude", tmp_path / "config/projects")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))

    code, out, _ = run("import", "claude", "--all", "--json")

    assert code == 0
    assert json.loads(out)["state"] == "new"
    assert json.loads(out)["items"] == 1


@pytest.mark.parametrize("name", ["messages", "agents"])
def test_the_command_imports_the_other_kinds(name, tmp_path):
    sources = {
        "messages": written(tmp_path, "chat.json", CHAT),
        "agents": database(tmp_path, ("a", CHAT[0])),
    }

    code, out, _ = run("import", name, sources[name], "--json")

    assert code == 0
    assert json.loads(out)["state"] == "new"


@pytest.mark.parametrize(
    "arguments",
    [["claude"], ["agents", "--all"], ["claude", "x", "--all"], ["x", "y"], ["claude", "x", "--home=/", "--home=/tmp"]],
)
def test_wrong_use_of_the_command_is_refused(arguments):
    assert run("import", *arguments).code == 2


def test_the_command_refuses_what_holds_no_session(tmp_path):
    code, _, err = run("import", "agents", written(tmp_path, "x.db", "x"))

    assert code == 1
    assert "SQLite says" in err


@pytest.mark.parametrize("kind", ["claude", "messages", "agents"])
@pytest.mark.parametrize("name", ["nosuch.json", "-"])
def test_a_file_that_is_not_there_is_named_as_a_file(kind, name, tmp_path, monkeypatch):
    """No list of sessions would help, so the message speaks of the file, in Python and on the command line."""
    monkeypatch.chdir(tmp_path)

    code, out, err = run("import", kind, name)
    with pytest.raises(SessionNotFoundError) as caught:
        getattr(rolloutlog, f"import_{kind}")(name)

    assert (code, out) == (1, "")
    assert err == f"rolloutlog: {caught.value}\n"
    assert err.startswith(f"rolloutlog: there is no file {name}; expected the path of one")
    assert ("save it to a file first" in err) == (name == "-")
    assert (caught.value.wanted, pickle.loads(pickle.dumps(caught.value)).searched) == (name, Path("."))


def test_a_folder_is_no_database(tmp_path):
    with pytest.raises(InvalidSourceError, match="is not a regular file"):
        import_agents(tmp_path)


@pytest.mark.parametrize("is_json", [False, True])
def test_the_folder_without_sessions_of_claude_code_is_named(tmp_path, monkeypatch, is_json):
    """Where Claude Code is not on this machine, and where its folder is empty."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    arguments = ["import", "claude", "--all", *["--json"] * is_json]

    absent = run(*arguments)
    (tmp_path / "config/projects").mkdir(parents=True)
    empty = run(*arguments)

    assert (absent.code, absent.out) == (1, "")
    assert f"there are no sessions of Claude Code in {tmp_path}/config/projects" in absent.err
    assert empty == absent


def test_a_bad_line_is_said_once_by_the_command(tmp_path):
    """With the number of the line; the exit code says each time that one holds no session."""
    path = written(tmp_path, "rows.jsonl", json.dumps({"messages": CHAT}) + "\ntorn{\n")

    for _ in range(2):
        code, out, _ = run("import", "messages", path)

        assert code == 1
        assert out.count("is not JSON") == 1
        assert f"{path}#2: is not JSON" in out


def test_a_file_that_is_removed_during_an_import_costs_no_other(tmp_path, monkeypatch):
    """It is reported as one without a session."""
    folder = tmp_path / "projects"
    Claude(folder / "a").user("Hello")
    gone = Claude(folder / "b", OTHER).path
    monkeypatch.setattr(
        claude_module, "claude_files", lambda path: [folder / "a" / f"{SESSION}.jsonl", gone, folder / "c"]
    )

    done = import_claude(folder)

    assert [one.state for one in done] == ["new", "empty", "empty"]
    assert done[1].source == str(gone)
    assert "was removed" in done[2].problem


def test_the_command_redacts(claude):
    claude.user("AKIAIOSFODNN7EXAMPLE")

    path = json.loads(run("import", "claude", claude.path, "--redact", "--json").out)["path"]

    assert b"AKIAIOSFODNN7EXAMPLE" not in Path(path).read_bytes()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_import_ends_although_its_reader_has_gone(tmp_path, form):
    """As in ``rolloutlog import claude | head -1``: all sessions are imported."""
    for number in range(4):
        Claude(tmp_path / "claude", f"{SESSION[:-1]}{number}").user("hello")
    (tmp_path / "home").mkdir()
    reading, writing = os.pipe()
    os.close(reading)

    process = start("--home", tmp_path / "home", "import", "claude", tmp_path / "claude", *form, stdout=writing)
    os.close(writing)

    assert process.wait(DEADLINE) == 0
    assert len(list(rolloutlog.find_sessions(tmp_path / "home"))) == 4
    assert process.stderr.read() == b""
    process.stderr.close()
