"""Runs beside each other on one GPU: each run's step is a CUDA graph, replayed on a stream of its own.

A small network's step is hundreds of kernels of a few microseconds, so alone it leaves most of a large GPU idle, and
starting its kernels one by one takes longer than running them. Here all of a step, from the gathering of its images to
the optimiser, is recorded once and started by one call, and the steps of several runs share the device. What a run
computes is what `training.train` computes, operation by operation, but that a batch normalisation and the
activation after it are one (`cosnb.fuse_bn`), which rounds what lies between them to float32, not to bfloat16.

On a CPU, where there are no graphs and nothing is fused, the same functions are called in the same order: so the tests
run them.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from cosnb.errors import CosnbError
from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import batches
from cosnb.experiments.training import probes
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.device import memory_kept
from cosnb.experiments.training.execution import logits
from cosnb.experiments.training.loop import TEST_BATCH, diverged, fitted, mirrored, now
from cosnb.experiments.training.protocol import PROTOCOLS
from cosnb.experiments.training.state import Epoch, State
from cosnb.nn.fused import fuse_bn

EXECUTION = "captured"  # what a record's device says of such a run
Job = tuple[TrainingConfig, int]  # a configuration and a seed
_WARM_UP = 3  # steps before a capture: code is built, cuDNN chooses, the optimiser's state comes to be


@dataclass
class Outcome:
    """How one run ended: status "ok", "diverged" or "failed" (then with its error and no network), and its epochs."""

    status: str
    error: str | None
    epochs: list[Epoch]
    net: nn.Module | None


def train_streams(
    jobs: Iterable[Job],
    data: ImageData,
    device: str | torch.device = "cuda",
    after_epoch: Callable[[Job, Epoch], None] = lambda job, epoch: None,
    checkpoints: Mapping[Job, Checkpoint] | None = None,
) -> dict[Job, Outcome]:
    """Train a network for each (configuration, seed), side by side, and return {job: Outcome}; entries as `train`'s.

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
        runs = {job: _Run(*job, data, checkpoints.get(job)) for job in jobs}
        for job, run in runs.items():
            for entry in run.state.epochs:
                after_epoch(job, entry)
        while going := {job: run for job, run in runs.items() if run.is_going()}:
            entries = _train_epoch(list(going.values()), data, device)
            for (job, run), entry in zip(going.items(), entries, strict=True):
                run.state.epochs.append(entry)
                if job in checkpoints:
                    checkpoints[job].save(run.state.state_dict())
                after_epoch(job, entry)
    return {
        job: Outcome("diverged" if diverged(run.state.epochs) else "ok", None, run.state.epochs, run.net())
        for job, run in runs.items()
    }


def _train_epoch(runs: list["_Run"], data: ImageData, device: torch.device) -> list[Epoch]:
    """Train the next epoch of each run, which may be another one for each, and return their entries."""
    extra = [{} if run.state.epochs else probes.measure(run.state.net, run.config, data, "_at_start") for run in runs]
    start = now(device)
    for run in runs:
        run.begin_training(data)
    _in_turn(runs, len(data.train_images), runs[0].config.batch_size, _Run.step)
    middle = now(device)
    trained = [run.means(len(data.train_images)) for run in runs]
    for run in runs:
        run.begin_test()
    _in_turn(runs, len(data.test_images), min(TEST_BATCH, len(data.test_images)), _Run.test)
    end = now(device)
    tested = [run.means(len(data.test_images)) for run in runs]
    extra = [before | mirrored(run.state, run.config, data) for before, run in zip(extra, runs, strict=True)]
    return [
        {
            "epoch": len(run.state.epochs) + 1,
            "train_loss": train_loss,
            "train_accuracy": train_accuracy,
            "test_loss": test_loss,
            "test_accuracy": test_accuracy,
            "train_seconds": (middle - start) / len(runs),
            "test_seconds": (end - middle) / len(runs),
            **before,
            **probes.measure(run.state.net, run.config, data),
        }
        for run, before, (train_loss, train_accuracy), (test_loss, test_accuracy) in zip(
            runs, extra, trained, tested, strict=True
        )
    ]


def _in_turn(runs: list["_Run"], count: int, batch: int, go: Callable[["_Run", int], None]) -> None:
    """Let the runs take their first step of an epoch over `count` images, then their second, and so on."""
    for begin in range(0, count, batch):
        for run in runs:
            go(run, min(batch, count - begin))


class _Run:
    """One run: its state, and its steps as graphs that read their images from an epoch prepared beforehand.

    `place` (the next image) and `number` (the next step) count on the device, so that a graph needs nothing from the
    host but to be started.
    """

    def __init__(self, config: TrainingConfig, seed: int, data: ImageData, checkpoint: Checkpoint | None) -> None:
        device = data.train_images.device
        self.config, self.device = config, device
        self.state = State(config, seed, data)
        saved = checkpoint.load() if checkpoint is not None else None
        if saved is not None:
            self.state.load_state_dict(saved)
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self.stream and not config.probes:  # which look at what goes into the activations
            with contextlib.suppress(CosnbError):  # a network without normalisations has nothing to fuse
                fuse_bn(self.state.net)
        self.images, self.labels = torch.empty_like(data.train_images), torch.empty_like(data.train_labels)
        self.data = data
        steps = -(-len(data.train_images) // config.batch_size)
        self.rates = torch.zeros(steps, device=device)
        # Adam and SGD read a rate that is a tensor from the device; on a CPU they want a number.
        self.rate = torch.zeros((), device=device) if self.stream else None
        self.place = torch.zeros((), dtype=torch.int64, device=device)
        self.number = torch.zeros((), dtype=torch.int64, device=device)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.rows = torch.arange(max(config.batch_size, TEST_BATCH), device=device)
        self._graphs: dict[tuple[str, int], Callable[[], None]] = {}

    def net(self) -> nn.Module:
        """Return the network as the protocol builds it, trained so far."""
        found = State(self.config, 0, self.data).net
        found.load_state_dict(self.state.net.state_dict())
        return found.train(self.state.net.training)

    def is_going(self) -> bool:
        """Say whether there is an epoch left to train."""
        return len(self.state.epochs) < self.config.epochs and not diverged(self.state.epochs)

    def begin_training(self, data: ImageData) -> None:
        """Prepare the next epoch: its images in order, augmented, its learning rates, the sums at zero."""
        self.state.net.train()
        protocol, steps, done = PROTOCOLS[self.config.protocol], len(self.rates), len(self.state.epochs)
        rates = [
            protocol.rate(self.config.lr, step, self.config.epochs * steps)
            for step in range(done * steps, (done + 1) * steps)
        ]
        n = len(data.train_images)
        draws = self.state.draw_epoch()
        with self._streaming():
            self.rates.copy_(torch.tensor(rates))
            self._host_rates = iter(rates)
            chunk = 16 * self.config.batch_size  # of an epoch: the rotation's look-up tables take 30 KB an image
            for begin, (images, labels) in zip(
                range(0, n, chunk), batches(data.train_images, data.train_labels, draws, chunk), strict=True
            ):
                self.images[begin : begin + chunk].copy_(images)
                self.labels[begin : begin + chunk].copy_(labels)
        self._reset()

    def begin_test(self) -> None:
        """Prepare an evaluation on the test images."""
        self.state.net.eval()
        self._reset()

    def step(self, size: int) -> None:
        """Take a training step on the next `size` images."""
        with self._streaming():
            self.state.draw_masks()
            if self.rate is None:
                self._set_groups(lr=next(self._host_rates))
            self._graph("train", size)()

    def test(self, size: int) -> None:
        """Evaluate the next `size` test images."""
        with self._streaming():
            self._graph("test", size)()

    def means(self, n: int) -> tuple[float, float]:
        """Return the mean loss and accuracy over the `n` images seen since the epoch began."""
        return self.loss_sum.item() / n, self.correct.item() / n

    def _train(self, size: int) -> None:
        """What `cosnb.experiments.training.loop` does in a step."""
        state, rows = self.state, self.rows[:size] + self.place
        images, labels = self.images.index_select(0, rows), self.labels.index_select(0, rows)
        if self.rate is not None:
            self.rate.copy_(self.rates.index_select(0, self.number.view(1)).squeeze(0))  # [] would ask the host
        out = logits(state.net, images, self.config.precision)
        loss = F.cross_entropy(out, labels, label_smoothing=self.config.label_smoothing)
        state.optimizer.zero_grad()
        loss.backward()
        state.optimizer.step()
        self._count(loss.detach() * size, out.detach(), labels)

    @torch.no_grad()
    def _test(self, size: int) -> None:
        """What `cosnb.experiments.training.loop.evaluate` does with a batch."""
        rows = self.rows[:size] + self.place
        images, labels = self.data.test_images.index_select(0, rows), self.data.test_labels.index_select(0, rows)
        out = logits(self.state.net, images, self.config.precision)
        self._count(F.cross_entropy(out.double(), labels, reduction="sum"), out, labels)

    def _count(self, loss: Tensor, out: Tensor, labels: Tensor) -> None:
        self.loss_sum += loss
        self.correct += (out.argmax(1) == labels).sum()
        self.place += len(labels)
        self.number += 1

    def _reset(self) -> None:
        with self._streaming():
            for counter in (self.place, self.number, self.loss_sum, self.correct):
                counter.zero_()

    def _graph(self, kind: str, size: int) -> Callable[[], None]:
        """Return what starts a step of `kind` on `size` images: a captured graph, on a CPU the function itself."""
        if (kind, size) not in self._graphs:
            function = self._train if kind == "train" else self._test

            def call() -> None:
                function(size)

            self._graphs[kind, size] = call if self.stream is None else self._capture(call)
        return self._graphs[kind, size]

    def _capture(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record `call` as a graph; weights, statistics, optimiser and counters are afterwards as they were before."""
        assert self.rate is not None
        tensors = [*self.state.net.parameters(), *self.state.net.buffers(), *self._optimizer_tensors()]
        tensors += [self.place, self.number, self.loss_sum, self.correct]
        before = {id(tensor): tensor.detach().clone() for tensor in tensors}
        plain = [(group["lr"], group.get("capturable")) for group in self.state.optimizer.param_groups]
        self._set_groups(lr=self.rate, capturable=True)
        for _ in range(_WARM_UP):
            self.place.zero_()  # not beyond the epoch's end
            self.number.zero_()
            call()
        self.state.optimizer.zero_grad()  # so that a replay writes gradients, not adds to them
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            call()
        for group, (lr, capturable) in zip(self.state.optimizer.param_groups, plain, strict=True):
            group["lr"] = lr  # as a checkpoint keeps it
            if capturable is not None:
                group["capturable"] = capturable
        with torch.no_grad():
            for tensor in [*tensors, *self._optimizer_tensors()]:
                old = before.get(id(tensor))
                # Moments that the warm-up brought into being begin at zero, as they do in a first step.
                tensor.zero_() if old is None else tensor.copy_(old)
        return graph.replay

    def _optimizer_tensors(self) -> Iterator[Tensor]:
        for values in self.state.optimizer.state.values():
            yield from (value for value in values.values() if isinstance(value, Tensor))

    def _set_groups(self, **settings: Any) -> None:
        for group in self.state.optimizer.param_groups:
            group.update({key: value for key, value in settings.items() if key in group})

    def _streaming(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if self.stream is None else torch.cuda.stream(self.stream)
