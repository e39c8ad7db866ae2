"""Lines are read in two ways, by msgspec where it knows them and by orjson; both must give the same rows."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

import pytest
from fleet_corpus import build
from hypothesis import example, given
from hypothesis import strategies as st

from rolloutlog import tables
from rolloutlog._reading.blocks import _zstd
from rolloutlog.tables import _arrow, _rows, _typed

pytestmark = pytest.mark.extras
arrow = pytest.importorskip("pyarrow")
pytest.importorskip("msgspec")

ID = "5973b6c0-94b8-487b-a530-2aeb6098ae0e"
META = json.dumps({"id": ID, "timestamp": "2025-07-20T08:00:00.000Z", "instructions": None})
WRAPPED_META = json.dumps(
    {"timestamp": "2025-07-20T08:00:00.000Z", "type": "session_meta", "payload": json.loads(META)}
)
STAMP = "2025-10-01T08:00:00.000Z"
USAGE = {
    "input_tokens": 9,
    "cached_input_tokens": 4,
    "output_tokens": 2,
    "reasoning_output_tokens": 1,
    "total_tokens": 11,
}
NOTES = {"internal_chat_message_metadata_passthrough": {"turn_id": "t", "kinds": [{"provenance": {"type": "tool"}}]}}
TEXTS = [{"type": "input_text", "text": "high"}, {"type": "input_text", "text": " water"}]
ANSWER = {"type": "output_text", "text": "x"}
THOUGHTS = [{"type": "reasoning_text", "text": "r"}]
ACTION = {"type": "exec", "command": ["ls"]}
ITEMS = [
    {"type": "message", "role": "user", "content": TEXTS[:1]},
    {
        "type": "message",
        "id": "m",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "x"}, *TEXTS],
        **NOTES,
    },
    {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:"}]},
    {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "e"},
    {
        "type": "reasoning",
        "id": "r",
        "summary": [],
        "content": [{"type": "reasoning_text", "text": "r"}],
        "encrypted_content": None,
    },
    {"type": "function_call", "id": "f", "name": "shell", "arguments": "{}", "call_id": "call_1", "namespace": "n"},
    {"type": "custom_tool_call", "status": "completed", "call_id": "call_2", "name": "apply_patch", "input": "***"},
    {"type": "function_call_output", "call_id": "call_1", "output": "Exit code: 1\nWall time: 0.1 seconds\nOutput:\nx"},
    {"type": "function_call_output", "call_id": "call_1", "output": '{"output":"","metadata":{"exit_code":2}}'},
    {"type": "function_call_output", "call_id": "call_3", "output": TEXTS},
    {"type": "custom_tool_call_output", "id": "o", "call_id": "call_2", "output": "aborted", **NOTES},
    {"type": "custom_tool_call_output", "call_id": "", "output": []},
    {
        "type": "local_shell_call",
        "call_id": "call_4",
        "status": "completed",
        "action": ACTION,
    },
    {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "tides"}},
]
COUNTED = {"total_token_usage": USAGE, "last_token_usage": USAGE, "model_context_window": 258400}
WRAPPED = [
    *(("response_item", item) for item in ITEMS),
    ("event_msg", {"type": "token_count", "info": COUNTED, "rate_limits": {"primary": {"used_percent": 1.5}}}),
    ("event_msg", {"type": "token_count", "info": None, "rate_limits": None}),
    ("event_msg", {"type": "agent_message", "message": "high"}),
    ("event_msg", {"message": "no type"}),
    ("token_usage_record", {"thread_id": ID, "turn_id": "t", "response_id": "r", "usage": USAGE}),
    ("turn_context", {"turn_id": "t", "model": "m", "sandbox_policy": {"mode": "read-only"}}),
    ("compacted", {"message": "short", "replacement_history": ITEMS[:2]}),
    ("world_state", {"anything": 1}),
]
LINES = [*ITEMS, *({"timestamp": STAMP, "ordinal": 7, "type": name, "payload": held} for name, held in WRAPPED)]
ODD_VALUES = [
    *(
        None,
        True,
        0,
        -1,
        1.0,
        2**53 + 1,
        2**64,
        10**400,
        "",
        "high",
        [],
        {},
        [1],
        {"type": "x"},
        "\x00\x1f\u2028\U0001f3d4",
    ),
    [[[[[[[[1]]]]]]]],
]
ODD_KEYS = [
    "record_type",
    "payload",
    "timestamp",
    "ordinal",
    "unheard_of",
    "id",
    "status",
    "type",
    "text",
    "info",
    "call_id",
]
# Parts of a line, and others in their place: some of them JSON, some not.
SWAPS = [
    *((b'"type"', b'"\\u0074ype"'), (b":", b" : "), (b"{", b"{\t"), (b"9", b"9e999"), (b"9", b"-0"), (b"9", b"09")),
    *((b"9", b"1e400"), (b"9", b"NaN"), (b"high", b"\\ud800"), (b"high", b"\xff"), (b"high", b"\xed\xa0\x80")),
    *((b"high", b"\\ud83c\\udfd4"), (b"x", b"\x01"), (b"}", b"},"), (b'"call_1"', b'"call_1","call_1":1')),
    *((b"{", b'{"type":"message",'), (b"{", b'{"record_type":"state",'), (b"turn_id", b"turn_\xc0\xaf")),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home of a hundred sessions in all shapes, most of them short."""
    made = tmp_path_factory.mktemp("fleet")
    build(made, 100, mean=300, seed=7, compressed=_zstd() is not None)
    return made


def rows_by_orjson(read):
    """Return what *read* returns where msgspec is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_rows, "reader", lambda: None)
        return read()


@pytest.mark.parametrize("kinds", [None, {"tool_output"}, {"usage"}, {"event", "turn"}])
@pytest.mark.parametrize("inherited", [False, True])
def test_both_readers_find_the_same_rows_in_a_home(home, kinds, inherited):
    """Whatever is asked for."""

    def read():
        return arrow.table(tables.entries(home, kinds=kinds, columns=list(_arrow.ENTRIES), inherited=inherited))

    assert read().num_rows > 100
    assert read().equals(rows_by_orjson(read))


def test_both_readers_find_the_same_sessions_in_a_home(home):
    """With the same sums."""

    def read():
        return arrow.table(tables.sessions(home))

    assert read().equals(rows_by_orjson(read))


def test_nearly_all_lines_are_read_by_msgspec(home, monkeypatch):
    """Else it would be of no use. States of flat files, metas and damaged lines are left to the other reader."""
    real, left = _typed.reader(), []

    def decode(line):
        try:
            return real.decode(line)
        except real.faults:
            left.append(line)
            raise

    monkeypatch.setattr(_rows, "reader", lambda: real._replace(decode=decode))
    count = arrow.table(tables.entries(home)).num_rows

    assert len([line for line in left if b'"record_type":"state"' not in line]) < 0.02 * count


@pytest.mark.parametrize("value", [value for value in LINES if value.get("type") != "world_state"][:12])
def test_an_item_as_codex_writes_it_is_read_by_msgspec(value):
    """Also with the notes of newer releases."""
    real = _typed.reader()
    if b"input_image" in json.dumps(value).encode():
        with pytest.raises(real.faults):
            real.decode(json.dumps(value).encode())
    else:
        real.decode(json.dumps(value).encode())


def changed(value, rng):
    """Return *value* with a key more, less, or with another value, somewhere in it."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        made = dict(value)
        key = rng.choice([*made, *ODD_KEYS])
        if rng.random() < 0.5 and key in made:
            made[key] = changed(made[key], rng)
        elif rng.random() < 0.3:
            made.pop(key, None)
        else:
            made[key] = rng.choice(ODD_VALUES)
        keys = list(made)
        if rng.random() < 0.2:
            rng.shuffle(keys)
        return {key: made[key] for key in keys}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], changed(value[at], rng), *value[at + 1 :]]
    return rng.choice(ODD_VALUES)


def a_line(rng):
    """Return a line, perhaps changed as a value or as bytes."""
    value = rng.choice(LINES)
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        value = changed(value, rng)
    line = json.dumps(value, ensure_ascii=rng.random() < 0.3, separators=(",", ":")).encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        old, new = rng.choice(SWAPS)
        places = [at for at in range(len(line)) if line.startswith(old, at)]
        if places:
            at = rng.choice(places)
            line = line[:at] + new + line[at + len(old) :]
    if rng.random() < 0.15:
        at = rng.randrange(len(line) + 1)
        line = rng.choice((line[:at], line[:at] + bytes([rng.randrange(256)]) + line[at:], line[:at] + line[at + 1 :]))
    return line.replace(b"\n", b" ")


@given(st.integers(0, 2**64), st.booleans())
@example(309, False)  # msgspec 0.20 raises another error for text that is not UTF-8
def test_both_readers_find_the_same_rows_in_odd_and_damaged_lines(seed, is_wrapped):
    """Each key, value and byte may be another, and the last line may be torn."""
    rng = random.Random(seed)
    lines = [(WRAPPED_META if is_wrapped else META).encode(), *(a_line(rng) for _ in range(12))]
    data = b"\n".join(lines) + (b"\n" if rng.random() < 0.7 else b"")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.jsonl"
        path.write_bytes(b"\xef\xbb\xbf" * (seed % 7 == 0) + data)

        def read():
            found = tables.batches([path], columns=list(_arrow.ENTRIES))
            return [row for batch in found for row in batch.to_pylist()]

        assert read() == rows_by_orjson(read)


def test_a_file_that_begins_with_a_byte_order_mark_has_its_rows(tmp_path):
    """As `iter_lines` and `load_session` read it."""
    path = tmp_path / "some.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + META.encode() + b"\n" + json.dumps(ITEMS[0]).encode() + b"\n")

    found = [row for batch in tables.batches([path], columns=["kind", "text"]) for row in batch.to_pylist()]

    assert found == [{"kind": "session", "text": None}, {"kind": "message", "text": "high"}]


@pytest.mark.parametrize("status", [["failed"], {"a": 1}, 1])
def test_an_output_whose_status_is_no_text_does_not_say_that_it_failed(tmp_path, status):
    """And costs no other line of its file."""
    path = tmp_path / "some.jsonl"
    path.write_text(META + "\n" + json.dumps({**ITEMS[7], "output": "x", "status": status}) + "\n")

    found = [row for batch in tables.batches([path], kinds={"tool_output"}) for row in batch.to_pylist()]

    assert [row["is_error"] for row in found] == [None]


def test_without_msgspec_orjson_reads_all_lines(monkeypatch):
    """It is optional: an installation from before has none."""
    monkeypatch.setitem(sys.modules, "msgspec", None)
    _typed.reader.cache_clear()
    try:
        assert _typed.reader() is None
    finally:
        _typed.reader.cache_clear()
