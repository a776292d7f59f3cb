"""Memory that a training step keeps for backward.

    python benchmarks/memory.py [--check] [--batch 128] [--threads N] [--output build/bench]

For each network of the tables: bytes saved in one step (float32, channels last), counted exactly, each storage once and
without weights, with PyTorch's ReLU and SiLU, with CoS, and with CoS after `cosnb.fuse_bn`. Times and the peak on a
GPU are in benchmarks/networks.py.

Writes memory.json and memory.md to the output folder, prints the latter. With --check exits with 1 where one of the
bounds of bytes is missed.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from elementwise import report
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from cosnb.experiments.diagnostics.steps import example, make
from cosnb.nn.memory import saved_bytes

Row = dict[str, Any]

NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")
VARIANTS = ("relu", "silu", "cos", "cos, fuse_bn")
# Title, variants above and below the line, at most
BOUNDS = (("CoS / SiLU", "cos", "silu", 1.01), ("CoS with fuse_bn / ReLU without", "cos, fuse_bn", "relu", 1.05))


def count(network: str, batch: int, device: torch.device) -> Row:
    """Return the bytes that each variant of the network saves in a step of `batch` images."""
    images, labels = example(network, batch, device)
    saved = {}
    for variant in VARIANTS:
        net = make(network, variant, device)
        saved[variant] = saved_bytes(net, lambda net=net: cross_entropy(net(images), labels))
    return {"network": network, "batch": batch, "bytes": saved}


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
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Count, write and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound of bytes is missed")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    if options.batch < 2:
        parser.error("--batch must be 2 and more for the normalisation")
    torch.set_num_threads(options.threads)
    device, rows = torch.device(options.device), []
    for network in (progress := tqdm(options.networks, disable=None)):
        progress.set_description(network)
        rows.append(count(network, options.batch, device))
    record = report.environment(device) | {"rows": rows, "bounds": bounds(rows)}
    text = markdown(record)
    report.write(options.output, "memory", record, text)
    print(text)
    print(f"Written to {options.output}")
    return int(options.check and not all(bound["met"] for bound in record["bounds"]))


if __name__ == "__main__":
    sys.exit(main())
