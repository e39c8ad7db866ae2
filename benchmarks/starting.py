"""The time before a program's first record: the import, the first record on disk, opening by name, listing."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import statistics
import sys
import time
import uuid
from importlib.util import find_spec
from pathlib import Path

import rolloutlog
from rolloutlog import find_sessions

ROOT = Path(__file__).parents[1]

IMPORT, FIRST, NEWEST = "starting/import", "starting/first record", "starting/newest 20"
OPENING = "starting/opening by name"
OURS, OURS_AGAIN, BASE = "rolloutlog", "rolloutlog (again)", "logging and asyncio"
FIND, WALK = "find_sessions", "os.scandir of the folders that it needs"
OPEN = "session(name)"

# How a home may have grown: so many sessions a day, or all of them in one day.
A_DAY, ONE_DAY = "100 a day", "all in one day"
SHAPES: dict[str, int | None] = {A_DAY: 100, ONE_DAY: None}
# And one with hardly any sessions, which shows the cost of opening that does not depend on their number.
TEN, FEW = "10 sessions", 10

WANTED = 20
_CALLS = 7

_KNOWN = "known"

# Each is run as the whole program of an isolated process; the packages that it needs come after it.
IMPORTS: dict[str, tuple[str, tuple[str, ...]]] = {
    OURS: ("import rolloutlog", ()),
    OURS_AGAIN: ("import rolloutlog", ()),
    BASE: ("import logging, asyncio", ()),
    "logging": ("import logging", ()),
    "structlog": ("import structlog", ("structlog",)),
    "loguru": ("import loguru", ("loguru",)),
    "pydantic": ("from pydantic import BaseModel", ("pydantic",)),
}
FIRST_RECORDS: dict[str, tuple[str, tuple[str, ...]]] = {
    OURS: (
        """
import rolloutlog
recorder = rolloutlog.RolloutRecorder.create({folder!r})
recorder.record({{"role": "user", "content": "hi"}})
recorder.flush()
""",
        (),
    ),
    "logging, python-json-logger": (
        """
import logging
from pythonjsonlogger.orjson import OrjsonFormatter
handler = logging.FileHandler({folder!r} + "/lines.jsonl")
handler.setFormatter(OrjsonFormatter())
logger = logging.getLogger("agent")
logger.addHandler(handler)
logger.warning("hi")
""",
        ("pythonjsonlogger", "orjson"),
    ),
    "loguru": (
        """
from loguru import logger
logger.remove()
logger.add({folder!r} + "/lines.jsonl", serialize=True)
logger.info("hi")
""",
        ("loguru",),
    ),
    "json.dumps + write + flush": (
        """
import json
file = open({folder!r} + "/lines.jsonl", "w")
file.write(json.dumps({{"role": "user", "content": "hi"}}) + "\\n")
file.flush()
""",
        (),
    ),
}

_TIMED = """\
import sys, time
sys.path.insert(0, {root!r})
begin = time.perf_counter()
{code}
print('{{"{scene}": {{"ms": %f}}}}' % ((time.perf_counter() - begin) * 1e3))
"""


def command(scene: str, code: str) -> tuple[str, ...]:
    """Return the command that runs *code* in an isolated process and prints how many milliseconds it took."""
    return (sys.executable, "-I", "-c", _TIMED.format(root=str(ROOT), scene=scene, code=code))


def missing(packages: tuple[str, ...]) -> list[str]:
    """Return those of *packages* that are not installed."""
    return [package for package in packages if find_spec(package) is None]


def listing(shape: str) -> str:
    """Return the name of the scene in which a home of that shape is listed."""
    return f"{NEWEST}/{shape}"


def opening(shape: str) -> str:
    """Return the name of the scene in which sessions of a home of that shape are opened by name."""
    return f"{OPENING}/{shape}"


def fill(home: Path, count: int, shape: str) -> None:
    """Make a home of *count* sessions. Their files are empty, except that of one that has a name, in the middle."""
    a_day = SHAPES.get(shape) or count
    first = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    for day in range(-(-count // a_day)):
        date = first + dt.timedelta(days=day)
        folder = home / "sessions" / f"{date:%Y}" / f"{date:%m}" / f"{date:%d}"
        folder.mkdir(parents=True)
        for number in range(day * a_day, min(count, (day + 1) * a_day)):
            time_of_day = date + dt.timedelta(seconds=number % a_day * 86_400 // a_day)
            name = f"rollout-{time_of_day:%Y-%m-%dT%H-%M-%S}-{uuid.UUID(int=number + 2**122)}.jsonl"
            if number == count // 2:
                _make_known(home.with_name(f"{home.name}, one"), folder / name)
            else:
                os.close(os.open(f"{folder}/{name}", os.O_CREAT | os.O_WRONLY, 0o600))


def _make_known(scratch: Path, path: Path) -> None:
    """Make a session with a name in a home of its own, and move it to the time that *path* says."""
    with rolloutlog.session(_KNOWN, home=scratch) as session:
        session.record({"role": "user", "content": "hi"})
    (made,) = scratch.glob("sessions/*/*/*/*.jsonl")
    # The identity, which `session` looks for, is the last 36 characters of the name.
    made.rename(path.with_name(path.stem[:-36] + made.stem[-36:] + ".jsonl"))


def measure(variant: str, home: str, shape: str) -> dict[str, dict[str, float]]:
    """List the newest sessions of *home*, or open some by name, and return the milliseconds by scene."""
    if variant == OPEN:
        return {opening(shape): _open(Path(home))}
    listed = {FIND: _find, WALK: _walk}[variant]
    times = []
    for _ in range(_CALLS + 1):
        begin = time.perf_counter()
        found = listed(home)
        times.append(time.perf_counter() - begin)
        if found < WANTED:
            raise RuntimeError(f"{variant} found {found} sessions only")
    return {listing(shape): {"ms": statistics.median(times[1:]) * 1e3}}


def _open(home: Path) -> dict[str, float]:
    """Open a known session for the first time in this process, and again, and then a new one; and remove that."""
    known, again = [_opened(home, _KNOWN)[0] for _ in range(2)]
    new, path = _opened(home, f"new {os.getpid()}")
    path.unlink()
    for folder in path.parents[:3]:
        if next(folder.iterdir(), None) is None:
            folder.rmdir()
    return {"first": known, "again": again, "new": new}


def _opened(home: Path, name: str) -> tuple[float, Path]:
    """Return how many milliseconds it took to open the session, and its file."""
    begin = time.perf_counter()
    session = rolloutlog.session(name, home=home)
    took = time.perf_counter() - begin
    path = session.path
    if (name == _KNOWN) != bool(session.items):
        raise RuntimeError(f"{name!r} was opened with {len(session.items)} items")
    session.close()
    return took * 1e3, path


def _find(home: str) -> int:
    return len(list(itertools.islice(find_sessions(home), WANTED)))


def _walk(home: str) -> int:
    """Look at every name in the folders that hold the newest sessions, and in those above them, once each."""
    found = 0
    for year in _last_first(f"{home}/sessions"):
        for month in _last_first(year):
            for day in _last_first(month):
                found += sum(1 for _ in os.scandir(day))
                if found >= WANTED:
                    return found
    return found


def _last_first(folder: str) -> list[str]:
    return sorted((entry.path for entry in os.scandir(folder)), reverse=True)
