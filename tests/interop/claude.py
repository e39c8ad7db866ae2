"""A real Claude Code that a test can run: with its own folders, a scripted model, and no way to the outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from claude_server import MODEL, ClaudeServer, Reply
from codex import NO_WAY_OUT, SECONDS
from releases import FetchError, check_digest, download, interop_folder, make_ignored_folder, platform_name

VERSION = "2.1.332"
# The program is one file of each platform's package.
DIGESTS = {
    "linux-x64": "f4JWhzwYutJIHScC7/dYOPX6s28tt7ZADhsOi8zwOHq5fFPEuUeChh2NMfinSg0GrUckYxaeebC4h0DqiKzLcw==",
    "linux-arm64": "BlHNEtK38KBPWU31F4lUSS9sHclCyfWbThT1CErvxxH8+XcljYLZlQwdyXBkTD62rw1TgfE1u1a+quMWS0NSJg==",
    "darwin-arm64": "L/F5mypyB7SK59cesiAqGv1bVNd+8xTn0LF5kV6EGL6UMhofVJMFlokhDRoxNzANNC5i/5JdzfJyDOKUbZObiA==",
    "darwin-x64": "i0GV2ejBOeHMXs+XPCd1IaJj1GV3VdZl8hiQD6hLMR/N7f4Nt8q4Edj1GYJCKXPLJa/zsE9Uv6r9rZ/ldVFQPQ==",
}


def binary() -> Path:
    """Return where the program is; it may not exist, see `missing`."""
    return interop_folder() / f"claude-code-{VERSION}" / "claude"


def missing() -> str | None:
    """Return why Claude Code cannot be run here, or `None` if it can."""
    if platform_name() not in DIGESTS:
        return f"Claude Code {VERSION} is not pinned for {platform_name()}"
    if not binary().is_file():
        return f"Claude Code {VERSION} is not in {binary().parent}; `make interop` fetches it"
    return None


def fetch() -> None:
    """Download and unpack the program, unless it is there; raise `FetchError` if it is not the pinned one."""
    if binary().is_file():
        return
    name = platform_name()
    if name not in DIGESTS:
        raise FetchError(f"Claude Code {VERSION} is not pinned for {name}")
    folder = interop_folder()
    make_ignored_folder(folder)
    packed = download(f"@anthropic-ai/claude-code-{name}@{VERSION}", folder)
    try:
        check_digest(packed, DIGESTS[name])
        binary().parent.mkdir(exist_ok=True)
        unfinished = binary().with_name(".unfinished")
        with tarfile.open(packed) as archive:
            source = archive.extractfile("package/claude")
            assert source is not None
            with unfinished.open("wb") as target:
                while data := source.read(1 << 20):
                    target.write(data)
        unfinished.chmod(0o755)
        # Renamed last, so that an incomplete fetch is never taken for a whole one.
        os.replace(unfinished, binary())
    finally:
        packed.unlink()


class Claude:
    """Claude Code with folders of its own below *folder*.

    Attributes:
        project: its working folder.
        projects: where it keeps its sessions.
        requests: the requests of all runs, in order.
        usages: the usage of the reply to each of them.
    """

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self._home = folder / "home"
        self.projects = self._home / "config/projects"
        self.project.mkdir(parents=True)
        self._home.mkdir()
        self.requests: list[dict[str, Any]] = []
        self.usages: list[dict[str, int]] = []

    def run(self, prompt: str, replies: Sequence[Reply], *arguments: str) -> str:
        """Say *prompt*, have the model answer with *replies*, and return the session's id."""
        command = [str(binary()), "-p", prompt, "--model", MODEL, "--output-format", "json"]
        command += ["--dangerously-skip-permissions", *arguments]
        with ClaudeServer(replies, first=len(self.requests)) as server:
            environment = {
                "HOME": str(self._home),
                "PATH": os.environ["PATH"],
                "CLAUDE_CONFIG_DIR": str(self._home / "config"),
                "ANTHROPIC_BASE_URL": server.url,
                "ANTHROPIC_API_KEY": "scripted",
                "DISABLE_AUTOUPDATER": "1",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "IS_SANDBOX": "1",  # so that it runs as root
                **NO_WAY_OUT,
            }
            done = subprocess.run(
                command,
                env=environment,
                cwd=self.project,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=4 * SECONDS,
            )
        assert done.returncode == 0, done.stdout + done.stderr
        assert not server.others, server.others
        self.requests += server.requests
        self.usages += server.usages
        return str(json.loads(done.stdout)["session_id"])

    def file(self, session_id: str) -> Path:
        """Return the file of a session."""
        (path,) = self.projects.glob(f"*/{session_id}.jsonl")
        return path


if __name__ == "__main__":
    try:
        fetch()
    except FetchError as error:
        sys.exit(f"error: {error}")
    sys.stdout.write(f"Claude Code {VERSION}: {binary()}\n")
