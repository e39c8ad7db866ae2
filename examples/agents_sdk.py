"""A conversation on the OpenAI Agents SDK that resumes where it was: run it again with another question.

Needs `pip install '.[agents]'`, in a clone of rolloutlog, and OPENAI_API_KEY.
"""

from __future__ import annotations

import asyncio
import os
import sys

from agents import Agent, Runner, function_tool

from rolloutlog.adapters.agents import RolloutSession

HOURS = {"Pantheon": "09:00 to 19:00", "Colosseum": "08:30 to 16:30"}


@function_tool
def opening_hours(place: str) -> str:
    """Look up when a place is open."""
    return HOURS.get(place, "unknown")


async def main(*questions: str) -> None:
    """Ask *questions* in order, each with the conversation so far."""
    guide = Agent(
        name="Guide",
        instructions="You are a guide in Rome. You are brief.",
        model=os.environ.get("MODEL", "gpt-5"),
        tools=[opening_hours],
    )
    async with RolloutSession("agents-trip") as session:
        for question in questions:
            result = await Runner.run(guide, question, session=session)
            print(result.final_output)
        print(f"{len(await session.get_items())} items in {session.path}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:] or ["When is the Pantheon open?"]))
