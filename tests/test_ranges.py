"""Intervals of a program's steps: what the steps compute lies in them, and divisors of the normal form are bounded."""

import dataclasses
import math

import numpy
import pytest

from cosnb import activation
from cosnb.codegen.evaluate import evaluator
from cosnb.codegen.program import CONDITIONS, Program
from cosnb.codegen.ranges import EVERYTHING, intervals
from cosnb.codegen.targets import triton
from cosnb.symbolic.catalogue import CATALOGUE

SIZES = numpy.concatenate([[0.0], numpy.exp2(numpy.linspace(-40, 12, 400)), [1e30, 1e300, math.inf]])
POINTS = numpy.concatenate([-SIZES, SIZES])


@pytest.mark.parametrize("name", list(CATALOGUE))
def test_every_step_stays_in_its_interval(name: str) -> None:
    act = activation(name)
    for order in (0, 1):
        program = act.program(order)
        for index, (low, high) in enumerate(intervals(program)):
            if program.steps[index].op in CONDITIONS or (low, high) == EVERYTHING:
                continue
            values = evaluator(dataclasses.replace(program, result=index), numpy.float64)(POINTS)
            values = values[~numpy.isnan(values)]
            room = 1e-9 * max((abs(v) for v in (low, high) if math.isfinite(v)), default=0)
            assert (values >= low - room).all(), (order, program.steps[index], values.min(), low)
            assert (values <= high + room).all(), (order, program.steps[index], values.max(), high)


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "swish", "mish", "cos"])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_divisors_of_the_normal_form_need_no_other_division(name: str, order: int) -> None:
    program = activation(name).program(order)
    steps = [triton._with_quotients(program).steps[index] for index in program.live()]
    assert sum(step.op == "quotient" for step in steps) == 1
    assert not any(step.op == "div" for step in steps)


def test_a_divisor_that_may_vanish_or_overflow_keeps_its_division() -> None:
    for shift, kept in ((0, True), (1, False), (-1, True)):
        program = Program()
        x = program.input("x")
        square = program.mul(x, x)
        bounded = program.emit("min", square, program.number(4))
        program.result = program.div(x, program.add(bounded, program.number(shift)))
        assert intervals(program)[bounded] == (0.0, 4.0)
        steps = triton._with_quotients(program).steps
        assert any(step.op == "div" for step in steps) == kept
    program = Program()
    x = program.input("x")
    program.result = program.div(x, program.add(program.mul(x, x), program.number(1)))
    assert any(step.op == "div" for step in triton._with_quotients(program).steps)  # x² + 1 may be infinite


def test_the_operations() -> None:
    program = Program()
    x = program.input("x")
    a = program.emit("min", program.emit("max", x, program.number(-2)), program.number(3))
    found = {
        "neg": program.neg(a),
        "abs": program.emit("abs", a),
        "square": program.emit("mul", a, a),
        "product": program.emit("mul", a, program.emit("abs", a)),
        "sum": program.emit("add", a, program.number(1)),
        "difference": program.emit("sub", program.number(1), a),
        "fma": program.emit("fma", a, program.number(2), program.number(1)),
        "where": program.where(program.emit("negative", x), a, program.number(7)),
        "unknown": program.emit("sin", a),
    }
    bounds = intervals(program)
    assert {name: bounds[index] for name, index in found.items()} == {
        "neg": (-3, 2),
        "abs": (0, 3),
        "square": (0, 9),
        "product": (-6, 9),
        "sum": (-1, 4),
        "difference": (-2, 3),
        "fma": (-3, 7),
        "where": (-2, 7),
        "unknown": EVERYTHING,
    }
