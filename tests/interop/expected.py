"""The input that a real reader makes of the items of a rollout: rules that are separate from the tested code.

This module uses plain JSON values and imports nothing from rolloutlog. It reads files line by line with the standard
library. The rules were observed in the real programs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from habits import FLAT_KEYS
from releases import Release

Item = dict[str, Any]

# Notes that the newest release adds to an item, and does not send.
NOTES = "internal_chat_message_metadata_passthrough"
# Kinds whose id an API needs. We leave out other ids where no reasoning leads the item; the newest sends them.
WITH_ID = frozenset({"reasoning", "web_search_call", "image_generation_call"})
ABORTED = "aborted"
# Keys of today's API that the newest release does not keep.
NOT_KEPT = {"reasoning": "status", "function_call_output": "status"}


def items_in(rollout: Path, release: Release) -> list[Item]:
    """Return the items in a rollout of the format that *release* writes, without incomplete lines."""
    found = []
    for line in rollout.read_bytes().split(b"\n"):
        try:
            value = json.loads(line.decode("utf-8"))
        except ValueError:
            continue
        if release.writes == "flat" and value.get("type") in FLAT_KEYS and value.get("record_type") != "state":
            found.append(value)
        if release.writes == "envelope" and value["type"] == "response_item":
            found.append(value["payload"])
    return found


def history(release: Release, request: dict[str, Any], prompt: str) -> list[Item]:
    """Return the part of *request* that came from a resumed rollout, without items that the program adds."""
    found = [plain(item) for item in request["input"]]
    while found[-1]["type"] == "configuration_update":  # tells the vendor's own API the reasoning effort
        found.pop()
    asked = found.pop()
    assert text_of(asked) == prompt, asked
    if release.habits.front == "surroundings":
        assert is_context(found[0]), found[0]
        found.pop(0)
    if release.habits.front == "instructions":
        assert [found[0]["type"], found[1]["role"]] == ["additional_tools", "developer"], found[:2]
        del found[:2]
    # Most releases add tools, instructions and environment after it; newer ones not if they began the session.
    while found and (found[-1].get("role") == "developer" or is_context(found[-1])):
        found.pop()
    return found


def expected_history(release: Release, items: list[Item]) -> list[Item]:
    """Return what `history` must be when *release* resumes a rollout that holds *items*."""
    habits = release.habits
    answered = {item.get("call_id") for item in items if item["type"].endswith("_output")}
    front: list[Item] = []
    kept: list[Item] = []
    for item in as_told(release, items):
        unanswered = item["type"].endswith("_call") and item.get("call_id") and item["call_id"] not in answered
        if unanswered and habits.answers == "in front" and item["type"] == "function_call":
            front.append({**aborted(item), "type": habits.answer})
        known = known_of(release, item)
        if known is None:
            continue
        if habits.merges and kept and is_assistant(known) and is_assistant(kept[-1]):
            text = "".join(part["text"] for part in known["content"])
            kept[-1]["content"] = continued(kept[-1]["content"], text)
            continue
        kept.append(known)
        if unanswered and habits.answers == "behind the call":
            kept.append(aborted(item))
    return [plain(item) for item in [*front, *kept]]


def known_of(release: Release, item: Item) -> Item | None:
    """Return *item* with the keys that *release* knows of its kind; `None` if it does not know or send that kind."""
    if item.get("role") == "system":
        return None
    if release.habits.keys is None:
        return {key: value for key, value in item.items() if key != NOT_KEPT.get(item["type"])}
    if item["type"] not in release.habits.keys:
        return None
    known = {key: item[key] for key in release.habits.keys[item["type"]] if key in item}
    if "content" in known and "role" in known:
        known["content"] = [without_extras(part) for part in item["content"]]
    return known


def as_told(release: Release, items: list[Item]) -> list[Item]:
    """Return *items* with the outputs of shells as *release* sends them if they are JSON in the file."""
    if release.habits.retells == "nothing":
        return items
    by_shell = {item["call_id"] for item in items if item["type"] == "local_shell_call" or item.get("name") == "shell"}
    above = release.habits.retells == "lines above"
    return [
        {**item, "output": retold(item["output"], above)}
        if item["type"] == "function_call_output" and item["call_id"] in by_shell
        else item
        for item in items
    ]


def retold(output: str, above: bool) -> str:
    """Return the *output* of a shell, if it is JSON, as text, with the count of its lines *above* it or in it."""
    try:
        told = json.loads(output)
        code, seconds = told["metadata"]["exit_code"], told["metadata"]["duration_seconds"]
    except (TypeError, ValueError, KeyError):
        return output
    text, lines = told["output"], ""
    if above and (counted := re.match(r"(Total output lines: \d+\n)\n", text)):
        lines, text = counted[1], text[counted.end() :]
    return f"Exit code: {code}\nWall time: {seconds:g} seconds\n{lines}Output:\n{text}"


def plain(item: Item) -> Item:
    """Return *item* without null keys, the program's notes, and the id of an answer that the program made up."""
    left: Item = without_nulls({key: value for key, value in item.items() if key != NOTES})
    if left.get("output") == ABORTED:
        left.pop("id", None)
    return left


def without_nulls(value: Any) -> Any:
    """Return *value* without null keys, at any depth."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def aborted(call: Item) -> Item:
    """Return the output that the real releases send for a call without an output."""
    return {"type": "function_call_output", "call_id": call["call_id"], "output": ABORTED}


def continued(parts: list[Item], text: str) -> list[Item]:
    """Return message parts followed by *text*."""
    *before, last = parts
    return [*before, {**last, "text": last["text"] + text}]


def without_extras(part: Item) -> Item:
    """Return a message's part with the keys that all releases know."""
    return {key: part[key] for key in ("type", "text", "image_url") if key in part}


def said(items: list[Item]) -> list[str]:
    """Return the texts of people and the model, without the messages that Codex writes by itself."""
    messages = [item for item in items if item.get("role") in ("user", "assistant") and not is_context(item)]
    return [text_of(item) for item in messages]


def as_input(item: Item) -> Item:
    """Return *item*, as the newest release sends it, without its notes, and without an id that an API does not need."""
    keys = {NOTES} if item["type"] in WITH_ID else {NOTES, "id"}
    return {key: value for key, value in item.items() if key not in keys}


def our_input(item: Item) -> Item:
    """Return *item*, as we send it, without an id that an API does not need; it has no notes."""
    assert NOTES not in item
    return as_input(item)


def is_assistant(item: Item) -> bool:
    """Return whether *item* is a message of the assistant."""
    return item.get("role") == "assistant"


def is_context(item: Item) -> bool:
    """Return whether *item* is the message in which Codex describes its environment to the model."""
    return item.get("role") == "user" and text_of(item).startswith(
        ("<environment_context>", "# AGENTS.md instructions")
    )


def text_of(item: Item) -> str:
    """Return the text of a message."""
    return "".join(part.get("text", "") for part in item.get("content") or ())
