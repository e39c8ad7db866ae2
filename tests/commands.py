"""Runs the command `rolloutlog` in this process or in one of its own, and makes homes with sessions for it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from helpers import DEADLINE

import rolloutlog


class Outcome(NamedTuple):
    """The end of a command: its exit code, and what it printed."""

    code: int
    out: str
    err: str


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def run(*arguments: Any, terminal: bool = False) -> Outcome:
    """Run the command in this process; *terminal*: as if its output were one."""
    from rolloutlog._cli.app import run as run_command

    streams = [(_Terminal if terminal else io.TextIOWrapper)(io.BytesIO(), encoding="utf-8") for _ in range(2)]
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        code = run_command([os.fspath(argument) for argument in arguments])
    for stream in streams:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode() for stream in streams)  # type: ignore[attr-defined]
    return Outcome(code, out, err)


def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own, with pipes."""
    environment = {**os.environ, "PYTHONPATH": str(Path(rolloutlog.__file__).parents[1]), **options.pop("env", {})}
    command = [sys.executable, "-m", "rolloutlog", *map(os.fspath, arguments)]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, env=environment, **pipes)


def run_apart(*arguments: Any, data: bytes | None = None, **options: Any) -> Outcome:
    """Run the command in a process of its own, with *data* as its input."""
    if data is not None:
        options["stdin"] = subprocess.PIPE
    process = start(*arguments, **options)
    out, err = process.communicate(data, timeout=DEADLINE)
    return Outcome(process.returncode, (out or b"").decode(), (err or b"").decode())
