"""Memory that a training step keeps for backward, and the time that keeping less of it takes.

    python benchmarks/memory.py [--check] [--batch 128] [--rounds 15] [--threads N] [--output build/bench]

For each network of the tables: bytes saved in one step (float32, channels last), counted exactly, each storage once and
without weights, with PyTorch's ReLU and SiLU, with CoS, and with CoS after `cosnb.fuse_bn`. Then the time of a step
(forward, loss, backward, Adam) with CoS, fused and unfused, which take turns; the median of their ratios. `--rounds 0`
leaves the times out.

Writes memory.json and memory.md to the output folder, prints the latter. With --check exits with 1 where one of the
bounds of bytes is missed.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from elementwise import report
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

import cosnb
from cosnb.memory import saved_bytes
from cosnb.models import build, input_shape

Row = dict[str, Any]

NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")
VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "cos": lambda: cosnb.activation("cos").module(),
    "cos, fuse_bn": lambda: cosnb.activation("cos").module(),
}
# Title, variants above and below the line, at most
BOUNDS = (("CoS / SiLU", "cos", "silu", 1.01), ("CoS with fuse_bn / ReLU without", "cos, fuse_bn", "relu", 1.05))
WARM_UP = 2  # steps: code compiled, memory, Adam's first state


def make(network: str, variant: str, device: torch.device) -> nn.Module:
    """Return the network, channels last, with the activation and the fusion that the variant names."""
    torch.manual_seed(0)
    net = build(network, VARIANTS[variant]()).to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if variant.endswith("fuse_bn"):
        cosnb.fuse_bn(net)
    return net


def example(network: str, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return random images (batch, C, H, W), channels last, and labels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(batch, *input_shape(network), generator=generator).to(device)
    labels = torch.randint(10, (batch,), generator=generator).to(device)
    return images.contiguous(memory_format=torch.channels_last), labels


def count(network: str, batch: int, device: torch.device) -> Row:
    """Return the bytes that each variant of the network saves in a step of `batch` images."""
    images, labels = example(network, batch, device)
    saved = {}
    for variant in VARIANTS:
        net = make(network, variant, device)
        saved[variant] = saved_bytes(net, lambda net=net: cross_entropy(net(images), labels))
    return {"network": network, "batch": batch, "bytes": saved}


def times(network: str, batch: int, device: torch.device, rounds: int) -> Row:
    """Return the median seconds of a step with CoS, unfused and fused, and the quartiles of the rounds' ratios."""
    images, labels = example(network, batch, device)
    steps = {variant: _step(make(network, variant, device), images, labels) for variant in ("cos", "cos, fuse_bn")}
    seconds: dict[str, list[float]] = {variant: [] for variant in steps}
    for index in range(WARM_UP + rounds):
        for variant in list(steps)[:: 1 if index % 2 else -1]:
            _wait(device)
            start = time.perf_counter()
            steps[variant]()
            _wait(device)
            seconds[variant].append(time.perf_counter() - start)
    plain, fused = (values[WARM_UP:] for values in seconds.values())
    low, median, high = statistics.quantiles((b / a for a, b in zip(plain, fused, strict=True)), n=4)
    found = {"unfused": statistics.median(plain), "fused": statistics.median(fused)}
    return {"network": network, **found, "ratio": median, "low": low, "high": high, "rounds": rounds}


def _step(net: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=True)

    def step() -> None:
        loss = cross_entropy(net(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def bounds(rows: list[Row]) -> list[Row]:
    """Return each bound for each network, with the ratio of bytes and whether it is met."""
    found = []
    for row in rows:
        for title, above, below, limit in BOUNDS:
            ratio = row["bytes"][above] / row["bytes"][below]
            figure = f"{row['network']}: {title}"
            found.append({"figure": figure, "at_most": limit, "ratio": ratio, "met": ratio <= limit})
    return found


def markdown(record: Row) -> str:
    """Return the report as Markdown."""
    device, torch_version = record["device"]["name"], record["versions"]["torch"]
    before, after = record["load_average"]
    lines = ["# Memory saved for backward", "", f"{device}, {record['threads']} threads, torch {torch_version}."]
    lines += ["MiB a step of so many images; the last four columns are ratios of bytes.", ""]
    lines += [
        "| network | images | " + " | ".join(VARIANTS) + " | CoS / SiLU | CoS / ReLU | fused / CoS | fused / ReLU |"
    ]
    lines += ["|---|" + "---:|" * 9]
    for row in record["rows"]:
        relu, silu, cos, fused = (row["bytes"][variant] for variant in VARIANTS)
        sizes = [f"{value / 2**20:.1f}" for value in (relu, silu, cos, fused)]
        ratios = [f"{value:.3f}" for value in (cos / silu, cos / relu, fused / cos, fused / relu)]
        lines.append(f"| {row['network']} | {row['batch']} | " + " | ".join(sizes + ratios) + " |")
    lines += ["", "| bound | at most | found | |", "|---|---:|---:|---|"]
    for bound in record["bounds"]:
        met = "met" if bound["met"] else "missed"
        lines.append(f"| {bound['figure']} | {bound['at_most']} | {bound['ratio']:.4f} | {met} |")
    if record["times"]:
        lines += ["", f"A step with CoS, load average {before} before, {after} after:", ""]
        lines += ["| network | unfused, ms | fused, ms | fused / unfused (quartiles) | rounds |", "|---|" + "---:|" * 4]
    for row in record["times"]:
        parts = [f"{1000 * row['unfused']:.1f}", f"{1000 * row['fused']:.1f}"]
        parts += [f"{row['ratio']:.3f} ({row['low']:.3f}–{row['high']:.3f})", str(row["rounds"])]
        lines.append(f"| {row['network']} | " + " | ".join(parts) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Count, time, write and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound of bytes is missed")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=15, help="of timed steps: 0, or 2 and more (default 15)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    if options.rounds == 1 or options.rounds < 0 or options.batch < 2:
        parser.error("--rounds must be 0, or 2 and more for quartiles; --batch 2 and more for the normalisation")
    torch.set_num_threads(options.threads)
    device, load = torch.device(options.device), report.load_average()
    rows, timed = [], []
    for network in (progress := tqdm(options.networks, disable=None)):
        progress.set_description(network)
        rows.append(count(network, options.batch, device))
        if options.rounds:
            timed.append(times(network, options.batch, device, options.rounds))
    loads = {"load_average": [load, report.load_average()]}
    record = report.environment(device) | loads | {"rows": rows, "bounds": bounds(rows), "times": timed}
    text = markdown(record)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "memory.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (options.output / "memory.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"Written to {options.output}")
    return int(options.check and not all(bound["met"] for bound in record["bounds"]))


if __name__ == "__main__":
    sys.exit(main())
