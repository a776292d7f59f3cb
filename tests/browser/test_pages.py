"""Every page of the built site, in a real browser, from its file: nothing fetched, nothing broken, nothing too wide."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from built import PAGES, SITE, unavailable

playwright = pytest.importorskip("playwright.sync_api")
LIMIT = 3_000_000  # bytes that a page loads, itself included, none compressed


def test_the_site_is_built() -> None:
    if not PAGES:
        unavailable("there is no _build/site: run `make book` first")
    assert "book/intro.html" in PAGES
    assert sum(page.startswith("notebooks/") for page in PAGES) >= 5


@pytest.mark.parametrize("name", PAGES)
def test_page(name: str, page: "playwright.Page") -> None:
    errors: list[str] = []
    loaded: set[str] = set()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else errors.append(request.url)
    )
    page.on("requestfinished", lambda request: loaded.add(unquote(urlsplit(request.url).path)))
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
    tabs = page.locator(".sd-tab-set > input")
    for place in range(max(1, tabs.count())):
        if tabs.count():
            tabs.nth(place).evaluate("radio => radio.click()")
        assert small_figures(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, wide_elements(page)
    sizes = {path: Path(path).stat().st_size for path in loaded if Path(path).is_file()}
    assert sizes
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:6]
    assert sum(sizes.values()) <= LIMIT, largest


def wide_elements(page: "playwright.Page") -> list[str]:
    """Return what reaches beyond the right edge of a 390 px wide window, outside boxes that scroll."""
    return page.evaluate("""() => [...document.querySelectorAll('article *')]
        .filter(e => e.getBoundingClientRect().right > 391).slice(0, 5).map(e => e.outerHTML.slice(0, 120))""")


def small_figures(page: "playwright.Page") -> list[str]:
    """Return static figures that are shown at less than 0.7 of their size: their numbers have 9 pixels there."""
    return page.evaluate("""() => [...document.querySelectorAll('article .cell_output figure img:not(.chart-picture)')]
        .filter(e => e.offsetParent && e.clientWidth < 0.7 * e.naturalWidth)
        .map(e => `${e.src} ${e.clientWidth} of ${e.naturalWidth}`)""")


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
