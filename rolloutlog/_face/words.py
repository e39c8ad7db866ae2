"""Sizes, counts, durations, times and what was taken back, in the words that people read, the same in every view."""

from __future__ import annotations

import datetime as dt

import attrs

QUICK = 0.05
"""A call that took fewer seconds is not worth a word."""


def size_of(count: int) -> str:
    """Return *count* bytes with at most three digits.

    >>> size_of(999), size_of(55_700), size_of(1_250_000)
    ('999 B', '56 kB', '1.2 MB')
    """
    if count < 1_000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1_000
        if value < 999.5 or unit == "TB":
            break
    return f"{value:.0f} {unit}" if value >= 9.95 or unit == "kB" else f"{value:.1f} {unit}"


def counted(count: int, noun: str) -> str:
    """Return *count* and *noun*, in the plural unless there is one.

    >>> counted(1, "line"), counted(1200, "line")
    ('1 line', '1,200 lines')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def count_lines(text: str) -> int:
    r"""Return how many lines *text* has; a newline at its end begins no line.

    >>> count_lines("one\ntwo\n"), count_lines("")
    (2, 0)
    """
    return text.count("\n") + (not text.endswith("\n") and text != "")


def lasted(seconds: float) -> str:
    """Return a duration.

    >>> lasted(0.25), lasted(5.2), lasted(42.4), lasted(130), lasted(7320)
    ('0.2 s', '5 s', '42 s', '2 min 10 s', '2 h 2 min')
    """
    if seconds < 0.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours:,} h {minutes} min" if minutes else f"{hours:,} h"


@attrs.frozen
class Clock:
    """Shows times in one zone. A list names the zone once, in its heading.

    Args:
        utc: show UTC instead of local time.
        now: the time at which *today* is, aware; the present, if `None`.
    """

    utc: bool = False
    now: dt.datetime | None = None

    def local(self, time: dt.datetime) -> dt.datetime:
        """Return *time*, aware, in the zone; a time that the system cannot convert, in UTC."""
        try:
            return time.astimezone(dt.UTC if self.utc else None)
        except (OverflowError, OSError, ValueError):
            return time.replace(tzinfo=dt.UTC)

    def zone(self, time: dt.datetime | None = None) -> str:
        """Return the name of the zone, at *time*, because of daylight saving time; else now."""
        return self.local(time or self._now()).tzname() or "local"

    def moment(self, time: dt.datetime | None) -> str:
        """Return *time* as a list shows it: `today 04:48`, `yesterday 23:58`, `27 Nov 09:12`, `27 Nov 2025`.

        >>> noon = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
        >>> clock = Clock(utc=True, now=noon)
        >>> [clock.moment(noon - dt.timedelta(days=days)) for days in (0, 1, 3, 400)]
        ['today 12:00', 'yesterday 12:00', '27 Nov 12:00', '26 Oct 2025']
        """
        if time is None:
            return ""
        here, today = self.local(time), self.local(self._now()).date()
        days = (today - here.date()).days
        if days in (0, 1):
            return f"{'yesterday' if days else 'today'} {here:%H:%M}"
        return f"{here.day} {here:%b} {here:%H:%M}" if here.year == today.year else f"{here.day} {here:%b} {here.year}"

    def full(self, time: dt.datetime) -> str:
        """Return *time* with its date and zone: `30 Nov 2026, 04:48 CET`."""
        here = self.local(time)
        return f"{here.day} {here:%b} {here.year}, {here:%H:%M} {here.tzname() or ''}".rstrip()

    def seconds(self, time: dt.datetime) -> str:
        """Return the time of day with its seconds."""
        return f"{self.local(time):%H:%M:%S}"

    def _now(self) -> dt.datetime:
        return self.now or dt.datetime.now(dt.UTC)


def taken_back(what: object) -> str:
    """Return what a record that takes items back says; *what* as in the record."""
    if type(what) is int:
        return "The last item was taken back" if what == 1 else f"The last {what:,} items were taken back"
    return "All items above were taken back" if what == "all" else "The reasoning above was taken back"


def turns_taken_back(count: object) -> str:
    """Return the same for an event of Codex that takes *count* turns back."""
    if type(count) is not int:
        return "Turns were taken back"
    return "The last turn was taken back" if count == 1 else f"The last {count:,} turns were taken back"
