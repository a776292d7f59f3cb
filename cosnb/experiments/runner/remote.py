"""Runs as tasks of a Dask cluster: each is trained in a process of its own, and its records are the task's value."""

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import torch

from cosnb.errors import CosnbError
from cosnb.experiments.data import ImageData
from cosnb.experiments.records.digest import code_digest
from cosnb.experiments.records.record import Record
from cosnb.experiments.training.config import TrainingConfig
from cosnb.experiments.training.device import multiplies_bfloat16
from cosnb.experiments.training.streams import Job

TASK = "cosnb.experiments.runner.task"
_POLL_SECONDS = 0.1
_ASK_SECONDS = 1.0
_KEPT = "What was finished is recorded, so the same call goes on from there."


def images_identity(data: ImageData) -> dict[str, Any]:
    """Return what tells whether images read elsewhere are the same ones, as JSON types."""
    return {"train_images": len(data.train_images), "test_images": len(data.test_images), "digest": data.digest}


def identity(config: TrainingConfig) -> list[str]:
    """Return what is equal where a configuration means the same: its digest and that of the code that it runs."""
    return [config.digest(), code_digest(config)]


def on_cluster(
    scheduler: str,
    experiment: str,
    jobs: list[Job],
    data: ImageData,
    device: str | torch.device,
    execution: str,
    resume: bool,
    should_stop: Callable[[], None],
    loss_slice: dict[str, Any] | None = None,
) -> Iterator[tuple[Job, list[Record]]]:
    """Yield (job, its records) as the tasks end, one a job, on the cluster that `scheduler` names (see `connect`).

    A worker reads the images from its own data folder, and downloads them where they are missing: a file that it has
    survives the deaths of other workers, which a copy in Dask's memory does not, and need not pass through the
    scheduler. It must hold the very images of `data`, and run the same code. On CUDA a task takes one of a worker's
    resource GPU. A task whose worker or process dies is begun again. resume: checkpoints lie in the worker's results
    folder. loss_slice: the network is measured too (see `study`). `should_stop` is called every second. Whatever ends
    the iteration ends what runs on the workers. Raises CosnbError where no scheduler answers, where it goes away, and
    with the run's name where one keeps dying or cannot begin.
    """
    if not jobs:
        return
    from cosnb.experiments.cluster import Calls, call_module, connect, local_workers, require_workers

    gpu = torch.device(device).type == "cuda"
    local = local_workers(scheduler)
    threads = max(1, torch.get_num_threads() // local) if local else 0
    common = {
        "experiment": experiment,
        "device": torch.device(device).type,
        "execution": execution,
        "resume": resume,
        "beside": local or 1,
        "loss_slice": loss_slice,
        "data": {"name": data.name, "held_out": data.held_out, "tested": data.tested, **images_identity(data)},
    }
    orders = [
        common | {"number": number, "config": config.as_dict(), "seed": seed, "identity": identity(config)}
        for number, (config, seed) in enumerate(jobs)
    ]
    with connect(scheduler) as client:
        require_workers(client, gpu, lambda text: print(text, file=sys.stderr))
        calls: Calls[dict[str, Any], list[Record]] = Calls(client, call_module, TASK, threads)
        calls.add(orders, {"GPU": 1} if gpu else None)
        with closing(_ended(calls, should_stop)) as ended:
            for order, result in ended:
                config, seed = job = jobs[order["number"]]
                if isinstance(result, BaseException):
                    said = f"{type(result).__name__}: {result}".removeprefix("CosnbError: ").rstrip(".")
                    raise CosnbError(f"{experiment}, {config.activation} seed {seed}: {said}. {_KEPT}") from result
                yield job, result


def training_device(scheduler: str = "") -> tuple[str, bool]:
    """Return the device that trains, "cuda" or "cpu", and whether it has units that multiply bfloat16.

    On a cluster it is that of a worker that offers a GPU, or of any where none does; waits for the first worker.
    Raises CosnbError where no scheduler answers.
    """
    if not scheduler.strip() or scheduler.startswith("local:"):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return device, multiplies_bfloat16(device)
    from cosnb.experiments.cluster import Calls, call_module, connect, has_gpu

    with connect(scheduler) as client:
        client.wait_for_workers(1)
        calls: Calls[dict[str, Any], Any] = Calls(client, call_module, TASK, 1)
        calls.add([{"ask": "device"}], {"GPU": 1} if has_gpu(client) else None)
        with closing(_ended(calls)) as ended:
            ((_, result),) = ended
    if isinstance(result, BaseException):
        raise CosnbError(f"the cluster at {scheduler} does not say what it trains on: {result}") from result
    device, fast = result
    return device, fast


def _ended(calls: Any, should_stop: Callable[[], None] = lambda: None) -> Generator[tuple[Any, Any], None, None]:
    """Yield the calls as they end; take the others back where the iteration is given up."""
    looked = time.monotonic()
    try:
        while len(calls):
            yield from calls.ended()
            if time.monotonic() - looked > _ASK_SECONDS:
                looked = time.monotonic()
                should_stop()
            time.sleep(_POLL_SECONDS)
    finally:
        calls.drop()
