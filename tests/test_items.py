"""Items and their parts: the values that they accept, show and keep."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from strategies import items

from rolloutlog.exceptions import InvalidItemError
from rolloutlog.items import (
    ExecAction,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    LocalShellCall,
    Message,
    Other,
    OtherAction,
    OtherPart,
    OutputText,
    Reasoning,
    ReasoningText,
    SummaryText,
    is_item,
)

SECRET = f"{'-' * 40}the secret word is xyzzy"
CALL = FunctionCall("weather", '{"city": "Rome"}', "call_1")
SHELL = LocalShellCall(None, "call_2", "completed", ExecAction(["echo", SECRET]))


def test_a_user_message_is_one_input_text():
    """Message.user is short for this."""
    assert Message.user("hi") == Message("user", (InputText("hi"),))


def test_an_assistant_message_is_one_output_text():
    """The text of the model is output."""
    assert Message.assistant("hi") == Message("assistant", (OutputText("hi"),))


@pytest.mark.parametrize("role", ["system", "developer"])
def test_other_roles_are_input(role):
    """System and developer messages are input of the model."""
    assert getattr(Message, role)("hi") == Message(role, (InputText("hi"),))


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (Message("user", [InputText("a"), InputImage("data:x"), InputText("b")]), "ab"),
        (Message("assistant", [OtherPart({"type": "refusal", "refusal": "no"}), OutputText("yes")]), "yes"),
        (Reasoning("rs", [SummaryText("one"), SummaryText("two")], [ReasoningText("raw")]), "one\n\ntwo\n\nraw"),
        (Reasoning("rs", ()), ""),
        (FunctionCallOutput("c", "out"), "out"),
        (FunctionCallOutput("c", [InputText("o"), InputText("ut")]), "out"),
        (CALL, ""),
        (SHELL, ""),
        (Other({"type": "web_search_call"}), ""),
        (Other(), ""),
    ],
)
def test_text_is_all_text_of_an_item(item, text):
    """Every kind has a text, which may be empty."""
    assert item.text == text


def test_args_are_the_parsed_arguments():
    """FunctionCall.args parses the JSON of the arguments."""
    assert CALL.args == {"city": "Rome"}


@pytest.mark.parametrize("arguments", ["{no json", "[1]", "3", "", "[" * 100_000, "1" * 5_000])
def test_arguments_that_are_not_an_object_are_an_error_that_says_so(arguments):
    """The error names the place; neither it nor its cause holds the text of the model."""
    with pytest.raises(InvalidItemError, match=r"function_call\.arguments: is not a JSON object") as caught:
        _ = FunctionCall("f", arguments, "c").args

    assert caught.value.__cause__ is None


def test_an_answer_takes_the_id_from_its_call():
    """FunctionCallOutput.of answers a call of either kind."""
    assert FunctionCallOutput.of(CALL, "sunny") == FunctionCallOutput("call_1", "sunny")
    assert FunctionCallOutput.of(SHELL, [InputText("x")]) == FunctionCallOutput("call_2", (InputText("x"),))


def test_a_call_without_an_id_cannot_be_answered():
    """The error says why."""
    with pytest.raises(InvalidItemError, match=r"local_shell_call\.call_id"):
        FunctionCallOutput.of(SHELL.replace(call_id=None), "x")


@pytest.mark.parametrize(
    "value",
    [
        Message.user(SECRET),
        Message("user", [InputImage(SECRET), OtherPart({"type": "x", "text": SECRET})], extra={"note": SECRET}),
        Reasoning("rs", [SummaryText(SECRET)], [ReasoningText(SECRET)], SECRET),
        FunctionCall("f", SECRET, "c"),
        FunctionCallOutput("c", SECRET),
        SHELL,
        LocalShellCall(None, None, "completed", OtherAction({"type": "x", "secret": SECRET})),
        Other({"type": "x", "secret": SECRET}),
        InputText(SECRET),
        ReasoningText(SECRET),
        InputImage(SECRET),
        OtherPart({"type": "x", "secret": SECRET}),
        ExecAction([SECRET]),
    ],
)
def test_a_repr_shows_no_more_than_the_beginning_of_a_text(value):
    """40 characters, so that no notebook is flooded, and a log that shows it holds little."""
    assert "xyzzy" not in repr(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Message.user("What is the weather in Oslo?"), "Message(role='user', 'What is the weather in Oslo?')"),
        (Message.user("a" * 50), f"Message(role='user', '{'a' * 40}'…, 50 characters)"),
        (FunctionCall("f", "{}", "c"), "FunctionCall(name='f', call_id='c', '{}')"),
        (FunctionCallOutput("c", "it's"), "FunctionCallOutput(call_id='c', \"it's\")"),
        (Reasoning("rs", [SummaryText("hm")]), "Reasoning(id='rs', 'hm')"),
        (InputText("hi"), "InputText('hi')"),
        (ExecAction(["ls", "-l"]), "ExecAction('ls -l')"),
        (Other({"type": "custom_tool_call_output", "output": "done"}), "CustomToolCallOutput('done')"),
    ],
)
def test_a_repr_shows_the_beginning_of_the_text(value, shown):
    """A person in a console sees which item it is."""
    assert repr(value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"'\x1b]0;owned\x07'"),
        ("\u202etxt.exe", r"'\u202etxt.exe'"),
        ("a\u200bb\u2028c\x9bd", r"'a\u200bb\u2028c\x9bd'"),
        ("\u3164\u115f\U000e0041", r"'\u3164\u115f\U000e0041'"),
        ("\ud800", r"'\ud800'"),
        ("e" + "\u0301" * 12, "'e" + "\u0301" * 8 + r"\u0301" * 4 + "'"),
        ("日本 café 🏔️", "'日本 café 🏔️'"),
    ],
)
def test_a_repr_has_nothing_that_a_terminal_obeys_or_hides(text, shown):
    """Text of strangers is shown as text."""
    assert repr(InputText(text)) == f"InputText({shown})"


@given(items)
def test_no_repr_floods(item):
    """A repr is a line or two, however long the fields are."""
    assert len(repr(item)) < 250


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: InputText(3), "input_text.text"),
        (lambda: InputText(None), "input_text.text"),
        (lambda: InputText(b"x"), "input_text.text"),
        (lambda: InputImage(None), "input_image.image_url"),
        (lambda: Message(None, ()), "message.role"),
        (lambda: Message("user", "hi"), "message.content"),
        (lambda: Message("user", None), "message.content"),
        (lambda: Message("user", [InputText("x"), "y"]), r"message.content\[1\]"),
        (lambda: Message("user", [SummaryText("x")]), r"message.content\[0\]"),
        (lambda: Message("user", [OtherPart({"type": "input_text", "text": "x"})]), r"message.content\[0\]"),
        (lambda: Message("user", (), id=3), "message.id"),
        (lambda: Message("user", (), extra=[]), "message.extra"),
        (lambda: Message("user", (), extra={3: 1}), "message.extra"),
        (lambda: Message("user", (), extra={"role": 1}), "message.extra"),
        (lambda: Message("user", (), extra={"type": 1}), "message.extra"),
        (lambda: Message("user", (), extra={"record_type": "state"}), "message.extra"),
        (lambda: Reasoning("rs", [InputText("x")]), r"reasoning.summary\[0\]"),
        (lambda: Reasoning("rs", (), [SummaryText("x")]), r"reasoning.content\[0\]"),
        (lambda: FunctionCall("f", {}, "c"), "function_call.arguments"),
        (lambda: FunctionCallOutput("c", {"a": 1}), "function_call_output.output"),
        (lambda: FunctionCallOutput(1, "x"), "function_call_output.call_id"),
        (lambda: LocalShellCall(None, None, "completed", {"type": "exec"}), "local_shell_call.action"),
        (lambda: ExecAction("ls -l"), "exec.command"),
        (lambda: ExecAction(["ls", 3]), "exec.command"),
        (lambda: ExecAction(["ls"], timeout_ms=3.9), "exec.timeout_ms"),
        (lambda: ExecAction(["ls"], timeout_ms=True), "exec.timeout_ms"),
        (lambda: ExecAction(["ls"], timeout_ms=-1), "exec.timeout_ms"),
        (lambda: ExecAction(["ls"], env={"A": 1}), "exec.env"),
        (lambda: Other({"type": "message"}), "Other.raw"),
        (lambda: Other({"type": "log"}), "Other.raw"),
        (lambda: Other({"kind": "x"}), "Other.raw"),
        (lambda: Other({"type": 3}), "Other.raw"),
        (lambda: Other([]), "Other.raw"),
        (lambda: Other({"type": "x", "record_type": "state"}), "Other.raw"),
        (lambda: Other({"type": "x", "timestamp": "t", "payload": {}}), "Other.raw"),
        (lambda: OtherPart({}), "OtherPart.raw"),
        (lambda: OtherAction({"type": "exec"}), "OtherAction.raw"),
    ],
)
def test_a_value_that_would_not_come_back_cannot_be_made(make, place):
    """The error is raised where the value is made, and names the place."""
    with pytest.raises(InvalidItemError, match=f"^{place}: "):
        make()


def test_extras_are_a_copy():
    """Changing the dict that an item was made with does not change the item."""
    extra = {"phase": "final"}
    item = Message("user", (), extra=extra)
    extra["phase"] = "other"

    assert item.extra == {"phase": "final"}


def test_extras_are_read_only():
    """A frozen item's extras are frozen too."""
    item = Message("user", (), extra={"phase": "final"})

    for change in (
        lambda: item.extra.update(a=1),
        lambda: item.extra.__setitem__("a", 1),
        lambda: item.extra.pop("phase"),
        lambda: item.extra.clear(),
        lambda: item.extra.setdefault("a", 1),
    ):
        with pytest.raises(TypeError, match="read-only"):
            change()


def test_items_are_frozen():
    """No attribute of an item can be set."""
    with pytest.raises(AttributeError, match="frozen"):
        Message.user("hi").role = "assistant"


@given(items)
def test_pickle_and_copy_give_an_equal_item(item):
    """Items can be sent to other processes, and copied deeply."""
    assert pickle.loads(pickle.dumps(item)) == item
    assert copy.deepcopy(item) == item


def test_replace_keeps_the_extras():
    """It changes one value and nothing else."""
    item = Message("user", (InputText("a"),), id="m", extra={"phase": "final"})

    assert item.replace(role="system") == Message("system", (InputText("a"),), id="m", extra={"phase": "final"})


@given(items)
def test_every_item_knows_its_type(item):
    """`type` is the type in its JSON, and `is_item` is true for items only."""
    assert isinstance(item.type, str)
    assert is_item(item)


@pytest.mark.parametrize("value", [None, "hi", {"type": "message"}, InputText("x"), Message])
def test_dicts_parts_and_classes_are_not_items(value):
    """Dicts, parts and classes are not items."""
    assert not is_item(value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Message("robot", [InputText("x")]),
        lambda: Message("tool", []),
        lambda: Message.user("x").replace(role="robot"),
    ],
)
def test_a_role_that_no_api_takes_is_refused(make):
    """As in a dict; only a file may hold it."""
    with pytest.raises(InvalidItemError, match=r"message\.role: expected user, assistant, system or developer; got"):
        make()
