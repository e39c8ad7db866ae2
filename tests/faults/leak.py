"""No leak: threads, descriptors, objects and memory stay what they were, whatever number of records and sessions."""

from __future__ import annotations

import json
import random
import subprocess
import sys

from .harness import Report, python_path, row, scratch, uncaught_in

# The beginning of both programs: `now` is what must not grow.
_HEAD = """
import gc, json, os, sys, threading
import rolloutlog
home, size = sys.argv[1], int(sys.argv[2])
item = rolloutlog.Message.user("x" * 60)
page = os.sysconf("SC_PAGE_SIZE")
def now():
    gc.collect()
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * page
    return {"kB": memory // 1024, "fds": len(os.listdir("/proc/self/fd")), "threads": threading.active_count(),
            "objects": len(gc.get_objects())}
"""

_RECORDS = """
recorder = rolloutlog.RolloutRecorder.create(home)
def go(count):
    for _ in range(count):
        recorder.record(item)
    recorder.flush(timeout=300)
go(max(20_000, size // 10))  # allocators and caches fill up
before = now()
go(size)
print(json.dumps([before, now()]))
recorder.close()
"""

_CYCLES = """
def go(count):
    for number in range(count):
        recorder = rolloutlog.RolloutRecorder.create(home)
        recorder.record(item)
        path = recorder.path
        recorder.close()
        again, _ = rolloutlog.RolloutRecorder.resume(path)
        again.record(item)
        again.close()
        with rolloutlog.RolloutHandler(home, delay=False) as handler:
            other = handler.recorder.path
        os.unlink(path)
        os.unlink(other)
go(max(200, size // 10))  # free-threaded Python has a heap and a copy of bytecode for each thread: 1 MB more by then
before = now()
go(size)
print(json.dumps([before, now()]))
"""


def _compare(report: Report, program: str, size: int) -> None:
    with scratch() as home:
        command = [sys.executable, "-c", _HEAD + program, str(home), str(size)]
        done = subprocess.run(command, env=python_path(), capture_output=True, text=True, check=False)
        report.expect(done.returncode == 0, done.stderr[-2_000:])
        report.expect_none(uncaught_in(done.stderr), "the program")
        if done.returncode:
            return
        before, after = json.loads(done.stdout)
    report.trial(size)
    for what, most in {"fds": 0, "threads": 0, "objects": 200, "kB": 1024}.items():
        grown = after[what] - before[what]
        report.expect(grown <= most, f"{what} grew by {grown:,}, from {before[what]:,}")
        report.most(f"{what} more", grown)


@row("leak.records", "no memory, thread, descriptor more after so many records", quick=50_000, full=10**6, long=10**7)
def records(report: Report, size: int, dice: random.Random) -> None:
    """One recorder, so many records."""
    _compare(report, _RECORDS, size)


@row("leak.cycles", "nor after so many sessions opened and closed", quick=100, full=2_000, long=10_000)
def cycles(report: Report, size: int, dice: random.Random) -> None:
    """Create, resume, attach a handler, and close them all, again and again."""
    _compare(report, _CYCLES, size)
