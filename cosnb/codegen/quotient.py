"""Lowering of a normal form: one exponential, one division."""

import sympy

from cosnb.codegen.guards import errors
from cosnb.codegen.program import Program
from cosnb.codegen.selection import Selection
from cosnb.codegen.tree import Tree
from cosnb.symbolic.normal_form import Branch, NormalForm, s, t, with_s

# Where |x| is held: beyond, e^(−|x|) adds nothing to a number that does not vanish with it; and e^(−|x|)·|x| is 0 in
# float from 108 on and in double from 752 on, while 2¹⁰⁰·e^(−|x|) is still a normal number.
_EDGE, _EDGE_SCALED = (87, 700), (110, 760)
NORMAL = "normal form: one exponential, one division"


def lower_form(form: NormalForm, expr: sympy.Expr, x: sympy.Symbol, odd: bool = False) -> Program:
    """Return the program with 1 − t by subtraction, or by expm1 where that halves the largest error measured.

    odd: f(|x|) is computed and takes the sign of x, so that f(−0) is −f(0).
    """
    plain, exact = Program(note=NORMAL), Program(note=NORMAL)
    plain.result = _quotient(plain, form, odd)
    plain.error, size = errors(plain, expr, x)
    form_with_s = with_s(form)
    if form_with_s == form:
        return plain
    exact.result = _quotient(exact, form_with_s, odd)
    exact.error, exact_size = errors(exact, expr, x)
    return exact if 2 * exact_size < size else plain


def is_odd(form: NormalForm) -> bool:
    """Say whether the branches show that f(−x) = −f(x)."""
    right, left = form.positive, form.negative
    signs = ((right.slope, left.slope, 1), (right.offset, left.offset, -1), (right.log, left.log, -1))
    return all(sympy.expand(b * right.denominator - sign * a * left.denominator) == 0 for a, b, sign in signs)


def _quotient(program: Program, form: NormalForm, odd: bool) -> int:
    """Emit (slope·x + offset + log·ln(1+t)) / denominator, the branches merged where they share parts.

    A branch whose numerator vanishes with t has t divided out and is multiplied at the end by t·2¹⁰⁰, then by 2⁻¹⁰⁰:
    its digits stay where t is subnormal. There |x| is held below the edge, so that ±inf gives the limit.
    """
    sides = (form.positive, form.positive if odd else form.negative)
    (positive, power_positive), (negative, power_negative) = map(_without_power, sides)
    powers = power_negative, power_positive
    scaled = max(powers) > 0 or positive.log != 0 or negative.log != 0
    x = program.input("x")
    edge = program.edge(*(sympy.Integer(e) / form.rate for e in (_EDGE_SCALED if scaled else _EDGE)))
    size = program.emit("min", program.emit("abs", x), edge)
    is_negative = program.emit("negative", x)
    program.hints |= {edge: "edge", is_negative: "negative"}
    held = program.emit("abs", x) if odd else x
    if odd and _vanishes(positive.slope):
        held = size
    elif not odd and (positive.slope != 0 or negative.slope != 0):
        held = _hold(program, form, x, edge, size, is_negative)

    exponent = program.neg(program.mul(program.number(form.rate), size))
    names, factors = _exponentials(program, exponent, scaled)
    if any(part.has(s) for b in (positive, negative) for part in b.parts()):
        names[s] = program.emit("one_minus_exp", exponent)
        program.hints[names[s]] = "s"

    select = Selection(Tree(program, names), is_negative).select
    numerator = select(positive.offset, negative.offset)
    slope = select(positive.slope, negative.slope)
    if not program.is_number(slope, 0):
        bounded = size if odd else program.where(is_negative, program.neg(size), size)
        numerator = _times_x(program, slope, held, numerator, bounded)
    log = select(positive.log, negative.log)
    if not program.is_number(log, 0):
        logarithm = program.emit("log1p_unit", names[t])
        program.hints[logarithm] = "log1p_t"
        numerator = program.add(program.mul(log, logarithm), numerator)
    quotient = program.div(numerator, select(positive.denominator, negative.denominator))
    result = _times_powers(program, quotient, powers, names[t], factors, is_negative)
    return program.where(is_negative, program.neg(result), result) if odd else result


def _hold(program: Program, form: NormalForm, x: int, edge: int, size: int, is_negative: int) -> int:
    """Emit x, held below the edge on each side where its factor vanishes with t, for ∞·0 is NaN."""
    on_left, on_right = (_vanishes(b.slope) for b in (form.negative, form.positive))
    if on_left and on_right:
        return program.where(is_negative, program.neg(size), size)
    if on_left:
        return program.emit("max", x, program.neg(edge))
    return program.emit("min", x, edge) if on_right else x


def _exponentials(program: Program, exponent: int, scaled: bool) -> tuple[dict[sympy.Symbol, int], list[int]]:
    """Emit t; return it by its symbol, and the factors, 2¹⁰⁰·t and 2⁻¹⁰⁰, of which it is the product if `scaled`."""
    factors: list[int] = []
    if scaled:
        factors = [program.emit("exp_scaled", exponent), program.number(sympy.Rational(1, 2**100))]
        program.hints[factors[0]] = "scaled"
        decay = program.mul(*factors)
    else:
        decay = program.emit("exp_nonpositive", exponent)
    program.hints[decay] = "t"
    return {t: decay}, factors


def _times_powers(
    program: Program, quotient: int, powers: tuple[int, int], decay: int, factors: list[int], is_negative: int
) -> int:
    """Emit quotient·t^power, each branch with its own of the `powers` of the negative and the positive one.

    As factors, not as a selection of results: gcc would compute the quotient twice, once for each side.
    """
    one = program.number(1)
    for power in range(1, 1 + max(powers)):
        for factor in factors if power == 1 else [decay]:
            if power > min(powers):
                sides = [factor if own >= power else one for own in powers]
                factor = program.where(is_negative, *sides)
            quotient = program.mul(quotient, factor)
    return quotient


def _vanishes(slope: sympy.Expr) -> bool:
    return bool(slope.subs(s, 1 - t).subs(t, 0) == 0)


def _times_x(program: Program, slope: int, x: int, rest: int, bounded: int) -> int:
    """Emit slope·x + rest; x joins a selection's factor first, which leaves the fma to the other factor."""
    step = program.steps[slope]
    if step.op == "mul" and program.steps[step.args[0]].op == "where":
        first, second = step.args
        return program.add(program.mul(program.mul(first, x), second), rest)
    if step.op == "add" and program.is_number(rest, 0):
        # (c + b)·x as b·x + c·x where c·x is exact: one rounding less. b may be 0 at ±inf, where b·x must not be NaN.
        first, second = step.args
        for constant, other in ((first, second), (second, first)):
            if _is_power_of_2(program, constant):
                return program.add(program.mul(other, bounded), program.mul(constant, x))
    return program.add(program.mul(slope, x), rest)


def _is_power_of_2(program: Program, index: int) -> bool:
    step = program.steps[index]
    if step.op == "where":
        return all(_is_power_of_2(program, arg) for arg in step.args[1:])
    return step.op == "number" and step.values[0] in (1, 2, 4, sympy.Rational(1, 2))


def _without_power(branch: Branch) -> tuple[Branch, int]:
    """Divide the numerator by the highest power of t in it; return the branch and the power."""
    if branch.log != 0:
        return branch, 0
    numerators = (branch.slope, branch.offset)
    powers = [min(m[0] for m in sympy.Poly(sympy.expand(e.subs(s, 1 - t)), t).monoms()) for e in numerators if e != 0]
    power = min(powers)
    if power == 0:
        return branch, 0
    slope, offset = (_divide(e, power) for e in numerators)
    return Branch(slope, offset, branch.denominator), power


def _divide(part: sympy.Expr, power: int) -> sympy.Expr:
    """Divide a polynomial of t and s by t^power, keeping its structure where the power stands as a factor."""
    quotient = part / t**power
    if not quotient.is_polynomial(t, s):
        quotient = sympy.Add(*(term / t**power for term in sympy.Add.make_args(part)))
    if quotient.is_polynomial(t, s):
        return quotient
    return sympy.factor(sympy.cancel(part.subs(s, 1 - t) / t**power))
