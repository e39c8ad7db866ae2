"""The check of a repaired copy before it gets the file's name: all that was read is read, and what was promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

from .._format.lines import InvalidLine, decode_line
from .._item import Item
from .._reading.lines import stream_lines
from ..exceptions import RepairError
from .findings import Finding
from .lines import physical_lines
from .scan import Scan


def check_copy(path: Path, copy: Path, found: Scan, done: Collection[Finding], max_line: int) -> None:
    """Compare *copy*, the repaired one, with the file at *path*.

    Args:
        path: the file.
        copy: the new one.
        found: the reading of the file.
        done: the findings that it repairs.
        max_line: how many bytes a line may have.

    Raises:
        RepairError: the copy lacks something that is read in the file, or that was promised, or holds something else.
    """
    repeated = {finding.line for finding in done if finding.kind == "repeated"}
    gained = {finding.line for finding in done if finding.gains > 0}
    promised = [hash(each.item.json) for each in found.records if each.is_read or each.line in gained]
    after = [hash(line.entry.json) for line in stream_lines(copy, None, max_line) if isinstance(line.entry, Item)]
    if after != promised:
        raise RepairError(
            path, f"{len(promised):,} items were expected in the new file; it has {len(after):,}, or others"
        )
    rest = iter(after)
    for line in stream_lines(path, None, max_line):
        if isinstance(line.entry, Item) and line.number not in repeated and hash(line.entry.json) not in rest:
            raise RepairError(path, f"the item of line {line.number:,} would not be read, or in another place")
    if any(finding.action == "renumber" for finding in done):
        return
    lines = _records(copy, max_line, ())
    lines.subtract(_records(path, max_line, repeated))
    if min(lines.values(), default=0) < 0:
        raise RepairError(path, "a line that is read would not be read any more")


def _records(path: Path, max_line: int, but: Collection[int | None]) -> Counter[int]:
    """Return how often each line that holds an entry is in the file, except the lines of these numbers."""
    found: Counter[int] = Counter()
    for line in physical_lines(path, max_line):
        try:
            decode_line(line.data)
        except InvalidLine:
            continue
        if line.number not in but:
            found[hash(line.data.strip())] += 1
    return found
