"""Our side of the table: sessions of rolloutlog in a Codex home, in the format that this Codex reads.

Run as a program, it is a writer for tests to kill: it records numbered messages without end, and prints each number
when its message is acknowledged.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from codex import Codex
from samples import user

import rolloutlog
from rolloutlog import RolloutRecorder
from rolloutlog.exceptions import SessionExistsError

# Long enough that most kills hit a write, and not ASCII, so that half of these tear a character.
LONG = "日本語" * 100_000


def create(codex: Codex, **options: Any) -> RolloutRecorder:
    """Begin a session of ours in the home of *codex*."""
    return RolloutRecorder.create(codex.home, format=codex.release.writes, **options)


def run_until_killed(codex: Codex, session_id: str, acknowledged: int) -> list[str]:
    """Record in another process, and kill it in the middle of a write, after that many acknowledgements.

    Returns:
        Every text that it acknowledged before it died.
    """
    command = [sys.executable, __file__, str(codex.home), session_id, codex.release.writes]
    # The folder that the package was imported from: the source tree, unless the tests run against an installed package.
    env = {**os.environ, "PYTHONPATH": str(Path(rolloutlog.__file__).parents[1])}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = [writer.stdout.readline().strip() for _ in range(acknowledged)]
        (rollout,) = codex.rollouts()
        size = rollout.stat().st_size
        while rollout.stat().st_size == size and writer.poll() is None:
            pass  # the file grows page by page while a long line is written: now is the moment
        writer.kill()
        # Lines that it printed after the last line that was read were acknowledged too.
        seen += [rest.strip() for rest in writer.stdout if rest.endswith("\n")]
    assert all(seen), "the writer ended by itself"
    return seen


def main(home: Path, session_id: str, format: Any) -> None:
    """Record without end; see the module."""
    try:
        recorder, begun = RolloutRecorder.create(home, session_id=session_id, format=format), 0
    except SessionExistsError:
        recorder, saved = RolloutRecorder.resume(session_id, home=home)
        begun = len(saved.items)
    for number in range(begun, sys.maxsize):
        recorder.record(user(LONG), user(f"message {number}"))
        recorder.flush()
        sys.stdout.write(f"message {number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
