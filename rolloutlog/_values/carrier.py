"""An item as text: its whole JSON, on a string that brings the item itself along.

`logging` turns messages into text long before a record reaches its last handler: a `QueueHandler` puts the formatted
text in the message's place. Whoever logs an item through one would lose it, so ``str(item)`` is a string that remembers
what it was made of, and says all of it where the string itself is not handed on. What is written to a rollout is made
elsewhere, faster and checked (see `_format.encode`); a test holds that both say the same.
"""

from __future__ import annotations

import json
from typing import Any

import attrs


class ItemText(str):
    """The text of *item*: what a line of a rollout says of it."""

    __slots__ = ("item",)

    item: Any

    def __str__(self) -> str:
        """Return the same object: CPython hands it on through ``"%(message)s" % ...``, and so through a formatter."""
        return self

    def __reduce__(self) -> tuple[type[str], tuple[Any]]:
        return str, (self.item,)  # through a multiprocessing queue, the text need not go twice


class Textual:
    """A base of items: their `str` is an `ItemText`. Their `repr` stays short, and without text."""

    __slots__ = ()

    def __str__(self) -> str:
        try:
            text = ItemText(_json(_wire(self)))
        except (TypeError, ValueError, RecursionError):  # it cannot be recorded, which whoever tries will be told
            text = ItemText(repr(self))
        text.item = self
        return text


_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=dict).encode


def _wire(value: Any) -> Any:
    """Return *value*, an item or what stands in one, as it is written."""
    if isinstance(value, (list, tuple)):
        return list(map(_wire, value))
    if not attrs.has(type(value)):
        return value
    if hasattr(value, "raw"):
        return {"type": value.type} | (value.raw or {})
    keys = {key: _wire(getattr(value, key)) for key in value.KEYS}
    written: dict[str, Any] = {"type": value.type, **keys, **value.extra}
    shape = getattr(value, "_shape", None)
    if shape is not None:
        first = [key for key in ("type", *shape) if key in written]
        return {key: written[key] for key in first} | {
            key: rest for key, rest in written.items() if key not in first and rest is not None
        }
    if written.get("content", "") is None:
        del written["content"]  # of a reasoning item, and of no other
    return written
