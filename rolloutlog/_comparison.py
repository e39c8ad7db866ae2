"""Sessions as lines that can be compared: without times, and with ids by where they come again."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ._format.lines import ItemLike
from ._reading.saved import SavedSession
from ._responses.input import to_input

# Keys that hold ids, and keys that hold times. An id that comes again is replaced by a number, the same for the same
# id, so that a call and its output still belong together. One that does not come again says nothing, and a stand-in
# for a model gives none: it is left out, and so is a time.
_IDS = re.compile(r"(.*_)?id")
_TIMES = re.compile(r"(.*_)?(at|time|timestamp)")


def comparable(session: SavedSession | list[ItemLike], *, logs: bool, bare: bool, ignore: frozenset[str]) -> list[str]:
    """Return *session* as lines that are those of another one if both say the same.

    Args:
        session: all of it, or its items.
        logs: whether what was logged without items counts.
        bare: whether nothing but the items counts.
        ignore: keys to leave out wherever they are.
    """
    made = list(_contents(session, logs=logs, bare=bare))
    seen = Counter(_ids(made, ignore))
    numbers: dict[str, str] = {}
    for found in _ids(made, ignore):
        if seen[found] > 1:
            numbers.setdefault(found, f"#{len(numbers) + 1}")
    texts = [json.dumps(_neutral(content, numbers, ignore), indent=1, ensure_ascii=False) for content in made]
    # Not splitlines(), for which U+2028 ends a line as well as U+0085: texts with the one and the other would be alike.
    return [line for text in texts for line in text.split("\n")]


def _contents(session: SavedSession | list[ItemLike], *, logs: bool, bare: bool) -> Iterator[Mapping[str, Any]]:
    """Yield what is compared of *session*: items, and unless it is *bare* what a model sees, state and logs."""
    items = session.items if isinstance(session, SavedSession) else session
    yield from to_input(items, orphans="keep")
    if bare or not isinstance(session, SavedSession):
        return
    seen = session.context
    if seen != session.items:
        yield {"context": to_input(seen, orphans="keep")}
    if session.state:
        yield {"state": dict(session.state)}
    if logs:
        yield from ({"level": entry.level, "logger": entry.logger, "message": entry.message} for entry in session.logs)


def _ids(value: Any, ignore: frozenset[str]) -> Iterator[str]:
    """Yield the ids in *value*, in the order in which they are shown."""
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


def _neutral(value: Any, numbers: Mapping[str, str], ignore: frozenset[str]) -> Any:
    """Return *value* with its keys in order, without times, and with its ids by their *numbers* or not at all."""
    if isinstance(value, list):
        return [_neutral(part, numbers, ignore) for part in value]
    if not isinstance(value, Mapping):
        return value
    neutral = {}
    for key in sorted(value):
        held = value[key]
        if key in ignore or _TIMES.fullmatch(key):
            continue
        if not _is_id(key, held):
            neutral[key] = _neutral(held, numbers, ignore)
        elif held in numbers:
            neutral[key] = numbers[held]
    return neutral
