"""One headless browser for all of these tests; a page of its own for each, as narrow as a telephone."""

import shutil
import threading
from collections.abc import Iterator

import pytest
from built import BROWSERS, SITE, unavailable

from cosnb.book.site.server import address, server

playwright = pytest.importorskip("playwright.sync_api")


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


@pytest.fixture
def wide_page(browser: "playwright.Browser") -> Iterator["playwright.Page"]:
    with browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light") as page:
        yield page


@pytest.fixture(scope="session", name="server")
def served_site() -> Iterator[str]:
    """The address of a web server of the site, on this machine alone."""

    with server(SITE) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield address(served).rstrip("/")
        served.shutdown()
