"""What callers pass, as items: our classes, wire dicts, the short message dict, and the objects of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from .._json import InvalidJson, plain
from .._values.checks import EMPTY
from ..exceptions import InvalidItemError
from ..items import ExecAction, LocalShellCall, ResponseItem
from .decode import HOT, SLOWER, decode_item
from .encode import WIRE, Wire


@runtime_checkable
class SupportsToDict(Protocol):
    """An object of some SDK that knows its own wire form."""

    def to_dict(self) -> Mapping[str, Any]:
        """Return the object as the API sends and takes it."""
        ...


ItemLike: TypeAlias = ResponseItem | Mapping[str, Any] | SupportsToDict


def to_item(value: ItemLike) -> ResponseItem:
    """Return *value* as an item.

    Args:
        value: an item, which is returned itself; a wire dict; the short ``{"role": …, "content": "text"}``; or an
            object with a `to_dict` method. The item shares nothing with what it was made of.

    Raises:
        InvalidItemError: *value* is none of these, or would not come back as it went in.
    """
    if type(value) in WIRE:
        return value  # type: ignore[return-value]
    if isinstance(value, Mapping):
        return _from_mapping(value)
    convert = getattr(value, "to_dict", None)
    if not callable(convert) or isinstance(value, type):
        raise InvalidItemError("item", _what_it_is(value))
    try:
        converted = convert()
    except Exception as error:
        raise InvalidItemError(type(value).__name__, f"its to_dict() raised {type(error).__name__}") from error
    if not isinstance(converted, Mapping):
        raise InvalidItemError(type(value).__name__, f"its to_dict() returned no dict, but {type(converted).__name__}")
    if "type" not in converted and "role" not in converted:
        hint = _OUTPUT if isinstance(converted.get("output"), list) else ""
        raise InvalidItemError(type(value).__name__, f"has no 'type', so it is no item{hint}")
    return _from_mapping(_without_parsed(converted))


_OUTPUT = "; what a response holds is recorded by record(*response.output)"
_EVENT = "is an event of a stream, no item; its last event has the response, and what that holds is recorded by"


def _what_it_is(value: object) -> str:
    """Return what is wrong with *value*, which can be made no item."""
    problem = f"is no item, no dict and has no to_dict(), but {type(value).__name__}"
    if isinstance(value, list | tuple):
        return f"{problem}; several are passed one by one, as in record(*items)"
    if isinstance(value, str):
        return f"{problem}; a text needs a role, as in {{'role': 'user', 'content': text}}"
    return problem


def _from_mapping(mapping: Mapping[str, Any]) -> ResponseItem:
    kind = mapping.get("type", "message" if "role" in mapping else None)
    if not isinstance(kind, str):
        raise InvalidItemError("item", "is a dict without a 'type' that is a string")
    if kind.startswith("response."):
        raise InvalidItemError(kind, f"{_EVENT} record(*event.response.output)")
    if "record_type" in mapping:
        raise InvalidItemError(kind, "may not hold 'record_type', which marks lines that are no items")
    if kind == "message":
        mapping = _long_message(mapping)
    elif kind == "reasoning" and mapping.get("summary") is None:
        mapping = {**mapping, "summary": []}  # some providers send none, and the API refuses what has none
    if kind in _ALL_TEXT and type(mapping) is dict:
        try:
            known: Any = HOT[kind](mapping, True)
        except SLOWER:
            pass  # it has more in it, or something wrong: below
        else:
            if known.extra is EMPTY:
                return _unshaped(known)
    raw: Wire = plain(mapping, kind)
    try:
        item = decode_item(raw, True)
    except InvalidJson as error:
        raise InvalidItemError(kind, str(error)) from None
    return _unshaped(item)


# Kinds that hold nothing but strings, each of which their reader checks: they need no look for what is not plain JSON.
_ALL_TEXT = frozenset({"message", "reasoning", "function_call", "function_call_output"})


def _long_message(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the short form of a message, a role and a text, in full; any other message as it is."""
    content = mapping.get("content")
    if isinstance(content, str):
        kind = "output_text" if mapping.get("role") == "assistant" else "input_text"
        return {**mapping, "type": "message", "content": [{"type": kind, "text": content}]}
    return mapping if "type" in mapping else {**mapping, "type": "message"}


def _unshaped(item: ResponseItem) -> ResponseItem:
    """Forget which keys a caller's dict had: what is written has those that real Codex writes."""
    if getattr(item, "_shape", None) is not None:
        object.__setattr__(item, "_shape", None)
    if isinstance(item, LocalShellCall) and isinstance(item.action, ExecAction):
        object.__setattr__(item.action, "_shape", None)
    return item


def _without_parsed(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an SDK object's ``to_dict()`` gave, less what the SDK's ``parse()`` made of it.

    That is a copy of what stands beside it as text, and it may be of any type: a date has no place in a rollout.
    """
    if item.get("type") == "function_call" and "parsed_arguments" in item:
        return {key: held for key, held in item.items() if key != "parsed_arguments"}
    content = item.get("content")
    if item.get("type") != "message" or not isinstance(content, list):
        return item
    return {**item, "content": [_without_parsed_part(part) for part in content]}


def _without_parsed_part(part: Any) -> Any:
    if not isinstance(part, Mapping) or "parsed" not in part:
        return part
    return {key: held for key, held in part.items() if key != "parsed"}
