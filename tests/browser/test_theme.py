"""The frame around the pages: search, dark mode, icon, what other sites show of a page, and accessibility."""

import re
import struct
from importlib import resources
from urllib.parse import urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup
from built import PAGES, SITE

import cosnb
from cosnb.paths import repository_root

playwright = pytest.importorskip("playwright.sync_api")
CONTENT = [name for name in PAGES if name.startswith(("book/", "notebooks/"))]
AXE = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.mark.parametrize("served", [False, True], ids=["from-the-folder", "from-a-server"])
def test_search_finds_mish(served: bool, wide_page: "playwright.Page", request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue("server") if served else SITE.as_uri()
    errors: list[str] = []
    wide_page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    wide_page.on("pageerror", lambda error: errors.append(str(error)))
    wide_page.goto(f"{address}/book/intro.html")
    wide_page.keyboard.press("Control+k")
    wide_page.keyboard.type("Mish")
    wide_page.keyboard.press("Enter")
    wide_page.wait_for_url("**/search.html?q=Mish*")
    wide_page.locator("#search-results li a").first.wait_for()
    found = wide_page.eval_on_selector_all("#search-results li a", "links => links.map(link => link.href)")
    assert any(urlsplit(link).path.endswith("/notebooks/derive-mish.html") for link in found)
    assert errors == []


@pytest.mark.parametrize(("query", "shown"), [("sigmoid", "σ(x)"), ("backpropagation", "σ' = σ(1 - σ)")])
def test_excerpts_of_a_search_have_formulas_without_tex(
    query: str, shown: str, wide_page: "playwright.Page", server: str
) -> None:
    wide_page.goto(f"{server}/search.html?q={query}")
    wide_page.wait_for_function("/found \\d+ page/.test(document.querySelector('.search-summary')?.innerText)")
    wide_page.wait_for_function(
        "document.querySelectorAll('#search-results li').length"
        " <= document.querySelectorAll('#search-results li :is(.context, a + span)').length"
    )
    excerpts = wide_page.locator("#search-results .context").all_inner_texts()
    assert any(shown in excerpt for excerpt in excerpts)
    tex = re.compile(r"\\[([]|\\(frac|left|operatorname|sigma|cdot|tanh|begin)")
    assert [excerpt for excerpt in excerpts if tex.search(excerpt)] == []


def test_the_dark_mode_switches_and_stays(wide_page: "playwright.Page", server: str) -> None:
    def background() -> int:
        return sum(map(int, wide_page.evaluate(BACKGROUND).removeprefix("rgb(").removesuffix(")").split(",")))

    wide_page.goto(f"{server}/notebooks/derive-cos.html")
    assert background() > 3 * 200
    for _ in range(3):  # auto, light, dark in a round
        if background() > 3 * 200:
            wide_page.locator("button.theme-switch-button:visible").first.click()
    assert background() < 3 * 60
    wide_page.goto(f"{server}/notebooks/derive-mish.html")
    assert background() < 3 * 60
    figure = wide_page.locator(".cell_output figure img").first
    assert figure.evaluate("image => getComputedStyle(image).backgroundColor") == "rgb(255, 255, 255)"
    # White becomes the page's own ground.
    assert figure.evaluate("image => getComputedStyle(image).filter") == "invert(0.93) hue-rotate(180deg)"


# Not wait_for_function, which evaluates text in the page: the policy of the live page forbids it.
TYPESET = """new Promise((done) => {
  const ready = () => window.MathJax?.startup?.promise;
  const wait = () => (ready() ? ready().then(() => done()) : setTimeout(wait, 50));
  wait();
})"""

# Labels of tabs fade from colour to colour for 250 ms, and axe would measure a colour on the way.
SETTLED = "Promise.all(document.getAnimations().map((animation) => animation.finished)).then(() => null)"


def serious(page: "playwright.Page", options: str = "{}") -> list[str]:
    """Return axe-core's serious and critical findings in the article, a line each.

    What stands around the article is the theme's, and the roles in a bibliography are Sphinx's.
    """
    result = page.evaluate(f"axe.run({{include: ['article.bd-article'], exclude: ['.citation-list']}}, {options})")
    assert result["passes"]
    return [
        f"{violation['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"][:3]
    ]


@pytest.mark.parametrize("name", CONTENT)
def test_axe_finds_nothing_serious(name: str, wide_page: "playwright.Page") -> None:
    wide_page.goto((SITE / name).as_uri(), wait_until="load")
    if wide_page.locator(".math").count():
        wide_page.evaluate(TYPESET)
    wide_page.evaluate(AXE)
    assert serious(wide_page) == []
    wide_page.emulate_media(color_scheme="dark")
    wide_page.wait_for_selector("html[data-theme='dark']", state="attached")
    wide_page.evaluate(SETTLED)
    assert serious(wide_page, "{runOnly: ['color-contrast']}") == []


@pytest.mark.parametrize("name", CONTENT)
def test_a_page_says_what_it_is_to_other_sites(name: str) -> None:
    config = yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))
    soup = BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")
    meta = {tag.get("property") or tag.get("name"): tag.get("content") for tag in soup.find_all("meta")}
    assert meta["og:title"] == soup.find("h1").get_text().removesuffix("#")
    assert meta["og:url"] == config["html"]["baseurl"] + name
    assert meta["twitter:card"] == "summary_large_image"
    assert 30 < len(meta["og:description"]) <= 200
    assert "\\" not in meta["og:description"]
    image = SITE / meta["og:image"].removeprefix(config["html"]["baseurl"])
    width, height = struct.unpack(">II", image.read_bytes()[16:24])  # of a PNG's header
    assert (width, height) == (1200, 630)
    assert image.stat().st_size < 300_000
    icon = soup.find("link", rel="icon")
    assert (SITE / name).parent.joinpath(icon["href"]).read_text().startswith("<svg")
    assert soup.find(class_="navbar-brand").find("img")["src"].endswith("logo.svg")


def test_axe_is_run_and_finds_what_is_wrong(page: "playwright.Page") -> None:
    page.set_content(
        '<html lang="en"><title>x</title><article class="bd-article"><p>x</p><img src="data:,"></article></html>'
    )
    page.evaluate(AXE)
    assert [finding.partition(":")[0] for finding in serious(page)] == ["image-alt"]


@pytest.mark.parametrize("name", [name for name in PAGES if name.startswith("notebooks/")])
def test_the_colab_button_opens_this_notebook(name: str) -> None:
    config = yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))["repository"]
    source = f"notebooks/{name.removeprefix('notebooks/').removesuffix('.html')}.ipynb"
    soup = BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")
    links = [a["href"] for a in soup.find_all("a", href=True) if "colab.research" in a["href"]]
    path = urlsplit(config["url"]).path
    assert links == [f"https://colab.research.google.com/github{path}/blob/v{cosnb.__version__}/{source}"]
    assert (repository_root() / source).is_file()
