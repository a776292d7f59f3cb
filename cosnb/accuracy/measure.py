"""The accuracy of an activation: every derivative, target and number format asked for, against the truth."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from cosnb.accuracy import points, targets
from cosnb.accuracy.errors import Errors
from cosnb.accuracy.truth import Truth
from cosnb.activation import Activation
from cosnb.errors import CosnbError

QUICK, FULL = 1 << 18, 1 << 24  # float32 inputs
_EXACT_QUICK, _EXACT_FULL = 1 << 12, 1 << 16  # float64 inputs, each decided by mpmath in about 0.2 ms
_CHECKED = 2000
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 24}  # 0.5 MiB a float64 tensor stays in a CPU's cache


@dataclass(frozen=True)
class Measurement:
    """The errors of one derivative in one target and format, and how the truth was checked.

    `checked` inputs, the worst ones too, were worked out in mpmath as well; the float64 truth was off by at most
    `tightness` of its bound there. `every` says that all numbers of the format were inputs.
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
) -> list[Measurement]:
    """Return the measurements, by order, format and target; by default all targets that run here, and all formats.

    16-bit formats: every number. float32: 2¹⁸ inputs, with `full` 2²⁴, on CUDA every number; float64: 2¹² or 2¹⁶.
    """
    chosen = tuple(target_names) or targets.available(full)
    names = tuple(formats) or tuple(targets.FORMATS)
    for name in names:
        if name not in targets.FORMATS:
            raise CosnbError(f"unknown format {name!r}: the formats are {', '.join(targets.FORMATS)}")
    for target in chosen:
        if target not in targets.available(True):
            known = ", ".join(targets.available(True))
            raise CosnbError(f"the target {target!r} does not run here: those that do are {known}")
    measurements = []
    for order in orders:
        truth = Truth(activation.derivative(order), activation.x)
        for name in names:
            for device in ("cpu", "cuda"):
                there = [
                    t for t in chosen if targets.device(t) == device and targets.supports(t, targets.FORMATS[name])
                ]
                if there:
                    progress(f"f{chr(8242) * order}, {name}, {', '.join(there)}")
                    functions = {target: targets.function(activation, target, order) for target in there}
                    measurements += _measure(activation, truth, order, name, functions, device, full)
    return measurements


def measure_own(
    activation: Activation, formats: Sequence[str] = ("bfloat16",), orders: Sequence[Literal[0, 1]] = (0, 1)
) -> list[Measurement]:
    """Return the measurements of what runs here on a CPU, C where there is a compiler, and of PyTorch's own, "own".

    Inputs are those of `measure`. Raises CosnbError where torch.nn has no such function.
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
) -> list[Measurement]:
    dtype = targets.FORMATS[name]
    exactly = dtype == torch.float64
    every = dtype.itemsize == 2 or (dtype == torch.float32 and full and device == "cuda")
    errors = {target: Errors(dtype) for target in functions}
    for x in _inputs(activation, truth, order, dtype, device, every, full):
        ball, scale = truth.balls(x.double())
        for target, function in functions.items():
            errors[target].add(x, function(x), ball, scale, exactly)
    result = []
    for target in functions:
        errors[target].decide(truth)
        checked, tightness = (0, 0.0) if exactly else _check(truth, errors[target], dtype)
        result.append(Measurement(order, target, name, errors[target], checked, tightness, every))
    return result


def _inputs(
    activation: Activation, truth: Truth, order: int, dtype: torch.dtype, device: str, every: bool, full: bool
) -> Iterator[Tensor]:
    if every:
        yield from points.every(dtype, device, _CHUNK[device])
        return
    single = dtype != torch.float64
    count = (FULL if full else QUICK) if single else (_EXACT_FULL if full else _EXACT_QUICK)
    programs = [activation.program(order)]
    yield from points.sample(truth, programs, dtype, count).to(device).split(_CHUNK[device])


def _check(truth: Truth, errors: Errors, dtype: torch.dtype) -> tuple[int, float]:
    """Hold the float64 truth against mpmath; raise CosnbError where its bound is broken."""
    worst = [largest.at for largest in errors.classes.values() if largest.at is not None]
    last = points.ordinal(torch.tensor([torch.finfo(dtype).max], dtype=dtype))
    generator = torch.Generator().manual_seed(1)
    spread = points.number((torch.rand(_CHECKED // 2, generator=generator) * 2 - 1).double().mul(last).long(), dtype)
    near = (torch.randn(_CHECKED // 2, generator=generator) * 6).to(dtype)
    x = torch.cat([torch.tensor(worst, dtype=torch.float64), spread.double(), near.double()])
    ball, _ = truth.balls(x)
    tightness = 0.0
    for point, value, bound in zip(x.tolist(), ball.value.tolist(), ball.error.tolist(), strict=True):
        if not bound < float("inf"):
            continue
        off = float(abs(truth.exact(point).value - value))
        if off > bound:
            raise CosnbError(f"the float64 truth is off by {off:.3g} at {point!r}, its bound is {bound:.3g}")
        tightness = max(tightness, off / bound if bound else 0.0)
    return len(x), tightness
