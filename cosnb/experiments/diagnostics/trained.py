"""Measurements of a trained network: dead units, gradients, losses without augmentation, and lines of loss."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import nn

from cosnb.experiments.data import ImageData
from cosnb.experiments.diagnostics import surface
from cosnb.experiments.training import probes
from cosnb.experiments.training.config import PROBES, TrainingConfig
from cosnb.experiments.training.evaluation import evaluate
from cosnb.experiments.training.loop import fitted
from cosnb.experiments.training.state import State

CODE = f"{__name__} {surface.__name__} {probes.__name__}"  # the modules that decide the numbers
# As the page has it at full length: 5 lines of 201 places, their loss on 1,000 images, are 1,005 forward passes.
WALK: Mapping[str, Any] = {"points": 201, "reach": 0.5, "lines": 5, "on": 1000}


def measure(
    net: nn.Module, config: TrainingConfig, seed: int, data: ImageData, loss_slice: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a record keeps of `net`, trained with `config` and `seed` on `data`, as JSON types.

    What `training.probes` measures, at the end and, with the suffix _at_start, before training; train_loss,
    train_accuracy, test_loss and test_accuracy (a share) of the trained weights on the images as they are; what
    `surface.walk` keeps of `loss_slice["lines"]` lines of `loss_slice["points"]` places, from −reach to reach, with the
    loss on the first `loss_slice["on"]` training images. The lines and the gradients are taken in float32.
    """
    data = fitted(data, config.network).to(next(net.parameters()).device)
    probed = dataclasses.replace(config, probes=PROBES)
    found = probes.measure(State(config, seed, data).net, probed, data, "_at_start")
    found |= probes.measure(net, probed, data)
    for part in ("train", "test"):
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        loss, accuracy = evaluate(net, images, labels, config.precision)
        found |= {f"{part}_loss": loss, f"{part}_accuracy": accuracy}
    images, labels = data.train_images[: loss_slice["on"]], data.train_labels[: loss_slice["on"]]
    return found | surface.walk(
        net, images, labels, loss_slice["points"], loss_slice["reach"], range(loss_slice["lines"])
    )
