"""A session as a trajectory is valid by the package `atif`, and loses nothing that it does not tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import entries
from test_convert import recorded

from rolloutlog import FunctionCall, Message, RolloutRecorder, load_session, session
from rolloutlog._reading.lines import INHERITED

pytestmark = pytest.mark.extras
atif = pytest.importorskip("atif")

REAL = sorted((Path(__file__).parent / "data").rglob("*.jsonl"))


def steps(path):
    """Return the steps of the session at *path*, which must be valid."""
    told = load_session(path).to_atif()
    atif.Trajectory.model_validate(told)
    return told["steps"]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_every_session_in_the_tests_is_a_valid_trajectory(path):
    """Those of real programs, and the damaged ones."""
    try:
        saved = load_session(path)
    except ValueError:
        pytest.skip("no session")

    told = saved.to_atif()

    atif.Trajectory.model_validate(told)
    kinds = [item.type for item in saved.items]
    calls = [call for step in told["steps"] for call in step.get("tool_calls", ())]
    assert len(calls) == sum(kind.endswith("_call") for kind in kinds)
    outputs = [result for step in told["steps"] for result in step.get("observation", {}).get("results", ())]
    assert len(outputs) >= sum(kind.endswith("_output") for kind in kinds)
    assert sum(step.get("metrics", {}).get("prompt_tokens", 0) for step in told["steps"]) <= told["final_metrics"].get(
        "total_prompt_tokens", 0
    )


@given(st.lists(entries, max_size=6))
def test_any_items_are_a_valid_trajectory(tmp_path_factory, values):
    steps(recorded(tmp_path_factory.mktemp("any"), *values))


def test_a_step_is_what_the_model_said_at_once(home):
    """Reasoning, a message and calls, with the outputs, however these are mixed; and the tokens of its response."""
    one, two = FunctionCall("sky", '{"at": 1}', "c1"), FunctionCall("sea", "not json", "c2")
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3}
    with session("trip", instructions="Be brief.") as trip:
        trip.record(Message.user("Go"))
        said = [thought, Message.assistant("Both.").to_dict(), one.to_dict(), two.to_dict()]
        trip.record_response({"id": "r1", "model": "m", "status": "completed", "output": said, "usage": usage})
        trip.record(two.answer("b"), one.answer("a"), Message.assistant("Done."))

    found = steps(trip.path)

    assert [step["source"] for step in found] == ["system", "user", "agent", "agent"]
    assert found[2]["reasoning_content"] == "Hm."
    assert found[2]["message"] == "Both."
    assert [call["arguments"] for call in found[2]["tool_calls"]] == [{"at": 1}, {"input": "not json"}]
    assert [one["content"] for one in found[2]["observation"]["results"]] == ["b", "a"]
    assert found[2]["metrics"]["cached_tokens"] == 4
    assert found[3]["message"] == "Done."


def test_pictures_are_parts_and_what_is_left_out_is_told():
    content = [
        {"type": "input_text", "text": "This"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
        {"type": "input_file", "file_id": "f1"},
    ]
    with RolloutRecorder.create() as recorder:
        recorder.record({"role": "user", "content": content}, {"type": "gesture"})

    told = load_session(recorder.path).to_atif()

    atif.Trajectory.model_validate(told)
    assert [part["type"] for part in told["steps"][0]["message"]] == ["text", "image"]
    assert told["notes"] == ("Not carried: a part of the type input_file (1×), an item of the type gesture (1×).")


def test_calls_that_the_api_carries_out_have_their_outputs():
    """They are in the call itself; a picture is counted, because no file holds it."""
    with RolloutRecorder.create() as recorder:
        recorder.record(
            {
                "type": "mcp_call",
                "id": "m1",
                "server_label": "s",
                "name": "add",
                "arguments": '{"a": 1}',
                "output": "2",
            },
            {"type": "image_generation_call", "id": "i1", "status": "completed", "result": "iVBORw0KGgo="},
        )

    told = load_session(recorder.path).to_atif()

    atif.Trajectory.model_validate(told)
    assert told["steps"][0]["tool_calls"][0]["arguments"] == {"a": 1}
    assert told["steps"][0]["observation"]["results"] == [{"source_call_id": "m1", "content": "2"}]
    assert told["notes"] == "Not carried: the picture of an image_generation_call (1×)."


def test_copied_steps_are_marked_and_their_tokens_are_not_counted():
    """As those of a fork, whose first items are counted in its parent."""
    usage = {"input_tokens": 10, "output_tokens": 3}
    parent = "0b0f7dc2-4d0c-4f57-a2f0-6f9b0d0a4a11"
    with session("fork", meta={"parent_id": parent, INHERITED: 2}) as fork:
        fork.record(Message.user("Hello"))
        said = Message.assistant("Hi.").to_dict()
        fork.record_response({"id": "r1", "status": "completed", "output": [said], "usage": usage})
        fork.record(Message.user("Mine"))
        said = Message.assistant("Yours.").to_dict()
        fork.record_response({"id": "r2", "status": "completed", "output": [said], "usage": usage})

    found = steps(fork.path)

    assert [step.get("is_copied_context", False) for step in found] == [True, True, False, False]
    assert [step["message"] for step in found] == ["Hello", "Hi.", "Mine", "Yours."]
    assert "metrics" not in found[1]
    assert found[3]["metrics"]["prompt_tokens"] == 10
