"""Lines of Markdown for a terminal and a document: code, bold words and headings, however odd the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolloutlog._face.document import prose
from rolloutlog._face.line import styled
from rolloutlog._face.ticks import code_in

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("**Go** and `ls`", (("Go", "bold"), (" and ", ""), ("ls", "code"))),
        ("**Run `ls` now**", (("Run ls now", "bold"),)),
        ("`**a**` b", (("**a**", "code"), (" b", ""))),
        ("``a`b`` c", (("a`b", "code"), (" c", ""))),
        ("`` ` `` `", ((" ` ", "code"), (" `", ""))),
        ("a `b", (("a `b", ""),)),
        ("a ** b ** c", (("a ** b ** c", ""),)),
        ("**a **b**", (("a **b", "bold"),)),
        ("**a", (("**a", ""),)),
        ("# Plan", (("Plan", "bold"),)),
        ("## The `a` of **b** ##", (("The a of b", "bold"),)),
        ("# C#", (("C#", "bold"),)),
        ("# #", (("#", "bold"),)),
        ("#plan", (("#plan", ""),)),
    ],
)
def test_a_line_is_styled(text, pieces):
    """Marks without an end are text."""
    assert styled(text) == pieces


@given(st.text("`a* ", max_size=30))
def test_code_ends_at_the_next_row_of_as_many_ticks(line):
    """For each row of ticks; the answer is that of a plain search."""
    expected = {}
    rows = [(at, len(row)) for at, row in _rows(line)]
    for index, (start, length) in enumerate(rows):
        ends = [at for at, other in rows[index + 1 :] if other == length]
        if ends:
            expected[start] = (start + length, ends[0])

    assert list(code_in(line).items()) == list(expected.items())


def _rows(line):
    at = 0
    while at < len(line):
        row = len(line[at:]) - len(line[at:].lstrip("`"))
        if row:
            yield at, "`" * row
        at += row or 1


@given(st.text("`a*# ", max_size=30))
def test_no_word_of_a_line_is_lost(line):
    """Only marks may be missing."""
    assert "".join(text for text, _ in styled(line)).count("a") == line.count("a")


LONG = {
    "ticks": "`" * 200_000,
    "rows": "".join("`" * length + " " for length in range(1, 600)),
    "rows twice": "".join("`" * length + " " for length in range(1, 400)) * 2,
    "bold": "**a " * 50_000,
    "stars": "*" * 200_000,
    "a heading with blanks": "# a" + " " * 200_000 + "x",
    "a heading with signs": "#" + " #" * 100_000 + "x",
}


@pytest.mark.parametrize("name", LONG)
def test_the_time_grows_with_the_length_only(name):
    """Each takes part of a second; if the time grew with the square, many minutes."""
    text = LONG[name]

    assert "".join(piece for piece, _ in styled(text)).count("a") == text.count("a")
    assert prose(text)
