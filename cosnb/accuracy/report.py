"""Measurements as a Markdown table for the terminal and as a record for JSON."""

import platform
from collections.abc import Sequence
from typing import Any

import numpy
import torch

from cosnb.accuracy.errors import CLASSES, HISTOGRAM, bin_edges
from cosnb.accuracy.measure import Measurement
from cosnb.activations import Activation

_HEAD = ("", "target", "format", "class", "inputs", "largest error", "unit", "at x", "the same x", "NaN or inf")
_UNITS = {"1": "ulp of f", "2": "ulp of the largest term", "subnormal": "subnormal step"}


def table(measurements: Sequence[Measurement]) -> str:
    """Return a Markdown table with the number of inputs of each class, the largest error (ulp) and where it occurs."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for measured in measurements:
        head = [f"f{chr(8242) * measured.order}", measured.target, measured.format]
        lost = str(measured.errors.lost) + (f" (at {measured.errors.lost_at!r})" if measured.errors.lost else "")
        for name in CLASSES:
            largest = measured.errors.classes[name]
            if largest.count and largest.at is not None:
                where = (f"`{shortest(largest.at, measured.format)}`", f"`{short_hex(largest.at)}`")
                rows.append((*head, name, f"{largest.count:,}", _rounded(largest.error), _UNITS[name], *where, lost))
                lost = ""
        if measured.errors.undecided:
            rows.append((*head, "?", f"{measured.errors.undecided:,}", "undecided", "", "", "", lost))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    right = (4, 5)
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(cells) + " |")
    rule = ["-" * (width - 1) + (":" if column in right else "-") for column, width in enumerate(widths)]
    return "\n".join([lines[0], "| " + " | ".join(rule) + " |", *lines[1:]])


def record(activation: Activation, measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Return a JSON object: formula, versions, and each measurement with its largest errors and its bins over x."""
    return {
        "schema": 1,
        "name": activation.name,
        "formula": str(activation.expr),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "machine": platform.machine(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "bin_edges": bin_edges().tolist(),
        "histogram_ends": list(HISTOGRAM),
        "measurements": [entry(measured) for measured in measurements],
    }


def entry(measured: Measurement) -> dict[str, Any]:
    """Return what JSON keeps of one measurement."""
    errors = measured.errors
    classes = {
        name: {
            "inputs": largest.count,
            "error": largest.error,
            "unit": _UNITS[name],
            "at": largest.at,
            "at_hex": None if largest.at is None else largest.at.hex(),
        }
        for name, largest in errors.classes.items()
    }
    return {
        "order": measured.order,
        "target": measured.target,
        "format": measured.format,
        "every_input": measured.every,
        "classes": classes,
        "nan_or_inf": errors.lost,
        "nan_or_inf_at": errors.lost_at,
        "undecided": errors.undecided,
        "truth_checked": measured.checked,
        "truth_tightness": measured.tightness,
        "histogram": errors.histogram.tolist(),
        "bins": [None if error < 0 else float(f"{error:.4g}") for error in errors.bins.tolist()],
    }


def shortest(x: float, format: str) -> str:
    """Return the fewest digits that give the number back in its format (float32's for the 16-bit ones)."""
    return repr(x) if format == "float64" else str(numpy.float32(x))


def short_hex(x: float) -> str:
    """Return the hexadecimal form without trailing zeros: -0x1.5d8p+6."""
    mantissa, exponent = x.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"


def _rounded(error: float) -> str:
    return f"{error:.3f}" if error < 1000 else f"{error:.3g}"
