"""Where sessions live: paths from times and ids and back, and finding one session among many without opening any."""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
import uuid
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rolloutlog
from rolloutlog import _lookup
from rolloutlog._lookup import find_by_id, find_files, find_session
from rolloutlog._paths import FoundFile, parse_file_name, parse_session_id, resolve_home, rollout_path
from rolloutlog.exceptions import AmbiguousSessionError, SessionNotFoundError

ID = "0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a"
OTHER = "12345678-3c4b-7e3a-9a61-5f0c1d2e3b4a"
WHEN = dt.datetime(2025, 7, 23, 15, 3, 26, tzinfo=dt.UTC)


def put(home, started, session_id):
    """Make an empty file where that session belongs."""
    path = rollout_path(home, started, session_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def days(count, first=WHEN):
    """Return so many times, a day apart."""
    return [first + dt.timedelta(days=number) for number in range(count)]


# --- the home ---------------------------------------------------------------------------------------------------------


def test_the_home_is_what_is_passed(tmp_path):
    """An argument wins over the environment."""
    assert resolve_home(tmp_path) == tmp_path
    assert resolve_home(str(tmp_path)) == tmp_path


def test_else_the_home_is_in_the_environment(home):
    """ROLLOUTLOG_HOME names it."""
    assert resolve_home() == home


@pytest.mark.parametrize("named", [None, ""])
def test_else_the_home_is_in_the_users_home(monkeypatch, tmp_path, named):
    """Never the home of Codex."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ROLLOUTLOG_HOME")
    if named is not None:
        monkeypatch.setenv("ROLLOUTLOG_HOME", named)

    assert resolve_home() == tmp_path / ".rolloutlog"


@pytest.mark.parametrize(
    ("home", "error", "problem"),
    [
        (b"bytes", TypeError, "home must be a path, as a string or a Path; got bytes"),
        (3, TypeError, "got int"),
        ("", ValueError, "home must be the path of a folder; it is empty"),
        ("a\0b", ValueError, "it holds a null character"),
        (
            "~no-such-user/x",
            FileNotFoundError,
            "no home directory; set ROLLOUTLOG_HOME, or pass home=",
        ),
    ],
)
def test_what_cannot_be_a_home_is_refused(home, error, problem):
    """By all functions that take one, with what to do."""
    for call in (resolve_home, rolloutlog.RolloutRecorder.create, lambda home: rolloutlog.session("n", home=home)):
        with pytest.raises(error, match=problem):
            call(home)


def test_a_user_without_a_home_directory_is_told_what_to_set(monkeypatch):
    """As in some containers."""
    monkeypatch.delenv("ROLLOUTLOG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])

    with pytest.raises(FileNotFoundError, match="set ROLLOUTLOG_HOME"):
        resolve_home()


def test_a_tilde_in_a_home_is_the_users(monkeypatch, tmp_path):
    """As people write it in a configuration file."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert resolve_home("~/agents") == tmp_path / "agents"


# --- ids and names ----------------------------------------------------------------------------------------------------


@given(st.uuids())
def test_an_id_is_a_uuid_in_lower_case(value):
    """As an object or as text in either case."""
    assert parse_session_id(value) == parse_session_id(str(value).upper()) == str(value)


@pytest.mark.parametrize(
    "value",
    ["", "x", "../../etc/passwd", ID[:-1], ID + "\n", ID.replace("-", ""), f"{{{ID}}}", None, 3, b"x", "x" * 999, "٣"],
)
def test_what_is_no_uuid_is_no_id(value):
    """So that nothing that is passed can lead out of the home; the error fits a line."""
    with pytest.raises(ValueError, match="a session id is a UUID") as caught:
        parse_session_id(value)

    assert len(str(caught.value)) < 200


def test_a_path_is_dated_in_utc():
    """Folder and file name use the same instant, also where the local day is another."""
    local = dt.timezone(dt.timedelta(hours=9))

    path = rollout_path("/home", dt.datetime(2025, 7, 24, 0, 3, 26, tzinfo=local), ID.upper())

    assert path == Path(f"/home/sessions/2025/07/23/rollout-2025-07-23T15-03-26-{ID}.jsonl")


def test_a_path_takes_seconds_too():
    """As time.time() gives them."""
    assert rollout_path("/home", WHEN.timestamp() + 0.9, ID) == rollout_path("/home", WHEN, ID)


def test_a_path_needs_a_time_zone():
    """A naive time could be any instant."""
    with pytest.raises(ValueError, match="time zone"):
        rollout_path("/home", WHEN.replace(tzinfo=None), ID)


@given(st.datetimes(min_value=dt.datetime(1000, 1, 1), timezones=st.just(dt.UTC)), st.uuids())
def test_a_name_tells_what_made_it(started, session_id):
    """Time and id come back from the name, to the second."""
    path = rollout_path("/home", started, session_id)

    assert parse_file_name(path) == FoundFile(path, str(session_id), started.replace(microsecond=0))


@pytest.mark.parametrize(
    "name",
    [
        "x.jsonl",
        f"rollout-2025-07-23T15-03-26-{ID}.json",
        f"rollout-2025-07-23T15-03-26-{ID}.jsonl.gz",
        f"rollout-2025-07-23T15-03-26-{ID.upper()}.jsonl",
        f"rollout-2025-02-31T15-03-26-{ID}.jsonl",
        f"rollout-2025-07-23T25-03-26-{ID}.jsonl",
        f"rollout-２025-07-23T15-03-26-{ID}.jsonl",
        f".rollout-2025-07-23T15-03-26-{ID}.jsonl",
        f"rollout-2025-07-23T15-03-26-{ID}_.jsonl",
        f"rollout-2025-07-23T15-03-26-{ID}_{ID}_{ID}.jsonl",
        f"rollout-2025-07-23T15-03-26-{ID}.jsonl\n",
    ],
)
def test_other_names_are_no_sessions(name):
    """Whatever else lies in the folder is left alone."""
    assert parse_file_name(name) is None


def test_a_session_file_is_a_path():
    """It can be opened and loaded as it is."""
    found = FoundFile(Path("/x/y.jsonl"), ID, WHEN)

    assert os.fspath(found) == "/x/y.jsonl"


# --- listing ----------------------------------------------------------------------------------------------------------


def test_no_home_has_no_sessions(home):
    """Nothing is made by looking."""
    assert list(find_files()) == []
    assert not home.exists()


@given(st.lists(st.datetimes(dt.datetime(1999, 1, 1), dt.datetime(2030, 1, 1), timezones=st.just(dt.UTC)), max_size=6))
def test_sessions_come_newest_first(tmp_path_factory, times):
    """In the order of their names, over seconds, days, months and years."""
    home = tmp_path_factory.mktemp("home")
    made = [put(home, started, uuid.uuid4()) for started in times]

    found = list(find_files(home))

    assert [session.path for session in found] == sorted(made, key=lambda path: path.name, reverse=True)


def test_what_is_no_session_is_passed_over(home):
    """Foreign folders and files, and files where folders should be."""
    path = put(home, WHEN, ID)
    for other in ("x", "2025/13x", "2025/07/x", "2025/07/23/notes.txt", "20255", "2024", "2025/06"):
        made = home / "sessions" / other
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()

    assert [session.path for session in find_files()] == [path]


def test_a_home_may_be_a_link(home, tmp_path):
    """People keep their data on another disk."""
    put(tmp_path / "real", WHEN, ID)
    home.symlink_to(tmp_path / "real")

    assert [session.path for session in find_files()] == [rollout_path(home, WHEN, ID)]


def test_the_newest_few_need_few_folders(home, caplog):
    """A folder is listed only when the iteration reaches it, so an unreadable older one is not even noticed."""
    for started in days(25):
        put(home, started, uuid.uuid4())
    make_unreadable(rollout_path(home, days(5)[-1], ID).parent)

    newest = list(islice(find_files(), 20))

    assert [session.started for session in newest] == days(25)[:4:-1]
    assert caplog.records == []


# --- folders that cannot be read --------------------------------------------------------------------------------------


def make_unreadable(folder):
    """Replace *folder* by a link to itself, which even root cannot list."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(folder.name)


@pytest.fixture(params=["2025", "2025/07", "2025/07/22"])
def unreadable(request, home):
    """A dated folder that cannot be read, among others that can."""
    for started in (WHEN, dt.datetime(2024, 7, 22, tzinfo=dt.UTC)):
        put(home, started, ID)
    folder = home / "sessions" / request.param
    make_unreadable(folder)
    return folder


def test_a_folder_that_cannot_be_read_costs_its_own_sessions(home, unreadable):
    """All other sessions are listed, those that come after it in the order as well."""
    others = [path for path in home.glob("sessions/*/*/*/*.jsonl") if unreadable not in path.parents]

    assert [found.path for found in find_files()] == sorted(others, reverse=True)
    assert len(others) == (1 if unreadable.name == "2025" or unreadable.name == "07" else 2)


def test_a_folder_that_cannot_be_read_is_reported_once(unreadable, caplog):
    """The warning names the folder and the reason; a program that lists sessions again and again logs one line."""
    for _ in range(2):
        list(find_files())

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("rolloutlog", "WARNING")
    assert str(unreadable) in record.getMessage()
    assert os.strerror(errno.ELOOP) in record.getMessage()


def test_a_folder_that_becomes_unreadable_again_is_reported_again(home, caplog):
    """In between it was repaired, and a second fault is news."""
    day = put(home, WHEN, ID).parent
    for _ in range(2):
        make_unreadable(day)
        list(find_files())
        day.unlink()
        put(home, WHEN, ID)
        list(find_files())

    assert len(caplog.records) == 2


@pytest.mark.parametrize(("folder", "archived"), [("sessions", False), ("archived_sessions", True)])
def test_a_home_that_cannot_be_read_is_an_error(home, folder, archived):
    """No session at all can be seen then, which must not look like an empty home."""
    make_unreadable(home / folder)

    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        list(find_files(archived=archived))


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_process_out_of_resources_is_not_the_folders_fault(home, monkeypatch, error):
    """The same folders can be read a moment later, so the error is raised instead of hiding sessions."""
    day = put(home, WHEN, ID).parent
    listdir = os.listdir

    def fail_there(folder):
        if folder == str(day):
            raise OSError(error, os.strerror(error), folder)
        return listdir(folder)

    monkeypatch.setattr(os, "listdir", fail_there)

    with pytest.raises(OSError, match=os.strerror(error)):
        list(find_files())


def test_a_session_elsewhere_is_found_beside_a_folder_that_cannot_be_read(home, unreadable):
    """By its id and by the beginning of its id, also in older folders."""
    path = put(home, dt.datetime(2023, 1, 1, tzinfo=dt.UTC), OTHER)

    assert find_by_id(home, OTHER) == find_session(OTHER) == find_session(OTHER[:8]) == path


@pytest.mark.parametrize("find", [lambda: find_by_id(None, OTHER), lambda: find_session(OTHER[:8])])
def test_a_session_that_may_be_in_a_folder_that_cannot_be_read_is_an_error(unreadable, find):
    """The error names that folder; "no such session" would invite the caller to begin a second one."""
    with pytest.raises(OSError, match="may be in this folder") as caught:
        find()

    assert (caught.value.errno, caught.value.filename) == (errno.ELOOP, str(unreadable))


# --- finding one ------------------------------------------------------------------------------------------------------


def test_a_session_is_found_by_its_id(home):
    """Whole, in either case, or as a UUID."""
    path = put(home, WHEN, ID)
    put(home, WHEN, uuid.uuid4())

    assert find_session(ID) == find_session(ID.upper()) == find_session(uuid.UUID(ID)) == path
    assert find_by_id(None, ID) == find_by_id(home, uuid.UUID(ID)) == path


def test_a_session_is_found_by_the_beginning_of_its_id(home):
    """When there is only one that begins so."""
    path = put(home, WHEN, ID)
    put(home, WHEN, "f" * 8 + ID[8:])

    assert find_session("0198") == path


def test_a_session_is_found_by_the_end_of_its_id(home):
    """Lists show it; eight characters at least, in either case."""
    path = put(home, WHEN, ID)
    put(home, WHEN, ID[:-8] + "00000001")

    assert find_session(ID[-8:]) == find_session(ID[-8:].upper()) == find_session(ID[-20:]) == path
    with pytest.raises(SessionNotFoundError):
        find_session(ID[-7:])


def test_the_beginning_of_an_id_comes_before_the_end_of_another(home):
    """So what was found before is still found."""
    path = put(home, WHEN, "0198d7f2" + ID[8:-8] + "00000001")
    put(home, WHEN, OTHER[:-8] + "0198d7f2")

    assert find_session("0198d7f2") == path


def test_an_end_that_fits_several_names_them(home):
    """As a beginning does."""
    ids = [f"{number:08d}{ID[8:]}" for number in range(3)]
    for started, session_id in zip(days(3), ids, strict=True):
        put(home, started, session_id)

    with pytest.raises(AmbiguousSessionError) as caught:
        find_session(ID[-8:])

    assert caught.value.candidates == tuple(reversed(ids))


def test_a_session_that_is_found_at_once_is_not_looked_for_by_the_end_of_its_id(home, monkeypatch):
    """A whole id, a name, or the beginning of an id costs one look through the home."""
    path = put(home, WHEN, ID)
    monkeypatch.setattr(_lookup, "find_ending", None)

    assert find_session(ID) == find_session(ID[:8]) == path
    with pytest.raises(SessionNotFoundError):
        find_session(OTHER)


def test_a_beginning_that_fits_several_names_them(home):
    """Newest first, and no more than a person reads."""
    ids = [f"0198d7f2-3c4b-7e3a-9a61-{number:012d}" for number in range(12)]
    for started, session_id in zip(days(12), ids, strict=True):
        put(home, started, session_id)

    with pytest.raises(AmbiguousSessionError) as caught:
        find_session("0198")

    assert caught.value.wanted == "0198"
    assert caught.value.candidates == tuple(reversed(ids[-8:]))
    assert caught.value.searched == home / "sessions"


def test_a_whole_id_is_never_ambiguous(home):
    """Of two files with one id, the newest is meant."""
    put(home, WHEN, ID)
    newer = put(home, WHEN + dt.timedelta(days=40), ID)

    assert find_session(ID) == find_session(ID[:8]) == find_by_id(home, ID) == newer


@pytest.mark.parametrize("wanted", ["ffff", ID, "no-such-name", "", " ", "*", "..", "~"])
def test_a_session_that_is_not_there_says_where_was_looked(home, wanted):
    """The error has both, for programs and for people."""
    put(home, WHEN, OTHER)

    with pytest.raises(SessionNotFoundError) as caught:
        find_session(wanted)

    assert (caught.value.wanted, caught.value.searched) == (wanted, home / "sessions")


def test_an_id_that_is_not_there_has_no_path(home):
    """Nor is one made."""
    assert find_by_id(home, ID) is None


def test_what_looks_like_a_path_is_one(tmp_path, monkeypatch):
    """A separator, the ending, or a path object; a home is not asked for."""
    path = tmp_path / "x.jsonl"
    path.touch()
    plain = tmp_path / "x"
    plain.touch()
    monkeypatch.chdir(tmp_path)

    assert find_session(path) == find_session(str(path)) == path
    assert find_session("x.jsonl") == Path("x.jsonl")
    assert find_session("./x") == Path("./x")
    assert find_session(Path("x")) == Path("x")
    assert find_session(FoundFile(path, ID, WHEN)) == path


@pytest.mark.parametrize("missing", ["/no/such/file", "no-such.jsonl", "./no-such"])
def test_a_path_that_is_not_there_says_so(missing):
    """The error names the path and its folder."""
    with pytest.raises(SessionNotFoundError) as caught:
        find_session(missing)

    assert caught.value.wanted == str(Path(missing))
    assert caught.value.searched == Path(missing).parent
