"""A real Chromium, driven by Selenium, and axe-core, which checks a page for accessibility."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers import DEADLINE

REQUIRED = os.environ.get("ROLLOUTLOG_REQUIRE_BROWSER") == "1"
AXE = Path(__file__).parents[2] / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")  # Debian's name, and that of Google's build
DRIVER = shutil.which("chromedriver")
PHONE, DESKTOP = (390, 844), (1280, 1400)


class Browser:
    """A Chromium window: opens pages in a size and a colour scheme, and knows what they asked for."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._events: list[dict[str, Any]] = []

    def open(self, page: Path, fragment: str = "", *, size: tuple[int, int] = DESKTOP, **features: str) -> None:
        """Open *page*, with media *features* such as ``prefers_color_scheme="dark"``."""
        self.open_address(page.as_uri() + fragment, size=size, **features)

    def open_address(self, address: str, *, size: tuple[int, int] = DESKTOP, **features: str) -> None:
        """Open the page at *address*, as `open` does."""
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        wanted = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.call("Emulation.setEmulatedMedia", media="", features=wanted)
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self._events = []
        self.driver.get(address)

    def call(self, command: str, **parameters: Any) -> Any:
        """Send *command* of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def run(self, script: str) -> Any:
        """Return the value of *script*."""
        return self.driver.execute_script(f"return ({script})")

    def wait_for(self, script: str) -> None:
        """Wait until *script* is true."""
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, DEADLINE, poll_frequency=0.05).until(lambda _: self.run(script), script)

    def click(self, selector: str) -> None:
        """Click with the mouse on the first element that *selector* finds."""
        self.run(f"document.querySelector('{selector}').scrollIntoView({{block: 'center'}})")
        box = self.run(f"document.querySelector('{selector}').getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + min(box["width"] / 2, 40), "y": box["y"] + box["height"] / 2}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def requests(self) -> list[str]:
        """Return the URLs that the page asked for, other than files and data; also those that its policy forbade."""
        return [url for url in self._urls() if not url.startswith(("file:", "data:", "about:"))]

    def _urls(self) -> list[str]:
        self._events += [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"] for event in self._events if event["method"] == "Network.requestWillBeSent"]
        return [event["request"]["url"] for event in sent]

    def forbidden(self) -> list[str]:
        """Return why requests failed that the page's policy forbade."""
        self._urls()
        failed = [event["params"] for event in self._events if event["method"] == "Network.loadingFailed"]
        return [reason for event in failed if (reason := event.get("blockedReason"))]

    def dialog(self) -> str | None:
        """Return the text of a dialog that is open."""
        from selenium.common.exceptions import NoAlertPresentException

        try:
            return str(self.driver.switch_to.alert.text)
        except NoAlertPresentException:
            return None

    def violations(self) -> list[str]:
        """Return the rules of accessibility that the page breaks, each with the first element that does."""
        if not AXE.is_file():
            missing("axe-core is not there; make browser fetches it")
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "axe.run().then(arguments[0], error => arguments[0]({error: '' + error}))"
        )
        assert "error" not in found, found
        return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found["violations"]]


def missing(reason: str) -> None:
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def started(*, waits: bool = True) -> Iterator[Any]:
    """Yield the driver of a new Chromium, which ends with the context; *waits*: for each page until it is whole."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.page_load_strategy = "normal" if waits else "none"
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    driver.set_script_timeout(DEADLINE)
    try:
        yield driver
    finally:
        driver.quit()
