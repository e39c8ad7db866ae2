"""Moved files: whatever other programs do to the file and its folders, only the bytes that they remove are lost."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import random
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import filelock  # noqa: F401  (imported by the journal at its first lock; some rows could not read it by then)

from rolloutlog.exceptions import RolloutError, WriteError

from . import checker
from .failing import MODES, Script
from .fakes import FakeSystem, Fault
from .harness import Report, Skip, fork, reap, row, scratch, until
from .seam import heard, open_recorder, path_in, resume_recorder

Act = Callable[[Path], Any]


@attrs.frozen
class Move:
    """An act of another program on the file at a path, when the records 0, 1 and 2 are in it.

    Attributes:
        name: its name in reports.
        act: does it.
        clear: removes the obstacle; `None` if the journal must continue without that.
        first: the record that the file at the path begins with afterwards.
        torn: torn lines of another program that the file has afterwards.
        lost: records that the act destroyed.
    """

    name: str
    act: Act
    clear: Act | None = None
    first: int = 3
    torn: int = 0
    lost: int = 0


def _put_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(b"precious\n")
    path.unlink()
    path.symlink_to(target)


def _drop_link(path: Path) -> None:
    assert path.with_name("target").read_bytes() == b"precious\n", "written through a link"
    path.unlink()


def _put_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _put_copy(path: Path) -> None:
    """Do as editors do: write a copy, and rename it onto the file."""
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


_held: list[int] = []


def _put_held(path: Path) -> None:
    """Replace the file by a copy that another process works on."""
    _put_copy(path)
    _held.append(os.open(path, os.O_RDWR))
    fcntl.flock(_held[-1], fcntl.LOCK_EX)


def _let_go(path: Path) -> None:
    os.close(_held.pop())


def _cut_line(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def _rename_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def _home_of(path: Path) -> Path:
    return path.parents[4]


MOVES = (
    Move("deleted", Path.unlink),
    Move("renamed", lambda path: path.rename(path.with_name("elsewhere"))),
    Move("emptied", lambda path: os.truncate(path, 0)),
    Move("cut within a line", _cut_line, first=0, torn=1, lost=1),
    Move("cut within the header", lambda path: os.truncate(path, 20)),
    Move("replaced by a link", _put_link, _drop_link),
    Move("replaced by a FIFO", _put_fifo, Path.unlink),
    Move("replaced by a folder", _put_folder, Path.rmdir),
    Move("replaced by a copy", _put_copy, first=0),
    Move("replaced by a copy in use", _put_held, _let_go, first=0),
    Move("folder removed", lambda path: shutil.rmtree(path.parent)),
    Move("folder renamed", _rename_folder),
    Move("home removed", lambda path: shutil.rmtree(_home_of(path))),
    Move("whole line appended", lambda path: _append(path, checker.line("other", 0, 9)), first=0),
    Move("torn line appended", lambda path: _append(path, checker.line("other", 0, 9)[:50]), first=0, torn=1),
)


def _suffer(report: Report, options: dict[str, object], move: Move, *, resumed: bool) -> None:
    where = f"{options}, {'resumed' if resumed else 'created'}, {move.name}"
    system = FakeSystem(most_pieces=2)
    options = options | ({"lock_timeout": 0.05} if options.get("shared") else {})
    with scratch() as folder, heard() as said:
        path = path_in(folder / "home")
        script = Script(folder / "home", system, open_recorder(folder / "home", system, **options))
        script.record(5, 5, 5)
        script.flush()
        if resumed:
            script.recorder.close(timeout=10)
            script.recorder = resume_recorder(path, system, **options)
        move.act(path)
        script.record(5, 5, 5)
        script.flush()
        if move.clear is not None:
            report.expect(script.failed is not None, f"{where}: flush says nothing")
            heard_of = until(lambda: said and script.recorder.stats.failures > 0)
            report.expect(heard_of, f"{where}: no message and no failure counted")
            script.record(5)
            move.clear(path)
        script.failed = None
        script.flush()
        report.expect(script.failed is None, f"{where}: flush says {script.failed}")
        script.record(5)
        try:
            script.recorder.close(timeout=10)
        except (RolloutError, TimeoutError) as error:
            report.expect(False, f"{where}: close says {error!r}")
        found = checker.read(path)
        lost = list(range(3 - move.lost, 3))
        wanted = [number for number in range(move.first, script.recorded) if number not in lost]
        report.expect(found.numbers["main"] == wanted, f"{where}: {found.numbers['main']} and not {wanted}")
        report.expect(found.meta is not None, f"{where}: the file at the path begins without a meta")
        report.expect(len(found.bad) == move.torn, f"{where}: {list(map(checker.shown, found.bad))}")
        report.expect(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or move.first == 0, f"{where}: open to others")
    report.trial()


@row("moved.between", "moved, cut or replaced between writes: noticed, then written", quick=150, full=300, long=1_500)
def between(report: Report, size: int, dice: random.Random) -> None:
    """Each move in each mode, after a create and after a resume; an obstacle is an error until it is removed."""
    trials = itertools.product((False, True), MODES, MOVES)
    for resumed, options, move in itertools.islice(itertools.cycle(trials), size):
        _suffer(report, options, move, resumed=resumed)


@row("moved.within", "removed during a write: written again to the file at the path", quick=60, full=500, long=2_000)
def within(report: Report, size: int, dice: random.Random) -> None:
    """The file is removed or renamed just before one of the calls of an append."""
    acts: list[Act] = [Path.unlink, lambda path: path.rename(path.with_name("elsewhere"))]
    for trial in range(size):
        options, act = dict(MODES[trial % len(MODES)]), dice.randrange(len(acts))
        call, at = dice.choice(["write", "lseek", "fstat", "fsync", "lstat"]), dice.randrange(1, 4)
        where = f"{options}, {('unlink', 'rename')[act]} before {call} #{at}"
        system = FakeSystem(most_pieces=2)
        with scratch() as home, heard():
            script = Script(home, system, open_recorder(home, system, inline=True, **options))
            script.record(5)
            script.flush()
            path = path_in(home)
            done: list[list[int]] = []

            def remove(path: Path = path, act: Act = acts[act], done: list[list[int]] = done) -> None:
                done.append(checker.read(path).numbers["main"])
                act(path)

            system.before(call, remove, nth=at)
            script.burst()
            script.record(5)
            script.flush()
            system.heal()
            script.failed = None
            script.flush()
            report.expect(script.failed is None, f"{where}: flush says {script.failed}")
            script.record(5)
            script.recorder.close(timeout=10)
            # The records of a deleted file are gone by intent; those of a renamed one are still there.
            found = checker.read(path)
            everywhere = checker.read(path.with_name("elsewhere")).numbers["main"] + found.numbers["main"]
            gone = done[0] if done and act == 0 else []
            missing = sorted(set(range(script.recorded)).difference(everywhere, gone))
            report.expect(not missing, f"{where}: {missing} are nowhere")
            numbers = found.numbers["main"]
            report.expect(script.recorded - 1 in numbers, f"{where}: {numbers} at the path")
            report.expect(numbers == sorted(set(numbers)), f"{where}: {numbers} at the path")
            report.expect(found.meta is not None and not found.bad, f"{where}: {found.meta} {found.bad}")
            report.count("hit", bool(done))
        report.trial()


@row(
    "moved.stranger",
    "a program without the lock during a failing write: no line goes",
    quick=150,
    full=3_000,
    long=30_000,
)
def stranger(report: Report, size: int, dice: random.Random) -> None:
    """Another program appends a line just before one of our calls, and the write or its cut fails."""
    for trial in range(size):
        options = dict(MODES[trial % len(MODES)])
        call, at = dice.choice(["write", "lseek", "fstat", "pread"]), dice.randrange(1, 5)
        failing = dice.choice(["write", "lseek", "ftruncate", "fstat"])
        faults = [
            Fault("write", dice.randrange(1, 4), "short"),
            Fault("write", dice.randrange(2, 5), errno.ENOSPC, dice.random() < 0.5),
            Fault(failing, dice.randrange(1, 4), errno.EIO),
        ][dice.randrange(3) :]
        where = f"{options}, a stranger before {call} #{at}, {' + '.join(map(str, faults))}"
        system = FakeSystem(most_pieces=2)
        with scratch("/dev/shm") as home, heard():
            script = Script(home, system, open_recorder(home, system, inline=True, **options))
            script.record(5)
            script.flush()
            path, strange = path_in(home), checker.line("other", 0, 30)
            came: list[bytes] = []

            def append(path: Path = path, line: bytes = strange, came: list[bytes] = came) -> None:
                came.append(line)
                _append(path, line)

            system.arm(*faults)
            system.before(call, append, nth=at)
            script.burst()
            script.record(5)
            script.flush()
            system.heal()
            script.failed = None
            script.flush()
            report.expect(script.failed is None, f"{where}: healed, and flush says {script.failed}")
            script.recorder.close(timeout=10)
            content = path.read_bytes()
            report.expect(content.count(strange[:-1]) == len(came), f"{where}: the stranger's line is gone")
            found = checker.read(path)
            numbers = found.numbers["main"]
            # If a stranger's line keeps ours from being cut off, twice is better than never.
            seen = list(dict.fromkeys(numbers))
            report.expect(seen == list(range(script.recorded)), f"{where}: {numbers}")
            report.expect(len(seen) == len(numbers) or came, f"{where}: twice, and no stranger came: {numbers}")
            report.count("hit", bool(came))
            report.count("twice", len(numbers) - len(seen))
        report.trial()


@row("moved.read_only", "a folder made read-only is an error, and later all is written", quick=1, full=5, long=20)
def read_only(report: Report, size: int, dice: random.Random) -> None:
    """For a user who is not root, the file goes away, and the folder refuses a new one."""
    for _ in range(size):
        with scratch() as folder:
            folder.chmod(0o777)

            def child(folder: Path = folder) -> None:
                if os.geteuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                system = FakeSystem(most_pieces=2)
                with heard():
                    script = Script(folder / "home", system, open_recorder(folder / "home", system))
                    script.record(5, 5, 5)
                    script.flush()
                    path = path_in(folder / "home")
                    path.unlink()
                    path.parent.chmod(0o500)
                    script.record(5)
                    script.flush()
                    cause = script.failed.__cause__ if isinstance(script.failed, WriteError) else None
                    assert isinstance(cause, PermissionError), f"flush into a read-only folder: {cause!r}"
                    path.parent.chmod(0o700)
                    script.failed = None
                    script.flush()
                    assert script.failed is None, f"the folder is open again, and flush says {script.failed}"
                    script.recorder.close(timeout=10)
                    assert checker.read(path).numbers["main"] == [3], checker.read(path)

            status = reap(fork(child), 60)
            if status is None:
                raise Skip("the child did not end")
            report.expect(status == 0, "the child failed, see above")
        report.trial()
