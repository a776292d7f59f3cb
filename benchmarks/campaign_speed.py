"""Speed of a campaign's runs: alone, many beside each other, against the memory's bound and against a plain program.

    python benchmarks/campaign_speed.py [squeezenet …] [--device cuda] [--max-parallel 8,16] [--rounds 3] [--images N]
                                        [--workers 8] [--check] [--output build/bench]

Protocol `paper`, batch 128, an epoch of training and an evaluation. Contestants take turns in each round, in an order
drawn anew, after one epoch each that is not counted; shown are medians.

- plain: what one wrote in 2021 who read the protocol: torch's DataLoader with worker processes, each image flipped,
  turned, and made a tensor by itself with Pillow; nn.ReLU, float32 (PyTorch's defaults), operation by operation,
  loss.item() each step.
- alone, N together: `cosnb campaign` with `--max-parallel 1` or N, the precision that it chooses for the device, ReLU.

A run is 200 epochs of 50,000 training and 10,000 test images. Its seconds are extrapolated from the epochs that were
measured, training and evaluation each by its number of images; of N together, all runs' time over N. The bound by
memory is `roofline.py`'s, at the bandwidth that a copy reaches, measured in every round. Writes for each network
campaign_speed-NETWORK.json and .md to the output folder and prints the latter. With --check it exits with 1 where a
bound is missed.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import roofline
import torch
from elementwise import report
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from cosnb.experiments import results
from cosnb.experiments.data import ImageData, load
from cosnb.experiments.models import build
from cosnb.experiments.training import TrainingConfig, resolve_precision
from cosnb.experiments.training.device import describe_device, memory_kept
from cosnb.experiments.training.loop import now, train_epoch
from cosnb.experiments.training.streams import run_on
from cosnb.kernels.timing import in_turns

BATCH = 128
ALONE, TOGETHER, PLAIN = 4.0, 2.0, 10.0  # bounds: times the roofline, times the roofline, plain's time over ours
Epoch = Callable[[], tuple[float, float]]  # to the seconds of training and of evaluation, a run


class Images(Dataset[tuple[Tensor, int]]):
    """Images one by one, as Pillow has them, augmented where they are for training."""

    def __init__(self, images: Tensor, labels: Tensor, augmented: bool) -> None:
        self.images = [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).contiguous().numpy()]
        self.labels, self.augmented = labels.tolist(), augmented

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        image = self.images[place]
        if self.augmented:
            if torch.rand(1).item() < 0.4:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            image = image.rotate(torch.empty(1).uniform_(-30, 30).item(), Image.Resampling.NEAREST)
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(*image.size[::-1], 3)
        return (pixels.permute(2, 0, 1).contiguous().float() / 255 - 0.5) / 0.5, self.labels[place]


def plain(network: str, data: ImageData, device: torch.device, workers: int, batch: int) -> Epoch:
    """Return the plain program's epoch."""
    net = build(network, nn.ReLU6() if network == "mobilenet_v2" else nn.ReLU(), len(data.classes)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    how: dict[str, Any] = {"num_workers": workers, "pin_memory": device.type == "cuda"}
    how["persistent_workers"] = workers > 0
    shown = DataLoader(Images(data.train_images, data.train_labels, True), batch, shuffle=True, **how)
    asked = DataLoader(Images(data.test_images, data.test_labels, False), batch, **how)

    def epoch() -> tuple[float, float]:
        start = now(device)
        net.train()
        total, correct = 0.0, 0
        for images, labels in shown:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            out = net(images)
            loss = cross_entropy(out, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += (out.argmax(1) == labels).sum().item()
        middle = now(device)
        net.eval()
        with torch.no_grad():
            for images, labels in asked:
                out, labels = net(images.to(device)), labels.to(device)
                total += cross_entropy(out, labels).item() * len(labels)
                correct += (out.argmax(1) == labels).sum().item()
        return middle - start, now(device) - middle

    return epoch


def ours(network: str, data: ImageData, device: torch.device, precision: str, batch: int, max_parallel: int) -> Epoch:
    """Return our epoch of so many runs beside each other."""
    config = TrainingConfig("relu", data.name, len(data.train_images), network, batch_size=batch, precision=precision)
    held = data.to(device)
    runs = [run_on(device)(config, seed, held) for seed in range(max_parallel)]

    def epoch() -> tuple[float, float]:
        with memory_kept(device):
            entry = train_epoch(runs)[0]
        return entry["train_seconds"], entry["test_seconds"]

    return epoch


def bandwidth(device: torch.device) -> float:
    """Return the bytes a second that a copy reads and writes: 1 GiB on a GPU, 64 MiB on a CPU; the best of 5."""
    source = torch.rand(1 << (28 if device.type == "cuda" else 24), device=device)  # zeros may be faster
    target, taken = torch.empty_like(source), []
    for _ in range(6):
        start = now(device)
        target.copy_(source)
        taken.append(now(device) - start)
    return 2 * source.nbytes / min(taken[1:])


def measure(network: str, data: ImageData, options: argparse.Namespace) -> dict[str, Any]:
    """Return what `main` writes of one network."""
    started, device = time.perf_counter(), torch.device(options.device)
    batch = min(BATCH, len(data.train_images))
    precision = resolve_precision(options.precision, device)
    numbers = [1, *(int(number) for number in options.max_parallel.split(","))]
    contestants = {_name(n): ours(network, data, device, precision, batch, n) for n in numbers}
    contestants["plain"] = plain(network, data, device, options.workers, batch)
    for epoch in contestants.values():  # code is built, and graphs recorded before plain's threads, which pin memory
        epoch()
    calls = {**contestants, "copy": lambda: bandwidth(device)}
    taken: dict[str, Any] = in_turns(calls, lambda name, _: calls[name](), options.rounds)
    copies = taken.pop("copy")
    counted = roofline.count(network, "relu", BATCH, getattr(torch, precision))
    least = roofline.seconds(counted, median(copies))
    rows = {}
    for name, pairs in taken.items():
        training, test = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
        sizes = (roofline.TRAIN * training / len(data.train_images), roofline.TEST * test / len(data.test_images))
        rows[name] = {
            "images_a_second": len(data.train_images) / training,
            "epochs": pairs,
            "run_seconds": roofline.EPOCHS * sum(sizes),
        }
    return {
        "network": network,
        "precision": precision,
        "batch": batch,
        "images": [len(data.train_images), len(data.test_images)],
        "data": data.name,
        "rounds": options.rounds,
        "workers": options.workers,
        "bandwidth": median(copies),
        "roofline_seconds": least,
        "rows": rows,
        "bounds": bounds(rows, least),
        "device": describe_device(device),
        "torch": torch.__version__,
        **results.checked_out(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": time.perf_counter() - started,
    }


def bounds(rows: dict[str, Any], least: float) -> list[dict[str, Any]]:
    """Return each bound with its value and whether it is met; of several numbers together the fastest counts."""
    run = {name: row["run_seconds"] for name, row in rows.items()}
    best = min((name for name in run if name.endswith("together")), key=lambda name: run[name])
    found = [
        ("a run alone / its roofline", run["alone"] / least, ALONE, False),
        (f"a run of {best} / its roofline", run[best] / least, TOGETHER, False),
        ("plain / a run alone", run["plain"] / run["alone"], PLAIN, True),
        (f"plain / a run of {best}", run["plain"] / run[best], PLAIN, True),
    ]
    return [
        {"figure": figure, "ratio": ratio, "bound": bound, "met": ratio >= bound if above else ratio <= bound}
        for figure, ratio, bound, above in found
    ]


def text(found: dict[str, Any]) -> str:
    """Return what was found as Markdown."""
    train, test = found["images"]
    threads = f", {found['device']['threads']} threads" if "threads" in found["device"] else ""
    lines = [
        f"## {found['network']}, {found['device']['name']}{threads}",
        "",
        f"Ours in {found['precision']}, plain in float32 with {found['workers']} worker processes; epochs of {train:,} "
        f"training and {test:,} test images of {found['data']}, batch {found['batch']}, n = {found['rounds']}. A copy "
        f"reaches {found['bandwidth'] / 1e12:.3g} TB/s, so a run takes {found['roofline_seconds']:,.1f} s at least. "
        f"PyTorch {found['torch']}, {found['date']}, {found['wall_seconds']:,.0f} s in all.",
        "",
        "| | images/s in training | s a run of 200 epochs (extrapolated) | / roofline |",
        "|---|---|---|---|",
    ]
    for name, row in found["rows"].items():
        ratio = row["run_seconds"] / found["roofline_seconds"]
        lines.append(f"| {name} | {row['images_a_second']:,.0f} | {row['run_seconds']:,.1f} | {ratio:.2f} |")
    lines.append("")
    for bound in found["bounds"]:
        sign = "≥" if bound["bound"] == PLAIN else "≤"
        state = "met" if bound["met"] else "MISSED"
        lines.append(f"- {bound['figure']}: {bound['ratio']:.2f} (bound {sign} {bound['bound']:g} {state})")
    return "\n".join(lines) + "\n"


def _name(max_parallel: int) -> str:
    return "alone" if max_parallel == 1 else f"{max_parallel} together"


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print network by network, so that what was done stays when the time is over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(roofline.NETWORKS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--max-parallel", default=None, help="how many runs, with commas between (8; on a CPU 2)")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=None, help="training images of an epoch (all; on a CPU 256)")
    parser.add_argument("--workers", type=int, default=min(8, os.cpu_count() or 1), help="of plain's DataLoader")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    cpu = torch.device(options.device).type == "cpu"
    options.max_parallel = options.max_parallel or ("2" if cpu else "8")
    source = load("auto")
    images = options.images or (256 if cpu else len(source.train_images))
    rows = torch.arange(images) % len(source.train_images)  # the digits are few
    tested = max(1, min(len(source.test_images), images // 5))
    data = dataclasses.replace(
        source,
        train_images=source.train_images[rows],
        train_labels=source.train_labels[rows],
        test_images=source.test_images[:tested],
        test_labels=source.test_labels[:tested],
    )
    met = True
    for network in options.networks:
        found = measure(network, data, options)
        report.write(options.output, f"campaign_speed-{network}", found, text(found))
        print(text(found), flush=True)
        met = met and all(bound["met"] for bound in found["bounds"])
    return 1 if options.check and not met else 0


if __name__ == "__main__":
    sys.exit(main())
