"""Search: each text that a person can read is found, on its line, and nothing else is; how it is shown."""

from __future__ import annotations

import json

import pytest
import snapshots
from commands import run
from damaged import ENVELOPE_META, FLAT_META, OTHER_SESSION, packed, said, wrapped, written
from fleet_corpus import NEEDLE, build
from hostile import HARMFUL
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rolloutlog
from rolloutlog._cli.search import _beginnings
from rolloutlog._face import search
from rolloutlog._face.found import snippet_for_terminal
from rolloutlog._face.search import Query
from rolloutlog._face.sessions import newest_first
from rolloutlog._face.widths import cells

pytestmark = pytest.mark.once


def call(command):
    """Return a call that wraps a command in a script, as the newest Codex does."""
    script = f"text(await tools.exec_command({json.dumps({'cmd': command})}));"
    return {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": script}


ITEMS = [
    said("Where is the Pilot Book? naïve 日本語 É"),
    said("# AGENTS.md instructions for /x\n<INSTRUCTIONS>pilot book</INSTRUCTIONS>"),
    {
        "type": "reasoning",
        "id": "r",
        "summary": [{"type": "summary_text", "text": "pilot book?"}],
        "encrypted_content": "pilot",
    },
    call('cat "pilot book.txt" | wc -l'),
    {"type": "custom_tool_call_output", "call_id": "c", "output": 'the pilot book\nhas "12" lines'},
    said("The pilot book is on the shelf.", "assistant"),
]
EVENT = wrapped({"type": "agent_message", "message": "The pilot book is on the shelf."}, kind="event_msg")
CONTENT = b"".join(line + b"\n" for line in [ENVELOPE_META, *map(wrapped, ITEMS), EVENT])


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home with one session."""
    monkeypatch.setenv("ROLLOUTLOG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    written(tmp_path, CONTENT)
    return tmp_path


def found(home, text, **options):
    """Return line and part of each hit."""
    path = next(home.rglob("*.jsonl"))
    return [(hit.line, hit.part) for hit in Query(text, **options).search(path)[0]]


def test_each_part_is_found_on_its_line(home):
    """Without the events that repeat items, and without instructions and encrypted text."""
    assert found(home, "pilot book") == [(2, "user"), (4, "reasoning"), (5, "call"), (6, "output"), (7, "assistant")]
    assert found(home, "pilot book", parts=frozenset({"call", "output"})) == [(5, "call"), (6, "output")]


@pytest.mark.parametrize(
    ("text", "case", "lines"),
    [
        ("Pilot Book", None, [2]),
        ("Pilot Book", False, [2, 4, 5, 6, 7]),
        ("pilot book", True, [4, 5, 6, 7]),
        ("É", None, [2]),
        ("é", None, [2]),
        ("日本", None, [2]),
        ("NAÏVE", False, [2]),
        ('"pilot', None, [5]),
        ('has "12"', None, [6]),
        ("book\nhas", None, [6]),
        ('"', None, [5, 6]),
        ("cat", None, [5]),
        ("exec_command", None, []),
        ("gAAA", None, []),
    ],
)
def test_capitals_quotes_and_other_alphabets(text, case, lines, home):
    """Capitals count if the text has any; escapes of JSON are undone before."""
    assert [line for line, _ in found(home, text, case=case)] == lines


@pytest.mark.parametrize("text", ["日本", "naïve", "é", "🏔"])
def test_escaped_text_is_found(text, home):
    """Some programs write all that is not ASCII as escapes."""
    line = json.dumps(said("naïve 日本語 É 🏔️")).encode()
    written(home, FLAT_META + b"\n" + line + b"\n")

    assert found(home, text) == [(2, "user")]
    assert found(home, text, case=True) == ([] if text == "é" else [(2, "user")])


def test_a_regular_expression_is_tried_on_the_text_of_each_item(home):
    """Not on the JSON."""
    assert found(home, r"^the pilot.*\n.*\d+", is_regex=True) == [(6, "output")]
    with pytest.raises(ValueError, match="not a regular expression"):
        Query("(", is_regex=True)


@pytest.mark.parametrize("most", [1, 7, 100, 1000])
def test_a_file_of_many_pieces_is_searched_like_one(most, home, monkeypatch):
    """A large file is read in pieces that end anywhere."""
    whole = found(home, "pilot book")
    monkeypatch.setattr(search, "_AT_ONCE", most)

    assert found(home, "pilot book") == whole


def test_just_the_sessions_that_say_it_are_found(tmp_path_factory):
    """In a home of all kinds of sessions, compressed and damaged ones among them."""
    pytest.importorskip("backports.zstd")
    home = tmp_path_factory.mktemp("fleet")
    truth = build(home, 150, mean=100)
    query = Query(NEEDLE)

    assert sorted({each.id for each in newest_first([home]) if query.search(each.path)[0]}) == truth.found


def test_log_entries_are_found(home):
    """The messages of a program's loggers."""
    with rolloutlog.session("ours") as session:
        session.log("the tide turned")

    assert json.loads(run("search", "tide turned", "--json").out)["in"] == "log"


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_best_matches_are_shown_with_their_lines(home):
    """A person's words come first; of more than three, the best are shown."""
    code, out, err = run("search", "pilot book", "-i", terminal=True)
    title, *hits, closing = out.splitlines()

    assert (code, err) == (0, "")
    assert title.startswith("1d2e3b4a  ")
    assert hits == [
        "     2 user       Where is the Pilot Book? naïve 日本語 É",
        "     7 assistant  The pilot book is on the shelf.",
        "     4 reasoning  pilot book?",
    ]
    assert closing.startswith("5 matches in 1 of 1 session, ")
    assert len(run("search", "pilot book", "--all", terminal=True).out.splitlines()) == 7


def test_a_long_line_is_cut_around_the_match(home):
    """So that the match is seen, at any width."""
    written(home, FLAT_META + b"\n" + packed(said("word " * 200 + "needle" + " word" * 200)) + b"\n")

    line = run("search", "needle", terminal=True).out.splitlines()[1]
    assert "needle" in line
    assert len(line) <= 80


@pytest.mark.parametrize("space", ["\n", "\r\n", "\t", "\u2028", " "])
def test_a_newline_beside_a_match_is_a_space(home, space):
    """Before it, after it and in it: no two words become one, in no form of the output."""
    text = f"alpha{space}needle one{space}two needle{space}omega"
    written(home, FLAT_META + b"\n" + packed(said(text)) + b"\n")

    for pattern, match in (("needle", "needle"), (r"one\s+two", "one two"), (r"needle\s+omega", "needle omega")):
        value = json.loads(run("search", "-e", pattern, "--json").out)
        assert (value["text"], value["match"]) == ("alpha needle one two needle omega", match)
        for terminal in (True, False):
            assert "alpha needle one two needle omega\n" in run("search", "-e", pattern, terminal=terminal).out


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.integers(20, 120),
    before=st.text("ab 日\n\t\u0301\x9b", max_size=300),
    match=st.sampled_from(["N", "Needle", "日本語", "N" * 60]),
    after=st.text("ab 日\n\t\u0301\x9b", max_size=300),
    number=st.sampled_from([2, 1_234_567]),
    part=st.sampled_from(search.PARTS),
)
def test_a_match_is_seen_at_every_width(home, width, before, match, after, number, part):
    """The whole of it if there is room, else its beginning; no line is too wide, and no ellipsis comes twice."""
    hit = search.Hit(number, part, before + match + after, len(before), len(before) + len(match))
    begin = _beginnings([hit], width)[0]
    room = width - len(begin)

    pieces = snippet_for_terminal(hit, room)
    line = begin + "".join(pieces)

    assert cells(line) <= width
    assert "……" not in line
    assert pieces[1] == (match if cells(match) <= room else match[: room - 1] + "…")


@pytest.mark.parametrize("columns", [20, 30, 40, 60, 80, 120])
def test_each_line_of_a_search_fits_the_terminal(home, monkeypatch, columns):
    """The heading and the closing line as well."""
    monkeypatch.setenv("COLUMNS", str(columns))
    written(home, FLAT_META + b"\n" + packed(said("what about the day " * 20 + "in Oslo" + " word" * 200)) + b"\n")

    lines = run("search", "Oslo", terminal=True).out.splitlines()

    assert "Oslo" in lines[1]
    assert max(map(cells, lines)) <= columns


def test_a_search_looks_as_it_was_looked_at(home, monkeypatch):
    """At 120 columns: each match after its line and its part. The closing line differs: it says how long it took."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TZ", "UTC")

    shown, _, closing = run("search", "pilot book", "--all", terminal=True).out.removesuffix("\n").rpartition("\n")

    snapshots.check("search-120.txt", f"{shown}\n")
    assert closing.startswith("5 matches in 1 of 1 session, ")


def test_nothing_found_exits_with_1(home):
    """As grep does."""
    assert run("search", "nothing like that").code == 1
    assert run("search", "pilot", "--in", "log").code == 1


def test_in_a_pipe_and_as_json(home):
    """One line for each match."""
    assert run("search", "shelf").out.split("\t")[1:] == ["7", "assistant", "…pilot book is on the shelf.\n"]
    value = json.loads(run("search", "SHELF", "-i", "--json").out)
    assert list(value) == ["id", "name", "path", "line", "in", "text", "match"]
    assert (value["line"], value["match"]) == (7, "shelf")


def test_sessions_can_be_named_and_their_number_limited(home):
    """The newest come first."""
    other = written(home, CONTENT, name=f"rollout-2025-07-24T15-03-26-{OTHER_SESSION}.jsonl")

    assert len(run("search", "shelf").out.splitlines()) == 2
    assert len(run("search", "shelf", "-n", "1").out.splitlines()) == 1
    assert len(run("search", "shelf", other).out.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["x", "-s", "-i"], ["x", "--in", "nowhere"], [""], ["(", "-e"], []])
def test_wrong_use_exits_with_2(arguments):
    """And says what was expected."""
    assert run("search", *arguments).code == 2


def test_what_is_found_is_safe_to_show(home):
    """It is text of strangers."""
    written(home, FLAT_META + b"\n" + packed(said("\x1b]0;owned\x07 needle\u202e \x9b2J [red]x")) + b"\n")

    for options in ([], ["--json"]):
        for terminal in (True, False):
            assert not HARMFUL.search(run("search", "needle", *options, terminal=terminal).out)
