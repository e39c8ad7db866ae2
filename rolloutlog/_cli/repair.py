"""`rolloutlog repair`: says what a repair of a session's file would do, and does it with `--write`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from .._care.findings import OF_THE_SESSION, Finding
from .._care.repair import Repair, repair
from .._face.safe import for_terminal
from .._face.sessions import short_path
from .._face.words import counted
from .common import define, json_option, session_argument
from .doctor import finding_as_json, wrapped
from .output import Screen, print_if_open, write, write_json

_PAST = {
    "blank": "blanked",
    "split": "split",
    "end": "ended",
    "join": "joined",
    "move": "moved",
    "rebuild": "rebuilt",
    "renumber": "renumbered",
    "leave": "left",
}


@define(
    name="repair",
    examples=[
        ("rolloutlog repair --last", "what would be done to the newest session"),
        ("rolloutlog repair --last --write", "do it; the original is kept beside the file"),
    ],
)
@session_argument
@click.option("--write", "is_write", is_flag=True, help="Do it. Without it, nothing is changed.")
@click.option("--move", is_flag=True, help="Also move records to whose place forks refer; the forks are changed, too.")
@click.option("--renumber", is_flag=True, help="Also number the lines again, as the newest Codex wants them.")
@json_option
def command(path: Path, is_write: bool, move: bool, renumber: bool, as_json: bool) -> int:
    """Make every whole record of a damaged session readable, for every reader.

    Half records become spaces, so that all records keep their place and forks of Codex stay valid. The original is
    kept as NAME.before-repair-1. A session that is open is never changed. Exits with 1 if something in the file is left
    to repair. A call without its output is not: an agent that was killed leaves one, and `to_input()` answers it.
    """
    if is_write and click.get_current_context().params.get("session") == "-":
        raise click.UsageError("what comes from stdin has no file to write; without --write it can be looked at")
    if is_write:
        print_if_open()
    done = repair(path, write=is_write, move=move, renumber=renumber)
    if as_json:
        write_json(_as_json(done))
    else:
        _write_report(done, Screen.of_stdout(), is_write)
    return 1 if _is_damage_left(done) or (done.done and not done.is_written) else 0


def _is_damage_left(done: Repair) -> bool:
    return any(finding.kind not in OF_THE_SESSION for finding in done.left)


def _write_report(done: Repair, screen: Screen, is_write: bool) -> None:
    for finding in (*done.done, *done.left):
        verb = _PAST[finding.action] if is_write else f"would {finding.action}"
        _write_lines(f"{verb} {_deed(finding)}", verb, screen)
    if not done.done:
        write("Nothing that can be repaired.\n" if _is_damage_left(done) else "Nothing to repair.\n")
        return
    write(f"{counted(done.before, 'item')} before, {done.after:,} after; {_places(done)}.\n")
    if done.original is None:
        write("Nothing was written: --write does it, and keeps the original beside the file.\n")
    else:
        where = for_terminal(short_path(done.original))
        write(f"The original is kept: {f'…{done.original.name[-50:]}' if screen.is_terminal else where}\n")


def _write_lines(text: str, verb: str, screen: Screen) -> None:
    """Print *text*, which begins with *verb*; on a terminal in as many lines as it needs."""
    first, *more = wrapped(text, screen.width - 2) if screen.is_terminal else [for_terminal(text)]
    write(screen.styled(verb, "bold") + first.removeprefix(verb) + "\n")
    for line in more:
        write(f"  {line}\n")


def _deed(finding: Finding) -> str:
    """Return what is done, after the verb."""
    again = ""
    if finding.gains > 0:
        again = ": the item on it is seen again" if finding.gains == 1 else f": {finding.gains:,} items are seen again"
    where = "the file" if finding.line is None else f"line {finding.line:,}"
    if finding.action == "blank":
        return f"{where}, {counted(finding.length, 'byte')} from byte {finding.start or 0:,}{again}"
    if finding.action == "leave":
        why = finding.remedy.removeprefix("left: ").removeprefix("left; ")
        return f"{where}, {finding.what}" + (f"; {why}" if why else "")
    if finding.action == "end":
        return f"{where} with a newline"
    return f"{where}, {finding.what}: {finding.remedy}{again.replace(':', ';', 1)}"


def _places(done: Repair) -> str:
    forks = "the fork stays" if len(done.forks) == 1 else f"the {len(done.forks):,} forks stay"
    if not done.moves:
        return f"no record moves, so {forks} valid" if done.forks else "no record moves"
    return f"records move, and {forks} valid" if done.forks else "records move"


def _as_json(done: Repair) -> dict[str, Any]:
    return {
        "path": os.fspath(done.path),
        "written": done.is_written,
        "done": list(map(finding_as_json, done.done)),
        "left": list(map(finding_as_json, done.left)),
        "items_before": done.before,
        "items_after": done.after,
        "moves": done.moves,
        "forks": list(map(os.fspath, done.forks)),
        "original": None if done.original is None else os.fspath(done.original),
    }
