"""Triton kernels of a batch normalisation with the activation after it: interpreted, compiled, and on a device."""

import copy
import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_triton import needs_triton
from torch import nn

import cosnb
from cosnb import activation
from cosnb.kernels import norm

FOLDER = Path(__file__).parent
CHANNELS_LAST = torch.channels_last
# Networks of many layers take minutes under the interpreter; it cuts float32 off to bfloat16, where devices round, and
# autocast's bfloat16 gradient of a bias before a normalisation is nothing but rounding; compiled, the pair runs.
LEFT_OUT = "not network and not penalty and not compile and not differences and not autocast"


def work(*arguments: str, interpret: bool, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run norm_worker.py and return what it did."""
    path = os.pathsep.join([str(FOLDER), *(path for path in sys.path if path)])
    environment = {"TRITON_INTERPRET": str(int(interpret)), "TRITON_CACHE_DIR": str(folder / "triton")}
    environment |= {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, str(FOLDER / "norm_worker.py"), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=250,
    )


@pytest.mark.long
@needs_triton
def test_interpreted_kernels_pass_the_tests_of_the_fused_module(tmp_path: Path) -> None:
    done = work("fused", str(FOLDER / "test_fused.py"), "-k", LEFT_OUT, interpret=True, folder=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert int(done.stdout.rpartition("taken: ")[2]) > 50  # else PyTorch's kernels were tested


# Sums of squares would lose all digits of the deviation; a float32 near 10⁵ has a step of 0.008.
@needs_triton
def test_statistics_of_numbers_far_from_zero(tmp_path: Path) -> None:
    errors = json.loads(work("moments", interpret=True, folder=tmp_path).stdout)
    assert errors["mean"] < 0.05
    assert errors["deviation"] < 1e-3


@pytest.mark.long
@needs_triton
def test_two_launches_each_way_with_wide_loads_and_no_spilled_registers(tmp_path: Path) -> None:
    done = work("compile", interpret=False, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert len(found) == 6
    for case in found:
        assert case["kernels"] == ["moments", "normalise", "sums", "gradients"]
        assert case["same"], case  # what skips Triton's look-up launches what Triton does
        assert case["streams"] == [77]
        assert not case["local"]
        for loads in case["loads"]:
            assert loads
            assert not any("U16" in load for load in loads), case  # 2 bytes at a time
            if case["shape"][1] % 8 == 0:
                assert "LDG.E.128" in loads, case


@pytest.mark.parametrize("itemsize", [2, 4, 8])
@pytest.mark.parametrize(
    "sizes", [(131072, 96, 1), (128, 58, 1), (1, 1, 1), (5, 24, 49), (128, 3, 1024), (7, 1000, 1), (2, 2, 5_000_000)]
)
def test_a_plan_covers_every_element_with_powers_of_two(sizes: tuple[int, int, int], itemsize: int) -> None:
    plan = norm.plan(sizes, itemsize, 132)
    assert all(size == 2 ** int(math.log2(size)) for size in plan.tile)
    assert math.prod(plan.tile) <= 4096
    blocks, parts, _ = plan.grid
    assert blocks * plan.tile[1] >= sizes[1]
    assert 1 <= parts <= min(128, -(-sizes[0] // plan.tile[0]) * -(-sizes[2] // plan.tile[2]))
    n, c, length = plan.integers
    assert (n, c * plan.units[0], length * plan.units[1]) == sizes


def test_memory_orders_that_the_kernels_know() -> None:
    x = torch.empty(2, 6, 4, 3)
    assert norm.sizes(x) == (2, 6, 12)
    assert norm.sizes(x.contiguous(memory_format=CHANNELS_LAST)) == (24, 6, 1)
    assert norm.sizes(torch.empty(9, 6)) == (9, 6, 1)
    assert norm.sizes(torch.empty(9, 6, 5)) == (9, 6, 5)
    assert norm.sizes(x.transpose(2, 3)) is None
    assert norm.sizes(x[:, ::2]) is None
    assert not norm.applies(x)  # which is not on a CUDA device


on_a_device = pytest.mark.skipif(  # compiled, any Triton will do; HAS_TRITON asks for a newer interpreter
    not (torch.cuda.is_available() and importlib.util.find_spec("triton")), reason="needs a CUDA device and triton"
)
CLOSE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.02, torch.float16: 2e-3}


@on_a_device
@pytest.mark.parametrize("name", ["relu", "mish", "cos"])
@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("shape", [(128, 96, 32, 32), (128, 58, 16, 16), (64, 1000), (16, 3, 224, 224), (2, 1, 1, 3)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, CHANNELS_LAST])
def test_on_a_device_against_float64(
    name: str, dtype: torch.dtype, shape: tuple[int, ...], memory_format: torch.memory_format
) -> None:
    if len(shape) == 2 and memory_format is CHANNELS_LAST:
        pytest.skip("images only")
    torch.manual_seed(0)
    pair = nn.Sequential((nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(shape[1]), activation(name).module())
    for tensor in (pair[0].weight, pair[0].bias):
        nn.init.uniform_(tensor, 0.5, 2.0)
    pair.cuda()
    exact = copy.deepcopy(pair).double()
    if dtype == torch.float64:
        pair.double()
    assert cosnb.fuse_bn(pair) == 1
    x = (3 * torch.randn(shape, device="cuda") + 1).to(dtype).contiguous(memory_format=memory_format)
    dy = torch.randn(shape, device="cuda").to(dtype)
    for training in (True, False):
        found = []
        for net, at in ((pair, x), (exact, x.double())):
            at = at.detach().requires_grad_()
            assert norm.applies(at)
            y = net.train(training)(at)
            assert y.stride() == at.stride()
            found.append([y, *torch.autograd.grad(y, [at, *net.parameters()], dy.to(y.dtype)), *net.buffers()])
        for got, want in zip(*found, strict=True):
            torch.testing.assert_close(
                got.double(), want.double(), rtol=CLOSE[dtype], atol=CLOSE[dtype] * float(want.abs().max())
            )


@on_a_device
def test_what_does_not_fit_is_refused_as_by_the_normalisation() -> None:
    net = nn.Sequential(nn.BatchNorm2d(8), activation("cos").module()).cuda()
    cosnb.fuse_bn(net)
    with pytest.raises(RuntimeError, match="should contain 16 elements"):
        net(torch.randn(2, 16, 4, 4, device="cuda"))
    with pytest.raises(RuntimeError, match="same device"):
        net.cpu()(torch.randn(2, 8, 4, 4, device="cuda"))


@on_a_device
def test_a_captured_step_on_another_stream_is_an_eager_one() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm2d(32), activation("cos").module()).cuda()
    cosnb.fuse_bn(net)
    x = torch.randn(64, 32, 16, 16, device="cuda").contiguous(memory_format=CHANNELS_LAST).requires_grad_()

    def step() -> list[torch.Tensor]:
        y = net(x)
        return [y, *torch.autograd.grad(y, [x, *net.parameters()], torch.ones_like(y))]

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        expected = [tensor.clone() for tensor in step()]
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        captured = step()
    for tensor in captured:
        tensor.detach().fill_(float("nan"))
    graph.replay()
    torch.cuda.synchronize()
    assert all(torch.equal(got, want) for got, want in zip(captured, expected, strict=True))
