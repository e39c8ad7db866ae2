"""Text for a stream whose encoding does not have each character: no character is lost, each is escaped."""

from __future__ import annotations

import codecs
from typing import TextIO

ESCAPES = "rolloutlog-escapes"
"""The name of the error handler, for ``errors=`` of a stream and of `str.encode`."""

# For the signs that we draw ourselves. Escapes in their place would be hard to read.
_STAND_INS = {
    "…": "...",
    "·": "-",
    "–": "-",
    "—": "-",
    "─": "-",
    "│": "|",
    "╰": "`",
    "→": ">",
    "↳": ">",
    "∴": "*",
    "×": "x",
}


def writable(text: str, stream: TextIO) -> str:
    r"""Return *text* with escapes for what *stream* cannot write.

    >>> import io
    >>> writable("東京 – Zürich…", io.TextIOWrapper(io.BytesIO(), "latin-1"))
    '\\u6771\\u4eac - Zürich...'
    """
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, ESCAPES).decode(encoding)


def _escape(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    begin, end = error.start, error.end
    pieces = []
    for at in range(begin, end):
        one = UnicodeEncodeError(error.encoding, error.object, at, at + 1, error.reason)
        pieces.append(_STAND_INS.get(error.object[at]) or str(codecs.backslashreplace_errors(one)[0]))
    return "".join(pieces), end


codecs.register_error(ESCAPES, _escape)
