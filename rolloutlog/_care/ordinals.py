"""The numbers that newer Codex gives the lines of a session: those that are missing, repeated or out of order."""

from __future__ import annotations

import re

from .._entries import Entry
from .._reading.lines import ordinal_of
from .findings import Edit, Finding, counted
from .lines import Line
from .readers import codex_needs_number

_PLACE = re.compile(rb'\s*\{"timestamp":"[^"]*",(?:"ordinal":(\d{1,18}),)?(?="type":)')
_RENUMBER = "left; `--renumber` writes new ones, and moves bytes"


class Ordinals:
    """The ordinals of one file.

    Attributes:
        is_last_unnumbered: whether Codex would refuse the file: the last line that it knows has no number.
        edits: the changes that would number all lines, one after the other.
    """

    def __init__(self) -> None:
        self.is_last_unnumbered = False
        self.has_any = False
        self.edits: list[Edit] = []
        self.before_first = 0  # the number that the line before the first numbered one would have
        self._seen: dict[int, int] = {}  # from an ordinal to the hash of its line
        self._last: int | None = None
        self._following: int | None = None
        self._gaps: list[Line] = []
        self._unnumbered: list[Line] = []
        self._disorder: list[Line] = []

    def note(self, line: Line, data: bytes, entry: Entry) -> bool:
        """Note the record *data* of *line*; return whether the same record was there before."""
        number = ordinal_of(data)
        if number is None:
            if codex_needs_number(entry):
                self.is_last_unnumbered = True
                self._unnumbered.append(line)
                self._number(line, data, None)
            return False
        if not self.has_any:
            self.has_any, self.before_first = True, max(0, number - 1)
        self.is_last_unnumbered = False
        content = hash(data.strip())
        if self._seen.get(number) == content:
            return True
        self._seen.setdefault(number, content)
        if self._last is not None and number <= self._last:
            self._disorder.append(line)
        elif self._last is not None and number > self._last + 1:
            self._gaps.append(line)
        self._last = number if self._last is None else max(number, self._last)
        self._number(line, data, number)
        return False

    def _number(self, line: Line, data: bytes, number: int | None) -> None:
        """Note what would give *data*, the whole of *line* or a part of it, its place in the sequence."""
        following = self._following if self._following is not None else number or 0
        self._following = following + 1
        match = _PLACE.match(data)
        begin = line.offset + line.data.find(data)
        if match is None or number == following:
            return
        if number is None:
            self.edits.append(Edit(begin + match.end(), 0, b'"ordinal":%d,' % following))
        else:
            self.edits.append(Edit(begin + match.start(1), len(match[1]), b"%d" % following))

    def findings(self) -> list[Finding]:
        """Return what is wrong with the numbers, one finding for each kind."""
        found = []
        if self._gaps:
            found.append(self._finding("ordinal-missing", self._gaps, "a number before it is missing"))
        if self._unnumbered:
            found.append(self._finding("ordinal-missing", self._unnumbered, "it has no number"))
        if self._disorder:
            found.append(self._finding("ordinal-order", self._disorder, "its number is not above the last one"))
        return found

    def _finding(self, kind: str, lines: list[Line], what: str) -> Finding:
        first, more = lines[0], len(lines) - 1
        what += f"; so {'do' if more > 1 else 'does'} {counted(more, 'other line')}" if more else ""
        severity = "lost" if lines is self._unnumbered and self.is_last_unnumbered else "odd"
        return Finding(kind, severity, first.number, first.offset, what, "leave", _RENUMBER, start=first.offset)  # type: ignore[arg-type]
