"""Damages as values: a finding about a file, and the bytes that a repair would write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

import attrs

Severity: TypeAlias = Literal["lost", "torn", "model", "odd", "note"]
"""lost: a reader misses something whole. torn: half of something is there, and nothing whole is missed. model: an API
or a resume would refuse the session or stumble. odd: harmless. note: nothing is wrong."""

Action: TypeAlias = Literal["blank", "split", "end", "join", "move", "rebuild", "renumber", "leave"]
"""blank: spaces in place of the bytes. split: a newline between two records. end: a newline at the end. join: a space
in place of each newline. move: the meta to the front. rebuild: a new meta. renumber: new ordinals. leave: nothing."""

OF_THE_SESSION = frozenset({"orphan-call", "orphan-output", "trailing-reasoning"})
"""The kinds of findings about the items and not the file: no repair changes them, and `to_input()` handles each."""


@attrs.frozen
class Edit:
    """A change of a file: *data* in place of the *length* bytes at *offset*."""

    offset: int
    length: int
    data: bytes

    @property
    def growth(self) -> int:
        """How many bytes longer the file gets."""
        return len(self.data) - self.length


@attrs.frozen
class Finding:
    """One thing that is wrong with a file, or worth to know.

    Attributes:
        kind: its name, such as ``"glued"``; docs/face.md has the table.
        severity: how bad it is: ``"lost"``, ``"torn"``, ``"model"``, ``"odd"`` or ``"note"``.
        line: which line of the file, from 1; `None` where the file as a whole is meant.
        offset: where that line begins, in bytes.
        what: what is wrong, without the text of a record.
        action: what `repair` does about it: ``"blank"``, ``"split"``, ``"end"``, ``"join"``, ``"move"``, ``"rebuild"``,
            ``"renumber"`` or ``"leave"``.
        remedy: the same in words, or why nothing is done; may be empty.
        start: the first byte that is changed or left.
        length: how many bytes are changed or left.
        gains: how many items are seen again after the repair.
    """

    kind: str
    severity: Severity
    line: int | None
    offset: int | None
    what: str
    action: Action = "leave"
    remedy: str = ""
    start: int | None = None
    length: int = 0
    gains: int = 0
    edits: tuple[Edit, ...] = attrs.field(default=(), repr=False, alias="_edits", kw_only=True)


def arranged(lengths: Sequence[int], places: Sequence[int], size: int) -> list[int] | None:
    """Return where in *size* bytes the records of these *lengths* begin, with a byte between any two; `None`: nowhere.

    Each stays at its place in *places* if that is possible, else it is moved as little as possible, to one side.

    >>> arranged([4, 4], [2, 6], 10)
    [1, 6]
    >>> arranged([4, 4], [0, 4], 10)
    [0, 5]
    """
    left: list[int] = []
    following = size + 1
    for length, place in zip(reversed(lengths), reversed(places), strict=True):
        left.append(min(place, following - 1 - length))
        following = left[-1]
    if not left or left[-1] >= 0:
        return left[::-1]
    right: list[int] = []
    before = -1
    for length, place in zip(lengths, places, strict=True):
        right.append(max(place, before + 1))
        before = right[-1] + length
    return right if before <= size else None


def moved(offset: int, edits: Iterable[Edit]) -> int:
    """Return where the end of a line that is at *offset* before *edits* is after them."""
    before = (edit for edit in edits if edit.offset + edit.length <= offset and (edit.length or edit.offset < offset))
    return offset + sum(edit.growth for edit in before)


def counted(count: int, noun: str) -> str:
    """Return *count* with its noun: ``1 byte``, ``2,000 bytes``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
