"""A session that another program compresses while we have it open: nothing is lost, and one whole file is left."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, eventually, texts_in

from rolloutlog import RolloutRecorder, _compression, load_session, session
from rolloutlog._compression import zstd
from rolloutlog._writing.file import Journal

pytestmark = [pytest.mark.system, pytest.mark.skipif(zstd() is None, reason="needs the extra zstd")]

HEADER, A, B, C = b'{"header":1}\n', b'{"a":1}\n', b'{"b":1}\n', b'{"c":1}\n'
# Of these, each call of the journal is tried in turn.
CALLS = ("open", "write", "fsync", "fstat", "lstat", "pread", "link", "unlink", "chmod", "lock", "lseek")


@pytest.fixture(params=[{}, {"shared": True}, {"fsync": "flush"}, {"fsync": "always", "shared": True}], ids=str)
def mode(request):
    return request.param


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rollout.jsonl"


def opened(path: Path, **mode) -> Journal:
    """Return a journal of a new file at *path* that holds the header and one line."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A])
    return journal


def packed(path: Path, *, between=lambda: None, content: bytes | None = None, later: int = 0) -> Path:
    """Compress the file at *path* as Codex does, which takes no lock, and keep its time; return the new file.

    Args:
        path: the file.
        between: called before the file is removed.
        content: else that of the file.
        later: how many seconds later than the file the new one was changed.
    """
    status = path.stat()
    compressed = path.with_name(f"{path.name}.zst")
    compressed.write_bytes(zstd().compress(path.read_bytes() if content is None else content))
    os.utime(compressed, ns=(status.st_atime_ns, status.st_mtime_ns + later * 10**9))
    between()
    path.unlink()
    return compressed


def only(path: Path) -> bytes:
    """Return the content of *path*, which is the only file in its folder."""
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return path.read_bytes()


def test_the_next_lines_follow_those_that_were_compressed(path, mode):
    """The compressed file is unpacked and removed, and the recorder continues in the plain one."""
    journal = opened(path, **mode)
    packed(path)

    journal.append([B])
    journal.append([C])
    journal.sync()
    journal.close()

    assert only(path) == HEADER + A + B + C


def test_no_library_is_needed_for_that(path, mode, monkeypatch):
    """The descriptor that is open still leads to the whole file."""
    journal = opened(path, **mode)
    packed(path)
    monkeypatch.setattr(_compression, "zstd", lambda: None)

    journal.append([B])

    assert only(path) == HEADER + A + B


def test_lines_of_the_last_moment_are_kept(path, mode):
    """They were appended after the other program had read the file, and before it removed it."""
    journal = opened(path, **mode)
    packed(path, between=lambda: (os.utime(path), journal.append([B])))

    journal.append([C])

    assert only(path) == HEADER + A + B + C


def test_lines_of_another_program_are_kept(path, mode):
    """Another program resumed the session and appended to it, before it was compressed again."""
    journal = opened(path, **mode)
    packed(path, content=HEADER + A + B, later=60)

    journal.append([C])

    assert only(path) == HEADER + A + B + C


def test_without_the_library_lines_of_another_program_are_not_hidden(path, mode, monkeypatch):
    """The error names the extra, the compressed file stays, and the lines are written once it can be read."""
    journal = opened(path, **mode)
    compressed = packed(path, content=HEADER + A + B, later=60)
    with monkeypatch.context() as patch:
        patch.setattr(_compression, "zstd", lambda: None)
        with pytest.raises(OSError, match=r"rolloutlog\[zstd\]"):
            journal.append([C])
        assert only(compressed)

    journal.append([C])

    assert only(path) == HEADER + A + B + C


def test_a_damaged_one_is_left_and_reported(path, mode):
    """No short file takes the place of what could perhaps be repaired."""
    journal = opened(path, **mode)
    compressed = packed(path, content=HEADER + A + B, later=60)
    whole = compressed.read_bytes()
    compressed.write_bytes(whole[:-9])

    with pytest.raises(OSError, match="damaged") as caught:
        journal.append([C])

    assert caught.value.errno == errno.EBADMSG
    assert only(compressed) == whole[:-9]


def test_a_link_is_not_followed(path, mode, tmp_path):
    """The file that it leads to belongs to some other place, so the session begins again as after a deletion."""
    journal = opened(path, **mode)
    elsewhere = packed(path).rename(tmp_path / "elsewhere.zst")
    path.with_name(f"{path.name}.zst").symlink_to(elsewhere)

    journal.append([B])

    assert path.read_bytes() == HEADER + B
    assert elsewhere.exists()


def test_of_two_that_share_it_one_unpacks_it(path):
    """The other one finds the file, and the lines of both are there once."""
    one = opened(path, shared=True)
    other = Journal(path, header=HEADER, shared=True)
    other.open()
    packed(path)

    one.append([B])
    other.append([C])

    assert only(path) == HEADER + A + B + C


def test_while_one_unpacks_it_the_other_waits(path):
    """The lock on the file that has no name any more is held in the meantime. Either may be the next to write."""
    system = FakeSystem()
    one = opened(path, shared=True, system=system)
    other = Journal(path, header=HEADER, shared=True, lock_timeout=DEADLINE)
    other.open()
    packed(path)
    thread = threading.Thread(target=other.append, args=([C],), daemon=True)
    system.before("link", thread.start)

    one.append([B])
    thread.join(DEADLINE)

    assert not thread.is_alive()
    assert only(path) in (HEADER + A + B + C, HEADER + A + C + B)


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_costs_nothing(call, tmp_path, mode):
    """A full disk, for example, at any call of the kind: the error is raised, and the next append writes all."""
    number = 0
    while True:
        number += 1
        path = tmp_path / str(number) / "rollout.jsonl"
        system = FakeSystem()
        journal = opened(path, system=system, **mode)
        packed(path)
        system.arm()
        system.fail(call, errno.ENOSPC, nth=number)
        try:
            journal.append([B])
            is_there = True
        except OSError:
            is_there = False
        system.heal()
        journal.append([C] if is_there else [B, C])
        journal.sync()
        journal.close()

        assert path.read_bytes() == HEADER + A + B + C, (call, number)
        if not system.hits:
            break


class Killing:
    """The real system, which ends the process at one call.

    Args:
        number: which of its calls, from 1.
    """

    def __init__(self, number: int) -> None:
        self.calls = 0
        self._number = number
        self._real = FakeSystem()

    def __getattr__(self, name: str):
        real = getattr(self._real, name)

        def call(*arguments):
            self.calls += 1
            if self.calls == self._number:
                os._exit(9)
            return real(*arguments)

        return call if callable(real) else real


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_call_loses_nothing(tmp_path):
    """The session can be resumed by its path, and has all that was acknowledged."""
    for number in range(1, 1000):
        home = tmp_path / str(number)
        with session("trip", home=home) as trip:
            trip.record({"role": "user", "content": "a"})
        child = os.fork()
        if child == 0:
            try:
                system = Killing(0)
                journal = Journal(trip.path, system=system)
                journal.open()
                packed(trip.path)
                system._number = system.calls + number
                journal.append([trip.items[0].json + b"\n"])
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with session("trip", home=home) as trip:
            texts = [item.text for item in trip.items]

        assert status in (0, 9)
        assert texts == ["a", "a"] if status == 0 else texts in (["a"], ["a", "a"])
        assert [each.name for each in trip.path.parent.iterdir() if each.name[0] != "."] == [trip.path.name] or status
        if status == 0:
            break


def test_a_recorder_that_was_idle_continues(tmp_path):
    """Its record is acknowledged when it is in the whole file."""
    with session("trip", home=tmp_path) as trip:
        trip.record({"role": "user", "content": "a"})
        compressed = packed(trip.path)
        trip.record({"role": "user", "content": "b"})

        assert texts_in(trip.path)[-2:] == ["a", "b"]
    assert not compressed.exists()
    assert [item.text for item in load_session("trip", home=tmp_path).items] == ["a", "b"]


@pytest.mark.parametrize("options", [{}, {"shared": True}], ids=str)
def test_a_process_that_opens_it_again_shares_its_recorder(tmp_path, options):
    """The recorder that was idle and the new one write to one file, one after the other."""
    with session("trip", home=tmp_path, **options) as first:
        first.record({"role": "user", "content": "a"})
        packed(first.path)
        with session("trip", home=tmp_path, **options) as second:
            second.record({"role": "user", "content": "b"})
            first.record({"role": "user", "content": "c"})
            texts = [item.text for item in second.items]

    assert texts == ["a", "b", "c"]
    assert texts_in(first.path)[-3:] == ["a", "b", "c"]


def test_lines_that_no_flush_has_synced_are_kept(tmp_path):
    """They are in the file that was unpacked, which is synced as a whole."""
    with RolloutRecorder.create(tmp_path, fsync="flush") as recorder:
        recorder.record({"role": "user", "content": "a"})
        recorder.flush()
        recorder.record({"role": "user", "content": "b"})
        eventually(lambda: recorder.stats.written == 2)
        packed(recorder.path)
        recorder.record({"role": "user", "content": "c"})
        recorder.flush()

    assert texts_in(recorder.path) == ["a", "b", "c"]
