"""Gradient descent on one weight: a ball on a hill, its learning rate and start on sliders.

Vega has no loops, so the path is written out: step k + 1 is an expression of step k, printed from the symbolic
gradient.
"""

from typing import Any

import altair as alt
import sympy

from cosnb.book.plots.interactive.chart import TEXT, Interactive, choice, finish, ink, pick, slider
from cosnb.codegen.targets import vega
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import CATALOGUE, x

STEPS = 30
REACH = 3.5  # the hill is drawn from −REACH to REACH
_FAR = 1e6  # a ball that has come so far stays, so that no number overflows


def one_unit(name: str) -> sympy.Expr:
    """Return ½·(f(w) − 1)², the loss of a single unit w ↦ f(w) that ought to answer 1, w written as the symbol x."""
    row = CATALOGUE[name]
    f = row.expr.subs(row.parameters)
    if isinstance(f, sympy.Piecewise):
        return sympy.Piecewise(*(((piece - 1) ** 2 / 2, condition) for piece, condition in f.args))
    return (f - 1) ** 2 / 2


# name: what a reader sees, the loss in the weight x, the height of its window
HILLS: dict[str, tuple[str, sympy.Expr, float]] = {
    "bowl": ("bowl: ½·w²", x**2 / 2, 6.5),
    "valleys": ("two valleys: (w² − 1)²/4 + w/8", (x**2 - 1) ** 2 / 4 + x / 8, 2.5),
    "relu": ("one ReLU unit: ½·(ReLU(w) − 1)²", one_unit("relu"), 2.5),
    "cos": ("one CoS unit: ½·(CoS(w) − 1)²", one_unit("cos"), 2.5),
}


def gradient_descent(rate: float = 0.3, start: float = -3, hill: str = "bowl", step: int = 8) -> Interactive:
    """Return the ball on a hill: `rate` from 0.01 to 2.5, `start` from −3.5 to 3.5, up to `step` of 30 steps shown.

    The tangent is the gradient at the ball; the line behind it is the path. CosnbError where a number is outside, and
    where `hill` is none of HILLS.
    """
    if hill not in HILLS:
        raise CosnbError(f"There is no hill {hill!r}: choose one of {', '.join(HILLS)}.")
    params = [
        choice("hill", hill, {name: title for name, (title, _, _) in HILLS.items()}, "loss"),
        slider("rate", rate, 0.01, 2.5, 0.01, "learning rate η"),
        slider("start", start, -REACH, REACH, 0.05, "start w₀"),
        slider("shown", step, 0, STEPS, 1, "step"),
        alt.param("tops", {name: top for name, (_, _, top) in HILLS.items()}),
    ]
    across = alt.X("w:Q").scale(domain=[-REACH, REACH], nice=False).title("weight w: the place")
    upright = alt.Y("height:Q").scale(domain=[alt.ExprRef("-0.06 * tops[hill]"), alt.ExprRef("tops[hill]")], nice=False)
    upright = upright.title("loss L(w): the height")
    ground = (
        alt.Chart(alt.sequence(0, 401, as_="k"))
        .transform_calculate(w=f"(datum.k / 200 - 1) * {REACH}")
        .transform_calculate(height=_losses("datum.w"))
        .mark_line(clip=True, strokeWidth=2, color=ink("#777777", "#a0a0a0"))
        .encode(x=across, y=upright)
    )
    orange, blue = ink("#D55E00", "#e39455"), ink("#0072B2", "#55a1cc")
    marks: dict[str, Any] = {"clip": True, "color": orange}
    now = alt.Chart().transform_filter("datum.step == shown")
    trace = alt.Chart().mark_line(**marks, strokeWidth=1, point=_points(orange))
    trace = trace.encode(x=across, y=upright, order="step:Q")
    tangent = now.transform_calculate(
        left="datum.w - 0.7",
        right="datum.w + 0.7",
        begin="datum.height - 0.7 * datum.slope",
        end="datum.height + 0.7 * datum.slope",
    )
    tangent = tangent.mark_rule(clip=True, strokeWidth=2, color=blue)
    tangent = tangent.encode(x="left:Q", y="begin:Q", x2="right:Q", y2="end:Q")
    ball = now.mark_point(**marks, filled=True, size=170, opacity=1).encode(x=across, y=upright)
    text = now.transform_calculate(said=_SAID).mark_text(align="left", baseline="top", fontSize=12, color=TEXT)
    text = text.encode(x=alt.value(0), y=alt.value(-36), text="said:N")
    path = _walk(alt.LayerChart(layer=[trace, tangent, ball, text], data=alt.sequence(0, 1, as_="k")))
    return finish([ground, path], params, height=320)


_SAID = (
    "['step ' + datum.step + ':  w = ' + format(datum.w, '.3~g') + ',  L(w) = ' + format(datum.height, '.3~g'),"
    " 'gradient L′(w) = ' + format(datum.slope, '.3~g')"
    " + ',  next stride ' + format(-rate * datum.slope, '.3~g')]"
)


def _losses(w: str) -> str:
    return pick({name: vega.source(loss, w) for name, (_, loss, _) in HILLS.items()}, "hill")


def _slopes(w: str) -> str:
    return pick({name: vega.source(loss.diff(x), w) for name, (_, loss, _) in HILLS.items()}, "hill")


def _walk(chart: Any) -> Any:
    """Return the layers with the steps up to `shown` as their rows: step, w, height, slope."""
    chart = chart.transform_calculate(w0="start")
    for k in range(STEPS):
        stride = f"abs(datum.w{k}) > {_FAR:.0f} ? datum.w{k} : datum.w{k} - rate * ({_slopes(f'datum.w{k}')})"
        chart = chart.transform_calculate(**{f"w{k + 1}": stride})
    return (
        chart.transform_fold([f"w{k}" for k in range(STEPS + 1)], as_=["key", "w"])
        .transform_calculate(step="toNumber(slice(datum.key, 1))")
        .transform_filter("datum.step <= shown")
        .transform_calculate(height=_losses("datum.w"), slope=_slopes("datum.w"))
    )


def _points(color: alt.ExprRef) -> alt.OverlayMarkDef:
    return alt.OverlayMarkDef(color=color, filled=True, size=28, clip=True)
