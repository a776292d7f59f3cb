"""Triton kernels on a CUDA device, against the C target on the CPU bit by bit."""

import importlib.util

import pytest
import torch
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
    """Hold f and its gradient on the device against those on the CPU: equal values, NaN where NaN is."""
    act = activation(name)
    dy = torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.dtype)
    here, there = x.detach().requires_grad_(), x.detach().cuda().requires_grad_()
    y, z = act(here), act(there)
    y.backward(dy)
    z.backward(dy.cuda())
    assert z.stride() == y.stride()
    for want, got in ((y, z), (here.grad, there.grad)):
        assert want is not None
        assert got is not None
        torch.testing.assert_close(got.cpu(), want, rtol=0, atol=0, equal_nan=True)


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
