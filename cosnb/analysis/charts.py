"""Zeros of a function and its signs between them: exact for polynomials, certified for normal forms, else by a scan.

The scan takes [−40, 40] in steps of 0.02: of two zeros that lie closer together it may miss both.
"""

import contextlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis import limited
from cosnb.analysis.exponentials import HalfLine
from cosnb.analysis.findings import DIGITS, How, weakest
from cosnb.analysis.intervals import Isolation, Uncertified, isolate
from cosnb.analysis.numeric import numeric
from cosnb.analysis.pieces import WORKING_DIGITS, Piece, is_null, real_roots
from cosnb.errors import CosnbError
from cosnb.symbolic.normal_form import t

_SCAN = 40
_STEPS = 50  # a unit of x
_NOISE = mpmath.mpf(10) ** -30  # what cancellation may leave of a 0 in 50-digit arithmetic
_TOUCHING = mpmath.mpf(10) ** -40
_SECONDS = 5.0
_SCAN_SECONDS = 60.0  # Phish's f″, a page long, takes 1 s


@dataclass(frozen=True)
class Place:
    """A number where the function is 0 or two pieces meet; `exact` where it is known exactly."""

    value: mpmath.mpf
    exact: sympy.Expr | None
    is_zero: bool
    is_border: bool = False


@dataclass(frozen=True)
class Chart:
    """`places` ascending; `signs`, one more, between them (0: the function is 0 on the whole interval)."""

    places: tuple[Place, ...]
    signs: tuple[int, ...]
    how: How
    reason: str

    @property
    def digits(self) -> int | None:
        return None if all(place.exact is not None for place in self.places) else DIGITS

    def zeros(self) -> tuple[Place, ...]:
        """Return the isolated zeros."""
        around = zip(self.places, self.signs, self.signs[1:], strict=False)
        return tuple(p for p, left, right in around if p.is_zero and left and right)

    def crossings(self) -> tuple[Place, ...]:
        """Return the places where the sign changes from + to − or back."""
        around = zip(self.places, self.signs, self.signs[1:], strict=False)
        return tuple(p for p, left, right in around if left * right < 0)


def chart(pieces: tuple[Piece, ...], values: dict[sympy.Expr, sympy.Expr] | None) -> Chart:
    """Return the chart of all pieces; `values` at the borders, None for a derivative, that counts as its limits."""
    parts = [_chart_piece(piece) for piece in pieces]
    places, signs = parts[0].places, parts[0].signs
    for left, right, part in zip(pieces, pieces[1:], parts[1:], strict=False):
        border = right.low
        ends = [left.at(border), right.at(border)] if values is None else [values[border]]
        with mp.workdps(WORKING_DIGITS):
            number = mpmath.mpf(sympy.N(border, WORKING_DIGITS)._to_mpmath(mp.prec))
        places = (*places, Place(number, border, all(map(is_null, ends)), True), *part.places)
        signs = signs + part.signs
    how = weakest(part.how for part in parts)
    reasons = [part.reason for part in parts if part.how == how]
    return Chart(places, signs, how, max(reasons, key=len))


def _chart_piece(piece: Piece) -> Chart:
    if piece.is_zero():
        return Chart((), (0,), "proven", "0 by algebra")
    if piece.is_rational():
        return _chart_rational(piece)
    if piece.halves is not None:
        try:
            return _chart_certified(piece, piece.halves)
        except Uncertified as why:
            found = _chart_scanned(piece)
            return replace(found, reason=f"{found.reason}; not certified: {why}")
    sign = piece.known_sign()
    return Chart((), (sign,), "proven", "the sign by the form of the formula") if sign else _chart_scanned(piece)


def _chart_rational(piece: Piece) -> Chart:
    numerator = sympy.fraction(sympy.together(piece.expr))[0]
    roots = real_roots(numerator, piece.x)
    inside = sorted((root for root in roots if piece.contains(root)), key=lambda r: r.evalf(WORKING_DIGITS))
    ends = [piece.low, *inside, piece.high]
    signs = tuple(int(sympy.sign(piece.expr.subs(piece.x, _between(*pair)))) for pair in pairwise(ends))
    with mp.workdps(WORKING_DIGITS):
        places = tuple(Place(root.evalf(WORKING_DIGITS)._to_mpmath(mp.prec), root, True) for root in inside)
    return Chart(places, signs, "proven", "roots of a polynomial")


def _between(low: sympy.Expr, high: sympy.Expr) -> sympy.Rational:
    """Return a rational number between two numbers."""
    if low == -sympy.oo and high == sympy.oo:
        return sympy.Integer(0)
    if low == -sympy.oo:
        return sympy.floor(high) - 1
    if high == sympy.oo:
        return sympy.ceiling(low) + 1
    return sympy.Rational(str(sympy.N((low + high) / 2, WORKING_DIGITS)))


def _chart_certified(piece: Piece, halves: tuple[HalfLine, HalfLine]) -> Chart:
    low, high = (_binary(end) for end in (piece.low, piece.high))
    found, isolations = [], []
    for sign, half in zip((-1, 1), halves, strict=True):
        near, far = (low, high)[::sign]
        if far is not None and sign * far <= 0:
            continue  # the piece lies on the other side of 0
        start = 0.0 if near is None or sign * near <= 0 else sign * near
        isolation = isolate(half.numerator, start, None if far is None else sign * far)
        found.append((_places(half, isolation, sign), isolation.signs[::sign]))
        isolations.append(isolation)
    places, signs = found[0]
    if len(found) == 2:
        negative, positive = found
        places, signs = _joined(negative, positive, zero=halves[0].numerator.at_zero() == 0)
    return Chart(tuple(places), signs, "certified", _certificate(low, high, isolations))


def _certificate(low: float | None, high: float | None, isolations: list[Isolation]) -> str:
    boxes, radius = sum(i.boxes for i in isolations), max(i.radius for i in isolations)
    ends = [f"{-radius:.3g}" if low is None else f"{low:.3g}", f"{radius:.3g}" if high is None else f"{high:.3g}"]
    reason = f"interval Newton on [{', '.join(ends)}], {boxes} box{'es' if boxes > 1 else ''}"
    if low is None or high is None:
        reason += "; outside it the leading term keeps its sign"
    return reason.replace("-", "−")


def _binary(end: sympy.Expr) -> float | None:
    """Return a piece's end as a float, None for ±oo; Uncertified where no float is the very number."""
    if end.is_infinite:
        return None
    if sympy.Rational(float(end)) != end:
        raise Uncertified("an end of the piece is no binary number")
    return float(end)


def _places(half: HalfLine, isolation: Isolation, sign: int) -> list[Place]:
    """Return the zeros of a half line by ascending x = sign·y."""
    exact = _exact_zeros(half, isolation)
    with mp.workdps(WORKING_DIGITS):  # else the product is rounded to a double
        places = [
            Place(sign * z, None if e is None else sign * e, True) for z, e in zip(isolation.zeros, exact, strict=True)
        ]
    return places[::sign]


_Half: TypeAlias = tuple[list[Place], tuple[int, ...]]


def _joined(negative: _Half, positive: _Half, zero: bool) -> _Half:
    """Return the places and signs of both half lines, with 0 between them where it is a `zero`."""
    if zero:
        middle = Place(mpmath.mpf(0), sympy.Integer(0), True)
        return [*negative[0], middle, *positive[0]], negative[1] + positive[1]
    if negative[1][-1] != positive[1][0]:
        raise Uncertified("the two branches differ in sign at 0")
    return negative[0] + positive[0], negative[1] + positive[1][1:]


def _exact_zeros(half: HalfLine, isolation: Isolation) -> list[sympy.Expr | None]:
    """Give each zero in y its exact value where (a·y + b)·t + (c·y + d) = 0 has one: a number or Lambert's W."""
    n = half.numerator.stripped()
    if not isolation.zeros:
        return []
    candidates = [n.exact_zero()]
    if max(p.degree() for p in (n.a, n.b) if not p.is_zero) == 1:
        z = sympy.Symbol("z", real=True)  # rate·y: with a rate like 851/500 in it SymPy takes minutes
        equation = (n.a.as_expr() * z / n.rate + n.b.as_expr()).subs(t, sympy.exp(-z))
        with contextlib.suppress(limited.TimeLimit, NotImplementedError):
            candidates += [root / n.rate for root in limited.call(sympy.solve, equation, z, seconds=_SECONDS)]
    known = [(c, c.evalf(WORKING_DIGITS)) for c in candidates if c is not None and c.is_real]
    with mp.workdps(WORKING_DIGITS):
        close = mp.mpf(10) ** -30
        return [next((c for c, v in known if abs(v._to_mpmath(mp.prec) - z) < close), None) for z in isolation.zeros]


def _chart_scanned(piece: Piece) -> Chart:
    # In the worker: e^(e^(e^40)) is a number that mpmath would fill the memory with.
    try:
        return limited.call(_scan, piece, seconds=_SCAN_SECONDS)
    except (limited.TimeLimit, MemoryError, OverflowError):
        raise CosnbError(
            f"the zeros of {piece.expr} could not be looked for within {_SCAN_SECONDS:g} s: "
            "has it exponentials of exponentials?"
        ) from None


def _scan(piece: Piece) -> Chart:
    """Look for changes of sign; a zero on the grid is found also where the sign stays.

    A zero where it touches 0 and does not change sign is found by its derivative. A run of points with values below
    1e-30 is taken for a tail that approaches 0 and holds no zero.
    """
    with mp.workdps(WORKING_DIGITS):
        low = -_SCAN if piece.low == -sympy.oo else sympy.N(piece.low, WORKING_DIGITS)._to_mpmath(mp.prec)
        high = _SCAN if piece.high == sympy.oo else sympy.N(piece.high, WORKING_DIGITS)._to_mpmath(mp.prec)
        count = max(round((high - low) * _STEPS), _STEPS)
        grid = [low + (high - low) * mp.mpf(i) / count for i in range(count + 1)]
        if piece.low.is_finite:
            grid = grid[1:]
        if piece.high.is_finite:
            grid = grid[:-1]
        values = [mp.re(piece.number(g)) for g in grid]
        signs = [int(mp.sign(v)) if abs(v) > _NOISE else 0 for v in values]
        known = [i for i, sign in enumerate(signs) if sign]
        places, between = [], [signs[i] for i in known[:1]]
        for last, i in pairwise(known):
            place = _place_between(piece, grid, values, last, i)
            if place is not None:
                places.append(place)
                between.append(signs[i])
    reason = f"scan of [{float(low):.3g}, {float(high):.3g}] in steps of 0.02, refined"
    return Chart(tuple(places), tuple(between) or (0,), "numerical", reason.replace("-", "−"))


def _place_between(piece: Piece, grid: list[mpmath.mpf], values: list[mpmath.mpf], last: int, i: int) -> Place | None:
    """Return the zero between two points of the grid whose signs are known, or at the second."""
    if i - last == 2 and values[i - 1] == 0:
        return Place(grid[i - 1], _exact_root(piece, grid[i - 1]), True)
    if values[last] * values[i] < 0:
        short = i - last <= 2
        zero = _refine(piece, grid[last], grid[i]) if short else (grid[last] + grid[i]) / 2
        return Place(zero, _exact_root(piece, zero), short, not short)
    if i < len(grid) - 1 and _dips(values, i):
        touching = _touching_zero(piece, grid[i - 1], grid[i + 1])
        return None if touching is None else Place(touching, _exact_root(piece, touching), True)
    return None


def _refine(piece: Piece, left: mpmath.mpf, right: mpmath.mpf) -> mpmath.mpf:
    """Return the zero between `left` and `right`, where the signs differ; CosnbError where it is a pole or a jump."""
    zero = mp.findroot(piece.number, (left, right), solver="anderson", verify=False)
    if abs(piece.number(zero)) > _NOISE * max(1, abs(piece.number(left)), abs(piece.number(right))):
        at = mp.nstr(zero, 6)
        raise CosnbError(f"the formula changes its sign without a zero near x = {at}: has it a pole there?")
    return zero


def _dips(values: list[mpmath.mpf], i: int) -> bool:
    """Whether |value| has a local minimum at the i-th point and the sign stays around it."""
    before, here, after = values[i - 1 : i + 2]
    return bool(before * here > 0 and here * after > 0 and abs(here) <= abs(before) and abs(here) <= abs(after))


def _touching_zero(piece: Piece, left: mpmath.mpf, right: mpmath.mpf) -> mpmath.mpf | None:
    """Return the zero between `left` and `right` where the function touches 0: one of its derivative, too."""
    slope = numeric(sympy.diff(piece.expr, piece.x), piece.x)
    if mp.re(slope(left)) * mp.re(slope(right)) >= 0:
        return None
    zero = mp.findroot(lambda z: mp.re(slope(z)), (left, right), solver="anderson", verify=False)
    return zero if abs(piece.number(zero)) < _TOUCHING else None


def _exact_root(piece: Piece, number: mpmath.mpf) -> sympy.Expr | None:
    """Return a small fraction near `number` where the function is 0 by substitution."""
    near = sympy.Rational(round(number * 4), 4)
    return near if abs(number - mpmath.mpf(near.p) / near.q) < 1e-20 and piece.expr.subs(piece.x, near) == 0 else None
