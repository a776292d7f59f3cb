"""The zeros of a(t)·y + b(t), t = e^(−rate·y), on an interval of y ≥ 0, counted with certainty.

Interval Newton: a box of y is dropped where the interval of values leaves 0 out; where the interval of the derivative
does, the function is monotonic and the signs at the two ends say whether there is one zero or none; every other box is
cut in two. Next to y = 0 the first derivative that does not vanish there, an exact number, decides. Beyond R the
leading term in t outweighs all others.
"""

from dataclasses import dataclass
from typing import Any

import mpmath
import sympy
from mpmath import iv, mp

from cosnb.analysis.exponentials import ExpSum, poly

MAX_BOXES = 4000
_BITS = 64
_FINE_BITS = 200
_CUT = 0.4871943  # no simple fraction: a zero at a simple fraction is then no end of a box
_DIGITS = 40


class Uncertified(Exception):  # noqa: N818  (no mistake: the caller goes another way)
    """The count could not be certified within the limits."""


@dataclass(frozen=True)
class Isolation:
    """The zeros in the open interval, ascending to 40 digits and each simple, and what it took to find them.

    `signs` are the signs between them, one more than zeros. `multiplicity` is that of the zero at y = 0.
    """

    zeros: tuple[mpmath.mpf, ...]
    signs: tuple[int, ...]
    multiplicity: int
    radius: float
    boxes: int


class _Evaluation:
    """Values of an ExpSum with whole coefficients (see `_whole`) as intervals of mpmath."""

    def __init__(self, f: ExpSum) -> None:
        assert _scale(f) == 1
        self.a, self.b = ([int(c) for c in p.all_coeffs()] for p in (f.a, f.b))
        self.rate = f.rate

    def __call__(self, y: Any) -> Any:
        decay = iv.exp(-y * int(self.rate.p) / int(self.rate.q))
        return _horner(self.a, decay) * y + _horner(self.b, decay)

    def sign(self, y: Any) -> int:
        """Return the sign at a number, 0 where 200 bits do not tell."""
        for bits in (_BITS, _FINE_BITS):
            with _precision(bits):
                value = self(iv.mpf(y))
            if 0 not in value:
                return 1 if value.a > 0 else -1
        return 0


def _scale(f: ExpSum) -> int:
    return int(sympy.ilcm(1, *(c.q for p in (f.a, f.b) for c in p.all_coeffs())))


def _whole(f: ExpSum) -> ExpSum:
    """Return a positive multiple of `f` with whole coefficients: exact in every precision."""
    return f.times(poly(_scale(f)))


def _horner(coefficients: list[int], at: Any) -> Any:
    value = iv.mpf(coefficients[0])
    for c in coefficients[1:]:
        value = value * at + c if c else value * at
    return value


class _precision:  # noqa: N801  (used as a function)
    """iv's precision for a while; iv.workprec would set that of mp."""

    def __init__(self, bits: int) -> None:
        self.bits = bits

    def __enter__(self) -> None:
        self.before, iv.prec = iv.prec, self.bits

    def __exit__(self, *_: object) -> None:
        iv.prec = self.before


def isolate(f: ExpSum, low: float = 0.0, high: float | None = None, max_boxes: int = MAX_BOXES) -> Isolation:
    """Isolate the zeros of `f`, not the zero function, in low < y < high (None: ∞), 0 ≤ low.

    Raises Uncertified where more than `max_boxes` boxes are needed or a zero is no simple one (except at 0).
    """
    f = f.stripped()
    f = f.times(poly(int(sympy.ilcm(_scale(f), _scale(f.derivative())))))  # one factor for both
    value, slope = _Evaluation(f), _Evaluation(f.derivative())
    radius = _radius(f) if high is None else high
    multiplicity, start = _clear_zero(f, radius) if low == 0 else (0, low)
    if start >= radius:
        return Isolation((), (value.sign(start),), multiplicity, radius, 1)
    brackets: list[tuple[float, float]] = []
    boxes, stack = 0, [(start, radius)]
    with _precision(_BITS):
        while stack:
            left, right = stack.pop()
            boxes += 1
            if boxes > max_boxes or right - left < 1e-13 * right:
                raise Uncertified(f"no certain count within {boxes} boxes")
            box = iv.mpf([left, right])
            if 0 not in value(box):
                continue
            change = slope(box)
            middle = left + _CUT * (right - left)
            if 0 not in value(iv.mpf(middle)) + change * (box - middle):
                continue
            if 0 in change:
                stack += [(middle, right), (left, middle)]
            else:
                ends = (value.sign(left), value.sign(right))
                if 0 in ends:
                    raise Uncertified("an end of a box may be a zero")
                if ends[0] != ends[1]:
                    brackets.append((left, right))
    zeros = tuple(_refine(f, value, *bracket) for bracket in sorted(brackets))
    first = value.sign(start)
    if first == 0:
        raise Uncertified("the lower end may be a zero")
    return Isolation(zeros, tuple(first * (-1) ** i for i in range(len(zeros) + 1)), multiplicity, radius, boxes)


def _radius(f: ExpSum) -> float:
    """Return R such that the terms without t outweigh all others for y ≥ R: their sum keeps its sign there.

    |a₀y + b₀| grows beyond its zero, and (|aₖ|y + |bₖ|)·tᵏ falls for y ≥ 1/rate: one comparison, at R, is enough.
    """
    head = [abs(p.eval(0)) for p in (f.a, f.b)]
    root = head[1] / head[0] if head[0] else 0
    tail = _Evaluation(ExpSum(_absolute(f.a), _absolute(f.b), f.rate))
    radius = 1.03125 * max(1, float(1 / f.rate), 2 * float(root))
    with _precision(_BITS):
        for _ in range(40):
            y = iv.mpf(radius)
            lead = int(head[0]) * y - int(head[1]) if head[0] else iv.mpf(int(head[1]))
            whole = int(head[0]) * y + int(head[1])
            if lead.a > (tail(y) - whole).b:
                return radius
            radius *= 1.25
    raise Uncertified("no radius beyond which the leading term decides")


def _absolute(p: sympy.Poly) -> sympy.Poly:
    return sympy.Poly([abs(c) for c in p.all_coeffs()], *p.gens, domain=sympy.QQ)


def _clear_zero(f: ExpSum, radius: float) -> tuple[int, float]:
    """Return the multiplicity of the zero at y = 0 and a δ such that there is no other in (0, δ].

    With f = f′ = … = 0 at 0 up to the (m−1)-th derivative, f(y) = f⁽ᵐ⁾(ξ)·yᵐ/m! for a ξ in (0, y).
    """
    multiplicity = 0
    while f.at_zero() == 0:
        f, multiplicity = f.derivative(), multiplicity + 1
        if multiplicity > 50:
            raise Uncertified("a zero at 0 of a multiplicity above 50")
    value, delta = _Evaluation(_whole(f)), radius
    with _precision(_BITS):
        while 0 in value(iv.mpf([0, delta])):
            delta *= _CUT
            if delta < 1e-12:
                raise Uncertified("no clear neighbourhood of 0")
    return multiplicity, delta


def _refine(f: ExpSum, value: _Evaluation, left: float, right: float) -> mpmath.mpf:
    """Return the zero between `left` and `right` to 40 digits, certified by a change of sign around it."""
    rate, (a, b) = f.rate, (p.all_coeffs() for p in (f.a, f.b))
    with mp.workdps(_DIGITS + 15):
        a, b = ([mp.mpf(int(c.p)) / int(c.q) for c in p] for p in (a, b))

        def at(y: Any) -> Any:
            decay = mp.exp(-y * int(rate.p) / int(rate.q))
            return mp.polyval(a, decay) * y + mp.polyval(b, decay)

        zero = mp.findroot(at, (left, right), solver="anderson", verify=False)
        width = abs(zero) * mp.mpf(10) ** -_DIGITS
        if not left <= zero <= right or value.sign(zero - width) * value.sign(zero + width) != -1:
            raise Uncertified("a zero could not be refined")
        return zero
