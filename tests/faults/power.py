"""Power cuts: synced records survive, on real file systems and in every order of writes that is allowed."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import random
import select
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from rolloutlog import RolloutRecorder, load_session

from . import checker
from .fakes import FakeSystem
from .harness import Report, Skip, fork, reap, row, scratch, until
from .kill import acknowledged, agent, rollout
from .seam import open_recorder, path_in

# EXT4_IOC_SHUTDOWN, which xfs answers too; 2: do not even flush the log. The disk is what it is at that instant.
_SHUTDOWN, _NO_LOG_FLUSH = 0x8004587D, 2

# The smallest that mkfs makes: xfs refuses less than 300 MB.
_SIZES = {"ext4": 64 << 20, "xfs": 320 << 20}


@contextmanager
def _writing(kind: str) -> Iterator[Path]:
    """Give a folder on which a fresh file system of *kind* is mounted and can be mounted again."""
    if os.geteuid() != 0:
        raise Skip("mounting a file system needs root")
    if not os.path.exists("/dev/loop-control"):
        raise Skip("there are no loop devices here")
    mkfs = shutil.which(f"mkfs.{kind}", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if mkfs is None:
        package = {"xfs": "xfsprogs", "ext4": "e2fsprogs"}[kind]
        raise Skip(f"mkfs.{kind} is not here: apt-get install {package}")
    with scratch() as folder:
        image, mounted = folder / "image", folder / "mounted"
        mounted.mkdir()
        with image.open("wb") as file:
            file.truncate(_SIZES[kind])
        made = subprocess.run([mkfs, "-q", str(image)], capture_output=True, text=True, check=False)
        if made.returncode:
            raise Skip(f"mkfs.{kind} failed: {made.stderr.strip()}")
        try:
            _mount(folder)
        except subprocess.CalledProcessError as error:
            raise Skip(f"{kind} cannot be mounted here: {error.stderr!r}") from error
        try:
            yield mounted
        finally:
            subprocess.run(["umount", "-l", str(mounted)], capture_output=True, check=False)


def _mount(folder: Path) -> None:
    command = ["mount", "-o", "loop", str(folder / "image"), str(folder / "mounted")]
    subprocess.run(command, check=True, capture_output=True, text=True)


def _cut(mounted: Path) -> None:
    """Cut the power of the file system at *mounted*."""
    fd = os.open(mounted, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(fd)


def _again(mounted: Path) -> None:
    """Mount it again, as the next boot does."""
    command = ["umount", str(mounted)]  # refused while the last process that had it open is on its way out
    until(lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0)
    _mount(mounted.parent)


def _cuts(report: Report, size: int, dice: random.Random, kind: str) -> None:
    with _writing(kind) as mounted:
        for trial in range(size):
            home = mounted / f"home{trial}"
            seed = dice.randrange(10**9)
            ours, theirs = os.pipe()

            def child(home: Path = home, ours: int = ours, theirs: int = theirs, seed: int = seed) -> None:
                os.close(ours)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # a writer whose disk has just gone says so
                agent(home, 0, theirs, {"fsync": "always"}, seed)

            pid = fork(child)
            os.close(theirs)
            os.set_blocking(ours, False)
            if dice.random() < 0.9:  # else at the beginning
                select.select([ours], [], [], 5)
            time.sleep(dice.uniform(0, 0.06))
            said = b""
            # Only what was heard before the cut counts: later words may be about a disk that was gone already.
            while True:
                try:
                    piece = os.read(ours, 1 << 20)
                except BlockingIOError:
                    break
                if not piece:
                    break
                said += piece
            _cut(mounted)
            os.kill(pid, 9)
            reap(pid, 30)
            os.close(ours)
            _again(mounted)
            acked = acknowledged(said)
            where = f"{kind}, cut {trial} (seed {seed})"
            found = checker.read(rollout(home))
            lost = [
                each for each in checker.problems(found, acked, torn=1) if "LOST" in each or "no session meta" in each
            ]
            report.expect_none(lost, where)
            report.expect(rollout(home).exists() or not acked, f"{where}: the file itself is gone")
            report.count("acknowledged", sum(acked.values()))
            report.count("cuts with nothing acknowledged yet", not acked)
            if rollout(home).exists() and found.meta is not None:
                recorder, _ = RolloutRecorder.resume(rollout(home))
                recorder.record(checker.message("after", 0))
                recorder.close()
                healed = checker.read(rollout(home))
                report.expect(healed.numbers["after"] == [0], f"{where}: what came after the cut does not read")
            shutil.rmtree(home, ignore_errors=True)
            report.trial()


@row("power.ext4", 'fsync="always": acknowledged survives a cut, ext4', quick=3, full=100, long=1_000)
def ext4(report: Report, size: int, dice: random.Random) -> None:
    """The file system is shut down under the writer, without a flush of its log, and mounted again."""
    _cuts(report, size, dice, "ext4")


@row("power.xfs", 'fsync="always": acknowledged survives a cut, xfs', quick=3, full=100, long=1_000)
def xfs(report: Report, size: int, dice: random.Random) -> None:
    """The same on xfs."""
    _cuts(report, size, dice, "xfs")


# -- the simulator -----------------------------------------------------------------------------------------------------


@attrs.define
class _Inode:
    """A file as the medium may hold it: the synced bytes, and the operations that no sync covers, in order."""

    synced: bytes = b""
    waiting: list[tuple[int, bytes | None]] = attrs.field(factory=list)  # (offset, data), or (size, None): a cut

    def now(self) -> bytes:
        """Return the bytes that programs see."""
        return _applied(self.synced, self.waiting)


def _applied(content: bytes, operations: list[tuple[int, bytes | None]]) -> bytes:
    made = bytearray(content)
    for offset, data in operations:
        if data is None:
            del made[offset:]
        else:
            made[offset : offset + len(data)] = data
    return bytes(made)


_MODES: list[dict[str, Any]] = [{"fsync": "always"}, {"fsync": "flush"}, {"fsync": "always", "shared": True}]


class RecordingSystem(FakeSystem):
    """The real system, which also notes all that a power cut could leave."""

    def __init__(self) -> None:
        super().__init__(most_pieces=2)
        self.inodes: dict[int, _Inode] = {}
        self.names: dict[str, int] = {}  # the rollout's name, once its folder is synced
        self._linked: dict[str, int] = {}
        self._made: set[str] = set()
        self._durable: set[str] = set()

    def _note(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        super()._note(name, args, result)
        if name == "write":
            fd, data = args[0], b"".join(args[1])
            inode = self._inode(fd)
            end = os.lseek(fd, 0, os.SEEK_CUR)
            inode.waiting.append((end - len(data), data))
        elif name == "ftruncate":
            self._inode(args[0]).waiting.append((args[1], None))
        elif name in ("link", "rename"):
            self._linked[str(args[1])] = os.stat(args[1]).st_ino
        elif name == "mkdir":
            self._made.add(str(args[0]))
        elif name == "fsync":
            folder = os.readlink(f"/proc/self/fd/{args[0]}")
            if not os.path.isdir(folder):
                inode = self._inode(args[0])
                inode.synced, inode.waiting = inode.now(), []
                return
            self._durable |= {each for each in self._made if os.path.dirname(each) == folder}
            self.names |= {path: ino for path, ino in self._linked.items() if os.path.dirname(path) == folder}

    def _inode(self, fd: int) -> _Inode:
        return self.inodes.setdefault(os.fstat(fd).st_ino, _Inode())

    def survives(self, path: Path) -> bool:
        """Return whether the name of *path* and of every folder above it that was made here is on the medium."""
        return str(path) in self.names and all(
            str(each) in self._durable for each in path.parents if str(each) in self._made
        )

    def states(self, path: Path) -> Iterator[bytes]:
        """Yield each content that *path* may have after a cut now: a prefix of what waits, torn, or ending in NULs."""
        inode = self.inodes[os.stat(path).st_ino]
        yield inode.synced
        for count, (offset, data) in enumerate(inode.waiting):
            before = _applied(inode.synced, inode.waiting[:count])
            whole = _applied(inode.synced, inode.waiting[: count + 1])
            yield whole
            if data is None:
                continue
            cuts = range(len(data)) if len(data) < 400 else sorted({*range(0, len(data), 509), 1, len(data) - 1})
            for cut in cuts:
                torn = _applied(before, [(offset, data[:cut])])
                yield torn
                yield torn + bytes(len(whole) - len(torn))  # the size reached the medium, the data did not
            for sector in range(offset // 512, -(-(offset + len(data)) // 512)):
                begin, end = max(sector * 512, offset), min((sector + 1) * 512, len(whole))
                yield whole[:begin] + bytes(end - begin) + whole[end:]


@row(
    "power.simulated",
    "every legal order of writes and syncs: none lost, and it resumes",
    quick=3_000,
    full=50_000,
    long=200_000,
)
def simulated(report: Report, size: int, dice: random.Random) -> None:
    """A power cut before each call of the journal, in each state that the medium may be in; then read and resume."""
    most = None if size >= 10_000 else 40  # the quick size looks at some of the states at each call
    for options in itertools.cycle(_MODES):
        if report.trials >= size and options == _MODES[0]:
            return
        system = RecordingSystem()
        with scratch("/dev/shm") as folder, scratch("/dev/shm") as elsewhere:
            path = path_in(folder / "home")
            acked = 0

            def cut(name: str, args: tuple[Any, ...]) -> None:
                _look(report, system, path, acked, elsewhere, dice, most)  # noqa: B023

            system.watch = cut
            recorder = open_recorder(folder / "home", system, inline=True, **options)
            number = 0
            report.expect(system.survives(path), f"{options}: created, and its name or a folder's is not synced")
            for _ in range(4):
                for _ in range(dice.randrange(1, 4)):
                    recorder.record(checker.message("main", number, dice.choice([0, 60, 2_000])))
                    number += 1
                recorder.flush()
                acked = number
                report.expect(system.survives(path), f"{options}: acknowledged, and its name is not synced")
            recorder.close()


def _look(
    report: Report,
    system: RecordingSystem,
    path: Path,
    acked: int,
    elsewhere: Path,
    dice: random.Random,
    most: int | None,
) -> None:
    """Cut the power in each state that is possible now: acknowledged records can be read, and recording resumes."""
    if not path.exists():
        return
    states = list(dict.fromkeys(system.states(path)))
    for state in states if most is None or len(states) <= most else [states[0], *dice.sample(states, most)]:
        report.trial()
        copy = elsewhere / path.name
        copy.write_bytes(state)
        found = checker.read(copy)
        numbers = found.numbers["main"][:acked]
        report.expect(numbers == list(range(acked)), f"{acked} acknowledged, {numbers} after a cut")
        if dice.random() < 0.1 and found.meta is not None:
            recorder, saved = RolloutRecorder.resume(copy)
            there = found.records + _is_whole(found.tail)
            report.expect(len(saved.items) == there, f"the reader finds {len(saved.items)}, not {there}")
            recorder.record(checker.message("after", 0))
            recorder.close()
            report.expect(checker.read(copy).numbers["after"] == [0], "what came after the cut does not read")
            report.expect(len(load_session(copy).items) == there + 1, "the reader misses what came after")
            report.count("resumed")


def _is_whole(tail: bytes) -> bool:
    """Return whether *tail* lacks nothing but its newline: a reader takes it."""
    try:
        return bool(json.loads(tail))
    except ValueError:
        return False
