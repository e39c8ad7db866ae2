"""The words of a message that a person typed, and a title made of them, without what programs added."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .._format.envelope import is_surroundings

# The longest title; a list shows less, and a page's heading its first sentence.
LONGEST = 300

# Texts in the user's name that other versions and programs add, beyond those that `is_surroundings` knows.
_ADDED = re.compile(
    r"\s*(?:<(user_instructions|environment_context|system-reminder|permissions[\w ]*)>.*</\1>"
    r"|(?:\#\ )?AGENTS\.md\ instructions\ for\ .*</INSTRUCTIONS>)\s*",
    re.DOTALL | re.VERBOSE,
)
# Any other text between two tags may be a person's, so it is shown; but it is the last choice for a title.
_TAGGED = re.compile(r"\s*<([A-Za-z][\w.-]*)(?:\s[^<>]*)?>.*</\1>\s*", re.DOTALL)
# Editors put open files and the like before the request.
_REQUEST = re.compile(r"^## My request for Codex:[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+|\d{1,3}[.)][ \t]+)", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)")
_MARK = re.compile(r"\*\*|__|~~|`+")
_BLANK = re.compile(r"[ \t\r\n]+")
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+\S)|[。！？]")


def is_added(text: str) -> bool:
    """Whether a program, and not a person, wrote *text*, all of a part of a user's message."""
    if is_surroundings(text):
        return True
    return text.lstrip()[:1] in ("<", "#", "A") and _ADDED.fullmatch(text) is not None


def typed_text(message: Mapping[str, Any]) -> str:
    """Return what a person typed in *message*, the object of a user's message: its text, without added parts."""
    parts = [part.get("text") for part in message.get("content", ()) if isinstance(part, Mapping)]
    return "\n\n".join(text for text in parts if isinstance(text, str) and text.strip() and not is_added(text))


def title_of(text: str) -> str:
    r"""Return *text*, which a person typed, as one line without the marks of Markdown.

    >>> title_of("## Fix the **tide table**\n\nIt skips `2026`.")
    'Fix the tide table It skips 2026.'
    """
    if (request := _REQUEST.search(text)) is not None:
        text = text[request.end() :]
    plain = _LINE_MARK.sub("", _FENCE.sub("", text[: 20 * LONGEST]))
    plain = _MARK.sub("", _LINK.sub(r"\1", plain))
    return _BLANK.sub(" ", plain).strip()[:LONGEST]


def is_good_title(text: str) -> bool:
    """Whether *text* is a better title than a later message: it is not all inside of one tag."""
    return bool(text.strip()) and _TAGGED.fullmatch(text) is None


def sentence(title: str) -> str:
    """Return the first sentence of *title*, without its full stop.

    >>> sentence("The tide table skips a high water. Find out why.")
    'The tide table skips a high water'
    """
    end = _SENTENCE_END.search(title, 12)
    found = title if end is None else title[: end.end()]
    return found.removesuffix("。") if found.endswith("。") else found.removesuffix(".")
