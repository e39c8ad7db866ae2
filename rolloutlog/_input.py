"""Items to the input of a model's API, which refuses calls without an output and reasoning without what follows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from rolloutlog._codec import ItemLike, to_item, wire
from rolloutlog.exceptions import OrphanCallError
from rolloutlog.items import FunctionCallOutput, LocalShellCall, FunctionCall, Message, Other, Reasoning, ResponseItem

Orphans: TypeAlias = Literal["close", "keep", "raise"]

NO_OUTPUT = "[no output: the session ended before this call was answered]"
"""What an orphaned call is answered with: marked, so that a model (and a person) sees that no tool said it."""


def to_input(items: Iterable[ItemLike], *, orphans: Orphans = "close") -> list[dict[str, Any]]:
    """TODO"""
    made = [to_item(item) for item in items]
    return [_without_none(wire(item)) for item in made if not (isinstance(item, Other) and not item.raw)]


def orphan_calls(items: Iterable[ResponseItem]) -> list[ResponseItem]:
    return []


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
