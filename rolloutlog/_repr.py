"""How much of a name, a text or a count a `repr` shows, safe to print on a terminal."""

from __future__ import annotations

import unicodedata


def sized(count: int, noun: str) -> str:
    """Return *count* with its noun: ``1 character``, ``2,000 characters``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# How many characters of a text a `repr` shows, and how many marks one letter of it may carry.
_SHOWN, _MARKS = 40, 8
# Letters that cannot be seen. Python escapes the other characters of that kind by itself.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def shown(text: str) -> str:
    r"""Return the beginning of *text* for a `repr`: up to 40 characters, and the length of a longer one.

    Whatever a terminal obeys or hides is escaped: control characters, marks of direction, invisible letters.

    >>> shown("\x1b[2J"), shown("a" * 50)
    ("'\\x1b[2J'", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'…, 50 characters")
    """
    quoted = repr(text[:_SHOWN])
    if not quoted.isascii():
        quoted = _escaped(quoted)
    return quoted if len(text) <= _SHOWN else f"{quoted}…, {sized(len(text), 'character')}"


def _escaped(text: str) -> str:
    """Return *text* with escapes for letters that cannot be seen, and for marks that pile up."""
    shown, marks = "", 0
    for character in text:
        marks = marks + 1 if unicodedata.category(character).startswith("M") else 0
        is_odd = marks > _MARKS or character in _BLANK
        shown += character.encode("unicode_escape").decode() if is_odd else character
    return shown


def shortened(value: str | None) -> str:
    """Return a name or an id for a `repr`: whole when it is as short as real ones are."""
    return repr(value) if value is None or len(value) <= 48 else repr(value[:45] + "...")
