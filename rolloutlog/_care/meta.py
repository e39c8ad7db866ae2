"""The meta that a file must begin with: missing, in a later line, or not that of the file's name."""

from __future__ import annotations

import os
import stat

from .._entries import OWN, utc_timestamp
from .._json import dumps
from .._paths import parse_file_name
from .._systems import HAS_MODES
from .._version import __version__
from .findings import Edit, Finding, counted
from .scan import Scan


def meta_findings(found: Scan, status: os.stat_result) -> list[Finding]:
    """Return what is wrong with the meta of the file that was *found*, and with its name and mode.

    May use the place of a damaged first line for a new meta, so the finding about that line is changed then.
    """
    findings = []
    name = parse_file_name(found.path)
    if found.meta is None:
        findings.append(_missing(found))
    elif not found.is_meta_first:
        findings.append(_late(found))
    elif not found.is_meta_read and found.format == "flat" and found.before:
        findings.append(_after_blank_lines(found))
    if found.meta is not None and name is not None and name.id != found.meta.id:
        what = f"the file is named after session {name.id}, and its meta says {found.meta.id[:48]}"
        findings.append(Finding("name-mismatch", "odd", None, None, what))
    if HAS_MODES and (mode := stat.S_IMODE(status.st_mode)) & 0o077:
        findings.append(Finding("mode", "note", None, None, f"its mode is {mode:04o}: others may read it"))
    return findings


def _after_blank_lines(found: Scan) -> Finding:
    """Return the finding for a meta with nothing but blank and blanked lines before it, in the flat format."""
    edits = tuple(Edit(line.offset + len(line.data), 1, b" ") for line in found.before if line.ends)
    what = "the meta is not in the first line, so readers of this format give up the file"
    remedy = f"puts a space in place of {counted(len(edits), 'newline')} before it"
    line = found.before[-1].number + 1
    start, count = edits[0].offset, len(edits)
    return Finding("late-meta", "lost", line, edits[-1].offset + 1, what, "join", remedy, start, count, _edits=edits)


def _late(found: Scan) -> Finding:
    """Return the finding for a meta that comes after other records."""
    assert found.meta is not None
    line = found.meta_line
    what = "the meta comes after other records; readers refuse the file"
    if line is None:  # among other bytes, which are repaired at the same time
        return _added(found, "late-meta", what, _rebuilt(found), "writes one like it at the beginning")
    begin = Edit(0, 0, line.data + b"\n")
    size = len(line.data) + line.ends
    edits = (begin, Edit(line.offset, size, b""))
    remedy = f"moves it to the beginning: the {counted(line.offset, 'byte')} before it move"
    return Finding("late-meta", "lost", line.number, line.offset, what, "move", remedy, 0, size, _edits=edits)


def _missing(found: Scan) -> Finding:
    """Return the finding for a file without a meta."""
    what = "no session meta; readers refuse the file"
    if parse_file_name(found.path) is None:
        remedy = "left: the file's name does not say which session it is"
        return Finding("no-meta", "lost", 1, 0, what, "leave", remedy)
    return _added(found, "no-meta", what, _rebuilt(found), "writes one from the file's name")


def _added(found: Scan, kind: str, what: str, meta: bytes, remedy: str) -> Finding:
    """Return the finding whose repair puts *meta* at the beginning: over a damaged first line that is long enough."""
    first = found.findings[0] if found.findings and found.before and found.before[0].data else None
    if first is not None and first.line == 1 and first.action == "blank":
        (edit,) = first.edits
        if edit.length == len(edit.data) > len(meta) + 1:
            end = b"\n" if edit.data.endswith(b"\n") else b""
            instead = meta + b" " * (edit.length - len(meta) - len(end)) + end
            del found.findings[0]
            what = f"{what} (the first line: {first.what})"
            remedy += f", over the first {counted(edit.length, 'byte')}"
            edits = (Edit(0, edit.length, instead),)
            return Finding(kind, "lost", 1, 0, what, "rebuild", remedy, 0, edit.length, _edits=edits)
    remedy += f": {counted(len(meta) + 1, 'byte')} more"
    edits = (Edit(0, 0, meta + b"\n"),)
    return Finding(kind, "lost", 1, 0, what, "rebuild", remedy, 0, len(meta) + 1, _edits=edits)


def _rebuilt(found: Scan) -> bytes:
    """Return the line of a meta, without newline, from the file's name and from what is left of the session."""
    name = parse_file_name(found.path)
    if found.meta is not None:
        session_id, timestamp, extra = found.meta.id, found.meta.timestamp, dict(found.meta.extra)
        instructions = found.meta.instructions
    else:
        assert name is not None
        session_id, timestamp, extra = name.id, utc_timestamp(name.started.timestamp()), {}
        instructions = None
    value: dict[str, object] = {"id": session_id, "timestamp": timestamp, "instructions": instructions}
    if found.format == "envelope":
        value |= {"cwd": found.cwd or "/", "originator": OWN, "cli_version": __version__}
        if found.ordinals.has_any:
            value["history_mode"] = "paginated"
    value |= {**extra, "rebuilt": True}
    if found.format == "flat":
        return dumps(value)
    number = {"ordinal": found.ordinals.before_first} if found.ordinals.has_any else {}
    return dumps({"timestamp": timestamp, **number, "type": "session_meta", "payload": value})
