"""Common parts of interactive figures: the object that a notebook shows, its controls, and inks for light and dark.

Every chart has a parameter `dark`; all colours are expressions of it, so that a page follows its theme by setting one
value. A parameter `NAME_label` holds the text beside the control `NAME`, where that text changes; empty, the site
hides the control.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from cosnb.book.plots.style import looks
from cosnb.errors import CosnbError

# The name that nbformat takes for an object: it must end with +json, which Altair's own ".json" does not.
MIME = f"application/vnd.vegalite.v{alt.SCHEMA_VERSION.lstrip('v').partition('.')[0]}+json"
HEIGHT = 300  # pixels, of the plot alone
_TEXT, _LINE, _GRID = ("#333333", "#d0d0d0"), ("#888888", "#8a8a8a"), ("#e6e6e6", "#3b3f45")


class Interactive:
    """An Altair chart that a notebook shows by Altair's own renderer, its specification beside it for the site."""

    def __init__(self, chart: alt.LayerChart) -> None:
        self.chart = chart

    def to_dict(self) -> dict[str, Any]:
        """Return the Vega-Lite specification, checked against Altair's schema."""
        return self.chart.to_dict()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = self.chart._repr_mimebundle_(include, exclude)
        data, metadata = shown if isinstance(shown, tuple) else (shown or {}, {})
        return {**data, MIME: self.to_dict()}, metadata


def ink(light: str, dark: str) -> alt.ExprRef:
    """Return the colour `light`, or `dark` where the page is dark."""
    return alt.ExprRef(f"dark ? '{dark}' : '{light}'")


TEXT, LINE = ink(*_TEXT), ink(*_LINE)


def line_inks(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return each activation's colour on white and, mixed with white, on a dark page; names outside LOOKS are grey."""
    return {name: shades(look.color) for name, look in looks(names).items()}


def shades(color: str) -> tuple[str, str]:
    """Return "#rrggbb" or a grey level as text in hexadecimal, and the same mixed with white until it shows on black.

    Black becomes a grey of 0.88; of other colours a third is white.
    """
    if not color.startswith("#"):
        color = "#" + 3 * f"{round(255 * float(color)):02x}"
    levels = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    share = 0.88 if max(levels) == 0 else 1 / 3
    return color, "#" + "".join(f"{round(level + share * (255 - level)):02x}" for level in levels)


def slider(name: str, value: float, low: float, high: float, step: float, label: str) -> alt.Parameter:
    """Return a number that a slider sets; CosnbError where `value` is outside of `low` to `high`."""
    if not low <= value <= high:
        raise CosnbError(f"{label} is {value:g}, outside of its slider: give a number from {low:g} to {high:g}.")
    bind = alt.binding_range(min=low, max=high, step=step, name=label)
    return alt.param(name=name, value=value, bind=bind)


def choice(name: str, value: str, options: Mapping[str, str], label: str) -> alt.Parameter:
    """Return one of `options` {value: what a reader sees}, set by a drop-down list."""
    bind = alt.binding_select(options=list(options), labels=list(options.values()), name=label)
    return alt.param(name=name, value=value, bind=bind)


def switch(name: str, label: str) -> alt.Parameter:
    """Return a truth value that a checkbox sets, true at first."""
    return alt.param(name=name, value=True, bind=alt.binding_checkbox(name=label))


def pick(cases: Mapping[str, str], key: str) -> str:
    """Return the Vega expression of the case that `key`, itself an expression, names; NaN where there is none."""
    return "".join(f"{key} == '{name}' ? ({text}) : " for name, text in cases.items()) + "NaN"


def zero_lines() -> list[alt.Chart]:
    """Return the two axes through the origin, as layers."""
    empty = alt.Data(values=[{}])
    mark: dict[str, Any] = {"color": LINE, "strokeWidth": 0.8}
    return [
        alt.Chart(empty).mark_rule(**mark).encode(y=alt.YDatum(0)),
        alt.Chart(empty).mark_rule(**mark).encode(x=alt.XDatum(0)),
    ]


def finish(
    layers: Sequence[alt.Chart | alt.LayerChart],
    params: Sequence[alt.Parameter],
    height: int = HEIGHT,
    title: str | None = None,
) -> Interactive:
    """Return the layers with their parameters as a chart as wide as its place, in the book's inks.

    `title`: the Vega expression of a line above the chart, for what changes with the controls.
    """
    chart = alt.layer(*layers).add_params(alt.param(name="dark", value=False), *params)
    chart = chart.properties(width="container", height=height)
    if title is not None:
        chart = chart.properties(title=alt.Title(text=alt.ExprRef(title)))
    axis: dict[str, Any] = {"labelColor": TEXT, "titleColor": TEXT, "domainColor": LINE, "tickColor": LINE}
    axis |= {"gridColor": ink(*_GRID), "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"}
    legend: dict[str, Any] = {"labelColor": TEXT, "titleColor": TEXT, "labelFontSize": 12, "labelLimit": 320}
    chart = (
        # Vega's own labels name every mark group "line mark container"; the page's alternative text says more.
        chart.configure(background=ink("white", "#181b20"), aria=False)
        .configure_view(stroke=None)
        .configure_axis(**axis)
        .configure_legend(**legend, orient="top", title=None, symbolStrokeWidth=2, symbolSize=300)
        .configure_title(color=TEXT, fontSize=12, fontWeight="normal", anchor="start")
    )
    return Interactive(chart)
