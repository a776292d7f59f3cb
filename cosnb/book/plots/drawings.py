"""Drawings of networks, the paper's Figures 1 to 3, without a curve; one unit is a tenth of an inch."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from cosnb.book.plots.style import Picture, style
from cosnb.errors import CosnbError

INK, PALE, FACE, BACK = "0.2", "0.72", "0.955", "#882255"
_SHEETS = 5  # drawn of a stack of feature maps, however many there are
_SHIFT = 0.4  # from sheet to sheet


class Stage(NamedTuple):
    """What stands after one step of a network: the step's name, its output's shape, the window it looks through.

    shape: (channels, height, width) or (features,); window: side of the square of the input that makes one output.
    """

    name: str
    shape: tuple[int, ...]
    window: int = 0


def _canvas(width: float, height: float) -> tuple[Picture, Axes]:
    figure = Picture(figsize=(width / 10, height / 10))
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def _write(axes: Axes, x: float, y: float, text: str, size: float = 8, **more: Any) -> None:
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size, "color": INK}
    axes.text(x, y, text, **(look | more))


def _arrow(axes: Axes, start: tuple[float, float], stop: tuple[float, float], **more: Any) -> None:
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 8, "color": INK, "linewidth": 1.0}
    axes.add_patch(FancyArrowPatch(start, stop, shrinkA=0, shrinkB=0, **(look | more)))


def convolutional(stages: Sequence[Stage]) -> Figure:
    """Return the drawing of a convolutional network, Figure 1: its input first, then what each step makes of it.

    Feature maps are stacks of squares, features a column; sides grow with the root of the size. Raises CosnbError for a
    shape that is neither.
    """
    for stage in stages:
        if len(stage.shape) not in (1, 3) or min(stage.shape) < 1:
            raise CosnbError(
                f"The shape of {stage.name!r} is {stage.shape}: (channels, height, width) or (features,) can be drawn."
            )
    largest = max((stage.shape[1] for stage in stages if len(stage.shape) == 3), default=1)
    step, left = 9.2, 0.6
    with style():
        figure, axes = _canvas(step * len(stages) + 2 * left, 21)
        fronts: list[tuple[float, float, float]] = []
        for number, stage in enumerate(stages):
            center = left + step * (number + 0.5)
            fronts.append(
                _stack(axes, center, stage, 5.6 * (stage.shape[1] / largest) ** 0.5)
                if len(stage.shape) == 3
                else _column(axes, center, stage.shape[0])
            )
            shape = " × ".join(map(str, stage.shape))
            _write(axes, center, 18.6, stage.name, 7.6, linespacing=1.25)
            _write(axes, center, 2.0, shape, 7.6)
        for (before, after), (here, there) in zip(pairwise(stages), pairwise(fronts), strict=True):
            if after.window and len(before.shape) == 3:
                _window(axes, here, there, after.window / before.shape[1])
            else:
                behind = _SHIFT * (min(before.shape[0], _SHEETS) - 1) if len(before.shape) == 3 else 0
                _arrow(axes, (here[0] + here[2] + behind + 0.5, 10), (there[0] - 0.5, 10))
    return figure


def _stack(axes: Axes, center: float, stage: Stage, side: float) -> tuple[float, float, float]:
    """Draw feature maps around `center` and return left, bottom and side of the front one."""
    sheets = min(stage.shape[0], _SHEETS)
    spread = _SHIFT * (sheets - 1)
    x, y = center - (side + spread) / 2, 10 - (side + spread) / 2
    for sheet in reversed(range(sheets)):  # the back ones first
        place = (x + _SHIFT * sheet, y + _SHIFT * sheet)
        axes.add_patch(Rectangle(place, side, side, facecolor=FACE, edgecolor=INK, linewidth=0.8, gid="sheet"))
    return x, y, side


def _column(axes: Axes, center: float, features: int) -> tuple[float, float, float]:
    """Draw a column of units, with dots for those left out, and return its left, bottom and width."""
    shown, radius = min(features, 10), 0.5
    pitch = 1.18
    middle = shown > 6 and features > shown
    for unit in range(shown):
        y = 10 + (unit - (shown - 1) / 2) * pitch
        if middle and unit in (shown // 2 - 1, shown // 2):
            axes.plot(center, y, marker="o", markersize=1.6, color=INK)
        else:
            axes.add_patch(Circle((center, y), radius, facecolor=FACE, edgecolor=INK, linewidth=0.8, gid="unit"))
    return center - radius, 10 - shown * pitch / 2, 2 * radius


def _window(axes: Axes, here: tuple[float, float, float], there: tuple[float, float, float], share: float) -> None:
    """Draw the window that slides over the front map `here`, and the lines to the one value that it makes `there`."""
    x, y, side = here
    size = max(share * side, 0.7)
    corner = (x + side - size - 0.12 * side, y + side - size - 0.12 * side)
    axes.add_patch(Rectangle(corner, size, size, facecolor="white", edgecolor=BACK, linewidth=1.0))
    target = (there[0] + 0.25 * there[2], there[1] + 0.3 * there[2])
    for up in (0.0, size):
        axes.plot([corner[0] + size, target[0]], [corner[1] + up, target[1]], color=BACK, linewidth=0.8)
    axes.plot(*target, marker="s", markersize=2.6, color=BACK)


def layers(sizes: Sequence[int]) -> Figure:
    """Return the drawing of a fully connected network with `sizes` units a layer, Figure 2, and of one unit beside it.

    Raises CosnbError for fewer than two layers or an empty one.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise CosnbError(f"A network has at least two layers of at least one unit, not {list(sizes)}.")
    pitch, top = 3.4, 19.5
    with style():
        figure, axes = _canvas(56, 24)
        columns = [3.2 + 8.6 * number for number in range(len(sizes))]
        heights = [[9.6 + (unit - (size - 1) / 2) * pitch for unit in range(size)] for size in sizes]
        for (left, right), (low, high) in zip(pairwise(columns), pairwise(heights), strict=True):
            for y in low:
                for z in high:
                    axes.plot([left, right], [y, z], color=PALE, linewidth=0.6, zorder=1, gid="weight")
        chosen = (1, sizes[1] - 1)
        for number, (x, ys) in enumerate(zip(columns, heights, strict=True)):
            ends = {0: "input\nlayer", len(sizes) - 1: "output\nlayer"}
            _write(axes, x, 21.6, ends.get(number, f"hidden\nlayer {number}"), 8, linespacing=1.2)
            for unit, y in enumerate(ys):
                edge = BACK if (number, unit) == chosen else INK
                axes.add_patch(Circle((x, y), 1.05, facecolor="white", edgecolor=edge, linewidth=1.1, gid="unit"))
        start = (columns[chosen[0]] + 1.1, heights[chosen[0]][chosen[1]] + 0.6)
        _unit(axes, 36.2, 9.6)
        axes.add_patch(Rectangle((33.4, 1.6), 21.6, top - 1.6, facecolor="none", edgecolor=BACK, linewidth=0.9))
        _write(axes, 44.2, 21.6, "one unit", 8, color=BACK)
        axes.plot([start[0], 33.4], [start[1], top], color=BACK, linewidth=0.8, linestyle=(0, (3, 2)))
    return figure


def _unit(axes: Axes, left: float, middle: float) -> None:
    """Draw a unit: weighted inputs, their sum v, the activation f, its output y."""
    for number, y in (("1", 5.4), ("2", 0.0), ("n", -5.4)):
        _write(axes, left, middle + y, f"$u_{number}$", 9.5)
        _arrow(axes, (left + 1.3, middle + y * 0.93), (left + 6.4, middle + y * 0.17))
        _write(axes, left + 4.0, middle + y * 0.56 + (1.2 if y >= 0 else -1.4), f"$w_{number}$", 8.5)
    _write(axes, left, middle - 2.5, "⋮", 9)
    axes.add_patch(Circle((left + 8.0, middle), 1.6, facecolor=FACE, edgecolor=INK, linewidth=1.0))
    _write(axes, left + 8.0, middle, r"$\Sigma$", 10)
    _arrow(axes, (left + 8.0, middle - 4.6), (left + 8.0, middle - 1.7))
    _write(axes, left + 8.0, middle - 5.6, "$b$", 9.5)
    _arrow(axes, (left + 9.6, middle), (left + 12.2, middle))
    _write(axes, left + 10.8, middle + 1.1, "$v$", 9)
    axes.add_patch(Rectangle((left + 12.2, middle - 1.6), 3.2, 3.2, facecolor=FACE, edgecolor=INK, linewidth=1.0))
    _write(axes, left + 13.8, middle, "$f$", 10)
    _arrow(axes, (left + 15.4, middle), (left + 17.4, middle))
    _write(axes, left + 16.2, middle + 1.1, "$y$", 9)
    _write(axes, left + 13.0, middle + 7.2, r"$v = \sum_i\, w_i u_i + b$", 8.5)
    _write(axes, left + 13.0, middle + 4.2, "$y = f(v)$", 8.5)


def passes(depth: int) -> Figure:
    """Return the drawing of the forward and the backward pass through `depth` layers, Figure 3.

    Forward, to the right, go outputs; backward, to the left, gradients, which each layer multiplies by its slope.
    Raises CosnbError for fewer than one layer or more than four, which no page holds.
    """
    if not 1 <= depth <= 4:
        raise CosnbError(f"From 1 to 4 layers can be drawn, not {depth}.")
    step, first, box = 15.4, 6.4, 10.0
    width, up, down = first + step * depth + 5.4, 15.6, 12.4
    with style():
        figure, axes = _canvas(width, 24)
        _write(axes, 2.0, up, "$u$", 10)
        _write(axes, first + 1.5, 22.6, "forward pass: outputs", 8, ha="left")
        _write(axes, first + 1.5, 1.3, "backward pass: gradients", 8, ha="left", color=BACK)
        for number in range(1, depth + 1):
            x, before = first + step * (number - 1), "u" if number == 1 else f"y_{number - 1}"
            _arrow(axes, (x - (3.2 if number == 1 else 5.4), up), (x, up))
            axes.add_patch(Rectangle((x, 10.4), box, 7.2, facecolor=FACE, edgecolor=INK, linewidth=1.0))
            text = f"$v_{number} = W_{number}\\,{before} + b_{number}$\n$y_{number} = f(v_{number})$"
            _write(axes, x + box / 2, 14, text, 8, linespacing=1.7)
            _write(axes, x + box / 2, 19.4, f"layer {number}", 8)
            _arrow(axes, (x + box / 2, 10.4), (x + box / 2, 6.9), color=BACK, linestyle=(0, (4, 2)))
            _write(axes, x + box / 2, 4.7, _fraction(f"W_{number}"), 10.5, color=BACK)
            last = number == depth
            _arrow(axes, (x + box + (3.4 if last else 5.4), down), (x + box, down), color=BACK, linestyle=(0, (4, 2)))
            _write(axes, x + box + 2.4, 17.0, f"$y_{number}$", 9)
            _write(axes, x + box + 2.4, 9.7, _fraction(f"y_{number}"), 10.5, color=BACK)
        end = first + step * depth - 2.0
        _arrow(axes, (end - 3.4, up), (end + 0.5, up))
        axes.add_patch(Circle((end + 2.4, 14), 2.4, facecolor="white", edgecolor=INK, linewidth=1.0))
        _write(axes, end + 2.4, 14, "loss\n$L$", 8)
    return figure


def _fraction(below: str) -> str:
    return rf"$\frac{{\partial L}}{{\partial {below}}}$"
