"""Minimax polynomials for the C target's elementary functions, rounded to float or double coefficient by coefficient.

`python -m tools.minimax` prints coefficients.json, the table that cosnb.codegen.elementary reads; it takes
minutes, so nothing calls it at run time. `python -m tools.minimax log atan` prints only those, for trying out.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mpmath
from mpmath import mpf

Real = Callable[[mpf], mpf]
DIGITS = {"float": 24, "double": 53}
# Powers up to x^22 of points near 0 make the exchange's equations ill-conditioned.
_WORKING_DIGITS = 100
# Grid points between two extrema of the error: the true maximum exceeds the grid's by less than 1 %.
_DENSITY = 16


@dataclass(frozen=True)
class Fit:
    """Specification of a weighted minimax fit to `function` on [low, high]: weight(x)·|error| is minimised.

    `terms`: number of coefficients for each dtype that needs the polynomial.
    """

    function: Real
    weight: Real
    low: float
    high: float
    terms: dict[str, int]


def fit(spec: Fit, dtype: str) -> tuple[list[float], float]:
    """Return the coefficients, lowest power first, each a number of `dtype`, and the largest weighted error.

    Remez exchange on a Chebyshev grid. The lowest coefficient is rounded, then the rest is fitted anew to what
    remains, and so on, so that each takes up the rounding errors of those before it.
    """
    count = spec.terms[dtype]
    with mpmath.workdps(_WORKING_DIGITS):
        grid = _grid(spec.low, spec.high, _DENSITY * (count + 1))
        rest = [spec.function(x) for x in grid]
        weight = [abs(spec.weight(x)) for x in grid]
        coefficients: list[float] = []
        for free in range(count, 0, -1):
            lowest = float(_round(_exchange(grid, rest, weight, free)[0], DIGITS[dtype]))
            coefficients.append(lowest)
            # Divided by x, what remains is again a polynomial's task; the weight pays for the division.
            rest = [(value - lowest) / x for value, x in zip(rest, grid, strict=True)]
            weight = [w * abs(x) for w, x in zip(weight, grid, strict=True)]
        return coefficients, float(max(w * abs(value) for w, value in zip(weight, rest, strict=True)))


def _grid(low: float, high: float, count: int) -> list[mpf]:
    centre, half = (mpf(high) + low) / 2, (mpf(high) - low) / 2
    points = [centre - half * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    return [x for x in points if x != 0]


def _exchange(grid: Sequence[mpf], target: Sequence[mpf], weight: Sequence[mpf], count: int) -> list[mpf]:
    """Return `count` coefficients of the polynomial with the least largest weight·|target − polynomial| on `grid`."""
    last = len(grid) - 1
    chosen = [round(last * (1 - float(mpmath.cos(mpmath.pi * i / count))) / 2) for i in range(count + 1)]
    if len(set(chosen)) <= count:
        chosen = [round(last * i / count) for i in range(count + 1)]
    while True:
        rows = [[weight[i] * grid[i] ** k for k in range(count)] + [(-1) ** j] for j, i in enumerate(chosen)]
        values = [weight[i] * target[i] for i in chosen]
        solution = list(mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(values)))
        coefficients, level = solution[:count], abs(solution[count])
        errors = [
            w * (value - mpmath.polyval(coefficients[::-1], x))
            for x, value, w in zip(grid, target, weight, strict=True)
        ]
        if max(map(abs, errors)) <= level * (1 + mpf(10) ** -9):
            return coefficients
        chosen = _alternating_peaks(errors, count + 1)


def _alternating_peaks(errors: Sequence[mpf], count: int) -> list[int]:
    """Return the places of `count` extrema of alternating sign, the largest among them."""
    peaks: list[int] = []
    for i, error in enumerate(errors):
        if peaks and (error > 0) == (errors[peaks[-1]] > 0):
            if abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        else:
            peaks.append(i)
    # The smallest goes, with the smaller of its neighbours so that signs alternate still: no kept one is below the old
    # level, which therefore never falls.
    while len(peaks) > count:
        sizes = [abs(errors[i]) for i in peaks]
        if len(peaks) == count + 1:
            del peaks[0 if sizes[0] < sizes[-1] else -1]
            continue
        least = sizes.index(min(sizes))
        del peaks[least]
        if 0 < least < len(peaks):
            del peaks[least if sizes[least + 1] < sizes[least - 1] else least - 1]
    return peaks


def _round(value: mpf, digits: int) -> mpf:
    with mpmath.workprec(digits):
        return +value


def _remainder(function: Real, *leading: float) -> Real:
    """Return (function(x) − leading terms) / x^(their number), without cancellation's loss near 0."""

    def rest(x: mpf) -> mpf:
        with mpmath.extradps(60):
            return (function(x) - sum(c * x**k for k, c in enumerate(leading))) / x ** len(leading)

    return rest


def _of_square(function: Real) -> Real:
    """Return z ↦ function(√z)."""
    return lambda z: function(mpmath.sqrt(z))


def _scaled_erfc(centre: int) -> Real:
    """Return t ↦ (a + centre)·e^(a²)·erfc(a), where t = (a − centre)/(a + centre)."""

    def scaled(t: mpf) -> mpf:
        a = centre * (1 + t) / (1 - t)
        return (a + centre) * mpmath.exp(a * a) * mpmath.erfc(a)

    return scaled


FITS: dict[str, Fit] = {
    # e^r = 1 + r + r²·q(r) for |r| ≤ ln 2 / 2, relative to e^r − 1
    "exp": Fit(
        _remainder(mpmath.exp, 1, 1),
        lambda r: r**2 / mpmath.expm1(r),
        -0.3466,
        0.3466,
        {"float": 5, "double": 10},
    ),
    # log(1 + t) = t + t²·q(t)
    "log1p_unit": Fit(
        _remainder(mpmath.log1p, 0, 1),
        lambda t: t**2 / mpmath.log1p(t),
        0.0,
        1.0,
        {"float": 9, "double": 20},
    ),
    # log(1 + f) = f − f²/2 + f³·q(f)
    "log": Fit(
        _remainder(mpmath.log1p, 0, 1, -0.5),
        lambda f: f**3 / mpmath.log1p(f),
        -0.3334,
        0.3334,
        {"float": 8, "double": 19},
    ),
    # 2·atanh(s) = 2s + s³·q(s²), s = (m − 1)/(m + 1), 2/3 ≤ m < 4/3
    "atanh": Fit(
        _of_square(lambda s: _remainder(lambda r: 2 * mpmath.atanh(r), 0, 2, 0)(s)),
        _of_square(lambda s: s**3 / (2 * mpmath.atanh(s))),
        0.0,
        0.0401,
        {"float": 4, "double": 9},
    ),
    # m^(−1/3), the first guess of the cube root
    "reciprocal_cbrt": Fit(
        lambda m: m ** (-mpf(1) / 3), lambda m: mpmath.cbrt(m), 0.25, 2.0, {"float": 5, "double": 9}
    ),
    # erf(x) = x + x·q(x²)
    "erf": Fit(
        _of_square(lambda x: mpmath.erf(x) / x - 1),
        _of_square(lambda x: x / mpmath.erf(x)),
        0.0,
        1.0,
        {"float": 7, "double": 14},
    ),
    # erf(a) = 1 − q(a − 2.5) for 1 ≤ a ≤ 4
    "erf_tail": Fit(lambda d: mpmath.erfc(d + 2.5), lambda d: mpf(1), -1.5, 1.5, {"float": 16}),
    # erfc(a) = e^(−a²)·q(t)/(a + c), t = (a − c)/(a + c); c = 2 for a ≤ 10.2 (float), 4 for a ≤ 27.3 (double)
    "erfc_float": Fit(_scaled_erfc(2), lambda t: 1 / _scaled_erfc(2)(t), -1.0, 0.6722, {"float": 12}),
    "erfc_double": Fit(_scaled_erfc(4), lambda t: 1 / _scaled_erfc(4)(t), -1.0, 0.7445, {"double": 25}),
    # sin(r) = r + r³·q(r²), cos(r) = 1 − r²/2 + r⁴·q(r²), |r| ≤ π/4
    "sin": Fit(
        _of_square(lambda r: _remainder(mpmath.sin, 0, 1, 0)(r)),
        _of_square(lambda r: r**3 / mpmath.sin(r)),
        0.0,
        0.6169,
        {"float": 3, "double": 6},
    ),
    "cos": Fit(
        _of_square(lambda r: _remainder(mpmath.cos, 1, 0, -0.5, 0)(r)),
        _of_square(lambda r: r**4 / mpmath.cos(r)),
        0.0,
        0.6169,
        {"float": 3, "double": 6},
    ),
    # atan(t) = t + t³·q(t²)
    "atan": Fit(
        _of_square(lambda t: _remainder(mpmath.atan, 0, 1, 0)(t)),
        _of_square(lambda t: t**3 / mpmath.atan(t)),
        0.0,
        1.0,
        {"float": 9, "double": 20},
    ),
}


def table(names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Return {dtype: {name: coefficients as C99 hexadecimal floats}}."""
    result: dict[str, dict[str, list[str]]] = {dtype: {} for dtype in DIGITS}
    for name in names:
        for dtype in FITS[name].terms:
            coefficients, error = fit(FITS[name], dtype)
            print(f"{dtype} {name}: largest error {error:.2g}", file=sys.stderr)
            result[dtype][name] = [c.hex() for c in coefficients]
    return result


if __name__ == "__main__":
    print(json.dumps(table(sys.argv[1:] or list(FITS)), indent=1))
