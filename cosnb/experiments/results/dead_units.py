"""Dead units: shares over epochs and by learning rate, and where slopes are zero by rounding."""

from collections.abc import Iterable

import torch

from cosnb.activations import activation
from cosnb.display import Table
from cosnb.experiments.results import curves
from cosnb.experiments.results.summary import Record, extent, group, title
from cosnb.experiments.results.tables import ACTIVATIONS, describe


def longest(records: Iterable[Record]) -> list[Record]:
    """Return the records of the configuration with most images × epochs, of equal ones the highest rate."""
    return max(group(records), key=lambda g: (extent(g[0]), g[0]["lr"]))[1]


def by_epoch(records: Iterable[Record]) -> dict[str, dict[float, list[float]]]:
    """Return {activation: {epoch: share of dead units (%) of each run}}, epoch 0 being before training."""
    shares = curves.over_epochs(records, "dead_units")
    return {name: {e: [100 * share for share in runs] for e, runs in by.items()} for name, by in shares.items()}


def rate_table(records: Iterable[Record]) -> Table:
    """Return the shares at the end by learning rate and activation."""
    rows = []
    for settings, found in sorted(group(records), key=lambda g: g[0]["lr"]):
        for name, by_seed in curves.last(found, "dead_units").items():
            cell = describe([100 * share for share in by_seed.values()], 3)
            rows.append([f"{settings['lr']:g}", title(name), len(by_seed), cell])
    return Table(["learning rate", "", "n", "dead units (%)"], rows)


def zero_slope_table() -> Table:
    """Return from where on to the left each slope is exactly 0 in float32."""
    x = -torch.cat([torch.zeros(1), torch.logspace(-3, 4, 7001)])
    rows = []
    for name in ACTIVATIONS:
        zero = x[activation(name).elementwise(1)(x) == 0]
        rows.append([title(name), f"{float(zero.max()) + 0:.3g}".replace("-", "−") if len(zero) else "never"])
    return Table(["", "slope is exactly 0 in float32 at and left of"], rows)
