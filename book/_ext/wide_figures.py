"""Marks figures wider than five inches, which would shrink beyond reading on a narrow screen, and those with pixels."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

USUAL = 360.0  # points
_WIDTH = re.compile(rb'<svg[^>]*?\swidth="([\d.]+)pt"')


def mark(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give figures the classes `wide`, by the width in an SVG's first lines, and `pixels`, as of a heat map."""
    for image in doctree.findall(nodes.image):
        path, figure = Path(app.srcdir, image["uri"]), image.parent
        if isinstance(figure, nodes.figure) and path.suffix == ".svg":
            text = path.read_bytes()
            found = _WIDTH.search(text, 0, 2000)
            if found and float(found[1]) > USUAL:
                figure["classes"].append("wide")
            if b"<image " in text:
                figure["classes"].append("pixels")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
