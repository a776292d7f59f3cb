"""`swap`: activations inside any network, replaced in place."""

import re

import pytest
import torch
from torch import nn

from cosnb import CosnbError, activation, swap
from cosnb.activations import ActivationModule


def test_every_place_is_replaced_and_counted() -> None:
    shared = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 2), shared, nn.Sequential(nn.ReLU(), nn.GELU(), shared), shared)
    assert swap(net, nn.ReLU, "cos", a=3) == 4
    assert not any(isinstance(module, nn.ReLU) for module in net.modules())
    assert len(re.findall(r"activation\('cos', a=3, c=1/2\)", str(net))) == 4
    assert isinstance(net[2][1], nn.GELU)


def test_a_block_used_twice_is_changed_once() -> None:
    block = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net = nn.Sequential(block, block)
    assert swap(net, nn.ReLU, "cos") == 1
    assert isinstance(net[1][1], ActivationModule)


def test_weights_stay_and_so_do_subclasses() -> None:
    class Mine(nn.ReLU):
        pass

    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Mine(), nn.ReLU6())
    weights = net[0].weight
    assert swap(net, nn.ReLU, "swish") == 1
    assert net[0].weight is weights
    assert [type(module) for module in net][2:] == [Mine, nn.ReLU6]
    x = torch.randn(4, 2)
    torch.testing.assert_close(net(x), nn.functional.relu6(nn.functional.relu(nn.functional.silu(net[0](x)))))


def test_several_classes_and_every_way_to_name_the_new_one() -> None:
    def net() -> nn.Sequential:
        return nn.Sequential(nn.ReLU(), nn.Sequential(nn.GELU(), nn.Tanh()), nn.ReLU())

    for new, parameters in (("swish", {"beta": 2}), ("x*sigmoid(b*x)", {"b": 2}), (activation("swish", beta=2), {})):
        model = net()
        assert swap(model, (nn.ReLU, nn.GELU), new, **parameters) == 3
        assert isinstance(model[1][1], nn.Tanh)
        x = torch.randn(5)
        torch.testing.assert_close(model[0](x), x * torch.sigmoid(2 * x))


def test_a_place_that_is_empty_stays_empty() -> None:
    net = nn.Sequential(nn.ReLU())
    net.register_module("nothing", None)
    assert swap(net, nn.ReLU, "cos") == 1


def test_where_there_is_nothing_to_replace_it_says_what_there_is() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.GELU()))
    with pytest.raises(CosnbError, match=r"no ReLU inside Sequential: .*'cos'.*; it holds GELU, Linear"):
        swap(net, nn.ReLU, "cos")
    with pytest.raises(CosnbError, match=r"no ReLU or SiLU inside Sequential: .*; it holds GELU, Linear"):
        swap(net, (nn.ReLU, nn.SiLU), "cos")
    with pytest.raises(CosnbError, match=r"no ReLU inside ReLU: .*; it holds no other module"):
        swap(nn.ReLU(), nn.ReLU, "cos")  # the model itself cannot be replaced in place


def test_slips_are_told_before_anything_is_replaced() -> None:
    net = nn.Sequential(nn.ReLU())
    with pytest.raises(CosnbError, match="unknown activation 'coz'"):
        swap(net, nn.ReLU, "coz")
    with pytest.raises(CosnbError, match=r"swap replaces modules by their class, like torch.nn.ReLU: .* is no module"):
        swap(net, torch.relu, "cos")  # type: ignore[arg-type]
    with pytest.raises(CosnbError, match="has its parameters already: leave out beta"):
        swap(net, nn.ReLU, activation("swish"), beta=2)
    with pytest.raises(CosnbError, match="relu6 has no parameters that could learn"):
        swap(net, nn.ReLU, "relu6", learnable=True)
    assert isinstance(net[0], nn.ReLU)
