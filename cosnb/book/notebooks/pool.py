"""Notebooks side by side on this machine, each in a process of its own; all are ended with this process."""

import queue
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from cosnb.book.notebooks.execution import Failure, Job, Outcome, end_all, perform

_ENDING = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]  # Windows has no SIGHUP


def execute(jobs: Sequence[Job], workers: int, cores: int, gpus: Sequence[str] = ()) -> list[Failure]:
    """Run `jobs`, `workers` at a time on `cores` cores, and return the failures in the order they happened.

    Exclusive ones run one at a time, or one for each of several `gpus` (names for CUDA_VISIBLE_DEVICES), which it has
    for itself. A job that runs alone passes its progress bars on. On Ctrl-C, SIGTERM and SIGHUP all that was started is
    ended before the exception goes on. To be called from the main thread.
    """
    workers = min(workers, max(1, len(jobs)), max(1, len(gpus)) if all(job.exclusive for job in jobs) else workers)
    threads, live = max(1, cores // workers), workers == 1
    slots, stop = threading.Semaphore(workers), threading.Event()
    free: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
    for name in gpus if len(gpus) > 1 else [""]:
        free.put({"CUDA_VISIBLE_DEVICES": name} if name else {})

    def work(job: Job) -> Outcome:
        own = free.get() if job.exclusive else {}
        try:
            with slots:
                if not stop.is_set():
                    print(f"{job.name}: started")
                return perform(replace(job, environment=job.environment | own), stop, threads, live)
        finally:
            if job.exclusive:
                free.put(own)

    failures: list[Failure] = []
    with _ended_by_exception(), ThreadPoolExecutor(workers) as others, ThreadPoolExecutor(max(1, len(gpus))) as owners:
        try:
            calls: dict[Future[Outcome], Job] = {}
            for job in jobs:
                calls[(owners if job.exclusive else others).submit(work, job)] = job
            for call in as_completed(calls):
                outcome = call.result()
                print(f"{calls[call].name}: {'failed' if outcome.failure else 'done'} after {outcome.seconds:.0f} s")
                failures += [outcome.failure] if outcome.failure else []
        finally:
            stop.set()
            end_all()
    return failures


@contextmanager
def _ended_by_exception() -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = {number: signal.signal(number, end) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
