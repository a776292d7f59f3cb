"""Parallel calls on a CPU, each in a process of its own with an equal share of the threads."""

import os
import queue
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from typing import Any

import torch

from cosnb.errors import CosnbError
from cosnb.experiments.data import ImageData

Work = Callable[[Any, ImageData, Callable[[Any], None]], Any]
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows the latter ends a process at once
_TICK = 0.2  # seconds between two looks at what the processes have sent

_data: ImageData  # of a process
_sent: Any
_parent: int


def in_processes(
    work: Work, jobs: Iterable[Any], data: ImageData, count: int, heard: Callable[[Any, Any], None]
) -> Iterator[tuple[Any, Any]]:
    """Yield (job, work(job, data, send)) for each of `jobs` as they end, `count` at a time.

    `work` is a function of a module, or a `partial` of one; what it sends is handed to `heard(job, message)` here. The
    processes are killed when the iteration is given up, also by an exception of `heard`, and end by themselves after
    their next message where this process is gone. Raises CosnbError where one of them dies.
    """
    jobs = list(jobs)
    arrived = [0] * len(jobs)  # messages by job: they come another way than results, and may come later
    count = max(1, min(count, len(jobs)))
    context: Any = torch.multiprocessing.get_context("spawn")  # a fork would share OpenMP's threads, and hang
    messages = context.Queue()
    given = (data, max(1, torch.get_num_threads() // count), messages, os.getpid())
    pids: set[int] = set()

    def listen(wait: bool = False) -> None:
        with suppress(queue.Empty):
            while True:
                number, message = messages.get(timeout=_TICK) if wait else messages.get_nowait()
                wait = False
                if number is None:
                    pids.add(message)
                else:
                    arrived[number] += 1
                    heard(jobs[number], message)

    with ProcessPoolExecutor(count, context, initializer=_start, initargs=given) as pool:
        try:
            waiting = {pool.submit(_call, work, number, job): number for number, job in enumerate(jobs)}
            while waiting:
                ended, _ = wait(waiting, _TICK, FIRST_COMPLETED)
                listen()
                for future in ended:
                    number = waiting.pop(future)
                    sent, result = future.result()
                    while arrived[number] < sent:
                        listen(wait=True)
                    yield jobs[number], result
        except BrokenProcessPool:
            raise CosnbError(
                "a process that trains has died (killed, or out of memory): what the others had done is in their "
                "checkpoints; run the command again, with fewer runs at once where memory is short"
            ) from None
        except BaseException:
            for pid in pids:
                os.kill(pid, _KILL)
            raise


def _start(data: ImageData, threads: int, messages: Any, parent: int) -> None:
    global _data, _sent, _parent
    _data, _sent, _parent = data, messages, parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends this process
    torch.set_num_threads(threads)
    messages.put((None, os.getpid()))


def _call(work: Work, number: int, job: Any) -> tuple[int, Any]:
    """Return how many messages were sent, and what `work` returned."""
    sent = 0

    def send(message: Any) -> None:
        nonlocal sent
        if os.getppid() != _parent:
            os._exit(1)
        _sent.put((number, message))
        sent += 1

    result = work(job, _data, send)
    return sent, result
