"""Recorder options: their defaults, and errors for unknown names and invalid values."""

from __future__ import annotations

import math

import pytest

from rolloutlog._options import RecorderOptions, checked

NAMES = sorted(RecorderOptions.__annotations__)


def test_the_defaults_are_those_of_the_documentation():
    """1,280 records, callers wait, no sync, one process, no wait for its lock, nothing redacted or filtered, flat."""
    writing, encoding = checked({})

    assert (writing.queue_size, writing.on_full, writing.fsync, writing.shared) == (1_280, "block", "never", False)
    assert writing.lock_timeout == 0
    assert encoding == {"redact": None, "only_known": False, "format": "flat"}


def test_a_shared_session_waits_for_its_lock():
    """Other processes hold the lock for a batch, so a shared session waits for it by default."""
    writing, _ = checked({"shared": True})

    assert writing.lock_timeout == 10


@pytest.mark.parametrize("given", [0, 2.5, math.inf])
def test_a_lock_timeout_is_taken_as_it_is(given):
    """Zero, a fraction and infinity are numbers of seconds."""
    writing, _ = checked({"shared": True, "lock_timeout": given})

    assert writing.lock_timeout == given


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_option_names_the_right_one(name):
    """An option without its last letter is unknown, and the error names the right one."""
    with pytest.raises(TypeError) as caught:
        checked({name[:-1]: None})

    assert str(caught.value) == f"unknown option {name[:-1]!r}; did you mean {name!r}?"


def test_a_misspelt_argument_of_the_caller_is_named_too():
    """The error also names parameters of the called function that are not recorder options."""
    with pytest.raises(TypeError, match="did you mean 'instructions'"):
        checked({"instrutions": "…"}, "home", "instructions")


def test_an_option_that_resembles_none_gets_the_list():
    """The error for a name that resembles none lists all names."""
    with pytest.raises(TypeError) as caught:
        checked({"xyzzy": 1}, "home")

    assert str(caught.value).startswith("unknown option 'xyzzy'; the options are home, queue_size, on_full")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue_size", "256"),
        ("queue_size", 2.0),
        ("queue_size", True),
        ("shared", 1),
        ("shared", None),
        ("only_known", "yes"),
        ("lock_timeout", "1"),
        ("lock_timeout", True),
        ("redact", "password"),
    ],
)
def test_a_value_of_a_wrong_type_is_refused_by_name(name, value):
    """The error begins with the option's name and has the type, not the value."""
    with pytest.raises(TypeError, match=f"^{name} must be .*, got {type(value).__name__}$"):
        checked({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue_size", 0),
        ("queue_size", -1),
        ("on_full", "drop_old"),
        ("on_full", None),
        ("fsync", "sometimes"),
        ("fsync", True),
        ("lock_timeout", -0.1),
        ("lock_timeout", math.nan),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(name, value):
    """The error begins with the option's name and has the value, and the choices where there are few."""
    with pytest.raises(ValueError, match=f"^{name} must be .* got {value!r}$"):
        checked({name: value})


def test_a_shared_session_cannot_sync_at_flushes():
    """Other processes may have written between the lines that a failed sync would have to cut off."""
    with pytest.raises(ValueError, match=r"^fsync='flush' is not available"):
        checked({"shared": True, "fsync": "flush"})
