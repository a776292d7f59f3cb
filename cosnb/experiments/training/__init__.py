"""Training: configuration, protocols and loop."""

from cosnb.experiments.training.config import TrainingConfig, parse_activations, parse_seeds
from cosnb.experiments.training.device import resolve_precision
from cosnb.experiments.training.evaluation import evaluate
from cosnb.experiments.training.loop import train

__all__ = ["TrainingConfig", "evaluate", "parse_activations", "parse_seeds", "resolve_precision", "train"]
