"""The icons that the site uses, as fonts inside its style sheet, in place of all of Font Awesome's 1.5 MB as a script.

A font in a file of its own would not do: some browsers refuse it where a page was opened from a folder.
"""

import base64
import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx

_SCRIPT = "_static/scripts/fontawesome.js"
_SHEET = "_static/styles/pydata-sphinx-theme.css"
_RULE = re.compile(r'((?:\.fa-[\w-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
_NAMED = re.compile(r'--pst-icon-[\w-]+:"(.)"')  # icons that the theme's own rules use
_SOURCE = re.compile(
    r'url\(\.\./(vendor/[\w/.-]+?)\.woff2\) format\("woff2"\),url\([\w/.-]+\.ttf\) format\("truetype"\)'
)


def used_icons(pages: Iterable[str]) -> set[str]:
    """Return the names (`fa-rocket`) that stand in the pages' HTML or in the theme's scripts."""
    return {name for page in pages for name in re.findall(r"\bfa-[a-z0-9-]+", page)}


def subset(font: Path, points: set[int]) -> bytes:
    """Return a TrueType font with the glyphs of these code points alone, as WOFF; equal inputs give equal bytes."""
    options = Options(flavor="woff", recalc_timestamp=False)
    reduced = TTFont(font, recalcTimestamp=False)
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=points)
    subsetter.subset(reduced)
    reduced.flavor = "woff"
    written = io.BytesIO()
    reduced.save(written)
    return written.getvalue()


def reduce_sheet(sheet: str, used: set[str], static: Path) -> str:
    """Return the theme's style sheet without the rules of unused icons, the fonts of the others inside."""
    points = {ord(character) for character in _NAMED.findall(sheet)}

    def keep(match: re.Match[str]) -> str:
        if not used & set(re.findall(r"fa-[\w-]+", match[1])):
            return ""
        points.add(int(match[2], 16))
        return match[0]

    def embed(match: re.Match[str]) -> str:
        font = base64.b64encode(subset(static / f"{match[1]}.ttf", points)).decode()
        return f'url(data:font/woff;base64,{font}) format("woff")'

    return _SOURCE.sub(embed, _RULE.sub(keep, sheet))


def replace_icons(app: Sphinx, error: Exception | None) -> None:
    """Reduce the built site's style sheet, and empty the script that would draw every icon."""
    if error is not None or app.builder.format != "html":
        return
    site = Path(app.outdir)
    files = [*site.rglob("*.html"), *(site / "_static" / "scripts").glob("*theme.js")]
    used = used_icons(path.read_text(encoding="utf-8") for path in files)
    sheet = site / _SHEET
    sheet.write_text(reduce_sheet(sheet.read_text(encoding="utf-8"), used, site / "_static"), encoding="utf-8")
    (site / _SCRIPT).write_text("// Icons are drawn from the fonts inside the theme's style sheet.\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("build-finished", replace_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
