"""Loss along filter-normalised random directions around a network's weights (Li et al. 2018), and its roughness."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.errors import CosnbError
from cosnb.experiments.data.augment import normalize


def direction(net: nn.Module, seed: int) -> list[Tensor]:
    """Return a random direction in the space of `net`'s parameters, each filter scaled to its weights' own norm.

    Vectors (biases, batch normalisation) stay where they are: their entries are zero. One seed gives the same normal
    numbers to networks of one architecture.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for parameter in net.parameters():
        step = torch.randn(parameter.shape, generator=generator).to(parameter)
        if parameter.ndim < 2:
            step.zero_()
        else:
            rows = step.flatten(1)
            scale = parameter.detach().flatten(1).norm(dim=1) / rows.norm(dim=1)
            step = (rows * scale[:, None]).view_as(parameter)
        found.append(step)
    return found


@torch.no_grad()
def losses(
    net: nn.Module, images: Tensor, labels: Tensor, steps: Sequence[float], directions: Sequence[Sequence[Tensor]]
) -> Tensor:
    """Return the mean cross-entropy at weights + a·d₁ + b·d₂ for a, b in `steps`, float64; (steps,) for one direction.

    images: uint8 (N, C, H, W); labels: int64 (N,). The network is in evaluation mode, its running statistics as they
    stand, and keeps its weights.
    """
    if not 1 <= len(directions) <= 2:
        raise CosnbError(f"A line or a plane has 1 or 2 directions, not {len(directions)}")
    mode, start = net.training, [parameter.detach().clone() for parameter in net.parameters()]
    net.eval()
    inputs = normalize(images)
    found = []
    try:
        for b in steps if len(directions) == 2 else (0.0,):
            for a in steps:
                for place, (parameter, origin) in enumerate(zip(net.parameters(), start, strict=True)):
                    shift = a * directions[0][place]
                    if len(directions) == 2:
                        shift = shift + b * directions[1][place]
                    parameter.copy_(origin + shift)
                found.append(float(F.cross_entropy(net(inputs).double(), labels)))
    finally:
        for parameter, origin in zip(net.parameters(), start, strict=True):
            parameter.copy_(origin)
        net.train(mode)
    shape = (len(steps),) * len(directions)
    return torch.tensor(found, dtype=torch.float64).view(shape)


def roughness(line: Tensor) -> float:
    """Return how much the slope of equally spaced values turns, against their range: 0 for a straight line.

    Σ|second differences| · (points − 1) / range: for a parabola with its minimum in the middle it is about 8, whatever
    its height, its width and the number of points; ripples add to it. NaN where a value is not finite.
    """
    if not bool(torch.isfinite(line).all()):
        return float("nan")
    spread = float(line.max() - line.min())
    turning = float(line.diff(n=2).abs().sum()) * (len(line) - 1)
    return turning / spread if spread else 0.0


def largest_bend(line: Tensor) -> float:
    """Return the largest change of slope between neighbouring steps, as a share of the range of slopes along the line.

    A corner keeps its share however fine the steps are; along a smooth curve it goes to zero with them.
    """
    slopes = line.diff()
    spread = float(slopes.max() - slopes.min())
    return float(slopes.diff().abs().max()) / spread if spread else 0.0


def walk(
    net: nn.Module, images: Tensor, labels: Tensor, points: int, reach: float, seeds: Sequence[int]
) -> dict[str, float | list[float]]:
    """Return what a record keeps of lines through `net`'s weights, one a seed: mean roughness and bend, the first line.

    A line has `points` equally spaced losses from −reach to reach.
    """
    steps = torch.linspace(-reach, reach, points, dtype=torch.float64).tolist()
    lines = [losses(net, images, labels, steps, [direction(net, seed)]) for seed in seeds]
    return {
        "roughness": sum(map(roughness, lines)) / len(lines),
        "bend": sum(map(largest_bend, lines)) / len(lines),
        "line": lines[0].tolist(),
    }
