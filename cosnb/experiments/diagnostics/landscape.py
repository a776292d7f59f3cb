"""Output landscape of a random network over a square of the plane (Figure 16), and the turning of its gradient."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.experiments.models import Landscape

SIDE = 10.0  # the square is [0, 10]²


@dataclass(frozen=True)
class View:
    """A network over the square, rows y, columns x, float64: heights (points, points) and slopes |∇f|, and numbers.

    mean_turn, largest_turn: the angle between the gradients at neighbouring points, degrees, over all pairs where both
    gradients are not zero; flat: the share of points where the gradient is exactly zero. kinks: the largest change of
    the gradient between neighbours, as a share of the largest gradient. crossings: the share of neighbouring pairs
    between which some unit's pre-activation changes sign, where a ReLU has its kink.
    """

    heights: Tensor
    slopes: Tensor
    mean_turn: float
    largest_turn: float
    flat: float
    kinks: float
    crossings: float

    def numbers(self) -> dict[str, float]:
        """Return what a record keeps."""
        names = ("mean_turn", "largest_turn", "flat", "kinks", "crossings")
        return {name: getattr(self, name) for name in names}


def look(name: str, seed: int, points: int = 400) -> View:
    """Return the view of the random network with activation `name`; one seed is the same weights for every name."""
    if points < 2:
        raise CosnbError(f"points is {points}, but neighbours need at least 2 a side")
    torch.manual_seed(seed)
    net = Landscape(activation(name).module()).double()
    return view(net, points)


def view(net: nn.Sequential, points: int) -> View:
    """Return the view of `net`, a sequence of linear layers and activations that takes (B, 2) to (B, 1), float64."""
    line = torch.linspace(0, SIDE, points, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    places = torch.stack([x.flatten(), y.flatten()], 1).requires_grad_()
    value, signs = places, []
    for layer in net:
        value = layer(value)
        if isinstance(layer, nn.Linear):
            signs.append((value.detach() > 0).view(points, points, -1))
    (slopes,) = torch.autograd.grad(value.sum(), places)
    slopes = slopes.view(points, points, 2)
    above = torch.cat(signs, 2)
    turns, changes, crossed = [], [], []
    for axis in (0, 1):
        here, there = slopes.narrow(axis, 0, points - 1), slopes.narrow(axis, 1, points - 1)
        turns.append(_angles(here, there))
        changes.append((there - here).norm(dim=-1).flatten())
        flipped = above.narrow(axis, 0, points - 1) != above.narrow(axis, 1, points - 1)
        crossed.append(flipped.any(-1).flatten())
    angles, steepest = torch.cat(turns), float(slopes.norm(dim=-1).max())
    return View(
        heights=value.detach().view(points, points),
        slopes=slopes.norm(dim=-1),
        mean_turn=float(angles.mean()) if len(angles) else 0.0,
        largest_turn=float(angles.max()) if len(angles) else 0.0,
        flat=float((slopes == 0).all(-1).double().mean()),
        kinks=float(torch.cat(changes).max()) / steepest if steepest else 0.0,
        crossings=float(torch.cat(crossed).double().mean()),
    )


def _angles(first: Tensor, second: Tensor) -> Tensor:
    """Return the angles in degrees between vectors (…, 2), where neither is zero; exact also near 0° and 180°."""
    cross = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
    dot = (first * second).sum(-1)
    both = (first != 0).any(-1) & (second != 0).any(-1)
    return torch.rad2deg(torch.atan2(cross.abs(), dot))[both]
