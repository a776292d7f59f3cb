"""Parallel runs on one GPU, each with its step as a CUDA graph on a stream of its own.

A small network's step is hundreds of kernels of a few microseconds, so alone it leaves most of a large GPU idle, and
starting its kernels one by one takes longer than running them. Here all of a step, from the gathering of its images to
the optimiser, is recorded once and started by one call, and the steps of several runs share the device. What a run
computes is what `training.train` computes, operation by operation, but that a batch normalisation and the
activation after it are one (`cosnb.fuse_bn`), which rounds what lies between them to float32, not to bfloat16.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cosnb.errors import CosnbError
from cosnb.experiments.data import ImageData
from cosnb.experiments.data.augment import batches
from cosnb.experiments.training.checkpoint import Checkpoint
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.evaluation import TEST_BATCH, Sums, evaluation_step
from cosnb.experiments.training.execution import Forward
from cosnb.experiments.training.loop import Job, Outcome, Run, epoch_rates, train_together, training_step
from cosnb.experiments.training.state import Epoch, State
from cosnb.nn.fused import fuse_bn

EXECUTION = "captured"  # what a record's device says of such a run
# Work queues of a CUDA context, 8 by default: streams that share one wait for each other. Read when CUDA starts.
os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
_WARM_UP = 3  # steps before a capture: code is built, cuDNN chooses, the optimiser's state comes to be


def train_streams(
    jobs: Iterable[Job],
    data: ImageData,
    device: str | torch.device = "cuda",
    after_epoch: Callable[[Job, Epoch], None] = lambda job, epoch: None,
    checkpoints: Mapping[Job, Checkpoint] | None = None,
) -> dict[Job, Outcome]:
    """Train a network for each (configuration, seed) as `train_together`: as `execution_on` the device says."""
    if execution_on(device) == EXECUTION:
        torch.backends.cudnn.allow_tf32 = False  # what a record calls float32 is float32 in convolutions too
    return train_together(jobs, data, device, after_epoch, checkpoints, run_on(device))


def execution_on(device: str | torch.device) -> str:
    """Return "captured" for CUDA, "eager" elsewhere, where there are no graphs and plain runs take turns."""
    return EXECUTION if torch.device(device).type == "cuda" else "eager"


def run_on(device: str | torch.device) -> type[Run]:
    """Return the kind of run that stands side by side with others on `device`."""
    return Captured if execution_on(device) == EXECUTION else Run


def join_pairs(net: nn.Module, config: TrainingConfig) -> None:
    """Join the network's normalisations with their activations, as captured runs have them."""
    if not config.probes:  # which look at what goes into the activations
        with contextlib.suppress(CosnbError):  # a network without normalisations has nothing to fuse
            fuse_bn(net)


def batch_sizes(config: TrainingConfig, data: ImageData) -> dict[str, set[int]]:
    """Return the numbers of images of a captured run's steps, of training ("train") and of evaluation ("test")."""
    counts = {"train": (len(data.train_images), config.batch_size), "test": (len(data.test_images), TEST_BATCH)}
    return {kind: {min(size, count), count % size or size} for kind, (count, size) in counts.items()}


class Captured(Run):
    """A run whose steps are graphs that read their images from an epoch prepared beforehand.

    `place` (the next image) and `number` (the next step) count on the device, so that a graph needs nothing from the
    host but to be started. On a CPU the functions that a graph would hold are called in the same order, nothing is
    fused, and a run computes bit by bit what the plain one does: so they are tested without a GPU.
    """

    def _prepare(self, execution: str) -> Forward:
        """Return the network, fused on CUDA, and allocate what its graphs read and write."""
        config, data, device = self.config, self.data, self.data.train_images.device
        self.device = device
        self.stream = torch.cuda.Stream(device) if execution_on(device) == EXECUTION else None
        if self.stream:
            join_pairs(self.state.net, config)
        self.images, self.labels = torch.empty_like(data.train_images), torch.empty_like(data.train_labels)
        self.rates = torch.zeros(-(-len(data.train_images) // config.batch_size), device=device)
        # Adam and SGD read a rate that is a tensor from the device; on a CPU they want a number.
        self.rate = torch.zeros((), device=device) if self.stream else None
        self.place = torch.zeros((), dtype=torch.int64, device=device)
        self.number = torch.zeros((), dtype=torch.int64, device=device)
        self.sums = Sums(device)
        self.rows = torch.arange(max(config.batch_size, TEST_BATCH), device=device)
        self._graphs: dict[tuple[str, int], Callable[[], None]] = {}
        self.forward = self.state.net
        if self.stream:
            self._capture_all()
        return self.forward

    def _capture_all(self) -> None:
        """Capture the steps of an epoch before the first, whose time is then that of its training alone."""
        masks = self.state.masks.get_state()
        self.images.zero_()
        self.labels.zero_()
        with self._streaming():
            for kind, sizes in batch_sizes(self.config, self.data).items():
                self.state.net.train(kind == "train")
                self.state.draw_masks()
                for size in sizes:
                    self._graph(kind, size)
        self.state.masks.set_state(masks)

    def net(self) -> nn.Module:
        """Return the network as the protocol builds it, trained so far."""
        found = State(self.config, 0, self.data).net
        found.load_state_dict(self.state.net.state_dict())
        return found.train(self.state.net.training)

    def training(self) -> Iterator[None]:
        """Train for an epoch, step by step."""
        self.begin_training()
        yield
        n, size = len(self.data.train_images), self.config.batch_size
        for begin in range(0, n, size):
            with self._streaming():
                self.state.draw_masks()
                if self.rate is None:
                    self._set_groups(lr=next(self._host_rates))
                self._graph("train", min(size, n - begin))()
            yield
        self.trained = self._means(n)

    def testing(self) -> Iterator[None]:
        """Evaluate on the test images, batch by batch."""
        self.state.net.eval()
        self._reset()
        yield
        n = len(self.data.test_images)
        for begin in range(0, n, TEST_BATCH):
            with self._streaming():
                self._graph("test", min(TEST_BATCH, n - begin))()
            yield
        self.tested = self._means(n)

    def begin_training(self) -> None:
        """Prepare the next epoch: its images in order, augmented, its learning rates, the sums at zero."""
        self.state.net.train()
        data, draws = self.data, self.state.draw_epoch()
        rates = epoch_rates(self.state, self.config, data)
        with self._streaming():
            self.rates.copy_(torch.tensor(rates))
            self._host_rates = iter(rates)
            chunk = 16 * self.config.batch_size  # of an epoch: the rotation's look-up tables take 30 KB an image
            shown = batches(data.train_images, data.train_labels, draws, chunk)
            for begin, (images, labels) in zip(range(0, len(data.train_images), chunk), shown, strict=True):
                self.images[begin : begin + chunk].copy_(images)
                self.labels[begin : begin + chunk].copy_(labels)
        self._reset()

    def _train(self, size: int) -> None:
        """Take the training step that a graph holds."""
        rows = self.rows[:size] + self.place
        images, labels = self.images.index_select(0, rows), self.labels.index_select(0, rows)
        if self.rate is not None:
            self.rate.copy_(self.rates.index_select(0, self.number.view(1)).squeeze(0))  # [] would ask the host
        training_step(self.state, self.config, self.forward, images, labels, self.sums)
        self._count(size)

    def _test(self, size: int) -> None:
        """Evaluate the batch that a graph holds."""
        rows = self.rows[:size] + self.place
        images, labels = self.data.test_images.index_select(0, rows), self.data.test_labels.index_select(0, rows)
        evaluation_step(self.forward, images, labels, self.config.precision, self.sums)
        self._count(size)

    def _count(self, size: int) -> None:
        self.place += size
        self.number += 1

    def _counters(self) -> list[Tensor]:
        return [self.place, self.number, self.sums.loss, self.sums.correct]

    def _reset(self) -> None:
        with self._streaming():
            for counter in self._counters():
                counter.zero_()

    def _means(self, n: int) -> tuple[float, float]:
        with self._streaming():  # the sums are this stream's
            return self.sums.means(n)

    def _graph(self, kind: str, size: int) -> Callable[[], None]:
        """Return what starts a step of `kind` on `size` images: a captured graph, on a CPU the function itself."""
        if (kind, size) not in self._graphs:
            call = partial(self._train if kind == "train" else self._test, size)
            self._graphs[kind, size] = call if self.stream is None else self._capture(call)
        return self._graphs[kind, size]

    def _capture(self, call: Callable[[], None]) -> Callable[[], None]:
        """Record `call` as a graph; weights, statistics, optimiser and counters are afterwards as they were before."""
        assert self.rate is not None
        tensors = [*self.state.net.parameters(), *self.state.net.buffers(), *self._optimizer_tensors()]
        tensors += self._counters()
        before = {id(tensor): tensor.detach().clone() for tensor in tensors}
        plain = [(group["lr"], group.get("capturable")) for group in self.state.optimizer.param_groups]
        self._set_groups(lr=self.rate, capturable=True)
        for _ in range(_WARM_UP):
            self._reset()  # not beyond the epoch's end
            call()
        self._reset()
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
