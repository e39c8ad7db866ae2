"""Messages of Chat Completions and of Anthropic become items, and items become messages; nothing is lost in silence."""

from __future__ import annotations

import json
import string
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolloutlog import FunctionCall, Item, Message, Other, Reasoning, from_messages, load_session, session, to_messages
from rolloutlog.exceptions import InvalidItemError, NotCarriedWarning, OrphanCallError
from rolloutlog.items import CustomToolCall, InputImage, InputText

PIXEL = "data:image/png;base64,iVBORw0KGgo="
CALL = {"id": "c1", "type": "function", "function": {"name": "sky", "arguments": '{"city": "Oslo"}'}}
CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls"}}
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "developer", "content": "Use tools."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Is it this one?"},
            {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        ],
    },
    {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL, CUSTOM]},
    {"role": "tool", "tool_call_id": "c1", "content": "clear"},
    {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": None, "tool_calls": [{**CALL, "id": "c3"}]},
    {"role": "tool", "tool_call_id": "c3", "content": ""},
    {"role": "assistant", "content": "It is clear."},
]
ANTHROPIC = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Is it this one?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        ],
    },
    {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "t1", "name": "sky", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "t2", "name": "sea", "input": {}},
        ],
    },
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "clear"},
            {
                "type": "tool_result",
                "tool_use_id": "t2",
                "content": [
                    {"type": "text", "text": "rough"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
                ],
                "is_error": True,
            },
        ],
    },
    {"role": "assistant", "content": "It is clear."},
]


@pytest.fixture(autouse=True)
def loud():
    """A warning that no test expects is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotCarriedWarning)
        yield


def told(call):
    """Return the result of *call*, and the places and kinds that it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [(each.message.where, each.message.what) for each in caught]


# -- Chat Completions --------------------------------------------------------------------------------------------------


def test_messages_of_chat_completions_become_items():
    """Each call and each output is an item of its own, as in the Responses API."""
    items = from_messages(CHAT)

    assert [item.type for item in items] == [
        *["message"] * 4,
        *["function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output"],
        *["message", "message", "function_call", "function_call_output", "message"],
    ]
    assert [item.role for item in items if isinstance(item, Message)] == [
        *["system", "developer", "user", "assistant", "assistant", "user", "assistant"]
    ]
    assert items[2].content[1] == InputImage(PIXEL, extra={"detail": "low"})
    assert items[4] == FunctionCall("sky", '{"city": "Oslo"}', "c1")
    assert (items[5].call_id, items[5].name, items[5].input) == ("c2", "run", "ls")
    assert items[7].output == [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]


def test_they_come_back_as_they_went_in():
    """Every message of the list."""
    assert to_messages(from_messages(CHAT)) == CHAT


def test_they_can_be_recorded_and_the_input_is_that_of_the_responses_api():
    """With an output for each call."""
    with session("chat") as opened:
        opened.record(*from_messages(CHAT))
        sent = opened.to_input(orphans="raise")

    assert len(sent) == len(from_messages(CHAT))
    assert not any({"tool_calls", "tool_call_id"} & item.keys() for item in sent)


class Sdk:
    """An object as an SDK returns it."""

    def __init__(self, value):
        self._value = value

    def to_dict(self):
        return self._value


def test_objects_of_an_sdk_are_taken():
    """Also inside of a message."""
    call = Sdk({**CALL, "function": Sdk(CALL["function"])})
    message = Sdk({"role": "assistant", "content": None, "tool_calls": [call], "refusal": None, "annotations": []})

    assert from_messages([message]) == [FunctionCall("sky", '{"city": "Oslo"}', "c1")]


def test_a_refusal_of_its_own_key_is_a_part():
    """As the API returns it."""
    (item,) = from_messages([{"role": "assistant", "content": None, "refusal": "No."}])

    assert item.content[0].raw == {"type": "refusal", "refusal": "No."}


def test_a_function_call_of_the_first_version_gets_an_id():
    """Its output names the function, and gets the same id."""
    old = [
        {"role": "assistant", "content": None, "function_call": {"name": "sky", "arguments": "{}"}},
        {"role": "function", "name": "sky", "content": "clear"},
    ]
    call, output = from_messages(old)

    assert (call.type, output.type) == ("function_call", "function_call_output")
    assert call.call_id == output.call_id
    assert [message["role"] for message in to_messages([call, output])] == ["assistant", "tool"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
            [("messages[0].content[0]", "a part of the type 'input_audio'")],
        ),
        (
            {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}, {"type": "text", "text": "hi"}]},
            [("messages[0].content[0]", "a part of the type 'file'")],
        ),
        ({"role": "user", "content": "hi", "name": "Ada"}, [("messages[0]", "the key 'name'")]),
        ({"role": "assistant", "content": "hi", "audio": {"id": "a"}}, [("messages[0]", "the key 'audio'")]),
        (
            {"role": "assistant", "content": "hi", "reasoning_content": "xyzzy"},
            [("messages[0]", "the key 'reasoning_content'")],
        ),
        ({"role": "assistant", "content": None}, [("messages[0]", "a message without content")]),
        (
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "xyzzy", "signature": "s"}]},
            [("messages[0].content[0]", "a part of the type 'thinking'")],
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
            [("messages[0].content[0]", "the key 'cache_control'")],
        ),
        (
            {"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]},
            [("messages[0].content[0]", "a part of the type 'image'")],
        ),
    ],
)
def test_what_is_not_carried_is_told(message, expected):
    """With its place, and without its text."""
    _, said = told(lambda: from_messages([message]))

    assert said == expected
    assert "xyzzy" not in str(said)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([{"role": "wizard", "content": "hi"}], r"messages\[0\].role: expected one of system.*; got 'wizard'"),
        ([{"content": "hi"}], "got NoneType"),
        (["hi"], r"messages\[0\]: expected a dict or an object with to_dict\(\); got str"),
        ({"role": "user", "content": "hi"}, "expected a list of messages; got dict"),
        ([{"role": "user", "content": 7}], "expected a text, a list of parts, or None; got int"),
        ([{"role": "tool", "content": "x"}], r"messages\[0\]: the id of the call: must be a string; got NoneType"),
        ([{"role": "function", "name": "f", "content": "x"}], "a function that was called before"),
        ([{"role": "user", "content": [{"type": "text", "text": 7}]}], r"messages\[0\]: message.content\[0\].text"),
        ([{"role": "assistant", "tool_calls": [{"id": "c", "type": "function"}]}], r"tool_calls\[0\].function"),
        (
            [{"role": "assistant", "tool_calls": [{**CUSTOM, "custom": {"name": "f"}}]}],
            "custom.input: must be a string",
        ),
    ],
)
def test_what_is_no_message_is_refused_with_its_place(messages, problem):
    """Nothing is returned for the others."""
    with pytest.raises(InvalidItemError, match=problem):
        from_messages(messages)


# -- Anthropic ---------------------------------------------------------------------------------------------------------


def test_messages_of_anthropic_become_items():
    """Tool uses are function calls, their results are outputs; the system comes first."""
    items = from_messages(ANTHROPIC, system=[{"type": "text", "text": "Be brief."}])

    assert [item.type for item in items] == [
        *["message", "message", "message", "function_call", "function_call"],
        *["function_call_output", "function_call_output", "message"],
    ]
    assert (items[0].role, items[0].text) == ("system", "Be brief.")
    assert items[1].content == (
        InputText("Is it this one?"),
        InputImage(PIXEL),
        InputImage("https://example.org/a.png"),
    )
    assert (items[3].name, items[3].args, items[3].call_id) == ("sky", {"city": "Oslo"}, "t1")
    assert items[6].output == (InputText("rough"), InputImage(PIXEL))
    assert from_messages(ANTHROPIC, system="Be brief.") == items


def test_they_come_back_to_anthropic_as_they_went_in():
    """Errors of tools among them."""
    assert to_messages(from_messages(ANTHROPIC), api="anthropic") == ANTHROPIC


def test_the_error_of_a_tool_is_kept_in_the_file_and_not_sent():
    """The Responses API has no key for it."""
    with session("anthropic") as opened:
        opened.record(*from_messages(ANTHROPIC))
        sent = opened.to_input(orphans="raise")
        again = to_messages(opened.context, api="anthropic")

    assert "is_error" not in json.dumps(sent)
    assert again == ANTHROPIC


def test_a_response_of_anthropic_is_a_message():
    """The keys around it say nothing to the model."""
    response = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [{"type": "text", "text": "Hello", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 3},
    }

    assert from_messages([Sdk(response)]) == [Message.assistant("Hello")]


# -- to messages -------------------------------------------------------------------------------------------------------


def test_what_another_api_has_no_place_for_is_told():
    """By kind, with its place; the rest is converted."""
    items = [
        Message.system("Be brief."),
        Reasoning("rs_1"),
        Other({"type": "web_search_call", "id": "ws_1"}),
        Other({"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "ls"}),
        FunctionCall("f", "no JSON", "c1"),
        Message("user", [InputImage(PIXEL)]),
    ]
    chat, chat_told = told(lambda: to_messages(items))
    anthropic, anthropic_told = told(lambda: to_messages(items, api="anthropic"))

    assert [message["role"] for message in chat] == ["system", "assistant", "tool", "tool", "user"]
    assert [what for _, what in chat_told] == [
        "an item of the type 'reasoning'",
        "an item of the type 'web_search_call'",
    ]
    assert [message["role"] for message in anthropic] == ["assistant", "user", "user"]
    assert anthropic[0]["content"][0]["input"] == {"input": "ls"}
    assert next(what for _, what in anthropic_told) == "a message of the role 'system'; pass its text as system="
    assert [what for _, what in anthropic_told][-1] == "arguments that are not a JSON object"


def test_an_image_in_an_output_is_told_to_chat_completions():
    """Its tool messages hold only text."""
    call = FunctionCall("f", "{}", "c1")
    made, said = told(lambda: to_messages([call, call.answer([InputText("see"), InputImage(PIXEL)])]))

    assert made[-1]["content"] == [{"type": "text", "text": "see"}]
    assert said == [("items[0]", "an image in the output of a tool")]


def test_a_call_without_an_output_is_closed_kept_or_refused():
    """As by `to_input`."""
    call = FunctionCall("f", "{}", "c1")

    assert "no output" in to_messages([call])[-1]["content"]
    assert len(to_messages([call], orphans="keep")) == 1
    with pytest.raises(OrphanCallError, match="c1"):
        to_messages([call], orphans="raise")
    made, said = told(lambda: to_messages([call.answer("x")]))
    assert (made, said) == ([], [("items[0]", "an output without its call")])


def test_outputs_follow_the_message_with_their_calls():
    """Where another message was between them, the API would refuse them."""
    call, other = FunctionCall("f", "{}", "c1"), FunctionCall("f", "{}", "c2")
    items = [call, Message.assistant("one moment"), other, other.answer("2"), call.answer("1")]

    assert [
        message.get("tool_call_id") or [each["id"] for each in message["tool_calls"]] for message in to_messages(items)
    ] == [["c1"], "c1", ["c2"], "c2"]
    assert [message["role"] for message in to_messages(items, api="anthropic")] == ["assistant", "user"] * 2


@pytest.mark.parametrize(("name", "value"), [("api", "gemini"), ("orphans", "drop")])
def test_a_choice_that_does_not_exist_is_refused(name, value):
    """The error names those that do."""
    with pytest.raises(ValueError, match=f"{name} must be 'c"):
        to_messages([], **{name: value})


# -- any list that can be carried --------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=6)
ARGUMENTS = st.dictionaries(NAMES, st.integers(-9, 9) | TEXTS, max_size=2).map(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
)
IMAGES = st.sampled_from([InputImage(PIXEL), InputImage("https://example.org/a.png")])
INPUTS = st.lists(TEXTS.map(InputText) | IMAGES, min_size=1, max_size=3)


@st.composite
def histories(draw, *, api):
    """Draw a list of items that *api* can carry, with an output after each turn of calls."""
    items: list[Item] = []
    numbers = iter(range(100))
    for _ in range(draw(st.integers(0, 5))):
        what = draw(st.sampled_from(["user", "assistant", "calls"] + ["system", "developer"] * (api == "chat")))
        if what == "user":
            items.append(Message("user", draw(INPUTS)))
        elif what == "assistant":
            items.append(Message.assistant(draw(TEXTS)))
        elif what == "calls":
            calls: list[Item] = []
            for _ in range(draw(st.integers(1, 3))):
                name, call_id = draw(NAMES), f"call_{next(numbers)}"
                if api == "chat" and draw(st.booleans()):
                    custom = {"type": "custom_tool_call", "call_id": call_id, "name": name, "input": draw(TEXTS)}
                    calls.append(CustomToolCall(custom))
                else:
                    calls.append(FunctionCall(name, draw(ARGUMENTS), call_id))
            outputs = TEXTS | (st.lists(TEXTS.map(InputText), min_size=1) if api == "chat" else INPUTS)
            items += [*calls, *(call.answer(draw(outputs)) for call in calls)]
        else:
            items.append(getattr(Message, what)(draw(TEXTS)))
    return items


@given(histories(api="chat"))
@pytest.mark.slow
def test_any_items_come_back_from_chat_completions(items):
    """The same items, in the same order, with nothing told."""
    assert from_messages(to_messages(items)) == items


@given(histories(api="anthropic"))
def test_any_items_come_back_from_anthropic(items):
    """The same items, in the same order, with nothing told."""
    assert from_messages(to_messages(items, api="anthropic")) == items


@given(histories(api="chat"))
def test_any_messages_come_back_from_items(items):
    """The same messages, and their shape is that of the API: each call has its output right after it."""
    messages = to_messages(items)
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting
            waiting = [call["id"] for call in message.get("tool_calls", ())]

    assert not waiting
    assert to_messages(from_messages(messages)) == messages


# -- recorded by mistake -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "api"),
    [
        (CHAT[3], "Chat Completions"),
        (CHAT[4], "Chat Completions"),
        (CHAT[8], "Chat Completions"),
        (CHAT[2], "Chat Completions"),
        ({**CHAT[4], "type": "message"}, "Chat Completions"),
        ({"role": "assistant", "content": "", "refusal": "No."}, "Chat Completions"),
        (CALL, "Chat Completions"),
        (CUSTOM, "Chat Completions"),
        (ANTHROPIC[1], "Anthropic"),
        (ANTHROPIC[2], "Anthropic"),
        (ANTHROPIC[1]["content"][1], "Anthropic"),
        ({"type": "text", "text": "hi"}, "Anthropic"),
        ({"type": "message", "role": "assistant", "content": "hi", "stop_reason": "end_turn"}, "Anthropic"),
    ],
)
@pytest.mark.parametrize("wrap", [dict, Sdk])
def test_a_message_of_another_api_is_not_recorded_as_it_is(value, api, wrap):
    """The error names the API, and the function that converts."""
    with session("chat") as opened:
        with pytest.raises(InvalidItemError, match=rf"{api}.*from_messages\(\["):
            opened.record(wrap(value))

        assert opened.items == []


@pytest.mark.parametrize("value", [{"role": "wizard", "content": "hi"}, {"role": "Xyzzy plugh", "content": "hi"}])
@pytest.mark.parametrize("more", [{}, {"type": "message", "content": []}])
def test_a_role_that_does_not_exist_is_refused(value, more):
    """The error names those that do; a long one may be text of the record."""
    with session("chat") as opened, pytest.raises(InvalidItemError, match="expected user, assistant, sy") as caught:
        opened.record({**value, **more})

    assert "plugh" not in str(caught.value)


# --- of a saved session -----------------------------------------------------------------------------------------------


def test_a_saved_session_as_messages_is_what_the_model_sees(tmp_path):
    """Items that were taken back are not among them; the caller's line is named where values are not carried."""
    with session("trip", home=tmp_path) as trip:
        trip.record({"role": "user", "content": "Hello"}, {"role": "user", "content": "Sorry"})
        trip.take_back()
        trip.record(Reasoning("rs_1", [], encrypted_content="x"), Message.assistant("Hi"))
    saved = load_session(trip.path)

    with pytest.warns(NotCarriedWarning, match="reasoning") as told:
        messages = saved.to_messages()

    assert messages == [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    assert [str(warning.filename) for warning in told] == [__file__]


def thought(text):
    """Return reasoning with *text*."""
    return {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}


def test_reasoning_goes_with_the_message_after_it():
    """Each turn has the reasoning before it, also where calls of one response have reasoning between them."""
    one, two = FunctionCall("sky", "{}", "c1"), FunctionCall("sea", "{}", "c2")
    items = [thought("a"), thought("b"), one, thought("c"), two, one.answer("x"), two.answer("y"), Message.user("?")]

    with pytest.warns(NotCarriedWarning, match=r"items\[8\]: reasoning without a message"):
        messages = to_messages([*items, thought("lost")], reasoning=True)

    assert [message.get("reasoning_content") for message in messages] == ["a\n\nb", None, "c", None, None]
    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant", "tool", "user"]


def test_reasoning_is_for_chat_completions_alone():
    """Anthropic's API takes only reasoning that it signed, so the option is refused."""
    with pytest.raises(ValueError, match="api='chat'"):
        to_messages([], api="anthropic", reasoning=True)
