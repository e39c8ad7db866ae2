"""A real Codex that a test can run: with its own home, scripted model and time limit, and its requests and files.

Every run gets a home of its own and no network but loopback. So it reads and changes nothing of the user's, and nothing
leaves the machine.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cage
from model_server import Item, Replies
from releases import Release

# A run takes a second or two, and the newest is a program of 300 MB that starts cold the first time.
SECONDS = 90.0
# More than this does not fit in one argument of a command.
LONGEST_ARGUMENT = 100_000

CONFIG = f"""\
model_provider = "scripted"
approval_policy = "never"
sandbox_mode = "danger-full-access"

# Without this, each run of the newest waits five seconds for a host that it cannot reach.
[analytics]
enabled = false

[model_providers.scripted]
name = "scripted"
base_url = "http://127.0.0.1:{cage.PORT}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"
request_max_retries = 0
stream_max_retries = 0
"""
# Port 9 is "discard", where nothing listens: without a namespace of its own, all traffic to the outside ends here.
NO_WAY_OUT = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}


class Codex:
    """One release with one home below *folder*."""

    def __init__(self, release: Release, folder: Path) -> None:
        self.release = release
        self.home = folder / "codex-home"
        self.workdir = folder / "project"
        self.home.mkdir(parents=True)
        self.workdir.mkdir()

    def begin(self, prompt: str, replies: Replies, **options: Any) -> tuple[Path, cage.Outcome]:
        """Begin a session with *prompt*; return its rollout and the outcome. For *options* see `run`."""
        before = set(self.rollouts())
        outcome = self.run([], prompt, replies, **options)
        (rollout,) = set(self.rollouts()) - before
        return rollout, outcome

    def resume(
        self, rollout: Path, prompt: str, replies: Replies | dict[str, Replies] | None = None, **options: Any
    ) -> cage.Outcome:
        """Resume the session in *rollout*, which is in this home, and send *prompt*. For *options* see `run`."""
        if self.release.habits.resumes_by == "path":
            how = ["-c", f"experimental_resume={rollout}"]
        else:
            how = ["resume", session_id(rollout)]
        return self.run(how, prompt, [[says("Resumed.")]] if replies is None else replies, **options)

    def run(
        self,
        how: list[str],
        prompt: str,
        replies: Replies | dict[str, Replies],
        *,
        kill_when_stalled: bool = False,
        seconds: float = SECONDS,
    ) -> cage.Outcome:
        """Run ``codex exec`` once.

        Args:
            how: the arguments between ``exec`` and the prompt.
            prompt: the user's message.
            replies: the model's replies, or each agent's, see `ModelServer`.
            kill_when_stalled: kill Codex when it waits for a reply of `None`.
            seconds: the time limit.
        """
        by_stdin = len(prompt.encode()) > LONGEST_ARGUMENT
        order = cage.Order(
            command=[
                str(self.release.binary),
                "exec",
                "--skip-git-repo-check",
                *how,
                "-" if by_stdin else prompt,
            ],
            env=self._environment(),
            cwd=str(self.workdir),
            config=(str(self.home / "config.toml"), self.release.habits.config + CONFIG),
            replies=replies,
            stdin=prompt if by_stdin else "",
            seconds=seconds,
            kill_when_stalled=kill_when_stalled,
        )
        return cage.run(order)

    def ask(self, method: str, params: dict[str, Any], *, first: Sequence[tuple[str, dict[str, Any]]] = ()) -> Any:
        """Send a request to the newest release's server, as its editors do; return the result.

        Args:
            method, params: the request.
            first: requests to send before, in the same run, whose results are ignored.
        """
        hello = {"clientInfo": {"name": "tests", "title": "tests", "version": "1"}}
        messages: list[dict[str, Any]] = [
            {"id": 0, "method": "initialize", "params": hello},
            {"method": "initialized"},
            *({"id": f"first {number}", "method": name, "params": given} for number, (name, given) in enumerate(first)),
            {"id": 1, "method": method, "params": params},
        ]
        order = cage.Order(
            command=[str(self.release.binary), "app-server"],
            env=self._environment(),
            cwd=str(self.workdir),
            config=(str(self.home / "config.toml"), self.release.habits.config + CONFIG),
            replies=[],
            stdin="".join(json.dumps(message) + "\n" for message in messages),
            seconds=SECONDS,
            until='"id":1,',
        )
        # Its other output may be incomplete, because the run does not wait for it.
        (answer,) = [line for line in cage.run(order).stdout.split("\n") if order.until in line]
        return json.loads(answer)["result"]

    def tell(self, *arguments: str) -> cage.Outcome:
        """Run a command of the newest release that uses no model."""
        order = cage.Order(
            command=[str(self.release.binary), *arguments],
            env=self._environment(),
            cwd=str(self.workdir),
            config=(str(self.home / "config.toml"), self.release.habits.config + CONFIG),
            replies=[],
            seconds=SECONDS,
        )
        return cage.run(order)

    def adopt(self, rollout: Path) -> Path:
        """Copy *rollout*, from anywhere, to the place where Codex keeps such a session; return the copy."""
        year, month, day = date_of(rollout)
        target = self.home / "sessions" / year / month / day / rollout.name
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copyfile(rollout, target))

    def goes_on(self, rollout: Path) -> Path:
        """Return the file in which a resumed session of *rollout* continues: *rollout* itself, or a copy."""
        return max(self.rollouts(), key=lambda path: path.stat().st_mtime_ns) if self.release.habits.copies else rollout

    def rollouts(self) -> list[Path]:
        """Return every rollout in this home, oldest first by name."""
        return sorted((self.home / "sessions").rglob("rollout-*.jsonl"), key=lambda path: path.name)

    def shell_calls(self, script: str, call_id: str) -> list[Item]:
        """Return a call of each kind with which a model has this release run *script* in a shell.

        Each call's id begins with *call_id*.
        """
        habits = self.release.habits
        in_words = {"shell": {"command": ["bash", "-c", script]}, "shell_command": {"command": script}}
        calls = [in_function(habits.shell, in_words.get(habits.shell, {"cmd": script}), f"{call_id}_f")]
        if habits.other_shell == "local_shell":
            calls.append(locally(script, call_id))
        if habits.other_shell == "exec":
            javascript = f"text(await tools.exec_command({json.dumps({'cmd': script})}));"
            calls.append(in_custom_tool("exec", javascript, call_id))
        return calls

    def _environment(self) -> dict[str, str]:
        home = {"HOME": str(self.home.parent), "CODEX_HOME": str(self.home)}
        plain = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1"}
        return {**plain, **home, "SCRIPTED_KEY": "no-secret", **({} if cage.way_in() else NO_WAY_OUT)}


def session_id(rollout: Path) -> str:
    """Return the session's id from the file's name, without the revision after it."""
    begin = len("rollout-YYYY-MM-DDThh-mm-ss-")
    return rollout.name[begin : begin + 36]


def date_of(rollout: Path) -> tuple[str, str, str]:
    """Return year, month and day from the file's name."""
    match = re.match(r"rollout-(\d{4})-(\d\d)-(\d\d)T", rollout.name)
    assert match, rollout.name
    return match[1], match[2], match[3]


def says(text: str, item_id: str = "msg_said") -> Item:
    """Return the model's message *text*, as the Responses API sends it."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": item_id, "role": "assistant", "status": "completed", "content": content}


def thinks(text: str, item_id: str = "rs_thought") -> Item:
    """Return the model's reasoning, with a summary and an encrypted part."""
    summary = [{"type": "summary_text", "text": text}]
    return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": "c2VhbGVk"}


def in_function(name: str, arguments: dict[str, Any], call_id: str) -> Item:
    """Return the model's call of a function tool."""
    call = {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": name, "status": "completed"}
    return {**call, "arguments": json.dumps(arguments)}


def in_custom_tool(name: str, text: str, call_id: str) -> Item:
    """Return the model's call of a tool that takes plain text."""
    call = {"type": "custom_tool_call", "id": f"ctc_{call_id}", "call_id": call_id, "name": name}
    return {**call, "status": "completed", "input": text}


def locally(script: str, call_id: str) -> Item:
    """Return the model's call of the local shell."""
    action = {"type": "exec", "command": ["bash", "-c", script], "timeout_ms": 10_000}
    call = {"type": "local_shell_call", "id": f"lsh_{call_id}", "call_id": f"{call_id}_l", "status": "completed"}
    return {**call, "action": {**action, "working_directory": None, "env": None, "user": None}}
