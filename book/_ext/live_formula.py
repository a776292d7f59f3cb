"""The directive `live-formula`: the form in which a reader tries a formula, and the engine that it starts.

The engine's files go into `_static/live`, where a page asks for them, and a page says so in one sentence where they
could not be had. The page has a content security policy: scripts and connections of this site alone, each inline script
by its digest.
"""

import base64
import hashlib
import re
from html import escape, unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from cosnb.book.site import engine
from cosnb.symbolic.catalogue import CATALOGUE

logger = logging.getLogger(__name__)
FOLDER, SCRIPTS, STYLE = "_static/live", ("live-plot.js", "live-engine.js", "live.js"), "live.css"
NOTEBOOK = "notebooks/your-own-activation.ipynb"
_SIGN = 'class="live"'
_SCRIPT = re.compile(r"<script(?P<attributes>[^>]*)>(?P<text>.*?)</script>", re.DOTALL)
_HANDLER = re.compile(r"""\son[a-z]+=(?:"([^"]*)"|'([^']*)')""")
_DATA = re.compile(r"""\bsrc=|type=["']?application/(?:ld\+)?json""")
_FORM = """<div class="live" data-engine="{digest}" data-colab="{colab}">
<form class="live-ask" autocomplete="off">
<label for="live-text">f(x) =</label>
<input id="live-text" list="live-names" value="x*tanh(exp(x))" maxlength="2000" spellcheck="false" autocapitalize="off">
<datalist id="live-names">{options}</datalist>
<button type="submit">Compute</button>
</form>
<noscript><p>This needs JavaScript.</p></noscript>
<p class="live-status" role="status">{said}</p>
<progress class="live-progress" max="4" value="0" aria-label="Loading the engine" hidden></progress>
<pre class="live-error" role="alert" hidden></pre>
<div class="live-results" hidden></div>
</div>"""
_READY = "The engine is loaded when you ask for it: once, about {size} MB, kept by the browser."
_MISSING = "This copy of the site was built without the engine, for Pyodide could not be had then."


class LiveFormula(SphinxDirective):
    """The form, filled in when the page is written."""

    def run(self) -> list[nodes.Node]:
        """Return a place for it."""
        return [nodes.raw("", "<!-- live-formula -->", format="html")]


def fill(app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.Node) -> None:
    """Put the form into a page that has a place for it, with what it needs."""
    if app.builder.format != "html" or "<!-- live-formula -->" not in context.get("body", ""):
        return
    kept = make_engine()
    size = sum(path.stat().st_size for path in kept.values()) / 1e6
    options = "".join(f'<option value="{row.name}">{escape(row.title)}</option>' for row in CATALOGUE.values())
    theme = app.config.html_theme_options
    address = theme["repository_url"].removeprefix("https://github.com/")
    colab = f"{theme['launch_buttons']['colab_url']}/github/{address}/blob/{theme['repository_branch']}/{NOTEBOOK}"
    form = _FORM.format(
        digest=engine.digest() if kept else "",
        colab=escape(colab),
        options=options,
        said=_READY.format(size=round(size)) if kept else _MISSING,
    )
    context["body"] = context["body"].replace("<!-- live-formula -->", form)
    app.add_css_file(STYLE)
    for script in SCRIPTS:
        app.add_js_file(script, loading_method="defer")


def make_engine() -> dict[str, Path]:
    """Return the engine's files, none where they cannot be had, which the log says."""
    try:
        return engine.parts()
    except engine.Unavailable as error:
        logger.info("the page of the reader's own formula has no engine: %s", error)
        return {}


def finish(app: Sphinx, error: Exception | None) -> None:
    """Write the engine, and the policy into the pages that have the form."""
    site = Path(app.outdir)
    for page in site.rglob("*.html") if error is None and app.builder.format == "html" else ():
        text = page.read_text(encoding="utf-8")
        if _SIGN not in text:
            continue
        meta = f'<meta http-equiv="Content-Security-Policy" content="{policy(text)}">'
        page.write_text(text.replace("<head>", f"<head>\n    {meta}", 1), encoding="utf-8")
        if 'data-engine=""' not in text:
            engine.write(site / FOLDER)


def policy(text: str) -> str:
    """Return the policy of a page: nothing of elsewhere, and no script but the site's and those written in the page."""
    inside = [found["text"] for found in _SCRIPT.finditer(text) if not _DATA.search(found["attributes"])]
    handlers = [unescape(found[1] or found[2]) for found in _HANDLER.finditer(_SCRIPT.sub("", text))]
    allowed = " ".join(sorted({f"'sha256-{_sha256(script)}'" for script in (*inside, *handlers)}))
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src 'self' 'wasm-unsafe-eval' 'unsafe-hashes' {allowed}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src blob:",
            "base-uri 'none'",
            "form-action 'self'",  # the search
        ]
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("live-formula", LiveFormula)
    app.connect("html-page-context", fill)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
