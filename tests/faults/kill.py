"""Killed processes: acknowledged records are on disk, however the process ends, and the next one continues."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import rolloutlog

from . import checker
from .harness import Report, fork, python_path, reap, row, scratch, uncaught_in

GENERATIONS = 4
THREADS = 3


def agent(home: Path, generation: int, pipe: int, options: dict[str, object], seed: int) -> None:
    """Record with several threads until killed; tell through *pipe* what was acknowledged."""
    session = rolloutlog.session("killed", home=home, **options)  # type: ignore[arg-type]

    def produce(thread: int) -> None:
        dice = random.Random(f"{seed} {generation} {thread}")
        name, number = f"g{generation}t{thread}", 0
        while True:
            for _ in range(dice.randrange(1, 12)):
                # Small writes are never torn by a kill: only large ones show what happens then.
                size = 2_000_000 if seed % 3 == 0 and dice.random() < 0.1 else dice.randrange(300)
                session.recorder.record(checker.message(name, number, size))
                number += 1
            session.recorder.flush()
            os.write(pipe, f"{name} {number}\n".encode())

    threads = [threading.Thread(target=produce, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def acknowledged(said: bytes) -> dict[str, int]:
    """Return by producer what it said to be acknowledged; the last word counts, a word that was cut off does not."""
    acked = {}
    for each in said.split(b"\n")[:-1]:
        name, number = each.split()
        acked[name.decode()] = int(number)
    return acked


def rollout(home: Path) -> Path:
    """Return the only session's file."""
    return next(iter(sorted(home.glob("sessions/*/*/*/rollout-*.jsonl"))), home / "none")


@row("kill.sigkill", "acknowledged records survive kill -9, in order, once", quick=40, full=1_000, long=10_000)
def kills(report: Report, size: int, dice: random.Random) -> None:
    """Kill a process with several producers at a random moment, four times a file, each resuming after the last."""
    while report.trials < size:
        with scratch() as home:
            seed = dice.randrange(10**9)
            options = {"fsync": dice.choice(["never", "flush"]), "shared": False}
            if dice.random() < 0.3:
                options = {"fsync": dice.choice(["never", "always"]), "shared": True}
            acked: dict[str, int] = {}
            for generation in range(min(GENERATIONS, size - report.trials)):
                ours, theirs = os.pipe()

                def child(generation: int = generation, home: Path = home, seed: int = seed) -> None:
                    os.close(ours)  # noqa: B023
                    agent(home, generation, theirs, options, seed)  # noqa: B023

                pid = fork(child)
                os.close(theirs)
                time.sleep(dice.uniform(0, 0.05))
                os.kill(pid, signal.SIGKILL)
                status = reap(pid, 20)
                said = _drain(ours)
                report.trial()
                report.expect(status == signal.SIGKILL, f"the child had ended before: status {status}")
                acked |= acknowledged(said)
                found = checker.read(rollout(home))
                where = f"file {seed}, {options}, kill {generation + 1}"
                report.expect_none(checker.problems(found, acked, torn=generation), where)
                report.count("torn tails", bool(found.tail))
            report.count("acknowledged", sum(acked.values()))


def _drain(pipe: int) -> bytes:
    """Read *pipe* to its end and close it."""
    with open(pipe, "rb") as file:
        return file.read()


# The ways in which a process ends, as programs: what they print was acknowledged, or accepted.
_PROGRAM = """
import atexit, os, signal, sys, threading, time
from faults import checker
import rolloutlog

ending, home = sys.argv[1:]
interrupted = False
def interrupt(number, frame):
    global interrupted
    interrupted = True
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, interrupt)  # a shell starts what runs behind it with Ctrl-C ignored
session = rolloutlog.session("ended", home=home)
accepted = 0
def say(word):
    os.write(1, f"{word} {accepted}\\n".encode())
def end_soon():
    time.sleep(float(os.environ["MOMENT"]))
    os.kill(os.getpid(), {"sigterm": signal.SIGTERM, "ctrl_c": signal.SIGINT}[ending])
def record(count):
    global accepted
    for _ in range(count):
        session.recorder.record(checker.message("main", accepted, accepted % 300))
        accepted += 1
record(200)
session.recorder.flush()
say("acked")
if ending in ("sigterm", "ctrl_c"):
    threading.Thread(target=end_soon, daemon=True).start()
if ending == "ctrl_c":
    atexit.register(say, "begun")
    atexit.register(say, "accepted")
    while accepted < 500_000 and not interrupted:  # no further: without an interrupt there would be no end
        record(50)
    if not interrupted:
        time.sleep(60)
    say("swallowed" if interrupted else "forgotten")
elif ending == "sigterm":
    while True:
        record(50)
        session.recorder.flush()
        say("acked")
elif ending == "os_exit":
    record(500)
    session.recorder.flush()
    say("acked")
    os._exit(3)
elif ending == "exception":
    record(2_000)
    say("accepted")
    raise LookupError("nobody caught this")
elif ending == "sys_exit":
    record(2_000)
    say("accepted")
    sys.exit(5)
elif ending == "from_thread":
    def late():
        record(2_000)
        say("accepted")
    threading.Thread(target=late).start()  # not a daemon: the interpreter waits for it
"""


def _endings(report: Report, size: int, dice: random.Random, ending: str, status: int) -> None:
    for trial in range(size):
        with scratch() as home:
            command = [sys.executable, "-X", "faulthandler", "-c", _PROGRAM, ending, str(home)]
            environment = python_path() | {"MOMENT": str(dice.uniform(0.0, 0.1))}
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                out, err = process.communicate(timeout=100)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # the fault handler shows the stacks
                out, err = process.communicate()
            report.trial()
            said = {name: int(count) for name, count in map(bytes.split, out.splitlines())}
            ended = err.decode(errors="replace")[-3_000:]
            report.expect(process.returncode == status, f"trial {trial}: ended with {process.returncode}: {ended}")
            report.expect_none(uncaught_in(err, interrupted=ending == "ctrl_c"), f"trial {trial}")
            for what in {b"swallowed", b"forgotten"} & said.keys():
                report.expect(False, f"trial {trial}: Ctrl-C was {what.decode()}: {ended}")
            acked = max(said.get(b"acked", 0), said.get(b"accepted", 0))
            found = checker.read(rollout(home))
            report.expect_none(checker.problems(found, {"main": acked}), f"trial {trial}")
            if b"accepted" in said:
                # An interrupt inside `record` leaves that one record's outcome unknown.
                extra = found.records - acked
                report.expect(0 <= extra <= 1, f"trial {trial}: {extra} records more than were accepted")
            report.count("acknowledged", acked)


@row("kill.sigterm", "acknowledged records survive SIGTERM", quick=1, full=20, long=200)
def sigterm(report: Report, size: int, dice: random.Random) -> None:
    """SIGTERM, without a handler."""
    _endings(report, size, dice, "sigterm", -signal.SIGTERM)


@row("kill.os_exit", "acknowledged records survive os._exit", quick=1, full=10, long=100)
def os_exit(report: Report, size: int, dice: random.Random) -> None:
    """`os._exit`, which runs no exit handlers."""
    _endings(report, size, dice, "os_exit", 3)


@row("kill.exception", "accepted records survive an uncaught exception", quick=1, full=10, long=100)
def exception(report: Report, size: int, dice: random.Random) -> None:
    """An uncaught exception, with records still in the queue and no close."""
    _endings(report, size, dice, "exception", 1)


@row("kill.sys_exit", "accepted records survive sys.exit without close", quick=1, full=10, long=100)
def sys_exit(report: Report, size: int, dice: random.Random) -> None:
    """`sys.exit`, with records still in the queue and no close."""
    _endings(report, size, dice, "sys_exit", 5)


@row("kill.from_thread", "accepted records of threads that outlive main survive", quick=1, full=10, long=100)
def from_thread(report: Report, size: int, dice: random.Random) -> None:
    """The main thread ends first; another one, not a daemon, continues to record."""
    _endings(report, size, dice, "from_thread", 0)


@row("kill.ctrl_c", "Ctrl-C amid a batch loses none, but for the record it hit", quick=1, full=20, long=200)
def ctrl_c(report: Report, size: int, dice: random.Random) -> None:
    """SIGINT at a random moment during records."""
    _endings(report, size, dice, "ctrl_c", -signal.SIGINT)
