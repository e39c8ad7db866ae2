r"""The neutraliser: makes any text of a session safe to show, in a terminal and on a page, by one table.

A session holds text of strangers: web pages, outputs of programs, file names. In a terminal an escape sequence can
set the title, hide lines or fill the clipboard; on a page a tag can run a script; in both, invisible characters can
make a text read differently from what it is. All text of a file passes through here before anything else happens to
it: before a width is computed, and before a renderer of Markdown sees it.

======================================================  ==========  ===============
characters                                              terminal    page
======================================================  ==========  ===============
C0 except tab and newline, DEL                          picture     boxed name: ESC
C1                                                      ``\x9b``     boxed: U+009B
a carriage return before a newline                      dropped     dropped
colours: ``ESC [ ... m``                                dropped     dropped
bidi embeddings, overrides and isolates                 <U+202E>    boxed
invisible: zero-width space, tags, line separators ...  <U+200B>    boxed
noncharacters                                           <U+FFFE>    boxed
half of a surrogate pair                                U+FFFD      boxed
more than eight marks on one letter                     cut, told   cut, told
======================================================  ==========  ===============

Joiners and the marks of direction (U+200C to U+200F, U+061C) remain, because emoji and scripts need them. They count
as marks, because a long run of them can hide a message. All of it takes linear time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from html import escape
from itertools import takewhile
from typing import TypeAlias

_Show: TypeAlias = Callable[[str], str]

MOST_MARKS = 8
"""How many marks one letter may carry. Scripts of people need up to five."""

_USUAL = bytes([9, 10, *range(0x20, 0x7F)])  # the most frequent letters, which are harmless
_BLANKS = re.compile(r"[ \t\r\n]+")
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")

_INVISIBLE = (
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028\u2029\u202a-\u202e\u2060-\u206f\u3164\ufdd0-\ufdef\ufeff"
    "\uffa0\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0x10000, 0x110000, 0x10000))
)
# A run that may be of marks: no letters, digits or ASCII, and no common punctuation, symbols and emoji. `unicodedata`,
# which knows each mark, is asked only about such runs.
_MAYBE_MARKS = (
    rf"[^\w\x00-\u02ff\u2010-\u202f\u2030-\u20cf\u20f1-\u2bff\u3000-\u3029\u302e-\u3098\ud800-\udfff"
    rf"\U0001f000-\U0001faff{_INVISIBLE}]"
)
_ODD = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_INVISIBLE}]|{_MAYBE_MARKS}{{{MOST_MARKS + 1},}}")
_JOINERS = frozenset("\u061c\u200c\u200d\u200e\u200f")

_C0 = "NUL SOH STX ETX EOT ENQ ACK BEL BS TAB LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC "
_NAMES = {**dict(enumerate(f"{_C0} FS GS RS US".split())), 0x7F: "DEL"}

# Each match of `_ODD` is within one run of these. To search a whole text for `_ODD` takes ten times as long.
_UNUSUAL = re.compile(r"[^\n\t\x20-\x7e]+")

# Around a name in a text that becomes HTML only later. Both are noncharacters, so no neutralised text holds them.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_MARKED_OR_ODD = re.compile(f"{_OPEN}([^{_OPEN}{_CLOSE}<>]*){_CLOSE}|{_ODD.pattern}")
_BOX = '<span class="ctl">{}</span>'


def for_terminal(text: str) -> str:
    r"""Return *text* with nothing in it that a terminal obeys or hides; newlines and tabs remain.

    It is not markup of any kind: hand it to rich as ``Text``, never as a string.

    >>> for_terminal("\x1b]0;owned\x07 caf\u00e9 \x1b[31mred\x1b[0m \u202etxt.exe")
    '␛]0;owned␇ café red <U+202E>txt.exe'
    """
    return text if _is_harmless(text) else "".join(piece for piece, _ in _pieces(text, _sign))


def pieces_for_terminal(text: str) -> Iterator[tuple[str, bool]]:
    r"""Yield the pieces of ``for_terminal(text)``, each with whether it replaces something, to show it as such.

    >>> list(pieces_for_terminal("a\x07b"))
    [('a', False), ('␇', True), ('b', False)]
    """
    return iter([(text, False)] if _is_harmless(text) else _pieces(text, _sign))


def joinable(pieces: Iterable[str]) -> list[str]:
    """Return *pieces* of one text, each neutralised, so that no letter has too many marks where they are joined.

    Each piece may end and begin with as many marks as one letter may carry. Those at its beginning are left out if they
    are too many with the marks before them.
    """
    joined: list[str] = []
    before = 0
    for piece in pieces:
        leading = sum(1 for _ in takewhile(_is_mark, piece))
        kept = piece[leading:] if before + leading > MOST_MARKS else piece
        trailing = sum(1 for _ in takewhile(_is_mark, reversed(kept)))
        before = trailing + (before if trailing == len(kept) else 0)
        joined.append(kept)
    return joined


def for_html(text: str) -> str:
    r"""Return *text* as HTML for the content of an element: escaped, with a box in place of each odd character.

    It is not for attributes, because a box is an element: no text of a file belongs into an attribute.

    >>> for_html("<b>\x1b[2J")
    '&lt;b&gt;<span class="ctl">ESC</span>[2J'
    """
    if _is_harmless(text):
        return escape(text)
    return "".join(_BOX.format(piece) if is_odd else escape(piece) for piece, is_odd in _pieces(text, _in_box))


def for_markup(text: str) -> str:
    """Return *text* for a renderer that makes HTML of it. `boxed` then makes a box of each place that is marked here.

    A renderer of Markdown decodes entities: ``&#27;`` becomes ESC after the text was neutralised. `boxed` finds those.
    Where rendered text goes to a terminal, the rule ``entity`` must be off.

    >>> boxed(for_markup("*\u202eabc*"))
    '*<span class="ctl">U+202E</span>abc*'
    """
    if _is_harmless(text):
        return text
    return "".join(f"{_OPEN}{piece}{_CLOSE}" if is_odd else piece for piece, is_odd in _pieces(text, _in_box))


def is_marked(text: str) -> bool:
    """Whether *text*, or a piece of it, has a place that `for_markup` marked."""
    return _OPEN in text or _CLOSE in text


def boxed(html: str) -> str:
    """Return *html*, rendered from a text of `for_markup`, with a box at each place that is marked or odd.

    The attributes in *html* must be plain ASCII.
    """
    return html if _is_harmless(html) else _MARKED_OR_ODD.sub(_box_of, html)


def _is_harmless(text: str) -> bool:
    """Whether *text* is shown as it is.

    The usual letters are dropped first, which takes a tenth of the time of a search, and the few others are searched.
    This brings the marks of several letters together, and they can look like a heap. So the answer is sometimes false
    for a harmless text, which is then shown by the slower way. It is never true for an odd one.
    """
    rest = text.encode("utf-8", "surrogatepass").translate(None, _USUAL)
    return not rest or _ODD.search(rest.decode("utf-8", "surrogatepass")) is None


def one_line(text: str, length: int) -> str:
    r"""Return *text* as one line of at most *length* characters, still to be neutralised: for names and titles.

    >>> one_line("  a title\n\nin two  paragraphs", 16)
    'a title in two…'
    """
    prefix = text.lstrip(" \t\r\n")[: 8 * length]  # enough, unless most of it is blank
    line = _BLANKS.sub(" ", _without_colours(prefix)).rstrip(" ")
    if len(line) <= length and len(prefix) < 8 * length:
        return line
    return line[: length - 1].rstrip(" ") + "…"


def _without_colours(text: str) -> str:
    return _COLOUR.sub("", text) if "\x1b[" in text else text


def _pieces(text: str, show: _Show) -> Iterator[tuple[str, bool]]:
    """Yield the pieces of *text*, each with whether it is from *show* and replaces something odd."""
    text = _without_colours(text)
    if "\r\n" in text:
        text = text.replace("\r\n", "\n")
    end = 0
    for match in _odd_in(text):
        odd = match[0]
        if match.start() > end:
            yield text[end : match.start()], False
        yield from ((show(odd), True),) if len(odd) == 1 else _few_marks(odd, show)
        end = match.end()
    if end < len(text):
        yield text[end:], False


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Me") or char in _JOINERS


def _odd_in(text: str) -> Iterator[re.Match[str]]:
    """Yield all that is odd in *text*."""
    for run in _UNUSUAL.finditer(text):
        yield from _ODD.finditer(text, *run.span())


def _few_marks(run: str, show: _Show) -> Iterator[tuple[str, bool]]:
    """Yield *run* without the marks after the first few of each letter, and in their place how many there were."""
    kept: list[str] = []
    marks = 0
    for char in (*run, ""):
        if char and _is_mark(char):
            marks += 1
            if marks > MOST_MARKS:
                continue
        elif marks > MOST_MARKS:
            yield "".join(kept), False
            yield show(f"+{marks - MOST_MARKS} marks"), True
            kept, marks = [], 0
        else:
            marks = 0
        kept.append(char)
    if any(kept):
        yield "".join(kept), False


def _box_of(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _BOX.format(match[1])
    pieces = _few_marks(match[0], _in_box) if len(match[0]) > 1 else [(_in_box(match[0]), True)]
    return "".join(_BOX.format(piece) if is_odd else piece for piece, is_odd in pieces)


def _in_box(odd: str) -> str:
    """Return the name in a box: U+202E, for the best known characters ESC, BEL, ..., or how many marks were cut."""
    return odd if len(odd) > 1 else _NAMES.get(ord(odd)) or f"U+{ord(odd):04X}"


def _sign(odd: str) -> str:
    """Return the sign that a terminal shows: one column for C0, a code for the others."""
    if len(odd) > 1:
        return f"<{odd}>"
    code = ord(odd)
    if code < 0x20:
        return chr(0x2400 + code)
    if 0x7F < code < 0xA0:
        return f"\\x{code:02x}"
    if 0xD800 <= code < 0xE000:
        return "\ufffd"
    return "\u2421" if code == 0x7F else f"<U+{code:04X}>"
