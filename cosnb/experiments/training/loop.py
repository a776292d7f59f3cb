"""One training run, from top to bottom."""

import base64
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.errors import CosnbError
from cosnb.experiments import models
from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import batches
from cosnb.experiments.training import probes
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.device import memory_kept
from cosnb.experiments.training.execution import Forward, logits, make_forward, resolve_execution, warm_up
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.experiments.training.state import Epoch, State

TEST_BATCH = 500


def train(
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    device: str | torch.device = "cpu",
    after_epoch: Callable[[Epoch], None] = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
    execution: str = "auto",
) -> tuple[str, list[Epoch], nn.Module]:
    """Train one network and return (status, one entry an epoch, the network); status is "ok" or "diverged".

    `data` holds uint8 images; they stay on `device`, flips, rotations and crops are done there, and within an epoch
    nothing waits for that device. An epoch's entry: epoch (from 1), train_loss and train_accuracy (means over the
    epoch's images as they were met, the loss as it is minimised), test_loss and test_accuracy (exact means over the
    test set), train_seconds and test_seconds (wall time, device synchronised, code built before), what `config.probes`
    measure, and in the last epoch what `mirrored` returns. A loss that is not finite ends the run. With a `checkpoint`
    the run goes on from it, first handing over the epochs that it holds, and renews it. Raises CosnbError where data
    and network do not fit.
    """
    device = torch.device(device)
    execution = resolve_execution(execution, device)
    data = fitted(data, config.network).to(device)
    with memory_kept(device):
        return _train(config, seed, data, after_epoch, checkpoint, execution)


def _train(
    config: TrainingConfig,
    seed: int,
    data: ImageData,
    after_epoch: Callable[[Epoch], None],
    checkpoint: Checkpoint | None,
    execution: str,
) -> tuple[str, list[Epoch], nn.Module]:
    device = data.train_images.device
    state = State(config, seed, data)
    saved = checkpoint.load() if checkpoint is not None else None
    if saved is not None:
        state.load_state_dict(saved)
    for entry in state.epochs:
        after_epoch(entry)
    forward = make_forward(state.net, execution)
    warm_up(state.net, forward, data.train_images, *_batch_sizes(config, data, execution), config.precision)
    while len(state.epochs) < config.epochs and not diverged(state.epochs):
        extra = {} if state.epochs else probes.measure(state.net, config, data, "_at_start")
        start = now(device)
        train_loss, train_accuracy = _train_epoch(state, config, data, forward)
        middle = now(device)
        test_loss, test_accuracy = evaluate(state.net, data.test_images, data.test_labels, config.precision, forward)
        extra |= mirrored(state, config, data, forward)
        times = {"train_seconds": middle - start, "test_seconds": now(device) - middle}
        state.epochs.append(
            {
                "epoch": len(state.epochs) + 1,
                "train_loss": train_loss,
                "train_accuracy": train_accuracy,
                "test_loss": test_loss,
                "test_accuracy": test_accuracy,
                **times,
                **extra,
                **probes.measure(state.net, config, data),
            }
        )
        if checkpoint is not None:
            checkpoint.save(state.state_dict())
        after_epoch(state.epochs[-1])
    return ("diverged" if diverged(state.epochs) else "ok"), state.epochs, state.net


def _train_epoch(state: State, config: TrainingConfig, data: ImageData, forward: Forward) -> tuple[float, float]:
    state.net.train()
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.train_images.device)
    correct = torch.zeros((), dtype=torch.int64, device=data.train_images.device)
    for images, labels, rate in epoch_batches(state, config, data):
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        state.draw_masks()
        out = logits(forward, images, config.precision)
        loss = F.cross_entropy(out, labels, label_smoothing=config.label_smoothing)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        loss_sum += loss.detach() * len(labels)
        correct += (out.detach().argmax(1) == labels).sum()
    return loss_sum.item() / len(data.train_images), correct.item() / len(data.train_images)


def epoch_batches(state: State, config: TrainingConfig, data: ImageData) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yield (images uint8, labels, learning rate) for each step of the next epoch."""
    protocol = PROTOCOLS[config.protocol]
    steps = math.ceil(len(data.train_images) / config.batch_size)
    shown = batches(data.train_images, data.train_labels, state.draw_epoch(), config.batch_size)
    for step, (images, labels) in enumerate(shown, len(state.epochs) * steps):
        yield images, labels, protocol.rate(config.lr, step, config.epochs * steps)


@torch.no_grad()
def evaluate(
    net: nn.Module, images: Tensor, labels: Tensor, precision: str = "float32", forward: Forward | None = None
) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy (0 … 1) of `net` over uint8 `images` (N, C, H, W) and `labels` (N,).

    forward: `net` compiled, where it is.
    """
    net.eval()
    loss_sum = torch.zeros((), dtype=torch.float64, device=images.device)
    correct = torch.zeros((), dtype=torch.int64, device=images.device)
    for part, truth in batches(images, labels, None, TEST_BATCH):
        out = logits(net if forward is None else forward, part, precision)
        loss_sum += F.cross_entropy(out.double(), truth, reduction="sum")
        correct += (out.argmax(1) == truth).sum()
    return loss_sum.item() / len(labels), correct.item() / len(labels)


@torch.no_grad()
def mirrored(state: State, config: TrainingConfig, data: ImageData, forward: Forward | None = None) -> Epoch:
    """Return what a protocol with `mirror` adds to its last epoch's entry; nothing else.

    mirrored_test_loss and mirrored_test_accuracy: of the mean of the logits of a test image and its mirror image.
    right: which images those got right, a bit each from the highest of the first byte on, in base64.
    """
    if not PROTOCOLS[config.protocol].mirror or len(state.epochs) + 1 < config.epochs:
        return {}
    state.net.eval()
    call = state.net if forward is None else forward  # a compiled network refuses to be asked whether it is true
    loss_sum = torch.zeros((), dtype=torch.float64, device=data.test_images.device)
    right = []
    for images, labels in batches(data.test_images, data.test_labels, None, TEST_BATCH):
        seen, seen_mirrored = (logits(call, shown, config.precision).double() for shown in (images, images.flip(-1)))
        out = (seen + seen_mirrored) / 2
        loss_sum += F.cross_entropy(out, labels, reduction="sum")
        right.append(out.argmax(1) == labels)
    bits = torch.cat(right).cpu().numpy()
    return {
        "mirrored_test_loss": loss_sum.item() / len(bits),
        "mirrored_test_accuracy": int(bits.sum()) / len(bits),
        "right": base64.b64encode(np.packbits(bits).tobytes()).decode(),
    }


def fitted(data: ImageData, network: str) -> ImageData:
    """Return `data` in the shape that `network` takes; CosnbError where it has another.

    The digits, 32 × 32 in three equal channels, become one channel of 28 × 28 where that is wanted, their edges cut.
    """
    shape, found = models.input_shape(network), tuple(data.train_images.shape[1:])
    if data.name == "digits" and shape == (1, 28, 28) and found == (3, 32, 32):
        cut = (slice(None), slice(1), slice(2, 30), slice(2, 30))
        train_images, test_images = data.train_images[cut].contiguous(), data.test_images[cut].contiguous()
        return replace(data, train_images=train_images, test_images=test_images)
    if found != shape:
        sizes = [" × ".join(map(str, size)) for size in (shape, found)]
        raise CosnbError(f"{network} takes images of {sizes[0]}, but those of {data.name} have {sizes[1]}")
    return data


def diverged(epochs: list[Epoch]) -> bool:
    """Say whether the last of `epochs` has a loss that is not finite."""
    return bool(epochs) and not all(math.isfinite(epochs[-1][key]) for key in ("train_loss", "test_loss"))


def now(device: torch.device) -> float:
    """Return the time in seconds once `device` has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _batch_sizes(config: TrainingConfig, data: ImageData, execution: str) -> tuple[set[int], set[int]]:
    """Return the batch sizes of a training epoch and of an evaluation that code is built for."""
    if execution == "eager" and data.train_images.device.type == "cpu":
        return {2}, set()  # the activations' code serves every size
    train, test = len(data.train_images), len(data.test_images)
    sizes = [(train, config.batch_size), (test, min(TEST_BATCH, test))]
    of_training, of_test = ({size, count % size or size} for count, size in sizes)
    return of_training, of_test
