"""The published site alone: Colab opens the notebooks of this version's tag, and unknown addresses get a page."""

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

import cosnb

_NOT_FOUND = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Page not found</title>
<style>body {{ font: 1.1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 36rem; padding: 0 1rem; }}</style>
</head>
<body><h1>Page not found</h1>
<p>This address leads nowhere; pages may have moved with a new version.
<a href="{start}">{title}</a> has the contents and a search.</p></body>
</html>
"""


def open_the_tag(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    """Have the button for Colab open the notebook of the version that its first cell installs."""
    branch = app.config.html_theme_options.get("repository_branch") or "master"
    for button in context.get("header_buttons", []):
        for link in button.get("buttons", [button]):
            if "colab.research" in link.get("url", ""):
                link["url"] = link["url"].replace(f"/blob/{branch}/", f"/blob/v{cosnb.__version__}/")


def write_not_found(app: Sphinx, exception: Exception | None) -> None:
    """Write 404.html; it is served at any address, so its link is the site's full one."""
    if exception is None:
        page = _NOT_FOUND.format(start=escape(app.config.html_baseurl), title=escape(app.config.html_title))
        Path(app.outdir, "404.html").write_text(page, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx; the theme adds its buttons at 501."""
    app.connect("html-page-context", open_the_tag, priority=900)
    app.connect("build-finished", write_not_found)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
