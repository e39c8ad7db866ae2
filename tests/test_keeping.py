"""`archive` and `prune`: a plan first; nothing is lost, whatever fails; open sessions and parents of forks are left."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from commands import run
from faults.fakes import Failing
from helpers import DEADLINE, finish, hear, start, tell
from test_view import needs_zstd, zstd

import rolloutlog
from rolloutlog import RolloutRecorder, archive, find_sessions, load_session, prune, session
from rolloutlog import _open as opening
from rolloutlog import _recorder as recorders
from rolloutlog._keep import archive as archiving
from rolloutlog._keep import prune as pruning
from rolloutlog._keep.family import families_in
from rolloutlog._paths import rollout_path
from rolloutlog._writing.os_calls import REAL_SYSTEM
from rolloutlog.exceptions import InvalidRolloutError, MissingExtraError, SessionNotFoundError

pytestmark = pytest.mark.system

DAYS = dt.timedelta(days=1)
TEXTS = ["Plan a day in Rome"] * 50


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def aged(path: Path, days: float) -> Path:
    """Set the time of the last change of *path* to so many days ago."""
    when = time.time() - days * 86400
    os.utime(path, (when, when))
    return path


def recorded(name: str, home: Path | None = None, days: float = 90, texts=TEXTS, **options) -> Path:
    """Return the file of a session called *name* that was last changed so many days ago."""
    with session(name, home=home, **options) as made:
        made.record(*map(user, texts))
    return aged(made.path, days)


def child_of(parent: Path, days: float = 90, **meta) -> Path:
    """Return the file of a session whose meta names the one in *parent*."""
    home = parent.parents[4]
    keys = meta or {"parent_id": load_session(parent).session.id}
    with RolloutRecorder.create(home, meta=keys, format="envelope") as recorder:
        recorder.record(user("in the fork"))
    return aged(recorder.path, days)


def texts_of(name: str | Path, home: Path | None = None) -> list[str]:
    return [item.text for item in load_session(name, home=home).items]


def files_in(home: Path) -> list[str]:
    """Return the files in *home* by their paths in it, without the one of locks and without folders."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file() and path.name != ".lock")


# -- archive -----------------------------------------------------------------------------------------------------------


@needs_zstd
def test_a_plan_changes_nothing(home):
    """It says which sessions, why, and how large they are."""
    path = recorded("old")
    recorded("new", days=3)

    plan = archive()

    (chosen,) = plan.chosen
    assert (plan.action, plan.is_applied, plan.left, plan.new_size) == ("archive", False, (), 0)
    assert (chosen.path, chosen.size, chosen.reason) == (path, path.stat().st_size, "was not changed for 90 days")
    assert all(name.endswith(".jsonl") for name in files_in(home))


@needs_zstd
@pytest.mark.parametrize("read", [load_session, rolloutlog.diagnose, lambda path: list(rolloutlog.iter_entries(path))])
def test_a_session_that_is_archived_or_restored_while_it_is_read_is_found(home, monkeypatch, read):
    """Its file gets another name between the moment in which it is found and that in which it is opened."""
    path = recorded("trip", days=2)
    before = read(path)
    real, looked = os.stat, []

    def archived_in_between(place: object, **options: object) -> os.stat_result:
        status = real(place, **options)
        if str(place) == str(path) and not looked:
            looked.append(place)
            archive("trip").apply()
        return status

    monkeypatch.setattr(os, "stat", archived_in_between)
    during = read(path)
    path.exists()  # where the reader has not asked for it
    assert not path.exists()
    after = read(path)

    assert _seen(during) == _seen(before) == _seen(after)


@needs_zstd
@pytest.mark.parametrize("restore", [False, True])
@pytest.mark.parametrize("by", [session, lambda name: RolloutRecorder.resume(name)[0]])
def test_a_session_that_is_archived_or_restored_before_it_is_opened_is_resumed(home, monkeypatch, by, restore):
    """Another process does that between the moment in which the session is found and that in which it is opened."""
    path = recorded("trip")
    if restore:
        archive("trip").apply()
    _act_after_a_look(monkeypatch, lambda: archive("trip", restore=restore).apply())

    with by("trip") as resumed:
        resumed.record(user("again"))

    assert resumed.path == path
    assert texts_of("trip") == [*TEXTS, "again"]


def test_a_session_that_is_pruned_before_it_is_opened_begins_anew(home, monkeypatch):
    """As if it had been pruned before it was looked for."""
    path = recorded("trip")
    _act_after_a_look(monkeypatch, lambda: prune("trip").apply())

    with session("trip") as begun:
        assert list(begun.items) == []
    assert texts_of(home / "trash" / path.relative_to(home)) == TEXTS


def _act_after_a_look(monkeypatch: pytest.MonkeyPatch, act) -> None:
    """Have *act* called once, after the next look for a session before it is opened."""

    def patched(module, name: str) -> None:
        real = getattr(module, name)

        def look(*arguments):
            found = real(*arguments)
            monkeypatch.setattr(module, name, real)
            act()
            return found

        monkeypatch.setattr(module, name, look)

    patched(opening, "find_named")
    patched(recorders, "find_session")


def _seen(value: object) -> object:
    """Return what a reader found, without the path and size of its file."""
    items = getattr(value, "items", value)
    return items if isinstance(items, int) else [item for item in items if isinstance(item, rolloutlog.Item)]


@needs_zstd
def test_an_archived_session_is_read_and_resumed(home):
    """By its name; a resume unpacks it, as it does what Codex compressed."""
    path = recorded("trip")

    done = archive("trip").apply()

    assert done.is_applied
    assert done.chosen[0].new_path == Path(f"{path}.zst")
    assert done.chosen[0].new_size == Path(f"{path}.zst").stat().st_size
    assert files_in(home) == [f"{path.relative_to(home)}.zst"]
    assert texts_of("trip") == TEXTS
    with session("trip") as trip:
        trip.record(user("And then?"))
    assert files_in(home) == [str(path.relative_to(home))]
    assert texts_of("trip") == [*TEXTS, "And then?"]


@needs_zstd
def test_it_is_one_frame_that_tells_its_size_and_has_a_checksum(home):
    """Mode and time are those of the original."""
    path = recorded("trip")
    os.chmod(path, 0o640)
    before, content = path.stat(), path.read_bytes()

    (done,) = archive("trip").apply().chosen

    packed, after = done.new_path.read_bytes(), done.new_path.stat()
    assert zstd.get_frame_info(packed).decompressed_size == len(content)
    assert zstd.get_frame_size(packed) == len(packed)
    assert packed[4] & 0b100  # the bit of the frame's header that says that a checksum follows
    assert zstd.decompress(packed) == content
    assert (after.st_mtime_ns, after.st_mode, after.st_uid) == (before.st_mtime_ns, before.st_mode, before.st_uid)


@needs_zstd
@pytest.mark.slow
def test_a_session_with_repeated_pictures_becomes_much_smaller(home):
    """Codex's own compression, without a long window, makes it hardly smaller. Here it is more than 30 times."""
    dice = random.Random(5)
    pictures = [dice.randbytes(120_000).hex() for _ in range(40)]
    path = recorded("pictures", texts=pictures * 40)
    plain = len(zstd.compress(path.read_bytes()))

    done = archive("pictures").apply()

    assert done.new_size * 20 < done.size
    assert done.new_size * 10 < plain
    assert texts_of("pictures")[-1] == pictures[-1]


@needs_zstd
def test_only_what_fits_is_chosen(home):
    """Sessions of a day are never chosen, nor small ones if a size is given, nor compressed ones."""
    recorded("today", days=0)
    recorded("week", days=7)
    large = recorded("large", texts=["x" * 10_000], days=7)
    archive(recorded("packed", days=90)).apply()

    assert [each.path for each in archive(older_than=5 * DAYS, larger_than=9_000).chosen] == [large]
    assert len(archive(older_than=1 * DAYS).chosen) == 2
    assert archive().chosen == ()


@needs_zstd
@pytest.mark.parametrize("name", ["today", "packed"])
def test_a_named_session_that_does_not_fit_is_left(name, home):
    """The plan says why."""
    recorded("today", days=0)
    archive(recorded("packed")).apply()

    (left,) = archive(name).left

    assert left.reason.startswith({"today": "was changed 20", "packed": "is compressed already"}[name])


def test_less_than_a_day_is_refused():
    """A program may have it open and idle."""
    with pytest.raises(ValueError, match="at least a day"):
        archive(older_than=DAYS / 2)


@needs_zstd
def test_one_that_would_not_become_smaller_is_left(home):
    """Nothing is left beside it."""
    path = recorded("tiny", texts=[])
    content = path.read_bytes()[:40] + b"\n"
    path.write_bytes(content)
    aged(path, 90)

    (left,) = archive(path).apply().left

    assert left.reason == "would not become smaller"
    assert path.read_bytes() == content
    assert len(files_in(home)) == 1


def open_shared(path: str) -> None:
    """Open the session, write, and wait; the lock is free in the meantime."""
    with RolloutRecorder.resume(path, shared=True)[0]:
        aged(Path(path), 90)
        tell("open")
        sys.stdin.read()


def open_alone(path: str) -> None:
    """Open the session and wait."""
    with RolloutRecorder.resume(path)[0]:
        tell("open")
        sys.stdin.read()


def open_without_lock(path: str) -> None:
    """Open the file as Codex does."""
    with open(path, "ab"):
        tell("open")
        sys.stdin.read()


@needs_zstd
@pytest.mark.parametrize("how", [open_alone, open_shared, open_without_lock], ids=lambda how: how.__name__)
@pytest.mark.parametrize("act", [archive, prune], ids=["archive", "prune"])
def test_a_session_that_another_process_has_open_is_left(how, act, home):
    """Both when the plan is made, and when the process opens the session after that."""
    path = recorded("trip")
    early = act("trip")
    process = start(how, str(path))
    assert hear(process) == "open"

    late, done = act("trip"), early.apply()
    finish(process)

    assert early.chosen != ()
    assert late.chosen == done.chosen == ()
    assert late.left[0].reason == f"process {process.pid} has it open"
    assert str(process.pid) in done.left[0].reason
    assert files_in(home) == [str(path.relative_to(home))]


@needs_zstd
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("act", [archive, prune], ids=["archive", "prune"])
def test_a_session_that_this_process_has_open_is_left(shared, act, home):
    """It would be strange if a program moved away its own session."""
    path = recorded("trip")
    with session("trip", shared=shared):
        aged(path, 90)
        done = act(path).apply()

    assert done.chosen == ()
    assert files_in(home) == [str(path.relative_to(home))]


class Acting:
    """The real system, in which another program does something before one call.

    Args:
        call: the name of the call.
        number: which of these calls, from 1.
        act: what the other program does.
    """

    def __init__(self, call, number, act):
        self._call, self._number, self._act = call, number, act
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name):
        real = getattr(REAL_SYSTEM, name)

        def call(*arguments):
            self.counts[name] += 1
            if (name, self.counts[name]) == (self._call, self._number):
                self._act()
            return real(*arguments)

        return call if callable(real) else real


def archived_on(system, path: Path):
    return archiving.planned([path], [], None, 0, False, system).apply()


@needs_zstd
@pytest.mark.parametrize(("call", "number"), [("write", 1), ("fsync", 1), ("fsync", 2), ("unlink", 1), ("unlink", 2)])
def test_a_session_that_is_changed_in_the_meantime_stays(call, number, home):
    """By a program that takes no lock: at any moment up to the removal of the original, its line is in the session."""
    path = recorded("trip")

    def append() -> None:
        with path.open("ab") as file:
            file.write(b'{"type":"message","role":"user","content":[{"type":"input_text","text":"late"}]}\n')

    done = archived_on(Acting(call, number, append), path)

    assert done.left[0].reason == "another program changed it while it was compressed"
    assert texts_of("trip") == [*TEXTS, "late"]
    assert files_in(home) == [str(path.relative_to(home))]


@needs_zstd
def test_a_session_that_was_changed_after_the_plan_stays(home):
    """It is looked at again."""
    path = recorded("trip")
    plan = archive("trip")
    os.utime(path)

    (left,) = plan.apply().left

    assert left.reason == "was changed since it was chosen"
    assert path.exists()


@needs_zstd
@pytest.mark.parametrize("damage", ["nothing", "half", "other"])
def test_a_compressed_file_that_is_there_already_is_checked(damage, home):
    """One that is whole was left by a killed process, and is kept; an older one is replaced; another one is left."""
    path = recorded("trip")
    content = path.read_bytes()
    there = {"nothing": content, "half": content[:-100], "other": b"other" + content}[damage]
    Path(f"{path}.zst").write_bytes(zstd.compress(there))

    done = archive(path).apply()

    if damage == "other":
        assert done.left[0].reason.endswith("is there, too, and holds something else")
        assert path.read_bytes() == content
        assert zstd.decompress(Path(f"{path}.zst").read_bytes()) == there
    else:
        assert files_in(home) == [f"{path.relative_to(home)}.zst"]
        assert zstd.decompress(Path(f"{path}.zst").read_bytes()) == content


@needs_zstd
def test_a_wrong_copy_is_noticed(home):
    """The new file is read back and compared before the original is removed."""
    path = recorded("trip")

    class Wrong:
        def __getattr__(self, name):
            return getattr(REAL_SYSTEM, name)

        def fsync(self, fd):
            if stat.S_ISREG(os.fstat(fd).st_mode):
                os.ftruncate(fd, os.fstat(fd).st_size - 1)
            REAL_SYSTEM.fsync(fd)

    (left,) = archived_on(Wrong(), path).left

    assert left.reason.startswith("what was written was not what is read back")
    assert files_in(home) == [str(path.relative_to(home))]


@needs_zstd
def test_a_link_is_left(home, tmp_path):
    """The file that it leads to belongs to some other place."""
    path = recorded("trip")
    elsewhere = path.rename(tmp_path / "elsewhere.jsonl")
    path.symlink_to(elsewhere)

    assert archive(path).apply().chosen == ()
    assert prune(path).apply().chosen == ()
    assert elsewhere.exists()
    assert path.is_symlink()


@needs_zstd
def test_a_fork_of_an_archived_session_has_its_history(home):
    """The place where the history ends counts bytes that are not compressed."""
    parent = recorded("parent", format="envelope")
    end = parent.stat().st_size
    base = {"thread_id": load_session(parent).session.id, "end_byte_offset": end}
    fork = child_of(parent, history_base=base)

    archive(parent).apply()
    archive(fork).apply()

    assert texts_of(Path(f"{fork}.zst")) == [*TEXTS, "in the fork"]


@needs_zstd
def test_it_is_brought_back(home):
    """With its content, mode and time."""
    path = recorded("trip")
    os.chmod(path, 0o640)
    before, content = path.stat(), path.read_bytes()
    archive("trip").apply()

    plan = archive("trip", restore=True)
    done = plan.apply()

    after = path.stat()
    assert (plan.action, [each.reason for each in plan.chosen]) == ("restore", ["was named"])
    assert done.chosen[0].new_path == path
    assert path.read_bytes() == content
    assert (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)
    assert files_in(home) == [str(path.relative_to(home))]
    assert archive("trip", restore=True).left[0].reason == "is not compressed"


def with_large_window(path: Path) -> Path:
    """Compress the file at *path* with a window that readers refuse, and return the new file."""
    large = Path(f"{path}.zst")
    with zstd.ZstdFile(large, "wb", options={zstd.CompressionParameter.window_log: 28}) as stream:
        stream.write(path.read_bytes())
        stream.write(b"\n" * 2**20)
    path.unlink()
    return aged(large, 90)


def resumed(path: Path) -> None:
    RolloutRecorder.resume(path)


def iterated(path: Path) -> None:
    (line,) = rolloutlog.iter_entries(path)
    raise InvalidRolloutError(path, line.reason)


@needs_zstd
@pytest.mark.parametrize("read", [load_session, iterated, resumed], ids=lambda read: read.__name__)
def test_an_archive_with_a_window_that_is_too_large_is_named_as_such(read, home):
    """It is not damaged, and is left as it is."""
    large = with_large_window(recorded("trip"))
    packed = large.read_bytes()

    with pytest.raises(InvalidRolloutError, match="window of more than 128 MiB"):
        read(large)
    (left,) = archive(large, restore=True).apply().left
    assert "window of more than 128 MiB" in left.reason
    assert large.read_bytes() == packed


@needs_zstd
@pytest.mark.parametrize("command", ["show", "doctor", "export --format markdown"])
def test_the_command_names_it_too(command, home):
    """Each that reads a session."""
    large = with_large_window(recorded("trip"))

    outcome = run(*command.split(), large)

    assert "window of more than 128 MiB" in outcome.out + outcome.err


@needs_zstd
def test_tables_name_it_too(home):
    """In the row of the file that was skipped."""
    pytest.importorskip("pyarrow")
    from rolloutlog import tables

    with_large_window(recorded("trip"))

    (batch,) = tables.batches(tables.plan()[0])
    assert ["window of more than 128 MiB" in row["text"] for row in batch.to_pylist()] == [True]


def test_without_the_extra_the_error_names_it(home):
    """Before anything is looked at."""
    code = (
        "import sys\n"
        "sys.modules['compression'] = sys.modules['backports'] = None\n"
        "import rolloutlog\n"
        "try:\n"
        "    rolloutlog.archive()\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert done.stdout.startswith(MissingExtraError.__name__)
    assert "rolloutlog[zstd]" in done.stdout


# -- prune -------------------------------------------------------------------------------------------------------------


def test_nothing_is_pruned_without_being_asked_for():
    """A call without arguments means no session, not all."""
    with pytest.raises(ValueError, match="at least one of"):
        prune()


def test_a_pruned_session_is_in_the_trash_and_nowhere_else(home):
    """No list, no name, no id and no table leads to it; as a home of its own, the trash can be read."""
    path = recorded("trip")
    saved = load_session("trip")

    (done,) = prune("trip").apply().chosen

    trash = home / "trash"
    assert done.new_path == trash / path.relative_to(home)
    assert files_in(home) == [str(done.new_path.relative_to(home))]
    assert list(find_sessions()) == []
    for wanted in ("trip", saved.session.id):
        with pytest.raises(SessionNotFoundError):
            load_session(wanted)
    assert texts_of("trip", trash) == TEXTS
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (trash, done.new_path.parent)} == {0o700}


def test_a_name_that_was_pruned_begins_empty(home):
    """The new session has the id of the name; the old one is not brought back over it."""
    path = recorded("trip")
    content = path.read_bytes()
    (done,) = prune("trip").apply().chosen

    with session("trip") as trip:
        trip.record(user("new"))
        items = len(trip.items)
    (left,) = prune(done.new_path, home=home, restore=True).apply().left

    assert items == 1
    assert left.reason == f"a session of this id is in the home again: {trip.path.name}"
    assert done.new_path.read_bytes() == content


@pytest.mark.parametrize(
    ("criteria", "reason"),
    [
        ({"older_than": dt.timedelta(days=9)}, "was not changed for 90 days"),
        ({"larger_than": 100}, "is larger than 100 bytes"),
        ({"keep_last": 0}, "is not among the newest 0"),
        ({"larger_than": 1_000, "keep_last": 1}, "is larger than 1,000 bytes and is not among the newest 1"),
    ],
)
def test_the_reason_is_that_which_was_given(home, criteria, reason):
    """A plan to prune never names another."""
    recorded("rome")
    recorded("oslo")

    assert {each.reason for each in prune(**criteria).chosen} == {reason}


def test_only_what_fits_all_is_pruned(home):
    """Age, size and the number of those to keep."""
    small = recorded("small", days=40)
    recorded("large", days=40, texts=["x" * 10_000])
    recorded("new", days=3)

    assert [each.path for each in prune(older_than=30 * DAYS, larger_than=9_000).chosen] == [load_session("large").path]
    assert len(prune(older_than=30 * DAYS).chosen) == 2
    assert len(prune(keep_last=2).chosen) == 1
    assert prune(keep_last=3).chosen == ()
    assert [each.reason for each in prune(small).chosen] == ["was named"]


@pytest.mark.parametrize("kind", ["fork", "copied fork", "sub-agent"])
def test_the_parent_of_a_session_that_remains_stays(kind, home):
    """And so does the parent of that parent; with all of its forks, it may go, and after them."""
    grandparent = recorded("grandparent", format="envelope")
    parent = child_of(grandparent, 80)
    own = load_session(parent).session.id
    meta = {
        "fork": {"history_base": {"thread_id": own, "end_byte_offset": parent.stat().st_size}},
        "copied fork": {"forked_from_id": own},
        "sub-agent": {"source": {"subagent": {"thread_spawn": {"parent_thread_id": own}}}},
    }[kind]
    child = child_of(parent, 5, **meta)

    plan = prune(older_than=30 * DAYS)
    everything = prune(older_than=1 * DAYS)

    assert plan.chosen == ()
    assert {each.path for each in plan.left} == {parent, grandparent}
    assert load_session(child).session.id in next(each.reason for each in plan.left if each.path == parent)
    assert [each.path for each in everything.chosen] == [child, parent, grandparent]
    assert len(everything.apply().chosen) == 3
    assert list(find_sessions()) == []


def test_a_long_chain_of_forks_is_planned_in_order(home):
    """It may be longer than Python's stack; each fork moves before its parent, and comes back after it."""
    ids = [str(uuid.UUID(int=number)) for number in range(1, 1_501)]
    files = []
    for number, (own, parent) in enumerate(zip(ids, [None, *ids], strict=False)):
        path = rollout_path(home, 1_753_283_006 + number, own)
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {"id": own, "timestamp": "2025-07-23T15:03:26Z", "cwd": "/", "forked_from_id": parent}
        path.write_text(json.dumps({"timestamp": meta["timestamp"], "type": "session_meta", "payload": meta}) + "\n")
        files.append(path)

    gone = prune(keep_last=0)
    (home / "trash").mkdir()
    (home / "sessions").rename(home / "trash" / "sessions")
    back = prune(ids[-1], restore=True)

    assert [each.path for each in gone.chosen] == files[::-1]
    assert [home / each.path.relative_to(home / "trash") for each in back.chosen] == files


def test_what_is_beside_the_files_of_many_sessions_is_listed_once(home, monkeypatch):
    """Otherwise the time of a plan would grow with the square of the number of sessions in a folder."""
    paths = [recorded(name) for name in ("one", "two", "three")]
    beside = paths[1].with_name(f"{paths[1].name}.before-repair-1")
    beside.write_bytes(b"")
    families = families_in(home)
    listed = []
    monkeypatch.setattr(os, "listdir", lambda folder, list_of=os.listdir: listed.append(folder) or list_of(folder))

    found = [list(family.all_paths()) for family in families.values()]

    assert sorted(found) == sorted([[paths[0]], [beside, paths[1]], [paths[2]]])
    assert listed == [paths[0].parent]


def test_a_session_that_was_forked_after_the_plan_stays(home):
    """The references are read again."""
    path = recorded("trip")
    plan = prune("trip")
    child_of(path)

    done = plan.apply()

    assert done.chosen == ()
    assert done.left[0].reason.endswith("and remains")
    assert path.exists()


@needs_zstd
def test_a_compressed_fork_keeps_its_parent(home):
    """Its first line is read, too."""
    parent = recorded("parent")
    child = child_of(parent)
    with child.open("ab") as file:
        file.write(b" " * 1000 + b"\n")
    archive(aged(child, 40)).apply()

    assert prune(parent).chosen == ()
    assert not child.exists()


def test_all_files_of_a_session_are_moved(home):
    """Where Codex took turns back, the newer one first; and what a repair has kept beside it."""
    first = recorded("trip", format="envelope")
    own = load_session(first).session.id
    revision = "0198d7f2-0000-7000-8000-000000000001"
    second = first.with_name(first.name.replace(own, f"{own}_{revision}"))
    second.write_bytes(first.read_bytes())
    kept = first.with_name(f"{first.name}.before-repair-1")
    kept.write_bytes(b"kept")

    (done,) = prune("trip").apply().chosen
    (back,) = prune("trip", restore=True).apply().chosen

    assert (done.path, [path.name for path in done.files]) == (second, [second.name, kept.name, first.name])
    assert back.new_path == second
    assert sorted(first.parent.iterdir()) == sorted([first, second, kept])


def test_archived_sessions_of_codex_are_pruned_too(home):
    """They keep their folder in the trash."""
    path = recorded("trip")
    (home / "archived_sessions").mkdir()
    path = path.rename(home / "archived_sessions" / path.name)

    (done,) = prune(older_than=30 * DAYS).apply().chosen

    assert done.new_path == home / "trash" / "archived_sessions" / path.name
    prune(restore=True).apply()
    assert path.exists()


def test_a_session_comes_back_with_the_parents_that_it_needs(home):
    """They are moved before it."""
    parent = recorded("parent")
    child = child_of(parent)
    prune(older_than=30 * DAYS).apply()

    done = prune(
        load_session(child.name.rpartition(".")[0][-36:], home=home / "trash").session.id, restore=True
    ).apply()

    assert [each.new_path for each in done.chosen] == [parent, child]
    assert texts_of(parent) == TEXTS


def test_of_two_sessions_of_one_id_in_the_trash_one_comes_back(home):
    """A name that is begun again has the same id. The newer session comes first, unless the older one is named."""
    path = recorded("trip")
    prune("trip").apply()
    again = path.with_name(path.name.replace("rollout-2", "rollout-3"))
    path_in_trash = home / "trash" / path.relative_to(home)
    again.parent.mkdir(parents=True, exist_ok=True)
    again.write_bytes(path_in_trash.read_bytes())
    prune("trip").apply()
    again_in_trash = home / "trash" / again.relative_to(home)

    assert path_in_trash.exists()
    back = prune("trip", restore=True).apply()
    assert ([each.new_path for each in back.chosen], [each.path for each in back.left]) == ([again], [path_in_trash])
    assert back.left[0].reason == f"another session of this id is in the trash, and comes first: {again.name}"

    prune("trip").apply()
    back = prune(path_in_trash, restore=True).apply()
    assert ([each.new_path for each in back.chosen], [each.path for each in back.left]) == ([path], [again_in_trash])


def test_what_is_in_the_trash_already_is_not_replaced(home):
    """A file that was copied back, for example."""
    path = recorded("trip")
    (done,) = prune("trip").apply().chosen
    path.write_bytes(b"other\n")

    (left,) = prune(path).apply().left

    assert left.reason == f"{done.new_path} is there already"
    assert path.read_bytes() == b"other\n"


def test_a_file_in_no_home_is_left(tmp_path):
    """It has no trash."""
    path = tmp_path / "elsewhere" / "copy.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"{}\n")

    assert prune(path).apply().left[0].reason == "is in no home, so there is no trash"


# -- faults ------------------------------------------------------------------------------------------------------------


def home_with_sessions(home: Path) -> dict[str, list[str]]:
    """Make two sessions in *home*, one a fork of the other; return their texts by id."""
    child = child_of(recorded("parent", home, format="envelope"))
    with child.open("ab") as file:
        file.write(b" " * 1_000 + b"\n")  # so that it becomes smaller
    aged(child, 80)
    return contents(home)


def contents(home: Path) -> dict[str, list[str]]:
    """Return the texts of all sessions in *home*, by id."""
    return {found.id: texts_of(found.path) for found in find_sessions(home)}


def apply_archive(home: Path, system) -> None:
    archiving.planned(None, [home], None, 0, False, system).apply()


def apply_prune(home: Path, system) -> None:
    pruning.planned(None, [home], pruning.Criteria(older_than=30 * DAYS), system).apply()


def unpack_archive(home: Path, system) -> None:
    archiving.planned(None, [home], None, 0, True, system).apply()


def restore_pruned(home: Path, system) -> None:
    pruning.restoring(None, [home], system).apply()


WORKS = {
    "archive": (apply_archive, None),
    "archive --restore": (unpack_archive, apply_archive),
    "prune": (apply_prune, None),
    "prune --restore": (restore_pruned, apply_prune),
}


@pytest.fixture(params=WORKS)
def prepared(request, tmp_path):
    """The name of a work, a function that makes a home to do it on, and the texts of the sessions there."""
    model = tmp_path / "model"
    before = home_with_sessions(model)
    if (first := WORKS[request.param][1]) is not None:
        first(model, REAL_SYSTEM)

    def make(number: int) -> Path:
        return Path(shutil.copytree(model, tmp_path / str(number)))

    return request.param, make, before


def assert_nothing_is_lost(work: str, home: Path, before: dict[str, list[str]]) -> None:
    """Each session is in the home or in its trash, once and whole; and the next call completes the work."""
    here, trashed = contents(home), contents(home / "trash")
    assert here | trashed == before
    assert not here.keys() & trashed.keys()
    WORKS[work][0](home, REAL_SYSTEM)
    assert contents(home / "trash" if work == "prune" else home) == before
    ending = ".zst" if work == "archive" else ".jsonl"
    there = [path for path in files_in(home) if not Path(path).name.startswith(".")]  # hidden at worst
    assert [path for path in there if not path.endswith(ending)] == []
    assert len(there) == len(before)


@needs_zstd
@pytest.mark.once
@pytest.mark.slow
def test_a_system_call_that_fails_loses_nothing(prepared):
    """Each call in turn, because the disk is full: the session is left, and the next call completes the work."""
    work, make, before = prepared

    def fail(name):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for number in range(1, 10_000):
        home, system = make(number), Failing(number, fail)
        WORKS[work][0](home, system)
        assert_nothing_is_lost(work, home, before)
        if system.calls < number:
            break


@needs_zstd
@pytest.mark.once
@pytest.mark.slow
def test_a_process_that_is_killed_at_any_call_loses_nothing(prepared):
    """Killed before each system call in turn, in a process of its own."""
    work, make, before = prepared
    for number in range(1, 10_000):
        home = make(number)
        child = os.fork()
        if child == 0:
            try:
                WORKS[work][0](home, Failing(number, lambda name: os._exit(9)))
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, 9)
        assert_nothing_is_lost(work, home, before)
        if status == 0:
            break


@needs_zstd
def test_the_parent_of_a_fork_that_could_not_be_moved_stays(home):
    """Its move failed, and so the parent's is not begun; the other way round when both come back."""
    parent = recorded("parent")
    child = child_of(parent)

    def fail(name):
        if name == "rename":
            system._number += 1_000
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        system._number += 1

    system = Failing(1, fail)
    apply_prune(home, system)
    assert {path.name for path in child.parent.iterdir()} == {parent.name, child.name}

    apply_prune(home, REAL_SYSTEM)
    system = Failing(1, fail)
    restore_pruned(home, system)
    assert list(find_sessions()) == []


@needs_zstd
def test_without_hard_links_it_works_too(home):
    """Some file systems have none."""

    class NoLinks:
        def __getattr__(self, name):
            return getattr(REAL_SYSTEM, name)

        def link(self, path, new):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    path = recorded("trip")

    archived_on(NoLinks(), path)

    assert files_in(home) == [f"{path.relative_to(home)}.zst"]
    assert texts_of("trip") == TEXTS


def test_progress_is_told_after_each_session(home):
    """As many as done, of all."""
    recorded("one")
    recorded("two")
    told = []

    prune(keep_last=0).apply(progress=lambda *numbers: told.append(numbers))

    assert told == [(1, 2), (2, 2)]


def test_a_report_that_is_applied_again_changes_nothing(home):
    """It is the same report."""
    recorded("one")
    done = prune("one").apply()

    assert done.apply() is done
