"""Each entry of a session as a piece of a page: messages, calls with their outputs, reasoning, and all others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import attrs
from markupsafe import Markup

from .cuts import Pictures, cut
from .entries import (
    Call,
    Entry,
    Instruction,
    Logged,
    Note,
    Other,
    Output,
    Picture,
    Said,
    Skipped,
    Thought,
    Turn,
)
from .facts import call_facts
from .html import render
from .markup import Colours, diff, is_diff, markdown
from .outputs import Image
from .safe import for_html, one_line
from .words import count_lines, counted, size_of

_OPEN_LINES = 6  # an output with at most so many lines is unfolded
_LONGEST_HEAD = 300  # characters of a command in its one line
_LONGEST_MESSAGE = 100_000  # a longer message is shown as text and cut, not as Markdown
_LONGEST_INSTRUCTION = 1_500
_LONGEST_DETAIL = 2_000

_NO_ID = Markup()
_macro = partial(render, "page.html")


@attrs.frozen
class _Shot:
    source: str | None
    caption: str


@attrs.frozen
class _Place:
    """Where an entry is on the page, and in the file: its attribute ``id``, and the link to it, as HTML."""

    id: Markup
    at: Markup
    images: tuple[_Shot, ...] = ()


class Blocks:
    """Makes the pieces of one page, in order: no two have the same id, and all pictures together are not too large.

    Args:
        is_whole: whether nothing is cut.
        is_live: whether the session is still recorded, so that an output may come later.

    Attributes:
        folds: how many of the pieces can be unfolded.
    """

    def __init__(self, *, is_whole: bool = False, is_live: bool = False) -> None:
        self.folds = 0
        self._is_live = is_live
        self._is_whole = is_whole
        self._colours = Colours()
        self._pictures = Pictures(is_whole=is_whole)
        self._ids: set[str] = set()

    def of(self, entry: Entry) -> str:
        """Return the piece of *entry*."""
        for kind, show in _SHOW.items():
            if isinstance(entry, kind):
                return show(self, entry)
        raise TypeError(entry)

    def beginning(self, entry: Said, turn: Turn) -> str:
        """Return the piece of *entry*, the message that begins *turn*."""
        place = self._place(entry, entry.images)
        who = "You" if entry.role == "user" else _agent(entry)
        return _macro("you", turn_name(turn), who, place, self._message(entry.text, 3))

    def _said(self, entry: Said) -> str:
        place = self._place(entry, entry.images)
        who = {"assistant": "Assistant", "user": "You"}.get(entry.role) or _agent(entry)
        return _macro("said", who, place, self._message(entry.text, 4))

    def _message(self, text: str, heading: int) -> Markup:
        if len(text) > _LONGEST_MESSAGE:
            return Markup(f'<pre tabindex="0">{self._cut(text)}</pre>')
        return Markup(markdown(text.strip("\n"), heading, self._colours))

    def _thought(self, entry: Thought) -> str:
        place = self._place(entry)
        if not entry.text:
            return _macro("encrypted", entry.title, place)
        self.folds += 1
        return _macro("thought", entry.title, place, self._message(entry.text, 4))

    def _call(self, entry: Call) -> str:
        result = entry.result
        place = self._place(entry, () if result is None else result.images)
        command = entry.call.command
        bodies: list[tuple[Markup, Markup]] = []
        if entry.call.diff is not None:
            bodies.append((_NO_ID, self._cut(entry.call.diff, diff)))
        elif "\n" in command or len(command) > _LONGEST_HEAD:
            bodies.append((_NO_ID, self._cut(command, _shell_code if entry.call.is_shell else for_html)))
        lines = 0
        if result is not None and (lines := count_lines(result.text.rstrip("\n"))):
            bodies.append((_id(self._name(entry, entry.result_line)), self._cut(result.text)))
        is_diff_shown = entry.call.diff is not None or (result is not None and is_diff(result.text))
        first, _, rest = command.strip("\n").partition("\n")
        is_short = 0 < lines + count_lines(rest) <= _OPEN_LINES
        is_open = entry.is_failed or is_diff_shown or is_short or bool(place.images)
        sign = "$ " if entry.call.is_shell else ""
        more = f"+{counted(count_lines(rest), 'line')}" if rest else ""
        self.folds += 1
        return _macro(
            "call",
            place,
            sign + one_line(first, _LONGEST_HEAD),
            more,
            call_facts(entry, lines, is_live=self._is_live),
            bodies,
            is_open,
            entry.is_failed,
        )

    def _output(self, entry: Output) -> str:
        what = "output" if entry.call is None else f"output of {one_line(entry.call.command, 100)}"
        lines = count_lines(entry.result.text.rstrip("\n"))
        place = self._place(entry, entry.result.images)
        meta = [counted(lines, "line")] if lines else []
        is_bad = entry.result.is_failed
        self.folds += 1
        return _macro("call", place, what, "", meta, [(_NO_ID, self._cut(entry.result.text))], is_bad, is_bad)

    def _picture(self, entry: Picture) -> str:
        return _macro("picture", self._place(entry, (entry.image,)), one_line(entry.prompt, _LONGEST_DETAIL))

    def _logged(self, entry: Logged) -> str:
        first, _, rest = entry.text.partition("\n")
        extra = "\n".join(f"{key} = {value}" for key, value in entry.extra.items())
        body = "\n".join(filter(None, (rest, entry.details, extra)))
        is_bad = entry.level in ("ERROR", "CRITICAL")
        self.folds += bool(body)
        return _macro(
            "log",
            self._place(entry),
            one_line(entry.level, 40),
            one_line(entry.logger, 100),
            one_line(first, _LONGEST_DETAIL),
            self._cut(body) if body else "",
            is_bad,
        )

    def _note(self, entry: Note) -> str:
        return _macro("note", self._place(entry), entry.text, one_line(entry.detail, _LONGEST_DETAIL), False)

    def _skipped_line(self, entry: Skipped) -> str:
        return _macro("note", self._place(entry), f"Line {entry.line:,} cannot be read", entry.reason, True)

    def _instruction(self, entry: Instruction) -> str:
        text = entry.text
        if not self._is_whole and len(text) > _LONGEST_INSTRUCTION:
            text = text[:_LONGEST_INSTRUCTION] + " …"
        head = f"{one_line(entry.role, 40)} {one_line(entry.type, 40).replace('_', ' ')}"
        bodies = [(_NO_ID, self._cut(text))] if text else []
        self.folds += 1
        return _macro("call", self._place(entry), head, "", [size_of(entry.size)], bodies, False, False)

    def _other(self, entry: Other) -> str:
        self.folds += 1
        bodies = [(_NO_ID, self._cut(entry.text))]
        return _macro("call", self._place(entry), one_line(entry.name, 100), "", [], bodies, False, False)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _cut(self, text: str, show: Callable[[str], str] | None = None) -> Markup:
        """Return *text* for a ``<pre>``, cut unless the whole is wanted."""
        if show is None:
            show = diff if is_diff(text) else for_html
        piece = cut(text, is_whole=self._is_whole)
        found = show(piece.head)
        if piece.note:
            found = f'{found}\n<span class="c">    {piece.note}</span>\n{show(piece.tail)}'
        # A parser drops a newline that follows `<pre>`.
        return Markup("\n" + found if found.startswith("\n") else found)

    def _place(self, entry: Entry, images: Iterable[Image] = ()) -> _Place:
        name = self._name(entry, entry.line)
        clock, title = f"line {entry.line}", ""
        if entry.time is not None:
            # `strftime` takes twice as long.
            time = entry.time.astimezone(dt.UTC).isoformat(timespec="milliseconds")[:23]
            clock = time[11:19]
            title = f' title="line {entry.line}, {time}Z"'
        link = f'<a class="at" href="#{name}"{title}>{clock}</a>' if name else f'<span class="at">{clock}</span>'
        return _Place(_id(name), Markup(link), tuple(map(self._shot, images)))

    def _name(self, entry: Entry, line: int | None) -> str:
        """Return the name of *line*, to which a link can lead; empty if an earlier entry is from the same line."""
        name = "" if line is None else f"{'P' if entry.inherited else 'L'}{line}"
        if name in self._ids:
            return ""
        self._ids.add(name)
        return name

    def _shot(self, image: Image) -> _Shot:
        source = self._pictures.source(image.url)
        if source is not None:
            return _Shot(source, f"Picture, {size_of(image.size)}")
        where = "which is not in the file" if not image.size else f"{size_of(image.size)}, not shown"
        return _Shot(None, f"[picture, {where}]")


_SHOW: dict[type[Entry], Callable[[Blocks, Any], str]] = {
    Said: Blocks._said,
    Thought: Blocks._thought,
    Call: Blocks._call,
    Output: Blocks._output,
    Picture: Blocks._picture,
    Logged: Blocks._logged,
    Note: Blocks._note,
    Skipped: Blocks._skipped_line,
    Instruction: Blocks._instruction,
    Other: Blocks._other,
}


def _id(name: str) -> Markup:
    return Markup(f' id="{name}"' if name else "")


def turn_name(turn: Turn) -> int | str:
    """Return what *turn* is called in links: its number, after a P in the part that was inherited."""
    return f"P{turn.number}" if turn.inherited else turn.number


def _agent(entry: Said) -> str:
    return f"Agent {one_line(entry.author, 60)}" if entry.author else "Agent"


def _shell_code(text: str) -> str:
    return f"<code>{for_html(text)}</code>"
