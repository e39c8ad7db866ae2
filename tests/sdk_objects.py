"""Hypothesis strategies that are derived from the OpenAI SDK's types: any output, and any input."""

from __future__ import annotations

import types
import typing
import zlib
from typing import Any

import api_schema
import pydantic
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types.responses import ResponseOutputItem
from sdk_agent import PREFIXES

_TEXT = st.text(max_size=12)
_KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | _TEXT,
    lambda inside: st.lists(inside, max_size=2) | st.dictionaries(_KEYS, inside, max_size=2),
    max_leaves=4,
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: st.integers(0, 2**53),
    float: st.floats(-1e6, 1e6, width=32),
    bool: st.booleans(),
    type(None): st.none(),
    object: _JSON,
    Any: _JSON,
}
_DEEPEST = 5


def members(declared: Any) -> list[Any]:
    """Return the members of a union, even if it is annotated; otherwise *declared* itself."""
    origin = typing.get_origin(declared)
    if origin is typing.Annotated:
        return members(typing.get_args(declared)[0])
    if origin in (typing.Union, types.UnionType):
        return [one for member in typing.get_args(declared) for one in members(member)]
    return [declared]


OUTPUTS: dict[str, Any] = {
    typing.get_args(shape.model_fields["type"].annotation)[0]: shape for shape in members(ResponseOutputItem)
}
"""The class of each kind of output that the installed SDK defines."""


def _required(declared: list[Any], seen: set[Any]) -> set[tuple[str | None, str]]:
    """Return each key that the input types require, with the type of its object, which may have none."""
    found = set()
    for option in declared:
        found |= _required(api_schema.elements(option) or [], seen)
        if not api_schema.is_object(option) or option in seen:
            continue
        seen.add(option)
        for key, (inside, required) in api_schema.keys(option).items():
            found |= _required(inside, seen)
            found |= {(kind, key) for kind in api_schema.kinds(option) or (None,) if required}
    return found


ALWAYS_SENT = _required(api_schema.item_types(), set())


def wire_dicts(shape: Any, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for the API's JSON of *shape*, a model of the SDK: optional keys may be absent or null.

    Keys that the input types require are always sent: the models give nullable keys a default, which hides that.
    """
    kinds = typing.get_args(shape.model_fields["type"].annotation) if "type" in shape.model_fields else ()
    required, optional = {}, {}
    for name, field in shape.model_fields.items():
        key = field.alias or name
        sent = field.is_required() or any((kind, key) in ALWAYS_SENT for kind in kinds or (None,))
        (required if sent else optional)[key] = _values(field.annotation, depth + 1)
    return st.fixed_dictionaries(required, optional={} if depth > _DEEPEST else optional)


def objects(kind: str) -> st.SearchStrategy[Any]:
    """Return a strategy for SDK objects of *kind*, built by the SDK from JSON of the API."""
    return wire_dicts(OUTPUTS[kind]).map(with_given_ids).map(sdk_object)


def with_given_ids(wire: dict[str, Any]) -> dict[str, Any]:
    """Return *wire* with ids such as the API gives, and reasoning as it sends that: its text is never all of it."""
    kind = wire.get("type") or "message"
    given = dict(wire)
    if given.get("id") is not None:
        given["id"] = f"{PREFIXES.get(kind, 'own')}_{zlib.crc32(given['id'].encode()):x}"
    if given.get("call_id") == "":
        given["call_id"] = "call_1"
    if isinstance(caller := given.get("caller"), dict) and caller.get("caller_id") == "":
        given["caller"] = {**caller, "caller_id": "call_1"}
    if given.get("content") and kind == "reasoning":
        given["encrypted_content"] = "gAAAAB"
    return given


def sdk_object(wire: dict[str, Any]) -> Any:
    """Return the SDK's object for *wire*, the API's JSON of an output."""
    return construct_type(value=wire, type_=OUTPUTS[wire["type"]])


def inputs(shape: Any, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for input of *shape*, a TypedDict of the SDK: optional keys may be absent."""
    required, optional = {}, {}
    for key, (inside, is_required) in api_schema.keys(shape).items():
        # A key is null only if it is required; otherwise a null means the same as an absent key.
        declared = inside if is_required else [option for option in inside if option is not type(None)]
        (required if is_required else optional)[key] = _given(declared, depth + 1)
    found = st.fixed_dictionaries(required, optional={} if depth > _DEEPEST else optional)
    return found if depth else found.map(with_given_ids)


def _given(declared: list[Any], depth: int) -> st.SearchStrategy[Any]:
    return st.one_of([st.deferred(lambda option=option: _given_one(option, depth)) for option in declared])


def _given_one(declared: Any, depth: int) -> st.SearchStrategy[Any]:
    if typing.get_origin(declared) is typing.Literal:
        return st.sampled_from(typing.get_args(declared))
    if api_schema.is_object(declared):
        return inputs(declared, depth)
    if (inside := api_schema.elements(declared)) is not None:
        return st.lists(_given(inside, depth), max_size=0 if depth > _DEEPEST else 2)
    if typing.get_origin(declared) is dict:
        return st.dictionaries(_KEYS, _given(api_schema.options(typing.get_args(declared)[1]), depth), max_size=2)
    return _PLAIN[declared]


def _values(declared: Any, depth: int) -> st.SearchStrategy[Any]:
    options = members(declared)
    if depth > _DEEPEST:
        options = [option for option in options if not _is_model(option)] or options[:1]
    return st.one_of([st.deferred(lambda option=option: _value(option, depth)) for option in options])


def _value(declared: Any, depth: int) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is list:
        return st.lists(_values(arguments[0], depth), max_size=0 if depth > _DEEPEST else 2)
    if origin is dict:
        return st.dictionaries(_KEYS, _values(arguments[1], depth), max_size=2)
    return wire_dicts(declared, depth) if _is_model(declared) else _PLAIN[declared]


def _is_model(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, pydantic.BaseModel)
