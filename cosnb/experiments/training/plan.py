"""Configuration of an activation on given images and a given device."""

import torch

from cosnb.experiments.data import ImageData
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.device import resolve_precision


def configuration(
    activation: str, images: ImageData, device: str | torch.device, precision: str = "float32", **settings: object
) -> TrainingConfig:
    """Return the configuration of one activation, a name of the catalogue or formula text, on `images` as they are.

    `precision` may be "auto" (by device); `settings` are further fields of `TrainingConfig`. Raises CosnbError as that
    does.
    """
    return TrainingConfig(
        activation=activation,
        dataset=images.name,
        train_images=len(images.train_images),
        held_out=images.held_out,
        test_images=images.tested,
        precision=resolve_precision(precision, device),
        **settings,  # type: ignore[arg-type]
    )
