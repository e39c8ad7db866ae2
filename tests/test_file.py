"""A journal on a system that works, whose file other programs may move: whole lines, in order, each once."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults.fakes import FakeSystem
from helpers import DEADLINE, finish, hear, lines_in, start, tell

from rolloutlog._writing.file import Journal
from rolloutlog._writing.os_calls import REAL_SYSTEM
from rolloutlog.exceptions import SessionLockedError

HEADER = b'{"the":"header"}\n'
A, B, C = b'{"line":"a"}\n', b'{"line":"b"}\n', b'{"line":"c"}\n'
LARGE = b'{"line":"%s"}\n' % (b"x" * 64 * 1024)

# Each way to sync, and each way to lock. A shared file cannot be synced at a flush: others write in between.
MODES = [
    {"fsync": "never"},
    {"fsync": "flush"},
    {"fsync": "always"},
    {"fsync": "never", "shared": True},
    {"fsync": "always", "shared": True},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the file, in a folder that does not exist yet."""
    return tmp_path / "sessions" / "rollout.jsonl"


@pytest.fixture(params=MODES, ids=lambda mode: "-".join(map(str, mode.values())))
def mode(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each mode in turn."""
    return request.param


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem()


@pytest.fixture
def journal(path: Path, system: FakeSystem) -> Iterator[Journal]:
    """A new journal on the fake system."""
    made = Journal(path, header=HEADER, system=system)
    made.create()
    yield made
    made.close()


def reopened(path: Path, **options: Any) -> Journal:
    """Return a journal of an existing file."""
    journal = Journal(path, **options)
    journal.open()
    return journal


def append_foreign(path: Path, data: bytes) -> None:
    """Append as a program that takes no lock."""
    with open(path, "ab") as file:
        file.write(data)


# -- a new file --------------------------------------------------------------------------------------------------------


def test_a_new_file_holds_its_header(path, mode):
    """Once create returns, the header is in the file, and nothing else is in its folder."""
    Journal(path, header=HEADER, **mode).create()

    assert path.read_bytes() == HEADER
    assert list(path.parent.iterdir()) == [path]


def test_the_file_has_its_name_when_its_header_is_in_it(path, mode, system):
    """So a process that is killed before leaves no session without a header."""
    seen = []
    system.before("link", lambda: seen.append((path.exists(), [one.read_bytes() for one in path.parent.iterdir()])))
    Journal(path, header=HEADER, system=system, **mode).create()

    assert seen == [(False, [HEADER])]


def test_a_new_file_holds_further_lines_when_it_gets_its_name(path, mode, system):
    """The batches of a create are read one by one, and are in the file before it has a name."""
    seen = []
    system.before("link", lambda: seen.append([one.read_bytes() for one in path.parent.iterdir()]))
    journal = Journal(path, header=HEADER, system=system, **mode)
    journal.create(iter([[A, B], [], [C]]))
    journal.append([A])

    assert seen == [[HEADER + A + B + C]]
    assert path.read_bytes() == HEADER + A + B + C + A


def test_a_new_file_whose_further_lines_fail_is_not_left(path, mode):
    """An error of the iterable is raised, and no file is left by any name."""

    def batches() -> Iterator[list[bytes]]:
        yield [A]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Journal(path, header=HEADER, **mode).create(batches())
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("fsync", ["flush", "always"])
def test_a_new_file_survives_a_power_cut(path, system, fsync):
    """The header is synced before the file has its name, and then the folders in which it is named."""
    Journal(path, header=HEADER, fsync=fsync, system=system).create()
    named = system.calls.index("link")

    assert system.after_power_cut(path) == HEADER
    assert "fsync" in system.calls[:named]
    assert system.calls[named:].count("fsync") == 6


def test_a_folder_that_is_not_ours_is_not_synced(path, system):
    """The parent of the home may refuse to be opened; a session is created nevertheless."""
    system.fail("open", errno.EACCES, nth=3)
    Journal(path, header=HEADER, fsync="always", system=system).create()

    assert system.hits == ["open"]
    assert path.read_bytes() == HEADER


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277, 0o777], ids=oct)
def test_a_new_file_is_private(path, mask):
    """The file has mode 0600 and its folder 0700, whatever the umask says."""
    before = os.umask(mask)
    try:
        Journal(path, header=HEADER).create()
    finally:
        os.umask(before)

    assert [stat.S_IMODE(one.stat().st_mode) for one in (path, path.parent)] == [0o600, 0o700]


def test_a_file_that_exists_stays_as_it_is(path, mode):
    """Create refuses it, and leaves no file of its own."""
    path.parent.mkdir()
    path.write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        Journal(path, header=HEADER, **mode).create()
    assert path.read_bytes() == b"precious"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EACCES, errno.EIO])
def test_without_hard_links_the_file_is_renamed(path, system, error):
    """The file is created on a file system without hard links, too."""
    system.fail("link", error)
    Journal(path, header=HEADER, system=system).create()

    assert path.read_bytes() == HEADER
    assert list(path.parent.iterdir()) == [path]


def test_without_hard_links_too_a_file_that_exists_stays(path, system):
    """The path is checked before the renaming, which would replace the file there."""
    path.parent.mkdir()
    path.write_bytes(b"precious")
    system.fail("link", errno.EPERM)

    with pytest.raises(FileExistsError):
        Journal(path, header=HEADER, system=system).create()
    assert path.read_bytes() == b"precious"


def test_a_leftover_hidden_file_is_not_in_the_way(path):
    """A process that was killed while it created the same file may have left one."""
    path.parent.mkdir()
    (path.parent / f".{path.name}.{os.getpid()}").touch()
    Journal(path, header=HEADER).create()

    assert path.read_bytes() == HEADER


# -- an existing file --------------------------------------------------------------------------------------------------


def test_a_file_that_exists_keeps_its_mode(path, mode):
    """Its owner may have let a group read it."""
    path.parent.mkdir()
    path.write_bytes(HEADER)
    path.chmod(0o640)
    journal = reopened(path, **mode)
    journal.append([A])
    journal.close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_must_be_there(path):
    """Open creates no file."""
    with pytest.raises(FileNotFoundError):
        reopened(path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(HEADER)
    path.symlink_to(target)


@pytest.mark.parametrize("make", [fifo, folder, link])
def test_only_a_regular_file_is_opened(path, make):
    """A FIFO, a folder and a link are refused at once, without waiting and without following."""
    path.parent.mkdir()
    make(path)

    with pytest.raises(OSError, match=r"regular|directory|symbolic"):
        reopened(path)


def hold(path: str) -> None:
    """Hold a journal open until a line comes from the parent; then append and close."""
    journal = reopened(Path(path))
    tell("held")
    sys.stdin.readline()
    journal.append([B])
    journal.close()


def test_another_process_has_the_file(journal, path):
    """The file is locked from open to close; the error of a second process names the first."""
    journal.close()
    process = start(hold, str(path))
    hear(process)

    with pytest.raises(SessionLockedError) as caught:
        reopened(path)
    finish(process)
    assert caught.value.path == path
    assert caught.value.pid == process.pid


def test_the_lock_is_free_after_close(journal, path):
    """Close releases the lock, and closing again does nothing."""
    journal.close()
    journal.close()
    other = reopened(path)
    other.append([A])

    assert path.read_bytes() == HEADER + A


def test_a_file_that_was_replaced_during_the_wait_for_its_lock_is_closed(journal, path, system):
    """The lock of a file that has lost its name is worth nothing; the file at the path is opened."""
    journal.close()

    def replace() -> None:
        path.unlink()
        path.write_bytes(HEADER + A)

    system.before("lock", replace)
    other = reopened(path, system=system)
    other.append([B])

    assert path.read_bytes() == HEADER + A + B


def test_a_child_that_lives_on_holds_no_lock(journal, path):
    """Close unlocks first, because a forked child may still have the file open."""
    child = os.dup(journal._fd)  # what a child inherits: the same open file
    journal.close()
    other = reopened(path)
    other.close()
    os.close(child)

    assert other.identity is None


def test_a_child_does_not_free_its_parents_lock(journal, path):
    """A file that a child abandons remains locked by its parent."""
    child = Journal(path)
    child._fd = os.dup(journal._fd)
    child.abandon()

    with pytest.raises(SessionLockedError):
        reopened(path)
    assert child.identity is None


# -- appending ---------------------------------------------------------------------------------------------------------


def test_lines_are_in_order(path, mode):
    """Appends follow each other, byte for byte."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A, B + C])
    journal.append([LARGE])
    journal.append([])
    journal.append([A])

    assert path.read_bytes() == HEADER + A + B + C + LARGE + A


def test_as_many_lines_go_into_one_write_as_the_system_takes(journal, path, system):
    """Lines are not joined, and large ones are not written alone."""
    system.writes.clear()
    system.most_pieces = 3
    journal.append([A, LARGE, B, C, A])

    assert system.writes == [len(A + LARGE + B), len(C + A)]
    assert path.read_bytes() == HEADER + A + LARGE + B + C + A


def test_a_long_backlog_is_written_whole(path):
    """It may have more lines than the real system takes in one write."""
    lines = [b"%d\n" % number for number in range(2 * REAL_SYSTEM.most_pieces + 1)]
    journal = Journal(path, header=HEADER)
    journal.create()
    journal.append(lines)
    journal.close()

    assert path.read_bytes() == HEADER + b"".join(lines)


def test_an_empty_file_gets_its_header_first(path, mode):
    """An empty file that is opened begins with the header."""
    path.parent.mkdir()
    path.touch()
    journal = reopened(path, header=HEADER, **mode)
    journal.append([A])

    assert path.read_bytes() == HEADER + A


@pytest.mark.parametrize("size", [1, len(HEADER) - 1])
def test_a_torn_header_is_completed(path, size):
    """A file that holds a part of the header gets the rest of it, and not a second one."""
    path.parent.mkdir()
    path.write_bytes(HEADER[:size])
    journal = reopened(path, header=HEADER)
    journal.append([A])

    assert path.read_bytes() == HEADER + A


@pytest.mark.parametrize("tail", [b"{", b'{"line":"', b'{"line":"a"}', b"\0\0\0", b" "])
def test_a_torn_tail_stays_as_a_line_of_its_own(path, mode, tail):
    """A tail that a killed program left is ended by a newline; no byte of it is removed, and no line is glued to it."""
    path.parent.mkdir()
    path.write_bytes(HEADER + tail)
    journal = reopened(path, header=HEADER, **mode)
    journal.append([A])
    journal.append([B])

    assert path.read_bytes() == HEADER + tail + b"\n" + A + B


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_torn_character_is_ended_as_text(path, cut):
    """A tail that was torn within a character is completed to text, or strict readers would refuse the whole file."""
    path.parent.mkdir()
    torn = '{"line":"\N{GRINNING FACE}'.encode()[:-cut]
    path.write_bytes(HEADER + torn)
    journal = reopened(path, header=HEADER)
    journal.append([A])
    content = path.read_bytes()

    assert content.startswith(HEADER + torn)
    assert content.endswith(b"\n" + A)
    assert content.decode("utf-8").count("\n") == 3


def test_a_foreign_tail_is_healed_too(journal, path):
    """Another program may leave a torn line between two appends of ours, too."""
    journal.append([A])
    append_foreign(path, b"torn")
    journal.append([B])
    append_foreign(path, b"whole\n")
    journal.append([C])

    assert path.read_bytes() == HEADER + A + b"torn\n" + B + b"whole\n" + C


def test_a_foreign_line_in_the_middle_of_an_append_stays(journal, path, system):
    """A program that writes without a lock between two of our writes loses no line, and we lose none."""
    system.before("write", lambda: append_foreign(path, b"foreign\n"), nth=2)
    journal.append([A, LARGE, B])

    assert path.read_bytes() == HEADER + A + b"foreign\n" + LARGE + B


def test_a_foreign_torn_line_in_the_middle_of_an_append_spoils_none_of_ours(journal, path, system):
    """A line that another program tears between two of our writes stays a line of its own; ours are written again."""
    system.before("write", lambda: append_foreign(path, b"torn"), nth=2)
    with pytest.raises(OSError, match="middle of a line"):
        journal.append([A, LARGE, B])
    journal.append([A, LARGE, B])

    assert lines_in(path) == [line.strip() for line in (HEADER, A, b"torn", A, LARGE, B)]


def test_a_foreign_line_in_a_torn_one_of_ours_changes_no_order(journal, path, system):
    """The lines after the torn one are not written with its useless rest, because there they would come first."""
    system.most_pieces = 3
    system.write_short(4)
    system.before("write", lambda: append_foreign(path, b"foreign\n"), nth=2)
    system.fail("ftruncate", errno.EIO)
    with pytest.raises(OSError, match="middle of a line"):
        journal.append([A, B, C])
    content = path.read_bytes()
    journal.append([A, B, C])

    assert content == HEADER + A[:4] + b"foreign\n" + A[4:]
    assert path.read_bytes() == HEADER + A[:4] + b"foreign\n" + A + B + C


# -- numbers -----------------------------------------------------------------------------------------------------------


class Numbers:
    """Numbers lines from the count of lines in the file on, and keeps what it was shown of the file."""

    def __init__(self) -> None:
        self.shown: list[list[bytes]] = []
        self.following = 0

    def continue_after(self, lines: Iterable[bytes]) -> None:
        self.shown.append(list(filter(None, lines)))
        self.following = len(self.shown[-1])

    def __call__(self, lines: bytes) -> bytes:
        self.following += 1
        return b"%d %b" % (self.following - 1, lines)


# In a block, in two, and in many; lines that are longer than a block, and one that begins with it.
FILES = [[A], [A, LARGE, B, C], [LARGE, LARGE, A], [*[A] * 5_000, LARGE, B], [b"x" * (64 * 1024 - 1) + b"\n", A]]


@pytest.mark.parametrize("lines", FILES, ids=range(len(FILES)))
@pytest.mark.parametrize("shared", [False, True])
def test_numbers_continue_after_all_lines_of_the_file(path, lines, shared):
    """The numbering is shown the whole lines, from the last to the first, however long the file and its lines are."""
    path.parent.mkdir()
    path.write_bytes(HEADER + b"".join(lines))
    before = path.read_bytes().splitlines()
    journal, numbers = reopened(path, shared=shared), Numbers()
    journal.append([B, C], numbering=numbers)
    journal.close()

    assert numbers.shown == [before[::-1]]
    assert lines_in(path)[len(before) :] == [
        b"%d %b" % (len(before) + n, line.strip()) for n, line in enumerate((B, C))
    ]


def test_the_first_number_of_a_file_follows_its_header(path):
    """The header of an empty file is written with the lines, and was not in the file before."""
    path.parent.mkdir()
    path.write_bytes(HEADER[:5])
    journal, numbers = reopened(path, header=HEADER), Numbers()
    journal.append([A], numbering=numbers)
    journal.close()

    assert lines_in(path) == [HEADER.strip(), b"1 " + A.strip()]


def test_the_file_is_read_for_numbers_again_if_another_program_wrote(journal, path):
    """While only we write, the numbers continue without a look at the file."""
    numbers = Numbers()
    journal.append([A], numbering=numbers)
    journal.append([B], numbering=numbers)
    looks = len(numbers.shown)
    append_foreign(path, b"foreign\n")
    journal.append([C], numbering=numbers)

    assert looks == 1
    assert lines_in(path)[1:] == [b"1 " + A.strip(), b"2 " + B.strip(), b"foreign", b"4 " + C.strip()]


def test_lines_that_could_not_be_written_are_numbered_again(journal, path, system):
    """Their numbers are not lost: no number is missing in the file."""
    numbers = Numbers()
    journal.append([A], numbering=numbers)
    system.fail("write", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        journal.append([B, C], numbering=numbers)
    journal.append([B, C], numbering=numbers)

    assert lines_in(path)[1:] == [b"1 " + A.strip(), b"2 " + B.strip(), b"3 " + C.strip()]


# -- moved files ------------------------------------------------------------------------------------------------------


def test_a_deleted_file_is_made_anew(path, mode):
    """After another program deleted the file, the next lines go to a new one, after the header."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A])
    path.unlink()
    journal.append([B])

    assert path.read_bytes() == HEADER + B


def test_a_deleted_folder_is_made_anew(path, mode):
    """The folders are created with the file."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    path.unlink()
    path.parent.rmdir()
    journal.append([B])

    assert path.read_bytes() == HEADER + B
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_renamed_file_keeps_what_it_has(path, mode):
    """Rotation: earlier lines are in the renamed file, later ones in a new one."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A])
    path.rename(path.with_suffix(".1"))
    journal.append([B])

    assert path.with_suffix(".1").read_bytes() == HEADER + A
    assert path.read_bytes() == HEADER + B


def test_a_renamed_file_is_synced(path, system):
    """Lines that waited for a flush are synced before the file is closed."""
    journal = Journal(path, header=HEADER, fsync="flush", system=system)
    journal.create()
    journal.append([A])
    path.rename(path.with_suffix(".1"))
    journal.append([B])

    assert system.after_power_cut(path.with_suffix(".1")) == HEADER + A


def test_a_file_that_replaced_ours_is_taken(journal, path):
    """It is appended to and its torn line is ended, as in any other; the lock is on it then."""
    journal.append([A])
    other = path.with_name("other")
    other.write_bytes(HEADER + b"torn")
    other.replace(path)
    journal.append([B])

    assert path.read_bytes() == HEADER + b"torn\n" + B
    with pytest.raises(SessionLockedError):
        reopened(path)


def test_the_folders_of_a_file_that_replaced_ours_are_synced(path, system):
    """Its creator may not have synced them, so with fsync="always" we do."""
    journal = Journal(path, header=HEADER, fsync="always", system=system)
    journal.create()
    other = path.with_name("other")
    other.write_bytes(HEADER)
    other.replace(path)
    system.calls.clear()
    journal.append([A])

    assert system.calls.count("fsync") == 6 + 1


def test_lines_in_a_file_that_is_removed_during_the_append_are_not_written(path, mode, system):
    """The append fails, and the next one writes them to a new file."""
    journal = Journal(path, header=HEADER, system=system, **mode)
    journal.create()
    system.before("write", path.unlink)

    with pytest.raises(OSError, match="removed"):
        journal.append([A])
    journal.append([A])
    assert path.read_bytes() == HEADER + A


@pytest.mark.parametrize("make", [fifo, folder, link])
def test_only_a_regular_file_is_written_to(path, mode, make):
    """While something else is at the path, an append fails; when it is gone, the file is created again."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    path.unlink()
    make(path)

    with pytest.raises(OSError, match=r"regular|directory|symbolic"):
        journal.append([A])
    path.rmdir() if make is folder else path.unlink()
    journal.append([A])
    assert path.read_bytes() == HEADER + A


def test_a_truncated_file_begins_anew(path, mode):
    """Rotation by copying and truncating leaves an empty file, which gets its header first."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A, B])
    os.truncate(path, 0)
    journal.append([C])

    assert path.read_bytes() == HEADER + C


def test_a_truncated_file_gets_the_header_that_was_learned_after_it_was_opened(path):
    """A journal that was opened without a header, because only reading told it, writes that header to an empty file."""
    path.parent.mkdir()
    path.write_bytes(HEADER)
    journal = reopened(path)
    journal.header = HEADER
    os.truncate(path, 0)
    journal.append([A])

    assert path.read_bytes() == HEADER + A


def test_a_file_that_was_cut_within_a_line_is_healed(path, mode):
    """A line that another program cut is ended by a newline before the next one."""
    journal = Journal(path, header=HEADER, **mode)
    journal.create()
    journal.append([A, B])
    os.truncate(path, len(HEADER + A) + 5)
    journal.append([C])

    assert path.read_bytes() == HEADER + A + B[:5] + b"\n" + C


def test_a_replacement_that_is_in_use_is_waited_for(journal, path):
    """While another process has the file that replaced ours, an append fails; later it succeeds."""
    other = path.with_name("other")
    other.write_bytes(HEADER)
    process = start(hold, str(other))
    hear(process)
    other.replace(path)

    with pytest.raises(OSError, match="in use by process"):
        journal.append([A])
    finish(process)
    journal.append([A])
    assert path.read_bytes() == HEADER + A


def test_the_path_is_the_same_while_the_file_is_created_again(journal, path, system):
    """So an error or a fork at that moment names the right file."""
    path.unlink()
    seen = []
    system.before("link", lambda: seen.append(journal.path))
    journal.append([A])

    assert seen == [path]


# -- shared files ------------------------------------------------------------------------------------------------------


def test_a_shared_file_is_locked_for_each_append_alone(path):
    """Two journals may have it open, and their lines are in the order of the appends."""
    one = Journal(path, header=HEADER, shared=True)
    one.create()
    other = reopened(path, shared=True)
    one.append([A])
    other.append([B])
    one.append([C])

    assert path.read_bytes() == HEADER + A + B + C


def test_a_shared_file_that_is_locked_for_too_long_is_an_error(path):
    """If the lock does not come in time, a TimeoutError names its holder, and nothing is written."""
    shared = Journal(path, header=HEADER, shared=True)
    shared.create()
    exclusive = reopened(path)

    with pytest.raises(TimeoutError, match=f"in use by process {os.getpid()}") as caught:
        shared.append([A])
    exclusive.close()
    shared.append([A])
    assert caught.value.errno == errno.ETIMEDOUT
    assert path.read_bytes() == HEADER + A


def test_a_deleted_shared_file_is_created_by_one_and_taken_by_the_others(path):
    """After a deletion there is one new file, with one header and the lines of both."""
    one = Journal(path, header=HEADER, shared=True)
    one.create()
    other = reopened(path, shared=True, header=HEADER)
    path.unlink()
    one.append([A])
    other.append([B])
    one.append([C])

    assert path.read_bytes() == HEADER + A + B + C


def test_two_processes_create_a_deleted_shared_file_at_once(path, system):
    """The second takes the file that the first created a moment ago."""
    one = Journal(path, header=HEADER, shared=True, system=system)
    one.create()
    other = reopened(path, shared=True, header=HEADER)
    path.unlink()
    system.before("link", lambda: other.append([A]))
    one.append([B])

    assert path.read_bytes() == HEADER + A + B
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_that_another_process_has_written_to_is_not_removed(path, system):
    """If the last step of creating a shared file fails, it stays if another process has written to it already."""
    one = Journal(path, header=HEADER, shared=True, fsync="always", system=system)
    one.create()
    other = reopened(path, shared=True, header=HEADER)
    path.unlink()
    system.before("unlink", lambda: other.append([A]))  # after the link that gives the file its name
    system.fail("fsync", errno.EIO, nth=2)  # the folder's

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        one.append([B])
    one.append([B])
    assert path.read_bytes() == HEADER + A + B


def append_many(path: str, name: str, number: int) -> None:
    """Wait for a line from the parent, then append to a shared file, a few lines at a time, some of them large."""
    journal = reopened(Path(path), shared=True, header=HEADER, lock_timeout=DEADLINE)
    tell("ready")
    sys.stdin.readline()
    for count in range(number):
        filling = "x" * (70_000 if count % 50 == 7 else 20)
        journal.append([f"{name} {count} {part} {filling}\n".encode() for part in range(3)])


def test_processes_that_share_a_file_lose_and_mix_nothing(path):
    """Five processes append at once: each line is there once, lines of one append are together and in order."""
    Journal(path, header=HEADER, shared=True).create()
    names = "abcde"
    processes = [start(append_many, str(path), name, 60) for name in names]
    for process in processes:
        hear(process)
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        finish(process)
    header, *lines = lines_in(path)
    keys = [tuple(line.decode().split()[:3]) for line in lines]

    assert header + b"\n" == HEADER
    assert [key[2] for key in keys] == ["0", "1", "2"] * 60 * len(names)
    for name in names:
        assert [key[1] for key in keys if key[0] == name] == [str(n) for n in range(60) for _ in range(3)]
