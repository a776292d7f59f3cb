"""The accuracy of an activation: every derivative, target and number format asked for, against the truth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cosnb.accuracy import points, targets
from cosnb.accuracy.errors import Errors
from cosnb.accuracy.truth import Truth
from cosnb.activations import Activation
from cosnb.errors import CosnbError

QUICK, FULL = 1 << 18, 1 << 24  # float32 inputs
_EXACT_QUICK, _EXACT_FULL = 1 << 12, 1 << 16  # float64 inputs, each decided by mpmath in about 0.2 ms
_CHECKED = 2000
# A float64 tensor of 0.5 MiB stays in a CPU's cache; of 32 MiB, and CoS″ holds 300 of them, keeps a GPU busy.
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 22}


@dataclass(frozen=True)
class Measurement:
    """The errors of one derivative in one target and format, and the check of the true values.

    `checked`: how many inputs were also computed in mpmath, the worst ones among them; the true values from float64
    erred there by at most `tightness` times their bound. `every`: whether all numbers of the format were inputs, or
    every stride-th.
    """

    order: int
    target: str
    format: str
    errors: Errors
    checked: int
    tightness: float
    every: bool


def measure(
    activation: Activation,
    target_names: Sequence[str] = (),
    formats: Sequence[str] = (),
    orders: Sequence[int] = (0, 1, 2),
    full: bool = False,
    progress: Callable[[str], None] = lambda line: None,
    stride: int | None = None,
) -> list[Measurement]:
    """Return measurements by order, format and target; by default all targets available here and all formats.

    Inputs: every number of a 16-bit format; of float32 2¹⁸, with `full` 2²⁴, on CUDA every number, and with `stride`
    every stride-th one on each device; of float64 2¹², with `full` 2¹⁶. `progress` is called with a line of text after
    each.
    """
    chosen = tuple(target_names) or targets.available(full)
    names = tuple(formats) or tuple(targets.FORMATS)
    _check_names(chosen, names)
    measurements = []
    for order in orders:
        if any(target in targets.COMPILED for target in chosen):
            torch.compiler.reset()  # one code is compiled at most 8 times
        truth = Truth(activation.derivative(order), activation.x)
        for name in names:
            for device in ("cpu", "cuda"):
                there = [
                    t for t in chosen if targets.device(t) == device and targets.supports(t, targets.FORMATS[name])
                ]
                if there:
                    progress(f"f{chr(8242) * order}, {name}, {', '.join(there)}")
                    functions = {target: targets.function(activation, target, order) for target in there}
                    measurements += _measure(activation, truth, order, name, functions, device, full, stride)
    return measurements


def _check_names(target_names: Sequence[str], formats: Sequence[str]) -> None:
    for name in formats:
        if name not in targets.FORMATS:
            raise CosnbError(f"unknown format {name!r}: the formats are {', '.join(targets.FORMATS)}")
    runs_here = targets.available(True)
    for target in target_names:
        if target not in runs_here:
            raise CosnbError(f"the target {target!r} does not run here: those that do are {', '.join(runs_here)}")


def measure_own(
    activation: Activation, formats: Sequence[str] = ("bfloat16",), orders: Sequence[Literal[0, 1]] = (0, 1)
) -> list[Measurement]:
    """Return measurements of the code that runs on a CPU (C where there is a compiler) and of PyTorch's own, "own".

    The inputs are those of `measure`. Raises CosnbError where torch.nn has no such function.
    """
    own, ours = targets.own(activation), targets.available()[0]
    measurements = []
    for order in orders:
        truth = Truth(activation.derivative(order), activation.x)
        both = {ours: targets.function(activation, ours, order), "own": own[order]}
        for name in formats:
            measurements += _measure(activation, truth, order, name, both, "cpu", False)
    return measurements


def _measure(
    activation: Activation,
    truth: Truth,
    order: int,
    name: str,
    functions: Mapping[str, Callable[[Tensor], Tensor]],
    device: str,
    full: bool,
    stride: int | None = None,
) -> list[Measurement]:
    dtype = targets.FORMATS[name]
    exactly = dtype == torch.float64
    if dtype != torch.float32:
        stride = None if exactly else 1
    elif stride is None and full and device == "cuda":
        stride = 1
    errors = {target: Errors(dtype) for target in functions}
    for x in _inputs(activation, truth, order, dtype, device, stride, full):
        ball, scale = truth.balls(x.double())
        for target, function in functions.items():
            errors[target].add(x, function(x), ball, scale, exactly)
    spread = () if exactly else _check(truth, _spread(dtype), device)
    result = []
    for target, found in errors.items():
        found.decide(truth)
        worst = [largest.at for largest in found.classes.values() if largest.at is not None]
        offs = () if exactly else (*spread, *_check(truth, torch.tensor(worst, dtype=torch.float64), device))
        result.append(Measurement(order, target, name, found, len(offs), max(offs, default=0.0), stride == 1))
    return result


def _inputs(
    activation: Activation, truth: Truth, order: int, dtype: torch.dtype, device: str, stride: int | None, full: bool
) -> Iterator[Tensor]:
    if stride:
        yield from points.every(dtype, device, _CHUNK[device], stride)
        return
    single = dtype != torch.float64
    count = (FULL if full else QUICK) if single else (_EXACT_FULL if full else _EXACT_QUICK)
    programs = [activation.program(order)]
    yield from points.sample(truth, programs, dtype, count).to(device).split(_CHUNK[device])


def _spread(dtype: torch.dtype) -> Tensor:
    """Return 2,000 inputs over all of the format's order and around 0, float64."""
    last = points.ordinal(torch.tensor([torch.finfo(dtype).max], dtype=dtype))
    generator = torch.Generator().manual_seed(1)
    everywhere = (torch.rand(_CHECKED // 2, generator=generator) * 2 - 1).double().mul(last).long()
    near = (torch.randn(_CHECKED // 2, generator=generator) * 6).to(dtype)
    return torch.cat([points.number(everywhere, dtype).double(), near.double()])


def _check(truth: Truth, x: Tensor, device: str) -> tuple[float, ...]:
    """Hold the float64 truth, as worked out on a device, against mpmath at float64 points.

    Return how much of its bound the truth is off by at each, 0 where it has none; raise CosnbError where that is
    broken.
    """
    ball, _ = truth.balls(x.to(device))
    offs = []
    for point, value, bound in zip(x.tolist(), ball.value.tolist(), ball.error.tolist(), strict=True):
        off = float(abs(truth.exact(point).value - value)) if bound < float("inf") else 0.0
        if off > bound:
            raise CosnbError(f"the float64 truth is off by {off:.3g} at {point!r}, its bound is {bound:.3g}")
        offs.append(off / bound if off else 0.0)
    return tuple(offs)
