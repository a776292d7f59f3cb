"""Interactive figures in a real browser: by keyboard, in the dark, on a phone, without a network, on paper."""

import pytest
from built import PAGES as ALL
from built import SITE, unavailable

playwright = pytest.importorskip("playwright.sync_api")
PAGES = [page for page in ALL if 'class="chart-specification"' in (SITE / page).read_text(encoding="utf-8")]
EXPLORER, DESCENT, COS = (f"notebooks/{name}.html" for name in ("explorer", "gradient-descent", "derive-cos"))
TABLES, LOTTERY = "notebooks/tables.html", "notebooks/lottery.html"
PATHS = "paths => paths.map(path => path.getAttribute('d'))"
Page = "playwright.Page"


def open_chart(page: Page, name: str) -> "playwright.Locator":
    """Open a page and return its first chart, alive."""
    if name not in PAGES:
        unavailable(f"{name} with its chart is not in _build/site: run `make book` first")
    page.goto((SITE / name).as_uri())
    page.wait_for_selector(".chart-ready")
    return page.locator(".chart").first


def curves(chart: "playwright.Locator") -> list[str]:
    """Return the path data of the chart's lines."""
    return chart.locator(".chart-live .mark-line.role-mark path").evaluate_all(PATHS)


def press(page: Page, chart: "playwright.Locator", label: str, key: str) -> None:
    """Move to the control that a reader knows as `label` and press a key."""
    control = chart.get_by_label(label)
    control.focus()
    page.keyboard.press(key)
    page.wait_for_timeout(200)


@pytest.mark.parametrize(
    ("name", "label"),
    [(EXPLORER, "a = 5"), (EXPLORER, "x from 0 to"), (COS, "slope a"), (COS, "shift c"), (DESCENT, "learning rate")],
)
def test_an_arrow_key_on_a_slider_changes_the_curve(name: str, label: str, page: Page) -> None:
    chart = open_chart(page, name)
    before = curves(chart)
    press(page, chart, label, "ArrowRight")
    after = curves(chart)
    assert len(after) == len(before) >= 2
    assert after != before


def test_every_control_is_reached_by_tab_and_named(page: Page) -> None:
    chart = open_chart(page, EXPLORER)
    controls = chart.locator(".chart-controls :is(input, select):visible")
    controls.first.focus()
    for number in range(controls.count()):
        named = controls.nth(number).evaluate("e => [e === document.activeElement, e.labels[0]?.textContent.trim()]")
        assert named[0]
        assert named[1]
        page.keyboard.press("Tab")
    assert controls.count() == 6  # two lists, CoS's two parameters, Swish's one, the width


def test_the_ball_takes_a_step(page: Page) -> None:
    chart = open_chart(page, DESCENT)
    said = chart.locator(".chart-live .mark-text.role-mark text")
    before = said.text_content()
    press(page, chart, "step", "ArrowRight")
    assert before.startswith("step 8:")
    assert said.text_content().startswith("step 9:")


def test_choosing_an_activation_by_its_letter_renames_the_sliders(page: Page) -> None:
    chart = open_chart(page, EXPLORER)
    press(page, chart, "first activation", "e")  # the next one that begins with an E
    assert chart.get_by_label("a = 5").count() == 0
    name = {"elu": "α = 1", "eswish": "β = 1.25"}[chart.get_by_label("first activation").input_value()]
    assert chart.get_by_label(name).first.get_attribute("aria-valuetext") == name


def test_seeds_and_activations_are_switched_off_by_the_space_bar(page: Page) -> None:
    chart = open_chart(page, TABLES)
    before = len(curves(chart))
    press(page, chart, "ReLU", "Space")
    without = len(curves(chart))
    press(page, chart, "seed 0", "Space")
    assert before > without > len(curves(chart)) > 0
    press(page, chart, "ReLU", "Space")
    press(page, chart, "seed 0", "Space")
    assert len(curves(chart)) == before


def test_a_button_draws_again_and_begins_anew_after_the_last(page: Page) -> None:
    chart = open_chart(page, LOTTERY)
    said = chart.locator(".chart-live .mark-text.role-mark tspan")
    button = chart.get_by_role("button", name="Draw again")
    assert said.first.text_content().startswith("Draw 1: ")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert said.first.text_content().startswith("Draw 2: ")
    assert "of 2 draws" in said.nth(1).text_content()
    press(page, chart, "draw", "End")
    button.click()
    page.wait_for_timeout(200)
    assert said.first.text_content().startswith("Draw 1: ")


def test_a_chart_in_a_tab_is_drawn_when_its_tab_is_opened_by_key_or_by_a_link(page: Page) -> None:
    open_chart(page, TABLES)
    charts = page.locator(".chart")
    assert [charts.nth(place).is_visible() for place in range(3)] == [True, False, False]
    page.locator(".sd-tab-set > input").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelectorAll('.chart')[1].classList.contains('chart-ready')")
    assert charts.nth(1).locator(".chart-live svg").bounding_box()["width"] > 250
    page.evaluate("location.hash = 'figure-14'")
    page.wait_for_function("document.querySelectorAll('.chart')[2].classList.contains('chart-ready')")
    assert [charts.nth(place).is_visible() for place in range(3)] == [False, False, True]
    assert page.locator("#figure-14").bounding_box()["y"] < 844


@pytest.mark.parametrize("name", PAGES)
def test_inks_follow_the_theme_while_the_page_is_open(name: str, page: Page) -> None:
    chart = open_chart(page, name)
    label = chart.locator(".chart-live .role-axis-label text").first
    ground = "e => getComputedStyle(e.closest('.chart')).backgroundColor"
    for theme, ink in (("dark", "rgb(208, 208, 208)"), ("light", "rgb(51, 51, 51)"), ("dark", "rgb(208, 208, 208)")):
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        page.wait_for_timeout(300)
        assert label.evaluate("e => getComputedStyle(e).fill") == ink
        assert label.evaluate(ground) == "rgba(0, 0, 0, 0)"


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_the_whole_chart_and_asks_nothing_of_the_network(name: str, page: Page) -> None:
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else errors.append(request.url)
    )
    open_chart(page, name)
    for chart in page.locator(".chart:visible").all():
        box = chart.locator(".chart-live svg").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert box["width"] > 250
        assert not chart.locator(".chart-picture").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert errors == []


@pytest.mark.parametrize("name", PAGES)
def test_paper_shows_the_picture(name: str, page: Page) -> None:
    chart = open_chart(page, name)
    page.emulate_media(media="print")
    assert not chart.locator(".chart-live").is_visible()
    assert not chart.locator(".chart-controls").is_visible()
    check_picture(chart)


@pytest.mark.parametrize("name", PAGES)
def test_without_javascript_the_picture_is_there(name: str, browser: "playwright.Browser") -> None:
    with browser.new_page(java_script_enabled=False, viewport={"width": 390, "height": 844}) as page:
        page.goto((SITE / name).as_uri())
        assert not page.locator(".chart-controls").first.is_visible()
        box = page.locator(".chart-picture").first.bounding_box()
        assert box["width"] > 250
        assert box["height"] > 150


def check_picture(chart: "playwright.Locator") -> None:
    """Check that the stand-in is visible, drawn, and described."""
    picture = chart.locator(".chart-picture")
    assert picture.is_visible()
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 400
    assert len(picture.get_attribute("alt")) > 20


def test_only_pages_with_a_chart_load_vega() -> None:
    if not PAGES:
        unavailable("there is no chart in _build/site: run `make book` first")
    loading = [page for page in ALL if "_static/vega.js" in (SITE / page).read_text("utf-8")]
    assert loading == PAGES
