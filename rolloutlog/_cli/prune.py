"""`rolloutlog prune`: says which sessions would be moved to the trash, and does it with `--apply`."""

from __future__ import annotations

import datetime as dt

import click

from .._face.sessions import find_session, short_path
from .common import Count, Settings, define, json_option, session_path
from .keeping import apply_option, carry_out, larger_option, older_option


@define(
    name="prune",
    examples=[
        ("rolloutlog prune --older-than 26w --keep-last 100", "which sessions would be moved to the trash"),
        ("rolloutlog prune --larger-than 1GB --older-than 8w --apply", "move them there"),
    ],
)
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@older_option
@larger_option
@click.option("--keep-last", type=Count(), metavar="N", help="Not the newest N sessions of each home.")
@click.option("--restore", is_flag=True, help="Move SESSION, or all, out of the trash again.")
@apply_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    sessions: tuple[str, ...],
    older_than: dt.timedelta | None,
    larger_than: int | None,
    keep_last: int | None,
    restore: bool,
    is_apply: bool,
    as_json: bool,
) -> int:
    """Move sessions to the folder `trash` of their home, into which nothing looks.

    Remove that folder to free the space. A session must fit all options. The parent of a fork or a sub-agent that
    remains is left, and so is a session that is open. Exits with 1 if a session that was named is left, or could not be
    moved.
    """
    from .._keep.prune import TRASH, Criteria, planned, restoring
    from .._writing.os_calls import REAL_SYSTEM

    settings: Settings = ctx.obj
    hint = ""
    try:
        if restore:
            trashes = [home / TRASH for home in settings.homes]
            named = [find_session(each, trashes) for each in sessions] if sessions else None
            plan = restoring(named, settings.homes, REAL_SYSTEM)
        else:
            named = [session_path(ctx, each, False) for each in sessions] if sessions else None
            plan = planned(named, settings.homes, Criteria(older_than, larger_than, keep_last), REAL_SYSTEM)
            where = " and ".join(short_path(home / TRASH) for home in settings.homes)
            hint = f"Remove {where} to free the space; rolloutlog prune --restore SESSION brings one back."
    except ValueError as error:
        raise click.UsageError("expected SESSION, --older-than, --larger-than or --keep-last", ctx) from error
    return carry_out(plan, is_apply=is_apply, is_named=bool(sessions), as_json=as_json, afterwards=hint)
