"""Heads: the facts about a session that its first and last bytes tell, however large or damaged the file is."""

from __future__ import annotations

import datetime as dt

import pytest
from test_reader import GOLDEN, REAL
from test_view import CHILD, ENVIRONMENT, LATER, PARENT, WHEN, line, meta, model, needs_zstd, user, zstd

import rolloutlog
from rolloutlog import load_session
from rolloutlog._face import heads
from rolloutlog._face.heads import read_head
from rolloutlog._face.titles import as_typed, is_added, sentence, title_of

pytestmark = pytest.mark.once

BEGAN = dt.datetime.fromisoformat(WHEN)


@pytest.fixture
def write(tmp_path):
    """Return a function that puts lines into a file and returns its path."""

    def put(*lines, name=f"rollout-2025-07-23T15-03-26-{PARENT}.jsonl"):
        path = tmp_path / name
        path.write_bytes(b"".join(lines))
        return path

    return put


def test_a_head_tells_what_the_session_is(write):
    """Who wrote it where and with which model, what was said first, and when it began and ended."""
    context = line("turn_context", {"cwd": "/y", "model": "gpt-5"})

    found = read_head(write(meta(PARENT), context, user(ENVIRONMENT), user("## Fix\nit"), model("ok", LATER)))

    assert (found.id, found.short_id, found.title, found.format) == (PARENT, PARENT[-8:], "Fix it", "envelope")
    assert (found.model, found.cwd, found.program) == ("gpt-5", "/y", "codex 1")
    assert (found.began, found.ended) == (BEGAN, dt.datetime.fromisoformat(LATER))
    assert (found.is_torn, found.faults, found.is_empty) == (False, 0, False)


def test_a_session_of_ours_has_its_name(tmp_path):
    """It is in the first line."""
    with rolloutlog.session("trip-to-rome", home=tmp_path) as session:
        session.record({"role": "user", "content": "Plan a day"})
        path = session.path

    assert (read_head(path).name, read_head(path).title) == ("trip-to-rome", "Plan a day")


@pytest.mark.parametrize("size", [10, 70_000, 600_000])
def test_only_the_first_and_last_bytes_are_read(write, size):
    """The time of the last line is found after very many others, also where it is long."""
    path = write(meta(PARENT), user("hello"), *[model("x" * 100)] * (size // 200), model("y" * (size // 100), LATER))

    found = read_head(path)

    assert (found.title, found.ended, found.size) == ("hello", dt.datetime.fromisoformat(LATER), path.stat().st_size)


def test_a_title_is_found_after_many_instructions(write):
    """The newest Codex writes 85 kB of them before the first words of a person."""
    rules = {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x" * 50_000}]}

    found = read_head(write(meta(PARENT), *[line("response_item", rules)] * 3, user("hello")))

    assert found.title == "hello"


def test_no_title_is_looked_for_in_all_of_a_large_file(write, monkeypatch):
    """A list stays quick."""
    monkeypatch.setattr(heads, "_MOST", 128 * 1024)
    path = write(meta(PARENT), *[model("x" * 1000)] * 200, user("too late"), *[model("x" * 1000)] * 10)

    assert read_head(path).title == ""


@pytest.mark.parametrize(
    ("lines", "torn", "faults", "empty"),
    [
        ([meta(PARENT), user("a"), user("b")[:-9]], True, 0, False),
        ([meta(PARENT), user("a"), user("b")[:-1]], False, 0, False),
        ([meta(PARENT), b"{bad\n", user("a"), b"\0\0\n"], False, 2, False),
        ([meta(PARENT)], False, 0, True),
        ([meta(PARENT)[:-20]], True, 0, True),
        ([b""], False, 0, True),
        ([b"\n\n"], False, 0, True),
        ([meta(PARENT), user("a"), *[model("b")] * 3000, b"{bad\n", user("c")[:30]], True, 1, False),
        ([b"\xff\x00\n\x80junk\n{x"], False, 3, True),
        ([b"\xff\x00junk"], False, 1, True),
    ],
    ids=[
        "torn",
        "without its newline",
        "two bad",
        "only a meta",
        "a torn meta",
        "no bytes",
        "blank",
        "bad at the end",
        "junk",
        "junk without a newline",
    ],
)
def test_a_head_tells_damage(write, lines, torn, faults, empty):
    """As far as it was read."""
    found = read_head(write(*lines))

    assert (found.is_torn, found.faults, found.is_empty) == (torn, faults, empty)


def test_a_file_without_a_meta_is_known_by_its_name(write):
    """Id and time are in the name of the file; a file of any other name is its own id."""
    named, other = read_head(write(user("a"))), read_head(write(user("a"), name="x.jsonl"))

    assert (named.id, named.began, named.meta) == (PARENT, BEGAN, None)
    assert (other.id, other.began) == ("x.jsonl", None)


def test_a_fork_and_a_sub_agent_name_their_parent(write):
    """A list shows them after it."""
    fork = read_head(write(meta(CHILD, forked_from_id=PARENT), user("a")))
    source = {"subagent": {"thread_spawn": {"parent_thread_id": PARENT}}}
    agent = read_head(write(meta(CHILD, source=source), user("a")))

    assert (fork.parent_id, fork.is_sub_agent) == (PARENT, False)
    assert (agent.parent_id, agent.is_sub_agent) == (PARENT, True)


@needs_zstd
def test_a_compressed_session_has_a_head(write):
    """Its end is not read, because all of it would have to be decompressed."""
    path = write(zstd.compress(meta(PARENT) + user("hello") + model("b")), name="x.jsonl.zst")

    found = read_head(path)

    assert (found.title, found.is_compressed, found.is_torn) == ("hello", True, False)


@pytest.mark.parametrize("path", [*REAL, *GOLDEN], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_head_agrees_with_the_loaded_session(path):
    """On every real file."""
    found, saved = read_head(path), load_session(path)

    assert (found.id, found.format, found.began) == (saved.session_id, saved.format, saved.session.started)
    assert found.is_empty == (not saved.items)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Fix\n\n- **the** `table`, see [docs](http://x.invalid/a)", "Fix the table, see docs"),
        ("> quoted\n1. one", "quoted one"),
        ("```python\nx = 1\n```\nwhy?", "x = 1 why?"),
        ("# Context from my IDE setup:\n\n## Open tabs:\n- a.py\n\n## My request for Codex:\nFix it", "Fix it"),
        ("日本語のログも", "日本語のログも"),
        ("snake_case and 2 * 3 * 4", "snake_case and 2 * 3 * 4"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_a_title_has_no_marks_of_markdown(text, title):
    """One line, as a person would say it."""
    assert title_of(text) == title


# As Claude Code writes them.
COMPACT = (
    "<command-name>/compact</command-name>\n            <command-message>compact</command-message>\n"
    "            <command-args>keep the tests</command-args>"
)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (COMPACT, "/compact keep the tests"),
        ("<command-message>init is running…</command-message>\n<command-name>/init</command-name>", "/init"),
        ("<bash-input>git log</bash-input>", "! git log"),
        ("<local-command-stdout>Compacted</local-command-stdout>", ""),
        ("<bash-stdout>a</bash-stdout><bash-stderr></bash-stderr>", ""),
        ("Why <command-name>/x</command-name>?", "Why <command-name>/x</command-name>?"),
        ("<command-name>/x</command-name> tell me", "<command-name>/x</command-name> tell me"),
        ("<command-name>/x", "<command-name>/x"),
    ],
)
def test_a_noted_command_is_shown_as_it_was_typed(text, typed):
    """Claude Code puts tags around commands and their outputs; a text with more in it is a person's."""
    assert as_typed(text) == typed
    assert is_added(text) == (typed == "")


def test_a_command_is_a_title_only_where_nothing_better_was_said(write):
    """A command of the program does not say what a session is about."""
    named = user("<command-name>/compact</command-name>")

    assert read_head(write(meta(PARENT), named)).title == "/compact"
    assert read_head(write(meta(PARENT), named, user("Repair the tide table"))).title == "Repair the tide table"


@pytest.mark.parametrize(
    ("title", "first"),
    [
        ("The tide table skips a high water. Find out why.", "The tide table skips a high water"),
        ("Why does it need two runs? Tell me.", "Why does it need two runs?"),
        ("See e.g. the table of 2.5 tides and more", "See e.g. the table of 2.5 tides and more"),
        ("No. 5 is wrong", "No. 5 is wrong"),
        ("日本語のログも見てください。次に", "日本語のログも見てください"),
    ],
)
def test_a_heading_is_the_first_sentence(title, first):
    """Without its full stop; an abbreviation at the beginning does not end it."""
    assert sentence(title) == first
