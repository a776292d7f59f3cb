"""Configuration of a training run: the settings that decide its numbers."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.experiments.models import NETWORKS, has_depth
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.symbolic import catalogue

PRECISIONS = ("float32", "bfloat16")
# Settings that came after the first records, each with what all had before: left out where they have that, so that old
# digests hold.
_LATER: dict[str, Any] = {
    "depth": 0,
    "gain": 1.0,
    "label_smoothing": 0.0,
    "probes": (),
    "held_out": 0,
    "test_images": 0,
}
_OF_PROTOCOL = ("epochs", "lr", "flip", "rotation", "batch_size", "label_smoothing")
PROBES = ("dead_units", "gradient_norms")
# {setting: (what holds of it, in words)}
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("epochs", "batch_size", "train_images"), (lambda n: n >= 1, "at least 1")),
    **dict.fromkeys(("held_out", "test_images"), (lambda n: n >= 0, "at least 0")),
    **dict.fromkeys(("lr", "gain"), (lambda x: 0 < x < float("inf"), "a positive number")),
    "flip": (lambda p: 0 <= p <= 1, "a probability from 0 to 1"),
    "rotation": (lambda angle: 0 <= angle <= 180, "an angle from 0 to 180 degrees"),
    "label_smoothing": (lambda share: 0 <= share < 1, "at least 0 and less than 1"),
}
_BY_PROTOCOL: Any = None  # stands for the protocol's own value until the configuration is made


@dataclass(frozen=True)
class TrainingConfig:
    """A network, an activation, a data set and the settings of the protocol. Raises CosnbError for a wrong value.

    `activation`: a name of the catalogue, or formula text without parameters (see cosnb.symbolic.text). `train_images`:
    the number of training images, from the first. `lr`: the learning rate, the highest one of a schedule. `flip`: a
    probability. `rotation`: the largest angle, in degrees. `epochs`, `lr`, `flip`, `rotation`, `batch_size` and
    `label_smoothing` are the protocol's where not given. `precision`: "float32", or "bfloat16" for automatic mixed
    precision. `depth`: the blocks of a depth network, 0 for others. `gain`: a factor on the initial weights of every
    convolution and linear layer that is learnt. `probes`: see `training.probes`. `held_out`: the number of last
    training images that are tested on in place of the test images. `test_images`: the number of images tested on, from
    the first, 0 for all (for both see `cosnb.experiments.data.load`).
    """

    activation: str
    dataset: str
    train_images: int
    network: str = "squeezenet"
    protocol: str = "paper"
    epochs: int = _BY_PROTOCOL
    batch_size: int = _BY_PROTOCOL
    lr: float = _BY_PROTOCOL
    precision: str = "float32"
    flip: float = _BY_PROTOCOL
    rotation: float = _BY_PROTOCOL
    depth: int = 0
    gain: float = 1.0
    label_smoothing: float = _BY_PROTOCOL
    probes: tuple[str, ...] = ()
    held_out: int = 0
    test_images: int = 0

    def __post_init__(self) -> None:
        _choice("protocol", self.protocol, tuple(PROTOCOLS))
        for name in _OF_PROTOCOL:
            if getattr(self, name) is _BY_PROTOCOL:
                object.__setattr__(self, name, getattr(PROTOCOLS[self.protocol], name))
        if isinstance(self.probes, list):  # as JSON gives it back
            object.__setattr__(self, "probes", tuple(self.probes))
        for name, kind in _types().items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
                raise CosnbError(f"{name} must be of type {kind.__name__}, got {value!r}")
        formula = activation(self.activation).formula
        known = formula.name in catalogue.CATALOGUE
        object.__setattr__(self, "activation", formula.name if known else formula.title)
        object.__setattr__(self, "probes", tuple(dict.fromkeys(self.probes)))
        self._check_choices()
        self._check_numbers()

    def _check_choices(self) -> None:
        _choice("network", self.network, tuple(NETWORKS))
        _choice("precision", self.precision, PRECISIONS)
        for probe in self.probes:
            _choice("probe", probe, PROBES)

    def _check_numbers(self) -> None:
        for name, (holds, words) in _RANGES.items():
            if not holds(getattr(self, name)):
                raise CosnbError(f"{name} must be {words}, got {getattr(self, name)}")
        if self.batch_size > self.train_images:
            raise CosnbError(f"batch_size is {self.batch_size}, but there are only {self.train_images} training images")
        deep = has_depth(self.network)
        if (self.depth < 1) if deep else (self.depth != 0):
            raise CosnbError(f"{self.network} has a depth of {'1 or more' if deep else '0'}, got {self.depth}")

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as a dict of JSON types, floats as floats."""
        settings: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            before = _LATER.get(field.name)
            if (
                field.name not in _LATER
                or value != before
                or getattr(PROTOCOLS[self.protocol], field.name, before) != before
            ):
                kind = _types()[field.name]
                settings[field.name] = list(value) if kind is tuple else kind(value)
        return settings

    def digest(self) -> str:
        """Return 10 hexadecimal digits that identify this configuration."""
        text = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]


def _choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise CosnbError(f"unknown {name} {value!r}: choose one of {', '.join(choices)}")


def _types() -> dict[str, type]:
    kinds: dict[str, type] = {"str": str, "int": int, "float": float, "tuple": tuple}
    return {field.name: kinds[str(getattr(field.type, "__name__", field.type))] for field in fields(TrainingConfig)}


def parse_seeds(text: str) -> list[int]:
    """Return the seeds in `text`: "3", "0:20" (0 to 19), "0:8:2", or several of these separated by commas."""
    seeds: list[int] = []
    try:
        for part in text.split(","):
            numbers = [int(number) for number in part.split(":")]
            seeds.extend(range(*numbers) if len(numbers) > 1 else numbers)
    except (TypeError, ValueError):
        seeds = []
    if not seeds or min(seeds) < 0:
        raise CosnbError(f"seeds must be like '3', '0:20' (0 to 19) or '0,4,7', got {text!r}")
    return distinct(seeds)


def distinct(seeds: Iterable[int]) -> list[int]:
    """Return `seeds` as a list; CosnbError where there is none, one is negative, or one is given twice."""
    listed = list(seeds)
    for seed in listed:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise CosnbError(f"a seed is a whole number from 0 on, got {seed!r}")
    twice = sorted({seed for seed in listed if listed.count(seed) > 1})
    if twice or not listed:
        raise CosnbError(f"seed {twice[0]} is given twice: give each once" if twice else "no seed is given")
    return listed


def parse_activations(text: str) -> list[str]:
    """Return the catalogue's names listed in `text`, separated by commas. Raises CosnbError for an unknown one."""
    return [catalogue.get(name.strip()).name for name in text.split(",")]
