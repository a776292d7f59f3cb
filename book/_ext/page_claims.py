"""The claims that a page answers, with their verdicts and the source that makes them, in a line below its title."""

from functools import lru_cache
from typing import Any

from docutils import nodes
from from_records import show_verdict
from sphinx.application import Sphinx

from cosnb.book.claims import say
from cosnb.book.claims.pages import PAGES

_SOURCES = {"P": "the paper (P)", "B": "the blog article (B)"}
_FOLDER, _VERDICTS = "notebooks/", "notebooks/verdicts"


def claims_of(page: str) -> list[str]:
    """Return the numbers of the claims that a page answers, in order."""
    return [number for number, pages in PAGES.items() if page in pages]


@lru_cache(maxsize=1)
def answered(app: Sphinx) -> str:
    """Return the text of the page of verdicts; in it each claim's row has a mark, once its cells have run."""
    return str(app.env.get_doctree(_VERDICTS).astext())


def line(numbers: list[str], link: str, verdicts: str) -> nodes.container:
    """Return the line; `link` is the address of the page of verdicts, `verdicts` its text."""
    letters = dict.fromkeys(number[0] for number in numbers)
    sources = " and ".join(_SOURCES[letter] for letter in letters)
    items = nodes.bullet_list()
    for number in numbers:
        mark = f"claim-{number.lower()}"
        address = f"{link}#{mark}" if f'"{mark}"' in verdicts else link
        name = nodes.reference("", number, refuri=address, internal=True, reftitle=say(number))
        items += nodes.list_item("", nodes.paragraph("", "", name, nodes.Text(" "), show_verdict(number, "en")))
    return nodes.container("", nodes.paragraph("", f"Claims of {sources}:"), items, classes=["answered"])


def add_line(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the line below the title."""
    there = docname.startswith(_FOLDER) and _VERDICTS in app.env.found_docs
    numbers = claims_of(docname.removeprefix(_FOLDER)) if there else []
    title = next(iter(doctree.findall(nodes.title)), None)
    if numbers and title is not None and app.builder.format == "html":
        link = app.builder.get_relative_uri(docname, _VERDICTS)
        title.parent.insert(title.parent.index(title) + 1, line(numbers, link, answered(app)))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", add_line)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
