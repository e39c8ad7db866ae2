"""The kinds of lines that callers of `iter_lines` name, and the lines whose first bytes prove their kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from .._entries import OWN, Entry, OtherEntry, SessionMeta
from .._item import CLASSES
from .._repr import shortened

# The kinds of lines that callers name, besides the types of items. Those of `_LINES` are the types of wrapped lines.
_GROUPS = ("meta", "item", "state", "log", "event", "turn_context", "compacted", "other", "skipped")
_LINES = {"event_msg": "event", "turn_context": "turn_context", "compacted": "compacted"}


def checked_kinds(kinds: Collection[str] | None) -> frozenset[str] | None:
    """Return *kinds* as a set; raise `ValueError` for one that does not exist."""
    if kinds is None:
        return None
    if isinstance(kinds, str):
        raise ValueError(f"kinds must be a set of names; got the string {shortened(kinds)}")
    for kind in kinds:
        if kind not in _GROUPS and kind not in CLASSES:
            known = ", ".join(_GROUPS)
            raise ValueError(f"there is no kind {kind!r} of lines; there are {known}, and the types of items")
    return frozenset(kinds)


def kind_of(entry: Entry) -> str:
    """Return the kind of the line that holds *entry*; for an item, its type."""
    if type(entry) is OtherEntry:
        return _LINES.get(entry.raw["type"], "other")
    return "meta" if isinstance(entry, SessionMeta) else entry.type


def proof_against(wanted: frozenset[str]) -> Callable[[bytes], object]:
    """Return a function that is true of a line whose first bytes prove that it is of none of the *wanted* kinds.

    They do where it is written as Codex or this package writes it.
    """
    items = sorted(CLASSES) if "item" in wanted else sorted(set(CLASSES) & wanted)
    after_type, flat = [], []
    if not items:
        after_type.append(r'response_item","payload":\{')
    elif "item" not in wanted:
        after_type.append(rf'response_item","payload":\{{"type":"(?!(?:{"|".join(items)})")[^"\\]*"')
    if passed := sorted(set(CLASSES) - set(items)):
        flat.append(rf'\{{"type":"(?:{"|".join(passed)})"')
    after_type += [f'{name}"' for name, kind in _LINES.items() if kind not in wanted]
    if "other" not in wanted:
        named = "|".join([*_LINES, "response_item", "session_meta", OWN])
        after_type.append(rf'(?!(?:{named})")[^"\\]*"')
    if "log" not in wanted:
        after_type.append(rf'{OWN}","payload":\{{"type":"log"')
        flat.append(r'\{"type":"log","timestamp":')
    if "state" not in wanted:
        after_type.append(rf'{OWN}","payload":\{{"record_type":"state"')
        flat.append(r'\{"record_type":"state"[,}]')
    wrapped = rf'\{{"timestamp":"[^"\\]*",(?:"ordinal":\d+,)?"type":"(?:{"|".join(after_type) or "(?!)"})'
    return re.compile("|".join([wrapped, *flat]).encode()).match
