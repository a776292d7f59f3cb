"""Cost of an activation in a network: time of a training step and of inference, bytes kept for backward."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.experiments.models import activation_name, build, input_shape
from cosnb.kernels import timing
from cosnb.nn.memory import saved_bytes

# As the papers write them, one PyTorch operation after another; the last is CoS without its square.
PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "relu6": F.relu6,
    "swish": lambda x: x * torch.sigmoid(x),
    "mish": lambda x: x * torch.tanh(F.softplus(x)),
    "cos": lambda x: x * torch.sigmoid(x) + (torch.sigmoid(5 * x) - 0.5) ** 2,
    "cos without its square": lambda x: x * torch.sigmoid(x) + (torch.sigmoid(5 * x) - 0.5),
}

NAMES = ("relu", "swish", "mish", "cos")
NO_SQUARE = "cos without its square, plain"


class Plain(nn.Module):
    """An activation in plain PyTorch operations, by its name in `PLAIN`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.function = PLAIN[name]

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function to a tensor of any shape."""
        return self.function(x)


def make(network: str, name: str, kind: str) -> nn.Module:
    """Return `network` (10 classes) with activation `name`, kind "plain" or "compiled" (cosnb's own kernel)."""
    if kind not in ("plain", "compiled"):
        raise CosnbError(f"unknown kind {kind!r}: choose plain or compiled")
    real = activation_name(network, name)
    return build(network, Plain(real) if kind == "plain" else activation(real).module())


def compare(
    network: str, contestants: Mapping[str, tuple[str, str]], batch: int, rounds: int, device: str | torch.device
) -> dict[str, dict[str, Any]]:
    """Return {contestant: {"step": seconds a round, "inference": seconds a round, "saved": bytes}} of one network.

    `contestants` {label: (activation, kind)} take turns in every round, so that a busy machine slows all of them;
    a first call is not counted. A step is forward, backward and Adam on `batch` images; inference is forward alone.
    """
    inputs = torch.randn(batch, *input_shape(network), device=device)
    labels = torch.arange(batch, device=device) % 10
    calls: dict[tuple[str, str], Callable[[], None]] = {}
    found: dict[str, dict[str, Any]] = {}
    for label, (name, kind) in contestants.items():
        torch.manual_seed(0)
        net = make(network, name, kind).to(device)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
        found[label] = {"saved": saved_bytes(net.train(), partial(net, inputs))}
        calls[label, "step"] = partial(_step, net, optimizer, inputs, labels)
        calls[label, "inference"] = partial(_infer, net, inputs)
    for (label, what), seconds in timing.turns(calls, rounds, device, warm_up=1).items():
        found[label][what] = seconds
    return found


def _step(net: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor) -> None:
    net.train()
    optimizer.zero_grad()
    F.cross_entropy(net(inputs), labels).backward()
    optimizer.step()


@torch.no_grad()
def _infer(net: nn.Module, inputs: Tensor) -> None:
    net.eval()
    net(inputs)


def compare_all(network: str, batch: int, rounds: int, device: str | torch.device) -> dict[str, dict[str, Any]]:
    """Return `compare` of every activation, plain and compiled, and of CoS without its square, on `network`."""
    contestants = {f"{name}, {kind}": (name, kind) for kind in ("plain", "compiled") for name in NAMES}
    contestants[NO_SQUARE] = ("cos without its square", "plain")
    return compare(network, contestants, batch, rounds, device)


def over_relu(found: Mapping[str, Mapping[str, Any]], label: str, what: str) -> tuple[float, float, float]:
    """Return quartiles of a contestant's "step", "inference" or "saved" over plain ReLU's."""
    return over(found, label, "relu, plain", what)


def over(found: Mapping[str, Mapping[str, Any]], label: str, base: str, what: str) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile of `label` over `base`; of "saved", the one ratio thrice."""
    a, b = found[label][what], found[base][what]
    return timing.quartiles(a, b) if isinstance(a, list) else (a / b,) * 3
