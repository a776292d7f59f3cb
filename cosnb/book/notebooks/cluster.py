"""Dask: a cluster inside this process or one somewhere else, and calls of one function on it that outlive workers."""

import logging
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import dask
from distributed import (
    CancelledError,
    Client,
    Future,
    KilledWorker,
    Scheduler,
    SpecCluster,
    Worker,
    as_completed,
    get_worker,
)

from cosnb.errors import CosnbError

CONNECT_SECONDS = 10
DEATHS = 5  # times that a call is begun again after Dask gave it up; Dask itself begins it four times
# Scheduler and workers watch themselves up to a hundred times a second, which is for a machine of their own.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
_GPU_NAME = "GPU "
Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def connect(scheduler: str | None, workers: int, gpus: int) -> Iterator[Client]:
    """Yield a client of the scheduler at an address, or of an embedded cluster with so many workers.

    The embedded one's workers are threads of this process, one call at a time each; the first `gpus` of them (at least
    one) offer one of the resource GPU. It takes no orders from outside, and its status ports, which Dask always opens,
    serve nothing and only this machine. Raises CosnbError where no scheduler answers.
    """
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)  # what matters of its tracebacks is said in a sentence here
    if scheduler is None:
        with _embedded(workers, gpus) as cluster, Client(cluster, set_as_default=False) as client:
            yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise CosnbError(
            f"No Dask scheduler answers at {scheduler!r} ({type(error).__name__}): start one with `dask scheduler` and "
            "give its address, for example tcp://host:8786."
        ) from None
    try:
        yield client
    finally:
        client.close(timeout=CONNECT_SECONDS)


def require_workers(client: Client, gpu: bool, say: Callable[[str], object]) -> None:
    """Say where a cluster has no worker yet; CosnbError where it has some but none with the GPU that is needed."""
    workers = client.scheduler_info()["workers"].values()
    if not workers:
        say("the cluster has no worker yet: waiting for one (`dask worker ADDRESS`)")
    elif gpu and not any(worker.get("resources", {}).get("GPU") for worker in workers):
        raise CosnbError(
            f"None of the cluster's {len(workers)} workers offers a GPU: start one with "
            "`dask worker ADDRESS --nthreads 1 --resources GPU=1`."
        )


def visible_gpus() -> list[str]:
    """Return the CUDA devices that this process may use, by number or name; PyTorch is not asked, it takes seconds."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    if not shutil.which("nvidia-smi"):
        return []
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=CONNECT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in done.stdout.splitlines()))]


def own_gpu() -> dict[str, str]:
    """Return the environment that gives the calling worker's GPU alone, where an embedded cluster has several."""
    name = str(get_worker().name)
    return {"CUDA_VISIBLE_DEVICES": name.removeprefix(_GPU_NAME)} if name.startswith(_GPU_NAME) else {}


@contextmanager
def _embedded(workers: int, gpus: int) -> Iterator[SpecCluster]:
    options = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    no_pages: dict[str, list[str]] = {f"distributed.{role}.http.routes": [] for role in ("scheduler", "worker")}
    devices = visible_gpus() if gpus > 1 else []
    names = [f"{_GPU_NAME}{devices[number]}" if number < len(devices) else number for number in range(workers)]
    own = [{"resources": {"GPU": 1} if number < max(1, gpus) else {}} for number in range(workers)]
    with dask.config.set(QUIET | no_pages):
        with warnings.catch_warnings():
            # Dask asks which of its addresses the world would see; a machine without a network needs none.
            warnings.filterwarnings("ignore", "Couldn't detect a suitable IP address", RuntimeWarning)
            cluster = SpecCluster(
                scheduler={"cls": Scheduler, "options": {"protocol": "inproc"} | options},
                workers={
                    name: {"cls": Worker, "options": {"nthreads": 1, "memory_limit": 0} | options | each}
                    for name, each in zip(names, own, strict=True)
                },
                silence_logs=False,
            )
        with cluster:
            yield cluster


class Calls(Generic[Item, Result]):
    """Calls of one function, each with one item, that end in any order; one whose worker died is begun again."""

    def __init__(self, client: Client, function: Callable[..., Result], *arguments: Any) -> None:
        """Call `function(item, *arguments)` for each item that is added."""
        self._client, self._function, self._arguments = client, function, arguments
        self._completed = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        self._calls: dict[Future, tuple[Item, dict[str, float] | None, int]] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, items: Iterable[Item], resources: dict[str, float] | None = None) -> None:
        """Have the function called with each of `items`, on workers that offer `resources`."""
        for item in items:
            self._submit(item, resources, 0)

    def ended(self) -> list[tuple[Item, Result | BaseException]]:
        """Return the items whose calls have ended since, each with the result or the exception; does not wait.

        Raises CosnbError where the scheduler is gone.
        """
        done: list[tuple[Item, Result | BaseException]] = []
        for future, result in self._completed.next_batch(block=False):
            item, resources, deaths = self._calls.pop(future)
            # By the result, not by the future's status: that goes back where the worker that held the result dies.
            if isinstance(result, CancelledError):
                raise self._lost()
            if isinstance(result, tuple) and len(result) == 3 and isinstance(result[1], BaseException):
                result = result[1]
                if isinstance(result, KilledWorker) and deaths < DEATHS:
                    self._submit(item, resources, deaths + 1)
                    continue
            done.append((item, result))
        if self._calls and self._client.status != "running":
            raise self._lost()
        return done

    def drop(self) -> None:
        """Take back the calls that have not ended; those under way go on until they look at their guards."""
        self._client.cancel(list(self._calls), force=True)
        self._calls.clear()

    def _submit(self, item: Item, resources: dict[str, float] | None, deaths: int) -> None:
        future = self._client.submit(self._function, item, *self._arguments, pure=False, resources=resources)
        self._calls[future] = item, resources, deaths
        self._completed.add(future)

    def _lost(self) -> CosnbError:
        return CosnbError(
            f"The Dask scheduler is gone, with {len(self._calls) + 1} runs or notebooks still to be done; what was "
            "finished is recorded. Start it again and repeat the command to go on."
        )
