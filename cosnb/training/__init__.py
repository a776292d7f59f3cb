"""Training: the configuration, the loop, and runs that leave a record."""

from cosnb.training.config import TrainingConfig, parse_activations, parse_seeds
from cosnb.training.device import resolve_precision
from cosnb.training.loop import evaluate, train
from cosnb.training.run import run, run_missing

__all__ = [
    "TrainingConfig",
    "evaluate",
    "parse_activations",
    "parse_seeds",
    "resolve_precision",
    "run",
    "run_missing",
    "train",
]
