"""The parts of a transcript as JSON: one object for each turn and each entry."""

from __future__ import annotations

from typing import Any

from .._face.entries import (
    Call,
    Instruction,
    Logged,
    Note,
    Other,
    Output,
    Part,
    Picture,
    Said,
    Skipped,
    Thought,
    Turn,
    TurnEnd,
)
from .._face.outputs import Image, Result
from .listing import iso


def as_object(part: Part) -> dict[str, Any]:
    """Return *part* as the object that `--json` prints."""
    if isinstance(part, TurnEnd):
        counts = {"calls": part.calls, "failed": part.failed, "unanswered": part.unanswered}
        return {"kind": "turn_end", "turn": part.number, "seconds": part.seconds, **counts, "inherited": part.inherited}
    time = None if part.time is None else iso(part.time)
    place = {"line": part.line, "time": time, "inherited": part.inherited}
    if isinstance(part, Turn):
        return {"kind": "turn", "turn": part.number, "who": part.who, **place}
    return {"kind": part.kind, **place, **_of_entry(part)}  # type: ignore[attr-defined]


def _of_entry(entry: Any) -> dict[str, Any]:
    if isinstance(entry, Said):
        images = list(map(_image, entry.images))
        author = {"author": entry.author, "final": entry.is_final}
        return {"role": entry.role, **author, "text": entry.text, "images": images, "files": list(entry.files)}
    if isinstance(entry, Thought):
        return {"title": entry.title, "text": entry.text}
    if isinstance(entry, Call):
        call = entry.call
        shown = {
            "tool": call.tool,
            "command": call.command,
            "shell": call.is_shell,
            "diff": call.diff,
            "cwd": call.folder,
        }
        result = {"answered": entry.result is not None, "output_line": entry.result_line, **_result(entry.result)}
        return {"type": entry.type, **shown, **result}
    if isinstance(entry, Output):
        command = None if entry.call is None else entry.call.command
        return {"command": command, "call_line": entry.call_line, **_result(entry.result)}
    if isinstance(entry, Logged):
        extra = {str(key): value for key, value in entry.extra.items()}
        return {
            "level": entry.level,
            "logger": entry.logger,
            "text": entry.text,
            "details": entry.details or None,
            "extra": extra,
        }
    if isinstance(entry, Picture):
        return {"prompt": entry.prompt or None, "image": _image(entry.image)}
    if isinstance(entry, Note):
        return {"text": entry.text, "detail": entry.detail or None}
    if isinstance(entry, Instruction):
        return {"role": entry.role, "type": entry.type, "text": entry.text}
    if isinstance(entry, Skipped):
        return {"offset": entry.offset, "reason": entry.reason}
    assert isinstance(entry, Other)
    return {"name": entry.name, "text": entry.text}


def _result(result: Result | None) -> dict[str, Any]:
    found = result or Result()
    return {
        "exit_code": found.exit_code,
        "seconds": found.seconds,
        "failed": found.is_failed,
        "running": found.is_running,
        "cut": found.is_cut,
        "output": None if result is None else found.text,
        "images": list(map(_image, found.images)),
    }


def _image(image: Image) -> dict[str, Any]:
    """Return a picture without its data, which would make a line of megabytes; its line in the file holds them."""
    url = image.url
    return {"url": None if url is None or url.startswith("data:") else url, "size": image.size or None}
