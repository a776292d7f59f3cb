"""What decides a run's numbers: one frozen configuration."""

import hashlib
import json
from dataclasses import dataclass, fields

from cosnb.errors import CosnbError
from cosnb.models import NETWORKS
from cosnb.symbolic import catalogue

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainingConfig:
    """Protocol `paper` (Adam, no decay, no schedule) for a network, an activation and a data set.

    train_images: how many of the training images are used, from the first. flip: probability. rotation: degrees, the
    largest angle. precision: "float32", or "bfloat16" for automatic mixed precision. A wrong value raises CosnbError.
    """

    activation: str
    dataset: str
    train_images: int
    network: str = "squeezenet"
    protocol: str = "paper"
    epochs: int = 200
    batch_size: int = 128
    lr: float = 0.001
    precision: str = "float32"
    flip: float = 0.4
    rotation: float = 30.0

    def __post_init__(self) -> None:
        for name, kind in _types().items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
                raise CosnbError(f"{name} must be of type {kind.__name__}, got {value!r}")
        object.__setattr__(self, "activation", catalogue.get(self.activation).name)
        _choice("network", self.network, tuple(NETWORKS))
        _choice("protocol", self.protocol, ("paper",))
        _choice("precision", self.precision, PRECISIONS)
        for name in ("epochs", "batch_size", "train_images"):
            if getattr(self, name) < 1:
                raise CosnbError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.lr < float("inf"):
            raise CosnbError(f"lr must be a positive number, got {self.lr}")
        if not 0 <= self.flip <= 1:
            raise CosnbError(f"flip must be a probability from 0 to 1, got {self.flip}")
        if not 0 <= self.rotation <= 180:
            raise CosnbError(f"rotation must be an angle from 0 to 180 degrees, got {self.rotation}")

    def as_dict(self) -> dict[str, str | int | float]:
        """Return the configuration as JSON types, floats as floats."""
        return {name: kind(getattr(self, name)) for name, kind in _types().items()}

    def digest(self) -> str:
        """Return 10 hexadecimal digits that name this configuration."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise CosnbError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")


def _types() -> dict[str, type]:
    return {
        field.name: {"str": str, "int": int, "float": float}[str(getattr(field.type, "__name__", field.type))]
        for field in fields(TrainingConfig)
    }


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that `text` names: "3", "0:20" (0 … 19), "0:8:2", or several of these with commas between."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            numbers = [int(number) for number in part.split(":")]
            seeds.extend(range(*numbers) if len(numbers) > 1 else numbers)
    except (TypeError, ValueError):
        seeds = []
    if not seeds or min(seeds) < 0:
        raise CosnbError(f"seeds must be like '3', '0:20' (0 to 19) or '0,4,7', got {text!r}")
    return list(dict.fromkeys(seeds))


def parse_activations(text: str) -> list[str]:
    """Return the catalogue's names that `text` lists with commas between; CosnbError for an unknown one."""
    return [catalogue.get(name.strip()).name for name in text.split(",")]
