"""Wire dicts to values, every case: unknown parts, extra keys, and the place of what is wrong.

Strict (`None` is not ``"None"``, 3.9 is not 3) and lossless. Speed is the business of `decode`, which comes here with
what is not as most lines are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from .._entries import LogEntry, SessionMeta
from .._json import widened
from .._values.checks import EMPTY, Extra
from ..exceptions import InvalidItemError
from ..items import (
    Action,
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
_T = TypeVar("_T")
_Attrs = TypeVar("_Attrs", bound=attrs.AttrsInstance)


class Inexact(Exception):
    """A value that is kept as it stands may hold integers that were read as floats: read the line again, exactly."""


def kept(values: Wire, exact: bool) -> Extra:
    """Return *values*, from a line, to be kept as they stand.

    Raises:
        Inexact: they may have been other values, and *exact* is false.
        InvalidJson: they are nested too deep.
    """
    if not values:
        return EMPTY
    if widened(values, 0) and not exact:
        raise Inexact
    return Extra(values)


_shapes: dict[tuple[str, ...], tuple[str, ...]] = {}  # any thread; a lost or doubled entry costs a few bytes
_MOST_SHAPES = 256


def shape_of(raw: Wire) -> tuple[str, ...]:
    """Return the keys of *raw*, one tuple for all lines that have the same: a session has few, and many items."""
    keys = tuple(raw)
    known = _shapes.get(keys)
    if known is None:
        if len(_shapes) < _MOST_SHAPES:
            _shapes[keys] = keys
        return keys
    return known


# --- items ------------------------------------------------------------------------------------------------------------


def structure_item(raw: Wire, exact: bool) -> ResponseItem:
    """Return the item that *raw*, which has a type, stands for.

    Raises:
        InvalidItemError: it is of a known kind, and not as that must be.
        Inexact, InvalidJson: as for `kept`.
    """
    if widened(raw, 0) and not exact:
        raise Inexact
    kind = raw["type"]
    return _shaped(_known(raw, _CLASSES[kind], kind), raw) if kind in _CLASSES else Other(raw)


def _known(raw: Wire, cls: type[_T], where: str) -> _T:
    """Return *raw* as a *cls*, whose keys are fields and whose further keys are extras."""
    keys: tuple[str, ...] = cls.KEYS  # type: ignore[attr-defined]
    # On a whole line, a `record_type` that does not make it a state says nothing, and is no part of the item.
    tags = ("type", "record_type") if cls in _ITEMS else ("type",)
    values: Wire = {"extra": {key: value for key, value in raw.items() if key not in keys and key not in tags}}
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
    (FunctionCallOutput, "call_id"),
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
    return _shaped(_rare(raw, ExecAction, where), raw)


def _shaped(value: _T, raw: Wire) -> _T:
    """Return *value*, made to remember the keys of *raw* where they are not the usual ones."""
    keys: tuple[str, ...] = value.KEYS  # type: ignore[attr-defined]
    if isinstance(value, Reasoning) and value.content is None:
        keys = tuple(key for key in keys if key != "content")
    if tuple(raw) != ("type", *keys):
        object.__setattr__(value, "_shape", shape_of(raw))
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
_ITEMS = (Message, Reasoning, LocalShellCall, FunctionCall, FunctionCallOutput)
_CLASSES: dict[str, Any] = {cls.type: cls for cls in _ITEMS}


# --- what is rare: cattrs ---------------------------------------------------------------------------------------------


@functools.cache
def _strict() -> Any:
    """Return a converter that converts nothing: the checks of each class say what may stand in its fields."""
    import cattrs  # here, because it is a fifth of what importing rolloutlog would cost, and few lines need it

    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_func(lambda kind: not attrs.has(kind), _unchanged)
    for kind in (str, int):  # which cattrs looks up first, and would convert
        converter.register_structure_hook(kind, _unchanged)
    return converter


def _unchanged(value: Any, kind: Any) -> Any:
    return value


def structure_exec(raw: Wire) -> ExecAction:
    """Return *raw*, which has the usual keys and no others, as an action; raise as `ExecAction` itself does."""
    action: ExecAction = _strict().structure(raw, ExecAction)
    return action


def _rare(raw: Wire, cls: type[_Attrs], where: str, *tags: str) -> _Attrs:
    """Return *raw* as a *cls*: what is neither a field nor one of *tags* is its extra."""
    keys: tuple[str, ...] = cls.KEYS  # type: ignore[attr-defined]
    values: Wire = {key: raw[key] for key in keys if key in raw}
    values["extra"] = {key: value for key, value in raw.items() if key not in keys and key not in ("type", *tags)}
    for field in attrs.fields(cls):  # what is missing, cattrs tells differently from release to release
        if field.init and field.default is attrs.NOTHING and field.name not in values:
            raise InvalidItemError(f"{where}.{field.name}", "is missing")
    try:
        value: _Attrs = _strict().structure(values, cls)
    except InvalidItemError as error:
        raise InvalidItemError(f"{where}.{error.where.partition('.')[2]}", error.problem) from None
    return value


def structure_meta(raw: Wire, exact: bool) -> SessionMeta:
    """Return *raw* as a session meta; errors as for `structure_item`."""
    if widened(raw, 0) and not exact:
        raise Inexact
    return _rare(raw, SessionMeta, SessionMeta.type, "record_type")


def structure_log(raw: Wire, exact: bool) -> LogEntry:
    """Return *raw* as a log entry; errors as for `structure_item`."""
    if widened(raw, 0) and not exact:
        raise Inexact
    extra = raw.get("extra", {})
    if type(extra) is not dict:
        raise InvalidItemError("log.extra", "is no JSON object")
    entry = _rare(raw, LogEntry, LogEntry.type)
    # A key that another version may have put beside ours is shown with the extras, rather than dropped.
    beside = {key: value for key, value in entry.extra.items() if key != "extra"}
    return attrs.evolve(entry, extra=beside | extra)
