"""The names in a folder: always those that are there, and read again only after a change."""

from __future__ import annotations

import os
import shutil
import types
from time import monotonic

import pytest
from helpers import DEADLINE, run_together
from hypothesis import given
from hypothesis import strategies as st

from rolloutlog import _listing
from rolloutlog._listing import names_in
from rolloutlog._lookup import _names_with

SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def listed(monkeypatch):
    """The folders that were read, in order; nothing is remembered from other tests."""
    read = []
    listdir = os.listdir

    def note(folder):
        read.append(folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", note)
    monkeypatch.setattr(_listing, "_remembered", {})
    monkeypatch.setattr(_listing, "_size", 0)
    return read


@pytest.fixture
def later(monkeypatch):
    """Let the clock be an hour ahead of the file system, so that every folder looks old."""
    now = _listing.time.time_ns
    monkeypatch.setattr(_listing, "time", types.SimpleNamespace(time_ns=lambda: now() + 3600 * SECOND))


def let_the_clock_advance(folder):
    """Return when the clock of the file system shows a later time than that of the last change in *folder*."""
    probe = folder.with_name("probe")
    deadline = monotonic() + DEADLINE
    while monotonic() < deadline:
        probe.write_bytes(b"")
        os.utime(probe)
        if probe.stat().st_ctime_ns > folder.stat().st_ctime_ns:
            return
    raise AssertionError("the clock of the file system stands still")


def names(folder):
    """Return what `names_in` gives, in order."""
    return sorted(filter(None, names_in(str(folder)).names.split("/")))


def test_names_are_those_in_the_folder(tmp_path):
    """Of files and folders."""
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()

    assert names(tmp_path) == ["a", "b"]


def test_keys_are_the_beginnings_of_the_ids(tmp_path):
    """Of the names of rollouts; shorter names have none."""
    (tmp_path / "notes.txt").touch()
    (tmp_path / "rollout-2025-07-23T15-03-26-0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a.jsonl").touch()

    assert names_in(str(tmp_path)).keys == "0198d7f2"


def test_no_folder_has_no_names(tmp_path):
    """Nor does a file in its place."""
    (tmp_path / "file").touch()

    assert names_in(str(tmp_path / "missing")) == names_in(str(tmp_path / "file")) == ("", "")


def test_a_folder_that_cannot_be_read_raises(tmp_path):
    """The error names it."""
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(OSError, match="loop"):
        names_in(str(tmp_path / "loop"))


def test_an_old_folder_is_read_once(tmp_path, listed, later):
    """As long as nothing in it changes."""
    (tmp_path / "a").touch()

    assert [names(tmp_path) for _ in range(3)] == [["a"]] * 3
    assert len(listed) == 1


def test_a_young_folder_is_read_each_time(tmp_path, listed):
    """A further change in the same step of the file system's clock would not show in the folder's time."""
    (tmp_path / "a").touch()

    assert [names(tmp_path) for _ in range(3)] == [["a"]] * 3
    assert len(listed) == 3


def test_a_folder_from_the_future_is_read_each_time(tmp_path, listed, later):
    """The clock was set back, so the folder's age is unknown."""
    os.utime(tmp_path, ns=(0, 2**62))

    assert [names(tmp_path) for _ in range(2)] == [[], []]
    assert len(listed) == 2


def add(folder):
    """Make a file."""
    (folder / "new").touch()


def remove(folder):
    """Delete a file."""
    (folder / "old").unlink()


def rename(folder):
    """Rename a file."""
    (folder / "old").rename(folder / "new")


def replace(folder):
    """Put another folder in the place of this one."""
    folder.rename(folder.with_name("moved"))
    folder.mkdir()


def delete(folder):
    """Delete the folder."""
    shutil.rmtree(folder)


@pytest.mark.parametrize("restores_time", [False, True], ids=["", "time restored"])
@pytest.mark.parametrize("change", [add, remove, rename, replace, delete])
def test_a_change_is_seen(tmp_path, later, change, restores_time):
    """Whichever it is, and even if the folder's modification time is set back afterwards, as rsync and tar do."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "old").touch()
    let_the_clock_advance(folder)
    names(folder)
    before = folder.stat()

    change(folder)
    if restores_time and folder.exists():
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert names(folder) == (sorted(os.listdir(folder)) if folder.exists() else [])
    assert names(folder) != ["old"]


def test_another_folder_behind_the_same_link_is_seen(tmp_path, monkeypatch, later):
    """Even if both have the same times, as on a file system that keeps none."""

    def timeless(path):
        status = os.stat(path)
        return types.SimpleNamespace(
            st_dev=status.st_dev, st_ino=status.st_ino, st_size=0, st_mtime_ns=0, st_ctime_ns=0
        )

    monkeypatch.setattr(_listing, "os", types.SimpleNamespace(stat=timeless, listdir=os.listdir))
    link = tmp_path / "link"
    for name in ("a", "b"):
        (tmp_path / name / f"in {name}").mkdir(parents=True)

    for name in ("a", "b"):
        link.symlink_to(name)
        assert names(link) == [f"in {name}"]
        link.unlink()


class CoarseFolder:
    """A folder on a file system whose clock moves in steps, seen through the calls that `names_in` makes."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.now = 1_000 * SECOND
        self.names: list[str] = []
        self.count = 0
        self.change()

    def change(self) -> None:
        """Add a file."""
        self.count += 1
        self.names.append(f"{self.count}")
        self.time = self.now // self.step * self.step

    def stat(self, folder: str) -> types.SimpleNamespace:
        return types.SimpleNamespace(st_dev=1, st_ino=1, st_size=4096, st_mtime_ns=self.time, st_ctime_ns=self.time)

    def listdir(self, folder: str) -> list[str]:
        return list(self.names)

    def time_ns(self) -> int:
        return self.now


@given(
    step=st.sampled_from([1, SECOND // 250, SECOND, 2 * SECOND]),
    moves=st.lists(st.one_of(st.just("change"), st.just("look"), st.integers(0, 4 * SECOND)), max_size=40),
)
def test_names_are_never_out_of_date(step, moves):
    """However coarse the clock of the file system is, up to two seconds, and whenever the changes come."""
    folder = CoarseFolder(step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_listing, "os", folder)
        patch.setattr(_listing, "time", folder)
        patch.setattr(_listing, "_remembered", {})
        for move in moves:
            if move == "change":
                folder.change()
            elif move == "look":
                assert names_in("/folder").names.split("/") == folder.names
            else:
                folder.now += move


def test_a_change_during_the_look_is_seen(tmp_path, monkeypatch, later):
    """A file that is added between the look at the folder's time and the listing is in this listing or in the next."""
    folder = tmp_path / "folder"
    folder.mkdir()
    let_the_clock_advance(folder)
    listdir = os.listdir

    def list_then_add(path):
        found = listdir(path)
        (folder / "new").touch()
        return found

    monkeypatch.setattr(os, "listdir", list_then_add)
    names(folder)
    monkeypatch.setattr(os, "listdir", listdir)

    assert names(folder) == ["new"]


def test_what_is_remembered_has_a_bound(tmp_path, monkeypatch, listed, later):
    """Beyond it folders are read again, and the names stay right; most of what fits is kept."""
    monkeypatch.setattr(_listing, "_BUDGET", 10 * 5)
    folders = [tmp_path / f"{number}" for number in range(20)]
    for folder in folders:
        (folder / "12345").mkdir(parents=True)

    for _ in range(3):
        assert [names(folder) for folder in folders] == [["12345"]] * 20

    assert _listing._size == sum(len(known.names) for _, known in _listing._remembered.values()) == 50
    assert len(listed) == 20 + 2 * 11


def test_a_folder_that_is_larger_than_the_bound_is_not_remembered(tmp_path, monkeypatch, listed, later):
    """The others that were remembered make room in vain, and are remembered again next time."""
    monkeypatch.setattr(_listing, "_BUDGET", 10)
    (tmp_path / ("x" * 11)).touch()

    assert names(tmp_path) == names(tmp_path) == ["x" * 11]
    assert len(listed) == 2
    assert _listing._remembered == {}


def test_threads_may_look_at_once(tmp_path, monkeypatch, later):
    """Each gets the right names, whatever the others push out of memory; the bound is kept."""
    monkeypatch.setattr(_listing, "_BUDGET", 25)
    folders = [tmp_path / f"{number}" for number in range(10)]
    for folder in folders:
        (folder / folder.name).mkdir(parents=True)
    wrong = []

    def look() -> None:
        for _ in range(50):
            wrong.extend(folder for folder in folders if names(folder) != [folder.name])

    run_together(*[look] * 4)

    assert wrong == []
    assert sum(len(known.names) for _, known in _listing._remembered.values()) == _listing._size <= 25


@given(st.lists(st.text("ab-.", min_size=1, max_size=6), max_size=8, unique=True), st.text("ab-./", max_size=3))
def test_names_that_contain_a_text_are_cut_out_of_a_listing(names, part):
    assert _names_with(part, "/".join(names)) == [name for name in names or [""] if part in name]
