"""Records of the errors at every number of a format, one per activation, so that a campaign can be interrupted."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cosnb import accuracy
from cosnb.accuracy import errors, targets
from cosnb.accuracy.ends import show
from cosnb.activations import Activation, activation
from cosnb.experiments import results
from cosnb.experiments.records import measurement
from cosnb.experiments.results.summary import Record, title
from cosnb.symbolic.catalogue import CATALOGUE

EXPERIMENT = "pytorch-accuracy"
FORMATS = ("float32", "bfloat16", "float16")
ON_CUDA = ("triton", "inductor")
ON_CPU = ("c", "compiled")
SHARES = (0.5, 1.0, 2.0)  # units: the table says which share of the inputs errs by no more
_EVERY = "every float32, bfloat16 and float16 number"
_OCTAVE = 8  # bins of `cosnb.accuracy` that a record keeps as one


def record_missing(
    names: Iterable[str],
    target_names: Sequence[str] = (),
    stride: int = 1,
    minutes: float | None = None,
    root: Path | None = None,
    say: Callable[[str], None] = print,
    done: Callable[[Activation, list[accuracy.Measurement]], None] = lambda act, measurements: None,
) -> list[str]:
    """Record f, f′ and f″ of each activation that has no record, at every float32 and 16-bit number.

    Of float32 with a `stride` only every stride-th. By default of the Triton kernels and Inductor's on CUDA, else of C
    and Inductor's. After so many minutes no more is begun: the names left are returned, and the same call later goes on
    with them. `done` gets each activation's measurements. Raises CosnbError as `accuracy.measure` does.
    """
    chosen = tuple(target_names) or (ON_CUDA if "triton" in targets.available() else ON_CPU)
    start = time.perf_counter()
    left = []
    for name in names:
        act = activation(name)
        if minutes is not None and time.perf_counter() - start > 60 * minutes:
            left.append(name)
            continue

        def run(settings: Mapping[str, Any], seed: int, act: Activation = act) -> dict[str, Any]:
            began = time.perf_counter()
            measurements = accuracy.measure(
                act, chosen, FORMATS, full=True, stride=stride, progress=lambda line: say(f"{act.name}: {line}")
            )
            done(act, measurements)
            return coarse(accuracy.record(act, measurements)) | {"seconds": round(time.perf_counter() - began, 1)}

        device = targets.device(chosen[0])
        measurement.measure_missing(
            EXPERIMENT, [_settings(act.name, chosen, stride, device)], [0], run, errors, device, root
        )
    return left


def _settings(name: str, chosen: Sequence[str], stride: int, device: str) -> dict[str, Any]:
    return {
        "activation": name,
        "inputs": f"every {stride:,}th float32 number, every 16-bit one" if stride > 1 else _EVERY,
        "targets": ", ".join(chosen),
        "device": device,
    }


def recorded(root: Path | None = None) -> list[Record]:
    """Return the records of every number, a stride left out, by activation in the catalogue's order."""
    order = list(CATALOGUE)
    found = [record for record in results.read(EXPERIMENT, root) if record["config"]["inputs"] == _EVERY]
    return sorted(
        found, key=lambda record: [*order, record["config"]["activation"]].index(record["config"]["activation"])
    )


def coarse(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record keeps of `accuracy.record`: the largest error by octave of x in place of its eighths."""

    def octaves(bins: Sequence[float | None]) -> list[float | None]:
        parts = [bins[start : start + _OCTAVE] for start in range(0, len(bins), _OCTAVE)]
        return [max((error for error in part if error is not None), default=None) for part in parts]

    measurements = [{**found, "bins": octaves(found["bins"])} for found in record["measurements"]]
    return {
        "bin_edges": list(record["bin_edges"])[::_OCTAVE],
        "histogram_ends": record["histogram_ends"],
        "measurements": measurements,
    }


def table(records: Iterable[Record], format: str = "float32") -> tuple[list[str], list[list[str]]]:
    """Return head and rows of a format: for each activation, derivative and target the largest errors and their shares.

    The first error is that in class 1 or among the subnormals, the second that in class 2, see `cosnb.accuracy.errors`.
    """
    head = ["", "code", "largest error", "at x", "class 2"]
    head += [f"≤ {share:g}" for share in SHARES] + ["NaN or inf"]
    rows = []
    for record in records:
        ends = record["measured"]["histogram_ends"]
        for found in record["measured"]["measurements"]:
            if found["format"] != format:
                continue
            classes, counts = found["classes"], found["histogram"]
            near = max((classes["1"], classes["subnormal"]), key=lambda largest: largest["error"])
            other = f"{classes['2']['error']:.3g}" if classes["2"]["inputs"] else ""
            row = [title(record["config"]["activation"]) + chr(8242) * found["order"], found["target"]]
            row += [f"{near['error']:.3f}" if near["error"] < 1000 else f"{near['error']:.3g}", show(near["at"]), other]
            shares = [sum(counts[: ends.index(share) + 1]) / max(1, sum(counts)) for share in SHARES]
            rows.append([*row, *(_percent(share) for share in shares), f"{found['nan_or_inf']:,}"])
    return head, rows


def _percent(share: float) -> str:
    """Return a share in percent, never rounded up to 100."""
    return "100 %" if share == 1 else f"{int(share * 1e5) / 1e3:.3f} %"
