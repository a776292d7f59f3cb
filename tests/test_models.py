"""The networks against the protocol's counts: parameters, multiply-accumulates, activation elements and calls."""

import pytest
import torch
from torch import Tensor, nn

from cosnb.activation import ActivationModule, activation
from cosnb.errors import CosnbError
from cosnb.models import build


def counts(net: nn.Module, images: Tensor) -> dict[str, int]:
    """Run `net` once and count what one image costs; a convolution multiplies each weight once for each pixel."""
    found = {"mac": 0, "elements": 0, "calls": 0}

    def convolution(module: nn.Conv2d, _: object, output: Tensor) -> None:
        found["mac"] += module.weight.numel() * output[0, 0].numel()

    def activated(_: nn.Module, __: object, output: Tensor) -> None:
        found["elements"] += output[0].numel()
        found["calls"] += 1

    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(convolution)
        elif isinstance(module, ActivationModule):
            module.register_forward_hook(activated)
    net(images)
    return found


def test_squeezenet_has_the_protocol_s_counts() -> None:
    net = build("squeezenet", activation("relu").module()).eval()
    assert sum(p.numel() for p in net.parameters()) == 734_986
    found = counts(net, torch.zeros(1, 3, 32, 32))
    assert found["calls"] == 25
    assert round(found["mac"] / 1e6, 1) == 52.5
    assert round(found["elements"] / 1e3) == 366


def test_squeezenet_maps_images_to_logits_of_each_class() -> None:
    for classes in (10, 3):
        net = build("squeezenet", activation("swish").module(), classes)
        logits = net(torch.randn(2, 3, 32, 32))
        assert logits.shape == (2, classes)
        logits.sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_every_convolution_has_a_bias_and_a_normalisation_but_the_last() -> None:
    net = build("squeezenet", activation("relu").module())
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.bias is not None and m.stride == (1, 1) for m in convolutions)
    assert len(convolutions) == 26
    assert sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) == 25


def test_initial_weights_do_not_depend_on_the_activation() -> None:
    states = []
    for name in ("relu", "cos"):
        torch.manual_seed(3)
        states.append(build("squeezenet", activation(name).module()).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_the_residual_paths_are_where_the_protocol_has_them() -> None:
    net = build("squeezenet", activation("relu").module()).eval()
    seen = {}
    for name in ("fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9"):
        module = getattr(net, name)
        module.register_forward_hook(lambda _, inputs, output, name=name: seen.update({name: (inputs[0], output)}))
    with torch.no_grad():
        net(torch.randn(1, 3, 32, 32))
    for before, name, after, pooled in (
        ("fire2", "fire3", "fire4", False),
        ("fire4", "fire5", "fire6", True),
        ("fire6", "fire7", "fire8", False),
    ):
        inputs = nn.functional.max_pool2d(seen[before][1], 2) if pooled else seen[before][1]
        assert torch.equal(seen[name][0], inputs)
        assert torch.equal(seen[after][0], seen[name][1] + inputs)
    assert torch.equal(seen["fire9"][0], nn.functional.max_pool2d(seen["fire8"][1], 2))  # no sum around fire9


def test_unknown_network_is_named_with_the_choices() -> None:
    with pytest.raises(CosnbError, match=r"unknown network 'squeezenett': choose one of .*squeezenet"):
        build("squeezenett", activation("relu").module())
