"""A session as one HTML page without a script: the conversation, with calls and reasoning folded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from html import escape

import attrs
from markupsafe import Markup

from .._entries import LogEntry, OtherEntry
from .._reading.lines import RolloutLine
from .._usage import Requests, of_log
from .._version import __version__
from .blocks import Blocks, turn_name
from .entries import Counts, Depth, Instruction, Part, Said, Turn, TurnEnd, is_shown
from .facts import facts_of, warnings_of
from .heads import Head
from .html import css, policy, render
from .safe import for_terminal, one_line
from .titles import sentence, title_of
from .transcript import Transcript
from .turns import Reader
from .words import counted, size_of

STYLE = "page.css"

# After so many lines the one who asked for a page may leave.
_LINES_AT_ONCE = 200
_macro = partial(render, "page.html")


@attrs.frozen
class Options:
    """How much of a session a page shows.

    Attributes:
        depth: as for `entries.is_shown`.
        is_whole: whether nothing is cut.
        parent_page: the address of the parent's page, if there is one.
        links: links to other pages, each an address of ours and its text.
    """

    depth: Depth = "tools"
    is_whole: bool = False
    parent_page: str | None = None
    links: tuple[tuple[str, str], ...] = ()


def page(transcript: Transcript, options: Options = Options()) -> str:
    """Return the page of *transcript*.

    Raises:
        OSError: the session cannot be read.
    """
    return "".join(pieces(transcript, options))


def pieces(transcript: Transcript, options: Options = Options()) -> Iterator[str]:
    """Yield the page of *transcript* in pieces, some of them empty: while it is read, nothing can be shown yet.

    Raises:
        OSError: the session cannot be read.
    """
    made, reader = PageMaker(transcript.head, options), Reader(transcript.head)
    yield made.begin()
    yield from made.read(transcript.lines(), reader)
    for part in reader.end():
        made.add(part)
    yield from made.top(reader.counts)
    yield made.end()


class PageMaker:
    """Makes the page of one session: `begin`, then `read` and `add`, then `top`, later parts by `more`, then `end`.

    The facts, the contents and the instructions come before the conversation, so all parts that are known are added
    before `top` is made. Later ones, of a session that is followed, are appended.

    Args:
        head: the session's head.
        options: how much is shown.
        is_live: whether parts are appended after `top`.
    """

    def __init__(self, head: Head, options: Options, *, is_live: bool = False) -> None:
        self._head, self._options, self._is_live = head, options, is_live
        self._blocks = Blocks(is_whole=options.is_whole, is_live=is_live)
        self._contents: list[_Content] = []
        self._turn: Turn | None = None
        self._begins = False  # the next message is the one that begins the turn
        self._own: list[str] = []
        self._inherited: list[str] = []
        self._inherited_turns = 0
        self._instructions: list[str] = []
        self._instruction_bytes = 0
        self._has_top = False
        self._requests = Requests(head.id)
        self._tokens: tuple[int, ...] = (0, 0, 0, 0)  # as `Tokens`

    def begin(self) -> str:
        """Return the beginning of the page, up to its title, which is known at once."""
        head, style = self._head, css(STYLE)
        title = sentence(head.title) or f"Session {head.short_id}"
        return _macro(
            "begin",
            csp=policy(style),
            css=Markup(style),
            generator=f"rolloutlog {__version__}",
            title={"plain": Markup(escape(for_terminal(title))), "shown": title},
            kick=" · ".join(filter(None, (head.short_id, one_line(head.program or "", 80)))),
            links=self._options.links,
        )

    def read(self, lines: Iterator[RolloutLine], reader: Reader) -> Iterator[str]:
        """Add what *reader* makes of *lines*; yield an empty piece now and then."""
        for count, line in enumerate(lines):
            self.count_tokens(line)
            for part in reader.read(line):
                self.add(part)
            if count % _LINES_AT_ONCE == 0:
                yield ""

    def count_tokens(self, line: RolloutLine) -> None:
        """Count the tokens that *line* tells, if it is the session's own."""
        entry, tokens = line.entry, None
        if isinstance(entry, OtherEntry):
            tokens = self._requests.of(entry.type, entry.raw.get("payload"))
        elif isinstance(entry, LogEntry):
            tokens = of_log(entry.logger, entry.extra)
        if tokens is not None and not line.inherited:
            self._tokens = tuple(map(sum, zip(self._tokens, tokens, strict=True)))

    def add(self, part: Part) -> None:
        """Add *part*."""
        if isinstance(part, Turn) and part.inherited and part.number > 0:
            self._inherited_turns += 1
        if shown := self.more(part):
            (self._inherited if part.inherited else self._own).append(shown)

    def top(self, counts: Counts) -> Iterator[str]:
        """Yield the facts, the contents, the instructions, and the conversation so far."""
        facts = facts_of(self._head, counts, self._tokens)
        if self._is_live:
            facts.insert(0, ("State", "open: what is recorded now appears at the end"))
        yield _macro(
            "top",
            facts=facts,
            warnings=warnings_of(self._head, counts),
            contents=self._contents if len(self._contents) > 1 else [],
            has_folds=self._blocks.folds > 0 or self._is_live,
        )
        if self._instructions:
            count = counted(len(self._instructions), "item")
            yield _macro("before", count, size_of(self._instruction_bytes))
            yield from self._instructions
            yield "</details>\n"
        if self._inherited:
            parent = (self._head.parent_id or "another session")[-8:]
            turns = counted(self._inherited_turns, "turn")
            yield _macro("inherited", turns, parent, self._options.parent_page)
            yield from self._inherited
            yield "</details>\n"
        yield from self._own
        self._has_top = True
        self._instructions, self._inherited, self._own = [], [], []

    def more(self, part: Part) -> str:
        """Return *part* as a piece of the conversation, which may be empty."""
        if isinstance(part, Turn):
            self._turn, self._begins = part, part.number > 0
            return _macro("turn", turn_name(part), self._begins)
        if isinstance(part, TurnEnd):
            self._end_turn(part)
            self._turn = None
            return "</section>\n"
        if isinstance(part, Instruction) and self._turn is None and not part.inherited and not self._has_top:
            if self._options.depth not in ("user", "talk"):
                self._instructions.append(self._blocks.of(part))
                self._instruction_bytes += part.size
            return ""
        if not is_shown(part, self._options.depth):
            return ""
        if self._begins and self._turn is not None and isinstance(part, Said) and part.role != "assistant":
            self._begins = False
            if not part.inherited:
                title = title_of(part.text)[:140] or "(a picture)"
                self._contents.append(_Content(self._turn.number, title))
            return self._blocks.beginning(part, self._turn)
        return self._blocks.of(part)

    def said_by_us(self, text: str) -> str:
        """Return *text*, which is about the session's file, as a piece of the conversation."""
        return _macro("happened", text)

    def end(self) -> str:
        """Return the end of the page."""
        return _macro("end", f"Made by rolloutlog {__version__} from {self._head.path.name}.")

    def _end_turn(self, end: TurnEnd) -> None:
        if self._contents and self._contents[-1].number == end.number and end.calls and not end.inherited:
            self._contents[-1].calls = counted(end.calls, "call")
            self._contents[-1].failed = f"{end.failed} failed" if end.failed else ""


@attrs.define
class _Content:
    """A line of the contents."""

    number: int
    title: str
    calls: str = ""
    failed: str = ""
