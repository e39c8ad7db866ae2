"""Lines that are slightly wrong: the lines that the real readers skip and keep, compared with ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from codex import Codex
from odd_lines import FLAT, LINES, NEWEST, OURS
from releases import RELEASES, Release
from samples import WHEN, call, line, place, user

from rolloutlog import load_session

PROMPT = "And then?"
# The newest release does not send outputs without a call, so the odd ones have calls.
BEFORE = [user("first"), call("call_a"), call("call_b")]


def odd_rollout(codex: Codex) -> Path:
    """Write a rollout with all odd lines between valid lines."""
    rollout = place(codex, BEFORE)
    with rollout.open("ab") as stream:
        for odd in LINES:
            flat = codex.release.writes == "flat"
            whole = odd.text if flat else f'{{"timestamp":"{WHEN}","type":"response_item","payload":{odd.text}}}'
            stream.write(whole.encode() + b"\n")
        stream.write(line(codex, user("last")))
    return rollout


def marked(text: str) -> list[str]:
    """Return the names of the odd lines whose marks are in *text*."""
    return [odd.name for odd in LINES if odd.mark in text]


@pytest.mark.interop
def test_the_real_reader_keeps_what_the_table_says(codex: Codex) -> None:
    """The marks in the real reader's request are those of the lines that it keeps according to the table.

    The table's columns are those of 0.20.0 and of the newest release; the habits of other releases list differences.
    """
    rollout = odd_rollout(codex)

    outcome = codex.resume(rollout, PROMPT)

    sent = json.dumps(outcome.requests[0]["input"], ensure_ascii=False)
    reader = FLAT if codex.release.writes == "flat" else NEWEST
    kept = {odd.name for odd in LINES if reader in odd.kept_by} - codex.release.habits.skips
    assert set(marked(sent)) == kept | codex.release.habits.keeps
    assert '"first"' in sent
    assert '"last"' in sent


@pytest.mark.parametrize("release", RELEASES, ids=str)
def test_our_reader_keeps_what_the_table_says(release: Release, tmp_path: Path) -> None:
    """The marks in our items are those of the lines that we keep according to the table; all others are reported."""
    saved = load_session(odd_rollout(Codex(release, tmp_path)))

    kept = marked(json.dumps([item.to_dict() for item in saved.items], ensure_ascii=False))
    assert kept == [odd.name for odd in LINES if OURS in odd.kept_by]
    assert len(saved.skipped) == len(LINES) - len(kept)
    assert [item.text for item in saved.items][:: len(saved.items) - 1] == ["first", "last"]


@pytest.mark.interop
def test_a_state_is_a_state_in_spite_of_its_type(flat: Codex) -> None:
    """A message with the key of a state is a state, for the real reader of the flat format and for ours."""
    rollout = place(flat, [user("first"), user("disguised", record_type="state"), user("last")])

    sent = json.dumps(flat.resume(rollout, PROMPT).requests[0]["input"])
    saved = load_session(rollout)

    assert "disguised" not in sent
    assert [item.text for item in saved.items][:2] == ["first", "last"]
    assert saved.skipped == []
