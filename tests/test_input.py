"""Items as input for an API: no nulls, no keys of ours, and no call or reasoning without its counterpart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import items

from rolloutlog._responses.calls import NO_OUTPUT
from rolloutlog._responses.input import orphan_calls, to_input
from rolloutlog.exceptions import InvalidItemError, OrphanCallError
from rolloutlog.items import (
    ExecAction,
    FunctionCall,
    FunctionCallOutput,
    InputText,
    LocalShellCall,
    Message,
    Other,
    OutputText,
    Reasoning,
    SummaryText,
)

HELLO = Message.user("hi")
ANSWER = Message("assistant", [OutputText("yes")], id="msg_1")
THOUGHT = Reasoning("rs_1", [SummaryText("hm")])
CALL = FunctionCall("weather", "{}", "call_1", id="fc_1")
OUTPUT = FunctionCallOutput("call_1", "sunny")
SHELL = LocalShellCall("lsh_1", "call_2", "completed", ExecAction(["ls"]))
CUSTOM = Other({"type": "custom_tool_call", "call_id": "call_3", "name": "patch", "input": "x"})
SEARCH = Other({"type": "web_search_call", "id": "ws_1", "status": "completed"})
PROGRAM = Other({"type": "program", "id": "pg_1", "call_id": "call_p", "code": "", "fingerprint": "x"})
SEARCHED = Other({"type": "tool_search_call", "id": "tsc_1", "call_id": None, "execution": "server", "arguments": {}})
HOSTED = Other({"type": "shell_call", "call_id": "call_5", "environment": {"type": "container_reference"}})
APPROVAL = Other({"type": "mcp_approval_request", "id": "mcpr_1", "name": "f", "server_label": "s", "arguments": "{}"})
SCREEN = Other({"type": "computer_call", "id": "cu_1", "call_id": "call_4", "action": {"type": "screenshot"}})


def taken(*items, orphans="close"):
    """Return the input for *items* as a list of short names."""
    return [short(raw) for raw in to_input(items, orphans=orphans)]


def short(raw):
    """Return a short name for a wire dict: its type, and an id or text that identifies it."""
    marked = "!" if raw.get("output") == NO_OUTPUT else ""
    return f"{raw['type']}{marked} {raw.get('call_id') or raw.get('id') or raw.get('role')}"


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_session_becomes_what_the_api_takes():
    """The input is wire dicts, in order, without the nulls that a rollout holds."""
    assert to_input([HELLO, THOUGHT, CALL, OUTPUT, ANSWER]) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "id": "fc_1", "name": "weather", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
    ]


def test_empty_lists_stay():
    """The API refuses reasoning without a summary, but accepts an empty one."""
    assert to_input([Reasoning("rs_1", ()), ANSWER])[0] == {"type": "reasoning", "id": "rs_1", "summary": []}


def test_nulls_inside_an_item_are_left_out_too():
    """For example those of a shell action."""
    action = to_input([SHELL], orphans="keep")[0]["action"]

    assert action == {"type": "exec", "command": ["ls"]}


@given(st.lists(st.one_of([items]), max_size=3))
def test_no_key_of_ours_holds_none(made):
    """This holds for every kind, for the item and for its parts."""
    for raw in to_input(made, orphans="keep"):
        assert None not in raw.values()
        for part in raw["content"] if isinstance(raw.get("content"), list) else ():
            assert not isinstance(part, dict) or part.get("text", "") is not None


def test_what_an_item_holds_besides_is_kept():
    """The phase of a message, the encrypted content of reasoning, and outputs that are lists remain."""
    items = [
        Reasoning("rs_1", (), encrypted_content="gAAA"),
        Message("assistant", [OutputText("x")], id="m", extra={"phase": "final_answer"}),
        CALL,
        FunctionCallOutput("call_1", [InputText("a"), InputText("b")]),
    ]

    assert [json.dumps(raw) for raw in to_input(items)] == [
        json.dumps({key: value for key, value in item.to_dict().items() if value is not None}) for item in items
    ]


def test_what_can_be_recorded_can_be_an_input():
    """The short message, wire dicts and items can be mixed."""
    mixed = [{"role": "user", "content": "hi"}, ANSWER.to_dict(), CALL, OUTPUT, Other()]

    assert to_input(mixed) == to_input([HELLO, ANSWER, CALL, OUTPUT])


def test_what_cannot_be_recorded_is_an_error():
    """The error names the place."""
    with pytest.raises(InvalidItemError, match=r"message\.content: is missing"):
        to_input([{"role": "user"}])


def test_the_input_is_the_callers_own():
    """Changing the input does not change an item."""
    item = Message("user", [InputText("hi")], extra={"metadata": {"a": [1]}})

    (raw,) = to_input([item])
    raw["content"].clear()

    assert item == Message("user", [InputText("hi")], extra={"metadata": {"a": [1]}})


# --- orphans ----------------------------------------------------------------------------------------------------------


def test_an_orphaned_call_is_answered_right_after_it():
    """Its output follows it and says that there was none."""
    assert to_input([HELLO, CALL, HELLO])[1:3] == [
        {"type": "function_call", "id": "fc_1", "name": "weather", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": NO_OUTPUT},
    ]


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (CALL, {"type": "function_call_output", "call_id": "call_1", "output": NO_OUTPUT}),
        (SHELL, {"type": "function_call_output", "call_id": "call_2", "output": NO_OUTPUT}),
        (CUSTOM, {"type": "custom_tool_call_output", "call_id": "call_3", "output": NO_OUTPUT}),
        (
            LocalShellCall("lsh_1", None, "completed", ExecAction(["ls"])),
            {"type": "local_shell_call_output", "id": "lsh_1", "output": NO_OUTPUT},
        ),
        (
            Other({"type": "apply_patch_call", "call_id": "c", "operation": {}}),
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": NO_OUTPUT},
        ),
        (
            Other({"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}}),
            {
                "type": "shell_call_output",
                "call_id": "c",
                "output": [{"stdout": "", "stderr": NO_OUTPUT, "outcome": {"type": "exit", "exit_code": 1}}],
            },
        ),
        (
            Other({"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {}}),
            {
                "type": "tool_search_output",
                "call_id": "c",
                "execution": "client",
                "status": "incomplete",
                "tools": [],
            },
        ),
        (
            APPROVAL,
            {
                "type": "mcp_approval_response",
                "approval_request_id": "mcpr_1",
                "approve": False,
                "reason": NO_OUTPUT,
            },
        ),
    ],
)
def test_each_kind_of_call_has_its_kind_of_answer(call, answer):
    """A local shell call gets the same output as from Codex; an approval request is answered with no."""
    assert to_input([call])[1] == answer
    assert orphan_calls([call]) == [call]


def test_an_answer_names_the_caller_of_its_call():
    """The model's program that made the call waits for the output."""
    caller = {"type": "program", "caller_id": "call_p"}
    calls = [FunctionCall("f", "{}", "call_1", extra={"caller": caller}), Other({**CUSTOM.to_dict(), "caller": caller})]

    assert [raw["caller"] for raw in to_input([PROGRAM, *calls])[1:]] == [caller] * 4
    assert FunctionCallOutput.of(calls[0], "x").extra == {"caller": caller}
    assert FunctionCallOutput.of(CALL, "x").extra == {}


@pytest.mark.parametrize("call", [SCREEN, LocalShellCall(None, None, "completed", ExecAction(["ls"]))])
def test_a_call_that_no_text_can_answer_is_left_out(call):
    """A screenshot cannot be invented, and no output can answer a call without an id."""
    assert taken(HELLO, call, HELLO) == ["message user", "message user"]


@pytest.mark.parametrize("call", [PROGRAM, SEARCHED, HOSTED], ids=lambda call: call.type)
def test_a_call_that_the_api_would_have_answered_is_left_out(call):
    """Its output comes in the same response, whose end was lost. So it needs no output of ours."""
    assert taken(HELLO, THOUGHT, call, HELLO) == ["message user", "message user"]
    assert orphan_calls([call]) == []
    with pytest.raises(OrphanCallError):
        to_input([call], orphans="raise")


def test_a_program_that_waits_for_a_tool_stays():
    """The program continues in a later response, and so do the tools of the API that it calls."""
    caller = {"type": "program", "caller_id": "call_p"}
    call = FunctionCall("f", "{}", "call_1", extra={"caller": caller})
    hosted = Other({**HOSTED.to_dict(), "caller": caller})

    assert taken(PROGRAM, call, OUTPUT) == [
        "program call_p",
        "function_call call_1",
        "function_call_output call_1",
    ]
    assert taken(PROGRAM, hosted) == ["program call_p", "shell_call call_5"]


@pytest.mark.parametrize(
    ("call", "output"),
    [
        (PROGRAM, {"type": "program_output", "id": "po_1", "call_id": "call_p", "result": "", "status": "completed"}),
        (SEARCHED, {"type": "tool_search_output", "id": "tso_1", "call_id": None, "tools": []}),
        (HOSTED, {"type": "shell_call_output", "id": "sho_1", "call_id": "call_5", "output": []}),
        (APPROVAL, {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}),
    ],
    ids=lambda value: value.type if isinstance(value, Other) else "",
)
def test_a_call_and_its_output_stay(call, output):
    """Also if the API produced the output, and if the two have no call id in common."""
    assert len(to_input([HELLO, call, output], orphans="raise")) == 3
    assert orphan_calls([call, Other(output)]) == []


def test_of_searches_without_ids_the_one_that_a_kill_tore_is_left_out():
    """The output belongs to the later search."""
    output = {"type": "tool_search_output", "id": "tso_1", "call_id": None, "tools": []}
    later = Other({**SEARCHED.to_dict(), "id": "tsc_2"})

    assert taken(SEARCHED, later, output) == ["tool_search_call tsc_2", "tool_search_output tso_1"]
    assert taken(SEARCHED, later, output, output)[:2] == ["tool_search_call tsc_1", "tool_search_call tsc_2"]


def test_an_approval_without_a_request_is_left_out():
    """The API requires the request."""
    assert taken({"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}, HELLO) == [
        "message user"
    ]


def test_to_compact_is_asked_for_at_the_end_alone():
    """After a compaction, the API refuses a trigger that comes before other items."""
    trigger, compacted = Other({"type": "compaction_trigger"}), Other({"type": "compaction", "encrypted_content": "x"})

    assert [raw["type"] for raw in to_input([HELLO, trigger])] == ["message", "compaction_trigger"]
    assert [raw["type"] for raw in to_input([HELLO, trigger, compacted])] == ["message", "compaction"]


def test_calls_made_at_once_are_answered_one_by_one():
    """Each output comes after its call, whichever of the calls have outputs."""
    other = FunctionCall("weather", "{}", "call_9")

    assert taken(other, CALL, OUTPUT) == [
        "function_call call_9",
        "function_call_output! call_9",
        "function_call call_1",
        "function_call_output call_1",
    ]


def test_an_output_without_its_call_is_left_out():
    """The API refuses an output without a call."""
    assert taken(HELLO, OUTPUT, ANSWER) == ["message user", "message msg_1"]


def test_an_output_before_its_call_does_not_answer_it():
    """Only an output after the call answers it."""
    assert taken(OUTPUT, CALL) == ["function_call call_1", "function_call_output! call_1"]


def test_an_output_of_another_kind_does_not_answer_a_call():
    """The API matches calls and outputs by kind."""
    custom = Other({"type": "custom_tool_call_output", "call_id": "call_1", "output": "x"})

    assert taken(CALL, custom) == ["function_call call_1", "function_call_output! call_1"]


@pytest.mark.parametrize(
    "output",
    [
        FunctionCallOutput("call_2", "x"),
        Other({"type": "local_shell_call_output", "id": "call_2", "output": "x"}),
        Other({"type": "local_shell_call_output", "call_id": "call_2", "output": "x"}),
        Other({"type": "local_shell_call_output", "id": "lsh_1", "output": "x"}),
    ],
)
def test_a_local_shell_call_may_be_answered_in_several_ways(output):
    """By Codex's own kind of output, or by the API's kind, which names the call by its id."""
    assert len(to_input([SHELL, output])) == 2
    assert orphan_calls([SHELL, output]) == []


def test_calls_that_the_api_answers_itself_need_nothing():
    """A web search needs no output of ours."""
    assert taken(HELLO, SEARCH, ANSWER) == ["message user", "web_search_call ws_1", "message msg_1"]


@pytest.mark.parametrize("behind", [[], [HELLO], [THOUGHT], [OUTPUT], [THOUGHT, HELLO]])
def test_reasoning_without_the_item_that_it_led_to_is_left_out(behind):
    """At the end, where a session was killed, and before the message with which it was resumed."""
    assert not any(name.startswith("reasoning") for name in taken(HELLO, THOUGHT, *behind))


@pytest.mark.parametrize("behind", [ANSWER, CALL, SHELL, CUSTOM, SEARCH])
def test_reasoning_stays_before_the_item_that_it_led_to(behind):
    """A message of the model, or a call of any kind, follows it."""
    assert taken(HELLO, THOUGHT, behind)[1] == "reasoning rs_1"


def test_several_thoughts_before_one_answer_all_stay():
    """Real sessions hold three reasoning items in a row."""
    assert taken(THOUGHT, Reasoning("rs_2", ()), ANSWER) == ["reasoning rs_1", "reasoning rs_2", "message msg_1"]


def test_reasoning_before_a_call_that_is_left_out_goes_with_it():
    """The API must accept the rest as a whole."""
    assert taken(HELLO, THOUGHT, SCREEN) == ["message user"]


def test_items_after_reasoning_that_is_left_out_have_no_id():
    """By its id the API would know that the reasoning is missing. Later reasoning or a message ends that."""
    later = Reasoning("rs_2", ())

    assert [raw.get("id") for raw in to_input([THOUGHT, SCREEN, CALL, OUTPUT, ANSWER])] == [None, None, "msg_1"]
    assert [raw.get("id") for raw in to_input([THOUGHT, SCREEN, later, CALL, OUTPUT])] == ["rs_2", "fc_1", None]


@pytest.mark.parametrize("said", ["additional_tools", "configuration_update", "compaction_trigger"])
def test_what_is_said_to_the_model_did_not_come_of_its_reasoning(said):
    """This includes the newer kinds."""
    assert taken(HELLO, THOUGHT, {"type": said, "id": "x"}) == ["message user", f"{said} x"]


# --- ids --------------------------------------------------------------------------------------------------------------


def test_without_ids_calls_and_outputs_still_belong_together():
    """An API that stored nothing gets no ids that it would have to look up."""
    recorded = [
        HELLO,
        Reasoning("rs_1", (), encrypted_content="x"),
        CALL,
        OUTPUT,
        ANSWER,
        Other({**CUSTOM.to_dict(), "id": "y"}),
    ]

    made = to_input(recorded, ids=False)

    assert not any("id" in raw for raw in made)
    assert [raw.get("call_id") for raw in made] == [None, None, "call_1", "call_1", None, "call_3", "call_3"]
    assert to_input(recorded) != made


@pytest.mark.parametrize("orphans", ["close", "keep", "raise"])
def test_without_ids_reasoning_that_says_nothing_else_is_left_out(orphans):
    """A summary or an encrypted text is useful; an id alone needs the API that stored the text."""
    kept = [THOUGHT, Reasoning("rs_2", (), encrypted_content="x")]

    made = to_input([Reasoning("rs_0", ()), *kept, ANSWER], orphans=orphans, ids=False)

    assert [raw["type"] for raw in made] == ["reasoning", "reasoning", "message"]
    assert made[0]["summary"]


@pytest.mark.parametrize("kind", ["web_search_call", "mcp_approval_request", "item_reference", "program"])
def test_ids_that_the_api_requires_stay(kind):
    """No other key has their meaning."""
    assert to_input([{"type": kind, "id": "x_1"}], orphans="keep", ids=False) == [{"type": kind, "id": "x_1"}]


# One item of each kind that matters.
_ANY = [HELLO, ANSWER, THOUGHT, CALL, OUTPUT, SHELL, CUSTOM, SEARCH, SCREEN, PROGRAM, SEARCHED, HOSTED, APPROVAL]


@given(st.lists(st.sampled_from(_ANY), max_size=8))
def test_a_closed_input_has_no_orphans(recorded):
    """Closing twice changes nothing, and only items that must be left out are missing."""
    closed = to_input(recorded)

    assert to_input(closed, orphans="raise") == closed == to_input(closed, orphans="keep")
    assert [raw for raw in closed if raw["type"] == "message"] == to_input(
        [item for item in recorded if isinstance(item, Message)], orphans="keep"
    )


@pytest.mark.parametrize("item", [CALL, OUTPUT, THOUGHT, SHELL])
def test_keep_changes_nothing(item):
    """For callers that handle orphans themselves."""
    assert len(to_input([HELLO, item], orphans="keep")) == 2


@pytest.mark.parametrize(
    ("recorded", "ids"),
    [
        ([CALL], ("call_1",)),
        ([OUTPUT], ("call_1",)),
        ([HELLO, THOUGHT], ("rs_1",)),
        ([SHELL, CALL, OUTPUT, THOUGHT], ("call_2", "rs_1")),
    ],
)
def test_raise_says_which(recorded, ids):
    """The error lists the ids, in order."""
    with pytest.raises(OrphanCallError) as caught:
        to_input(recorded, orphans="raise")

    assert caught.value.call_ids == ids


def test_raise_does_not_raise_when_all_is_well():
    """It returns the input."""
    assert len(to_input([HELLO, THOUGHT, CALL, OUTPUT, ANSWER], orphans="raise")) == 5


def test_another_word_is_an_error():
    """The error names the three choices."""
    with pytest.raises(ValueError, match="'close', 'keep' or 'raise'"):
        to_input([], orphans="drop")


def test_orphan_calls_are_the_calls_without_an_output():
    """They are in order, without outputs and reasoning."""
    assert orphan_calls([OUTPUT, SHELL, THOUGHT, CUSTOM, CALL, OUTPUT]) == [SHELL, CUSTOM]


def test_of_two_calls_with_one_id_the_later_is_answered():
    """Ids are not unique in practice: a call that was made again has the same id."""
    assert taken(CALL, CALL, OUTPUT) == [
        "function_call call_1",
        "function_call_output! call_1",
        "function_call call_1",
        "function_call_output call_1",
    ]
