"""`rolloutlog import`: makes rollouts of sessions of other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from .._face.safe import for_terminal
from .._face.sessions import short_path
from .._face.words import counted
from ..exceptions import SessionNotFoundError
from ..redaction import secrets
from .common import Settings, define, json_option
from .output import drop_stdout, note, print_if_open, write, write_json
from .progress import with_progress

_LABELS = {"new": "imported", "known": "known", "changed": "changed", "empty": "no session"}


@define(
    name="import",
    examples=[
        ("rolloutlog import claude --all", "all sessions of Claude Code on this machine"),
        ("rolloutlog import messages chat.jsonl", "messages of Chat Completions or of Anthropic's API"),
    ],
)
@click.argument("kind", metavar="claude|messages|agents", type=click.Choice(["claude", "messages", "agents"]))
@click.argument("source", metavar="[PATH]", required=False, type=click.Path(path_type=Path))
@click.option("--all", "is_all", is_flag=True, help="With claude, in place of PATH: all of its sessions.")
@click.option("--redact", is_flag=True, help="Replace keys, tokens and passwords before anything is written.")
@click.option("--again", is_flag=True, help="Import under a new id what was imported before.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, kind: str, source: Path | None, is_all: bool, redact: bool, again: bool, as_json: bool
) -> int:
    """Make a new session of each session of another program, and say what was not carried.

    The sessions go to the folder of --home, else to ROLLOUTLOG_HOME, else to ~/.rolloutlog. A session that is there
    already is not imported twice. Exits with 1 if a source, or a row of one, holds no session.
    """
    settings: Settings = ctx.obj
    if len(settings.named) > 1:
        raise click.UsageError("expected one --home: the folder for the new sessions", ctx)
    if is_all and (kind != "claude" or source is not None):
        raise click.UsageError("--all is for claude, and in place of PATH", ctx)
    if source is None and not is_all:
        raise click.UsageError("expected a PATH" + (", or --all" if kind == "claude" else ""), ctx)
    options: dict[str, Any] = {
        "home": settings.named[0] if settings.named else None,
        "redact": secrets if redact else None,
        "again": again,
    }
    print_if_open()
    totals: Counter[str] = Counter()
    kept: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    try:
        for done in with_progress(_imported(kind, source, options), "importing"):
            totals[done.state] += 1
            kept.update(done.logged)
            left_out.update(done.left_out)
            try:
                write_json(done.to_dict()) if as_json else _write_one(done)
            except BrokenPipeError:  # all are imported, although the reader has seen enough
                drop_stdout()
    except SessionNotFoundError as error:  # it names a file here, and a list of sessions would not help
        raise click.ClickException(str(error)) from error
    if not as_json:
        _write_counts("kept as log entries", kept)
        _write_counts("not carried", left_out)
    if not totals:
        from .._imports.claude import claude_home

        where = for_terminal(short_path(source or claude_home()))
        note(f"there are no sessions of Claude Code in {where}; expected files that end in .jsonl there")
    return 1 if totals["empty"] or not totals else 0


def _imported(kind: str, source: Path | None, options: dict[str, Any]) -> Iterator[Any]:
    """Yield what becomes of each session, as soon as it is known."""
    if kind == "claude" and (source is None or source.is_dir()):
        from .._imports.claude import claude_files, claude_home, import_file

        folder = source or claude_home()
        for file in claude_files(folder) if folder.is_dir() else ():
            yield import_file(file, **options)
        return
    from .._imports import agents, claude, messages

    by_kind: dict[str, Any] = {
        "claude": claude.import_claude,
        "messages": messages.import_messages,
        "agents": agents.import_agents,
    }
    yield from by_kind[kind](source, **options)


def _write_one(done: Any) -> None:
    where = for_terminal(short_path(Path(done.source)))
    handle = "" if done.session_id is None else f"{done.session_id[-8:]}  "
    if done.state == "new":
        detail = f"{counted(done.items, 'item')}, {counted(done.responses, 'response')}"
    elif done.state == "changed":
        detail = "imported before, and the source has changed since; --again imports it under a new id"
    else:
        detail = done.problem or "imported before"
    write(f"{_LABELS[done.state]}  {handle}{where}: {for_terminal(detail)}\n")
    for line in () if done.state == "empty" else done.skipped:  # then the problem is the reason
        write(f"  number {line.number:,} was skipped: {for_terminal(line.reason)}\n")


def _write_counts(title: str, counts: Counter[str]) -> None:
    if counts:
        write(f"{title}:\n")
        for name, count in counts.most_common():
            write(f"  {count:>7,}  {for_terminal(name)}\n")
