"""The item that answers a call: of the right kind, from what a tool returned."""

from __future__ import annotations

import pytest

from rolloutlog import FunctionCall, FunctionCallOutput, Item, Message, session, to_input
from rolloutlog._format.coerce import to_item
from rolloutlog._responses.calls import _ANSWERS
from rolloutlog.exceptions import InvalidItemError
from rolloutlog.items import InputImage, InputText, OtherPart

CALL = FunctionCall("weather", "{}", "c1")
EXEC = {"type": "exec", "command": ["ls"]}
SCREENSHOT = {"type": "computer_screenshot", "image_url": "data:image/png;base64,AA"}

# Each call, an output, and the answer without its call id.
ANSWERED = [
    ({"type": "function_call", "name": "f", "arguments": "{}"}, "x", {"type": "function_call_output", "output": "x"}),
    ({"type": "custom_tool_call", "name": "f", "input": "x"}, "x", {"type": "custom_tool_call_output", "output": "x"}),
    (
        {"type": "local_shell_call", "status": "completed", "action": EXEC},
        "x",
        {"type": "function_call_output", "output": "x"},
    ),
    (
        {"type": "shell_call", "action": {"commands": ["ls"], "max_output_length": 9}},
        "x",
        {
            "type": "shell_call_output",
            "output": [{"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
            "max_output_length": 9,
        },
    ),
    (
        {"type": "shell_call", "action": {"commands": ["ls", "cd"]}},
        [{"stdout": "x"}, {"stderr": "no", "outcome": {"type": "timeout"}}],
        {
            "type": "shell_call_output",
            "output": [
                {"stdout": "x", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}},
                {"stdout": "", "stderr": "no", "outcome": {"type": "timeout"}},
            ],
        },
    ),
    (
        {"type": "apply_patch_call", "operation": {}},
        "done",
        {"type": "apply_patch_call_output", "status": "completed", "output": "done"},
    ),
    (
        {"type": "apply_patch_call", "operation": {}},
        {"status": "failed", "output": "no such file"},
        {"type": "apply_patch_call_output", "status": "failed", "output": "no such file"},
    ),
    (
        {"type": "computer_call", "id": "cu_1", "action": {"type": "click"}},
        SCREENSHOT["image_url"],
        {"type": "computer_call_output", "output": SCREENSHOT},
    ),
    (
        {"type": "tool_search_call", "execution": "client", "arguments": {}},
        [{"type": "function", "name": "f"}],
        {
            "type": "tool_search_output",
            "execution": "client",
            "status": "completed",
            "tools": [{"type": "function", "name": "f"}],
        },
    ),
]
REQUEST = to_item({"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "n", "arguments": "{}"})


@pytest.mark.parametrize(("call", "output", "answer"), ANSWERED, ids=[call["type"] for call, _, _ in ANSWERED])
def test_each_call_gets_the_kind_of_answer_that_it_needs(call, output, answer):
    """The answer has the id of the call, and the call is not an orphan any more."""
    call = to_item({**call, "call_id": "c1"})

    made = call.answer(output)

    assert {key: value for key, value in made.to_dict().items() if value is not None} == {**answer, "call_id": "c1"}
    to_input([call, made], orphans="raise")


def test_every_kind_of_call_that_a_caller_answers_is_covered():
    """Programs are answered by the API."""
    assert {call["type"] for call, _, _ in ANSWERED} | {REQUEST.type} == _ANSWERS.keys() - {"program"}


@pytest.mark.parametrize(
    ("given", "answer"),
    [(True, {"approve": True}), ({"approve": False, "reason": "no"}, {"approve": False, "reason": "no"})],
)
def test_an_approval_request_is_answered_by_its_own_id(given, answer):
    """It has no call id."""
    made = REQUEST.answer(given)

    assert made.to_dict() == {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", **answer}


def test_a_local_shell_call_without_a_call_id_is_answered_by_its_own():
    """So older models made them."""
    call = to_item({"type": "local_shell_call", "id": "l1", "status": "completed", "action": EXEC})

    assert call.answer("x").to_dict() == {"type": "local_shell_call_output", "id": "l1", "output": "x"}


@pytest.mark.parametrize(
    ("output", "written"),
    [
        ("text", "text"),
        ("", ""),
        ({"temp": 3, "sky": "klår"}, '{"temp":3,"sky":"klår"}'),
        ([], "[]"),
        ([1, {"type": "x"}], '[1,{"type":"x"}]'),
        (3.5, "3.5"),
        (True, "true"),
        (InputText("x"), [{"type": "input_text", "text": "x"}]),
        ((InputText("x"), InputImage("data:,")), [InputText("x")._to_dict(), InputImage("data:,")._to_dict()]),
        ([OtherPart({"type": "input_file", "file_id": "f"})], [{"type": "input_file", "file_id": "f"}]),
        ([{"type": "input_text", "text": "x"}], [{"type": "input_text", "text": "x"}]),
    ],
)
@pytest.mark.parametrize("call", [CALL, to_item({"type": "custom_tool_call", "call_id": "c1"})], ids=["call", "custom"])
def test_text_stays_text_parts_stay_parts_and_data_becomes_json(call, output, written):
    """So a tool may return what it likes."""
    assert call.answer(output).to_dict()["output"] == written


def test_parts_may_come_from_a_generator():
    """They are read once."""
    parts = (InputText(text) for text in "ab")

    assert FunctionCallOutput.of(CALL, parts) == FunctionCallOutput("c1", [InputText("a"), InputText("b")])


@pytest.mark.parametrize(
    ("call", "output", "message"),
    [
        (CALL, None, "expected text, parts, or plain data .*; got None; a tool without a result needs a text"),
        (CALL, b"x", "got bytes"),
        (CALL, {"x": object()}, "function_call_output.output.x"),
        (CALL, [InputText("x"), "y"], r"output\[1\]: must be one of .*; got str"),
        (Message.user("hi"), "x", "a 'message' is not a call that a caller answers; those are function_call"),
        (to_item({"type": "custom_tool_call", "call_id": None}), "x", "custom_tool_call.call_id: is None"),
        (to_item({"type": "computer_call", "call_id": "c"}), "clicked", "expected a screenshot.*; got str"),
        (to_item({"type": "tool_search_call", "call_id": "c"}), "x", "expected a list of the tools found"),
        (REQUEST, "yes", "expected True, False, or a dict such as .*; got str"),
    ],
)
def test_a_wrong_output_says_what_is_expected(call, output, message):
    """The error says what came, and what to do."""
    with pytest.raises(InvalidItemError, match=message):
        call.answer(output)


def test_the_answer_names_the_program_that_made_the_call():
    """The API needs the ``caller`` in the output, too."""
    caller = {"type": "program", "caller_id": "p1"}
    call = to_item({"type": "custom_tool_call", "call_id": "c1", "name": "n", "input": "x", "caller": caller})

    assert call.answer("x").to_dict()["caller"] == caller


@pytest.mark.parametrize("call", [to_item({"type": "custom_tool_call", "call_id": "c1"}), {"call_id": "c1"}])
def test_a_function_call_output_answers_no_other_kind(call):
    """The error names the method that does."""
    with pytest.raises(InvalidItemError, match=r"expected a FunctionCall or a LocalShellCall; got .*session.answer\("):
        FunctionCallOutput.of(call, "x")


def test_the_loop_after_a_kill_answers_every_call():
    """Each orphan is answered once, and the next run has none."""

    def run(call: Item) -> object:
        return [] if call.type == "tool_search_call" else SCREENSHOT if call.type == "computer_call" else "done"

    with session("loop") as opened:
        opened.record(*[{**call, "call_id": f"c{number}"} for number, (call, _, _) in enumerate(ANSWERED)])
        for call in opened.orphan_calls:
            opened.answer(call, run(call))
    with session("loop") as again:
        assert again.orphan_calls == []
        assert len(again.items) == 2 * len(ANSWERED)


def test_a_call_of_an_sdk_or_a_dict_can_be_answered():
    """The call is given as it would be to record()."""
    with session("dict") as opened:
        call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"}
        opened.record(call)
        opened.answer(call, {"temp": 3})

        assert opened.items[-1] == FunctionCallOutput("c1", '{"temp":3}')
