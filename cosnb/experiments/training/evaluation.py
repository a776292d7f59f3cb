"""Evaluation of a network on test images, batch by batch."""

import base64

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import batches
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.execution import Forward, logits
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.experiments.training.state import Epoch, State

TEST_BATCH = 500


class Sums:
    """Sums of losses and of right answers, kept on the device."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)

    def add(self, loss: Tensor, out: Tensor, labels: Tensor) -> None:
        """Add the losses of a batch, one sum of them, and its right answers by the logits `out` (B, classes)."""
        self.loss += loss
        self.correct += (out.argmax(1) == labels).sum()

    def means(self, n: int) -> tuple[float, float]:
        """Return mean loss and accuracy over `n` images."""
        return self.loss.item() / n, self.correct.item() / n


@torch.no_grad()
def evaluation_step(forward: Forward, images: Tensor, labels: Tensor, precision: str, sums: Sums) -> None:
    """Add the losses and right answers of a batch to `sums`."""
    out = logits(forward, images, precision)
    sums.add(F.cross_entropy(out.double(), labels, reduction="sum"), out, labels)


def evaluate(
    net: nn.Module, images: Tensor, labels: Tensor, precision: str = "float32", forward: Forward | None = None
) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy (0 … 1) of `net` over uint8 `images` (N, C, H, W) and `labels` (N,).

    forward: `net` compiled, where it is.
    """
    net.eval()
    sums = Sums(images.device)
    for part, truth in batches(images, labels, None, TEST_BATCH):
        evaluation_step(net if forward is None else forward, part, truth, precision, sums)
    return sums.means(len(labels))


@torch.no_grad()
def mirrored(state: State, config: TrainingConfig, data: ImageData, forward: Forward) -> Epoch:
    """Return what a protocol with `mirror` adds to its last epoch's entry; nothing else.

    mirrored_test_loss and mirrored_test_accuracy: of the mean of the logits of a test image and its mirror image.
    right: which images those got right, a bit each from the highest of the first byte on, in base64.
    """
    if not PROTOCOLS[config.protocol].mirror or len(state.epochs) + 1 < config.epochs:
        return {}
    state.net.eval()
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.test_images.device)
    right = []
    for images, labels in batches(data.test_images, data.test_labels, None, TEST_BATCH):
        seen, seen_mirrored = (logits(forward, shown, config.precision).double() for shown in (images, images.flip(-1)))
        out = (seen + seen_mirrored) / 2
        loss_sum += F.cross_entropy(out, labels, reduction="sum")
        right.append(out.argmax(1) == labels)
    bits = torch.cat(right).cpu().numpy()
    return {
        "mirrored_test_loss": loss_sum.item() / len(bits),
        "mirrored_test_accuracy": int(bits.sum()) / len(bits),
        "right": base64.b64encode(np.packbits(bits).tobytes()).decode(),
    }
