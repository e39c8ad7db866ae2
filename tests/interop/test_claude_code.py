"""Sessions of the real Claude Code are imported: items, tokens, compactions, forks and sub-agents are what it sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import claude
import pytest
from claude_server import MODEL, text, thinking, tool_use
from expected import history, text_of
from releases import REQUIRED

from rolloutlog import Imported, SavedSession, import_claude, load_session

pytestmark = [pytest.mark.interop, pytest.mark.once]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def real(tmp_path):
    """Claude Code, with a text and a picture in its folder."""
    reason = claude.missing()
    if reason and REQUIRED:
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    made = claude.Claude(tmp_path / "claude")
    (made.project / "a.txt").write_text("hello\n")
    (made.project / "dot.png").write_bytes(base64.b64decode(PIXEL))
    return made


def looked_around(real: claude.Claude) -> str:
    """Have a session with text, thinking, calls at once, a picture, a failed call; return its id."""
    folder = str(real.project)
    return real.run(
        "Look around",
        [
            [
                thinking("I look at both."),
                text("Let me look."),
                tool_use("toolu_1", "Bash", command="cat a.txt", description="read"),
                tool_use("toolu_2", "Read", file_path=f"{folder}/a.txt"),
                tool_use("toolu_3", "Read", file_path=f"{folder}/dot.png"),
            ],
            [tool_use("toolu_4", "Bash", command="exit 3", description="fail")],
            [text("Done.")],
        ],
    )


def imported(real: claude.Claude, session_id: str) -> tuple[Imported, SavedSession]:
    done = import_claude(real.file(session_id))[0]
    assert done.path is not None
    return done, load_session(done.path)


def blocks(request: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
    """Return the blocks of these kinds that *request* sent."""
    contents = [message["content"] for message in request["messages"] if isinstance(message["content"], list)]
    return [block for content in contents for block in content if block["type"] in kinds]


def tokens(saved: SavedSession) -> list[tuple[int, int, int]]:
    return [(one.input_tokens, one.cached_tokens, one.output_tokens) for one in saved.responses]


def counted(usages: list[dict[str, int]]) -> list[tuple[int, int, int]]:
    """Return the tokens as the server counted them."""
    return [
        (
            usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"],
            usage["cache_read_input_tokens"],
            usage["output_tokens"],
        )
        for usage in usages
    ]


def test_everything_that_was_said_is_an_item(real):
    """Calls and outputs are those of the next request of Claude Code itself; nothing of them is left out."""
    session_id = looked_around(real)
    real.run("And again", [[text("Again.")]], "--resume", session_id)

    done, saved = imported(real, session_id)

    last = real.requests[-1]
    calls = {block["id"]: block["name"] for block in blocks(last, "tool_use")}
    assert {item.call_id: item.name for item in saved.context if item.type == "function_call"} == calls
    outputs = [item for item in saved.context if item.type == "function_call_output"]
    assert {item.call_id for item in outputs} == {block["tool_use_id"] for block in blocks(last, "tool_result")}
    assert [item.to_dict().get("rolloutlog_is_error") for item in outputs] == [None, None, None, True]
    pictures = [item for item in outputs if "data:image/png;base64," in str(item.to_dict())]
    assert [item.call_id for item in pictures] == ["toolu_3"]
    words = [item.text for item in saved.context if item.type == "message"]
    assert words == ["Look around", "Let me look.", "Done.", "And again", "Again."]
    assert [item.type for item in saved.items].count("reasoning") == 1
    assert saved.orphan_calls == []
    assert done.skipped == ()
    assert done.session_id == session_id


def test_tokens_and_models_are_those_of_the_server(real):
    """Each response once, however many lines it has."""
    session_id = looked_around(real)

    _, saved = imported(real, session_id)

    assert tokens(saved) == counted(real.usages)
    assert {response.model for response in saved.responses} == {MODEL}
    assert saved.session.extra["cwd"] == str(real.project)


def test_a_compaction_and_a_fork_are_ours(real):
    """The model sees the summary, and what a fork copied is counted in its parent."""
    session_id = looked_around(real)
    real.run("And again", [[text("Again.")]], "--resume", session_id)
    real.run("/compact", [[text("In short: looked around.")]], "--resume", session_id)
    real.run("After", [[text("After it.")]], "--resume", session_id)
    fork = real.run("In the fork", [[text("Forked.")]], "--resume", session_id, "--fork-session")

    _, saved = imported(real, session_id)
    _, forked = imported(real, fork)

    assert "In short: looked around." in saved.context[0].text
    assert "Look around" not in [item.text for item in saved.context if item.type == "message"]
    assert "Look around" in [item.text for item in saved.items if item.type == "message"]
    assert [item.text for item in saved.context[-2:]] == ["After", "After it."]
    assert forked.session.parent_id == session_id
    assert "In short: looked around." in forked.context[0].text
    assert [item.text for item in forked.items[forked.inherited :]] == ["In the fork", "Forked."]
    assert tokens(forked) == counted(real.usages)[-1:]


def test_turns_that_were_taken_back_are_not_seen(real):
    """The context is what the real one sends after it went back to an earlier answer."""
    session_id = real.run("Hello", [[text("Hi.")]])
    lines = [json.loads(line) for line in real.file(session_id).read_text().splitlines()]
    answer = next(line["uuid"] for line in lines if line["type"] == "assistant")
    wrong = [[tool_use("toolu_1", "Bash", command="cat a.txt")], [text("Wrong answer.")]]
    real.run("Wrong question", wrong, "--resume", session_id)
    real.run("Right question", [[text("Right.")]], "--resume", session_id, "--resume-session-at", answer)

    _, saved = imported(real, session_id)

    sent = [block["text"] for block in blocks(real.requests[-1], "text")]
    assert "Wrong question" not in sent
    assert [item.text for item in saved.context] == ["Hello", "Hi.", "Right question", "Right."]
    assert {"Hello", "Hi.", "Right question"} <= set(sent)
    assert len(saved.items) == 8
    assert tokens(saved) == counted(real.usages)


def test_a_sub_agent_is_a_session_of_its_own(real):
    """It comes with its parent, and names it; together they have the tokens that the server counted."""
    begun = tool_use("toolu_5", "Task", description="sub", prompt="Count", subagent_type="general-purpose")
    session_id = real.run("Delegate", [[begun], [text("One.")], [text("Two.")], [text("Three.")]])

    parent, child = import_claude(real.file(session_id))

    saved = load_session(child.path)
    assert saved.session.parent_id == session_id == parent.session_id
    assert saved.items[0].text == "Count"
    assert sorted(tokens(load_session(parent.path)) + tokens(saved)) == sorted(counted(real.usages))


def test_all_that_real_files_hold_is_carried_or_told(real):
    """Nothing is left out but what is named here: a new release that says more makes this fail."""
    session_id = looked_around(real)

    done, _ = imported(real, session_id)

    values = {what for what in done.left_out if not what.startswith("the key ") or not what.endswith(" of a line")}
    assert values == {"the key 'signature'"}
    assert "toolUseResult" in " ".join(done.left_out)


def test_the_newest_codex_resumes_what_was_imported(real, newest):
    """It sends the calls and their outputs, and what was said, in order; after a compaction the summary."""
    session_id = looked_around(real)
    real.run("And again", [[text("Again.")]], "--resume", session_id)
    real.run("/compact", [[text("In short: looked around.")]], "--resume", session_id)
    real.run("After", [[text("After it.")]], "--resume", session_id)
    real.run("Look", [[tool_use("toolu_9", "Bash", command="cat a.txt")], [text("Seen.")]], "--resume", session_id)
    done = import_claude(real.file(session_id), home=newest.home)[0]
    saved = load_session(done.path)

    outcome = newest.resume(done.path, "And in Codex?")

    sent = history(newest.release, outcome.requests[0], "And in Codex?")
    assert "In short: looked around." in text_of(sent[0])
    assert [item.get("call_id") for item in sent] == [item.to_dict().get("call_id") for item in saved.context]
    said = [text_of(item) for item in sent if item["type"] == "message"]
    assert said == [item.text for item in saved.context if item.type == "message"]
