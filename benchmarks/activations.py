"""Time of activations as users call them, against PyTorch's own, the plain composition, it compiled, and a copy.

    python benchmarks/activations.py [NAME ...] [--quick] [--check] [--threads N] [--output build/bench]

Forward, and forward with backward, in each number format and size. All that is compared at one size takes turns in
one run, the order drawn anew each round; figures are medians of 15 rounds or more (5 of what takes above 0.25 s a call:
plain compositions of 64 Mi elements). The copy moves the bytes that must be moved: x.clone(), and for the backward pass
a sum of x and dy. For CoS, which PyTorch lacks, its SiLU is the yardstick.

Everyone gets memory the same way: each output is a fresh tensor, freed before the next call. On Linux the C library may
give freed memory back to the system, and the page faults of getting it again, 4,096 for 16 MiB, then take longer
than the arithmetic; the record counts them. To have it keep its memory instead:

    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 python benchmarks/activations.py

On CUDA times are events' on the device while its queue is full, inputs rotate through more memory than the cache holds.

Writes activations.json, activations.md and a figure a format to the output folder; at the end prints the ratios that
the project has set itself as bounds. With --check exits with 1 where one is missed or was not measured.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import torch
from elementwise import report, rivals
from elementwise.clock import Buffers, measure
from tqdm import tqdm

from cosnb.book.plots import save_svg
from cosnb.book.plots.speed import record_formats, speed
from cosnb.symbolic import catalogue

NAMES = ("swish", "mish", "cos", "relu", "gelu")
EXPONENTS = (12, 16, 20, 22, 24, 26)
FULL = {"names": NAMES, "exponents": EXPONENTS, "dtypes": ("float32", "bfloat16"), "seconds": 2.0}
QUICK = {"names": ("swish", "mish", "cos"), "exponents": (16, 22), "dtypes": ("float32",), "seconds": 1.0}
TENSORS = 16  # of one size at once: plain CoS, forward and backward, holds 12


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the arguments, defaults of the profile filled in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"activations (default: {' '.join(NAMES)})")
    parser.add_argument(
        "--quick", action="store_true", help="fewer activations and sizes, float32 only: within a minute"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 where a bound is missed or not measured")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtypes", nargs="+", choices=("float64", "float32", "bfloat16", "float16"))
    parser.add_argument("--exponents", nargs="+", type=int, metavar="N", help="sizes are 2^N elements")
    parser.add_argument("--kinds", nargs="+", choices=rivals.KINDS, default=rivals.KINDS, help="default: all")
    parser.add_argument("--rounds", type=int, default=15, help="at least so many (4 or more; default 15)")
    parser.add_argument("--seconds", type=float, help="as many more as fit into these, a size (default 2, quick 1)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--output", type=Path, default=Path("build/bench"))
    options = parser.parse_args(arguments)
    if options.rounds < 4:
        parser.error("quartiles need --rounds of 4 or more, for what is slow takes part in every third")
    profile: dict[str, Any] = QUICK if options.quick else FULL
    options.names = list(dict.fromkeys(catalogue.get(name).name for name in options.names or profile["names"]))
    options.exponents = options.exponents or profile["exponents"]
    options.seconds = profile["seconds"] if options.seconds is None else options.seconds
    options.device = torch.device(options.device)
    half = ("float16",) if options.device.type == "cuda" and not options.quick else ()
    options.dtypes = options.dtypes or [*profile["dtypes"], *half]
    return options


def why_not_compiled(device: torch.device) -> str | None:
    """Return why torch.compile does not work here, or None where it does."""
    try:
        torch.compile(torch.sigmoid, fullgraph=True)(torch.zeros(8, device=device))
    except Exception as error:  # each backend has its own
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return None


def memory_left(device: torch.device) -> int:
    """Return the bytes that can be allocated."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return int(psutil.virtual_memory().available)


def contest(
    names: list[str], which: str, dtype: str, size: int, options: argparse.Namespace, compiles: bool
) -> list[dict[str, Any]]:
    """Return the rows of one group: all activations' implementations and the copy, in one pass, format and size."""
    torch.compiler.reset()  # one code is compiled at most 8 times, for all shapes together
    wrap, copy = rivals.PASSES[which]
    number_format = getattr(torch, dtype)
    runs: dict[tuple[str, str], rivals.Run] = {(rivals.COPY, rivals.COPY): copy}
    for name in names:
        found = rivals.rivals(name, options.device, number_format, compiles)
        runs |= {(name, kind): wrap(function) for kind, function in found.items() if kind in options.kinds}
    buffers = Buffers(size, number_format, options.device, needs_grad=which != "forward")
    timings = measure(runs, buffers, options.rounds, options.seconds)
    return [
        {"activation": name, "kind": kind, "pass": which, "dtype": dtype, "size": size, **dataclasses.asdict(timing)}
        for (name, kind), timing in timings.items()
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, write and print; return the exit code."""
    options = parse(arguments)
    torch.set_num_threads(options.threads)
    names = [*options.names]
    names += [rivals.YARDSTICK[name] for name in names if rivals.YARDSTICK.get(name, name) not in names]
    start, load = time.perf_counter(), report.load_average()
    reason = why_not_compiled(options.device) if "compiled" in options.kinds else "it was left out"
    warnings = [f"nothing compiled: {reason}"] if reason else []
    groups = [(which, dtype, 2**n) for dtype in options.dtypes for which in rivals.PASSES for n in options.exponents]
    rows: list[dict[str, Any]] = []
    for which, dtype, size in (progress := tqdm(groups, unit="group", disable=None)):
        progress.set_description(f"{which}, {dtype}, 2^{size.bit_length() - 1}")
        if TENSORS * size * getattr(torch, dtype).itemsize > memory_left(options.device):
            warnings.append(f"{which}, {dtype}, 2^{size.bit_length() - 1}: left out, too little memory")
            continue
        rows += contest(names, which, dtype, size, options, compiles=reason is None)
    record = report.environment(options.device) | {
        "load_average": [load, report.load_average()],
        "seconds": round(time.perf_counter() - start, 1),
        "yardsticks": {name: other for name, other in rivals.YARDSTICK.items() if name in names},
        "warnings": warnings + report.noise(rows),
        "bounds": report.bounds(rows),
        "rows": rows,
    }
    text = report.markdown(record)
    report.write(options.output, "activations", record, text)
    for dtype in record_formats(record):
        save_svg(speed(record, dtype), options.output / f"activations-{dtype}.svg")
    print(text)
    print(f"Written to {options.output}")
    return int(options.check and not all(bound["met"] for bound in record["bounds"]))


if __name__ == "__main__":
    report.end(main)
