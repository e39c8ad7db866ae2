"""Checks what a file holds from its bytes alone: plain JSON, plain bytes, and no code of the package.

Each record of the harness says in its text who made it, its number, and how long it is, so that a line which was torn,
glued, doubled, moved or changed shows.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs


def text(producer: str, number: int, size: int = 0) -> str:
    """Return the text of a record: *producer* (without spaces), its *number*, and *size* characters of padding."""
    return f"{producer} {number} {size} " + "x" * size


def message(producer: str, number: int, size: int = 0) -> dict[str, Any]:
    """Return the record itself, as callers write it."""
    return {"role": "user", "content": text(producer, number, size)}


def line(producer: str, number: int, size: int = 0) -> bytes:
    """Return the bytes of its line in the file."""
    content = [{"type": "input_text", "text": text(producer, number, size)}]
    wire = {"type": "message", "id": None, "role": "user", "content": content}
    return json.dumps(wire, separators=(",", ":")).encode() + b"\n"


@attrs.define
class Found:
    """The content of a file."""

    meta: dict[str, Any] | None = None
    numbers: dict[str, list[int]] = attrs.field(factory=lambda: defaultdict(list))  # by producer, in file order
    bad: list[bytes] = attrs.field(factory=list)  # whole lines that are not ours
    tail: bytes = b""  # the bytes after the last newline
    gaps: int = 0  # dropped records, as gap entries count them
    gap_lines: int = 0
    logs: int = 0
    states: int = 0
    lines: int = 0  # whole lines, the meta among them

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(map(len, self.numbers.values()))


def read(path: Path) -> Found:
    """Return the content of *path*; nothing, if there is no such file."""
    found = Found()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return found
    with file:
        for each in file:  # one at a time: some of these files are large
            if not each.endswith(b"\n"):
                found.tail = each
                break
            _sort(found, found.lines, each[:-1])
            found.lines += 1
    return found


def _sort(found: Found, index: int, each: bytes) -> None:
    """Add the line *each* to what it is."""
    try:
        value = json.loads(each.decode())
    except ValueError:
        found.bad.append(each)
        return
    if index == 0 and isinstance(value, dict) and "id" in value and "type" not in value:
        found.meta = value
        return
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(value, dict) and value.get("record_type") == "state":
        found.states += 1
        return
    if kind == "log":
        dropped = value.get("extra", {}).get("dropped", 0)
        found.gaps += dropped
        found.gap_lines += bool(dropped)
        found.logs += not dropped
        return
    if kind == "message":
        producer, number, size, padding = value["content"][0]["text"].split(" ")
        if each + b"\n" == line(producer, int(number), int(size)) and len(padding) == int(size):
            found.numbers[producer].append(int(number))
            return
    found.bad.append(each)


def problems(
    found: Found,
    acked: Mapping[str, int],
    *,
    torn: int = 0,
    begun: Mapping[str, int] | None = None,
    first: Mapping[str, int] | None = None,
) -> list[str]:
    """Return the faults of *found*, in words.

    Args:
        found: the file.
        acked: by producer, how many records were acknowledged: numbers 0 up to that one, not included.
        torn: how many torn lines there may be: one for each process that was killed, healed by the next.
        begun: by producer, how many records were begun; there must be no more.
        first: by producer, where its numbers begin, if not at 0.
    """
    wrong = []
    if found.meta is None and (found.lines or any(acked.values())):
        wrong.append("the first line is no session meta")
    for producer in sorted({*acked, *found.numbers}):
        numbers, start = found.numbers.get(producer, []), (first or {}).get(producer, 0)
        wrong += _sequence(producer, numbers, start, acked.get(producer, start))
        if begun is not None and numbers and max(numbers) >= begun.get(producer, 0):
            wrong.append(f"{producer}: {max(numbers)} is on disk and was never begun")
    if len(found.bad) > torn:
        wrong.append(f"{len(found.bad)} bad lines, {torn} allowed: {[shown(each) for each in found.bad[:4]]}")
    wrong += [f"a bad line that is no torn record: {shown(each)}" for each in found.bad if not is_torn(each)]
    if found.tail and not is_torn(found.tail):
        wrong.append(f"a tail that is no torn record: {shown(found.tail)}")
    return wrong


def _sequence(producer: str, numbers: list[int], start: int, acked: int) -> list[str]:
    """Return the faults of the *numbers* of one producer: they must run from *start*, and reach *acked*."""
    if numbers == list(range(start, start + len(numbers))):
        if start + len(numbers) >= acked:
            return []
        return [f"{producer}: LOST {acked - start - len(numbers)} of {acked - start} acknowledged records"]
    doubled = [number for number, count in Counter(numbers).items() if count > 1]
    lost = sorted(set(range(start, acked)).difference(numbers))
    wrong = []
    if doubled:
        wrong.append(f"{producer}: twice on disk: {doubled[:8]}")
    if lost:
        wrong.append(f"{producer}: LOST {len(lost)} of {acked - start} acknowledged records: {lost[:8]}")
    if not wrong:
        wrong.append(f"{producer}: out of order, or with a hole: {next(_breaks(numbers, start))}")
    return wrong


def _breaks(numbers: list[int], start: int) -> Any:
    """Yield the places where *numbers* are not consecutive."""
    before = start - 1
    for number in numbers:
        if number != before + 1:
            yield f"{number} after {before}"
        before = number


def is_torn(each: bytes) -> bool:
    """Return whether *each* is a true beginning of a record's line, and not two things glued together."""
    known = b'{"type":"message","id":null,"role":"user","content":[{"type":"input_text","text":"'
    if len(each) <= len(known):
        return known.startswith(each) or each.startswith((b'{"type":"log"'[: len(each)], b'{"id":'[: len(each)]))
    fields = each.removeprefix(known).split(b" ")
    if not each.startswith(known):
        return each.startswith((b'{"type":"log"', b'{"id":')) and each.count(b'"type"') <= 1
    if len(fields) < 4:  # cut within the numbers
        return len(fields) <= 3 and all(field.isdigit() or not field for field in fields[1:])
    whole = line(fields[0].decode(), int(fields[1]), int(fields[2]))
    return len(each) < len(whole) and whole.startswith(each)


def shown(each: bytes) -> str:
    """Return a line, shortened for a report."""
    return repr(each if len(each) < 160 else each[:100] + b" ... " + each[-50:])
