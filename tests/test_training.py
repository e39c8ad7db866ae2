"""Sessions as training rows: the columns that data sets and trainers take, read as often as an engine likes."""

from __future__ import annotations

import json

import pytest
from test_tables import home as fleet  # noqa: F401 (a fixture)

from rolloutlog import FunctionCall, Message, import_messages, load_session, session, tables
from rolloutlog.exceptions import MissingExtraError

pytestmark = pytest.mark.extras
arrow = pytest.importorskip("pyarrow")

TOOLS = [{"type": "function", "function": {"name": "sky", "parameters": {"type": "object", "properties": {}}}}]
WHEN = "2025-07-23T15:03:26.000Z"
PARENT, FORK = (f"01985b1e-0000-7000-8000-00000000000{number}" for number in (1, 2))
THOUGHT = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}


@pytest.fixture
def trip():
    """A session with instructions, reasoning, a call with an output, and a picture."""
    call = FunctionCall("sky", '{"at": [1, "x"]}', "c1")
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    with session("trip", instructions="Be brief.", meta={"tools": TOOLS, "cwd": "/trip"}) as made:
        made.record({"role": "user", "content": [{"type": "input_text", "text": "Will it rain?"}, picture]})
        made.record(THOUGHT, call, call.answer("clear"), Message.assistant("No."))
    return made


def rows(**options):
    return arrow.table(tables.training(**options)).to_pylist()


def test_a_session_is_a_row_of_messages(trip):
    """With its instructions, reasoning and tools; arguments, tools and metadata are JSON."""
    (row,) = rows()

    assert row["session_id"] == trip.id
    assert row["prompt"] == "Will it rain?"
    assert [message["role"] for message in row["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
    assert row["messages"][1]["content"] == "Will it rain?"
    assert row["messages"][2]["reasoning_content"] == "Hm."
    (call,) = row["messages"][2]["tool_calls"]
    assert call == {"id": "c1", "type": "function", "function": {"name": "sky", "arguments": '{"at": [1, "x"]}'}}
    assert row["messages"][3]["tool_call_id"] == "c1"
    assert '"left_out":{"a part of the type \'image_url\'":1}' in row["metadata"]


def test_the_schema_is_that_of_data_sets_with_tools():
    text, json = arrow.string(), arrow.json_(arrow.string())

    schema = tables.training().schema

    assert schema.names == ["session_id", "prompt", "messages", "tools", "metadata"]
    assert schema.field("tools").type == schema.field("metadata").type == json
    message = schema.field("messages").type.value_type
    assert [field.name for field in message] == ["role", "content", "reasoning_content", "tool_calls", "tool_call_id"]
    assert message.field("tool_calls").type.value_type.field("function").type == arrow.struct(
        [("name", text), ("arguments", json)]
    )


def test_hugging_face_datasets_reads_it_with_objects(trip, tmp_path):
    """As a data set in memory, and from Parquet."""
    datasets = pytest.importorskip("datasets")
    table = arrow.table(tables.training())
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table, tmp_path / "rows.parquet")

    for made in (
        datasets.Dataset(table),
        datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache")),
    ):
        (row,) = made
        assert row["tools"] == TOOLS
        assert row["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"at": [1, "x"]}
        assert row["metadata"]["cwd"] == "/trip"


def test_calls_whose_arguments_are_not_an_object_have_one():
    """As those of custom tools; a template of a chat model expects an object."""
    with session("odd") as made:
        for value in (
            FunctionCall("sky", "not json", "c1").to_dict(),
            {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"},
        ):
            made.record(value)

    (row,) = rows()

    calls = [call for message in row["messages"] for call in message["tool_calls"] or ()]
    assert [call["function"]["arguments"] for call in calls] == ['{"input":"not json"}', '{"input":"ls"}']


def test_a_condition_chooses_sessions(trip):
    """It is SQL over the columns of `sessions`, and can do nothing else."""
    pytest.importorskip("duckdb")
    import_messages([{"role": "user", "content": "Hi"}])

    assert [row["prompt"] for row in rows(where="calls = 0")] == ["Hi"]
    assert len(rows(where="calls >= 0 -- all")) == 2
    with pytest.raises(ValueError, match="nonsense"):
        list(tables.training(where="nonsense = 1").batches())


def test_a_table_is_read_each_time_it_is_asked(trip):
    """It is lazy: what is recorded before an engine asks is in it."""
    table = tables.training()
    with session("other") as other:
        other.record(Message.user("Later"))

    assert arrow.table(table).num_rows == arrow.table(table).num_rows == 2


@pytest.fixture
def forked(tmp_path):
    """A home of one session and of its fork, which refers to the parent's file for its first two items."""
    folder = tmp_path / "sessions/2025/07/23"
    folder.mkdir(parents=True)
    before = b"".join(
        [
            wrapped({"id": PARENT, "timestamp": WHEN}, "session_meta"),
            wrapped(Message.user("Where to?").to_dict()),
            wrapped(Message.assistant("To Rome.").to_dict()),
        ]
    )
    (folder / f"rollout-2025-07-23T15-03-26-{PARENT}.jsonl").write_bytes(before)
    base = {"thread_id": PARENT, "end_byte_offset": len(before)}
    meta = {"id": FORK, "timestamp": WHEN, "forked_from_id": PARENT, "history_base": base}
    path = folder / f"rollout-2025-07-23T15-03-27-{FORK}.jsonl"
    path.write_bytes(wrapped(meta, "session_meta") + wrapped(Message.user("And then?").to_dict()))
    return tmp_path, path


def wrapped(payload, kind="response_item"):
    return json.dumps({"timestamp": WHEN, "type": kind, "payload": payload}).encode() + b"\n"


def said(row):
    return [message["content"] for message in row["messages"]]


def test_what_a_fork_has_from_its_parent_is_in_the_parents_row_alone(forked):
    """So no message is trained on twice, unless the caller asks for it."""
    home, _ = forked

    own = {row["session_id"]: row for row in rows(home=home)}
    whole = {row["session_id"]: row for row in rows(home=home, inherited=True)}

    assert said(own[PARENT]) == said(whole[PARENT]) == ["Where to?", "To Rome."]
    assert said(own[FORK]) == ["And then?"]
    assert said(whole[FORK]) == ["Where to?", "To Rome.", "And then?"]
    assert (own[FORK]["prompt"], whole[FORK]["prompt"]) == ("And then?", "Where to?")
    assert '"inherited":2' in own[FORK]["metadata"]


def test_the_messages_of_a_fork_can_be_had_without_those_of_its_parent(forked):
    """A caller of `to_messages` gets the model's whole view, unless it asks for less."""
    saved = load_session(forked[1])

    assert [message["content"] for message in saved.to_messages()] == ["Where to?", "To Rome.", "And then?"]
    assert [message["content"] for message in saved.to_messages(inherited=False)] == ["And then?"]


def test_a_compaction_in_a_fork_is_its_own(forked):
    """Except one right after the inherited items, which sums up these alone."""
    _, path = forked
    meta, own = path.read_bytes().splitlines(keepends=True)
    early, late = (
        wrapped({"message": "", "replacement_history": [Message.user(text).to_dict()]}, "compacted")
        for text in ("of the parent", "of the fork")
    )
    path.write_bytes(meta + early + own)
    first = load_session(path)
    path.write_bytes(meta + early + own + late + wrapped(Message.assistant("Home.").to_dict()))
    second = load_session(path)

    assert [message["content"] for message in first.to_messages()] == ["of the parent", "And then?"]
    assert [message["content"] for message in first.to_messages(inherited=False)] == ["And then?"]
    assert [message["content"] for message in second.to_messages(inherited=False)] == ["of the fork", "Home."]


def test_every_session_of_a_fleet_is_a_row(fleet):  # noqa: F811
    """Forks, sub-agents, damaged and compressed ones."""
    found = arrow.table(tables.training(fleet))

    sessions = arrow.table(tables.sessions(fleet)).column("session_id").to_pylist()
    assert sorted(found.column("session_id").to_pylist()) == sorted(sessions)


def test_without_the_extra_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(MissingExtraError, match=r"rolloutlog\[arrow\]"):
        tables.training()
