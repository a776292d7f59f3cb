"""Lowering of a SymPy expression to a `Program`: through the normal form where there is one, else head by head."""

from collections.abc import Mapping
from functools import lru_cache

import sympy

from cosnb.analysis.special import special_points, value_at, values_apart
from cosnb.codegen.decay import by_exponentials, lower_by_decay
from cosnb.codegen.evaluate import trial, with_odd_zeros
from cosnb.codegen.expansions import at_zero, emit
from cosnb.codegen.guards import LOST, TYPES, lost_digits, lost_values, missed, repairs
from cosnb.codegen.open_points import add_points
from cosnb.codegen.program import Program
from cosnb.codegen.quotient import is_odd, lower_form
from cosnb.codegen.tree import Tree
from cosnb.symbolic.normal_form import NormalForm, normal_form
from cosnb.symbolic.rewrites import rewritten
from cosnb.symbolic.stable import stable

FALLBACK = "fallback: printed operation by operation, for the formula is outside the normal form's class"

DECAY = "by the decay of its exponentials, for its parameters are open"


@lru_cache(maxsize=512)
def lower(expr: sympy.Expr, x: sympy.Symbol, product: bool = False) -> Program:
    """Return the program that computes `expr` at `x`, times a second input `dy` where `product` is set.

    Raises CosnbError for a head that no target knows, a number that is not real, and a Piecewise that leaves a gap.
    """
    if product:
        return lower(expr, x).times("dy")
    form = normal_form(expr, x)
    if form is not None:
        found = _of_form(form, expr, x)
        if found.error > LOST:
            found.cancels = expr, x
        return found
    program = Program(note=FALLBACK)
    program.result = _fallback(program, expr, x)
    return with_odd_zeros(program)


def _of_form(form: NormalForm, expr: sympy.Expr, x: sympy.Symbol) -> Program:
    plain = _with_zero(lower_form(form, expr, x), expr, x)
    signed = with_odd_zeros(plain)
    if signed is plain or not is_odd(form):
        return signed
    odd = _with_zero(lower_form(form, expr, x, odd=True), expr, x)  # a selection less
    return odd if with_odd_zeros(odd) is odd else signed


def _with_zero(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> Program:
    """Have a normal form's program keep its digits next to 0: x − tanh x is x³/3 there."""
    functions = [trial(program, dtype, exactly=True) for dtype in TYPES]
    for expansion in at_zero(functions, expr, x):
        program.result = emit(program, expansion, program.input("x"), program.result)
    return program


def lower_directly(expr: sympy.Expr, names: Mapping[sympy.Symbol, str]) -> Program:
    """Return the program that computes `expr` head by head, each symbol the input of that name; raises as `lower`.

    No normal form and no care for ±inf, NaN and overflow: shorter, and the symbols may be several.
    """
    program = Program(note=FALLBACK)
    program.result = Tree(program, {symbol: program.input(name) for symbol, name in names.items()}).lower(
        stable(expr, half=False)
    )
    return program


@lru_cache(maxsize=512)
def lower_open(expr: sympy.Expr, inputs: tuple[tuple[sympy.Symbol, str], ...]) -> Program:
    """Return the program of `expr` whose symbols are inputs, each with its name; raises as `lower`.

    For parameters that change while a network learns: head by head, or by the decay of its exponentials (see `decay`)
    where that loses fewer values on trial for some numbers in the parameters' place; by a polynomial next to points
    where it is 0/0 (see `open_points`). At ±inf no limit is known.
    """
    direct = Program(note=FALLBACK)
    direct.result = Tree(direct, {symbol: direct.input(name) for symbol, name in inputs}).lower(stable(expr))
    chosen = direct
    if by_exponentials(expr).has(sympy.exp) and (lost := lost_values(direct, inputs)):
        decaying = lower_by_decay(expr, dict(inputs))
        decaying.note = DECAY
        chosen = decaying if lost_values(decaying, inputs) < lost else direct
    return add_points(chosen, expr, inputs)


def _fallback(program: Program, expr: sympy.Expr, x: sympy.Symbol) -> int:
    """Emit `expr` head by head, with what the edges need (see `guards`) and special points (see `expansions`)."""
    apart, rest = values_apart(expr, x)
    chosen, tried = _most_exact(rest, x)
    needs = repairs(tried, rest, x)
    given = held = program.input("x")
    edges = [program.edge(*tail.edge) if tail else None for tail in needs.tails]
    for op, edge in zip(("max", "min"), edges, strict=True):
        held = held if edge is None else program.emit(op, held, edge)
    result = Tree(program, {x: held}).lower(chosen)
    for expansion in needs.expansions:
        result = emit(program, expansion, given, result)
    for side, (tail, edge, limit) in enumerate(zip(needs.tails, edges, needs.limits, strict=True)):
        if tail is not None and edge is not None:
            if tail.form is not None:
                beyond = tail.form.lower(program, {x: given})
            else:
                beyond = program.add(program.mul(program.number(tail.slope), given), program.number(tail.intercept))
            result = program.where(program.emit(("lt", "gt")[side], given, edge), beyond, result)
        if limit is not None:
            infinity = program.number((-sympy.oo, sympy.oo)[side])
            result = program.where(program.emit("eq", given, infinity), program.number(limit), result)
    result = _at_points(program, result, apart, rest, x)
    return program.where(program.emit("ne", given, given), given, result) if needs.nan else result


def _most_exact(expr: sympy.Expr, x: sympy.Symbol) -> tuple[sympy.Expr, Program]:
    """Return the form of `expr` that loses the digits of fewest numbers, `stable`'s if none is better; its program."""
    forms = dict.fromkeys((stable(expr), stable(rewritten(expr))))
    found = []
    for form in forms:
        program = Program()
        program.result = Tree(program, {x: program.input("x")}).lower(form)
        found.append((form, program))
    return found[0] if len(found) == 1 else min(found, key=lambda one: lost_digits(one[1], expr, x))


def _at_points(
    program: Program, result: int, apart: dict[sympy.Expr, sympy.Expr], rest: sympy.Expr, x: sympy.Symbol
) -> int:
    """Emit a selection for each special point at which the program would give another value."""
    program.result = result
    points = sorted({*apart, *special_points(rest, x)}, key=float)
    values = {point: apart.get(point, value_at(rest, x, point)) for point in points}
    for point in missed(program, {point: value for point, value in values.items() if value is not None}):
        here = program.emit("eq", program.input("x"), program.number(point))
        result = program.where(here, Tree(program, {}).lower(values[point]), result)
    return result
