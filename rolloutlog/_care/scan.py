"""One reading of a file, which notes each record, whether readers see it or not, and what is wrong with the bytes."""

from __future__ import annotations

import re

import attrs

from .._entries import Entry, LogEntry, OtherEntry, SessionMeta
from .._format.lines import Format, InvalidLine, decode_line
from .._item import CLASSES, Item
from .._reading.blocks import BLANK, Source, StrPath
from .._responses.view import Rewrite, is_rewrite
from . import damage
from .findings import Edit, Finding, counted
from .lines import Line, Lines
from .ordinals import Ordinals
from .pieces import split
from .readers import LINE_TYPES, codex_reads, codex_reads_meta

_BOM = b"\xef\xbb\xbf"
_WRAPPED = re.compile(rb'\{\s*"timestamp"\s*:\s*"[^"]*",\s*(?:"ordinal":\d+,)?"type"\s*:\s*"\w+",\s*"payload"')
# How much of the beginning of a file shows its format.
_SHOWN = 1024 * 1024


@attrs.frozen
class Record:
    """An item in the file.

    Attributes:
        line, offset: the line that holds it.
        item: the item.
        is_read: whether our readers see it.
    """

    line: int
    offset: int
    item: Item
    is_read: bool


@attrs.define
class Scan:
    """The result of one reading of a file.

    Attributes:
        path: the file.
        format: its format.
        lines: how many lines it has.
        meta: the session's meta, wherever in the file it is.
        meta_line: the line that holds it, and nothing else.
        is_meta_first: whether it is the first of all records.
        is_meta_read: whether our readers find it where it must be.
        findings: what is wrong, in the order in which it was found.
        records: all items, those that no reader sees included.
        rewrites: the lines that change what a model sees of the items before them.
        ordinals: the numbers of its lines.
        sees: how many items our readers see.
        codex_sees: how many of these the real Codex sees, if it reads the file.
        refusals: why Codex reads nothing of the file.
        cwd: the working directory of its first turn.
        ends: whether it ends in a newline.
    """

    path: StrPath
    format: Format
    lines: int = 0
    meta: SessionMeta | None = None
    meta_line: Line | None = None
    is_meta_first: bool = False
    is_meta_read: bool = False
    findings: list[Finding] = attrs.field(factory=list)
    records: list[Record] = attrs.field(factory=list)
    rewrites: list[Rewrite] = attrs.field(factory=list)
    ordinals: Ordinals = attrs.field(factory=Ordinals)
    sees: int = 0
    codex_sees: int = 0
    refusals: list[str] = attrs.field(factory=list)
    cwd: str | None = None
    ends: bool = True
    # The lines before the first record, which hold none; the lines of kinds that we do not know, by kind.
    _before: list[Line] = attrs.field(factory=list)
    _is_begun: bool = False
    _unknown: dict[str, list[Line]] = attrs.field(factory=dict)

    @property
    def before(self) -> list[Line]:
        """The lines before the first record."""
        return self._before

    def line(self, line: Line, lines: Lines) -> None:
        """Look at the next *line* of *lines*."""
        self.lines, self.ends = line.number, line.ends
        if line.lost is not None:
            kind = "too-long" if "longer" in line.lost else "torn-tail"
            severity = "lost" if kind == "too-long" else "torn"
            what, remedy = line.lost, "left as it is"
            self.findings.append(Finding(kind, severity, line.number, line.offset, what, "leave", remedy))  # type: ignore[arg-type]
            return
        has_bom = line.number == 1 and line.data.startswith(_BOM)
        if has_bom:
            what = "a byte order mark before the first record; the Codex CLI refuses the file"
            self._bom(line, what)
            line = line._replace(offset=3, data=line.data[3:])
        if not line.data.strip(BLANK):
            if not self._is_begun:
                self._before.append(line)
            return
        try:
            entry = decode_line(line.data)
        except InvalidLine as error:
            self._unreadable(line, str(error), lines)
            return
        self._note(line, entry, line.data, is_read=True)
        if not line.ends:
            self.findings.append(damage.without_newline(line))

    def _bom(self, line: Line, what: str) -> None:
        edit = Edit(0, 3, b"   ")
        self.findings.append(
            Finding(
                "bom", "lost", 1, 0, what, "blank", "puts three spaces in its place", start=0, length=3, _edits=(edit,)
            )
        )
        self.refusals.append("it begins with a byte order mark")

    def _unreadable(self, line: Line, reason: str, lines: Lines) -> None:
        """Note what is wrong with *line*, which holds no single entry."""
        needs_text = self.meta is None or self.meta.extra.get("history_mode") != "paginated"
        if needs_text and not damage.is_utf8(line.data):
            self.refusals.append(f"line {line.number:,} is not UTF-8")
        finding = damage.object_that_is_no_entry(line, reason)
        if finding is not None:
            self.findings.append(finding)
            self._is_begun = True
            return
        pieces = split(line.data, self.format)
        before, is_first = len(self.records), not self._is_begun
        for index, piece in enumerate(pieces):
            if piece.entry is not None:
                is_new = self._note(line, piece.entry, line.data[piece.begin : piece.end], is_read=False)
                pieces[index] = piece if is_new else attrs.evolve(piece, entry=None)
        if any(piece.entry is not None for piece in pieces):
            finding = damage.glued(line, pieces, is_first)
        elif (joined := lines.joined(line)) is not None:
            finding = damage.on_several_lines(line, joined[0])
            self.lines, self.ends = joined[0][-1].number, joined[0][-1].ends
            self._note(line, decode_line(joined[1]), joined[1], is_read=False)
        else:
            finding = damage.alone(line, needs_text)
            if not self._is_begun:
                self._before.append(line)
        self.findings.append(attrs.evolve(finding, gains=len(self.records) - before))

    def _note(self, line: Line, entry: Entry, data: bytes, *, is_read: bool) -> bool:
        """Note *entry*, the record *data*, which is on *line*; return whether it was not there before."""
        is_new = not self.ordinals.note(line, data, entry)
        if not is_new and is_read:
            self._repeated(line, isinstance(entry, Item))
        elif is_new and isinstance(entry, Item):
            self.records.append(Record(line.number, line.offset, entry, is_read))
        if isinstance(entry, SessionMeta):
            self._note_meta(line, entry, is_read)
        elif isinstance(entry, Item):
            self.sees += is_read
            self.codex_sees += is_read and codex_reads(entry, self.format)
            if entry.type not in CLASSES:
                self._unknown.setdefault(f"of the kind {entry.type[:48]!r}", []).append(line)
        elif isinstance(entry, OtherEntry | LogEntry) and is_rewrite(entry):
            self.rewrites.append(Rewrite(len(self.records), entry))
        if isinstance(entry, OtherEntry):
            if entry.type not in LINE_TYPES:
                self._unknown.setdefault(f"of the type {entry.type[:48]!r}", []).append(line)
            payload = entry.raw.get("payload")
            if self.cwd is None and entry.type == "turn_context" and isinstance(payload, dict):
                self.cwd = payload["cwd"] if isinstance(payload.get("cwd"), str) else None
        self._is_begun = True
        return is_new

    def _note_meta(self, line: Line, meta: SessionMeta, is_read: bool) -> None:
        if self.meta is not None:
            if self.format == "flat":
                what = "a second session meta, which readers skip"
                self.findings.append(Finding("second-meta", "note", line.number, line.offset, what))
            return
        self.meta, self.is_meta_first = meta, not self._is_begun
        self.meta_line = line if is_read else None
        blank = all(not each.data.strip(BLANK) for each in self._before)
        self.is_meta_read = is_read and self.is_meta_first and (not self._before if self.format == "flat" else blank)
        if not codex_reads_meta(meta, self.format):
            self.refusals.append("its meta misses a key")

    def _repeated(self, line: Line, is_item: bool) -> None:
        size = len(line.data)
        what = "the same line as before, with the same number: a model would see it twice"
        edit = Edit(line.offset, size, b" " * size)
        remedy = f"blanks the second ({counted(size, 'byte')})"
        self.findings.append(
            Finding(
                "repeated", "model", line.number, line.offset, what, "blank", remedy,
                start=line.offset, length=size, gains=-is_item, _edits=(edit,),
            )
        )  # fmt: skip

    def close(self) -> None:
        """Note what only the whole file shows."""
        for name, lines in self._unknown.items():
            first = lines[0]
            what = f"{counted(len(lines), 'line')} {name}, which this release does not know"
            self.findings.append(Finding("unknown-kind", "note", first.number, first.offset, what))


def scan(path: StrPath, max_line: int) -> Scan:
    """Read the file at *path*; errors as for `rolloutlog.iter_lines`."""
    found = Scan(path, _format_of(path))
    lines = Lines(path, max_line)
    for line in lines:
        found.line(line, lines)
    found.close()
    return found


def _format_of(path: StrPath) -> Format:
    """Return the format of the file at *path*, from its first lines, damaged ones included."""
    shown = b""
    with Source(path, _SHOWN) as source:
        while chunk := source.read(_SHOWN):
            shown += chunk
    return "flat" if _WRAPPED.search(shown) is None else "envelope"
