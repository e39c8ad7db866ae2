"""The newer kinds of items: classes that keep the whole object and name its keys."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import objects

from rolloutlog import Other
from rolloutlog import items as public
from rolloutlog._format.coerce import to_item
from rolloutlog._format.lines import LineEncoder, decode_line
from rolloutlog._item import CLASSES, Key
from rolloutlog._shapes import SHAPES
from rolloutlog.exceptions import InvalidItemError
from rolloutlog.items import CustomToolCall, CustomToolCallOutput, McpCall, ShellCallOutput, WebSearchCall, is_item

ENCODER = LineEncoder()
KINDS = {kind: cls for kind, cls in CLASSES.items() if kind not in SHAPES}
FIVE = {"message", "reasoning", "local_shell_call", "function_call", "function_call_output"}
CALL = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "patch", "input": "x", "async": True}
raws = st.builds(
    lambda kind, rest: {"type": kind} | rest,
    st.sampled_from(sorted(KINDS)),
    objects("type", "record_type", "payload"),
)


@given(raws)
def test_an_item_of_any_newer_kind_comes_back_as_it_was(raw):
    """decode(encode(x)) == x, with the same keys in the same order, for any values."""
    item = to_item(raw)

    (line,), _ = ENCODER.items([item])

    assert type(item) is KINDS[raw["type"]]
    assert decode_line(line) == item
    assert list(decode_line(line).to_dict().items()) == list(raw.items())


@given(raws)
def test_names_and_extra_make_up_the_whole_object(raw):
    """Type, named keys and extra are all of its keys."""
    item = to_item(raw)

    named = {name for cls in type(item).__mro__ for name, value in vars(cls).items() if isinstance(value, Key)}

    assert {key: getattr(item, key) for key in named if key in raw} | item.extra | {"type": item.type} == raw
    assert all(getattr(item, key) is None for key in named - raw.keys())


def test_keys_are_read_by_name():
    """Documented keys are attributes; the others are in ``extra``."""
    call = CustomToolCall(CALL)

    assert (call.id, call.call_id, call.name, call.input) == ("ctc_1", "call_1", "patch", "x")
    assert (call.status, call.namespace) == (None, None)
    assert call.extra == {"async": True}
    assert (call.type, CustomToolCall.type, Other.type) == ("custom_tool_call", "custom_tool_call", "other")


def test_an_other_of_a_kind_with_a_class_is_of_that_class():
    """The same object always makes the same value."""
    assert type(Other(CALL)) is CustomToolCall
    assert Other(CALL) == CustomToolCall(CALL) == to_item(CALL)
    assert type(Other({"type": "no_such_kind"})) is Other


@pytest.mark.parametrize("raw", [None, {}, {"type": "web_search_call"}, {"name": "x"}, [], "custom_tool_call"], ids=str)
def test_a_class_takes_no_object_of_another_kind(raw):
    """The error names the right type."""
    with pytest.raises(InvalidItemError, match=r"CustomToolCall.raw: .*'custom_tool_call'"):
        CustomToolCall(raw)


@pytest.mark.parametrize("key", ["record_type", "payload"])
def test_what_would_come_back_as_something_else_is_refused(key):
    """Like for every `Other`."""
    lines = {"record_type": {"record_type": "state"}, "payload": {"timestamp": "t", "payload": {}}}

    with pytest.raises(InvalidItemError, match=r"CustomToolCall.raw: would be read as"):
        CustomToolCall({**CALL, **lines[key]})


def test_a_value_is_frozen_and_can_be_copied_and_pickled():
    """Like every item."""
    call = CustomToolCall(CALL)

    assert pickle.loads(pickle.dumps(call)) == copy.copy(call) == copy.deepcopy(call) == call
    assert type(pickle.loads(pickle.dumps(call))) is CustomToolCall
    assert call.replace(input="y").input == "y"
    with pytest.raises(AttributeError):
        call.input = "z"
    with pytest.raises(AttributeError):
        call.unheard_of = "z"


def test_a_repr_tells_the_kind_and_how_much_there_is():
    """Where there is no text for people."""
    assert repr(CustomToolCall(CALL)) == "CustomToolCall(6 keys)"
    assert repr(Other({"type": "x"})) == "Other(type='x', 1 key)"


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (CustomToolCallOutput({"type": "custom_tool_call_output", "output": "done"}), "done"),
        (
            CustomToolCallOutput(
                {
                    "type": "custom_tool_call_output",
                    "output": [{"type": "input_text", "text": "a"}, {"type": "input_image"}, {"text": "b"}, 3],
                }
            ),
            "ab",
        ),
        (McpCall({"type": "mcp_call", "output": None}), ""),
        (ShellCallOutput({"type": "shell_call_output", "output": [{"stdout": "x"}]}), ""),
        (WebSearchCall({"type": "web_search_call"}), ""),
    ],
)
def test_the_text_is_what_a_tool_gave(item, text):
    """Other outputs have no text."""
    assert item.text == text


def test_every_class_is_public_and_an_item():
    """`rolloutlog.items` exports each by its name."""
    for kind, cls in KINDS.items():
        assert getattr(public, cls.__name__) is cls
        assert cls.__name__ in public.__all__
        assert is_item(cls({"type": kind}))
        assert cls.__doc__


@pytest.mark.skipif(not importlib.util.find_spec("openai"), reason="needs the OpenAI SDK")
def test_every_kind_of_output_that_the_sdk_defines_has_a_class_that_names_its_keys():
    """Except the maker of an item, which no input accepts, and keys that are keywords of Python."""
    import sdk_objects

    for kind, shape in sdk_objects.OUTPUTS.items():
        if kind in FIVE:
            continue
        keys = {field.alias or name for name, field in shape.model_fields.items()}
        unnamed = {key for key in keys if not hasattr(KINDS[kind], key)}

        assert unnamed <= {"created_by", "caller", "async", "svg_usage"}, kind


@pytest.mark.skipif(not importlib.util.find_spec("openai"), reason="needs the OpenAI SDK")
def test_every_kind_of_input_that_the_sdk_defines_has_a_class():
    """This includes kinds that are in no response."""
    import api_schema

    kinds = {kind for shape in api_schema.item_types() for kind in api_schema.kinds(shape)}

    assert kinds - FIVE <= KINDS.keys()


@pytest.mark.parametrize("kind", sorted(CLASSES))
def test_a_class_documents_its_fields(kind):
    """Each key that has a name, except for the three that all further kinds have."""
    cls = CLASSES[kind]
    names = set(cls._names()) - ({"id", "call_id", "status"} if issubclass(cls, Other) else set())

    assert [name for name in sorted(names) if not re.search(rf"^ +{name}: ", cls.__doc__, re.MULTILINE)] == []
