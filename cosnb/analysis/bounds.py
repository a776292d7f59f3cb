"""Minimum, maximum, range and Lipschitz constant, by comparison of all candidates."""

from functools import lru_cache

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis import limited
from cosnb.analysis.findings import DIGITS, Extremum, Finding, show, weakest
from cosnb.analysis.pieces import WORKING_DIGITS, Piece
from cosnb.analysis.special import differ
from cosnb.analysis.study import SIDES, Candidate, Study, candidate, lies_in

_SHORT = 3  # operations of an exact value that is shown as such: √2/2, π/2
_SWINGS, _FARTHEST, _MARGIN = 500, 1000, 1e-9
_TIE = mpmath.mpf(10) ** -30


def extremum(study: Study, sign: int) -> Finding:
    """Return the global minimum (`sign` = 1) or maximum (−1)."""
    best = _best(_candidates(study), sign)
    limits = study.limits(0)
    how = weakest([study.charts[1].how, limits.how, study.borders_how(0)])
    if None in limits.value:
        how = "numerical"
    value, decimal = _number(best)
    reason = "critical points, borders and limits compared"
    if None in limits.value:
        reason = "critical points found compared; f has no limit at an end"
    return Finding(Extremum(value, best.at, best.attained), how, reason, DIGITS if decimal else None)


def value_range(study: Study) -> Finding:
    """Return the set of values of f."""
    low, high = extremum(study, 1), extremum(study, -1)
    parts = [sympy.FiniteSet(value) for value in study.values.values() if value.is_finite]
    for stretch in _stretches(study):
        ends = [_best(stretch, sign) for sign in (1, -1)]
        parts.append(sympy.Interval(*(_number(c)[0] for c in ends), *(not c.attained for c in ends)))
    jumps = study.smoothness[1]
    reason = f"all values between the bounds{' of each stretch without a jump' if jumps else ''}: f is continuous"
    digits = max((f.digits for f in (low, high) if f.digits is not None), default=None)
    # Without a jump the borders' values lie in the interval: a union with decimals might not see it.
    found = sympy.Union(*parts) if jumps else parts[-1]
    return Finding(found, weakest([low.how, high.how]), reason, digits)


def lipschitz(study: Study) -> Finding:
    """Return sup |f′|."""
    found, jumps, _ = study.smoothness
    if jumps:
        return Finding(sympy.oo, found.how, f"f is not continuous at {', '.join(map(show, jumps))}")
    slopes, bends, limits = study.order(1), study.charts[2], study.limits(1)
    best = max(_slopes(study), key=lambda c: (abs(c.value), c.exact is not None))
    how = weakest([bends.how, limits.how, study.borders_how(1)])
    where = f"{'at' if best.attained else 'for'} x {'=' if best.attained else '→'} {show(best.at)}"
    reason = f"largest |f′| at a zero of f″, a border or an end: {where}"
    levels = [p for p in slopes if not p.expr.has(study.x)]
    level = next((p for p in levels if abs(candidate(p.expr, p.low, True).value) == abs(best.value)), None)
    if best.value == mpmath.inf or best.value == -mpmath.inf:
        reason = f"f′ is not bounded for x → {show(best.at)}"
    elif level is not None:  # at its border f′ need not exist: ReLU's is 1 for x > 0 and none at 0
        reason = f"|f′| is largest where f′ = {show(level.expr)}, for every {_inside(level)}"
    if None in limits.value:
        how, reason = "numerical", f"{reason}; f′ has no limit at an end"
    value, decimal = _number(best)
    return Finding(abs(value), how, reason, DIGITS if decimal else None)


def _slopes(study: Study) -> list[Candidate]:
    """Return where |f′| may be largest: at zeros of f″, at both sides of borders, on straight pieces, at the ends."""
    pieces, found = study.order(1), []
    for place in study.charts[2].zeros():
        piece = next(p for p in pieces if lies_in(p, place) or place.exact in (p.low, p.high))
        at, exact = sympy.Float(place.value, DIGITS), None if place.exact is None else piece.at(place.exact)
        if place.is_border and exact is not None and exact.is_finite:
            found.append(candidate(exact, at, True))
            continue
        with mp.workdps(WORKING_DIGITS):
            found.append(Candidate(mp.re(piece.number(place.value)), exact, at, True))
    for piece in pieces:
        ends = [(end, piece.at(end)) for end in (piece.low, piece.high) if end.is_finite]
        found += [candidate(slope, end, bool(slope.is_finite)) for end, slope in ends if slope is not sympy.nan]
        if piece.is_zero():
            found.append(candidate(sympy.Integer(0), piece.low, True))
        elif not piece.expr.has(study.x):
            found.append(candidate(piece.expr, piece.low, True))
    for side, value in zip(SIDES, study.limits(1).value, strict=True):
        if value is not None:
            found.append(candidate(value, side, False))
        else:
            found += _swings(study, 1, -1 if side == sympy.oo else 0, side, found)
    return found


def _inside(piece: Piece) -> str:
    """Return a piece's interval without its ends: "x > 0", "−1 < x < 1"."""
    if piece.low.is_infinite:
        return f"x < {show(piece.high)}" if piece.high.is_finite else "x"
    return f"{show(piece.low)} < x < {show(piece.high)}" if piece.high.is_finite else f"x > {show(piece.low)}"


@lru_cache(maxsize=256)
def _stretches(study: Study) -> list[list[Candidate]]:
    """Where an infimum or supremum of f may lie, for each stretch of the line without a jump.

    Critical points, ends, both sides of each border, flat pieces.
    """
    pieces, jumps = study.order(0), study.smoothness[1]
    limits = dict(zip(SIDES, study.limits(0).value, strict=True))
    found: list[list[Candidate]] = []
    for i, (piece, slope) in enumerate(zip(pieces, study.order(1), strict=True)):
        if piece.low in jumps or not found:
            found.append([])
        inside = [study.value(p) for p in study.charts[1].zeros() if not p.is_border and lies_in(piece, p)]
        if slope.is_zero():
            flat = piece.at(sympy.Integer(0))
            opened = [end.is_infinite or differ(flat, study.values[end]) for end in (piece.low, piece.high)]
            inside = [candidate(flat, sympy.Interval(piece.low, piece.high, *opened), True)]
        else:
            for end in (piece.low, piece.high):
                if end.is_finite:
                    value = piece.at(end)
                    attained = bool(value.is_finite) and not differ(value, study.values[end])
                    inside += [] if value is sympy.nan else [candidate(value, end, attained)]
                elif limits[end] is not None:
                    inside.append(candidate(limits[end], end, False))
                else:
                    inside += _swings(study, 0, i, end, inside)
        found[-1] += inside
    return found


def _far_values(piece: Piece, sign: int) -> list[mpmath.mpf]:
    with mp.workdps(WORKING_DIGITS):
        return [piece.number(sign * (40 + _FARTHEST * (k * mp.phi % 1))) for k in range(_SWINGS)]


@lru_cache(maxsize=256)
def _candidates(study: Study) -> list[Candidate]:
    borders = [candidate(value, border, True) for border, value in study.values.items() if value.is_finite]
    return [candidate for stretch in _stretches(study) for candidate in stretch] + borders


def _swings(study: Study, n: int, i: int, side: sympy.Expr, found: list[Candidate]) -> list[Candidate]:
    """Return ±∞ where f⁽ⁿ⁾, which has no limit for x → `side`, leaves the bounds found so far: x·cos x."""
    try:
        far = limited.call(_far_values, study.order(n)[i], 1 if side == sympy.oo else -1)
    except (limited.TimeLimit, MemoryError, OverflowError):
        return []
    low, high = (min(c.value for c in found), max(c.value for c in found)) if found else (mpmath.inf, -mpmath.inf)
    beyond = [-sympy.oo] * (min(far) < low - _MARGIN) + [sympy.oo] * (max(far) > high + _MARGIN)
    return [candidate(value, side, False) for value in beyond]


def _best(candidates: list[Candidate], sign: int) -> Candidate:
    """Return the lowest (`sign` = 1) or highest (−1) of the candidates; of equal ones one that is attained."""
    lowest = min(sign * c.value for c in candidates)
    ties = [c for c in candidates if sign * c.value == lowest or abs(sign * c.value - lowest) < _TIE]
    return max(ties, key=lambda c: (c.attained, isinstance(c.at, sympy.Set), c.exact is not None))


def _number(candidate: Candidate) -> tuple[sympy.Expr, bool]:
    """Return the value, exactly where that is a short expression, and whether it is a decimal."""
    exact = candidate.exact
    if exact is not None and (exact.is_Rational or exact.is_infinite or exact.count_ops() <= _SHORT):
        return exact, False
    return sympy.Float(candidate.value, DIGITS), True
