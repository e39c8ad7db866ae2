"""`rolloutlog stats`: items, calls, tokens and time of sessions, together or by day, model, folder, tool or session."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .._face.safe import for_terminal
from .._face.sessions import newest_first, none_yet, short_path
from .._face.stats import GROUPINGS, By, Stats, Tool, Totals
from .._face.widths import fitted
from .._face.words import Clock, counted, lasted
from ..exceptions import RolloutError
from .common import Settings, define, json_option, session_path, utc_option
from .listing import iso
from .output import Screen, note, write, write_json
from .pager import paged
from .progress import with_progress
from .tables import Cell, Column, write_table
from .times import since_option

_MOST_TOOLS, _MOST_TURNS = 8, 5
_NAMES = {"day": "DAY", "model": "MODEL", "cwd": "FOLDER", "tool": "TOOL", "session": "SESSION"}
_TOKENS = ("SESSIONS", "REQUESTS", "READ", "CACHED", "WRITTEN", "TOTAL")
_TOOLS = ("CALLS", "FAILED", "NO OUTPUT", "TIME", "LONGEST")
# Of a message, the words for its role; of other kinds, those for the type.
_WORDS = {
    "assistant": "message of the model",
    "user": "message of the user",
    "developer": "instruction",
    "system": "instruction",
    "reasoning": "reasoning",
}
_PLURALS = {
    "message of the model": "messages of the model",
    "message of the user": "messages of the user",
    "reasoning": "reasoning",
    "additional_tools": "additional_tools",
}


@define(
    name="stats",
    examples=[
        ("rolloutlog stats --last", "the newest session in numbers"),
        ("rolloutlog stats --since 7d --by day", "the tokens of each day of the last week"),
    ],
)
@click.argument("sessions", nargs=-1, metavar="[SESSION]...")
@click.option("--last", is_flag=True, help="The newest session, in place of SESSION.")
@click.option("--by", type=click.Choice(GROUPINGS), help="One line for each day, model, folder, tool or session.")
@since_option
@json_option
@utc_option
@click.pass_context
def command(
    ctx: click.Context,
    sessions: tuple[str, ...],
    last: bool,
    by: By | None,
    since: dt.datetime | None,
    as_json: bool,
    utc: bool,
) -> int:
    """Count items, calls of tools, tokens and time; without SESSION, of all sessions.

    Each request to a model is counted once, also where a session was forked: in the session that made it. Tokens that
    are not in a file are not guessed.
    """
    stats = Stats(by, since, dt.UTC if utc else None)
    named: Sequence[str | None] = sessions or ((None,) if last else ())
    paths = [session_path(ctx, each, last) for each in named] if named else _all(ctx.obj, since)
    total = unread = 0
    for path in paths if named else with_progress(paths, "reading"):
        try:
            stats.add(path)
            total += 1
        except (OSError, RolloutError):
            if named:
                raise
            unread += 1
    screen, clock = Screen.of_stdout(), Clock(utc)
    groups = sorted((name, totals) for name, totals in stats.groups.items() if _is_worth(totals, by))
    if as_json:
        for name, totals in groups:
            write_json(_as_json(name, totals, by))
    elif total:
        with paged(screen):
            if by is None:
                _write_totals(stats.groups.get("", Totals()), total, screen, clock)
            else:
                _write_groups(groups, by, screen)
    if not total and not unread:
        note(none_yet(ctx.obj.homes) if since is None else "no session was written since then")
    if unread:
        note(f"{counted(unread, 'session')} could not be read")
    return 0


def _all(settings: Settings, since: dt.datetime | None) -> Iterator[Path]:
    """Yield the files of all sessions, except those that were not written *since* then."""
    for found in newest_first(settings.homes):
        try:
            if since is None or os.stat(found.path).st_mtime >= since.timestamp():
                yield found.path
        except FileNotFoundError:  # removed in the meantime
            continue


def _is_worth(totals: Totals, by: By | None) -> bool:
    return bool(totals.tools) if by == "tool" else bool(totals.items or totals.requests or totals.tools or by is None)


# --- all together -----------------------------------------------------------------------------------------------------


def _write_totals(totals: Totals, sessions: int, screen: Screen, clock: Clock) -> None:
    rows = [*_item_rows(totals, sessions), *_tool_rows(totals), *_token_rows(totals), *_time_rows(totals, clock)]
    if not screen.is_terminal:
        for row in rows:
            write("\t".join(map(for_terminal, row)) + "\n")
        return
    wide = max(14, *(len(for_terminal(value)) for _, value, _ in rows))
    for label, value, text in rows:
        begin = f"{screen.dim(f'{label:6}')} {screen.styled(for_terminal(value).rjust(wide), 'bold')}  "
        write(begin + fitted(for_terminal(text), max(8, screen.width - wide - 9)) + "\n")


def _item_rows(totals: Totals, sessions: int) -> Iterator[tuple[str, str, str]]:
    kinds: dict[str, int] = {}
    for kind, count in totals.kinds.most_common():
        word = _WORDS.get(kind) or (
            "call" if kind.endswith("_call") else "output" if kind.endswith("_output") else kind
        )
        kinds[word] = kinds.get(word, 0) + count
    order = sorted(kinds, key=lambda word: (word not in ("call", "output"), -kinds[word]))
    text = ", ".join(_several(kinds[word], word) for word in order)
    if totals.inherited:
        text = f"{totals.inherited:,} inherited; {text}"
    yield "items", f"{totals.items:,}", text
    if sessions > 1:
        yield "", counted(sessions, "session"), ""


def _several(count: int, word: str) -> str:
    return counted(count, word) if count == 1 or word not in _PLURALS else f"{count:,} {_PLURALS[word]}"


def _tool_rows(totals: Totals) -> Iterator[tuple[str, str, str]]:
    used = [(name, tool) for name, tool in totals.tools.items() if tool.calls or tool.failed]
    tools = sorted(used, key=lambda pair: (-pair[1].calls, pair[0]))
    label = "tools"
    for name, tool in tools[:_MOST_TOOLS]:
        yield label, f"{name[:40]} {tool.calls:,}", _about(tool)
        label = ""
    if more := tools[_MOST_TOOLS:]:
        yield "", f"{sum(tool.calls for _, tool in more):,}", f"of {counted(len(more), 'other tool')}: --by tool"


def _about(tool: Tool) -> str:
    parts = [f"{tool.failed:,} failed"] if tool.failed else []
    parts += [f"{tool.unanswered:,} without an output"] if tool.unanswered else []
    if tool.longest is not None:
        parts.append(f"{lasted(tool.seconds)} in all, longest {lasted(tool.longest)}")
    return "; ".join(parts)


def _token_rows(totals: Totals) -> Iterator[tuple[str, str, str]]:
    if not totals.requests:
        yield "tokens", "", "not in this file" if totals.sessions <= 1 else "not in these files"
        return
    tokens = totals.tokens
    read = f"{tokens.input:,} read ({tokens.cached:,} cached)"
    written = f"{tokens.output:,} written ({tokens.reasoning:,} reasoning)"
    yield "tokens", f"{tokens.input + tokens.output:,}", f"{read} + {written}"
    yield "", counted(totals.requests, "request"), "each counted once"


def _time_rows(totals: Totals, clock: Clock) -> Iterator[tuple[str, str, str]]:
    if totals.first is None or totals.last is None:
        yield "time", "", "not in this file" if totals.sessions <= 1 else "not in these files"
        return
    first, last = clock.local(totals.first), clock.local(totals.last)
    if first.date() == last.date():
        span = f"{first:%H:%M:%S} to {last:%H:%M:%S} {clock.zone(totals.last)}"
    else:
        span = f"{clock.full(totals.first)} to {clock.full(totals.last)}"
    if totals.turns:
        shown = ", ".join(map(lasted, totals.turns[:_MOST_TURNS])) + (", …" if len(totals.turns) > _MOST_TURNS else "")
        span += f"; {counted(len(totals.turns), 'turn')}: {shown}"
    yield "time", lasted((totals.last - totals.first).total_seconds()), span


# --- in groups --------------------------------------------------------------------------------------------------------


def _write_groups(groups: Sequence[tuple[str, Totals]], by: By, screen: Screen) -> None:
    titles = _TOOLS if by == "tool" else _TOKENS
    rows = [(name, _tool_cells(totals) if by == "tool" else _token_cells(totals)) for name, totals in groups]
    if not screen.is_terminal:
        for name, cells in rows:
            write("\t".join(map(for_terminal, (name or "-", *cells))) + "\n")
        return
    # The numbers are shown whole, and the name gets what is left.
    widths = [max([len(title), *(len(cells[index]) for _, cells in rows)]) for index, title in enumerate(titles)]
    left = max(8, screen.width - sum(widths) - 2 * len(widths))
    columns = [Column(_NAMES[by], "cyan"), *(Column(title, right=True) for title in titles)]
    write_table(columns, [[Cell(_name(name, by, left), "cyan"), *map(Cell, cells)] for name, cells in rows], screen)


def _name(name: str, by: By, width: int) -> str:
    if by == "session":
        return name[-8:]
    if by == "cwd" and name:
        text = for_terminal(short_path(name))
        return text if len(text) <= width else f"…{text[-(width - 1) :]}"
    return fitted(for_terminal(name or "-"), width)


def _token_cells(totals: Totals) -> list[str]:
    if not totals.requests:
        return [f"{totals.sessions:,}", "", "", "", "", ""]
    tokens = totals.tokens
    numbers = (totals.requests, tokens.input, tokens.cached, tokens.output, tokens.input + tokens.output)
    return [f"{number:,}" for number in (totals.sessions, *numbers)]


def _tool_cells(totals: Totals) -> list[str]:
    calls = totals.calls
    time = ["", ""] if calls.longest is None else [lasted(calls.seconds), lasted(calls.longest)]
    return [f"{calls.calls:,}", f"{calls.failed:,}", f"{calls.unanswered:,}", *time]


# --- JSON -------------------------------------------------------------------------------------------------------------


def _as_json(name: str, totals: Totals, by: By | None) -> Mapping[str, Any]:
    tokens = totals.tokens
    return {
        **({} if by is None else {by: name or None}),
        "sessions": totals.sessions,
        "items": totals.items,
        "inherited": totals.inherited,
        "kinds": dict(totals.kinds),
        "tools": {
            tool: {
                "calls": found.calls,
                "failed": found.failed,
                "unanswered": found.unanswered,
                "seconds": None if found.longest is None else round(found.seconds, 3),
                "longest": found.longest,
            }
            for tool, found in totals.tools.items()
        },
        "requests": totals.requests,
        "tokens": None if not totals.requests else {**tokens._asdict(), "total": tokens.input + tokens.output},
        "first": None if totals.first is None else iso(totals.first),
        "last": None if totals.last is None else iso(totals.last),
        "turns": totals.turns,
    }
