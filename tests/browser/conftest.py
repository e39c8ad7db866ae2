"""The browser of these tests: they skip where there is none, and fail where one is required."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from chromium import CHROMIUM, DRIVER, REQUIRED, Browser, missing, started


@pytest.fixture(scope="session")
def driver() -> Iterator[Any]:
    """One Chromium for all tests of this process."""
    if CHROMIUM is None or DRIVER is None:
        missing("Chromium and its driver are not there: apt-get install chromium chromium-driver")
    if not REQUIRED:
        pytest.importorskip("selenium", reason="the dependency group `browser` is not installed")
    with started() as driver:
        yield driver


@pytest.fixture
def browser(driver: Any) -> Browser:
    """The browser, in an empty page."""
    return Browser(driver)
