"""Docstrings are plain text with `code` in backticks; this makes reStructuredText of them for autodoc."""

import re
from typing import Any

from sphinx.application import Sphinx

_SPECIAL = re.compile(r"([\\*|_])")  # emphasis, substitutions and references, none of which a docstring here means


def to_rst(line: str) -> str:
    """Return a line of a docstring with its code spans as literals and all other signs as they stand."""
    parts = line.split("`")
    if len(parts) % 2 == 0:  # a backtick without a partner
        return _SPECIAL.sub(r"\\\1", line).replace("`", r"\`")
    return "".join(f"``{part}``" if place % 2 else _SPECIAL.sub(r"\\\1", part) for place, part in enumerate(parts))


def convert(app: Sphinx, what: str, name: str, item: object, options: Any, lines: list[str]) -> None:
    """Rewrite a docstring's lines in place."""
    joined = re.sub(r"`([^`\n]*)\n([^`\n]*)`", r"`\1 \2`", "\n".join(lines))  # a code span over a line's end
    lines[:] = [to_rst(line) for line in joined.split("\n")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", convert)
    app.add_css_file("reference.css")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
