"""Reads the tool calls in a script of Codex, such as ``text(await tools.exec_command({cmd: "ls"}));``, by its tokens.

No script is run. A script in which a call depends on anything but constants is not read at all, because a guess would
show a command that perhaps never ran.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

_TOKEN = re.compile(
    r"""(?:\s|//[^\n]*|/\*.*?(?:\*/|\Z))*+
    (?: (?P<text> "[^"\\\n]*(?:\\.[^"\\\n]*)*" | '[^'\\\n]*(?:\\.[^'\\\n]*)*' | `[^`\\]*(?:\\.[^`\\]*)*` )
      | (?P<open> ["'`].* )
      | (?P<number> -?\d[\w.]* )
      | (?P<word> [A-Za-z_$][\w$]* )
      | (?P<mark> => | && | \|\| | \?\? | . )
      | \Z
    )""",
    re.DOTALL | re.VERBOSE,
)
# With one of these before a call, the call may not run, or run with other values each time.
_CONTROL = frozenset({"if", "else", "while", "do", "switch", "function", "try", "for", "=>", "?", "&&", "||", "??"})
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\r\n|.))", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": "", "\r\n": ""}
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
_DEEPEST = 50
# A longer script is not read: the tokens would take some hundred times its size.
_LONGEST = 1_000_000


@attrs.frozen
class ToolCall:
    """One call in a script: the tool's name, and its argument, which is text or an object."""

    name: str
    argument: Any


class _NotConstant(ValueError):
    """The value is not made of constants."""


def tool_calls(script: str) -> list[ToolCall]:
    """Return the tool calls in *script*, in order; none if one of them is not made of constants.

    >>> tool_calls('const r = await tools.exec_command({cmd: "ls -l"}); text(r.output);')
    [ToolCall(name='exec_command', argument={'cmd': 'ls -l'})]
    """
    if "tools." not in script or len(script) > _LONGEST:
        return []
    tokens = [(match.lastgroup, match[match.lastgroup]) for match in _TOKEN.finditer(script) if match.lastgroup]
    if not tokens or tokens[-1][0] == "open":
        return []  # only comments, or a text without an end, after which nothing is certain
    names: dict[str, Any] = {}
    calls: list[ToolCall] = []
    index = 0
    is_plain = True
    while index < len(tokens):
        kind, token = tokens[index]
        if token in _CONTROL and kind != "text":
            is_plain = False
        if kind == "word" and token == "const" and _marks(tokens, index + 2, "="):
            try:
                value, _ = _value(tokens, index + 3, names)
                if isinstance(value, str):  # an object could be changed before it is used
                    names[tokens[index + 1][1]] = value
            except _NotConstant:
                pass
        elif kind == "word" and token == "tools" and _marks(tokens, index + 1, ".") and _marks(tokens, index + 3, "("):
            try:
                value, after = _argument(tokens, index + 4, names)
            except _NotConstant:
                return []
            if not is_plain:
                return []
            calls.append(ToolCall(tokens[index + 2][1], value))
            index = after
            continue
        elif kind == "word" and token == "tools":
            return []  # it is used in a way that is not understood
        index += 1
    return calls


_Tokens = list[tuple[str, str]]


def _marks(tokens: _Tokens, index: int, mark: str) -> bool:
    return index < len(tokens) and tokens[index] == ("mark", mark)


def _argument(tokens: _Tokens, index: int, names: Mapping[str, Any]) -> tuple[Any, int]:
    """Return the only argument of the call whose parenthesis is before *index*, and the index after the call."""
    if _marks(tokens, index, ")"):
        return None, index + 1
    value, index = _value(tokens, index, names)
    if _marks(tokens, index, ","):
        index += 1
    if not _marks(tokens, index, ")"):
        raise _NotConstant
    return value, index + 1


def _value(tokens: _Tokens, index: int, names: Mapping[str, Any], depth: int = 0) -> tuple[Any, int]:
    """Return the value at *index*, which may be a sum of strings, and the index after it."""
    value, index = _single(tokens, index, names, depth)
    while _marks(tokens, index, "+"):
        more, index = _single(tokens, index + 1, names, depth)
        if not (isinstance(value, str) and isinstance(more, str)):
            raise _NotConstant
        value += more
    return value, index


def _single(tokens: _Tokens, index: int, names: Mapping[str, Any], depth: int) -> tuple[Any, int]:
    kind, token = tokens[index] if index < len(tokens) else ("", "")
    if depth > _DEEPEST:
        raise _NotConstant
    if kind == "text":
        return _text(token), index + 1
    if kind == "number":
        return _number(token), index + 1
    if (kind, token) == ("mark", "{"):
        return _object(tokens, index + 1, names, depth + 1)
    if (kind, token) == ("mark", "["):
        return _array(tokens, index + 1, names, depth + 1)
    if kind == "word" and token in _WORDS:
        return _WORDS[token], index + 1
    if kind == "word" and token == "String" and tokens[index + 1 : index + 3] == [("mark", "."), ("word", "raw")]:
        kind, token = tokens[index + 3] if index + 3 < len(tokens) else ("", "")
        if kind == "text" and token[0] == "`" and "${" not in token:
            return token[1:-1], index + 4
    if kind == "word" and token in names and not _marks(tokens, index + 1, "."):
        return names[token], index + 1
    raise _NotConstant


def _object(tokens: _Tokens, index: int, names: Mapping[str, Any], depth: int) -> tuple[dict[str, Any], int]:
    value: dict[str, Any] = {}
    while not _marks(tokens, index, "}"):
        kind, token = tokens[index] if index < len(tokens) else ("", "")
        if kind not in ("word", "text", "number"):
            raise _NotConstant
        key = _text(token) if kind == "text" else token
        if _marks(tokens, index + 1, ":"):
            value[key], index = _value(tokens, index + 2, names, depth)
        elif token in names:
            value[key], index = names[token], index + 1
        else:
            raise _NotConstant
        if _marks(tokens, index, ","):
            index += 1
        elif not _marks(tokens, index, "}"):
            raise _NotConstant
    return value, index + 1


def _array(tokens: _Tokens, index: int, names: Mapping[str, Any], depth: int) -> tuple[Any, int]:
    """Return the array at *index*, or the text that it is joined to by ``.join("...")``."""
    value: list[Any] = []
    while not _marks(tokens, index, "]"):
        one, index = _value(tokens, index, names, depth)
        value.append(one)
        if _marks(tokens, index, ","):
            index += 1
        elif not _marks(tokens, index, "]"):
            raise _NotConstant
    index += 1
    if tokens[index : index + 3] == [("mark", "."), ("word", "join"), ("mark", "(")]:
        between, index = _argument(tokens, index + 3, names)
        if not isinstance(between, str) or not all(isinstance(one, str) for one in value):
            raise _NotConstant
        return between.join(value), index
    return value, index


def _number(token: str) -> int | float:
    try:
        return int(token.replace("_", ""), 0)
    except ValueError:
        try:
            return float(token)
        except ValueError:
            raise _NotConstant from None


def _text(token: str) -> str:
    """Return the text that the literal *token* is."""
    if token[0] == "`" and "${" in token:
        raise _NotConstant
    if "\\" not in token:
        return token[1:-1]
    return joined_surrogates(_ESCAPE.sub(_character, token[1:-1]))


def _character(match: re.Match[str]) -> str:
    *codes, other = match.groups()
    for code in codes:
        if code is not None:
            return chr(min(int(code, 16), 0x10FFFF))
    return _LETTERS.get(other, other)


def joined_surrogates(text: str) -> str:
    """Return *text* in which the two halves of a surrogate pair are one character."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
