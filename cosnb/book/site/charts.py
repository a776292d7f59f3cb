"""A chart's form on the site: its specification, for the site's script, and a picture that stands in for it."""

import base64
import json
import re
from html import escape
from typing import Any

_MIME = re.compile(r"application/vnd\.vegalite\.v\d+\+json")
_CLIP = re.compile(r"\bclip\d+\b")
_WIDTH = 560  # pixels of the picture; the live chart is as wide as its place


def find_specification(bundle: dict[str, Any]) -> dict[str, Any] | None:
    """Return the Vega-Lite specification in an output's MIME bundle, None where there is none."""
    return next((bundle[mime] for mime in bundle if _MIME.fullmatch(mime)), None)


def html(specification: dict[str, Any], alternative: str) -> str:
    """Return the HTML of a chart: equal specifications give equal text.

    The picture shows until `charts.js` has drawn the live chart, so always without JavaScript, and in print. The text
    `alternative` describes both.
    """
    spec = json.dumps(specification, ensure_ascii=False, separators=(",", ":")).replace("<", r"\u003c")
    picture = base64.b64encode(picture_svg(specification).encode()).decode()
    text = escape(alternative)
    return (
        '<div class="chart">\n'
        f'<img class="chart-picture" src="data:image/svg+xml;base64,{picture}" alt="{text}">\n'
        f'<div class="chart-live" role="img" aria-label="{text}"></div>\n'
        '<form class="chart-controls" aria-label="Controls of the chart"></form>\n'
        f'<script type="application/json" class="chart-specification">{spec}</script>\n'
        "</div>"
    )


def picture_svg(specification: dict[str, Any]) -> str:
    """Return the chart as it is before a control is touched, in light colours, as SVG."""
    import vl_convert  # comes with the extra `book`: a notebook alone does without

    schema = re.search(r"/v(\d+\.\d+)", specification["$schema"])
    sized = {**specification, "width": _WIDTH}
    svg = vl_convert.vegalite_to_svg(sized, vl_version=schema[1] if schema else None)
    # Vega counts its clip paths through all charts of a process, so the numbers would depend on what came before.
    numbers = {clip: f"clip{number}" for number, clip in enumerate(dict.fromkeys(_CLIP.findall(svg)))}
    return _CLIP.sub(lambda found: numbers[found[0]], svg)
