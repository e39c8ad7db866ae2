"""An item: one JSON object, kept as the bytes that it is in a file, with names for its keys.

The bytes are checked once, when the item is made or read, and cannot change. So an item that was read is written again
as it was, down to spaces and escapes, and nothing is encoded for that. Its values are parsed when a caller looks at
one.

Public in `rolloutlog.items`, as are its subclasses, one for each kind.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar, overload

from . import _json
from ._answers import answer
from ._checks import Extra, check_free_keys, check_whole_object, read_only
from ._json import check_nesting, settled
from ._plain import snapshot
from ._repr import shortened, shown, sized
from ._shapes import EXEC_KEYS, NOT_ITEMS, SHAPES, Wire, fits, is_simple, problem
from .exceptions import InvalidItemError

_T = TypeVar("_T")

CLASSES: dict[str, type[Item]] = {}
"""The class of each kind of item, by its type; complete once `rolloutlog.items` is imported."""


class Key(Generic[_T]):
    """A key of an item's object, read like an attribute; `None` where the object does not have it."""

    def __init__(self, read: Callable[[Any], _T] = copy.deepcopy) -> None:
        self._read = read

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, item: None, owner: type) -> Self: ...
    @overload
    def __get__(self, item: Item, owner: type) -> _T: ...
    def __get__(self, item: Item | None, owner: type) -> Any:
        if item is None:
            return self
        value: Any = item._values().get(self._name)
        return value if value is None or type(value) is str else self._read(value)


class Item:
    """One item of a session: a message, a call, an output, reasoning, or another kind that an API sends or takes.

    Items are immutable, compare by value, can be hashed, copied and pickled, and match by class, as in
    ``case Message(role=role)``. Their ``repr`` is short, with the beginning of the text; ``str(item)`` is their JSON.

    Attributes:
        json: the item as one JSON object in UTF-8, without a newline.
        type: the name of its kind, such as ``"message"``.
    """

    __slots__ = ("_held", "json")

    json: bytes
    type: str
    KEYS: ClassVar[tuple[str, ...]] = ()
    # Of an item that was read: its bytes in the file, until `json` is asked for. After a look at an attribute: what it
    # has parsed, which is never handed out.
    _held: bytes | Wire | None

    def __init_subclass__(cls, kind: str | None = None) -> None:
        if kind is not None:
            cls.type = kind
            cls.KEYS = tuple(SHAPES[kind].keys) if kind in SHAPES else ()
            CLASSES[kind] = cls

    def to_dict(self) -> dict[str, Any]:
        """Return the item as the dict that its JSON holds, a new one at each call."""
        data = self._bytes()
        return _json.loads(data) if data else {}

    def replace(self, **changes: Any) -> Self:
        """Return a copy of the item with some values replaced, by the names of its attributes.

        Raises:
            TypeError: the item has no such attribute to replace.
            InvalidItemError: a value is not valid there.

        >>> from rolloutlog import FunctionCall
        >>> call = FunctionCall("search", "{}", "call_1")
        >>> call.replace(name="find").name
        'find'
        """
        names = self._names()
        for name in changes:
            if name not in names and name != "extra":
                raise TypeError(f"{type(self).__name__} has no {name!r} to replace; it has {', '.join(names)}, extra")
        extra = _free(changes.pop("extra", self.extra), self.type, names)
        value = {key: held for key, held in self.to_dict().items() if key == "type" or key in names}
        value |= {name: _written(new) for name, new in changes.items()}
        ordered = {key: value[key] for key in ("type", *self.KEYS) if key in value}
        return make_item(ordered | value | extra)  # type: ignore[return-value]

    __replace__ = replace

    def answer(self, output: Any) -> Item:
        """Return the item that answers this call with *output*, of the kind that an API expects.

        Args:
            output: for function, custom tool and local shell calls: text, parts, or plain data, which becomes JSON
                text. For a shell call: text, or a dict with ``stdout``, ``stderr`` and ``outcome``, or a list of these.
                For a patch: text, or ``{"status": "failed", "output": text}``. For a computer call: the URL of the
                screenshot. For a search for tools: a list of them. For an MCP approval request: whether to approve.

        Raises:
            InvalidItemError: this is not a call that a caller answers, or *output* cannot answer it.

        >>> from rolloutlog import FunctionCall
        >>> FunctionCall("weather", '{"city": "Oslo"}', "call_1").answer({"sky": "clear"}).output
        '{"sky":"clear"}'
        """
        return make_item(answer(self._read() if self.json else {"type": self.type}, output))

    @property
    def extra(self) -> Mapping[str, Any]:
        """The keys that have no attribute of their own; read-only."""
        named = {"type", *self._names()}
        return Extra(copy.deepcopy({key: value for key, value in self._values().items() if key not in named}))

    @property
    def text(self) -> str:
        """All text that people would read in the item; the empty string where there is none."""
        return ""

    # -- for this package ---------------------------------------------------------------------------------------------

    if not TYPE_CHECKING:  # else every name would be an attribute

        def __getattr__(self, name: str) -> Any:
            """Return the `json` of an item that was read, at the first look."""
            held = self._held if name == "json" else None
            if type(held) is not bytes:
                return object.__getattribute__(self, name)  # it is there by now, or raises the usual error
            data = held.strip()
            data = settled(data, _json.parse(data))
            _set_json(self, data)  # first: another thread finds one of the two at any time
            _set_held(self, None)
            return data

    def _bytes(self) -> bytes:
        """Return the item as JSON; of an item that was read the bytes in the file, with white space around them."""
        held = self._held
        return held if type(held) is bytes else self.json

    def _read(self) -> Wire:
        """Return the item's object, for reading only: the parse that is kept, else a new one, which is not kept."""
        held = self._held
        return held if type(held) is dict else self.to_dict()

    def _values(self) -> Wire:
        """Return the item's object, for reading only, and keep it for the next look."""
        held = self._held
        if type(held) is not dict:
            self.json  # noqa: B018 (the first look settles it)
            held = self.to_dict()
            _set_held(self, held)
        return held

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        """Return the keys that have an attribute of their own."""
        return cls.KEYS

    def _comparable(self) -> Wire:
        """Return the item's object without the keys for which absent and null mean the same."""
        value = {key: held for key, held in self._read().items() if held is not None or key not in self.KEYS}
        action = value.get("action")
        if self.type == "local_shell_call" and isinstance(action, dict) and action.get("type") == "exec":
            value["action"] = {key: held for key, held in action.items() if held is not None or key not in EXEC_KEYS}
        return value

    # -- for the language ---------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen; item.replace({name}=...) returns a changed copy")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Item):
            return NotImplemented
        if type(self) is not type(other):
            return False
        return self.json == other.json or self._comparable() == other._comparable()

    def __hash__(self) -> int:
        return hash((type(self), _hashable(self._comparable())))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return made, (type(self), self.json)

    def __str__(self) -> str:
        text = ItemText(self.json.decode() if self.json else repr(self))
        text.item = self
        return text

    def _repr_html_(self) -> str:
        from ._face import notebook

        return notebook.item(self)

    def _fill(self, known: Wire, extra: Mapping[str, Any]) -> None:
        """Set the JSON of a new item: the keys of its kind, in *known*, and those of *extra* after them."""
        value = {"type": self.type, **known, **_free(extra, self.type, self.KEYS)}
        _set_json(self, make_item(value).json)
        _set_held(self, None)


_new = object.__new__
_set_json: Callable[[Item, bytes], None] = Item.__dict__["json"].__set__
_set_held: Callable[[Item, bytes | Wire | None], None] = Item.__dict__["_held"].__set__


class ItemText(str):
    """The JSON of *item*, on a string that brings the item itself along.

    `logging` turns messages into text long before a record reaches its last handler: a `QueueHandler` puts the
    formatted text in the message's place. This string keeps the item through that.
    """

    __slots__ = ("item",)

    item: Item

    def __str__(self) -> str:
        """Return the same object: CPython passes it through ``"%(message)s" % ...``, and so through a formatter."""
        return self

    def __reduce__(self) -> tuple[type[str], tuple[Any]]:
        return str, (self.item,)  # a multiprocessing queue need not carry the text twice


def made(cls: type[_T], json: bytes) -> _T:
    """Return the item of *cls* that *json*, which was checked, is."""
    item: Any = _new(cls)
    _set_json(item, json)
    _set_held(item, None)
    return item  # type: ignore[no-any-return]


def unsettled(cls: type[Item], line: bytes) -> Item:
    """Return the item of *cls* that *line* holds, which was read and checked; white space around it does no harm.

    Whether one of its objects has a key twice is found out when its `json` is asked for, because that takes as long as
    parsing it, and most items that are read are never written again.
    """
    item = _new(cls)
    _set_held(item, line)
    return item


def _hashable(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, _hashable(held)) for key, held in value.items())
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


# --- items that are read ----------------------------------------------------------------------------------------------


def read_item(value: Wire, data: bytes) -> Item:
    """Return the item that *data* holds, whose fast parse is *value*, an object with a type.

    Raises:
        InvalidItemError: it is of a known kind, and not as that must be, or would be read as something else.
        InvalidJson: it is nested too deep.
    """
    kind = value["type"]
    shape = SHAPES.get(kind)
    if shape is None:
        check_free(value, kind)
    elif is_simple(value, shape):  # nearly always
        return unsettled(CLASSES[kind], data)
    elif not fits(value, shape):
        raise problem(value)
    check_nesting(value, data)
    if "record_type" in value:  # it means nothing in an item, and written flat it could make it a state
        whole = _json.loads(data)
        del whole["record_type"]
        data = _json.dumps(whole)
    return unsettled(CLASSES.get(kind, Other), data)


def check_free(value: Mapping[str, Any], where: str) -> None:
    """Raise `InvalidItemError` if *value*, of a kind that may hold anything, would be read as another kind of line."""
    if value["type"] in NOT_ITEMS:
        raise InvalidItemError(
            where, f"is of the type {value['type']!r}, which is not an item; see record_log(LogEntry)"
        )
    if value["type"] in SHAPES:
        raise InvalidItemError(where, f"is of the type {value['type']!r}, which has a class of its own")
    if "timestamp" in value and "payload" in value:
        raise InvalidItemError(where, "would be read as a line that wraps an item, because of its payload")


# --- items that callers make ------------------------------------------------------------------------------------------


def make_item(value: Wire) -> Item:
    """Return the item that *value* is, an object of a caller's that begins with its type.

    The item shares nothing with *value*, which no other thread may change during this call.

    Raises:
        InvalidItemError: it is not as its kind must be, or holds something that would not come back as it is.
    """
    kind: str = value["type"]
    data, value = snapshot(value, kind)
    shape = SHAPES.get(kind)
    if shape is None:
        check_free(value, "item")
    elif not fits(value, shape):
        raise problem(value)
    return made(CLASSES.get(kind, Other), data)


def _free(extra: object, kind: str, names: Iterable[str]) -> Extra:
    """Return *extra* as an `Extra`, checked to hold none of the keys that have a place of their own."""
    extra = read_only(extra)
    check_free_keys(extra, f"{kind}.extra", {"type", "record_type", *names})
    return extra  # type: ignore[return-value]


def _written(value: Any) -> Any:
    """Return *value*, of an attribute, as it is written: parts and actions know how."""
    if isinstance(value, list | tuple):
        return list(map(_written, value))
    return value._to_dict() if hasattr(value, "_to_dict") else value


class _OtherType:
    """The type of an `Other`: of the class as of its values."""

    def __get__(self, item: Other | None, owner: type[Other]) -> str:
        return "other" if item is None or not item.json else str(item._read()["type"])


class Other(Item):
    """An item of a kind that no class here knows: the whole object.

    ``Other()``, with nothing in it, is the one that the original recorder knew: a mark that something was there. It is
    never written. Made of an object whose kind has a class of its own, it is a value of that class.

    Args:
        raw: the object, with its ``type``.

    Raises:
        InvalidItemError: *raw* has no type, is of one of the five kinds with a constructor of their own, or would not
            come back as it is.

    >>> from rolloutlog import Other
    >>> item = Other({"type": "hologram", "size": 3})
    >>> item.type, item.to_dict()["size"]
    ('hologram', 3)
    >>> Other({"type": "mcp_call", "name": "search"})  # a kind that has a class
    McpCall(2 keys)
    """

    __slots__ = ()
    type = _OtherType()
    id, call_id, status = Key[Any](), Key[Any](), Key[Any]()

    def __new__(cls, raw: Mapping[str, Any] | None = None) -> Self:
        name = raw.get("type") if cls is Other and isinstance(raw, Mapping) else None
        chosen = CLASSES.get(name, cls) if isinstance(name, str) and name not in SHAPES else cls
        return _new(chosen)  # type: ignore[return-value]

    def __init__(self, raw: Mapping[str, Any] | None = None) -> None:
        where, kind = f"{type(self).__name__}.raw", vars(type(self))["type"]
        if isinstance(kind, str) and not (isinstance(raw, Mapping) and raw.get("type") == kind):
            raise InvalidItemError(where, f"must be an object of the type {kind!r}")
        if raw is None or (isinstance(raw, Mapping) and not raw):  # type: ignore[redundant-expr]
            _set_json(self, b"")
            _set_held(self, None)
            return
        check_whole_object(read_only(raw), where)
        if "record_type" in raw:
            raise InvalidItemError(where, "would be read as another kind of line, because of its record_type")
        check_free(raw, where)
        _set_json(self, make_item({"type": raw["type"], **raw}).json)
        _set_held(self, None)

    @property
    def raw(self) -> Mapping[str, Any] | None:
        """The whole object, read-only; `None` for ``Other()``."""
        return Extra(self.to_dict()) if self.json else None

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(name for base in cls.__mro__ for name, value in vars(base).items() if isinstance(value, Key))

    @property
    def text(self) -> str:
        """The output of a tool, where that is text or parts with a text; else the empty string."""
        output = self._read().get("output")
        return output if isinstance(output, str) else joined(output, "")

    def __repr__(self) -> str:
        kind = f"type={shortened(self.type)}, " if type(self) is Other and self.json else ""
        text = self.text
        size = shown(text) if text else sized(len(self._read()), "key") if self.json else ""
        return f"{type(self).__name__}({kind}{size})"


def joined(parts: Any, separator: str) -> str:
    """Return the texts of *parts*, JSON objects, that have one; the empty string where *parts* is not a list."""
    texts = [part.get("text") for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return separator.join([text for text in texts if isinstance(text, str) and text])
