"""Figures that argue: difference quotients at 0; a linear unit's gradient, and networks with and without a bend."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from cosnb.book.plots.formulas import Formula, Plain, sample
from cosnb.book.plots.style import LOOKS, Picture, looks, new_axes, style
from cosnb.errors import CosnbError
from cosnb.experiments.results.summary import title

Line = Mapping[str, np.ndarray]
_GREY = ("0.1", "0.45", "0.65")


def quotients(activations: Sequence[Formula], taken: Mapping[str, float], reach: float = 2.0) -> Figure:
    """Return the figure of (f(h) − f(0)) / h for h from −reach to reach; its limit for h → 0 is the slope at 0.

    A filled circle is that slope. Where the limits from the left and from the right differ, both are open circles, and
    a frame marks the value that programs take, `taken` {activation: value}. Raises CosnbError where one of these has a
    slope at 0.
    """
    with style():
        figure, axes = new_axes("h", "(f(h) − f(0)) / h", zero_lines=True)
        figure.set_size_inches(7.5, 2.8)
        for name, look in looks([activation.name for activation in activations]).items():
            one = next(activation for activation in activations if activation.name == name)
            quotient = (one.expr - one.expr.subs(one.x, 0)) / one.x
            h, y, ends = sample(Plain(name, one.x, quotient), 0, (-reach, reach), (0,))
            axes.plot(h, y, color=look.color, linestyle=look.linestyle, label=title(name))
            if name in taken and not ends:
                raise CosnbError(f"{title(name)} has a slope at 0: there is nothing for programs to choose.")
            marks = ends or [(0.0, float(one.derivative(1).subs(one.x, 0)))]
            for point in marks:
                face = "white" if ends else look.color
                axes.plot(*point, "o", color=look.color, markersize=6, markerfacecolor=face, zorder=4)
            if name in taken:
                label = f"{title(name)}: what programs take"
                axes.plot(0, taken[name], "s", color=look.color, markersize=13, markerfacecolor="none", label=label)
        axes.set_xlim(-reach, reach)
        figure.legend(loc="outside upper center", ncols=4)
    return figure


def straight(w: np.ndarray, gradients: Line, slope: float, u: np.ndarray, answers: Line) -> Figure:
    """Return a linear unit's gradient over its weight and, beside it, the output of networks with equal weights.

    `gradients`: {example: ∂L/∂w at each weight in `w`}, beside the constant `slope` of the activation. `answers`:
    {activation: output at each input in `u`}; a name that is no activation's, for the network without one, is a wide
    grey line.
    """
    with style():
        figure = Picture(figsize=(7.5, 3.3))
        left, right = figure.subplots(1, 2)
        for shade, (example, values) in zip(itertools.cycle(_GREY), gradients.items(), strict=False):
            left.plot(w, values, color=shade, linestyle="-", label=example)
        left.axhline(slope, color=LOOKS["cos"].color, linestyle=(0, (4, 2)), label="slope of the activation")
        left.set(xlabel="weight w", ylabel="∂L/∂w", title="one linear unit")
        for name, values in answers.items():
            look = LOOKS.get(name)
            mark = (
                {"color": "0.6", "linewidth": 4} if look is None else {"color": look.color, "linestyle": look.linestyle}
            )
            right.plot(u, values, label=name if look is None else title(name), **mark)
        right.set(xlabel="input u", ylabel="output", title="many layers, equal weights")
        for axes in (left, right):
            axes.title.set_fontsize(11)
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2 if axes is right else 1)
    return figure
