"""An agent with a tool on the OpenAI SDK that survives kill -9: run it, kill it anywhere, run it again.

Needs `pip install '.[openai]'`, in a clone of rolloutlog, and OPENAI_API_KEY.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import openai

import rolloutlog
from rolloutlog import FunctionCall, FunctionCallOutput, Message

MODEL = os.environ.get("MODEL", "gpt-5")
HOURS = {"Pantheon": "09:00 to 19:00", "Colosseum": "08:30 to 16:30"}
PLACE = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}
TOOLS: Any = [{"type": "function", "name": "opening_hours", "parameters": PLACE, "strict": False}]


def main() -> None:
    """Continue the session to its end, from any point."""
    with openai.OpenAI() as client, rolloutlog.session("openai-trip") as session:
        if not session.items:
            session.record({"role": "user", "content": "When are the Pantheon and the Colosseum open?"})
        while not is_answered(session.items):
            for call in open_calls(session.items):
                session.record(FunctionCallOutput.of(call, HOURS.get(call.args["place"], "unknown")))
            # Reasoning comes encrypted, so that it can be sent back, and the API needs to keep nothing.
            response = client.responses.create(
                model=MODEL,
                input=session.to_input(),
                tools=TOOLS,
                store=False,
                include=["reasoning.encrypted_content"],
            )
            session.record(*response.output)
            print(f"{len(session.items)} items in {session.path.name}")
        print(session.items[-1].text)


def is_answered(items: Sequence[rolloutlog.ResponseItem]) -> bool:
    """Return whether the model has given its final answer."""
    return isinstance(items[-1], Message) and items[-1].role == "assistant"


def open_calls(items: Sequence[rolloutlog.ResponseItem]) -> list[FunctionCall]:
    """Return the calls without an output, from this run or from before a kill."""
    answered = {item.call_id for item in items if isinstance(item, FunctionCallOutput)}
    return [item for item in items if isinstance(item, FunctionCall) and item.call_id not in answered]


if __name__ == "__main__":
    main()
