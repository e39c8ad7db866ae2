"""Helpers for several test modules: processes with a deadline, bursts of signals, and files as lists of lines."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import rolloutlog
from rolloutlog import RolloutRecorder
from rolloutlog._compression import zstd
from rolloutlog._writing.os_calls import REAL_SYSTEM
from rolloutlog._writing.writer import Writer

# Far more seconds than anything here takes: a thread or process that is not done by then hangs.
DEADLINE = 240.0


def start(function: Callable[..., None], *arguments: Any) -> subprocess.Popen[str]:
    """Start *function*, a module-level one of a test module, in a fresh interpreter; *arguments* are passed as repr.

    Its input and output are pipes of text.
    """
    folders = [str(Path(rolloutlog.__file__).parents[1]), str(Path(__file__).parent)]
    given = ", ".join(map(repr, (function.__module__, function.__name__, *arguments)))
    # A suite that runs in the background of a shell ignores Ctrl-C, and so would its children.
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{hear}; import child; child.run({given})"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    command = [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c", code]
    return subprocess.Popen(
        command,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(process: subprocess.Popen[str], *, said: str = "", status: int = 0) -> str:
    """Write *said* to *process*, wait for its end, and return its output; kill a process that hangs."""
    try:
        printed, errors = process.communicate(said, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler shows where every thread hangs
        printed, errors = process.communicate(timeout=DEADLINE)
        raise AssertionError(f"hangs:\n{printed}{errors}") from None

    assert process.returncode == status, printed + errors
    return printed


def needs_zstd() -> None:
    """Skip the test where sessions can be neither compressed nor decompressed."""
    if zstd() is None:
        pytest.skip("needs the extra zstd")


def slow(*values: object) -> Any:
    """Return *values* as those of a parameter that `make test` leaves out, because its others show the same."""
    return pytest.param(*values, marks=pytest.mark.slow)


def in_fresh_process(function: Callable[..., None], *arguments: Any) -> str:
    """Run *function* as `start` does and return its output."""
    return finish(start(function, *arguments))


def tell(word: object) -> None:
    """Print *word* on a line of its own, for the process that started this one."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def hear(process: subprocess.Popen[str]) -> str:
    """Return the next line that *process* prints; the empty string if it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def storm(action: Callable[[], object], *, handler: Callable[[], object], signals: int) -> None:
    """Repeat *action* while *handler* runs within it, *signals* times, at random instants.

    If a handler raises `KeyboardInterrupt`, as Ctrl-C does, *action* starts again.
    """
    left = signals
    armed = False

    def alarm(number: int, frame: FrameType | None) -> None:
        nonlocal left, armed
        if not armed:
            return
        armed = False  # an interrupt ends `repeat`, which arms again; none must come before that
        left -= 1
        handler()
        armed = True
        _set_alarm()

    def repeat() -> None:
        nonlocal armed
        armed = True
        _set_alarm()
        while left > 0:
            action()
        armed = False

    signal.signal(signal.SIGALRM, alarm)
    while left > 0:
        try:
            repeat()
        except KeyboardInterrupt:
            continue
    signal.setitimer(signal.ITIMER_REAL, 0)


def _set_alarm() -> None:
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 5e-4))


def interrupted(step: int, action: Callable[[], object]) -> bool:
    """Run *action* and interrupt it at *step*, as Ctrl-C may; return whether it reached that step.

    The steps are the places in our package where the interpreter checks for signals: at the start of a function, and
    after the return of a function that is written in C.
    """
    steps = 0

    def look(frame: FrameType, event: str, argument: object) -> None:
        nonlocal steps
        if event not in ("call", "c_return") or not frame.f_globals.get("__name__", "").startswith("rolloutlog"):
            return
        steps += 1
        if steps == step:
            sys.setprofile(None)
            raise KeyboardInterrupt

    try:
        sys.setprofile(look)
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


def lines_in(path: str | os.PathLike[str]) -> list[bytes]:
    """Return the lines of a file without their newlines; bytes after the last newline are a line, too."""
    lines = Path(path).read_bytes().split(b"\n")
    return lines[:-1] if not lines[-1] else lines


def eventually(condition: Callable[[], object]) -> None:
    """Wait until *condition* is true, which nothing can signal: a lock that is taken, another process, a look."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def left_alone(writer: Writer) -> None:
    """Wait until no thread holds the commit lock of *writer*."""
    eventually(lambda: writer._commit_lock.attempt(lambda: None))


def join_threads(writer: Writer) -> None:
    """Wait until the threads that serve *writer* have ended; no other writer that they serve may be open."""
    workers = writer._workers
    threads = [thread for thread in threading.enumerate() if thread.ident in workers._threads]
    eventually(lambda: workers.are_gone)
    for thread in threads:
        thread.join(DEADLINE)


class Disk:
    """The real system, on a disk that a test can fill, empty again, and block in the middle of a write.

    Attributes:
        is_full: every write fails with ENOSPC.
        reached: set when a write has begun.
    """

    def __init__(self) -> None:
        self.is_full = False
        self.reached = threading.Event()
        self._goes_on = threading.Event()
        self._goes_on.set()

    def hold(self) -> None:
        """Make the next write wait until `go_on` is called."""
        self.reached.clear()
        self._goes_on.clear()

    def go_on(self) -> None:
        """End every wait."""
        self._goes_on.set()

    def write(self, fd: int, lines: Sequence[bytes]) -> int:
        """Write like `os.writev`, unless this disk blocks or is full."""
        self.reached.set()
        assert self._goes_on.wait(DEADLINE)
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.writev(fd, lines)

    def __getattr__(self, name: str) -> Any:
        return getattr(REAL_SYSTEM, name)


def recorder_on(system: Any) -> type[RolloutRecorder]:
    """Return the class of recorders whose journals call *system*."""
    return type("RecorderOnAnotherSystem", (RolloutRecorder,), {"_system": system})


def values_in(path: str | os.PathLike[str]) -> list[Any]:
    """Return the values of the lines of a rollout, parsed without our code."""
    return list(map(json.loads, lines_in(path)))


def texts_in(path: str | os.PathLike[str]) -> list[str]:
    """Return the text of each message and log entry in a rollout, in order."""
    return [
        value["message"] if value["type"] == "log" else "".join(part["text"] for part in value["content"])
        for value in values_in(path)
        if value.get("type") in ("message", "log")
    ]


def run_together(*actions: Callable[[], object]) -> None:
    """Run *actions* in threads that begin at the same moment; raise the first error of a thread."""
    barrier = threading.Barrier(len(actions))
    raised: list[BaseException] = []

    def run(action: Callable[[], object]) -> None:
        try:
            barrier.wait(DEADLINE)
            action()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert not any(thread.is_alive() for thread in threads)
    if raised:
        raise raised[0]
