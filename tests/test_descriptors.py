"""Descriptors that other code closes, that a forked child inherits, or that would be standard streams."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, finish, hear, lines_in, start, tell
from test_file import HEADER, LARGE, MODES, A, B, C

import rolloutlog
from rolloutlog._writing import descriptors
from rolloutlog._writing.file import Journal
from rolloutlog._writing.file_locks import locked_byte
from rolloutlog._writing.os_calls import REAL_SYSTEM

pytestmark = pytest.mark.system


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions" / "rollout.jsonl"


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem()


@pytest.fixture(params=MODES, ids=lambda mode: "-".join(map(str, mode.values())))
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file of another part of the program."""
    path = tmp_path / "other"
    path.write_bytes(b"precious" * 10)
    return path


def taken_over(journal: Journal, other: Path) -> int:
    """Close the descriptor of *journal*, as other code does, and return it, open for *other*."""
    fd = journal._fd
    os.close(fd)
    given = os.open(other, os.O_RDWR)
    if given != fd:
        os.dup2(given, fd)
        os.close(given)
    return fd


# -- closed by other code ----------------------------------------------------------------------------------------------


def test_a_descriptor_that_is_another_files_now_is_not_written_to(path, other, mode):
    """The lines go to the session, each once, and the other file and its descriptor stay as they are."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A])
    fd = taken_over(journal, other)
    journal.append([B])
    journal.append([C])
    journal.close()

    assert path.read_bytes() == HEADER + A + B + C
    assert other.read_bytes() == b"precious" * 10
    assert os.pread(fd, 8, 0) == b"precious"
    os.close(fd)


def test_a_closed_descriptor_is_opened_again(path, mode):
    """Also if no other file has the number."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    os.close(journal._fd)
    journal.append([A])
    journal.close()

    assert path.read_bytes() == HEADER + A


def test_a_journal_whose_descriptor_is_another_files_closes_nothing(path, other, mode):
    """Its owner can still read the other file."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    fd = taken_over(journal, other)
    journal.close()

    assert os.pread(fd, 8, 0) == b"precious"
    os.close(fd)


def test_lines_from_before_the_loss_are_synced(path, other, system):
    """They are in the same file, so the new descriptor brings them to the medium."""
    journal = Journal(path, header=HEADER, fsync="flush", system=system)
    journal.create()
    journal.append([A])
    os.close(taken_over(journal, other))
    journal.sync()
    journal.close()

    assert system.after_power_cut(path) == HEADER + A


def test_a_sync_that_cannot_open_the_file_again_fails_and_its_lines_are_written_anew(path, other, system):
    """They are cut off before, so each is there once."""
    journal = Journal(path, header=HEADER, fsync="flush", system=system)
    journal.create()
    journal.append([A])
    os.close(taken_over(journal, other))
    system.fail("open", errno.EMFILE)
    with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
        journal.sync()
    journal.append([A])
    journal.sync()
    journal.close()

    assert path.read_bytes() == HEADER + A
    assert system.after_power_cut(path) == HEADER + A


def test_lines_that_were_lost_with_another_file_are_not_called_synced(path, other, system):
    """The file was replaced, too: the next sync says that the lines in the old one are in doubt."""
    journal = Journal(path, header=HEADER, fsync="flush", system=system)
    journal.create()
    journal.append([A])
    os.close(taken_over(journal, other))
    replacement = path.with_name("replacement")
    replacement.write_bytes(HEADER)
    replacement.rename(path)
    journal.append([B])

    with pytest.raises(OSError, match="closed its descriptor"):
        journal.sync()
    journal.close()


@pytest.mark.parametrize(("call", "nth"), [("pread", 1), ("fstat", 2), ("fstat", 3)])
def test_another_file_is_never_cut(path, other, system, call, nth):
    """The descriptor is taken over after a failed write. The rest of that write is cut off later, from the session."""
    journal = Journal(path, header=HEADER, system=system)
    journal.create()
    system.write_short(len(A) + 5)
    system.fail("write", errno.ENOSPC, nth=2)
    system.before(call, lambda: taken_over(journal, other), nth=nth)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        journal.append([A, LARGE])
    fd = journal._fd
    journal.append([B])
    journal.close()

    assert path.read_bytes() == HEADER + B
    assert other.read_bytes() == b"precious" * 10
    os.close(fd)


@pytest.mark.parametrize(("call", "nth"), [("lseek", 1), ("fsync", 1), ("fstat", 2)])
def test_a_write_that_may_have_gone_elsewhere_is_an_error(path, other, system, call, nth):
    """The descriptor is taken over in the middle of an append: it is written again, to the session."""
    journal = Journal(path, header=HEADER, fsync="always", system=system)
    journal.create()
    system.before(call, lambda: taken_over(journal, other), nth=nth)
    with pytest.raises(OSError, match="another part of the program closed the descriptor"):
        journal.append([A])
    fd = journal._fd
    journal.append([A])
    journal.close()

    assert path.read_bytes() == HEADER + A
    os.close(fd)


# -- forked while it is being opened -----------------------------------------------------------------------------------


class Child:
    """A child that lives until it is ended, and knows nothing of sessions."""

    def __init__(self) -> None:
        self._pid, self._hold = 0, -1

    def fork(self) -> None:
        awaited, self._hold = os.pipe()
        begun, begins = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._hold)
            os.write(begins, b".")
            os.read(awaited, 1)
            os._exit(0)
        os.close(awaited)
        os.read(begun, 1)  # the child has run its hooks
        os.close(begun)
        os.close(begins)

    def end(self) -> None:
        os.close(self._hold)
        os.waitpid(self._pid, 0)


@contextmanager
def forked_before(system: FakeSystem, call: str) -> Iterator[None]:
    """Have a child made just before the next *call*; it lives as long as the block."""
    child = Child()
    system.before(call, child.fork)
    try:
        yield
    finally:
        child.end()


@pytest.mark.parametrize("call", ["fstat", "lock", "lstat"])
def test_a_child_that_is_forked_during_an_open_keeps_no_lock(path, system, call):
    """When the process is killed, which unlocks nothing, the next one gets the session while the child lives."""
    first = Journal(path, header=HEADER)
    first.create()
    first.close()
    journal = Journal(path, system=system)
    with forked_before(system, call):
        journal.open()
        os.close(journal._fd)
        again = Journal(path)
        again.open()
        again.close()


def test_a_child_that_is_forked_during_a_create_keeps_no_lock(path, system):
    """The file may exist already when it is opened for the second time."""
    journal = Journal(path, header=HEADER, system=system)
    with forked_before(system, "fstat"):
        journal.create()
        os.close(journal._fd)
        again = Journal(path)
        again.open()
        again.close()

    assert path.read_bytes() == HEADER


@pytest.mark.parametrize("call", ["fstat", "lock_byte"])
def test_a_child_that_is_forked_during_the_creation_of_an_id_blocks_it_for_nobody(path, system, call):
    """The parent dies before it can unlock the byte."""
    system.fail("unlock_byte", errno.EIO)
    with forked_before(system, call):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)), locked_byte(path, 5, 0, path, system):
            pass
        with locked_byte(path, 5, 0, path):
            pass


# -- standard streams --------------------------------------------------------------------------------------------------


def record_without_streams(home: str) -> None:
    """Record with all standard streams closed, while the program prints."""
    with rolloutlog.RolloutRecorder.create(home) as recorder:
        for number in range(20):
            recorder.record({"role": "user", "content": str(number)})
            for fd in range(3):
                with suppress(OSError):  # nothing is open there
                    os.write(fd, b"output of the program\n")
            recorder.flush()


def test_the_programs_output_is_in_no_session(tmp_path):
    """A daemon closes its standard streams; the files that are opened next would get their numbers."""
    code = f"import {__name__} as module; module.record_without_streams({str(tmp_path)!r})"
    folders = [str(Path(rolloutlog.__file__).parents[1]), str(Path(__file__).parent)]
    subprocess.run(
        ["sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        timeout=DEADLINE,
        check=True,
    )
    (found,) = rolloutlog.find_sessions(tmp_path)
    saved = rolloutlog.load_session(found.path)

    assert [item.text for item in saved.items] == list(map(str, range(20)))
    assert saved.skipped == []


# -- leases ------------------------------------------------------------------------------------------------------------


def hold_lease(path: str, kind: str) -> None:
    """Take a lease on *path*, and give it back when another process wants to open the file."""
    import fcntl
    import signal

    fd = os.open(path, os.O_RDONLY)
    signal.signal(signal.SIGIO, lambda number, frame: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK))
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, getattr(fcntl, kind))
    except OSError:
        tell("no leases")
    else:
        tell("leased")
    sys.stdin.readline()


def opened(path: Path) -> None:
    journal = Journal(path)
    journal.open()
    journal.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")
@pytest.mark.parametrize(("kind", "act"), [("F_WRLCK", rolloutlog.load_session), ("F_RDLCK", opened)])
def test_a_lease_is_waited_for(kind: str, act: Callable[[Path], object]):
    """A file that a file server has leased is read and resumed as soon as the lease is given back."""
    with rolloutlog.RolloutRecorder.create() as recorder:
        recorder.record({"role": "user", "content": "a"})
    holder = start(hold_lease, str(recorder.path), kind)
    if hear(holder) != "leased":
        finish(holder)
        pytest.skip("this file system has no leases")
    act(recorder.path)
    finish(holder)

    assert lines_in(recorder.path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has leases")
def test_a_lease_that_is_not_given_back_is_an_error_in_the_end(tmp_path, monkeypatch):
    """The system's error is raised after the time that the system gives."""
    monkeypatch.setattr("rolloutlog._locks._LEASE_TIMEOUT", 0.0)
    monkeypatch.setattr("rolloutlog._locks.open_file", _refused)

    with pytest.raises(BlockingIOError):
        REAL_SYSTEM.open(tmp_path, os.O_RDONLY)


def _refused(*args: object) -> int:
    raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))


# -- locks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_lock_that_cannot_be_had_names_the_file(path, system, error):
    """People see which folder is on a file system without locks."""
    system.fail("lock", error)
    with pytest.raises(OSError, match="cannot be locked") as caught:
        Journal(path, header=HEADER, system=system).create()

    assert (caught.value.errno, caught.value.filename) == (error, str(path))


def test_a_file_is_known_until_its_last_descriptor_is_closed(tmp_path):
    """Of two at once, as where a repair looks at a session that is being opened, either may be closed first."""
    path = tmp_path / "file"
    path.touch()
    for first in (0, 1):
        opened = [descriptors.open_file(path, os.O_RDWR, REAL_SYSTEM) for _ in range(2)]
        identity = descriptors.identity_of(opened[0][1])
        descriptors.close_file(opened[first][0], identity, REAL_SYSTEM)

        assert descriptors.may_be_open(identity)
        descriptors.close_file(opened[1 - first][0], identity, REAL_SYSTEM)
        assert not descriptors.may_be_open(identity)


def test_a_descriptor_that_other_code_closed_does_not_keep_its_file_known(tmp_path):
    """The file was opened again since; when that is closed, no writer has it."""
    path = tmp_path / "file"
    path.touch()
    lost, status = descriptors.open_file(path, os.O_RDWR, REAL_SYSTEM)
    identity = descriptors.identity_of(status)
    os.close(lost)
    keeps_the_number = os.open(os.devnull, os.O_RDONLY)
    again, _ = descriptors.open_file(path, os.O_RDWR, REAL_SYSTEM)
    descriptors.close_file(again, identity, REAL_SYSTEM)
    os.close(keeps_the_number)

    assert again != lost
    assert not descriptors.may_be_open(identity)
