"""Accuracy section of a report: measurements in bounded time, and a list of those left out."""

import math
import time

import torch

from cosnb import accuracy
from cosnb.accuracy import points, targets
from cosnb.accuracy.errors import Errors
from cosnb.accuracy.measure import QUICK, Measurement
from cosnb.accuracy.pointwise import largest_errors
from cosnb.accuracy.report import shortest
from cosnb.accuracy.truth import Truth
from cosnb.activations import Activation
from cosnb.book.report.sections import TITLES
from cosnb.codegen.sources import mark
from cosnb.display import Markdown, Table
from cosnb.errors import CosnbError

SECONDS = 8.0  # of the processor, for one derivative in one format
_INPUTS = {"bfloat16": 65_280, "float16": 63_488, "float32": QUICK}
_TRIED = 8
_HEAD = ["", "code", "format", "inputs", "largest error (ulp)", "at x", "near cancellation (ulp of a term)"]
_HEAD += ["subnormal results (steps)", "lost"]


def error_table(act: Activation, orders: tuple[int, ...] = (0, 1), seconds: float = SECONDS) -> Markdown:
    """Return the largest errors of the code that runs here, each format in bounded time.

    bfloat16 and float16 at every number, float32 at 2¹⁸. Where float64 cannot vouch for the truth mpmath has to, and
    where that would take more than `seconds`, float32 is measured at 2,017 points and the rest named as left out.
    """
    chosen = ("c", "pytorch") if "c" in targets.available() else ("pytorch",)
    rows, left = [], []
    for order in orders:
        try:
            truth = Truth(act.derivative(order), act.x)
            share, cost = _open(truth)
            fits = [name for name, inputs in _INPUTS.items() if share * inputs * cost * len(chosen) <= seconds]
            if fits:
                rows += [_row(found) for found in accuracy.measure(act, chosen, fits, (order,))]
            if "float32" not in fits:
                rows += [_sampled(act, target, order) for target in chosen]
            if missing := [name for name in _INPUTS if name not in fits]:
                left.append(f"{mark(order)} over all of {', '.join(missing)}: mpmath would need minutes")
        except (CosnbError, ArithmeticError, ValueError) as error:
            left.append(f"{mark(order)}: {str(error).splitlines()[0].rstrip('.')}")
    text = Table(_HEAD, rows)._repr_markdown_() if rows else ""
    return Markdown(text + (f"\n\nLeft out: {'; '.join(left)}." if left else ""))


def _open(truth: Truth) -> tuple[float, float]:
    """Return the share of inputs where float64 is not sure of a float32 result, and mpmath's seconds for one."""
    x = torch.cat([part.double() for part in points.every(torch.bfloat16)])
    ball, _ = truth.balls(x)
    unit = (ball.value.abs() * 2.0**-24).clamp_min(2.0**-149)
    unsure = ~(ball.error <= 2.0**-8 * unit)
    there = x[unsure]
    if not len(there):
        return 0.0, 0.0
    start = time.process_time()
    tried = there[:: math.ceil(len(there) / _TRIED)].tolist()
    for point in tried:
        truth.exact(point)
    return len(there) / len(x), (time.process_time() - start) / len(tried)


def _row(found: Measurement) -> list[object]:
    inputs = sum(one.count for one in found.errors.classes.values())
    size = f"{inputs:,}{' (all)' * found.every}"
    return [mark(found.order), TITLES[found.target], found.format, size, *_cells(found.errors, found.format)]


def _sampled(act: Activation, target: str, order: int) -> list[object]:
    """Return the row of float32 at the 2,017 points of `points.grid`."""
    x = points.grid()
    found = largest_errors(targets.function(act, target, order), act.derivative(order), act.x, x)
    return [mark(order), TITLES[target], "float32", f"{len(x):,}", *_cells(found, "float32")]


def _cells(found: Errors, format: str) -> list[object]:
    at = found.classes["1"].at
    place = "" if at is None else shortest(at, format).replace("-", "−")
    first, *others = [f"{one.error:.3f}" if one.count else None for one in found.classes.values()]
    return [first, place, *others, str(found.lost)]
