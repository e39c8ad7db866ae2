"""Sessions are found and read by path, id and name."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

import rolloutlog
from rolloutlog import RolloutRecorder, _lookup, find_sessions, load_session, session
from rolloutlog.exceptions import InvalidRolloutError, SessionNotFoundError

NAME = "trip-to-rome"
HELLO = {"role": "user", "content": "hello"}


@pytest.fixture
def recorded():
    """A session with a name and one item; its path."""
    with session(NAME) as opened:
        opened.record(HELLO)
    return opened.path


def test_a_session_is_loaded_by_anything_that_names_it(recorded):
    """A path, what `find_sessions` yields, an id, the beginning of one, or a name."""
    (found,) = find_sessions()
    ways = [recorded, str(recorded), found, found.id, uuid.UUID(found.id), found.id[:6], NAME]

    assert [load_session(way).path for way in ways] == [recorded] * len(ways)


def test_a_session_is_resumed_by_its_name(recorded):
    """Like by its id."""
    recorder, saved = RolloutRecorder.resume(NAME)
    recorder.close()

    assert (recorder.path, saved.name) == (recorded, NAME)


def test_a_name_is_looked_for_in_the_home_that_is_passed(recorded, tmp_path):
    """And nowhere else."""
    with pytest.raises(SessionNotFoundError) as caught:
        load_session(NAME, home=tmp_path / "other")

    assert caught.value.searched == tmp_path / "other" / "sessions"


def test_a_name_comes_before_the_beginning_of_an_id():
    """A name of hexadecimal digits is a name."""
    with RolloutRecorder.create(session_id="cafe0000-0000-4000-8000-000000000000") as recorder:
        pass
    assert load_session("cafe").path == recorder.path
    with session("cafe") as opened:
        pass

    assert load_session("cafe").path == opened.path


def test_a_file_in_the_current_folder_is_loaded(recorded, tmp_path, monkeypatch):
    """Its name needs no ending."""
    (tmp_path / "kept").write_bytes(recorded.read_bytes())
    monkeypatch.chdir(tmp_path)

    assert load_session("kept").name == NAME


def test_a_session_that_is_not_there_is_an_error_that_says_what_to_do(recorded):
    """Names are of whole words, so a part of one is none."""
    with pytest.raises(SessionNotFoundError, match=r"expected its name, its id, .* find_sessions\(\) yields all"):
        load_session("trip")


@pytest.mark.parametrize("value", [None, 7, b"name", {"role": "user"}])
def test_what_is_no_path_and_no_text_is_an_error_that_says_what_to_do(value):
    """As for resuming."""
    for call in (load_session, RolloutRecorder.resume):
        with pytest.raises(TypeError, match=rf"expected a session's path, id or name; got {type(value).__name__}"):
            call(value)


def test_a_folder_is_not_a_session(tmp_path):
    """The error says what it is, when it is read and when it is resumed."""
    for call in (load_session, RolloutRecorder.resume):
        with pytest.raises(InvalidRolloutError, match="is not a regular file"):
            call(tmp_path)


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_session_without_a_name_has_none():
    """As those of a handler, and those of Codex."""
    with RolloutRecorder.create() as recorder:
        pass
    (found,) = find_sessions()

    assert load_session(recorder.path).name is None
    assert found.name is None


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_the_files_of_a_home_have_their_names(format):
    """In both formats."""
    session(NAME, format=format).close()
    (found,) = find_sessions()

    assert (found.name, load_session(found).name) == (NAME, NAME)


def test_a_name_that_is_no_text_is_none():
    """A free key of the meta may be anything."""
    with RolloutRecorder.create(meta={"name": 7}) as recorder:
        pass

    assert load_session(recorder.path).name is None


def test_a_file_that_cannot_be_read_has_no_name(recorded):
    """A list of sessions does not end at it."""
    recorded.write_bytes(b"no session")
    (found,) = find_sessions()

    assert found.name is None
    recorded.unlink()
    assert found.name is None


def test_a_found_file_is_a_path(recorded):
    """It is of a public class."""
    (found,) = find_sessions()

    assert isinstance(found, rolloutlog.SessionFile)
    with open(found, "rb") as file:
        assert file.read() == recorded.read_bytes()


@pytest.mark.parametrize("name", ["trips/rome", "../up", "trips/day.1", "x" * 300 + "/y"])
def test_a_name_with_a_slash_is_a_name_where_there_is_no_such_path(name, monkeypatch, tmp_path):
    """To load it and to resume it. A file that is there comes first."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with session(name) as opened:
        opened.record(HELLO)
    RolloutRecorder.resume(name)[0].close()

    assert load_session(name).path == opened.path
    if len(name) < 100:
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(opened.path.read_bytes())
        assert load_session(name).path.resolve() == path.resolve()


@pytest.mark.parametrize("wanted", ["/none/x", "~/none/x", "none/x.jsonl", "none/x.zst", "none/\0.jsonl"])
def test_a_missing_path_is_looked_for_in_no_home(wanted, monkeypatch):
    """So the error comes at once, and names the folder of the path."""
    monkeypatch.setattr(_lookup, "newest_first", None)

    with pytest.raises(SessionNotFoundError) as caught:
        load_session(wanted)

    assert caught.value.searched == Path(wanted).expanduser().parent


@pytest.mark.parametrize("wanted", ["none/x", "none/\ud800", "none/\0"])
def test_a_missing_name_with_a_slash_is_an_error(wanted):
    """As a path that is not there."""
    with pytest.raises(SessionNotFoundError) as caught:
        load_session(wanted)

    assert (caught.value.wanted, caught.value.searched) == (wanted, Path("none"))
