"""What is recorded and read: small messages, a mix as agents make it, and big tool outputs; the same every time."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rolloutlog import FunctionCall, FunctionCallOutput, Message, Reasoning, ResponseItem
from rolloutlog.items import InputText, OutputText, SummaryText

Wire = dict[str, Any]

NAMES = ("small", "mix", "big")

# How many records a child process makes before the clock starts; it records them over and over. A mix of this many is
# larger than the processor's cache, as an agent's records are.
_COUNTS = {"small": 2_048, "mix": 2_048, "big": 8}

_BIG = 1024 * 1024
_LONGEST = 100_000
# Of the logarithm of a text's length: the records of a mix have 2 kB in the mean, and a tail.
_MU, _SIGMA = 6.4, 1.3

_TALK = """
the file was read and 3 tests failed because of an import that is missing in src/app/main.py so we run pytest again
def handle(request): return "ok" if request.user else None # NOTE {"id": 17, "name": "x"} <div> \\n C:\\temp
total 48 drwxr-xr-x 2 user group 4096 Jul 1 12:00 tests -> ../lib let me look at what the tool returned café naïve
"""
_WORDS = _TALK.split()


def records(workload: str) -> list[Wire]:
    """Return the records of *workload* as the dicts that an API sends and takes."""
    return list(_MAKERS[workload](_COUNTS[workload]))


def as_item(wire: Wire) -> ResponseItem:
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


class SdkLike:
    """What an SDK returns: an object that knows its wire form, and builds it anew each time that it is asked."""

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


def write_session(path: Path, workload: str, size: int) -> None:
    """Write a session of about *size* bytes, by plain `json`, so that what reads it has had no part in it."""
    meta = {"id": "5973b6c0-94b8-487b-a530-2aeb6098ae0e", "timestamp": "2025-07-01T00:00:00.000Z", "instructions": None}
    lines = [_line(record) for record in records(workload)]
    left = size
    with open(path, "wb") as file:
        file.write(_line(meta))
        while left > 0:
            for line in lines:
                file.write(line)
                left -= len(line)
                if left <= 0:
                    break


def _line(value: Wire) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _small(count: int) -> Iterator[Wire]:
    """Yield messages with a text of about 200 bytes."""
    chance = random.Random(1)
    for number in range(count):
        yield _message(number, _text(chance, chance.randint(120, 280)))


def _mix(count: int) -> Iterator[Wire]:
    """Yield what a session holds: messages, calls, their outputs and reasoning."""
    chance = random.Random(2)
    for number in range(count):
        size = min(_LONGEST, 16 + int(chance.lognormvariate(_MU, _SIGMA)))
        kind = number % 5
        if kind == 0:
            arguments = json.dumps({"command": ["bash", "-lc", _text(chance, size // 8)], "timeout_ms": 10_000})
            yield {
                "type": "function_call",
                "id": f"fc_{number:040x}",
                "name": "shell",
                "arguments": arguments,
                "call_id": f"call_{number:024x}",
            }
        elif kind in (1, 3):
            output = _text(chance, min(_LONGEST, 2 * size)).replace(" the ", "\n")
            yield {"type": "function_call_output", "call_id": f"call_{number:024x}", "output": output}
        elif kind == 2:
            yield {
                "type": "reasoning",
                "id": f"rs_{number:040x}",
                "summary": [{"type": "summary_text", "text": _text(chance, size // 4)}],
                "encrypted_content": f"{chance.getrandbits(4 * size):x}",
            }
        else:
            yield _message(number // 5, _text(chance, size))


def _big(count: int) -> Iterator[Wire]:
    """Yield tool outputs of 1 MB."""
    chance = random.Random(3)
    for number in range(count):
        output = _text(chance, _BIG).replace(" the ", "\n")
        yield {"type": "function_call_output", "call_id": f"call_{number:024x}", "output": output}


def _message(number: int, text: str) -> Wire:
    role, part = (("user", "input_text"), ("assistant", "output_text"))[number % 2]
    identity = f"msg_{number:040x}" if role == "assistant" else None
    return {"type": "message", "id": identity, "role": role, "content": [{"type": part, "text": text}]}


def _text(chance: random.Random, size: int) -> str:
    """Return *size* characters as tools and people write them: mostly ASCII, with quotes and backslashes."""
    words = chance.choices(_WORDS, k=size // 4 + 1)
    # One text in twenty holds what is not in Latin-1, which makes it wider in memory and slower to write.
    if chance.random() < 0.05:
        words[0] = "→✓"
    text = " ".join(words)[:size]
    return text + " " * (size - len(text))


_MAKERS: dict[str, Callable[[int], Iterator[Wire]]] = {"small": _small, "mix": _mix, "big": _big}
