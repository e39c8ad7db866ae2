"""Plain JSON values to UTF-8 bytes and back, the same bytes with orjson and without it; the only user of orjson.

orjson is several times faster than the standard library, but it writes and reads some values as others without a word
(`nan` as ``null``, a UUID as a string, a large integer as a float). So whatever a caller made up goes through `plain`
before it is written, and through `widened` after it was read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from json.encoder import encode_basestring as _quoted
from typing import Any, Protocol

from ._values.checks import Extra
from .exceptions import InvalidItemError

orjson: Any  # optional, and typed as such: with a stub or without, the same code checks
try:
    import orjson
except ImportError:
    orjson = None

MAX_DEPTH = 127
"""How many objects and arrays may stand inside each other on a line, itself included: real readers skip deeper ones."""


class InvalidJson(ValueError):
    """Bytes that are no JSON value; says why, without them. Never raised from the parser's error, which has them."""


class Json(Protocol):
    """How JSON is written and read: a seam with two sides, `STANDARD` and (where orjson is installed) `FAST`."""

    quoted: Callable[[Any], bytes] | None
    """Return a string or `None` as JSON, or raise `TypeError`; itself `None` where nothing is gained by parts."""

    def line(self, value: Any) -> bytes:
        """Return a value as one compact line with its newline; raise only for what is not plain."""
        ...

    parse: Callable[[bytes], Any]
    """Return the value that a line holds, or raise `ValueError`. Large integers may come back as floats."""

    def loads(self, line: bytes) -> Any:
        """The same, but what it raises says why: `InvalidJson`."""
        ...

    def loads_exactly(self, line: bytes) -> Any:
        """The same, slower, with every integer as it is."""
        ...


class StandardJson:
    """The standard library, made to write what serde_json (and orjson) write, and to refuse what they refuse."""

    def __init__(self) -> None:
        encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._encode: Callable[[Any], str] = encoder.encode
        decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
        self._decode: Callable[[str], Any] = decoder.decode
        self.quoted: Callable[[Any], bytes] | None = None
        self.parse: Callable[[bytes], Any] = self.loads

    def line(self, value: Any) -> bytes:
        text = self._encode(value)
        if _EXPONENT.search(text):
            text = _written(value)
        text += "\n"
        try:
            return text.encode()
        except UnicodeEncodeError:
            # Readers reject a lone surrogate; two that belong together are the character that they stand for.
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()

    def loads(self, line: bytes) -> Any:
        try:
            # Decoded first: json.loads(bytes) guesses UTF-16 and UTF-32 too.
            text = line.decode()
        except UnicodeDecodeError:
            raise InvalidJson("is not UTF-8") from None
        try:
            value = self._decode(text)
            if _SURROGATE.search(line):
                self._encode(value).encode()
        except UnicodeEncodeError:
            raise InvalidJson("holds half of a surrogate pair") from None
        except RecursionError:
            raise InvalidJson("is nested too deep") from None
        except ValueError:
            raise InvalidJson("is not JSON") from None
        return value

    loads_exactly = loads


class FastJson:
    """orjson, and the standard library for what orjson cannot write or reads as something else."""

    def __init__(self) -> None:
        self._dump: Callable[[Any, None, int], bytes] = orjson.dumps
        self._newline: int = orjson.OPT_APPEND_NEWLINE
        self.quoted: Callable[[Any], bytes] | None = orjson.dumps
        self.parse: Callable[[bytes], Any] = orjson.loads

    def line(self, value: Any) -> bytes:
        try:
            return self._dump(value, None, self._newline)
        except TypeError:
            # Integers beyond 64 bits and lone surrogates; what is wrong in earnest raises there as well.
            return STANDARD.line(value)

    def loads(self, line: bytes) -> Any:
        try:
            return self.parse(line)
        except ValueError:
            # The slow way again, for its reason. What only the standard library takes, such as very deep nesting, stays
            # refused: it would be read on one machine and not on the next.
            widened(STANDARD.loads(line), 0)
            raise InvalidJson("is not JSON") from None

    def loads_exactly(self, line: bytes) -> Any:
        return STANDARD.loads(line)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)  # 1e999: real readers refuse it
    return number


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


def plain(value: Any, where: str, depth: int = 0) -> Any:
    """Return a copy of *value* as JSON can hold it and give it back.

    Tuples become lists, mappings `dict`, and what derives from `str`, `int` and `float` the plain value.

    Args:
        value: anything.
        where: the place to name in an error.
        depth: how many objects and arrays *value* stands in.

    Raises:
        InvalidItemError: something in it is not JSON, or it is nested more than `MAX_DEPTH` deep.
    """
    try:
        return _copied(value, depth)
    except _NotPlain:
        return _made_plain(value, where, depth)


class _NotPlain(Exception):
    """Signals that the careful way must be taken."""


def _copied(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float and math.isfinite(value):
        return value
    if depth < MAX_DEPTH:
        depth += 1
        if kind is dict or kind is Extra:
            for key in value:
                if type(key) is not str:
                    raise _NotPlain
            return {key: _copied(item, depth) for key, item in value.items()}
        if kind is list:
            return [_copied(item, depth) for item in value]
    raise _NotPlain


def _made_plain(value: Any, where: str, depth: int) -> Any:
    if value is None or type(value) is bool:
        return value
    if isinstance(value, Enum):
        raise InvalidItemError(where, f"is an enum ({type(value).__name__}), not plain JSON; record its value")
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidItemError(where, "is not a finite number, and JSON has no other")
        return float.__float__(value)
    if not isinstance(value, (Mapping, list, tuple)):
        raise InvalidItemError(where, f"is not plain JSON, but {type(value).__name__}")
    if depth >= MAX_DEPTH:
        raise InvalidItemError(where, f"is nested more than {MAX_DEPTH} deep, and real readers skip such a line")
    if not isinstance(value, Mapping):
        return [_made_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
    made = {}
    for key, item in value.items():
        if not isinstance(key, str) or isinstance(key, Enum):
            raise InvalidItemError(where, f"has a key that is not a string, but {type(key).__name__}")
        # A key that is no name may be text of the record as well, and an error holds none of that.
        inside = f"{where}.{key}" if key.isidentifier() and len(key) <= 40 else f"{where}[...]"
        made[str.__str__(key)] = _made_plain(item, inside, depth + 1)
    return made


def stringified(value: Any, depth: int = 0) -> Any:
    """Return a copy of *value* as plain JSON, with the string of what JSON cannot hold: a log entry never raises."""
    try:
        return _copied(value, depth)
    except _NotPlain:
        pass  # on the way below
    if depth < MAX_DEPTH and isinstance(value, Mapping):
        return {_string(key): stringified(item, depth + 1) for key, item in value.items()}
    if depth < MAX_DEPTH and isinstance(value, (list, tuple)):
        return [stringified(item, depth + 1) for item in value]
    if isinstance(value, (Mapping, list, tuple)):
        return f"<{type(value).__name__}, nested too deep>"
    return _string(value)


def _string(value: Any) -> str:
    try:
        return str.__str__(str(value))
    except Exception as error:  # the reader of the log sees it in place of the value
        return f"<{type(value).__name__}, whose str() raised {type(error).__name__}>"


def widened(value: Any, depth: int) -> bool:
    """Whether *value*, read by `Json.loads`, holds a float that may have been an integer: read that line exactly.

    Raises:
        InvalidJson: it is nested more than `MAX_DEPTH` deep.
    """
    kind = type(value)
    if kind is str:
        return False
    if kind is float:
        return bool(abs(value) >= 2.0**63)
    if kind is not dict and kind is not list:
        return False
    if depth >= MAX_DEPTH:
        raise InvalidJson("is nested too deep")
    return any(widened(item, depth + 1) for item in (value.values() if kind is dict else value))
