"""A Dask cluster in this process or elsewhere; calls on it that outlive workers; work in a process of its own.

Nothing here needs PyTorch, so that a worker starts quickly and stays small.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

import dask
from distributed import (
    CancelledError,
    Client,
    Future,
    KilledWorker,
    Scheduler,
    SpecCluster,
    Status,
    Worker,
    as_completed,
    get_worker,
)

from cosnb.errors import CosnbError
from cosnb.experiments.gpus import visible_gpus

CONNECT_SECONDS = 10
DEATHS = 5  # times that a call is begun again after Dask gave it up; Dask itself begins it four times
# Scheduler and workers watch themselves up to a hundred times a second, which is for a machine of their own.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}
_GPU_NAME = "GPU "
_LOCAL = "local:"
_POLL_SECONDS = 0.1
_STATUS_ENDING = (Status.closing, Status.closed, Status.failed)
Item = TypeVar("Item")
Result = TypeVar("Result")


class ProcessDied(Exception):  # noqa: N818
    """A process that did a task's work was killed, or crashed."""


def local_workers(scheduler: str) -> int:
    """Return N of "local:N", which names a cluster of N workers in this process; 0 for any other address."""
    number = scheduler.removeprefix(_LOCAL)
    if number == scheduler:
        return 0
    if not number.isdecimal() or int(number) < 1:
        raise CosnbError(f"{scheduler!r} names no cluster: write local:2 for two workers on this machine")
    return int(number)


@contextmanager
def connect(scheduler: str) -> Iterator[Client]:
    """Yield a client of the scheduler at an address, or of an embedded cluster of N workers for "local:N".

    The embedded one's workers are threads of this process, one call at a time each; as many of them as there are GPUs
    (at least one) offer one of the resource GPU. It takes no orders from outside, and its status ports, which Dask
    always opens, serve nothing and only this machine. Raises CosnbError where no scheduler answers.
    """
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)  # what matters of its tracebacks is said in a sentence here
    if workers := local_workers(scheduler):
        with _embedded(workers, visible_gpus()) as cluster, Client(cluster, set_as_default=False) as client:
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
    elif gpu and not has_gpu(client):
        raise CosnbError(
            f"None of the cluster's {len(workers)} workers offers a GPU: start one with "
            "`dask worker ADDRESS --nthreads 1 --resources GPU=1`."
        )


def has_gpu(client: Client) -> bool:
    """Say whether a worker of the cluster offers a GPU."""
    return any(worker.get("resources", {}).get("GPU") for worker in client.scheduler_info()["workers"].values())


def own_gpu() -> dict[str, str]:
    """Return the environment that gives the calling worker's GPU alone, where an embedded cluster has several."""
    name = str(get_worker().name)
    return {"CUDA_VISIBLE_DEVICES": name.removeprefix(_GPU_NAME)} if name.startswith(_GPU_NAME) else {}


def call_module(order: dict[str, Any], module: str, threads: int) -> Any:
    """Have `python -m module FOLDER` do an order on a Dask worker, and return what it answers; both are JSON.

    The module reads FOLDER/order.json and writes FOLDER/answer.json: {"value": …}, or {"error": a sentence}, which is
    raised here as CosnbError. The process is killed as soon as the task is cancelled, its client or scheduler gone; it
    has to end on its own when its stdin closes, which tells that the worker was killed. threads: for its numerical
    libraries, where OMP_NUM_THREADS does not say; 0 divides the machine's cores by the worker's threads. Raises
    ProcessDied where a signal ended it.
    """
    worker = get_worker()
    key = worker.get_current_task()
    threads = threads or max(1, (os.cpu_count() or 1) // worker.state.nthreads)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, **own_gpu()}
    with tempfile.TemporaryDirectory(prefix="cosnb-task-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / "order.json").write_text(json.dumps(order), encoding="utf-8")
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-P", "-m", module, str(folder)]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        try:
            while process.poll() is None:
                task = worker.state.tasks.get(key)
                if worker.status in _STATUS_ENDING or task is None or task.state not in ("executing", "long-running"):
                    raise ProcessDied("the task is no longer wanted")
                time.sleep(_POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
        if process.returncode < 0:
            raise ProcessDied(f"its process was ended by signal {-process.returncode}")
        if process.returncode > 0:
            lines = (folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise CosnbError(lines[-1] if lines else f"its process ended with exit code {process.returncode}")
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    if "error" in answer:
        raise CosnbError(answer["error"])
    return answer["value"]


@contextmanager
def _embedded(workers: int, gpus: list[str]) -> Iterator[SpecCluster]:
    options = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    no_pages: dict[str, list[str]] = {f"distributed.{role}.http.routes": [] for role in ("scheduler", "worker")}
    names = [f"{_GPU_NAME}{gpus[number]}" if number < len(gpus) > 1 else number for number in range(workers)]
    own = [{"resources": {"GPU": 1} if number < max(1, len(gpus)) else {}} for number in range(workers)]
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
        """Call `function(item, *arguments)` for each item that is added, the first first."""
        self._client, self._function, self._arguments = client, function, arguments
        self._completed = as_completed(loop=client.loop, with_results=True, raise_errors=False)
        self._gone = False  # the scheduler
        self._calls: dict[Future, tuple[Item, dict[str, float] | None, int, int]] = {}
        self._begun = 0

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, items: Iterable[Item], resources: dict[str, float] | None = None) -> None:
        """Have the function called with each of `items`, on workers that offer `resources`."""
        for item in items:
            self._begun += 1
            self._submit(item, resources, 0, self._begun)

    def ended(self) -> list[tuple[Item, Result | BaseException]]:
        """Return the items whose calls have ended since, each with the result or the exception; does not wait.

        Raises CosnbError where the scheduler is gone.
        """
        done: list[tuple[Item, Result | BaseException]] = []
        for future, result in self._completed.next_batch(block=False):
            item, resources, deaths, number = self._calls.pop(future)
            # By the result, not by the future's status: that goes back where the worker that held the result dies.
            if isinstance(result, CancelledError):
                self._calls[future], self._gone = (item, resources, deaths, number), True
                continue
            if isinstance(result, tuple) and len(result) == 3 and isinstance(result[1], BaseException):
                result = result[1]
                if isinstance(result, KilledWorker | ProcessDied) and deaths < DEATHS:
                    self._submit(item, resources, deaths + 1, number)
                    continue
            done.append((item, result))
        if self._calls and not done and (self._gone or self._client.status != "running"):
            raise CosnbError(
                f"The Dask scheduler is gone, with {len(self._calls)} tasks still to be done; what was finished is "
                "recorded. Start it again (`dask scheduler`), then the workers that ended with it (`dask worker "
                "ADDRESS`), and repeat the command to go on."
            )
        return done

    def drop(self) -> None:
        """Take back the calls that have not ended; a process under way is killed (see `call_module`)."""
        self._client.cancel(list(self._calls), force=True)
        self._calls.clear()

    def _submit(self, item: Item, resources: dict[str, float] | None, deaths: int, number: int) -> None:
        future = self._client.submit(
            self._function, item, *self._arguments, pure=False, resources=resources, priority=-number
        )
        self._calls[future] = item, resources, deaths, number
        self._completed.add(future)
