"""Waits and ends: a timeout bounds all waits of a call; an interpreter under load brings all to disk, or says so."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import rolloutlog
from rolloutlog import RolloutRecorder
from rolloutlog.exceptions import QueueFullError, SessionLockedError, WriteError

from . import checker
from .harness import Report, Skip, python_path, row, scratch, uncaught_in

# How many seconds more than its timeout a call may take: other programs use the processors, too.
_PATIENCE = 5.0
_LOCK_TIMEOUT = 60.0


def _held(path: Path) -> int:
    """Lock a file as another process does; closing the descriptor unlocks it."""
    fd = os.open(path, os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _calls(recorder: RolloutRecorder, timeout: float) -> dict[str, Callable[[], object]]:
    return {
        "record": lambda: recorder.record(checker.message("late", 0), timeout=timeout),
        "flush": lambda: recorder.flush(timeout=timeout),
        "ack": lambda: recorder.request_flush().result(timeout),
        "close": lambda: recorder.close(timeout=timeout),
    }


@row("waits.timeouts", "each wait ends by its timeout, those for locks included", quick=2, full=20, long=200)
def timeouts(report: Report, size: int, dice: random.Random) -> None:
    """Another process holds the lock; a thread writes, or callers write for themselves."""
    for trial in range(size):
        with scratch() as folder:
            recorder = RolloutRecorder.create(folder, shared=True, lock_timeout=_LOCK_TIMEOUT, queue_size=2)
            if trial % 2:
                recorder._writer.go_inline()
            fd = _held(recorder.path)
            for number in range(2):
                recorder.record(checker.message("main", number), timeout=0.05)
            timeout = dice.uniform(0.01, 0.5)
            for name, call in _calls(recorder, timeout).items():
                begin = time.monotonic()
                try:
                    call()
                except (QueueFullError, WriteError, TimeoutError):
                    pass
                else:
                    report.expect(name == "record", f"{name}: says that all is well")
                took = time.monotonic() - begin
                # A flush that was requested, and not waited for, takes two seconds at most.
                report.expect(took <= timeout + 2 + _PATIENCE, f"{name}: took {took:.1f} s with timeout={timeout:.2f}")
                report.trial()
            os.close(fd)
            recorder.close(timeout=_LOCK_TIMEOUT)
            numbers = checker.read(recorder.path).numbers["main"]
            report.expect(numbers == [0, 1], f"{numbers} are in the file")
        with scratch() as folder, RolloutRecorder.create(folder) as recorder:
            fd = os.fork()
            if fd == 0:
                os._exit(0 if _is_refused_at_once(recorder.path) else 1)
            report.expect(os.waitpid(fd, 0)[1] == 0, "an open without a lock_timeout was not refused at once")
        report.trial()


def _is_refused_at_once(path: Path) -> bool:
    begin = time.monotonic()
    try:
        RolloutRecorder.resume(path)
    except SessionLockedError:
        return time.monotonic() - begin < _PATIENCE
    return False


_LOADED = """
import os, resource, sys, rolloutlog
from faults.harness import until
home, how = sys.argv[1:]
message = {"role": "user", "content": "x" * 200}
recorders = [rolloutlog.RolloutRecorder.create(home, **OPTIONS) for _ in range(3)]
def record(count):
    for recorder in recorders:
        for _ in range(count): recorder.record(message)
"""

_CTRL_C = "OPTIONS = {'fsync': 'always'}" + _LOADED + "record(1_000); print('end', flush=True)"

_WITHOUT_LOCK = (
    "OPTIONS = {'shared': True}"
    + _LOADED
    + """
import fcntl, logging
from rolloutlog._writing import registry
registry._EXIT_TIMEOUT = 1.0
logging.disable(logging.CRITICAL)
for recorder in recorders: fcntl.flock(os.open(recorder.path, os.O_RDWR), fcntl.LOCK_EX)
record(5)
"""
)

_FULL_DISK = (
    "OPTIONS = {}"
    + _LOADED
    + """
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
record(1)
for recorder in recorders: recorder.flush()
sys.dont_write_bytecode = True
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
if how == "deleted": os.unlink(recorders[1].path)
record(5)
until(lambda: all(recorder.stats.failures for recorder in recorders), 60)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
"""
)


def _ended(program: str, home: Path, how: str = "", interrupt_after: float | None = None) -> tuple[list[int], str]:
    """Run *program* to its end; return how many records are in each of its files, and what it said on stderr."""
    command = [sys.executable, "-W", "ignore", "-c", program, str(home), how]
    process = subprocess.Popen(command, env=python_path(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if interrupt_after is not None:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(interrupt_after)
        process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
        errors = f"hangs\n{errors}"
    counts = [len(found.path.read_bytes().splitlines()) - 1 for found in rolloutlog.find_sessions(home)]
    return sorted(counts), errors


@row("waits.ends", "the end under load: Ctrl-C, a held lock, a disk that was full", quick=4, full=80, long=2_000)
def ends(report: Report, size: int, dice: random.Random) -> None:
    """Three sessions are left open, with records in the queue."""
    for trial in range(size):
        with scratch() as folder:
            how = ("ctrl_c", "held", "kept", "deleted")[trial % 4]
            if how == "ctrl_c":
                counts, errors = _ended(_CTRL_C, folder, interrupt_after=dice.uniform(0, 0.01))
                wanted = [1_000] * 3
            elif how == "held":
                counts, errors = _ended(_WITHOUT_LOCK, folder)
                wanted = [0] * 3
                report.expect(errors.count("5 records are not on disk") == 3, f"{how}: stderr says {errors!r}")
            else:
                counts, errors = _ended(_FULL_DISK, folder, how)
                wanted = [5, 6, 6] if how == "deleted" else [6, 6, 6]
            report.expect_none(uncaught_in(errors, interrupted=how == "ctrl_c"), how)
            report.expect(counts == wanted, f"{how}: {counts} records, and not {wanted}:\n{errors[-2_000:]}")
        report.trial()


_INTERRUPTS = """
import os, signal, sys, threading, time
import rolloutlog
session = rolloutlog.session("s", home=sys.argv[1])
hits, hung, wanted = 0, False, int(sys.argv[2])
def interrupt(*args): raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
while hits < wanted and not hung:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003 + hits % 17 * 0.00002)
        while True: session.record({"role": "user", "content": "x"}, wait=False)
    except KeyboardInterrupt:
        hits += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    if hits % 20 == 0:
        other = threading.Thread(target=session.record, args=({"role": "user", "content": "other"},), daemon=True)
        other.start(); other.join(30); hung = other.is_alive()
os._exit(hung)
"""


def _newer_python() -> str:
    """Return a Python from 3.14 on, this one or one that is found.

    Raises:
        Skip: there is none, or it cannot use the dependencies of this one.
    """
    if sys.version_info >= (3, 14):
        return sys.executable
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [shutil.which("python3.14"), *sorted(map(str, versions.glob("3.14*/bin/python")))]
    for python in filter(None, found):
        command = [python, "-c", "import rolloutlog"]
        done = subprocess.run(command, env=_path_for_newer(), capture_output=True, check=False)
        if done.returncode == 0:
            return python
    raise Skip("no Python 3.14 was found")


def _path_for_newer() -> dict[str, str]:
    """Return the environment in which another Python finds the package, and dependencies that are written in Python."""
    environment = python_path()
    return {**environment, "PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], sysconfig.get_path("purelib")])}


@row("waits.interrupts", "Python 3.14: an interrupt leaves no lock taken", quick=1_000, full=20_000, long=100_000)
def interrupts(report: Report, size: int, dice: random.Random) -> None:
    """There, an interrupt can come between a lock's ``__enter__`` and the body."""
    python = _newer_python()
    with scratch() as folder:
        command = [python, "-c", _INTERRUPTS, str(folder), str(size)]
        done = subprocess.run(
            command, env=_path_for_newer(), capture_output=True, text=True, timeout=120 + size / 20, check=False
        )
        report.expect_none(uncaught_in(done.stderr, interrupted=True), "interrupted")
        said = textwrap.indent(done.stderr[-2_000:], "      ")
        report.expect(done.returncode == 0, f"another thread hangs, or the program failed:\n{said}")
    report.trial(size)
