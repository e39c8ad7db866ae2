"""Wire dicts to values, strict and lossless: `None` is not ``"None"``, 3.9 is not 3, and no key is dropped.

The five kinds are read by small functions made for speed; whatever these do not expect (an unknown part, a wrong type, a
missing key) goes a second, slower way, which knows every case and names the place of what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs
import cattrs

from rolloutlog._json import widened
from rolloutlog._models import Entry, LogEntry, OtherEntry, SessionMeta, SessionStateSnapshot
from rolloutlog.exceptions import InvalidItemError
from rolloutlog.items import (
    Action,
    ExecAction,
    Extra,
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
_T = TypeVar("_T")


class Inexact(Exception):
    """A value that is kept as it stands may hold integers that were read as floats: read the line again, exactly."""


class Unexpected(Exception):
    """Signals that the slower way must be taken."""


SLOWER = (Unexpected, KeyError, TypeError, AttributeError, InvalidItemError)
"""What the hot functions raise for what they do not expect."""


# --- values without their `__init__` ----------------------------------------------------------------------------------


def _unfrozen(cls: type) -> Any:
    """Return a plain class with the slots of frozen *cls*, whose instances can become instances of it.

    Filling such a twin and turning it into the real class takes 0.15 µs for a message, and its slots one by one through
    their descriptors 0.3; the frozen `__init__` takes 0.46 for setting alone, and 1 with its checks. (Where somebody has
    installed an audit hook, turning costs what the hook costs.) The functions below have checked what they fill in, and
    nothing else may do this.
    """
    return type(f"_Unfrozen{cls.__name__}", cls.__bases__, {"__slots__": cls.__slots__, "__module__": __name__})


_UnfrozenText = _unfrozen(InputText)  # the three text parts have the same slots
_UnfrozenMessage = _unfrozen(Message)
_UnfrozenReasoning = _unfrozen(Reasoning)
_UnfrozenFunctionCall = _unfrozen(FunctionCall)
_UnfrozenFunctionCallOutput = _unfrozen(FunctionCallOutput)
_UnfrozenLocalShellCall = _unfrozen(LocalShellCall)

_EMPTY = InputText("").extra
_TEXTS: dict[str, type] = {"input_text": InputText, "output_text": OutputText}
_SUMMARIES: dict[str, type] = {"summary_text": SummaryText}


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
        return SessionStateSnapshot(_kept({key: raw[key] for key in raw if key != "record_type"}, exact))
    if "type" not in raw and "id" in raw and "timestamp" in raw:
        return _meta(raw, exact)
    kind = raw.get("type")
    if type(kind) is not str:
        raise InvalidItemError("line", "has no type, and is neither a session meta nor a state")
    if kind in HOT:
        return decode_item(raw, exact)
    if is_wrapped(raw):
        return _unwrapped(raw, kind, exact)
    return _log(raw, exact) if kind == "log" else decode_item(raw, exact)


def is_wrapped(raw: Wire) -> bool:
    """Whether *raw* is a line of the envelope format, where an item is the payload of a line."""
    return "payload" in raw and "timestamp" in raw and raw.get("type") not in HOT


def _unwrapped(raw: Wire, kind: str, exact: bool) -> Entry:
    payload = raw["payload"]
    if kind not in ("response_item", "session_meta"):
        return OtherEntry(_kept(raw, exact))
    if type(payload) is not dict:
        raise InvalidItemError("payload", "is no JSON object")
    if kind == "session_meta":
        return _meta(payload, exact)
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
    if widened(raw, 0) and not exact:
        raise Inexact
    if kind not in HOT:
        return Other(raw)
    return _shaped(_known(raw, _CLASSES[kind], kind), raw)


def _kept(values: Wire, exact: bool) -> Extra:
    if not values:
        return _EMPTY
    if widened(values, 0) and not exact:
        raise Inexact
    return Extra(values)


# --- the hot kinds ----------------------------------------------------------------------------------------------------
# Each looks at everything that it fills in, and at the number of keys: as many as it knows means that there is no other.


def _message(raw: Wire, exact: bool) -> Message:
    role = raw["role"]
    item_id = raw.get("id")
    content = _texts(raw["content"], _TEXTS)
    if item_id is not None and type(item_id) is not str:
        raise Unexpected
    item = _UnfrozenMessage()
    # A role of ours instead of the line's own: one string for all messages that are kept.
    if role == "user":
        item.role = "user"
    elif role == "assistant":
        item.role = "assistant"
    elif type(role) is str:
        item.role = role
    else:
        raise Unexpected
    item.content = content
    item.id = item_id
    if len(raw) == 4 and "id" in raw:
        item.extra = _EMPTY
        item._shape = None
    else:
        item.extra, item._shape = _rest(raw, Message.KEYS, exact)
    item.__class__ = Message
    return item  # type: ignore[no-any-return]


def _reasoning(raw: Wire, exact: bool) -> Reasoning:
    item_id = raw.get("id")
    encrypted = raw.get("encrypted_content")
    if (item_id is not None and type(item_id) is not str) or (encrypted is not None and type(encrypted) is not str):
        raise Unexpected
    if raw.get("content") is not None:
        raise Unexpected
    item = _UnfrozenReasoning()
    item.id = item_id
    item.summary = _texts(raw["summary"], _SUMMARIES)
    item.content = None
    item.encrypted_content = encrypted
    if len(raw) == 4 and "id" in raw and "encrypted_content" in raw:
        item.extra = _EMPTY
        item._shape = None
    else:
        item.extra, item._shape = _rest(raw, Reasoning.KEYS, exact)
    item.__class__ = Reasoning
    return item  # type: ignore[no-any-return]


def _function_call(raw: Wire, exact: bool) -> FunctionCall:
    name = raw["name"]
    arguments = raw["arguments"]
    call_id = raw["call_id"]
    item_id = raw.get("id")
    if type(name) is not str or type(arguments) is not str or type(call_id) is not str:
        raise Unexpected
    if item_id is not None and type(item_id) is not str:
        raise Unexpected
    item = _UnfrozenFunctionCall()
    item.name = name
    item.arguments = arguments
    item.call_id = call_id
    item.id = item_id
    if len(raw) == 5 and "id" in raw:
        item.extra = _EMPTY
        item._shape = None
    else:
        item.extra, item._shape = _rest(raw, FunctionCall.KEYS, exact)
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
        item.extra = _EMPTY
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
    item.action = _STRICT.structure(action, ExecAction)
    if len(raw) == 5 and "id" in raw and "call_id" in raw:
        item.extra = _EMPTY
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
    value.extra = _EMPTY
    value.__class__ = classes[part["type"]]
    return value


def _rest(raw: Wire, keys: tuple[str, ...], exact: bool) -> tuple[Extra, tuple[str, ...]]:
    """Return what of *raw* no field holds, and the keys as they stand, for an item that is written as it was read."""
    if raw.get("record_type") == "state":
        raise Unexpected
    extra = {key: value for key, value in raw.items() if key not in keys and key != "type" and key != "record_type"}
    return _kept(extra, exact), _shape(raw)


_shapes: dict[tuple[str, ...], tuple[str, ...]] = {}  # any thread; a lost or doubled entry costs a few bytes
_MOST_SHAPES = 256


def _shape(raw: Wire) -> tuple[str, ...]:
    """Return the keys of *raw*, one tuple for all lines that have the same: a session has few, and many items."""
    keys = tuple(raw)
    known = _shapes.get(keys)
    if known is None:
        if len(_shapes) < _MOST_SHAPES:
            _shapes[keys] = keys
        return keys
    return known


# --- everything, with the place of what is wrong ----------------------------------------------------------------------


def _known(raw: Wire, cls: type[_T], where: str) -> _T:
    """Return *raw* as a *cls*, whose keys are fields and whose further keys are extras."""
    keys: tuple[str, ...] = cls.KEYS  # type: ignore[attr-defined]
    values: Wire = {"extra": {key: value for key, value in raw.items() if key not in (*keys, "type", "record_type")}}
    for key in keys:
        if key in raw:
            values[key] = _FIELDS.get((cls, key), _as_it_is)(raw[key], f"{where}.{key}")
        elif (cls, key) in _OPTIONAL:
            values[key] = None
        else:
            raise InvalidItemError(f"{where}.{key}", "is missing")
    try:
        return cls(**values)
    except InvalidItemError as error:  # it knows the field, and not where that stands
        raise InvalidItemError(f"{where}.{error.where.partition('.')[2]}", error.problem) from None


_OPTIONAL = {
    (Message, "id"),
    (Reasoning, "id"),
    (Reasoning, "content"),
    (Reasoning, "encrypted_content"),
    (LocalShellCall, "id"),
    (LocalShellCall, "call_id"),
    (FunctionCall, "id"),
}
_Part = Callable[[Wire, str], Any]


def _as_it_is(value: Any, where: str) -> Any:
    return value


def _parts(known: Mapping[str, _Part]) -> Callable[[Any, str], tuple[Any, ...]]:
    def decode(values: Any, where: str) -> tuple[Any, ...]:
        if type(values) is not list:
            raise InvalidItemError(where, "is no JSON array")
        return tuple([_part(value, known, f"{where}[{index}]") for index, value in enumerate(values)])

    return decode


def _part(raw: Any, known: Mapping[str, _Part], where: str) -> Any:
    _check_typed(raw, where)
    return known[raw["type"]](raw, where) if raw["type"] in known else OtherPart(raw)


def _check_typed(raw: Any, where: str) -> None:
    if type(raw) is not dict:
        raise InvalidItemError(where, "is no JSON object")
    if type(raw.get("type")) is not str:
        raise InvalidItemError(f"{where}.type", "is not a string" if "type" in raw else "is missing")


def _part_of(cls: type) -> _Part:
    return lambda raw, where: _known(raw, cls, where)


def _image(raw: Wire, where: str) -> InputImage | OtherPart:
    return OtherPart(raw) if raw.get("image_url") is None else _known(raw, InputImage, where)


def _reasoning_text(raw: Wire, where: str) -> ReasoningText:
    return attrs.evolve(_known(raw, ReasoningText, where), type=raw["type"])


def _reasoning_content(values: Any, where: str) -> tuple[Any, ...] | None:
    return None if values is None else _REASONING(values, where)


def _output(value: Any, where: str) -> Any:
    if type(value) is str:
        return value
    if type(value) is not list:
        raise InvalidItemError(where, "is neither a string nor a JSON array")
    return _CONTENT(value, where)


def _action(raw: Any, where: str) -> Action:
    _check_typed(raw, where)
    if raw["type"] != ExecAction.type:
        return OtherAction(raw)
    return _shaped(_rare(raw, ExecAction, ExecAction.KEYS, where), raw)


def _shaped(value: _T, raw: Wire) -> _T:
    """Return *value*, made to remember the keys of *raw* where they are not the usual ones."""
    keys: tuple[str, ...] = value.KEYS  # type: ignore[attr-defined]
    if isinstance(value, Reasoning) and value.content is None:
        keys = tuple(key for key in keys if key != "content")
    if tuple(raw) != ("type", *keys):
        object.__setattr__(value, "_shape", _shape(raw))
    return value


_CONTENT = _parts({"input_text": _part_of(InputText), "output_text": _part_of(OutputText), "input_image": _image})
_REASONING = _parts({"reasoning_text": _reasoning_text, "text": _reasoning_text})
_FIELDS: dict[tuple[type, str], Callable[[Any, str], Any]] = {
    (Message, "content"): _CONTENT,
    (Reasoning, "summary"): _parts({"summary_text": _part_of(SummaryText)}),
    (Reasoning, "content"): _reasoning_content,
    (LocalShellCall, "action"): _action,
    (FunctionCallOutput, "output"): _output,
}
_CLASSES: dict[str, Any] = {
    cls.type: cls for cls in (Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput)
}


# --- what is rare: cattrs ---------------------------------------------------------------------------------------------


def _strict() -> cattrs.Converter:
    """Return a converter that converts nothing: the checks of each class say what may stand in its fields."""
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_func(lambda kind: not attrs.has(kind), lambda value, kind: value)
    return converter


_STRICT = _strict()
_EXEC = {"type", *ExecAction.KEYS}


def _rare(raw: Wire, cls: type[_T], keys: Iterable[str], where: str) -> _T:
    """Return *raw* as a *cls*: *keys* are fields, what else it holds is the extra."""
    values: Wire = {key: raw[key] for key in keys if key in raw}
    values["extra"] = {
        key: value for key, value in raw.items() if key not in values and key not in ("type", "record_type")
    }
    try:
        return _STRICT.structure(values, cls)
    except KeyError as error:
        raise InvalidItemError(f"{where}.{error.args[0]}", "is missing") from None
    except InvalidItemError as error:
        raise InvalidItemError(f"{where}.{error.where.partition('.')[2]}", error.problem) from None


def _meta(raw: Wire, exact: bool) -> SessionMeta:
    if widened(raw, 0) and not exact:
        raise Inexact
    return _rare(raw, SessionMeta, ("id", "timestamp", "instructions"), "meta")


def _log(raw: Wire, exact: bool) -> LogEntry:
    if widened(raw, 0) and not exact:
        raise Inexact
    extra = raw.get("extra", {})
    if type(extra) is not dict:
        raise InvalidItemError("log.extra", "is no JSON object")
    entry = _rare(raw, LogEntry, ("timestamp", "level", "logger", "message", "exception", "stack"), "log")
    # A key that another version may have put beside ours is shown with the extras, rather than dropped.
    beside = {key: value for key, value in entry.extra.items() if key != "extra"}
    return attrs.evolve(entry, extra=beside | extra)
