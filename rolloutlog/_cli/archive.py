"""`rolloutlog archive`: says which sessions would be compressed where they are, and does it with `--apply`."""

from __future__ import annotations

import datetime as dt

import click

from .common import Settings, define, json_option, session_path
from .keeping import apply_option, carry_out, larger_option, older_option


@define(
    name="archive",
    examples=[
        ("rolloutlog archive --older-than 60d", "which sessions would be compressed"),
        ("rolloutlog archive --older-than 60d --apply", "compress them where they are"),
    ],
)
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@older_option
@larger_option
@click.option("--restore", is_flag=True, help="Unpack compressed sessions instead.")
@apply_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    sessions: tuple[str, ...],
    older_than: dt.timedelta | None,
    larger_than: int | None,
    restore: bool,
    is_apply: bool,
    as_json: bool,
) -> int:
    """Compress sessions that are not used any more; without SESSION, those that were not changed for 30 days.

    They stay where they are, and are found, read and resumed as before. Each new file is read back and compared before
    the original is removed. A session that is open, or was changed on the last day, is left. Needs the extra "zstd".
    Exits with 1 if a session that was named is left, or could not be compressed.
    """
    from .._keep.archive import planned
    from .._writing.os_calls import REAL_SYSTEM

    if older_than is not None and older_than < dt.timedelta(days=1):
        raise click.UsageError(
            "--older-than: expected at least a day, such as 1d, because a program may use a newer one", ctx
        )
    settings: Settings = ctx.obj
    named = [session_path(ctx, each, False) for each in sessions] if sessions else None
    plan = planned(named, settings.homes, older_than, larger_than or 0, restore, REAL_SYSTEM)
    hint = (
        "" if restore else "Older releases of Codex cannot read them: rolloutlog archive --restore SESSION unpacks one."
    )
    return carry_out(plan, is_apply=is_apply, is_named=bool(sessions), as_json=as_json, afterwards=hint)
