"""Items as the OpenAI SDK returns them: objects of its own types, with the keys that the Responses API fills in.

The outputs of function calls are dicts, because the caller makes them.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseReasoningItem,
)

from benchmarks.texts import length, text

_COUNT = 2_048

# Of the logarithm of a text's length: with it a line of the mix has 2 kB in the mean.
_MU = 6.35


def messages() -> Iterator[Any]:
    """Yield assistant messages with a text of 120 to 280 characters."""
    chance = random.Random(11)
    for _ in range(_COUNT):
        yield _message(chance, chance.randint(120, 280))


def calls() -> Iterator[Any]:
    """Yield function calls with 20 to 90 characters of arguments."""
    chance = random.Random(12)
    for _ in range(_COUNT):
        yield _call(chance, _identity(chance, "call", 24), chance.randint(20, 90))


def small_mix() -> Iterator[Any]:
    """Yield turns of an agent, in lines of about 240 bytes."""
    chance = random.Random(13)
    return _mix(chance, lambda: chance.randint(20, 110))


def large_mix() -> Iterator[Any]:
    """Yield turns of an agent, in lines of 2 kB in the mean; the longest have about 200 kB."""
    chance = random.Random(14)
    return _mix(chance, lambda: length(chance, _MU))


def _mix(chance: random.Random, size: Callable[[], int]) -> Iterator[Any]:
    """Yield reasoning, two calls with their outputs, and a message, again and again."""
    for _ in range(_COUNT // 6):
        yield _reasoning(chance, 2 * size())
        for _ in range(2):
            call_id = _identity(chance, "call", 24)
            yield _call(chance, call_id, max(16, size() // 4))
            yield {"type": "function_call_output", "call_id": call_id, "output": text(chance, 2 * size())}
        yield _message(chance, size())


def _message(chance: random.Random, size: int) -> ResponseOutputMessage:
    part = ResponseOutputText(annotations=[], text=text(chance, size), type="output_text", logprobs=[])
    return ResponseOutputMessage(
        id=_identity(chance, "msg"), content=[part], role="assistant", status="completed", type="message"
    )


def _call(chance: random.Random, call_id: str, size: int) -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        arguments=json.dumps({"command": text(chance, size)}),
        call_id=call_id,
        name="run_command",
        type="function_call",
        id=_identity(chance, "fc"),
        status="completed",
    )


def _reasoning(chance: random.Random, size: int) -> ResponseReasoningItem:
    encrypted = "gAAAAAB" + base64.urlsafe_b64encode(chance.randbytes(size)).decode()
    return ResponseReasoningItem(id=_identity(chance, "rs"), summary=[], type="reasoning", encrypted_content=encrypted)


def _identity(chance: random.Random, prefix: str, digits: int = 50) -> str:
    return f"{prefix}_{chance.getrandbits(4 * digits):0{digits}x}"
