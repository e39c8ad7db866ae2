"""`rolloutlog view` in a real Chromium: its list, its search, a session that is followed, and attacks."""

from __future__ import annotations

from collections.abc import Iterator

import hostile
import pytest
import tide

pytest.importorskip("nh3", reason="the extra `cli` is not installed")
pytest.importorskip("jinja2")
pytest.importorskip("starlette", reason="the extra `view` is not installed")
pytest.importorskip("uvicorn")

from chromium import DESKTOP, PHONE, Browser, started
from test_cli_view import Recording, Viewer

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def viewer(tmp_path_factory) -> Iterator[Viewer]:
    """A viewer of a home with a quiet session and a hostile one."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "sessions/2026/11/30"
    folder.mkdir(parents=True)
    (folder / hostile.FILE_NAME).write_bytes(hostile.session_file("envelope", with_long=False))
    (folder / tide.FILE_NAME).write_bytes(tide.session())
    viewer = Viewer("--home", home)
    viewer.home = home
    yield viewer
    viewer.end()


def go(browser: Browser, viewer: Viewer, place: str = "", **features: object) -> None:
    """Open *place*, by the link that was printed."""
    browser.open_address(viewer.link, **features)  # type: ignore[arg-type]
    if place:
        browser.driver.get(f"http://127.0.0.1:{viewer.port}{place}")


def own(viewer: Viewer, urls: list[str]) -> bool:
    return all(url.startswith(f"http://127.0.0.1:{viewer.port}/") for url in urls)


def test_the_link_leads_to_the_list(browser: Browser, viewer):
    """The token is not in the address that is left, and no script can read the cookie."""
    go(browser, viewer)

    assert browser.driver.current_url == f"http://127.0.0.1:{viewer.port}/"
    assert browser.run("document.cookie") == ""
    assert browser.run("document.querySelectorAll('.list > li').length") == 2
    assert browser.run("document.scripts.length") == 0
    assert own(viewer, browser.requests())


def test_a_click_opens_a_session_and_leads_back(browser: Browser, viewer):
    """Without a script."""
    go(browser, viewer)

    browser.click(f'a[href="/s/{tide.ID}"]')
    browser.wait_for("document.querySelectorAll('.turn').length == 2")
    browser.click(".kick a")
    browser.wait_for("document.querySelectorAll('.list > li').length == 2")


def test_a_search_leads_into_the_fold(browser: Browser, viewer):
    """A form, a list of matches, and a link that opens the fold with the match."""
    go(browser, viewer)
    field = browser.driver.find_element("css selector", "#q")
    field.send_keys("no_such_test\n")
    browser.wait_for("document.querySelectorAll('.hits a').length > 1")

    browser.click(".hits a")

    browser.wait_for("document.querySelector(location.hash)?.closest('details')?.open ?? false")


@pytest.mark.usefixtures("driver")  # without Chromium, this skips
def test_what_is_recorded_appears(viewer):
    """On a page that is open, while it is recorded, without a script and without a reload."""
    recording = Recording(viewer.home)
    with started(waits=False) as driver:  # the page is never whole
        browser = Browser(driver)
        driver.get(viewer.link)
        browser.wait_for("document.querySelectorAll('.list > li').length == 3")
        driver.get(f"http://127.0.0.1:{viewer.port}{recording.address}")
        browser.wait_for("document.body?.textContent.includes('first words')")
        recording.say("and another question")
        browser.wait_for("document.body.textContent.includes('and another question')")
        assert browser.run("document.scripts.length") == 0
        assert browser.run("document.readyState") == "loading"
        recording.close()
        browser.wait_for("document.body.textContent.includes('The session was closed')")
        browser.wait_for("document.readyState == 'complete'")
    recording.path.unlink()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["", "/search?q=tide", f"/s/{tide.ID}", "/s/none"])
def test_no_rule_of_accessibility_is_broken(browser: Browser, viewer, place, scheme):
    """As axe-core checks them."""
    go(browser, viewer, place, prefers_color_scheme=scheme)

    assert browser.violations() == []


@pytest.mark.parametrize("place", ["", "/search?q=tide", f"/s/{tide.ID}", f"/s/{hostile.ID}"])
def test_a_phone_needs_no_scrolling_to_the_side(browser: Browser, viewer, place):
    """However long a word of a session is."""
    go(browser, viewer, place, size=PHONE)

    assert browser.run("document.documentElement.scrollWidth") <= PHONE[0]


@pytest.mark.parametrize("place", ["", "/search?q=alert", "/search?q=owned", f"/s/{hostile.ID}?depth=all"])
def test_attacks_stay_texts(browser: Browser, viewer, place):
    """No dialog, no request to another server, no script, no frame, no harmful character."""
    go(browser, viewer, place, size=DESKTOP)

    assert browser.dialog() is None
    assert own(viewer, browser.requests())
    assert browser.run("document.scripts.length") == 0
    assert browser.run("document.querySelectorAll('iframe, object, embed, link, svg, math, base').length") == 0
    assert browser.run("document.styleSheets.length") == 1
    assert hostile.harm_in(browser.run("document.documentElement.textContent")) == []


def test_another_site_cannot_show_it(browser: Browser, viewer, tmp_path):
    """A page elsewhere can neither frame it nor load it, even if the browser has the cookie."""
    go(browser, viewer)
    page = tmp_path / "evil.html"
    address = f"http://127.0.0.1:{viewer.port}/"
    page.write_text(f'<iframe src="{address}"></iframe><img src="{address}"><a href="{address}">click</a>')
    browser.open(page)

    browser.click("a")

    browser.wait_for("document.body.textContent.includes('Another site asked for this page')")
