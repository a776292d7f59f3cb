"""Random formulas of the grammar: every target gives the value and derivative that mpmath gives.

The allowed error follows the formula: evaluated as written in float64, each operation rounded, it has a running error
bound (cosnb.accuracy.balls); points where that says little, for the formula is badly conditioned there, are left out.
"""

import os
from pathlib import Path

import c_library
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from cosnb.accuracy import targets
from cosnb.accuracy.balls import evaluate
from cosnb.accuracy.truth import Truth
from cosnb.activations import Activation, activation
from cosnb.errors import CosnbError
from cosnb.kernels import cpu

POINTS = torch.tensor(
    [-30.7, -9.3, -4.1, -2.3, -1.31, -0.62, -0.07, 0.043, 0.37, 0.91, 1.7, 2.9, 5.3, 11.9, 40.3]
).double()
BATCH = 40  # formulas in one C file
ALLOWED = 4  # times the running bound, for a compiled form is another than the written one
SMALLEST = 1e-290  # subnormal parts of a formula have fewer digits than the bound supposes
settings.register_profile("ci", derandomize=True, database=None)
settings.register_profile("random")
settings.load_profile("ci" if os.environ.get("CI") else "random")

_ONE = (
    "exp",
    "tanh",
    "sin",
    "cos",
    "atan",
    "asinh",
    "erf",
    "erfc",
    "sigmoid",
    "softplus",
    "abs",
    "relu",
    "mish",
    "elu",
)
_BINARY = ("({} + {})", "({} - {})", "({} * {})", "({} / (1 + ({})**2))", "max({}, {})", "min({}, {})")
leaves = st.sampled_from(("x", "x", "x", "2*x", "x/3", "0.5", "3", "0.1", "pi"))


def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One more level: a function, an operation of two, a power, or a choice."""
    return st.one_of(
        st.builds("{}({})".format, st.sampled_from(_ONE), inner),
        st.builds(lambda form, left, right: form.format(left, right), st.sampled_from(_BINARY), inner, inner),
        st.builds("({})**{}".format, inner, st.sampled_from(("2", "3"))),
        st.builds("where(x < {}, {}, {})".format, st.sampled_from(("0.25", "-1", "2")), inner, inner),
    )


formulas = st.recursive(leaves, grown, max_leaves=4)


def parsed(text: str) -> Activation:
    try:
        return activation(text)
    except CosnbError:  # out of bounds: constant, or no value
        assume(False)
        raise


def allowed(act: Activation, order: int, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the points that are well-conditioned, the values there, and the error allowed to float64."""
    expr = act.derivative(order)
    ball = evaluate(expr, act.x, points)
    good = ball.error < 1e-9 * ball.value.abs()
    good &= (ball.value.abs() > SMALLEST) | (ball.value == 0)
    points = points[good]
    truth = Truth(expr, act.x)
    values = torch.tensor([float(truth.exact(point).value) for point in points.tolist()], dtype=torch.float64)
    return points, values, ALLOWED * ball.error[good] + 4 * torch.finfo(torch.float64).eps * values.abs()


def check(act: Activation, order: int, target: str, got: Tensor, values: Tensor, error: Tensor, points: Tensor) -> None:
    off = (got - values).abs()
    bad = ~(off <= error)
    assert not bad.any(), (
        f"{act.formula.title}, order {order}, {target}: {got[bad].tolist()} for {values[bad].tolist()} at "
        f"{points[bad].tolist()}, allowed {error[bad].tolist()}"
    )


@pytest.mark.long
def test_values_and_derivatives_agree_in_every_target(tmp_path: Path) -> None:
    seen: dict[str, Activation] = {}

    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(formulas)
    def python_targets(text: str) -> None:
        act = parsed(text)
        for order in (0, 1):
            points, values, error = allowed(act, order, POINTS)
            for target, function in (
                ("pytorch", act.elementwise(order)),
                ("numpy", targets.function(act, "numpy", order)),
            ):
                check(act, order, target, function(points), values, error, points)
        seen[act.name] = act  # equal expressions have equal names

    python_targets()
    assert len(seen) >= BATCH
    if cpu.compiler() is None:
        pytest.skip("no C compiler")
    batch = list(seen.values())[:BATCH]
    programs = {f"f{i}_{order}": act.program(order) for i, act in enumerate(batch) for order in (0, 1)}
    library = c_library.build(programs, tmp_path)
    for i, act in enumerate(batch):
        for order in (0, 1):
            points, values, error = allowed(act, order, POINTS)
            check(act, order, "c", library[f"f{i}_{order}"](points), values, error, points)
