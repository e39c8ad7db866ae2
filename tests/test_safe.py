"""The neutraliser: attacks lose their teeth, texts of people stay as they are, and no text takes long."""

from __future__ import annotations

from html import unescape

import hostile
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rolloutlog import load_session
from rolloutlog._face.safe import boxed, for_html, for_markup, for_terminal, joinable, one_line, pieces_for_terminal

pytestmark = pytest.mark.once

ATTACKS = {**hostile.TEXTS, **hostile.LONG}


def by_markup(text: str) -> str:
    """Return *text* as a renderer that changes nothing would hand it on."""
    return boxed(for_markup(text))


WAYS = pytest.mark.parametrize("way", [for_terminal, for_html, by_markup, boxed])


ODD = st.characters() | st.sampled_from("\x1b[31m\r\n\u0301\u200d\u202e\ud800&<")


@WAYS
@pytest.mark.parametrize("name", hostile.TEXTS)
def test_no_attack_passes(name, way):
    """No control, bidi, invisible or tag character, half of a pair or heap of marks is left."""
    assert hostile.harm_in(way(hostile.TEXTS[name])) == []


@WAYS
@pytest.mark.parametrize("name", hostile.LONG)
def test_the_time_grows_with_the_length_only(name, way):
    """The worst texts take part of a second, and nothing of an attack is left; if it were quadratic, many minutes."""
    assert hostile.harm_in(way(hostile.LONG[name][:250_000])) == []


@WAYS
@pytest.mark.parametrize("name", sorted(hostile.HARMLESS.keys() - {"signs"}))
def test_text_of_people_stays_as_it_is(name, way):
    """Scripts, emoji, joiners and drawings pass unchanged."""
    text = hostile.HARMLESS[name]

    assert way(text) == text


@given(st.text(ODD, max_size=60))
def test_no_text_passes_with_harm(text):
    """Whatever the text: the outputs hold nothing harmful, and a second run changes nothing more."""
    shown = for_terminal(text)

    assert hostile.harm_in(shown) == hostile.harm_in(for_html(text)) == hostile.harm_in(by_markup(text)) == []
    assert for_terminal(shown) == shown


@given(st.lists(st.text(ODD | st.sampled_from("a\u0301\u0310"), max_size=20), max_size=4))
def test_pieces_of_a_text_are_harmless_together(pieces):
    """As around a match of a search. Only marks are left out, and none if they are few."""
    for way in (for_terminal, for_html):
        shown = [way(piece) for piece in pieces]
        joined = "".join(joinable(shown))

        assert hostile.harm_in(joined) == []
        assert joined == "".join(shown) or hostile.harm_in("".join(shown))


@pytest.mark.parametrize(
    ("pieces", "joined"),
    [
        (["a" + 8 * "\u0301", "\u0301", "b"], ["a" + 8 * "\u0301", "", "b"]),
        (["a" + 5 * "\u0301", 3 * "\u0301", "\u0301b"], ["a" + 5 * "\u0301", 3 * "\u0301", "b"]),
        (["a" + 5 * "\u0301", "b\u0301", 7 * "\u0301"], ["a" + 5 * "\u0301", "b\u0301", 7 * "\u0301"]),
    ],
)
def test_marks_at_the_beginning_of_a_piece_count_with_those_before(pieces, joined):
    """Eight marks on one letter are shown, also where the letter is in another piece."""
    assert joinable(pieces) == joined


@WAYS
@given(st.text(ODD, max_size=60))
def test_a_text_is_shown_as_it_is_within_a_longer_one(way, text):
    """The quick look at a whole text misses nothing that the look at each of its characters would find."""
    assert way("\x07" + text) == way("\x07") + way(text)


@WAYS
def test_marks_of_many_letters_are_no_heap(way):
    """Letters that are written with a mark each stay as they are, however many they are."""
    text = "e\u0301 " * 20

    assert way(text) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Cn", "Co", "Mn", "Me"]), max_size=60))
def test_letters_and_signs_stay(text):
    """A text without control, format and combining characters stays as it is; on a page it is escaped."""
    kept = "".join(char for char in text if not hostile.HARMFUL.match(char))

    assert for_terminal(kept) == kept
    assert unescape(for_html(kept)) == kept


@pytest.mark.parametrize(
    ("text", "terminal", "page"),
    [
        ("\x00\x1b\x7f", "␀␛␡", "[NUL][ESC][DEL]"),
        ("\x9b2J", "\\x9b2J", "[U+009B]2J"),
        ("\u202etxt", "<U+202E>txt", "[U+202E]txt"),
        ("\U000e0041", "<U+E0041>", "[U+E0041]"),
        ("\ud800", "\ufffd", "[U+D800]"),
        ("a\r\nb\rc", "a\nb␍c", "a\nb[CR]c"),
        ("\x1b[1;31mred\x1b[0m", "red", "red"),
        ("a" + "\u0301" * 10 + "b", "a" + "\u0301" * 8 + "<+2 marks>b", "a" + "\u0301" * 8 + "[+2 marks]b"),
        ("a\u0301" + "\u200d" * 9, "a\u0301" + "\u200d" * 7 + "<+2 marks>", "a\u0301" + "\u200d" * 7 + "[+2 marks]"),
    ],
)
def test_each_row_of_the_table(text, terminal, page):
    """The signs in a terminal and the boxes on a page are those of the table."""
    boxes = for_html(text).replace('<span class="ctl">', "[").replace("</span>", "]")

    assert (for_terminal(text), boxes) == (terminal, page)
    assert by_markup(text) == for_html(text)


def test_removed_colours_leave_no_new_escape_together():
    """Text that becomes an escape once colours were dropped from it is neutralised, too."""
    assert for_terminal("\x1b\x1b[0m[2J") == "␛[2J"
    assert for_terminal("\x1b[3\x1b[31m1m") == "␛[31m"


def test_a_text_cannot_forge_a_box():
    """The signs that mark the place of a box are odd themselves, so a text that holds them gets boxes for them."""
    assert by_markup("\ufdd0ESC\ufdd1") == '<span class="ctl">U+FDD0</span>ESC<span class="ctl">U+FDD1</span>'


def test_what_a_renderer_decodes_is_boxed():
    """A character that a renderer of Markdown made of an entity gets a box afterwards."""
    assert boxed("<p>a\x1b\u202e</p>") == '<p>a<span class="ctl">ESC</span><span class="ctl">U+202E</span></p>'


def test_pieces_say_what_was_replaced():
    """A terminal can show the signs as signs, because the text may hold the same characters itself."""
    assert list(pieces_for_terminal("␛\x1b")) == [("␛", False), ("␛", True)]


@pytest.mark.parametrize("name", ATTACKS)
def test_one_line_is_one_line(name):
    """A title has no newline and is no longer than asked."""
    title = one_line(ATTACKS[name], 80)

    assert "\n" not in title
    assert len(title) <= 80


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_the_hostile_session_can_be_read(format, tmp_path):
    """The corpus as a file is a session, so that tests of outputs test the outputs: most of its lines are read."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file(format))

    saved = load_session(path)

    assert saved.format == format
    assert len(saved.items) > 20 * len(hostile.TEXTS)
    assert {line.reason for line in saved.skipped} >= {"is not JSON", "message.role: must be a string; got int"}
