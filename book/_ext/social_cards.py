"""What sites that quote a page show of it: title, description and picture, as Open Graph and Twitter metadata.

The description is made of sentences of the page's first paragraphs that need no typesetting: formulas would arrive as
TeX.
"""

import itertools
import re
from html import escape
from typing import Any
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx

LIMIT = 200  # characters of a description that are shown; whole sentences up to there
PARAGRAPHS = 3  # in which a description is looked for
_CITATION = re.compile(r"\s*\[[^\]]*\d{4}[a-z]?\]")
_FORMULA = "\N{REPLACEMENT CHARACTER}"


def describe(doctree: nodes.document, default: str) -> str:
    """Return a paragraph's first sentences in a row without formulas, at most `LIMIT` characters together.

    Only the first `PARAGRAPHS` are read; a page without such a sentence gets `default`.
    """
    paragraphs = (node for node in doctree.findall(nodes.paragraph) if not isinstance(node.parent, nodes.citation))
    for paragraph in itertools.islice(paragraphs, PARAGRAPHS):
        text = re.sub(r"\s+", " ", _CITATION.sub("", _read(paragraph))).strip()
        description = ""
        for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z])", text):
            longer = f"{description} {sentence}".strip()
            if _FORMULA not in sentence and sentence.endswith((".", "?", "!")) and len(longer) <= LIMIT:
                description = longer
            elif description:
                break  # what follows may speak of what was left out
        if description:
            return description
    return default


def _read(node: nodes.Node) -> str:
    if isinstance(node, nodes.math):
        return _FORMULA
    return node.astext() if isinstance(node, nodes.Text) else "".join(map(_read, node.children))


def add_metadata(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Add the metadata to a page's head; pages without a source (search, index) get none."""
    if doctree is None:
        return
    title = re.sub(r"<[^>]*>", "", context["title"])
    description = describe(doctree, app.config.social_cards_description)
    image = urljoin(app.config.html_baseurl, f"_static/{app.config.social_cards_image}")
    properties = {
        "og:type": "website",
        "og:site_name": app.config.social_cards_site_name,
        "og:title": title,
        "og:description": description,
        "og:url": urljoin(app.config.html_baseurl, app.builder.get_target_uri(pagename)),
        "og:image": image,
        "og:image:alt": app.config.social_cards_image_alt,
    }
    names = {"description": description, "twitter:card": "summary_large_image"}
    tags = [f'<meta property="{key}" content="{escape(value)}" />' for key, value in properties.items()]
    tags += [f'<meta name="{key}" content="{escape(value)}" />' for key, value in names.items()]
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    for name in ("site_name", "description", "image", "image_alt"):
        app.add_config_value(f"social_cards_{name}", "", "html", str)
    app.connect("html-page-context", add_metadata)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
