"""Units that die in a small network trained by steps that are too long, for the page `dead-units`."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from torch.nn import functional as F  # noqa: N812

from cosnb.activations import Activation, activation
from cosnb.display import Markdown
from cosnb.experiments import Experiment, provenance
from cosnb.experiments.data import digits
from cosnb.experiments.results import trained
from cosnb.experiments.results.summary import title
from cosnb.experiments.results.tables import ACTIVATIONS
from cosnb.kernels.timing import one_thread

Shares = Mapping[str, Mapping[float, Sequence[float]]]  # activation, learning rate: dead units (%) of each network
STEPS, UNITS = 20, 64
_COLUMNS: dict[str, trained.Figure] = {
    "before training (%)": lambda m: 100 * m["dead_units_at_start"],
    "at the end (%)": lambda m: 100 * m["dead_units"],
    "most in a layer (%)": lambda m: 100 * max(m["dead_units_by_layer"]),
}
RATES = (0.3, 1.0, 3.0, 10.0)


@one_thread()  # small products: a second thread waits longer than it works
def shares(normalised: bool = False, seeds: int = 3, names: Sequence[str] = ACTIVATIONS) -> Shares:
    """Return the dead units (%) of networks with one hidden layer of 64 units after 20 steps of plain descent.

    Trained on all of the bundled digits at once, 8 × 8 pixels, at each rate of `RATES`, with PyTorch's initial weights.
    normalised: each unit's sums have mean 0 and variance 1 over the images. Dead is a unit whose slope is exactly 0 on
    every image.
    """
    images, labels, *_ = digits.read()
    pixels = F.avg_pool2d(images[:, :1].float() / 255 - 0.3, 4).flatten(1)
    return {
        name: {
            rate: [_dead(activation(name), rate, s, pixels, labels, normalised) for s in range(seeds)] for rate in RATES
        }
        for name in names
    }


def opening(found: Shares, normalised: Shares) -> Markdown:
    """Return the shares at the highest rate, of ReLU and of the activation among the others that has most."""
    rate = max(RATES)
    mean = {name: fmean(by_rate[rate]) for name, by_rate in found.items()}
    others = max((share, name) for name, share in mean.items() if name != "relu")
    rest = "none" if not others[0] else f"at most {others[0]:.1f} % ({title(others[1])})"
    return Markdown(
        f"**After {STEPS} steps at a learning rate of {rate:g}, {mean['relu']:.0f} % of ReLU's units are dead, and "
        f"{rest} of the smooth activations'.** With batch normalisation before the activation it is "
        f"{fmean(normalised['relu'][rate]):.0f} % of ReLU's. A unit is dead where the derivative of its activation is "
        "exactly 0 on every training image: it gets no gradient, and learns nothing more."
    )


def full_length() -> Markdown:
    """Return the dead units of the tables' networks trained to the end, with their provenance; nothing without any."""
    networks = trained.full(Experiment(trained.EXPERIMENT).records)
    table = trained.overview(networks, _COLUMNS)
    return Markdown(f"{provenance(*networks.values())}\n\n{table}" if networks else "")


def _dead(
    function: Activation, rate: float, seed: int, pixels: torch.Tensor, labels: torch.Tensor, normalised: bool
) -> float:
    torch.manual_seed(seed)
    first, last = torch.nn.Linear(pixels.shape[1], UNITS), torch.nn.Linear(UNITS, 10)
    learnt = [*first.parameters(), *last.parameters()]

    def sums() -> torch.Tensor:
        raw = first(pixels)
        return F.batch_norm(raw, None, None, training=True) if normalised else raw

    for _ in range(STEPS):
        loss = F.cross_entropy(last(function(sums())), labels)
        with torch.no_grad():
            for parameter, gradient in zip(learnt, torch.autograd.grad(loss, learnt), strict=True):
                parameter.sub_(rate * gradient)
    with torch.no_grad():
        return 100 * float((function.elementwise(1)(sums()) == 0).all(0).double().mean())
