"""Sessions that Codex compressed are unpacked where they are, and resumed; a fault leaves them as they were."""

from __future__ import annotations

import errno
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import DEADLINE, recorder_on, run_together

from rolloutlog import RolloutRecorder, find_sessions, load_session, session
from rolloutlog._reading.blocks import _zstd
from rolloutlog._writing.os_calls import REAL_SYSTEM
from rolloutlog.exceptions import InvalidRolloutError, MissingExtraError, SessionNotFoundError

zstd = _zstd()
pytestmark = pytest.mark.skipif(zstd is None, reason="needs the extra zstd")


def hello(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def packed(path: Path) -> Path:
    """Compress the file at *path* as Codex does, and return the new one."""
    compressed = path.with_name(path.name + ".zst")
    compressed.write_bytes(zstd.compress(path.read_bytes()))
    path.unlink()
    return compressed


@pytest.fixture
def compressed():
    """A session called "trip", which is compressed."""
    with session("trip", format="envelope") as trip:
        trip.record(hello("a"))
    return packed(trip.path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("by", ["name", "id", "path", "path before"])
def test_a_compressed_session_is_resumed(compressed, by):
    """By its name, its id, its path, and by the path that it had before."""
    plain = compressed.with_suffix("")
    before = zstd.decompress(compressed.read_bytes())
    os.chmod(compressed, 0o640)
    if by == "name":
        with session("trip") as trip:
            trip.record(hello("b"))
            texts = [item.text for item in trip.items]
    else:
        which = {"id": load_session("trip").session.id, "path": compressed, "path before": plain}[by]
        recorder, saved = RolloutRecorder.resume(which)
        with recorder:
            recorder.record(hello("b"))
        texts = [item.text for item in saved.items] + ["b"]

    assert texts == ["a", "b"]
    assert names(plain.parent) == [plain.name]
    assert plain.read_bytes().startswith(before)
    assert plain.stat().st_mode & 0o777 == 0o640
    assert [item.text for item in load_session("trip").items] == ["a", "b"]


def test_a_path_is_found_after_the_file_was_compressed(compressed):
    """A program that kept the path of a session reads it, and nothing is changed by that."""
    plain = compressed.with_suffix("")

    assert [item.text for item in load_session(plain).items] == ["a"]
    assert names(plain.parent) == [compressed.name]
    compressed.unlink()
    with pytest.raises(SessionNotFoundError):
        load_session(plain)


def test_it_is_told(compressed, caplog):
    """One line of the logger says that the file has another name now."""
    with caplog.at_level(logging.INFO, logger="rolloutlog"):
        session("trip").close()

    plain = compressed.with_suffix("")
    told = [record.getMessage() for record in caplog.records if "compressed" in record.getMessage()]
    assert told == [f"{plain} was compressed; it is unpacked, and the compressed file removed"]


def test_threads_that_resume_it_at_once_share_it(compressed):
    """One of them unpacks it, and the records of all are in the one file."""

    def record(number: int) -> None:
        with session("trip") as trip:
            trip.record(hello(str(number)))

    run_together(*(lambda number=number: record(number) for number in range(4)))
    (found,) = find_sessions()

    assert sorted(item.text for item in load_session(found).items) == ["0", "1", "2", "3", "a"]
    assert names(found.path.parent) == [compressed.with_suffix("").name]


def test_a_last_line_that_is_torn_is_resumed_as_any_other(compressed):
    """The bytes are those that were compressed, and the torn line stays a line of its own."""
    plain = compressed.with_suffix("")
    compressed.write_bytes(zstd.compress(zstd.decompress(compressed.read_bytes()) + b'{"torn'))
    with session("trip") as trip:
        trip.record(hello("b"))
    saved = load_session(plain)

    assert [item.text for item in saved.items] == ["a", "b"]
    assert len(saved.skipped) == 1


@pytest.mark.parametrize("damage", ["half", "junk", "no session"])
def test_a_damaged_one_is_left_as_it_is(compressed, damage):
    """The error says so, and nothing of what was unpacked is left."""
    whole = compressed.read_bytes()
    made = {"half": whole[:-9], "junk": whole + b"junk", "no session": zstd.compress(b"hello\n")}[damage]
    compressed.write_bytes(made)

    with pytest.raises(InvalidRolloutError, match=r"damaged|not JSON"):
        RolloutRecorder.resume(compressed)

    assert compressed.read_bytes() == made
    assert names(compressed.parent) == [compressed.name]


def test_a_link_is_not_followed(compressed, tmp_path):
    """The file that it leads to belongs to some other place."""
    elsewhere = compressed.rename(tmp_path / "elsewhere.jsonl.zst")
    compressed.symlink_to(elsewhere)

    with pytest.raises(OSError, match="not opened through a link") as caught:
        RolloutRecorder.resume(compressed)

    assert caught.value.errno == errno.ELOOP
    assert elsewhere.exists()


class Failing:
    """The real system, in which one call fails."""

    def __init__(self, call: str) -> None:
        self._call = call

    def __getattr__(self, name: str):
        if name == self._call:

            def fail(*arguments: object) -> None:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            return fail
        return getattr(REAL_SYSTEM, name)


@pytest.mark.parametrize("call", ["open", "write", "chmod", "fsync"])
def test_a_fault_leaves_the_compressed_session(compressed, call):
    """A full disk, say: the error is raised, and the session can be resumed later."""
    with pytest.raises(OSError, match="No space left"):
        recorder_on(Failing(call)).resume(compressed)

    assert names(compressed.parent) == [compressed.name]
    session("trip").close()


class Watching(Failing):
    """The real system, which keeps a list of its calls."""

    def __init__(self, call: str = "") -> None:
        super().__init__(call)
        self.calls: list[str] = []

    def __getattr__(self, name: str):
        self.calls.append(name)
        return super().__getattr__(name)


def test_the_new_name_is_on_the_medium_before_the_compressed_file_is_removed(compressed):
    """A power cut in between leaves one of the two."""
    system = Watching()
    recorder_on(system).resume(compressed)[0].close()

    named = system.calls.index("link")
    assert "fsync" in system.calls[named : system.calls.index("unlink", system.calls.index("unlink") + 1)]


class NoFolderSync(Failing):
    """The real system, in which a folder cannot be synced."""

    def __init__(self) -> None:
        super().__init__("")

    def fsync(self, fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def test_where_folders_cannot_be_synced_both_files_stay(compressed, caplog):
    """The session is resumed, and a warning says so."""
    recorder, saved = recorder_on(NoFolderSync()).resume(compressed)
    recorder.close()

    assert [item.text for item in saved.items] == ["a"]
    assert names(compressed.parent) == [compressed.with_suffix("").name, compressed.name]
    assert "the compressed file stays" in caplog.text


def test_where_there_are_no_hard_links_it_is_unpacked_too(compressed):
    """It is renamed then."""
    recorder, saved = recorder_on(Failing("link")).resume(compressed)
    recorder.close()

    assert [item.text for item in saved.items] == ["a"]
    assert names(compressed.parent) == [compressed.with_suffix("").name]


def test_a_kill_before_the_end_leaves_a_session(compressed):
    """Both files are there then, and the plain one is the session."""
    plain = compressed.with_suffix("")
    data = compressed.read_bytes()
    session("trip").close()
    compressed.write_bytes(data)
    with session("trip") as trip:
        trip.record(hello("b"))

    assert trip.path == plain
    assert [item.text for item in load_session("trip").items] == ["a", "b"]


def test_without_the_extra_the_error_names_it(compressed):
    """And the session is not begun again."""
    code = (
        "import sys\n"
        "sys.modules['compression'] = sys.modules['backports'] = None\n"
        "import rolloutlog\n"
        "try:\n"
        "    rolloutlog.session('trip')\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert done.stdout.startswith(MissingExtraError.__name__)
    assert names(compressed.parent) == [compressed.name]
