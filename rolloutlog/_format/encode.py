"""Values to wire dicts: the keys that real Codex writes, in its order, with ``null`` where it writes that.

By hand, because this runs on the caller's thread for every record. What comes out shares nothing mutable with what came
in, and what a caller made up (extras, raw objects) has been checked to be plain JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._entries import LogEntry, SessionMeta, SessionStateSnapshot
from .._json import plain, stringified
from .._values.checks import EMPTY
from .._values.kinds import KINDS
from ..exceptions import InvalidItemError
from ..items import (
    ExecAction,
    FunctionCall,
    FunctionCallOutput,
    InputImage,
    InputText,
    LocalShellCall,
    Message,
    Other,
    OtherAction,
    OtherPart,
    OutputText,
    Reasoning,
    ReasoningText,
    ResponseItem,
    SummaryText,
)

Wire = dict[str, Any]

# In how many objects and arrays an item, an action and a part stand: none, the item, the item and its list.
_ON_LINE, _IN_ITEM, _IN_LIST = 0, 1, 2


def wire(item: ResponseItem) -> Wire:
    """Return *item* as the dict that is written, `None` where ``null`` is written.

    Raises:
        InvalidItemError: *item* is no item, is an empty `Other`, or holds something that is not plain JSON.
    """
    to_wire = WIRE.get(type(item))
    if to_wire is None:
        raise InvalidItemError("item", f"is no item, but {type(item).__name__}")
    return to_wire(item)


def wire_meta(meta: SessionMeta) -> Wire:
    """Return *meta* as the dict that is written."""
    known: Wire = {"id": meta.id, "timestamp": meta.timestamp, "instructions": meta.instructions}
    return known | _plain(meta.extra, meta.type, _ON_LINE)


def wire_state(state: SessionStateSnapshot) -> Wire:
    """Return *state* as the dict that is written, its keys beside the one that marks it."""
    return {"record_type": "state"} | _plain(state, state.type, _ON_LINE)


def wire_log(entry: LogEntry) -> Wire:
    """Return *entry* as the dict that is written; what of its extras is not plain JSON becomes a string."""
    known: Wire = {
        "type": "log",
        "timestamp": entry.timestamp,
        "level": entry.level,
        "logger": entry.logger,
        "message": entry.message,
    }
    if entry.exception is not None:
        known["exception"] = entry.exception
    if entry.stack is not None:
        known["stack"] = entry.stack
    if entry.extra:
        known["extra"] = stringified(dict(entry.extra), 1)
    return known


def _message(item: Message) -> Wire:
    content = item.content
    part = content[0] if len(content) == 1 else None
    if (type(part) is InputText or type(part) is OutputText) and part.extra is EMPTY:
        parts: list[Wire] = [{"type": part.type, "text": part.text}]  # nearly every message: no call is worth its time
    else:
        parts = _parts(content)
    known = {"type": "message", "id": item.id, "role": item.role, "content": parts}
    return known if item._shape is None and item.extra is EMPTY else _shaped(known, item)


def _reasoning(item: Reasoning) -> Wire:
    known: Wire = {"type": "reasoning", "id": item.id, "summary": _parts(item.summary)}
    if item.content is not None:
        known["content"] = _parts(item.content)
    elif item._shape is not None and "content" in item._shape:
        known["content"] = None
    known["encrypted_content"] = item.encrypted_content
    return known if item._shape is None and item.extra is EMPTY else _shaped(known, item)


def _local_shell_call(item: LocalShellCall) -> Wire:
    known = {
        "type": "local_shell_call",
        "id": item.id,
        "call_id": item.call_id,
        "status": item.status,
        "action": _PARTS[type(item.action)](item.action),
    }
    return known if item._shape is None and item.extra is EMPTY else _shaped(known, item)


def _function_call(item: FunctionCall) -> Wire:
    known = {
        "type": "function_call",
        "id": item.id,
        "name": item.name,
        "arguments": item.arguments,
        "call_id": item.call_id,
    }
    return known if item._shape is None and item.extra is EMPTY else _shaped(known, item)


def _function_call_output(item: FunctionCallOutput) -> Wire:
    output = item.output if isinstance(item.output, str) else _parts(item.output)
    known = {"type": "function_call_output", "call_id": item.call_id, "output": output}
    return known if item._shape is None and item.extra is EMPTY else _shaped(known, item)


def wire_other(item: Other) -> Wire:
    """Return *item*, of a kind that no class knows, as the dict that is written."""
    if not item.raw:
        raise InvalidItemError("other", "has nothing in it to write")
    raw = _plain(item.raw, item.type, _ON_LINE)
    return raw if next(iter(raw)) == "type" else {"type": item.type} | raw


def _shaped(known: Wire, value: Any, depth: int = _ON_LINE) -> Wire:
    """Return *known* with the extras of *value*, its keys as they stood on the line that it was read from."""
    if value.extra:
        known.update(_plain(value.extra, value.type, depth))
    if value._shape is None:
        return known
    shaped = {"type": known.pop("type")}
    for key in value._shape:
        if key in known:
            shaped[key] = known.pop(key)
    # What is left was not on the line: `None` stands for just that, and anything else has come in since.
    shaped.update((key, rest) for key, rest in known.items() if rest is not None)
    return shaped


def _parts(parts: tuple[Any, ...]) -> list[Wire]:
    return [_PARTS[type(part)](part) for part in parts]


def _text(part: InputText | OutputText | SummaryText | ReasoningText) -> Wire:
    known: Wire = {"type": part.type, "text": part.text}
    if part.extra is not EMPTY:
        known.update(_plain(part.extra, part.type, _IN_LIST))
    return known


def _input_image(part: InputImage) -> Wire:
    known: Wire = {"type": "input_image", "image_url": part.image_url}
    if part.extra is not EMPTY:
        known.update(_plain(part.extra, part.type, _IN_LIST))
    return known


def _other_part(part: OtherPart) -> Wire:
    return _plain(part.raw, part.type, _IN_LIST)


def _exec(action: ExecAction) -> Wire:
    known = {
        "type": "exec",
        "command": list(action.command),
        "timeout_ms": action.timeout_ms,
        "working_directory": action.working_directory,
        "env": None if action.env is None else dict(action.env),
        "user": action.user,
    }
    return known if action._shape is None and action.extra is EMPTY else _shaped(known, action, _IN_ITEM)


def _other_action(action: OtherAction) -> Wire:
    return _plain(action.raw, action.type, _IN_ITEM)


def _plain(values: Mapping[str, Any], where: str, depth: int) -> Wire:
    """Return a copy of *values*, an object that stands in *depth* others."""
    copied: Wire = plain(values, where, depth)
    return copied


_PARTS: dict[type, Callable[[Any], Wire]] = {
    InputText: _text,
    OutputText: _text,
    SummaryText: _text,
    ReasoningText: _text,
    InputImage: _input_image,
    OtherPart: _other_part,
    ExecAction: _exec,
    OtherAction: _other_action,
}

WIRE: dict[type, Callable[[Any], Wire]] = {
    Message: _message,
    Reasoning: _reasoning,
    LocalShellCall: _local_shell_call,
    FunctionCall: _function_call,
    FunctionCallOutput: _function_call_output,
    Other: wire_other,
    **dict.fromkeys(KINDS.values(), wire_other),
}
"""How each kind of item is written, by its class: looked up once an item."""
