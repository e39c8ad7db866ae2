"""Sessions whose file differs from the model's view: compacted, forked, archived, compressed and converted ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from codex import Codex, says, session_id, thinks
from expected import as_input, expected_history, history, items_in, our_input, said
from ours import create
from releases import REQUIRED
from samples import EVERY_KIND, assistant, place, user

from rolloutlog import Message, RolloutRecorder, convert, find_sessions, load_session
from rolloutlog._reading.blocks import _zstd

pytestmark = [pytest.mark.interop, pytest.mark.once]

PROMPT = "And then?"


def sent(codex: Codex, rollout: Path) -> list[dict[str, Any]]:
    """Resume *rollout* and return the history that the model gets, in the form that an API accepts."""
    outcome = codex.resume(rollout, PROMPT)
    assert outcome.returncode == 0, outcome.stderr
    return list(map(as_input, history(codex.release, outcome.requests[0], PROMPT)))


def seen(codex: Codex, rollout: Path) -> list[dict[str, Any]]:
    """Return the history that the model gets, according to our reader."""
    return expected_history(codex.release, list(map(our_input, load_session(rollout).to_input())))


def compacted(codex: Codex) -> Path:
    """Have *codex* record two turns with a compaction between, and return the file."""
    rollout, _ = codex.begin("hi", [[says("ho")]])
    limit = ["-c", "model_auto_compact_token_limit=50"]
    replies = [[says("in short: ho")], [says("after")]]
    codex.run([*limit, "resume", session_id(rollout)], "more", replies)
    return rollout


def test_we_see_a_compacted_session_as_the_newest_sends_it(newest: Codex) -> None:
    """Codex's list of items replaces all items before it, which remain in the file."""
    rollout = compacted(newest)
    saved = load_session(rollout)

    ours = seen(newest, rollout)

    assert [rewrite.entry.type for rewrite in saved._rewrites] == ["compacted"]
    assert said([item.to_dict() for item in saved.items]) == ["hi", "ho", "in short: ho", "more", "after"]
    assert ours == sent(newest, rollout)
    assert saved.skipped == []


def test_we_see_a_compaction_by_the_vendors_api_as_it_is_sent(newest: Codex) -> None:
    """With a provider of that name, the newest release gets an encrypted item that replaces the items before it."""
    own = ["-c", 'model_providers.scripted.name="OpenAI"']
    newest.run(own, "hi", [[thinks("hm"), says("ho")]])
    (rollout,) = newest.rollouts()
    resume = ["resume", session_id(rollout)]
    sealed = {"type": "compaction", "id": "cmp_1", "encrypted_content": "c2Vh"}
    newest.run([*own, "-c", "model_auto_compact_token_limit=50", *resume], "more", [[sealed], [says("after")]])
    saved, ours = load_session(rollout), seen(newest, rollout)

    outcome = newest.run([*own, *resume], PROMPT, [[says("Resumed.")]])

    assert (saved.skipped, [rewrite.entry.type for rewrite in saved._rewrites]) == ([], ["compacted"])
    assert "configuration_update" in [item.type for item in saved.items]
    assert as_input(sealed) in ours
    assert ours == list(map(as_input, history(newest.release, outcome.requests[0], PROMPT)))


def test_we_see_older_compactions_and_turns_taken_back_as_they_are_sent(newest: Codex) -> None:
    """Written by hand, as older versions did: a summary without items, and a turn that was rolled back."""
    rollout = place(newest, [user("a"), assistant("b"), user("c")])
    for payload in (
        {"type": "compacted", "payload": {"message": "in short"}},
        {"type": "response_item", "payload": user("d")},
        {"type": "response_item", "payload": user("e")},
        {"type": "event_msg", "payload": {"type": "thread_rolled_back", "num_turns": 1}},
    ):
        with rollout.open("a") as stream:
            stream.write(json.dumps({"timestamp": "2025-07-23T15:03:26.000Z", **payload}) + "\n")

    ours = seen(newest, rollout)

    assert said(ours) == ["a", "c", "in short", "d"]
    assert ours == sent(newest, rollout)


def fork(codex: Codex, rollout: Path) -> Path:
    """Have *codex* fork the session in *rollout*, and return the new file."""
    forked = codex.ask("thread/fork", {"threadId": session_id(rollout)})["thread"]["id"]
    (found,) = [path for path in codex.rollouts() if session_id(path) == forked]
    return found


def test_a_fork_that_refers_to_another_file_is_read_with_its_history(newest: Codex) -> None:
    """The newest release copies nothing when it forks its own session; our records there are sent with the history."""
    parent, _ = newest.begin("hi", [[says("ho")]])
    child = fork(newest, parent)
    newest.resume(parent, "not in the fork")
    recorder, before = RolloutRecorder.resume(child)
    with recorder:
        recorder.record(user("in the fork"))

    ours = seen(newest, child)

    saved = load_session(child)
    assert said([item.to_dict() for item in saved.items]) == ["hi", "ho", "in the fork"]
    assert [item.text for item in saved.items[saved.inherited :]] == ["in the fork"]
    assert (before.session.parent_id, before.skipped) == (session_id(parent), [])
    assert ours == sent(newest, child)


def test_a_fork_with_a_copied_history_counts_it_once(newest: Codex) -> None:
    """A fork of our session, or of an older one, holds a copy."""
    with create(newest) as recorder:
        recorder.record(user("before"), assistant("said"))
    child = fork(newest, recorder.path)
    newest.resume(child, "more", [[says("on")]])

    saved = load_session(child)

    assert said([item.to_dict() for item in saved.items[: saved.inherited]])[:2] == ["before", "said"]
    assert said([item.to_dict() for item in saved.items[saved.inherited :]]) == ["more", "on"]
    assert [parent.id for parent in saved.parents] == [recorder.session.id]
    assert seen(newest, child) == sent(newest, child)


def test_a_session_that_codex_archived_is_found(newest: Codex) -> None:
    """It is then in another folder, and is resumed there."""
    with create(newest) as recorder:
        recorder.record(user("before"))
    newest.ask("thread/archive", {"threadId": recorder.session.id})

    found = [session.id for session in find_sessions(newest.home, archived=True)]
    resumed, saved = RolloutRecorder.resume(recorder.session.id, home=newest.home)
    resumed.close()

    assert found == [recorder.session.id]
    assert [item.text for item in saved.items] == ["before"]


@pytest.mark.skipif(_zstd() is None and not REQUIRED, reason="needs the extra zstd")
def test_a_compressed_session_is_read_by_both(newest: Codex) -> None:
    """We load a session that the newest release resumes."""
    rollout = place(newest, EVERY_KIND)
    before = load_session(rollout)
    compressed = rollout.with_name(rollout.name + ".zst")
    compressed.write_bytes(_zstd().compress(rollout.read_bytes()))
    rollout.unlink()

    saved = load_session(compressed)

    assert saved.items == before.items
    outcome = newest.resume(rollout, PROMPT)
    assert history(newest.release, outcome.requests[0], PROMPT) == expected_history(newest.release, EVERY_KIND)


@pytest.mark.skipif(_zstd() is None and not REQUIRED, reason="needs the extra zstd")
@pytest.mark.parametrize("by", ["Codex", "us"])
def test_a_compressed_session_is_unpacked_alike(newest: Codex, by: str) -> None:
    """Both put the plain file in the place of the compressed one, with its mode, and append to it."""
    rollout = place(newest, EVERY_KIND)
    before = rollout.read_bytes()
    compressed = rollout.with_name(rollout.name + ".zst")
    compressed.write_bytes(_zstd().compress(before))
    compressed.chmod(0o640)
    rollout.unlink()

    if by == "us":
        with RolloutRecorder.resume(compressed)[0] as recorder:
            recorder.record(Message.user("between"))
    outcome = newest.resume(rollout, PROMPT)

    assert outcome.returncode == 0, outcome.stderr
    assert [path.name for path in rollout.parent.iterdir()] == [rollout.name]
    assert rollout.read_bytes().startswith(before)
    assert rollout.stat().st_mode & 0o777 == 0o640
    added = [Message.user("between").to_dict()] if by == "us" else []
    sent_items = history(newest.release, outcome.requests[0], PROMPT)
    assert sent_items == expected_history(newest.release, [*EVERY_KIND, *added])


def test_the_newest_resumes_a_flat_session_after_conversion(flat: Codex, newest: Codex, tmp_path: Path) -> None:
    """0.20.0 records, convert() changes the format, the newest release sends all of it, and it converts back."""
    old, _ = flat.begin("hi", [flat.shell_calls("echo hi", "call_1")[:1], [says("ho")]])
    before = old.read_bytes()

    new = convert(old, format="envelope", home=newest.home)

    items = items_in(old, flat.release)
    outcome = newest.resume(new, PROMPT)
    assert history(newest.release, outcome.requests[0], PROMPT) == expected_history(newest.release, items)
    back = convert(new, format="flat", home=tmp_path / "back")
    assert said([item.to_dict() for item in load_session(back).items]) == ["hi", "ho", PROMPT, "Resumed."]
    assert old.read_bytes() == before


def test_the_old_one_resumes_a_session_of_the_newest_after_conversion(newest: Codex, flat: Codex) -> None:
    """0.20.0 sends each item of the newest release that it knows."""
    old, _ = newest.begin("hi", [newest.shell_calls("echo hi", "call_1")[:1], [says("ho")]])

    new = convert(old, format="flat", home=flat.home)

    assert load_session(new).items == load_session(old).items
    assert said(sent(flat, new))[-2:] == ["hi", "ho"]
    assert isinstance(load_session(new).items[-1], Message)


def shown(codex: Codex, rollout: Path) -> tuple[str, list[tuple[str, Any]]]:
    """Return the title that *codex* shows for the session in *rollout*, and its messages."""
    thread = codex.ask("thread/read", {"threadId": session_id(rollout), "includeTurns": True})["thread"]
    items = [item for turn in thread["turns"] for item in turn["items"]]
    return thread["preview"], [(item["type"], item.get("text") or item["content"]) for item in items]


def test_a_session_that_went_to_flat_and_back_shows_the_same(newest: Codex, tmp_path: Path) -> None:
    """It shows no message twice, and does not show the environment as the user's message."""
    old, _ = newest.begin("hi", [[says("ho")]])
    newest.resume(old, "more", [[says("ho")]])
    other = Codex(newest.release, tmp_path / "other")

    back = convert(convert(old, format="flat", home=tmp_path / "flat"), format="envelope", home=other.home)

    assert shown(other, back) == shown(newest, old)
    assert shown(other, back)[0] == "hi"


def test_lines_of_ours_stay_out_of_the_model_in_a_session_of_the_newest(newest: Codex) -> None:
    """States and log entries are wrapped in our own type, which it skips."""
    rollout, _ = newest.begin("hi", [[says("ho")]])
    recorder, _ = RolloutRecorder.resume(rollout)
    with recorder:
        recorder.record_state({"type": "message", "role": "user", "content": "no"})

    assert said(sent(newest, rollout)) == ["hi", "ho"]
