"""The values that are valid: one table for the kinds of items, and the checks of the fields of other values."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar

import attrs

from .exceptions import InvalidItemError

Wire: TypeAlias = dict[str, Any]
"""An item, or another value, as the JSON object that it is on a line."""

Check: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]
_T = TypeVar("_T", bound=attrs.AttrsInstance)


# --- the kinds of items: which keys, of which types -------------------------------------------------------------------

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
            return InvalidItemError(f"{kind}.{key}", _PROBLEMS[types] if key in value else "is missing")
    for key, texts in shape.parts:
        held = value.get(key)
        for index, part in enumerate(held if type(held) is list else ()):
            where = f"{kind}.{key}[{index}]"
            if (untyped := _untyped(part, where)) is not None:
                return untyped
            text = texts.get(part["type"])
            if text is not None and type(part.get(text)) is not str and not _is_image_by_id(part):
                return InvalidItemError(f"{where}.{text}", "must be a string" if text in part else "is missing")
    where = f"{kind}.action"
    key, why = exec_problem(value["action"]) or ("", "is not valid")
    return _untyped(value["action"], where) or InvalidItemError(f"{where}.{key}", why)


def _untyped(value: Any, where: str) -> InvalidItemError | None:
    if type(value) is not dict:
        return InvalidItemError(where, "must be a JSON object")
    if type(value.get("type")) is not str:
        return InvalidItemError(f"{where}.type", "must be a string" if "type" in value else "is missing")
    return None


def exec_problem(action: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return which key of an ``exec`` action is wrong, and how."""
    command, timeout, env = action.get("command"), action.get("timeout_ms"), action.get("env")
    if not isinstance(command, list | tuple) or not all(isinstance(word, str) for word in command):
        return "command", "must be a sequence of strings" if "command" in action else "is missing"
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


# --- the fields of other values ---------------------------------------------------------------------------------------


class Extra(dict[str, Any]):
    """A mapping that can be read, compared and pickled like a `dict`, but not changed.

    It is a real `dict` because every JSON library writes that at full speed. Lists and dicts inside its values are as
    mutable as they were.
    """

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is read-only; build a new value instead")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Extra], tuple[dict[str, Any]]]:
        return Extra, (dict(self),)


EMPTY = Extra()


def read_only(value: Any) -> Any:
    """Convert a mapping to an `Extra`; leave any other value to the check, which says what is wrong."""
    return Extra(value) if isinstance(value, Mapping) and type(value) is not Extra else value


def place(instance: Any, attribute: attrs.Attribute[Any]) -> str:
    """Return the place to name in an error, such as ``message.role``."""
    return f"{instance.type}.{attribute.alias}"


def is_text(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a string."""
    if not isinstance(value, str):
        raise InvalidItemError(place(instance, attribute), "must be a string")


def is_text_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a string or `None`."""
    if value is not None and not isinstance(value, str):
        raise InvalidItemError(place(instance, attribute), "must be a string or None")


def is_line_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is the number of a line or `None`."""
    if value is not None and type(value) is not int:
        raise InvalidItemError(place(instance, attribute), "must be a whole number or None")


def has_free_keys(*reserved: str) -> Check:
    """Return a check that a mapping has string keys and none that is *reserved* or in the ``KEYS`` of its class."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
        check_free_keys(value, place(instance, attribute), {*reserved, *instance.KEYS})

    return check


def check_free_keys(value: object, where: str, reserved: Iterable[str]) -> None:
    """Raise `InvalidItemError` unless *value* is an `Extra` with string keys, none of them *reserved*."""
    if not isinstance(value, Extra):
        raise InvalidItemError(where, f"must be a mapping; got {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise InvalidItemError(where, f"has a key that is not a string; got {type(key).__name__}")
        if key in reserved:
            raise InvalidItemError(where, f"must not hold {key!r}, which has a place of its own")


def is_whole_object(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a JSON object with a type."""
    check_whole_object(value, f"{type(instance).__name__}.{attribute.name}")


def check_whole_object(value: object, where: str) -> None:
    """Raise `InvalidItemError` unless *value* is a mapping with a type."""
    if not isinstance(value, Extra):
        raise InvalidItemError(where, f"must be a mapping; got {type(value).__name__}")
    if not isinstance(value.get("type"), str):
        raise InvalidItemError(where, "must have a 'type' that is a string")


def extra_field(*reserved: str) -> Any:
    """Return the field for the keys that a class does not know; they are written after those that it knows."""
    return attrs.field(default=EMPTY, converter=read_only, validator=has_free_keys("type", *reserved))


def to_tuple(value: Any) -> Any:
    """Convert a list to a tuple; leave any other value to the check."""
    return tuple(value) if isinstance(value, (list, tuple)) else value


# --- JSON objects to values: cattrs -----------------------------------------------------------------------------------


@functools.cache
def _converter() -> Any:
    """Return a converter that converts no value into another: the checks of each class say what its fields accept."""
    import cattrs  # here, because it is a fifth of what importing rolloutlog would cost, and few callers need it

    converter = cattrs.Converter(detailed_validation=False)
    converter.register_structure_hook_func(lambda kind: not attrs.has(kind), lambda value, kind: value)
    for kind in (str, int):  # cattrs looks these up first, and would convert
        converter.register_structure_hook(kind, lambda value, kind: value)
    return converter


def structure(raw: Wire, cls: type[_T], where: str, *tags: str) -> _T:
    """Return *raw* as a *cls*, whose ``KEYS`` are fields. Further keys are its extra, except those in *tags*.

    Raises:
        InvalidItemError: a field is missing, or has a value that the class refuses.
    """
    keys: tuple[str, ...] = cls.KEYS  # type: ignore[attr-defined]
    values: Wire = {key: raw[key] for key in keys if key in raw}
    values["extra"] = {key: value for key, value in raw.items() if key not in keys and key not in ("type", *tags)}
    for field in attrs.fields(cls):  # cattrs reports a missing field differently from release to release
        if field.init and field.default is attrs.NOTHING and field.name not in values:
            raise InvalidItemError(f"{where}.{field.name}", "is missing")
    try:
        made: _T = _converter().structure(values, cls)
    except InvalidItemError as error:
        raise InvalidItemError(f"{where}.{error.where.partition('.')[2]}", error.problem) from None
    return made


# --- how much of a value a `repr` shows -------------------------------------------------------------------------------


def sized(count: int, noun: str) -> str:
    """Return *count* with its noun: ``1 character``, ``2,000 characters``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# How many characters of a text a `repr` shows, and how many marks one letter of it may carry.
_SHOWN, _MARKS = 40, 8
# Letters that cannot be seen. Python escapes the other characters of that kind by itself.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def shown(text: str) -> str:
    r"""Return the beginning of *text* for a `repr`: up to 40 characters, and the length of a longer one.

    Whatever a terminal obeys or hides is escaped: control characters, marks of direction, invisible letters.

    >>> shown("\x1b[2J"), shown("a" * 50)
    ("'\\x1b[2J'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'…, 50 characters")
    """
    quoted = repr(text[:_SHOWN])
    if not quoted.isascii():
        quoted = _escaped(quoted)
    return quoted if len(text) <= _SHOWN else f"{quoted}…, {sized(len(text), 'character')}"


def _escaped(text: str) -> str:
    """Return *text* with escapes for letters that cannot be seen, and for marks that pile up."""
    shown, marks = "", 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        is_odd = marks > _MARKS or character in _BLANK
        shown += character.encode("unicode_escape").decode() if is_odd else character
    return shown


def shortened(value: str | None) -> str:
    """Return a name or an id for a `repr`: whole when it is as short as real ones are."""
    return repr(value) if value is None or len(value) <= 48 else repr(value[:45] + "...")
