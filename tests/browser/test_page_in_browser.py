"""The page in a real Chromium: folds, links, the find bar, sizes, colours, print, accessibility, and attacks."""

from __future__ import annotations

from pathlib import Path

import ferry
import hostile
import pytest

pytest.importorskip("nh3", reason="the extra `cli` is not installed")
pytest.importorskip("jinja2")

from chromium import PHONE, Browser

from rolloutlog._face.page import Options, page
from rolloutlog._face.transcript import Transcript

pytestmark = pytest.mark.once

SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
LONG_CALL = "document.querySelector('details.call:not([open])')"


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Path:
    """The page of a small session."""
    folder = tmp_path_factory.mktemp("pages")
    return write(folder, ferry.ferry(folder))


@pytest.fixture(scope="module")
def attacked(tmp_path_factory) -> Path:
    """The page of the hostile session, all of it."""
    folder = tmp_path_factory.mktemp("attacked")
    path = folder / hostile.FILE_NAME
    path.write_bytes(hostile.session_file("envelope", with_long=False))
    return write(folder, path, Options(depth="all"))


def write(folder: Path, path: Path, options: Options = Options()) -> Path:  # noqa: B008
    html = folder / "page.html"
    html.write_text(page(Transcript(path), options), encoding="utf-8")
    return html


# --- use --------------------------------------------------------------------------------------------------------------


def test_a_click_opens_a_fold(browser: Browser, shown):
    """A fold needs no script."""
    browser.open(shown)
    assert not browser.run("document.querySelector('.think').open")

    browser.click(".think summary")

    assert browser.run("document.querySelector('.think').open")


def test_a_link_to_a_line_opens_its_fold(browser: Browser, shown):
    """The line is inside the fold, so the browser opens it and scrolls there."""
    browser.open(shown)
    name = browser.run(f"{LONG_CALL}.querySelector('div[id]').id")

    browser.open(shown, f"#{name}")

    browser.wait_for(f"document.getElementById('{name}').closest('details').open")
    browser.wait_for(f"Math.abs(document.getElementById('{name}').getBoundingClientRect().top) < innerHeight")


@pytest.mark.parametrize("text", ["pier=oslo-2 boat=0002", "First the code and the tests"])
def test_the_find_bar_opens_folds(browser: Browser, shown, text):
    """A text fragment takes the way of the find bar: text in a closed fold is found, and the fold opens."""
    browser.open(shown)
    holder = f"[...document.querySelectorAll('details')].find(fold => fold.textContent.includes('{text}'))"
    assert not browser.run(f"{holder}.open")

    browser.open(shown, f"#:~:text={text.replace(' ', '%20').replace('-', '%2D')}")

    browser.wait_for(f"{holder}.open")


def test_conversation_only(browser: Browser, shown):
    """The first box hides calls, reasoning and instructions; what was said remains."""
    browser.open(shown)

    browser.click("#v-talk")

    seen = "[...document.querySelectorAll('{}')].filter(each => each.checkVisibility()).length"
    assert [browser.run(seen.format(each)) for each in (".call", ".think", ".pre")] == [0, 0, 0]
    assert [browser.run(seen.format(each)) for each in (".you", ".said")] == [3, 4]


def test_all_unfolded(browser: Browser, shown):
    """The second box shows the contents of all folds in the conversation."""
    browser.open(shown)
    inside = f"{LONG_CALL}.querySelector('pre').checkVisibility({{contentVisibilityAuto: true}})"
    assert not browser.run(inside)

    browser.click("#v-open")

    assert browser.run(f"{LONG_CALL}.querySelector('pre').getBoundingClientRect().height") > 100


def test_the_contents_lead_to_turns(browser: Browser, shown):
    """On a wide window they are open beside the conversation, and a click scrolls to the turn."""
    browser.open(shown)

    browser.click("nav li:nth-child(3) a")

    browser.wait_for("document.getElementById('T3').getBoundingClientRect().top < innerHeight / 2 || scrollY > 500")


@pytest.mark.parametrize("page_of", ["shown", "attacked"])
def test_a_phone_needs_no_sideways_scrolling(browser: Browser, page_of, request):
    """At 390 pixels the page is as wide as the window, whatever it holds; the contents are a fold."""
    browser.open(request.getfixturevalue(page_of), size=PHONE)

    assert browser.run("document.documentElement.scrollWidth") <= PHONE[0]
    assert not browser.run("document.querySelector('nav a').checkVisibility({contentVisibilityAuto: true})")


@SCHEMES
def test_it_follows_the_colours_of_the_system(browser: Browser, shown, scheme):
    """Dark text on a light ground, or the reverse."""
    browser.open(shown, prefers_color_scheme=scheme)

    ground, text = (browser.run(f"getComputedStyle(document.body).{name}") for name in ("backgroundColor", "color"))
    brightness = [sum(map(int, colour[4:-1].split(","))) for colour in (ground, text)]
    assert (brightness[0] > brightness[1]) == (scheme == "light")


@SCHEMES
@pytest.mark.parametrize("is_unfolded", [False, True])
def test_no_rule_of_accessibility_is_broken(browser: Browser, shown, scheme, is_unfolded):
    """Structure, names and contrast, as axe-core checks them."""
    browser.open(shown, prefers_color_scheme=scheme)
    if is_unfolded:
        browser.click("#v-open")

    assert browser.violations() == []


def test_forced_colours_keep_the_borders(browser: Browser, shown):
    """Where the system chooses all colours, a person's words and outputs have a border."""
    browser.open(shown, forced_colors="active")

    assert browser.run("getComputedStyle(document.querySelector('.you')).borderTopStyle") == "solid"


def test_print_shows_what_is_unfolded(browser: Browser, shown):
    """Paper has no contents, no boxes and no closed instructions; long lines wrap."""
    browser.open(shown)
    browser.call("Emulation.setEmulatedMedia", media="print")

    hidden = ["nav", ".sw", ".pre"]
    assert [browser.run(f"getComputedStyle(document.querySelector('{each}')).display") for each in hidden] == [
        "none"
    ] * 3
    assert browser.run("getComputedStyle(document.querySelector('.call[open] pre')).whiteSpace") == "pre-wrap"
    assert browser.run("getComputedStyle(document.querySelector('.call[open] pre')).maxHeight") == "none"


# --- attacks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["flat", "envelope"])
def test_attacks_stay_texts(browser: Browser, format, tmp_path):
    """No dialog, no request, no script, no picture from elsewhere, no harmful character, wherever a text is."""
    path = tmp_path / hostile.FILE_NAME
    path.write_bytes(hostile.session_file(format, with_long=False))
    browser.open(write(tmp_path, path, Options(depth="all", is_whole=True)))
    browser.click("#v-open")

    assert browser.dialog() is None
    assert browser.requests() == []
    assert browser.run("document.scripts.length") == 0
    assert browser.run("document.querySelectorAll('iframe, object, embed, form, link, svg, math, base').length") == 0
    assert browser.run("document.styleSheets.length") == 1
    assert browser.run("[...document.images].every(image => image.src.startsWith('data:image/'))")
    assert hostile.harm_in(browser.run("document.documentElement.textContent")) == []


def test_the_hostile_page_breaks_no_rule_of_accessibility(browser: Browser, tmp_path):
    """Names, headings and ids of the page hold, whatever the texts are."""
    path = tmp_path / hostile.FILE_NAME
    lines = hostile.session_file("flat", with_long=False).split(b"\n")
    path.write_bytes(b"\n".join([lines[0], *lines[1::41], b""]))
    browser.open(write(tmp_path, path))

    assert browser.violations() == []


def test_the_policy_holds(browser: Browser, shown, tmp_path):
    """Even a script that is in the page does not run: the policy is the last wall."""
    html = shown.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    attack = f"<script>document.title = 'owned'</script><img src='http://{hostile.CANARY}/x.png'>"
    broken.write_text(html.replace("</main>", f"{attack}</main>"), encoding="utf-8")

    browser.open(broken)

    assert browser.run("document.title") != "owned"
    assert browser.requests() == [f"http://{hostile.CANARY}/x.png"]
    assert set(browser.forbidden()) == {"csp"}
