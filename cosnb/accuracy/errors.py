"""Errors of one target in one format, collected in pieces: the largest of each class and of each stretch of x.

The unit is one ulp of the true value where that is at least 2⁻⁶ of its largest term (class 1), else one ulp of that
term (class 2); where this place lies below the smallest normal number, it is the step of the subnormals.
"""

import math
from dataclasses import dataclass, field

import mpmath
import torch
from mpmath import mp, mpf
from torch import Tensor

from cosnb.accuracy.balls import Ball
from cosnb.accuracy.truth import Exact, Truth

CLASSES = ("1", "2", "subnormal")
SHARE = 2.0**-6
_SURE = 2.0**-8  # ulp: where float64's own error may be more, mpmath decides
_DECIDED = 1 << 17  # points at most that mpmath decides, 0.2 ms each
_BINS_PER_OCTAVE = 8
_OCTAVES = (-40, 16)  # of |x| in the plot's bins; the outermost bins hold what lies beyond
BINS = (_OCTAVES[1] - _OCTAVES[0]) * _BINS_PER_OCTAVE
HISTOGRAM = (*(step / 8 for step in range(1, 33)), *(2.0**power for power in range(3, 25)))  # units, upper ends
_ROW = 256  # neighbouring inputs that nearly always share a bin


@dataclass
class Largest:
    """The largest error of a class in its unit, the input where it occurs, and the number of inputs in the class."""

    count: int = 0
    error: float = 0.0
    at: float | None = None

    def update(self, error: float, at: float) -> None:
        """Take in the error at one input."""
        if self.at is None or error > self.error:
            self.error, self.at = error, at


@dataclass
class Errors:
    """The errors found by `add` and `decide`.

    `lost`: how many finite true values came out as NaN or infinite; `lost_at`: the first of these inputs. `undecided`:
    how many inputs have a true value that neither float64 nor mpmath in its share of the time could settle; 0 except
    for unusual formulas. `bins`: the largest error (ulp) for each stretch of x by |x|, negative x first; −1 without an
    input. `histogram`: the number of inputs whose error is at most an entry of HISTOGRAM and above the one before it;
    the last number counts those above all entries. Where the error of float64 itself decides, its bound is counted.
    """

    dtype: torch.dtype
    classes: dict[str, Largest] = field(default_factory=lambda: {name: Largest() for name in CLASSES})
    lost: int = 0
    lost_at: float | None = None
    undecided: int = 0
    bins: Tensor = field(default_factory=lambda: torch.full((2 * BINS,), -1.0, dtype=torch.float64))
    histogram: Tensor = field(default_factory=lambda: torch.zeros(len(HISTOGRAM) + 1, dtype=torch.int64))
    _open: list[tuple[Tensor, Tensor, Tensor, Tensor]] = field(default_factory=list)

    def add(self, x: Tensor, got: Tensor, truth: Ball, scale: Tensor, exactly: bool = False) -> None:
        """Take in f(x) as computed, beside the truth in float64; `exactly` leaves all to mpmath."""
        info = torch.finfo(self.dtype)
        x, got = x.double(), got.double()
        base = torch.where(truth.value.abs() >= SHARE * scale, truth.value.abs(), scale)
        kind = torch.where(base < info.tiny, 2, torch.where(truth.value.abs() >= SHARE * scale, 0, 1))
        unit = _units(base, info)
        error, slack = (got - truth.value).abs() / unit, truth.error / unit
        sure = torch.zeros_like(slack, dtype=torch.bool) if exactly else slack <= _SURE
        overflow = sure & (truth.value.abs() >= float(_threshold(info))) & (got == truth.value.sign() * math.inf)
        wrong = sure & ~got.isfinite() & ~overflow
        self._lose(x[wrong])
        fine = sure & got.isfinite()
        for index, name in enumerate(CLASSES):
            member = (kind == index) & fine
            largest = self.classes[name]
            largest.count += int(member.sum())
            if member.any():
                place = int(torch.where(member, error, -1.0).argmax())
                largest.update(float(error[place]), float(x[place]))
        if fine.all():
            self._bin(x, error)
        elif fine.any():
            self._bin(x[fine], error[fine])
        if not sure.all():
            upper = torch.where(got.isfinite() & slack.isfinite() & (slack < 1e6), error + slack, math.inf)
            self._open.append(tuple(v[~sure].cpu() for v in (x, got, upper, kind)))  # type: ignore[arg-type]

    def decide(self, truth: Truth) -> None:
        """Settle by mpmath the inputs that float64 left open, as far as they may change a largest error."""
        if not self._open:
            return
        x, got, upper, kind = (torch.cat(parts) for parts in zip(*self._open, strict=True))
        self._open = []
        order = upper.argsort(descending=True, stable=True)
        for done, index in enumerate(order.tolist()):
            largest = self.classes[CLASSES[int(kind[index])]]
            if largest.at is not None and upper[index] <= largest.error:
                largest.count += 1
                self._count(upper[index : index + 1])
            elif done >= _DECIDED:
                self.undecided += 1
            else:
                self.take(float(x[index]), float(got[index]), truth.exact(float(x[index])))

    def take(self, x: float, got: float, exact: Exact) -> None:
        """Take in one value beside the exact one."""
        if not math.isfinite(got):
            overflows = abs(exact.value) >= _threshold(torch.finfo(self.dtype))
            if not (overflows and got == mpmath.sign(exact.value) * math.inf):
                self._lose(torch.tensor([x], dtype=torch.float64))
            return
        name, error = settle(got, exact.value, exact.scale, self.dtype)
        self.classes[name].count += 1
        self.classes[name].update(error, x)
        self._bin(torch.tensor([x], dtype=torch.float64), torch.tensor([error], dtype=torch.float64))

    def _lose(self, x: Tensor) -> None:
        self.lost += len(x)
        if len(x) and self.lost_at is None:
            self.lost_at = float(x[0])

    def _bin(self, x: Tensor, error: Tensor) -> None:
        self._count(error)
        place = ((x.abs().log2() - _OCTAVES[0]) * _BINS_PER_OCTAVE).floor().clamp(0, BINS - 1).long()
        place = torch.where(x < 0, place, place + BINS)
        largest = torch.full((2 * BINS,), -1.0, dtype=torch.float64, device=x.device)
        # On CUDA all threads would wait for the few bins of neighbouring inputs: a row in one bin goes there as one.
        whole = len(x) // _ROW * _ROW
        places, rows = (part[:whole].view(whole // _ROW, _ROW) for part in (place, error))
        low, high = places.amin(1), places.amax(1)
        one = low == high
        largest.scatter_reduce_(0, low[one], rows.amax(1)[one], "amax")
        largest.scatter_reduce_(0, places[~one].flatten(), rows[~one].flatten(), "amax")
        largest.scatter_reduce_(0, place[whole:], error[whole:], "amax")
        self.bins = torch.maximum(self.bins, largest.cpu())

    def _count(self, error: Tensor) -> None:
        edges = torch.tensor(HISTOGRAM, dtype=torch.float64, device=error.device)
        self.histogram += torch.bincount(torch.bucketize(error, edges), minlength=len(HISTOGRAM) + 1).cpu()


def bin_edges() -> Tensor:
    """Return the lower ends of |x| of the bins of one sign; the first bin also holds all that is smaller."""
    return torch.exp2(_OCTAVES[0] + torch.arange(BINS, dtype=torch.float64) / _BINS_PER_OCTAVE)


def settle(got: float, value: mpf, scale: mpf, dtype: torch.dtype) -> tuple[str, float]:
    """Return the class of one result and its error in that class's unit, from the exact value and largest term."""
    info = torch.finfo(dtype)
    in_first = abs(value) >= SHARE * scale
    base = abs(value) if in_first else scale
    name = "subnormal" if base < info.tiny else "1" if in_first else "2"
    unit = mpf(info.tiny) * mpf(info.eps)
    if base >= info.tiny:
        unit = mp.ldexp(1, mp.frexp(base)[1] - _digits(info))
    with mp.workdps(60):
        return name, float(abs(mpf(got) - value) / unit)


def _digits(info: torch.finfo) -> int:
    return 1 - round(math.log2(info.eps))  # 24 for float32


def _units(base: Tensor, info: torch.finfo) -> Tensor:
    exponent = torch.frexp(base.clamp_min(info.tiny))[1]
    return torch.ldexp(torch.ones_like(base), exponent - _digits(info)).clamp_min(info.tiny * info.eps)


def _threshold(info: torch.finfo) -> mpf:
    """Return where rounding gives inf: half a unit above the largest number."""
    return mpf(info.max) * (1 + mpf(info.eps) / 4)
