"""Private folders, and locks that other processes respect and that tell who holds them."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, finish, hear, start, tell

from rolloutlog import _systems
from rolloutlog._writing.file_locks import lock, locked_byte
from rolloutlog._writing.os_calls import REAL_SYSTEM, make_folders
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
    """Only what is missing is made: the modes of the others were chosen."""
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


def lock_forever(path: str) -> None:
    """Hold the lock of a file until told to end."""
    fd = os.open(path, os.O_RDONLY)
    lock(fd, Path(path), 0)
    tell("held")
    sys.stdin.readline()


def lock_byte_forever(path: str, offset: int) -> None:
    """Hold the lock of a byte until told to end."""
    with locked_byte(Path(path), offset, 0, Path(path)):
        tell("held")
        sys.stdin.readline()


def take(path: Path, offset: int = 0, timeout: float = 0) -> bool:
    """Lock a byte for an instant; return whether that worked."""
    try:
        with locked_byte(path, offset, timeout, path):
            return True
    except SessionLockedError:
        return False


@contextmanager
def running(function: Callable[..., None], *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Give a process that holds a lock; at the end it releases the lock."""
    process = start(function, *arguments)
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


def test_another_process_holds_the_file(tmp_path):
    """The error names the file and the process that holds it."""
    with (
        running(lock_forever, str(tmp_path)) as process,
        opened(tmp_path) as fd,
        pytest.raises(SessionLockedError) as caught,
    ):
        lock(fd, tmp_path, 0)

    assert caught.value.path == tmp_path
    assert caught.value.pid == process.pid


def test_a_lock_is_tried_at_least_once(tmp_path):
    """A deadline that has passed does not keep one from a lock that is free."""
    with opened(tmp_path) as fd, opened(tmp_path) as other:
        lock(fd, tmp_path, monotonic() - 1)

        with pytest.raises(SessionLockedError):
            lock(other, tmp_path, monotonic() - 1)


@pytest.fixture(params=["bytes", "whole file"])
def path(request, tmp_path, monkeypatch):
    """A file of locks, on a system that can lock single bytes, and on one that cannot."""
    if request.param == "whole file":
        monkeypatch.setattr(_systems, "set_byte_lock", lambda fd, offset, *, locked: False)
    elif sys.platform != "linux":
        pytest.skip("only Linux has these locks")
    return tmp_path / "home" / ".lock"


def test_a_file_of_locks_is_made(path):
    """With its folder, both private."""
    with locked_byte(path, 0, 0, path):
        assert (mode(path.parent), mode(path)) == (0o700, 0o600)


def test_a_file_of_locks_is_private(tmp_path, umask):
    """Whatever the umask, so that it can be opened again."""
    assert take(tmp_path / ".lock")

    assert mode(tmp_path / ".lock") == 0o600


def test_threads_exclude_each_other(path):
    """The same byte is locked once at a time, also within a process; the error names the file that it protects."""
    with (
        locked_byte(path, 5, 0, path),
        pytest.raises(SessionLockedError) as caught,
        locked_byte(path, 5, 0.01, Path("session.jsonl")),
    ):
        pass

    assert caught.value.path == Path("session.jsonl")
    assert take(path, 5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has these locks")
@pytest.mark.parametrize("other", [0, 4, 6, 2**63 - 2])
def test_other_bytes_are_free(tmp_path, other):
    """Up to the largest offset; and taking one of them releases nothing."""
    path = tmp_path / ".lock"
    with locked_byte(path, 5, 0, path):
        assert take(path, other)
        assert not take(path, 5)


def test_processes_exclude_each_other(tmp_path):
    """Until the one that holds the lock releases it."""
    path = tmp_path / ".lock"
    with running(lock_byte_forever, str(path), 5):
        assert not take(path, 5)

    assert take(path, 5)


def test_a_lock_is_waited_for(path):
    """A lock that is released within the time goes to the thread that waits for it."""
    entered = threading.Event()

    def wait() -> None:
        with locked_byte(path, 5, DEADLINE, path):
            entered.set()

    with locked_byte(path, 5, 0, path):
        waiter = threading.Thread(target=wait)
        waiter.start()
        too_early = entered.is_set()
    waiter.join(DEADLINE)

    assert not too_early
    assert entered.is_set()


def test_a_killed_process_holds_nothing(tmp_path):
    """The lock ends with its owner, and needs no cleaning up."""
    path = tmp_path / ".lock"
    with running(lock_byte_forever, str(path), 5) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE)

        assert take(path, 5, DEADLINE)
    assert list(tmp_path.iterdir()) == [path]


def test_a_child_that_was_forked_meanwhile_holds_nothing(path):
    """It has a copy of the descriptor, and keeps it; the lock is released all the same."""
    go_on, done = os.pipe()
    with locked_byte(path, 5, 0, path):
        child = os.fork()
        if child == 0:
            os.close(done)
            os.read(go_on, 1)
            os._exit(0)
    try:
        assert take(path, 5)
    finally:
        os.close(done)
        os.close(go_on)
        os.waitpid(child, 0)


def test_an_error_inside_releases_the_lock(path):
    """The error itself comes through."""
    with pytest.raises(ZeroDivisionError), locked_byte(path, 5, 0, path):
        raise ZeroDivisionError

    assert take(path, 5)


@pytest.mark.parametrize("call", ["open", "lock_byte", "unlock_byte"])
def test_a_failing_lock_leaves_nothing_open(path, call):
    """The system's error is raised, and the descriptor is closed, which releases the lock."""
    system = FakeSystem()
    system.fail(call, errno.ENOLCK)

    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)), locked_byte(path, 5, 0, path, system):
        pass
    assert take(path, 5)
    assert system.calls.count("close") == (call != "open")


def test_a_kernel_that_cannot_lock_bytes_is_recognized(tmp_path, monkeypatch):
    """Some sandboxes do not know the command; the whole file is locked there. Any other error is raised."""
    if sys.platform != "linux":
        pytest.skip("only Linux has these locks")
    import fcntl

    def fail(error: int) -> None:
        def fcntl_(*args: object) -> None:
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(fcntl, "fcntl", fcntl_)

    path = tmp_path / ".lock"
    fail(errno.EINVAL)
    with locked_byte(path, 5, 0, path):
        assert not take(path, 6)
    fail(errno.ENOLCK)
    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        take(path, 5)


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
    """Where the process that took the lock has died, and its child still has the file, the error names no process."""
    process = start(lock_and_leave, str(tmp_path))
    hear(process)
    process.wait(DEADLINE)

    with opened(tmp_path) as fd, pytest.raises(SessionLockedError) as caught:
        lock(fd, tmp_path, 0)
    process.communicate("end\n", timeout=DEADLINE)
    assert caught.value.pid is None


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user_is_named(tmp_path):
    """A process that we may not even send a signal to lives nevertheless."""
    with running(lock_forever, str(tmp_path)) as process, opened(tmp_path) as fd:
        uids = os.getresuid()
        os.setresuid(65534, 65534, 0)
        try:
            with pytest.raises(SessionLockedError) as caught:
                lock(fd, tmp_path, 0)
        finally:
            os.setresuid(*uids)

    assert caught.value.pid == process.pid
