"""`rolloutlog path`: prints where a session's file is, for other programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .._face.safe import for_terminal
from .common import define, json_option, session_argument
from .output import write, write_json


@define(
    name="path",
    examples=[
        ("rolloutlog path trip-to-rome", "where the session of that name is"),
        ("rolloutlog path --last", "where the newest one is"),
    ],
)
@session_argument
@json_option
def command(path: Path, as_json: bool) -> None:
    """Print the path of a session's file, and nothing else."""
    if as_json:
        write_json({"path": os.fspath(path)})
        return
    if sys.stdout.isatty():
        write(for_terminal(os.fspath(path)) + "\n")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + b"\n")  # for a program: exactly, even where it is not text
