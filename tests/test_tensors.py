"""Shapes, strides, number formats, devices and modes: what an activation returns is laid out as what it was given."""

import pytest
import torch
from oracles import NAMES
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from cosnb import CosnbError, activation
from cosnb.kernels import cpu

CLOSE = {"rtol": 1e-13, "atol": 1e-15}  # C and PyTorch operations in float64, a few ulp apart
VIEWS = {
    "a step": lambda x: x[:, ::2],
    "transposed": lambda x: x.transpose(1, 3),
    "transposed with gaps": lambda x: x.transpose(0, 2)[:, :, ::2],
    "expanded": lambda x: x[0, 0, 0, :1].expand(3, 4),
    "expanded in the middle": lambda x: x[:, :1].expand(2, 6, 4, 4),
    "an offset": lambda x: x.flatten()[1::3],
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "channels last, cut": lambda x: x.to(memory_format=torch.channels_last)[:, 1:],
    "one channel": lambda x: x[:, :1],
}


def points(*shape: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (values * 3).requires_grad_()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (1023,), (2, 0, 3), (2, 3, 5, 7)])
@pytest.mark.parametrize("name", NAMES)
def test_any_shape_forward_and_backward(name: str, shape: tuple[int, ...]) -> None:
    act, x = activation(name), points(*shape)
    y = act(x)
    assert y.shape == x.shape
    (dx,) = torch.autograd.grad(y, x, torch.full_like(y, 2))
    torch.testing.assert_close(y, act.elementwise()(x.detach()), **CLOSE)
    torch.testing.assert_close(dx, 2 * act.elementwise(1)(x.detach()), **CLOSE)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["relu", "cos"])
def test_any_strides(name: str, view: str) -> None:
    act = activation(name)
    x = VIEWS[view](points(2, 6, 4, 4).detach())
    assert torch.equal(act(x), act(x.contiguous()))
    assert act(x).stride() == torch.empty_like(x).stride()
    leaf = x.detach().requires_grad_()
    act(leaf).sum().backward()  # dy is expanded here, and dense with strides of its own below
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, act.elementwise(1)(x.contiguous()), **CLOSE)
    dy = torch.randn(x.shape[::-1], dtype=torch.float64).permute(*range(x.dim() - 1, -1, -1))
    (dx,) = torch.autograd.grad(act(leaf), leaf, dy)
    torch.testing.assert_close(dx, dy * act.elementwise(1)(x.contiguous()), **CLOSE)


def test_channels_last_stays() -> None:
    x = points(2, 6, 4, 4).detach().to(memory_format=torch.channels_last).requires_grad_()
    y = activation("cos")(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    (dx,) = torch.autograd.grad(y, x, torch.ones(2, 6, 4, 4, dtype=torch.float64))
    assert dx.is_contiguous(memory_format=torch.channels_last)


def test_the_input_is_left_as_it_was() -> None:
    x = points(50).detach()
    before = x.clone()
    activation("cos")(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", ["relu", "swish", "cos"])
def test_16_bit_values_and_gradients_are_computed_in_float32_and_rounded_once(name: str, dtype: torch.dtype) -> None:
    act = activation(name)
    x = points(500).detach().to(dtype).requires_grad_()
    dy = torch.randn(500, generator=torch.Generator().manual_seed(1)).to(dtype)
    y = act(x)
    (dx,) = torch.autograd.grad(y, x, dy)
    wide = x.detach().double()
    for found, exact in ((y, act.elementwise()(wide)), (dx, dy.double() * act.elementwise(1)(wide))):
        assert found.dtype == dtype
        nearest = exact.to(dtype)
        step = torch.nextafter(nearest.abs(), torch.full_like(nearest, torch.inf)).double() - nearest.abs().double()
        # float32's own error is 2⁻¹³ or less of a step, but where terms of the size of 1 cancel
        assert ((found.double() - exact).abs() <= 0.502 * step + 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_double_backward_keeps_the_dtype(dtype: torch.dtype) -> None:
    x = points(7).detach().to(dtype).requires_grad_()
    (first,) = torch.autograd.grad(activation("cos")(x).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.dtype == second.dtype == dtype
    expected = activation("cos").elementwise(2)(x.detach().double())
    torch.testing.assert_close(second.double(), expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_keeps_the_dtype_that_comes_in(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.Linear(4, 4), activation("cos").module(), nn.Linear(4, 2))
    x = torch.randn(3, 4)
    with torch.autocast("cpu", dtype=dtype):
        hidden = net[0](x)
        assert net[1](hidden).dtype == hidden.dtype == dtype
        assert net[1](x).dtype == torch.float32
        loss = net(x).float().square().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


def test_meta_device_works_forward_and_backward() -> None:
    module = activation("cos").module().to("meta")
    x = torch.empty(2, 3, device="meta", requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert (y.device.type, y.shape) == ("meta", (2, 3))
    assert x.grad is not None
    assert x.grad.shape == (2, 3)


def test_fake_tensors_have_the_shape_type_and_strides_of_real_ones() -> None:
    act = activation("cos")
    for view in VIEWS.values():
        real = act(view(points(2, 6, 4, 4).detach()))
        with FakeTensorMode() as mode:
            x = mode.from_tensor(view(torch.zeros(2, 6, 4, 4, dtype=torch.float64))).requires_grad_()
            y = act(x)
            (dx,) = torch.autograd.grad(y.sum(), x)
        assert (y.shape, y.dtype) == (real.shape, real.dtype)
        strides = [(a, b) for a, b, n in zip(y.stride(), real.stride(), y.shape, strict=True) if n > 1]
        assert all(a == b for a, b in strides)
        assert (dx.shape, dx.dtype) == (x.shape, x.dtype)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PyTorch's own, in the checks
@pytest.mark.parametrize("compiler", [True, False], ids=["C", "operations"])
def test_the_registered_operators_keep_pytorch_s_rules(compiler: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiler:
        monkeypatch.setattr(cpu, "supports", lambda dtype: False)
    key = activation("swish").kernel().key
    activation("swish")(torch.ones(1))
    views = ("a step", "channels last", "expanded") if compiler else ("a step", "channels last")
    for x in (torch.zeros(()), torch.zeros(0), *(VIEWS[view](points(2, 6, 4, 4).detach()) for view in views)):
        torch.library.opcheck(torch.ops.cosnb.forward.default, (x, key))
        torch.library.opcheck(torch.ops.cosnb.backward.default, (torch.ones_like(x), x, key))


def test_a_kernel_of_another_process_is_named() -> None:
    with pytest.raises(CosnbError, match="this process has no kernel 'nothing'"):
        torch.ops.cosnb.forward(torch.ones(2), "nothing")


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64], ids=str)
def test_what_is_no_floating_point_tensor_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(CosnbError, match=rf"cos expects a floating-point tensor, got {dtype}"):
        activation("cos")(torch.zeros(3, dtype=dtype))
    with pytest.raises(CosnbError, match=rf"cos expects a floating-point tensor, got {dtype}"):
        activation("cos").module(learnable=True)(torch.zeros(3, dtype=dtype))
