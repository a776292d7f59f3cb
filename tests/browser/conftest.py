"""A browser, and a page as wide as a phone, for every test of the built site."""

import os
import shutil
from collections.abc import Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def unavailable(reason: str) -> None:
    """Skip, saying why; in CI a skip is a failure."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator["playwright.Browser"]:
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        unavailable(f"none of {', '.join(BROWSERS)} is installed")
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser,
    ):
        yield browser


@pytest.fixture
def page(browser: "playwright.Browser") -> Iterator["playwright.Page"]:
    with browser.new_page(viewport={"width": 390, "height": 844}) as page:
        yield page
