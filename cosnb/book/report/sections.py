"""Sections of the notebook `your-own-activation` besides its figures: formulas, code, speed, verdicts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy
import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cosnb.activations import Activation, activation
from cosnb.analysis.findings import show
from cosnb.book import parameters
from cosnb.codegen import sources
from cosnb.display import Markdown, Table
from cosnb.experiments.results.summary import Record, Row, differences, summarize, title
from cosnb.experiments.results.tables import name_pair
from cosnb.experiments.statistics import Comparison, Direction, Verdict, judge
from cosnb.experiments.training.config import parse_seeds
from cosnb.kernels import timing
from cosnb.symbolic.catalogue import CATALOGUE
from cosnb.symbolic.parsing import TYPED
from cosnb.symbolic.text import formula_latex, formula_text

YOURS = "yours"
RIVALS = ("relu", "swish", "mish", "cos")
ROUNDS = 41
_BUSY = 2.0  # upper over lower quartile; on an idle machine it is about 1.1
_LANGUAGES = {"pytorch": "python", "triton": "python", "c": "c", "numpy": "python", "vega": "javascript"}
TITLES = {"pytorch": "PyTorch", "triton": "Triton", "c": "C", "numpy": "NumPy", "vega": "Vega"}
_TORCH = {"relu": "ReLU", "swish": "SiLU", "mish": "Mish"}
_WHOLE = ("c", "triton")  # their code of f has that of f′ in it


@dataclass(frozen=True)
class Curve:
    """An activation under the name that figures show."""

    name: str
    activation: Activation

    @property
    def x(self) -> sympy.Symbol:
        return self.activation.x

    @property
    def expr(self) -> sympy.Expr:
        return self.activation.expr

    def derivative(self, n: int = 1) -> sympy.Expr:
        """Return the n-th derivative."""
        return self.activation.derivative(n)


def parse_values(text: str) -> dict[str, str]:
    """Return {"a": "5", "c": "1/2"} of "a=5, c=1/2"; CosnbError where a part is no name=value."""
    return parameters.parse_values(filter(None, map(str.strip, text.split(","))))


def curve(act: Activation) -> Curve:
    """Return `act` under its name in the catalogue, or as "yours" where it is none of its rows as they stand."""
    known = act.name in CATALOGUE and activation(act.name).expr == act.expr
    return Curve(act.name if known else YOURS, act)


def rivals(own: Curve, names: Sequence[str] = RIVALS) -> list[Curve]:
    """Return the activations of `names` that `own` is not."""
    return [Curve(name, activation(name)) for name in names if name != own.name]


def breaks(curves: Sequence[Curve]) -> dict[str, list[float]]:
    """Return where each curve or its slope may jump, for `cosnb.book.plots.several`."""
    found = {}
    for one in curves:
        properties = one.activation.properties()
        found[one.name] = [float(place) for key in ("kinks", "jumps") for place in properties[key].value]
    return found


def within(figure: Figure, low: float = -4.0, high: float = 8.0) -> Figure:
    """Return the figure with its height bounded: beside a function that explodes the others would be flat lines."""
    axes = figure.axes[0]
    bottom, top = axes.get_ylim()
    axes.set_ylim(max(bottom, low), min(top, high))
    return figure


def formulas(own: Curve, orders: Sequence[int] = (0, 1, 2)) -> Markdown:
    """Return f and its derivatives as SymPy finds them, each a displayed formula."""
    lines = [f"$$f{chr(39) * n}(x) = {formula_latex(own.derivative(n))}$$" for n in orders]
    values = ", ".join(f"${sympy.latex(symbol)} = {value}$" for symbol, value in own.activation.parameters.items())
    return Markdown("\n\n".join([*lines, *([f"with {values} put in."] if values else [])]))


def code(act: Activation) -> Markdown:
    """Return the code of every target, each folded under its name."""
    parts = []
    for target in sources.TARGETS:
        orders = (0,) if target in _WHOLE else (0, 1)
        source = "\n\n".join(act.source(target, order).strip() for order in orders)
        lines = source.count("\n") + 1
        parts += [
            f"<details><summary>{TITLES[target]} ({lines} lines)</summary>",
            f"```{_LANGUAGES[target]}\n{source}\n```",
            "</details>",
        ]
    return Markdown("\n\n".join(parts))


def speed(own: Curve, rounds: int = ROUNDS) -> dict[str, dict[str, list[float]]]:
    """Return {pass: {name: seconds a round}} of `own` and PyTorch's ReLU, SiLU and Mish, called in turns.

    1 Mi float32 elements, one thread; "forward" asks for no gradient, "forward + backward" has that of the input.
    """
    functions: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "swish": F.silu, "mish": F.mish}
    functions[f"{own.name}, cosnb"] = own.activation
    x = timing.speed_points()
    dy, leaf = torch.ones_like(x), x.clone().requires_grad_()

    def both(function: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(function(leaf), leaf, dy)

    def forward(function: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: function(x)

    passes = {"forward": forward, "forward + backward": both}
    with timing.one_thread():
        return {
            name: timing.turns({key: make(function) for key, function in functions.items()}, rounds)
            for name, make in passes.items()
        }


def speed_table(times: Mapping[str, Mapping[str, list[float]]]) -> Markdown:
    """Return ratios to PyTorch's ReLU and SiLU, the median of the rounds' ratios, with quartiles; and the processor."""
    rows = []
    for name, taken in times.items():
        for key in reversed(list(taken)):
            whose = (
                f"{title(own)}, cosnb" if (own := key.removesuffix(", cosnb")) != key else f"PyTorch's {_TORCH[key]}"
            )
            cells = [_quartiles(taken[key], taken[base]) if key != base else "1" for base in ("relu", "swish")]
            rows.append([name, whose, *cells])
    shown = Table(["", "function", "time / ReLU", "time / SiLU"], rows)
    return Markdown(f"{shown}\n\nProcessor: {timing.cpu_name()}; PyTorch {torch.__version__.partition('+')[0]}.")


def _quartiles(times: list[float], base: list[float]) -> str:
    low, middle, high = timing.quartiles(times, base)
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def trainable(curves: Sequence[Curve]) -> list[str]:
    """Return what `TrainingConfig` takes: names, and of a reader's own the text as typed, parameters put in."""
    return [_text(one.activation) if one.name == YOURS else one.name for one in curves]


def _text(act: Activation) -> str:
    typed = act.formula.source == TYPED and not act.parameters
    return act.formula.title if typed else formula_text(act.expr)


def named(records: Sequence[Record], own: Curve) -> list[dict[str, Any]]:
    """Return the records with the reader's formula called by the name of `own`."""
    return [
        {**record, "config": {**record["config"], "activation": own.name}}
        if record["config"]["activation"] not in CATALOGUE
        else dict(record)
        for record in records
    ]


def rows(records: Sequence[Record], curves: Sequence[Curve], seeds: str) -> list[Row]:
    """Return a row a curve of the runs of `seeds`, text such as "0:8"; see `results.summary.summarize`."""
    return summarize(records, activations=[one.name for one in curves], seeds=parse_seeds(seeds))


def judge_own(records: Sequence[Record], own: Curve, others: Sequence[Curve]) -> dict[str, Comparison]:
    """Judge "better than each of the others in test accuracy" over paired seeds; see `statistics.judge`."""
    return judge(
        {
            name_pair(own.name, other.name): (
                list(differences(records, own.name, other.name).values()),
                Direction.HIGHER,
            )
            for other in others
        },
        points=True,
    )


def verdict_table(judged: Mapping[str, Comparison]) -> Table:
    """Return each difference in points with its intervals, its p-value and the verdict."""
    rows = []
    for pair, found in judged.items():
        plain, wide = found.interval, found.decisive
        cells = [f"{mean.low:+.2f} to {mean.high:+.2f}" if mean.n > 1 else "?" for mean in (plain, wide)]
        numbers = [text.replace("-", "−") for text in (f"{plain.mean:+.2f}", *cells)]
        rows.append([pair, found.n, *numbers, f"{found.p:.3f}", found.verdict])
    head = ["accuracy (points)", "pairs", "mean", "95 %", "at the family's level", "p, adjusted", "is it better?"]
    return Table(head, rows)


def shape(own: Curve) -> Markdown:
    """Return what the function is, approaches, and how low and steep it gets, each with how it was found."""
    found = own.activation.properties()
    smoothness, lowest, slope = found["smoothness"], found["minimum"], found["lipschitz"]
    smooth = {"C^∞": r"smooth ($C^\infty$)"}.get(smoothness.value, smoothness.value)
    turns = "monotone" if found["monotone"].value != "no" else "not monotone"
    said = [f"The function is {smooth} ({smoothness.how}) and {turns} ({found['monotone'].how})."]
    lines = found["asymptotes"]
    if None not in lines.value:
        left, right = map(show, lines.value)
        said.append(f"It approaches {left} on the left and {right} on the right ({lines.how}).")
    if lowest.value.attained and lowest.value.value.is_finite:
        place = "on" if isinstance(lowest.value.at, sympy.Set) else "at"
        said.append(f"Its minimum is {show(lowest.value.value)}, {place} {show(lowest.value.at)} ({lowest.how}).")
    elif not found["bounded_below"].value:
        said.append("It has no bound below.")
    steep = f"largest slope is {show(slope.value)} ({slope.how})" if slope.value.is_finite else "slope has no bound"
    return Markdown(f"{' '.join(said)} Its {steep}.".replace(" -", " −"))


def summary(
    own: Curve, times: Mapping[str, Mapping[str, list[float]]], judged: Mapping[str, Comparison], where: str
) -> Markdown:
    """Return the report in a few sentences; `where` says on what the networks were trained."""
    key = f"{own.name}, cosnb"
    ratios = [timing.quartiles(taken[key], taken["swish"]) for taken in times.values()]
    lines = [str(shape(own))]
    if all(high <= _BUSY * low for low, _, high in ratios):
        lines.append(
            f"Compiled by cosnb it takes {ratios[0][1]:.2f} times as long as PyTorch's SiLU, {ratios[1][1]:.2f} times "
            f"with the backward pass ({timing.cpu_name()}, one thread)."
        )
    lines.append(f"On {where}:")
    lines.append("; ".join(_sentence(pair, one) for pair, one in judged.items()) + ".")
    return Markdown(" ".join(lines).replace(" -", " −"))


def _sentence(pair: str, found: Comparison) -> str:
    other = pair.partition(" − ")[2]
    if found.n < 2:
        return f"too few finished runs to compare it with {other}"
    mean, low, high = found.interval.mean, found.interval.low, found.interval.high
    points = f"{mean:+.2f} points of accuracy against {other}, 95 % {low:+.2f} to {high:+.2f}"
    words = {Verdict.CONFIRMED: "better", Verdict.REFUTED: "worse"}
    return f"{points}: {words.get(found.verdict, found.verdict)} on this task"
