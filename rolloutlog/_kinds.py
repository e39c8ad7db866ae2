"""The kinds of items beside the five that the original recorder knew: the whole object, its keys by name.

Each class names the keys that the API documents for its kind; a key that is absent reads as `None`. None of them is
required, so that whatever an API adds or leaves out tomorrow is kept and comes back as it was.

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
    """What such a tool gave: text, or parts."""

    __slots__ = ()
    output = _Any()


class ComputerCall(Other, kind="computer_call"):
    """The model asks for something to be done on a screen."""

    __slots__ = ()
    action, actions, pending_safety_checks = _Any(), _Any(), _Any()


class ComputerCallOutput(Other, kind="computer_call_output"):
    """What the screen shows then."""

    __slots__ = ()
    output, acknowledged_safety_checks = _Any(), _Any()


class LocalShellCallOutput(Other, kind="local_shell_call_output"):
    """What a command gave that a `LocalShellCall` asked for; answers that by its id."""

    __slots__ = ()
    output = _Any()


class ShellCall(Other, kind="shell_call"):
    """The model asks for commands to be run, here or in a container of the API's."""

    __slots__ = ()
    action, environment = _Any(), _Any()


class ShellCallOutput(Other, kind="shell_call_output"):
    """What these commands gave, one by one."""

    __slots__ = ()
    output, max_output_length = _Any(), _Any()


class ApplyPatchCall(Other, kind="apply_patch_call"):
    """The model asks for a file to be changed."""

    __slots__ = ()
    operation = _Any()


class ApplyPatchCallOutput(Other, kind="apply_patch_call_output"):
    """What came of it."""

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
    """The API ran code in a container of its own."""

    __slots__ = ()
    code, container_id, outputs = _Any(), _Any(), _Any()


class ImageGenerationCall(Other, kind="image_generation_call"):
    """The API made a picture: ``result``, in base64."""

    __slots__ = ()
    result, revised_prompt, action, error = _Any(), _Any(), _Any(), _Any()
    background, output_format, quality, size = _Any(), _Any(), _Any(), _Any()


class ToolSearchCall(Other, kind="tool_search_call"):
    """The model looks for tools that it was not told of yet."""

    __slots__ = ()
    arguments, execution = _Any(), _Any()


class ToolSearchOutput(Other, kind="tool_search_output"):
    """The tools that were found."""

    __slots__ = ()
    tools, execution = _Any(), _Any()


class AdditionalTools(Other, kind="additional_tools"):
    """Tools that are given to the model in the middle of a session."""

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
    """Whether it may."""

    __slots__ = ()
    approval_request_id, approve, reason = _Any(), _Any(), _Any()


# --- the session itself -----------------------------------------------------------------------------------------------


class Compaction(Other, kind="compaction"):
    """What stands for the items before it, as only the API can read it."""

    __slots__ = ()
    encrypted_content = _Any()


class CompactionTrigger(Other, kind="compaction_trigger"):
    """The API is asked to compact what stands before it."""

    __slots__ = ()


class ConfigurationUpdate(Other, kind="configuration_update"):
    """How the model is to think and to answer from here on."""

    __slots__ = ()
    reasoning = _Any()


class ItemReference(Other, kind="item_reference"):
    """An item that the API keeps, by its id."""

    __slots__ = ()


class Program(Other, kind="program"):
    """The model wrote a program that calls tools."""

    __slots__ = ()
    code, fingerprint = _Any(), _Any()


class ProgramOutput(Other, kind="program_output"):
    """What came of the program."""

    __slots__ = ()
    result = _Any()
