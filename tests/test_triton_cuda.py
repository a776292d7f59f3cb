"""Triton kernels on a CUDA device: float64 against the C target bit by bit, the others against float64."""

import importlib.util

import numpy
import pytest
import torch
from test_triton import largest_term, ulp
from torch import Tensor

from cosnb import activation
from cosnb.kernels import cpu

HAS_TRITON = importlib.util.find_spec("triton") is not None
pytestmark = [
    pytest.mark.skipif(
        not (HAS_TRITON and torch.cuda.is_available()), reason="needs a CUDA device, a CUDA build of torch and triton"
    ),
    pytest.mark.skipif(cpu.compiler() is None, reason="compares with the C target: no C compiler here"),
]
NAMES = ("sigmoid", "tanh", "swish", "mish", "cos", "gelu", "serf", "sine", "squareplus", "logish")
BITS = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float32: torch.int32}


def every(dtype: torch.dtype, count: int) -> Tensor:
    """Return `count` numbers of a format, evenly spaced among all its bit patterns: all where count allows."""
    width = 8 * torch.empty(0, dtype=dtype).element_size()
    patterns = torch.arange(count, dtype=torch.int64) * (2**width // count) - 2 ** (width - 1)
    return patterns.to(BITS[dtype]).view(dtype)


def check(name: str, x: Tensor) -> None:
    """Hold f and its gradient on the device against C in float64, or against float64 within the arithmetic's error.

    That is 0.51 ulp of a 16-bit result and 2^-16 of f's largest term; 4 ulp of a float32 result, 12 of that term, and
    twice the error of C in float32, which tails of erfc and logarithms have.
    """
    act = activation(name)
    dy = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.dtype)
    here, there = x.detach().requires_grad_(), x.detach().cuda().requires_grad_()
    wide = x.detach().double().requires_grad_()
    y, z, w = act(here), act(there), act(wide)
    y.backward(dy)
    z.backward(dy.cuda())
    w.backward(dy.double())
    assert z.stride() == y.stride()
    for order, want, c, got in ((0, w, y, z), (1, wide.grad, here.grad, there.grad)):
        assert want is not None
        assert c is not None
        assert got is not None
        if x.dtype == torch.float64:
            torch.testing.assert_close(got.cpu(), c, rtol=0, atol=0, equal_nan=True)
        else:
            _check_rounded(name, order, x, want.detach(), c.detach(), got.detach().cpu(), dy if order else None)


def _check_rounded(
    name: str, order: int, x: Tensor, want: Tensor, c: Tensor, got: Tensor, factor: Tensor | None
) -> None:
    assert torch.equal(got.isnan(), want.isnan())
    info, of_result, of_term = torch.finfo(x.dtype), 0.51, 2.0**-16
    if x.dtype == torch.float32:
        of_result, of_term = 4.0, 12 * info.eps
    if x.numel() == 0:
        return
    with numpy.errstate(all="ignore"):  # inf · 0 and the like, which are left out below
        terms = largest_term(activation(name).derivative(order), x)
    if factor is not None:
        terms = terms * factor.double().abs()
    shown = want.isfinite() & (want.abs() <= info.max) & terms.isfinite()
    if name == "sine":  # whose argument is reduced in float64
        shown &= x.double().abs() <= 2**30
    allowed = of_result * ulp(want, x.dtype) + of_term * terms + 64 * 2.0**-149
    if x.dtype == torch.float32:
        allowed += 2 * (c.double() - want).abs()
    error = (got.double() - want).abs()
    worst = torch.where(shown, error / allowed, 0.0).argmax()
    assert error.flatten()[worst] <= allowed.flatten()[worst], (order, x.flatten()[worst], got.flatten()[worst])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_all_16_bit_values(name: str, dtype: torch.dtype) -> None:
    check(name, every(dtype, 1 << 16))


@pytest.mark.parametrize("name", NAMES)
def test_2_to_the_24_float32_values(name: str) -> None:
    check(name, every(torch.float32, 1 << 24))


@pytest.mark.parametrize("name", NAMES)
def test_float64_values(name: str) -> None:
    check(name, torch.randn(1 << 18, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 100)


@pytest.mark.parametrize("count", [0, 1, 15, 1023, 1024, 1025, 100_003])
def test_sizes(count: int) -> None:
    check("cos", torch.randn(count, generator=torch.Generator().manual_seed(2)))


def test_strides() -> None:
    x = torch.randn(4, 6, 10, 10, generator=torch.Generator().manual_seed(3))
    for view in (x.to(memory_format=torch.channels_last), x.transpose(1, 3), x[:, ::2], x[0, 0].expand(3, 10, 10)):
        check("mish", view)


def test_an_address_that_is_no_multiple_of_16_bytes() -> None:
    x = torch.randn(4097, device="cuda")
    act = activation("swish")
    assert torch.equal(act(x[1:]), act(x)[1:])


def test_more_than_2_to_the_31_elements() -> None:
    count = 2**31 + 1025
    if torch.cuda.mem_get_info()[0] < 5 * 2 * count:  # x, y, and dx, dy in backward, with room
        pytest.skip("needs 22 GB of free memory on the device")
    x = torch.zeros(count, dtype=torch.float16, device="cuda")
    x[-1025:] = 1
    x.requires_grad_()
    y = activation("swish")(x)
    want = activation("swish")(torch.ones(1, dtype=torch.float16, device="cuda"))
    assert bool((y[-1025:] == want).all())
    assert bool((y[:1025] == 0).all())
    (dx,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert bool((dx[:1025] == 0.5).all())
    assert bool((dx[-1025:] > 0.9).all())


def test_a_stream_besides_the_default_one() -> None:
    x = torch.randn(1 << 22, device="cuda")
    act = activation("cos")
    want = act(x)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        late = x * 2
        got = act(late / 2)
    stream.synchronize()
    assert torch.equal(got, want)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_the_second_device() -> None:
    x = torch.randn(1000)
    act = activation("cos")
    assert torch.equal(act(x.to("cuda:1")).cpu(), act(x.to("cuda:0")).cpu())
    assert act(x.to("cuda:1")).device == torch.device("cuda:1")
