"""Triton kernels of captured runs, compiled in several processes at once before the runs begin.

A normalisation's kernels are compiled for each shape that a network has: SqueezeNet's with four activations are 152, of
0.2 to 0.4 s each, which one process compiles one after the other in its first steps. Here each of several processes
takes a step of every network and compiles its part of what it meets into Triton's cache on the disk, where the runs
find it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import torch

from cosnb.experiments.data import ImageData
from cosnb.experiments.records.digest import code_under, file_digest
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.evaluation import Sums, evaluation_step
from cosnb.experiments.training.loop import Job, fitted, training_step
from cosnb.experiments.training.state import State
from cosnb.experiments.training.streams import EXECUTION, batch_sizes, execution_on, join_pairs
from cosnb.kernels import cuda, launch, store
from cosnb.paths import repository_root

_MOST = 8  # processes, of about 1 GB of the device's memory each
_SECONDS = 150.0  # after which the runs compile for themselves what is left
Task = dict[str, Any]
_tried: set[str] = set()


def compile_ahead(jobs: Iterable[Job], data: ImageData, device: str | torch.device, processes: int = 0) -> None:
    """Compile the kernels of captured runs in so many processes (0: half the cores), unless that was done before.

    `jobs` share network and batch size. Nothing is done where they are not captured or have no Triton kernels. What
    fails is left to the runs.
    """
    processes = processes or min(_MOST, (os.cpu_count() or 1) // 2)
    if processes < 2 or execution_on(device) != EXECUTION or not cuda.supports(torch.empty(0, device=device)):
        return
    task = task_of((config for config, _ in jobs), data, device)
    mark = "ahead_" + _identity(task)
    if mark in _tried or store.get(mark, ".txt") is not None:
        return
    _tried.add(mark)  # whatever comes of it: one that failed would fail again, group by group
    if _in_processes(task, processes):
        store.put(mark, ".txt", b"compiled")


def task_of(configs: Iterable[TrainingConfig], data: ImageData, device: str | torch.device) -> Task:
    """Return what the kernels of these runs depend on, as JSON types."""
    kinds = list(dict.fromkeys(map(_kind, configs)))
    sizes = batch_sizes(kinds[0], data)
    return {
        "configs": [config.as_dict() for config in kinds],
        "sizes": {kind: sorted(numbers) for kind, numbers in sizes.items()},
        "shape": list(fitted(data, kinds[0].network).train_images.shape[1:]),
        "classes": len(data.classes),
        "device": str(device),
    }


def _kind(config: TrainingConfig) -> TrainingConfig:
    """Return the configuration without what no kernel depends on."""
    free = {
        "dataset": "noise",
        "train_images": config.batch_size,
        "held_out": 0,
        "test_images": 0,
        "epochs": 1,
        "lr": 1.0,
        "gain": 1.0,
    }
    return replace(config, **free)  # type: ignore[arg-type]


def _identity(task: Task) -> str:
    import triton

    code = file_digest(*code_under("kernels", "codegen", "nn", "experiments/models"))
    where = torch.cuda.get_device_name(task["device"]), torch.__version__, triton.__version__
    return sha256(repr((task, where, code)).encode()).hexdigest()[:32]


def _in_processes(task: Task, count: int) -> bool:
    """Return whether all of the processes have done their part."""
    path = os.pathsep.join(filter(None, (str(repository_root()), os.environ.get("PYTHONPATH"))))
    started = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, json.dumps(task | {"number": number, "count": count})],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(count)
    ]
    end = time.monotonic() + _SECONDS
    try:
        return [process.wait(max(0.0, end - time.monotonic())) for process in started] == [0] * count
    except subprocess.TimeoutExpired:
        return False
    finally:
        for process in started:
            process.kill()
            process.wait()


def compile_part(task: Task) -> int:
    """Compile this process's part of the kernels that `task` needs; return how many they were."""
    with launch.compiling_share(task["number"], task["count"]) as share:
        data = _noise(task)
        for settings in task["configs"]:
            _take_steps(TrainingConfig(**settings), data, task["sizes"])
    return share.compiled


def _take_steps(config: TrainingConfig, data: ImageData, sizes: dict[str, list[int]]) -> None:
    """Take a step of each size as a captured run takes it."""
    state = State(config, 0, data)
    join_pairs(state.net, config)
    sums = Sums(data.train_images.device)
    for kind, numbers in sizes.items():
        state.net.train(kind == "train")
        state.draw_masks()
        for size in numbers:
            images, labels = data.train_images[:size], data.train_labels[:size]
            if kind == "train":
                training_step(state, config, state.net, images, labels, sums)
            else:
                evaluation_step(state.net, images, labels, config.precision, sums)


def _noise(task: Task) -> ImageData:
    """Return as many images of noise as the largest step takes."""
    count, generator = max(map(max, task["sizes"].values())), torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, *task["shape"]), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, task["classes"], (count,), generator=generator)
    names = tuple(str(number) for number in range(task["classes"]))
    return ImageData("noise", names, images, labels, images, labels, "noise").to(task["device"])


if __name__ == "__main__":
    compile_part(json.loads(sys.argv[1]))
