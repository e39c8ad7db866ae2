"""An item as text: its JSON, in a string that carries the item itself through logging."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from types import MappingProxyType

import pytest
from hypothesis import given
from strategies import items

from rolloutlog import FunctionCall, Message, Other, Reasoning
from rolloutlog._format.lines import LineEncoder, decode_line
from rolloutlog._item import ItemText
from rolloutlog.exceptions import InvalidItemError

HELLO = Message.user("héllo")


@given(items)
def test_the_text_of_an_item_says_what_its_line_says(item):
    """The same keys in the same order with the same values, for any item."""
    ((line,), _) = LineEncoder().items([item])

    assert json.loads(str(item), object_pairs_hook=list) == json.loads(line, object_pairs_hook=list)


def test_the_text_of_an_item_is_its_line():
    """Byte for byte, if it has no number with two spellings."""
    ((line,), _) = LineEncoder().items([HELLO])

    assert str(HELLO) == line.decode().rstrip("\n")


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"message","role":"user","content":[]}',
        b'{"type":"reasoning","id":"r","summary":[],"content":null,"encrypted_content":null}',
        b'{"type":"reasoning","id":"r","summary":[]}',
        b'{"type":"function_call","name":"f","x":1,"arguments":"{}","call_id":"c"}',
        b'{"type":"local_shell_call","call_id":"c","status":"x","action":{"type":"exec","command":["ls"],"x":[1.5]}}',
    ],
)
def test_an_item_that_was_read_says_what_it_was_read_from(line):
    """It keeps the keys of other versions of Codex, their order, and their nulls."""
    assert str(decode_line(line)).encode() == line


def test_the_text_brings_the_item_along():
    """Other handlers see a string, and ours finds the item."""
    text = str(HELLO)

    assert type(text) is ItemText
    assert text.item is HELLO


@pytest.mark.parametrize(
    "hand_on",
    [
        str,
        lambda text: logging.Formatter().format(logging.makeLogRecord({"msg": text})),
        lambda text: logging.Formatter("{message}", style="{").format(logging.makeLogRecord({"msg": text})),
        copy.copy,
        copy.deepcopy,
        *(
            lambda text, protocol=protocol: pickle.loads(pickle.dumps(text, protocol))
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_the_item_survives_what_logging_does_to_messages(hand_on):
    """A formatter that shows only the message returns the same string; a queue between processes pickles it."""
    handed_on = hand_on(str(HELLO))

    assert handed_on == str(HELLO)
    assert handed_on.item == HELLO


def test_what_is_made_of_the_text_is_plain():
    """A longer text that contains it is a plain string with the whole JSON."""
    around = f"INFO {HELLO}"

    assert type(around) is str
    assert around.endswith(str(HELLO))


def test_a_mapping_of_any_kind_is_written():
    """A mapping of the caller is written as an object."""
    item = HELLO.replace(extra={"x": MappingProxyType({"y": (1, 2)})})

    assert json.loads(str(item))["x"] == {"y": [1, 2]}


@pytest.mark.parametrize("value", [object(), {1, 2}, {("a",): 1}, b"bytes", float("nan")])
def test_an_item_that_could_not_be_written_cannot_be_made(value):
    """An item is its line of JSON, so the error is raised where it is made."""
    with pytest.raises(InvalidItemError, match=r"message\.x"):
        HELLO.replace(extra={"x": value})


def test_an_item_cannot_hold_itself():
    """The error is short, however deep the cycle was followed."""
    ring: list[object] = []
    ring.append(ring)

    with pytest.raises(InvalidItemError, match="nested more than 127 deep") as caught:
        HELLO.replace(extra={"x": ring})

    assert len(str(caught.value)) < 200


def test_the_place_of_a_value_that_holds_itself_is_named_once():
    """Instead of a hundred times the same key."""
    value: dict[str, object] = {"type": "x"}
    value["inner"] = {"list": [1, value]}

    with pytest.raises(InvalidItemError, match=r"^x\.\w+(\[1\])?\.\w+(\[1\])?(\.\w+)?: is nested more than 127 deep"):
        Other(value)


@pytest.mark.parametrize(
    "item", [HELLO, Reasoning(None), FunctionCall("f", "{}", "c"), Other({"type": "x", "secret": "y"})]
)
def test_a_repr_is_not_the_json(item):
    """A notebook and a traceback show what it is, and `str` all of it."""
    assert repr(item) != str(item)
    assert repr(item).startswith(f"{type(item).__name__}(")


TWICE = b'{"type":"message","role":"user","content":[],"x": 1,"x":2}'


@pytest.mark.parametrize(
    "look",
    [
        lambda item: item.json,
        lambda item: str(item).encode(),
        lambda item: pickle.loads(pickle.dumps(item)).json,
        lambda item: (item.role, item.json)[1],
        lambda item: LineEncoder().items([item])[0][0].rstrip(b"\n"),
    ],
)
@pytest.mark.parametrize("line", [TWICE, b" " + TWICE + b"\r\n"])
def test_a_key_that_was_read_twice_is_there_once_in_the_items_json(line, look):
    """Real readers refuse such an object. It is looked for when the JSON is asked for, not for each line read."""
    assert look(decode_line(line)) == b'{"type":"message","role":"user","content":[],"x":2}'


def test_an_item_that_was_read_is_its_line_whichever_look_comes_first():
    """A look at its values, and one at its JSON, change neither."""
    line = b'{"type":"message","role":"user","content":[], "x": 1}'
    first, second = decode_line(line + b"\n"), decode_line(line + b"\n")

    assert first.to_dict() == second.to_dict() == json.loads(line)
    assert first.role == "user"
    assert first.json == second.json == line
    assert second.extra == first.extra == {"x": 1}
    assert first == second
    assert hash(first) == hash(second)


def test_an_attribute_that_no_item_has_is_the_usual_error():
    """Also before the first look."""
    with pytest.raises(AttributeError, match="'Message' object has no attribute 'jsn'"):
        decode_line(TWICE).jsn  # noqa: B018 (the access is the test)
