"""A session made for pictures and for tests of the page: a person and an agent repair a ferry timetable.

It has the shape in which the newest Codex writes: wrapped lines, commands in scripts, instructions before the first
words, reasoning, a failed command, a diff, a table and a picture. `large` repeats its turns.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ID = "019adf6e-8a31-7c52-b1d4-52f0c29e6aa0"
BEGAN = dt.datetime(2026, 11, 30, 8, 48, 21, 187_000, tzinfo=dt.UTC)
FILE_NAME = f"rollout-{BEGAN:%Y-%m-%dT%H-%M-%S}-{ID}.jsonl"
CWD = "/home/ana/ferry"

ASKED = (
    "The timetable skips the last ferry on the night when the clocks change. `python3 -m unittest` fails since we "
    "added 2027. Find out why, and repair it with as small a change as you can."
)
AGENTS = f"""# AGENTS.md instructions for {CWD}

<INSTRUCTIONS>
# Ferry

- Run `python3 -m unittest` before you say that you are done.
- Times are UTC inside, and local only where people read them.
- No new dependencies.
</INSTRUCTIONS>"""
ENVIRONMENT = f"""<environment_context>
  <cwd>{CWD}</cwd>
  <shell>bash</shell>
  <current_date>2026-11-30</current_date>
</environment_context>"""
RULES = "You are an agent that works in a terminal on the files of one person.\n\n" + "\n\n".join(
    f"# Rule {number}\n\nSay what you will do before you do it, and keep each change as small as its reason. "
    "If a command fails, read its output to the end before you try something else."
    for number in range(1, 120)
)

CODE = '''"""Ferries: when a boat leaves a pier, in the pier's own time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

EVERY = dt.timedelta(hours=1, minutes=15)


@dataclass(frozen=True)
class Pier:
    name: str
    zone: str
    first: dt.time


def departures(pier: Pier, day: dt.date) -> list[dt.datetime]:
    zone = ZoneInfo(pier.zone)
    boat = dt.datetime.combine(day, pier.first, zone)
    end = dt.datetime.combine(day, dt.time(), zone) + dt.timedelta(days=1)
    found = []
    while boat < end:
        found.append(boat)
        boat += EVERY
    return found


def table(pier: Pier, days: list[dt.date]) -> str:
    rows = [f"{pier.name} ({pier.zone})"]
    for day in days:
        times = "  ".join(f"{boat:%H:%M}" for boat in departures(pier, day))
        rows.append(f"{day:%a %d %b}  {times}")
    return "\\n".join(rows)'''
LISTING = f"""4c1be07 Timetables for 2027
a90d3f2 Piers have a time zone
total 96
drwxr-xr-x 4 ana ana  4096 Nov 30 08:40 .
drwxr-xr-x 9 ana ana  4096 Nov 30 08:31 ..
drwxr-xr-x 8 ana ana  4096 Nov 30 08:40 .git
-rw-r--r-- 1 ana ana   184 Nov 28 17:02 AGENTS.md
-rw-r--r-- 1 ana ana 61204 Nov 30 08:40 boats.log
-rw-r--r-- 1 ana ana   958 Nov 30 08:40 ferry.py
drwxr-xr-x 2 ana ana  4096 Nov 30 08:40 tests
{CODE}"""
FAILURE = """F
======================================================================
FAIL: test_each_night_has_its_last_boat (tests.test_ferry.Nights)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/home/ana/ferry/tests/test_ferry.py", line 41, in test_each_night_has_its_last_boat
    self.assertEqual(boats[-1].hour, 23)
AssertionError: 22 != 23

----------------------------------------------------------------------
Ran 3 tests in 0.014s

FAILED (failures=1)
"""
PASSED = "...\n----------------------------------------------------------------------\nRan 3 tests in 0.013s\n\nOK\n"
SCRIPT = """python3 - <<'P'
import datetime as dt
from ferry import departures
from tests.test_ferry import OSLO
for day in (30, 31):
    boats = departures(OSLO, dt.date(2027, 10, day))
    print(day, boats[-1].isoformat(), boats[-1].astimezone(dt.UTC).isoformat())
P"""
LOG_LINES = "".join(
    f"2026-10-{number // 24 + 1:02}T{number % 24:02}:15Z pier=oslo-{number % 3} boat={number:04} "
    f"wind={number * 7 % 19} m/s {'CANCELLED high waves' if number % 97 == 13 else 'left'}\n"
    for number in range(31 * 24)
)
DIFF = """diff --git a/ferry.py b/ferry.py
index 20b55f9..c4422a5 100644
--- a/ferry.py
+++ b/ferry.py
@@ -18,12 +18,12 @@ class Pier:
 def departures(pier: Pier, day: dt.date) -> list[dt.datetime]:
     zone = ZoneInfo(pier.zone)
-    boat = dt.datetime.combine(day, pier.first, zone)
-    end = dt.datetime.combine(day, dt.time(), zone) + dt.timedelta(days=1)
+    boat = dt.datetime.combine(day, pier.first, zone).astimezone(dt.UTC)
+    end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC)
     found = []
     while boat < end:
-        found.append(boat)
+        found.append(boat.astimezone(zone))
         boat += EVERY
     return found
"""
ANSWER = """Two things came together:

1. `boat += EVERY` is arithmetic on the **wall clock**, because `boat` has a time zone.
2. The night of 31 October has *25 hours*, so the loop ended an hour too early.

| night | hours | last boat before | last boat now |
|---|---:|---|---|
| 30 October | 24 | 23:30 | 23:30 |
| 31 October | 25 | 22:15 | 23:30 |
| 27 March | 23 | 23:30 | 23:30 |

All times in between are UTC now, and local only in the result:

```python
def departures(pier: Pier, day: dt.date) -> list[dt.datetime]:
    zone = ZoneInfo(pier.zone)
    boat = dt.datetime.combine(day, pier.first, zone).astimezone(dt.UTC)
    # The end of the day, which is not always 24 hours later.
    end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC)
```

> A day is not 24 hours long. See [the documentation](https://docs.python.org/3/library/datetime.html).

Shall I commit it?"""


def picture(width: int = 240, height: int = 80) -> str:
    """Return a small PNG as a ``data:`` URL: bars, as of a chart."""
    rows = b""
    for y in range(height):
        bars = (y > height - 8 - (x // 20 * 37) % (height - 16) and x % 20 < 14 for x in range(width))
        rows += b"\x00" + b"".join(b"\x0b\x5d\x6e" if bar else b"\xf3\xf1\xeb" for bar in bars)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(png).decode()


class _Clock:
    """The time of the next line; and the numbers of its calls."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.calls = 0
        self.responses = 0

    def line(self, kind: str, payload: dict[str, Any], seconds: float = 0.2) -> bytes:
        self.now += dt.timedelta(seconds=seconds)
        stamp = self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"timestamp": stamp, "type": kind, "payload": payload}
        return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def item(self, kind: str, seconds: float = 0.2, **keys: Any) -> bytes:
        return self.line("response_item", {"type": kind, **keys}, seconds)

    def message(self, role: str, text: str, seconds: float = 0.2) -> bytes:
        part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
        return self.item("message", seconds, role=role, content=[part])

    def tokens(self, read: int, cached: int, written: int, reasoning: int) -> bytes:
        keys = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
        usage = dict(zip(keys, (read, cached, written, reasoning), strict=True))
        self.responses += 1
        record = {"thread_id": ID, "response_id": f"resp_{self.responses:04}", "usage": usage}
        return self.line("token_usage_record", record, 0)

    def reasoning(self, title: str, text: str) -> bytes:
        part = {"type": "summary_text", "text": f"**{title}**\n\n{text}"}
        return self.item("reasoning", 2.4, summary=[part], encrypted_content="gAAAAABp" + "x" * 600)

    def command(self, command: str, output: str, exit_code: int = 0, seconds: float = 0.3) -> Iterator[bytes]:
        self.calls += 1
        call_id = f"call_{self.calls:04}"
        argument = json.dumps({"cmd": command, "workdir": CWD})
        script = f"text(await tools.exec_command({argument}));\n"
        yield self.item("custom_tool_call", status="completed", call_id=call_id, name="exec", input=script)
        head = f"Script completed\nWall time {seconds:.1f} seconds\nOutput:\n"
        result = {"chunk_id": "a1", "wall_time_seconds": seconds, "exit_code": exit_code, "output": output}
        parts = [{"type": "input_text", "text": text} for text in (head, json.dumps(result, ensure_ascii=False))]
        yield self.item("custom_tool_call_output", seconds, call_id=call_id, output=parts)


def _beginning(clock: _Clock) -> Iterator[bytes]:
    meta = {"id": ID, "timestamp": "2026-11-30T08:48:21.187Z", "cwd": CWD, "originator": "codex_exec"}
    yield clock.line("session_meta", {**meta, "cli_version": "0.169.0", "source": "exec"}, 0)
    yield clock.message("developer", RULES, 0)
    yield clock.message("user", f"{AGENTS}\n", 0)
    yield clock.message("user", ENVIRONMENT, 0)
    yield clock.line("turn_context", {"cwd": CWD, "model": "gpt-6.1-sol", "approval_policy": "never"}, 0)


def _turns(clock: _Clock) -> Iterator[bytes]:
    yield clock.message("user", ASKED, 0.1)
    yield clock.reasoning(
        "Looking at the repository",
        "The night of the change has 25 hours. First the code and the tests, before I believe that.",
    )
    yield clock.message("assistant", "I'll read the code and run the tests first.")
    yield from clock.command("git log --oneline | head -5; ls -la; cat ferry.py", LISTING)
    yield from clock.command("python3 -m unittest 2>&1 | tail -40", FAILURE, 1)
    yield clock.reasoning(
        "Checking the arithmetic across the change of clocks",
        "`boat += EVERY` on an aware datetime is arithmetic on the wall clock. On 31 October the day in Oslo has 25 "
        "hours, so the loop ends *an hour early*.\n\nLet me print both clocks.",
    )
    yield from clock.command(
        SCRIPT, "30 2027-10-30T23:30:00+02:00 2027-10-30T21:30:00+00:00\n31 2027-10-31T22:15:00+01:00 …\n"
    )
    yield from clock.command("grep -c CANCELLED boats.log; cat boats.log", "8\n" + LOG_LINES, 0, 1.2)
    yield clock.reasoning("Found it", "Both bounds must be in UTC. The result is local again.")
    yield from clock.command("python3 edit.py && git diff", DIFF, 0, 0.4)
    yield from clock.command("python3 -m unittest 2>&1 | tail -40", PASSED)
    yield clock.message("assistant", ANSWER, 3.1)
    yield clock.tokens(91_204, 80_128, 1_822, 640)

    yield clock.message("user", "Yes. Also: which days had the most cancelled boats? A chart would help.", 41)
    yield clock.reasoning("Counting cancelled boats", "One pass over the log, by day. Then a small chart.")
    yield from clock.command(
        "grep CANCELLED boats.log | cut -c1-10 | sort | uniq -c",
        "".join(f"      1 2026-10-{day:02}\n" for day in (1, 5, 9, 13, 17, 21, 25, 29)),
    )
    clock.calls += 1
    call_id = f"call_{clock.calls:04}"
    yield clock.item("function_call", name="view_image", arguments='{"path":"chart.png"}', call_id=call_id)
    image = {"type": "input_image", "image_url": picture()}
    yield clock.item("function_call_output", call_id=call_id, output=[image])
    yield clock.message("assistant", "One boat every fourth day: there is *no* cluster. The chart is in `chart.png`.")

    yield clock.message("user", "Thanks! Commit it as 'The last ferry leaves on the longest night, too'.", 25)
    yield from clock.command(
        "git commit -qam 'The last ferry leaves on the longest night, too' && git log -1", "73c7275\n"
    )
    yield clock.message("assistant", "Committed on `main`. The working tree is clean.")
    yield clock.tokens(31_870, 29_440, 418, 0)


def ferry(folder: Path) -> Path:
    """Write the session into *folder*, and return its path."""
    clock = _Clock()
    path = folder / FILE_NAME
    path.write_bytes(b"".join([*_beginning(clock), *_turns(clock)]))
    return path


def large(folder: Path, size: int) -> Path:
    """Write a session of about *size* bytes into *folder*: the same turns again and again; return its path."""
    clock = _Clock()
    path = folder / FILE_NAME
    with path.open("wb") as file:
        file.writelines(_beginning(clock))
        while file.tell() < size:
            file.writelines(_turns(clock))
    return path
