"""The public names, and the texts that document them; ``python tests/public_names.py`` writes the names of 0.1.0.

A class is followed by its members and the arguments that make it, a function by its arguments: ``session(home)``.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

MODULES = (
    "rolloutlog",
    "rolloutlog.adapters.agents",
    "rolloutlog.exceptions",
    "rolloutlog.items",
    "rolloutlog.otel",
    "rolloutlog.redaction",
    "rolloutlog.tables",
    "rolloutlog.testing",
)
FIRST = Path(__file__).with_name("public_names.txt")

# The members that the reference leaves out, because other modules of ours call them.
_REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "rolloutlog.md"
HIDDEN = re.findall(r"\w+", re.findall(r":exclude-members:(.*)", _REFERENCE.read_text(encoding="utf-8"))[0])

# The line of the directive, with the lines below it that belong to it.
_SINCE = re.compile(r"^\.\. version(added|changed):: +(\d+)\.(\d+)\.(\d+)(.*(?:\n +.*)*)", re.MULTILINE)


class Public(NamedTuple):
    """A public name: its own docstring, and the one of the module, class or function in which it is."""

    name: str
    text: str
    around: str

    def says_since(self, version: str) -> bool:
        """Return whether the name says which version after 0.1.0 added it, which is not later than *version*.

        Its docstring says it with ``versionadded``, or the text around it with a directive that names it in backticks.
        """
        last = re.split(r"[(.]", self.name)[-1].rstrip(")")
        own = [each for each in _SINCE.finditer(self.text) if each[1] == "added"]
        named = [each for each in _SINCE.finditer(self.around) if f"`{last}`" in each[5]]
        now = tuple(map(int, version.split(".")))
        return any((0, 1, 0) < tuple(map(int, each.group(2, 3, 4))) <= now for each in (*own, *named))


def public_names() -> Iterator[Public]:
    """Yield all public names. The members of a class that is in two modules come once, in the first."""
    modules = map(importlib.import_module, MODULES)
    offered = {f"{module.__name__}.{name}": module for module in modules for name in names_of(module)}
    values = {name: getattr(module, name.rpartition(".")[2]) for name, module in offered.items()}
    for name, module in offered.items():
        yield Public(name, inspect.getdoc(values[name]) or "", inspect.getdoc(module) or "")
    for value, name in {value: name for name, value in reversed(values.items())}.items():
        yield from _below(name, value, values.values())


def names_of(module: Any) -> list[str]:
    """Return the names in ``__all__`` of *module*, or else those that it defines."""
    defined = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    return getattr(module, "__all__", None) or [name for name in defined if name[0] != "_"]


def _below(path: str, value: Any, known: Iterable[Any] = ()) -> Iterator[Public]:
    """Yield the arguments of *value*, if it is a function or a class, and the members of a class."""
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        for name, member in _members(value, known).items():
            function = getattr(member, "__func__", member)
            yield Public(f"{path}.{name}", inspect.getdoc(member) or "", text)
            if inspect.isfunction(function):
                yield from _below(f"{path}.{name}", function)
    if inspect.isclass(value) or inspect.isfunction(value):
        yield from (Public(f"{path}({name})", "", text) for name in _arguments(value))


def _members(value: type, known: Iterable[Any]) -> dict[str, Any]:
    """Return the attributes and methods of a class, with those of private classes from which it is made."""
    made_from = [each for each in value.__mro__ if each is value or (_is_ours(each) and each not in known)]
    declared = {name: None for each in made_from for name in inspect.get_annotations(each)}
    found = declared | {name: member for each in reversed(made_from) for name, member in vars(each).items()}
    return {name: member for name, member in found.items() if name[0] != "_" and name not in HIDDEN}


def _is_ours(value: type) -> bool:
    return value.__module__.partition(".")[0] == "rolloutlog"


def _arguments(value: Any) -> list[str]:
    if isinstance(value, enum.EnumMeta):  # its call is the standard library's
        return []
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # a class that is written in C, or a type
        return []
    named = [each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    return [name for name in named if name[0] != "_" and name not in ("self", "cls")]


if __name__ == "__main__":
    FIRST.write_text("".join(f"{name}\n" for name in sorted({each.name for each in public_names()})), encoding="utf-8")
