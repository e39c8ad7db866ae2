"""Reads calls as people read them: the command instead of its wrapping.

Codex has wrapped commands in several ways: as a list of arguments, as text for a shell, in a script that calls tools
(`scripts`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

import attrs

from .._json import InvalidJson, loads
from .._shapes import Wire
from .scripts import tool_calls
from .values import as_json, mapping, text_at, texts_of


@attrs.frozen
class Invocation:
    """The meaning of a call for a person.

    Attributes:
        tool: the tool's name, without the wrapping: ``exec_command`` and not ``exec``.
        command: what a person reads: the shell's command, ``weather(city="Oslo")``, or a program's text.
        is_shell: whether `command` is for a shell.
        diff: the patch that it applies, in the format of Codex's ``apply_patch`` or of ``diff -u``.
        folder: the directory in which it runs, if the call says one.
    """

    tool: str
    command: str
    is_shell: bool = False
    diff: str | None = None
    folder: str | None = None


_SHELLS = frozenset(
    {"shell", "container.exec", "exec_command", "shell_command", "local_shell", "bash", "functions.exec_command"}
)
_LOGIN = frozenset({"-c", "-lc", "-ic", "-lic"})
_PROGRAMS = frozenset({"sh", "bash", "zsh", "dash", "fish", "ksh"})
_HEREDOC = re.compile(r"\s*apply_patch\s*<<\s*(['\"]?)(\w+)\1[^\S\n]*\n(.*?)\n\2\s*", re.DOTALL)
_PATCHED = re.compile(r"^(?:\*\*\* (?:Add|Update|Delete) File: |\+\+\+ (?:b/)?)(.+)$", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*")


def read_call(value: Wire) -> Invocation:
    """Return what the item *value*, a call of any kind, does.

    >>> arguments = '{"command": ["bash", "-lc", "ls -l"]}'
    >>> read_call({"type": "function_call", "name": "shell", "arguments": arguments}).command
    'ls -l'
    >>> read_call({"type": "custom_tool_call", "name": "exec", "input": 'tools.exec_command({cmd: "ls"})'}).command
    'ls'
    """
    kind = value["type"]
    name = text_at(value, "name") or kind.removesuffix("_call")
    if kind == "custom_tool_call":
        return _custom(name, value.get("input"))
    if kind in ("function_call", "mcp_call", "mcp_approval_request"):
        return _function(_qualified(name, value.get("server_label")), value.get("arguments"))
    if kind == "local_shell_call":
        return _local_shell(value.get("action"))
    if kind == "shell_call":
        commands = mapping(value.get("action")).get("commands")
        return Invocation("shell", "\n".join(texts_of(commands)), True)
    if kind == "apply_patch_call":
        return _patch_operation(mapping(value.get("operation")))
    if kind == "web_search_call":
        return _web_search(mapping(value.get("action")))
    if kind == "code_interpreter_call":
        return Invocation("code_interpreter", text_at(value, "code") or "code_interpreter")
    if kind == "program":
        return Invocation("program", text_at(value, "code") or "program")
    shown = {
        "file_search_call": {"queries": value.get("queries")},
        "tool_search_call": value.get("arguments"),
        "computer_call": value.get("action") or value.get("actions"),
        "image_generation_call": {"prompt": value.get("revised_prompt")},
    }.get(kind, {key: value[key] for key in value if key not in ("type", "id", "call_id", "status")})
    return Invocation(name, _called(name, shown))


def _qualified(name: str, server: object) -> str:
    return f"{server}.{name}" if isinstance(server, str) and server else name


def _custom(name: str, text: object) -> Invocation:
    """Return what the call of a tool that takes plain text does: a patch, a script that calls tools, or other text."""
    if not isinstance(text, str):
        return Invocation(name, _called(name, text))
    if name == "apply_patch" or text.startswith("*** Begin Patch"):
        return _patch(text, name)
    if name in ("exec", "functions.exec") and (calls := tool_calls(text)):
        found = [_tool(call.name, call.argument) for call in calls]
        if len(found) == 1:
            return found[0]
        diffs = "\n".join(one.diff for one in found if one.diff is not None)
        command = "\n".join(one.command for one in found)
        return Invocation(found[0].tool, command, all(one.is_shell for one in found), diffs or None)
    is_script = name in ("exec", "functions.exec")
    return Invocation(name, text.strip("\n") if is_script else f"{name} {text}" if text else name)


def _tool(name: str, argument: Any) -> Invocation:
    """Return what the call of *name* in a script does."""
    if name == "apply_patch":
        patch = (
            argument if isinstance(argument, str) else mapping(argument).get("input", mapping(argument).get("patch"))
        )
        if isinstance(patch, str):
            return _patch(patch, name)
    if isinstance(argument, Mapping):
        return _with_arguments(name, argument)
    return Invocation(name, _called(name, argument))


def _function(name: str, arguments: object) -> Invocation:
    if not isinstance(arguments, str):
        return Invocation(name, _called(name, arguments))
    try:
        value = loads(arguments.encode("utf-8", "replace"))
    except InvalidJson:
        return Invocation(name, f"{name} {arguments}".rstrip())
    return _with_arguments(name, value) if isinstance(value, dict) else Invocation(name, _called(name, value))


def _with_arguments(name: str, arguments: Mapping[str, Any]) -> Invocation:
    """Return what the call of *name* with an object does."""
    command = arguments.get("cmd", arguments.get("command"))
    folder = text_at(arguments, "workdir") or text_at(arguments, "cwd")
    if name.rpartition(".")[2] in _SHELLS or name in _SHELLS:
        if isinstance(command, str):
            return _shell(name, command, folder)
        if isinstance(command, list) and command:
            return _from_list(name, texts_of(command), folder)
    if name.rpartition(".")[2] == "apply_patch" and (
        patch := text_at(arguments, "input") or text_at(arguments, "patch")
    ):
        return _patch(patch, name)
    return Invocation(name, _called(name, arguments))


def _from_list(tool: str, words: list[str], folder: str | None) -> Invocation:
    """Return what a command does that is a list of words."""
    if len(words) == 2 and words[0] == "apply_patch":
        return _patch(words[1], "apply_patch")
    if len(words) == 3 and words[0].rpartition("/")[2] in _PROGRAMS and words[1] in _LOGIN:
        return _shell(tool, words[2], folder)
    return _shell(tool, shlex.join(words), folder)


def _shell(tool: str, command: str, folder: str | None) -> Invocation:
    if (patch := _HEREDOC.fullmatch(command)) is not None:
        return _patch(patch[3], "apply_patch")
    return Invocation(tool, command.strip("\n"), True, None, folder)


def _local_shell(action: object) -> Invocation:
    known = mapping(action)
    words = texts_of(known.get("command"))
    if known.get("type") == "exec" and words:
        return _from_list("local_shell", words, text_at(known, "working_directory"))
    return Invocation(
        "local_shell", _called("local_shell", {key: known[key] for key in known if known[key] is not None})
    )


def _patch(patch: str, tool: str) -> Invocation:
    files = list(dict.fromkeys(name.strip() for name in _PATCHED.findall(patch)))
    return Invocation(tool, " ".join(["apply_patch", *files]), False, patch.strip("\n"))


def _patch_operation(operation: Mapping[str, Any]) -> Invocation:
    kind, path = text_at(operation, "type") or "apply_patch", text_at(operation, "path") or ""
    return Invocation("apply_patch", f"{kind} {path}".rstrip(), False, text_at(operation, "diff"))


def _web_search(action: Mapping[str, Any]) -> Invocation:
    queries = [text_at(action, "query"), *texts_of(action.get("queries"))]
    wanted = list(
        dict.fromkeys(text for text in (*queries, text_at(action, "url"), text_at(action, "pattern")) if text)
    )
    return Invocation("web_search", " ".join([text_at(action, "type") or "search", "the web:", "; ".join(wanted)]))


def _called(name: str, arguments: Any) -> str:
    """Return the call of *name* as text, with its arguments as JSON."""
    if isinstance(arguments, Mapping) and all(_NAME.fullmatch(str(key)) for key in arguments):
        given = ", ".join(f"{key}={as_json(held)}" for key, held in arguments.items() if held is not None)
        return f"{name}({given})"
    return f"{name}()" if arguments is None else f"{name}({as_json(arguments)})"
