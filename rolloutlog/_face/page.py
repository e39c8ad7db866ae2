"""A session as one HTML page without a script: the conversation, with calls and reasoning folded."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import attrs
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from .._entries import LogEntry, OtherEntry
from .._usage import Requests, of_log
from .._version import __version__
from .cuts import Pictures, cut, lines_in
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
    Part,
    Picture,
    Said,
    Skipped,
    Thought,
    Turn,
    TurnEnd,
    is_shown,
)
from .heads import Head
from .markup import Colours, diff, is_diff, markdown
from .outputs import Image
from .safe import for_html, for_terminal, one_line
from .titles import sentence, title_of
from .transcript import Reader, Transcript
from .words import counted, lasted, size_of

_OPEN_LINES = 6  # an output with at most so many lines is unfolded
_LONGEST_HEAD = 300  # characters of a command in its one line
_LONGEST_MESSAGE = 100_000  # a longer message is shown as text and cut, not as Markdown
_LONGEST_INSTRUCTION = 1_500
_LONGEST_DETAIL = 2_000

_NO_ID = Markup()


@attrs.frozen
class Options:
    """How much of a session a page shows.

    Attributes:
        depth: as for `transcript.is_shown`.
        is_whole: whether nothing is cut.
        parent_page: the name of the parent's page, if it is in the same folder.
        notes: sentences for the foot of the page.
    """

    depth: Depth = "tools"
    is_whole: bool = False
    parent_page: str | None = None
    notes: tuple[str, ...] = ()


def page(transcript: Transcript, options: Options = Options()) -> str:
    """Return the page of *transcript*.

    Raises:
        OSError: the session cannot be read.
    """
    return _Page(transcript, options).render()


# --- the environment --------------------------------------------------------------------------------------------------


def _shown(value: Any) -> Any:
    """Neutralise and escape *value*, unless it is HTML: the last thing that happens to each value of the template."""
    return Markup(for_html(value)) if type(value) is str else value


@cache
def _macros() -> Any:
    loader = PackageLoader("rolloutlog", "_face")
    return Environment(autoescape=True, finalize=_shown, loader=loader).get_template("page.html").module


def _macro(name: str, *values: Any, **named: Any) -> str:
    """Return the HTML that the macro *name* of the template makes of *values*."""
    return str(getattr(_macros(), name)(*values, **named))


@cache
def _css() -> str:
    return (files("rolloutlog") / "_face" / "page.css").read_text(encoding="utf-8").strip()


def policy(css: str) -> str:
    """Return the content security policy of a page with the style *css*: no script, no request, only that style."""
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


# --- the page ---------------------------------------------------------------------------------------------------------


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


@attrs.define
class _Content:
    """A line of the contents."""

    number: int
    title: str
    calls: str = ""
    failed: str = ""


class _Page:
    def __init__(self, transcript: Transcript, options: Options) -> None:
        self._transcript, self._options = transcript, options
        self._colours = Colours()
        self._pictures = Pictures(is_whole=options.is_whole)
        self._contents: list[_Content] = []
        self._ids: set[str] = set()
        self._turn: Turn | None = None
        self._begins = False  # the next message is the one that begins the turn
        self._instructions: list[str] = []
        self._instruction_bytes = 0
        self._folds = 0
        self._tokens: tuple[int, ...] = (0, 0, 0, 0)  # as `Tokens`

    def render(self) -> str:
        """Return the whole page."""
        own: list[str] = []
        inherited: list[str] = []
        turns = 0
        reader = Reader(self._transcript.head)
        for part in self._read(reader):
            turns += isinstance(part, Turn) and part.inherited and part.number > 0
            target = inherited if part.inherited else own
            target.extend(self._part(part))
        parts = [*self._before(), *self._fork(inherited, turns), *own]
        return self._whole(parts, reader.counts)

    def _read(self, reader: Reader) -> Iterator[Part]:
        """Yield the parts of the transcript, and count the tokens that its own lines tell."""
        requests = Requests(self._transcript.head.id)
        for line in self._transcript._lines():
            entry, tokens = line.entry, None
            if isinstance(entry, OtherEntry):
                tokens = requests.of(entry.type, entry.raw.get("payload"))
            elif isinstance(entry, LogEntry):
                tokens = of_log(entry.logger, entry.extra)
            if tokens is not None and not line.inherited:
                self._tokens = tuple(map(sum, zip(self._tokens, tokens, strict=True)))
            yield from reader.read(line)
        yield from reader.end()

    def _whole(self, parts: list[str], counts: Counts) -> str:
        head = self._transcript.head
        title = sentence(head.title) or f"Session {head.short_id}"
        css = _css()
        return _macro(
            "page",
            csp=policy(css),
            css=Markup(css),
            generator=f"rolloutlog {__version__}",
            title={"plain": Markup(escape(for_terminal(title))), "shown": title},
            kick=" · ".join(filter(None, (head.short_id, one_line(head.program or "", 80)))),
            facts=_facts(head, counts, self._tokens),
            warnings=_warnings(head, counts),
            contents=self._contents if len(self._contents) > 1 else [],
            parts=Markup("".join(parts)),
            has_folds=self._folds > 0,
            footer=" ".join((f"Made by rolloutlog {__version__} from {head.path.name}.", *self._options.notes)),
        )

    def _before(self) -> Iterator[str]:
        if self._instructions:
            count = counted(len(self._instructions), "item")
            yield _macro("before", count, size_of(self._instruction_bytes))
            yield from self._instructions
            yield "</details>\n"

    def _fork(self, inherited: list[str], turns: int) -> Iterator[str]:
        if inherited:
            parent = (self._transcript.head.parent_id or "another session")[-8:]
            yield _macro("inherited", counted(turns, "turn"), parent, self._options.parent_page)
            yield from inherited
            yield "</details>\n"

    # -- turns and entries --------------------------------------------------------------------------------------------

    def _part(self, part: Part) -> Iterator[str]:
        if isinstance(part, Turn):
            self._turn, self._begins = part, part.number > 0
            yield _macro("turn", part.number if not part.inherited else f"P{part.number}", self._begins)
        elif isinstance(part, TurnEnd):
            self._end_turn(part)
            self._turn = None
            yield "</section>\n"
        elif isinstance(part, Instruction) and self._turn is None and not part.inherited:
            if is_shown_before(self._options.depth):
                self._instructions.append(self._instruction(part))
                self._instruction_bytes += part.size
        elif is_shown(part, self._options.depth):
            yield self._entry(part)

    def _end_turn(self, end: TurnEnd) -> None:
        if self._contents and self._contents[-1].number == end.number and end.calls and not end.inherited:
            self._contents[-1].calls = counted(end.calls, "call")
            self._contents[-1].failed = f"{end.failed} failed" if end.failed else ""

    def _entry(self, entry: Entry) -> str:
        # Each kind has a method, and a new kind without one is shown by the last.
        for kind, show in _SHOW.items():
            if isinstance(entry, kind):
                return show(self, entry)
        raise TypeError(entry)

    def _said(self, entry: Said) -> str:
        place = self._place(entry, entry.images)
        if self._begins and self._turn is not None and entry.role != "assistant":
            self._begins = False
            number, who = self._turn.number, "You" if entry.role == "user" else _agent(entry)
            name = number if not entry.inherited else f"P{number}"
            if not entry.inherited:
                self._contents.append(_Content(number, title_of(entry.text)[:140] or "(a picture)"))
            return _macro("you", name, who, place, self._message(entry.text, 3))
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
        self._folds += 1
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
        if result is not None and (lines := lines_in(result.text.rstrip("\n"))):
            bodies.append((_id(self._name(entry, entry.result_line)), self._cut(result.text)))
        is_diff_shown = entry.call.diff is not None or (result is not None and is_diff(result.text))
        first, _, rest = command.strip("\n").partition("\n")
        is_short = 0 < lines + lines_in(rest) <= _OPEN_LINES
        is_open = entry.is_failed or is_diff_shown or is_short or bool(place.images)
        sign = "$ " if entry.call.is_shell else ""
        more = f"+{counted(lines_in(rest), 'line')}" if rest else ""
        self._folds += 1
        return _macro(
            "call",
            place,
            sign + one_line(first, _LONGEST_HEAD),
            more,
            _meta(entry, lines),
            bodies,
            is_open,
            entry.is_failed,
        )

    def _output(self, entry: Output) -> str:
        what = "output" if entry.call is None else f"output of {one_line(entry.call.command, 100)}"
        lines = lines_in(entry.result.text.rstrip("\n"))
        place = self._place(entry, entry.result.images)
        meta = [counted(lines, "line")] if lines else []
        is_bad = entry.result.is_failed
        self._folds += 1
        return _macro("call", place, what, "", meta, [(_NO_ID, self._cut(entry.result.text))], is_bad, is_bad)

    def _picture(self, entry: Picture) -> str:
        return _macro("picture", self._place(entry, (entry.image,)), one_line(entry.prompt, _LONGEST_DETAIL))

    def _logged(self, entry: Logged) -> str:
        first, _, rest = entry.text.partition("\n")
        extra = "\n".join(f"{key} = {value}" for key, value in entry.extra.items())
        body = "\n".join(filter(None, (rest, entry.details, extra)))
        is_bad = entry.level in ("ERROR", "CRITICAL")
        self._folds += bool(body)
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
        if not self._options.is_whole and len(text) > _LONGEST_INSTRUCTION:
            text = text[:_LONGEST_INSTRUCTION] + " …"
        head = f"{one_line(entry.role, 40)} {one_line(entry.type, 40).replace('_', ' ')}"
        bodies = [(_NO_ID, self._cut(text))] if text else []
        self._folds += 1
        return _macro("call", self._place(entry), head, "", [size_of(entry.size)], bodies, False, False)

    def _other(self, entry: Other) -> str:
        self._folds += 1
        bodies = [(_NO_ID, self._cut(entry.text))]
        return _macro("call", self._place(entry), one_line(entry.name, 100), "", [], bodies, False, False)

    # -- pieces -------------------------------------------------------------------------------------------------------

    def _cut(self, text: str, show: Callable[[str], str] | None = None) -> Markup:
        """Return *text* for a ``<pre>``, cut unless the whole is wanted."""
        if show is None:
            show = diff if is_diff(text) else for_html
        piece = cut(text, is_whole=self._options.is_whole)
        found = show(piece.head)
        if piece.note:
            found = f'{found}\n<span class="c">    {piece.note}</span>\n{show(piece.tail)}'
        # A parser drops a newline that follows `<pre>`.
        return Markup("\n" + found if found.startswith("\n") else found)

    def _place(self, entry: Entry, images: Iterable[Image] = ()) -> _Place:
        name = self._name(entry, entry.line)
        clock, title = f"line {entry.line}", ""
        if entry.time is not None:
            time = entry.time.astimezone(dt.UTC)
            clock = f"{time:%H:%M:%S}"
            title = f' title="line {entry.line}, {time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z"'
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


_SHOW: dict[type[Entry], Callable[[_Page, Any], str]] = {
    Said: _Page._said,
    Thought: _Page._thought,
    Call: _Page._call,
    Output: _Page._output,
    Picture: _Page._picture,
    Logged: _Page._logged,
    Note: _Page._note,
    Skipped: _Page._skipped_line,
    Instruction: _Page._instruction,
    Other: _Page._other,
}


def _id(name: str) -> Markup:
    return Markup(f' id="{name}"' if name else "")


def is_shown_before(depth: Depth) -> bool:
    """Whether the fold with the instructions before the conversation is shown at *depth*."""
    return depth not in ("user", "talk")


def _agent(entry: Said) -> str:
    return f"Agent {one_line(entry.author, 60)}" if entry.author else "Agent"


def _shell_code(text: str) -> str:
    return f"<code>{for_html(text)}</code>"


def _meta(entry: Call, lines: int) -> list[Markup | str]:
    """Return the facts about a call at the end of its line."""
    result = entry.result
    if result is None:
        return [Markup("<b>no output</b>")]
    found: list[Markup | str] = []
    if result.exit_code:
        found.append(Markup(f"<b>exit {result.exit_code}</b>"))
    elif result.is_failed:
        found.append(Markup("<b>failed</b>"))
    if result.seconds is not None and result.seconds >= 0.05:
        found.append(lasted(result.seconds))
    if lines:
        found.append(counted(lines, "line"))
    return found


def _facts(head: Head, counts: Counts, tokens: tuple[int, ...]) -> list[tuple[str, Markup | str]]:
    """Return the facts below the title: names of ours, and values."""
    facts: list[tuple[str, Markup | str]] = []
    if (began := counts.first or head.began) is not None:
        time = began.astimezone(dt.UTC)
        shown = f"{time.day} {time:%B %Y, %H:%M} UTC"
        facts.append(("Began", Markup(f'<time datetime="{time.isoformat(timespec="seconds")}">{shown}</time>')))
    if counts.first is not None and counts.last is not None and counts.last > counts.first:
        facts.append(("Lasted", lasted((counts.last - counts.first).total_seconds())))
    if head.model:
        facts.append(("Model", one_line(head.model, 60)))
    facts.append(("Turns", f"{counts.turns:,}"))
    inherited = f", and {counts.inherited:,} from before the fork" if counts.inherited else ""
    facts.append(("Items", f"{counts.items:,}{inherited}"))
    if counts.calls:
        failed = f", {counts.failed:,} failed" if counts.failed else ""
        facts.append(("Tool calls", f"{counts.calls:,}{failed}"))
    if any(tokens):
        read, cached, written, _ = tokens
        part = f", {cached / read:.0%} of these cached" if cached and read else ""
        facts.append(("Tokens", f"{written:,} written, {read:,} read{part}"))
    if head.cwd:
        facts.append(("Folder", Markup(f"<code>{for_html(one_line(head.cwd, 300))}</code>")))
    return facts


def _warnings(head: Head, counts: Counts) -> list[str]:
    found = []
    if counts.skipped:
        found.append(f"{counted(counts.skipped, 'line')} of the file cannot be read.")
    if head.is_torn:
        found.append("The last line of the file was not ended: the program that wrote it stopped there.")
    if head.meta is None:
        found.append("The file does not begin with the facts about its session.")
    return found
