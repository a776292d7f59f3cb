"""`cosnb.fuse_bn` in networks whose forward calls modules one after the other: what is joined, what is left and why."""

import copy

import pytest
import torch
from paper_networks import DenseNet121, ResNet18
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.checkpoint import checkpoint

import cosnb
from cosnb import CosnbError, activation
from cosnb.nn.fused import BatchNormActivation2d

PYTORCH = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, while it traces


def pair(net: nn.Module, name: str = "mish") -> tuple[nn.Module, nn.Module, dict[str, str]]:
    """Return the network with the activation swapped in, a fused copy, and what was left there."""
    torch.manual_seed(0)
    cosnb.swap(net, nn.ReLU, name)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, -1.0, 1.0)
    fused = copy.deepcopy(net)
    found = cosnb.fuse_bn(fused)
    assert found + len(found.left) == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    assert found == sum(isinstance(module, BatchNormActivation2d) for module in fused.modules())
    return net, fused, found.left


def assert_alike(net: nn.Module, fused: nn.Module, x: Tensor) -> None:
    """Two steps in training, one in evaluation: outputs, gradients by name and states."""
    for training in (True, True, False):
        found = []
        for each in (net.train(training), fused.train(training)):
            v = x.clone().requires_grad_()
            y = each(v)
            found.append([y.detach(), *torch.autograd.grad(y.square().sum(), [v, *each.parameters()])])
        for expected, got in zip(*found, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))
        torch.testing.assert_close(fused.state_dict(), net.state_dict())
        assert list(fused.state_dict()) == list(net.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fused(x), net(x))


def test_resnet_18_is_joined_at_every_relu_after_a_normalisation() -> None:
    net, fused, left = pair(ResNet18())
    assert len(left) == 11
    assert {name for name, why in left.items() if why == "add follows, no module"} == {
        f"layer{stage}.{block}.bn2" for stage in (1, 2, 3, 4) for block in (0, 1)
    }
    assert {name for name, why in left.items() if why == "it is the last of its Sequential"} == {
        f"layer{stage}.0.downsample.1" for stage in (2, 3, 4)
    }
    assert_alike(net, fused, torch.randn(4, 3, 64, 64))


@pytest.mark.long
def test_densenet_121_is_joined_at_every_relu_module() -> None:
    with pytest.warns(UserWarning, match=r"replaced 120 modules in DenseNet121, .*: 1 call of relu in the forward of"):
        net, fused, left = pair(DenseNet121())
    assert left == {"features.norm5": "it is the last of its Sequential"}
    assert_alike(net, fused, torch.randn(4, 3, 64, 64))


@pytest.mark.long
@PYTORCH
def test_compiled_traced_copied_and_transformed_it_is_the_unfused_network() -> None:
    net, fused, _ = pair(ResNet18())
    x = torch.randn(2, 3, 32, 32)
    net.eval(), fused.eval()
    expected = net(x)
    with torch.no_grad():
        for other in (
            torch.compile(fused, backend="aot_eager", fullgraph=True),
            torch.jit.trace(fused, x),
            torch.fx.symbolic_trace(fused),
            copy.deepcopy(fused),
            lambda v: torch.func.vmap(fused)(v[None])[0],
            lambda v: torch.func.functional_call(fused, net.state_dict(), (v,)),
        ):
            torch.testing.assert_close(other(x), expected)
    torch.testing.assert_close(checkpoint(fused, x.requires_grad_(), use_reentrant=False), expected)
    torch.compiler.reset()


class InPlace(nn.Module):
    """Calls one activation three times: right after a normalisation, on its own output changed in place, and alone."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.act = nn.BatchNorm2d(3), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the same."""
        out = self.act(self.norm(x))
        out += x
        return self.act(out) + self.act(x)


def test_an_activation_called_again_on_what_was_changed_in_place_is_applied() -> None:
    net, fused, _ = pair(InPlace())
    assert_alike(net, fused, torch.randn(4, 3, 5, 5))


class Awkward(nn.Module):
    """Normalisations that cannot be joined, each for its reason."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d, self.e, self.f = (nn.BatchNorm2d(3) for _ in range(6))
        self.act, self.hooked, self.relu = (activation("mish").module(), activation("cos").module(), nn.ReLU6())
        self.learns, self.never, self.sync = activation("swish").module(True), nn.BatchNorm2d(3), nn.SyncBatchNorm(3)
        self.hooked.register_forward_hook(lambda *_: None)
        self.good, self.only = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the same."""
        a = self.a(x)
        x = self.act(a) + a + self.act(self.b(x)) + self.act(self.b(x)) + self.hooked(self.c(x))
        x = self.act(self.only(x)) if self.training else self.only(x)
        return self.learns(self.d(x)) + self.relu(self.e(x)) + torch.sigmoid(self.f(x)) + self.act(self.good(x))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.act = nn.BatchNorm2d(3), activation("mish").module()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3, H, W) of the same."""
        return self.act(self.norm(x)) if x.sum() > 0 else x


def test_what_is_left_is_named_with_its_reason() -> None:
    net = nn.Sequential(Awkward(), Branches())
    before = copy.deepcopy(net)
    found = cosnb.fuse_bn(net)
    assert found == 1
    assert {name: why[:40] for name, why in found.left.items()} == {
        "0.a": "2 operations take its output",
        "0.b": "it stands at several places, or is calle",
        "0.c": "it or the activation after it has hooks",
        "0.d": "the activation after it learns",
        "0.e": "ReLU6 follows, no activation of cosnb",
        "0.f": "sigmoid follows, no module",
        "0.never": "not called by a forward that torch.fx ca",
        "0.sync": "SyncBatchNorm is no BatchNorm of PyTorch",
        "0.only": "4 operations take its output",
        "1.norm": "torch.fx cannot trace the forward of Bra",
    }
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(net.eval()(x), before.eval()(x))
    with pytest.raises(CosnbError, match=r"nothing to fuse \(0\.a: 2 operations take its output; .*; …\)"):
        cosnb.fuse_bn(net)


def test_what_would_lose_the_activation_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), activation("cos").module()).eval()
    cosnb.fuse_bn(net)
    with pytest.raises(CosnbError, match="joined with its activation cannot be converted, frozen or folded"):
        nn.SyncBatchNorm.convert_sync_batchnorm(net)
    with pytest.raises(CosnbError, match="do that before fuse_bn"):
        fuse_conv_bn_eval(net[0], net[1])
    assert not hasattr(net[1], "eps")  # to what only looks, as torch.jit.trace does
    x = torch.randn(2, 3, 4, 4)
    net[1].eps = 3.0  # as who sets it for every normalisation
    torch.testing.assert_close(net(x), activation("cos")(net[0](x) / 2))


def test_averaged_weights_find_their_statistics() -> None:
    net, fused, _ = pair(ResNet18())
    batches = [torch.randn(4, 3, 32, 32) for _ in range(3)]
    for each in (net, fused):
        torch.optim.swa_utils.update_bn(batches, each)
    torch.testing.assert_close(fused.state_dict(), net.state_dict())
