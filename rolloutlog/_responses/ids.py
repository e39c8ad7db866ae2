"""Which ids the Responses API takes: an item's own id by its kind, and call ids of any length made short enough."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

_LONGEST = 64
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}")

# How the ids of a kind begin. Of kinds that are missing here the prefix is not known for certain.
_PREFIXES: Mapping[str, str] = {
    "apply_patch_call": "apc_",
    "code_interpreter_call": "ci_",
    "compaction": "cmp_",
    "computer_call": "cu_",
    "custom_tool_call": "ctc_",
    "custom_tool_call_output": "ctco_",
    "file_search_call": "fs_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "image_generation_call": "ig_",
    "mcp_approval_request": "mcpr_",
    "mcp_call": "mcp_",
    "mcp_list_tools": "mcpl_",
    "message": "msg_",
    "reasoning": "rs_",
    "tool_search_call": "tsc_",
    "tool_search_output": "tso_",
    "web_search_call": "ws_",
}
_OF_A_KIND = frozenset(_PREFIXES.values())

REQUIRED = frozenset(
    {
        "code_interpreter_call",
        "computer_call",
        "file_search_call",
        "image_generation_call",
        "item_reference",
        "local_shell_call_output",
        "mcp_approval_request",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "web_search_call",
    }
)
"""The kinds that the API does not take without an id."""

KEPT = REQUIRED | {"local_shell_call"}
"""The kinds whose id stays where ids are left out: it is required, or an output may name the call by it."""


WELL_KNOWN = frozenset(_PREFIXES) | {"local_shell_call", "shell_call"}
"""The kinds of which it is known whether they need an id. A kind that is new tomorrow may need one."""


def is_valid_id(kind: str, item_id: Any) -> bool:
    """Whether a Responses API can have given *item_id* to an item of *kind*."""
    if not isinstance(item_id, str) or _PLAIN.fullmatch(item_id) is None:
        return False
    if kind == "item_reference":
        return True  # the id of an item of any kind
    prefix = _PREFIXES.get(kind)
    if prefix is not None:
        return item_id.startswith(prefix) and item_id != prefix
    head, underscore, _ = item_id.partition("_")
    return bool(underscore) and head + underscore not in _OF_A_KIND


def short_call_id(call_id: str) -> str:
    """Return *call_id* with at most 64 characters, of which the API requires at least one.

    The same id always gives the same result. The results of two ids differ, as far as their hashes do.
    """
    if 0 < len(call_id) <= _LONGEST:
        return call_id
    digest = hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{call_id[: _LONGEST - 33] or 'call'}_{digest}"
