"""Repair: of any damage that a cut or a gluing does, no whole record is lost, none is made up, and none moves."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from rolloutlog import iter_lines, repair
from rolloutlog._care.pieces import split
from rolloutlog._format.lines import Format, InvalidLine, decode_line
from rolloutlog.items import Item

from .harness import Report, row, scratch

_DATA = Path(__file__).parents[1] / "data"
_NAME = "rollout-2025-07-23T15-03-26-0198d7f2-3c4b-7e3a-9a61-5f0c1d2e3b4a.jsonl"


def _records() -> list[tuple[Format, list[bytes]]]:
    """Return the whole records of each golden file and each file of a real Codex, with the file's format."""
    found: list[tuple[Format, list[bytes]]] = []
    for path in sorted(_DATA.rglob("*.jsonl")):
        lines = [line for line in path.read_bytes().split(b"\n") if _is_entry(line)]
        found.append(("envelope" if path.name == "envelope.jsonl" else "flat", lines))
    return found


def _is_entry(line: bytes) -> bool:
    try:
        decode_line(line)
    except InvalidLine:
        return False
    return True


@row("care.glued", "records and halves on one line: just the whole ones are found", quick=2_000, full=10**5, long=10**6)
def glued(report: Report, size: int, dice: random.Random) -> None:
    """Whole records, and halves that were cut at any byte, glued together in any order."""
    files = _records()
    while report.trials < size:
        format, records = dice.choice(files)
        line, whole = b"", Counter[bytes]()
        for record in dice.choices(records, k=dice.randrange(2, 6)):
            if dice.random() < 0.5:
                line += record[: dice.randrange(1, len(record))]
            else:
                line += record
                whole[record] += 1
        if _is_entry(line):
            continue
        report.trial()
        found = Counter(line[piece.begin : piece.end] for piece in split(line, format) if piece.entry is not None)
        report.count("whole records", whole.total())
        report.expect(not whole - found, f"a whole record is lost: {line!r}")
        report.expect(not found - whole, f"a record is made up: {line!r}")


def _items(path: Path) -> list[tuple[int, bytes]]:
    return [(line.offset, line.entry.json) for line in iter_lines(path) if isinstance(line.entry, Item)]


@row("care.cut", "a golden file cut at any byte is repaired in place", quick=60, full=10**5, long=10**5)
def cut(report: Report, size: int, dice: random.Random) -> None:
    """Every length of each golden file: all whole items are read, none is made up, and none moves."""
    for golden in sorted((_DATA / "golden").glob("*.jsonl")):
        content = golden.read_bytes()
        items = _items(golden)
        ends = [content.index(b"\n", offset) for offset, _ in items]
        lengths = range(content.index(b"\n"), len(content) + 1)
        for length in lengths if size >= len(lengths) else dice.sample(lengths, size // 2):
            with scratch("/dev/shm") as folder:
                path = folder / _NAME
                path.write_bytes(content[:length])
                done = repair(path, write=True)
                report.trial()
                whole = [item for item, end in zip(items, ends, strict=True) if end <= length]
                report.expect(_items(path) == whole, f"{golden.name} cut at {length:,}")
                report.expect(not done.moves and path.read_bytes().endswith(b"\n"), f"{golden.name}, {length:,}: moved")
                report.expect(repair(path).done == (), f"{golden.name} cut at {length:,}: a second run does more")
