"""Shortens what is long for a page: outputs, lines and pictures; and says how long it was."""

from __future__ import annotations

import base64
import binascii
import re

import attrs

from .words import count_lines, counted, size_of

HEAD, TAIL = 45, 15
"""How many lines of a long text are kept at its beginning and at its end."""
LONGEST_LINE = 1_000
"""How many characters of a line are kept."""

_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]+={0,2})")
_MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "gif": b"GIF8", "webp": b"RIFF"}
LARGEST_PICTURE = 1_000_000
"""How many bytes a picture may have, as text, to be shown."""
ALL_PICTURES = 20_000_000
"""How many bytes all pictures of one page may have."""


@attrs.frozen
class Cut:
    """A text in up to two pieces, and the note about what was left out between them; empty if nothing was."""

    head: str
    note: str = ""
    tail: str = ""


def cut(text: str, *, is_whole: bool = False) -> Cut:
    """Return *text* as a page shows it: without trailing blank lines, and shortened unless *is_whole*."""
    text = text.rstrip("\n")
    if is_whole:
        return Cut(text)
    count = count_lines(text)
    if count <= HEAD + TAIL:
        return Cut(_short_lines(text))
    begin = end = 0
    for _ in range(HEAD):
        begin = text.index("\n", begin) + 1
    end = len(text)
    for _ in range(TAIL):
        end = text.rindex("\n", 0, end)
    note = f"… {counted(count - HEAD - TAIL, 'line')} left out, {size_of(len(text))} in all …"
    return Cut(_short_lines(text[: begin - 1]), note, _short_lines(text[end + 1 :]))


def _short_lines(text: str) -> str:
    if len(text) <= LONGEST_LINE:
        return text
    return "\n".join(
        line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} … {size_of(len(line) - LONGEST_LINE)} more"
        for line in text.split("\n")
    )


class Pictures:
    """Decides which pictures a page shows: only those that are in the file, of a known kind, and not too large.

    Args:
        is_whole: whether the size does not matter.
    """

    def __init__(self, *, is_whole: bool = False) -> None:
        self._is_whole = is_whole
        self._left = ALL_PICTURES

    def source(self, url: str | None) -> str | None:
        """Return *url* if the page shows it, and then only letters that an attribute may hold; else `None`."""
        if url is None or not url.startswith("data:image/") or not (self._is_whole or len(url) <= LARGEST_PICTURE):
            return None
        match = _PICTURE.fullmatch(url)
        if match is None or not (self._is_whole or len(url) <= self._left):
            return None
        try:
            begin = base64.b64decode(match[2][:24], validate=True)
        except binascii.Error:
            return None
        if not begin.startswith(_MAGIC[match[1]]):
            return None
        self._left -= len(url)
        return url
