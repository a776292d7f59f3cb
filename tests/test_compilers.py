"""C compilers: gcc and clang give the same bits, flags are tried once, one thread is said where there is no OpenMP."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cosnb import activation
from cosnb.kernels import compiler, cpu

CLANGS = [name for name in ("clang", "clang-14", "clang-19") if shutil.which(name)] or ["clang"]
NAMES = ("cos", "mish", "gelu", "sin(x)*x", "x*tanh(exp(x))")
POINTS = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([0.0, -0.0, 1e30, -1e30, float("inf"), float("nan")])])
RUN = """
import sys, torch
from test_compilers import values
from cosnb.kernels import compiler
torch.save({"values": values(), "flags": list(compiler.flags())}, sys.argv[1])
"""
needs_compiler = pytest.mark.skipif(compiler.compiler() is None, reason="no C compiler here")


def values() -> dict[str, Tensor]:
    """Return f and f′ by compiled code alone."""
    found = {}
    for name in NAMES:
        library = activation(name).kernel(0).native()
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            x = POINTS.to(dtype)
            found[f"{name} {dtype}"] = library.forward(x)
            found[f"{name} {dtype} slope"] = library.backward(torch.ones_like(x), x)
    return found


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("command", CLANGS)
def test_clang_gives_the_same_bits(command: str, tmp_path: Path) -> None:
    if not shutil.which(command):
        pytest.skip("no clang here")
    env = dict(os.environ, CC=command, XDG_CACHE_HOME=str(tmp_path), PYTHONPATH=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", RUN, str(tmp_path / "found")], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    found = torch.load(tmp_path / "found", weights_only=True)
    assert "-fno-tree-pre" not in found["flags"]
    assert {"-march=native", "-mcpu=native"} & set(found["flags"])
    for name, expected in values().items():
        got = found["values"][name]
        assert torch.equal(got.nan_to_num(77.0), expected.nan_to_num(77.0)), name
        assert torch.equal(got.isnan(), expected.isnan()), name


@needs_compiler
def test_flags_are_tried_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosnb.kernels.store.cache_dir", lambda: tmp_path)
    tried = []
    monkeypatch.setattr(compiler, "_takes", lambda flags: tried.append(flags) or "-march=native" not in flags)
    compiler.flags.cache_clear()
    try:
        first = compiler.flags()
        assert "-march=native" not in first
        assert {"-O3", "-fPIC", "-fno-tree-pre"} < set(first)
        assert len(tried) > 5
        tried.clear()
        compiler.flags.cache_clear()
        assert compiler.flags() == first
        assert tried == []
    finally:
        compiler.flags.cache_clear()


def test_one_thread_is_said_where_pytorch_has_no_openmp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch, "__file__", str(tmp_path / "torch" / "__init__.py"))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert cpu._openmp.__wrapped__() is None
    assert "activations run on one thread" in caplog.text
