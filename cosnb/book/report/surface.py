"""Loss surfaces around trained weights: a small network's in two directions, and tables and sentences of records."""

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from cosnb.activations import Activation, activation
from cosnb.book.claims import Finding
from cosnb.book.plots import Plane
from cosnb.display import Markdown, Table
from cosnb.experiments import Experiment
from cosnb.experiments.data import digits
from cosnb.experiments.results import measurements, trained
from cosnb.experiments.results.summary import Record, by_activation, title
from cosnb.experiments.statistics import t_interval
from cosnb.kernels.timing import one_thread

COLUMNS = {"roughness": lambda measured: measured["roughness"], "bend": lambda measured: measured["bend"]}

WIDTHS = (64, 32, 32, 10)  # of the small network: pixels, two hidden layers, classes
_IMAGES = 512
_STEPS, _LR = 200, 0.01  # of Adam, each on all images


@one_thread()  # small products: a second thread waits longer than it works
def around_weights(name: str, reach: float = 1.0, points: int = 31) -> Plane:
    """Return the training loss of a small network in two random directions around its trained weights.

    name: of an activation. The network has layers of `WIDTHS` and is trained on the first digits, 8 × 8 pixels; its
    initial weights and the directions are the same for every activation. A direction has each neuron's weights scaled
    to the size of its own (Li et al., 2018), and leaves biases as they are; the plane goes from −reach to reach,
    `points` places a side.
    """
    function, generator = activation(name), torch.Generator().manual_seed(0)
    images, goals = (part[:_IMAGES] for part in digits.read()[:2])
    inputs = F.avg_pool2d(images[:, :1].double() / 255, 4).flatten(1)
    weights = [_normal(generator, b, a) * math.sqrt(2 / a) for a, b in itertools.pairwise(WIDTHS)]
    biases = [torch.zeros(b, dtype=torch.float64) for b in WIDTHS[1:]]
    optimizer = torch.optim.Adam([p.requires_grad_() for p in (*weights, *biases)], lr=_LR)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        _loss(function, weights, biases, inputs, goals).backward()
        optimizer.step()
    directions = []
    for _ in range(2):
        drawn = [_normal(generator, *w.shape) for w in weights]
        directions.append(
            [d * w.norm(dim=1, keepdim=True) / d.norm(dim=1, keepdim=True) for d, w in zip(drawn, weights, strict=True)]
        )
    places = torch.linspace(-reach, reach, points, dtype=torch.float64)
    heights = torch.empty(points, points, dtype=torch.float64)
    with torch.no_grad():
        for row, second in enumerate(places):
            for column, first in enumerate(places):
                moved = [w + first * d + second * e for w, d, e in zip(weights, *directions, strict=True)]
                heights[row, column] = _loss(function, moved, biases, inputs, goals)
    return Plane(heights.numpy(), places.numpy(), goal=(0.0, 0.0))


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=generator)


def _loss(
    function: Activation, weights: Sequence[Tensor], biases: Sequence[Tensor], inputs: Tensor, goals: Tensor
) -> Tensor:
    signal = inputs
    for place, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        signal = F.linear(function(signal) if place else signal, weight, bias)
    return F.cross_entropy(signal, goals)


def recorded() -> list[Record]:
    """Return the records of the longest training, as `trained.longest` chooses them."""
    return trained.longest(Experiment(trained.EXPERIMENT).records)


def stage(records: Sequence[Record], parts: Sequence[Finding]) -> Markdown:
    """Return how far the networks were trained, and the verdicts on B8's `parts` that are measured."""
    config = records[0]["config"]
    lines = [record["measured"]["line"] for record in records]
    losses = [line[len(line) // 2] for line in lines]  # at the trained weights
    early = min(losses) > math.log(10) / 2
    words = "; ".join(f"{part.part}: **{part.verdict}**" for part in parts[1:])
    return Markdown(
        f"These networks saw {config['train_images']:,} images × {config['epochs']} epochs. Their loss, on "
        f"{config['on']} of these images, is {min(losses):.2f} to {max(losses):.2f}, where guessing has "
        f"ln 10 = {math.log(10):.2f}{': an early stage of training' if early else ''}. What they say: {words}."
    )


def lines(records: Sequence[Record]) -> dict[str, list[float]]:
    """Return each activation's losses along the first line of its first record."""
    return {record["config"]["activation"]: record["measured"]["line"] for record in records[::-1]}


def roughness_table(records: Sequence[Record]) -> Table:
    """Return roughness and bend by activation, means with half their 95 % interval."""
    rows = []
    for name in by_activation(records):
        row = [title(name)]
        for key in COLUMNS:
            found = t_interval(list(measurements.measured(records, key)[name].values()))
            half = f" ± {(found.high - found.low) / 2:#.2g}" if found.n > 1 else ""
            row.append(f"{found.mean:#.3g}{half} (n = {found.n})")
        rows.append(row)
    return Table(["", "roughness", "bend"], rows)
