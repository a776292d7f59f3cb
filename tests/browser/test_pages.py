"""Every page of the built site, in a real browser, from its file: nothing fetched, nothing broken, nothing too wide."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosnb.paths import repository_root
from cosnb.site import pages

playwright = pytest.importorskip("playwright.sync_api")
SITE = repository_root() / "_build" / "site"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = [page.relative_to(SITE).as_posix() for page in pages(SITE)]


def unavailable(reason: str) -> None:
    """Skip, saying why; in CI a skip is a failure."""
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@pytest.fixture(scope="module")
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


def test_the_site_is_built() -> None:
    if not PAGES:
        unavailable("there is no _build/site: run `make book` first")
    assert "book/intro.html" in PAGES
    assert sum(page.startswith("notebooks/") for page in PAGES) >= 5


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, page: "playwright.Page") -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else errors.append(request.url)
    )
    page.goto((SITE / name).as_uri(), wait_until="load")
    page.wait_for_timeout(300)  # what scripts ask for late; "networkidle" never comes for some pages opened from files
    if page.locator(".math").count():
        page.wait_for_function("window.MathJax?.startup?.promise !== undefined")
        page.evaluate("MathJax.startup.promise")
        assert page.locator("mjx-container").count() >= page.locator(".math").count()
        assert page.locator("mjx-merror, [data-mjx-error]").count() == 0

    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, wide_elements(page)
    assert raw_tex(page) == []
    alternatives = page.eval_on_selector_all("article img", "images => images.map(image => [image.src, image.alt])")
    assert [source for source, text in alternatives if not text or text.endswith((".png", ".svg"))] == []


def wide_elements(page: "playwright.Page") -> list[str]:
    """Return what reaches beyond the right edge of a 390 px wide window, outside boxes that scroll."""
    return page.evaluate("""() => [...document.querySelectorAll('article *')]
        .filter(e => e.getBoundingClientRect().right > 391).slice(0, 5).map(e => e.outerHTML.slice(0, 120))""")


def raw_tex(page: "playwright.Page") -> list[str]:
    """Return the article's text outside of code that still has TeX, or a dollar sign, in it."""
    return page.evaluate(r"""() => {
        const root = document.querySelector('article') ?? document.body;
        const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
        const found = [];
        for (let node; (node = walker.nextNode()); ) {
            const inside = node.parentElement.closest('pre, code, script, style, mjx-container, noscript');
            if (!inside && /\\(frac|left|operatorname|sigma|cdot|sqrt|\(|\[)|\$/.test(node.data)) found.push(node.data);
        }
        return found;
    }""")


def test_figures_have_a_readable_size(page: "playwright.Page") -> None:
    name = next((name for name in PAGES if name == "notebooks/step-to-swish.html"), None)
    if name is None:
        unavailable("there is no built page of figures")
    page.goto((SITE / name).as_uri())
    widths = page.eval_on_selector_all("article .cell_output img", "images => images.map(image => image.clientWidth)")
    assert widths
    assert min(widths) > 250


def test_start_page_opens_from_the_folder(page: "playwright.Page") -> None:
    if not Path(SITE / "index.html").exists():
        unavailable("there is no _build/site: run `make book` first")
    page.goto((SITE / "index.html").as_uri())
    page.wait_for_url("**/book/intro.html")
    assert page.locator("article h1").count() == 1
