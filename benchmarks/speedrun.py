"""Images per CPU-second of protocol `speedrun`: ours by format, layout, execution and threads, against plain loops.

    python benchmarks/speedrun.py [--images 5120] [--rounds 7] [--compiled]

An epoch here is training on so many images and evaluation on a fifth as many, data and augmentation included. The plain
loop is the prototype that the protocol comes from: the same network with PyTorch's layers, images normalised and
standardised beforehand, flip and shift a batch, SGD, channels-last, no memory kept; in float32, in bfloat16, and with
CoS written as PyTorch operations. Contestants take turns in every round; shown are medians of processor time, and last
the wall time of two processes of one thread against one of two. Exits with 1 where a bound is missed.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from training_speed import rounds

from cosnb.experiments.data import ImageData, load
from cosnb.experiments.data.augment import normalize
from cosnb.experiments.models import build
from cosnb.experiments.training import TrainingConfig
from cosnb.experiments.training.device import describe_device, memory_kept
from cosnb.experiments.training.loop import Run, train_epoch
from cosnb.kernels import timing

BATCH_SIZE = 256
LOOP_BOUND = 1.3  # ours / the plain loop in float32
COS_BOUND = 1.05  # time of an epoch, CoS / ReLU
CPU = torch.device("cpu")
Epoch = Callable[[], object]


class PlainCoS(nn.Module):
    """CoS as one writes it."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x) + (torch.sigmoid(5 * x) - 0.5) ** 2


def ours(data: ImageData, activation: str = "relu", precision: str = "bfloat16", **how: str) -> Epoch:
    """Return our epoch; how: execution, layout."""
    settings = {"network": "speedrun", "protocol": "speedrun", "epochs": 1000, "precision": precision}
    config = TrainingConfig(activation, data.name, len(data.train_images), **settings)  # type: ignore[arg-type]
    run = Run(config, 0, data, execution=how.get("execution", "eager"))
    if how.get("layout") == "contiguous":
        run.state.net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return lambda: train_epoch([run])


def plain(data: ImageData, activation: nn.Module, precision: str) -> Epoch:
    """Return the plain loop's epoch."""
    train, test = (standardized(images) for images in (data.train_images, data.test_images))
    net = build("speedrun", activation).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learnt = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def out(batch: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            return net(batch.contiguous(memory_format=torch.channels_last)).float()

    def epoch() -> None:
        net.train()
        for part in torch.randperm(len(train)).split(BATCH_SIZE):
            batch = torch.where(torch.rand(len(part), 1, 1, 1) < 0.5, train[part].flip(-1), train[part])
            batch, (down, right) = F.pad(batch, (2, 2, 2, 2), mode="reflect"), torch.randint(0, 5, (2, len(part), 1))
            rows, columns = (torch.arange(32) + shift for shift in (down, right))
            batch = batch[torch.arange(len(part))[:, None, None], :, rows[:, :, None], columns[:, None]]
            loss = F.cross_entropy(out(batch.permute(0, 3, 1, 2)), data.train_labels[part], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            for part in test.split(500):
                out(part)

    return epoch


def standardized(images: Tensor) -> Tensor:
    """Return float images whose channels have mean 0 and deviation 1."""
    shown = normalize(images)
    deviation, mean = torch.std_mean(shown, (0, 2, 3), keepdim=True)
    return (shown - mean) / deviation


def data_of(images: int) -> ImageData:
    """Return so many training images, and a fifth as many of the test set, over and over where there are fewer."""
    source = load("auto")
    rows = torch.arange(images) % len(source.train_images)
    few = torch.arange(images // 5) % len(source.test_images)
    train, test = (
        (source.train_images[rows], source.train_labels[rows]),
        (source.test_images[few], source.test_labels[few]),
    )
    names = ("train_images", "train_labels", "test_images", "test_labels")
    return dataclasses.replace(source, **dict(zip(names, (*train, *test), strict=True)))


def wall(images: int, threads: int, epochs: int) -> float:
    """Return images a second of wall time of one process."""
    torch.set_num_threads(threads)
    epoch = ours(data_of(images))
    with memory_kept(CPU):
        epoch()
        return images / timing.seconds(epoch, CPU, epochs)


def main() -> None:
    """Print the figures; exit with 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5120)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="torch.compile too: a minute or two more")
    options = parser.parse_args()
    data = data_of(options.images)
    torch.set_num_threads(1)
    epochs = {f"ours, {name}": ours(data, name) for name in ("relu", "cos", "swish", "mish")}
    epochs["ours, relu, float32"] = ours(data, precision="float32")
    epochs["ours, relu, contiguous"] = ours(data, layout="contiguous")
    if options.compiled:
        epochs |= {f"ours, {name}, compiled": ours(data, name, execution="compile") for name in ("relu", "cos")}
    epochs["plain, relu, float32"] = plain(data, nn.ReLU(), "float32")
    epochs["plain, relu, bfloat16"] = plain(data, nn.ReLU(), "bfloat16")
    epochs["plain, cos, bfloat16"] = plain(data, PlainCoS(), "bfloat16")
    taken = rounds(epochs, options.rounds, CPU, time.process_time)
    seconds = {name: statistics.median(found) for name, found in taken.items()}
    where = f"{describe_device('cpu')['name']}, one thread, {options.images} images, bfloat16 unless said"
    print(f"{where}, torch {torch.__version__}, {data.name}, medians of {options.rounds} rounds")
    for name, taken in seconds.items():
        print(f"  {name:24} {options.images / taken:7,.0f} images per CPU-second")
    loop = seconds["plain, relu, float32"] / seconds["ours, relu"]
    cos = seconds["ours, cos"] / seconds["ours, relu"]
    met = [loop >= LOOP_BOUND, cos <= COS_BOUND]
    print(f"  ours / the plain loop in float32: {loop:.2f} (bound {LOOP_BOUND} {'met' if met[0] else 'MISSED'})")
    print(f"  ours / the plain loop in bfloat16: {seconds['plain, relu, bfloat16'] / seconds['ours, relu']:.2f}")
    print(f"  an epoch, CoS / ReLU: {cos:.3f} (bound {COS_BOUND} {'met' if met[1] else 'MISSED'})")
    context = get_context("spawn")
    for processes, threads in ((1, 1), (1, 2), (2, 1)):
        with ProcessPoolExecutor(processes, context) as pool:
            speeds = list(pool.map(wall, *zip(*[(options.images, threads, 5)] * processes, strict=True)))
        print(f"  {processes} process(es) of {threads} thread(s): {sum(speeds):7,.0f} images a second")
    sys.exit(not all(met))


if __name__ == "__main__":
    main()
