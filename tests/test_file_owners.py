"""Files of other users: nothing is recorded in a file that another user put in the place of a session."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from pathlib import Path

import pytest
from helpers import in_fresh_process, lines_in

from rolloutlog._writing.file import Journal
from rolloutlog._writing.os_calls import REAL_SYSTEM

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of other users"),
]

HEADER, A, B = b'{"the":"header"}\n', b'{"line":"a"}\n', b'{"line":"b"}\n'
ANOTHER, THIRD = 65534, 65533


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of the file, in a folder that does not exist yet."""
    return tmp_path / "sessions" / "rollout.jsonl"


def put_foreign(path: Path, owner: int = ANOTHER) -> None:
    """Put a file of another user, which all may write to, in the place of *path*."""
    place = path.with_name("foreign")
    place.write_bytes(HEADER)
    os.chown(place, owner, owner)
    place.chmod(0o666)
    place.rename(path)


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_that_another_user_put_in_the_place_of_ours_gets_nothing(path, shared):
    """The error names both users; the lines are written when the path is free again."""
    journal = Journal(path, header=HEADER, shared=shared)
    journal.create()
    put_foreign(path)

    with pytest.raises(OSError, match=r"belongs to another user \(65534\) than this process \(0\)") as caught:
        journal.append([A])

    assert (caught.value.errno, caught.value.filename) == (errno.EPERM, str(path))
    assert lines_in(path) == [HEADER.strip()]
    path.unlink()
    journal.append([A])
    journal.close()
    assert lines_in(path) == [HEADER.strip(), A.strip()]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_root_resumes_the_session_of_any_user(path):
    """As in a container that has a folder of a user outside; a file that replaces another must be of the same user."""
    path.parent.mkdir()
    put_foreign(path)
    journal = Journal(path)
    journal.open()
    journal.append([A])
    put_foreign(path)
    journal.append([B])
    put_foreign(path, THIRD)
    with pytest.raises(OSError, match="belongs to another user"):
        journal.append([A])
    journal.close()


def open_as_another(path: str, owner: int) -> None:
    """Open a file that all may write to, as a user who may not own it, and print the outcome."""
    import filelock  # noqa: F401 (another user may not be able to read it)

    os.chown(path, owner, owner)
    os.setresuid(ANOTHER, ANOTHER, ANOTHER)
    journal = Journal(Path(path))
    try:
        journal.open()
        journal.append([A])
    except OSError as error:
        sys.stdout.write(f"{error.strerror}")
    else:
        sys.stdout.write("written")


@pytest.mark.parametrize(
    ("owner", "outcome"),
    [
        (THIRD, "belongs to another user (65533) than this process (65534), who could read what is recorded"),
        (ANOTHER, "written"),
        (0, "written"),  # root can read everything anyway
    ],
)
def test_a_user_opens_no_file_of_another_user(owner, outcome):
    """Such as one that was made in a home of theirs, with the id that a name has."""
    with tempfile.TemporaryDirectory() as folder:  # not that of pytest, which only its own user may enter
        os.chmod(folder, 0o777)
        path = Path(folder, "rollout.jsonl")
        path.write_bytes(HEADER)
        path.chmod(0o666)

        assert in_fresh_process(open_as_another, str(path), owner) == outcome


class Squashing:
    """A file system that says of each file that some one user owns it, as network file systems can."""

    def fstat(self, fd: int) -> os.stat_result:
        status = list(os.fstat(fd))
        status[4] = THIRD
        return os.stat_result(status)

    def __getattr__(self, name: str):
        return getattr(REAL_SYSTEM, name)


def test_where_all_files_have_the_same_owner_it_says_nothing(path, monkeypatch):
    """A file that is made beside the session has that owner, too."""
    created = Journal(path, header=HEADER)
    created.create()
    created.close()
    monkeypatch.setattr("rolloutlog._writing.owners.user", lambda: ANOTHER)
    journal = Journal(path, system=Squashing())
    journal.open()
    journal.append([A])
    journal.close()

    assert lines_in(path) == [HEADER.strip(), A.strip()]
    assert [each.name for each in path.parent.iterdir()] == [path.name]
