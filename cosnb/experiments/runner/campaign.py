"""Campaigns carried out: missing records in their order of priority, in pieces that end on time.

A campaign is a list of stages; what has a record is not trained again, so the same command goes on where it stopped, on
this machine or another that has the records.
"""

import _thread
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cosnb.errors import CosnbError
from cosnb.experiments import results
from cosnb.experiments.records.record import Record
from cosnb.experiments.runner.campaigns import CAMPAIGNS
from cosnb.experiments.runner.stages import RunOptions, Stage


class TimeIsUp(BaseException):
    """The piece of a campaign is over; no Exception, so that a run is not recorded as failed."""


@dataclass(frozen=True)
class Progress:
    """Where a stage stands: its runs, those that have a record, and the seconds that the rest takes, if known."""

    stage: Stage
    wanted: int
    recorded: int
    seconds: float | None


def get(name: str) -> tuple[Stage, ...]:
    """Return a campaign's stages; CosnbError for an unknown name."""
    if name not in CAMPAIGNS:
        raise CosnbError(f"unknown campaign {name!r}: choose one of {', '.join(CAMPAIGNS)}")
    return CAMPAIGNS[name]


def carry_out(
    stages: Sequence[Stage],
    minutes: float | None = None,
    device: str = "cpu",
    precision: str = "auto",
    max_parallel: int = 1,
    executor: str = "auto",
    root: Path | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Train what has no record, stage by stage, for so many minutes; return whether all of it is done.

    A run that the end of the time interrupts, within an epoch too, goes on from its checkpoint. `max_parallel` and
    `executor` are those of `run_missing`. A line is printed for each record: its images a second, training alone.
    Raises CosnbError as `run_missing` does, and where `minutes` is not above 0.
    """
    if minutes is not None and not minutes > 0:
        raise CosnbError(f"minutes is {minutes}: give a number above 0")
    end = None if minutes is None else time.monotonic() + 60 * minutes

    def should_stop() -> None:
        if end is not None and time.monotonic() > end:
            raise TimeIsUp

    options = RunOptions(device, precision, max_parallel, executor, root)
    try:
        with interrupted(None if minutes is None else 60 * minutes):
            _carry_out(stages, options, should_stop, root, say)
    except TimeIsUp:
        return False
    return True


def _carry_out(
    stages: Sequence[Stage],
    options: RunOptions,
    should_stop: Callable[[], None],
    root: Path | None,
    say: Callable[[str], None],
) -> None:
    for stage in stages:
        for seeds in stage.parts(options.max_parallel):
            should_stop()
            before = {_key(record) for name in stage.experiments for record in results.read(name, root)}
            try:
                stage.carry_out(seeds, options, should_stop)
            finally:
                for record in (record for name in stage.experiments for record in results.read(name, root)):
                    if _key(record) not in before:
                        say(describe(record))


@contextmanager
def interrupted(seconds: float | None) -> Iterator[None]:
    """Have TimeIsUp raised after so many seconds in what runs inside, as Ctrl-C is raised; None: never.

    Only in the main thread, and not where Ctrl-C is ignored, as in a shell's background job.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()

    def interrupt() -> None:
        over.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
        timer.cancel()
    except KeyboardInterrupt:
        if over.is_set():
            raise TimeIsUp from None
        raise
    finally:
        timer.cancel()


def _key(record: Record) -> tuple[str, str, int]:
    return record["experiment"], record["config_digest"], record["seed"]


def describe(record: Record) -> str:
    """Return a line on a record: what was trained, how it ended, images a second."""
    config = record["config"]
    varied = "".join(f" {key} {config[key]:g}" for key in ("depth", "gain", "lr") if key in config)
    line = f"{record['experiment']}: {config['network']} {config['activation']}{varied} seed {record['seed']}: "
    line += record["status"] if record["error"] is None else f"{record['status']} ({record['error']})"
    if not record["epochs"]:
        return line
    seconds = statistics.median(epoch["train_seconds"] for epoch in record["epochs"])
    accuracy = record["epochs"][-1]["test_accuracy"]
    return f"{line}, {accuracy:.2%}, {config['train_images'] / seconds:,.0f} images/s"


def progress(stages: Sequence[Stage], device: str = "cpu", root: Path | None = None) -> list[Progress]:
    """Return where each stage stands; a run counts in the first stage that wants it.

    The time is estimated from the records of the same network, epoch by epoch; None where there is none to go by.
    """
    options = RunOptions(device, root=root)
    found: list[Progress] = []
    seen: set[tuple[str, str, int]] = set()
    for stage in stages:
        recorded = {_key(record) for record in results.read(stage.experiment, root)}
        wanted = {(stage.experiment, *key): settings for key, settings in stage.wanted(options).items()}
        wanted = {key: settings for key, settings in wanted.items() if key not in seen}
        seen |= wanted.keys()
        missing = [settings for key, settings in wanted.items() if key not in recorded]
        estimates = list(map(stage.estimate(root), missing))
        known = [seconds for seconds in estimates if seconds is not None]
        total = None if len(known) < len(estimates) else sum(known)
        found.append(Progress(stage, len(wanted), len(wanted) - len(missing), total))
    return found


def table(found: Sequence[Progress]) -> str:
    """Return where the stages stand as lines of text."""
    lines = []
    for number, step in enumerate(found, 1):
        left = "done" if step.recorded == step.wanted else "time unknown"
        if step.seconds:
            left = f"about {step.seconds / 60:,.0f} min left"
        lines.append(f"{number:2}. {step.recorded:4} of {step.wanted:4}  {left:20}  {step.stage}")
    known = [step.seconds for step in found if step.seconds]
    total = f"{sum(known) / 60:,.0f} min by the stages whose time is known" if known else "no record to go by"
    return "\n".join([*lines, f"left: {sum(s.wanted - s.recorded for s in found)} runs; {total}"])


def rehearse(
    stages: Sequence[Stage],
    device: str = "cpu",
    max_parallel: int = 1,
    executor: str = "auto",
    say: Callable[[str], None] = print,
) -> bool:
    """Carry out the stages as their `small` makes them, into a folder that is thrown away.

    Returns whether no run failed.
    """
    with tempfile.TemporaryDirectory(prefix="cosnb-rehearsal-") as folder:
        root = Path(folder)
        small = [stage.small() for stage in stages]
        carry_out(small, None, device, "auto", max_parallel, executor, root, say)
        records = [record for stage in stages for name in stage.experiments for record in results.read(name, root)]
    return bool(records) and all(record["status"] != "failed" for record in records)
