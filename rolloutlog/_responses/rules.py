"""Strips from an item what the Responses API returns but rejects as input: keys and nulls.

The rules come from the input types of the OpenAI SDK, kind by kind; a test compares each kind. Only rejected keys are
named here, so that a key that is new tomorrow passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._checks import Wire

_NONE: frozenset[str] = frozenset()

GIVEN = "rolloutlog_given"
"""A key of our own on the line of an item that is written otherwise than it was given: it says how it was given."""

# Known to answers alone (who made an item, on the API's side), and to us.
_NEVER = frozenset({"created_by", GIVEN})

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

# Kinds that the API does not take without an id, or that say by it which other item they mean.
_KNOWN_BY_ID = frozenset(
    {
        "code_interpreter_call",
        "computer_call",
        "file_search_call",
        "image_generation_call",
        "item_reference",
        "local_shell_call",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "web_search_call",
    }
)


def strip_for_input(item: Mapping[str, Any]) -> Wire:
    """Return *item* as the API takes it in its input: a new dict, which shares the values that stay as they are."""
    taken = _stripped(item, "")
    if item.get("type") == "message" and item.get("role") != "assistant":
        taken.pop("id", None)  # messages to the model have none
    return taken


def without_id(item: Wire) -> Wire:
    """Return *item*, a wire dict, without its id, if the API takes its kind without."""
    if item.get("type") not in _KNOWN_BY_ID:
        item.pop("id", None)
    return item


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
