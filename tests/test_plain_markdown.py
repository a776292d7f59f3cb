"""Markdown of notebooks: plain in Jupyter, citations and folded solutions in the site."""

import json
import re
from pathlib import Path

import pytest

from cosnb.book.site.plain_markdown import Source, for_site, sources
from cosnb.paths import repository_root

ROOT = repository_root()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
KNOWN = {"Misra, 2020": Source("misra", "https://a.b/c"), "Ma et al., 2018": Source("ma", "https://d.e/f")}


def test_links_with_a_label_become_citations() -> None:
    text = "Mish ([Misra, 2020](https://a.b/c)) is ([Misra, 2020](https://a.b/c); [Ma et al., 2018](https://d.e/f)). "
    kept = "See [cost](cost.ipynb) ([here](there))."
    assert for_site(text + kept, KNOWN) == "Mish {cite}`misra` is {cite}`misra,ma`. " + kept


def test_details_become_a_dropdown() -> None:
    text = "Why?\n\n<details>\n<summary>Solution</summary>\n\nSo:\n\n```python\n1\n```\n\n</details>"
    assert for_site(text, KNOWN) == "Why?\n\n````{dropdown} Solution\nSo:\n\n```python\n1\n```\n````"


def test_an_anchor_becomes_a_target() -> None:
    assert for_site('See <a id="x"></a>\n\n<a id="eq-5"></a>\n$$x$$', KNOWN) == 'See <a id="x"></a>\n\n(eq-5)=\n$$x$$'


def test_sources_have_the_labels_and_addresses_of_the_bibliography() -> None:
    known = sources(ROOT)
    assert known["Han and Kang, 2021"] == Source("han2021cos", "https://doi.org/10.14801/jkiit.2021.19.1.1")
    assert known["Misra, 2020"].address == "https://arxiv.org/abs/1908.08681"
    assert known["Polyak, 1963"].address.endswith("(63)90382-3".replace("(", "%28").replace(")", "%29"))
    assert known["calico, 2025"].address.endswith("/book/references.html")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reads_well_in_jupyter(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    assert re.findall(r"\{[a-z:-]+\}`.*|^[`:]{3,}\{.*|^\(.*\)=$", text, re.MULTILINE) == []  # only the site knows these
    known = sources(ROOT)
    addresses = {source.address for source in known.values()}
    links = re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", text)
    assert {(name, address) for name, address in links if address in addresses} <= {
        (name, source.address) for name, source in known.items()
    }
    cited = [name for name, address in links if address in addresses]
    assert len(re.findall(r"\{cite\}`[^`]+`", for_site(text, known))) <= len(cited)
    assert not addresses & set(re.findall(r"\]\(([^)\s]+)\)", for_site(text, known)))  # every one is cited
    pages = [address.partition("#")[0] for _, address in links if "://" not in address]
    assert [page for page in pages if page and not (path.parent / page).is_file()] == []
