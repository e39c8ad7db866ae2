"""The page of a session: its parts, its cuts, and that nothing on it can run, no matter which texts a session holds."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import ferry
import hostile
import pytest

pytest.importorskip("nh3", reason="the extra `cli` is not installed")
pytest.importorskip("jinja2")

from rolloutlog._face.cuts import Pictures, cut
from rolloutlog._face.entries import DEPTHS
from rolloutlog._face.markup import diff, is_diff, markdown
from rolloutlog._face.page import Options, page
from rolloutlog._face.transcript import Transcript

pytestmark = pytest.mark.extras

# Each element and attribute that a page may have; all others would be from a session.
_NAMES = """html head meta title style body a div header p h1 dl dt dd nav details summary ol ul li span small b main
    input label section h2 h3 h4 article em strong s i code pre time img footer br hr blockquote table thead tbody tr
    th td"""
_ATTRIBUTE_NAMES = """lang charset http-equiv content name class id dir href title aria-label aria-labelledby type for
    tabindex open src alt datetime rel start"""
ELEMENTS, ATTRIBUTES = frozenset(_NAMES.split()), frozenset(_ATTRIBUTE_NAMES.split())


class Elements(HTMLParser):
    """The elements of a page: their names, their attributes, and the texts in them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value or "" for _, found, value in self.attributes if found == name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def shown(folder) -> str:
    return page(Transcript(ferry.ferry(folder)))


def page_of(folder: Path, data: bytes, name: str = hostile.FILE_NAME, **options: object) -> str:
    path = folder / name
    path.write_bytes(data)
    return page(Transcript(path), Options(**options))  # type: ignore[arg-type]


# --- safety -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["flat", "envelope"])
@pytest.mark.parametrize("depth", ["tools", "all"])
@pytest.mark.slow
def test_a_hostile_session_makes_a_harmless_page(format, depth, tmp_path):
    """No element, attribute, link, style or character of an attack is on the page, at any place."""
    data = hostile.session_file(format, with_long=depth == "tools")

    html = page_of(tmp_path, data, depth=depth)

    assert hostile.harm_in(html) == []
    elements = Elements(html)
    assert set(elements.tags) <= ELEMENTS
    assert {name for _, name, _ in elements.attributes} <= ATTRIBUTES
    for name in ("id", "for", "aria-labelledby", "class"):
        assert all(re.fullmatch(r"[LTHP\w -]*", value) for value in elements.values(name))
    assert all(re.match(r"#[LTP]P?\d+$|#main$|https?://|mailto:", value) for value in elements.values("href"))
    assert all(value.startswith("data:image/") for value in elements.values("src"))
    assert elements.tags.count("style") == elements.tags.count("title") == elements.tags.count("h1") == 1


@pytest.mark.slow
def test_a_hostile_file_name_is_harmless(tmp_path):
    """The name of the file is text of a stranger, too."""
    html = page_of(tmp_path, hostile.session_file("flat", with_long=False), hostile.HOSTILE_FILE_NAME.replace("/", ""))

    assert hostile.harm_in(html) == []
    assert set(Elements(html).tags) <= ELEMENTS


def test_the_policy_allows_only_the_style_of_the_page(shown):
    """Scripts and requests are forbidden; the style is allowed by its hash."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', shown)
    style = re.search(r"<style>(.*?)</style>", shown, re.DOTALL)
    assert policy is not None
    assert style is not None

    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()

    assert unescape(policy[1]) == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert "<script" not in shown


@pytest.mark.parametrize("name", sorted(name for name in hostile.TEXTS if name.startswith(("link", "markdown"))))
def test_markdown_of_attacks(name):
    """Rendered Markdown has links to http, https and mailto alone, and no picture."""
    elements = Elements(markdown(hostile.TEXTS[name]))

    assert set(elements.tags) <= ELEMENTS - {"img", "style", "script"}
    assert all(re.match(r"(https?://|mailto:|#)[!-~]*$", value) for value in elements.values("href"))
    assert not any("@" in value for value in elements.values("href"))


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [
        (ferry.picture(), True),
        ("https://example.org/a.png", False),
        ("data:image/svg+xml;base64,PHN2Zz4=", False),
        ("data:image/png;base64,PHN2Zz4=", False),
        ('data:image/png;base64,iVBORw0KGgo=" onerror="alert(1)', False),
        ("data:image/png;base64,iVBORw0KGgo" + "A" * 1_000_000, False),
        (None, False),
    ],
)
def test_only_pictures_in_the_file_are_shown(url, is_shown):
    """A picture is shown if its bytes are in the file, of a known kind, and not too many."""
    assert Pictures().source(url) == (url if is_shown else None)


def test_a_page_has_a_limit_for_all_its_pictures():
    """Once twenty megabytes of pictures are on a page, the others are named only."""
    pictures, url = Pictures(), "data:image/gif;base64,R0lGODdh" + "A" * 899_968

    assert [pictures.source(url) is not None for _ in range(25)] == [True] * 22 + [False] * 3


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_page_of_a_small_session_is_small(shown):
    """A session of 80 kB makes a page of less than 60 kB."""
    assert len(shown.encode()) < 60_000


def test_turns_answers_and_calls_are_there(shown):
    """The title, the facts, each turn, answers as Markdown, commands without their wrapping, and failures."""
    texts = "".join(Elements(shown).texts)

    assert '<h1 dir="auto">The timetable skips the last ferry on the night when the clocks change</h1>' in shown
    assert [f"{number} · You" in texts for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert "9, 1 failed" in texts
    assert "2,240 written, 123,074 read, 89% of these cached" in texts
    assert "$ python3 -m unittest 2>&1 | tail -40" in texts
    assert "tools.exec_command" not in texts
    assert "<b>exit 1</b>" in shown
    assert "<strong>wall clock</strong>" in shown
    assert '<span class="gi">+        found.append(boat.astimezone(zone))</span>' in shown
    assert '<img src="data:image/png;base64,' in shown


def test_instructions_are_before_the_conversation(shown):
    """Instructions are not shown as if a person had said them: they are in one closed fold."""
    fold = shown[shown.index("Before the conversation: 3 items") : shown.index('id="T1"')]

    assert "&lt;INSTRUCTIONS&gt;" in fold
    assert "&lt;INSTRUCTIONS&gt;" not in shown[shown.index('id="T1"') :]
    assert '<details class="it pre"><summary>' in shown


def test_each_name_is_there_once_and_inside_its_fold(shown):
    """A link to a line leads into its fold, so that the browser opens it; no name is there twice."""
    names = Elements(shown).values("id")

    assert len(names) == len(set(names))
    assert re.search(r'<details class="it call[^>]*><summary>(?:(?!</summary>).)*</summary><div id="L\d+">', shown)
    assert not re.search(r"<details[^>]* id=", shown)
    assert all(value[1:] in names for value in Elements(shown).values("href") if value.startswith("#"))


def test_failed_calls_diffs_and_short_outputs_are_open(shown):
    """Other calls are folded."""
    summaries = re.findall(r'<details class="it call( bad)?"( open)?><summary><code dir="auto">(.*?)</code>', shown)
    is_open = {command.split("<")[0].strip(): bool(opened) for _, opened, command in summaries}

    assert is_open["$ python3 -m unittest 2&gt;&amp;1 | tail -40"]
    assert is_open["$ python3 edit.py &amp;&amp; git diff"]
    assert not is_open["$ git log --oneline | head -5; ls -la; cat ferry.py"]
    assert not is_open["$ grep -c CANCELLED boats.log; cat boats.log"]


@pytest.mark.parametrize("depth", DEPTHS)
def test_depths(depth, folder, shown):
    """Each depth shows all that the one before shows, and more."""
    path = ferry.ferry(folder)
    lengths = [len(page(Transcript(path), Options(depth=one))) for one in DEPTHS[: DEPTHS.index(depth) + 1]]

    html = page(Transcript(path), Options(depth=depth))

    assert lengths == sorted(lengths)
    assert ("Committed on" in html) == (depth != "user")
    assert ("git commit" in html) == (depth in ("tools", "full", "all"))


def test_whole_outputs(folder):
    """Long outputs are cut, and the page says so; unless all of them are wanted."""
    path = ferry.ferry(folder)

    short, whole = (page(Transcript(path), Options(is_whole=each)) for each in (False, True))

    assert "685 lines left out, " in short
    assert "left out" not in whole
    assert whole.count("pier=oslo-1") == ferry.LOG_LINES.count("pier=oslo-1")


def test_damage_is_told_at_the_top(tmp_path):
    """Lines that cannot be read are counted at the top, and each is marked in its place."""
    whole = ferry.ferry(tmp_path).read_bytes().splitlines(keepends=True)

    html = page_of(tmp_path, b"".join([*whole[:12], b"oops\n", *whole[12:], b'{"type":']))

    assert "2 lines of the file cannot be read." in html
    assert "Line 13 cannot be read" in html


@pytest.mark.parametrize("path", sorted((Path(__file__).parent / "data").rglob("*.jsonl")), ids=lambda path: path.stem)
def test_every_session_in_the_tests_has_a_page(path):
    """Sessions that real Codex wrote, in both formats."""
    html = page(Transcript(path), Options(depth="all"))

    assert hostile.harm_in(html) == []
    assert set(Elements(html).tags) <= ELEMENTS


# --- pieces -----------------------------------------------------------------------------------------------------------


def test_cuts_keep_the_beginning_and_the_end():
    """Of many lines 45 and 15 are kept; of a long line its beginning."""
    text = "\n".join(map(str, range(100)))

    piece = cut(text)

    assert (piece.head.split("\n"), piece.tail.split("\n")) == (
        [str(n) for n in range(45)],
        [str(n) for n in range(85, 100)],
    )
    assert piece.note == "… 40 lines left out, 289 B in all …"
    assert cut("x" * 5_000 + "\nend").head == "x" * 1_000 + " … 4 kB more\nend"
    assert cut("\n".join("x" * 60), is_whole=True).head == cut("\n".join("x" * 60)).head


def test_patches_are_told_from_other_text():
    """Git's and Codex's patches are coloured; a text that only has minus signs is not."""
    assert is_diff(ferry.DIFF)
    assert is_diff("*** Begin Patch\n*** Update File: a\n")
    assert not is_diff("--- a heading ---\n- one\n+ two\n")
    assert diff("+<b>") == '<span class="gi">+&lt;b&gt;</span>'


@pytest.mark.parametrize(("name", "letter", "count"), [("bomb: lists", "x", 200), ("bomb: quotes", "deep", 1)])
def test_deeply_nested_markdown_loses_no_text(name, letter, count):
    """A parser of Markdown leaves out text that is nested too deep, so such a text is shown as it is."""
    html = markdown(hostile.TEXTS[name])

    assert "".join(Elements(html).texts).count(letter) == count


def test_markdown():
    """Headings have the level that the page asks for; tables scroll; code in a known language has colours."""
    assert markdown("# a\n## b", 3) == "<h3>a</h3>\n<h3>b</h3>\n"
    assert '<th class="r">n</th>' in markdown("|n|\n|-:|\n|1|")
    assert '<span class="k">def</span>' in markdown("```python\ndef f(): pass\n```")
    assert markdown("```brainfuck\n<>\n```") == '<pre tabindex="0"><code>&lt;&gt;</code></pre>\n'
