"""Time and memory of a training step of the networks with each activation, eager and compiled, against ReLU and SiLU.

    python benchmarks/networks.py [NETWORK ...] [--batches 128 1024] [--executions eager compile] [--precision bfloat16]
                                  [--minutes M] [--anew] [--record] [--check] [--output build/bench]

What is measured and how says diagnostics/steps.py. All contestants of a group (network, batch, eager or compiled)
take turns; ratios are medians over the rounds, with quartiles. Memory is the peak of a step on CUDA, beside weights,
Adam's state and the batch, which stay anyway; on a CPU the bytes saved for backward.

After each group all figures so far are written to networks.json and networks.md in the output folder. Run again with
the same settings, code and machine the command measures what is missing; `--minutes` ends it after the group at hand.
`--record` keeps each group under results/ too, for the page `cost`. With --check exits with 1 where a bound is missed
or, once all groups are measured, was not measured.

On CUDA compiled steps are first built in several processes at once (`--ahead`), 12 of them a batch size, since each
takes the compiler half a minute.
"""

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from elementwise import report
from tqdm import tqdm

from cosnb.experiments.diagnostics import steps
from cosnb.experiments.diagnostics.steps import CAPTURED, COMPILED, CONTESTANTS, EXECUTIONS, LAUNCHED
from cosnb.experiments.records import measurement
from cosnb.experiments.records.digest import code_under
from cosnb.experiments.training.config import PRECISIONS
from cosnb.experiments.training.device import resolve_precision
from cosnb.kernels import timing

Row = dict[str, Any]
Group = dict[str, Any]

NETWORKS = ("squeezenet", "shufflenet_v2", "mobilenet_v2")
CUDA: Row = {"batches": [128, 1024], "executions": EXECUTIONS, "rounds": 20}
CPU: Row = {"batches": [32], "executions": ("eager",), "rounds": 7}  # a compiler takes minutes there, and gains little
# Title, contestants above and below the line, figure, at most, execution: from the project's issue on the GPU.
BOUNDS = (
    ("CoS / ReLU, eager", "cos", "relu", LAUNCHED, 1.10, "eager"),
    ("CoS / ReLU, eager, captured", "cos", "relu", CAPTURED, 1.10, "eager"),
    ("CoS / ReLU, compiled", "cos", "relu", LAUNCHED, 1.03, "compile"),
    ("CoS / ReLU, compiled, captured", "cos", "relu", CAPTURED, 1.03, "compile"),
    ("memory, CoS / SiLU", "cos", "silu", "memory", 1.01, "eager"),
    ("memory, CoS / SiLU, compiled", "cos", "silu", "memory", 1.01, "compile"),
    ("CoS with fuse_bn / ReLU", "cos, fuse_bn", "relu", LAUNCHED, 1.0, "eager"),
    ("CoS with fuse_bn / ReLU, captured", "cos, fuse_bn", "relu", CAPTURED, 1.0, "eager"),
    ("memory, CoS with fuse_bn / ReLU", "cos, fuse_bn", "relu", "memory", 1.0, "eager"),
)
WAITING = 0.9  # of a step's time: where Python takes this share to launch it, the device waits for Python


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the arguments, the device's defaults filled in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--batches", nargs="+", type=int, help="images a step (default: CUDA 128 1024, CPU 32)")
    parser.add_argument("--executions", nargs="+", choices=EXECUTIONS, help="default: both on CUDA, eager on a CPU")
    parser.add_argument(
        "--precision", choices=("auto", *PRECISIONS), default="auto", help="auto: bfloat16 on CUDA, else float32"
    )
    parser.add_argument("--contestants", nargs="+", choices=tuple(CONTESTANTS), help="default: all, eager")
    parser.add_argument("--compiled", nargs="+", choices=tuple(CONTESTANTS), default=COMPILED, help="those compiled")
    parser.add_argument("--rounds", type=int, help="default: 20, as the page `cost`, on a CPU 7")
    parser.add_argument("--minutes", type=float, help="begin no group after so many")
    parser.add_argument("--ahead", type=int, help="processes that compile ahead (default: half the cores on CUDA)")
    parser.add_argument("--anew", action="store_true", help="measure all, whatever the output folder holds")
    parser.add_argument("--record", action="store_true", help="keep the groups under results/cost too")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound is missed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    options.device = torch.device(options.device)
    cuda = options.device.type == "cuda"
    for name, value in (CUDA if cuda else CPU).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    if options.rounds < 2 or min(options.batches) < 2:
        parser.error("--rounds of 2 and more for quartiles, --batches of 2 and more for the normalisation")
    if options.record and (options.contestants or tuple(options.compiled) != COMPILED):
        parser.error("--record keeps whole groups: leave --contestants and --compiled as they are")
    if options.ahead is None:
        options.ahead = min(8, (os.cpu_count() or 1) // 2) if cuda else 0
    options.precision = resolve_precision(options.precision, options.device)
    return options


def identity(options: argparse.Namespace) -> Row:
    """Return what must be the same for earlier groups to stand: settings, machine, versions and the package's code."""
    code = hashlib.sha256(b"".join(path.read_bytes() for path in code_under(""))).hexdigest()[:16]
    environment = report.environment(options.device)
    same = {key: environment[key] for key in ("versions", "device", "threads", "memory_settings")}
    return {"rounds": options.rounds, "code": code, **same}


def earlier(path: Path, same: Row) -> list[Group]:
    """Return the groups that an earlier command has left in `path`; none where anything in `same` differs."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return list(record["groups"]) if record["same"] == same else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def wanted(options: argparse.Namespace) -> list[Group]:
    """Return the groups asked for, without figures, in the order in which they are measured."""
    contestants = {"eager": list(options.contestants or CONTESTANTS), "compile": list(options.compiled)}
    return [
        {"network": network, "batch": batch, "execution": execution, "precision": options.precision}
        | {"contestants": contestants[execution]}
        for execution in options.executions
        for batch in options.batches
        for network in options.networks
    ]


def key(group: Group) -> Row:
    """Return the group without its figures."""
    return {name: value for name, value in group.items() if name != "measured"}


def measure(group: Group, options: argparse.Namespace, progress: Any) -> Group:
    """Return the group with its figures, and keep it under results/ where that is asked for."""
    setup = [group[name] for name in ("network", "batch", "execution", "precision")]
    setup += [options.rounds, options.device]
    title, measured = ", ".join(map(str, setup[:4])), {}

    def run(*_: Any) -> Row:
        def say(text: str) -> None:
            progress.set_description(f"{title}: {text}")

        measured.update(steps.measure(*setup, group["contestants"], say=say))
        return measured

    if options.record:  # what has a record already is measured for the report alone
        measurement.measure_missing("cost", [steps.settings(*setup)], [0], run, steps, options.device)
    return {**group, "measured": measured or run()}


def figure(found: Row, contestant: str, what: str) -> list[float] | None:
    """Return a contestant's seconds by round, or its bytes as the one figure of a list; None where not measured."""
    row = found.get(contestant, {})
    if what != "memory":
        return row.get(what)
    size = row.get("peak", row.get("saved"))
    return None if size is None else [size]


def compared(group: Group, above: str, below: str, what: str) -> tuple[float, float, float] | None:
    """Return lower quartile, median and upper quartile of a ratio; None where one of the two was not measured."""
    a, b = (figure(group["measured"], name, what) for name in (above, below))
    return None if a is None or b is None else timing.quartiles(a, b)


def bounds(groups: Sequence[Group]) -> list[Row]:
    """Return each bound for each group that it is about: the ratio, whether it is met, and what is known of a miss."""
    found = []
    for group in groups:
        for title, above, below, what, limit, execution in BOUNDS:
            if execution != group["execution"] or (what == CAPTURED and not _has(group, CAPTURED)):
                continue
            if what == "memory" and not (_has(group, "peak") or _has(group, "saved")):
                continue
            quartiles = compared(group, above, below, what)
            value = quartiles[1] if quartiles else None
            row = {"figure": f"{group['network']}, {group['batch']}, {group['precision']}: {title}", "at_most": limit}
            met = None if value is None else value <= limit
            found.append({**row, "ratio": value, "met": met, "why": "" if met else _why(group, above, what)})
    return found


def _has(group: Group, what: str) -> bool:
    return any(what in row for row in group["measured"].values())


def _why(group: Group, contestant: str, what: str) -> str:
    row = group["measured"].get(contestant, {})
    if "error" in row:
        return str(row["error"])
    if what == LAUNCHED and "enqueue" in row and row["enqueue"] >= WAITING * statistics.median(row[LAUNCHED]):
        return "the device waits for Python"
    return ""


def markdown(record: Row) -> str:
    """Return the report as Markdown."""
    device, same = record["device"], record["same"]
    lines = ["# A training step with each activation", ""]
    lines += [f"{device['name']}, {record['threads']} threads, torch {record['versions']['torch']}, {record['date']}."]
    lines += [f"Medians of {same['rounds']} rounds; ratios to ReLU within rounds, with quartiles. Captured: the step"]
    lines += ["as one CUDA graph. Launching: Python's time for a step while the device is idle; busy: the sum of its"]
    lines += ["kernels' times. Memory: a step's peak beside what stays (CUDA), else bytes saved for backward."]
    for group in record["groups"]:
        title = ", ".join(str(group[name]) for name in ("network", "batch", "execution", "precision"))
        lines += ["", f"## {title}", "", *_table(group)]
    lines += ["", "## Bounds", ""]
    cells = [["figure", "at most", "measured", "", ""]]
    for row in record["bounds"]:
        verdict = {True: "met", False: "missed", None: ""}[row["met"]]
        measured = "not measured" if row["ratio"] is None else f"{row['ratio']:.3f}"
        cells.append([row["figure"], f"{row['at_most']:g}", measured, verdict, row["why"]])
    return "\n".join([*lines, *report.align(cells, left=1)]) + "\n"


def _table(group: Group) -> list[str]:
    cells = [
        ["", "step, ms", "/ ReLU", "captured, ms", "/ ReLU", "launching, ms", "busy, ms", "kernels", "MiB", "/ ReLU"]
    ]
    errors = []
    for name, row in group["measured"].items():
        if "error" in row:
            errors.append(f"\n{name} failed: {row['error']}")
            continue
        line = [name.replace("|", "\\|")]
        for what in (LAUNCHED, CAPTURED):
            seconds, over = row.get(what), compared(group, name, "relu", what)
            line.append(f"{1000 * statistics.median(seconds):.3f}" if seconds else "")
            line.append("{1:.3f} ({0:.3f}–{2:.3f})".format(*over) if over else "")
        for what in ("enqueue", "busy"):
            line.append("" if row.get(what) is None else f"{1000 * row[what]:.3f}")
        line.append(str(row.get("launches") or ""))
        size, over = figure(group["measured"], name, "memory"), compared(group, name, "relu", "memory")
        cells.append([*line, f"{size[0] / 2**20:.1f}" if size else "", f"{over[1]:.3f}" if over else ""])
    return report.align(cells, left=1) + errors


def _compile_ahead(batch: int, groups: Sequence[Group], options: argparse.Namespace) -> None:
    pairs = [(g["network"], batch) for g in groups if g["execution"] == "compile" and g["batch"] == batch]
    steps.compile_ahead(pairs, options.compiled, options.precision, str(options.device), options.ahead)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print; return the exit code."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    path, same = options.output / "networks.json", identity(options)
    groups = [] if options.anew else earlier(path, same)
    known = [key(group) for group in groups]
    missing = [group for group in wanted(options) if group not in known]
    start, load = time.perf_counter(), report.load_average()
    ahead: set[int] = set()

    def write() -> Row:
        record = report.environment(options.device) | {"same": same, "load_average": [load, report.load_average()]}
        record |= {"groups": groups, "bounds": bounds(groups)}
        report.write(options.output, "networks", record, markdown(record))
        return record

    record = write()
    for done, group in enumerate(progress := tqdm(missing, unit="group", disable=None)):
        if options.minutes is not None and time.perf_counter() - start > 60 * options.minutes:
            print(f"{len(missing) - done} groups are left: run the command again", file=sys.stderr)
            break
        if group["execution"] == "compile" and options.ahead and group["batch"] not in ahead:
            ahead.add(group["batch"])
            progress.set_description(f"compiling ahead, {group['batch']} images")
            _compile_ahead(group["batch"], missing[done:], options)
        groups.append(measure(group, options, progress))
        record = write()
    print(markdown(record))
    print(f"Written to {options.output}")
    return int(options.check and not all(bound["met"] for bound in record["bounds"]))


if __name__ == "__main__":
    report.end(main)
