"""Share of data and augmentation in a training step: SqueezeNet, batch 128, protocol `paper`, on the CPU.

    python benchmarks/data_share.py [--activation relu] [--steps 40] [--threads N]

One epoch of so many steps, each split in two by the clock: data (draws, look-up, flip, rotation, normalisation, memory
format) and the rest (forward, loss, backward, Adam). ReLU has the fastest step, so its share is the largest. Exits
with 1 where the share is above 5 %.
"""

import argparse
import statistics
import sys
import time

import torch
from torch.nn.functional import cross_entropy

from cosnb.activations import activation
from cosnb.experiments.data import load
from cosnb.experiments.data.augment import batches, draw, normalize
from cosnb.experiments.models import build
from cosnb.experiments.training.device import describe_device

BATCH_SIZE = 128
WARM_UP = 3  # steps: compilation, memory, Adam's first state
LIMIT = 0.05


def measure(name: str, steps: int) -> tuple[str, list[float], list[float]]:
    """Return the data set's name and, for each step, the seconds of the data and of the rest."""
    source = load("auto")
    rows = torch.arange((WARM_UP + steps) * BATCH_SIZE) % len(source.train_images)
    images, labels = source.train_images[rows], source.train_labels[rows]
    torch.manual_seed(0)
    net = build("squeezenet", activation(name).module(), len(source.classes))
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001, fused=True)
    data_seconds, net_seconds = [], []
    start = time.perf_counter()
    for batch, truth in batches(images, labels, draw(len(images), torch.Generator().manual_seed(0)), BATCH_SIZE):
        inputs = normalize(batch).contiguous(memory_format=torch.channels_last)
        middle = time.perf_counter()
        loss = cross_entropy(net(inputs), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        end = time.perf_counter()
        data_seconds.append(middle - start)
        net_seconds.append(end - middle)
        start = time.perf_counter()
    return source.name, data_seconds[WARM_UP:], net_seconds[WARM_UP:]


def main() -> None:
    """Print one line a part: median and quartiles, in milliseconds; then the share."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    source, data_seconds, net_seconds = measure(arguments.activation, arguments.steps)
    device = describe_device("cpu")
    print(f"SqueezeNet, {arguments.activation}, {source}, batch {BATCH_SIZE}, n = {arguments.steps} steps")
    print(f"{device['name']}, {device['threads']} threads, torch {torch.__version__}")
    for part, seconds in {"data": data_seconds, "net": net_seconds}.items():
        low, median, high = (1000 * value for value in statistics.quantiles(seconds, n=4))
        print(f"{part:5} {median:8.2f} ms a step (quartiles {low:.2f} to {high:.2f})")
    shares = [data / (data + net) for data, net in zip(data_seconds, net_seconds, strict=True)]
    share = statistics.median(shares)
    print(f"share {share:8.2%} of a step is data (median; largest {max(shares):.2%}; at most {LIMIT:.0%} allowed)")
    sys.exit(share > LIMIT)


if __name__ == "__main__":
    main()
