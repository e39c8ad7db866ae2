"""One value, one line: byte for byte as real Codex writes it, strict and lossless when read; and redaction."""

from __future__ import annotations

import collections
import contextlib
import gc
import json
import threading
import types
import weakref
from pathlib import Path

import pytest
from helpers import DEADLINE
from hypothesis import given
from hypothesis import strategies as st
from strategies import accepted_items, items, json_values, kinds, log_entries, metas, objects, states, texts

from rolloutlog._entries import LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot
from rolloutlog._format.coerce import canonical, quick_json, to_item
from rolloutlog._format.lines import InvalidLine, LineEncoder, decode_line
from rolloutlog._item import make_item
from rolloutlog._json import MAX_DEPTH, orjson
from rolloutlog.exceptions import InvalidItemError, RedactionError
from rolloutlog.items import (
    ExecAction,
    FunctionCall,
    FunctionCallOutput,
    InputText,
    LocalShellCall,
    Message,
    Other,
    OtherAction,
    OtherPart,
    OutputText,
    Reasoning,
    SummaryText,
    is_item,
)

DATA = Path(__file__).parent / "data"
FLAT = [*sorted(DATA.glob("codex-*/*.jsonl")), DATA / "golden" / "flat.jsonl"]
ENVELOPE = DATA / "golden" / "envelope.jsonl"
ENCODER = LineEncoder()
NOW = 1_753_283_006.123
ID = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"


def encoded(entry, encoder=ENCODER):
    """Return the line of any entry that can be written."""
    if isinstance(entry, SessionMeta):
        return encoder.meta(entry)
    if isinstance(entry, SessionStateSnapshot):
        return encoder.state(entry)
    if isinstance(entry, LogEntry):
        return encoder.log(entry)
    (line,), filtered = encoder.items([entry])
    assert filtered == 0
    return line


def whole_lines(path):
    """Return the lines of a file that any program can read: not torn, not blank."""
    found = []
    for line in path.read_bytes().split(b"\n"):
        try:
            json.loads(line.decode())
        except ValueError:
            continue
        found.append(line + b"\n")
    return found


def strictly(value):
    """Return plain *value* in a form in which 1, 1.0 and true differ."""
    return json.dumps(value)


# --- real files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FLAT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_line_of_a_real_file_is_written_again_byte_for_byte(path):
    """For every version of Codex, with or without the keys in which versions differ."""
    lines = whole_lines(path)

    again = [encoded(decode_line(line)) for line in lines]

    assert again == lines


@pytest.mark.parametrize("path", FLAT, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_checker_of_its_own_finds_the_same_in_a_real_file(path):
    """The json module reads the same value from each item's line as `to_dict` returns."""
    for line in whole_lines(path):
        entry = decode_line(line)
        if is_item(entry):
            assert strictly(entry.to_dict()) == strictly(json.loads(line))


def test_an_item_in_an_envelope_is_the_payload():
    """No key of a newer item is lost, moved or added."""
    payloads = [json.loads(line) for line in whole_lines(ENVELOPE)]
    payloads = [line["payload"] for line in payloads if line["type"] == "response_item"]

    found = [decode_line(line) for line in whole_lines(ENVELOPE)]

    assert [strictly(item.to_dict()) for item in found if is_item(item)] == [strictly(payload) for payload in payloads]


def test_lines_of_an_envelope_that_are_not_items_are_kept_whole():
    """Events, turn contexts and unknown types are entries with the whole line, including large integers."""
    lines = [
        line for line in whole_lines(ENVELOPE) if json.loads(line)["type"] not in ("response_item", "session_meta")
    ]

    found = [decode_line(line) for line in lines]

    assert all(isinstance(entry, OtherEntry) for entry in found)
    assert [strictly(entry.raw) for entry in found] == [strictly(json.loads(line)) for line in lines]


def test_the_meta_of_an_envelope_is_a_meta():
    """Its free keys are extras."""
    meta = decode_line(whole_lines(ENVELOPE)[0])

    assert isinstance(meta, SessionMeta)
    assert meta.id == ID
    assert meta.extra["cwd"] == "/tmp"


# --- round trips ------------------------------------------------------------------------------------------------------


@given(data=st.data())
def test_the_quick_way_writes_the_bytes_of_the_careful_way_or_leaves_a_value_to_it(data):
    """Also of values with their keys in another order, with keys too few, and with values of other types."""
    wire = data.draw(items).to_dict()
    for key in data.draw(st.lists(st.sampled_from(sorted(wire)), max_size=2)):
        wire[key] = data.draw(json_values)
    parts = data.draw(st.sampled_from(["content", "summary", "output"]))
    if isinstance(wire.get(parts), list):
        wire[parts] = [
            dict(data.draw(st.permutations(list(part.items())))) if isinstance(part, dict) else part
            for part in wire[parts]
        ]
    wire = dict(data.draw(st.permutations(list(wire.items()))))
    quick = quick_json(wire)
    assert quick is None or quick == make_item(canonical(wire)).json


@pytest.mark.skipif(orjson is None, reason="the quick way needs orjson")
@pytest.mark.parametrize(
    "wire",
    [
        {
            "id": "msg_1",
            "content": [{"annotations": [], "text": "Hello", "type": "output_text", "logprobs": []}],
            "role": "assistant",
            "status": "completed",
            "type": "message",
        },
        {"role": "user", "type": "message", "content": [{"text": "Hello", "type": "input_text"}]},
        {"arguments": "{}", "call_id": "call_1", "name": "now", "type": "function_call", "id": "fc_1"},
        {"arguments": "{}", "call_id": "call_1", "name": "now", "type": "function_call"},
        {"call_id": "call_1", "output": "noon", "type": "function_call_output"},
        {"call_id": "call_1", "output": [{"type": "input_text", "text": "noon"}], "type": "function_call_output"},
        {"id": "rs_1", "summary": [], "type": "reasoning", "encrypted_content": "gAAA", "status": None},
        {"id": "rs_1", "summary": [], "type": "reasoning", "content": [{"text": "So", "type": "reasoning_text"}]},
    ],
)
def test_the_quick_way_takes_all_that_an_api_returns(wire):
    assert quick_json(wire) == make_item(canonical(wire)).json


@pytest.mark.parametrize("kind", kinds)
@given(data=st.data())
def test_an_item_comes_back_as_it_went_in(kind, data):
    """decode(encode(x)) == x for every kind, with extras, unknown parts and actions; and its line is stable."""
    item = data.draw(kinds[kind])

    line = encoded(item)
    back = decode_line(line)

    assert back == item
    assert strictly(back.to_dict()) == strictly(item.to_dict())
    assert encoded(back) == line


@given(st.one_of(states, log_entries, metas))
def test_the_other_values_come_back_too(value):
    """The same property for states, log entries and metas."""
    line = encoded(value)

    back = decode_line(line)

    assert back == value
    assert encoded(back) == line


@given(items)
def test_a_line_is_what_plain_json_makes_of_the_wire_dict(item):
    """One compact object with its type first, and one newline; numbers may be spelled differently."""
    line = encoded(item)

    assert json.loads(line.decode()) == item.to_dict()
    assert line.startswith(b'{"type":')
    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")


@given(accepted_items)
def test_a_wire_dict_makes_the_item(item):
    """to_item(x.to_dict()) is x, and shares nothing with the dict."""
    raw = item.to_dict()
    before = strictly(raw)

    made = to_item(raw)
    for value in raw.values():
        if isinstance(value, dict | list):
            value.clear()

    assert made == item
    assert strictly(made.to_dict()) == before


@given(items, json_values)
def test_a_wire_dict_shares_nothing_with_its_item(item, value):
    """Changing the dict, as a redact hook does, does not change the item."""
    before = strictly(item.to_dict())

    raw = item.to_dict()
    for inner in raw.values():
        if isinstance(inner, dict):
            inner["new"] = value
        if isinstance(inner, list):
            inner.append(value)

    assert strictly(item.to_dict()) == before


def test_absent_keys_stay_absent_and_nulls_null():
    """Versions leave out different keys; an item is written as it was read."""
    lines = [
        b'{"type":"message","role":"user","content":[]}\n',
        b'{"type":"message","id":null,"role":"user","content":[]}\n',
        b'{"type":"reasoning","summary":[],"content":null,"encrypted_content":"x"}\n',
        b'{"type":"reasoning","id":"rs","summary":[]}\n',
        b'{"type":"local_shell_call","status":"completed","action":{"type":"exec","command":["ls"],"env":null}}\n',
        b'{"type":"function_call","name":"f","namespace":"n","arguments":"","call_id":"c"}\n',
    ]

    assert [encoded(decode_line(line)) for line in lines] == lines


def test_a_key_that_was_absent_is_written_once_it_has_a_value():
    """Replacing a key that was absent adds it."""
    item = decode_line(b'{"type":"message","role":"user","content":[],"phase":"x"}')

    changed = item.replace(id="msg_1", extra={})

    assert encoded(changed) == b'{"type":"message","id":"msg_1","role":"user","content":[]}\n'


def test_items_that_differ_in_absent_keys_only_are_equal():
    """A missing id equals a null id."""
    assert decode_line(b'{"type":"message","role":"user","content":[]}') == Message("user", ())


def test_a_record_type_other_than_state_is_no_part_of_an_item():
    """Real readers keep such an item, and so do we, without that key."""
    item = decode_line(b'{"type":"message","id":null,"role":"user","content":[],"record_type":"x"}')

    assert item == Message("user", ())
    assert item.extra == {}


# --- strictness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[]", "line: must be a JSON object; got list"),
        ('"message"', "line: must be a JSON object; got str"),
        ("null", "line: must be a JSON object; got null"),
        ("{}", "line: has no type, and is neither a session meta nor a state"),
        ('{"type":null}', "line: has no type, and is neither a session meta nor a state"),
        ('{"type":3}', "line: has no type, and is neither a session meta nor a state"),
        ('{"type":["message"]}', "line: has no type, and is neither a session meta nor a state"),
        ('{"type":{},"timestamp":"t","payload":{}}', "line: has no type, and is neither a session meta nor a state"),
        ('{"record_type":"other"}', "line: has no type, and is neither a session meta nor a state"),
        ('{"id":"x"}', "line: has no type, and is neither a session meta nor a state"),
        ('{"id":3,"timestamp":"t"}', "session_meta.id: must be a string; got int"),
        ('{"id":"x","timestamp":"t","instructions":3}', "session_meta.instructions: must be a string or None; got int"),
        ('{"type":"message","role":"user"}', "message.content: is missing"),
        ('{"type":"message","content":[]}', "message.role: is missing"),
        ('{"type":"message","role":null,"content":[]}', "message.role: must be a string; got null"),
        ('{"type":"message","role":true,"content":[]}', "message.role: must be a string; got bool"),
        ('{"type":"message","role":"user","content":"hi"}', "message.content: must be a JSON array; got str"),
        ('{"type":"message","role":"user","content":null}', "message.content: must be a JSON array; got null"),
        ('{"type":"message","role":"user","content":["hi"]}', "message.content[0]: must be a JSON object; got str"),
        ('{"type":"message","role":"user","content":[{"text":"hi"}]}', "message.content[0].type: is missing"),
        (
            '{"type":"message","role":"user","content":[{"type":3}]}',
            "message.content[0].type: must be a string; got int",
        ),
        (
            '{"type":"message","role":"user","content":[{"type":"x"},{"type":"input_text"}]}',
            "message.content[1].text: is missing",
        ),
        (
            '{"type":"message","role":"user","content":[{"type":"input_text","text":null}]}',
            "message.content[0].text: must be a string; got null",
        ),
        (
            '{"type":"message","role":"user","content":[{"type":"input_image","image_url":3}]}',
            "message.content[0].image_url: must be a string; got int",
        ),
        ('{"type":"message","id":3,"role":"user","content":[]}', "message.id: must be a string or null; got int"),
        ('{"type":"reasoning","id":"rs"}', "reasoning.summary: is missing"),
        ('{"type":"reasoning","id":"rs","summary":null}', "reasoning.summary: must be a JSON array; got null"),
        (
            '{"type":"reasoning","id":"rs","summary":[],"content":"x"}',
            "reasoning.content: must be a JSON array or null; got str",
        ),
        (
            '{"type":"reasoning","id":"rs","summary":[],"encrypted_content":3}',
            "reasoning.encrypted_content: must be a string or null; got int",
        ),
        (
            '{"type":"function_call","name":"f","arguments":{},"call_id":"c"}',
            "function_call.arguments: must be a string; got dict",
        ),
        ('{"type":"function_call","name":"f","arguments":""}', "function_call.call_id: is missing"),
        ('{"type":"function_call_output","call_id":"c"}', "function_call_output.output: is missing"),
        (
            '{"type":"function_call_output","call_id":"c","output":{"content":"x"}}',
            "function_call_output.output: must be a string or a JSON array; got dict",
        ),
        (
            '{"type":"function_call_output","call_id":"c","output":null}',
            "function_call_output.output: must be a string or a JSON array; got null",
        ),
        ('{"type":"local_shell_call","status":"x"}', "local_shell_call.action: is missing"),
        (
            '{"type":"local_shell_call","status":"x","action":[]}',
            "local_shell_call.action: must be a JSON object; got list",
        ),
        ('{"type":"local_shell_call","status":"x","action":{}}', "local_shell_call.action.type: is missing"),
        (
            '{"type":"local_shell_call","status":"x","action":{"type":"exec"}}',
            "local_shell_call.action.command: is missing",
        ),
        (
            '{"type":"local_shell_call","status":"x","action":{"type":"exec","command":"ls"}}',
            "local_shell_call.action.command: must be a sequence of strings; got str",
        ),
        (
            '{"type":"local_shell_call","status":"x","action":{"type":"exec","command":[],"timeout_ms":3.0}}',
            "local_shell_call.action.timeout_ms: must be a whole number of milliseconds or None",
        ),
        (
            '{"type":"local_shell_call","status":"x","action":{"type":"exec","command":[],"env":{"A":1}}}',
            "local_shell_call.action.env: must be a mapping of strings to strings, or None",
        ),
        ('{"type":"log","timestamp":"t","level":"INFO","logger":"a"}', "log.message: is missing"),
        (
            '{"type":"log","timestamp":"t","level":"INFO","logger":"a","message":3}',
            "log.message: must be a string; got int",
        ),
        (
            '{"type":"log","timestamp":"t","level":"INFO","logger":"a","message":"m","extra":[]}',
            "log.extra: must be a JSON object; got list",
        ),
        ('{"timestamp":"t","type":"response_item","payload":[]}', "payload: must be a JSON object; got list"),
        ('{"timestamp":"t","type":"response_item","payload":{}}', "payload: is not an item: it has no type"),
        ('{"timestamp":"t","type":"session_meta","payload":{"id":"x"}}', "session_meta.timestamp: is missing"),
        ('{"type":"x","a":1e999}', "is not JSON"),
        ('{"type":"x","a":NaN}', "is not JSON"),
        ('{"type":"x","a":"\\ud800"}', "holds half of a surrogate pair"),
    ],
)
def test_a_line_that_is_not_an_entry_says_why(line, reason):
    """No value is converted into another. The reason names the place and holds no text of the line."""
    with pytest.raises(InvalidLine) as caught:
        decode_line(line.encode())

    assert str(caught.value) == reason


def test_a_line_is_read_as_deep_as_it_could_be_written():
    """With one more level, real readers skip the line, and so do we."""
    deep = MAX_DEPTH - 1  # the line itself is a level

    kept = decode_line(b'{"type":"x","a":' + b"[" * deep + b"]" * deep + b"}")

    assert isinstance(kept, Other)
    for line in (
        b'{"type":"x","a":' + b"[" * (deep + 1) + b"]" * (deep + 1) + b"}",
        b'{"record_type":"state","a":' + b"[" * (deep + 1) + b"]" * (deep + 1) + b"}",
        b'{"type":"x","a":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    ):
        with pytest.raises(InvalidLine, match="nested too deep"):
            decode_line(line)


@given(st.integers())
def test_no_integer_is_widened_wherever_it_is(number):
    """In extras, parts, actions, unknown kinds, states, metas and log extras an integer comes back as it is."""
    entries = [
        Message("user", [InputText("x", extra={"n": number}), OtherPart({"type": "y", "n": [number]})]),
        Message("user", (), extra={"n": number}),
        LocalShellCall(None, None, "x", OtherAction({"type": "y", "n": number})),
        LocalShellCall(None, None, "x", ExecAction((), extra={"n": number})),
        FunctionCallOutput("c", [OtherPart({"type": "y", "n": number})]),
        Other({"type": "y", "n": {"m": number}}),
        SessionStateSnapshot({"n": number}),
        SessionMeta(ID, "t", extra={"n": number}),
        LogEntry("t", "INFO", "a", "m", extra={"n": number}),
    ]

    for entry in entries:
        line = encoded(entry)
        back = decode_line(line)
        assert back == entry
        assert json.loads(line) == json.loads(encoded(back))


def test_integers_that_orjson_would_widen_on_a_wrapped_line_are_kept():
    """The same property in the envelope format."""
    big = 2**70
    line = json.dumps({"timestamp": "t", "type": "response_item", "payload": {"type": "x", "n": big}}).encode()

    assert decode_line(line).raw == {"type": "x", "n": big}


# --- what callers pass ------------------------------------------------------------------------------------------------


class FromSdk:
    """An object like those of an SDK: it has `to_dict`, and a `model_dump` that adds nulls."""

    def __init__(self, raw):
        self._raw = raw

    def to_dict(self):
        return self._raw

    def model_dump(self):
        raise AssertionError("this form is not what the API takes")


@pytest.mark.parametrize(
    ("value", "item"),
    [
        ({"role": "user", "content": "hi"}, Message.user("hi")),
        ({"role": "assistant", "content": "hi"}, Message.assistant("hi")),
        ({"role": "developer", "content": "hi"}, Message.developer("hi")),
        ({"type": "message", "role": "user", "content": "hi"}, Message.user("hi")),
        ({"role": "user", "content": []}, Message("user", ())),
        ({"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, Message.user("hi")),
        (
            {"role": "assistant", "content": "hi", "phase": "x"},
            Message.assistant("hi").replace(extra={"phase": "x"}),
        ),
        (collections.UserDict(role="user", content="hi"), Message.user("hi")),
        (types.MappingProxyType({"role": "user", "content": "hi"}), Message.user("hi")),
        (Message.user("hi"), Message.user("hi")),
        (
            FromSdk(
                {"id": "fc", "arguments": "{}", "call_id": "c", "name": "f", "type": "function_call", "status": "x"}
            ),
            FunctionCall("f", "{}", "c", id="fc", extra={"status": "x"}),
        ),
        ({"type": "web_search_call", "id": "ws"}, Other({"type": "web_search_call", "id": "ws"})),
        ({"type": "reasoning", "summary": []}, Reasoning(None, ())),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": None, "file_id": "f"}]},
            Message("user", [OtherPart({"type": "input_image", "image_url": None, "file_id": "f"})]),
        ),
        ({"type": "function_call_output", "call_id": "c", "output": ()}, FunctionCallOutput("c", ())),
    ],
)
def test_what_callers_pass_becomes_an_item(value, item):
    """Our classes, wire dicts, the short message, other mappings, and objects of SDKs."""
    assert to_item(value) == item


def test_a_callers_dict_is_written_with_the_keys_that_codex_writes():
    """Type first, keys in order, null for absent ones, extras last."""
    raw = {"status": "x", "content": [{"text": "hi", "type": "output_text"}], "role": "assistant", "type": "message"}

    line = encoded(to_item(raw))

    assert line == (
        b'{"type":"message","id":null,"role":"assistant","content":[{"type":"output_text","text":"hi"}],"status":"x"}\n'
    )


def test_an_action_of_a_callers_dict_too():
    """The action has the same keys, with nulls."""
    raw = {"type": "local_shell_call", "status": "completed", "action": {"type": "exec", "command": ["ls"]}}

    assert encoded(to_item(raw)) == (
        b'{"type":"local_shell_call","id":null,"call_id":null,"status":"completed","action":{"type":"exec",'
        b'"command":["ls"],"timeout_ms":null,"working_directory":null,"env":null,"user":null}}\n'
    )


class Raises:
    def to_dict(self):
        raise RuntimeError("xyzzy")


class SdkSerializer:
    """As pydantic's classes have one."""

    def to_python(self, value, **options):
        return {"role": "user", "content": "xyzzy"}


def test_a_class_that_the_sdk_made_for_a_class_of_the_caller_is_not_kept_alive():
    """A program may have the SDK parse each answer into a class that it has just made."""
    made = type("ParsedMessage[Answer]", (), {"__pydantic_serializer__": SdkSerializer()})
    made.__module__ = "openai.types.responses.parsed_response"
    known = weakref.ref(made)

    assert to_item(made()).text == "xyzzy"
    del made
    gc.collect()
    assert known() is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "item: expected an item, a dict or an object with to_dict(); got NoneType"),
        ("xyzzy", ("item: expected an item, a dict or an object with to_dict(); got str; "
                   "a text needs a role, as in {'role': 'user', 'content': text}")),
        (["xyzzy"], ("item: expected an item, a dict or an object with to_dict(); got list; "
                     "pass several one by one, as in record(*items)")),
        ({"type": "response.completed"}, ("response.completed: is an event of a stream, not an item; record the "
                                          "response of its last event with record(*event.response.output)")),
        (FromSdk, "item: expected an item, a dict or an object with to_dict(); got type"),
        (InputText("xyzzy"), "item: expected an item, a dict or an object with to_dict(); got InputText"),
        (SessionStateSnapshot({"a": 1}), "SessionStateSnapshot: has no 'type', so it is not an item"),
        (Raises(), "Raises: its to_dict() raised RuntimeError"),
        (FromSdk("xyzzy"), "FromSdk: its to_dict() must return a dict; it returned str"),
        (FromSdk(None), "FromSdk: its to_dict() must return a dict; it returned NoneType"),
        (
            {"content": "xyzzy"},
            "item: expected a dict with a 'type', or with a 'role' and a 'content'; got the keys content",
        ),
        (
            {"xyzzy xyzzy": 1},
            "item: expected a dict with a 'type', or with a 'role' and a 'content'; got no key that is a name",
        ),
        ({}, "item: expected a dict with a 'type', or with a 'role' and a 'content'; got an empty dict"),
        ({"type": 3}, "item: expected a 'type' that is a string; got int"),
        ({"role": "user"}, "message.content: is missing"),
        ({"role": "user", "content": None}, "message.content: must be a string or a list of parts; got null"),
        ({"role": "user", "content": 5}, "message.content: must be a string or a list of parts; got int"),
        ({"role": "user", "content": [{"type": "input_text", "text": 3}]}, "message.content[0].text: must be a string; got int"),  # noqa: E501
        ({"role": "user", "record_type": "x"}, "message: must not hold 'record_type', which marks lines that are not items"),  # noqa: E501
        ({"role": "user", "content": "", "n": float("nan")}, "message.n: is not a finite number; JSON has no other numbers"),  # noqa: E501
        ({"role": "user", "content": "hi", "n": {3: 1}}, "message.n: has a key that is not a string; got int"),
        ({"role": "user", "content": "hi", 3: 1}, "message: has a key that is not a string; got int"),
        ({"type": "web_search_call", "at": {1}}, "web_search_call.at: expected plain JSON; got set"),
        ({"type": "log"}, "item: is of the type 'log', which is not an item; see record_log(LogEntry)"),
    ],
)  # fmt: skip
def test_what_cannot_be_recorded_is_refused_with_its_place(value, message):
    """The error names the place and does not hold the text of the record."""
    with pytest.raises(InvalidItemError) as caught:
        ENCODER.items([value])

    assert str(caught.value) == message
    assert "xyzzy" not in str(caught.value)


def test_what_to_dict_raised_is_the_cause():
    """The caller needs the original error."""
    with pytest.raises(InvalidItemError) as caught:
        to_item(Raises())

    assert isinstance(caught.value.__cause__, RuntimeError)


def test_nothing_is_encoded_when_one_of_several_is_wrong():
    """A call encodes all of its items or none."""
    with pytest.raises(InvalidItemError):
        ENCODER.items([Message.user("hi"), {"role": "user"}])


def test_a_later_change_inside_an_extra_changes_nothing():
    """An item is made of bytes, so it shares no list with the caller."""
    inner = [1]
    item = Message("user", (), extra={"list": inner})
    inner.append(2)

    assert item.extra == {"list": [1]}


def test_a_later_change_to_a_callers_dict_changes_nothing():
    """The item shares nothing with it."""
    raw = {"type": "web_search_call", "action": {"query": "a"}, "sources": [1]}
    item = to_item(raw)
    raw["action"]["query"] = "b"
    raw["sources"].append(2)

    assert item == Other({"type": "web_search_call", "action": {"query": "a"}, "sources": [1]})


def test_an_item_that_real_readers_would_skip_for_its_depth_is_refused():
    """The deepest item that is written is the deepest that they read."""
    deep = []
    for _ in range(MAX_DEPTH - 2):
        deep = [deep]
    ENCODER.items([{"type": "x", "a": deep}])

    with pytest.raises(InvalidItemError, match="nested more than 127 deep"):
        ENCODER.items([{"type": "x", "a": [deep]}])


@pytest.mark.parametrize("text", ["\ud800", "a\udc00b"])
@pytest.mark.parametrize(
    "make",
    [
        Message.user,
        lambda text: Message("user", [InputText(text)]),
        lambda text: Message("user", (), extra={text: 1}),
        lambda text: to_item({"role": "user", "content": text}),
        lambda text: Other({"type": "x", "a": [text]}),
    ],
)
def test_half_a_surrogate_pair_is_refused(text, make):
    """JSON readers refuse it, so it could not be read back. The error says how to replace it."""
    with pytest.raises(InvalidItemError, match=r"holds half of a surrogate pair.*replace"):
        make(text)


def test_two_halves_of_a_surrogate_pair_are_their_character():
    """Text that was split in UTF-16 is joined."""
    assert Message.user("\ud83d\ude00") == Message.user("\U0001f600")


# --- what is left out -------------------------------------------------------------------------------------------------


def test_an_empty_other_is_left_out_and_counted():
    """Like in the original, where it holds nothing."""
    lines, filtered = ENCODER.items([Other(), Message.user("hi"), Other({})])

    assert len(lines) == 1
    assert filtered == 2


def test_unknown_kinds_are_recorded_as_they_came():
    """A web search between reasoning and its answer must not be lost."""
    lines, filtered = ENCODER.items([{"id": "ws", "type": "web_search_call"}])

    assert lines == [b'{"type":"web_search_call","id":"ws"}\n']
    assert filtered == 0


def test_only_known_leaves_unknown_kinds_out_and_counts_them():
    """Like the original."""
    lines, filtered = LineEncoder(only_known=True).items([{"type": "web_search_call"}, Message.user("hi"), Other()])

    assert len(lines) == 1
    assert filtered == 2


def test_nothing_is_nothing():
    """No items make no lines."""
    assert ENCODER.items([]) == ([], 0)


# --- states, log entries, meta, gaps ----------------------------------------------------------------------------------


def test_a_state_is_flattened():
    """Its keys are next to the key that marks it."""
    assert ENCODER.state({"step": 3, "type": "x"}) == b'{"record_type":"state","step":3,"type":"x"}\n'


def test_an_empty_state_is_written():
    """Real Codex writes one at every turn."""
    assert ENCODER.state({}) == b'{"record_type":"state"}\n'


@pytest.mark.parametrize("state", [{"record_type": "x"}, {"a": float("nan")}, {"a": object()}, [], None, {1: 2}])
def test_a_state_that_would_not_come_back_is_refused(state):
    """The error names the place."""
    with pytest.raises(InvalidItemError, match=r"^state\b"):
        ENCODER.state(state)


def test_a_log_entry_has_only_the_keys_that_it_needs():
    """It has exception, stack and extra only if they have a value."""
    bare = LogEntry("t", "INFO", "agent", "hi")
    full = LogEntry("t", "ERROR", "agent", "hi", "Traceback", "Stack", {"n": 1})

    assert ENCODER.log(bare) == b'{"type":"log","timestamp":"t","level":"INFO","logger":"agent","message":"hi"}\n'
    assert list(json.loads(ENCODER.log(full))) == [
        "type", "timestamp", "level", "logger", "message", "exception", "stack", "extra",
    ]  # fmt: skip


def test_log_extras_that_are_not_json_become_strings():
    """Logging never fails because of a value in ``extra``."""
    entry = LogEntry("t", "INFO", "agent", "hi", extra={"at": {1, }, 2: float("inf"), "text": "\ud800"})  # fmt: skip

    assert json.loads(ENCODER.log(entry))["extra"] == {"at": "{1}", "2": "inf", "text": "\ufffd"}


def test_keys_that_another_version_put_on_a_log_line_are_shown():
    """They are among the extras."""
    line = b'{"type":"log","timestamp":"t","level":"INFO","logger":"a","message":"m","trace":7,"extra":{"n":1}}'

    assert decode_line(line).extra == {"trace": 7, "n": 1}


def test_a_meta_has_its_keys_in_order_and_null_instructions():
    """As in real Codex; free keys follow."""
    line = ENCODER.meta(SessionMeta(ID, "t", extra={"cwd": "/x"}))

    assert line == b'{"id":"%s","timestamp":"t","instructions":null,"cwd":"/x"}\n' % ID.encode()


def test_a_meta_that_would_not_come_back_is_refused():
    """The error names the place."""
    with pytest.raises(InvalidItemError, match=r"session_meta\.cwd: expected plain JSON"):
        ENCODER.meta(SessionMeta(ID, "t", extra={"cwd": Path()}))


def test_a_gap_is_a_log_line_that_says_how_many():
    """A reader of the file sees how many records are missing, and where."""
    entry = decode_line(LineEncoder(clock=lambda: NOW).gap(3, "the queue was full"))

    assert entry == LogEntry(
        "2025-07-23T15:03:26.123Z",
        "WARNING",
        "rolloutlog",
        "3 records were dropped here: the queue was full",
        extra={"dropped": 3},
    )


@pytest.mark.parametrize("format", ["xml", "", None])
def test_an_unknown_format_is_refused(format):
    """The error lists the formats."""
    with pytest.raises(ValueError, match="format must be 'flat'"):
        LineEncoder(format=format)


# --- redaction --------------------------------------------------------------------------------------------------------


def redacting(hook):
    """Return an encoder with that hook and a fixed time."""
    return LineEncoder(redact=hook, clock=lambda: NOW)


SECRET = Message.user("the secret word is xyzzy")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (SECRET, ["type", "id", "role", "content"]),
        (Other({"type": "x", "a": 1}), ["type", "a"]),
        (SessionStateSnapshot({"a": 1}), ["record_type", "a"]),
        (
            LogEntry("t", "INFO", "a", "m", extra={"n": object}),
            ["type", "timestamp", "level", "logger", "message", "extra"],
        ),
        (SessionMeta(ID, "t", extra={"cwd": "/"}), ["id", "timestamp", "instructions", "cwd"]),
    ],
)
def test_the_hook_sees_every_record_as_it_will_be_written(entry, expected):
    """It gets items, states, log entries and the meta as plain dicts, which are copies."""
    seen = []

    def hook(record):
        seen.append(record)
        return record

    line = encoded(entry, redacting(hook))

    assert line == encoded(entry)
    assert list(seen[0]) == expected


def test_what_the_hook_returns_is_written():
    """The same dict, changed, or a new one; the type comes first."""

    def hook(record):
        return {"content": [{"text": "***", "type": "input_text"}], "role": record["role"], "type": "message"}

    assert encoded(SECRET, redacting(hook)) == (
        b'{"type":"message","id":null,"role":"user","content":[{"type":"input_text","text":"***"}]}\n'
    )


def test_the_hook_cannot_change_the_item():
    """It gets a deep copy."""
    item = Message("user", [InputText("a", extra={"list": [1]})], extra={"inner": {"list": [1]}})

    def hook(record):
        record["content"][0]["list"].append(2)
        record["inner"]["list"].clear()
        return record

    encoded(item, redacting(hook))

    assert item == Message("user", [InputText("a", extra={"list": [1]})], extra={"inner": {"list": [1]}})


def test_what_the_hook_drops_is_counted():
    """Nothing is written for `None`."""
    encoder = redacting(lambda record: None)

    assert encoder.items([SECRET, Message.user("x")]) == ([], 2)
    assert encoder.state({"a": 1}) == b""
    assert encoder.log(LogEntry("t", "INFO", "a", "m")) == b""


class Leak(Exception):
    pass


def raising(record):
    raise Leak(json.dumps(record))


def changes_kind(record):
    return {"record_type": "state", "secret": "xyzzy"} if "type" in record else {"type": "x", "secret": "xyzzy"}


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        (raising, "raised Leak at test_format.py:"),
        (lambda record: "xyzzy", "returned str"),
        (lambda record: [record], "returned list"),
        (lambda record: False, "returned bool"),
        (lambda record: {**record, "n": float("nan")}, "returned a dict that is not a valid"),
        (lambda record: {**record, "n": {"xyzzy": object()}}, "returned a dict that is not a valid"),
        (lambda record: {"secret": "xyzzy"}, "returned a dict that is not a valid"),
        (changes_kind, "returned a dict that is not a valid"),
    ],
)
@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (SECRET, "message"),
        (SessionStateSnapshot({"a": "xyzzy"}), "state"),
        (LogEntry("t", "INFO", "a", "xyzzy"), "log"),
    ],
)
def test_a_hook_that_fails_lets_nothing_through(hook, problem, entry, kind):
    """The error names the record's type, the hook and its failure; neither it nor its cause holds any text of it."""
    with pytest.raises(RedactionError) as caught:
        encoded(entry, redacting(hook))

    error = caught.value
    assert (error.kind, error.hook) == (kind, hook.__qualname__)
    assert error.problem.startswith(problem)
    assert "xyzzy" not in str(error)
    assert (error.__cause__, error.__context__) == (None, None)


def test_the_line_in_place_of_a_withheld_record_holds_nothing_of_it():
    """It says which type it had, and why it is missing."""
    encoder = redacting(raising)
    with pytest.raises(RedactionError) as caught:
        encoded(SECRET, encoder)

    line = encoder.withheld(caught.value)

    assert b"xyzzy" not in line
    assert decode_line(line) == LogEntry(
        "2025-07-23T15:03:26.123Z",
        "ERROR",
        "rolloutlog",
        f"a record of type 'message' was withheld, because the redact hook raising {caught.value.problem}",
    )


@given(objects("record_type"))
def test_any_object_that_the_hook_makes_of_a_state_is_written_or_refused(values):
    """A state without the key that marks it would be read as something else."""
    written = redacting(lambda record: {"record_type": "state", **values}).state({"a": 1})

    assert decode_line(written) == SessionStateSnapshot(values)
    with pytest.raises(RedactionError):
        redacting(lambda record: values).state({"a": 1})


def test_what_the_hook_makes_of_an_item_may_be_of_another_kind():
    """A hook may replace a call with a message that says that there was one."""
    line = encoded(SECRET, redacting(lambda record: {"type": "web_search_call"}))

    assert line == b'{"type":"web_search_call"}\n'


def test_a_record_made_inside_the_hook_is_refused():
    """If a hook logged its argument, the record would leak, or the hook would recurse without end."""
    inner = []

    def hook(record):
        with pytest.raises(RedactionError) as caught:
            encoder.items([SECRET])
        inner.append(caught.value)
        record["content"] = []
        return record

    encoder = redacting(hook)
    outer = encoded(SECRET, encoder)

    assert inner[0].problem.startswith("was running when it was recorded")
    assert decode_line(outer) == Message("user", ())


def test_a_hook_that_runs_in_one_thread_does_not_hinder_another():
    """Only a thread that is inside the hook cannot enter it again."""
    inside, go_on = threading.Event(), threading.Event()
    lines = []

    def hook(record):
        if record["role"] == "user":
            inside.set()
            assert go_on.wait(DEADLINE)
        return record

    encoder = redacting(hook)
    thread = threading.Thread(target=lambda: lines.append(encoded(SECRET, encoder)))
    thread.start()
    assert inside.wait(DEADLINE)
    other = encoded(Message.system("hi"), encoder)
    go_on.set()
    thread.join(DEADLINE)

    assert decode_line(other) == Message.system("hi")
    assert [decode_line(line) for line in lines] == [SECRET]


@pytest.mark.parametrize(
    "hook",
    [
        raising,
        lambda record: None,
        lambda record: "xyzzy",
        lambda record: {"type": "message", "secret": "xyzzy"},
        lambda record: {**record, "instructions": 3},
        lambda record: {"id": "xyzzy", "timestamp": "xyzzy"},
    ],
)
def test_a_meta_keeps_what_makes_it_one_whatever_the_hook_does(hook):
    """Without its first line the whole session would be lost."""
    meta = SessionMeta(ID, "2025-07-23T15:03:26.123Z", "xyzzy", {"cwd": "xyzzy"})

    assert decode_line(redacting(hook).meta(meta)) == SessionMeta(ID, "2025-07-23T15:03:26.123Z")


def test_a_meta_whose_redaction_fails_is_reported(caplog):
    """The logger says which session has a bare meta, and why; it does not repeat the meta."""
    redacting(raising).meta(SessionMeta(ID, "t", "xyzzy"))

    assert ID in caplog.text
    assert "raising raised Leak" in caplog.text
    assert "xyzzy" not in caplog.text


def test_the_hook_may_change_the_rest_of_a_meta():
    """It may change instructions and free keys."""
    meta = SessionMeta(ID, "t", "xyzzy", {"cwd": "/secret", "git": {"branch": "main"}})

    def hook(record):
        return {**record, "instructions": "***", "cwd": None}

    assert decode_line(redacting(hook).meta(meta)) == SessionMeta(
        ID, "t", "***", {"cwd": None, "git": {"branch": "main"}}
    )


def test_a_value_that_is_wrong_raises_before_the_hook_sees_it():
    """The caller sees its own mistake in the error."""
    with pytest.raises(InvalidItemError):
        redacting(raising).meta(SessionMeta(ID, "t", extra={"cwd": Path()}))
    with pytest.raises(InvalidItemError):
        redacting(raising).items([{"type": "x", "a": object()}])


@given(texts)
def test_no_reason_holds_the_text_of_a_line(text):
    """The reason for a bad line consists of our own words."""
    secret = "xyzzy" + text
    for broken in (
        {"type": "message", "role": [secret], "content": secret},
        {"type": "function_call", "name": "f", "arguments": [secret], "call_id": "c"},
        {secret: secret},
    ):
        with pytest.raises(InvalidLine) as caught:
            decode_line(json.dumps(broken).encode())
        assert "xyzzy" not in str(caught.value)
    with pytest.raises(InvalidLine) as caught:
        decode_line(secret.encode())
    assert "xyzzy" not in str(caught.value)


def test_texts_of_other_types_are_not_mistaken():
    """A summary holds summary texts; a part of another type is an `OtherPart`."""
    item = decode_line(
        b'{"type":"reasoning","id":"rs","summary":[{"type":"input_text","text":"x"}],"encrypted_content":null}'
    )

    assert item.summary == (OtherPart({"type": "input_text", "text": "x"}),)
    assert item != Reasoning("rs", [SummaryText("x")], None, None)
    assert OutputText("x") != InputText("x")


def test_the_error_of_a_line_keeps_no_frame_alive():
    """Once it was caught, the objects of its callers end without a collection of garbage."""

    class Caller:
        """An object that a frame above refers to."""

    def read(caller: Caller) -> None:
        with contextlib.suppress(InvalidLine):
            decode_line(b"no JSON")

    caller = Caller()
    is_alive = weakref.ref(caller)
    gc.disable()
    try:
        read(caller)
        del caller
        assert is_alive() is None
    finally:
        gc.enable()
