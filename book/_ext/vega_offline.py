"""Vega with no network: vl-convert's bundle of Vega, Vega-Lite and Vega-Embed, one file for all pages with a chart."""

import shutil
from pathlib import Path
from typing import Any

import altair
import vl_convert
from docutils import nodes
from sphinx.application import Sphinx

BUNDLE, STARTER = "vega.js", "charts.js"
_SIGN = 'class="chart-specification"'


def add_scripts(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: nodes.Node) -> None:
    """Let a page that has a chart, and no other, load the bundle and the script that starts its charts."""
    if app.builder.format == "html" and _SIGN in context.get("body", ""):
        for script in (BUNDLE, STARTER):
            app.add_js_file(script, loading_method="defer")


def write_bundle(app: Sphinx, error: Exception | None) -> None:
    """Write the bundle into the site's `_static` when the build has succeeded and a page needs it."""
    # The pages themselves say so, since other processes may have written them.
    site = Path(app.outdir)
    if error is None and any(_SIGN in page.read_text(encoding="utf-8") for page in site.rglob("*.html")):
        version = altair.SCHEMA_VERSION.lstrip("v").rpartition(".")[0]  # Vega-Lite's, 6.4 of v6.4.1
        kept = Path(app.doctreedir) / f"vega-{vl_convert.__version__}-{version}.js"
        if not kept.exists():  # it takes 1.4 s to make
            bundle = vl_convert.javascript_bundle(vl_version=version)
            # In a function of its own: its names would collide with other scripts', as `_` does with one of Sphinx's.
            kept.write_text(f"(() => {{\n{bundle}\n}})();\n", encoding="utf-8")
        shutil.copyfile(kept, site / "_static" / BUNDLE)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write_bundle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
