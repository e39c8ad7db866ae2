"""Strips from an item what the Responses API returns but rejects as input: keys and nulls.

The rules come from the input types of the OpenAI SDK, kind by kind; a test compares each kind. Only rejected keys are
named here, so that a key that is new tomorrow passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._shapes import Wire
from .ids import KEPT, REQUIRED, is_valid_id, short_call_id

_NONE: frozenset[str] = frozenset()

GIVEN = "rolloutlog_given"
"""A key of our own on the line of an item that is written otherwise than it was given: it says how it was given."""

IS_ERROR = "rolloutlog_is_error"
"""A key of our own on an output that was an error to another API, which the Responses API has no key for."""

# Known to answers alone (who made an item, on the API's side), and to us.
_NEVER = frozenset({"created_by", GIVEN, IS_ERROR})

# By the type of the object that holds them. `parsed` and `parsed_arguments` are added by the SDK's parse(), on this
# side of the wire. The status of reasoning is in the SDK's input types, and yet the API has refused it.
_REFUSED: Mapping[str, frozenset[str]] = {
    "function_call": frozenset({"parsed_arguments"}),
    "output_text": frozenset({"parsed"}),
    "reasoning": frozenset({"status"}),
    "custom_tool_call_output": frozenset({"status"}),
}

# Keys that are required and may be null: without them the API finds them missing.
_NULLABLE: Mapping[str, frozenset[str]] = {
    "code_interpreter_call": frozenset({"code", "outputs"}),
    "image_generation_call": frozenset({"result"}),
    "image_generation_call.error": frozenset({"code", "param"}),
    "double_click": frozenset({"keys"}),
    "mcp_list_tools": frozenset({"input_schema"}),
    "mcp_tool_execution_error": frozenset({"content"}),
    "tool_search_call": frozenset({"arguments"}),
    "function": frozenset({"parameters", "strict"}),  # a tool, where tools are found or added
}

# Keys that hold any JSON (schemas, arguments, what another server said), where a null means something.
_FREE: Mapping[str, frozenset[str]] = {
    "tool_search_call": frozenset({"arguments"}),
    "mcp_list_tools": frozenset({"input_schema", "annotations"}),
    "mcp_tool_execution_error": frozenset({"content"}),
    "function": frozenset({"parameters", "output_schema"}),
    "namespace": _NONE,
    "namespace.function": frozenset({"parameters", "output_schema"}),  # unlike that of a tool, these may be missing
    "file_search": frozenset({"filters"}),
    "json_schema": frozenset({"schema"}),
    "tool_search": frozenset({"parameters"}),
}
_TYPES = frozenset().union(_REFUSED, _NULLABLE, _FREE)

# The kinds and keys of Codex that stay on this side of the wire, and an older name of a kind.
_PRIVATE_KINDS = frozenset({"ghost_snapshot"})
_PRIVATE_KEYS = frozenset({"internal_chat_message_metadata_passthrough"})
_RENAMED: Mapping[str, str] = {"compaction_summary": "compaction"}


def strip_for_input(item: Mapping[str, Any]) -> Wire:
    """Return *item* as the API takes it in its input: a new dict, which shares the values that stay as they are."""
    taken = _stripped(item, "")
    if item.get("type") == "message" and item.get("role") != "assistant":
        taken.pop("id", None)  # messages to the model have none
    return taken


def sendable(item: Mapping[str, Any], *, text: bool) -> Wire | None:
    """Return *item* as the API takes it, without keys and ids that it refuses; `None` for an item that it refuses.

    Args:
        item: a wire dict; it stays as it is.
        text: whether reasoning may hold its text, in `content`.
    """
    if item["type"] in _PRIVATE_KINDS:
        return None
    taken = strip_for_input(item)
    kind = taken["type"] = _RENAMED.get(item["type"], item["type"])
    for key in _PRIVATE_KEYS.intersection(taken):
        del taken[key]
    if "id" in taken and not is_valid_id(kind, taken["id"]):
        del taken["id"]
    if kind in REQUIRED and "id" not in taken:
        return None
    _shorten_call_ids(taken)
    if kind == "reasoning" and not text and taken.pop("content", None) and not taken.get("encrypted_content"):
        return None
    return taken


def without_id(item: Wire, *, is_named: bool = True) -> Wire:
    """Return *item*, a wire dict, without its id, if the API takes it so.

    A local shell call keeps it, unless it has a call id and *is_named* says that no output names the call by its id.
    """
    is_kept = item["type"] in KEPT and (is_named or item["type"] in REQUIRED or "call_id" not in item)
    if "id" in item and not is_kept:
        item = {key: held for key, held in item.items() if key != "id"}
    return item


def _shorten_call_ids(item: Wire) -> None:
    if isinstance(call_id := item.get("call_id"), str):
        item["call_id"] = short_call_id(call_id)
    caller = item.get("caller")
    if isinstance(caller, dict) and isinstance(caller_id := caller.get("caller_id"), str):
        item["caller"] = {**caller, "caller_id": short_call_id(caller_id)}


def _stripped(value: Mapping[str, Any], where: str) -> Wire:
    """Return *value* without what is refused; *where* is the nearest type around it that a table here names."""
    kind = value.get("type")
    if isinstance(kind, str) and kind in _TYPES and where != "image_generation_call.error":
        where = f"{where}.{kind}" if f"{where}.{kind}" in _TYPES else kind
    refused, nullable, free = _REFUSED.get(where, _NONE), _NULLABLE.get(where, _NONE), _FREE.get(where, _NONE)
    taken: Wire = {}
    for key, held in value.items():
        if key in _NEVER or key in refused or (held is None and key not in nullable):
            continue
        taken[key] = held if key in free else _inside(held, f"{where}.{key}" if f"{where}.{key}" in _TYPES else where)
    return taken


def _inside(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return _stripped(value, where)
    if isinstance(value, list):
        return [_inside(part, where) for part in value]
    return value
