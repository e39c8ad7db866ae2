"""Reads outputs of calls as people read them: the text, the exit code, the time, and pictures.

Codex has several ways to wrap outputs: JSON with metadata, a few lines before the text, or JSON after such lines, which
may be cut in the middle.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .._json import InvalidJson, loads
from .._shapes import Wire
from .scripts import joined_surrogates
from .values import as_json, mapping, text_at


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
        data = text_at(value, "result") or ""
        form = text_at(value, "output_format") or "png"
        found = Result(images=(Image(f"data:image/{form};base64,{data}", len(data)),) if data else ())
    elif kind == "computer_call_output":
        url = text_at(value.get("output"), "image_url")
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
    return attrs.evolve(found, is_failed=True) if text_at(value, "status") in _FAILED else found


def _of_value(output: Any) -> Result:
    if isinstance(output, str):
        return _of_text(output)
    if isinstance(output, list):
        return _of_parts(output)
    if isinstance(output, dict):
        return _of_object(output) or Result(as_json(output))
    return Result("" if output is None else as_json(output))


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
        return Result(images=(_image(url if isinstance(url, str) else text_at(url, "url")),))
    if part.get("type") == "image" and isinstance(data := part.get("data"), str):
        form = text_at(part, "mimeType") or "image/png"
        return Result(images=(Image(f"data:{form};base64,{data}", len(data)),))
    text = part.get("text")
    if isinstance(text, str):
        found = _of_text(text)
        return attrs.evolve(found, text="") if found.text == "{}" else found
    if part.get("type") == "encrypted_content":
        return Result("(encrypted)")
    return Result(as_json(part))


def _image(url: str | None) -> Image:
    return Image(url, len(url) if url is not None and url.startswith("data:") else 0)


def image_of(part: Mapping[str, Any]) -> Image:
    """Return the picture that *part*, an ``input_image`` of a message, is."""
    url = part.get("image_url")
    return _image(url if isinstance(url, str) else text_at(url, "url"))


def _of_shell(output: Any) -> Result:
    """Return what the outputs of several commands say."""
    if not isinstance(output, list):
        return _of_value(output)
    texts: list[str] = []
    code: int | None = None
    is_failed = False
    for one in map(mapping, output):
        texts += [text for text in (text_at(one, "stdout"), text_at(one, "stderr")) if text]
        outcome = mapping(one.get("outcome"))
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
        is_cut or found.is_cut or ("…" in found.text and _LEFT_OUT.search(found.text) is not None),
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
    metadata = mapping(value.get("metadata"))
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


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value)
