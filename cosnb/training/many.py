"""Several seeds of one configuration at once, each with the numbers that it has alone.

Two ways. "processes": each run in a process of its own, as many at a time as there are cores, one thread each. "fused":
all networks as one, weights and statistics stacked along a new first axis, by torch.func.vmap, which turns convolutions
into grouped ones and linear layers into batched products; each seed keeps its own order, augmentation and dropout.

Processor time on one core of an AMD EPYC, CoS, forward, backward and Adam, fused against the same runs one after
another: 15 linear layers of 500, batch 128, 4 seeds: 0.217 s against 0.173 s; batch 16, 8 seeds: 0.161 s against
0.116 s; SqueezeNet, batch 16, 4 seeds: 0.462 s against 0.259 s. A core is busy with one run already, and grouped
convolutions are slower ones, so on a CPU processes are the way. On CUDA, where the time of a small network is that of
starting its kernels, "fused" starts them once for all seeds; it has not been measured there, and CUDA graphs on
parallel streams were not tried.
"""

import copy
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state
from torch.nn import functional as F  # noqa: N812

from cosnb.data import ImageData
from cosnb.data.augment import normalize
from cosnb.errors import CosnbError
from cosnb.training import probes
from cosnb.training.checkpoint import Checkpoint
from cosnb.training.config import TrainingConfig, distinct
from cosnb.training.device import memory_kept
from cosnb.training.execution import warm_up
from cosnb.training.loop import diverged, epoch_batches, evaluate, fitted, now, train
from cosnb.training.protocol import PROTOCOLS
from cosnb.training.state import Epoch, State

WAYS = ("auto", "processes", "fused")


@dataclass
class Outcome:
    """How one run ended: status "ok", "diverged" or "failed" (then with its error and no network), and its epochs."""

    status: str
    error: str | None
    epochs: list[Epoch]
    net: nn.Module | None


def train_many(
    config: TrainingConfig,
    seeds: Iterable[int],
    data: ImageData,
    device: str | torch.device = "cpu",
    after_epoch: Callable[[int, Epoch], None] = lambda seed, epoch: None,
    checkpoints: Mapping[int, Checkpoint] | None = None,
    way: str = "auto",
) -> dict[int, Outcome]:
    """Train one network a seed, together, and return {seed: Outcome}; the epochs' entries are those of `train`.

    Equal to single runs within rounding. In a fused group's entries, train_seconds is the group's time divided by the
    number of its runs. `after_epoch` gets seed and entry; in processes, when the run is done. A run that diverges, or
    in its process raises, ends alone. Raises CosnbError for a wrong setting.
    """
    device, seeds = torch.device(device), distinct(seeds)
    way = resolve_way(way, device)
    data = fitted(data, config.network)
    if way == "processes":
        return _train_in_processes(config, seeds, data, device, after_epoch, checkpoints or {})
    with memory_kept(device):
        return _train_fused(config, seeds, data.to(device), after_epoch, checkpoints or {})


def resolve_way(way: str, device: str | torch.device) -> str:
    """Return `way`, or for "auto" "fused" on CUDA and "processes" elsewhere; CosnbError for an unknown one."""
    if way not in WAYS:
        raise CosnbError(f"unknown way {way!r} of training many seeds: choose one of {', '.join(WAYS)}")
    return ("fused" if torch.device(device).type == "cuda" else "processes") if way == "auto" else way


def _train_in_processes(
    config: TrainingConfig,
    seeds: list[int],
    data: ImageData,
    device: torch.device,
    after_epoch: Callable[[int, Epoch], None],
    checkpoints: Mapping[int, Checkpoint],
) -> dict[int, Outcome]:
    count = min(len(seeds), os.cpu_count() or 1)
    threads = max(1, torch.get_num_threads() // count)
    context: Any = torch.multiprocessing.get_context("spawn")  # a fork would share OpenMP's threads, and hang
    outcomes = {}
    with ProcessPoolExecutor(count, context, initializer=_start_process, initargs=(data, threads)) as pool:
        jobs = {pool.submit(_train_one, config, seed, device, checkpoints.get(seed)): seed for seed in seeds}
        for job in as_completed(jobs):
            seed = jobs[job]
            try:
                status, epochs, weights = job.result()
            except Exception as error:
                outcomes[seed] = Outcome("failed", f"{type(error).__name__}: {error}", [], None)
                continue
            net = State(config, seed, data.to(device)).net
            net.load_state_dict(weights)
            outcomes[seed] = Outcome(status, None, epochs, net)
            for epoch in epochs:
                after_epoch(seed, epoch)
    return {seed: outcomes[seed] for seed in seeds}


_data: ImageData  # of a process of `_train_in_processes`


def _start_process(data: ImageData, threads: int) -> None:
    global _data
    _data = data
    torch.set_num_threads(threads)


def _train_one(
    config: TrainingConfig, seed: int, device: torch.device, checkpoint: Checkpoint | None
) -> tuple[str, list[Epoch], dict[str, Tensor]]:
    status, epochs, net = train(config, seed, _data, device, checkpoint=checkpoint)
    return status, epochs, {name: value.cpu() for name, value in net.state_dict().items()}


def _train_fused(
    config: TrainingConfig,
    seeds: list[int],
    data: ImageData,
    after_epoch: Callable[[int, Epoch], None],
    checkpoints: Mapping[int, Checkpoint],
) -> dict[int, Outcome]:
    groups: dict[int, dict[int, State]] = defaultdict(dict)  # by epochs done: a kill may have come between two writes
    for seed in seeds:
        state = State(config, seed, data)
        saved = checkpoints[seed].load() if seed in checkpoints else None
        if saved is not None:
            state.load_state_dict(saved)
        for entry in state.epochs:
            after_epoch(seed, entry)
        groups[len(state.epochs)][seed] = state
    for states in groups.values():
        _train_group(config, states, data, after_epoch, checkpoints)
    done = {seed: state for states in groups.values() for seed, state in states.items()}
    return {
        seed: Outcome("diverged" if diverged(done[seed].epochs) else "ok", None, done[seed].epochs, done[seed].net)
        for seed in seeds
    }


def _train_group(
    config: TrainingConfig,
    states: dict[int, State],
    data: ImageData,
    after_epoch: Callable[[int, Epoch], None],
    checkpoints: Mapping[int, Checkpoint],
) -> None:
    device = data.train_images.device
    first = next(iter(states.values()))
    warm_up(first.net, first.net, data.train_images, {2}, set(), config.precision)
    fused = Fused(config, list(states.values()))
    for done in range(len(first.epochs), config.epochs):
        going = {seed: state for seed, state in states.items() if not diverged(state.epochs)}
        if not going:
            return
        extra = {s: {} if done else probes.measure(state.net, config, data, "_at_start") for s, state in going.items()}
        start = now(device)
        losses, accuracies = fused.train_epoch(data, done)
        seconds = (now(device) - start) / len(states)
        for row, (seed, state) in enumerate(states.items()):
            if seed not in going:
                continue
            fused.write_back(row)
            start = now(device)
            test_loss, test_accuracy = evaluate(state.net, data.test_images, data.test_labels, config.precision)
            state.epochs.append(
                {
                    "epoch": done + 1,
                    "train_loss": losses[row],
                    "train_accuracy": accuracies[row],
                    "test_loss": test_loss,
                    "test_accuracy": test_accuracy,
                    "train_seconds": seconds,
                    "test_seconds": now(device) - start,
                    **extra[seed],
                    **probes.measure(state.net, config, data),
                }
            )
            if seed in checkpoints:
                checkpoints[seed].save(state.state_dict())
            after_epoch(seed, state.epochs[-1])


class Fused:
    """The networks of several states as one: parameters, buffers and the optimiser's state with a first axis of seeds.

    A state's own network and optimiser stand still until `write_back`.
    """

    def __init__(self, config: TrainingConfig, states: list[State]) -> None:
        self.config = config
        self.states = states
        self.parameters, self.buffers = stack_module_state([state.net.train() for state in states])
        self.shell = copy.deepcopy(states[0].net)
        self.optimizer = PROTOCOLS[config.protocol].make_optimizer(self.parameters.values(), config.lr)
        self._call = torch.func.vmap(lambda weights, buffers, x: functional_call(self.shell, (weights, buffers), (x,)))
        for stacked, *singles in self._pairs():
            past = [state.optimizer.state.get(single, {}) for state, single in zip(states, singles, strict=True)]
            for key in past[0]:
                values = [each[key] for each in past]
                if values[0] is not None:  # SGD without momentum keeps a None
                    one = key == "step"  # a number, the same for all
                    self.optimizer.state[stacked][key] = values[0].clone() if one else torch.stack(values)

    def train_epoch(self, data: ImageData, epoch: int) -> tuple[list[float], list[float]]:
        """Train one epoch (from 0); return each seed's mean loss and its accuracy."""
        self.shell.train()
        count, device = len(self.states), data.train_images.device
        loss_sum = torch.zeros(count, dtype=torch.float64, device=device)
        correct = torch.zeros(count, dtype=torch.int64, device=device)
        shown = [epoch_batches(self.config, data, state.generator, epoch) for state in self.states]
        for batch in zip(*shown, strict=True):
            images, labels = (torch.stack(parts) for parts in list(zip(*batch, strict=True))[:2])
            for group in self.optimizer.param_groups:
                group["lr"] = batch[0][2]
            loss, right = self.step(images, labels)
            loss_sum += loss * labels.shape[1]
            correct += right
        n = len(data.train_images)
        return [total / n for total in loss_sum.tolist()], [total / n for total in correct.tolist()]

    def step(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take one step on uint8 images (S, B, C, H, W), labels (S, B); return losses and correct answers, (S,)."""
        self._draw_masks()
        flat = normalize(images.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            out = self._call(self.parameters, self.buffers, flat.unflatten(0, images.shape[:2])).float()
        smoothing = self.config.label_smoothing
        each = F.cross_entropy(out.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=smoothing)
        loss = each.view_as(labels).mean(dim=1)
        self.optimizer.zero_grad()
        loss.sum().backward()  # each seed's weights are in its own term only
        self.optimizer.step()
        return loss.detach(), (out.detach().argmax(2) == labels).sum(dim=1)

    @torch.no_grad()
    def write_back(self, row: int) -> None:
        """Copy weights, statistics and the optimiser's state of one seed into its own `State`."""
        state = self.states[row]
        for name, parameter in state.net.named_parameters():
            parameter.copy_(self.parameters[name][row])
        for name, buffer in state.net.named_buffers():
            buffer.copy_(self.buffers[name][row])
        for stacked, *singles in self._pairs():
            state.optimizer.state[singles[row]] = {
                key: value if value is None else (value if key == "step" else value[row]).clone()
                for key, value in self.optimizer.state[stacked].items()
            }

    def _pairs(self) -> Iterable[tuple[Any, ...]]:
        """Yield each stacked parameter with the parameters of the states that it is made of."""
        return zip(self.parameters.values(), *(state.net.parameters() for state in self.states), strict=True)

    def _draw_masks(self) -> None:
        names = [name for name, _ in self.shell.named_buffers() if name.endswith("keep")]
        for row, state in enumerate(self.states):
            for name, layer in zip(names, state.dropouts, strict=True):
                layer.draw(self.buffers[name][row], state.masks)
