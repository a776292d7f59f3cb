"""An executed notebook as one HTML page that needs no network: MathML, inline SVG, its own style, light and dark."""

import re
from collections.abc import Mapping
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import nbformat
from latex2mathml import converter
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbconvert.preprocessors import TagRemovePreprocessor
from pygments.formatters import HtmlFormatter

_TEMPLATE = Path(__file__).with_name("template")
_HIDDEN = {"remove-cell", "book-only", "parameters", "injected-parameters"}
_DISPLAYED = re.compile(r"\\displaystyle\s*")
# What latex2mathml leaves out: a space before a function's name, and primes that are not raised twice.
_NAME = re.compile(r"(<msup>)?(<mi>[a-zA-Z]{2,}</mi>)")
_PRIME = re.compile(r"<msup>(<mi>\w</mi>)<m[io]>(&#x02032;|&#x02033;|&#x02034;)</m[io]></msup>")
_ID = re.compile(r'(\bid="|url\(#|href="#)')


class _Renderer(IPythonRenderer):
    """nbconvert's Markdown with formulas as MathML, which browsers typeset by themselves."""

    def block_math(self, body: str) -> str:
        # A span, for Markdown puts it into a paragraph; in the order of the Tab key, for a long one scrolls.
        return f'<span class="formula" tabindex="0" role="region" aria-label="formula">{mathml(body, "block")}</span>'

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")


def mathml(tex: str, display: str) -> str:
    """Return MathML of TeX; `display` is "block" or "inline"."""
    text = str(converter.convert(_DISPLAYED.sub("", tex).strip(), display=display))
    text = _PRIME.sub(r'<mrow>\1<mo lspace="0" rspace="0">\2</mo></mrow>', text)
    return _NAME.sub(r'<mspace width="0.17em" />\1\2', text)


def markdown(text: str) -> str:
    """Return HTML of Markdown, each table in a box that scrolls by itself."""
    html: str = MarkdownWithMath(renderer=_Renderer(escape=False, exclude_anchor_links=True)).render(text)
    box = '<div class="scroll" tabindex="0" role="region" aria-label="table">'
    return html.replace("<table>", f"{box}<table>").replace("</table>", "</table></div>")


def render(notebook: Path, title: str, facts: Mapping[str, str]) -> str:
    """Return the page of an executed notebook: its cell tagged `summary` first, code only where it is tagged `teaches`.

    Cells tagged `book-only` belong to the book and are left out. `title` and `facts` {name: text} are plain text.
    """
    content = nbformat.read(notebook, as_version=4)
    content.cells.sort(key=lambda cell: "summary" not in cell.metadata.get("tags", []))  # stable
    exporter = HTMLExporter(
        template_name="template",
        extra_template_basedirs=[str(_TEMPLATE.parent)],
        template_file="page.html.j2",
        preprocessors=[TagRemovePreprocessor(remove_cell_tags=_HIDDEN, enabled=True)],
        filters={"markdown": markdown, "figure": _figure_maker()},
    )
    style = _TEMPLATE.joinpath("page.css").read_text(encoding="utf-8") + highlighting()
    resources: dict[str, Any] = {"page": {"title": title, "facts": dict(facts), "style": style}}
    html, _ = exporter.from_notebook_node(content, resources)
    return str(html)


def highlighting() -> str:
    """Return the style of code in both colour schemes."""
    light = HtmlFormatter(style="tango").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _figure_maker() -> Any:
    numbers = count(1)

    def figure(svg: str, metadata: Mapping[str, Any]) -> str:
        """Return a figure with caption and alternative text; ids are made the page's own, since figures share them."""
        about = metadata.get("mystnb", {})
        caption, alt = about.get("figure", {}).get("caption", ""), about.get("image", {}).get("alt", "")
        svg = _ID.sub(rf"\g<1>figure-{next(numbers)}-", svg[svg.index("<svg") :])
        svg = re.sub(r"\s(?:width|height)=\"[\d.]+pt\"", "", svg, count=2)
        svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
        return f"<figure>{svg}<figcaption>{markdown(caption)}</figcaption></figure>"

    return figure
