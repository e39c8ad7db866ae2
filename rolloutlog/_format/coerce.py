"""Values that callers pass, as items: our classes, dicts, the short message dict, and objects of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, cast, runtime_checkable

from .._item import CLASSES, Item, made, make_item
from .._json import APPEND_NEWLINE, fast_dumps
from .._plain import is_plain
from .._shapes import EXEC_KEYS, ROLES, SHAPES, Shape, Wire, check_role, named_type
from ..exceptions import InvalidItemError
from .foreign import FOREIGN_KEYS, foreign_item, foreign_message


@runtime_checkable
class SupportsToDict(Protocol):
    """An object of some SDK that knows its own wire form."""

    def to_dict(self) -> Mapping[str, Any]:
        """Return the object as the API sends and takes it."""
        ...


ItemLike: TypeAlias = Item | Mapping[str, Any] | SupportsToDict

_RESPONSE = "; record the items of a response with record(*response.output)"
_COMPLETION = "; record(*rolloutlog.from_messages([completion.choices[0].message])) records the message of a completion"
_EVENT = (
    "is an event of a stream, not an item; record the response of its last event with record(*event.response.output)"
)


def to_item(value: ItemLike) -> Item:
    """Return *value* as an item.

    Args:
        value: an item, which is returned itself; a wire dict; the short ``{"role": …, "content": "text"}``; or an
            object with a `to_dict` method. The item shares nothing with it. No other thread may change it during this
            call.

    Raises:
        InvalidItemError: *value* is none of these, or would not come back as it went in.
    """
    if isinstance(value, Item):
        return value
    wire = _to_wire(value)
    data = quick_json(wire)
    return _from_mapping(wire) if data is None else made(CLASSES[wire["type"]], data)


def item_line(value: ItemLike) -> bytes:
    """Return the line of the item that `to_item` would return, in less time; empty for ``Other()``."""
    wire: Any = value
    if type(value) is not dict:
        if isinstance(value, Item):
            data = value.json
            return data + b"\n" if data else data
        wire = _to_wire(value)
    line = quick_json(wire, APPEND_NEWLINE)
    return _from_mapping(wire).json + b"\n" if line is None else line


def _to_wire(value: Any) -> Any:
    """Return *value*, which is not an item, as a dict: itself, or what it makes of itself."""
    if isinstance(value, dict):
        return value
    to_python = _SERIALIZERS.get(type(value)) or _serializer(type(value))
    if to_python is not None:
        return _converted(value, to_python)
    if callable(getattr(value, "to_dict", None)) and not isinstance(value, type):
        return _converted(value, None)
    if isinstance(value, Mapping):
        return dict(value)
    raise InvalidItemError("item", _wrong_value(value))


# The classes below this module are pydantic's, generated from the API. Their `to_dict` calls the serializer with the
# arguments below, after steps that cost half as much again; to find the serializer costs another quarter.
_OPENAI = "openai.types."
_SERIALIZERS: dict[type, Callable[..., Any]] = {}


def _serializer(cls: type) -> Callable[..., Any] | None:
    """Return the method that makes a dict of an object of *cls*, if that is a class of the OpenAI SDK."""
    module = getattr(cls, "__module__", None)  # a class may have anything there
    if not isinstance(module, str) or not module.startswith(_OPENAI):
        return None
    serializer = getattr(cls, "__pydantic_serializer__", None)
    if serializer is None:
        return None
    if "[" in cls.__name__:  # made by ``parse()`` for a class of the caller, which we must not keep alive
        return cast("Callable[..., Any]", serializer.to_python)
    return _SERIALIZERS.setdefault(cls, serializer.to_python)


def _converted(value: Any, to_python: Callable[..., Any] | None) -> Any:
    """Return the dict of an SDK's object *value*, without the values that the SDK's ``parse()`` added to it.

    These are copies of the text beside them, and may be of any type: a date has no place in a rollout.
    """
    try:
        if to_python is None:
            item = value.to_dict()
        else:
            item = to_python(value, mode="json", by_alias=True, exclude_unset=True)
    except Exception as error:
        raise InvalidItemError(type(value).__name__, f"its to_dict() raised {type(error).__name__}") from error
    if not isinstance(item, dict):
        if not isinstance(item, Mapping):
            problem = f"its to_dict() must return a dict; it returned {type(item).__name__}"
            raise InvalidItemError(type(value).__name__, problem)
        item = dict(item)
    name = item.get("type")
    if name == "message":
        content = item.get("content")
        if isinstance(content, list):
            for part in content:
                if "parsed" in part:
                    return {**item, "content": [_without(part, "parsed") for part in content]}
    elif name == "function_call":
        if "parsed_arguments" in item:
            return _without(item, "parsed_arguments")
    elif name is None and "type" not in item and "role" not in item:
        hint = _RESPONSE if isinstance(item.get("output"), list) else _COMPLETION if "choices" in item else ""
        raise InvalidItemError(type(value).__name__, f"has no 'type', so it is not an item{hint}")
    return item


def _without(value: Any, key: str) -> Any:
    return {name: held for name, held in value.items() if name != key} if isinstance(value, Mapping) else value


def canonical(value: Wire) -> Wire:
    """Return *value*, an object with a type, with its keys as Codex writes them: type, known keys, nulls, the rest."""
    kind = value["type"]
    template = _TEMPLATES.get(kind)
    if template is None:
        return value if next(iter(value)) == "type" else {"type": kind, **value}
    ordered = {**template, **value}
    for key, texts in SHAPES[kind].parts:
        if type(ordered[key]) is list:
            ordered[key] = [_canonical_part(part, texts) for part in ordered[key]]
    if kind == "reasoning":
        if ordered["content"] is None:  # real Codex leaves this one out
            del ordered["content"]
    elif kind == "local_shell_call":
        action = ordered["action"]
        if isinstance(action, Mapping) and action.get("type") == "exec":
            ordered["action"] = {**_EXEC, **action}
    return ordered


_TEMPLATES: Mapping[str, Wire] = {kind: {"type": kind, **dict.fromkeys(shape.keys)} for kind, shape in SHAPES.items()}
_EXEC: Wire = {"type": "exec", **dict.fromkeys(EXEC_KEYS)}


def _canonical_part(part: Any, texts: Mapping[str, str]) -> Any:
    if type(part) is not dict or type(name := part.get("type")) is not str:
        return part
    text = texts.get(name, "text")
    return {"type": name, text: part[text], **part} if text in part else part


_TEXTS = frozenset({str})
_SCALARS = frozenset({str, int, bool, type(None)})

_Texts: TypeAlias = Mapping[str, tuple[str, Wire]]


def _by_type(texts: Mapping[str, str]) -> _Texts:
    """Return, for each type of part, the key of its text, and its keys in order."""
    return {name: (text, {"type": name, text: None}) for name, text in texts.items()}


# For each kind: its keys in order, the key that holds parts, the types of its parts, and whether it has other keys that
# never hold texts.
_QUICK: Mapping[str, tuple[Wire, str, _Texts, bool]] = {
    kind: (_TEMPLATES[kind], shape.main, _by_type(shape.main_texts), bool(shape.arrays))
    for kind, shape in SHAPES.items()
}


def quick_json(value: Mapping[str, Any], option: int | None = None) -> bytes | None:
    """Return the JSON of the item that *value* is, or `None` where `to_item` must look, and say, more carefully.

    This is the way of nearly every dict that an API returned: of one of the five kinds, and all of it plain.

    Args:
        value: a mapping.
        option: for `fast_dumps`.
    """
    if fast_dumps is None or type(value) is not dict or "record_type" in value:
        return None
    try:
        kind = value["type"]
        template, main, texts, has_arrays = _QUICK[kind]
        ordered = {**template, **value}
        parts = ordered[main] if main else None
        if type(parts) is list:
            parts = _quick_parts(parts, texts)
            ordered[main] = kind  # a text, for the check of all types at once
        if kind == "message" and (ordered["role"] not in ROLES or type(parts) is not list):
            return None
        only_texts = not has_arrays and _TEXTS.issuperset(map(type, ordered.values()))
        if type(parts) is list:
            ordered[main] = parts
        if not only_texts and not _settle(ordered, SHAPES[kind]):
            return None
        return fast_dumps(ordered, None, option)
    except (KeyError, TypeError):
        return None


def _quick_parts(parts: list[Wire], texts: _Texts) -> list[Wire]:
    """Return *parts*, checked, with their keys in order; raise `KeyError` or `TypeError` for one that is less plain."""
    ordered = []
    for part in parts:
        text, template = texts[part["type"]]
        part = {**template, **part}
        if type(part[text]) is not str:
            raise TypeError
        for held in part.values():
            kind = type(held)
            if kind is str or (kind is list and not held):
                continue
            if kind not in _SCALARS and not is_plain((held,), 3):
                raise TypeError
        ordered.append(part)
    return ordered


def _settle(ordered: Wire, shape: Shape) -> bool:
    """Return whether *ordered*, which holds more than texts, fits *shape*.

    Its parts and nulls are put as Codex writes them.
    """
    if "action" in ordered:  # an object, with an order of its own
        return False
    types = shape.keys.get
    for key, held in ordered.items():
        if type(held) not in types(key, _SCALARS):
            return False
    for key, texts in shape.parts[1:]:
        if type(held := ordered[key]) is list:
            ordered[key] = _quick_parts(held, _by_type(texts))
    if ordered.get("content", "") is None:  # of reasoning: real Codex leaves it out
        del ordered["content"]
    return True


def _from_mapping(value: Wire) -> Item:
    kind = value.get("type")
    if kind is None and "type" not in value and "role" in value:
        value = {"type": "message", **value}
        kind = "message"
    if not isinstance(kind, str):
        raise InvalidItemError("item", _untyped(value))
    if kind.startswith("response."):
        raise InvalidItemError(kind, _EVENT)
    if "record_type" in value:
        raise InvalidItemError(kind, "must not hold 'record_type', which marks lines that are not items")
    if kind == "message":
        _check_message(value)
    elif (foreign := foreign_item(value, kind)) is not None:
        raise InvalidItemError(kind, foreign)
    if kind == "message" and isinstance(value.get("content"), str):
        part = "output_text" if value.get("role") == "assistant" else "input_text"
        value = {**value, "content": [{"type": part, "text": value["content"]}]}
        if (data := quick_json(value)) is not None:
            return made(CLASSES[kind], data)
    elif kind == "reasoning" and value.get("summary") is None:
        value = {**value, "summary": []}  # some providers send none, and the API requires one
    try:
        return make_item(canonical(value))
    except InvalidItemError as error:
        key = error.where.removeprefix(f"{kind}.")
        if key in _TEMPLATES.get(kind, {}) and key not in value:  # the null in its place is ours
            raise InvalidItemError(error.where, "is missing") from None
        raise


def _check_message(value: Wire) -> None:
    """Raise `InvalidItemError` if *value* is a message of another API, or of a role that does not exist."""
    role, content = value.get("role"), value.get("content")
    if type(content) is str and type(role) is str and role in ROLES and FOREIGN_KEYS.isdisjoint(value):
        return  # nearly every one
    if (foreign := foreign_message(value)) is not None:
        raise InvalidItemError("message", foreign)
    check_role(role)
    if "content" in value and not isinstance(content, str | list):
        problem = f"must be a string or a list of parts; got {named_type(content)}"
        raise InvalidItemError("message.content", problem)


def _untyped(value: Mapping[Any, Any]) -> str:
    """Return what is wrong with *value*, which has no valid type, with those of its keys that are names."""
    if "type" in value:
        return f"expected a 'type' that is a string; got {type(value['type']).__name__}"
    # Another key may be text of the record.
    names = [key for key in value if isinstance(key, str) and key.isidentifier() and len(key) <= 40][:8]
    came = f"the keys {', '.join(names)}" if names else "no key that is a name" if value else "an empty dict"
    return f"expected a dict with a 'type', or with a 'role' and a 'content'; got {came}"


def _wrong_value(value: object) -> str:
    """Return what is wrong with *value*, which cannot become an item."""
    problem = f"expected an item, a dict or an object with to_dict(); got {type(value).__name__}"
    if isinstance(value, list | tuple):
        return f"{problem}; pass several one by one, as in record(*items)"
    if isinstance(value, str):
        return f"{problem}; a text needs a role, as in {{'role': 'user', 'content': text}}"
    return problem
