"""Lines to entries: what stands on a line of either format, and the five kinds at the speed that a long session needs.

Small functions read each kind as it mostly looks; whatever these do not expect (an unknown part, a wrong type, a
missing key) is left to `structure`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._entries import OWN, Entry, OtherEntry, SessionStateSnapshot
from .._values.checks import EMPTY, Extra
from ..exceptions import InvalidItemError
from ..items import (
    ExecAction,
    FunctionCall,
    FunctionCallOutput,
    InputText,
    LocalShellCall,
    Message,
    OutputText,
    Reasoning,
    ResponseItem,
    SummaryText,
)
from .structure import Wire, kept, shape_of, structure_exec, structure_item, structure_log, structure_meta


class Unexpected(Exception):
    """Signals that the slower way must be taken."""


SLOWER = (Unexpected, KeyError, TypeError, AttributeError, InvalidItemError)
"""What the hot functions raise for what they do not expect."""


# --- whole lines ------------------------------------------------------------------------------------------------------


def decode_entry(raw: Any, exact: bool) -> Entry:
    """Return the entry that *raw*, a parsed line of either format, stands for.

    Args:
        raw: what the line's JSON holds; the entry keeps parts of it.
        exact: whether integers are as they stood on the line.

    Raises:
        InvalidItemError: it stands for none.
        Inexact: *exact* is false and must be true for this line.
        InvalidJson: a value that would be kept as it stands is nested too deep.
    """
    if type(raw) is not dict:
        raise InvalidItemError("line", "is no JSON object")
    if raw.get("record_type") == "state":
        return SessionStateSnapshot(kept({key: raw[key] for key in raw if key != "record_type"}, exact))
    if "type" not in raw and "id" in raw and "timestamp" in raw:
        return structure_meta(raw, exact)
    kind = raw.get("type")
    if type(kind) is not str:
        raise InvalidItemError("line", "has no type, and is neither a session meta nor a state")
    if kind in HOT:
        return decode_item(raw, exact)
    if is_wrapped(raw):
        return _unwrapped(raw, kind, exact)
    return structure_log(raw, exact) if kind == "log" else decode_item(raw, exact)


def is_wrapped(raw: Wire) -> bool:
    """Whether *raw* is a line of the envelope format, where an item is the payload of a line."""
    return "payload" in raw and "timestamp" in raw and raw.get("type") not in HOT


def _unwrapped(raw: Wire, kind: str, exact: bool) -> Entry:
    payload = raw["payload"]
    if kind == OWN and type(payload) is dict and payload.get("record_type") == "state":
        return decode_entry(payload, exact)
    if kind == OWN and type(payload) is dict and payload.get("type") == "log":
        return structure_log(payload, exact)
    if kind not in ("response_item", "session_meta"):
        return OtherEntry(kept(raw, exact))
    if type(payload) is not dict:
        raise InvalidItemError("payload", "is no JSON object")
    if kind == "session_meta":
        return structure_meta(payload, exact)
    if type(payload.get("type")) is not str:
        raise InvalidItemError("payload", "is no item: it has no type")
    return decode_item(payload, exact)


def decode_item(raw: Wire, exact: bool) -> ResponseItem:
    """Return the item that *raw*, which has a type, stands for; arguments and errors as for `decode_entry`."""
    kind = raw["type"]
    if kind in HOT:
        try:
            return HOT[kind](raw, exact)
        except SLOWER:
            pass  # the slower way reads it, or says what is wrong
    return structure_item(raw, exact)


# --- values without their `__init__` ----------------------------------------------------------------------------------


def _unfrozen(cls: Any) -> Any:
    """Return a plain class with the slots of frozen *cls*, whose instances can become instances of it.

    Filling such a twin and turning it into the real class takes 0.15 µs for a message, and its slots one by one through
    their descriptors 0.3; the frozen `__init__` takes 0.46 for setting alone, and 1 with its checks. (Where an audit
    hook is installed, turning costs what the hook costs. A twin that is the parent of the real class would turn faster
    by a hundredth of a reader's time, one that is its child takes four times as long.) The functions below have checked
    what they fill in, and nothing else may do this.
    """
    return type(f"_Unfrozen{cls.__name__}", cls.__bases__, {"__slots__": cls.__slots__, "__module__": __name__})


_UnfrozenText = _unfrozen(InputText)  # the three text parts have the same slots
_UnfrozenMessage = _unfrozen(Message)
_UnfrozenReasoning = _unfrozen(Reasoning)
_UnfrozenFunctionCall = _unfrozen(FunctionCall)
_UnfrozenFunctionCallOutput = _unfrozen(FunctionCallOutput)
_UnfrozenLocalShellCall = _unfrozen(LocalShellCall)

_EXEC = {"type", *ExecAction.KEYS}
_TEXTS: dict[str, type] = {"input_text": InputText, "output_text": OutputText}
_SUMMARIES: dict[str, type] = {"summary_text": SummaryText}


# --- the hot kinds ----------------------------------------------------------------------------------------------------
# Each looks at everything that it fills in, and at the number of keys: as many as it knows, and there is no other.


def _message(raw: Wire, exact: bool) -> Message:
    role = raw["role"]
    content = raw["content"]
    item = _UnfrozenMessage()
    if len(raw) == 4:
        item_id = raw["id"]
        item.extra = EMPTY
        item._shape = None
    else:
        item_id = raw.get("id")
        item.extra, item._shape = _rest(raw, Message.KEYS, exact)
    if item_id is not None and type(item_id) is not str:
        raise Unexpected
    item.id = item_id
    # A role of ours instead of the line's own: one string for all messages that are kept.
    if role == "user":
        item.role = "user"
    elif role == "assistant":
        item.role = "assistant"
    elif type(role) is str:
        item.role = role
    else:
        raise Unexpected
    if type(content) is list and len(content) == 1:
        # Most messages are one text, and most lines messages: what `_text` does, without the calls.
        part = content[0]
        kind = part["type"]
        text = part["text"]
        if type(text) is not str or len(part) != 2:
            raise Unexpected
        value = _UnfrozenText()
        value.text = text
        value.extra = EMPTY
        if kind == "input_text":
            value.__class__ = InputText
        elif kind == "output_text":
            value.__class__ = OutputText
        else:
            raise Unexpected
        item.content = (value,)
    else:
        item.content = _texts(content, _TEXTS)
    item.__class__ = Message
    return item  # type: ignore[no-any-return]


def _reasoning(raw: Wire, exact: bool) -> Reasoning:
    item = _UnfrozenReasoning()
    if len(raw) == 4 and "id" in raw and "encrypted_content" in raw:
        item_id = raw["id"]
        encrypted = raw["encrypted_content"]
        item.extra = EMPTY
        item._shape = None
    else:
        item_id = raw.get("id")
        encrypted = raw.get("encrypted_content")
        if raw.get("content") is not None:
            raise Unexpected
        item.extra, item._shape = _rest(raw, Reasoning.KEYS, exact)
    if (item_id is not None and type(item_id) is not str) or (encrypted is not None and type(encrypted) is not str):
        raise Unexpected
    item.id = item_id
    item.content = None
    item.encrypted_content = encrypted
    summary = raw["summary"]
    if type(summary) is list and len(summary) == 1:
        # As for a message: one paragraph, without the calls.
        part = summary[0]
        text = part["text"]
        if type(text) is not str or len(part) != 2 or part["type"] != "summary_text":
            raise Unexpected
        value = _UnfrozenText()
        value.text = text
        value.extra = EMPTY
        value.__class__ = SummaryText
        item.summary = (value,)
    else:
        item.summary = _texts(summary, _SUMMARIES)
    item.__class__ = Reasoning
    return item  # type: ignore[no-any-return]


def _function_call(raw: Wire, exact: bool) -> FunctionCall:
    name = raw["name"]
    arguments = raw["arguments"]
    call_id = raw["call_id"]
    if type(name) is not str or type(arguments) is not str or type(call_id) is not str:
        raise Unexpected
    item = _UnfrozenFunctionCall()
    if len(raw) == 5 and "id" in raw:
        item_id = raw["id"]
        item.extra = EMPTY
        item._shape = None
    else:
        item_id = raw.get("id")
        item.extra, item._shape = _rest(raw, FunctionCall.KEYS, exact)
    if item_id is not None and type(item_id) is not str:
        raise Unexpected
    item.name = name
    item.arguments = arguments
    item.call_id = call_id
    item.id = item_id
    item.__class__ = FunctionCall
    return item  # type: ignore[no-any-return]


def _function_call_output(raw: Wire, exact: bool) -> FunctionCallOutput:
    call_id = raw["call_id"]
    output = raw["output"]
    if type(call_id) is not str or type(output) is not str:
        raise Unexpected
    item = _UnfrozenFunctionCallOutput()
    item.call_id = call_id
    item.output = output
    if len(raw) == 3:
        item.extra = EMPTY
        item._shape = None
    else:
        item.extra, item._shape = _rest(raw, FunctionCallOutput.KEYS, exact)
    item.__class__ = FunctionCallOutput
    return item  # type: ignore[no-any-return]


def _local_shell_call(raw: Wire, exact: bool) -> LocalShellCall:
    item_id = raw.get("id")
    call_id = raw.get("call_id")
    status = raw["status"]
    if type(status) is not str or (item_id is not None and type(item_id) is not str):
        raise Unexpected
    action = raw["action"]
    if (call_id is not None and type(call_id) is not str) or action.keys() != _EXEC or action["type"] != "exec":
        raise Unexpected
    item = _UnfrozenLocalShellCall()
    item.id = item_id
    item.call_id = call_id
    item.status = status
    item.action = structure_exec(action)
    if len(raw) == 5 and "id" in raw and "call_id" in raw:
        item.extra = EMPTY
        item._shape = None
    else:
        item.extra, item._shape = _rest(raw, LocalShellCall.KEYS, exact)
    item.__class__ = LocalShellCall
    return item  # type: ignore[no-any-return]


HOT: dict[str, Callable[[Wire, bool], ResponseItem]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
    "local_shell_call": _local_shell_call,
}
"""How each kind is read when it looks as it mostly does; for anything else these raise one of `SLOWER`."""


def _wrapped_item(raw: Wire, exact: bool) -> ResponseItem:
    payload = raw["payload"]
    if "timestamp" not in raw or "record_type" in raw:
        raise Unexpected
    return HOT[payload["type"]](payload, exact)


HOT_LINES = {**HOT, "response_item": _wrapped_item}
"""The same for a whole line, which in the newer format wraps the item."""


def _texts(parts: Any, classes: dict[str, type]) -> tuple[Any, ...]:
    """Return *parts* as values if each is one of *classes* and has no further keys."""
    if type(parts) is not list:
        raise Unexpected
    if len(parts) == 1:
        return (_text(parts[0], classes),)
    return tuple([_text(part, classes) for part in parts])


def _text(part: Wire, classes: dict[str, type]) -> Any:
    text = part["text"]
    if type(text) is not str or len(part) != 2:
        raise Unexpected
    value = _UnfrozenText()
    value.text = text
    value.extra = EMPTY
    value.__class__ = classes[part["type"]]
    return value


def _rest(raw: Wire, keys: tuple[str, ...], exact: bool) -> tuple[Extra, tuple[str, ...]]:
    """Return what of *raw* no field holds, and the keys as they stand, for an item that is written as it was read."""
    if raw.get("record_type") == "state":
        raise Unexpected
    extra = {key: value for key, value in raw.items() if key not in keys and key != "type" and key != "record_type"}
    return kept(extra, exact), shape_of(raw)
