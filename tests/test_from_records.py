"""The roles and directives of book/_ext in small Sphinx builds: numbers appear, a missing key fails the build."""

import json
import os
import re
import subprocess
import sys
from inspect import isclass, isroutine
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile
from tiny_book import code, markdown, write_notebook

import cosnb
from cosnb import accuracy
from cosnb.book import claims, notebooks, plots
from cosnb.book.claims.pages import PAGES
from cosnb.experiments import data, models, results, training
from cosnb.experiments.results import provenance
from cosnb.paths import repository_address, repository_root

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(900),
]  # a build examines every claim: 15 s of processor time, more on a busy machine
ROOT = repository_root()
MODULES = (cosnb, accuracy, claims, data, models, notebooks, plots, results, training)
EXTENSIONS = ("myst_nb", "sphinxcontrib.bibtex", "from_records", "provenance_links", "plain_docstrings")


def build(folder: Path) -> subprocess.CompletedProcess:
    """Build the Sphinx project in `folder` to `folder/html` as the book is built: warnings are errors, all are said."""
    (folder / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\nextensions = {EXTENSIONS!r}\n"
        "nb_execution_mode = 'off'\nnb_render_markdown_format = 'myst'\nmyst_enable_extensions = ['dollarmath']\n"
        "autodoc_preserve_defaults = True\nbibtex_bibfiles = ['references.bib']\nhtml_theme = 'basic'\n"
        "nitpick_ignore_regex = [('py:.*', r'(?!cosnb\\.).*'),"
        " ('py:.*', r'cosnb\\.(kernels|book\\.plots\\.formulas)\\..*')]\n"
        f"html_static_path = [{str(ROOT / 'book' / 'assets')!r}]\n",
        encoding="utf-8",
    )
    (folder / "references.bib").write_bytes((ROOT / "book" / "references.bib").read_bytes())
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-n", "--keep-going", folder, folder / "html"],
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page and a notebook with every role and directive, and the real page of reference."""
    folder = tmp_path_factory.mktemp("site")
    toctree = "```{toctree}\n:glob:\n\nnotebooks/*\nreference\n```\n"
    page = "# Page\n\nCoS: {result}`paper/squeezenet.cos.accuracy`, {result-ko}`paper/squeezenet.cos-relu.accuracy`; "
    page += "B6 {verdict}`B6`, {verdict-ko}`B6`; {repository}`README.md`.\n\n"
    directives = ["```{records-table}\n```\n"]
    (folder / "index.md").write_text(page + "\n".join([*directives, toctree]), encoding="utf-8")
    (folder / "reference.md").write_bytes((ROOT / "book" / "reference.md").read_bytes())
    (folder / "notebooks").mkdir()
    for name in {run.notebook for run in notebooks.read_runs().values()} - {"protocol-modern"}:
        (folder / "notebooks" / f"{name}.md").write_text(f"# {name}\n", encoding="utf-8")
    link = f"*32 runs.* [Records]({repository_address()}/results/table-3-squeezenet)."
    table = "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    write_notebook(
        folder / "notebooks" / "tables.ipynb",
        markdown("The limit is {result}`formula/cos.asymptotes`."),
        code("before", outputs=[shown(table.replace("a", "before"))]),
        code("lead", ["records"], [shown(table.replace("a", "lead"))]),
        code("provenance(records)", outputs=[shown(link)]),
        code("table", outputs=[shown(table.replace("a", "recorded"))]),
        code("own", ["computed"], [shown(table.replace("a", "computed"))]),
    )
    (folder / "notebooks" / "tables.md").unlink()
    done = build(folder)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def shown(text: str) -> dict:
    """Return an output of Markdown."""
    bundle = {"text/markdown": text, "text/plain": text}
    return {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": bundle}


def test_numbers_and_verdicts_stand_in_the_page(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert "89.18 %" in page
    assert "+0.60%p" in page
    assert page.count("verdict-right-with-a-slip") >= 2
    assert "✓\u00a0right, with a slip" in page
    assert "✓\u00a0맞으나 사소한 오류 있음" in page
    assert f'href="{repository_address()}/README.md"' in page


def test_a_notebook_s_markdown_has_the_role_too(site: Path) -> None:
    assert "1/4, x + 1/4" in (site / "notebooks" / "tables.html").read_text(encoding="utf-8")


def test_every_claim_has_its_pages() -> None:
    assert list(PAGES) == [*claims.DEFINITIONS, *claims.CLAIMS]
    assert {name for names in PAGES.values() for name in names} <= notebooks.read_runs().keys()


def test_an_experiment_is_linked_to_the_page_of_its_notebook(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    assert re.search(r'href="notebooks/tables.html"><span class="doc">Table 1: ShuffleNet v2', page)
    assert "The same networks, trained well" in page
    assert 'href="notebooks/protocol-modern.html"><span' not in page


def test_every_group_of_records_is_accounted_for(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    for experiment, records in claims.gather().items():
        assert not records or f"{repository_address()}/results/{experiment}" in page
    groups = sum(len(provenance.split(records)) for records in claims.gather().values())
    assert page.count("commit ") >= groups > 0


def test_a_shown_table_links_its_records(site: Path) -> None:
    page = (site / "notebooks" / "tables.html").read_text(encoding="utf-8")
    assert 'id="provenance"' in page
    words = ("before", "lead", "recorded", "computed")
    before, lead, recorded, computed = (page.index(f"<p>{word}</p>") for word in words)
    notes = [found.start() for found in re.finditer('href="#provenance"', page)]
    assert before < lead < notes[0] < recorded < notes[1] < computed
    assert len(notes) == 2


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_public_name_is_in_the_reference(module, site: Path) -> None:
    with (site / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", lambda base, path: path)
    listed = {name for kind, names in inventory.items() if kind.startswith("py:") for name in names}
    described = {name for name in module.__all__ if isroutine(value := getattr(module, name)) or isclass(value)}
    assert {f"{module.__name__}.{name}" for name in described} - listed == set()


def test_a_missing_key_fails_the_build_and_is_named(tmp_path: Path) -> None:
    page = "# Page\n\n{result}`paper/squeezenet.mish.loss`\n\n{verdict}`P99`\n\n```{toctree}\nnb\n```\n"
    (tmp_path / "index.md").write_text(page)
    notebook = write_notebook(tmp_path / "nb.ipynb", markdown("{result}`formula/cos.beauty`"))
    done = build(tmp_path)
    assert done.returncode != 0
    assert "the paper reports no 'squeezenet.mish.loss'" in done.stderr
    assert "index.md:5: WARNING: verdict: there is no claim 'P99'" in done.stderr
    assert "nb.ipynb" in done.stderr
    assert "cos has no property 'beauty'" in done.stderr
    assert json.loads(notebook.read_text())["cells"]


@pytest.mark.parametrize(
    ("line", "rst"),
    [
        ("Return |x| and x*y for `a|b`, `c*`.", r"Return \|x\| and x\*y for ``a|b``, ``c*``."),
        ("a_name_ and one ` alone", r"a\_name\_ and one \` alone"),
        ("", ""),
    ],
)
def test_docstrings_are_plain_text_with_code(line: str, rst: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from plain_docstrings import to_rst

    assert to_rst(line) == rst
