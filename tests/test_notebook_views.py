"""The views of a notebook: what they show, that they stay small and harmless, and a real kernel."""

from __future__ import annotations

import errno
import logging
import re

import ferry
import hostile
import pytest
from helpers import DEADLINE
from test_page import Elements

import rolloutlog
from rolloutlog import RolloutHandler, RolloutRecorder, load_session
from rolloutlog._face import notebook
from rolloutlog._writing.commands import RecorderStats, State

pytestmark = pytest.mark.extras

ELEMENTS = frozenset("div style b span details summary pre p".split())  # noqa: SIM905


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return load_session(ferry.ferry(tmp_path_factory.mktemp("notebook")))


def texts(html: str) -> str:
    """Return the text of *html* without its style, with blanks between the pieces."""
    return " ".join(Elements(re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)).texts)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_a_saved_session_shows_its_first_and_its_last_items(saved):
    """A line of facts, nine items, a fold, two items; the numbers are indexes of `saved.items`."""
    html = saved._repr_html_()

    shown = texts(html)
    assert "c29e6aa0" in shown
    assert [fact in shown for fact in ("32 items", "3 turns", "9 calls", "1 failed")] == [True] * 4
    rows = re.findall(r'<summary class="i(?: u)?"><span>(\d+)</span><span class="d">(\w+)</span>', html)
    assert rows[0] == ("3", "user")
    assert [int(number) for number, _ in rows] == [*range(3, 12), 30, 31]
    assert all(saved.items[int(number)].type == "message" for number, kind in rows if kind in ("user", "assistant"))
    assert "18 more items 12 to 29" in shown
    assert "$ python3 -m unittest 2>&1 | tail -40" in shown
    assert "exit 1" in shown


def test_a_short_session_has_no_fold(tmp_path):
    """Up to twelve items are rows of their own."""
    with rolloutlog.session("short", home=tmp_path) as session:
        session.record(*({"role": "user", "content": f"number {index}"} for index in range(12)))

    html = load_session(session.path)._repr_html_()

    assert "more" not in texts(html)
    assert "number 11" in texts(html)


def test_lines_that_cannot_be_read_are_told(tmp_path):
    """In red."""
    path = ferry.ferry(tmp_path)
    path.write_bytes(path.read_bytes() + b"oops\n")

    assert '<span class="b" dir="auto">1 line cannot be read</span>' in load_session(path)._repr_html_()


def test_an_item_shows_its_kind_its_facts_and_its_text(saved):
    """The facts of an output are red where it failed."""
    short = next(item for item in saved.items if item.type == "message" and item.text.startswith("I'll read"))
    failed = next(item for item in saved.items if "FAILED (failures=1)" in item.text)

    assert texts(short._repr_html_()) == "Message assistant I'll read the code and run the tests first."
    assert "exit 1" in texts(failed._repr_html_())


@pytest.mark.parametrize("count", [1, 10, 11, 13])
def test_an_item_shows_the_first_ten_lines(count):
    """The others are in a fold, which says how many they are."""
    lines = [f"line {number:02}" for number in range(count)]

    html = rolloutlog.Message.user("\n".join(lines) + "\n")._repr_html_()

    seen, fold, folded = html.partition("<details>")
    assert re.findall(r"line \d\d", seen) == lines[:10]
    assert re.findall(r"line \d\d", folded) == lines[10:]
    more = count - 10
    assert bool(fold) == (more > 0)
    assert (f"▸ {more} more line{'' if more == 1 else 's'}<" in folded) == (more > 0)


def test_a_recorder_tells_its_state_in_words(tmp_path):
    """Recording, then closed; with counts and the path."""
    recorder = RolloutRecorder.create(tmp_path)
    recorder.record({"role": "user", "content": "hello"})
    recorder.flush()
    recording = texts(recorder._repr_html_())
    recorder.close()

    assert "RolloutRecorder recording 1 written 0 waiting 0 dropped" in recording
    assert recorder.path.name in recording
    assert "closed" in texts(recorder._repr_html_())


class Troubled:
    """A recorder whose disk is full, as the view sees it."""

    stats = RecorderStats(142, 128, 14, error=OSError(errno.ENOSPC, "No space left on device"))
    lifecycle = State.OPEN

    def __init__(self, path):
        self.path = path


def test_trouble_is_red_and_says_what_to_do(tmp_path):
    """The reason, how many records wait, and that they are not lost."""
    html = notebook.recorder(Troubled(tmp_path / "a.jsonl"))

    assert '<span class="b" dir="auto">not writing: no space left on device</span>' in html
    assert '<span class="b" dir="auto">14 waiting</span>' in html
    assert "flush() raises until then" in html


def test_a_session_shows_its_name_and_its_last_items(tmp_path):
    """The items that were said last are the ones that a person looks for."""
    with rolloutlog.session("trip", home=tmp_path) as session:
        session.record(*({"role": "user", "content": f"number {index}"} for index in range(30)))
        shown = texts(session._repr_html_())

    assert "Session trip 30 items recording 30 written" in shown
    assert "number 29" in shown
    assert "number 12" not in shown


def test_a_handler_shows_its_session(tmp_path):
    """Before the first record, that there is none yet."""
    handler = RolloutHandler(home=tmp_path, level=logging.INFO)
    before = texts(handler._repr_html_())
    handler.handle(logging.LogRecord("a", logging.INFO, "a.py", 1, "hello", None, None))
    handler.flush()
    after = texts(handler._repr_html_())
    handler.close()

    assert "RolloutHandler INFO no session yet" in before
    assert "RolloutHandler INFO recording 1 written" in after


def test_the_plain_repr_is_as_before(saved):
    """The view does not change what a terminal shows."""
    assert repr(saved) == f"SavedSession('{ferry.ID}', 32 items)"


# --- size and safety --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["flat", "envelope"])
@pytest.mark.slow
def test_a_hostile_session_has_a_small_and_harmless_view(format, tmp_path):
    """At most 40 kB, no element of a text, no harmful character; so has each of its items."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file(format))
    saved = load_session(path)

    for html in (saved._repr_html_(), *(item._repr_html_() for item in saved.items)):
        assert hostile.harm_in(html) == []
        assert len(html.encode()) <= notebook.LARGEST
    assert set(Elements(saved._repr_html_()).tags) <= ELEMENTS


@pytest.mark.parametrize("name", hostile.LONG)
@pytest.mark.slow
def test_a_session_of_long_texts_has_a_small_view(name, tmp_path):
    """Twenty items of a megabyte each, of the characters that grow most."""
    text = hostile.LONG[name]
    with rolloutlog.session("long", home=tmp_path) as session:
        session.record(*({"role": "user", "content": text} for _ in range(20)))

    html = load_session(session.path)._repr_html_()

    assert len(html.encode()) <= notebook.LARGEST
    assert set(Elements(html).tags) <= ELEMENTS


def test_attributes_are_ours(saved):
    """No attribute holds a text of the file."""
    html = saved._repr_html_() + "".join(item._repr_html_() for item in saved.items)

    assert {(name, value) for _, name, value in Elements(html).attributes} == {
        *(("class", value) for value in ("rl", "h", "d", "b", "t", "i", "i u", "i d")),
        ("dir", "auto"),
    }


# --- a real kernel ----------------------------------------------------------------------------------------------------

CELL = """
import rolloutlog
with rolloutlog.session("kernel") as session:
    session.record({"role": "user", "content": "Plan a day in Rome"})
display(session, session.recorder, rolloutlog.load_session(session.path), session.items[0])
"""


def test_a_real_kernel_shows_the_views(home, monkeypatch, tmp_path):
    """Each value has its HTML beside its plain text."""
    nbclient = pytest.importorskip("nbclient", reason="the dependency group `notebook` is not installed")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])

    nbclient.NotebookClient(book, timeout=DEADLINE, kernel_name="python3", shutdown_kernel="immediate").execute()

    outputs = [output["data"] for output in book.cells[0].outputs]
    assert [texts(data["text/html"]).split()[0] for data in outputs] == [
        "Session",
        "RolloutRecorder",
        "SavedSession",
        "Message",
    ]
    assert "Plan a day in Rome" in texts(outputs[2]["text/html"])
    assert all("text/plain" in data for data in outputs)
