"""Differences between operating systems. macOS and Windows are only prepared: stand-ins run their branches here."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
import windows_like
from helpers import DEADLINE, finish, hear, start, tell

from rolloutlog import _systems

pytestmark = pytest.mark.once


# -- macOS -------------------------------------------------------------------------------------------------------------


class Mac:
    """A macOS whose F_FULLFSYNC answers with *error*, or works if there is none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: int | None) -> None:
        self.calls: list[str] = []
        self.error = error
        monkeypatch.setattr(sys, "platform", "darwin")
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", self.fcntl)
        monkeypatch.setattr(os, "fsync", lambda fd: self.calls.append("fsync"))

    def fcntl(self, fd: int, command: int) -> None:
        assert command == 51
        self.calls.append("full")
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))


def test_macos_syncs_past_the_cache_of_the_drive(monkeypatch):
    """`os.fsync` would stop there, and a power cut lose what was acknowledged."""
    mac = Mac(monkeypatch, None)
    _systems.sync(3)

    assert mac.calls == ["full"]


@pytest.mark.parametrize("error", [errno.ENOTSUP, errno.EINVAL, errno.ENOTTY])
def test_macos_syncs_files_of_a_network_as_far_as_it_can(monkeypatch, error):
    """Their file systems do not know the full sync."""
    mac = Mac(monkeypatch, error)
    _systems.sync(3)

    assert mac.calls == ["full", "fsync"]


def test_macos_tells_of_a_disk_that_fails(monkeypatch):
    """A plain sync after it could report success for pages that were dropped."""
    mac = Mac(monkeypatch, errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        _systems.sync(3)

    assert mac.calls == ["full"]


def test_a_system_without_locks_of_bytes_says_so(monkeypatch, tmp_path):
    """The caller then locks the whole file: macOS has no lock of a byte that belongs to the open file."""
    monkeypatch.setattr(sys, "platform", "darwin")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert not _systems.set_byte_lock(fd, 5, locked=True)
    finally:
        os.close(fd)


# -- Windows -----------------------------------------------------------------------------------------------------------


def record_and_look() -> None:
    """Record, resume, list, repair and convert, as on Windows."""
    windows_like.pretend()
    import rolloutlog
    from rolloutlog._cli.app import run

    def said(path: Path) -> list[str]:
        return [item.text for item in rolloutlog.load_session(path).items]

    recorder = rolloutlog.RolloutRecorder.create(fsync="flush")
    recorder.record(rolloutlog.Message.user("one"))
    recorder.flush()
    recorder.close()
    resumed, _ = rolloutlog.RolloutRecorder.resume(recorder.path)
    resumed.record(rolloutlog.Message.user("two"))
    resumed.close()
    assert said(recorder.path) == ["one", "two"]
    for text in ("a", "b"):
        with rolloutlog.session("trip") as session:
            session.record({"role": "user", "content": text})
    assert said(session.path) == ["a", "b"]
    shared = [rolloutlog.RolloutRecorder.resume(recorder.path, shared=True)[0] for _ in range(2)]
    for number, one in enumerate(shared):
        one.record(rolloutlog.Message.user(f"shared {number}"))
        one.flush()
    for one in shared:
        one.close()
    assert said(recorder.path)[2:] == ["shared 0", "shared 1"]
    other = rolloutlog.convert(recorder.path, format="envelope")
    assert said(other) == said(recorder.path)
    with open(recorder.path, "ab") as file:
        file.write(b'{"type":"message"')
    kinds = [finding.kind for finding in rolloutlog.diagnose(recorder.path).findings]
    assert kinds == ["torn-tail"], kinds
    rolloutlog.repair(recorder.path, write=True)
    assert rolloutlog.diagnose(recorder.path).findings == ()
    assert run(["list"]) == 0
    assert run(["show", "trip"]) == 0
    tell(" ".join(said(recorder.path)))


def hold() -> None:
    """Hold a session until a line comes, as on Windows."""
    windows_like.pretend()
    import rolloutlog

    with rolloutlog.session("held") as session:
        session.record({"role": "user", "content": "a"})
        tell(session.path)
        sys.stdin.readline()


def open_held(path: str) -> None:
    """Open a session that another process holds, and read it, as on Windows."""
    windows_like.pretend()
    import rolloutlog

    try:
        rolloutlog.session("held")
    except rolloutlog.exceptions.SessionLockedError:
        tell(rolloutlog.load_session(path).items[0].text)


def ask_for_life(living: int, dead: int) -> None:
    windows_like.pretend()
    from rolloutlog import _systems as systems

    tell(f"{systems.is_alive(living)} {systems.is_alive(dead)}")


def test_windows_has_all_that_recording_needs(home):
    """Each part of the way from a record to a repaired file, where `os` is that of Windows."""
    printed = finish(start(record_and_look))

    assert printed.splitlines()[-1] == "one two shared 0 shared 1"
    assert not list(home.rglob(".*.jsonl.*"))


def test_windows_excludes_other_processes_but_no_readers():
    """Its locks keep readers out, so the locked byte is one that no file reaches."""
    holder = start(hold)
    path = hear(holder)

    assert finish(start(open_held, path)) == "a\n"
    finish(holder)


def test_windows_is_asked_who_lives_without_a_signal():
    """There `os.kill` with signal 0 sends a Ctrl-C."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(DEADLINE)

    assert finish(start(ask_for_life, os.getpid(), dead.pid)) == "True False\n"


# -- Linux -------------------------------------------------------------------------------------------------------------


class Locks:
    """The list of locks that the system gives: each look gives the pages of the next list."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *lists: list[bytes]) -> None:
        self.lists = list(lists)
        self.looks = 0
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(_systems, "open", self.open, raising=False)

    def open(self, path: str, mode: str, buffering: int) -> Locks:
        assert (path, mode, buffering) == ("/proc/locks", "rb", 0)
        self.pages = iter(self.lists[min(self.looks, len(self.lists) - 1)])
        self.looks += 1
        return self

    def __enter__(self) -> Locks:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def read(self, size: int) -> bytes:
        return next(self.pages, b"")


OURS = b"1: FLOCK  ADVISORY  WRITE 77 08:01:1234 0 EOF\n"
OTHER = b"2: POSIX  ADVISORY  WRITE 78 08:01:1235 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 79 08:01:1236 0 EOF\n"


def test_a_short_list_of_locks_is_read_once(monkeypatch):
    """The system gives a page at once, in which nothing can be missing. Only locks on whole files count, not waits."""
    locks = Locks(monkeypatch, [OURS + OTHER])

    assert _systems.file_locks() == {(os.makedev(8, 1), 1234): 77}
    assert locks.looks == 1


def test_a_long_list_of_locks_is_read_again(monkeypatch):
    """One that other processes change between two pages lacks some: here, ours is missing in the first."""
    locks = Locks(monkeypatch, [OTHER, OTHER], [OTHER, OURS])

    assert _systems.file_locks() == {(os.makedev(8, 1), 1234): 77}
    assert locks.looks > 1
