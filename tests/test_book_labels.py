"""Every figure, table and equation of the paper has its place in the book: one label each in the notebooks' sources."""

import json
import re
from collections import Counter

import pytest

from cosnb.paths import repository_root

NOTEBOOKS = sorted((repository_root() / "notebooks").glob("*.ipynb"))
EXPECTED = {
    *(f"figure-{number}" for number in range(1, 17)),
    *(f"table-{number}" for number in range(1, 4)),
    *(f"eq-{number}" for number in range(1, 6)),
}
_TARGET = re.compile(r"^\(([a-z0-9-]+)\)=$", re.MULTILINE)
_TAG = re.compile(r"^\((eq-\d+)\)=\n\$\$\n(.*?)\n\$\$$", re.MULTILINE | re.DOTALL)


def cells():
    """Return (notebook's name, cell) of all cells."""
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            yield path.stem, cell


def figure(cell):
    return cell["metadata"].get("mystnb", {}).get("figure", {})


def labels():
    """Return every label, those of outputs and those of Markdown, with the notebook that has it."""
    found = []
    for name, cell in cells():
        if cell["cell_type"] == "code":
            found += [(figure(cell)["name"], name)] if "name" in figure(cell) else []
        else:
            found += [(label, name) for label in _TARGET.findall("".join(cell["source"]))]
    return found


@pytest.mark.parametrize("label", sorted(EXPECTED))
def test_the_papers_figures_tables_and_equations_have_one_label_each(label):
    assert len([name for found, name in labels() if found == label]) == 1


def test_no_label_is_given_twice():
    assert [label for label, count in Counter(label for label, _ in labels()).items() if count > 1] == []


def test_captions_name_the_papers_number():
    captions = {figure(cell).get("name"): figure(cell)["caption"] for _, cell in cells() if figure(cell)}
    numbered = sorted(label for label in EXPECTED if not label.startswith("eq-"))
    wrong = [label for label in numbered if not captions[label].startswith(label.replace("-", " ").capitalize())]
    assert wrong == []


def test_equations_show_the_papers_number():
    shown = {}
    for _, cell in cells():
        if cell["cell_type"] == "markdown":
            shown |= dict(_TAG.findall("".join(cell["source"])))
    assert {label: re.findall(r"\\tag\{(\d+)\}", formula) for label, formula in shown.items()} == {
        f"eq-{number}": [str(number)] for number in range(1, 6)
    }
