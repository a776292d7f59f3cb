"""What sites that quote a page show of it: title, description and picture, as Open Graph and Twitter metadata.

The description is made of the sentences of the page's first paragraph that need no typesetting: formulas would arrive
as TeX, citations as labels.
"""

import re
from html import escape
from typing import Any
from urllib.parse import urljoin

from docutils import nodes
from sphinx.application import Sphinx

LIMIT = 200  # characters of a description that are shown; whole sentences up to there
_FORMULA = "\N{REPLACEMENT CHARACTER}"


def describe(doctree: nodes.document, default: str) -> str:
    """Return the first paragraph's sentences without formulas, at most `LIMIT` characters; `default` without any."""
    paragraph = next(doctree.findall(nodes.paragraph), None)
    text = _read(paragraph) if paragraph is not None else ""
    sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z])", re.sub(r"\s+", " ", text).strip())
    description = ""
    for sentence in sentences:
        if _FORMULA not in sentence and sentence.endswith((".", "?", "!")):
            longer = f"{description} {sentence}".strip()
            if len(longer) > LIMIT:
                break
            description = longer
    return description or default


def _read(node: nodes.Node) -> str:
    if isinstance(node, nodes.math):
        return _FORMULA
    if isinstance(node, nodes.Text):
        return node.astext()
    if "bibtex" in getattr(node, "attributes", {}).get("classes", ()) or isinstance(node, nodes.citation_reference):
        return ""
    return "".join(map(_read, node.children))


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
