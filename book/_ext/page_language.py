"""Pages in another language than the site, and a switch in the header between a page and its translation.

`language: ko` in a page's front matter marks its text for browsers. The navigation leaves it out.
"""

from html import escape
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

KOREAN = {
    "book/intro": "book/korean",
    "notebooks/verdicts": "book/korean-verdicts",
    "notebooks/derive-cos": "book/korean-cos",
}
ENGLISH = {korean: english for english, korean in KOREAN.items()}


def leave_out(app: Sphinx, doctree: nodes.document) -> None:
    """Take the translations out of the tables of contents that `_toc.yml` has made."""
    for toctree in doctree.findall(addnodes.toctree):
        toctree["entries"] = [entry for entry in toctree["entries"] if entry[1] not in ENGLISH]
        toctree["includefiles"] = [name for name in toctree["includefiles"] if name not in ENGLISH]


def mark(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Put the page's own text, not the site's words around it, into an element of that language."""
    language = (context.get("meta") or {}).get("language")
    if language:
        context["body"] = f'<div lang="{escape(language)}">{context["body"]}</div>'


def add_switch(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Put a link to the page's translation into the header, where there is one."""
    there = KOREAN.get(pagename) or ENGLISH.get(pagename)
    if there and there in app.env.found_docs and "header_buttons" in context:
        text = "한국어" if pagename in KOREAN else "English"
        button = {"type": "link", "url": context["pathto"](there), "text": text, "label": "language"}
        context["header_buttons"].insert(0, button)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-read", leave_out, priority=400)  # Sphinx takes the contents from it at 500
    app.connect("html-page-context", mark)
    app.connect("html-page-context", add_switch, priority=502)  # the theme makes the header's buttons at 501
    return {"parallel_read_safe": True, "parallel_write_safe": True}
