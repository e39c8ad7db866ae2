"""`diagnose`: what is wrong with the file of a session, and what each reader would see of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from .._compression import other_form
from .._format.lines import Format
from .._item import Item
from .._json import MAX_LINE
from .._reading.blocks import StrPath, is_compressed
from .._reading.forks import history_of
from .._reading.reader import load_parts
from .._responses.calls import find_orphans
from .._responses.view import Rewrite, view_of
from ..exceptions import InvalidRolloutError, SessionNotFoundError
from .findings import Finding, Severity
from .held import writers_of
from .meta import meta_findings
from .readers import CODEX
from .scan import Record, Scan, scan

OURS = "rolloutlog"


@attrs.frozen
class Diagnosis:
    """The damages of a session's file, and the items that each reader would see.

    Attributes:
        path: the file.
        size: how many bytes it has.
        lines: how many lines.
        format: ``"flat"`` or ``"envelope"``.
        writer: the program that began it, as its meta says, such as ``"codex_exec 0.169.0"``; may be empty.
        findings: the damages, by line; those about the file as a whole come last.
        items: how many whole items it holds, those that no reader sees included.
        sees: how many of these a resume by each reader would see, by the reader's name.
        held_by: the processes that have the file open for writing, where the system tells.

    >>> import rolloutlog
    >>> with rolloutlog.RolloutRecorder.create() as recorder:
    ...     recorder.record({"role": "user", "content": "Hello"})
    >>> with recorder.path.open("ab") as file:
    ...     size = file.write(b'{"type":"mess')
    >>> [(finding.kind, finding.line, finding.action) for finding in rolloutlog.diagnose(recorder.path).findings]
    [('torn-tail', 3, 'blank')]
    """

    path: Path
    size: int
    lines: int
    format: Format
    writer: str
    findings: tuple[Finding, ...]
    items: int
    sees: Mapping[str, int]
    held_by: tuple[int, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong; there may be notes."""
        return all(finding.severity == "note" for finding in self.findings)

    @property
    def counts(self) -> dict[Severity, int]:
        """How many findings there are of each severity, the worst first."""
        found: dict[Severity, int] = {}
        for severity in _SEVERITIES:
            if count := sum(finding.severity == severity for finding in self.findings):
                found[severity] = count
        return found


_SEVERITIES: tuple[Severity, ...] = ("lost", "torn", "model", "odd", "note")


def diagnose(path: StrPath, *, max_line: int = MAX_LINE) -> Diagnosis:
    """Return what is wrong with the file of a session. Takes no lock and changes nothing.

    Nothing in the file makes it raise. Besides lines that cannot be read it finds whole records that are on a line with
    other bytes, calls without outputs, numbers of lines that are missing, and history that is not there.

    Args:
        path: the file; one that zstd compressed is read, too.
        max_line: how many bytes a line may have, its newline not counted.

    Raises:
        SessionNotFoundError: there is no such file.
        InvalidRolloutError: it is not a regular file.
        MissingExtraError: it is compressed, and the extra "zstd" is not installed.
        OSError: it cannot be read.

    Example:
        >>> import rolloutlog
        >>> with rolloutlog.session("crashed") as session:
        ...     session.record(rolloutlog.FunctionCall("weather", "{}", "call_1"))
        >>> found = rolloutlog.diagnose(session.path)
        >>> found.is_healthy, found.counts, [finding.kind for finding in found.findings]
        (False, {'model': 1}, ['orphan-call'])
    """
    while True:
        found = scan(path, max_line)
        try:
            return described(found, writers_of(path))
        except FileNotFoundError as error:  # it was compressed, unpacked or removed since
            path = other_form(Path(path))
            if not path.exists() and not other_form(path).exists():
                raise SessionNotFoundError(str(found.path), path.parent) from error


def described(found: Scan, held_by: Sequence[int]) -> Diagnosis:
    """Return the diagnosis of the file that was *found*, which the processes *held_by* have open."""
    status = os.stat(found.path)
    findings = meta_findings(found, status)
    findings += found.findings  # after that, because the place of a damaged line may be used for a meta
    if any(finding.kind == "no-meta" and finding.action == "leave" for finding in findings):
        # Perhaps it is another text and not a session. No reader would gain anything from a change.
        findings = [_as_it_is(finding) for finding in findings]
    base, base_findings = _base(found)
    findings += base_findings
    if found.meta is not None and found.meta.extra.get("history_mode") == "paginated":
        findings += found.ordinals.findings()
        if found.ordinals.is_last_unnumbered:
            found.refusals.append("its last line has no number")
    findings += _of_model(found, base)
    if held_by:
        names = ", ".join(map(str, held_by))
        what = f"open in process {names}: the end may be in the middle of a write"
        findings = [_while_open(finding, found) for finding in findings]
        findings.append(Finding("held", "note", None, None, what, "leave", "a session that is open is not changed"))
    findings.sort(key=lambda finding: (finding.line is None, finding.line or 0))
    is_whole = not any(finding.kind == "missing-base" for finding in findings)
    codex = found.codex_sees if found.is_meta_read and not found.refusals and is_whole else 0
    return Diagnosis(
        Path(found.path),
        status.st_size,
        found.lines,
        found.format,
        _writer(found),
        tuple(findings),
        len(found.records),
        {OURS: found.sees if found.is_meta_read else 0, CODEX[found.format]: codex},
        tuple(held_by),
    )


def _as_it_is(finding: Finding) -> Finding:
    """Return *finding* without its repair."""
    remedy = finding.remedy if finding.action == "leave" else ""
    return attrs.evolve(finding, action="leave", remedy=remedy, gains=0, _edits=())


def _writer(found: Scan) -> str:
    extra: Mapping[str, Any] = {} if found.meta is None else found.meta.extra
    named = [str(extra[key])[:48] for key in ("originator", "cli_version") if isinstance(extra.get(key), str)]
    return " ".join(named)


def _while_open(finding: Finding, found: Scan) -> Finding:
    """Return *finding* as it is about a file that a process has open: a call may wait, a line may be half written."""
    is_end = finding.kind == "torn-tail" and finding.line == found.lines
    is_normal = is_end or finding.kind in ("orphan-call", "trailing-reasoning")
    return attrs.evolve(finding, severity="note") if is_normal else finding


def _base(found: Scan) -> tuple[tuple[list[Item], list[Rewrite]], list[Finding]]:
    """Return the items of the history that is in other files, with the rewrites; and the finding if it is missing."""
    nothing: tuple[list[Item], list[Rewrite]] = ([], [])
    if found.meta is None or "history_base" not in found.meta.extra:
        return nothing, []
    raw = found.meta.extra["history_base"]
    named = raw.get("thread_id") if isinstance(raw, dict) else None
    parent = str(named)[:48] if isinstance(named, str) else "another session"
    try:
        parts, is_whole = history_of(found.path, found.meta)
        short = next((part for part in parts[:-1] if _is_short(part.path, part.end)), None)
        if is_whole and short is None:
            saved = load_parts(parts[:-1], MAX_LINE)
            return (nothing if saved is None else (list(saved.items), list(saved._rewrites))), []
        why = "is not there" if short is None else "ends before the place where this one was forked from it"
    except (InvalidRolloutError, OSError) as error:
        why = f"cannot be read: {error.problem if isinstance(error, InvalidRolloutError) else error.strerror}"
    what = f"its history begins in {parent}, which {why}"
    return nothing, [
        Finding("missing-base", "lost", 1, 0, what, "leave", "left: only the other file can bring it back")
    ]


def _is_short(path: Path, end: int | None) -> bool:
    return end is not None and not is_compressed(path) and path.stat().st_size < end


def _of_model(found: Scan, base: tuple[list[Item], list[Rewrite]]) -> list[Finding]:
    """Return what is wrong with the session as a model sees it: calls, outputs and reasoning without the other half."""
    items, rewrites = base
    count = len(items)
    items = items + [record.item for record in found.records]
    rewrites = rewrites + [Rewrite(each.place + count, each.entry) for each in found.rewrites]
    seen = view_of(items, rewrites).items
    places = {id(record.item): record for record in found.records}
    values = [item._read() for item in seen]
    orphans = find_orphans(values)
    findings = []
    for index in sorted(orphans.calls | orphans.torn):
        name = values[index].get("name") or seen[index].type
        what = f"{_named(values[index])} ({str(name)[:48]}) has no output"
        findings.append(_about(places, seen[index], "orphan-call", what, "to_input() answers it; Codex says `aborted`"))
    for index in sorted(orphans.outputs):
        what = f"an output for {_named(values[index])}, which was not called"
        findings.append(_about(places, seen[index], "orphan-output", what, "to_input() leaves it out"))
    if seen and seen[-1].type == "reasoning":
        what = "reasoning at the end, without the item that it led to"
        findings.append(_about(places, seen[-1], "trailing-reasoning", what, "to_input() leaves it out"))
    return findings


def _about(places: Mapping[int, Record], item: Item, kind: str, what: str, remedy: str) -> Finding:
    record = places.get(id(item))
    line, offset = (None, None) if record is None else (record.line, record.offset)
    return Finding(kind, "model", line, offset, what, "leave", remedy)


def _named(value: Mapping[str, Any]) -> str:
    named = value.get("call_id") or value.get("id")
    return str(named)[:48] if isinstance(named, str) else "a call without an id"
