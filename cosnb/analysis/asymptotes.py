"""Behaviour at ±∞: limits, asymptotes, and the point from which an asymptote may replace the function."""

from functools import lru_cache
from itertools import pairwise

import mpmath
import sympy
from mpmath import mp

from cosnb.analysis import limited
from cosnb.analysis.findings import DIGITS, Finding
from cosnb.analysis.numeric import numeric
from cosnb.analysis.pieces import Piece, split

_SECONDS, _TAIL_SECONDS = 5.0, 20.0
_FAR = (1003, 2011, 5003, 10007)  # primes: no period of a sine falls on them
_ZERO_BITS = 160  # below 2^−160 a value is 0 in float32
_FARTHEST = 1e4


@lru_cache(maxsize=512)
def limit(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> sympy.Expr | None:
    """Return the limit of `expr` for x → `side` (±oo), None where there is none."""
    piece = _end_piece(expr, x, side)
    return None if piece is None else end_limit(piece, side).value


@lru_cache(maxsize=512)
def end_limit(piece: Piece, side: sympy.Expr) -> Finding:
    """Return the limit of a piece for x → `side`; None where the values oscillate."""
    if piece.halves is not None:
        m, c = piece.halves[side == sympy.oo].asymptote()
        return Finding(sympy.sign(m) * sympy.oo if m != 0 else c, "proven", "the normal form at t → 0")
    if piece.expr.is_rational_function(piece.x):
        found = limited.call(_sympy_limit, piece.expr, piece.x, side, seconds=_SECONDS)
        return Finding(found, "proven", "limit of a rational function")
    return _limit(piece.expr, piece.x, side)


@lru_cache(maxsize=512)
def end_line(piece: Piece, side: sympy.Expr) -> Finding:
    """Return the line (m, c) with f(x) − (m·x + c) → 0 for x → `side`, None where there is none."""
    if piece.halves is not None:
        m, c = piece.halves[side == sympy.oo].asymptote()
        return Finding((m if side == sympy.oo else -m, c), "proven", "the normal form at t → 0")
    slope = end_limit(piece.derivative(), side)
    if slope.value is None or slope.value.is_infinite:
        return Finding(None, slope.how, f"f′ has no finite limit ({slope.reason})", slope.digits)
    offset = end_limit(_without_halves(piece, piece.expr - slope.value * piece.x), side)
    line = None if offset.value is None or offset.value.is_infinite else (slope.value, offset.value)
    worse = max((slope, offset), key=lambda f: f.how == "numerical")
    return Finding(line, worse.how, offset.reason, worse.digits)


def asymptote(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Return slope and intercept of the line that `expr` approaches for x → `side` (±oo), None where there is none."""
    piece = _end_piece(expr, x, side)
    return None if piece is None else end_line(piece, side).value


def _end_piece(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> Piece | None:
    """Return the piece that reaches `side`; None where SymPy cannot solve its condition (x ≥ e^x)."""
    pieces, _ = split(expr, x)
    reaching = [piece for piece in pieces if side in (piece.low, piece.high)]
    return reaching[0] if reaching else None


@lru_cache(maxsize=512)
def tail_bound(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr, bits: int) -> float | None:
    """Return the smallest X = 2^(k/8) ≤ 1e4 from which on the asymptote equals `expr` to `bits` bits.

    That is |f − asymptote| ≤ 2^−bits·|f| at every X·2^(j/8) up to 1e4, or |f| < 2^−160 where the asymptote is 0; None
    where there is no asymptote or no such X. Found at those points: between them it is taken for granted.
    """
    line = asymptote(expr, x, side)
    if line is None:
        return None
    try:
        return limited.call(_tail_bound, expr, x, side, bits, line, seconds=_TAIL_SECONDS)
    except (limited.TimeLimit, MemoryError):
        return None


def _tail_bound(
    expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr, bits: int, line: tuple[sympy.Expr, sympy.Expr]
) -> float | None:
    f, gap = numeric(expr, x), numeric(sympy.expand(expr - line[0] * x - line[1]), x)
    sign = 1 if side == sympy.oo else -1
    best: float | None = None
    with mp.workprec(2 * bits + 2 * _ZERO_BITS):
        for k in range(int(8 * mp.log(_FARTHEST, 2)), -8 * 8, -1):
            at = 2.0 ** (k / 8)
            try:
                value = mp.re(f(sign * mpmath.mpf(at)))
                if line == (0, 0):
                    near = abs(value) < mpmath.ldexp(1, -_ZERO_BITS)
                else:
                    near = abs(mp.re(gap(sign * mpmath.mpf(at)))) <= mpmath.ldexp(abs(value), -bits)
            except (OverflowError, ZeroDivisionError, ValueError, mpmath.libmp.NoConvergence):
                return best
            if not near:
                return best
            best = at
    return best


def _without_halves(piece: Piece, expr: sympy.Expr) -> Piece:
    return Piece(sympy.expand(expr), piece.x, piece.low, piece.high, None)


def _limit(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> Finding:
    """Ask SymPy, within 5 s, and hold its answer against values far out; without an answer take those."""
    try:
        values = limited.call(_far_values, expr, x, side, seconds=_SECONDS)
    except (limited.TimeLimit, MemoryError):  # towers of exponentials
        values = []
    try:
        found = limited.call(_sympy_limit, expr, x, side, seconds=_SECONDS)
    except Exception:  # the time limit, and whatever SymPy's algorithm stumbles over
        found = None
    if isinstance(found, sympy.AccumBounds):
        return Finding(None, "proven", "SymPy's limit: the values oscillate")
    if found is not None and found.is_extended_real is False:
        return Finding(None, "proven", "SymPy's limit is no real number")
    if found is not None and found.is_number and not found.has(sympy.nan, sympy.zoo) and _agrees(found, values):
        return Finding(found, "proven", "SymPy's limit, held against values far out")
    return _guess(values)


def _sympy_limit(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> sympy.Expr:
    return sympy.limit(expr, x, side)


def _far_values(expr: sympy.Expr, x: sympy.Symbol, side: sympy.Expr) -> list[mpmath.mpf]:
    sign = 1 if side == sympy.oo else -1
    found = []
    with mp.workdps(60):
        for point in _FAR:
            try:
                found.append(mp.re(numeric(expr, x)(mpmath.mpf(sign * point))))
            except (OverflowError, ZeroDivisionError, ValueError, mpmath.libmp.NoConvergence):
                break
    return found


def _agrees(found: sympy.Expr, values: list[mpmath.mpf]) -> bool:
    if len(values) < 2:
        return True
    if found.is_infinite:
        return bool(mpmath.sign(values[-1]) == sympy.sign(found) and abs(values[-1]) > abs(values[0]))
    number = mpmath.mpf(sympy.N(found, 50)._to_mpmath(170))
    return bool(abs(values[-1] - number) <= max(abs(values[0] - number), mpmath.mpf(10) ** -40))


def _guess(values: list[mpmath.mpf]) -> Finding:
    reason = f"values at |x| = {', '.join(map(str, _FAR[: len(values)]))}"
    if len(values) >= 2 and abs(values[-1] - values[-2]) < mpmath.mpf(10) ** -DIGITS:
        number = sympy.nsimplify(sympy.Float(values[-1], 40), tolerance=1e-20, rational=True)
        exact = number if number.q < 1000 else sympy.Float(values[-1], DIGITS)
        return Finding(exact, "numerical", reason, DIGITS)
    grows = len(values) > 2 and all(abs(b) > abs(a) * mpmath.mpf("1.2") and a * b > 0 for a, b in pairwise(values))
    if grows:
        return Finding(sympy.oo if values[-1] > 0 else -sympy.oo, "numerical", reason)
    return Finding(None, "numerical", f"{reason}: no limit seen")
