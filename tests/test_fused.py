"""`cosnb.fuse_bn`: batch normalisation and activation as one module, against the unfused pair."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

import cosnb
from cosnb.activations import activation
from cosnb.errors import CosnbError
from cosnb.experiments.models import build
from cosnb.nn.fused import BatchNormActivation2d

# Both round z, dz and the sums once; z differs by the rounding of 1/sqrt(1/invstd²): a few units of the last place.
CLOSE = {torch.float64: 1e-13, torch.float32: 1e-5, torch.bfloat16: 0.02}
CHANNELS_LAST = torch.channels_last
# PyTorch's own, while it traces
QUIET = pytest.mark.filterwarnings("ignore:.*(should not be instantiated|torch.jit.script).*:DeprecationWarning")


def pair(channels: int = 6, name: str = "cos", dimensions: int = 2, **settings: object) -> nn.Sequential:
    """Return a normalisation with uneven weights and statistics, and an activation."""
    torch.manual_seed(7)
    norm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[dimensions - 1](channels, **settings)  # type: ignore[arg-type]
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        if tensor is not None:
            nn.init.uniform_(tensor, 0.5, 2.0)
    return nn.Sequential(norm, activation(name).module())


def fused(net: nn.Module) -> nn.Module:
    net = copy.deepcopy(net)
    assert cosnb.fuse_bn(net) > 0
    return net


def gradients(net: nn.Module, x: Tensor, dy: Tensor) -> list[Tensor]:
    """Return the output and the gradients for input and weights."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = net(x)
    return [y.detach(), *torch.autograd.grad(y, [x, *net.parameters()], dy)]


def assert_alike(net: nn.Module, x: Tensor) -> None:
    """Two steps with `net` and with a fused copy of it: outputs, gradients, statistics."""
    other = fused(net)
    for _ in range(2):
        dy = torch.randn_like(x)
        for expected, got in zip(gradients(net, x, dy), gradients(other, x, dy), strict=True):
            assert (got.dtype, got.stride()) == (expected.dtype, expected.stride())
            size = expected.abs().max() if expected.numel() else 0
            torch.testing.assert_close(got, expected, rtol=CLOSE[x.dtype], atol=CLOSE[x.dtype] * float(size))
    state = other.state_dict()
    assert list(state) == list(net.state_dict())
    assert all(same_state(value, state[key]) for key, value in net.state_dict().items())


def same_state(a: Tensor, b: Tensor) -> bool:
    """Say whether statistics are the same: PyTorch's kernels compute both; for Triton see test_norm.py."""
    return torch.equal(a, b)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, CHANNELS_LAST])
def test_fused_is_the_pair(training: bool, dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    net = pair().train(training)
    x = (3 * torch.randn(5, 6, 4, 3) + 1).to(dtype).contiguous(memory_format=memory_format)
    assert_alike(net.double() if dtype == torch.float64 else net, x)  # bfloat16 with float32 weights and statistics


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "settings",
    [
        {"affine": False},
        {"momentum": None},
        {"momentum": 0.5, "eps": 0.1},
        {"track_running_stats": False},
        {"affine": False, "track_running_stats": False},
    ],
    ids=str,
)
def test_every_setting_of_the_normalisation_holds(training: bool, settings: dict[str, object]) -> None:
    assert_alike(pair(**settings).train(training), torch.randn(5, 6, 4, 3))


@pytest.mark.parametrize(
    ("dimensions", "shape"), [(1, (9, 6)), (1, (4, 6, 5)), (3, (2, 6, 2, 3, 2)), (2, (0, 6, 4, 3))]
)
@pytest.mark.parametrize("name", ["relu", "mish"])
def test_every_shape_and_another_function(dimensions: int, shape: tuple[int, ...], name: str) -> None:
    assert_alike(pair(dimensions=dimensions, name=name), torch.randn(shape))


def test_statistics_no_longer_tracked_stay() -> None:
    net = pair()
    net[0].track_running_stats = False
    assert_alike(net, torch.randn(5, 6, 4, 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("needs_weight", [True, False])
def test_first_and_second_derivatives_against_differences(training: bool, needs_weight: bool) -> None:
    net = fused(pair(2, dimensions=1).double()).train(training)
    net[0].weight.requires_grad_(needs_weight)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    weights = [parameter for parameter in net.parameters() if parameter.requires_grad]
    assert torch.autograd.gradcheck(lambda x, *_: net(x), (x, *weights))
    assert torch.autograd.gradgradcheck(lambda x, *_: net(x), (x, *weights))


def test_a_penalty_on_the_gradient_is_that_of_the_pair() -> None:
    net, x = build("squeezenet", activation("cos").module()), torch.randn(2, 3, 32, 32)
    found = []
    for each in (net, fused(net)):
        (gradient,) = torch.autograd.grad(each(x).sum(), each.head.weight, create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), each.stem[1].weight)[0])
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-3 * float(found[0].abs().max()))


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_of_gradients_is_each_of_them(training: bool) -> None:
    net, x = fused(pair()).train(training), torch.randn(5, 6, 4, 3, requires_grad=True)
    y, batch = net(x), torch.randn(3, 5, 6, 4, 3)
    inputs = (x, net[0].weight)
    together = torch.autograd.grad(y, inputs, batch, retain_graph=True, is_grads_batched=True)
    assert not any(gradient.requires_grad for gradient in together)
    for place, dy in enumerate(batch):
        for got, wanted in zip(together, torch.autograd.grad(y, inputs, dy, retain_graph=True), strict=True):
            torch.testing.assert_close(got[place], wanted, rtol=1e-5, atol=1e-5)


def test_backward_of_evaluation_is_that_of_its_own_statistics() -> None:
    net, x = fused(pair()).eval(), torch.randn(5, 6, 4, 3)
    expected = gradients(net, x, torch.ones_like(x))[1]
    x = x.requires_grad_()
    y = net(x)
    net.train()(10 * x.detach())
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], expected)


def test_autocast_gives_what_the_pair_gives() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), *pair())
    x, found = torch.randn(4, 3, 8, 8), []
    for each in (net, fused(net)):
        with torch.autocast("cpu", torch.bfloat16):
            y = each(x)
        found.append([y.detach(), *torch.autograd.grad(y.float().square().sum(), list(each.parameters()))])
    for expected, got in zip(*found, strict=True):
        assert got.dtype == expected.dtype
        torch.testing.assert_close(got, expected, rtol=0.02, atol=0.02 * float(expected.abs().max()))


@pytest.mark.parametrize(("network", "pairs"), [("squeezenet", 25), ("shufflenet_v2", 36), ("mobilenet_v2", 36)])
def test_a_network_is_fused_at_every_activation_and_its_state_goes_both_ways(network: str, pairs: int) -> None:
    net = build(network, activation("cos").module())
    held = list(net.parameters())
    other = copy.deepcopy(net)
    assert cosnb.fuse_bn(net) == pairs
    assert all(a is b for a, b in zip(held, net.parameters(), strict=True))  # an optimiser's still
    assert not any(isinstance(module, nn.Identity) and list(module.children()) for module in net.modules())
    net(torch.randn(2, 3, 32, 32))
    other.load_state_dict(net.state_dict())
    net.load_state_dict(other.state_dict())
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(net.eval()(x), other.eval()(x))


def test_copies_and_files_give_the_same() -> None:
    net, x = fused(pair()).eval(), torch.randn(2, 6, 4, 3)
    with io.BytesIO() as file:
        torch.save(net, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=False)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), loaded):
        assert isinstance(other[0], BatchNormActivation2d)
        assert other[0].weight is not net[0].weight
        assert torch.equal(other(x), net(x))


@QUIET
def test_torch_compile_takes_it_in_one_graph() -> None:
    net, x = fused(pair()), torch.randn(5, 6, 4, 3)
    expected = gradients(copy.deepcopy(net), x, torch.ones_like(x))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    for got, wanted in zip(gradients(compiled, x, torch.ones_like(x)), expected, strict=True):
        torch.testing.assert_close(got, wanted)
    assert net[0].num_batches_tracked == 1
    torch.compiler.reset()


@QUIET
def test_torch_func_and_forward_mode_take_the_pair() -> None:
    net, x = fused(pair()).eval(), torch.randn(2, 6, 4, 3)
    for transform in (lambda f: torch.func.jvp(f, (x,), (x,))[1], lambda f: torch.func.vmap(f)(x[None])):
        with torch.no_grad():
            torch.testing.assert_close(transform(net), transform(lambda v: nn.Sequential.forward(net, v)))
    expected = gradients(net, x, torch.ones_like(x))[1]
    torch.testing.assert_close(torch.func.grad(lambda v: net(v).sum())(x), expected)


def test_what_cannot_be_fused_is_left_alone() -> None:
    shared, hooked, act = nn.BatchNorm2d(3), nn.BatchNorm2d(3), activation("cos").module()
    hooked.register_forward_hook(lambda *_: None)
    net = nn.Sequential(
        nn.Sequential(shared, act),
        nn.Sequential(shared, nn.Dropout(), act),
        nn.Sequential(hooked, act),
        nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()),
    )
    before = repr(net)
    with pytest.raises(CosnbError, match="no BatchNorm with a cosnb activation after it"):
        cosnb.fuse_bn(net)
    assert repr(net) == before
    net.append(pair())
    assert cosnb.fuse_bn(net) == 1
    with pytest.raises(CosnbError, match="nothing to fuse"):
        cosnb.fuse_bn(net)


def test_wrong_input_is_refused_as_by_the_normalisation() -> None:
    net = fused(pair())
    with pytest.raises(ValueError, match="expected 4D input"):
        net(torch.randn(2, 6))
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.randn(1, 6, 1, 1))
