"""What the fields of our values accept, and how much of them a `repr` may show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeAlias

import attrs

from ..exceptions import InvalidItemError

Check: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


class Extra(dict[str, Any]):
    """A mapping that can be read, compared and pickled like a `dict`, but not changed.

    It is a real `dict` because every JSON library writes that at full speed. What stands *inside* its values is as
    mutable as it was.
    """

    __slots__ = ()

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("this mapping is read-only; build a new value, for instance with attrs.evolve")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Extra], tuple[dict[str, Any]]]:
        return _extra, (dict(self),)


EMPTY = Extra()
"""The extra of nearly every value: there is one, so that a look at its identity tells that nothing is in it."""


def _extra(values: Mapping[str, Any]) -> Extra:
    return Extra(values) if values else EMPTY


def read_only(value: Any) -> Any:
    """Convert a mapping to an `Extra`; leave anything else to the check, which says where it is wrong."""
    if value is EMPTY or type(value) is Extra or not isinstance(value, Mapping):
        return value
    return _extra(value)


def place(instance: Any, attribute: attrs.Attribute[Any]) -> str:
    """Return the place to name in an error, such as ``message.role``."""
    return f"{instance.type}.{attribute.alias}"


def is_text(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a string."""
    if not isinstance(value, str):
        raise InvalidItemError(place(instance, attribute), "is not a string")


def is_text_or_none(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is a string or `None`."""
    if value is not None and not isinstance(value, str):
        raise InvalidItemError(place(instance, attribute), "is neither a string nor None")


def has_free_keys(*reserved: str) -> Check:
    """Return a check that a mapping has string keys and none that is *reserved* or in the ``KEYS`` of its class."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is EMPTY:
            return
        if not isinstance(value, Extra):
            raise InvalidItemError(place(instance, attribute), "is not a mapping")
        for key in value:
            if not isinstance(key, str):
                raise InvalidItemError(place(instance, attribute), "has a key that is not a string")
            if key in reserved or key in instance.KEYS:
                problem = f"may not hold {key!r}, which has a place of its own"
                raise InvalidItemError(place(instance, attribute), problem)

    return check


def is_whole_object(instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    """Check that *value* is an object of the wire, which says its type."""
    where = f"{type(instance).__name__}.{attribute.name}"
    if not isinstance(value, Extra):
        raise InvalidItemError(where, "is not a mapping")
    if not isinstance(value.get("type"), str):
        raise InvalidItemError(where, "has no 'type', or one that is not a string")


def sized(count: int, noun: str) -> str:
    """Return *count* with its noun: ``1 character``, ``2,000 characters``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shortened(value: str | None) -> str:
    """Return a name or an id for a `repr`: whole when it is as short as real ones are."""
    return repr(value) if value is None or len(value) <= 48 else repr(value[:45] + "...")


def joined(parts: Iterable[Any], separator: str) -> str:
    """Return the texts of *parts* that have one."""
    return separator.join(part.text for part in parts if part.text)


def extra_field(*reserved: str) -> Any:
    """Return the field for the keys that a class does not know; they are written behind those that it knows."""
    return attrs.field(default=EMPTY, converter=read_only, validator=has_free_keys("type", *reserved))


def shape_field() -> Any:
    """Return the field for the keys of the line that a value was read from, if its class would write others.

    Real files differ in that: one version leaves a key out where another writes ``null``. It is a hint about keys,
    never about values, so it takes no part in comparison; a value made by hand has `None` there.
    """
    return attrs.field(default=None, init=False, eq=False)


def to_tuple(value: Any) -> Any:
    """Convert a list to a tuple; leave anything else to the check."""
    return tuple(value) if isinstance(value, (list, tuple)) else value
