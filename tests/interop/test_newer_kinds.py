"""The kinds of items that came after the flat format: we read all of the newest release's, and it sends ours."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest
from codex import Codex, in_custom_tool, in_function, says, session_id, thinks
from expected import as_input, expected_history, history, items_in, our_input, said, text_of
from model_server import Item
from ours import create
from samples import assistant, call, output, picture, place, reasoning, user

from rolloutlog import RolloutRecorder, load_session

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"
WHEN = "2025-07-23T15:03:26.000Z"
# With this model, the newest release offers its tools one by one. Other models call the tools from a script.
ONE_BY_ONE = ["-m", "gpt-5.5"]
PATCH = "*** Begin Patch\n*** Add File: new.txt\n+naïve ☀\n*** End Patch"
SEARCH = {"type": "tool_search_call", "id": "tsc_1", "call_id": "call_search", "execution": "client"}


def web(number: int, **keys: object) -> Item:
    """Return a web search that the model's API ran."""
    return {"type": "web_search_call", "id": f"ws_{number}", "status": "completed", "action": keys}


# The model's output in each reply: a call of each kind of tool, and items that its API made.
REPLIES: list[list[Item]] = [
    [
        thinks("look first"),
        {**says("I begin", "msg_begin"), "phase": "commentary"},
        in_custom_tool("apply_patch", PATCH, "call_patch"),
    ],
    [in_function("view_image", {"path": "picture.png"}, "call_view"), in_function("get_goal", {}, "call_goal")],
    [{**SEARCH, "status": "completed", "arguments": {"query": "add numbers", "limit": 3}}],
    [{**in_function("add", {"a": 1, "b": 2}, "call_add"), "namespace": "mcp__sums"}],
    [
        web(1, type="search", query="rome", queries=["rome", "roma"]),
        web(2, type="open_page", url="https://example.org"),
        web(3, type="find_in_page", url="https://example.org", pattern="x"),
        {
            "type": "image_generation_call",
            "id": "ig_1",
            "status": "completed",
            "revised_prompt": "a dot",
            "result": picture().partition(",")[2],
        },
        {"type": "reasoning", "id": "rs_raw", "summary": [], "content": [{"type": "reasoning_text", "text": "raw"}]},
        in_function("no_such_tool", {}, "call_none"),
        in_custom_tool("no_such_tool", "x", "call_none_either"),
        {**in_function("exec_command", {}, "call_odd"), "arguments": "{no json"},
    ],
    [in_function("create_goal", {"objective": "be good"}, "call_create")],
    [in_function("update_goal", {"status": "complete"}, "call_update")],
    [{"type": "compaction", "id": "cmp_1", "encrypted_content": "c2Vh"}, {**says("the end"), "phase": "final_answer"}],
]
KINDS = {
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
    "image_generation_call",
    "compaction",
}


def with_every_tool(codex: Codex) -> Path:
    """Have *codex* record a turn in which the model uses each tool, including one of an MCP server."""
    (codex.workdir / "picture.png").write_bytes(base64.b64decode(picture().partition(",")[2]))
    server = str(Path(__file__).with_name("mcp_server.py"))
    table = f'mcp_servers.sums={{command={json.dumps(sys.executable)}, args=["-I", {json.dumps(server)}]}}'
    before = set(codex.rollouts())
    outcome = codex.run([*ONE_BY_ONE, "-c", table, "--image=picture.png"], "look at it", REPLIES)
    assert outcome.returncode == 0, outcome.stderr
    (made,) = set(codex.rollouts()) - before
    return made


def test_every_kind_of_item_that_the_newest_records_is_read(newest: Codex) -> None:
    """Nothing is skipped, each item is written again as it was, and our input equals the one that Codex sends."""
    rollout = with_every_tool(newest)
    saved, theirs = load_session(rollout), items_in(rollout, newest.release)
    ours = expected_history(newest.release, list(map(our_input, saved.to_input(orphans="keep", reasoning="text"))))

    outcome = newest.run([*ONE_BY_ONE, "resume", session_id(rollout)], PROMPT, [[says("Resumed.")]])

    assert {item.type for item in saved.items} == KINDS
    assert (saved.skipped, [item.to_dict() for item in saved.items]) == ([], theirs)
    # For this model the instructions are sent first; they are not an item, but are in the meta, apart from details.
    instructions, *sent = map(as_input, history(newest.release, outcome.requests[0], PROMPT))
    assert text_of(instructions)[:1000] == saved.session.extra["base_instructions"]["text"][:1000]
    assert ours == sent


OF_OURS: list[Item] = [
    user("look"),
    {**call("call_1"), "namespace": "mcp__sums"},
    {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": [{"type": "input_text", "text": "3"}, {"type": "input_image", "image_url": picture()}],
    },
    in_custom_tool("apply_patch", PATCH, "call_2"),
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
    in_custom_tool("exec", "text(1)", "call_3"),
    {"type": "custom_tool_call_output", "call_id": "call_3", "output": [{"type": "input_text", "text": "1"}]},
    {**SEARCH, "status": "completed", "arguments": {"query": "add", "limit": None}},
    {
        "type": "tool_search_output",
        "id": "tso_1",
        "call_id": "call_search",
        "execution": "client",
        "status": "completed",
        "tools": [{"type": "function", "name": "f", "strict": False, "parameters": {"type": "object"}}],
    },
    *REPLIES[4][:4],
    {
        "type": "agent_message",
        "id": "amsg_1",
        "author": "/root/a",
        "recipient": "/root",
        "content": [
            {"type": "input_text", "text": "seven"},
            {"type": "encrypted_content", "encrypted_content": "c2Vh"},
        ],
    },
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "c2Vh"},
    {"type": "context_compaction", "id": "cmp_2", "encrypted_content": "c2Vh"},
    {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [{"type": "custom", "name": "exec"}]},
    assistant("on it", id="msg_1", phase="commentary"),
    reasoning("rs_1", "sealed", encrypted_content="c2Vh"),
    assistant("there", id="msg_2", phase="final_answer", status="completed"),
    {"type": "function_call_output", "name": "goal_objective", "namespace": "goal", "output": "nobody asked"},
]


def test_newer_kinds_that_we_recorded_are_sent(newest: Codex) -> None:
    """In order, and in full."""
    with create(newest) as recorder:
        recorder.record(*OF_OURS)

    outcome = newest.resume(recorder.path, PROMPT)

    assert history(newest.release, outcome.requests[0], PROMPT) == expected_history(newest.release, OF_OURS)


def test_the_newest_sends_an_item_without_an_id_that_has_no_prefix(newest: Codex) -> None:
    """It leaves out the id, because the API has no ids like `m1`."""
    rollout = place(newest, [assistant("said", id="m1"), call("1"), {**output("1", "x"), "id": "o1"}, user("thanks")])

    sent = history(newest.release, newest.resume(rollout, PROMPT).requests[0], PROMPT)

    assert [item.get("id") for item in sent] == [None, "fc_1", None, None]
    assert said(sent) == ["said", "thanks"]


IN_THE_NAME_OF_THE_USER = [
    "<skill>\n<name>x</name>\n</skill>",
    "<user_shell_command>\nls\n</user_shell_command>",
    " <Turn_Aborted>x</turn_aborted>\n",
    "<subagent_notification>{}</subagent_notification>",
    "<goal_context>x</goal_context>",
    "<recommended_plugins>x</recommended_plugins>",
    "<agent_message_board_notification>x</agent_message_board_notification>",
    '<codex_internal_context source="user_goal">x</codex_internal_context>',
    '<hook_prompt hook_run_id="1">x</hook_prompt>',
    "# AGENTS.md instructions\n<INSTRUCTIONS>x</INSTRUCTIONS>",
    "Warning: apply_patch was requested via shell. Use the apply_patch tool instead of exec_command.",
    "Warning: The maximum number of unified exec processes you can keep open is 60",
    "Warning: Your account was flagged for potentially high-risk cyber activity",
]
OF_THE_USER = [
    "<turn_aborted>x</turn_aborted> and more",
    "<environment_context> is a tag",
    "<user_instructions>x</user_instructions>",
    "<codex_internal_context>x</codex_internal_context>",
    "<hook_prompt>x</hook_prompt>",
    "# AGENTS.md instructions are what I want",
    "Warning: it rains",
]


def test_we_count_turns_as_the_newest_does(newest: Codex) -> None:
    """Older versions took back a number of turns; messages of Codex and of other agents are between them."""
    told = {"author": "/root", "recipient": "/root/a", "other_recipients": [], "content": "go", "trigger_turn": True}
    message = {"type": "agent_message", "author": "/root", "recipient": "/root/a", "content": []}
    rollout = place(newest, [user("a"), assistant("b"), user("c"), *map(user, IN_THE_NAME_OF_THE_USER), assistant("d")])
    with rollout.open("a") as stream:
        for kind, payload in (
            ("event_msg", {"type": "thread_rolled_back", "num_turns": 1}),
            *(("response_item", user(text)) for text in OF_THE_USER),
            ("event_msg", {"type": "thread_rolled_back", "num_turns": len(OF_THE_USER)}),
            ("response_item", message),
            ("event_msg", {"type": "thread_rolled_back", "num_turns": 1}),
            ("inter_agent_communication", told),
            ("response_item", user("z")),
        ):
            stream.write(json.dumps({"timestamp": WHEN, "type": kind, "payload": payload}) + "\n")

    ours = expected_history(newest.release, list(map(our_input, load_session(rollout).to_input())))

    assert [text_of(item) for item in ours] == ["a", "b", "go", "z"]
    assert ours == list(map(as_input, history(newest.release, newest.resume(rollout, PROMPT).requests[0], PROMPT)))


def test_items_remain_when_the_newest_migrates_a_session(newest: Codex) -> None:
    """`codex migrate-rollouts --apply` rewrites our session; lines and keys that only we know are lost."""
    with create(newest) as recorder:
        recorder.record(*OF_OURS)
        recorder.record_state({"step": 1})
    before = load_session(recorder.path)

    done = newest.tell("migrate-rollouts", "--apply")

    assert "1 migrated" in done.stdout
    again, after = RolloutRecorder.resume(recorder.path)
    with again:
        again.record(user("and on"))
    assert (after.items, after.skipped, dict(after.state)) == (before.items, [], {})
    sent = history(newest.release, newest.resume(recorder.path, PROMPT).requests[0], PROMPT)
    assert sent == expected_history(newest.release, [*OF_OURS, user("and on")])
