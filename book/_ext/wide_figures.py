"""Marks figures wider than five inches, the book's usual width: on a narrow screen they would shrink beyond reading."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

USUAL = 360.0  # points
_WIDTH = re.compile(rb'<svg[^>]*?\swidth="([\d.]+)pt"')


def mark(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give such a figure the class `wide`; the width is the one that Matplotlib writes into an SVG's first lines."""
    for image in doctree.findall(nodes.image):
        path, figure = Path(app.srcdir, image["uri"]), image.parent
        if isinstance(figure, nodes.figure) and path.suffix == ".svg":
            with path.open("rb") as file:
                found = _WIDTH.search(file.read(2000))
            if found and float(found[1]) > USUAL:
                figure["classes"].append("wide")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
