"""Errors have attributes and messages to act on, can be pickled, and are also errors of the standard library."""

from __future__ import annotations

import errno
import pickle
import queue
from pathlib import Path

import pytest

from rolloutlog import exceptions
from rolloutlog.exceptions import (
    AmbiguousSessionError,
    ForkedRecorderError,
    InvalidItemError,
    InvalidRolloutError,
    InvalidSourceError,
    MissingExtraError,
    NotCarriedWarning,
    OrphanCallError,
    QueueFullError,
    RecorderClosedError,
    RedactionError,
    RepairError,
    RolloutError,
    SessionExistsError,
    SessionLockedError,
    SessionNotFoundError,
    SessionOptionsError,
    WriteError,
)

PATH = Path("/home/me/sessions/rollout-x.jsonl")

ERRORS = [
    InvalidItemError("message.content[0].text", "must be a string"),
    RepairError("/x/rollout.jsonl", "an item that was read before would not be read"),
    RedactionError("message", "hide", "raised KeyError at agent.py:12"),
    InvalidRolloutError(PATH, "the file is empty"),
    InvalidSourceError(PATH, "the database has no session"),
    SessionNotFoundError("ab", PATH.parent),
    AmbiguousSessionError("ab", PATH.parent, ["abc", "abd"]),
    SessionExistsError("abc", PATH),
    SessionLockedError(PATH, 4711),
    SessionLockedError(PATH),
    SessionOptionsError(PATH, ["fsync", "shared"]),
    RecorderClosedError(PATH),
    RecorderClosedError(PATH, "the writer failed"),
    ForkedRecorderError(PATH, 4711),
    QueueFullError(PATH, "no room within 3 s"),
    WriteError(PATH, 1, "No space left on device", errno.ENOSPC),
    WriteError(PATH, 7, "not enough memory"),
    OrphanCallError(["call_1", "call_2"]),
    MissingExtraError("reading it", "zstd"),
]
WARNINGS = [NotCarriedWarning("messages[0]", "the key 'name'")]


@pytest.mark.parametrize("error", ERRORS + WARNINGS, ids=str)
def test_an_error_survives_pickling(error):
    """Type, message and attributes come back, because agents run in worker processes."""
    back = pickle.loads(pickle.dumps(error))

    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_every_error_is_among_those():
    """The list above is complete, except for warnings."""
    public = {value for value in vars(exceptions).values() if isinstance(value, type) and issubclass(value, Exception)}

    assert public - {RolloutError} == set(map(type, ERRORS + WARNINGS))


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_one_except_catches_them_all(error):
    """Each is a RolloutError."""
    assert isinstance(error, RolloutError)


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (InvalidItemError, ValueError),
        (InvalidRolloutError, ValueError),
        (SessionNotFoundError, LookupError),
        (AmbiguousSessionError, SessionNotFoundError),
        (SessionExistsError, FileExistsError),
        (SessionOptionsError, ValueError),
        (ForkedRecorderError, RecorderClosedError),
        (QueueFullError, queue.Full),
        (OrphanCallError, ValueError),
    ],
)
def test_an_error_is_also_what_it_resembles(error, also):
    """Code that catches the standard library's error catches ours."""
    assert issubclass(error, also)


def test_an_existing_session_has_the_number_that_the_system_gives():
    """Code that catches FileExistsError finds EEXIST in `errno`."""
    error = SessionExistsError("abc", PATH)

    assert error.errno == errno.EEXIST


@pytest.mark.parametrize(
    ("error", "tells"),
    [
        (AmbiguousSessionError("ab", PATH.parent, ["abc", "abd"]), ["'ab'", str(PATH.parent), "abc, abd"]),
        (SessionExistsError("abc", PATH), ["abc", str(PATH)]),
        (SessionLockedError(PATH, 4711), [str(PATH), "process 4711", "shared=True"]),
        (SessionLockedError(PATH), [str(PATH), "another process", "shared=True"]),
        (SessionOptionsError(PATH, ["fsync", "shared"]), [str(PATH), "fsync, shared"]),
        (ForkedRecorderError(PATH, 4711), [str(PATH), "process 4711", "fork"]),
        (WriteError(PATH, 1, "disk full"), [str(PATH), "1 record is", "disk full"]),
        (WriteError(PATH, 7, "disk full"), [str(PATH), "7 records are", "disk full"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_says_what_and_where(error, tells):
    """The message names the file or folder, and the details."""
    assert [part for part in tells if part not in str(error)] == []
