import filecmp
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tiny_book import code, copy_book, markdown, write_notebook

import cosnb
from cosnb.book import notebooks
from cosnb.book.site import build
from cosnb.errors import CosnbError
from cosnb.paths import repository_root

pytestmark = pytest.mark.long
TIMES = {"start_time": "2026-01-01T00:00:00", "duration": 1.5}

CHARTED = "derive-cos"  # the page that has a chart
PAGES = tuple(
    f"notebooks/{name}" for name in ("derive-cos", "derive-mish", "derive-swish", "networks", "audit", "verdicts")
)


def chart(identifier: str) -> dict[str, object]:
    """Return a chart's output as Altair leaves it, its HTML with an id that differs from run to run."""
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.4.json",
        "data": {"values": [{"x": 0}, {"x": 1}]},
        "mark": "line",
        "encoding": {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "x", "type": "quantitative"}},
    }
    html = f'<div id="altair-viz-{identifier}"></div><script src="https://cdn.example/vega.js"></script>'
    data = {"application/vnd.vegalite.v6+json": spec, "text/html": html, "text/plain": "alt.Chart(...)"}
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": data}


def execute(root: Path, times: dict[str, object], stderr: str) -> None:
    """Write executed notebooks as papermill leaves them; what differs from run to run is given."""
    for name in notebooks.read_runs(root):
        outputs = [
            {"name": "stderr", "output_type": "stream", "text": stderr},
            {"name": "stdout", "output_type": "stream", "text": f"result of {name}"},
            {"output_type": "display_data", "metadata": {}, "data": {"text/markdown": [""], "text/plain": []}},
        ]
        formula = markdown(r"Inline $\frac{1}{2}$ {cite}`misra2019mish`.")
        cells = [{**code("count = 2", ["injected-parameters"], outputs[:1]), "id": stderr}]
        cells += [code("print()", outputs=outputs), formula]
        if name == CHARTED:
            cells.append(code("chart", outputs=[chart(stderr)]))
            cells[-1]["metadata"]["mystnb"] = {"image": {"alt": "a line"}}
        path = write_notebook(notebooks.executed_path(name, "quick", root), *cells)
        notebook = json.loads(path.read_text())
        notebook["metadata"]["papermill"] = times
        for cell in notebook["cells"]:
            cell["metadata"]["papermill"] = times
        path.write_text(json.dumps(notebook))


def differences(one: Path, other: Path) -> list[str]:
    """Return the files in which two folders differ, in content or presence."""
    names = {path.relative_to(folder) for folder in (one, other) for path in folder.rglob("*") if path.is_file()}
    return [
        str(name)
        for name in sorted(names)
        if not (one / name).exists()
        or not (other / name).exists()
        or not filecmp.cmp(one / name, other / name, shallow=False)
    ]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copy_book(tmp_path_factory.mktemp("book"), PAGES)
    execute(root, TIMES, "aa")
    assert build.build(root) == root / "_build" / "site" / "index.html"
    return root


def test_pages_show_executed_notebooks(book: Path) -> None:
    page = (book / "_build" / "site" / "notebooks" / "derive-cos.html").read_text()
    assert "result of derive-cos" in page
    assert "aa" not in json.loads((book / "_build/site/_sources/notebooks/derive-cos.ipynb").read_text())["cells"][3]
    staged = json.loads((book / "_build/stage/notebooks/derive-cos.ipynb").read_text())["cells"]
    shown = [output for cell in staged for output in cell.get("outputs", ())]
    assert [output["output_type"] for output in shown] == ["stream", "execute_result"]  # no progress, no empty text
    assert build.check(book / "_build" / "site") == []
    assert (book / "_build" / "site" / "_static" / "mathjax.js").stat().st_size > 1_000_000


def test_the_icons_in_use_are_inside_the_style_sheet(book: Path) -> None:
    static = book / "_build" / "site" / "_static"
    sheet = (static / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    assert sheet.count("url(data:font/woff;base64,") == 3
    assert "webfonts" not in sheet
    assert ".fa-rocket:before" in sheet
    assert ".fa-dragon:before" not in sheet
    assert (static / "scripts" / "fontawesome.js").stat().st_size < 1000


def test_only_a_page_with_a_chart_loads_vega_and_from_the_site_itself(book: Path) -> None:
    folder = book / "_build" / "site"
    page = (folder / "notebooks" / f"{CHARTED}.html").read_text()
    assert "altair-viz" not in page
    assert 'alt="a line"' in page
    loading = [path.stem for path in build.pages(folder) if re.search(r'src="\.\./_static/vega\.js', path.read_text())]
    assert loading == [CHARTED]
    assert (folder / "_static" / "vega.js").stat().st_size > 500_000


def test_the_public_address_reaches_the_pages(book: Path) -> None:
    page = (book / "_build" / "site" / "notebooks" / "derive-cos.html").read_text()
    assert "https://colab.research.google.com/github/cosnb/" in page
    assert f"/blob/v{cosnb.__version__}/notebooks/derive-cos.ipynb" in page  # what the first cell installs
    assert "/edit/main/notebooks/derive-cos.ipynb" in page
    missing = (book / "_build" / "site" / "404.html").read_text(encoding="utf-8")
    assert re.findall(r'href="(.*?)"', missing) == [
        yaml.safe_load((repository_root() / "_config.yml").read_text(encoding="utf-8"))["html"]["baseurl"]
    ]


def write_into(root: Path, name: str, text: str) -> None:
    """Add a Markdown cell to an executed notebook."""
    path = notebooks.executed_path(name, "quick", root)
    notebook = json.loads(path.read_text())
    notebook["cells"].append({**markdown(text), "id": "added"})
    path.write_text(json.dumps(notebook))


def test_a_changed_notebook_is_read_alone_and_the_bytes_are_those_of_a_build_from_scratch_elsewhere(
    book: Path, tmp_path: Path
) -> None:
    other = copy_book(tmp_path / "elsewhere", PAGES)
    execute(other, {"start_time": "2027-02-02T22:22:22", "duration": 99}, "bb")
    for root in (book, other):
        write_into(root, "derive-mish", "A word more, {ref}`and none less <provenance>`, {cite}`misra2019mish`.\n")
        write_into(root, "audit", "(provenance)=\n## Where from")
    build.build(book, jobs=2)
    added, changed, pages = _read_pages(book)
    assert added == 0
    assert 1 < changed < pages - 1  # that which shows records too
    build.build(other, jobs=1)
    assert _read_pages(other)[0] == pages
    assert differences(book / "_build" / "site", other / "_build" / "site") == []


def _read_pages(root: Path) -> tuple[int, int, int]:
    """Return how many pages the last build has read for the first time, how many again, and how many there are."""
    log = (root / "_build" / "site.log").read_text()
    (found,) = re.findall(r"(\d+) added, (\d+) changed, 0 removed", re.sub(r"\x1b\[[0-9;]*m", "", log))
    return (
        int(found[0]),
        int(found[1]),
        len(build.pages(root / "_build" / "site")) - 3,
    )  # the index, the search, the redirection


def test_a_broken_page_leaves_the_previous_site_and_is_found_broken_until_mended(book: Path) -> None:
    executed = notebooks.executed_path("derive-swish", "quick", book)
    good, page = executed.read_bytes(), book / "_build" / "site" / "notebooks" / "derive-swish.html"
    before = page.read_bytes()
    write_into(book, "derive-swish", "[gone](no-such-page.md) {cite}`nobody1900`")
    try:
        for _ in range(2):
            with pytest.raises(CosnbError, match=r"(?s)derive-swish.*no-such-page.*could not find.*nobody1900"):
                build.build(book)
    finally:
        executed.write_bytes(good)
    assert page.read_bytes() == before


def test_a_page_that_loads_from_the_network_is_refused(book: Path) -> None:
    page, good = book / "book" / "references.md", (book / "book" / "references.md").read_text()
    page.write_text(good + '\n<img alt="x" src="https://example.org/x.png">\n')
    try:
        with pytest.raises(CosnbError, match=r"references\.html: <img> loads https://example\.org/x\.png"):
            build.build(book)
    finally:
        page.write_text(good)
    assert "example.org" not in (book / "_build" / "site" / "book" / "references.html").read_text()


def test_a_process_that_has_got_ready_ends_when_it_is_not_needed(tmp_path: Path) -> None:
    with build.Builder(tmp_path) as builder:
        builder._process.stdin.close()  # as where this process is killed
        assert builder._process.wait(120) == 1
    with build.Builder(tmp_path) as builder:
        pass
    assert builder._process.returncode


def test_a_notebook_that_was_not_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(CosnbError, match="is-cos-more-accurate has not been run yet"):
        build.build(copy_book(tmp_path / "book"))


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "<script> loads https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', "<link> loads //cdn.example/x.css"),
        ('<img src="gone.png" alt="x">', "<img> needs gone.png, which is missing"),
        ('<a href="gone.html#x">x</a>', "the link to gone.html#x leads nowhere"),
        ('<i id="here"></i><a href="#gone">x</a>', "the link to #gone names an anchor that is not there"),
        ('<a href="page.html#gone">x</a>', "the link to page.html#gone names an anchor that is not there"),
        ('<img src="data:,">', "the image data:, has no alternative text, but None"),
        ('<article><img src="data:," alt=" "></article>', "the image data:, has no alternative text, but ' '"),
        ('<article><img src="data:," alt="a.svg"></article>', "the image data:, has no alternative text, but 'a.svg'"),
    ],
)
def test_check_finds_what_is_broken(html: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(html)
    assert build.check(tmp_path) == [f"page.html: {fault}"]


def test_check_takes_links_and_local_files(tmp_path: Path) -> None:
    (tmp_path / "a b.css").touch()
    (tmp_path / "page.html").write_text(
        '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org">'
        '<link rel="stylesheet" href="a%20b.css?v=1"><img alt="" src="data:image/png;base64,xyz"><script>1</script>'
        '<a href="#here">x</a> <a href="page.html#here">x</a> <b id="here">x</b>'
        '<a href="a%20b.css#x">x</a> <a href="#">x</a>'
    )
    assert build.check(tmp_path) == []


def test_jupyter_book_alone_builds_and_executes(tmp_path: Path) -> None:
    root = copy_book(tmp_path / "book", ["notebooks/derive-cos"])
    source = write_notebook(root / "notebooks" / "derive-cos.ipynb", code("print('sum', 1 + count)"))
    before = source.read_bytes()
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", "."],
        cwd=root,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "sum 2" in (root / "_build" / "html" / "notebooks" / "derive-cos.html").read_text()
    assert source.read_bytes() == before
