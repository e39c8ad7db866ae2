"""Messages of other APIs, known by their keys and parts, so that none is recorded by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CHAT_ROLES = frozenset({"tool", "function"})
_CHAT_KEYS = ("tool_calls", "tool_call_id", "function_call", "refusal", "audio", "annotations", "reasoning_content")
_CHAT_PARTS = frozenset({"image_url"})
_ANTHROPIC_KEYS = ("stop_reason", "stop_sequence")
_ANTHROPIC_PARTS = frozenset({"tool_use", "tool_result", "image", "thinking", "redacted_thinking", "document"})
_PARTS = (
    (_ANTHROPIC_PARTS, "Anthropic's API"),
    (_CHAT_PARTS, "the Chat Completions API"),
    (frozenset({"text"}), "the Chat Completions API or Anthropic's"),
)

FOREIGN_KEYS = frozenset({*_CHAT_KEYS, *_ANTHROPIC_KEYS})
"""Keys that messages of other APIs have, and those of the Responses API have not."""


def foreign_message(value: Mapping[str, Any]) -> str | None:
    """Return what shows that *value*, a message, is of another API; `None` if it is not."""
    if value.get("role") in _CHAT_ROLES:
        return _said(f"the role {value['role']!r}", "the Chat Completions API")
    for key in _CHAT_KEYS:
        if value.get(key) is not None:
            return _said(f"the key {key!r}", "the Chat Completions API")
    for key in _ANTHROPIC_KEYS:
        if value.get(key) is not None:
            return _said(f"the key {key!r}", "Anthropic's API")
    content = value.get("content")
    kinds = [
        part.get("type")
        for part in (content if isinstance(content, list | tuple) else ())
        if isinstance(part, Mapping) and isinstance(part.get("type"), str)
    ]
    for known, api in _PARTS:
        for kind in kinds:
            if kind in known:
                return _said(f"a part of the type {kind!r}", api)
    return None


def foreign_item(value: Mapping[str, Any], kind: str) -> str | None:
    """Return what shows that *value*, of a type that is not a message, is a part of a message of another API."""
    if kind in _ANTHROPIC_PARTS or kind == "text":
        return _said(f"the type {kind!r}", "a message of Anthropic's API", whole=True)
    if kind in ("function", "custom") and isinstance(value.get(kind), Mapping):
        return _said(f"the key {kind!r}", "a message of the Chat Completions API", whole=True)
    return None


def _said(mark: str, api: str, *, whole: bool = False) -> str:
    what = f"is a part of {api}" if whole else f"is a message of {api}"
    given = "the whole message" if whole else "message"
    return f"{what}, as {mark} shows; record(*rolloutlog.from_messages([{given}])) converts and records it"
