"""Reports: tables of ratios, bounds, the machine, and the files that a benchmark leaves."""

import datetime
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch

import cosnb
from cosnb.errors import CosnbError
from cosnb.experiments.results import checked_out
from cosnb.experiments.training.device import describe_device
from cosnb.paths import write_atomically
from cosnb.symbolic import catalogue

from . import rivals

Row = dict[str, Any]

BOUND_SIZE, BOUND_DTYPE = 2**22, "float32"
SPREAD = 1.5  # between the quartiles of a copy, above which the machine was busy with something else
# Title, (activation, kind) above and below the line, pass, at most: from the project's issue on the formula compiler.
BOUNDS = (
    ("CoS forward / PyTorch's SiLU forward", ("cos", "cosnb"), ("swish", "torch"), "forward", 1.4),
    ("Mish forward / PyTorch's Mish forward", ("mish", "cosnb"), ("mish", "torch"), "forward", 0.22),
    ("Swish forward / PyTorch's SiLU forward", ("swish", "cosnb"), ("swish", "torch"), "forward", 1.0),
    ("CoS forward / plain CoS in eager mode", ("cos", "cosnb"), ("cos", "plain"), "forward", 0.06),
    ("CoS forward+backward / PyTorch's SiLU", ("cos", "cosnb"), ("swish", "torch"), "forward+backward", 1.4),
    ("Mish forward+backward / PyTorch's Mish", ("mish", "cosnb"), ("mish", "torch"), "forward+backward", 0.4),
)


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions, device, threads, the allocator's settings and the date of a record."""
    names = ("GLIBC_TUNABLES", "LD_PRELOAD", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
    memory = {name: value for name, value in os.environ.items() if name.startswith("MALLOC_") or name in names}
    return {
        "schema": 1,
        "date": datetime.date.today().isoformat(),
        **checked_out(),
        "versions": {"python": platform.python_version(), "torch": str(torch.__version__), "cosnb": cosnb.__version__},
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "memory_settings": memory,
    }


def end(main: Callable[[], int]) -> NoReturn:
    """End the program with the exit code of `main`; a CosnbError is told in a line."""
    try:
        sys.exit(main())
    except CosnbError as error:
        sys.exit(f"error: {error}")


def write(folder: Path, name: str, record: dict[str, Any], text: str) -> None:
    """Write name.json, whole or not at all, and name.md into `folder`, made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    write_atomically(folder / f"{name}.json", json.dumps(record, indent=1) + "\n")


def load_average() -> float | None:
    """Return how many processes wanted to run, on average over the last minute; None where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def noise(rows: Sequence[Row]) -> list[str]:
    """Return a warning for each copy whose quartiles lie further apart than by a factor of 1.5."""
    copies = [row for row in rows if row["kind"] == rivals.COPY and row["high"] > SPREAD * row["low"]]
    return [
        f"{row['pass']}, {row['dtype']}, 2^{row['size'].bit_length() - 1}: the copy's quartiles differ by a factor of "
        f"{row['high'] / row['low']:.1f}: the machine was busy, ratios are not to be trusted"
        for row in copies
    ]


class Medians:
    """The rows' medians by activation, kind, pass, number format and size."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._medians = {
            (row["activation"], row["kind"], row["pass"], row["dtype"], row["size"]): row["median"] for row in rows
        }

    def get(self, activation: str, kind: str, group: tuple[str, str, int]) -> float | None:
        """Return seconds, or None where it was not measured; PyTorch's SiLU where PyTorch lacks CoS."""
        if kind == rivals.COPY:
            return self._medians.get((rivals.COPY, rivals.COPY, *group))
        found = self._medians.get((activation, kind, *group))
        if found is None and kind == "torch" and activation in rivals.YARDSTICK:
            found = self._medians.get((rivals.YARDSTICK[activation], kind, *group))
        return found

    def ratio(self, above: tuple[str, str], below: tuple[str, str], group: tuple[str, str, int]) -> float | None:
        """Return the ratio of two medians, or None where one was not measured."""
        first, second = self.get(*above, group), self.get(*below, group)
        return first / second if first is not None and second is not None else None


def bounds(rows: Sequence[Row]) -> list[Row]:
    """Return each bound with the ratio measured at 4 Mi float32 elements (None: not measured) and whether it is met."""
    medians, found = Medians(rows), []
    for title, above, below, name, limit in BOUNDS:
        ratio = medians.ratio(above, below, (name, BOUND_DTYPE, BOUND_SIZE))
        met = None if ratio is None else ratio <= limit
        found.append({"figure": title, "at_most": limit, "ratio": ratio, "met": met})
    return found


def markdown(record: dict[str, Any]) -> str:
    """Return the whole report as Markdown that reads well in a terminal too."""
    device, threads = record["device"]["name"], record["threads"]
    settings = ", ".join(f"{name}={value}" for name, value in record["memory_settings"].items()) or "the defaults"
    before, after = record["load_average"]
    fewest = min(row["samples"] for row in record["rows"])
    lines = [
        "# Speed of activations",
        "",
        f"{device}, {threads} threads, torch {record['versions']['torch']}, {record['date']}.",
        f"Medians of {fewest} turns or more. Load average {before} before, {after} after.",
        f"Every output is freshly allocated and then freed, alike for all; allocator settings: {settings}.",
        "Times of `cosnb.activation(name)(x)` in milliseconds; then this time divided by that of the others.",
    ]
    groups = dict.fromkeys((row["pass"], row["dtype"]) for row in record["rows"])
    for name, dtype in groups:
        lines += ["", f"## {name}, {dtype}", "", *_ratios(record["rows"], name, dtype)]
    lines += ["", f"## Bounds ({BOUND_SIZE // 2**20} Mi {BOUND_DTYPE})", "", *_verdicts(record["bounds"])]
    lines += [f"\nWarning: {warning}" for warning in record["warnings"]]
    return "\n".join(lines) + "\n"


def _ratios(rows: Sequence[Row], name: str, dtype: str) -> list[str]:
    medians = Medians(rows)
    rows = [row for row in rows if (row["pass"], row["dtype"], row["kind"]) == (name, dtype, "cosnb")]
    cells = [["activation", "elements", "ms", "/ copy", "/ PyTorch's", "/ plain", "/ compiled"]]
    for row in sorted(rows, key=lambda row: row["activation"]):
        group, key = (name, dtype, row["size"]), row["activation"]
        line = [key, f"2^{row['size'].bit_length() - 1}", f"{1000 * row['median']:.4g}"]
        for kind in (rivals.COPY, "torch", "plain", "compiled"):
            ratio = medians.ratio((key, "cosnb"), (key, kind), group)
            star = "*" if kind == "torch" and key in rivals.YARDSTICK else ""
            line.append("" if ratio is None else f"{ratio:.2f}{star}")
        cells.append(line)
    notes = [
        f"{key}: PyTorch's {catalogue.get(other).torch_name}"
        for key, other in rivals.YARDSTICK.items()
        if key in {r[0] for r in cells}
    ]
    return align(cells, left=1) + [f"\n\\* {note}, for it has none of its own" for note in notes]


def _verdicts(found: Sequence[Row]) -> list[str]:
    cells = [["figure", "at most", "measured", ""]]
    for row in found:
        verdict = {True: "met", False: "missed", None: ""}[row["met"]]
        measured = "not measured" if row["ratio"] is None else f"{row['ratio']:.3f}"
        cells.append([row["figure"], f"{row['at_most']:g}", measured, verdict])
    return align(cells, left=1)


def align(cells: Sequence[Sequence[str]], left: int) -> list[str]:
    """Return the lines of a Markdown table, first row the head, columns padded; all but `left` columns to the right."""
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(cells[0]))]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    padded = [
        [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in cells
    ]
    return ["| " + " | ".join(row) + " |" for row in [padded[0], rule, *padded[1:]]]
