"""Many at once: processes and threads on one session, alive and killed, and processes that must keep out."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rolloutlog import Ack, RolloutRecorder, load_session
from rolloutlog.exceptions import SessionLockedError, WriteError

from . import checker
from .fakes import FakeSystem
from .harness import Report, fork, reap, row, scratch, until
from .kill import acknowledged
from .seam import heard, open_recorder

PROCESSES, THREADS = 16, 8


def _worker(path: Path, process: int, count: int, pipe: int, *, every: int) -> None:
    """Record *count* messages with each of the threads; tell through *pipe* what was acknowledged."""
    recorder, _ = RolloutRecorder.resume(path, shared=True, lock_timeout=60)

    def produce(thread: int) -> None:
        name = f"p{process}t{thread}"
        for number in range(count):
            recorder.record(checker.message(name, number, number % 100), timeout=120)
            if number % every == every - 1:
                recorder.flush(timeout=120)
                os.write(pipe, f"{name} {number + 1}\n".encode())

    threads = [threading.Thread(target=produce, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close(timeout=120)
    for thread in range(THREADS):
        os.write(pipe, f"p{process}t{thread} {count}\n".encode())


@row("many.shared", "16 processes by 8 threads, 3 of them killed: none lost", quick=6_400, full=128_000, long=1_000_000)
def shared(report: Report, size: int, dice: random.Random) -> None:
    """All append to one shared session, and some are killed; the size counts records."""
    count = -(-size // (PROCESSES * THREADS))
    doomed = dice.sample(range(PROCESSES), 3)
    with scratch() as home:
        with RolloutRecorder.create(home, shared=True) as recorder:
            path = recorder.path
        ours, theirs = os.pipe()
        heard = bytearray()

        def listen() -> None:
            while piece := os.read(ours, 65536):
                heard.extend(piece)

        children = [fork(_bound(path, process, count, theirs)) for process in range(PROCESSES)]
        os.close(theirs)
        listener = threading.Thread(target=listen)
        listener.start()
        for process in doomed:
            time.sleep(dice.uniform(0, 0.05 + size / 1e6))
            os.kill(children[process], signal.SIGKILL)
        for process, child in enumerate(children):
            status = reap(child, 600)
            fate = "was killed" if process in doomed else "ended"
            report.expect(status in ((0, signal.SIGKILL) if process in doomed else (0,)), f"{fate}: {status}")
        listener.join(60)
        os.close(ours)
        acked = acknowledged(bytes(heard))
        found = checker.read(path)
        report.expect_none(checker.problems(found, acked, torn=len(doomed)), "at the end")
        whole = {f"p{process}t{thread}" for process in range(PROCESSES) for thread in range(THREADS)}
        whole -= {f"p{process}t{thread}" for process in doomed for thread in range(THREADS)}
        for name in sorted(whole):
            report.expect(len(found.numbers[name]) == count, f"{name}: {len(found.numbers[name])} of {count}")
        report.expect(len(load_session(path).items) == found.records, "the reader sees another number of items")
        report.trial(found.records)
        report.count("acknowledged", sum(acked.values()))


def _bound(path: Path, process: int, count: int, pipe: int) -> Callable[[], None]:
    return lambda: _worker(path, process, count, pipe, every=50)


@row("many.exclusive", "a session in use is refused to others, and names its holder", quick=20, full=300, long=2_000)
def exclusive(report: Report, size: int, dice: random.Random) -> None:
    """Others try while one holds it, while children of the holder come and go; once it is killed they get it."""
    for trial in range(size):
        with scratch() as home:
            with RolloutRecorder.create(home) as recorder:
                path = recorder.path
            ready, tell = os.pipe()

            def hold(path: Path = path, tell: int = tell, trial: int = trial) -> None:
                recorder, _ = RolloutRecorder.resume(path)
                recorder.record(checker.message("holder", 0))
                if trial % 2:  # whatever a child does with its inheritance, the parent's lock stays
                    reap(fork(lambda: None), 20)
                recorder.flush()
                os.write(tell, b"!")
                time.sleep(60)

            holder = fork(hold)
            report.expect(os.read(ready, 1) == b"!", f"trial {trial}: the holder does not hold")
            before = path.read_bytes()

            def intrude(path: Path = path, holder: int = holder) -> None:
                try:
                    RolloutRecorder.resume(path)
                except SessionLockedError as error:
                    named = error.pid
                else:
                    raise AssertionError("two processes have one exclusive session")
                assert named in (holder, None), f"held by {holder}, and the error names {named}"

            report.expect(reap(fork(intrude), 20) == 0, f"trial {trial}: not refused, see above")
            report.expect(path.read_bytes() == before, f"trial {trial}: the intruder changed the file")
            os.kill(holder, signal.SIGKILL)
            reap(holder, 20)
            os.close(ready)
            os.close(tell)
            recorder, _ = RolloutRecorder.resume(path)
            recorder.record(checker.message("heir", 0))
            recorder.close()
            report.expect_none(checker.problems(checker.read(path), {"holder": 1, "heir": 1}), f"trial {trial}")
        report.trial()


@row("many.lock", "no byte goes into a shared session that somebody else holds", quick=10, full=100, long=1_000)
def lock(report: Report, size: int, dice: random.Random) -> None:
    """A process holds the lock; a writer says so, keeps what it has, and writes when the lock is free."""
    for trial in range(size):
        with scratch() as home, heard() as said:
            recorder = RolloutRecorder.create(home, shared=True, lock_timeout=0.05)
            fd = os.open(recorder.path, os.O_RDWR)
            fcntl.flock(fd, fcntl.LOCK_EX)
            before = recorder.path.read_bytes()
            for number in range(5):
                recorder.record(checker.message("main", number))
            try:
                recorder.flush()
            except WriteError as error:
                report.expect(isinstance(error.__cause__, TimeoutError), f"trial {trial}: {error!r}")
            else:
                report.expect(False, f"trial {trial}: flush says all is well")
            report.expect(recorder.path.read_bytes() == before, f"trial {trial}: written without the lock")
            os.close(fd)
            recorder.close()
            report.expect_none(checker.problems(checker.read(recorder.path), {"main": 5}), f"trial {trial}")
            told = until(lambda said=said: any("cannot write" in each for each in said))  # type: ignore[misc]
            report.expect(told, f"trial {trial}: the logger was told {said}")
        report.trial()


@row("many.same_process", "one process that resumes a file many times keeps order", quick=10, full=200, long=2_000)
def same_process(report: Report, size: int, dice: random.Random) -> None:
    """Threads open, record, read back and close the same session, all at once; each sees what it wrote before."""
    for trial in range(size):
        with scratch("/dev/shm") as home:
            seen = _seen_behind_a_held_write(home)
            report.expect(seen == 1, f"trial {trial}: taken up while a write was held: {seen} of 1 items seen")
        with scratch("/dev/shm") as home, RolloutRecorder.create(home) as first:
            path, problems = first.path, []
            counts = [dice.randrange(1, 30) for _ in range(5)]

            def visit(thread: int, path: Path = path, problems: list[str] = problems) -> None:
                name, number = f"t{thread}", 0
                for count in counts:  # noqa: B023
                    recorder, saved = RolloutRecorder.resume(path)
                    texts = [item.text for item in saved.items if hasattr(item, "text")]
                    seen = sum(text.startswith(f"{name} ") for text in texts)
                    if seen != number:
                        problems.append(f"{name} wrote {number} and sees {seen}")
                    for _ in range(count):
                        recorder.record(checker.message(name, number))
                        number += 1
                    recorder.shutdown() if number % 2 else recorder.close()

            threads = [threading.Thread(target=visit, args=(thread,)) for thread in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            first.flush()
            report.expect_none(problems, f"trial {trial}")
            acked = {f"t{thread}": sum(counts) for thread in range(4)}
            report.expect_none(checker.problems(checker.read(path), acked), f"trial {trial}")
        report.trial()


def _seen_behind_a_held_write(home: Path) -> int:
    """Take a session up while its writer is held in a write, until a flush is asked for; return how many items came."""
    system, begun, asked, done = FakeSystem(most_pieces=2), *(threading.Event() for _ in range(3))
    first = open_recorder(home, system)
    seen: list[int] = []

    def hold(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "write":
            begun.set()
            until(lambda: asked.is_set() or done.is_set())

    def watched(timeout: float | None = None) -> Ack:
        asked.set()
        return request_flush(timeout)

    def take_up() -> None:
        again, saved = RolloutRecorder.resume(first.path)
        seen.append(len(saved.items))
        done.set()
        again.close(timeout=20)

    request_flush, first._writer.request_flush = first._writer.request_flush, watched  # type: ignore[method-assign]
    system.watch = hold
    first.record(checker.message("main", 0))
    begun.wait(20)
    thread = threading.Thread(target=take_up)
    thread.start()
    thread.join(60)
    first.close(timeout=20)
    return sum(seen)


@row(
    "many.numbered",
    "processes share numbered lines: no number twice or missing",
    quick=120,
    full=3_000,
    long=30_000,
)
def numbered(report: Report, size: int, dice: random.Random) -> None:
    """Three processes record into a session whose lines Codex numbered; the size counts records."""
    session = str(uuid.UUID(int=dice.getrandbits(128), version=4))
    meta = {"id": session, "timestamp": "2026-01-02T03:04:05.000Z", "cwd": "/", "originator": "codex"}
    meta |= {"cli_version": "0.150.0", "history_mode": "paginated"}
    first = {"timestamp": meta["timestamp"], "ordinal": 0, "type": "session_meta", "payload": meta}
    with scratch() as folder:
        path = folder / f"rollout-2026-01-02T03-04-05-{session}.jsonl"
        path.write_text(json.dumps(first, separators=(",", ":")) + "\n")

        def work(seed: int) -> None:
            rhythm = random.Random(seed)
            recorder, _ = RolloutRecorder.resume(path, shared=True, lock_timeout=60)
            for _ in range(size // 3):
                recorder.record({"type": "function_call_output", "call_id": "c", "output": "x"})
                if rhythm.random() < 0.3:
                    recorder.flush(timeout=120)
            recorder.close(timeout=120)

        children = [fork(functools.partial(work, dice.getrandbits(32))) for _ in range(3)]
        for child in children:
            report.expect(reap(child, 600) == 0, "a process failed")
        numbers = [json.loads(line).get("ordinal") for line in path.read_bytes().splitlines()]
        report.expect(numbers == list(range(1 + 3 * (size // 3))), f"the numbers are {numbers[:200]}")
    report.trial(size)
