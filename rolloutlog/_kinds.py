"""The kinds of items besides the five that the original recorder knew: whole objects, with names for their keys.

Each class names the keys that the API documents for its kind; a key that is absent reads as `None`. No key is required,
so an item is kept unchanged even if an API adds or drops keys later.

Public in `rolloutlog.items`.
"""

from __future__ import annotations

from typing import Any

from ._item import Key, Other

_Any = Key[Any]


# --- tools that the caller runs ---------------------------------------------------------------------------------------


class CustomToolCall(Other, kind="custom_tool_call"):
    """The model calls a tool that takes plain text."""

    __slots__ = ()
    name, input, namespace = _Any(), _Any(), _Any()


class CustomToolCallOutput(Other, kind="custom_tool_call_output"):
    """The output of such a tool: text, or parts."""

    __slots__ = ()
    output = _Any()


class ComputerCall(Other, kind="computer_call"):
    """The model requests actions on a screen, such as a click."""

    __slots__ = ()
    action, actions, pending_safety_checks = _Any(), _Any(), _Any()


class ComputerCallOutput(Other, kind="computer_call_output"):
    """The screen after these actions."""

    __slots__ = ()
    output, acknowledged_safety_checks = _Any(), _Any()


class LocalShellCallOutput(Other, kind="local_shell_call_output"):
    """The output of the command of a `LocalShellCall`, which it answers by its id."""

    __slots__ = ()
    output = _Any()


class ShellCall(Other, kind="shell_call"):
    """The model requests commands, run by the caller or in a container of the API."""

    __slots__ = ()
    action, environment = _Any(), _Any()


class ShellCallOutput(Other, kind="shell_call_output"):
    """The output of each of these commands."""

    __slots__ = ()
    output, max_output_length = _Any(), _Any()


class ApplyPatchCall(Other, kind="apply_patch_call"):
    """The model requests a change of a file."""

    __slots__ = ()
    operation = _Any()


class ApplyPatchCallOutput(Other, kind="apply_patch_call_output"):
    """The result of that change."""

    __slots__ = ()
    output = _Any()


# --- tools that the API runs ------------------------------------------------------------------------------------------


class WebSearchCall(Other, kind="web_search_call"):
    """The API searched the web, or opened a page."""

    __slots__ = ()
    action = _Any()


class FileSearchCall(Other, kind="file_search_call"):
    """The API searched files."""

    __slots__ = ()
    queries, results = _Any(), _Any()


class CodeInterpreterCall(Other, kind="code_interpreter_call"):
    """The API ran code in one of its containers."""

    __slots__ = ()
    code, container_id, outputs = _Any(), _Any(), _Any()


class ImageGenerationCall(Other, kind="image_generation_call"):
    """The API made a picture: ``result``, in base64."""

    __slots__ = ()
    result, revised_prompt, action, error = _Any(), _Any(), _Any(), _Any()
    background, output_format, quality, size = _Any(), _Any(), _Any(), _Any()


class ToolSearchCall(Other, kind="tool_search_call"):
    """The model searches for tools that are not in its list yet."""

    __slots__ = ()
    arguments, execution = _Any(), _Any()


class ToolSearchOutput(Other, kind="tool_search_output"):
    """The tools that were found."""

    __slots__ = ()
    tools, execution = _Any(), _Any()


class AdditionalTools(Other, kind="additional_tools"):
    """Tools that the model gets in the middle of a session."""

    __slots__ = ()
    role, tools = _Any(), _Any()


# --- other servers, by the model context protocol ---------------------------------------------------------------------


class McpCall(Other, kind="mcp_call"):
    """The API called a tool of an MCP server; the answer is in ``output``."""

    __slots__ = ()
    server_label, name, arguments, output = _Any(), _Any(), _Any(), _Any()
    approval_request_id, error = _Any(), _Any()


class McpListTools(Other, kind="mcp_list_tools"):
    """The tools that an MCP server has."""

    __slots__ = ()
    server_label, tools, error = _Any(), _Any(), _Any()


class McpApprovalRequest(Other, kind="mcp_approval_request"):
    """The API asks whether it may call a tool of an MCP server."""

    __slots__ = ()
    server_label, name, arguments = _Any(), _Any(), _Any()


class McpApprovalResponse(Other, kind="mcp_approval_response"):
    """The answer to such a request."""

    __slots__ = ()
    approval_request_id, approve, reason = _Any(), _Any(), _Any()


# --- the session itself -----------------------------------------------------------------------------------------------


class Compaction(Other, kind="compaction"):
    """A replacement of the items before it, encrypted so that only the API can read it."""

    __slots__ = ()
    encrypted_content = _Any()


class CompactionTrigger(Other, kind="compaction_trigger"):
    """A request to the API to compact the items before it."""

    __slots__ = ()


class ConfigurationUpdate(Other, kind="configuration_update"):
    """Settings of the model that apply from here on, such as its reasoning effort."""

    __slots__ = ()
    reasoning = _Any()


class ItemReference(Other, kind="item_reference"):
    """The id of an item that the API has stored."""

    __slots__ = ()


class Program(Other, kind="program"):
    """The model wrote a program that calls tools."""

    __slots__ = ()
    code, fingerprint = _Any(), _Any()


class ProgramOutput(Other, kind="program_output"):
    """The result of such a program."""

    __slots__ = ()
    result = _Any()
