"""Lets Sphinx read pages in several processes; an extension that Jupyter Book loads would prevent it by saying nothing.

What extensions compute once a process is computed before Sphinx divides into several.
"""

from typing import Any

from sphinx.application import Sphinx

from cosnb.book import prose


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    # It reads nothing: it numbers the sections of `numbered` tables of contents when all pages have been read.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    app.connect("builder-inited", lambda app: prose.findings())  # the verdicts, seconds of algebra
    return {"parallel_read_safe": True, "parallel_write_safe": True}
