"""The browser of these tests: they skip where there is none, and fail where one is required."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import CHROMIUM, DRIVER, TIMEOUT, Browser, missing


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """One Chromium for all tests of this process."""
    if CHROMIUM is None or DRIVER is None:
        missing("Chromium and its driver are not there: apt-get install chromium chromium-driver")
    try:
        from selenium import webdriver
    except ImportError:
        missing("the dependency group `browser` is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    started = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    started.set_script_timeout(TIMEOUT)
    yield started
    started.quit()


@pytest.fixture
def browser(driver: Any) -> Browser:
    """The browser, in an empty page."""
    return Browser(driver)
