"""Training loop for one run or several side by side."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.errors import CosnbError
from cosnb.experiments import models
from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import batches
from cosnb.experiments.training import evaluation, probes
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.device import memory_kept
from cosnb.experiments.training.evaluation import Sums, evaluate, mirrored
from cosnb.experiments.training.execution import Forward, logits, make_forward, resolve_execution, warm_up
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.experiments.training.state import Epoch, State

Job = tuple[TrainingConfig, int]  # a configuration and a seed


@dataclass
class Outcome:
    """How one run ended: status "ok", "diverged" or "failed" (then with its error and no network), and its epochs."""

    status: str
    error: str | None
    epochs: list[Epoch]
    net: nn.Module | None


class Run:
    """One run: its state, and the steps of its next epoch.

    `data` are those that the network takes, on the device to train on. `trained` and `tested` are the mean loss and
    accuracy of the last `training` and `testing`.
    """

    trained: tuple[float, float]
    tested: tuple[float, float]

    def __init__(
        self,
        config: TrainingConfig,
        seed: int,
        data: ImageData,
        checkpoint: Checkpoint | None = None,
        execution: str = "eager",
    ) -> None:
        self.config, self.data, self.checkpoint = config, data, checkpoint
        self.state = State(config, seed, data)
        saved = checkpoint.load() if checkpoint is not None else None
        if saved is not None:
            self.state.load_state_dict(saved)
        self.forward = self._prepare(execution)

    def _prepare(self, execution: str) -> Forward:
        """Return what maps images to logits, its code built."""
        forward = make_forward(self.state.net, execution)
        sizes = _batch_sizes(self.config, self.data, execution)
        warm_up(self.state.net, forward, self.data.train_images, *sizes, self.config.precision)
        return forward

    def net(self) -> nn.Module:
        """Return the network as the protocol builds it, trained so far."""
        return self.state.net

    def is_going(self) -> bool:
        """Say whether there is an epoch left to train."""
        return len(self.state.epochs) < self.config.epochs and not diverged(self.state.epochs)

    def training(self) -> Iterator[None]:
        """Train for an epoch, step by step."""
        state, config = self.state, self.config
        state.net.train()
        sums = Sums(self.data.train_images.device)
        for images, labels, rate in epoch_batches(state, config, self.data):
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            state.draw_masks()
            training_step(state, config, self.forward, images, labels, sums)
            yield
        self.trained = sums.means(len(self.data.train_images))

    def testing(self) -> Iterator[None]:
        """Evaluate on the test images."""
        data = self.data
        self.tested = evaluate(self.state.net, data.test_images, data.test_labels, self.config.precision, self.forward)
        yield


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
    job, make = (config, seed), partial(Run, execution=resolve_execution(execution, device))
    checkpoints = {} if checkpoint is None else {job: checkpoint}
    outcome = train_together([job], data, device, lambda _, epoch: after_epoch(epoch), checkpoints, make)[job]
    assert outcome.net is not None
    return outcome.status, outcome.epochs, outcome.net


def train_together(
    jobs: Iterable[Job],
    data: ImageData,
    device: str | torch.device,
    after_epoch: Callable[[Job, Epoch], None] = lambda job, epoch: None,
    checkpoints: Mapping[Job, Checkpoint] | None = None,
    make: Callable[[TrainingConfig, int, ImageData, Checkpoint | None], Run] = Run,
) -> dict[Job, Outcome]:
    """Train a network for each (configuration, seed), step by step in turns, and return {job: Outcome}; see `train`.

    The configurations share network and batch size, and may differ in all else. An entry's train_seconds and
    test_seconds are those of all runs together divided by their number. A run that diverges ends alone. Raises
    CosnbError where data and network do not fit, or the configurations each other.
    """
    device, jobs, checkpoints = torch.device(device), list(dict.fromkeys(jobs)), checkpoints or {}
    shapes = {(config.network, config.batch_size) for config, _ in jobs}
    if len(shapes) != 1:
        raise CosnbError(f"runs beside each other need one network and batch size, got {sorted(shapes) or 'no run'}")
    data = fitted(data, jobs[0][0].network).to(device)
    with memory_kept(device):
        runs = {job: make(*job, data, checkpoints.get(job)) for job in jobs}
        for job, run in runs.items():
            for entry in run.state.epochs:
                after_epoch(job, entry)
        while going := {job: run for job, run in runs.items() if run.is_going()}:
            for (job, run), entry in zip(going.items(), train_epoch(list(going.values())), strict=True):
                run.state.epochs.append(entry)
                if run.checkpoint is not None:
                    run.checkpoint.save(run.state.state_dict())
                after_epoch(job, entry)
    return {
        job: Outcome("diverged" if diverged(run.state.epochs) else "ok", None, run.state.epochs, run.net())
        for job, run in runs.items()
    }


def train_epoch(runs: Sequence[Run]) -> list[Epoch]:
    """Train and test the next epoch of each run, which may be another one for each, and return their entries."""
    device = runs[0].data.train_images.device
    at_start = [
        {} if run.state.epochs else probes.measure(run.state.net, run.config, run.data, "_at_start") for run in runs
    ]
    start = now(device)
    take_turns(run.training() for run in runs)
    middle = now(device)
    take_turns(run.testing() for run in runs)
    at_end = [mirrored(run.state, run.config, run.data, run.forward) for run in runs]
    end = now(device)
    return [
        {
            "epoch": len(run.state.epochs) + 1,
            "train_loss": run.trained[0],
            "train_accuracy": run.trained[1],
            "test_loss": run.tested[0],
            "test_accuracy": run.tested[1],
            "train_seconds": (middle - start) / len(runs),
            "test_seconds": (end - middle) / len(runs),
            **before,
            **after,
            **probes.measure(run.state.net, run.config, run.data),
        }
        for run, before, after in zip(runs, at_start, at_end, strict=True)
    ]


def take_turns(steps: Iterable[Iterator[None]]) -> None:
    """Let each of `steps` take its first step, then each its second, until all, equally long, are done."""
    for _ in zip(*steps, strict=True):
        pass


def training_step(
    state: State, config: TrainingConfig, forward: Forward, images: Tensor, labels: Tensor, sums: Sums
) -> None:
    """Take a training step on a batch, images uint8 (B, C, H, W) and labels (B,), and add it to `sums`."""
    out = logits(forward, images, config.precision)
    loss = F.cross_entropy(out, labels, label_smoothing=config.label_smoothing)
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()
    sums.add(loss.detach() * len(labels), out.detach(), labels)


def epoch_batches(state: State, config: TrainingConfig, data: ImageData) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Yield (images uint8, labels, learning rate) for each step of the next epoch."""
    shown = batches(data.train_images, data.train_labels, state.draw_epoch(), config.batch_size)
    for (images, labels), rate in zip(shown, epoch_rates(state, config, data), strict=True):
        yield images, labels, rate


def epoch_rates(state: State, config: TrainingConfig, data: ImageData) -> list[float]:
    """Return the learning rate of each step of the next epoch."""
    protocol = PROTOCOLS[config.protocol]
    steps, done = math.ceil(len(data.train_images) / config.batch_size), len(state.epochs)
    return [protocol.rate(config.lr, step, config.epochs * steps) for step in range(done * steps, (done + 1) * steps)]


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
    sizes = [(train, config.batch_size), (test, min(evaluation.TEST_BATCH, test))]
    of_training, of_test = ({size, count % size or size} for count, size in sizes)
    return of_training, of_test
