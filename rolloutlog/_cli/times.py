"""Times on the command line: how long ago, a word, or a date."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import click

_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_DAYS_AGO = {"today": 0, "yesterday": 1}


class Moment(click.ParamType):  # type: ignore[type-arg]  # older releases are not generic
    """A time: ``2h`` (ago), ``today``, ``yesterday``, ``2026-11-28``, or ISO 8601; local unless it says a zone."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        """Return the time that *value* is, aware."""
        if isinstance(value, dt.datetime):
            return value
        try:
            return parse_moment(value, dt.datetime.now(dt.UTC).astimezone())
        except (ValueError, OverflowError):
            self.fail(f"expected 2h, 3d, today, yesterday, 2026-11-28 or ISO 8601; got {value!r}", param, ctx)


class Age(click.ParamType):  # type: ignore[type-arg]  # older releases are not generic
    """A length of time: ``36h``, ``30d``, ``8w``."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        """Return the length of time that *value* is."""
        if isinstance(value, dt.timedelta):
            return value
        match = _AGO.fullmatch(value.strip().lower())
        if match is None:
            self.fail(f"expected 36h, 30d or 8w; got {value!r}", param, ctx)
        try:
            return dt.timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        except OverflowError:
            self.fail(f"{value!r} is too long", param, ctx)


def parse_moment(text: str, now: dt.datetime) -> dt.datetime:
    """Return the time that *text* means at *now*, aware.

    Raises:
        ValueError: it means none.

    >>> now = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
    >>> [f"{parse_moment(text, now):%d %H:%M}" for text in ("2h", "yesterday", "2026-11-28")]
    ['30 10:00', '29 00:00', '28 00:00']
    """
    text = text.strip().lower()
    if (ago := _AGO.fullmatch(text)) is not None:
        return now - dt.timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    if text == "now":
        return now
    if text in _DAYS_AGO:
        day = now.date() - dt.timedelta(days=_DAYS_AGO[text])
        return dt.datetime.combine(day, dt.time(), None if now.tzinfo is not dt.UTC else dt.UTC).astimezone(now.tzinfo)
    found = dt.datetime.fromisoformat(text.upper())
    if found.tzinfo is not None:
        return found
    return found.replace(tzinfo=dt.UTC) if now.tzinfo is dt.UTC else found.astimezone()


since_option: Callable[[Any], Any] = click.option(
    "--since", type=Moment(), metavar="TIME", help="Only from then on: 2h (ago), 3d, yesterday, 2026-11-28, ISO 8601."
)
until_option: Callable[[Any], Any] = click.option(
    "--until", type=Moment(), metavar="TIME", help="Only until then; as for --since."
)
