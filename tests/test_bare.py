"""Gradients of bare networks: against a network built by hand, and their size by the formula of the initial weights."""

import math

import pytest
import torch
from torch import nn

from cosnb.errors import CosnbError
from cosnb.experiments.diagnostics import bare


def batch(n: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, 10, (n,), generator=generator)


def test_they_are_those_of_a_network_in_sequence() -> None:
    images, labels = batch()
    signals, weights = bare.gradients("relu", 3, images, labels, depth=2)
    torch.manual_seed(3)
    net = nn.Sequential(nn.Linear(784, 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 10))
    nn.functional.cross_entropy(net((images.flatten(1) / 255 - 0.5) / 0.5), labels).backward()
    assert weights == pytest.approx([net[place].weight.grad.norm().item() for place in (0, 2, 4)], rel=1e-4)
    assert len(signals) == 3


@pytest.mark.parametrize(("initial", "factor"), [("he", 1.0), ("default", 1 / math.sqrt(6))])
def test_relu_s_signal_changes_by_the_weights_variance(initial: str, factor: float) -> None:
    signals, _ = bare.gradients("relu", 0, *batch(), depth=20, initial=initial)
    assert (signals[0] / signals[19]) ** (1 / 19) == pytest.approx(factor, rel=0.08)


def test_what_a_record_keeps() -> None:
    found = bare.measure("mish", 1, *batch(), depth=3, initial="he")
    norms = found["gradient_norms"]
    assert isinstance(norms, list)
    assert found["spread"] == math.log10(max(norms) / min(norms))
    assert bare.measure("mish", 1, *batch(), depth=3, initial="he") == found
    with pytest.raises(CosnbError, match="unknown initial weights 'xavier': choose one of default, he"):
        bare.gradients("mish", 1, *batch(), initial="xavier")
