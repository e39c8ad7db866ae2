"""The public names keep their promise: each of 0.1.0 is there, and each later one says which version added it."""

from __future__ import annotations

import pytest

import rolloutlog

pytest.importorskip("agents")
pytest.importorskip("opentelemetry.sdk")

from public_names import FIRST, HIDDEN, Public, public_names

pytestmark = pytest.mark.once

NAMES = {each.name: each for each in public_names()}
OF_FIRST = set(FIRST.read_text(encoding="utf-8").splitlines())


def test_the_list_holds_names_of_each_sort():
    """A module's, a member's, and an argument's; a member that the reference leaves out is not public."""
    assert {"rolloutlog.session", "rolloutlog.Session.record", "rolloutlog.session(home)"} <= OF_FIRST
    assert "encode" in HIDDEN
    assert "rolloutlog.RolloutRecorder.encode" not in NAMES


def test_no_name_of_the_first_version_is_gone():
    """Who removes one deprecates it in the minor version before, and then takes it off the list."""
    assert sorted(OF_FIRST - NAMES.keys()) == []


def test_each_later_name_says_which_version_added_it():
    """Until 0.1.0 is released, `python tests/public_names.py` puts a new name on the list instead."""
    version = rolloutlog.__version__

    assert [name for name in sorted(NAMES.keys() - OF_FIRST) if not NAMES[name].says_since(version)] == []


@pytest.mark.parametrize(
    ("name", "text", "around", "says"),
    [
        ("m.new", "New.\n\n.. versionadded:: 0.2.0", "", True),
        ("m.new", "New.", "", False),
        ("m.new", "New.\n\n.. versionchanged:: 0.2.0\n   It is faster.", "", False),
        ("m.new", "New.\n\n.. versionadded:: 0.4.0", "", False),
        ("m.new", "New.\n\n.. versionadded:: 0.1.0", "", False),
        ("m.Class.field", "", "A class.\n\n.. versionchanged:: 0.3.0\n   Added `field`.", True),
        ("m.Class.field", "", "A class.\n\n.. versionchanged:: 0.3.0\n   Added `other`.", False),
        ("m.old(size)", "", "Old.\n\n.. versionchanged:: 0.3.0 The argument `size`.\n\nMore.", True),
        ("m.old(size)", "", "Old.\n\n.. versionchanged:: 0.3.0 Faster.\n\nMore of `size`.", False),
    ],
)
def test_a_name_says_it_in_its_docstring_or_in_the_one_around_it(name, text, around, says):
    """With the version that added it, which is later than 0.1.0 and not later than this one: here, 0.3.0."""
    assert Public(name, text, around).says_since("0.3.0") is says
