"""The page "Try your own formula" in a real browser: the package's answers, text that is never run, limits of time."""

import json
import math
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attacks import attacks
from built import PAGES, SITE, unavailable

from cosnb import live
from cosnb.book.site import engine
from cosnb.book.site.server import address, server
from cosnb.codegen.sources import TARGETS
from cosnb.symbolic.catalogue import CATALOGUE

playwright = pytest.importorskip("playwright.sync_api")
from playwright.sync_api import expect  # noqa: E402

NAME = "book/try-your-own.html"
ENGINE = SITE / "_static" / "live"
PARTS = ("curves", "properties", "form", *TARGETS)
OWN = (
    "x*tanh(exp(x))", "x*sigmoid(a*x) + (sigmoid(b*x) - 1/2)**2", "where(x > 0, x, 0.1*(exp(x) - 1))", "x/(1 + abs(x))",
    "log(1 + exp(x)) - log(2)", "sin(x)/x", "(1 - exp(-x))/x", "max(x, 0)**2", "abs(x)**(3/2)", "atan(x)*2/pi",
    "x**3/(1 + x**2)", "tanh(x) + 0.1*x", "exp(-x**2)", "cbrt(x)", "1/x", "min(max(x/6 + 0.5, 0), 1)*x", "log(abs(x))",
    "x*cos(x)", "2**x - 1", "step(x)*x + 0.01*x", "x*sgmoid(x)", "x*",
)  # fmt: skip
SOON = ("relu", "swish", "mish", "cos", "elu", "softsign", "hardswish", "selu", *OWN[2:4], *OWN[6:8], *OWN[-2:])
ASK = """async ([folder, digest, text, parts]) => {
    const code = await (await fetch(`${folder}/../live-worker.js`)).text();
    const source = new Blob([code], { type: "text/javascript" });
    const wait = (message) => new Promise((resolve, reject) => {
        window.worker.onerror = (event) => reject(new Error(event.message));
        window.worker.onmessage = ({ data }) => { if (data.step ? data.step === 4 : true) resolve(data); };
        window.worker.postMessage(message);
    });
    if (!window.worker) {
        window.worker = new Worker(URL.createObjectURL(source), { type: "module" });
        await wait({ folder: `${folder}/`, digest });
    }
    const found = {};
    for (const part of parts) {
        const { value, fault } = await wait({ part, text, values: {} });
        found[part] = value ?? { fault };
        if (fault) {
            window.worker.terminate();
            window.worker = undefined;
            break;
        }
    }
    return JSON.stringify(found, (key, value) =>
        value instanceof Float64Array ? Array.from(value, (y) => Number.isFinite(y) ? y : `${y}`) : value);
}"""


@pytest.fixture(scope="module")
def home(browser: "playwright.Browser", server: str) -> Iterator["playwright.Page"]:
    """The page with the engine loaded, for all tests that leave it as it is."""
    if NAME not in PAGES or not ENGINE.is_dir():
        unavailable(
            "the engine of the page is not in _build/site: run `make book` first, with the npm registry in reach"
        )
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, permissions=["clipboard-read", "clipboard-write"]
    )
    page = context.new_page()
    page.goto(f"{server}/{NAME}")
    compute(page, "swish")
    yield page
    context.close()


def compute(page: "playwright.Page", text: str) -> None:
    """Type a formula and wait for its plot, or for what is wrong with it."""
    page.locator("#live-text").fill(text)
    page.locator("#live-text").press("Enter")
    done = page.locator(".live-training code").get_by_text(f"formula = {json.dumps(text)}", exact=True)
    expect(done.or_(page.locator(".live-error:visible")).first).to_be_attached(timeout=120_000)


def curve(page: "playwright.Page") -> str:
    return page.locator(".live-plot .live-line-0").first.get_attribute("d")


def asked(page: "playwright.Page", text: str) -> dict[str, Any]:
    """Return what the worker of the page answers, all parts."""
    digest = page.locator(".live").get_attribute("data-engine")
    folder = page.evaluate("new URL('../_static/live', location.href).href")
    return json.loads(page.evaluate(ASK, [folder, digest, text, PARTS]))


def near(ours: list[float], theirs: list[Any]) -> bool:
    """Whether two curves are equal but for the last digits, which the hosts' C libraries round differently."""
    size = max((abs(value) for value in ours if math.isfinite(value)), default=1.0)
    return all(
        (math.isnan(a) and math.isnan(b)) or a == b or abs(a - b) <= 1e-13 * size
        for a, b in zip(ours, map(float, theirs), strict=True)
    )


@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=() if text in SOON else pytest.mark.matrix) for text in (*CATALOGUE, *OWN)]
)
def test_every_field_is_the_packages(text: str, home: "playwright.Page") -> None:
    found = asked(home, text)
    for part in PARTS:
        ours, theirs = live.answer(part, text, {}), found[part]
        if part == "curves" and "error" not in ours:
            assert near(list(ours.pop("x")), theirs.pop("x"))
            for one, other in zip(ours["orders"], theirs["orders"], strict=True):
                assert near(list(one.pop("y")), other.pop("y"))
        assert theirs == json.loads(json.dumps(ours)), part


def test_nothing_heavy_is_loaded_before_the_reader_asks(browser: "playwright.Browser", server: str) -> None:
    with browser.new_page() as page:
        asked_for: list[str] = []
        page.on("request", lambda request: asked_for.append(request.url))
        page.goto(f"{server}/{NAME}#f=mish")
        page.wait_for_timeout(500)
        assert page.locator("#live-text").input_value() == "mish"
        assert not [url for url in asked_for if "/_static/live/" in url]


def test_a_failed_load_is_said_and_the_next_one_tried(home: "playwright.Page", page: "playwright.Page") -> None:
    page.goto(home.url.partition("#")[0])
    page.route("**/live-worker.js*", lambda route: route.abort())
    page.get_by_role("button", name="Compute").click()
    expect(page.locator(".live-error")).to_contain_text("The engine failed: ")
    page.unroute("**/live-worker.js*")
    compute(page, "relu")
    expect(page.locator(".live-error")).to_be_hidden(timeout=60_000)


def test_the_parts_arrive_and_are_said(home: "playwright.Page") -> None:
    compute(home, "mish")
    expect(home.locator(".live-status")).to_have_text(re.compile("^Properties"), timeout=60_000)
    assert home.locator(".live-properties td", has_text="certified").count() > 3
    assert home.locator(".live-form tbody tr").count() >= 4
    assert home.locator(".live-derivatives mjx-container").count() == 2
    assert home.locator(".live details").count() == len(TARGETS)
    assert home.locator(".live-status").get_attribute("role") == "status"
    assert home.evaluate("document.documentElement.scrollWidth") <= 390
    summary = home.locator(".live details", has_text="NumPy")
    summary.locator("summary").press("Enter")
    summary.get_by_role("button").press("Enter")
    expect(home.locator(".live-status")).to_have_text("The code for NumPy is in the clipboard.")
    assert home.evaluate("navigator.clipboard.readText()") == live.answer("numpy", "mish", {})["code"]


def test_a_parameter_has_a_slider_that_an_arrow_key_moves(home: "playwright.Page") -> None:
    compute(home, "x*sigmoid(a*x)")
    before = curve(home)
    slider = home.get_by_label("a = 1")
    slider.press("ArrowRight")
    expect(home.locator(".live-sliders span")).to_have_text("a = 1.02")
    expect(home.locator(".live-plot .live-line-0").first).not_to_have_attribute("d", before)
    assert home.url.endswith("#f=x*sigmoid(a*x)&a=1.02")
    expect(home.locator(".live-share a")).to_have_attribute("href", "#f=x*sigmoid(a*x)&a=1.02")
    expect(home.locator(".live-training")).to_contain_text('parameters = "a=51/50"')


def test_a_mistake_is_shown_at_its_column_and_mended(home: "playwright.Page") -> None:
    compute(home, "x*sgmoid(x)")
    said = home.locator(".live-error")
    expect(said).to_contain_text("column 3: unknown function 'sgmoid'")
    assert said.text_content() == live.answer("curves", "x*sgmoid(x)", {})["error"]
    assert home.locator("#live-text").get_attribute("aria-invalid") == "true"
    compute(home, "x*sigmoid(x)")
    expect(said).to_be_hidden()
    expect(home.locator(".live-plot svg").first).to_be_visible()


def test_what_has_no_end_is_ended_and_the_page_lives(home: "playwright.Page") -> None:
    root = home.locator(".live")
    root.evaluate("root => root.dataset.seconds = 0.3")
    try:
        compute(home, "gelu")
        expect(home.locator(".live-properties")).to_have_text(
            "The calculation was ended after its limit of 0.3 s.", timeout=60_000
        )
    finally:
        root.evaluate("root => delete root.dataset.seconds")
    compute(home, "relu")
    expect(home.locator(".live-properties td").first).to_be_visible(timeout=60_000)


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.matrix), 97])
@pytest.mark.timeout(1200)
def test_hostile_texts_are_read_not_run(step: int, home: "playwright.Page") -> None:
    errors: list[str] = []
    home.on("pageerror", lambda error: errors.append(str(error)))
    home.on("dialog", lambda dialog: errors.append(dialog.message))
    markup = ["<img src=x onerror=alert(1)>", "</pre><script>alert(1)</script>", "x*${alert(1)}", "javascript:alert(1)"]
    texts = [*markup, *(text for text in attacks() if len(text) < 3000 and text.isprintable())][::step] + markup
    found = {text: asked_soon(home, text) for text in texts}
    deep = [text for text, answer in found.items() if "call stack" in answer.get("fault", "")]
    wrong = [
        (text, answer)
        for text, answer in found.items()
        if "orders" not in answer and not answer.get("error", "").strip() and text not in deep
    ]
    for text in markup:
        compute(home, text)
        assert home.locator(".live-error").text_content().strip()
        assert home.locator(".live :is(script, img)").count() == 0
    assert len(texts) > 20
    assert all(len(text) > 1000 for text in deep)
    assert (wrong, errors) == ([], [])


def test_what_is_too_deep_for_a_worker_is_said_and_the_page_lives(home: "playwright.Page") -> None:
    compute(home, "x*" * 999 + "x")
    expect(home.locator(".live-error")).to_have_text(
        "The formula asks for more memory than a browser gives: simplify it."
    )
    compute(home, "relu")
    expect(home.locator(".live-error")).to_be_hidden(timeout=60_000)  # another worker loads the engine again
    expect(home.locator(".live-properties td").first).to_be_visible(timeout=60_000)


def asked_soon(page: "playwright.Page", text: str) -> dict[str, Any]:
    """Return what the worker answers first."""
    digest = page.locator(".live").get_attribute("data-engine")
    folder = page.evaluate("new URL('../_static/live', location.href).href")
    return json.loads(page.evaluate(ASK, [folder, digest, text, ["curves"]]))["curves"]


def test_nothing_leaves_the_page_and_its_workers(home: "playwright.Page", wide_page: "playwright.Page") -> None:
    tried = "(address) => fetch(address, { mode: 'no-cors' }).then(() => 'sent', () => 'refused')"
    in_worker = f"""(address) => new Promise((resolve) => {{
        const source = `onmessage = ({{ data }}) => ({tried})(data).then(postMessage)`;
        const worker = new Worker(URL.createObjectURL(new Blob([source])));
        worker.onmessage = ({{ data }}) => resolve(data);
        worker.postMessage(address);
    }})"""
    with server(SITE) as elsewhere:
        threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
        wide_page.goto(home.url.replace(NAME, "book/references.html"))
        for script in (tried, in_worker):
            assert home.evaluate(script, address(elsewhere)) == "refused"
            assert wide_page.evaluate(script, address(elsewhere)) == "sent"
        elsewhere.shutdown()


def test_opened_from_its_file_the_page_says_what_to_do(page: "playwright.Page") -> None:
    if NAME not in PAGES:
        unavailable("the page is not in _build/site: run `make book` first")
    page.goto((SITE / NAME).as_uri())
    expect(page.locator(".live-status")).to_contain_text("cosnb serve")
    assert page.get_by_role("button", name="Compute").is_disabled()


def test_no_other_page_loads_anything_of_it() -> None:
    assert [name for name in PAGES if "live.js" in (SITE / name).read_text("utf-8")] == [NAME]


def test_the_engine_compiled_anew_has_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not ENGINE.is_dir():
        unavailable(
            "the engine of the page is not in _build/site: run `make book` first, with the npm registry in reach"
        )
    runtime = tmp_path / "pyodide" / engine.VERSION
    runtime.mkdir(parents=True)
    for name in engine.RUNTIME:
        shutil.copyfile(ENGINE / name, runtime / name)
    monkeypatch.setattr(engine, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(engine, "_libraries", engine._own)  # SymPy's files take 10 s more
    libraries, own = (engine.parts()[name].read_bytes() for name in engine.ARCHIVES)
    assert libraries == own == (ENGINE / "cosnb.zip").read_bytes()
