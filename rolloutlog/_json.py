"""Plain JSON values to UTF-8 bytes and back, the same with orjson and without it; the only user of orjson.

orjson is several times faster than the standard library. But it writes and reads some values as others without an
error: NaN becomes ``null``, a UUID a string, a large integer a float. So values of callers pass `is_plain` or `plain`
before they are written, and `loads` reads a value again, exactly, where orjson may have changed it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from json.encoder import encode_basestring as _quoted
from typing import Any, Protocol

from .exceptions import InvalidItemError

orjson: Any  # optional, and typed as such: with a stub or without, the same code checks
try:
    import orjson
except ImportError:
    orjson = None

MAX_DEPTH = 127
"""How many objects and arrays a line may nest, the line itself included. Real readers skip deeper lines."""

SHALLOW = 2 * MAX_DEPTH
"""A line of no more bytes than this cannot nest deeper than `MAX_DEPTH`."""

_SHORT = 2048  # bytes of a line that are looked at in less time than each of its values

MAX_LINE = 64 * 1024 * 1024
"""How many bytes of a line are read, without its newline. A picture of 45 MiB fits, in base64. A longer line is more
likely damage than a record."""

MAX_RECORDED = MAX_LINE - 64
"""How many bytes of a line are recorded: every recorded line can be read, also after a line number is added to it."""

_MOST_PLAIN = 1_000_000  # values that are looked at one by one before parts that are shared are looked for
_MOST_UNFOLDED = MAX_RECORDED // 2  # values that a line can hold, with a comma each
_MOST_VALUES = 100_000  # objects and arrays of one log entry: values that share parts can unfold to any number

_LONGEST_PLACE = 80  # characters of a place that an error names

_LARGEST = 2**1023
"""Integers beyond this cannot be read back: orjson would have to read them as an infinite float."""


class InvalidJson(ValueError):
    """Bytes that are not a JSON value. The message says why. It has no cause, because that would hold the bytes."""


class Json(Protocol):
    """How JSON is written and read. There are two: `STANDARD`, and `FAST` where orjson is installed."""

    dumps: Callable[[Any], bytes]
    """Return a plain value as compact JSON. Raises `TypeError` or `ValueError` for other values."""

    parse: Callable[[bytes], Any]
    """Return the value of a line, or raise `ValueError`. Large integers may become floats, duplicate keys are lost."""

    def loads(self, data: bytes) -> Any:
        """Return the value of a line, exactly. Raises `InvalidJson`, which says why."""
        ...


class StandardJson:
    """The standard library, made to write what serde_json and orjson write, and to refuse what they refuse."""

    def __init__(self) -> None:
        encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._encode: Callable[[Any], str] = encoder.encode
        decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_not_too_large)
        self._decode: Callable[[str], Any] = decoder.decode
        self.dumps: Callable[[Any], bytes] = self._dumps
        self.parse: Callable[[bytes], Any] = self.loads

    def _dumps(self, value: Any) -> bytes:
        text = self._encode(value)
        if _EXPONENT.search(text):
            text = _written(value)
        try:
            return text.encode()
        except UnicodeEncodeError:
            # Two halves of a surrogate pair that follow each other are one character.
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()

    def loads(self, data: bytes) -> Any:
        try:
            # Decoded first, because json.loads(bytes) also accepts UTF-16 and UTF-32.
            text = data.decode()
        except UnicodeDecodeError:
            raise InvalidJson("is not UTF-8") from None
        try:
            value = self._decode(text)
            if _SURROGATE.search(data):
                self._encode(value).encode()
        except UnicodeEncodeError:
            raise InvalidJson("holds half of a surrogate pair") from None
        except RecursionError:
            raise InvalidJson("is nested too deep") from None
        except ValueError:
            raise InvalidJson("is not JSON") from None
        return value


class FastJson:
    """orjson, and the standard library for values that orjson cannot write or reads as others."""

    def __init__(self) -> None:
        self._dumps: Callable[[Any], bytes] = orjson.dumps
        self.dumps: Callable[[Any], bytes] = self._dumps_any
        self.parse: Callable[[bytes], Any] = orjson.loads

    def _dumps_any(self, value: Any) -> bytes:
        try:
            return self._dumps(value)
        except TypeError:
            # Integers beyond 64 bits and surrogate pairs in two halves; what is not JSON raises there, too.
            return STANDARD.dumps(value)

    def loads(self, data: bytes) -> Any:
        try:
            value = self.parse(data)
        except ValueError:
            # The slow way again, to find the reason. Lines that only the standard library accepts, such as very deep
            # ones, stay refused: else a line could be read on one machine and not on the next.
            check_depth((STANDARD.loads(data),))
            raise InvalidJson("is not JSON") from None
        return STANDARD.loads(data) if _has_large_float((value,)) else value


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)  # 1e999: real readers refuse it
    return number


def _not_too_large(text: str) -> int:
    if len(text) > 308:
        _finite(text)  # no longer than orjson reads; and Python itself limits how many digits it reads
    return int(text)


_EXPONENT = re.compile(r"\de-0\d")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _written(value: Any) -> str:
    """Write *value* as orjson would, where Python has ``1e-05`` for ``0.00001`` and ``1e-07`` for ``1e-7``. Rare."""
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_quoted(key)}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _float(number: float) -> str:
    digits, _, exponent = repr(number).partition("e")
    if not exponent:
        return digits
    if exponent == "-05":  # the one size that Python writes with an exponent and others do not
        sign, digits = ("-", digits[1:]) if digits[0] == "-" else ("", digits)
        return f"{sign}0.0000{digits.replace('.', '')}"
    return f"{digits}e-{exponent[-1]}" if exponent[:2] == "-0" else f"{digits}e{exponent}"


STANDARD: Json = StandardJson()
FAST: Json | None = FastJson() if orjson is not None else None
JSON: Json = FAST or STANDARD

dumps: Callable[[Any], bytes] = JSON.dumps
parse: Callable[[bytes], Any] = JSON.parse
loads: Callable[[bytes], Any] = JSON.loads

fast_dumps: Callable[[Any], bytes] | None = None if orjson is None else orjson.dumps
"""How orjson writes values that `is_plain` accepts; `None` without orjson. Raises `TypeError` for a key that is not a
string, an integer beyond 64 bits, and half of a surrogate pair."""


_NEWLINE = None if orjson is None else orjson.OPT_APPEND_NEWLINE


# --- lines as they are in a file --------------------------------------------------------------------------------------


def settled(data: bytes, value: Any) -> bytes:
    """Return *data*, whose fast parse is *value*, as bytes that can be written again.

    These are the same bytes, spaces and escapes included, unless some object in them has a key twice. Real readers
    refuse that, so the last of both is kept, like any JSON library does.
    """
    try:
        if (fast_dumps or dumps)(value) == data:
            return data
    except TypeError:  # an exact value, with an integer beyond 64 bits
        pass
    twice: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice.append("")
        return made

    json.loads(data.decode(), object_pairs_hook=noted, parse_int=str)  # the digits of an integer do not matter here
    return dumps(loads(data)) if twice else data


def exactly(value: Any, data: bytes) -> Any:
    """Return the value of *data*, whose fast parse is *value*, with every integer as it is.

    Raises:
        InvalidJson: it is nested more than `MAX_DEPTH` deep.
    """
    check_nesting(value, data)
    try:
        if orjson is not None and len(data) < _SHORT and orjson.dumps(value, option=_NEWLINE) == data:
            return value  # proven, without a look at each value
    except TypeError:  # an integer beyond 64 bits: the value is exact
        return value
    return STANDARD.loads(data) if _has_large_float((value,)) else value


def check_nesting(value: Any, data: bytes) -> None:
    """Raise `InvalidJson` if *data*, whose fast parse is *value*, is nested more than `MAX_DEPTH` deep."""
    if len(data) > SHALLOW and (len(data) > _SHORT or data.count(b"{") + data.count(b"[") > MAX_DEPTH):
        check_depth((value,))


def check_depth(values: Any, depth: int = 0) -> None:
    """Raise `InvalidJson` if one of *values*, inside *depth* others, is nested more than `MAX_DEPTH` deep."""
    for value in values:
        kind = type(value)
        if kind is dict or kind is list:
            if depth >= MAX_DEPTH:
                raise InvalidJson("is nested too deep")
            if value:
                check_depth(value.values() if kind is dict else value, depth + 1)


def _has_large_float(values: Any) -> bool:
    """Whether *values* hold a float that may have been an integer of more than 64 bits."""
    for value in values:
        kind = type(value)
        if kind is dict or kind is list:
            if value and _has_large_float(value.values() if kind is dict else value):
                return True
        elif kind is float and abs(value) >= 2.0**63:
            return True
    return False


# --- values that callers make up --------------------------------------------------------------------------------------


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
        if not isinstance(value, (Mapping, list, tuple)):
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
        if isinstance(value, Mapping):
            copied = {}
            for key, item in value.items():
                if not isinstance(key, str) or isinstance(key, Enum):
                    raise InvalidItemError(where, f"has a key that is not a string; got {type(key).__name__}")
                # A key that is not a name may be text of the record as well, and an error holds none of that.
                inside = f"{where}.{key}" if key.isidentifier() and len(key) <= 40 else f"{where}[...]"
                copied[_whole(str.__str__(key), where)] = self.of(item, inside, depth + 1)
                height = max(height, self._height)
        else:
            copied = []
            for index, item in enumerate(value):
                copied.append(self.of(item, f"{where}[{index}]", depth + 1))
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


def stringified(value: Any, depth: int = 0) -> Any:
    """Return a copy of *value* as plain JSON, with the string of each value that JSON cannot hold. Never raises."""
    return _stringified(value, depth, set(), [_MOST_VALUES])


def _stringified(value: Any, depth: int, around: set[int], left: list[int]) -> Any:
    """Do it for a value inside the containers *around*; *left* is how many containers may still be made."""
    name = type(value).__name__
    try:
        if not isinstance(value, Mapping | list | tuple):
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
            if isinstance(value, Mapping):
                return {_string(key): _stringified(item, depth + 1, around, left) for key, item in _items(value)}
            return [_stringified(item, depth + 1, around, left) for item in list(value)]
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
