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
# A command of the program itself, such as `/compact`, says nothing about the session.
_BARE_COMMAND = re.compile(r"\s*/[\w:-]+\s*")
# Editors put open files and the like before the request.
_REQUEST = re.compile(r"^## My request for Codex:[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+][ \t]+|\d{1,3}[.)][ \t]+)", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{1,200})\]\([^()\s]{1,500}\)")
_MARK = re.compile(r"\*\*|__|~~|`+")
_BLANK = re.compile(r"[ \t\r\n]+")
# Claude Code notes commands that a person typed, and what they printed, in such tags.
_NOTED = re.compile(
    r"\s*<((?:command-(?:name|message|args))|(?:local-command-(?:stdout|stderr|caveat))|(?:bash-(?:input|stdout|stderr)))>"
    r"(.*?)</\1>\s*",
    re.DOTALL,
)
_SENTENCE_END = re.compile(r"(?<=[^\s.])[.!?](?=\s+\S)|[。！？]")


def as_typed(text: str) -> str:
    """Return what a person typed in *text*, all of a part of a user's message; empty if a program wrote it.

    >>> as_typed("<command-name>/compact</command-name><command-args>keep the tests</command-args>")
    '/compact keep the tests'
    """
    if text.lstrip()[:1] in ("<", "#", "A", "W"):
        if is_surroundings(text) or _ADDED.fullmatch(text) is not None:
            return ""
        if (noted := _noted(text)) is not None:
            command = noted.get("command-name", noted.get("command-message", ""))
            shell = f"! {noted['bash-input']}" if "bash-input" in noted else ""
            return " ".join(filter(None, (command, noted.get("command-args"), shell)))
    return text


def is_added(text: str) -> bool:
    """Whether a program, and not a person, wrote *text*, all of a part of a user's message."""
    return text != "" and not as_typed(text)


def _noted(text: str) -> dict[str, str] | None:
    """Return the texts in the tags of Claude Code, by their names, if *text* has nothing else."""
    found: dict[str, str] = {}
    end = 0
    while (match := _NOTED.match(text, end)) is not None:
        found[match[1]] = match[2].strip()
        end = match.end()
    return found if found and end == len(text) else None


def typed_text(message: Mapping[str, Any]) -> str:
    """Return what a person typed in *message*, the object of a user's message: its text, without added parts."""
    parts = [part.get("text") for part in message.get("content", ()) if isinstance(part, Mapping)]
    return "\n\n".join(typed for text in parts if isinstance(text, str) and (typed := as_typed(text)).strip())


def title_of(text: str) -> str:
    r"""Return *text*, which a person typed, as one line without the marks of Markdown.

    >>> title_of("## Fix the **tide table**\n\nIt skips `2026`.")
    'Fix the tide table It skips 2026.'
    """
    if (request := _REQUEST.search(text)) is not None:
        text = text[request.end() :]
    plain = text[: 20 * LONGEST]
    if "```" in plain or "~~~" in plain:
        plain = _FENCE.sub("", plain)
    plain = _LINE_MARK.sub("", plain)
    if "](" in plain:
        plain = _LINK.sub(r"\1", plain)
    plain = _MARK.sub("", plain)
    return _BLANK.sub(" ", plain).strip()[:LONGEST]


def is_good_title(text: str) -> bool:
    """Whether *text* is a better title than a later message: it is not all inside of one tag, nor only a command."""
    return bool(text.strip()) and _TAGGED.fullmatch(text) is None and _BARE_COMMAND.fullmatch(text) is None


def sentence(title: str) -> str:
    """Return the first sentence of *title*, without its full stop.

    >>> sentence("The tide table skips a high water. Find out why.")
    'The tide table skips a high water'
    """
    end = _SENTENCE_END.search(title, 12)
    found = title if end is None else title[: end.end()]
    return found.removesuffix("。") if found.endswith("。") else found.removesuffix(".")
