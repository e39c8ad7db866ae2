"""A journal on a system that fails: all or nothing, and after the faults every line is there once, in order."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from faults.fakes import ERRNOS, FakeSystem
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_file import HEADER, LARGE, MODES, A, B, C, append_foreign, reopened

from rolloutlog._writing.file import Journal

pytestmark = [pytest.mark.system, pytest.mark.once]

FIRST = [A, LARGE]
LINES = [B, LARGE, C + A]  # three writes
THREE = [b"1" + LARGE, b"2" + LARGE, b"3" + LARGE]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions" / "rollout.jsonl"


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem()


def made(path: Path, system: FakeSystem, *lines: bytes, **options: Any) -> Journal:
    """Return a new journal that holds *lines*."""
    journal = Journal(path, header=HEADER, system=system, **options)
    journal.create()
    journal.append(lines)
    return journal


def tried(act: Callable[..., object], *arguments: Any) -> bool:
    """Return whether *act* raised no OSError."""
    try:
        act(*arguments)
    except OSError:
        return False
    return True


def calls_of(act: Callable[[FakeSystem], object]) -> list[tuple[str, int]]:
    """Return name and number of each call that *act* makes on a system that works."""
    system = FakeSystem()
    act(system)
    return [(name, number + 1) for name in dict.fromkeys(system.calls) for number in range(system.calls.count(name))]


def calls_of_append(mode: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the calls of an append to an open file that ends in a torn line of another program."""

    def act(system: FakeSystem) -> None:
        journal = made(path, system, *FIRST, **mode)
        append_foreign(path, b"torn")
        system.calls.clear()
        journal.append(LINES)
        during = system.calls[:]
        journal.close()
        system.calls = during

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        return calls_of(act)


def calls_of_create(mode: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the calls of a create, except the last ones, whose failure leaves a hidden file at worst."""
    with tempfile.TemporaryDirectory() as folder:
        calls = calls_of(
            lambda system: Journal(Path(folder) / "a" / "b", header=HEADER, system=system, **mode).create()
        )
    return [call for call in calls if call[0] not in ("unlink", "close", "unlock")]


def name_of(value: Any) -> str:
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


APPENDS = [(mode, *call) for mode in MODES for call in calls_of_append(mode)]


def is_survived(mode: dict[str, Any], call: str, nth: int) -> bool:
    """Return whether a create succeeds although this call fails.

    Without a link the file is renamed. If the system does not say whether a descriptor is still ours, it is taken for
    ours: before the file is written, and for a shared one before it is locked and unlocked.
    """
    return call == "link" or (call == "fstat" and nth in ((2, 3, 6) if mode.get("shared") else (2,)))


CREATES = [(mode, *call) for mode in MODES for call in calls_of_create(mode)]
SURVIVED = [each for each in CREATES if is_survived(*each)]
FATAL = [each for each in CREATES if not is_survived(*each)]


@pytest.mark.parametrize("error", ERRNOS, ids=errno.errorcode.get)
@pytest.mark.parametrize(("mode", "call", "nth"), APPENDS, ids=name_of)
def test_a_call_that_fails_once_means_all_or_nothing(path, system, mode, call, nth, error):
    """Whichever call fails, the append did all or nothing, raises for nothing, and succeeds the next time."""
    journal = made(path, system, *FIRST, **mode)
    append_foreign(path, b"torn")
    before = path.read_bytes()
    system.fail(call, error, nth=nth)
    done = tried(journal.append, LINES)
    content = path.read_bytes()
    if not done:
        journal.append(LINES)

    assert system.hits == [call]
    assert content == (before + b"\n" + b"".join(LINES) if done else before)
    assert path.read_bytes() == before + b"\n" + b"".join(LINES)


@pytest.mark.parametrize(("mode", "call", "nth"), APPENDS, ids=name_of)
def test_a_call_that_fails_for_good_loses_and_doubles_nothing(path, system, mode, call, nth):
    """However long a call fails, those of the cut included, every line is there once when it works again."""
    journal = made(path, system, *FIRST, **mode)
    append_foreign(path, b"torn")
    before = path.read_bytes()
    system.fail(call, errno.EIO, nth=nth, times=None)
    done = any(tried(journal.append, LINES) for _ in range(3))
    system.heal()
    if not done:
        journal.append(LINES)

    assert path.read_bytes() == before + b"\n" + b"".join(LINES)


@pytest.mark.parametrize("cut", ["lseek", "pread", "fstat", "ftruncate"])
@pytest.mark.parametrize("size", [1, 10, 30_000, len(LARGE) - 1])
@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("mode", MODES, ids=name_of)
def test_what_cannot_be_cut_off_is_cut_off_by_the_next_append(path, system, mode, nth, size, cut):
    """A write stops within a line, then all calls fail, also those of the cut: every line is in the file once."""
    journal = made(path, system, *FIRST, **mode)
    before = path.read_bytes()
    system.write_short(size, nth=nth)
    system.fail("write", errno.ENOSPC, nth=nth + 1, times=None)
    system.fail(cut, errno.EIO, nth=2 if cut == "lseek" else 1, times=None)
    tries = [tried(journal.append, THREE) for _ in range(3)]
    system.heal()
    journal.append(THREE)

    assert tries == [False] * 3
    assert path.read_bytes() == before + b"".join(THREE)


@pytest.mark.parametrize("error", [errno.EPERM, errno.EINVAL, errno.ENOSYS], ids=errno.errorcode.get)
@pytest.mark.parametrize("mode", MODES, ids=name_of)
def test_a_file_that_can_never_be_cut_is_written_on(path, system, mode, error):
    """Such as one with the append-only attribute: a torn line is ended, and all is written again."""
    journal = made(path, system, **mode)
    system.fail("ftruncate", error, times=None)
    system.write_short(5, nth=2)
    system.fail("write", errno.ENOSPC, nth=3)
    done = tried(journal.append, LINES)
    journal.append(LINES)

    assert not done
    assert path.read_bytes() == HEADER + B + LARGE[:5] + b"\n" + b"".join(LINES)


@pytest.mark.parametrize("mode", MODES, ids=name_of)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_short_writes_are_continued(path, system, mode, size):
    """However few bytes the system takes at a time, all go out."""
    journal = made(path, system, **mode)
    system.write_short(size, times=None)
    journal.append([A, B])

    assert path.read_bytes() == HEADER + A + B


def test_a_write_of_nothing_is_an_error(path, system):
    """A system that takes no byte and gives no reason is not called for ever."""
    journal = made(path, system, A)
    system.write_short(0, nth=2, times=None)

    with pytest.raises(OSError, match="wrote nothing"):
        journal.append(LINES)
    assert path.read_bytes() == HEADER + A


# -- other programs write ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES, ids=name_of)
def test_a_stranger_after_a_torn_line_keeps_his_own(path, system, mode):
    """If another program wrote after a part that could not be cut off, both stay, and our lines are written again."""
    journal = made(path, system, **mode)
    system.most_pieces = 3
    system.write_short(len(A + B) + 5, nth=1)
    system.fail("write", errno.ENOSPC, nth=2)
    system.fail("ftruncate", errno.EIO)
    done = tried(journal.append, [A, B, C])
    append_foreign(path, b"foreign\n")
    journal.append([A, B, C])

    assert not done
    assert path.read_bytes() == HEADER + A + B + C[:5] + b"foreign\n" + A + B + C


@pytest.mark.parametrize("mode", MODES, ids=name_of)
@pytest.mark.parametrize(("call", "nth"), [("lseek", 3), ("pread", 1), ("fstat", 3)])
def test_a_stranger_is_never_cut_off(path, system, mode, call, nth):
    """Bytes that another program writes after our part, before that is cut off, stay."""
    journal = made(path, system, **mode)
    system.write_short(5, nth=2)
    system.fail("write", errno.ENOSPC, nth=3)
    system.before(call, lambda: append_foreign(path, b"foreign\n"), nth=nth)
    done = tried(journal.append, LINES)
    journal.append(LINES)

    assert not done
    assert system.hits == ["write", "write"]
    assert path.read_bytes() == HEADER + B + LARGE[:5] + b"foreign\n" + b"".join(LINES)


@pytest.mark.parametrize("mode", MODES, ids=name_of)
@pytest.mark.parametrize("left", [0, 4])
def test_a_stranger_who_truncates_takes_away_only_what_he_cut(path, system, mode, left):
    """Lines of a failed append that another program cut off are written again, as whole lines."""
    journal = made(path, system, **mode)
    system.fail("write", errno.ENOSPC, nth=3)
    system.fail("ftruncate", errno.EIO)
    done = tried(journal.append, LINES)
    os.truncate(path, len(HEADER) + left)
    journal.append(LINES)

    assert not done
    assert path.read_bytes() == HEADER + B[:left] + b"\n" * (left > 0) + b"".join(LINES)


def test_a_stranger_who_takes_the_place_of_our_lines_is_not_cut_off(path, system):
    """Bytes that another program wrote in the place of our failed lines stay, even if they end where ours ended."""
    foreign = b"x" * (len(LARGE) - 1) + b"\n"
    journal = made(path, system)
    system.fail("write", errno.ENOSPC, nth=3)
    system.fail("ftruncate", errno.EIO)
    done = tried(journal.append, LINES)
    os.truncate(path, len(HEADER + B))
    append_foreign(path, foreign)
    journal.append(LINES)

    assert not done
    assert path.read_bytes() == HEADER + B + foreign + b"".join(LINES)


def test_what_begins_by_ending_a_torn_line_is_glued_to_none(path, system):
    """The newline that ends a torn line ends also what another program adds to it before our write."""
    journal = made(path, system)
    append_foreign(path, b"torn 1")
    system.before("write", lambda: append_foreign(path, b" torn 2"))
    system.before("lseek", lambda: append_foreign(path, b"torn 3"))
    journal.append([A])
    journal.append([B])

    assert path.read_bytes() == HEADER + b"torn 1 torn 2\n" + A + b"torn 3\n" + B


# -- syncs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode["fsync"] == "always"], ids=name_of)
@pytest.mark.parametrize("cut", [None, "ftruncate", "fstat"])
def test_what_a_sync_failed_on_is_written_anew(path, system, mode, cut):
    """After a failed fsync the lines are cut off, at once or as soon as that goes, and survive a power cut then."""
    journal = made(path, system, A, **mode)
    system.fail("fsync", errno.EIO)
    if cut is not None:
        system.fail(cut, errno.EIO)
    done = tried(journal.append, LINES)
    journal.append(LINES)

    assert not done
    assert system.after_power_cut(path) == HEADER + A + b"".join(LINES)


@pytest.mark.parametrize("cut", [None, "ftruncate", "fstat"])
def test_what_a_flush_failed_on_is_written_anew(path, system, cut):
    """The same with a later sync: all lines since the last one are appended again."""
    journal = made(path, system, A, fsync="flush")
    journal.sync()
    journal.append([B])
    journal.append([C])
    system.fail("fsync", errno.EIO)
    if cut is not None:
        system.fail(cut, errno.EIO)
    done = tried(journal.sync)
    journal.append([B, C])
    journal.sync()

    assert not done
    assert system.after_power_cut(path) == HEADER + A + B + C


def test_a_strangers_line_after_ours_is_not_cut_off_when_a_sync_fails(path, system):
    """Lines whose sync failed stay if another program wrote after them, and are written again."""
    journal = made(path, system, A, fsync="flush")
    journal.sync()
    journal.append([B])
    append_foreign(path, b"foreign\n")
    system.fail("fsync", errno.EIO)
    done = tried(journal.sync)
    journal.append([B])
    journal.sync()

    assert not done
    assert system.after_power_cut(path).endswith(b"foreign\n" + B)


def test_what_came_before_a_failed_append_is_still_synced(path, system):
    """A flush that follows covers the lines of earlier appends as well."""
    journal = made(path, system, A, fsync="flush")
    system.fail("write", errno.ENOSPC, nth=2)
    done = tried(journal.append, LINES)
    journal.append(LINES)
    journal.sync()

    assert not done
    assert system.after_power_cut(path) == HEADER + A + b"".join(LINES)


def test_a_sync_of_nothing_new_makes_no_call(path, system):
    """Lines that are synced already are not synced again."""
    journal = made(path, system, A, fsync="flush")
    journal.sync()
    system.calls.clear()
    journal.sync()

    assert system.calls == []


# -- making a file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize(("mode", "call", "nth"), FATAL, ids=name_of)
def test_a_create_that_fails_leaves_nothing(path, system, mode, call, nth, error):
    """If one of these calls fails, the create raises that error. There is no file then; and the next try succeeds."""
    system.fail(call, error, nth=nth)
    journal = Journal(path, header=HEADER, system=system, **mode)
    with pytest.raises(OSError, match=os.strerror(error)) as caught:
        journal.create()
    left = [one for one in path.parent.parent.rglob("*") if one.is_file()]
    journal.create()

    assert caught.value.errno == error
    assert left == []
    assert path.read_bytes() == HEADER


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize(("mode", "call", "nth"), SURVIVED, ids=name_of)
def test_a_create_succeeds_without_a_call_that_it_can_do_without(path, system, mode, call, nth, error):
    """The file is there, whole, and no other."""
    system.fail(call, error, nth=nth)
    journal = Journal(path, header=HEADER, system=system, **mode)
    journal.create()

    assert [one for one in path.parent.parent.rglob("*") if one.is_file()] == [path]
    assert path.read_bytes() == HEADER


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize(("mode", "call", "nth"), CREATES, ids=name_of)
def test_a_deleted_file_comes_back_whatever_failed(path, system, mode, call, nth, error):
    """A call that fails while a deleted file is created again fails that append, and no more."""
    journal = made(path, system, A, **mode)
    path.unlink()
    system.fail(call, error, nth=nth)
    done = tried(journal.append, LINES)
    if not done:
        journal.append(LINES)

    assert path.read_bytes() == HEADER + b"".join(LINES)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("call", ["unlink", "close"])
def test_litter_is_not_in_the_way(path, system, call):
    """A hidden file that could not be removed is not in the way later."""
    journal = made(path, system, A)
    path.unlink()
    system.fail(call, errno.EIO, times=None)
    system.fail("write", errno.ENOSPC)
    done = tried(journal.append, [B])
    journal.append([B])

    assert not done
    assert path.read_bytes() == HEADER + B


# -- all at once -------------------------------------------------------------------------------------------------------

# Calls before which another program may write: all except the one that cuts.
MEETING_POINTS = ["lstat", "write", "lseek", "fstat", "fsync", "pread", "lock", "unlock"]
CALLS = ["lstat", "open", "write", "lseek", "pread", "fstat", "ftruncate", "fsync", "lock", "unlock", "close"]


class JournalUnderFaults(RuleBasedStateMachine):
    """A journal on a failing system, with other programs; the model is the list of lines that must be in the file."""

    @initialize(mode=st.sampled_from(MODES))
    def begin(self, mode: dict[str, Any]) -> None:
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.path = Path(self.folder.name) / "rollout.jsonl"
        self.mode, self.system = mode, FakeSystem()
        self.numbers = count()
        self.written: list[bytes] = []  # by an append that raised no error
        self.unsynced: list[bytes] = []  # the last of those, which a failed sync makes pending again
        self.pending: list[bytes] = []  # which the next append must begin with
        self.foreign: list[bytes] = []
        # Lines may be there twice after a failure among strangers, and after a file was closed before the cut.
        self.doubles = self.strangers = False
        self.disordered = False  # another program cut off the second copy of a line, and the first one is too early
        self.journal = Journal(self.path, header=HEADER, system=self.system, **mode)
        self.journal.create()

    def teardown(self) -> None:
        if not hasattr(self, "journal"):
            return
        try:
            self.system.heal()
            self.journal.append(self.pending)
            self.written += self.pending
            if self.mode["fsync"] == "flush":
                self.journal.sync()
            self.look()
            if self.mode["fsync"] != "never":
                survives = self.system.after_power_cut(self.path)
                assert [line for line in self.written if survives.count(line) == 0] == []
        finally:
            self.journal.close()
            self.folder.cleanup()

    def look(self) -> None:
        """Compare the file with the model."""
        content = self.path.read_bytes()
        found = [line + b"\n" for line in content.split(b"\n") if re.fullmatch(rb"ours \d+ x*\.", line)]
        assert content.startswith(HEADER)
        if self.disordered:
            assert set(found) == set(self.written)
        elif self.doubles:
            assert list(dict.fromkeys(reversed(found))) == list(reversed(self.written))
        else:
            assert found == self.written
        for piece in self.foreign:
            assert content.count(piece) == 1, "cut off"

    def line(self, size: int) -> bytes:
        return b"ours %d %s.\n" % (next(self.numbers), b"x" * size)

    @rule(sizes=st.lists(st.sampled_from([0, 5, 66_000]), max_size=4))
    def append(self, sizes: list[int]) -> None:
        self.pending += map(self.line, sizes)
        if tried(self.journal.append, self.pending):
            self.written += self.pending
            self.unsynced += self.pending
            self.pending = []
        else:
            self.doubles |= self.strangers or "unlock" in self.system.hits

    @precondition(lambda self: self.mode["fsync"] == "flush" and not self.pending)
    @rule()
    def sync(self) -> None:
        if not tried(self.journal.sync):
            del self.written[len(self.written) - len(self.unsynced) :]
            self.pending = self.unsynced
            self.doubles |= self.strangers
        self.unsynced = []

    @rule(call=st.sampled_from(CALLS), nth=st.integers(1, 4), times=st.sampled_from([1, 1, 2, None]))
    def fail(self, call: str, nth: int, times: int | None) -> None:
        self.system.fail(call, errno.EIO, nth=nth, times=times)

    @rule(size=st.sampled_from([1, 8, 500]), nth=st.integers(1, 3))
    def write_short(self, size: int, nth: int) -> None:
        self.system.write_short(size, nth=nth)

    @rule()
    def heal(self) -> None:
        self.system.heal()

    def stranger(self, *, whole: bool) -> Callable[[], None]:
        number = next(self.numbers)

        def write() -> None:
            # A file that was cut and has grown to the same size again is taken for the same: to read its last byte
            # would cost every append.
            piece = b"<foreign %d>" % number + b"\n" * whole
            if self.path.stat().st_size + len(piece) == self.journal._file.end:
                piece = b"!" + piece
            append_foreign(self.path, piece)
            self.foreign.append(piece)
            self.strangers = True

        return write

    @rule(whole=st.booleans())
    def stranger_writes(self, whole: bool) -> None:
        self.stranger(whole=whole)()

    @rule(whole=st.booleans(), call=st.sampled_from(MEETING_POINTS), nth=st.integers(1, 4))
    def stranger_writes_meanwhile(self, whole: bool, call: str, nth: int) -> None:
        self.system.before(call, self.stranger(whole=whole), nth=nth)

    @rule(part=st.floats(0, 1))
    def stranger_truncates(self, part: float) -> None:
        content = self.path.read_bytes()
        size = len(HEADER) + int((len(content) - len(HEADER)) * part)
        size -= content[size : size + 1] == b"\n"  # or the next write would decide whether a line is there
        os.truncate(self.path, size)
        self.disordered |= self.doubles
        self.doubles |= bool(self.pending)  # some of which may be there, before or after the cut
        for lines in (self.written, self.unsynced, self.foreign):
            lines[:] = [line for line in lines if line in content[:size]]

    @precondition(lambda self: not self.pending)
    @rule()
    def begin_anew(self) -> None:
        """Close the file, and resume as another process would."""
        self.system.heal()
        self.journal.sync()
        self.journal.close()
        self.journal = reopened(self.path, header=HEADER, system=self.system, **self.mode)
        self.unsynced = []

    @invariant()
    def nothing_acknowledged_is_missing(self) -> None:
        if hasattr(self, "journal"):
            content = self.path.read_bytes()
            assert [line for line in self.written if line not in content] == []


test_every_line_is_there_once_and_in_order_when_the_faults_end = JournalUnderFaults.TestCase
test_every_line_is_there_once_and_in_order_when_the_faults_end.settings = settings(
    max_examples=60, stateful_step_count=25
)


@pytest.mark.parametrize(("call", "nth"), [("write", 1), ("write", 2), ("fsync", 1)])
def test_the_error_of_a_creation_names_the_file(path, system, call, nth):
    """Also where it comes from a descriptor, as that of a full disk does."""
    system.fail(call, errno.ENOSPC, nth=nth)
    with pytest.raises(OSError, match="No space left") as caught:
        Journal(path, header=HEADER, fsync="flush", system=system).create([[A], [B]])

    assert caught.value.filename == str(path)
