"""The input that the Responses API accepts, derived from the SDK's input types, and its messages for other input.

The types are the authority. Tables here list the cases in which the API is known to differ from them, each with its
source.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openai.types.responses.response_input_item_param import ResponseInputItemParam

# Keys that the types require and the API does not: Codex sends its history without them.
NOT_REQUIRED = frozenset(
    {
        ("message", "id"),
        ("message", "status"),
        ("output_text", "annotations"),
        ("reasoning", "id"),
        ("local_shell_call", "id"),
        ("exec", "env"),
    }
)

# Keys that the types know and the API refuses: users who sent one got "Unknown parameter: 'input[1].status'." or, for
# the text of reasoning, "array too long. Expected an array with maximum length 0".
REFUSED = frozenset({("reasoning", "status"), ("reasoning", "content")})


@dataclass(frozen=True)
class Refusal:
    """The API's error, usually with status 400."""

    message: str
    param: str
    code: str | None = None
    status: int = 400

    def body(self) -> dict[str, Any]:
        """Return the error as JSON."""
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": self.code}
        return {"error": error}


def refused_item(item: Any, where: str, *, nulls: bool = False) -> Refusal | None:
    """Return why the API refuses *item*, or `None` if it accepts it.

    Args:
        item: one element of ``input``, parsed from JSON.
        where: its place, such as ``input[3]``.
        nulls: whether a key may be null wherever its type allows it; otherwise only if the key is required, too.
    """
    return _Look(nulls).union(item, item_types(), where)


def kinds(shape: Any, key: str = "type") -> frozenset[str]:
    """Return the values that *key* may have in *shape*, a TypedDict; none if it has no such key."""
    declared = _hints(shape).get(key)
    return frozenset(value for option in options(declared) for value in typing.get_args(option))


def options(declared: Any) -> list[Any]:
    """Return the types that *declared* allows: the members of a union, or itself; without annotations."""
    origin = typing.get_origin(declared)
    if origin in (typing.Annotated, typing.Required, typing.NotRequired):
        return options(typing.get_args(declared)[0])
    if origin in (typing.Union, types.UnionType):
        return [option for member in typing.get_args(declared) for option in options(member)]
    return [] if declared is None else [declared]


def is_object(declared: Any) -> bool:
    """Return whether *declared* is a TypedDict, of any library."""
    return isinstance(declared, type) and hasattr(declared, "__total__")


def elements(declared: Any) -> list[Any] | None:
    """Return the types of the elements of *declared*, or `None` if it is not a list."""
    origin = typing.get_origin(declared)
    if origin is None or origin is dict or not isinstance(origin, type) or not hasattr(origin, "__iter__"):
        return None
    return options(typing.get_args(declared)[0])


def keys(shape: Any) -> dict[str, tuple[list[Any], bool]]:
    """Return the type of each key of *shape*, and whether it is required.

    ``__required_keys__`` is of no use: if annotations are strings, it lists every key as optional.
    """
    return {key: (options(hint), typing.get_origin(hint) is typing.Required) for key, hint in _hints(shape).items()}


@functools.cache
def _hints(shape: Any) -> dict[str, Any]:
    return typing.get_type_hints(shape, include_extras=True)


def item_types() -> list[Any]:
    """Return the types of all items that ``input`` may hold."""
    return options(ResponseInputItemParam)


@dataclass(frozen=True)
class _Look:
    """A check of a value: at each place either a refusal or nothing."""

    nulls: bool

    def union(self, value: Any, declared: list[Any], where: str) -> Refusal | None:
        """Check *value*, which may be any of *declared*."""
        shapes = [option for option in declared if is_object(option)]
        if isinstance(value, dict) and shapes:
            meant = fitting(value, shapes)
            if not meant:
                return _refused_literal(value.get("type"), sorted(set().union(*map(kinds, shapes))), f"{where}.type")
            refusals = [self.object(value, shape, where) for shape in meant]
            # Of several refusals, the one of the type that *value* fits best.
            return None if None in refusals else max(filter(None, refusals), key=_how_far)
        refusals = [self.one(value, option, where) for option in declared]
        if not refusals or None in refusals:
            return None
        return next(
            (refusal for refusal in refusals if refusal and refusal.code != "invalid_type"),
            Refusal(
                f"Invalid type for '{where}': expected {_either(declared)}, but got {_called(value)} instead.",
                where,
                "invalid_type",
            ),
        )

    def one(self, value: Any, declared: Any, where: str) -> Refusal | None:
        """Check *value*, which may only be *declared*."""
        if declared in (object, Any):
            return None
        if typing.get_origin(declared) is typing.Literal:
            return _refused_literal(value, typing.get_args(declared), where)
        if is_object(declared) and isinstance(value, dict):
            return self.object(value, declared, where)
        if isinstance(value, list) and (inside := elements(declared)) is not None:
            looks = (self.union(part, inside, f"{where}[{index}]") for index, part in enumerate(value))
            return next(filter(None, looks), None)
        if typing.get_origin(declared) is dict and isinstance(value, dict):
            inside = options(typing.get_args(declared)[1])
            looks = (self.union(part, inside, f"{where}.{key}") for key, part in value.items())
            return next(filter(None, looks), None)
        return None if _is_plain(value, declared) else _wrong_type(declared, value, where)

    def object(self, value: Mapping[str, Any], shape: Any, where: str) -> Refusal | None:
        """Check *value* key by key."""
        known = keys(shape)
        own = next(iter(sorted(kinds(shape))), "message")
        for key in value:
            if key not in known or (own, key) in REFUSED:
                return Refusal(f"Unknown parameter: '{where}.{key}'.", f"{where}.{key}", "unknown_parameter")
        for key, (declared, required) in known.items():
            place = f"{where}.{key}"
            if key not in value:
                if required and (own, key) not in NOT_REQUIRED:
                    return Refusal(f"Missing required parameter: '{place}'.", place, "missing_required_parameter")
                continue
            held = value[key]
            if held is None and not required and not self.nulls and object not in declared:
                return _wrong_type(declared[0], None, place)
            refusal = self.union(held, declared, place)
            if refusal is not None:
                return refusal
        return None


def _how_far(refusal: Refusal) -> tuple[int, bool]:
    return refusal.param.count("."), refusal.code != "invalid_value"


def fitting(value: Mapping[str, Any], shapes: list[Any]) -> list[Any]:
    """Return those of *shapes* that *value* may be, by its ``type`` and, for messages, its ``role``."""
    if value.get("type") is None and "role" not in value:  # a bare reference to an item, or an object without a type
        return [shape for shape in shapes if "message" not in kinds(shape) and not _needs_type(shape)]
    kind = value.get("type") or "message"
    meant = [shape for shape in shapes if kind in kinds(shape) or not kinds(shape)]
    return [shape for shape in meant if value.get("role") in kinds(shape, "role")] or meant


def _needs_type(shape: Any) -> bool:
    return keys(shape).get("type", ([], False))[1]


def _refused_literal(value: Any, allowed: Iterable[Any], where: str) -> Refusal | None:
    if value in allowed and type(value) in {type(one) for one in allowed}:
        return None
    shown = [f"'{one}'" for one in allowed]
    listed = f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
    if value is None:
        problem = f"Invalid type for '{where}': expected one of {listed}, but got null instead."
        return Refusal(problem, where, "invalid_type")
    return Refusal(f"Invalid value: '{value}'. Supported values are: {listed}.", where, "invalid_value")


def _is_plain(value: Any, declared: Any) -> bool:
    if declared is float:
        return type(value) in (int, float)
    return declared in (str, int, bool, type(None)) and type(value) is declared


def _wrong_type(declared: Any, value: Any, where: str) -> Refusal:
    expected = _either([declared])
    return Refusal(
        f"Invalid type for '{where}': expected {expected}, but got {_called(value)} instead.", where, "invalid_type"
    )


def _either(declared: list[Any]) -> str:
    names = sorted(set(_expected(declared)))
    return names[0] if len(names) == 1 else f"one of {', '.join(names[:-1])} or {names[-1]}"


def _expected(declared: list[Any]) -> Iterator[str]:
    names = {str: "a string", int: "an integer", float: "a number", bool: "a boolean", type(None): "null"}
    for option in declared:
        if elements(option) is not None:
            yield "an array"
        else:
            yield names.get(option, "an object") if typing.get_origin(option) is not typing.Literal else "a string"


def _called(value: Any) -> str:
    names = {str: "a string", int: "an integer", float: "a number", bool: "a boolean", dict: "an object"}
    return "null" if value is None else names.get(type(value), "an array")
