"""Which items other readers see: the rules that the real Codex was seen to follow, in its two formats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._entries import Entry, OtherEntry, SessionMeta
from .._format.lines import Format
from .._item import Item

CODEX: Mapping[Format, str] = {"flat": "Codex 0.20.0", "envelope": "Codex 0.169.0"}
"""The releases whose rules these are. The older one is the last that reads the flat format whole."""

LINE_TYPES = frozenset(
    {
        "session_meta",
        "response_item",
        "event_msg",
        "turn_context",
        "compacted",
        "world_state",
        "token_usage_record",
        "inter_agent_communication",
        "rolloutlog",
    }
)
"""The types of lines that the newest Codex writes, and our own."""

_REQUIRED = ("id", "timestamp", "cwd", "originator", "cli_version")
_FLAT_KINDS = frozenset({"message", "reasoning", "local_shell_call", "function_call", "function_call_output"})
_KINDS = _FLAT_KINDS | {
    "additional_tools",
    "agent_message",
    "compaction",
    "compaction_summary",
    "custom_tool_call",
    "custom_tool_call_output",
    "ghost_snapshot",
    "image_generation_call",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
}
_PARTS = frozenset({"input_text", "input_image", "output_text"})
_FLAT_REASONING = frozenset({"reasoning_text"})
_REASONING = frozenset({"reasoning_text", "text"})
_STATUSES = frozenset({"completed", "in_progress", "incomplete"})
# An integer of 64 bits has 19 or 20 digits.
_WIDE = re.compile(rb"[:,\[]\s*-?\d{21,}\s*[,}\]]")


def codex_reads_meta(meta: SessionMeta, format: Format) -> bool:
    """Whether Codex reads a file that begins with *meta*."""
    keys = {"id": meta.id, "timestamp": meta.timestamp, **meta.extra}
    return format == "flat" or all(isinstance(keys.get(key), str) for key in _REQUIRED)


def codex_needs_number(entry: Entry) -> bool:
    """Whether the newest Codex wants a number in the line of *entry*: it knows its type."""
    return isinstance(entry, Item | SessionMeta) or (isinstance(entry, OtherEntry) and entry.type in LINE_TYPES)


def codex_reads(item: Item, format: Format) -> bool:
    """Whether Codex sees *item*, which we see, in a file of *format*."""
    value = item._read()
    kind = item.type
    if format == "flat":
        return kind in _FLAT_KINDS and _fits(value, kind, _FLAT_REASONING) and _fits_flat(value, kind)
    if kind == "message" or kind in _FLAT_KINDS:
        return _fits(value, kind, _REASONING) and _WIDE.search(item.json) is None
    return kind in _KINDS


def _fits(value: dict[str, Any], kind: str, reasoning: frozenset[str]) -> bool:
    if kind == "message":
        return all(part["type"] in _PARTS for part in value["content"])
    if kind == "reasoning":
        return all(part["type"] in reasoning for part in value.get("content") or ())
    if kind == "local_shell_call":
        return value["status"] in _STATUSES and value["action"]["type"] == "exec"
    return True


def _fits_flat(value: dict[str, Any], kind: str) -> bool:
    if kind == "message":
        return all(part["type"] != "input_image" or part.get("image_url") is not None for part in value["content"])
    if kind == "reasoning":
        return isinstance(value.get("id"), str)
    return kind != "function_call_output" or isinstance(value["output"], str)
