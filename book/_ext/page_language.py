"""A page's text in another language than the site: `language: ko` in its front matter marks it for browsers."""

from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def mark(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Put the page's own text, not the site's words around it, into an element of that language."""
    language = (context.get("meta") or {}).get("language")
    if language:
        context["body"] = f'<div lang="{escape(language)}">{context["body"]}</div>'


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("html-page-context", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
