"""Reads calls and their outputs as people read them: the command instead of its wrapping, the exit code, the text.

Codex has wrapped commands in several ways: as a list of arguments, as text for a shell, in a script that calls tools
(`scripts`). It also has several ways to wrap outputs: JSON with metadata, a few lines before the text, or JSON after
such lines, which may be cut in the middle.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from .._json import InvalidJson, dumps, loads
from .._shapes import Wire
from .scripts import joined_surrogates, tool_calls


@attrs.frozen
class Image:
    """A picture.

    Attributes:
        url: where it is, a ``data:`` URL where the picture itself is in the file; `None` if only an id is known.
        size: how many bytes the picture has in the file as text; 0 for one that is elsewhere.
    """

    url: str | None = attrs.field(repr=False)
    size: int = 0


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


@attrs.frozen
class Result:
    """The output of a call.

    Attributes:
        text: the output itself, without the lines that Codex puts before it.
        exit_code: the command's; of several commands the first that is not 0.
        seconds: how long it took.
        is_running: whether the command was still running when the output was read.
        is_failed: whether it failed: by its exit code, its status, or by what Codex says.
        is_cut: whether the program that wrote the session left out a part of it.
        images: pictures in it.
    """

    text: str = ""
    exit_code: int | None = None
    seconds: float | None = None
    is_failed: bool = False
    is_cut: bool = False
    is_running: bool = False
    images: tuple[Image, ...] = ()


# --- calls ------------------------------------------------------------------------------------------------------------

_SHELLS = frozenset(
    {"shell", "container.exec", "exec_command", "shell_command", "local_shell", "bash", "functions.exec_command"}
)
_LOGIN = frozenset({"-c", "-lc", "-ic", "-lic"})
_PROGRAMS = frozenset({"sh", "bash", "zsh", "dash", "fish", "ksh"})
_HEREDOC = re.compile(r"\s*apply_patch\s*<<\s*(['\"]?)(\w+)\1\s*\n(.*?)\n\2\s*", re.DOTALL)
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
    name = _text_at(value, "name") or kind.removesuffix("_call")
    if kind == "custom_tool_call":
        return _custom(name, value.get("input"))
    if kind in ("function_call", "mcp_call", "mcp_approval_request"):
        return _function(_qualified(name, value.get("server_label")), value.get("arguments"))
    if kind == "local_shell_call":
        return _local_shell(value.get("action"))
    if kind == "shell_call":
        commands = _mapping(value.get("action")).get("commands")
        return Invocation("shell", "\n".join(_texts(commands)), True)
    if kind == "apply_patch_call":
        return _patch_operation(_mapping(value.get("operation")))
    if kind == "web_search_call":
        return _web_search(_mapping(value.get("action")))
    if kind == "code_interpreter_call":
        return Invocation("code_interpreter", _text_at(value, "code") or "code_interpreter")
    if kind == "program":
        return Invocation("program", _text_at(value, "code") or "program")
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
            argument if isinstance(argument, str) else _mapping(argument).get("input", _mapping(argument).get("patch"))
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
    folder = _text_at(arguments, "workdir") or _text_at(arguments, "cwd")
    if name.rpartition(".")[2] in _SHELLS or name in _SHELLS:
        if isinstance(command, str):
            return _shell(name, command, folder)
        if isinstance(command, list) and command:
            return _from_list(name, _texts(command), folder)
    if name.rpartition(".")[2] == "apply_patch" and (
        patch := _text_at(arguments, "input") or _text_at(arguments, "patch")
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
    known = _mapping(action)
    words = _texts(known.get("command"))
    if known.get("type") == "exec" and words:
        return _from_list("local_shell", words, _text_at(known, "working_directory"))
    return Invocation(
        "local_shell", _called("local_shell", {key: known[key] for key in known if known[key] is not None})
    )


def _patch(patch: str, tool: str) -> Invocation:
    files = list(dict.fromkeys(name.strip() for name in _PATCHED.findall(patch)))
    return Invocation(tool, " ".join(["apply_patch", *files]), False, patch.strip("\n"))


def _patch_operation(operation: Mapping[str, Any]) -> Invocation:
    kind, path = _text_at(operation, "type") or "apply_patch", _text_at(operation, "path") or ""
    return Invocation("apply_patch", f"{kind} {path}".rstrip(), False, _text_at(operation, "diff"))


def _web_search(action: Mapping[str, Any]) -> Invocation:
    queries = [_text_at(action, "query"), *_texts(action.get("queries"))]
    wanted = list(
        dict.fromkeys(text for text in (*queries, _text_at(action, "url"), _text_at(action, "pattern")) if text)
    )
    return Invocation("web_search", " ".join([_text_at(action, "type") or "search", "the web:", "; ".join(wanted)]))


def _called(name: str, arguments: Any) -> str:
    """Return the call of *name* as text, with its arguments as JSON."""
    if isinstance(arguments, Mapping) and all(_NAME.fullmatch(str(key)) for key in arguments):
        given = ", ".join(f"{key}={_json(held)}" for key, held in arguments.items() if held is not None)
        return f"{name}({given})"
    return f"{name}()" if arguments is None else f"{name}({_json(arguments)})"


def _json(value: Any) -> str:
    try:
        return dumps(value).decode()
    except (TypeError, ValueError):
        return str(value)


# --- outputs ----------------------------------------------------------------------------------------------------------

_HEAD_LINE = re.compile(
    r"(?:Chunk ID: .*|Wall time:? [\d.]+ seconds?|Exit code: -?\d+|Original token count: \d+|Total output lines: \d+"
    r"|Process (?:exited with code -?\d+|running with session ID .*)|Script (?:completed|failed|terminated|running.*)"
    r"|Command: .*|Output:)\n?"
)
_STATUS = re.compile(r"Script (completed|failed|terminated|running)", re.MULTILINE)
_RUNNING = re.compile(r"^(?:Script|Process) running", re.MULTILINE)
_SECONDS = re.compile(r"^Wall time:? ([\d.]+) seconds?$", re.MULTILINE)
_EXIT = re.compile(r"^(?:Exit code: |Process exited with code )(-?\d+)$", re.MULTILINE)
_CUT = re.compile(r"Warning: truncated output \(original token count: \d+\)\n(?:Total output lines: \d+\n)?\n?")
_LEFT_OUT = re.compile(r"…\d+ (?:tokens|chars) truncated…")
_CUT_JSON = re.compile(r'\{"chunk_id":.*?"output":"', re.DOTALL)
_JSON_EXIT = re.compile(r'"exit_code":(-?\d+)')
_JSON_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_REFUSAL = re.compile(
    r"(?:unsupported (?:custom tool )?call|tool call error|execution error): |exec command rejected"
    r"|aborted(?: by user.*)?\s*\Z"
)
_FAILED = frozenset({"failed", "incomplete", "error"})
# The keys of which one proves that a JSON object is a command's result, besides the output itself.
_OF_A_RESULT = frozenset({"exit_code", "wall_time_seconds", "chunk_id", "metadata", "session_id"})


def read_output(value: Wire) -> Result:
    r"""Return what the item *value*, an output of any kind, or a call that holds its own output, says.

    >>> output = '{"output":"b\\n","metadata":{"exit_code":1,"duration_seconds":0.2}}'
    >>> read_output({"type": "function_call_output", "call_id": "c", "output": output})
    Result(text='b\n', exit_code=1, seconds=0.2, is_failed=True, is_cut=False, is_running=False, images=())
    """
    kind = value["type"]
    if kind == "shell_call_output":
        found = _of_shell(value.get("output"))
    elif kind == "image_generation_call":
        data = _text_at(value, "result") or ""
        form = _text_at(value, "output_format") or "png"
        found = Result(images=(Image(f"data:image/{form};base64,{data}", len(data)),) if data else ())
    elif kind == "computer_call_output":
        url = _text_at(_mapping(value.get("output")), "image_url")
        found = Result(images=(_image(url),))
    elif kind == "mcp_call":
        found = _of_value(value.get("output"))
        if value.get("error"):
            found = attrs.evolve(found, text=found.text or _plain(value["error"]), is_failed=True)
    else:
        keys = ("output", "outputs", "result", "results", "tools", "reason")
        found = _of_value(next((value[key] for key in keys if value.get(key) is not None), ""))
        if value.get("approve") is False:
            found = attrs.evolve(found, is_failed=True, text=found.text or "not approved")
        elif value.get("approve") is True:
            found = attrs.evolve(found, text=found.text or "approved")
    return attrs.evolve(found, is_failed=True) if value.get("status") in _FAILED else found


def _of_value(output: Any) -> Result:
    if isinstance(output, str):
        return _of_text(output)
    if isinstance(output, list):
        return _of_parts(output)
    if isinstance(output, dict):
        return _of_object(output) or Result(_json(output))
    return Result("" if output is None else _json(output))


def _of_parts(parts: Sequence[Any]) -> Result:
    """Return what a list of parts says. The first is often only the lines that Codex puts before an output."""
    found = [_of_part(part) for part in parts]
    if not found:
        return Result()
    codes = [one.exit_code for one in found if one.exit_code is not None]
    texts = [one.text for one in found if one.text]
    # Each part begins a line of its own.
    text = "".join(part if part.endswith("\n") or last else part + "\n" for part, last in _marked_last(texts))
    return Result(
        text,
        next((code for code in codes if code), codes[0] if codes else None),
        next((one.seconds for one in found if one.seconds is not None), None),
        any(one.is_failed for one in found),
        any(one.is_cut for one in found),
        any(one.is_running for one in found),
        tuple(image for one in found for image in one.images),
    )


def _marked_last(texts: Sequence[str]) -> list[tuple[str, bool]]:
    return [(text, index == len(texts)) for index, text in enumerate(texts, 1)]


def _of_part(part: Any) -> Result:
    if not isinstance(part, dict):
        return Result(_plain(part))
    if "image_url" in part or part.get("type") == "input_image":
        url = part.get("image_url")
        return Result(images=(_image(url if isinstance(url, str) else _text_at(_mapping(url), "url")),))
    if part.get("type") == "image" and isinstance(data := part.get("data"), str):
        form = _text_at(part, "mimeType") or "image/png"
        return Result(images=(Image(f"data:{form};base64,{data}", len(data)),))
    text = part.get("text")
    if isinstance(text, str):
        found = _of_text(text)
        return attrs.evolve(found, text="") if found.text == "{}" else found
    if part.get("type") == "encrypted_content":
        return Result("(encrypted)")
    return Result(_json(part))


def _image(url: str | None) -> Image:
    return Image(url, len(url) if url is not None and url.startswith("data:") else 0)


def image_of(part: Mapping[str, Any]) -> Image:
    """Return the picture that *part*, an ``input_image`` of a message, is."""
    url = part.get("image_url")
    return _image(url if isinstance(url, str) else _text_at(_mapping(url), "url"))


def _of_shell(output: Any) -> Result:
    """Return what the outputs of several commands say."""
    if not isinstance(output, list):
        return _of_value(output)
    texts: list[str] = []
    code: int | None = None
    is_failed = False
    for one in map(_mapping, output):
        texts += [text for text in (_text_at(one, "stdout"), _text_at(one, "stderr")) if text]
        outcome = _mapping(one.get("outcome"))
        exit_code = outcome.get("exit_code")
        is_failed = is_failed or outcome.get("type") == "timeout"
        if type(exit_code) is int and not code:
            code = exit_code
    return Result("".join(texts), code, None, is_failed or bool(code))


def _of_text(text: str) -> Result:
    """Return what *text* says: with lines of Codex before the output, as JSON with metadata, or plain."""
    head, rest = _split_head(text)
    is_cut = (cut := _CUT.match(rest)) is not None
    if cut is not None:
        rest = rest[cut.end() :]
    status = _STATUS.match(head)
    found = _of_json(rest)
    code, seconds = _EXIT.search(head), _SECONDS.search(head)
    exit_code = int(code[1]) if code is not None else found.exit_code
    failed = status is not None and status[1] in ("failed", "terminated")
    return Result(
        found.text,
        exit_code,
        float(seconds[1]) if seconds is not None else found.seconds,
        failed or bool(exit_code) or found.is_failed or _REFUSAL.match(found.text) is not None,
        is_cut or found.is_cut or _LEFT_OUT.search(found.text) is not None,
        found.is_running or _RUNNING.search(head) is not None,
        found.images,
    )


def _split_head(text: str) -> tuple[str, str]:
    """Return the lines that Codex put before the output, which end in ``Output:``, and the output."""
    if not text.startswith(("Chunk ID: ", "Wall time", "Exit code: ", "Script ", "Command: ", "Process ")):
        return "", text
    end = 0
    while (line := _HEAD_LINE.match(text, end)) is not None:
        end = line.end()
        if line[0].startswith("Output:"):
            return text[:end], text[end:]
    return "", text


def _of_json(text: str) -> Result:
    """Return what *text* says if it is a command's result as JSON, even if that was cut; else the text itself."""
    if not text.startswith("{"):
        return Result(text)
    try:
        value = loads(text.encode("utf-8", "replace"))
    except InvalidJson:
        return _of_cut_json(text)
    return (_of_object(value) if isinstance(value, dict) else None) or Result(text)


def _of_object(value: Mapping[str, Any]) -> Result | None:
    """Return what *value* says if it is a command's result."""
    output = value.get("output", value.get("content"))
    if not isinstance(output, str) or ("success" not in value and not _OF_A_RESULT & value.keys()):
        return None
    metadata = _mapping(value.get("metadata"))
    code = value.get("exit_code", metadata.get("exit_code"))
    seconds = value.get("wall_time_seconds", metadata.get("duration_seconds"))
    exit_code = code if type(code) is int else None
    return Result(
        output,
        exit_code,
        float(seconds) if isinstance(seconds, int | float) else None,
        bool(exit_code) or value.get("success") is False,
        is_running="session_id" in value and exit_code is None,
    )


def _of_cut_json(text: str) -> Result:
    """Return the part of a command's result that is left, where Codex cut the JSON in the middle."""
    begin = _CUT_JSON.match(text)
    if begin is None:
        return Result(text)
    code = _JSON_EXIT.search(begin[0])
    exit_code = None if code is None else int(code[1])
    output = text[begin.end() :].removesuffix("}").removesuffix('"')
    output = joined_surrogates(_JSON_ESCAPE.sub(_unescaped, output))
    return Result(output, exit_code, None, bool(exit_code), True)


def _unescaped(match: re.Match[str]) -> str:
    code, letter = match.groups()
    return chr(int(code, 16)) if code else _LETTERS.get(letter, letter)


# --- values of any shape ----------------------------------------------------------------------------------------------

_Mapping: TypeAlias = Mapping[str, Any]


def _mapping(value: Any) -> _Mapping:
    return value if isinstance(value, Mapping) else {}


def _text_at(value: _Mapping, key: str) -> str | None:
    found = value.get(key)
    return found if isinstance(found, str) else None


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list | tuple) else []


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)
