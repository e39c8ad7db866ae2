"""The options and the output that `rolloutlog archive` and `rolloutlog prune` have in common."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click

from .._face.safe import for_terminal, one_line
from .._face.sessions import short_path
from .._face.words import counted, size_of
from .._keep.values import Keeping, KeptSession
from ..exceptions import RolloutError
from .output import Screen, print_if_open, write, write_json
from .progress import with_progress
from .times import Age

_PAST = {"archive": "archived", "prune": "moved", "restore": "restored"}
_FUTURE = {"archive": "archive", "prune": "move", "restore": "restore"}
_DOING = {"archive": "archiving", "prune": "moving", "restore": "restoring"}
_LONGEST_NAME = 40
_SIZE = re.compile(r"(\d{1,15})\s*(|b|kb|mb|gb)")
_BYTES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}


class Size(click.ParamType):  # type: ignore[type-arg]  # older releases are not generic
    """A number of bytes: ``500000``, ``500kB``, ``20MB``, ``1GB``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes that *value* is."""
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(value.strip().lower())
        if match is None:
            self.fail(f"expected 500000, 500kB, 20MB or 1GB; got {value!r}", param, ctx)
        return int(match[1]) * _BYTES[match[2]]


apply_option: Callable[[Any], Any] = click.option(
    "--apply", "is_apply", is_flag=True, help="Do it. Without it, nothing is changed."
)
older_option: Callable[[Any], Any] = click.option(
    "--older-than", type=Age(), metavar="AGE", help="Only what was last changed so long ago: 30d, 8w."
)
larger_option: Callable[[Any], Any] = click.option(
    "--larger-than", type=Size(), metavar="SIZE", help="Only sessions of more bytes: 500kB, 20MB, 1GB."
)


def carry_out(plan: Keeping, *, is_apply: bool, is_named: bool, as_json: bool, afterwards: str) -> int:
    """Print *plan*, or carry it out and print the report; return the exit code.

    Args:
        plan: the plan.
        is_apply: whether to carry it out.
        is_named: whether sessions were named: then it is an error that one is left.
        as_json: print one JSON object for each session.
        afterwards: a line for people after it was carried out.
    """
    if is_apply:
        print_if_open()
    *_, report = with_progress(plan.steps(), _DOING[plan.action]) if is_apply else [plan]
    if as_json:
        for each in report.chosen:
            write_json(_as_json(each, plan.action, report.is_applied))
        for each in report.left:
            write_json(_as_json(each, "leave", False))
    else:
        _write_report(report, afterwards)
    return 1 if len(report.left) > (0 if is_named else len(plan.left)) else 0


def _write_report(report: Keeping, afterwards: str) -> None:
    screen = Screen.of_stdout()
    verb = _PAST[report.action] if report.is_applied else f"would {_FUTURE[report.action]}"
    for each in report.chosen:
        what = f"{_handle(each, screen)}, {_sizes(each)}" + ("" if report.is_applied else f": {each.reason}")
        write(f"{screen.styled(verb, 'bold')} {for_terminal(what)}\n")
    for each in report.left:
        left = "left" if report.is_applied else "would leave"
        write(f"{screen.styled(left, 'bold')} {for_terminal(f'{_handle(each, screen)}: {each.reason}')}\n")
    if not report.chosen:
        write("Nothing was changed.\n" if report.is_applied else f"Nothing to {_FUTURE[report.action]}.\n")
        return
    total = f"{counted(len(report.chosen), 'session')}, {size_of(report.size)}"
    if not report.is_applied:
        write(f"{total}. Nothing was changed: --apply does it.\n")
        return
    write(f"{total}{'' if report.new_size == report.size else f' before, {size_of(report.new_size)} after'}.\n")
    write(f"{for_terminal(afterwards)}\n" if afterwards else "")


def _handle(kept: KeptSession, screen: Screen) -> str:
    """Return the end of the id on a terminal, which every command takes, and the name; the path elsewhere."""
    from .._face.heads import read_head
    from .._paths import parse_file_name

    path = kept.new_path or kept.path
    found = parse_file_name(kept.path)
    if not screen.is_terminal or found is None:
        return short_path(path)
    name = None
    with suppress(RolloutError, OSError):
        name = read_head(path).name
    return found.id[-8:] if name is None else f"{found.id[-8:]} ({one_line(name, _LONGEST_NAME)})"


def _sizes(kept: KeptSession) -> str:
    if kept.new_size is None or kept.new_size == kept.size:
        return size_of(kept.size)
    return f"{size_of(kept.size)} → {size_of(kept.new_size)}"


def _as_json(kept: KeptSession, action: str, is_applied: bool) -> dict[str, Any]:
    return {
        "path": os.fspath(kept.path),
        "action": action,
        "reason": kept.reason,
        "applied": is_applied,
        "bytes": kept.size,
        "new_path": None if kept.new_path is None else os.fspath(kept.new_path),
        "new_bytes": kept.new_size,
    }
