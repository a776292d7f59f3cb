"""Triton kernels of a batch normalisation with the activation after it, without a device."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_triton import needs_triton

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
