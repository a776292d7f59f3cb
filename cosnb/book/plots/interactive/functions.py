"""Functions to choose and change: any two of the catalogue, CoS with its constants, and readings of one formula."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt
import sympy

from cosnb.analysis.findings import show
from cosnb.book.plots.interactive.chart import (
    Interactive,
    choice,
    finish,
    ink,
    line_inks,
    pick,
    shades,
    slider,
    zero_lines,
)
from cosnb.book.plots.interactive.jumps import jumps
from cosnb.book.plots.style import LOOKS
from cosnb.codegen.targets import vega
from cosnb.symbolic import catalogue
from cosnb.symbolic.catalogue import CATALOGUE, Formula, sign, x

SAMPLES = 601  # points a curve
_OTHERS = {"first": shades("#7A4FA3"), "second": shades("#8C6A1F")}  # for activations without a colour of their own
_LETTERS = {"p": "1st", "q": "2nd"}  # a row has two parameters at most


def explorer(first: str = "cos", second: str = "swish", reach: float = 4) -> Interactive:
    """Return f and f′ of any two activations of the catalogue, drawn from −`reach` to `reach`.

    Lists choose the two, and two sliders each set their parameters, from a quarter of the default to four times it
    (from −1 to 1 where the default is 0). The curves are the Vega expressions of every row, its parameters free, and of
    its symbolic derivative. CosnbError where `first` or `second` is not in the catalogue or `reach` not in 1 to 12.
    """
    rows = list(CATALOGUE.values())
    titles = {row.name: row.title for row in sorted(rows, key=lambda row: row.title.lower())}
    chosen = {"first": catalogue.get(first).name, "second": catalogue.get(second).name}
    params = [
        alt.param("titles", titles),
        alt.param("names", {row.name: [sign(symbol) for symbol in row.parameters] for row in rows}),
        alt.param("defaults", {row.name: [float(value) for value in row.parameters.values()] for row in rows}),
        alt.param("inks", {name: list(pair) for name, pair in line_inks(list(LOOKS)).items()}),
    ]
    for side, name in chosen.items():
        params += _side(side, name, titles)
    params.append(slider("reach", reach, 1, 12, 1, "x from 0 to ±"))
    sampled = (
        _samples()
        .transform_calculate(side="['first', 'second']")
        .transform_flatten(["side"])
        .transform_calculate(
            name="datum.side == 'first' ? first : second",
            **{letter: f"datum.side == 'first' ? first_{letter} : second_{letter}" for letter in _LETTERS},
        )
        .transform_calculate(order="[0, 1]")
        .transform_flatten(["order"])
        .transform_calculate(y=f"datum.order == 0 ? {_any_row(0)} : {_any_row(1)}")
    )
    # Two curves in one colour, as of one activation twice, could not be told apart.
    same = "first == second"
    color = alt.Color("side:N").scale(
        domain=list(chosen),
        range=[
            alt.ExprRef(f"(inks[first] || {list(_OTHERS['first'])})[dark ? 1 : 0]"),
            alt.ExprRef(f"(!({same}) && inks[second] || {list(_OTHERS['second'])})[dark ? 1 : 0]"),
        ],
    )
    color = color.legend(labelExpr="datum.value == 'first' ? first_title : second_title", direction="vertical")
    return finish([*zero_lines(), _lines(sampled, color)], params)


def slope_and_shift(slope: float = 5, shift: float = 0.5, reach: float = 4) -> Interactive:
    """Return CoS and its derivative from −`reach` to `reach`, both constants on sliders, and Swish for comparison.

    The sliders go from 0 to 12 and from −0.5 to 1.5, or as far as the values that they begin at.
    """
    cos = CATALOGUE["cos"].expr
    texts = [vega.source(each, "datum.x", {"a": "slope", "c": "shift"}) for each in (cos, cos.diff(x))]
    params = [
        slider("slope", slope, min(0, slope), max(12, slope), 0.1, "slope a"),
        slider("shift", shift, min(-0.5, shift), max(1.5, shift), 0.01, "shift c"),
    ]
    return _beside_swish("CoS", texts, params, reach)


def readings(expressions: Sequence[sympy.Expr], reach: float = 4) -> Interactive:
    """Return one of `expressions` in x, chosen from a list, and its derivative from −`reach` to `reach`, and Swish."""
    titles = {str(place): show(expr) for place, expr in enumerate(expressions)}
    texts = [
        pick(
            {
                str(place): vega.source(expr.diff(x, order) if order else expr, "datum.x")
                for place, expr in enumerate(expressions)
            },
            "reading",
        )
        for order in (0, 1)
    ]
    return _beside_swish("the reading", texts, [choice("reading", "0", titles, "f(x) =")], reach)


def _beside_swish(title: str, texts: Sequence[str], params: Sequence[alt.Parameter], reach: float) -> Interactive:
    """Return the function and derivative of two Vega expressions, in CoS's colour, beside Swish's."""
    swish = CATALOGUE["swish"].expr.subs(CATALOGUE["swish"].parameters)
    curves = {title: texts, "Swish": [vega.source(each, "datum.x") for each in (swish, swish.diff(x))]}
    sampled = _samples().transform_calculate(order="[0, 1]").transform_flatten(["order"])
    for name, (f, df) in curves.items():
        sampled = sampled.transform_calculate(**{name: f"datum.order == 0 ? {f} : {df}"})
    sampled = sampled.transform_fold(list(curves), as_=["side", "y"])
    colors = [ink(*pair) for pair in line_inks(["cos", "swish"]).values()]
    color = alt.Color("side:N").scale(domain=list(curves), range=colors)
    return finish([*zero_lines(), _lines(sampled, color)], [*params, alt.param("reach", reach)])


def _side(side: str, chosen: str, titles: dict[str, str]) -> list[alt.Parameter]:
    """Return the list `side`, its two sliders, the values p and q that they set, and the texts that show them."""
    params, title = [choice(side, chosen, titles, f"{side} activation")], f"titles[{side}]"
    for place, (letter, ordinal) in enumerate(_LETTERS.items()):
        name, control = f"names[{side}][{place}]", f"{side}_slider_{letter}"
        default, value = f"defaults[{side}][{place}]", f"{side}_{letter}"
        params += [
            slider(control, 0, -1, 1, 0.02, f"{side}: {ordinal} parameter, default × 4^"),
            alt.param(value, expr=f"{default} == 0 ? {control} : {default} * pow(4, {control})"),
            alt.param(f"{control}_label", expr=f"{name} ? {name} + ' = ' + format({value}, '.3~r') : ''"),
        ]
        title += f" + ({name} ? ', ' + {control}_label : '')"
    return [*params, alt.param(f"{side}_title", expr=title)]


@cache  # 4 s of SymPy
def _any_row(order: int) -> str:
    """Return the Vega expression of the `order`-th derivative of the row that datum.name names."""
    return pick({name: _with_gaps(row, order) for name, row in CATALOGUE.items()}, "datum.name")


def _with_gaps(row: Formula, order: int) -> str:
    """Return the Vega expression of a row's `order`-th derivative, null at a jump, so that its line breaks there."""
    expr = row.expr.diff(x, order) if order else row.expr
    names = {symbol.name: f"datum.{letter}" for symbol, letter in zip(row.parameters, _LETTERS, strict=False)}
    tests = []
    for place, height in jumps(expr, row.parameters):
        edge, size = (vega.source(part, "datum.x", names) for part in (place, height))
        test = f"(datum.x >= {edge} && datum.x - datum.gap < {edge})"
        tests.append(test if height.is_number else f"(abs({size}) > 1e-9 && {test})")
    text = vega.source(expr, "datum.x", names)
    return f"{' || '.join(tests)} ? null : {text}" if tests else text


def _samples() -> alt.Chart:
    """Return a chart of SAMPLES rows x from −reach to reach, `gap` apart."""
    middle = (SAMPLES - 1) // 2
    chart = alt.Chart(alt.sequence(0, SAMPLES, as_="k"))
    return chart.transform_calculate(x=f"(datum.k / {middle} - 1) * reach", gap=f"reach / {middle}")


def _lines(chart: alt.Chart, color: alt.Color) -> alt.Chart:
    """Return f solid and f′ dashed in a window of fixed shape, so that a slider moves the curve and not the axes."""
    across: list[Any] = [alt.ExprRef("-reach"), alt.ExprRef("reach")]
    upright: list[Any] = [alt.ExprRef("-0.35 * reach"), alt.ExprRef("0.65 * reach")]
    dashes = alt.StrokeDash("order:N").scale(domain=[0, 1], range=[[1, 0], [6, 3]]).legend(None)
    return chart.mark_line(clip=True, strokeWidth=2).encode(
        x=alt.X("x:Q").scale(domain=across, nice=False).axis(grid=True, tickCount=8),
        y=alt.Y("y:Q").scale(domain=upright, nice=False).axis(grid=True).title("f(x) solid, f′(x) dashed"),
        color=color,
        strokeDash=dashes,
    )
