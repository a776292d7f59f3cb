"""The command gpu: all work that needs a GPU, in one piece that ends on time."""

import argparse
import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cosnb.commands.budget import MINUTES, PLACE, UNFINISHED, Step, Work
from cosnb.errors import CosnbError
from cosnb.experiments.gpus import visible_gpus
from cosnb.paths import repository_root, results_dir

NAMES = ("relu", "swish", "mish", "cos")
TESTS = ("triton_cuda", "norm", "streams", "augment", "protocol")
_MARGIN = 6.0  # seconds that a step ends before its limit


def steps(out: Path) -> list[Step]:
    """Return the steps in the order of their worth; benchmarks write to `out`."""

    def python(*arguments: str) -> list[list[str]]:
        return [[sys.executable, *arguments]]

    def own(name: str) -> list[list[str]]:
        return python("-m", "cosnb.cli", "gpu", "--step", name, "--minutes", MINUTES)

    bench = ("--output", str(out / "benchmarks"))
    tests = [f"tests/test_{name}.py" for name in TESTS]
    several = ("-n", str(max(1, min(10, (os.cpu_count() or 1) * 5 // 8))), "--dist", "worksteal")
    # Long ones too, whatever the settings leave out by default
    how = ("-q", "-m", "not matrix and not drill", "-o", "filterwarnings=default", "-p", "no:cacheprovider")
    elementwise = ("benchmarks/activations.py", *NAMES, "--exponents", "24", "28", "--dtypes", "float32", "bfloat16")
    few = ("--kinds", "cosnb", "torch", "--rounds", "9", "--seconds", "0")
    whole = ("--batches", "128", "--executions", "eager", "--record", "--minutes", MINUTES)
    networks = ("benchmarks/networks.py", "squeezenet", "shufflenet_v2", "mobilenet_v2")
    tested = python("-m", "pytest", *how, *(several if find_spec("xdist") else ()), *tests)
    exhaustive = [python("-m", "cosnb.cli", "accuracy", name, "--record")[0] for name in NAMES]
    return [
        Step("smoke", "captured runs of two networks, images of noise", 20, 90, own("smoke")),
        Step("tests", "the tests that need a device", 40, 150, tested),
        Step("bandwidth", "activations against a copy", 25, 90, python(*elementwise, *few, *bench)),
        Step("accuracy", "every float32 and 16-bit number", 60, 180, exhaustive),
        Step("steps", "training steps of SqueezeNet", 30, 90, python(*networks[:2], *whole, *bench)),
        Step("wide", "Experiment W", 40, 180, own("wide"), needs_data=True),
        Step("table-3", "SqueezeNet, 200 epochs, seeds 0 and 1", 60, 1800, own("table-3"), needs_data=True),
        Step("more-steps", "training steps of all three networks", 60, 240, python(*networks, *whole, *bench)),
        Step("tables", "all runs of the three tables", 90, 1e9, own("tables"), needs_data=True),
    ]


def add_to(commands: Any) -> None:
    """Add the command gpu."""
    gpu = commands.add_parser(
        "gpu",
        help="do all work that needs a GPU, within a time limit",
        description="Run the device tests, measure bandwidth, accuracy and training steps, and train runs to record, "
        "in this order and within the time given. What would not end in time is not started; run again, "
        "the command continues. After each step it writes DIR/records.tar.gz, which adds the new records "
        "to results/ when unpacked in a clone.",
    )
    gpu.add_argument("--minutes", type=float, metavar="M", help="end after M minutes")
    gpu.add_argument("--out", type=Path, default=PLACE, metavar="DIR", help=f"folder of the archive (default: {PLACE})")
    gpu.add_argument("--list", action="store_true", help="run nothing; print the steps, their limits and what is done")
    for hidden, default in (("--step", None), ("--device", "cuda")):  # of the processes that this command starts
        gpu.add_argument(hidden, default=default, help=argparse.SUPPRESS)
    gpu.set_defaults(command=_gpu)


def _gpu(options: argparse.Namespace) -> int:
    if options.step:
        return run_step(options.step, 60 * options.minutes, options.device)
    if not (repository_root() / "benchmarks").is_dir():
        raise CosnbError("gpu runs tests and benchmarks, so it needs a clone of the repository")
    out = options.out.resolve()
    work = Work(steps(out), out, results_dir())
    if options.list:
        print(work.table())
        return 0
    if options.minutes is None or not options.minutes > 0:
        raise CosnbError("say for how long: --minutes with a number above 0")
    if not visible_gpus():
        import torch

        if not torch.cuda.is_available():
            raise CosnbError("there is no CUDA device here that PyTorch can use")
    return work.run(60 * options.minutes)


def run_step(name: str, seconds: float, device: str) -> int:
    """Run a step of this command's own in this process, within so many seconds."""
    end = time.monotonic() + seconds - _MARGIN
    import dataclasses  # with PyTorch, which counts

    from cosnb.experiments.runner.campaigns import CAMPAIGNS
    from cosnb.experiments.runner.smoke import smoke
    from cosnb.experiments.runner.stages import RunOptions, Runs
    from cosnb.experiments.runner.timed import train_in_time

    if name == "smoke":
        smoke(device)
        return 0
    stages = {campaign: [s for s in CAMPAIGNS[campaign] if isinstance(s, Runs)] for campaign in ("wide", "tables")}
    stages["table-3"] = [dataclasses.replace(stages["tables"][0], seeds="0:2")]
    return 0 if train_in_time(stages[name], end - time.monotonic(), RunOptions(device)) else UNFINISHED
