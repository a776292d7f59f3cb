"""MathJax with no network, as one file: the parts of the package sphinx-mathjax-offline that the pages use.

The package's own bundles are 1.3 MB without the fonts (CHTML, which loads them from files: some browsers refuse that
where a page was opened from a folder) or 2.3 MB with them (SVG). With the fonts, without the menu and without the TeX
packages that are no part of LaTeX and amsmath it is 1.2 MB.
"""

import base64
import importlib.util
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

BUNDLE = "mathjax.js"
# The first starts the others when the script that holds them all has been read.
PARTS = ("startup", "core", "input/tex", "output/chtml", "output/chtml/fonts/tex", "a11y/assistive-mml")
_FONT = re.compile(r"%%URL%%/(MathJax_[\w-]+\.woff)")


def find_parts() -> Path:
    """Return the folder of MathJax's parts inside the installed package."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed: pip install -r requirements/main.lock")
    return Path(spec.origin).parent / "static" / "mathjax"


def bundle(folder: Path) -> str:
    """Return the parts in `folder` as one script, its fonts inside, that loads nothing."""

    def embed(match: re.Match[str]) -> str:
        font = (folder / "output" / "chtml" / "fonts" / "woff-v2" / match[1]).read_bytes()
        return f"data:font/woff;base64,{base64.b64encode(font).decode()}"

    scripts = [_FONT.sub(embed, (folder / f"{part}.js").read_text(encoding="utf-8")) for part in PARTS]
    # The names under which parts ask for one another, so that none is fetched.
    names = ", ".join(f'"{part}"' for part in (*PARTS, "loader", "output/chtml/fonts/tex.js"))
    return ";\n".join([*scripts, f"MathJax.loader.preLoad({names});\n"])


def write_bundle(app: Sphinx, error: Exception | None) -> None:
    """Write the bundle into the site's `_static` when the build has succeeded."""
    if error is None and app.builder.format == "html":
        (Path(app.outdir) / "_static" / BUNDLE).write_text(bundle(find_parts()), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.mathjax")
    app.config.mathjax_path = BUNDLE
    app.connect("build-finished", write_bundle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
