"""The front door: what it offers, and that every name there is documented, typed and used as the others are."""

from __future__ import annotations

import builtins
import importlib
import inspect
import typing

import pytest

import rolloutlog
from rolloutlog import exceptions, items

FUNCTIONS = sorted(name for name in rolloutlog.__all__ if inspect.isfunction(getattr(rolloutlog, name)))
CLASSES = sorted(name for name in rolloutlog.__all__ if inspect.isclass(getattr(rolloutlog, name)))


def callables() -> dict[str, typing.Any]:
    """Return every public function and method that is ours, by its dotted name."""
    found = {name: getattr(rolloutlog, name) for name in FUNCTIONS}
    for name in CLASSES:
        for own, value in vars(getattr(rolloutlog, name)).items():
            function = inspect.unwrap(getattr(value, "__func__", value))
            if inspect.isfunction(function) and not own.startswith("_"):
                found[f"{name}.{own}"] = function
    return found


CALLABLES = callables()


def test_every_name_is_there_and_said_once():
    """`__all__` is sorted, holds no name twice, and every name exists."""
    assert rolloutlog.__all__ == sorted(set(rolloutlog.__all__))
    assert all(hasattr(rolloutlog, name) for name in rolloutlog.__all__)


def test_all_that_is_public_is_offered():
    """Names without an underscore are in `__all__`, or are one of the two modules for less common names."""
    # pytest adds names of its own, which are not identifiers, to every module of a package that comes with a plugin.
    public = {name for name in vars(rolloutlog) if name.isidentifier() and not name.startswith("_")}

    modules = {"exceptions", "items", "redaction", "tables", "testing", "adapters", "otel"}
    assert public - set(rolloutlog.__all__) <= modules


def test_every_kind_of_item_is_at_the_front_door():
    """Building an item needs no other import."""
    kinds = {kind.__name__ for kind in typing.get_args(items.ResponseItem)}

    assert kinds <= set(rolloutlog.__all__)


@pytest.mark.parametrize("name", sorted(CALLABLES) + CLASSES)
def test_every_name_has_a_docstring(name):
    """It begins with a whole sentence, in one line of the source or two."""
    documented = CALLABLES.get(name) or getattr(rolloutlog, name)
    first = (inspect.getdoc(documented) or "").split("\n\n")[0]

    assert first.rstrip().endswith((".", ":"))
    assert len(first.splitlines()) <= 3


@pytest.mark.parametrize("name", [name for name in sorted(CALLABLES) if "Raises:" in (CALLABLES[name].__doc__ or "")])
def test_what_a_function_raises_is_an_error_that_exists(name):
    """Each name under "Raises" is one of our errors, or a built-in one."""
    raises = inspect.getdoc(CALLABLES[name]).partition("Raises:")[2].partition("\n\n")[0]
    entries = [line.strip() for line in raises.splitlines() if line.startswith("    ") and line[4] != " "]
    errors = [error.strip() for entry in entries for error in entry.partition(":")[0].split(",")]

    assert errors
    assert [error for error in errors if not hasattr(exceptions, error) and not hasattr(builtins, error)] == []


# A call and its output are both subjects.
_TWO = ("FunctionCallOutput.of", "Session.answer", "Session.aanswer")


@pytest.mark.parametrize("name", [name for name in sorted(CALLABLES) if not name.startswith("RolloutHandler.")])
def test_after_the_subject_arguments_go_by_name(name):
    """One argument may go by its place, and no call needs to be looked up; a handler is as the standard library's."""
    parameters = inspect.signature(CALLABLES[name]).parameters.values()
    by_place = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]

    assert len(set(by_place) - {"self", "cls"}) <= (2 if name in _TWO else 1)


@pytest.mark.parametrize("name", [name for name in sorted(CALLABLES) if "timeout" in CALLABLES[name].__annotations__])
def test_every_wait_has_an_end(name):
    """A timeout goes by name and is a number of seconds, unless it is asked for none; an Ack is as an Event is."""
    timeout = inspect.signature(CALLABLES[name]).parameters["timeout"]

    assert timeout.default is None if name.startswith("Ack.") else timeout.default > 0
    assert (timeout.kind is timeout.KEYWORD_ONLY) != name.startswith("Ack.")


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_every_name_is_typed(name):
    """Each argument and each result has a type, which a type checker finds."""
    function = CALLABLES[name]
    parameters = {each for each in inspect.signature(function).parameters if each not in ("self", "cls")}

    assert parameters | {"return"} <= set(function.__annotations__)


@pytest.mark.parametrize("module", [items, rolloutlog.exceptions, importlib.import_module("rolloutlog.testing")])
def test_a_module_says_which_of_its_names_are_public(module):
    """`__all__` is sorted, every name exists, and every class and function of the module's own is among them."""
    public = {
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    }

    assert module.__all__ == sorted(module.__all__)
    assert public <= set(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


def test_types_that_signatures_name_are_public():
    """So that a program can annotate its own functions."""
    names = ["Call", "Entry", "OtherEntry", "RecorderOptions", "RecorderStats", "SessionFile", "SkippedLine", "State"]

    assert set(names) <= set(rolloutlog.__all__)


def test_the_help_of_session_lists_the_options():
    """All of them."""
    text = inspect.getdoc(rolloutlog.session)

    assert [name for name in rolloutlog.RecorderOptions.__annotations__ if f"``{name}``" not in text] == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: rolloutlog.RolloutRecorder("p"), r"made by RolloutRecorder.create\(home\), RolloutRecorder.resume\("),
        (lambda: rolloutlog.RolloutRecorder(), r"made by RolloutRecorder.create\(home\)"),
        (lambda: rolloutlog.Session("r"), r"a Session is made by rolloutlog.session\(name\)"),
    ],
)
def test_a_class_that_is_not_called_says_how_it_is_made(make, says):
    """The error names the functions."""
    with pytest.raises(TypeError, match=says):
        make()
