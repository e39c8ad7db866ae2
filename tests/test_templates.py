"""The fast way for single items: the same bytes as the general one, and no other items."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import kinds

from rolloutlog._format.lines import LineEncoder
from rolloutlog._format.templates import templates
from rolloutlog._json import FAST, STANDARD
from rolloutlog.items import (
    FunctionCall,
    FunctionCallOutput,
    InputText,
    LocalShellCall,
    Message,
    OutputText,
    Reasoning,
)

CLASSES = (Message, FunctionCall, FunctionCallOutput, LocalShellCall, Reasoning)

fast = pytest.mark.skipif(FAST is None, reason="orjson is not installed")


@fast
@pytest.mark.parametrize("cls", CLASSES)
@given(data=st.data())
def test_a_template_gives_the_line_that_the_general_way_gives(cls, data):
    """Byte for byte, with ids and without, with extras, unknown parts, and the keys in another order.

    But for the sign of a large exponent, which is the installed orjson's own affair.
    """
    item = data.draw(kinds[cls.type])

    by_template = templates(FAST)[cls](item)
    (line,), _ = LineEncoder(json=STANDARD).items((item,))

    assert by_template.replace(b"e+", b"e") == line.replace(b"e+", b"e")


@fast
@given(
    text=st.text(),
    id=st.none() | st.text(),
    role=st.sampled_from(["user", "assistant", "system", "developer", "tool", ""]),
    part=st.sampled_from([InputText, OutputText]),
)
def test_the_plainest_message_too(text, id, role, part):
    """With each role and kind of text, and roles that nobody foresaw."""
    item = Message(role, (part(text),), id)

    by_template = templates(FAST)[Message](item)
    (line,), _ = LineEncoder(json=STANDARD).items((item,))

    assert by_template == line


@fast
@pytest.mark.parametrize(
    "item",
    [
        Message.user("\ud83d\ude00"),
        FunctionCall("ls", "\ud83d\ude00", "call_1"),
        FunctionCallOutput("call_1", "\ud83d\ude00"),
    ],
)
def test_what_a_template_cannot_write_it_leaves_to_the_general_way(item):
    """Two halves of one character: orjson refuses them, the general way makes them whole."""
    line_of = templates(FAST)[type(item)]

    with pytest.raises(TypeError):
        line_of(item)
    (line,), _ = LineEncoder(json=FAST).items((item,))
    assert "\U0001f600".encode() in line


def test_there_are_no_templates_where_something_must_be_seen_or_stands_around():
    """A hook sees dicts, an envelope wraps them; and without orjson there is nothing to gain."""
    assert LineEncoder(redact=lambda wire: wire).templates == {}
    assert LineEncoder(format="envelope").templates == {}
    assert LineEncoder(json=STANDARD).templates == {}
