"""Items as input for an API: no nulls, no keys of ours, and no call or reasoning without its counterpart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import items

import rolloutlog
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
    """The input is wire dicts, in order, without nulls, and without an id that no reasoning led to."""
    assert to_input([HELLO, THOUGHT, CALL, OUTPUT, ANSWER]) == [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "id": "fc_1", "name": "weather", "arguments": "{}", "call_id": "call_1"},
        {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
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
        Message("assistant", [OutputText("x")], id="msg_1", extra={"phase": "final_answer"}),
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
    assert taken(SEARCHED, later, output, {**output, "id": "tso_2"})[:2] == [
        "tool_search_call tsc_1",
        "tool_search_call tsc_2",
    ]


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


@pytest.mark.parametrize("orphans", ["close", "raise"])
def test_an_output_before_its_call_is_put_after_it(orphans):
    """Threads can record them in this order. The real output answers the call."""
    sent = to_input([HELLO, OUTPUT, THOUGHT, CALL, HELLO], orphans=orphans)

    assert [raw["type"] for raw in sent[1:4]] == ["reasoning", "function_call", "function_call_output"]
    assert sent[3]["output"] == "sunny"
    assert orphan_calls([OUTPUT, CALL]) == []


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
    """By its id the API would know that the reasoning is missing. Later reasoning ends that."""
    later = Reasoning("rs_2", ())

    assert [raw.get("id") for raw in to_input([THOUGHT, SCREEN, CALL, OUTPUT, ANSWER])] == [None, None, None]
    assert [raw.get("id") for raw in to_input([THOUGHT, SCREEN, later, CALL, OUTPUT])] == ["rs_2", "fc_1", None]


@pytest.mark.parametrize("said", ["additional_tools", "configuration_update", "compaction_trigger"])
def test_what_is_said_to_the_model_did_not_come_of_its_reasoning(said):
    """This includes the newer kinds."""
    assert taken(HELLO, THOUGHT, {"type": said, "id": "at_1"}) == ["message user", f"{said} at_1"]


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


@pytest.mark.parametrize(
    ("kind", "item_id"),
    [("web_search_call", "ws_1"), ("mcp_approval_request", "mcpr_1"), ("item_reference", "msg_1"), ("program", "x_1")],
)
def test_ids_that_the_api_requires_stay(kind, item_id):
    """No other key has their meaning."""
    item = {"type": kind, "id": item_id}

    assert to_input([item], orphans="keep", ids=False) == [item]


@pytest.mark.parametrize("item_id", [None, "", "x", "msg_1", "ws_", "ws_ 1", "ws_" + "1" * 62])
def test_a_call_without_the_id_that_the_api_requires_is_left_out(item_id):
    """Older releases of Codex wrote none. The API takes no web search without its id."""
    given = {key: held for key, held in {"type": "web_search_call", "id": item_id}.items() if held is not None}

    assert to_input([HELLO, given, HELLO], orphans="keep") == to_input([HELLO, HELLO])


@pytest.mark.parametrize(
    "item_id",
    [
        "review_rollout_assistant",
        "chatcmpl-77aa",
        "0b6c",
        "",
        "msg_",
        "msg-proxy 2",
        "msg_é",
        "rs_1",
        "msg_" + "1" * 61,
    ],
)
@pytest.mark.parametrize("orphans", ["close", "keep"])
def test_an_id_that_no_responses_api_gave_is_left_out(item_id, orphans):
    """It lacks the prefix of its kind, has that of another, or is too long; the message itself is sent."""
    (sent,) = to_input([Message("assistant", [OutputText("yes")], id=item_id)], orphans=orphans)

    assert sent == {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]}


@pytest.mark.parametrize("item_id", ["fc_1", "x", "msg_2"])
def test_an_id_of_a_kind_whose_prefix_is_not_known_has_a_prefix_of_its_own(item_id):
    """So that a kind that is new tomorrow keeps its id."""
    (sent,) = to_input([{"type": "hologram_call", "id": item_id}])

    assert "id" not in sent
    assert to_input([{"type": "hologram_call", "id": "hc_1"}]) == [{"type": "hologram_call", "id": "hc_1"}]


def test_what_codex_keeps_for_itself_is_left_out():
    """Its notes on each item, and its snapshots; an older name of a compaction becomes the API's."""
    notes = {"internal_chat_message_metadata_passthrough": {"turn_id": "t"}}
    items = [{**item.to_dict(), **notes} for item in (HELLO, THOUGHT, CALL, OUTPUT)]
    snapshot = {"type": "ghost_snapshot", "ghost_commit": {"id": "abc"}}
    summary = {"type": "compaction_summary", "encrypted_content": "x"}

    assert to_input([*items, snapshot]) == to_input([HELLO, THOUGHT, CALL, OUTPUT])
    assert to_input([summary]) == [{"type": "compaction", "encrypted_content": "x"}]


# --- call ids ---------------------------------------------------------------------------------------------------------


def test_long_call_ids_are_shortened_alike_in_call_and_output():
    """Ids that differ at their end alone stay different, and each output still answers its call."""
    ids = ["search-" + "a" * 80 + end for end in "12"]
    calls = [FunctionCall("f", "{}", call_id) for call_id in ids]
    outputs = [FunctionCallOutput(call_id, call_id[-1]) for call_id in reversed(ids)]

    sent = to_input([*calls, *outputs], orphans="raise")

    assert max(len(raw["call_id"]) for raw in sent) == 64
    assert sent[0]["call_id"] != sent[1]["call_id"]
    assert [raw["call_id"] for raw in sent[:2]] == [raw["call_id"] for raw in reversed(sent[2:])]


def test_the_call_id_of_a_program_is_shortened_where_its_calls_name_it():
    """They name it as their caller."""
    program = {**PROGRAM.to_dict(), "call_id": "p" * 65}
    call = {**CALL.to_dict(), "caller": {"type": "program", "caller_id": "p" * 65}}

    sent = to_input([program, call, OUTPUT])

    assert sent[0]["call_id"] == sent[1]["caller"]["caller_id"]
    assert len(sent[0]["call_id"]) == 64


@pytest.mark.parametrize("length", [0, 1, 64, 65])
def test_call_ids_have_one_to_64_characters(length):
    """The API takes no empty one."""
    (sent,) = to_input([FunctionCall("f", "{}", "a" * length)], orphans="keep")

    assert 1 <= len(sent["call_id"]) <= 64
    assert length not in (1, 64) or sent["call_id"] == "a" * length


# --- reasoning as text ------------------------------------------------------------------------------------------------

TEXT = {"content": [{"type": "reasoning_text", "text": "hm"}]}


def test_reasoning_is_sent_without_its_text():
    """OpenAI's API refuses a text there. Reasoning that is a text alone is left out, and what it led to has no id."""
    encrypted = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gA"}
    plain = {"type": "reasoning", "id": "rs_1", "summary": []}

    assert to_input([{**encrypted, **TEXT}, ANSWER])[0] == encrypted
    assert [(raw["type"], raw.get("id")) for raw in to_input([{**plain, **TEXT}, ANSWER])] == [("message", None)]
    assert to_input([{**plain, **TEXT}], orphans="keep") == []


def test_reasoning_is_sent_as_text_where_that_is_asked_for():
    """Some providers take it."""
    plain = {"type": "reasoning", "id": "rs_1", "summary": [], **TEXT}

    assert to_input([plain, ANSWER], reasoning="text")[0] == plain
    with pytest.raises(ValueError, match="'encrypted' or 'text'"):
        to_input([], reasoning="both")


# --- twice, and lost in the middle ------------------------------------------------------------------------------------


def test_what_was_recorded_twice_is_sent_once():
    """By its id; a call also by its call id while it waits; and one output a call."""
    once = [HELLO, THOUGHT, CALL, OUTPUT]

    assert to_input([HELLO, ANSWER, ANSWER]) == to_input([HELLO, ANSWER])
    assert to_input([HELLO, THOUGHT, THOUGHT, CALL, CALL, OUTPUT, OUTPUT]) == to_input(once)
    assert to_input([HELLO, THOUGHT, CALL, FunctionCall("weather", "{}", "call_1"), OUTPUT]) == to_input(once)
    assert to_input([*once, *once[1:]], orphans="raise") == to_input(once)
    assert orphan_calls([CALL, CALL, OUTPUT]) == []
    assert orphan_calls([CALL, CALL]) == [CALL]


def test_a_call_that_the_model_made_again_stays_with_its_reasoning():
    """It has the call id of one that was never answered, and an id of its own."""
    again = FunctionCall("weather", "{}", "call_1", id="fc_2")

    assert taken(CALL, THOUGHT, again, OUTPUT)[2:] == [
        "reasoning rs_1",
        "function_call call_1",
        "function_call_output call_1",
    ]


def test_other_content_with_the_id_of_an_item_before_it_is_sent_without():
    """A server that numbers badly costs no message."""
    sent = to_input([ANSWER, Message("assistant", [OutputText("no")], id="msg_1")])

    assert [(raw["content"][0]["text"], raw.get("id")) for raw in sent] == [("yes", "msg_1"), ("no", None)]


def test_what_lost_its_reasoning_has_no_id():
    """Other reasoning shows that the model reasons."""
    answered = [Reasoning("rs_2", ()), ANSWER]

    assert [raw.get("id") for raw in to_input([HELLO, CALL, OUTPUT, *answered])] == [None, None, None, "rs_2", "msg_1"]


def test_reasoning_whose_call_was_lost_is_left_out():
    """The output that has no call shows it: what is left of that answer has no id."""
    other, output = FunctionCall("f", "{}", "call_9", id="fc_9"), FunctionCallOutput("call_9", "x")

    assert taken(HELLO, THOUGHT, OUTPUT, Reasoning("rs_2", ()), ANSWER) == [
        "message user",
        "reasoning rs_2",
        "message msg_1",
    ]
    assert [raw.get("id") for raw in to_input([THOUGHT, other, OUTPUT, output])] == [None, None]


def test_a_session_sends_no_id_that_no_reasoning_led_to(home):
    """A hook may leave all reasoning out of the file; the items do not show that."""

    def no_thoughts(record):
        return None if record.get("type") == "reasoning" else record

    with rolloutlog.session("redacted", redact=no_thoughts) as session:
        session.record(HELLO, THOUGHT, CALL, OUTPUT, Reasoning("rs_2", ()), ANSWER)
        live = session.to_input()

    assert live == rolloutlog.load_session(session.path).to_input()
    assert [raw["type"] for raw in live] == ["message", "function_call", "function_call_output", "message"]
    assert not any("id" in raw for raw in live)


# One item of each kind that matters.
_ANY = [HELLO, ANSWER, THOUGHT, CALL, OUTPUT, SHELL, CUSTOM, SEARCH, SCREEN, PROGRAM, SEARCHED, HOSTED, APPROVAL]


@given(st.lists(st.sampled_from(_ANY), max_size=8))
def test_a_closed_input_has_no_orphans(recorded):
    """Closing twice changes nothing, and only items that must be left out are missing."""
    closed = to_input(recorded)

    assert to_input(closed, orphans="keep") == closed
    to_input(closed, orphans="raise")  # which would say what is wrong
    said = [item for item in recorded if item is HELLO or item is ANSWER]
    if ANSWER in said:  # an answer has an id, and is sent once
        first = said.index(ANSWER)
        said = [*said[: first + 1], *(item for item in said[first:] if item is HELLO)]
    assert [raw["content"] for raw in closed if raw["type"] == "message"] == [
        item.to_dict()["content"] for item in said
    ]


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
    """Ids are not unique in practice: another call can have the same one."""
    other = FunctionCall("time", "{}", "call_1")

    assert taken(other, CALL, OUTPUT) == [
        "function_call call_1",
        "function_call_output! call_1",
        "function_call call_1",
        "function_call_output call_1",
    ]
