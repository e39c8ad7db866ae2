"""The answer to a call: an item of the right kind, from what a tool of the caller's returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ._json import dumps
from ._parts import CONTENT, InputImage, InputText, OtherPart, OutputText, written_parts
from ._plain import plain
from ._shapes import Wire
from .exceptions import InvalidItemError

_PARTS = (InputText, OutputText, InputImage, OtherPart)
# The types of parts that an API takes in an output. A dict of another type is data.
_PART_TYPES = frozenset({"input_text", "input_image", "input_file"})
_NO_ERROR = {"type": "exit", "exit_code": 0}


def answer(call: Wire, output: Any) -> Wire:
    """Return the item that answers *call*, an item's object, with *output*.

    Raises:
        InvalidItemError: no caller answers a call of this kind; the call has no id; or *output* cannot answer it.
    """
    kind = call["type"]
    make = _ANSWERS.get(kind)
    if make is None:
        raise InvalidItemError("answer", f"a {kind!r} is not a call that a caller answers; those are {_KINDS}")
    return make(call, output)


def _function(call: Wire, output: Any) -> Wire:
    return _to("function_call_output", call, output=_text_or_parts(output, "function_call_output.output"))


def _custom(call: Wire, output: Any) -> Wire:
    return _to("custom_tool_call_output", call, output=_text_or_parts(output, "custom_tool_call_output.output"))


def _local_shell(call: Wire, output: Any) -> Wire:
    if call.get("call_id") is not None or call.get("id") is None:
        return _function(call, output)  # as real Codex does
    where = "local_shell_call_output"
    return {"type": where, "id": call["id"], "output": _text(output, f"{where}.output")}


def _shell(call: Wire, output: Any) -> Wire:
    """Return the output of commands: that of one, as text or as a dict with ``stdout`` …, or a list of these dicts."""
    where = "shell_call_output.output"
    runs = [output] if isinstance(output, Mapping) else output
    if not isinstance(runs, list | tuple) or not runs or not all(map(_is_run, runs)):
        runs = [{"stdout": _text(output, where)}]
    answered = _to(
        "shell_call_output", call, output=[{"stdout": "", "stderr": "", "outcome": _NO_ERROR, **run} for run in runs]
    )
    action = call.get("action")
    limit = action.get("max_output_length") if isinstance(action, dict) else None
    return answered if limit is None else {**answered, "max_output_length": limit}


def _is_run(value: object) -> bool:
    return isinstance(value, Mapping) and ("stdout" in value or "stderr" in value)


def _patch(call: Wire, output: Any) -> Wire:
    """Return the result of a patch: text, for one that was applied, or a dict with its ``status`` and ``output``."""
    where = "apply_patch_call_output"
    if isinstance(output, Mapping) and output.get("status") in ("completed", "failed"):
        return _to(where, call, **output)
    return _to(where, call, status="completed", output=_text(output, f"{where}.output"))


def _computer(call: Wire, output: Any) -> Wire:
    """Return a screenshot: its URL, an `InputImage`, or a dict of the type ``computer_screenshot``."""
    url = output.image_url if isinstance(output, InputImage) else output
    if isinstance(url, str) and url.startswith(("data:", "https:", "http:")):
        output = {"type": "computer_screenshot", "image_url": url}
    if not isinstance(output, Mapping) or output.get("type") != "computer_screenshot":
        raise InvalidItemError(
            "computer_call_output.output",
            f"expected a screenshot: its URL (data:image/png;base64,…) or a dict of the type 'computer_screenshot';"
            f" got {_named(output)}",
        )
    return _to("computer_call_output", call, output=output)


def _search(call: Wire, output: Any) -> Wire:
    if not isinstance(output, list | tuple) or not all(isinstance(tool, Mapping) for tool in output):
        raise InvalidItemError(
            "tool_search_output.tools", f"expected a list of the tools found, each a dict; got {_named(output)}"
        )
    return _to("tool_search_output", call, execution="client", status="completed", tools=list(output))


def _approval(call: Wire, output: Any) -> Wire:
    given = output if isinstance(output, Mapping) else {"approve": output}
    if type(given.get("approve")) is not bool:
        raise InvalidItemError(
            "mcp_approval_response.approve",
            f"expected True, False, or a dict such as {{'approve': False, 'reason': text}}; got {_named(output)}",
        )
    return {"type": "mcp_approval_response", "approval_request_id": _id(call, "id"), **given}


_ANSWERS: Mapping[str, Callable[[Wire, Any], Wire]] = {
    "function_call": _function,
    "custom_tool_call": _custom,
    "local_shell_call": _local_shell,
    "shell_call": _shell,
    "apply_patch_call": _patch,
    "computer_call": _computer,
    "tool_search_call": _search,
    "mcp_approval_request": _approval,
}
_KINDS = ", ".join(_ANSWERS)


def _to(kind: str, call: Wire, **values: Any) -> Wire:
    """Return the item of this *kind* that answers *call*; it names the program that made the call, if one did."""
    caller = {} if call.get("caller") is None else {"caller": call["caller"]}
    return {"type": kind, "call_id": _id(call, "call_id"), **values, **caller}


def _id(call: Wire, key: str) -> str:
    if not isinstance(call.get(key), str):
        raise InvalidItemError(f"{call['type']}.{key}", "is None, so no output can answer it")
    return str(call[key])


def _text_or_parts(output: Any, where: str) -> str | list[Wire]:
    """Return text as it is, parts as they are written, and plain data as JSON text."""
    parts = [output] if isinstance(output, _PARTS) else list(output) if isinstance(output, Iterator) else output
    if isinstance(parts, list | tuple) and parts:
        if any(isinstance(part, _PARTS) for part in parts):
            return written_parts(parts, CONTENT, where)
        if all(isinstance(part, Mapping) and part.get("type") in _PART_TYPES for part in parts):
            return list(parts)
    return _text(parts, where)


def _text(output: Any, where: str) -> str:
    """Return text as it is, and plain data as JSON text."""
    if isinstance(output, str):
        return output
    if not isinstance(output, Mapping | list | tuple | int | float):
        hint = "; a tool without a result needs a text, such as 'done'" if output is None else ""
        raise InvalidItemError(
            where, f"expected text, parts, or plain data (a dict, a list, a number); got {_named(output)}{hint}"
        )
    return dumps(plain(output, where)).decode()


def _named(value: object) -> str:
    return "None" if value is None else type(value).__name__
