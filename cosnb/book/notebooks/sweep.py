"""Notebooks as tasks on Dask; where several workers may train, a notebook asks for its runs and they are shared out.

A notebook that records runs is executed until `run_missing` says what has no record yet. These runs become tasks: each
executes the same notebook in a process of its own, up to the end of its training. Then the notebook is executed once
more, to show all; where that asks again (it trains in several places), the next round follows. So a notebook whose runs
are all recorded is executed once.
"""

import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from distributed import Client, get_worker
from tqdm import tqdm

from cosnb.book.notebooks.cluster import Calls, connect, own_gpu, require_workers, visible_gpus
from cosnb.book.notebooks.execution import Failure, Job, Outcome, end_all, perform
from cosnb.errors import CosnbError
from cosnb.experiments import results

_POLL_SECONDS = 0.1
_SHOW_SECONDS = 1.0  # between two looks of the bar, whose time left goes on while no run ends
_TRIES = 2  # of a share that ends without its records for no reason that a user could mend
_TOPIC = "cosnb-notebooks"


def execute(
    jobs: Sequence[Job],
    workers: int,
    cores: int,
    say: Callable[[str], object] = print,
    scheduler: str | None = None,
) -> list[Failure]:
    """Run `jobs` and return the failures in the order they happened.

    Without a scheduler's address they run here, `workers` at a time on `cores` cores, exclusive ones one at a time for
    each GPU. A job that runs alone passes its progress bars on. On
    Ctrl-C, SIGTERM and SIGHUP all that was started is ended before the exception goes on. To be called from the main
    thread. Raises CosnbError where no scheduler answers, where it goes away, and where a run finds its disk full or its
    data gone; what was finished is recorded then, and skipped the next time.
    """
    gpus = max(1, len(visible_gpus()))
    shared = {
        job.name for job in jobs if job.keep and (scheduler or min(workers, gpus if job.exclusive else workers) > 1)
    }
    if not shared:
        workers = min(workers, max(1, len(jobs)), gpus if all(job.exclusive for job in jobs) else workers)
    threads = 0 if scheduler else max(1, cores // workers)
    with _ended_by_exception(), ExitStack() as stack:
        guards = stack.enter_context(_guards(jobs))
        client = stack.enter_context(connect(scheduler, workers, gpus))
        if scheduler:
            require_workers(client, any(job.exclusive for job in jobs), say)
        calls: Calls[Job, Outcome] = Calls(client, _call, guards, threads, not scheduler and workers == 1)
        with tqdm(desc="runs", unit="run", smoothing=0, disable=not shared, total=0) as bar:
            try:
                return _Sweep(calls, shared, _beside(bar, say), bar).run(client, jobs)
            finally:
                for guard in guards:
                    guard.unlink(missing_ok=True)
                calls.drop()
                end_all()


class _Sweep:
    def __init__(self, calls: Calls[Job, Outcome], shared: set[str], say: Callable[[str], object], bar: Any) -> None:
        self.calls, self.shared, self.say, self.bar = calls, shared, say, bar
        self.failures: list[Failure] = []
        self.asking = set(shared)  # notebooks that have not yet said for the first time what is missing
        self.held: list[Job] = []  # shares that wait until all have said it, or until one is refused
        self.refused = False
        self.given_up: dict[str, list[list[Any]]] = {name: [] for name in shared}
        self.whole: dict[str, Job] = {}
        self.shares: Counter[str] = Counter()  # under way, by notebook
        self.tries: Counter[tuple[str, str]] = Counter()

    def run(self, client: Client, jobs: Sequence[Job]) -> list[Failure]:
        client.subscribe_topic(_TOPIC, lambda event: self.say(f"{event[1]}: started"))
        self.whole = {job.name: job for job in jobs}
        for job in jobs:
            self.execute(job)
        shown = time.monotonic()
        while len(self.calls):
            for job, outcome in self.calls.ended():
                self.take(job, outcome)
            if time.monotonic() - shown > _SHOW_SECONDS:
                self.bar.refresh()
                shown = time.monotonic()
            time.sleep(_POLL_SECONDS)
        return self.failures

    def execute(self, job: Job) -> None:
        if job.name in self.shared:
            job = replace(job, order={"without": self.given_up[job.name]})
        self.add(job)

    def add(self, job: Job) -> None:
        self.calls.add([job], {"GPU": 1} if job.exclusive else None)

    def take(self, job: Job, outcome: Outcome | BaseException) -> None:
        label = f"{job.name}, {job.part}" if job.part else job.name
        if isinstance(outcome, BaseException):
            raise CosnbError(f"{label}: {type(outcome).__name__}: {outcome}. {_KEPT}") from outcome
        if outcome.stopped:
            raise CosnbError(
                f"{label}: the worker does not see {job.output.parent}, or not the results folder: the workers need "
                f"the same clone and results folder at the same place. {_KEPT}"
            )
        if job.part:
            self.take_share(job, outcome)
        else:
            self.take_whole(job, outcome)

    def take_whole(self, job: Job, outcome: Outcome) -> None:
        failure, first = outcome.failure, job.name in self.asking
        self.asking.discard(job.name)
        if failure:
            self.failures.append(failure)
            self.refused |= first and failure.error.startswith("CosnbError: ")
        if outcome.missing:
            self.held += shares(job, outcome.missing, job.together)
            self.say(f"{job.name}: {len(outcome.missing)} runs have no record yet")
        else:
            self.say(f"{job.name}: {'failed' if failure else 'done'} after {outcome.seconds:.0f} s")
        if self.asking:
            return
        if self.refused and self.held:
            for name in dict.fromkeys(share.name for share in self.held):
                self.failures.append(Failure(name, "not begun, since another notebook was refused", None, "", None))
            self.held.clear()
        for share in self.held:
            self.shares[share.name] += 1
            self.bar.total += len(share.order["train"]) if share.order else 0
            self.add(share)
        self.held.clear()

    def take_share(self, job: Job, outcome: Outcome) -> None:
        failure, runs = outcome.failure, job.order["train"] if job.order else []
        if outcome.left:
            if failure and failure.error.startswith(("CosnbError: ", "OSError: ")):
                raise CosnbError(f"{failure}\n{_KEPT}")
            self.tries[job.name, job.part] += 1
            if failure and self.tries[job.name, job.part] < _TRIES:
                self.add(job)
                return
            failed = Failure(f"{job.name}, {job.part}", "the run failed; its record says why", None, "", None)
            self.failures.append(failure or failed)
            self.given_up[job.name] += [list(run) for run in outcome.left]
            self.say(f"{job.name}, {job.part}: failed")
        self.bar.update(len(runs))
        self.shares[job.name] -= 1
        if not self.shares[job.name]:
            self.execute(self.whole[job.name])


_KEPT = "The sweep has stopped; what was finished is recorded, so the same command goes on from there."


def shares(job: Job, missing: Iterable[dict[str, Any]], together: int) -> list[Job]:
    """Return a job for each `together` seeds of a configuration, lowest seeds first, so that pairs end together."""
    seeds: dict[tuple[str, str, str], list[int]] = {}
    for run in missing:
        seeds.setdefault((run["experiment"], run["digest"], run["activation"]), []).append(run["seed"])
    blocks = [
        (key, sorted(of)[start : start + together])
        for key, of in seeds.items()
        for start in range(0, len(of), together)
    ]
    parts = []
    for (experiment, digest, activation), block in sorted(blocks, key=lambda item: item[1][0]):
        part = f"{activation}-{digest}-seed{'-'.join(map(str, dict.fromkeys((block[0], block[-1]))))}"
        parts.append(replace(job, order={"train": [[experiment, digest, seed] for seed in block]}, part=part))
    return parts


def _call(job: Job, guards: tuple[Path, ...], threads: int, live: bool) -> Outcome:
    """Run a job on a Dask worker; there, a share looks itself which of its runs have a record now."""
    worker = get_worker()
    if not job.part and not (job.order and job.order["without"]):
        worker.log_event(_TOPIC, job.name)
    threads = threads or max(1, (os.cpu_count() or 1) // worker.state.nthreads)
    outcome = perform(replace(job, environment=job.environment | own_gpu()), guards, threads, live)
    if not job.part or not job.order or outcome.stopped:
        return outcome
    root = Path(job.environment["COSNB_RESULTS"])
    left = [run for run in job.order["train"] if results.find(run[0], run[1], run[2], root) is None]
    return replace(outcome, left=tuple(left))


@contextmanager
def _guards(jobs: Sequence[Job]) -> Iterator[tuple[Path, ...]]:
    """Yield files in the folders that workers must see, there for as long as what was started is to go on."""
    folders = {job.output.parent for job in jobs}
    folders |= {Path(job.environment["COSNB_RESULTS"]) for job in jobs if job.keep}
    with ExitStack() as stack:
        guards = []
        for folder in sorted(folders):
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".running-", dir=folder)
            os.close(handle)
            guards.append(Path(name))
            stack.callback(guards[-1].unlink, missing_ok=True)
        yield tuple(guards)


def _beside(bar: Any, say: Callable[[str], object]) -> Callable[[str], object]:
    def say_beside(text: str) -> None:
        # This is Dask's thread, and tqdm's lock stays taken where Ctrl-C came into an earlier bar.
        bar.clear(nolock=True)
        say(text)

    return say_beside


@contextmanager
def _ended_by_exception() -> Iterator[None]:
    def end(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
