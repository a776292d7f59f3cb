"""One run an activation, drawn again and again from records."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from cosnb.book.plots.interactive.chart import TEXT, Interactive, finish, ink, line_inks, slider
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import title

DRAWS = 200  # a reader can go through


def one_run_each(runs: Mapping[str, Sequence[float]], xlabel: str = "test accuracy (%)") -> Interactive:
    """Return the runs {activation: accuracies} as ticks, and the ones of a draw as dots with their order in words.

    A slider has the number of the draw, and on the site a button goes to the next one. A line counts how many of the
    draws so far have the activations in the order given, the lowest first, and how many the last one ahead of the
    first. Draws are fixed by their number, each run equally likely. CosnbError where an activation has no run.
    """
    if not runs or not all(runs.values()):
        raise CosnbError("An activation has no run to draw: run the experiment first.")
    names = list(runs)
    rows: list[dict[str, Any]] = [
        {"activation": title(name), "arm": arm, "place": place, "value": round(value, 2)}
        for arm, name in enumerate(names)
        for place, value in enumerate(runs[name])
    ]
    params = [
        slider("draw", 1, 1, DRAWS, 1, "draw"),
        alt.param("draw_button", "Draw again"),
        alt.param("values", [[round(value, 2) for value in runs[name]] for name in names]),
    ]
    titles = [title(name) for name in names]
    across = alt.X("value:Q").scale(zero=False, padding=12).title(xlabel)
    row = alt.Y("activation:N").scale(domain=titles).title(None)
    inks = line_inks(names)
    color = alt.Color("activation:N").scale(domain=titles, range=[ink(*inks[name]) for name in names]).legend(None)
    all_runs = alt.Chart(alt.Data(values=rows))
    ticks = all_runs.mark_tick(thickness=2, opacity=0.5).encode(x=across, y=row, color=color)
    drawn = all_runs.transform_filter(f"datum.place == {_place('draw', 'datum.arm')}")
    dots = drawn.mark_point(filled=True, size=190, opacity=1).encode(x=across, y=row, color=color)
    return finish([ticks, dots, _count(titles)], params, height=210)


def _place(draw: str, arm: str | int) -> str:
    """Return the Vega expression of the run that a draw takes of an activation: fixed, and spread like random ones."""
    mixed = f"abs(sin({draw} * 12.9898 + {arm} * 78.233) * 43758.5453)"
    return f"floor(values[{arm}].length * ({mixed} - floor({mixed})))"


def _count(titles: Sequence[str]) -> alt.Chart:
    """Return the three lines above the chart: this draw's order, and the counts of the draws so far."""
    last = len(titles) - 1
    taken = {f"arm{arm}": f"values[{arm}][{_place('datum.k', arm)}]" for arm in range(len(titles))}
    rising = " && ".join(f"datum.arm{arm} < datum.arm{arm + 1}" for arm in range(last))
    named = ", ".join(f"format(datum.arm{arm}, '.2f') + ' {name}'" for arm, name in enumerate(titles))
    said = f"['Draw ' + draw + ': ' + join(sort([{named}]), ', '), "
    said += f"'{' < '.join(titles)} in ' + datum.orders + ' of ' + draw + ' draws', "
    said += f"'{titles[last]} ahead of {titles[0]} in ' + datum.leads + ' of ' + draw]"
    return (
        alt.Chart(alt.sequence(1, DRAWS + 1, as_="k"))
        .transform_filter("datum.k <= draw")
        .transform_calculate(**taken)
        .transform_calculate(rises=f"{rising} ? 1 : 0", leads_=f"datum.arm0 < datum.arm{last} ? 1 : 0")
        .transform_joinaggregate(orders="sum(rises)", leads="sum(leads_)")
        .transform_filter("datum.k == draw")
        .transform_calculate(said=said)
        .mark_text(align="left", baseline="top", fontSize=12, color=TEXT)
        .encode(x=alt.value(-40), y=alt.value(-52), text="said:N")
    )
