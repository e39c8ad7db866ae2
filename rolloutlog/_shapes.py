"""The kinds of items: which keys each must have, of which types; and whether an object is as its kind must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import attrs

from .exceptions import InvalidItemError

Wire: TypeAlias = dict[str, Any]
"""An item, or another value, as the JSON object that it is on a line."""

_TEXT = frozenset({str})
_TEXT_OR_NONE = frozenset({str, type(None)})
_LIST = frozenset({list})
_LIST_OR_NONE = frozenset({list, type(None)})
_TEXT_OR_LIST = frozenset({str, list})
_OBJECT = frozenset({dict})

_PROBLEMS: Mapping[frozenset[Any], str] = {
    _TEXT: "must be a string",
    _TEXT_OR_NONE: "must be a string or null",
    _LIST: "must be a JSON array",
    _LIST_OR_NONE: "must be a JSON array or null",
    _TEXT_OR_LIST: "must be a string or a JSON array",
    _OBJECT: "must be a JSON object",
}

# Which key of a part of a known type must be a string. A part of another type may hold anything.
_CONTENT = {"input_text": "text", "output_text": "text", "input_image": "image_url"}
_SUMMARY = {"summary_text": "text"}
_REASONING = {"reasoning_text": "text", "text": "text"}


@attrs.frozen
class Shape:
    """The keys of one kind of item.

    Attributes:
        keys: the JSON types that each key may have; `None` among them: it may be absent. In Codex's order.
        parts: the keys that hold parts, and which key of each type of part must be a string.
        known: the items of *keys*, for the loop over every line that is read.
        main: the first of the keys that hold parts; "" where there is none.
        main_texts: which key of each type of part there must be a string.
        required: the keys besides *main* that cannot be null.
        arrays: the keys besides *main* that cannot be strings.
        texts: the keys that cannot be null, where all of them may be strings; else `None`.
    """

    keys: Mapping[str, frozenset[Any]]
    parts: tuple[tuple[str, Mapping[str, str]], ...] = ()
    known: tuple[tuple[str, frozenset[Any]], ...] = attrs.field(init=False)
    main: str = attrs.field(init=False)
    main_texts: Mapping[str, str] = attrs.field(init=False)
    required: tuple[str, ...] = attrs.field(init=False)
    arrays: tuple[str, ...] = attrs.field(init=False)
    texts: tuple[str, ...] | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        main, main_texts = self.parts[0] if self.parts else ("", {})
        required = tuple(key for key, types in self.keys.items() if type(None) not in types)
        derived = {
            "known": tuple(self.keys.items()),
            "main": main,
            "main_texts": main_texts,
            "required": tuple(key for key in required if key != main),
            "arrays": tuple(key for key, types in self.keys.items() if key != main and str not in types),
            "texts": required if all(str in self.keys[key] for key in required) else None,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)


SHAPES: Mapping[str, Shape] = {
    "message": Shape({"id": _TEXT_OR_NONE, "role": _TEXT, "content": _LIST}, (("content", _CONTENT),)),
    "reasoning": Shape(
        {"id": _TEXT_OR_NONE, "summary": _LIST, "content": _LIST_OR_NONE, "encrypted_content": _TEXT_OR_NONE},
        (("summary", _SUMMARY), ("content", _REASONING)),
    ),
    "local_shell_call": Shape({"id": _TEXT_OR_NONE, "call_id": _TEXT_OR_NONE, "status": _TEXT, "action": _OBJECT}),
    "function_call": Shape({"id": _TEXT_OR_NONE, "name": _TEXT, "arguments": _TEXT, "call_id": _TEXT}),
    "function_call_output": Shape({"call_id": _TEXT_OR_NONE, "output": _TEXT_OR_LIST}, (("output", _CONTENT),)),
}
"""The kinds that the original recorder knows, with the keys that real Codex writes. Other kinds may hold anything."""

ROLES = frozenset({"user", "assistant", "system", "developer"})
"""The roles of messages in the Responses API."""

NOT_ITEMS = frozenset({"log"})
"""Types of lines that are not items."""

EXEC_KEYS = ("command", "timeout_ms", "working_directory", "env", "user")
"""The keys of a local shell call's action of the type ``exec``, in Codex's order."""


_SCALARS = frozenset({str, int, bool, type(None)})


def is_simple(value: Wire, shape: Shape) -> bool:
    """Whether *value*, with a type, surely is an item as *shape* says that holds nothing but text, also in its parts.

    Nearly all items are so. This takes half the time of the checks that others need, `fits` among them.
    """
    parts = value.get(shape.main)
    if type(parts) is list:
        texts = shape.main_texts
        for part in parts:
            if type(part) is not dict or type(name := part.get("type")) is not str:
                return False
            if type(part.get(texts.get(name))) is not str:
                return False
            if len(part) > 2:
                for held in part.values():
                    if type(held) not in _SCALARS and (held or type(held) is not list):
                        return False
        for held in value.values():
            if type(held) is not str and held is not None and held is not parts:
                return False
        for key in shape.arrays:
            if value.get(key) is not None:
                return False
        required = shape.required
    elif shape.texts is None or not _TEXT_OR_NONE.issuperset(map(type, value.values())):
        return False
    else:
        required = shape.texts
    for key in required:
        if value.get(key) is None:
            return False
    return "record_type" not in value


def fits(value: Wire, shape: Shape) -> bool:
    """Whether *value*, parsed JSON with a type, is as *shape* says; `problem` says why it is not."""
    get = value.get
    for key, types in shape.known:
        if type(get(key)) not in types:
            return False
    for key, texts in shape.parts:
        held = get(key)
        if type(held) is list:
            for part in held:
                if type(part) is not dict or type(name := part.get("type")) is not str:
                    return False
                text = texts.get(name)
                if text is not None and type(part.get(text)) is not str and not _is_image_by_id(part):
                    return False
    return value["type"] != "local_shell_call" or _is_action(value["action"])


def _is_image_by_id(part: Wire) -> bool:
    return part["type"] == "input_image" and part.get("image_url") is None


def _is_action(action: Wire) -> bool:
    return type(action.get("type")) is str and (action["type"] != "exec" or exec_problem(action) is None)


def problem(value: Wire) -> InvalidItemError:
    """Return the error that says what keeps *value*, which does not fit the shape of its type, from being an item."""
    kind = value["type"]
    shape = SHAPES[kind]
    for key, types in shape.keys.items():
        if type(value.get(key)) not in types:
            return InvalidItemError(f"{kind}.{key}", _wrong(value, key, _PROBLEMS[types]))
    for key, texts in shape.parts:
        held = value.get(key)
        for index, part in enumerate(held if type(held) is list else ()):
            where = f"{kind}.{key}[{index}]"
            if (untyped := _untyped(part, where)) is not None:
                return untyped
            text = texts.get(part["type"])
            if text is not None and type(part.get(text)) is not str and not _is_image_by_id(part):
                return InvalidItemError(f"{where}.{text}", _wrong(part, text, "must be a string"))
    where = f"{kind}.action"
    key, why = exec_problem(value["action"]) or ("", "is not valid")
    return _untyped(value["action"], where) or InvalidItemError(f"{where}.{key}", why)


def _untyped(value: Any, where: str) -> InvalidItemError | None:
    if type(value) is not dict:
        return InvalidItemError(where, f"must be a JSON object; got {named_type(value)}")
    if type(value.get("type")) is not str:
        return InvalidItemError(f"{where}.type", _wrong(value, "type", "must be a string"))
    return None


def _wrong(value: Mapping[str, Any], key: str, expected: str) -> str:
    """Return what is wrong with the value at *key*, which is not as *expected*, or is missing."""
    return f"{expected}; got {named_type(value[key])}" if key in value else "is missing"


def named_type(value: Any) -> str:
    """Return the type of *value* as an error about JSON names it."""
    return "null" if value is None else type(value).__name__


def exec_problem(action: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return which key of an ``exec`` action is wrong, and how."""
    command, timeout, env = action.get("command"), action.get("timeout_ms"), action.get("env")
    if not isinstance(command, list | tuple) or not all(isinstance(word, str) for word in command):
        return "command", _wrong(action, "command", "must be a sequence of strings")
    if timeout is not None and not (type(timeout) is int and 0 <= timeout < 2**64):
        return "timeout_ms", "must be a whole number of milliseconds or None"
    if env is not None and not (
        isinstance(env, dict) and all(isinstance(text, str) for pair in env.items() for text in pair)
    ):
        return "env", "must be a mapping of strings to strings, or None"
    for key in ("working_directory", "user"):
        if not isinstance(action.get(key), str | None):
            return key, "must be a string or None"
    return None


def check_role(role: object) -> None:
    """Raise `InvalidItemError` if *role*, which a caller gave a message, is a text that no API takes."""
    if isinstance(role, str) and role not in ROLES:
        shown = repr(role) if role.isidentifier() and len(role) <= 20 else "another text"
        raise InvalidItemError("message.role", f"expected user, assistant, system or developer; got {shown}")
