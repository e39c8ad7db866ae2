"""Plain JSON values to UTF-8 bytes and back, the same with orjson and without it; the only user of orjson.

orjson is several times faster than the standard library. But it writes and reads some values as others without an
error: NaN becomes ``null``, a UUID a string, a large integer a float. So values of callers pass through `_plain` before
they are written, and `loads` reads a value again, exactly, where orjson may have changed it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from json.encoder import encode_basestring as _quoted
from typing import Any, Protocol

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

fast_dumps: Callable[..., bytes] | None = None if orjson is None else orjson.dumps
"""How orjson writes values that `is_plain` accepts; `None` without orjson. Raises `TypeError` for a key that is not a
string, an integer beyond 64 bits, and half of a surrogate pair."""

APPEND_NEWLINE = None if orjson is None else orjson.OPT_APPEND_NEWLINE
"""The option of `fast_dumps` that ends the JSON with a newline."""


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
        if orjson is not None and len(data) < _SHORT and orjson.dumps(value, option=APPEND_NEWLINE) == data:
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
