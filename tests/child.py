"""Runs a function of a test module in a fresh process, without pytest, which takes longer to import than the package.

The module decorates its tests when it is imported. The stand-in for pytest returns each function as it is, and hands on
to the real one whatever else is asked of it.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import types
from typing import Any


class _Decoration:
    """Any mark or fixture: it takes any arguments, and returns the function or class that it decorates."""

    def __getattr__(self, name: str) -> _Decoration:
        return self

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        decorated = len(arguments) == 1 and (inspect.isfunction(arguments[0]) or inspect.isclass(arguments[0]))
        return arguments[0] if decorated else self


class _StandIn(types.ModuleType):
    mark = fixture = param = _Decoration()

    @staticmethod
    def importorskip(name: str, **options: Any) -> types.ModuleType:
        return importlib.import_module(name)  # the test did not skip

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get("pytest") is self:
            del sys.modules["pytest"]
        return getattr(importlib.import_module("pytest"), name)


def run(module: str, function: str, *arguments: Any) -> None:
    """Import *module* and call *function* of it with *arguments*."""
    sys.modules["pytest"] = _StandIn("pytest")
    getattr(importlib.import_module(module), function)(*arguments)
