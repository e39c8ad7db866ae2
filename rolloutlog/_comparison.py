"""Normalizes sessions to lines that can be compared: without times, and with numbers in place of ids."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ._format.coerce import ItemLike, to_item
from ._reading.saved import SavedSession
from ._responses.rules import strip_for_input

# Keys that hold ids, and keys that hold times. An id that occurs more than once becomes a number, the same for the same
# id, so that a call and its output still belong together. An id that occurs once is left out, because it tells nothing
# and fake models give none. Times are left out as well.
_IDS = re.compile(r"(.*_)?id")
_TIMES = re.compile(r"(.*_)?(at|time|timestamp)")


def normalized_lines(
    session: SavedSession | list[ItemLike], *, logs: bool, bare: bool, ignore: frozenset[str]
) -> list[str]:
    """Return *session* as lines of JSON that are equal for equal sessions.

    Args:
        session: a whole session, or its items.
        logs: whether to include log entries.
        bare: whether to include only the items.
        ignore: keys to leave out everywhere.
    """
    made = list(_contents(session, logs=logs, bare=bare))
    seen = Counter(_ids(made, ignore))
    numbers: dict[str, str] = {}
    for found in _ids(made, ignore):
        if seen[found] > 1:
            numbers.setdefault(found, f"#{len(numbers) + 1}")
    texts = [json.dumps(_normalized(content, numbers, ignore), indent=1, ensure_ascii=False) for content in made]
    # Not splitlines(): it ends a line at U+2028 and at U+0085, so texts with one or the other would be equal.
    return [line for text in texts for line in text.split("\n")]


def _contents(session: SavedSession | list[ItemLike], *, logs: bool, bare: bool) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of *session* to compare: items and, unless *bare*, the model's view, the state and the logs."""
    items = session.items if isinstance(session, SavedSession) else session
    yield from _stripped(items)
    if bare or not isinstance(session, SavedSession):
        return
    seen = session.context
    if seen != session.items:
        yield {"context": list(_stripped(seen))}
    if session.state:
        yield {"state": dict(session.state)}
    if logs:
        yield from ({"level": entry.level, "logger": entry.logger, "message": entry.message} for entry in session.logs)


def _stripped(items: Iterable[ItemLike]) -> Iterator[Mapping[str, Any]]:
    """Yield *items* without nulls and the keys of answers, with all else that they hold."""
    yield from (strip_for_input(item._read()) for item in map(to_item, items) if item._bytes())


def _ids(value: Any, ignore: frozenset[str]) -> Iterator[str]:
    """Yield the ids in *value*, in the order of the normalized lines."""
    if isinstance(value, list):
        for part in value:
            yield from _ids(part, ignore)
    elif isinstance(value, Mapping):
        for key in sorted(value):
            if key not in ignore and _is_id(key, value[key]):
                yield value[key]
            elif key not in ignore and not _TIMES.fullmatch(key):
                yield from _ids(value[key], ignore)


def _is_id(key: str, held: object) -> bool:
    return isinstance(held, str) and _IDS.fullmatch(key) is not None


def _normalized(value: Any, numbers: Mapping[str, str], ignore: frozenset[str]) -> Any:
    """Return *value* with sorted keys, without times, and with ids replaced by their *numbers* or left out."""
    if isinstance(value, list):
        return [_normalized(part, numbers, ignore) for part in value]
    if not isinstance(value, Mapping):
        return value
    normalized = {}
    for key in sorted(value):
        held = value[key]
        if key in ignore or _TIMES.fullmatch(key):
            continue
        if not _is_id(key, held):
            normalized[key] = _normalized(held, numbers, ignore)
        elif held in numbers:
            normalized[key] = numbers[held]
    return normalized
