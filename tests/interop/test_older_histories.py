"""Sessions whose history was rewritten as by older releases: each release sends the view that we compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from codex import Codex, says, session_id
from expected import history, said
from samples import WHEN, assistant, place, user

from rolloutlog import load_session

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"
# The beginning of each summary that Codex has made since 0.60. It recognizes summaries by the whole text.
SUMMARY = (
    "Another language model started to solve this problem and produced a summary of its thinking process. You also have"
    " access to the state of the tools that were used by that language model. Use this to build on the work that has"
    " already been done and avoid duplicating work. Here is the summary produced by the other language model, use the"
    " information in this summary to assist with your own analysis:\n"
)


def sent(codex: Codex, rollout: Path) -> list[str]:
    """Resume *rollout* and return the messages that the model gets; some add their environment in front again."""
    outcome = codex.resume(rollout, PROMPT)
    assert outcome.returncode == 0, outcome.stderr
    return said(history(codex.release, outcome.requests[0], PROMPT))


def seen(rollout: Path) -> list[str]:
    """Return the messages that the model gets, according to our reader."""
    return said(load_session(rollout).to_input())


def append(rollout: Path, *lines: tuple[str, dict[str, Any]]) -> None:
    """Append lines of those types with those payloads to *rollout*, as a real release does."""
    with rollout.open("a") as stream:
        for kind, payload in lines:
            stream.write(json.dumps({"timestamp": WHEN, "type": kind, "payload": payload}) + "\n")


def test_the_last_of_two_summaries_is_sent(summing: Codex) -> None:
    """A session that was compacted twice without a list of items is the user's messages and the last summary."""
    rollout = place(summing, [user("a"), assistant("b")])
    for number in (1, 2):
        summary = {"message": f"{SUMMARY}summary {number}"}
        append(rollout, ("compacted", summary), ("response_item", user(f"c{number}")))

    ours = seen(rollout)

    assert ours == ["a", "c1", f"{SUMMARY}summary 2", "c2"]
    assert ours == sent(summing, rollout)


def test_we_see_a_session_that_it_compacted_as_it_sends_it(rewriting: Codex) -> None:
    """With a list of items, or with a summary alone."""
    rollout, _ = rewriting.begin("hi", [[says("ho")]])
    limit = ["-c", "model_auto_compact_token_limit=50"]
    rewriting.run([*limit, "resume", session_id(rollout)], "more", [[says("in short: ho")], [says("after")]])
    saved = load_session(rollout)

    ours = seen(rollout)

    assert [rewrite.entry.type for rewrite in saved._rewrites] == ["compacted"]
    assert saved.skipped == []
    assert any(text.endswith("in short: ho") for text in ours)
    assert ours == sent(rewriting, rollout)


def test_turns_that_were_taken_back_are_not_sent(rewriting: Codex) -> None:
    """A line in the file says how many turns are gone."""
    rollout = place(rewriting, [user("a"), assistant("b"), user("c"), assistant("d"), user("e")])
    append(rollout, ("event_msg", {"type": "thread_rolled_back", "num_turns": 2}), ("response_item", user("f")))

    ours = seen(rollout)

    assert ours == ["a", "b", "f"]
    assert ours == sent(rewriting, rollout)
