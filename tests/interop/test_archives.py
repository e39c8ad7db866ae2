"""Sessions that we archive, and sessions that the newest release compresses while we have them open."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from codex import Codex, says, session_id
from expected import expected_history, history, said
from ours import create
from releases import REQUIRED
from samples import EVERY_KIND, place, user
from test_histories import PROMPT, fork, seen, sent

from rolloutlog import RolloutRecorder, archive, load_session
from rolloutlog._compression import zstd

pytestmark = [
    pytest.mark.interop,
    pytest.mark.once,
    pytest.mark.timeout(300),
    pytest.mark.skipif(zstd() is None and not REQUIRED, reason="needs the extra zstd"),
]

# The newest release compresses what has not been changed for a week, if this is switched on.
COMPRESSES = ["-c", "features.local_thread_store_compression=true"]


def aged(path: Path) -> Path:
    """Set the time of the last change of *path* to three months ago."""
    when = time.time() - 90 * 86400
    os.utime(path, (when, when))
    return path


def archived(path: Path) -> Path:
    """Archive the session at *path*, and return the new file."""
    (done,) = archive(aged(path)).apply().chosen
    assert done.new_path is not None
    assert not path.exists()
    return done.new_path


def test_the_newest_resumes_a_session_that_we_archived(newest: Codex) -> None:
    """It sends all items, and unpacks the file in its place."""
    rollout = place(newest, EVERY_KIND)
    archived(rollout)

    outcome = newest.resume(rollout, PROMPT)

    assert outcome.returncode == 0, outcome.stderr
    assert history(newest.release, outcome.requests[0], PROMPT) == expected_history(newest.release, EVERY_KIND)
    assert [path.name for path in rollout.parent.iterdir()] == [rollout.name]


def test_a_fork_of_a_session_that_we_archived_is_resumed_by_both(newest: Codex) -> None:
    """Its history is in the compressed file, which stays compressed."""
    parent, _ = newest.begin("hi", [[says("ho")]])
    child = fork(newest, parent)
    newest.resume(parent, "not in the fork")
    packed = archived(parent)
    with RolloutRecorder.resume(child)[0] as recorder:
        recorder.record(user("in the fork"))

    ours = seen(newest, child)

    assert said([item.to_dict() for item in load_session(child).items]) == ["hi", "ho", "in the fork"]
    assert ours == sent(newest, child)
    assert packed.exists()


@pytest.mark.parametrize("options", [{}, {"shared": True}, {"fsync": "flush"}], ids=str)
def test_a_session_that_it_compresses_while_we_have_it_open_continues(newest: Codex, options: dict[str, Any]) -> None:
    """The next record unpacks it, and Codex then sends all items."""
    other, _ = newest.begin("hi", [[says("ho")]])
    with create(newest, **options) as recorder:
        recorder.record(user("before"))
        recorder.flush()
        compressed = aged(recorder.path).with_name(f"{recorder.path.name}.zst")
        newest.run([*COMPRESSES, "resume", session_id(other)], "more", [[says("on")]])
        was_compressed = compressed.exists() and not recorder.path.exists()
        recorder.record(user("after"))

    outcome = newest.resume(recorder.path, PROMPT)

    assert was_compressed
    assert said(history(newest.release, outcome.requests[0], PROMPT)) == ["before", "after"]
    assert not compressed.exists()
