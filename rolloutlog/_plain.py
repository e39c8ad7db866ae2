"""Values that callers make up, checked and copied: each is written only if JSON can hold it and give it back."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from ._json import MAX_DEPTH, MAX_RECORDED, dumps, fast_dumps
from .exceptions import InvalidItemError

_MOST_PLAIN = 1_000_000  # values that are looked at one by one before parts that are shared are looked for
_MOST_UNFOLDED = MAX_RECORDED // 2  # values that a line can hold, with a comma each
_MOST_VALUES = 100_000  # objects and arrays of one log entry: values that share parts can unfold to any number

_LONGEST_PLACE = 80  # characters of a place that an error names

_LARGEST = 2**1023
"""Integers beyond this cannot be read back: orjson would have to read them as an infinite float."""


def is_plain(values: Any, depth: int, left: list[int] | None = None) -> bool:
    """Whether all of *values*, of a dict or a list inside *depth* others, surely are of JSON's own exact types.

    Keys are not looked at: orjson refuses every key that is not exactly a string. Nor is the size of integers: it
    refuses those beyond 64 bits. *left* is how many values are looked at before the answer is no, because parts that
    others share can unfold to any number.
    """
    for value in values:
        kind = type(value)
        if kind is str or value is None or kind is bool or kind is int:
            continue
        if kind is dict or kind is list:
            if depth >= MAX_DEPTH:
                return False
            if value:
                left = [_MOST_PLAIN] if left is None else left
                left[0] -= len(value)
                if left[0] < 0 or not is_plain(value.values() if kind is dict else value, depth + 1, left):
                    return False
        elif kind is not float or not math.isfinite(value):
            return False
    return True


def snapshot(value: dict[str, Any], where: str) -> tuple[bytes, dict[str, Any]]:
    """Return a caller's object as JSON, and as a plain dict: *value* itself, where all of it is plain.

    Raises:
        InvalidItemError: as for `plain`.
    """
    if fast_dumps is not None and is_plain(value.values(), 1):
        try:
            return fast_dumps(value), value
        except TypeError:
            pass  # a key that is not a string, an integer beyond 64 bits, half of a surrogate pair: see below
    value = plain(value, where)
    return dumps(value), value


def quoted(text: str, where: str) -> bytes:
    """Return *text*, exactly a `str`, as JSON; raises as `plain` does."""
    if fast_dumps is not None:
        try:
            return fast_dumps(text)
        except TypeError:
            pass  # half of a surrogate pair, or two halves
    return dumps(_whole(text, where))


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """Return a copy of *value* as JSON can hold it and give it back.

    Tuples become lists, mappings `dict`, and subclasses of `str`, `int` and `float` the plain value. Parts that *value*
    holds several times are copied once.

    Args:
        value: anything.
        where: the place to name in an error.
        depth: how many objects and arrays *value* is in.

    Raises:
        InvalidItemError: something in it is not JSON or cannot be read back, it is nested more than `MAX_DEPTH` deep,
            or it holds the same parts so often that its JSON would be too long.
    """
    return _Copy().of(value, where, depth)


class _Copy:
    """One copy by `plain`: the parts that were copied, with their height and with how many values each unfolds to."""

    def __init__(self) -> None:
        # By the id of the part, which is kept as well: else it could end, and its id become another's.
        self._made: dict[int, tuple[Any, Any, int, int]] = {}
        self._count = 0  # how many values were written so far
        self._height = 0  # of the value that was copied last

    def of(self, value: Any, where: str, depth: int) -> Any:
        """Return the copy of *value*."""
        self._height = 0
        self._count += 1
        if value is None or type(value) is bool:
            return value
        if isinstance(value, Enum):
            raise InvalidItemError(where, f"is an enum ({type(value).__name__}), not plain JSON; record its value")
        if isinstance(value, str):
            return _whole(str.__str__(value), where)
        if isinstance(value, int):
            if not -_LARGEST < value < _LARGEST:
                raise InvalidItemError(where, "is an integer of more than 1,023 bits, which cannot be read back")
            return int.__int__(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise InvalidItemError(where, "is not a finite number; JSON has no other numbers")
            return float.__float__(value)
        # `dict` first: an abstract class keeps its answers in a table, whose lock another thread may hold at a fork.
        if not isinstance(value, (dict, list, tuple, Mapping)):
            raise InvalidItemError(where, f"expected plain JSON; got {type(value).__name__}")
        known = self._made.get(id(value))
        if known is None:
            return self._container(value, where, depth)
        _, copied, self._height, count = known
        self._count += count - 1
        self._check(where, depth + self._height - 1)
        return copied

    def _container(self, value: Any, where: str, depth: int) -> Any:
        self._check(where, depth)
        before, height = self._count, 0
        copied: Any
        if isinstance(value, (list, tuple)):
            copied = []
            for index, item in enumerate(value):
                copied.append(self.of(item, f"{where}[{index}]", depth + 1))
                height = max(height, self._height)
        else:
            copied = {}
            for key, item in value.items():
                if not isinstance(key, str) or isinstance(key, Enum):
                    raise InvalidItemError(where, f"has a key that is not a string; got {type(key).__name__}")
                # A key that is not a name may be text of the record as well, and an error holds none of that.
                inside = f"{where}.{key}" if key.isidentifier() and len(key) <= 40 else f"{where}[...]"
                copied[_whole(str.__str__(key), where)] = self.of(item, inside, depth + 1)
                height = max(height, self._height)
        self._height = height + 1
        self._made[id(value)] = value, copied, self._height, self._count - before + 1
        return copied

    def _check(self, where: str, depth: int) -> None:
        if depth < MAX_DEPTH and self._count <= _MOST_UNFOLDED:
            return
        shown = _named_once(where)  # it may hold itself
        if depth >= MAX_DEPTH:
            problem = f"is nested more than {MAX_DEPTH} deep, or holds itself; real readers skip such a line"
        else:
            problem = f"holds more than {_MOST_UNFOLDED:,} values, because parts of it are in it many times"
        raise InvalidItemError(shown, problem)


def _named_once(where: str) -> str:
    """Return the place *where* with a part that is repeated until its end, as in a value that holds itself, once."""
    steps = _STEP.findall(where)
    for period in range(1, 9):
        last = steps[-period:]
        if len(steps) >= 4 * period and steps[-4 * period :] == last * 4:
            begin = len(steps)
            while begin >= period and steps[begin - period : begin] == last:
                begin -= period
            where = where[: len(where) - len("".join(steps))] + "".join(steps[:begin] + last)
            break
    return where if len(where) <= _LONGEST_PLACE else where[:_LONGEST_PLACE] + "..."


_STEP = re.compile(r"\.\w+|\[[^\[\]]*\]")


def _whole(text: str, where: str) -> str:
    """Return *text*, if it can be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:  # two halves of a pair that follow each other are a character
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            problem = "holds half of a surrogate pair, which JSON readers refuse"
            hint = "text.encode('utf-8', 'replace').decode() replaces it"
            raise InvalidItemError(where, f"{problem}; {hint}") from None
    return text


_LEAVES = (str, int, float, type(None))


def stringified(value: Any, depth: int = 0) -> Any:
    """Return a copy of *value* as plain JSON, with the string of each value that JSON cannot hold. Never raises."""
    return _stringified(value, depth, set(), [_MOST_VALUES])


def _stringified(value: Any, depth: int, around: set[int], left: list[int]) -> Any:
    """Do it for a value inside the containers *around*; *left* is how many containers may still be made."""
    name = type(value).__name__
    try:
        if isinstance(value, _LEAVES) or not isinstance(value, (dict, list, tuple, Mapping)):
            try:
                return plain(value, "", depth)
            except InvalidItemError:
                return _string(value)
        left[0] -= 1
        if id(value) in around:
            return f"<{name}, which holds itself>"
        if depth >= MAX_DEPTH or left[0] < 0:
            return f"<{name}, nested too deep>" if depth >= MAX_DEPTH else f"<{name}, left out>"
        around.add(id(value))
        try:
            if isinstance(value, (list, tuple)):
                return [_stringified(item, depth + 1, around, left) for item in list(value)]
            return {_string(key): _stringified(item, depth + 1, around, left) for key, item in _items(value)}
        finally:
            around.discard(id(value))
    except Exception as error:  # of one of its methods
        return f"<{name}, which raised {type(error).__name__}>"


def _items(value: Mapping[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """Return the items of *value*, which another thread may change during the walk."""
    if isinstance(value, dict) and type(value).items is dict.items:
        return dict.copy(value).items()  # in one step
    return list(value.items())


def _string(value: Any) -> str:
    try:
        text = str.__str__(str(value))
    except Exception as error:  # the reader of the log sees it in place of the value
        return f"<{type(value).__name__}, whose str() raised {type(error).__name__}>"
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
