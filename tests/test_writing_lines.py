"""Lines as bytes: how they are split into writes, and how a torn line is completed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolloutlog._writing.lines import chunks, first_line, longest, rest_of_character, skip_bytes

pytestmark = pytest.mark.system

SMALL = st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"") + b"\n"), max_size=20)


@given(SMALL, st.sampled_from([b"", b"\n", b"header\n"]), st.integers(1, 30))
def test_the_chunks_are_the_prefix_and_the_lines(lines, prefix, most):
    """Joined, they are the same bytes in the same order; none is empty, and none is too large for a write."""
    found = list(chunks(prefix, lines, most))

    assert b"".join(piece for chunk in found for piece in chunk) == prefix + b"".join(lines)
    assert all(0 < len(chunk) <= most for chunk in found)


@given(SMALL, st.data())
def test_skipped_bytes_are_the_first_ones(lines, data):
    """The rest of the lines, joined, is the rest of their bytes; no piece of it is empty."""
    stream = b"".join(lines)
    size = data.draw(st.integers(0, len(stream)))
    rest = skip_bytes(lines, size)

    assert b"".join(rest) == stream[size:]
    assert all(rest)


@given(SMALL.filter(bool), st.data())
def test_the_first_line_ends_with_its_newline(lines, data):
    """Also when an offset lies within it."""
    stream = b"".join(lines)
    size = data.draw(st.integers(0, len(stream) - 1))

    assert first_line(skip_bytes(lines, size)) == stream[size:].partition(b"\n")[0] + b"\n"


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.data())
def test_a_torn_character_is_made_whole(text, data):
    """Wherever UTF-8 text is cut, the rest makes it UTF-8 again; the rest is empty if no character was torn."""
    encoded = text.encode()
    cut = encoded[: data.draw(st.integers(1, len(encoded)))]

    rest = rest_of_character(cut[-4:])

    (cut + rest).decode()
    assert bool(rest) == (cut != cut.decode(errors="ignore").encode())


def test_what_never_was_utf8_gets_nothing():
    """Bytes that no continuation can complete are left as they are."""
    assert rest_of_character(b"\xff") == b""
    assert rest_of_character(b"ab\x80\x80") == b""


@given(SMALL)
def test_the_longest_line_is_found_among_many(lines):
    """Its newline is not counted."""
    assert longest(b"".join(lines)) == max((len(line) - 1 for line in lines), default=0)
