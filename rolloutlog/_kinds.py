"""The kinds of items besides the five that the original recorder knew: whole objects, with names for their keys.

Each class names the keys that the API documents for its kind, besides `id`, `call_id` and `status`, which all of them
have; a key that is absent reads as `None`. No key is required, so an item is kept unchanged even if an API adds or
drops keys later.

Public in `rolloutlog.items`.
"""

from __future__ import annotations

from typing import Any

from ._item import Key, Other

_Any = Key[Any]


# --- tools that the caller runs ---------------------------------------------------------------------------------------


class CustomToolCall(Other, kind="custom_tool_call"):
    """The model calls a tool that takes plain text.

    Attributes:
        name: the tool.
        input: the text for it.
        namespace: the group of tools that it is in.

    >>> call = CustomToolCall({"type": "custom_tool_call", "name": "patch", "input": "*** Begin", "call_id": "call_1"})
    >>> call.name, call.answer("done").type
    ('patch', 'custom_tool_call_output')
    """

    __slots__ = ()
    name, input, namespace = _Any(), _Any(), _Any()


class CustomToolCallOutput(Other, kind="custom_tool_call_output"):
    """The output of such a tool: text, or parts.

    Attributes:
        output: text, or a list of parts.
    """

    __slots__ = ()
    output = _Any()


class ComputerCall(Other, kind="computer_call"):
    """The model requests actions on a screen, such as a click.

    Attributes:
        action: one action, in older models.
        actions: the actions, in order.
        pending_safety_checks: the checks that the caller must acknowledge.
    """

    __slots__ = ()
    action, actions, pending_safety_checks = _Any(), _Any(), _Any()


class ComputerCallOutput(Other, kind="computer_call_output"):
    """The screen after these actions.

    Attributes:
        output: the screenshot.
        acknowledged_safety_checks: the checks that the caller acknowledged.
    """

    __slots__ = ()
    output, acknowledged_safety_checks = _Any(), _Any()


class LocalShellCallOutput(Other, kind="local_shell_call_output"):
    """The output of the command of a `LocalShellCall`, which it answers by its id.

    Attributes:
        output: the output of the command, as text.
    """

    __slots__ = ()
    output = _Any()


class ShellCall(Other, kind="shell_call"):
    """The model requests commands, run by the caller or in a container of the API.

    Attributes:
        action: the commands, with their timeout in milliseconds and the longest output.
        environment: where they run.
    """

    __slots__ = ()
    action, environment = _Any(), _Any()


class ShellCallOutput(Other, kind="shell_call_output"):
    """The output of each of these commands.

    Attributes:
        output: for each command its ``stdout``, ``stderr`` and ``outcome``.
        max_output_length: the longest output that was asked for, in characters.
    """

    __slots__ = ()
    output, max_output_length = _Any(), _Any()


class ApplyPatchCall(Other, kind="apply_patch_call"):
    """The model requests a change of a file.

    Attributes:
        operation: the change: its type, the path of the file, and the diff.
    """

    __slots__ = ()
    operation = _Any()


class ApplyPatchCallOutput(Other, kind="apply_patch_call_output"):
    """The result of that change.

    Attributes:
        output: a text about the result.
    """

    __slots__ = ()
    output = _Any()


# --- tools that the API runs ------------------------------------------------------------------------------------------


class WebSearchCall(Other, kind="web_search_call"):
    """The API searched the web, or opened a page.

    Attributes:
        action: the query, or the page.
    """

    __slots__ = ()
    action = _Any()


class FileSearchCall(Other, kind="file_search_call"):
    """The API searched files.

    Attributes:
        queries: the texts that were searched for.
        results: the places that were found.
    """

    __slots__ = ()
    queries, results = _Any(), _Any()


class CodeInterpreterCall(Other, kind="code_interpreter_call"):
    """The API ran code in one of its containers.

    Attributes:
        code: the code.
        container_id: the container.
        outputs: logs and pictures that it made.
    """

    __slots__ = ()
    code, container_id, outputs = _Any(), _Any(), _Any()


class ImageGenerationCall(Other, kind="image_generation_call"):
    """The API made a picture: ``result``, in base64.

    Attributes:
        result: the picture, in base64.
        revised_prompt: the text that it was made from.
        action: whether it was made or changed.
        error: why there is none.
        background: its background.
        output_format: such as ``"png"``.
        quality: its quality.
        size: its width and height, in pixels.
    """

    __slots__ = ()
    result, revised_prompt, action, error = _Any(), _Any(), _Any(), _Any()
    background, output_format, quality, size = _Any(), _Any(), _Any(), _Any()


class ToolSearchCall(Other, kind="tool_search_call"):
    """The model searches for tools that are not in its list yet.

    Attributes:
        arguments: the query.
        execution: who searches: ``"server"`` or ``"client"``.
    """

    __slots__ = ()
    arguments, execution = _Any(), _Any()


class ToolSearchOutput(Other, kind="tool_search_output"):
    """The tools that were found.

    Attributes:
        tools: the tools.
        execution: who searched.
    """

    __slots__ = ()
    tools, execution = _Any(), _Any()


class AdditionalTools(Other, kind="additional_tools"):
    """Tools that the model gets in the middle of a session.

    Attributes:
        role: who adds them.
        tools: the tools.
    """

    __slots__ = ()
    role, tools = _Any(), _Any()


# --- other servers, by the model context protocol ---------------------------------------------------------------------


class McpCall(Other, kind="mcp_call"):
    """The API called a tool of an MCP server; the answer is in ``output``.

    Attributes:
        server_label: the server.
        name: the tool.
        arguments: its arguments, as JSON text.
        output: the answer.
        approval_request_id: the request by which it was approved.
        error: why there is no answer.
    """

    __slots__ = ()
    server_label, name, arguments, output = _Any(), _Any(), _Any(), _Any()
    approval_request_id, error = _Any(), _Any()


class McpListTools(Other, kind="mcp_list_tools"):
    """The tools that an MCP server has.

    Attributes:
        server_label: the server.
        tools: the tools.
        error: why there are none.
    """

    __slots__ = ()
    server_label, tools, error = _Any(), _Any(), _Any()


class McpApprovalRequest(Other, kind="mcp_approval_request"):
    """The API asks whether it may call a tool of an MCP server.

    Attributes:
        server_label: the server.
        name: the tool.
        arguments: its arguments, as JSON text.
    """

    __slots__ = ()
    server_label, name, arguments = _Any(), _Any(), _Any()


class McpApprovalResponse(Other, kind="mcp_approval_response"):
    """The answer to such a request.

    Attributes:
        approval_request_id: the request.
        approve: whether the tool may be called.
        reason: a text for the model.
    """

    __slots__ = ()
    approval_request_id, approve, reason = _Any(), _Any(), _Any()


# --- the session itself -----------------------------------------------------------------------------------------------


class Compaction(Other, kind="compaction"):
    """A replacement of the items before it, encrypted so that only the API can read it.

    Attributes:
        encrypted_content: the items, as only the API can read them.
    """

    __slots__ = ()
    encrypted_content = _Any()


class CompactionTrigger(Other, kind="compaction_trigger"):
    """A request to the API to compact the items before it."""

    __slots__ = ()


class ConfigurationUpdate(Other, kind="configuration_update"):
    """Settings of the model that apply from here on, such as its reasoning effort.

    Attributes:
        reasoning: the settings of reasoning.
    """

    __slots__ = ()
    reasoning = _Any()


class ItemReference(Other, kind="item_reference"):
    """The id of an item that the API has stored."""

    __slots__ = ()


class Program(Other, kind="program"):
    """The model wrote a program that calls tools.

    Attributes:
        code: the program.
        fingerprint: a text by which the API knows it again.
    """

    __slots__ = ()
    code, fingerprint = _Any(), _Any()


class ProgramOutput(Other, kind="program_output"):
    """The result of such a program.

    Attributes:
        result: the result.
    """

    __slots__ = ()
    result = _Any()
