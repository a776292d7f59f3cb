"""`swap` inside modules that remember their activation: what is kept, what is found, and what is said."""

import copy
import warnings
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (PyTorch's name for it)

from cosnb import CosnbError, activation, swap
from cosnb.activations import ActivationModule


@pytest.mark.filterwarnings("ignore:.*nested tensors.*:UserWarning")
@pytest.mark.parametrize("old", [nn.ReLU, nn.GELU])
@pytest.mark.parametrize("layers", [0, 2])
def test_a_transformer_s_fast_path_computes_the_new_activation(old: type[nn.Module], layers: int) -> None:
    torch.manual_seed(0)
    net = nn.TransformerEncoderLayer(8, 2, 16, activation=old(), batch_first=True).eval()
    if layers:
        net = nn.TransformerEncoder(net, layers).eval()
    by_hand = copy.deepcopy(net)
    for layer in by_hand.layers if layers else [by_hand]:
        layer.activation, layer.activation_relu_or_gelu = nn.Mish(), 0
    if layers:
        by_hand.use_nested_tensor = False
    assert swap(net, old, "mish") == (layers or 1)
    x, padding = torch.randn(2, 5, 8), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    for inputs in ({}, {"src_key_padding_mask": padding}):
        with torch.no_grad():
            fast, expected = net(x, **inputs), by_hand(x, **inputs)
        torch.testing.assert_close(fast, expected)
        torch.testing.assert_close(fast, net(x.clone().requires_grad_(), **inputs).detach())


class Remembers(nn.Module):
    """Holds one ReLU in every way besides a submodule."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.ReLU()
        self.listed = [self.act, nn.Identity()]
        self.pair = (self.act, 3)
        self.named = {"deep": [self.act]}
        self.call = partial(self.act)
        self.hidden = [nn.ReLU()]  # one that is no submodule
        object.__setattr__(self, "alias", self.act)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the result of each way."""
        calls = (self.act, self.listed[0], self.pair[0], self.named["deep"][0], self.call, self.hidden[0], self.alias)
        return [call(x) for call in calls]


def test_a_module_held_in_other_ways_is_replaced_there_too() -> None:
    net = Remembers()
    assert swap(net, nn.ReLU, "mish") == 7
    x = torch.linspace(-3, 3, 9)
    for y in net(x):
        torch.testing.assert_close(y, F.mish(x))
    assert net.pair[0] is net.named["deep"][0] is net.alias is net.call.func is net.act
    assert net.hidden[0] is not net.act


def test_hooks_and_their_handles_stay() -> None:
    net, seen = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), []
    handles = [
        net[1].register_forward_hook(lambda *_: seen.append("forward")),
        net[1].register_forward_pre_hook(lambda *_, **__: seen.append("pre"), with_kwargs=True),
        net[1].register_full_backward_hook(lambda *_: seen.append("backward")),
        net[1].register_full_backward_pre_hook(lambda *_: seen.append("backward pre")),
    ]
    swap(net, nn.ReLU, "mish")
    net(torch.ones(1, 2)).sum().backward()
    assert seen == ["pre", "forward", "backward pre", "backward"]
    for handle in handles:
        handle.remove()
    net(torch.ones(1, 2)).sum().backward()
    assert len(seen) == 4


def test_mode_dtype_and_device_are_those_of_what_is_replaced_or_around_it() -> None:
    net = nn.Sequential(nn.Linear(2, 2).half(), nn.Sequential(nn.Conv2d(1, 1, 1, device="meta"), nn.ReLU()), nn.PReLU())
    net.append(nn.ReLU())
    net[2].double()
    net[1].eval()
    swap(net, [nn.ReLU, nn.PReLU], "swish", learnable=True)
    assert [(m.training, m.beta.dtype, str(m.beta.device)) for m in (net[1][1], net[2], net[3])] == [
        (False, torch.float32, "meta"),
        (True, torch.float64, "cpu"),
        (True, torch.float16, "cpu"),
    ]
    assert net[1][1].beta.requires_grad


class Calls(nn.Module):
    """Calls its activation in every way, and counts in its forward."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1), nn.ReLU()
        self.register_buffer("steps", torch.zeros(()))
        self.last = None

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the same."""
        self.steps += 1
        self.last = F.relu(self.conv(x), inplace=True)
        return torch.relu(self.act(self.last)).relu_() + F.gelu(x) + torch.rand(())


def test_calls_of_functions_are_said_and_the_model_is_left_as_it_was() -> None:
    net = nn.Sequential(Calls(), Calls())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with pytest.warns(
        UserWarning, match=r"replaced 2 modules in Sequential, .*6 calls of relu in the forward of Calls"
    ):
        assert swap(net, nn.ReLU, "cos") == 2
    assert torch.equal(torch.rand(3), expected)
    assert net[0].steps == 0
    assert net[0].last is None
    assert isinstance(net[0].act, ActivationModule)
    with pytest.raises(
        CosnbError, match=r"no GELU inside .*which swap cannot replace: 2 calls of gelu in the forward of"
    ):
        swap(net, nn.GELU, "cos")


def test_a_forward_that_cannot_be_traced_is_no_obstacle_and_pytorch_s_layers_say_their_function() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(x) if x.sum() > 0 else F.relu(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert swap(nn.Sequential(Branches()), nn.ReLU, "cos") == 1
    layer = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu")
    with pytest.raises(CosnbError, match="1 call of gelu in the forward of TransformerEncoderLayer"):
        swap(layer, (nn.GELU,), activation("cos"))
