"""Launch parameters of the Triton kernels: elements per program, warps, and the normalisation's tiles.

    python benchmarks/launches.py [NAME ...] [--exponent 28] [--rounds 15] [--part elementwise|norm|both]
                                  [--output build/bench]

Elementwise: forward and backward in float32 and bfloat16 for each number of elements a program (BLOCK) and of warps
(WARPS), as a share of the bandwidth of a copy of the same bytes. Normalisation and activation: forward with backward at
the sizes of SqueezeNet's layers, for each tile, number of warps, bytes of adjacent channels and programs a
multiprocessor, against PyTorch's normalisation and ReLU. All that is compared takes turns in an order drawn anew;
medians. What cosnb uses stands first in each table; what is faster by more than the spread belongs into
cosnb/kernels/cuda.py and norm.py. Needs a CUDA device; under Triton's interpreter (TRITON_INTERPRET=1) it only shows
that it works.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from elementwise import report
from elementwise.clock import Buffers, measure
from torch import Tensor, nn
from tqdm import tqdm

import cosnb
from cosnb.kernels import cuda, norm

Row = dict[str, Any]
CUTS = [(block, warps) for block in (1024, 512, 2048, 4096) for warps in (4, 8)]
# _TILE, _WARPS, _SEGMENT, _PROGRAMS of norm.py
TILES = [(4096, 8, 64, 4), (2048, 4, 64, 4), (2048, 8, 64, 4), (8192, 8, 64, 4), (4096, 4, 64, 4), (4096, 8, 32, 4)]
TILES += [(4096, 8, 128, 4), (4096, 8, 64, 2), (4096, 8, 64, 8)]
LAYERS = [(128, 96, 32, 32), (128, 64, 16, 16), (128, 256, 8, 8), (128, 512, 4, 4), (1024, 96, 32, 32)]
RIVAL = "PyTorch's pair with ReLU"


def elementwise(name: str, size: int, dtype: torch.dtype, options: argparse.Namespace) -> list[Row]:
    """Return the shares of a copy's bandwidth for each cut, forward and backward."""
    act = cosnb.activation(name)
    programs = act.program(0), act.program(1, product=True)
    rows = []
    for which in ("forward", "backward"):
        runs: dict[Any, Callable[[Tensor, Tensor], object]] = {"copy": lambda x, dy: x.clone()}
        if which == "backward":
            runs = {"copy": lambda x, dy: x + dy}  # reads two, writes one
        for cut in CUTS:
            runs[cut] = _with_cut(cuda.build(*programs), which, cut)
        buffers = Buffers(size, dtype, options.device, needs_grad=False)
        found = measure(runs, buffers, options.rounds, options.seconds)
        share = {str(cut): found["copy"].median / found[cut].median for cut in CUTS}
        rows.append({"activation": name, "pass": which, "dtype": str(dtype)[6:], "size": size, "share": share})
    return rows


def _with_cut(library: cuda.Library, which: str, cut: tuple[int, int]) -> Callable[[Tensor, Tensor], object]:
    def run(x: Tensor, dy: Tensor) -> Tensor:
        with _set(cuda, BLOCK=cut[0], WARPS=cut[1]):
            return library.forward(x) if which == "forward" else library.backward(dy, x)

    return run


def pairs(name: str, shape: tuple[int, ...], dtype: torch.dtype, options: argparse.Namespace) -> Row:
    """Return the seconds of a forward and backward of normalisation and activation, for each tiling and PyTorch's."""
    x = torch.randn(shape, device=options.device).to(dtype).contiguous(memory_format=torch.channels_last)
    buffers = Buffers(x.numel(), dtype, options.device, needs_grad=False)
    buffers.pairs = [tuple(_like(v, x) for v in pair) for pair in buffers.pairs]  # type: ignore[misc]

    def run_of(net: nn.Module, tiling: tuple[int, ...] | None) -> Callable[[Tensor, Tensor], object]:
        names = ("_TILE", "_WARPS", "_SEGMENT", "_PROGRAMS")

        def run(x: Tensor, dy: Tensor) -> object:
            x = x.detach().requires_grad_()
            if tiling is None:
                return torch.autograd.grad(net(x), [x, *net.parameters()], dy)
            norm._plan_of.cache_clear()
            with _set(norm, **dict(zip(names, tiling, strict=True))):
                return torch.autograd.grad(net(x), [x, *net.parameters()], dy)

        return run

    runs: dict[Any, Callable[[Tensor, Tensor], object]] = {
        RIVAL: run_of(nn.Sequential(nn.BatchNorm2d(shape[1]), nn.ReLU()).to(options.device), None)
    }
    for tiling in TILES:
        # An activation of its own for each: launchers keep the number of warps that they were made with.
        net = nn.Sequential(nn.BatchNorm2d(shape[1]), cosnb.activation(name).module()).to(options.device)
        cosnb.fuse_bn(net)
        kernel = net[0].activation.activation.kernel(0)
        runs[tiling] = _with_own_norm(kernel, norm.Norm(kernel.triton()), run_of(net, tiling))
    found = measure(runs, buffers, options.rounds, options.seconds)
    seconds = {str(key): timing.median for key, timing in found.items()}
    return {"activation": name, "shape": shape, "dtype": str(dtype)[6:], "seconds": seconds}


def _with_own_norm(
    kernel: Any, own: norm.Norm, run: Callable[[Tensor, Tensor], object]
) -> Callable[[Tensor, Tensor], object]:
    def call(x: Tensor, dy: Tensor) -> object:
        with _set(kernel, _norm=own):
            return run(x, dy)

    return call


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.detach().view(x.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


@contextmanager
def _set(owner: Any, **values: Any) -> Iterator[None]:
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def text(record: Row) -> str:
    """Return the tables as Markdown."""
    lines = ["# How launches are cut up", "", f"{record['device']['name']}, torch {record['versions']['torch']}.", ""]
    if record["elementwise"]:
        lines += ["Share of a copy's bandwidth; a column is (elements a program, warps).", ""]
        cuts = [str(cut) for cut in CUTS]
        lines += ["| | " + " | ".join(cuts) + " |", "|---|" + "---:|" * len(cuts)]
        for row in record["elementwise"]:
            shares = " | ".join(f"{row['share'][cut]:.3f}" for cut in cuts)
            lines.append(f"| {row['activation']} {row['pass']}, {row['dtype']} | {shares} |")
        lines.append("")
    if record["norm"]:
        tilings = [str(tiling) for tiling in TILES]
        lines += [f"Time over that of {RIVAL}; a column is (tile, warps, bytes of channels, programs).", ""]
        lines += ["| | " + " | ".join(tilings) + " |", "|---|" + "---:|" * len(tilings)]
        for row in record["norm"]:
            ratios = " | ".join(f"{row['seconds'][tiling] / row['seconds'][RIVAL]:.2f}" for tiling in tilings)
            shape = "×".join(map(str, row["shape"]))
            lines.append(f"| {row['activation']}, {shape}, {row['dtype']} | {ratios} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["swish", "cos"], metavar="NAME")
    parser.add_argument("--exponent", type=int, default=28, help="elementwise sizes are 2^N elements")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="for more rounds than that, a table's row")
    parser.add_argument("--part", choices=("elementwise", "norm", "both"), default="both")
    parser.add_argument("--batch", type=int, help="of the normalised layers, in place of 128 and 1,024")
    parser.add_argument(
        "--dtypes", nargs="+", choices=("float32", "bfloat16", "float16"), default=["float32", "bfloat16"]
    )
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not (torch.cuda.is_available() or interpreted):
        parser.error("this needs a CUDA device")
    options.device = torch.device("cpu" if interpreted else "cuda")
    if interpreted:
        norm.applies = lambda x, *vectors: norm.sizes(x) is not None  # type: ignore[assignment]
    layers = LAYERS if options.batch is None else [(options.batch, *shape[1:]) for shape in LAYERS[:4]]
    record: Row = report.environment(options.device) | {"elementwise": [], "norm": []}
    dtypes = [getattr(torch, dtype) for dtype in options.dtypes]
    for name in tqdm(options.names, disable=None):
        for dtype in dtypes:
            if options.part != "norm":
                record["elementwise"] += elementwise(name, 2**options.exponent, dtype, options)
            if options.part != "elementwise":
                record["norm"] += [pairs(name, shape, dtype, options) for shape in layers]
    shown = text(record)
    report.write(options.output, "launches", record, shown)
    print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
