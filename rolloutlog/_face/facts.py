"""The facts that a page tells about a session and about a call, as names and values; and what could not be read."""

from __future__ import annotations

import datetime as dt

from markupsafe import Markup

from .entries import Call, Counts
from .heads import Head
from .safe import for_html, one_line
from .words import QUICK, counted, lasted


def facts_of(head: Head, counts: Counts, tokens: tuple[int, ...]) -> list[tuple[str, Markup | str]]:
    """Return the facts below the title of a page: names of ours, and values.

    Args:
        head: the session's head.
        counts: its counts.
        tokens: the sums of `Tokens` of its own requests.
    """
    facts: list[tuple[str, Markup | str]] = []
    if (began := counts.first or head.began) is not None:
        time = began.astimezone(dt.UTC)
        shown = f"{time.day} {time:%B %Y, %H:%M} UTC"
        facts.append(("Began", Markup(f'<time datetime="{time.isoformat(timespec="seconds")}">{shown}</time>')))
    if counts.first is not None and counts.last is not None and counts.last > counts.first:
        facts.append(("Lasted", lasted((counts.last - counts.first).total_seconds())))
    if head.model:
        facts.append(("Model", one_line(head.model, 60)))
    facts.append(("Turns", f"{counts.turns:,}"))
    inherited = f", and {counts.inherited:,} from before the fork" if counts.inherited else ""
    facts.append(("Items", f"{counts.items:,}{inherited}"))
    if counts.calls:
        failed = f", {counts.failed:,} failed" if counts.failed else ""
        facts.append(("Tool calls", f"{counts.calls:,}{failed}"))
    if any(tokens):
        read, cached, written, _ = tokens
        part = f", {cached / read:.0%} of these cached" if cached and read else ""
        facts.append(("Tokens", f"{written:,} written, {read:,} read{part}"))
    if head.cwd:
        facts.append(("Folder", Markup(f"<code>{for_html(one_line(head.cwd, 300))}</code>")))
    return facts


def warnings_of(head: Head, counts: Counts) -> list[str]:
    """Return sentences about what could not be read."""
    found = []
    if counts.skipped:
        found.append(f"{counted(counts.skipped, 'line')} of the file cannot be read.")
    if head.is_torn:
        found.append("The last line of the file was not ended: the program that wrote it stopped there.")
    if head.meta is None:
        found.append("The file does not begin with the facts about its session.")
    return found


def call_facts(entry: Call, lines: int, *, is_live: bool = False) -> list[Markup | str]:
    """Return the facts about a call at the end of its line.

    Args:
        entry: the call.
        lines: how many lines its output has.
        is_live: whether its output may still come.
    """
    result = entry.result
    if result is None:
        return ["no output yet" if is_live else Markup("<b>no output</b>")]
    found: list[Markup | str] = []
    if result.exit_code:
        found.append(Markup(f"<b>exit {result.exit_code}</b>"))
    elif result.is_failed:
        found.append(Markup("<b>failed</b>"))
    if result.seconds is not None and result.seconds >= QUICK:
        found.append(lasted(result.seconds))
    if lines:
        found.append(counted(lines, "line"))
    return found
