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


class _Unexpected(Exception):
    """Signals that the slower way must be taken."""


# --- values without their `__init__` ----------------------------------------------------------------------------------


def _unfrozen(cls: type) -> Any:
    """Return a plain class with the slots of frozen *cls*, whose instances can become instances of it.

    A frozen `__init__` sets each field through `object.__setattr__` and checks it: 0.46 µs for a message, and more with
    validators. Filling a twin and turning it into the real class takes 0.15 µs. Nothing else may do this: the functions
    below have checked what they fill in.
    """
    return type(f"_Unfrozen{cls.__name__}", (), {"__slots__": cls.__slots__, "__module__": __name__})


_UnfrozenText = _unfrozen(InputText)  # the three text parts have the same slots
_UnfrozenReasoningText = _unfrozen(ReasoningText)
_UnfrozenMessage = _unfrozen(Message)
_UnfrozenReasoning = _unfrozen(Reasoning)
_UnfrozenFunctionCall = _unfrozen(FunctionCall)
_UnfrozenFunctionCallOutput = _unfrozen(FunctionCallOutput)

_EMPTY = InputText("").extra
_ROLES = {role: role for role in ("user", "assistant", "system", "developer", "tool")}
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
    if "record_type" in raw and raw["record_type"] == "state":
        return SessionStateSnapshot(_kept({key: raw[key] for key in raw if key != "record_type"}, exact))
    kind = raw.get("type")
    if type(kind) is not str:
        if kind is None and "type" not in raw and "id" in raw and "timestamp" in raw:
            return _meta(raw, exact)
        raise InvalidItemError("line", "has no type, and is neither a session meta nor a state")
    if "payload" in raw and "timestamp" in raw:
        return _wrapped(raw, kind, exact)
    if kind == "log":
        return _log(raw, exact)
    return decode_item(raw, exact)


def decode_item(raw: Wire, exact: bool) -> ResponseItem:
    """Return the item that *raw* stands for; the same arguments and errors as `decode_entry`."""
    kind = raw["type"]
    fast = _FAST.get(kind)
    if fast is not None:
        try:
            return fast(raw, exact)
        except (_Unexpected, KeyError, TypeError):
            pass  # the slower way reads it, or says what is wrong
    if widened(raw, 0) and not exact:
        raise Inexact
    if kind in _CLASSES:
        return _shaped(_known(raw, _CLASSES[kind], kind), raw)
    return Other(raw)


def _wrapped(raw: Wire, kind: str, exact: bool) -> Entry:
    payload = raw["payload"]
    if kind == "response_item":
        if type(payload) is not dict or type(payload.get("type")) is not str:
            raise InvalidItemError("payload", "is no item: it has no type")
        return decode_item(payload, exact)
    if kind == "session_meta":
        if type(payload) is not dict:
            raise InvalidItemError("payload", "is no JSON object")
        return _meta(payload, exact)
    return OtherEntry(_kept(raw, exact))


def _kept(values: Wire, exact: bool) -> Extra:
    if not values:
        return _EMPTY
    if widened(values, 0) and not exact:
        raise Inexact
    return Extra(values)


# --- the hot kinds ----------------------------------------------------------------------------------------------------


def _message(raw: Wire, exact: bool) -> Message:
    role = raw["role"]
    item_id = raw.get("id")
    if type(role) is not str or (item_id is not None and type(item_id) is not str):
        raise _Unexpected
    item = _UnfrozenMessage()
    item.role = _ROLES.get(role, role)
    item.content = _texts(raw["content"], _TEXTS)
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
        raise _Unexpected
    if raw.get("content") is not None:
        raise _Unexpected
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
        raise _Unexpected
    if item_id is not None and type(item_id) is not str:
        raise _Unexpected
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
        raise _Unexpected
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


_FAST: dict[str, Callable[[Wire, bool], ResponseItem]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
}


def _texts(parts: Any, classes: dict[str, type]) -> tuple[Any, ...]:
    """Return *parts* as values if each is one of *classes* and has no further keys."""
    if type(parts) is not list:
        raise _Unexpected
    values = []
    for part in parts:
        text = part["text"]
        if type(text) is not str or len(part) != 2:
            raise _Unexpected
        value = _UnfrozenText()
        value.text = text
        value.extra = _EMPTY
        value.__class__ = classes[part["type"]]
        values.append(value)
    return tuple(values)


def _rest(raw: Wire, keys: tuple[str, ...], exact: bool) -> tuple[Extra, tuple[str, ...]]:
    """Return what of *raw* no field holds, and the keys as they stand, for an item that is written as it was read."""
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
    values: Wire = {}
    for key in cls.KEYS:  # type: ignore[attr-defined]
        if key in raw:
            values[key] = _FIELDS.get((cls, key), _as_it_is)(raw[key], f"{where}.{key}")
        elif (cls, key) in _REQUIRED:
            raise InvalidItemError(f"{where}.{key}", "is missing")
        else:
            values[key] = None
    skipped = (*cls.KEYS, "type", "record_type")  # type: ignore[attr-defined]
    values["extra"] = {key: value for key, value in raw.items() if key not in skipped}
    try:
        return cls(**values)
    except InvalidItemError as error:
        field = error.where.partition(".")[2]
        raise InvalidItemError(f"{where}.{field}", error.problem) from None


def _as_it_is(value: Any, where: str) -> Any:
    return value


def _parts(known: Mapping[str, Callable[[Wire, str], Any]]) -> Callable[[Any, str], Any]:
    def decode(values: Any, where: str) -> Any:
        if type(values) is not list:
            return values
        return tuple(_part(value, known, f"{where}[{index}]") for index, value in enumerate(values))

    return decode


def _part(raw: Any, known: Mapping[str, Callable[[Wire, str], Any]], where: str) -> Any:
    if type(raw) is not dict:
        raise InvalidItemError(where, "is no JSON object")
    kind = raw.get("type")
    if type(kind) is not str:
        raise InvalidItemError(f"{where}.type", "is missing, or not a string")
    return known[kind](raw, where) if kind in known else OtherPart(raw)


def _image(raw: Wire, where: str) -> InputImage | OtherPart:
    return OtherPart(raw) if raw.get("image_url") is None else _known(raw, InputImage, where)


def _reasoning_text(raw: Wire, where: str) -> ReasoningText:
    return attrs.evolve(_known(raw, ReasoningText, where), type=raw["type"])


def _of(cls: type[_T]) -> Callable[[Wire, str], _T]:
    return lambda raw, where: _known(raw, cls, where)


def _action(raw: Any, where: str) -> Any:
    if type(raw) is not dict:
        raise InvalidItemError(where, "is no JSON object")
    if type(raw.get("type")) is not str:
        raise InvalidItemError(f"{where}.type", "is missing, or not a string")
    if raw["type"] != ExecAction.type:
        return OtherAction(raw)
    return _shaped(_rare(raw, ExecAction, ExecAction.KEYS, where), raw)


def _shaped(value: _T, raw: Wire) -> _T:
    """Return *value*, made to remember the keys of *raw* where they are not the usual ones."""
    shape = getattr(value, "_shape", ())
    keys = value.KEYS  # type: ignore[attr-defined]
    usual = ("type", *(key for key in keys if key != "content" or not isinstance(value, Reasoning) or value.content))
    if shape is None and tuple(raw) != usual:
        object.__setattr__(value, "_shape", _shape(raw))
    return value


_CONTENT = _parts({"input_text": _of(InputText), "output_text": _of(OutputText), "input_image": _image})

_CLASSES: dict[str, Any] = {
    cls.type: cls for cls in (Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput)
}
_FIELDS: dict[tuple[type, str], Callable[[Any, str], Any]] = {
    (Message, "content"): _CONTENT,
    (Reasoning, "summary"): _parts({"summary_text": _of(SummaryText)}),
    (Reasoning, "content"): _parts({"reasoning_text": _reasoning_text, "text": _reasoning_text}),
    (LocalShellCall, "action"): _action,
    (FunctionCallOutput, "output"): _CONTENT,
}
_REQUIRED: frozenset[tuple[type, str]] = frozenset(
    {
        (Message, "role"),
        (Message, "content"),
        (Reasoning, "summary"),
        (LocalShellCall, "status"),
        (LocalShellCall, "action"),
        (FunctionCall, "name"),
        (FunctionCall, "arguments"),
        (FunctionCall, "call_id"),
        (FunctionCallOutput, "call_id"),
        (FunctionCallOutput, "output"),
        (InputText, "text"),
        (OutputText, "text"),
        (SummaryText, "text"),
        (ReasoningText, "text"),
    }
)


# --- what is rare: cattrs ---------------------------------------------------------------------------------------------


def _strict() -> cattrs.Converter:
    """Return a converter that converts nothing: each field's own check says what may stand in it."""
    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_func(lambda kind: kind is not ExecAction and not attrs.has(kind), _unchanged)
    return converter


def _unchanged(value: Any, kind: Any) -> Any:
    return value


_STRICT = _strict()


def _rare(raw: Wire, cls: type[_T], keys: Iterable[str], where: str) -> _T:
    """Return *raw* as a *cls*: *keys* are fields, the rest is its extra."""
    values = {key: raw[key] for key in keys if key in raw}
    values["extra"] = {key: value for key, value in raw.items() if key not in values and key not in ("type", "record_type")}
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
    unknown = {key: value for key, value in entry.extra.items() if key != "extra"}
    return attrs.evolve(entry, extra=unknown | extra)
