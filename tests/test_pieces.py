"""Splitting glued lines: each whole record is found, and no part of half a record is taken for one."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from damaged import ASKED, ENVELOPE_META, FLAT_META, packed, said, wrapped

from rolloutlog._care.pieces import split
from rolloutlog._format.lines import InvalidLine, decode_line, is_envelope

pytestmark = pytest.mark.system

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.rglob("*.jsonl"))


def records_in(path: Path) -> list[bytes]:
    """Return the lines of *path* that hold an entry."""
    return [line for line in path.read_bytes().split(b"\n") if line.strip() and is_entry(line)]


def is_entry(line: bytes) -> bool:
    """Whether *line* holds an entry."""
    try:
        decode_line(line)
    except InvalidLine:
        return False
    return True


def wholes(line: bytes, format: str) -> list[bytes]:
    """Return the whole records that are found in *line*, and check that the other pieces cover the rest."""
    pieces = split(line, format)
    covered = b"".join(line[piece.begin : piece.end] for piece in pieces)
    assert covered.translate(None, b" \r") == line.translate(None, b" \r")
    return [line[piece.begin : piece.end] for piece in pieces if piece.entry is not None]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_gluings_of_real_records_lose_none_and_make_none_up(path):
    """Whole records and halves of the golden files and of real ones, glued at random: just the whole ones are found."""
    dice = random.Random(path.name)
    records = records_in(path)
    format = "envelope" if any(map(is_envelope, records)) else "flat"

    for _ in range(200):
        chosen = [dice.choice(records) for _ in range(dice.randrange(2, 6))]
        is_half = [dice.random() < 0.5 for _ in chosen]
        line = b"".join(
            each[: dice.randrange(1, len(each))] if half else each for each, half in zip(chosen, is_half, strict=True)
        )
        if not is_entry(line):
            whole = [each for each, half in zip(chosen, is_half, strict=True) if not half]
            assert Counter(wholes(line, format)) == Counter(whole), line


@pytest.mark.parametrize("name", ["flat", "envelope"])
def test_every_cut_of_a_golden_line_is_no_record(name):
    """Half a line holds no record, wherever it is cut, although parts of items look like records of the flat format."""
    for record in records_in(DATA / "golden" / f"{name}.jsonl"):
        for size in range(1, len(record)):
            assert is_entry(record[:size]) or wholes(record[:size], name) == []


@pytest.mark.parametrize("between", [b"", b"\0\0\0", b"  ", b"\r"], ids=["nothing", "NULs", "spaces", "CR"])
def test_records_with_anything_between_are_found(between):
    """Two whole records on one line are two, also with NULs or blanks between them."""
    one, two = packed(said("one")), packed(said("two"))

    assert wholes(one + between + two, "flat") == [one, two]


def test_items_inside_half_a_state_are_not_items_of_the_session():
    """A state may hold items. Where it was cut, they are parts of it and were not recorded."""
    state = packed({"record_type": "state", "draft": [said("one"), said("two"), {"a": said("three")}], "n": 1})

    assert wholes(state[:-8], "flat") == []
    assert wholes(state[:-8] + packed(ASKED), "flat") == [packed(ASKED)]


def test_a_record_after_a_state_that_was_cut_before_a_value_is_found():
    """Where a value could begin, a record at the end of the line is a record."""
    assert wholes(b'{"record_type":"state","draft":[' + packed(ASKED), "flat") == [packed(ASKED)]


def test_an_item_in_an_envelope_file_is_no_record():
    """There a record has a time and a payload; the items of a compaction are parts of it."""
    compacted = wrapped({"message": "", "replacement_history": [said("one"), said("two")]}, kind="compacted")

    assert wholes(compacted[:-5], "envelope") == []
    assert wholes(compacted[:-5] + wrapped(ASKED), "envelope") == [wrapped(ASKED)]


def test_text_that_looks_like_a_record_is_text():
    """A record inside a string has escaped quotes."""
    line = packed(said(packed(ASKED).decode()))

    assert wholes(line[:-4] + packed(ASKED), "flat") == [packed(ASKED)]


def test_a_cut_inside_a_character_hides_nothing():
    """The bytes of half a character are not UTF-8; the record after them is."""
    half = packed(ASKED)[: packed(ASKED).index("🏔".encode()) + 2]

    assert wholes(half + packed(ASKED), "flat") == [packed(ASKED)]


@pytest.mark.parametrize(
    "nested",
    [
        '{"type":',
        "[",
        '{"a":{"type":"x","b":',
        '{"type":"message"',
        '{"type":"message","role":"user",',
        '{"id":"',
        '{"id":}',
    ],
)
def test_a_line_that_begins_many_objects_is_split_in_reasonable_time(nested):
    """The work grows with the length of the line, also for a line made to be slow: it ends, and finds the record."""
    line = (nested * 100_000).encode()

    assert wholes(packed(ASKED) + line, "flat") == [packed(ASKED)]


def test_whole_metas_and_states_are_found():
    """All kinds of records are, besides items."""
    log = packed({"type": "log", "timestamp": "t", "level": "INFO", "logger": "a", "message": "m"})
    state = packed({"record_type": "state", "n": 1})

    assert wholes(b'{"id":"0198' + FLAT_META + state + log, "flat") == [FLAT_META, state, log]
    assert wholes(ENVELOPE_META + ENVELOPE_META[:-3], "envelope") == [ENVELOPE_META]


def test_an_item_of_an_unknown_kind_is_found_at_the_beginning_of_a_line():
    """Elsewhere it could be a part of half an item, whose parts have types, too."""
    missive = packed({"type": "missive", "text": json.dumps("x")})

    assert wholes(missive + packed(ASKED), "flat") == [missive, packed(ASKED)]
