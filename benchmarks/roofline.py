"""Roofline of a training run: the bytes that its operations must move, over the memory's bandwidth.

    python benchmarks/roofline.py [--bandwidth 4.3e12] [--batch 128] [--dtype bfloat16] [--output build/bench]

Counts one training step and one evaluation step of each network of the tables, operation by operation as PyTorch
dispatches them, on the meta device: nothing is computed, and no device is asked. An operation reads each of its inputs
once and writes its outputs once; views move nothing, nor does what `_FREE` names. Weights and optimizer are float32;
Adam reads weight, gradient and two moments and writes three of them back. Times are for the paper's 50,000 training and
10,000 test images and 200 epochs. The bound is that of separate operations: a kernel that fuses two of them saves what
passes between, so a run can be faster than its roofline.

Writes roofline.json and roofline.md to the output folder and prints the latter.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from elementwise import report
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import cosnb
from cosnb.experiments.models import build, input_shape

NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")
EPOCHS, TRAIN, TEST = 200, 50_000, 10_000
_ADAM_PASSES = 7  # of the weights' bytes: weight, gradient, two moments read; weight and moments written
_FREE = ("detach", "empty", "t.default", "transpose", "permute", "alias", "expand", "slice", "unsqueeze", "squeeze")


class Bytes(TorchDispatchMode):
    """Counts the bytes that each operation reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view and not any(free in func.name() for free in _FREE):
            inputs = {id(leaf): leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
            outputs = {id(leaf): leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)}
            moved = sum(tensor.nbytes for tensor in (*inputs.values(), *outputs.values()))
            self.counts[func.name()] += moved
        return out


def count(network: str, activation: str, batch: int, dtype: torch.dtype) -> dict[str, Any]:
    """Return the bytes of a training step ("step"), of an evaluation step ("test") and of Adam ("adam")."""
    with torch.device("meta"):
        act = nn.ReLU() if activation == "relu" else cosnb.activation(activation).module()
        net = build(network, act).to(dtype)
        images = torch.empty(batch, *input_shape(network), dtype=dtype)
        labels = torch.empty(batch, dtype=torch.int64)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with Bytes() as step:
        cross_entropy(net(images).float(), labels).backward()
    net.eval()
    with torch.no_grad(), Bytes() as test:
        net(images)
    weights = sum(p.numel() for p in net.parameters())
    return {
        "network": network,
        "activation": activation,
        "batch": batch,
        "step": step.counts.total(),
        "test": test.counts.total(),
        "adam": _ADAM_PASSES * 4 * weights,
        "largest": dict(step.counts.most_common(6)),
    }


def seconds(row: dict[str, Any], bandwidth: float) -> float:
    """Return the seconds of a whole run at `bandwidth`, bytes a second."""
    batch = row["batch"]
    training = TRAIN * row["step"] / batch + -(-TRAIN // batch) * row["adam"]
    return EPOCHS * (training + TEST * row["test"] / batch) / bandwidth


def text(rows: list[dict[str, Any]], bandwidth: float) -> str:
    """Return the table."""
    lines = [
        f"Bytes a training image moves, and the least time of {EPOCHS} epochs at {bandwidth / 1e12:.3g} TB/s.",
        "",
        "| network | activation | training, MB an image | test, MB an image | seconds a run |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        per_image = [(row["step"] + row["adam"]) / row["batch"] / 1e6, row["test"] / row["batch"] / 1e6]
        figures = " | ".join(f"{value:.2f}" for value in per_image)
        lines.append(f"| {row['network']} | {row['activation']} | {figures} | {seconds(row, bandwidth):.1f} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Count, write and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("networks", nargs="*", default=list(NETWORKS), help="default: the three of the tables")
    parser.add_argument("--bandwidth", type=float, default=4.3e12, help="bytes a second that a copy reaches")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--dtype", choices=("bfloat16", "float16", "float32"), default="bfloat16")
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    dtype = getattr(torch, options.dtype)
    rows = [count(network, name, options.batch, dtype) for network in options.networks for name in ("relu", "cos")]
    for row in rows:
        row["seconds"] = seconds(row, options.bandwidth)
    shown = text(rows, options.bandwidth)
    record = {"bandwidth": options.bandwidth, "dtype": options.dtype, "rows": rows}
    report.write(options.output, "roofline", record, shown)
    print(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
