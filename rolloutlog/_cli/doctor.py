"""`rolloutlog doctor`: the damages of a session, or of all sessions, and what each reader would see."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from .._care.diagnose import Diagnosis, described
from .._care.findings import Finding
from .._care.held import Writers
from .._care.scan import Scan, scan
from .._face.rows import NamesToShow
from .._face.safe import for_terminal, one_line
from .._face.sessions import newest_first, short_path
from .._face.widths import fitted
from .._face.words import counted
from .._json import MAX_LINE
from .._paths import FoundFile
from ..exceptions import RolloutError
from .common import Settings, define, json_option, session_path
from .output import Screen, note, write, write_json
from .pager import paged
from .progress import with_progress
from .tables import Cell, Column, write_table

STYLES = {"lost": "red", "torn": "yellow", "model": "yellow", "odd": "", "note": "dim"}
_COLUMNS = (Column("SESSION", "cyan"), Column("ITEMS", right=True), Column("FINDINGS", is_last=True))


@define(
    name="doctor",
    examples=[
        ("rolloutlog doctor --last", "what is wrong with the newest session"),
        ("rolloutlog doctor", "all sessions, one line for each that is damaged"),
    ],
)
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option("--last", is_flag=True, help="The newest session, in place of SESSION.")
@click.option("--all", "show_all", is_flag=True, help="Without SESSION: also those in which nothing is wrong.")
@json_option
@click.pass_context
def command(ctx: click.Context, sessions: tuple[str, ...], last: bool, show_all: bool, as_json: bool) -> int:
    """Say what is wrong with the file of a session, and how many items each reader would see.

    lost: a reader misses something whole. torn: half of something is there. model: an API would refuse the session or
    stumble. odd: harmless. note: nothing is wrong. Exits with 1 if there is anything but notes. Without SESSION: all
    sessions.
    """
    if sessions or last:
        named: Sequence[str | None] = sessions or (None,)
        found = [(each, session_path(ctx, each, last)) for each in named]
        homes = "".join(f" --home {shlex.quote(str(home))}" for home in ctx.obj.named)
        handles = ["--last" if each is None else "" if each == "-" else shlex.quote(each) for each, _ in found]
        return _report_each(
            [(each and each + homes, path) for each, (_, path) in zip(handles, found, strict=True)], as_json
        )
    return _report_all(ctx.obj, show_all, as_json)


# --- one session ------------------------------------------------------------------------------------------------------


def _report_each(named: Sequence[tuple[str, Path]], as_json: bool) -> int:
    screen = Screen.of_stdout()
    is_healthy = True
    with paged(screen, is_wanted=not as_json):
        for index, (handle, path) in enumerate(named):
            found = scan(path, MAX_LINE)
            diagnosis = described(found, Writers(path.name).of(path))
            is_healthy &= diagnosis.is_healthy
            if as_json:
                write_json(_as_json(diagnosis, _name_in(found)))
                continue
            write("\n" if index else "")
            _write_report(diagnosis, handle, screen)
    return 0 if is_healthy else 1


def _write_report(found: Diagnosis, handle: str, screen: Screen) -> None:
    width = screen.width if screen.is_terminal else None
    path = for_terminal(short_path(found.path))
    write(screen.styled(path if width is None else _middle_cut(path, width), "") + "\n")
    by = f" of {one_line(found.writer, 60)}" if found.writer else ""
    open_in = f"open in process {', '.join(map(str, found.held_by))}" if found.held_by else "not open"
    size, lines = counted(found.size, "byte"), counted(found.lines, "line")
    write(screen.dim(for_terminal(f"{size}, {lines}, {found.format}{by}, {open_in}")) + "\n")
    write_findings(found.findings, screen)
    ours, *others = found.sees.items()
    seen = "".join(f", by {name} {count:,}" for name, count in others)
    write(f"A resume by {ours[0]} sees {ours[1]:,} of {counted(found.items, 'item')}{seen}.\n")
    if found.is_healthy:
        write("Nothing is wrong.\n")
        return
    wrong = sum(finding.severity != "note" for finding in found.findings)
    text = f"{counted(wrong, 'finding')}."
    if handle and any(finding.action != "leave" for finding in found.findings):
        line = f"rolloutlog repair {handle}"
        text += f" To repair what can be repaired: {screen.styled(for_terminal(line), 'bold')}"
    write(f"{text}\n")


def write_findings(findings: Sequence[Finding], screen: Screen) -> None:
    """Print *findings*: severity, line, byte and what, and under it what a repair does; in a pipe with tabs."""
    if not screen.is_terminal:
        for finding in findings:
            line, byte = ("" if value is None else str(value) for value in (finding.line, finding.offset))
            write("\t".join(map(for_terminal, (finding.severity, line, byte, finding.what, _remedy(finding)))) + "\n")
        return
    places = [_place(finding) for finding in findings]
    lines = max((len(line) for line, _ in places), default=0)
    bytes_ = max((len(byte) for _, byte in places), default=0)
    indent = 2 + 5 + 1 + lines + 2 + bytes_ + 2
    for finding, (line, byte) in zip(findings, places, strict=True):
        severity = screen.styled(f"{finding.severity:5}", STYLES[finding.severity])
        begin = f"  {severity} {line:{lines}}  {byte:{bytes_}}  "
        what, *more = wrapped(finding.what, screen.width - indent)
        write(begin + what + "\n")
        for text in [*more, *wrapped(_remedy(finding), screen.width - indent)]:
            write(" " * indent + (text if text in more else screen.dim(text)) + "\n")


def wrapped(text: str, width: int) -> list[str]:
    """Return *text*, neutralised, in lines of at most *width* columns."""
    return [fitted(line, max(20, width)) for line in textwrap.wrap(for_terminal(text), max(20, width))]


def _place(finding: Finding) -> tuple[str, str]:
    if finding.line is None or finding.offset is None:
        return "the file", ""
    return f"line {finding.line:,}", f"byte {finding.offset:,}"


def _remedy(finding: Finding) -> str:
    return f"repair: {finding.remedy}" if finding.action != "leave" else finding.remedy


def _middle_cut(text: str, width: int) -> str:
    """Return *text* as wide as *width* at most, without its middle: the end of a path has the id."""
    if len(text) <= width:
        return text
    tail = min(width // 3, 24)
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def finding_as_json(finding: Finding) -> dict[str, Any]:
    """Return *finding* as the object that `--json` prints."""
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "line": finding.line,
        "byte": finding.offset,
        "what": finding.what,
        "action": finding.action,
        "remedy": finding.remedy or None,
        "start": finding.start,
        "length": finding.length,
        "gains": finding.gains,
    }


def _name_in(found: Scan) -> str | None:
    return None if found.meta is None else found.meta.name


def _as_json(found: Diagnosis, name: str | None) -> dict[str, Any]:
    return {
        "path": os.fspath(found.path),
        "name": name,
        "size": found.size,
        "lines": found.lines,
        "format": found.format,
        "writer": found.writer or None,
        "held_by": list(found.held_by),
        "items": found.items,
        "sees": dict(found.sees),
        "findings": list(map(finding_as_json, found.findings)),
    }


# --- all sessions -----------------------------------------------------------------------------------------------------


def _report_all(settings: Settings, show_all: bool, as_json: bool) -> int:
    screen = Screen.of_stdout()
    rows: list[list[Cell]] = []
    total = damaged = unread = 0
    names = NamesToShow()
    for found, name, diagnosis in _diagnoses(settings.homes):
        shown = names.of(found, name)
        total += 1
        if diagnosis is None:
            unread += 1
            continue
        damaged += not diagnosis.is_healthy
        if diagnosis.is_healthy and not show_all:
            continue
        if as_json:
            write_json(_as_json(diagnosis, name))
            continue
        if screen.is_terminal:
            rows.append(_row(shown or found.id[-8:], bool(shown), diagnosis))
        else:
            write("\t".join(map(for_terminal, (shown or found.id, str(diagnosis.items), _counts(diagnosis)))) + "\n")
    if unread and as_json:
        note(f"{counted(unread, 'session')} could not be read")
    if not as_json:
        where = " and ".join(map(short_path, settings.homes))
        more = f"; {unread:,} could not be read" if unread else ""
        summary = f"{damaged:,} of {counted(total, 'session')} in {where} with findings{more}"
        with paged(screen):
            if rows:
                write_table(_COLUMNS, rows, screen)
            write(screen.dim(summary) + "\n")
    return 1 if damaged or unread else 0


def _diagnoses(homes: Sequence[Path]) -> Iterator[tuple[FoundFile, str | None, Diagnosis | None]]:
    """Yield the file of each session in *homes*, its name, and what is wrong; `None` if it cannot be read."""
    writers = Writers(".jsonl")
    for found in with_progress(newest_first(homes), "reading"):
        try:
            read = scan(found.path, MAX_LINE)
            yield found, _name_in(read), described(read, writers.of(found.path))
        except LookupError:  # removed in the meantime
            continue
        except (OSError, RolloutError):
            yield found, None, None


def _row(handle: str, is_name: bool, diagnosis: Diagnosis) -> list[Cell]:
    worst = next(iter(diagnosis.counts), "note")
    return [
        Cell(handle, "bold cyan" if is_name else "cyan"),
        Cell(f"{diagnosis.items:,}"),
        Cell(_counts(diagnosis) or "nothing", STYLES[worst]),
    ]


def _counts(diagnosis: Diagnosis) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in diagnosis.counts.items() if name != "note")
