"""Speed of training: our loop against a plain one, and an epoch of each activation against ReLU's, protocol `paper`.

    python benchmarks/training_speed.py [--networks squeezenet,…] [--images 320] [--rounds 7] [--device cpu]
                                        [--precision float32] [--execution auto] [--threads N]

The plain loop is what one writes who knows PyTorch: images normalised beforehand, in memory, on the device; flip and
rotation (affine_grid, grid_sample) a batch; fused Adam; sums kept on the device; channels-last or not, whichever is
faster here. Same network with nn.ReLU, same images, same batches with a smaller last one. All contestants of a part
take turns in each round, in an order drawn anew; shown are medians and their ratios.
Exits with 1 where a bound is missed.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.experiments.data import ImageData, load
from cosnb.experiments.data.augment import normalize
from cosnb.experiments.models import build
from cosnb.experiments.training import TrainingConfig
from cosnb.experiments.training.device import describe_device, memory_kept
from cosnb.experiments.training.execution import resolve_execution
from cosnb.experiments.training.loop import Run, take_turns
from cosnb.kernels import timing
from cosnb.symbolic import catalogue

NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")
ACTIVATIONS = ("relu", "cos", "swish", "mish")
BATCH_SIZE = 128
LOOP_BOUND = 1.0  # images a second, ours / plain
EPOCH_BOUND = 1.10  # time of an epoch, CoS / ReLU
Epoch = Callable[[], object]


def ours(network: str, activation: str, data: ImageData, precision: str, execution: str) -> Epoch:
    """Return our loop's epoch over `data`."""
    settings = {"epochs": 1000, "batch_size": BATCH_SIZE, "precision": precision}
    config = TrainingConfig(activation, data.name, len(data.train_images), network, **settings)  # type: ignore[arg-type]
    run = Run(config, 0, data, execution=resolve_execution(execution, data.train_images.device))
    return lambda: take_turns([run.training()])


def plain(network: str, data: ImageData, precision: str, memory_format: torch.memory_format) -> Epoch:
    """Return a plain loop's epoch with the network's own kind of ReLU."""
    images, labels = normalize(data.train_images), data.train_labels
    device = images.device
    relu = nn.ReLU6() if network == "mobilenet_v2" else nn.ReLU()
    net = build(network, relu, len(data.classes)).to(device).to(memory_format=memory_format)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=True)

    def augment(batch: Tensor) -> Tensor:
        batch = torch.where(torch.rand(len(batch), 1, 1, 1, device=device) < 0.4, batch.flip(-1), batch)
        angle = (torch.rand(len(batch), device=device) * 60 - 30).deg2rad()
        zero = torch.zeros_like(angle)
        rows = (torch.stack([angle.cos(), -angle.sin(), zero], 1), torch.stack([angle.sin(), angle.cos(), zero], 1))
        grid = F.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
        return F.grid_sample(batch, grid, mode="nearest", align_corners=False)

    def epoch() -> tuple[float, float]:
        net.train()
        total, correct = torch.zeros((), device=device), torch.zeros((), device=device)
        for part in torch.randperm(len(images), device=device).split(BATCH_SIZE):
            batch, truth = augment(images[part]).contiguous(memory_format=memory_format), labels[part]
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                out = net(batch)
                loss = F.cross_entropy(out, truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(part)
            correct += (out.argmax(1) == truth).sum()
        return total.item() / len(images), correct.item() / len(images)

    return epoch


def rounds(
    epochs: dict[str, Epoch], count: int, device: torch.device, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Return each contestant's seconds an epoch, round by round.

    Before the clock starts, each takes one epoch more in every turn: our loop keeps memory as in a whole run (see
    `memory_kept`), which the plain one, named so, does not do, and neither finds what the one before has left.
    """

    def one(name: str, _: int) -> float:
        with nullcontext() if name.startswith("plain") else memory_kept(device):
            epochs[name]()
            return timing.seconds(epochs[name], device, clock=clock)

    return timing.in_turns(epochs, one, count)


def ratio(above: list[float], below: list[float]) -> float:
    """Return the ratio of the medians."""
    return statistics.median(above) / statistics.median(below)


def verdict(value: float, bound: float, met: bool) -> str:
    """Return the value beside its bound, and whether the bound is met."""
    return f"{value:5.2f} ({'bound' if met else 'BOUND'} {bound:.2f} {'met' if met else 'MISSED'})"


def measure(network: str, data: ImageData, arguments: argparse.Namespace) -> list[bool]:
    """Print one network's figures; return for each bound whether it is met."""
    device, images = data.train_images.device, len(data.train_images)
    precision, execution = arguments.precision, arguments.execution
    loops = {
        "ours": ours(network, "relu", data, precision, execution),
        "plain": plain(network, data, precision, torch.contiguous_format),
        "plain, channels-last": plain(network, data, precision, torch.channels_last),
    }
    seconds = rounds(loops, arguments.rounds, device)
    print(f"{network}, {images} images an epoch, n = {arguments.rounds} rounds")
    for name, values in seconds.items():
        print(f"  {name:21} {images / statistics.median(values):8.1f} images/s")
    rival = min(("plain", "plain, channels-last"), key=lambda name: statistics.median(seconds[name]))
    speed = ratio(seconds[rival], seconds["ours"])
    met = [speed >= LOOP_BOUND]
    print(f"  images/s, ours / {rival}: {verdict(speed, LOOP_BOUND, met[0])}")
    del loops
    epochs = {name: ours(network, name, data, precision, execution) for name in ACTIVATIONS}
    seconds = rounds(epochs, arguments.rounds, device)
    for name in ACTIVATIONS[1:]:
        value = ratio(seconds[name], seconds["relu"])
        shown = f"{value:5.2f}"
        if name == "cos":
            met.append(value <= EPOCH_BOUND)
            shown = verdict(value, EPOCH_BOUND, met[-1])
        median = statistics.median(seconds[name])
        print(f"  an epoch, {catalogue.get(name).title} / ReLU: {shown}, {median:.3f} s")
    return met


def main() -> None:
    """Print every network's part; exit with 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--execution", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    source = load("auto")
    rows = torch.arange(arguments.images) % len(source.train_images)
    train_images, train_labels = source.train_images[rows], source.train_labels[rows]
    data = dataclasses.replace(source, train_images=train_images, train_labels=train_labels).to(arguments.device)
    how = describe_device(arguments.device)
    execution = resolve_execution(arguments.execution, arguments.device)
    threads = f", {how['threads']} threads" if "threads" in how else ""
    print(f"{how['name']}{threads}, torch {torch.__version__}, {arguments.precision}, {execution}, {source.name}")
    met = [each for network in arguments.networks.split(",") for each in measure(network, data, arguments)]
    print(f"{sum(met)} of {len(met)} bounds met")
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
