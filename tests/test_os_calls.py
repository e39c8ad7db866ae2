"""Private folders, and locks that other processes respect and that tell who holds them."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from fakes import FakeSystem
from helpers import DEADLINE, finish, hear, start, tell

from rolloutlog._writing.os_calls import REAL_SYSTEM, lock, locked_folder, make_folders
from rolloutlog.exceptions import SessionLockedError

UMASKS = [0o000, 0o022, 0o027, 0o077, 0o777]


@pytest.fixture(params=UMASKS, ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Each umask in turn, for the whole process while the test runs."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Give a descriptor of *path*, whether a file or a folder."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- folders -----------------------------------------------------------------------------------------------------------


def test_every_level_is_private(tmp_path, umask):
    """Each folder that is made has mode 0700, whatever the umask says."""
    make_folders(tmp_path / "home" / "sessions" / "2025")

    assert [mode(tmp_path / path) for path in ("home", "home/sessions", "home/sessions/2025")] == [0o700] * 3


def test_folders_that_exist_stay_as_they_are(tmp_path):
    """Only what is missing is made: somebody chose the mode of the others."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home").chmod(0o755)
    make_folders(tmp_path / "home" / "sessions")
    make_folders(tmp_path / "home" / "sessions")

    assert mode(tmp_path / "home") == 0o755


def test_a_link_to_a_folder_is_a_folder(tmp_path):
    """A home may be a link that its owner has set."""
    (tmp_path / "there").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "there")
    make_folders(tmp_path / "home")
    make_folders(tmp_path / "home" / "sessions")

    assert (tmp_path / "there" / "sessions").is_dir()


@pytest.mark.parametrize("below", ["file", "file/sessions", "dangling"])
def test_what_is_no_folder_is_in_the_way(tmp_path, below):
    """A file or a dangling link where a folder should be is an OSError that names it."""
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")

    with pytest.raises(NotADirectoryError) as caught:
        make_folders(tmp_path / below)
    assert str(caught.value.filename).startswith(str(tmp_path / below.partition("/")[0]))


def test_another_process_may_make_the_folder_first(tmp_path):
    """Who comes second takes the folder that is there."""
    system = FakeSystem()
    system.before("mkdir", (tmp_path / "home").mkdir)
    make_folders(tmp_path / "home" / "sessions", system)

    assert (tmp_path / "home" / "sessions").is_dir()


@pytest.mark.parametrize("umask", [0o777], indirect=True)  # under any other the folder is private at once: no chmod
@pytest.mark.parametrize("call", ["lstat", "mkdir", "chmod"])
def test_what_the_system_says_of_a_folder_is_raised(tmp_path, call, umask):
    """An error of any call comes through; so it is heard."""
    system = FakeSystem()
    system.fail(call, errno.EIO)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        make_folders(tmp_path / "home", system)


# -- locks -------------------------------------------------------------------------------------------------------------


def hold_folder(path: str) -> None:
    """Hold the lock of a folder until told to end."""
    with locked_folder(Path(path), 0):
        tell("held")
        sys.stdin.readline()


def hold(folder: Path, timeout: float = 0) -> bool:
    """Hold *folder* for an instant."""
    with locked_folder(folder, timeout):
        return True


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a process that holds the lock of *folder*; at the end it lets go."""
    process = start(hold_folder, str(folder))
    assert hear(process) == "held"
    try:
        yield process
    finally:
        process.stdin.close()
        process.stdin = None
        if process.poll() is None:
            finish(process)
        else:
            process.communicate()


def test_a_locked_folder_is_made(tmp_path):
    """The folder is there, and private, when the block begins."""
    with locked_folder(tmp_path / "home" / "sessions", 0):
        modes = [mode(tmp_path / "home"), mode(tmp_path / "home" / "sessions")]

    assert modes == [0o700, 0o700]


def test_another_process_holds_the_folder(tmp_path):
    """The error names the folder and the process that holds it."""
    with held_by_another_process(tmp_path) as process, pytest.raises(SessionLockedError) as caught:
        hold(tmp_path)

    assert caught.value.path == tmp_path
    assert caught.value.pid == process.pid


def test_this_process_holds_the_folder(tmp_path):
    """Threads of one process exclude each other, too."""
    with locked_folder(tmp_path, 0), pytest.raises(SessionLockedError) as caught:
        hold(tmp_path, 0.01)

    assert caught.value.pid == os.getpid()


def test_whoever_waits_gets_the_folder_next(tmp_path):
    """A lock that is let go within the time goes to who waits for it."""
    entered = threading.Event()

    def wait() -> None:
        with locked_folder(tmp_path, DEADLINE):
            entered.set()

    with held_by_another_process(tmp_path):
        waiter = threading.Thread(target=wait)
        waiter.start()
        too_early = entered.is_set()
    waiter.join(DEADLINE)

    assert not too_early
    assert entered.is_set()


def test_a_killed_process_holds_nothing(tmp_path):
    """The lock dies with its owner."""
    with held_by_another_process(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE)
        held = hold(tmp_path, DEADLINE)

    assert held


def test_an_error_inside_lets_the_folder_go(tmp_path):
    """What is raised in the block comes through, and the next one may enter."""
    with pytest.raises(ZeroDivisionError), locked_folder(tmp_path, 0):
        raise ZeroDivisionError

    assert hold(tmp_path)


@pytest.mark.parametrize("call", ["open", "lock", "unlock"])
def test_a_failing_lock_leaves_nothing_open(tmp_path, call):
    """What the system says is raised, and the descriptor is closed, which frees the lock."""
    system = FakeSystem()
    system.fail(call, errno.ENOLCK)

    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)), locked_folder(tmp_path, 0, system):
        pass
    assert hold(tmp_path)
    assert system.calls.count("close") == (call != "open")


def test_a_lock_is_asked_for_once_at_least(tmp_path):
    """A deadline that has passed already does not keep one from a lock that is free."""
    with opened(tmp_path) as fd:
        lock(fd, tmp_path, monotonic() - 1)

        with pytest.raises(SessionLockedError):
            hold(tmp_path)


def lock_and_leave(path: str) -> None:
    """Lock a file, hand it to a child, print the child's pid, and end."""
    fd = os.open(path, os.O_RDONLY)
    REAL_SYSTEM.lock(fd)
    child = os.fork()
    if child == 0:
        sys.stdin.readline()
        os._exit(0)
    tell(child)
    os._exit(0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who holds a lock")
def test_a_dead_process_is_not_blamed(tmp_path):
    """Where the process that took the lock has died, and its child still has the file, the error names nobody."""
    process = start(lock_and_leave, str(tmp_path))
    hear(process)
    process.wait(DEADLINE)

    with opened(tmp_path) as fd, pytest.raises(SessionLockedError) as caught:
        lock(fd, tmp_path, 0)
    process.communicate("end\n", timeout=DEADLINE)
    assert caught.value.pid is None


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_process_is_named(tmp_path):
    """A process that we may not even send a signal to lives nevertheless."""
    with held_by_another_process(tmp_path) as process, opened(tmp_path) as fd:
        uids = os.getresuid()
        os.setresuid(65534, 65534, 0)
        try:
            with pytest.raises(SessionLockedError) as caught:
                lock(fd, tmp_path, 0)
        finally:
            os.setresuid(*uids)

    assert caught.value.pid == process.pid
