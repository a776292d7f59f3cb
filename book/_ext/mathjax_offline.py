"""MathJax with no network: one file of the package sphinx-mathjax-offline, copied into the site.

The package's own extension copies all of its 24 MB and picks the CHTML output, which loads fonts from files; the SVG
output with all of TeX's extensions is one file, so pages work when opened from a folder.
"""

import importlib.util
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset_file

BUNDLE = "tex-svg-full.js"


def find_bundle() -> Path:
    """Return the path of the MathJax bundle inside the installed package."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None or spec.origin is None:
        raise ExtensionError("sphinx-mathjax-offline is not installed: pip install -r requirements.lock")
    return Path(spec.origin).parent / "static" / "mathjax" / BUNDLE


def copy_bundle(app: Sphinx, error: Exception | None) -> None:
    """Copy the bundle into the site's `_static` when the build has succeeded."""
    if error is None and app.builder.format == "html":
        copy_asset_file(str(find_bundle()), str(Path(app.outdir) / "_static" / BUNDLE))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.setup_extension("sphinx.ext.mathjax")
    app.config.mathjax_path = BUNDLE
    app.connect("build-finished", copy_bundle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
