"""A transcript as lines of text: the same for a terminal, a pipe and a session that is followed.

Each line says what it is; `terminal` decides how it is folded and coloured. All text of the file is neutralised here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
from .line import BLANK, Line, Style, diff_style, first_lines, line, lines_in, styled
from .outputs import Image, Result
from .safe import for_terminal, one_line
from .titles import sentence
from .words import QUICK, Clock, count_lines, counted, lasted, size_of

# How many lines of an output are shown if it has more than `_WHOLE`; and of a patch.
_FIRST, _WHOLE, _PATCH = 3, 5, 12

_FENCE = re.compile(r"\s*(?:```|~~~)")


class Lines:
    """Makes lines of the parts of a transcript, one by one.

    Args:
        depth: how much is shown.
        clock: shows times.
        handle: how a person can name the session, for hints such as ``rolloutlog show trip-to-rome --line 7``; empty
            for no hints.
        marks: keep the marks of Markdown in messages, as for a pipe.
        single: only single entries are shown, and all of each.
        live: the session is followed, so an output may come later.
    """

    def __init__(
        self,
        depth: Depth = "tools",
        clock: Clock | None = None,
        handle: str = "",
        *,
        marks: bool = False,
        single: bool = False,
        live: bool = False,
    ) -> None:
        self._depth: Depth = depth
        self._clock = clock or Clock()
        self._handle = for_terminal(handle)
        self._marks = marks
        self._is_single = single
        self._is_live = live
        self._is_whole = depth in ("full", "all")
        self._left_out, self._left_out_size, self._left_out_turns = 0, 0, 0
        self._has_hinted = False
        self._before: Part | None = None  # the part that was shown last
        self._has_begun = False  # something was shown, at least the head

    # -- the head -----------------------------------------------------------------------------------------------------

    def head(self, head: Head, counts: Counts | None = None) -> Iterator[Line]:
        """Yield the lines at the top: the title, the facts, and what a person should know before reading."""
        self._has_begun = True
        title = sentence(head.title) or ("(nothing was said)" if head.is_empty else "")
        yield line(one_line(title or head.name or head.id, 300), "title", wraps=True)
        facts = [one_line(head.name, 60)] if head.name else []
        facts.append(head.short_id)
        if head.began is not None:
            facts.append(self._clock.full(head.began))
        began, ended = (head.began, head.ended) if counts is None else (counts.first or head.began, counts.last)
        if began is not None and ended is not None and (ended - began).total_seconds() >= 1:
            facts.append(lasted((ended - began).total_seconds()))
        if head.model:
            facts.append(one_line(head.model, 40))
        facts += [size_of(head.size)] if counts is None else count_facts(counts)
        yield line(" · ".join(facts), "dim", wraps=True, breaks=" · ")
        for warning in _warnings(head, counts):
            hint = f": rolloutlog doctor {self._handle}" if self._handle else ""
            yield line(f"{warning}{hint}", "failed", wraps=True)

    # -- parts --------------------------------------------------------------------------------------------------------

    def of(self, part: Part) -> Iterator[Line]:
        """Yield the lines of one more *part*."""
        if isinstance(part, TurnEnd):
            return
        if part.inherited and self._depth != "all":
            self._left_out_turns += isinstance(part, Turn) and part.number > 0
            return
        if isinstance(part, Turn):
            yield from self._what_is_left_out()
            if self._has_begun:
                yield BLANK
            yield self._turn(part)
        elif is_shown(part, self._depth) and not self._is_nothing(part):
            if self._needs_space(part):
                yield BLANK
            yield from self.entry(part)
        else:
            if isinstance(part, Instruction) and part.size:
                self._left_out += 1
                self._left_out_size += part.size
            return
        self._before, self._has_begun = part, True

    def end(self) -> Iterator[Line]:
        """Yield the lines after the last part."""
        yield from self._what_is_left_out()

    def _what_is_left_out(self) -> Iterator[Line]:
        """Yield how much was left out before the first turn."""
        if self._left_out and self._before is None:
            what = f"{counted(self._left_out, 'item')} of instructions and context, {size_of(self._left_out_size)},"
            yield self._left_out_line(what, self._left_out)
        if self._left_out_turns:
            yield self._left_out_line(f"{counted(self._left_out_turns, 'turn')} before the fork", self._left_out_turns)
        self._left_out = self._left_out_turns = 0

    def _left_out_line(self, what: str, count: int) -> Line:
        return line(f"{what} {'is' if count == 1 else 'are'} left out: --depth all", "dim", wraps=True)

    def _turn(self, turn: Turn) -> Line:
        who = {"user": "You", "agent": "Agent", "none": "Before the first message"}[turn.who]
        text = f"{turn.number} · {who} " if turn.number else f"{who} "
        time = "" if turn.time is None else f" {self._clock.seconds(turn.time)}"
        style: Style = "you" if turn.who == "user" else "agent"
        return Line(((text, style),), right=time, is_rule=True)

    def _is_nothing(self, entry: Entry) -> bool:
        """Whether *entry* has nothing that a person could read at this depth."""
        if isinstance(entry, Said):
            return not (entry.text.strip() or entry.images or entry.files)
        return isinstance(entry, Thought) and not (entry.title or entry.text or self._is_whole)

    def _needs_space(self, entry: Entry) -> bool:
        """Whether a blank line separates *entry* from the part before it."""
        before = self._before
        if isinstance(before, Turn) or before is None:
            return False
        if isinstance(before, Said):
            return before.role == "user" or isinstance(entry, Said)
        return isinstance(entry, Said) and not isinstance(before, Thought)

    def entry(self, entry: Entry) -> Iterator[Line]:
        """Yield the lines of *entry*."""
        if isinstance(entry, Said):
            yield from self._said(entry)
        elif isinstance(entry, Thought):
            yield from self._thought(entry)
        elif isinstance(entry, Call):
            yield from self._call(entry)
        elif isinstance(entry, Output):
            yield from self._output(entry)
        elif isinstance(entry, Logged):
            yield from self._logged(entry)
        elif isinstance(entry, Picture):
            yield line(
                _picture(entry.image) + (f": {entry.prompt}" if entry.prompt else ""), "dim", indent=2, wraps=True
            )
        elif isinstance(entry, Note):
            detail = f": {entry.detail}" if entry.detail else ""
            text = f"{entry.text}{detail}" if self._is_whole else f"{entry.text}{one_line(detail, 300)}"
            first, *rest = lines_in(text)
            yield Line(((first, "warning"),), 2, "— ", "warning", wraps=True)
            for one in rest:
                yield Line(((one, "warning"),), 4, wraps=True)
        elif isinstance(entry, Skipped):
            text = f"line {entry.line:,} cannot be read: {entry.reason}"
            yield line(text, "failed", indent=2, mark="! ", mark_style="failed", wraps=True)
        elif isinstance(entry, Instruction):
            yield line(f"{entry.role} · {entry.type} · {size_of(entry.size or len(entry.text))}", "bold", indent=2)
            yield from self._folded(entry.text, entry, "dim")
        elif isinstance(entry, Other):
            yield line(f"{entry.name}  {entry.text}", "dim", indent=2, wraps=self._is_single)

    def _said(self, said: Said) -> Iterator[Line]:
        if said.role == "agent":
            yield line(said.author or "agent", "agent", indent=2)
        yield from self._message(said.text)
        for image in said.images:
            yield line(_picture(image), "dim", indent=2)
        for name in said.files:
            yield line(f"[file {one_line(name, 200)}]", "dim", indent=2)

    def _message(self, text: str) -> Iterator[Line]:
        is_code = False
        for one in lines_in(text):
            is_fence = _FENCE.match(one) is not None
            if self._marks:
                yield Line(((one, ""),), 2)
            elif is_fence:
                is_code = not is_code
            elif is_code:
                yield Line(((one, "code"),), 4)
            else:
                yield Line(styled(one), 2, wraps=True)

    def _thought(self, thought: Thought) -> Iterator[Line]:
        title = thought.title or "Reasoning without text"
        yield line(one_line(title, 300), "thought", indent=2, mark="∴ ", mark_style="dim", wraps=True)
        if self._is_whole and thought.text.strip() not in ("", thought.title):
            yield from self._wrapped(thought.text, "thought", 4)

    def _call(self, entry: Call) -> Iterator[Line]:
        call, result = entry.call, entry.result
        style: Style = "failed" if entry.is_failed else ""
        mark = "$ " if call.is_shell else "→ "
        first, *rest = lines_in(call.command) or [""]
        is_folded = bool(rest) and not self._is_whole
        missing = "" if self._is_live else "no output"
        meta = missing if result is None else " · ".join(_meta(result))
        right_style: Style = style or ("warning" if result is None else "dim")
        yield Line(
            ((first, style),),
            indent=2,
            mark=mark,
            mark_style=style or "prompt",
            suffix=f"+{counted(len(rest), 'line')}" if is_folded else "",
            right=meta,
            right_style=right_style,
            wraps=self._is_whole,
        )
        if not is_folded:
            for one in rest:
                yield Line(((one, style),), 4, wraps=True)
        if call.diff is not None:
            yield from self._diff(call.diff, entry)
        if result is not None and not (call.diff is not None and not entry.is_failed and not self._is_whole):
            yield from self._result(result, entry)

    def _output(self, entry: Output) -> Iterator[Line]:
        before = self._before
        if isinstance(before, Call) and before.line == entry.call_line and not self._is_single:
            yield from self._result(entry.result, entry)  # it follows its call
            if meta := " · ".join(_meta(entry.result)):
                yield line(meta, "failed" if entry.result.is_failed else "dim", indent=2, mark="╰ ", mark_style="dim")
            return
        of = "of an unknown call" if entry.call is None else f"of {one_line(entry.call.command, 200)}"
        style: Style = "failed" if entry.result.is_failed else "dim"
        yield line(f"output {of}", style, indent=2, right=" · ".join(_meta(entry.result)), right_style=style)
        yield from self._result(entry.result, entry)

    def _result(self, result: Result, entry: Entry) -> Iterator[Line]:
        yield from self._folded(result.text, entry, "dim", is_diff=result.text.startswith("diff --git "))
        for image in result.images:
            yield line(_picture(image), "dim", indent=2, mark="│ ", mark_style="dim")

    def _diff(self, diff: str, entry: Entry) -> Iterator[Line]:
        lines = [one for one in lines_in(diff) if one not in ("*** Begin Patch", "*** End Patch")]
        shown = lines if self._is_whole or len(lines) <= _PATCH else lines[: _PATCH - 1]
        for one in shown:
            yield Line(((one, diff_style(one)),), 2, "│ ", "dim", wraps=self._is_whole)
        yield from self._more(len(lines) - len(shown), entry)

    def _folded(self, text: str, entry: Entry, style: Style, *, is_diff: bool = False) -> Iterator[Line]:
        """Yield the lines of an output: all, or the first ones and how many more there are."""
        total = count_lines(text)
        is_whole = self._is_whole or total <= _WHOLE
        # Neutralising is the slow part, and most of a long output is not shown.
        lines = lines_in(text if is_whole else first_lines(text, _FIRST))
        while lines and not lines[-1].strip():
            lines.pop()
            total -= is_whole
        for one in lines:
            shown = diff_style(one) or style if is_diff else style
            yield Line(((one, shown),), 2, "│ ", "dim", wraps=self._is_whole)
        yield from self._more(0 if is_whole else total - len(lines), entry)

    def _more(self, count: int, entry: Entry) -> Iterator[Line]:
        if count <= 0:
            return
        hint = ""
        if self._handle and not entry.inherited:
            hint = (
                f": … --line {entry.line}"
                if self._has_hinted
                else f": rolloutlog show {self._handle} --line {entry.line}"
            )
            self._has_hinted = True
        yield Line(((f"{count:,} more {'line' if count == 1 else 'lines'}{hint}", "hint"),), 2, "╰ ", "dim", wraps=True)

    def _logged(self, entry: Logged) -> Iterator[Line]:
        level = one_line(entry.level, 20)
        style: Style = "failed" if level in ("ERROR", "CRITICAL") else "warning" if level == "WARNING" else "dim"
        first, *rest = lines_in(entry.text) or [""]
        name = for_terminal(one_line(entry.logger, 60))
        yield Line(((f"{for_terminal(level)} ", style), (f"{name}  ", "dim"), (first, "")), 2, wraps=True)
        details = "\n".join([*rest, *([entry.details] if entry.details else [])])
        yield from self._folded(details, entry, "dim")
        if entry.extra and self._is_whole:
            yield line(", ".join(f"{key}={value}" for key, value in entry.extra.items()), "dim", indent=4, wraps=True)

    def _wrapped(self, text: str, style: Style, indent: int) -> Iterator[Line]:
        for one in lines_in(text):
            yield Line(((one, style),), indent, wraps=True)


# --- pieces of lines --------------------------------------------------------------------------------------------------


def count_facts(counts: Counts) -> list[str]:
    """Return how many items and turns there are, and how many calls, in words."""
    facts = [counted(counts.items, "item"), counted(counts.turns, "turn")]
    if counts.calls:
        failed = f", {counts.failed:,} failed" if counts.failed else ""
        facts.append(f"{counted(counts.calls, 'call')}{failed}")
    return facts


def _warnings(head: Head, counts: Counts | None) -> Sequence[str]:
    skipped = head.faults + head.is_torn if counts is None else counts.skipped
    found = ["The file does not begin with a session's meta"] if head.meta is None and head.size else []
    if head.is_torn and skipped <= 1:
        found.append("The last line was not ended")
    elif skipped:
        found.append(f"{counted(skipped, 'line')} of the file cannot be read")
    return found


def _meta(result: Result) -> list[str]:
    """Return the words at the right edge of a call."""
    words = []
    if result.exit_code:
        words.append(f"exit {result.exit_code}")
    elif result.is_failed:
        words.append("failed")
    if result.is_running:
        words.append("still running")
    if result.seconds is not None and result.seconds >= QUICK:
        words.append(lasted(result.seconds))
    count = count_lines(result.text)
    if count > _WHOLE and not result.is_failed:
        words.append(counted(count, "line"))
    if result.is_cut:
        words.append("cut when recorded")
    return words


def _picture(image: Image) -> str:
    if image.size:
        return f"[picture, {size_of(image.size)}]"
    return f"[picture at {one_line(image.url, 200)}]" if image.url else "[picture]"
