"""`rolloutlog scan`: the secrets in a session that `export --redact` would replace, by kind and line; none is shown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .._face.redacted import redacted_entry
from .._face.words import counted
from .._reading.lines import iter_lines
from .common import define, json_option, session_argument
from .output import write, write_json

_MOST_LINES = 8


@define(
    name="scan",
    examples=[
        ("rolloutlog scan --last", "the secrets in the newest session"),
        ("rolloutlog scan trip-to-rome --json", "for a program; exit code 1 if there are any"),
    ],
)
@session_argument
@json_option
@click.pass_context
def command(ctx: click.Context, path: Path, as_json: bool) -> None:
    """Look for keys, tokens and passwords in a session, without showing them.

    They are known by their shape, so another kind may be missed. Exit code 1 if there are any.
    """
    lines: dict[str, list[int]] = {}
    counts: Counter[str] = Counter()
    for line in iter_lines(path):
        found: Counter[str] = Counter()
        redacted_entry(line.entry, found)
        counts.update(found)
        for kind in found:
            lines.setdefault(kind, []).append(line.number)
    for kind, count in counts.most_common():
        if as_json:
            write_json({"kind": kind, "count": count, "lines": lines[kind]})
            continue
        named = ", ".join(f"{number:,}" for number in lines[kind][:_MOST_LINES])
        more = " …" if len(lines[kind]) > _MOST_LINES else ""
        write(f"{count:>6,}  {kind}  {'line' if len(lines[kind]) == 1 else 'lines'} {named}{more}\n")
    if not as_json:
        write(f"{counted(counts.total(), 'secret')} found\n")
    ctx.exit(1 if counts else 0)
