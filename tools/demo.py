"""Run an agent, kill it half-way with SIGKILL, run the same command again, and check that it resumes.

The agent must print a line ``step N ...`` for each step, take no arguments, keep its session under
``ROLLOUTLOG_HOME``, and exit with 0 when it is done.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
AGENT = Path("examples", "sync_agent.py")
KILLED_AT = 3


def main() -> int:
    """Run the demo; return 0 if the agent resumed, else print the reason and return 1."""
    with tempfile.TemporaryDirectory(prefix="rolloutlog-demo-") as home:
        first = run(home, kill_at=KILLED_AT)
        if first.exit_code != -signal.SIGKILL:
            return complain(f"it ended with {first.exit_code} before step {KILLED_AT}, so nothing could be killed")
        rollout = next(Path(home).rglob("*.jsonl"), None)
        if rollout is None:
            return complain("it left no rollout")
        say(f"kill -9 at step {KILLED_AT}. On disk: {rollout.relative_to(home)}, {count_lines(rollout)} lines.")

        second = run(home)
        if second.exit_code != 0:
            return complain(f"the second run ended with {second.exit_code}")
        if not second.steps or second.steps[0] not in (KILLED_AT, KILLED_AT + 1):
            return complain(
                f"the second run went through the steps {second.steps}, but it should resume at step {KILLED_AT}"
            )
        say(f"The same command resumed at step {second.steps[0]} and finished: {count_lines(rollout)} lines, one file.")
    return 0


class Run:
    """One run of the agent: the numbers of the steps that it printed, and its exit code (-9 when it was killed)."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.exit_code = 0


def run(home: str, *, kill_at: int | None = None) -> Run:
    """Run the agent with its sessions under *home*, showing what it prints, and kill it at step *kill_at*."""
    say(f"$ python {AGENT}")
    outcome = Run()
    # -u, so that each line is shown when the agent prints it, even through a pipe.
    command = [sys.executable, "-u", str(AGENT)]
    environment = {**os.environ, "ROLLOUTLOG_HOME": home}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as agent:
        for step in steps_shown(agent):
            outcome.steps.append(step)
            if step == kill_at:
                agent.kill()
                break
    outcome.exit_code = agent.returncode
    return outcome


def steps_shown(agent: subprocess.Popen[str]) -> Iterator[int]:
    """Show each line that *agent* prints as it comes, and yield the number of each step."""
    assert agent.stdout is not None
    for line in agent.stdout:
        print("   ", line, end="", flush=True)
        if match := re.match(r"\s*step (\d+)", line):
            yield int(match[1])


def count_lines(path: Path) -> int:
    """Return how many whole lines *path* holds."""
    return path.read_bytes().count(b"\n")


def say(text: str) -> None:
    """Print *text*, in bold on a terminal."""
    print(f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text, flush=True)


def complain(problem: str) -> int:
    """Print *problem* on the error stream, and return the exit code 1."""
    print(f"The demo failed: {problem}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
