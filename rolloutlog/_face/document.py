"""A session as one Markdown document: turns as headings, outputs folded; and no text breaks out of its place."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from html import escape

from .cuts import cut
from .entries import (
    Call,
    Counts,
    Depth,
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
    is_shown,
)
from .heads import Head
from .markup import is_harmless_source
from .outputs import Image
from .safe import for_terminal, one_line
from .ticks import code_in
from .titles import sentence
from .transcript import Transcript
from .turns import Reader
from .words import QUICK, count_lines, counted, lasted, size_of

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_HEADING = re.compile(r"^( {0,3})(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r"^( {0,3})(?=(?:=+|-+)[ \t]*$)")
_TICKS = re.compile(r"`+")
_LONGEST_HEAD = 200
_LONGEST_DETAIL = 2_000


def document(transcript: Transcript, depth: Depth = "tools", *, is_whole: bool = False) -> Iterator[str]:
    """Yield the document of *transcript*, piece by piece. The facts about it come last, when they are known.

    Args:
        transcript: the session.
        depth: as for `entries.is_shown`.
        is_whole: whether nothing is cut.
    """
    head = transcript.head
    yield f"# {_inline(sentence(head.title) or f'Session {head.short_id}')}\n\n{_facts(head)}\n"
    reader = Reader(head)
    turn: Turn | None = None
    for part in transcript.read(reader):
        if isinstance(part, Turn):
            turn = part if part.number else None
        elif isinstance(part, Entry) and is_shown(part, depth):
            begins = isinstance(part, Said) and part.role != "assistant" and turn is not None
            yield "\n" + "".join(_entry(part, turn if begins else None, is_whole))
            turn = None if begins else turn
    yield f"\n---\n\n{_summary(reader.counts)}\n"


def _facts(head: Head) -> str:
    began = head.began.astimezone(dt.UTC) if head.began is not None else None
    known = [
        f"`{one_line(head.short_id, 40)}`",
        f"{began.day} {began:%B %Y, %H:%M} UTC" if began is not None else "",
        *(_inline(one_line(text, 80)) for text in (head.model, head.program) if text),
    ]
    return " · ".join(filter(None, known))


def _summary(counts: Counts) -> str:
    found = [counted(counts.turns, "turn"), counted(counts.items, "item"), counted(counts.calls, "call")]
    found += [f"{counts.failed:,} failed"] * bool(counts.failed)
    found += [f"{counted(counts.skipped, 'line')} cannot be read"] * bool(counts.skipped)
    return ", ".join(found)


def _entry(entry: Entry, turn: Turn | None, is_whole: bool) -> Iterator[str]:
    if isinstance(entry, Said):
        who = {"user": "You", "assistant": "Assistant"}.get(
            entry.role
        ) or f"Agent {_inline(entry.author or '')}".rstrip()
        yield f"## {turn.number} · {who}\n\n" if turn is not None else f"### {who}\n\n"
        yield f"{prose(entry.text)}\n{_pictures(entry.images)}"
    elif isinstance(entry, Thought):
        body = prose(entry.text) if entry.text else ""
        yield f"*{_inline(entry.title)}*\n" if not body else _fold(f"<em>{_tag_text(entry.title)}</em>", body)
    elif isinstance(entry, Call):
        yield _call(entry, is_whole)
    elif isinstance(entry, Output):
        what = "output" if entry.call is None else f"output of {one_line(entry.call.command, 100)}"
        yield _fold(f"<code>{_tag_text(what)}</code>", _fenced(entry.result.text, is_whole))
    elif isinstance(entry, Logged):
        text = "\n".join(filter(None, (entry.text, entry.details, *(f"{k} = {v}" for k, v in entry.extra.items()))))
        yield f"**{_inline(entry.level)}** {_inline(entry.logger)}\n\n{_fenced(text, is_whole)}\n"
    elif isinstance(entry, Picture):
        yield f"{_pictures((entry.image,))}{_inline(entry.prompt)}\n"
    elif isinstance(entry, Note):
        detail = f": {_inline(one_line(entry.detail, _LONGEST_DETAIL))}" if entry.detail else ""
        yield f"*{_inline(entry.text)}*{detail}\n"
    elif isinstance(entry, Skipped):
        yield f"**Line {entry.line:,} cannot be read**: {_inline(entry.reason)}\n"
    elif isinstance(entry, Instruction):
        yield _fold(f"{_tag_text(entry.role)} {_tag_text(entry.type)}", _fenced(entry.text, is_whole))
    elif isinstance(entry, Other):
        yield _fold(_tag_text(entry.name), _fenced(entry.text, is_whole))


def _call(entry: Call, is_whole: bool) -> str:
    command, result = entry.call.command.strip("\n"), entry.result
    first, _, rest = command.partition("\n")
    sign = "$ " if entry.call.is_shell else ""
    head = f"<code>{_tag_text(sign + one_line(first, _LONGEST_HEAD))}</code>"
    facts = [f"+{counted(count_lines(rest), 'line')}"] if rest else []
    bodies = [_fenced(entry.call.diff, is_whole, "diff")] if entry.call.diff is not None else []
    if entry.call.diff is None and (rest or len(first) > _LONGEST_HEAD):
        bodies.append(_fenced(command, is_whole, "sh" if entry.call.is_shell else ""))
    if result is None:
        facts.append("no output")
    else:
        facts += [f"<b>exit {result.exit_code}</b>"] if result.exit_code else ["<b>failed</b>"] * result.is_failed
        facts += [lasted(result.seconds)] if result.seconds is not None and result.seconds >= QUICK else []
        if text := result.text.rstrip("\n"):
            facts.append(counted(count_lines(text), "line"))
            bodies.append(_fenced(text, is_whole))
        bodies += [_pictures(result.images)] if result.images else []
    return _fold(" · ".join([head, *facts]), "\n\n".join(bodies))


# --- pieces -----------------------------------------------------------------------------------------------------------


def _fold(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>\n" if body else f"{summary}\n"


def _tag_text(text: str) -> str:
    """Return *text* as one line inside of an HTML element: neither HTML nor Markdown is left in it."""
    shown = escape(for_terminal(one_line(text, _LONGEST_HEAD)))
    return re.sub(r"[\\`*_\[\]!~|:@#]", lambda match: f"&#{ord(match[0])};", shown)


def _inline(text: str) -> str:
    """Return *text* as one line of Markdown that shows it as it is."""
    shown = for_terminal(one_line(text, _LONGEST_DETAIL))
    return re.sub(r"([\\`*_\[\]<>&~|!]|^[#+-]|^\d+(?=[.)]))", r"\\\1", shown)


def _pictures(images: tuple[Image, ...]) -> str:
    where = (f"{size_of(image.size)}, left out" if image.size else "which is not in the file" for image in images)
    return "".join(f"\\[picture, {each}\\]\n" for each in where)


def _fenced(text: str, is_whole: bool, language: str = "") -> str:
    """Return *text* between two fences, each longer than any row of ticks in it."""
    piece = cut(text, is_whole=is_whole)
    body = "\n".join(filter(None, (piece.head, piece.note, piece.tail)))
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(body)), default=0))
    return f"{fence}{language}\n{for_terminal(body)}\n{fence}"


def prose(text: str) -> str:
    r"""Return *text*, which is Markdown, as a part of a document: without HTML and pictures, with small headings.

    A text that would still break out of its place is shown between fences.

    >>> prose("# Ready\n<b>![it](https://example.org/a.png)")
    '#### Ready\n&lt;b>!\\[it](https://example.org/a.png)'
    """
    shown = for_terminal(text.strip("\n"))
    lines = list(_harmless_lines(shown))
    found = "\n".join(lines)
    return found if is_harmless_source(found) else _fenced(text, True)


def _harmless_lines(text: str) -> Iterator[str]:
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if fence:
            if mark is not None and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            yield line
        elif mark is not None and not (mark[1][0] == "`" and "`" in mark[2]):
            fence = mark[1]
            yield line
        else:
            yield _harmless_line(line)
    if fence:
        yield fence


def _harmless_line(line: str) -> str:
    pieces, end = [], 0
    for start, (inner, stop) in code_in(line).items():
        if start >= end:
            after = stop + inner - start
            pieces += [_without_html(line[end:start]), line[start:after]]
            end = after
    shown = "".join([*pieces, _without_html(line[end:])])
    shown = _HEADING.sub(lambda match: match[1] + "#" * min(6, len(match[2]) + 3), shown)
    return _UNDERLINE.sub(r"\1\\", shown)


def _without_html(text: str) -> str:
    return _TAG.sub("&lt;", text).replace("![", "!\\[")
