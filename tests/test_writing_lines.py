"""Lines as bytes: how they are portioned for writing, and how a line that was torn is ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolloutlog._writing.lines import after, chunks, longest, rest_of_character, standing

pytestmark = pytest.mark.system

SMALL = st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"") + b"\n"), max_size=20)


@given(SMALL, st.sampled_from([b"", b"\n", b"header\n"]), st.integers(1, 30))
def test_the_chunks_are_the_prefix_and_the_lines(lines, prefix, most):
    """Joined again, they give the same bytes in the same order; none is empty, and none too large for a write."""
    found = list(chunks(prefix, lines, most))

    assert b"".join(piece for chunk in found for piece in chunk) == prefix + b"".join(lines)
    assert all(0 < len(chunk) <= most for chunk in found)


@given(SMALL, st.data())
def test_after_and_standing_cut_the_same_bytes(lines, data):
    """`after` leaves what lies behind an offset; `standing` ends with the last line before it, wherever that stands."""
    stream = b"".join(lines)
    size = data.draw(st.integers(0, len(stream)))
    others = data.draw(st.lists(st.just(b"somebody else\n"), min_size=len(lines), max_size=len(lines)))
    mixed = b"torn\n" + b"".join(piece for both in zip(others, lines, strict=True) for piece in both)

    assert b"".join(after(lines, size)) == stream[size:]
    assert standing(lines, size, mixed) == stream[:size].rfind(b"\n") + 1


@pytest.mark.parametrize(
    ("text", "number"),
    [(b"", 0), (b"b\nc\n", 0), (b"a\nc\n", 1), (b"xa\nb\n", 0), (b"xa\na\nxb\n", 1), (b"a\nb\nc", 2)],
)
def test_only_lines_that_are_whole_and_in_order_stand(text, number):
    """What is glued, torn or missing ends the count: from there on nothing counts as standing."""
    assert standing([b"a\nb\n", b"c\n"], 6, text) == 2 * number


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.data())
def test_a_torn_character_is_made_whole(text, data):
    """Wherever UTF-8 text is cut, what is added makes it UTF-8 again; nothing is added where no character was torn."""
    encoded = text.encode()
    cut = encoded[: data.draw(st.integers(1, len(encoded)))]

    rest = rest_of_character(cut[-4:])

    (cut + rest).decode()
    assert bool(rest) == (cut != cut.decode(errors="ignore").encode())


def test_what_never_was_utf8_gets_nothing():
    """Bytes that no continuation can mend are left as they are."""
    assert rest_of_character(b"\xff") == b""
    assert rest_of_character(b"ab\x80\x80") == b""


@given(SMALL)
def test_the_longest_line_is_found_among_many(lines):
    """Its newline is not counted."""
    assert longest(b"".join(lines)) == max((len(line) - 1 for line in lines), default=0)
