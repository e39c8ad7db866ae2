"""An agent loop with a tool, whose input list survives kill -9: run it, kill it anywhere, run it again.

There is no code to resume after a crash. Each turn looks at the last item and does the next step, and the items are
those on disk. A call without its output is answered first, whether it was made just now or before the kill.
"""

from __future__ import annotations

import json
import time
from typing import Any

import rolloutlog
from rolloutlog import FunctionCall, FunctionCallOutput, Message

HOURS = {"Pantheon": "09:00 to 19:00", "Colosseum": "08:30 to 16:30", "Trevi Fountain": "always open"}


def main() -> None:
    """Continue the session to its end, from any point."""
    with rolloutlog.session("trip-to-rome") as session:
        if not session.items:
            session.record({"role": "user", "content": "Plan a day in Rome"})
        while True:
            last = session.items[-1]
            if isinstance(last, Message) and last.role == "assistant":
                break
            if isinstance(last, FunctionCall):
                session.record(FunctionCallOutput.of(last, opening_hours(**last.args)))
            else:
                session.record(*model(session.to_input()))
            print(f"step {len(session.items) - 1}  {described(session.items[-1])}")
        print(f"The plan: {last.text}")


def opening_hours(place: str) -> str:
    """Look up when *place* is open. This is the tool, and it is slow."""
    time.sleep(0.5)
    return HOURS[place]


def model(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return output like ``client.responses.create(model=…, input=history).output``, according to *history*."""
    time.sleep(0.1)
    answers = [item for item in history if item["type"] == "function_call_output"]
    if len(answers) == len(HOURS):
        return [{"role": "assistant", "content": "Colosseum at 08:30, Pantheon at noon, the fountain by night."}]
    arguments = json.dumps({"place": list(HOURS)[len(answers)]})
    return [{"type": "function_call", "name": "opening_hours", "arguments": arguments, "call_id": f"c{len(answers)}"}]


def described(item: rolloutlog.ResponseItem) -> str:
    """Return a line that says what happened."""
    return f"call: {item.name}({item.arguments})" if isinstance(item, FunctionCall) else f"said: {item.text}"


if __name__ == "__main__":
    main()
