"""One training run, from top to bottom: protocol `paper`."""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.activation import activation
from cosnb.data import ImageData
from cosnb.data.augment import batches, draw, normalize
from cosnb.models import build
from cosnb.training.config import TrainingConfig
from cosnb.training.device import fuse_activations

TEST_BATCH = 500
Epoch = dict[str, float | int]


def train(
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    device: str | torch.device = "cpu",
    after_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> tuple[str, list[Epoch], nn.Module]:
    """Train one network and return (status, one entry an epoch, the network); status is "ok" or "diverged".

    `data` holds uint8 images; they stay on `device`, flips and rotations are done there. One seed fixes initial
    weights, order and augmentation, the same for every activation and device. An epoch's entry: epoch (from 1),
    train_loss and train_accuracy (means over the epoch's images as they were met), test_loss and test_accuracy (exact
    means over the test set), train_seconds and test_seconds (wall time, device synchronised). A loss that is not
    finite ends the run.
    """
    device = torch.device(device)
    data = data.to(device)
    torch.manual_seed(seed)
    net = build(config.network, activation(config.activation).module(), len(data.classes))
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fuse_activations(net, device)
    optimizer = torch.optim.Adam(net.parameters(), lr=config.lr, fused=True)
    generator = torch.Generator().manual_seed(seed)
    epochs: list[Epoch] = []
    for number in range(1, config.epochs + 1):
        start = _now(device)
        net.train()
        loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        correct = torch.zeros((), dtype=torch.int64, device=device)
        draws = draw(len(data.train_images), generator, config.flip, config.rotation)
        for images, labels in batches(data.train_images, data.train_labels, draws, config.batch_size):
            logits = _forward(net, images, config.precision)
            loss = F.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.detach() * len(labels)
            correct += (logits.detach().argmax(1) == labels).sum()
        n = len(data.train_images)
        train_loss, train_accuracy = loss_sum.item() / n, correct.item() / n
        middle = _now(device)
        test_loss, test_accuracy = evaluate(net, data.test_images, data.test_labels, config.precision)
        end = _now(device)
        epochs.append(
            {
                "epoch": number,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "test_loss": test_loss,
                "test_accuracy": test_accuracy,
                "train_seconds": middle - start,
                "test_seconds": end - middle,
            }
        )
        after_epoch(epochs[-1])
        if not (math.isfinite(train_loss) and math.isfinite(test_loss)):
            return "diverged", epochs, net
    return "ok", epochs, net


@torch.no_grad()
def evaluate(net: nn.Module, images: Tensor, labels: Tensor, precision: str = "float32") -> tuple[float, float]:
    """Return mean cross-entropy and accuracy (0 … 1) of `net` over uint8 `images` (N, C, H, W) and `labels` (N,)."""
    net.eval()
    loss_sum = torch.zeros((), dtype=torch.float64, device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    for part, truth in batches(images, labels, None, TEST_BATCH):
        logits = _forward(net, part, precision)
        loss_sum += F.cross_entropy(logits.double(), truth, reduction="sum")
        correct += (logits.argmax(1) == truth).sum()
    return loss_sum.item() / len(labels), correct.item() / len(labels)


def _forward(net: nn.Module, images: Tensor, precision: str) -> Tensor:
    inputs = normalize(images).contiguous(memory_format=torch.channels_last)
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        logits: Tensor = net(inputs)
    return logits.float()


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
