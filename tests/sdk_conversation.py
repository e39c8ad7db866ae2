"""A conversation by the Agents SDK with the loopback API, kept in a rollout; tests run it, also as a process."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import agents
import openai

from rolloutlog.adapters.agents import RolloutSession

ANSWER = "It is open."
CALL = {"type": "function_call", "call_id": "call_1", "name": "hours", "arguments": "{}", "status": "completed"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "09:00 to 19:00"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": []}],
}


@agents.function_tool
def hours() -> str:
    """Return when the place is open."""
    return str(OUTPUT["output"])


def guide(model: Any) -> Any:
    """Return an agent with one tool."""
    return agents.Agent(name="Guide", model=model, tools=[hours])


def reply(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A model that looks up the hours with the tool, after some reasoning, and then answers."""
    number = len(history)
    thought = THOUGHT | {"id": f"rs_{number}"}
    if history[-1].get("type") == "function_call_output":
        return [thought, SAID | {"id": f"msg_{number}"}]
    return [thought, CALL | {"id": f"fc_{number}", "call_id": f"call_{number}"}]


async def ask(url: str, question: str, *, stream: bool = False) -> str:
    """Ask an agent whose model is served at *url*, and return its answer."""
    async with (
        openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as api,
        RolloutSession("trip") as session,
    ):
        agent = guide(agents.OpenAIResponsesModel(model="m", openai_client=api))
        if not stream:
            return str((await agents.Runner.run(agent, question, session=session)).final_output)
        result = agents.Runner.run_streamed(agent, question, session=session)
        async for _ in result.stream_events():
            pass
        return str(result.final_output)


def main(url: str) -> None:
    """Ask a question and print the answer: for a process of its own."""
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    sys.stdout.write(asyncio.run(ask(url, "Is it open?")))
