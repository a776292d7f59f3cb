"""Probes: dead units and gradient norms, against networks where they are known."""

import json

import pytest
import torch
from tiny_training import digits, figures, mlp, weights
from torch import nn

from cosnb.activations import activation
from cosnb.experiments.data.augment import normalize
from cosnb.experiments.training import probes, train
from cosnb.experiments.training.state import State


def test_units_are_dead_where_no_image_moves_them() -> None:
    act = activation("relu").module()
    conv, linear = nn.Conv2d(3, 4, 4, 4), nn.Linear(4 * 64, 5)
    net = nn.Sequential(conv, act, nn.Flatten(), linear, act, nn.Linear(5, 10))
    with torch.no_grad():
        conv.bias.copy_(torch.tensor([-1e3, 1e3, -1e3, 1e3]))
        linear.weight.zero_()
        linear.bias.copy_(torch.tensor([-1.0, 1.0, 1.0, 1.0, 1.0]))
    images = digits().train_images
    assert probes.dead_units(net, images) == pytest.approx([0.5, 0.2])
    with torch.no_grad():  # alive at one place of one image only
        conv.weight.zero_()
        conv.weight[0, 0, 0, 0] = 1.0
        conv.bias[0] = -normalize(images)[:, 0, ::4, ::4].max() + 1e-3
    assert probes.dead_units(net, images)[0] == pytest.approx(0.25)
    smooth = nn.Sequential(conv, activation("cos").module())
    assert probes.dead_units(smooth, images) == [0.25]  # at −1000 the derivative of CoS is 0 in float32


def test_gradient_norms_are_those_of_autograd_and_leave_no_trace() -> None:
    config = mlp()
    net = State(config, 0, digits_of_the_network()).net.train()
    images, labels = digits_of_the_network().train_images[:24], digits().train_labels[:24]
    before = weights(net)
    norms = probes.gradient_norms(net, images, labels)
    assert weights(net) == before
    assert net.training
    assert all(parameter.grad is None for parameter in net.parameters())
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    net.eval()  # dropout off, and statistics of the batch as there are no others
    nn.functional.cross_entropy(net(normalize(images)), labels).backward()
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    expected = [float(module.weight.grad.norm()) for module in linear]  # type: ignore[union-attr]
    assert len(norms) == 3
    assert norms == pytest.approx(expected, rel=1e-5)


def digits_of_the_network():  # type: ignore[no-untyped-def]
    from cosnb.experiments.training.loop import fitted

    return fitted(digits(), "depth_mlp")


def test_probes_stand_in_the_entries_and_change_no_number() -> None:
    plain = train(mlp("relu"), 0, digits())[1]
    probed = train(mlp("relu", probes=("gradient_norms", "dead_units")), 0, digits())[1]
    keys = {"dead_units", "dead_units_by_layer", "gradient_norms"}
    assert set(probed[1]) - set(plain[1]) == keys
    assert set(probed[0]) - set(plain[0]) == keys | {f"{key}_at_start" for key in keys}
    shared = [{key: entry[key] for key in plain[0]} for entry in probed]
    assert figures(shared) == figures(plain)
    assert len(probed[0]["dead_units_by_layer"]) == 2
    assert 0 <= probed[0]["dead_units"] <= 1
    assert json.loads(json.dumps(probed)) == probed
