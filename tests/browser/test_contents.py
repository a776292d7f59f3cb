"""What the book owes its sources: every figure, table and equation of theirs, and an answer to every claim, once."""

import re
from collections.abc import Iterator
from functools import cache

import pytest
from bs4 import BeautifulSoup, Tag
from built import PAGES, SITE, unavailable

from cosnb.book.prose import verdict_word
from cosnb.book.site.build import check
from cosnb.experiments.statistics import Verdict

FIGURES = [f"figure-{number}" for number in range(1, 17)]
TABLES = [f"table-{number}" for number in range(1, 4)]
EQUATIONS = [f"eq-{number}" for number in range(1, 6)]
CLAIMS = [f"claim-p{number}" for number in range(22)] + [f"claim-b{number}" for number in range(1, 12)]


@cache
def articles() -> dict[str, Tag]:
    """Return every page's article by the page's path."""
    if not PAGES:
        unavailable("there is no _build/site: run `make book` first")
    soups = {name: BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser") for name in PAGES}
    return {name: article for name, soup in soups.items() if (article := soup.find("article"))}


def labelled(*labels: str) -> Iterator[Tag]:
    """Yield what has one of these labels, on any page; where the label is an empty mark, what comes after it."""
    for article in articles().values():
        for mark in article.find_all(id=list(labels)):
            yield mark if mark.get_text(strip=True) or mark.find() else mark.find_next()


def only(*labels: str) -> Tag:
    found = list(labelled(*labels))
    assert len(found) == 1, f"{labels[0]} is there {len(found)} times"
    return found[0]


def drawn(element: Tag) -> bool:
    """Whether an element is what a cell has shown."""
    return element.find_parent(class_="cell_output") is not None


def has_caption_of(figure: Tag, label: str) -> bool:
    """Whether a figure's caption begins with the number that the paper gives it."""
    caption = figure.find("figcaption").get_text(strip=True)
    return re.match(rf"{label.replace('-', ' ')}\b", caption, re.IGNORECASE) is not None


@pytest.mark.parametrize("label", FIGURES)
def test_a_figure_is_drawn_by_a_cell_with_its_caption(label: str) -> None:
    figure = only(label)
    assert drawn(figure)
    assert figure.find(["img", "svg", "canvas"]) or figure.find(class_="vega-embed")
    assert has_caption_of(figure, label)


@pytest.mark.parametrize("label", TABLES)
def test_a_table_is_made_by_a_cell(label: str) -> None:
    table = only(label)
    assert drawn(table)
    assert has_caption_of(table, label)
    rows = (table if table.name == "table" else table.find("table")).find_all("tr")
    assert {"ReLU", "Swish", "CoS"} <= {cell.get_text(strip=True) for row in rows for cell in row.find_all("td")}


@pytest.mark.parametrize("label", EQUATIONS)
def test_an_equation_is_typeset_and_numbered(label: str) -> None:
    equation = only(label, f"equation-{label}")
    assert "math" in equation["class"]
    number = label.removeprefix("eq-")
    assert rf"\tag{{{number}}}" in equation.get_text() or equation.find(class_="eqno", string=f"({number})")


@pytest.mark.parametrize("label", CLAIMS)
def test_a_claim_is_answered_in_one_place(label: str) -> None:
    found = [mark for article in articles().values() for mark in article.find_all(id=label)]
    assert len(found) == 1
    row = found[0].find_parent("tr")
    texts = [cell.get_text(" ", strip=True) for cell in row.find_all("td")]
    assert texts[0].lower() == label.removeprefix("claim-")
    verdicts = {str(verdict) for verdict in Verdict} | {"confirmed in part"}
    assert texts[2].partition("\u00a0")[2] in verdicts
    assert texts[4]  # the sentence that says why


def test_every_page_gives_a_claim_the_verdict_of_the_page_of_verdicts() -> None:
    """Badges below titles and in tables, English and Korean, and the lines in bold that end a page's verdicts."""
    rows = {mark["id"].removeprefix("claim-").upper(): mark.find_parent("tr") for mark in _marks()}
    labels = {number: row.find_all("td")[2].get_text().strip().partition("\u00a0")[2] for number, row in rows.items()}
    korean = {number: _in_korean(label) for number, label in labels.items()}
    seen = 0
    for name, article in articles().items():
        for badge in article.select(".verdict"):
            place = badge.find_parent(["li", "tr"])
            number = re.match(r"\s*([PB]\d+)(?![\d:])", place.get_text(" ", strip=True))  # a colon: of a part
            word = badge.get_text().partition("\u00a0")[2]
            if number and word:  # without a word it is the mark of a part
                assert word in (labels[number[1]], korean[number[1]]), f"{name}: {number[1]} {word}"
                seen += 1
        for bold in article.find_all("strong"):
            if found := re.fullmatch(r"([PB]\d+): (.+)", bold.get_text()):
                assert found[2] == labels[found[1]], f"{name}: {found[0]}"
                seen += 1
    assert seen > 2 * len(CLAIMS)  # the page in Korean, and a line below a title at least


def _marks() -> list[Tag]:
    return [mark for article in articles().values() for label in CLAIMS for mark in article.find_all(id=label)]


def _in_korean(label: str) -> str:
    word = verdict_word(Verdict(label.removesuffix(" in part")), "ko")
    return f"일부 {word}" if label.endswith(" in part") else word


def test_links_anchors_and_alternative_texts() -> None:
    assert articles()
    assert check(SITE) == []
