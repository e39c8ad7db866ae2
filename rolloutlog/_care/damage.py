"""Damages of one line that cannot be read, each with the bytes that a repair would write in its place."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .findings import Action, Edit, Finding, Severity, arranged, counted
from .lines import Line
from .pieces import Piece

_SURROGATE = "holds half of a surrogate pair"


def object_that_is_no_entry(line: Line, reason: str) -> Finding | None:
    """Return the finding for a *line* that is one JSON value, and yet no entry for this *reason*; else `None`."""
    try:
        json.loads(line.data.decode())
    except RecursionError:
        pass
    except ValueError:
        return None
    kind = "lone-surrogate" if reason == _SURROGATE else "bad-item"
    what = f"readers skip it: {reason}"
    return _finding(kind, "lost", line, what, "leave", "left as it is: its text is not ours to change", len(line.data))


def alone(line: Line, needs_text: bool) -> Finding:
    """Return the finding for a *line* without a whole record; *needs_text*: Codex refuses a file that is not UTF-8."""
    data, size = line.data, counted(len(line.data), "byte")
    is_text = is_utf8(data) or not needs_text
    refused = "" if is_text else "; Codex refuses the file"
    severity: Severity = "torn" if is_text else "lost"
    if data.count(b"\0") * 2 >= len(data):
        kind, what = "nul-run", f"{size}, most of them NULs: a record that never reached the disk"
    elif not line.ends:
        kind, what = "torn-tail", f"cut off after {size}, no newline at the end{refused}"
    elif not is_utf8(data):
        kind, what = "not-utf8", f"{size} that are not UTF-8{refused}"
    else:
        kind, what = "not-json", f"{size} that are not JSON"
    instead = b" " * len(data) if line.ends else b" " * (len(data) - 1) + b"\n"
    remedy = f"blanks the {size}" if line.ends else "blanks them and ends the line"
    return _finding(kind, severity, line, what, "blank", remedy, len(data), Edit(line.offset, len(data), instead))


def glued(line: Line, pieces: Sequence[Piece], is_first: bool) -> Finding:
    """Return the finding for a *line* that holds whole records and more; *is_first*: no record is before them."""
    wholes = [piece for piece in pieces if piece.entry is not None]
    lost = sum(piece.end - piece.begin for piece in pieces if piece.entry is None)
    nuls = sum(line.data.count(b"\0", piece.begin, piece.end) for piece in pieces if piece.entry is None)
    instead = _apart(line, wholes, is_first)
    growth = len(instead) - len(line.data) - (not line.ends and instead.endswith(b"\n"))
    several = f"{len(wholes)} whole ones" if len(wholes) > 1 else "a whole one"
    kind = "nul-run" if lost and nuls * 2 >= lost else "glued"
    if not lost:
        what = f"{len(wholes)} whole records without a newline between them"
    elif kind == "nul-run":
        what = f"{counted(nuls, 'NUL')}, and {several} on the same line"
    elif len(pieces) == 2 and pieces[0].entry is None:
        what = "half a record, and a whole one after it"
    else:
        what = f"half a record and {several} on the same line"
    action: Action = "split" if growth > 0 or not lost else "blank"
    if action == "blank":
        keeps = "the whole ones" if len(wholes) > 1 else "the whole"
        remedy = f"blanks the {'NULs' if kind == 'nul-run' else 'half'} ({counted(lost, 'byte')}), keeps {keeps}"
    else:
        remedy = f"puts a newline between them: {counted(growth, 'byte') if growth > 0 else 'no byte'} more"
    return _finding(kind, "lost", line, what, action, remedy, lost, Edit(line.offset, len(line.data), instead))


def _apart(line: Line, wholes: Sequence[Piece], is_first: bool) -> bytes:
    """Return *line* with each of the *wholes* on a line of its own, and spaces for the rest: as long, if possible."""
    lengths = [piece.end - piece.begin for piece in wholes]
    places = arranged(lengths, [piece.begin for piece in wholes], len(line.data))
    if places is None:
        places, following = [], 0
        for piece, length in zip(wholes, lengths, strict=True):
            places.append(max(piece.begin, following))
            following = places[-1] + length + 1
    size = max(len(line.data), places[-1] + lengths[-1])
    instead = bytearray(b" " * size)
    for piece, place, length in zip(wholes, places, lengths, strict=True):
        instead[place : place + length] = line.data[piece.begin : piece.end]
        # The first line of a file must not be blank: readers of the flat format would give up the file.
        if place > 0 and not (is_first and piece is wholes[0]):
            instead[place - 1] = ord("\n")
    if not line.ends:
        if instead.endswith(b" "):
            instead[-1] = ord("\n")
        else:
            instead += b"\n"
    return bytes(instead)


def on_several_lines(first: Line, others: Sequence[Line]) -> Finding:
    """Return the finding for an object that begins on *first* and is continued on the *others*."""
    newlines = [line.offset + len(line.data) for line in (first, *others)[:-1]]
    edits = [Edit(offset, 1, b" ") for offset in newlines]
    last = others[-1]
    if not last.ends:
        edits.append(Edit(last.offset + len(last.data), 0, b"\n"))
    what = f"one object on {len(others) + 1} lines"
    remedy = f"puts a space in place of {counted(len(newlines), 'newline')}"
    return _finding("raw-newline", "lost", first, what, "join", remedy, len(newlines), *edits)


def without_newline(line: Line) -> Finding:
    """Return the finding for the last *line*, which is whole and has no newline."""
    what = "a whole record, and no newline at the end"
    edit = Edit(line.offset + len(line.data), 0, b"\n")
    return _finding("torn-tail", "odd", line, what, "end", "ends the line", 1, edit)


def is_utf8(data: bytes) -> bool:
    """Whether *data* is UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _finding(
    kind: str, severity: Severity, line: Line, what: str, action: Action, remedy: str, length: int, *edits: Edit
) -> Finding:
    start = edits[0].offset if edits else line.offset
    return Finding(
        kind, severity, line.number, line.offset, what, action, remedy, start=start, length=length, _edits=edits
    )
