"""The printed PyTorch code against high-precision values: limits, tails, kinks, rounding, and what is refused."""

import math
import re

import mpmath
import pytest
import sympy
import torch
from mpmath import mp, mpf
from oracles import NAMES, SMOOTH, oracle, terms
from torch import Tensor

from cosnb.activation import activation
from cosnb.codegen import pytorch
from cosnb.errors import CosnbError
from cosnb.symbolic.catalogue import x
from cosnb.symbolic.functions import sigmoid, softplus

CASES = [(name, order) for name in NAMES for order in (0, 1, 2)]
TYPES = (torch.float32, torch.float64)

# Largest error found on 2,500 points, in units in the last place of the sum of the terms' sizes (float32, float64).
# That sum is |f| where f is one term. Near a root of swish′ its terms σ(x) and x·σ′(x) cancel, and half an ulp of x
# moves f as far, so an error relative to |f| would measure the grid's distance from the root. (In ulp of |f| itself,
# away from roots, the largest is CoS's 101 in float32, at −0.6, where −0.2127 and 0.2049 are added.)
ULP = {
    ("sigmoid", 0): (1.80, 1.78),
    ("sigmoid", 1): (3.31, 2.99),
    ("sigmoid", 2): (4.27, 4.42),
    ("tanh", 0): (2.41, 2.46),
    ("tanh", 1): (3.09, 3.30),
    ("tanh", 2): (4.08, 4.31),
    ("swish", 0): (2.05, 1.88),
    ("swish", 1): (2.55, 3.09),
    ("swish", 2): (3.44, 3.69),
    ("mish", 0): (2.28, 2.22),
    ("mish", 1): (3.06, 3.49),
    ("mish", 2): (5.96, 5.15),
    ("cos", 0): (4.03, 3.71),
    ("cos", 1): (3.10, 3.80),
    ("cos", 2): (3.47, 4.36),
}
MARGIN = 1.0  # another CPU's vector exp may round otherwise: each has an error of up to 1 ulp


def compiled(expr: sympy.Expr) -> object:
    return pytorch.compile_source(pytorch.source(expr, x, "f"), "f")


def grid(dtype: torch.dtype) -> Tensor:
    """Both signs: the bend, the tails down to the smallest normal e^(−|x|), the smallest and the largest numbers."""
    info = torch.finfo(dtype)
    generator = torch.Generator().manual_seed(0)
    tail = torch.rand(60, generator=generator, dtype=torch.float64) * -math.log(info.tiny)
    small = torch.logspace(math.log10(info.tiny) + 1, -1, 30, dtype=torch.float64)
    large = torch.tensor([1e4, 1e30, info.max], dtype=torch.float64)
    half = torch.cat([torch.linspace(0.05, 12, 120, dtype=torch.float64), tail, small, large])
    return torch.cat([half, -half]).to(dtype)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(("name", "order"), [case for case in CASES if case[0] in SMOOTH])
def test_error_in_ulp(name: str, order: int, dtype: torch.dtype) -> None:
    points, info, worst = grid(dtype), torch.finfo(dtype), 0.0
    values = activation(name).elementwise(order)(points)
    assert values.dtype == dtype
    with mp.workdps(60):
        for point, value in zip(points.tolist(), values.tolist(), strict=True):
            size = mp.fsum(map(abs, terms(name, point, order)))
            if size < 128 * abs(point) * info.tiny:
                continue  # a power of t may be subnormal there: see the test of the far tail
            ulp = mpf(2) ** (mp.frexp(size)[1] - 1) * info.eps
            worst = max(worst, float(abs(mpf(value) - oracle(name, point, order)) / ulp))
    assert worst <= ULP[name, order][dtype == torch.float64] + MARGIN


@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(("name", "order"), [case for case in CASES if case[0] in SMOOTH])
def test_far_tail_is_off_by_no_more_than_subnormal_steps(name: str, order: int, dtype: torch.dtype) -> None:
    # Known gap: where t or a power of it is subnormal (beyond |x| = 87.3 in float32, 43.6 for t²), it has few digits,
    # so a value as large as |x|·2^-126 may have few right digits too: 26 ulp for swish(−87.3), and 0 below −103.97.
    # (PyTorch's silu gives −0 from −90 on.)
    info = torch.finfo(dtype)
    end = -math.log(info.tiny)
    points = torch.linspace(0.45 * end, 1.3 * end, 60, dtype=torch.float64)
    points = torch.cat([points, -points]).to(dtype)
    step = info.tiny * info.eps  # the smallest subnormal
    for point, value in zip(points.tolist(), activation(name).elementwise(order)(points).tolist(), strict=True):
        reference = oracle(name, point, order)
        assert abs(mpf(value) - reference) <= 16 * abs(point) * step + 8 * info.eps * abs(reference)


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_kinks_take_the_left_piece_and_both_sides_are_exact(name: str) -> None:
    for dtype in (*TYPES, torch.float16, torch.bfloat16):
        for kink in (0.0, 6.0):
            at = torch.tensor(kink, dtype=dtype)
            points = torch.stack([at, torch.nextafter(at, at + 1), torch.nextafter(at, at - 1), at + 1, at - 1])
            for order in (0, 1, 2):
                values = activation(name).elementwise(order)(points)
                assert values.dtype == dtype
                assert values.tolist() == [float(oracle(name, p, order)) for p in points.tolist()]


@pytest.mark.parametrize(("name", "order"), CASES)
def test_zero_and_infinities_give_the_limits(name: str, order: int) -> None:
    for dtype in (*TYPES, torch.float16, torch.bfloat16):
        points = torch.tensor([0.0, -0.0, math.inf, -math.inf], dtype=dtype)
        values = activation(name).elementwise(order)(points)
        limits = torch.tensor([float(oracle(name, p, order)) for p in points.tolist()], dtype=torch.float64).to(dtype)
        torch.testing.assert_close(values, limits, rtol=torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize(("name", "order"), CASES)
def test_nothing_overflows_at_any_finite_x(name: str, order: int) -> None:
    for dtype in (*TYPES, torch.float16, torch.bfloat16):
        largest = torch.finfo(dtype).max
        powers = torch.logspace(-4, math.log2(largest), 200, base=2.0, dtype=torch.float64)
        points = torch.cat([powers, -powers]).clamp(-largest, largest).to(dtype)
        values = activation(name).elementwise(order)(points)
        assert values.isfinite().all()


@pytest.mark.parametrize(("name", "order"), [case for case in CASES if case[0] in SMOOTH or case[1] == 0])
def test_nan_gives_nan(name: str, order: int) -> None:
    assert activation(name).elementwise(order)(torch.tensor([math.nan, 1.0])).isnan().tolist() == [True, False]


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_known_gap_the_slope_of_a_kinked_function_at_nan_is_1(name: str) -> None:
    # No piece's condition holds for NaN, so the last piece counts. PyTorch's own functions give the gradient 1 there,
    # too; the NaN itself is not lost, since f(NaN) = NaN. To print NaN the last piece would have to be x·0 + 1.
    point = torch.tensor(math.nan, requires_grad=True)
    getattr(torch.nn.functional, name)(point).backward()
    assert activation(name).elementwise(1)(point.detach()) == point.grad == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "order"), CASES)
def test_16_bit_values_are_computed_in_float32_and_rounded_once(name: str, order: int, dtype: torch.dtype) -> None:
    function = activation(name).elementwise(order)
    points = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)  # every one there is
    ours, single = function(points), function(points.float())
    assert ours.dtype == dtype
    assert torch.equal(ours.nan_to_num(nan=7), single.to(dtype).nan_to_num(nan=7))
    # Against float64, which the test above bounds: all but a few in a thousand are the nearest there is.
    exact = function(points.double())
    finite = points.isfinite()
    nearest = exact.to(dtype)
    normal = finite & (exact.abs() >= torch.finfo(dtype).tiny)
    assert (ours == nearest)[normal].sum() >= 0.998 * normal.sum()
    step = torch.nextafter(nearest.abs(), torch.full_like(nearest, math.inf)).double() - nearest.abs().double()
    single_error = (
        8 * torch.finfo(torch.float32).eps * (exact.abs() + 3)
    )  # no term that cancels is larger than 3.2 (CoS″)
    assert ((ours.double() - exact).abs() <= 0.5 * step + single_error)[finite].all()


# Structure of the code


@pytest.mark.parametrize("name", SMOOTH)
def test_one_exponential_and_one_division(name: str) -> None:
    code = activation(name).source("pytorch", 0)
    assert len(re.findall(r"torch\.(?:exp|expm1|tanh|sigmoid|log)\(", code)) == 1
    divisions = [d for d in re.findall(r"/ ([\w.]+)", code) if not re.fullmatch(r"[\d.]+", d)]
    assert len(divisions) <= 1  # by constants aside


def test_integer_powers_are_repeated_squarings_and_shared() -> None:
    code = activation("cos").source()
    assert re.findall(r"t_\d+ = .*", code) == ["t_2 = t * t", "t_4 = t_2 * t_2", "t_5 = t_4 * t"]
    assert "**" not in code
    assert "pow" not in code
    values = torch.linspace(-3, 3, 7, dtype=torch.float64)
    for n in range(-9, 24):
        torch.testing.assert_close(compiled(x**n + 2)(values + 0.5), (values + 0.5) ** n + 2, rtol=4e-15, atol=0)  # type: ignore[operator]


def test_a_shared_subexpression_is_computed_once() -> None:
    inner = sympy.erf(x + 1)
    assert pytorch.source(inner * sympy.exp(-inner) + inner, x, "f").count("torch.erf") == 1


@pytest.mark.parametrize(
    ("expr", "reference"),
    [
        (x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2, torch.nn.functional.gelu),
        (softplus(x), torch.nn.functional.softplus),
        (x * sympy.tanh(softplus(2 * x) / 2), lambda v: v * torch.tanh(torch.nn.functional.softplus(2 * v) / 2)),
        (sigmoid(5 * x + 1) - x, lambda v: torch.sigmoid(5 * v + 1) - v),
        (x * sympy.exp(-sympy.exp(-x)), lambda v: v * torch.exp(-torch.exp(-v))),
        (-x / (1 + sympy.Abs(x)), lambda v: -v / (1 + v.abs())),
        (x + sympy.sin(x) ** 2 - sympy.cos(x) / 3, lambda v: v + torch.sin(v) ** 2 - torch.cos(v) / 3),
        (sympy.atan(x) * sympy.sign(x) - sympy.log(1 + x**2), lambda v: torch.atan(v).abs() - torch.log(1 + v**2)),
        (sympy.sinh(x) / sympy.cosh(x), torch.tanh),
        (sympy.Piecewise((sympy.exp(x) - 1, x < 0), (x, True)), lambda v: torch.where(v < 0, torch.exp(v) - 1, v)),
        (sympy.pi * x - sympy.Rational(1, 3), lambda v: math.pi * v - 1 / 3),
        (sympy.Rational(1, 3), lambda v: torch.full_like(v, 1 / 3)),
        (sympy.tanh(x) - 2 * sigmoid(2 * x), lambda v: torch.full_like(v, -1)),
        (
            sympy.Piecewise((sympy.Rational(1, 100), x <= 0), (1, True)),
            lambda v: torch.where(v <= 0, 0.01, torch.ones_like(v)),
        ),
    ],
    ids=str,
)
def test_formulas_outside_the_catalogue(expr: sympy.Expr, reference) -> None:  # type: ignore[no-untyped-def]
    points = torch.linspace(-4, 4, 33, dtype=torch.float64)
    values = compiled(expr)(points)  # type: ignore[operator]
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, reference(points), rtol=2e-15, atol=4e-16)


@pytest.mark.parametrize("order", [0, 1])
def test_every_exponential_slope_gives_the_same_function(order: int) -> None:
    points = torch.linspace(-4, 4, 7, dtype=torch.float64)
    for slope in ("-5", "2.5", "1/3", "0.3333", "0"):
        act = activation("cos", a=slope, c="0.25")
        reference = [mpf(act.derivative(order).subs(x, p).evalf(20)) for p in points.tolist()]
        torch.testing.assert_close(
            act.elementwise(order)(points).tolist(), [float(r) for r in reference], rtol=1e-14, atol=1e-15
        )


def test_known_gap_outside_the_normal_form_a_slope_at_infinity_is_nan() -> None:
    # x·σ(x)·(1 − σ(x)) printed head by head is ∞·0; the value itself keeps its limit.
    act = activation("cos", a="0.3333")
    far = torch.tensor([-1e38, 1e38, math.inf], dtype=torch.float64)
    assert act.elementwise(0)(far).tolist() == [0.25, 1e38, math.inf]
    assert act.elementwise(1)(far[:2]).tolist() == [0, 1]
    assert act.elementwise(1)(far)[2].isnan()


def test_the_lines_of_the_code_show_in_a_traceback() -> None:
    function = activation("swish").elementwise()
    with pytest.raises(AttributeError) as caught:
        function("no tensor")  # type: ignore[arg-type]
    assert "x = input.float() if input.dtype" in str(caught.traceback[-1].statement)


# What is refused


def test_a_head_without_a_template_is_named() -> None:
    for expr, head in ((sympy.gamma(x), "gamma"), (sympy.sqrt(1 + x**2), "Pow"), (sympy.Function("g")(x), "g")):
        with pytest.raises(CosnbError, match=rf"no PyTorch operation for '{head}'; known: Abs, .*softplus"):
            pytorch.source(expr, x, "f")


@pytest.mark.parametrize("name", ["f(x):\n import os #", "a b", "", "2f", "class", "f.g"])
def test_hostile_function_names_are_refused(name: str) -> None:
    with pytest.raises(CosnbError, match="must be an identifier"):
        pytorch.source(x, x, name)


def test_other_symbols_are_refused_whatever_their_names() -> None:
    hostile = sympy.Symbol("__import__('os')")
    with pytest.raises(CosnbError, match="it holds __import__"):
        pytorch.source(x * hostile, x, "f")
    with pytest.raises(CosnbError, match="variable x"):
        pytorch.source(hostile, hostile, "f")
    with pytest.raises(CosnbError, match="it holds x besides x"):
        pytorch.source(sympy.Symbol("x", positive=True), x, "f")


@pytest.mark.parametrize(
    "number", [sympy.I, sympy.Integer(10) ** 400, sympy.oo, sympy.nan], ids=["i", "1e400", "oo", "nan"]
)
def test_numbers_that_float64_cannot_hold_are_refused(number: sympy.Expr) -> None:
    with pytest.raises(CosnbError, match="cannot print the number"):
        pytorch.source(sympy.Piecewise((number, x < 0), (x, True)), x, "f")


def test_a_piecewise_that_leaves_a_gap_is_refused() -> None:
    with pytest.raises(CosnbError, match="no value where none of its conditions holds"):
        pytorch.source(sympy.Piecewise((x, x > 0)), x, "f")


def test_mpmath_and_torch_agree_on_what_a_unit_in_the_last_place_is() -> None:
    for value in (1.0, 0.3, 1e-20):
        one = torch.tensor(value, dtype=torch.float32)
        above = torch.nextafter(one, one + 1)
        assert mpmath.frexp(one.item())[1] - 24 == math.log2(above.item() - one.item())
