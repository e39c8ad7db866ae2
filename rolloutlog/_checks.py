"""The checks of the fields of values, and values from JSON objects; the only user of cattrs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar

import attrs

from ._shapes import Wire
from .exceptions import InvalidItemError

Check: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]
_T = TypeVar("_T", bound=attrs.AttrsInstance)


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
        raise InvalidItemError(place(instance, attribute), f"must be a string; got {type(value).__name__}")


def is_text_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a string or `None`."""
    if value is not None and not isinstance(value, str):
        raise InvalidItemError(place(instance, attribute), f"must be a string or None; got {type(value).__name__}")


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
