"""The rules by which a line becomes a row: its kind, and which of its values go into which column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .._face.outputs import read_output
from .._item import CLASSES, joined
from .._json import dumps
from .._shapes import Wire

Values: TypeAlias = dict[str, Any]
Row: TypeAlias = tuple[str, Values]

KINDS = (
    "session",
    "message",
    "reasoning",
    "tool_call",
    "tool_output",
    "usage",
    "turn",
    "compaction",
    "event",
    "state",
    "log",
    "other_item",
    "skipped",
)
"""The kinds of rows."""

# --- items ------------------------------------------------------------------------------------------------------------


def item_row(item: Wire) -> Row:
    """Return the kind and the values of the row for *item*.

    >>> item_row({"type": "function_call", "name": "shell", "arguments": "{}", "call_id": "call_1"})
    ('tool_call', {'call_id': 'call_1', 'name': 'shell', 'arguments': '{}'})
    """
    kind = kind_of_item(item["type"])
    return kind, VALUES[kind](item)


def kind_of_item(name: str) -> str:
    """Return the kind of the row for an item of the type *name*, of which more may come.

    >>> kind_of_item("mcp_call"), kind_of_item("shell_call_output"), kind_of_item("additional_tools")
    ('tool_call', 'tool_output', 'other_item')
    """
    return ITEMS.get(name) or _guessed(name)


def _guessed(name: str) -> str:
    if name.endswith("_call"):
        return "tool_call"
    return "tool_output" if name.endswith("_output") else "other_item"


def _message(item: Wire) -> Values:
    content = item["content"]
    if len(content) == 1 and type(text := content[0].get("text")) is str:  # nearly always
        return {"role": item["role"], "text": text}
    return {"role": item["role"], "text": joined(content, "")}


def _reasoning(item: Wire) -> Values:
    return {"text": joined([*(item.get("summary") or ()), *(item.get("content") or ())], "\n\n")}


def _tool_call(item: Wire) -> Values:
    """Return the values of a call; its arguments are text as the model wrote it, else JSON."""
    name = item.get("name")
    if not isinstance(name, str):
        name = item["type"].removesuffix("_call")
    found: Values = {"call_id": _call_id(item), "name": name}
    for key in _ARGUMENTS:
        if (given := item.get(key)) is not None:
            found["arguments"] = given if isinstance(given, str) else dumps(given).decode()
            break
    return found


_ARGUMENTS = ("arguments", "input", "action", "actions", "operation", "queries", "code")


def _tool_output(item: Wire) -> Values:
    exit_code, is_error = outcome_of(item)
    text = None
    for key in _OUTPUTS:
        if (given := item.get(key)) is not None:
            text = given if type(given) is str else _text(given)
            break
    return {"call_id": _call_id(item), "text": text, "exit_code": exit_code, "is_error": is_error}


_OUTPUTS = ("output", "result", "tools")


def _call_id(item: Wire) -> str | None:
    """Return the id by which a call and its output are known; a `local_shell_call` may have only ``id``."""
    found = item.get("call_id") or item.get("id")
    return found if isinstance(found, str) else None


def _other_item(item: Wire) -> Values:
    return {"text": joined(item["content"], "")} if isinstance(item.get("content"), list) else {}


def _nothing(item: Wire) -> Values:
    return {}


VALUES: Mapping[str, Callable[[Wire], Values]] = {
    "message": _message,
    "reasoning": _reasoning,
    "tool_call": _tool_call,
    "tool_output": _tool_output,
    "compaction": _nothing,
    "other_item": _other_item,
}
ITEMS: Mapping[str, str] = {
    **{name: _guessed(name) for name in CLASSES},
    "message": "message",
    "reasoning": "reasoning",
    "compaction": "compaction",
    "compaction_summary": "compaction",
    "context_compaction": "compaction",
}
"""The kind of the row for an item, by the item's type; `kind_of_item` knows other types, too."""


def outcome_of(item: Wire) -> tuple[int | None, bool | None]:
    r"""Return the exit code that an output tells, and whether it tells a failure; `None` for what it does not tell.

    >>> outcome_of({"type": "function_call_output", "output": "Exit code: 1\nWall time: 1 seconds\nOutput:\n"})
    (1, True)
    >>> outcome_of({"type": "function_call_output", "output": "unsupported call: weather"})
    (None, True)
    >>> outcome_of({"type": "function_call_output", "output": "sunny"})
    (None, None)
    """
    if "status" not in item and (code := _plain_code(item.get("output"))) is not None:
        return code, code != 0
    result = read_output(item)
    if result.is_failed:
        return result.exit_code, True
    return result.exit_code, None if result.exit_code is None else False


# How nearly all outputs begin or end whose exit code is known; for all others `read_output` reads the whole output.
_ODD = r"(?!\{|Warning: trunc|unsupported |tool call error|execution error|exec command|aborted)"
_HEAD = re.compile(
    r"(?:Chunk ID: [^\n]*\nWall time: [\d.]+ seconds\nProcess exited with code (-?\d+)\n"
    r"(?:Original token count: \d+\n)?"
    rf"|Exit code: (-?\d+)\nWall time: [\d.]+ seconds\n(?:Total output lines: \d+\n)?)Output:\n{_ODD}"
)
_OBJECT = re.compile(rf'\{{"output":"{_ODD}')
_END = re.compile(r'","metadata":\{"exit_code":(-?\d+),"duration_seconds":[\d.]+\}\}')
_LONGEST_END = 80
_SCRIPT = re.compile(r"Script completed\nWall time:? [\d.]+ seconds\nOutput:\n")
_RESULT = re.compile(
    r'\{"chunk_id":"\w*","wall_time_seconds":[\d.e-]+,"exit_code":(-?\d+),(?:"original_token_count":\d+,)?'
    rf'"output":"{_ODD}'
)


def _plain_code(output: Any) -> int | None:
    """Return the exit code of an output in one of the four shapes that Codex writes most, as `read_output` would."""
    if type(output) is str:
        if (head := _HEAD.match(output)) is not None:
            return int(head[1] or head[2])
        end = _END.search(output, max(0, len(output) - _LONGEST_END)) if _OBJECT.match(output) is not None else None
        return int(end[1]) if end is not None and end.end() == len(output) else None
    if type(output) is list and len(output) == 2:
        first, second = (part.get("text") if type(part) is dict else None for part in output)
        if type(first) is str and type(second) is str and _SCRIPT.fullmatch(first) and second.endswith('"}'):
            result = _RESULT.match(second)
            return None if result is None else int(result[1])
    return None


# --- other lines ------------------------------------------------------------------------------------------------------

LINES: Mapping[str, str] = {"session_meta": "session", "turn_context": "turn", "compacted": "compaction"}
"""The kind of the row for a wrapped line, by its type; ``event`` for every type that is not here and no item."""


def line_values(name: str, payload: Any) -> Values:
    """Return the values of the row for a wrapped line of the type *name*, that holds no item."""
    if name == "compacted" and isinstance(payload, Mapping):
        message = payload.get("message")
        return {"text": message} if isinstance(message, str) and message else {}
    return {}


# --- texts ------------------------------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    """Return an output as text: itself, its parts' texts, or its JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, dict) for part in value):
        texts = [part["text"] for part in value if isinstance(part.get("text"), str)]
        if texts or not value:
            return "".join(texts)
    return dumps(value).decode()
