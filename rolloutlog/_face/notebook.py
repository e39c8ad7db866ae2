"""The views of a notebook: a session, its recorder, its handler and an item as a few lines of HTML.

They fit every theme, because all colours are made of the text's. They have no script and no ids, and where a notebook
takes the style away, the folds and the texts remain. However much a session holds, a view is at most 40 kB.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from .._item import Item
from .._reading.saved import SavedSession
from .calls import read_call
from .line import first_lines
from .outputs import Result, read_output
from .safe import for_html, one_line
from .titles import typed_text
from .words import count_lines, counted, size_of

FIRST, LAST = 9, 2
"""How many items are rows of their own, at the beginning and at the end."""
LARGEST = 40_000
"""How many bytes a view may have."""

_MOST_IN_FOLD = 32  # items in the fold between the first and the last
_MOST_COUNTED = 20_000  # calls and failures of a session with more items are not counted
_LARGEST_BODY, _LARGEST_LINE, _SHORT_LINE = 1_400, 600, 300  # bytes of HTML
_SHORT_TEXT = 10  # lines; a longer text is folded


class Row(NamedTuple):
    """An item as a line.

    Attributes:
        kind: what it is, in a word.
        text: all of its text.
        line: its first words.
        facts: pieces of text for the right edge; those that begin with ``!`` are red.
        is_users: whether a person said it.
    """

    kind: str
    text: str
    line: str
    facts: tuple[str, ...] = ()
    is_users: bool = False


def saved_session(saved: SavedSession) -> str:
    """Return the view of a `SavedSession`: a line of facts, and its items, most of them in folds."""
    first = next((index for index, item in enumerate(saved.items) if not _is_instruction(item)), len(saved.items))
    head = [saved.session_id[-8:], _time(saved), *_counts(saved.items), *_trouble_of(saved)]
    notes = [one_line(saved.name, 80)] if saved.name else []
    # Texts of control characters grow by a lot, so what fits is found by trying.
    views = (_view("SavedSession", head, notes, _rows(saved.items, first, scale)) for scale in (1, 2, 4, 8, 16))
    return next((view for view in views if len(view.encode()) <= LARGEST), _view("SavedSession", head, notes, []))


def session(name: str, recorder: Any, items: Sequence[Item]) -> str:
    """Return the view of a `Session`: its name, whether it records, and its last items."""
    facts, notes = _state_of(recorder)
    first = max(0, len(items) - FIRST - LAST)
    rows = [_row(index, items[index], 1) for index in range(first, len(items))]
    return _view(
        "Session", [one_line(name, 80), counted(len(items), "item"), *facts], [*notes, _path(recorder.path)], rows
    )


def recorder(value: Any) -> str:
    """Return the view of a `RolloutRecorder`: its state in words, its counts, and its file."""
    facts, notes = _state_of(value)
    return _view("RolloutRecorder", facts, [*notes, _path(value.path)], [])


def handler(level: str, recorder: Any | None) -> str:
    """Return the view of a `RolloutHandler`: its level, and the session it writes to."""
    if recorder is None:
        return _view("RolloutHandler", [level, "no session yet"], ["The first record begins one."], [])
    facts, notes = _state_of(recorder)
    return _view("RolloutHandler", [level, *facts], [*notes, _path(recorder.path)], [])


def item(value: Item) -> str:
    """Return the view of an item: its kind, its facts, and its text, folded after ten lines."""
    row = _read(value)
    names = ("role", "name", "call_id", "status")
    known = value._read() if value.json else {}
    facts = [one_line(held, 60) for name in names if isinstance(held := known.get(name), str)]
    body = _folded_body(row.text)
    marked = [fact for fact in row.facts if fact.startswith("!")]
    return _view(type(value).__name__, [*facts, *marked], [], [body])


def _folded_body(text: str) -> str:
    """Return *text*: its first ten lines, and the others in a fold."""
    text = text.rstrip("\n")
    first = first_lines(text, _SHORT_TEXT)
    rest = text[len(first) + 1 :]
    if not first.strip() and not rest:
        return ""
    shown = _limited(first, LARGEST // 2 if rest else LARGEST - 6_000)
    body = f'<pre dir="auto">{shown}</pre>'
    if rest:
        count = counted(count_lines(rest), "more line")
        inside = _limited(rest, LARGEST - 6_000 - len(shown.encode()))
        body += f'<details><summary class="d">▸ {count}</summary><pre dir="auto">{inside}</pre></details>'
    return body


# --- pieces -----------------------------------------------------------------------------------------------------------


@cache
def _style() -> str:
    return (files("rolloutlog") / "_face" / "notebook.css").read_text(encoding="utf-8").replace("\n", "")


def _view(name: str, facts: Iterable[str], notes: Iterable[str], rows: Iterable[str]) -> str:
    shown = "".join(_fact(fact) for fact in facts if fact)
    below = "".join(f'<p class="d" dir="auto">{for_html(note)}</p>' for note in notes)
    return (
        f'<div class="rl"><style>{_style()}</style><div class="h"><b>{for_html(name)}</b>{shown}</div>'
        f"{below}{''.join(rows)}</div>"
    )


def _fact(fact: str) -> str:
    css = "b" if fact.startswith("!") else "d"
    return f'<span class="{css}" dir="auto">{for_html(fact.removeprefix("!"))}</span>'


def _limited(text: str, size: int) -> str:
    """Return *text* as HTML of at most about *size* bytes: a text of control characters grows by a lot."""
    length = size
    while True:
        shown = for_html(text[:length])
        if len(shown.encode()) <= size:
            return shown if length >= len(text) else f"{shown}\n…"
        length = length // 2 if length < len(text) else min(len(text), length) // 2


def _rows(items: Sequence[Item], first: int, scale: int) -> list[str]:
    """Return the rows of *items* from *first* on: the first ones, a fold, and the last ones."""
    rows = []
    if first:
        rows.append(
            f'<div class="i d"><span>…</span><span>instructions</span><span>{counted(first, "item")}</span></div>'
        )
    end = len(items)
    if end - first <= FIRST + LAST + 1:
        return rows + [_row(index, items[index], scale) for index in range(first, end)]
    begin_fold, end_fold = first + FIRST, end - LAST
    rows += [_row(index, items[index], scale) for index in range(first, begin_fold)]
    last = min(end_fold, begin_fold + _MOST_IN_FOLD // scale)
    lines = [_line(index, _read(items[index]), _SHORT_LINE // scale) for index in range(begin_fold, last)]
    inside = [f'<div class="{css}">{cells}</div>' for css, cells in lines]
    if last < end_fold:
        inside.append(f'<div class="i d"><span>…</span><span>{end_fold - last:,} more</span></div>')
    rows.append(
        f'<details><summary class="i d"><span>…</span><span>{end_fold - begin_fold:,} more</span>'
        f"<span>items {begin_fold:,} to {end_fold - 1:,}</span></summary>{''.join(inside)}</details>"
    )
    return rows + [_row(index, items[index], scale) for index in range(end_fold, end)]


def _row(index: int, value: Item, scale: int) -> str:
    row = _read(value)
    css, cells = _line(index, row, _LARGEST_LINE // scale)
    if not row.text:
        return f'<div class="{css}">{cells}</div>'
    body = _limited(row.text, _LARGEST_BODY // scale)
    return f'<details><summary class="{css}">{cells}</summary><pre dir="auto">{body}</pre></details>'


def _line(index: int, row: Row, size: int) -> tuple[str, str]:
    """Return the class and the cells of *row*, with at most *size* bytes of its text."""
    first = row.line.strip().partition("\n")[0]
    line = _limited(one_line(first, 200), size).replace("\n", " ")
    facts = " ".join(map(_fact, row.facts))
    kind = f'<span class="d">{for_html(row.kind)}</span>'
    cells = f'<span>{index}</span>{kind}<span class="t" dir="auto">{line}</span><span>{facts}</span>'
    return "i u" if row.is_users else "i", cells


# --- items ------------------------------------------------------------------------------------------------------------


def _read(value: Item) -> Row:
    """Return *value* as a row. An item of any kind has one; no value of a file makes it raise."""
    known = value._read() if value.json else {"type": value.type}
    kind = value.type
    if kind == "message":
        role = str(known.get("role"))
        text = value.text
        typed = typed_text(known) if role == "user" else ""
        return Row(one_line(role, 20), text, typed or text, (), bool(typed))
    if kind == "reasoning":
        text = value.text
        return Row("reasoning", text, text.strip().partition("\n")[0].strip("* ") or "(encrypted)")
    if kind.endswith("_output"):
        result = read_output(known)
        text = result.text.rstrip("\n")
        return Row("output", text, text.lstrip("\n"), _facts_of(result))
    if kind.endswith("_call"):
        call = read_call(known)
        return Row("call", call.command, ("$ " if call.is_shell else "") + call.command.lstrip("\n"))
    text = value.text or value.json.decode("utf-8", "replace")
    return Row(one_line(kind, 20), text, text)


def _facts_of(result: Result) -> tuple[str, ...]:
    facts = [f"!exit {result.exit_code}"] if result.exit_code else ["!failed"] * result.is_failed
    count = count_lines(result.text.rstrip("\n"))
    facts += [counted(count, "line")] if count > 1 else []
    return tuple(facts)


def _is_instruction(value: Item) -> bool:
    if value.type != "message":
        return value.type == "additional_tools"
    known = value._read()
    return known.get("role") not in ("user", "assistant") or (known.get("role") == "user" and not typed_text(known))


def _counts(items: Sequence[Item]) -> list[str]:
    facts = [counted(len(items), "item")]
    if len(items) > _MOST_COUNTED:
        return facts
    turns = calls = failed = 0
    for value in items:
        if value.type == "message":
            known = value._read()
            turns += known.get("role") == "user" and bool(typed_text(known))
        elif value.type.endswith("_output"):
            failed += read_output(value._read()).is_failed
        elif value.type.endswith("_call"):
            calls += 1
    facts.append(counted(turns, "turn"))
    facts += [counted(calls, "call")] if calls else []
    facts += [f"!{failed:,} failed"] if failed else []
    return facts


# --- sessions and recorders -------------------------------------------------------------------------------------------


def _time(saved: SavedSession) -> str:
    try:
        began = saved.session.started.astimezone()
    except (ValueError, OverflowError, OSError):
        return ""
    return f"{began.day} {began:%b} {began.year}, {began:%H:%M} {began.tzname() or ''}".rstrip()


def _trouble_of(saved: SavedSession) -> list[str]:
    return [f"!{counted(len(saved.skipped), 'line')} cannot be read"] if saved.skipped else []


def _state_of(recorder: Any) -> tuple[list[str], list[str]]:
    """Return the state of a `RolloutRecorder` as facts and as sentences."""
    stats, state = recorder.stats, recorder.lifecycle.name
    words = {"NEW": "recording", "OPEN": "recording", "CLOSING": "closing", "CLOSED": "closed", "FAILED": "!failed"}
    facts, notes = [words[state]], []
    if stats.error is not None and state in ("OPEN", "CLOSING"):
        reason = getattr(stats.error, "strerror", None) or str(stats.error) or type(stats.error).__name__
        facts = [f"!not writing: {one_line(reason, 120).lower()}"]
        notes = ["The records wait, and are written as soon as that is possible. flush() raises until then."]
    elif state == "FAILED":
        notes = [one_line(str(stats.error), 200)] if stats.error is not None else []
        notes.append("It writes nothing any more: resume the session with a new recorder.")
    facts.append(f"{stats.written:,} written")
    facts.append(f"{'!' if stats.pending and stats.error is not None else ''}{stats.pending:,} waiting")
    facts.append(f"{'!' if stats.dropped else ''}{stats.dropped:,} dropped")
    return facts, notes


def _path(path: Path) -> str:
    home = os.path.expanduser("~")
    shown = os.fspath(path)
    shown = "~" + shown[len(home) :] if shown.startswith(home + os.sep) else shown
    try:
        return f"{shown} · {size_of(path.stat().st_size)}"
    except OSError:
        return shown
