"""The records that are written and read, the same in every run, and the forms in which a variant takes them.

They are made once, in the parent process, and stored: a child process loads the one form that it needs.
"""

from __future__ import annotations

import datetime as dt
import json
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.texts import length, text
from rolloutlog import FunctionCall, FunctionCallOutput, Message, Reasoning, ResponseItem, load_session
from rolloutlog.items import InputText, OutputText, SummaryText

Wire = dict[str, Any]

SDK, SDK_LARGE, SDK_MESSAGE, SDK_CALL = "SDK mix", "SDK mix of 2 kB", "SDK message", "SDK function call"
_FROM_SDK = {SDK: "small_mix", SDK_LARGE: "large_mix", SDK_MESSAGE: "messages", SDK_CALL: "calls"}
NAMES = (*_FROM_SDK, "small", "mix", "big")

# DICTS is what an API sends. OBJECTS is what an SDK returns. ITEMS are made by our constructors, LOADED by
# `load_session`. EXTRAS is what the relatives of logging take beside a message.
DICTS, OBJECTS, ITEMS, LOADED, EXTRAS = "dicts", "objects", "items", "loaded", "extras"

# A mix of this many records is larger than the processor's cache, as an agent's records are.
_COUNT = 2_048
_BIG_COUNT, _BIG = 8, 1024 * 1024
_LONGEST = 100_000

_META = {"id": "5973b6c0-94b8-487b-a530-2aeb6098ae0e", "timestamp": "2025-07-01T00:00:00.000Z", "instructions": None}
# The order in which a recorder writes the keys of an item.
_ORDER = ("type", "id", "role", "name", "arguments", "call_id", "summary", "content", "encrypted_content")


class SdkLike:
    """An object as an SDK returns it, which builds a new dict at each `to_dict()`."""

    __slots__ = ("_wire",)

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def to_dict(self) -> Wire:
        """Return the object as the API sends it."""
        wire = dict(self._wire)
        for key in ("content", "summary"):
            if key in wire:
                wire[key] = [dict(part) for part in wire[key]]
        return wire


def missing(workload: str) -> list[str]:
    """Return the packages that the workload needs and that are not installed."""
    return ["openai"] if workload in _FROM_SDK and find_spec("openai") is None else []


def has(workload: str, form: str) -> bool:
    """Return whether the workload has that form: our constructors do not take the keys of an SDK's object."""
    return form != ITEMS or workload not in _FROM_SDK


def store(folder: Path, workload: str) -> None:
    """Make the records of *workload* in *folder*, unless they are there."""
    if _stored(folder, workload, DICTS).exists():
        return
    if workload in _FROM_SDK:
        objects = list(getattr(import_module("benchmarks.sdk"), _FROM_SDK[workload])())
        dicts = [known if isinstance(known, dict) else known.to_dict() for known in objects]
    else:
        dicts = list(_MAKERS[workload]())
        objects = [SdkLike(wire) for wire in dicts]
    _stored(folder, workload, DICTS).write_bytes(pickle.dumps(dicts))
    _stored(folder, workload, OBJECTS).write_bytes(pickle.dumps(objects))
    _write(_stored(folder, workload, LOADED), _session(dicts), 0)


def load(folder: Path, workload: str, form: str) -> Sequence[Any]:
    """Return the records of *workload* in one of its forms, as `store` has stored them."""
    if form == LOADED:
        return load_session(_stored(folder, workload, LOADED)).items
    stored = OBJECTS if form == OBJECTS else DICTS
    records: list[Any] = pickle.loads(_stored(folder, workload, stored).read_bytes())
    if form == ITEMS:
        return [_as_item(wire) for wire in records]
    if form == EXTRAS:
        # Not the record's keys themselves: logging refuses an extra that is called "name".
        return [{"item": wire} for wire in records]
    return records


def write_session(folder: Path, workload: str, path: Path, size: int) -> None:
    """Write a session of about *size* bytes, by plain `json`, so that its reader has had no part in it."""
    _write(path, _session(load(folder, workload, DICTS)), size)


def write_envelope(path: Path, size: int) -> None:
    """Write a session as today's Codex writes it: lines around items, and events, turn contexts and token counts."""
    _write(path, [_line(line) for line in _envelope()], size)


def _stored(folder: Path, workload: str, form: str) -> Path:
    return folder / f"{workload}.{form}"


def _session(records: Sequence[Wire]) -> list[bytes]:
    return [_line(_META), *(_line(_as_recorded(record)) for record in records)]


def _as_recorded(record: Wire) -> Wire:
    return {key: record[key] for key in _ORDER if key in record} | record


def _write(path: Path, lines: list[bytes], size: int) -> None:
    """Write the lines, and all but the first again until the file has *size* bytes."""
    meta, *body = lines
    left = size
    with open(path, "wb") as file:
        file.write(meta)
        while True:
            for line in body:
                file.write(line)
                left -= len(line)
                if size and left <= 0:
                    return
            if not size:
                return


def _line(value: Wire) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _as_item(wire: Wire) -> ResponseItem:
    """Return *wire* as an agent makes it from our classes."""
    kind = wire["type"]
    if kind == "function_call":
        return FunctionCall(wire["name"], wire["arguments"], wire["call_id"], wire["id"])
    if kind == "function_call_output":
        return FunctionCallOutput(wire["call_id"], wire["output"])
    if kind == "reasoning":
        summary = tuple(SummaryText(part["text"]) for part in wire["summary"])
        return Reasoning(wire["id"], summary, encrypted_content=wire["encrypted_content"])
    part_class = InputText if wire["role"] == "user" else OutputText
    return Message(wire["role"], tuple(part_class(part["text"]) for part in wire["content"]), wire["id"])


# -- without an SDK ----------------------------------------------------------------------------------------------------


def _small() -> Iterator[Wire]:
    """Yield messages with a text of about 200 bytes."""
    chance = random.Random(1)
    for number in range(_COUNT):
        yield _message(number, text(chance, chance.randint(120, 280)))


def _mix() -> Iterator[Wire]:
    """Yield what a session holds: messages, calls, their outputs and reasoning; 2 kB in the mean, and a tail."""
    chance = random.Random(2)
    for number in range(_COUNT):
        size = length(chance, 6.4)
        kind = number % 5
        if kind == 0:
            arguments = json.dumps({"command": ["bash", "-lc", text(chance, size // 8)], "timeout_ms": 10_000})
            yield {
                "type": "function_call",
                "id": f"fc_{number:040x}",
                "name": "shell",
                "arguments": arguments,
                "call_id": f"call_{number:024x}",
            }
        elif kind in (1, 3):
            yield _output(number, text(chance, min(_LONGEST, 2 * size)))
        elif kind == 2:
            yield {
                "type": "reasoning",
                "id": f"rs_{number:040x}",
                "summary": [{"type": "summary_text", "text": text(chance, size // 4)}],
                "encrypted_content": f"{chance.getrandbits(4 * size):x}",
            }
        else:
            yield _message(number // 5, text(chance, size))


def _big() -> Iterator[Wire]:
    """Yield tool outputs of 1 MB."""
    chance = random.Random(3)
    for number in range(_BIG_COUNT):
        yield _output(number, text(chance, _BIG))


def _message(number: int, said: str) -> Wire:
    role, part = (("user", "input_text"), ("assistant", "output_text"))[number % 2]
    identity = f"msg_{number:040x}" if role == "assistant" else None
    return {"type": "message", "id": identity, "role": role, "content": [{"type": part, "text": said}]}


def _output(number: int, output: str) -> Wire:
    call_id = f"call_{number:024x}"
    return {"type": "function_call_output", "call_id": call_id, "output": output.replace(" the ", "\n")}


_MAKERS: dict[str, Callable[[], Iterator[Wire]]] = {"small": _small, "mix": _mix, "big": _big}


# -- as Codex writes it ------------------------------------------------------------------------------------------------


def _envelope() -> Iterator[Wire]:
    """Yield the lines of a session: its meta, then turns of a few model calls each."""
    chance = random.Random(4)
    now = dt.datetime(2025, 7, 1)

    def line(kind: str, payload: Wire) -> Wire:
        nonlocal now
        now += dt.timedelta(milliseconds=chance.randint(1, 999))
        return {"timestamp": now.isoformat(timespec="milliseconds") + "Z", "type": kind, "payload": payload}

    def event(kind: str, **keys: Any) -> Wire:
        return line("event_msg", {"type": kind, **keys})

    def item(kind: str, **keys: Any) -> Wire:
        return line("response_item", {"type": kind, **keys})

    yield line("session_meta", _codex_meta(text(chance, 12_000)))
    total = 0
    for turn in range(200):
        asked = text(chance, length(chance, 5))
        yield event("task_started", turn_id=f"turn-{turn}", model_context_window=272_000)
        yield line("turn_context", _turn_context(turn, text(chance, 800)))
        yield item("message", role="user", content=[{"type": "input_text", "text": asked}])
        yield event("user_message", message=asked, images=[], local_images=[], text_elements=[])
        for call in range(chance.randint(1, 6)):
            thought = text(chance, 120)
            call_id = f"call_{turn:012x}{call:012x}"
            yield event("agent_reasoning", text=thought)
            yield item(
                "reasoning",
                summary=[{"type": "summary_text", "text": thought}],
                content=None,
                encrypted_content=f"gAAAAAB{chance.getrandbits(4 * length(chance, 7)):x}",
            )
            arguments = json.dumps({"cmd": text(chance, length(chance, 4)), "yield_time_ms": 1_000})
            yield item("function_call", name="exec_command", arguments=arguments, call_id=call_id)
            yield item("function_call_output", call_id=call_id, output=text(chance, length(chance, 7.5)))
            total += chance.randint(500, 9_000)
            yield event("token_count", info=_tokens(total, chance.randint(500, 9_000)), rate_limits=_LIMITS)
        answer = text(chance, length(chance, 6))
        yield event("agent_message", message=answer)
        yield item("message", role="assistant", content=[{"type": "output_text", "text": answer}])
        yield event("task_complete", turn_id=f"turn-{turn}", last_agent_message=answer)


def _codex_meta(instructions: str) -> Wire:
    return {
        "id": _META["id"],
        "timestamp": _META["timestamp"],
        "cwd": "/home/user/project",
        "originator": "codex_exec",
        "cli_version": "0.169.0",
        "source": "exec",
        "model_provider": "openai",
        "base_instructions": {"text": instructions},
        "git": {"commit_hash": "0" * 40, "branch": "main"},
    }


def _turn_context(turn: int, instructions: str) -> Wire:
    return {
        "turn_id": f"turn-{turn}",
        "cwd": "/home/user/project",
        "approval_policy": "never",
        "sandbox_policy": {"type": "workspace-write", "network_access": False, "exclude_slash_tmp": False},
        "model": "gpt-5-codex",
        "effort": "medium",
        "summary": "auto",
        "user_instructions": instructions,
    }


def _tokens(total: int, last: int) -> Wire:
    def usage(tokens: int) -> Wire:
        return {
            "input_tokens": tokens,
            "cached_input_tokens": tokens // 2,
            "output_tokens": tokens // 8,
            "reasoning_output_tokens": tokens // 16,
            "total_tokens": tokens + tokens // 8,
        }

    return {"total_token_usage": usage(total), "last_token_usage": usage(last), "model_context_window": 272_000}


_LIMITS = {
    "primary": {"used_percent": 12.0, "window_minutes": 300, "resets_at": 1_751_340_000},
    "secondary": {"used_percent": 31.0, "window_minutes": 10_080, "resets_at": 1_751_900_000},
    "credits": None,
    "plan_type": "plus",
}
